/*
 * fuzz_job_decode.c: records from Redis. The first two bytes say where the
 * input is cut into j:<id> and r:<id>. Slices stay inside of them; a job whose
 * payload and result are JSON is shown as JSON.
 */

#include "fuzz.h"
#include "tq_queue.h"

static void
must_be_inside(tq_str_t s, tq_str_t in)
{
    MUST(s.len == 0 || (s.p >= in.p && s.p + s.len <= in.p + in.len));
}

static int
is_json(tq_str_t s)
{
    tq_json_val_t  v;
    tq_json_err_t  err;

    return tq_json_parse(s.p, s.len, &v, &err) == 0;
}

/* One JSON value, and one less deep than the limit: it will stand in an
 * object. */
static int
is_one_value(tq_str_t s)
{
    int            one;
    size_t         pos = 0;
    tq_buf_t       b = { 0 };
    tq_json_val_t  v;

    tq_buf_addc(&b, '[');
    tq_buf_add(&b, s.p, s.len);
    tq_buf_addc(&b, ']');
    MUST(!b.failed);

    one = is_json((tq_str_t) { b.p, b.len })
          && tq_json_next_item((tq_str_t) { b.p, b.len }, &pos, &v)
          && tq_json_next_item((tq_str_t) { b.p, b.len }, &pos, &v) == 0;
    tq_buf_free(&b);

    return one;
}

static void
check_shown(const tq_job_info_t *info)
{
    int       whole;
    tq_buf_t  b = { 0 };

    /* a payload that is apart is shown as null */
    whole = (info->job.payload.len == 0 || is_one_value(info->job.payload))
            && (info->result.len == 0 || is_one_value(info->result));

    tq_job_add_json(&b, info);
    MUST(!b.failed);
    MUST(!whole || is_json((tq_str_t) { b.p, b.len }));

    tq_buf_reset(&b);
    tq_job_add_task_json(&b, info, "00000000-0000-8000-8000-000000000000");
    MUST(!b.failed);
    MUST(!whole || is_json((tq_str_t) { b.p, b.len }));

    tq_buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t         cut;
    tq_str_t       record, run;
    tq_job_info_t  info;

    if (size < 2) {
        return 0;
    }

    cut = (size_t) (data[0] << 8 | data[1]);
    data += 2;
    size -= 2;
    cut = cut > size ? size : cut;

    /* copies of their own size: one must not be read through to the other */
    record.p = malloc(cut ? cut : 1);
    run.p = malloc(size - cut ? size - cut : 1);
    MUST(record.p != NULL && run.p != NULL);
    record.len = cut;
    run.len = size - cut;
    memcpy((char *) record.p, data, cut);
    memcpy((char *) run.p, data + cut, size - cut);

    if (tq_job_decode(1, record, run, 0, &info) == 0) {
        must_be_inside(info.job.payload, record);
        must_be_inside(info.worker, run);
        must_be_inside(info.error, run);
        must_be_inside(info.result, run);
        MUST(tq_handler_name_ok(info.job.handler, info.job.handler_len));
        MUST(info.job.priority >= 0 && info.job.priority <= TQ_PRIORITY_MAX);
        MUST(tq_state_name(info.state)[0] != '\0');
        MUST(info.job.aside_bytes >= 0);
        MUST(info.job.payload.len == (size_t) info.job.aside_bytes
             || (info.job.aside_bytes == 0) == (info.job.payload.len != 0));
        check_shown(&info);
    } else {
        tq_job_guess(1, record, run, 0, &info);
        MUST(info.error.len != 0);
        check_shown(&info);
    }

    free((char *) record.p);
    free((char *) run.p);

    return 0;
}
