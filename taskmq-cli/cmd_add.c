/*
 * cmd_add.c: `taskmq add-job`: its arguments, and adding one job.
 *
 * A job is put together as the JSON body that the HTTP API takes and read by
 * the same code, so both refuse the same things with the same words.
 */

#include <stdlib.h>
#include <string.h>

#include "tc_add.h"

typedef struct {
    const char  *handler;
    const char  *payload;
    const char  *policy;
    const char  *at;
    const char  *key;
    int64_t      priority, in_s, interval_s, max_retries, timeout_s,
                 retention_s;         /* -1: not given */
} add_t;


static void
add_number(tq_buf_t *b, const char *name, int64_t v)
{
    if (v >= 0) {
        tq_buf_addf(b, ",\"%s\":%lld", name, (long long) v);
    }
}


static void
add_text(tq_buf_t *b, const char *name, const char *v)
{
    if (v != NULL) {
        tq_buf_addf(b, ",\"%s\":", name);
        tq_buf_add_json(b, v, strlen(v));
    }
}


static void
build_tail(tq_buf_t *b, const add_t *a)
{
    add_text(b, "handler", a->handler);
    add_number(b, "priority", a->priority);
    add_text(b, "retry_policy", a->policy);
    add_text(b, "scheduled_for", a->at);
    add_number(b, "interval_seconds", a->interval_s);
    add_number(b, "max_retries", a->max_retries);
    add_number(b, "timeout", a->timeout_s);
    add_number(b, "retention_seconds", a->retention_s);
    tq_buf_addc(b, '}');
}


static int
say_errors(tc_t *tc, const char *where, const tq_field_errs_t *errs)
{
    int                    i, code;
    tq_buf_t               b = { 0 };
    const char            *text;
    const tq_field_err_t  *e;

    if (errs->nomem) {
        return tc_error(tc, TC_FAILED, "%sout of memory", where);
    }

    for (i = 0; i < errs->n; i++) {
        e = &errs->e[i];

        if (i != 0) {
            tq_buf_adds(&b, "; ");
        }

        if (e->offset >= 0) {
            tq_buf_addf(&b, "byte %lld: ", (long long) e->offset);
        } else if (e->field[0] != '\0') {
            tq_text_add(&b, e->field, strlen(e->field));
            tq_buf_adds(&b, ": ");
        }

        tq_buf_adds(&b, e->msg);
    }

    if (errs->n == 0 && errs->too_large) {
        tq_buf_adds(&b, "payload: too large");
    }

    text = tq_buf_cstr(&b);
    code = tc_error(tc, TC_USAGE, "%s%s", where,
                    text != NULL ? text : "out of memory");
    tq_buf_free(&b);
    return code;
}


int
tc_add_read(tc_t *tc, const char *where, tq_str_t text, tq_str_t tail,
    tq_buf_t *body, tq_job_t *job)
{
    size_t           at;
    tq_json_val_t    top;
    tq_json_err_t    err;
    tq_field_errs_t  errs;

    tq_buf_reset(body);

    if (tail.len != 0) {
        /* Checked on its own, so that it cannot bring members of the job. */
        for (at = 0; at < text.len && tc_is_blank(text.p[at]); at++) {
            /* void */
        }

        if (at == text.len || text.p[at] != '{') {
            return tc_error(tc, TC_USAGE, "%spayload: expected a JSON object "
                            "such as {\"w\":1}", where);
        }

        if (tq_json_parse_as(TQ_JSON_PAYLOAD, text.p, text.len, &top, &err)
            != 0)
        {
            if (err.nomem) {
                return tc_error(tc, TC_FAILED, "%sout of memory", where);
            }

            return tc_error(tc, TC_USAGE, "%spayload: byte %zu: %s", where,
                            err.offset, err.msg);
        }

        tq_buf_adds(body, "{\"payload\":");
    }

    tq_buf_add(body, text.p, text.len);
    tq_buf_add(body, tail.p, tail.len);

    if (body->failed) {
        return tc_error(tc, TC_FAILED, "%sout of memory", where);
    }

    memset(&errs, 0, sizeof(errs));

    if (tq_job_read(TQ_API_TASKMQ, (tq_str_t) { body->p, body->len },
                    TQ_PAYLOAD_MAX_BYTES, job, &errs) != 0)
    {
        return say_errors(tc, where, &errs);
    }

    return TC_OK;
}


const char *
tc_add_why(int64_t outcome)
{
    switch (outcome) {
    case TQ_ENQUEUE_CONFLICT:
        return "this idempotency key was used with another job";
    case TQ_ENQUEUE_HANDLERS:
        return "the namespace has its largest number of handlers";
    case TQ_ENQUEUE_UNKNOWN_HANDLER:
        return "no worker serves this handler";
    case TQ_ENQUEUE_PAYLOAD:
        return "the payload did not reach Redis in time: add the job again";
    default:
        return "refused for a reason that this version does not know";
    }
}


int
tc_add_code(int64_t outcome)
{
    return outcome == TQ_ENQUEUE_PAYLOAD ? TC_UNAVAILABLE : TC_FAILED;
}


/* FNV-1a: tells one body from another under the same idempotency key. */
static uint64_t
body_hash(const tq_buf_t *b)
{
    size_t    i;
    uint64_t  h;

    h = 0xcbf29ce484222325ULL;

    for (i = 0; i < b->len; i++) {
        h = (h ^ (unsigned char) b->p[i]) * 0x100000001b3ULL;
    }

    return h;
}


/* --in counts from Redis' clock, as everything there does. */
static int
resolve_in(tc_t *tc, add_t *a, char at[TQ_TIME_ISO_LEN + 1])
{
    int                 code;
    const tq_result_t  *res;

    res = tc_run(tc, tq_stats_call(&tc->ns, NULL, NULL), &code);
    if (res == NULL) {
        return code;
    }

    tq_time_format(res->stats.now_ms + a->in_s * 1000, at);
    a->at = at;
    return TC_OK;
}


/* known: a handler that no worker serves is refused. */
static int
send_job(tc_t *tc, tq_str_t key, uint64_t hash, int known,
    const tq_job_t *job, int64_t *id)
{
    int                 code;
    tq_enqueue_t        batch = { 0 };
    const tq_result_t  *res;

    if (tq_enqueue_add(&batch, &tc->ns, tq_str(""), key, hash, known, job, 1)
        != 0)
    {
        tq_enqueue_drop(&batch);
        return tc_error(tc, TC_FAILED, "out of memory");
    }

    res = tc_run(tc, tq_enqueue_call(&batch, &tc->ns, NULL, NULL), &code);
    tq_enqueue_drop(&batch);

    if (res != NULL) {
        *id = tq_enqueued(res, 0);
    }

    return code;
}


int
tc_add_send(tc_t *tc, tq_str_t key, uint64_t hash, const tq_job_t *job,
    int64_t *id)
{
    int  code;

    code = send_job(tc, key, hash, 1, job, id);

    if (code != TC_OK || *id != TQ_ENQUEUE_UNKNOWN_HANDLER) {
        return code;
    }

    code = send_job(tc, key, hash, 0, job, id);

    if (code == TC_OK && *id > 0 && !tc->json) {
        tc_warn(tc, "no worker serves \"%s\" now: its jobs wait for one",
                job->handler);
    }

    return code;
}


static int
enqueue(tc_t *tc, const add_t *a, uint64_t hash, const tq_job_t *job)
{
    int       code;
    int64_t   id;
    tq_buf_t  out = { 0 };
    tq_str_t  key = { a->key, a->key != NULL ? strlen(a->key) : 0 };

    code = tc_add_send(tc, key, hash, job, &id);
    if (code != TC_OK) {
        return code;
    }

    if (id <= 0) {
        return tc_error(tc, tc_add_code(id), "%s", tc_add_why(id));
    }

    if (tc->json) {
        tc_add_doc(&out, tq_doc_object({ "status", tq_doc_text("ok") },
                                       { "job_id", tq_doc_int(id) }));
    } else {
        tq_buf_addf(&out, "%lld\n", (long long) id);
    }

    code = tc_print(tc, &out);

    if (code != TC_OK) {
        (void) tc_error(tc, code, "the job was added as %lld",
                        (long long) id);
    }

    return code;
}


static int
add_one(tc_t *tc, add_t *a)
{
    int        code;
    char       at[TQ_TIME_ISO_LEN + 1];
    uint64_t   hash;
    tq_job_t   job;
    tq_buf_t   payload = { 0 }, tail = { 0 }, body = { 0 };

    code = TC_OK;

    if (a->payload == NULL) {
        tq_buf_adds(&payload, "{}");
    } else if (strcmp(a->payload, "-") == 0) {
        code = tc_read_file(tc, "-", TQ_PAYLOAD_MAX_BYTES, &payload);
    } else {
        tq_buf_adds(&payload, a->payload);
    }

    if (code != TC_OK) {
        goto done;
    }

    /* First as it was asked for: wrong arguments need no Redis to be told,
     * and a repeated command has the same hash whatever the time. */
    build_tail(&tail, a);
    code = tc_add_read(tc, "", (tq_str_t) { payload.p, payload.len },
                       (tq_str_t) { tail.p, tail.len }, &body, &job);
    if (code != TC_OK) {
        goto done;
    }

    hash = body_hash(&body) + (uint64_t) (a->in_s + 1);

    code = tc_connect(tc);
    if (code != TC_OK) {
        goto done;
    }

    if (a->in_s >= 0) {
        code = resolve_in(tc, a, at);
        if (code != TC_OK) {
            goto done;
        }

        tq_buf_reset(&tail);
        build_tail(&tail, a);
        code = tc_add_read(tc, "", (tq_str_t) { payload.p, payload.len },
                           (tq_str_t) { tail.p, tail.len }, &body, &job);
        if (code != TC_OK) {
            goto done;
        }
    }

    code = enqueue(tc, a, hash, &job);

done:

    tq_buf_free(&payload);
    tq_buf_free(&tail);
    tq_buf_free(&body);
    return code;
}


static int
add_many(tc_t *tc, add_t *a, const char *from)
{
    int       code;
    char      at[TQ_TIME_ISO_LEN + 1];
    tq_buf_t  tail = { 0 };

    if (a->key != NULL) {
        return tc_usage(tc, "--idempotency-key is for one job, not --from");
    }

    if (a->handler == NULL
        && (a->policy != NULL || a->at != NULL || a->priority >= 0
            || a->in_s >= 0 || a->interval_s >= 0 || a->max_retries >= 0
            || a->timeout_s >= 0 || a->retention_s >= 0))
    {
        return tc_usage(tc, "without HANDLER each line is a whole job and "
                        "options cannot add to it");
    }

    code = tc_connect(tc);
    if (code != TC_OK) {
        return code;
    }

    if (a->in_s >= 0) {
        code = resolve_in(tc, a, at);
        if (code != TC_OK) {
            return code;
        }
    }

    if (a->handler != NULL) {
        build_tail(&tail, a);
    }

    code = tc_add_bulk(tc, from, (tq_str_t) { tail.p, tail.len });

    tq_buf_free(&tail);
    return code;
}


/* These are the API's to check, but its words are not the options'. */
static int
check_texts(tc_t *tc, const add_t *a)
{
    int64_t  ms;

    if (a->at != NULL && a->in_s >= 0) {
        return tc_usage(tc, "--at and --in exclude each other");
    }

    if (a->at != NULL && tq_time_parse(a->at, strlen(a->at), &ms) != 0) {
        return tc_usage(tc, "--at wants ISO 8601, such as 2026-12-24T10:00Z, "
                        "not \"%s\"", a->at);
    }

    if (a->policy != NULL && strcmp(a->policy, "fixed") != 0
        && strcmp(a->policy, "exponential") != 0
        && strcmp(a->policy, "none") != 0)
    {
        return tc_usage(tc, "--retry-policy is fixed, exponential or none, "
                        "not \"%s\"", a->policy);
    }

    return TC_OK;
}


static int
cmd_add_job(tc_t *tc, int argc, char **argv)
{
    int          n;
    add_t        a = { .priority = -1, .in_s = -1, .interval_s = -1,
                       .max_retries = -1, .timeout_s = -1,
                       .retention_s = -1 };
    const char  *from = NULL, *handler = NULL;

    const tc_opt_t  opts[] = {
        { "priority", TC_NUMBER, &a.priority, 0, TQ_PRIORITY_MAX },
        { "retry-policy", TC_TEXT, &a.policy, 0, 0 },
        { "at", TC_TEXT, &a.at, 0, 0 },
        { "in", TC_SECONDS, &a.in_s, 0, 100LL * 365 * 86400 },
        { "interval", TC_SECONDS, &a.interval_s, 1, TQ_INTERVAL_MAX_S },
        { "max-retries", TC_NUMBER, &a.max_retries, 0, TQ_RETRIES_MAX },
        { "timeout", TC_SECONDS, &a.timeout_s, 1, TQ_TIMEOUT_MAX_S },
        { "retention", TC_SECONDS, &a.retention_s, 1, TQ_RETENTION_MAX_S },
        { "idempotency-key", TC_TEXT, &a.key, 0, 0 },
        { "from", TC_TEXT, &from, 0, 0 },
        { "handler", TC_TEXT, &handler, 0, 0 },
        { NULL, TC_FLAG, NULL, 0, 0 }
    };

    n = tc_args(tc, argc, argv, opts);
    if (n < 0) {
        return TC_USAGE;
    }

    if (handler != NULL) {
        return tc_usage(tc, "there is no option --handler: HANDLER is the "
                        "first argument");
    }

    if (check_texts(tc, &a) != TC_OK) {
        return TC_USAGE;
    }

    if (n > (from != NULL ? 1 : 2)) {
        return tc_usage(tc, "unexpected argument \"%s\"", argv[n - 1]);
    }

    a.handler = (n > 0) ? argv[0] : NULL;
    a.payload = (n > 1) ? argv[1] : NULL;

    if (from != NULL) {
        return add_many(tc, &a, from);
    }

    if (a.handler == NULL) {
        return tc_usage(tc, "which HANDLER?");
    }

    if (a.key != NULL
        && (*a.key == '\0' || strlen(a.key) > TQ_IDEMPOTENCY_KEY_MAX))
    {
        return tc_usage(tc, "--idempotency-key must be 1 to %d bytes",
                        TQ_IDEMPOTENCY_KEY_MAX);
    }

    return add_one(tc, &a);
}


const tc_command_t  tc_add_commands[] = {
    { "add-job", cmd_add_job, "add a job, or many from a file",
      "usage: taskmq add-job [options] HANDLER [PAYLOAD|-]\n"
      "       taskmq add-job [options] [HANDLER] --from FILE|-\n"
      "\n"
      "Adds a job and prints its id. PAYLOAD is a JSON object ({} unless\n"
      "given; \"-\" reads it from stdin) and is kept byte for byte. Where no\n"
      "worker serves HANDLER now, stderr says so; the job waits for one.\n"
      "\n"
      "With --from, adds one job per line of the file and prints the ids as\n"
      "ranges: each line is a payload for HANDLER, or without HANDLER a whole\n"
      "job as POST /add-job takes it. A line from a slow pipe is added within\n"
      "0.1 s. Stops at the first wrong line; the lines before it have been\n"
      "added. Ctrl-C, too, says what was added, and which line is the next.\n"
      "\n"
      "  --priority N          0 (low) to 100; 0 unless given\n"
      "  --retry-policy P      fixed, exponential or none; fixed unless given\n"
      "  --max-retries N       instead of the namespace's setting\n"
      "  --at TIME             not before, ISO 8601; UTC without an offset\n"
      "  --in TIME             not before that much from now: 90, 10m, 24h\n"
      "  --interval TIME       run again and again, this far apart\n"
      "  --timeout TIME        of one run, instead of the handler's\n"
      "  --retention TIME      keep the finished job this long\n"
      "  --idempotency-key K   adding again with the same key gives the same\n"
      "                        job instead of a second one, for 24 hours\n" },
    { NULL, NULL, NULL, NULL }
};
