/*
 * fuzz_job_read.c: request bodies. The first byte chooses the endpoint. A job
 * that was taken is within every limit, and its payload is a part of the body;
 * whatever is said of a refused one is JSON.
 */

#include "fuzz.h"
#include "tq_queue.h"

#define MAX_PAYLOAD  200
#define MAX_JOBS     5

static void
check_job(const tq_job_t *job, tq_str_t body)
{
    tq_json_val_t  v;
    tq_json_err_t  err;

    MUST(tq_handler_name_ok(job->handler, job->handler_len));
    MUST(strlen(job->handler) == job->handler_len);
    MUST(job->priority >= 0 && job->priority <= TQ_PRIORITY_MAX);
    MUST(strchr("fen", job->policy) != NULL && job->policy != '\0');
    MUST(job->max_retries >= -1 && job->max_retries <= TQ_RETRIES_MAX);
    MUST(job->due_ms >= 0 && job->due_ms < 253402300800000);
    MUST(job->interval_s >= 0 && job->interval_s <= TQ_INTERVAL_MAX_S);
    MUST(job->timeout_s >= 0 && job->timeout_s <= TQ_TIMEOUT_MAX_S);
    MUST(job->retention_s >= 0 && job->retention_s <= TQ_RETENTION_MAX_S);

    MUST(job->payload.p >= body.p);
    MUST(job->payload.p + job->payload.len <= body.p + body.len);
    MUST(job->payload.len <= MAX_PAYLOAD);
    MUST(tq_json_parse_as(TQ_JSON_PAYLOAD, job->payload.p, job->payload.len,
        &v, &err) == 0);
    MUST(v.type == TQ_JSON_OBJECT);
    MUST(v.raw.p == job->payload.p && v.raw.len == job->payload.len);
}

static void
check_errs(const tq_field_errs_t *errs)
{
    tq_buf_t       b = { 0 };
    tq_json_val_t  v;
    tq_json_err_t  err;

    MUST(errs->n > 0 && errs->n <= TQ_JSON_ERRORS_MAX && !errs->nomem);

    tq_field_errs_detail(&b, errs);
    MUST(!b.failed);
    MUST(tq_json_parse(b.p, b.len, &v, &err) == 0);

    tq_buf_reset(&b);
    tq_field_errs_error(&b, errs);
    MUST(!b.failed);
    MUST(tq_json_parse(b.p, b.len, &v, &err) == 0);

    tq_buf_free(&b);
}

static int
read_one(int how, tq_str_t body, tq_field_errs_t *errs)
{
    int       i, n, force = 9;
    int64_t   id = 0;
    tq_job_t  jobs[MAX_JOBS];

    switch (how) {
    case 0:
    case 1:
        n = tq_job_read(how ? TQ_API_TASKDAEMON : TQ_API_TASKMQ, body,
            MAX_PAYLOAD, jobs, errs);
        if (n == 0) {
            check_job(jobs, body);
        }
        return n;

    case 2:
        n = tq_job_read_bulk(body, MAX_PAYLOAD, jobs, MAX_JOBS, errs);
        MUST(n != 0 && n <= MAX_JOBS);
        for (i = 0; i < n; i++) {
            check_job(&jobs[i], body);
        }
        return n;

    default:
        n = tq_job_read_id(body, &id, how == 3 ? &force : NULL, errs);
        if (n == 0) {
            MUST(id >= 1 && id <= TQ_ID_MAX);
            MUST(how != 3 || force == 0 || force == 1);
        }
        return n;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tq_field_errs_t  errs;

    if (size == 0) {
        return 0;
    }

    if (read_one(data[0] % 5,
            (tq_str_t) { (const char *) data + 1, size - 1 }, &errs)
        < 0)
    {
        check_errs(&errs);
    } else {
        MUST(errs.n == 0 && !errs.too_large);
    }

    return 0;
}
