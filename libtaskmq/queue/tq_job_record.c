/*
 * tq_job_record.c: the stored job. Reads the records j:<id> and r:<id> of
 * docs/redis-schema.md, trusting nothing in them, and shows a job as JSON in
 * the words of the two APIs.
 */

#include <string.h>

#include "tq_job.h"
#include "tq_layout.h"
#include "tq_base.h"

/* The spaces between the fixed-width fields: one after each of these. */
static const unsigned char  tq_head_spaces[] = {
    TQ_END(TQ_JOB_KIND), TQ_END(TQ_JOB_PRIORITY), TQ_END(TQ_JOB_POLICY),
    TQ_END(TQ_JOB_RETRIES), TQ_END(TQ_JOB_CREATED)
};
static const unsigned char  tq_run_spaces[] = {
    TQ_END(TQ_RUN_FINISHED), TQ_END(TQ_RUN_TOKEN), TQ_END(TQ_RUN_STARTED),
    TQ_END(TQ_RUN_ATTEMPTS), TQ_END(TQ_RUN_CRASHES), TQ_END(TQ_RUN_RUNS),
    TQ_END(TQ_RUN_ERROR_LEN)
};

_Static_assert(TQ_AT(TQ_JOB_VERSION) == 0, "a job's record");
TQ_FOLLOWS(TQ_JOB_VERSION, TQ_JOB_KIND, 0);
TQ_FOLLOWS(TQ_JOB_KIND, TQ_JOB_PRIORITY, 1);
TQ_FOLLOWS(TQ_JOB_PRIORITY, TQ_JOB_POLICY, 1);
TQ_FOLLOWS(TQ_JOB_POLICY, TQ_JOB_RETRIES, 1);
TQ_FOLLOWS(TQ_JOB_RETRIES, TQ_JOB_CREATED, 1);
TQ_FOLLOWS(TQ_JOB_CREATED, TQ_JOB_HANDLER, 1);
_Static_assert(TQ_AT(TQ_JOB_HEAD) == 0
               && TQ_END(TQ_JOB_HEAD) == TQ_AT(TQ_JOB_CREATED), "its head");

_Static_assert(TQ_AT(TQ_RUN_VERSION) == 0, "a run's record");
TQ_FOLLOWS(TQ_RUN_VERSION, TQ_RUN_STATE, 0);
TQ_FOLLOWS(TQ_RUN_STATE, TQ_RUN_FINISHED, 0);
TQ_FOLLOWS(TQ_RUN_FINISHED, TQ_RUN_COUNTER, 1);
TQ_FOLLOWS(TQ_RUN_COUNTER, TQ_RUN_WORKER, 0);
TQ_FOLLOWS(TQ_RUN_WORKER, TQ_RUN_STARTED, 1);
TQ_FOLLOWS(TQ_RUN_STARTED, TQ_RUN_ATTEMPTS, 1);
TQ_FOLLOWS(TQ_RUN_ATTEMPTS, TQ_RUN_CRASHES, 1);
TQ_FOLLOWS(TQ_RUN_CRASHES, TQ_RUN_RUNS, 1);
TQ_FOLLOWS(TQ_RUN_RUNS, TQ_RUN_ERROR_LEN, 1);
TQ_FOLLOWS(TQ_RUN_ERROR_LEN, TQ_RUN_NAME, 1);
_Static_assert(TQ_AT(TQ_RUN_TOKEN) == TQ_AT(TQ_RUN_COUNTER)
               && TQ_END(TQ_RUN_TOKEN) == TQ_END(TQ_RUN_WORKER), "its token");

/* What numbers and texts of these widths hold. */
_Static_assert(TQ_LEN(TQ_JOB_PRIORITY) == 3 && TQ_LEN(TQ_JOB_RETRIES) == 3
               && TQ_LEN(TQ_JOB_CREATED) == 13, "a job's numbers");
_Static_assert(TQ_LEN(TQ_RUN_FINISHED) == 13 && TQ_LEN(TQ_RUN_STARTED) == 13
               && TQ_LEN(TQ_RUN_ATTEMPTS) == 3 && TQ_LEN(TQ_RUN_CRASHES) == 1
               && TQ_CRASHES_MAX <= 9 && TQ_ERROR_MAX_BYTES <= 99999,
               "a run's numbers");

static int
tq_record_spaces(tq_str_t s, const unsigned char *at, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (s.p[at[i]] != ' ') {
            return -1;
        }
    }

    return 0;
}

/* tq_record_digits reads exactly n (at most 18) digits. 0, or -1. */
static int
tq_record_digits(const char *p, size_t n, int64_t *out)
{
    int64_t  v = 0;

    while (n--) {
        if (*p < '0' || *p > '9') {
            return -1;
        }
        v = v * 10 + (*p++ - '0');
    }

    *out = v;

    return 0;
}

/* The number in a field of fixed width. */
#define tq_record_number(p, field, out)                                       \
    tq_record_digits((p) + TQ_AT(field), TQ_LEN(field), out)

/* tq_record_option reads one " x=NUMBER" of a header line into the job, each
 * at most once. 0, or -1. */
static int
tq_record_option(const char **p, const char *end, tq_job_t *job)
{
    const char  *s = *p;
    int64_t     *dst, v = 0;

    if (end - s < 4 || s[0] != ' ' || s[2] != '=') {
        return -1;
    }

    switch (s[1]) {
    case 't':
        dst = &job->timeout_s;
        break;
    case 'k':
        dst = &job->retention_s;
        break;
    case 'i':
        dst = &job->interval_s;
        break;
    case 's':
        dst = &job->due_ms;
        break;
    case 'b':
        dst = &job->aside_bytes;
        break;
    default:
        return -1;
    }

    for (s += 3; s < end && *s >= '0' && *s <= '9'; s++) {
        v = v * 10 + (*s - '0');
        if (v > TQ_ID_MAX) {
            return -1;
        }
    }

    if (v == 0 || *dst != 0 || s == *p + 3) {
        return -1;
    }

    *dst = v;
    *p = s;

    return 0;
}

static int
tq_record_retries(const char *p, tq_job_t *job)
{
    int64_t  v;

    job->api = TQ_API_TASKMQ;
    job->max_retries = -1;

    if (p[1] == '-' && p[2] == '-' && (p[0] == 't' || p[0] == 'd')) {
        job->api = (p[0] == 'd') ? TQ_API_TASKDAEMON : TQ_API_TASKMQ;
        return 0;
    }

    if (tq_record_digits(p, 3, &v) != 0 || v > TQ_RETRIES_MAX) {
        return -1;
    }

    job->max_retries = (int) v;

    return 0;
}

/* tq_record_line reads what follows the fixed-width part of the header line:
 * handler and options. 0, or -1. */
static int
tq_record_line(const char *p, const char *end, char kind, tq_job_t *job)
{
    const char  *s;

    s = memchr(p, ' ', (size_t) (end - p));
    if (s == NULL) {
        s = end;
    }

    if (!tq_handler_name_ok(p, (size_t) (s - p))) {
        return -1;
    }

    job->handler_len = (size_t) (s - p);
    memcpy(job->handler, p, job->handler_len);
    job->handler[job->handler_len] = '\0';

    if ((kind == '-') != (s == end)) {
        return -1;
    }

    while (s < end) {
        if (tq_record_option(&s, end, job) != 0) {
            return -1;
        }
    }

    return (kind == 'p') == (job->interval_s != 0) ? 0 : -1;
}

/* tq_record_head reads the first line of j:<id>, or a run's copy of it; rest is
 * what follows. 0, or -1. */
static int
tq_record_head(tq_str_t rec, tq_job_info_t *out, tq_str_t *rest)
{
    int64_t      v;
    char         kind, policy;
    const char  *p = rec.p, *line, *nl;
    tq_job_t    *job = &out->job;

    if (rec.len <= TQ_AT(TQ_JOB_HANDLER) || p[TQ_AT(TQ_JOB_VERSION)] != '1'
        || tq_record_spaces(rec, tq_head_spaces, sizeof(tq_head_spaces))
           != 0)
    {
        return -1;
    }

    kind = p[TQ_AT(TQ_JOB_KIND)];
    policy = p[TQ_AT(TQ_JOB_POLICY)];

    if (kind == '\0' || strchr("-op", kind) == NULL
        || policy == '\0' || strchr("fen", policy) == NULL
        || tq_record_number(p, TQ_JOB_PRIORITY, &v) != 0
        || v > TQ_PRIORITY_MAX
        || tq_record_retries(p + TQ_AT(TQ_JOB_RETRIES), job) != 0
        || tq_record_number(p, TQ_JOB_CREATED, &out->created_ms) != 0)
    {
        return -1;
    }

    job->priority = (int) v;
    job->policy = policy;

    line = p + TQ_AT(TQ_JOB_HANDLER);
    nl = memchr(line, '\n', rec.len - TQ_AT(TQ_JOB_HANDLER));
    if (nl == NULL || tq_record_line(line, nl, kind, job) != 0) {
        return -1;
    }

    rest->p = nl + 1;
    rest->len = rec.len - (size_t) (nl + 1 - p);

    return 0;
}

/* tq_record_job reads j:<id>. 0, or -1. */
static int
tq_record_job(tq_str_t rec, tq_job_info_t *out)
{
    tq_job_t  *job = &out->job;

    if (tq_record_head(rec, out, &job->payload) != 0) {
        return -1;
    }

    if (job->aside_bytes > 0) {
        if (job->payload.len == 0) {
            return 0;
        }
        if ((uint64_t) job->aside_bytes != job->payload.len) {
            return -1;
        }
    }

    /* an object's two ends: an answer made of a cut record is no JSON */
    if (job->payload.len < 2 || job->payload.p[0] != '{'
        || job->payload.p[job->payload.len - 1] != '}')
    {
        return -1;
    }

    return 0;
}

static int
tq_record_state(char letter, tq_state_t *state)
{
    switch (letter) {
    case 'R':
    case 'E':
        *state = TQ_STATE_RUNNING;
        return 0;
    case 'W':
        *state = TQ_STATE_PENDING;
        return 0;
    case 'S':
        *state = TQ_STATE_SUCCESS;
        return 0;
    case 'F':
        *state = TQ_STATE_FAILED;
        return 0;
    case 'C':
        *state = TQ_STATE_CANCELLED;
        return 0;
    default:
        return -1;
    }
}

/* tq_record_run reads r:<id>. 0, or -1. */
static int
tq_record_run(tq_str_t run, tq_job_info_t *out)
{
    int64_t      attempts, crashes, error_len;
    const char  *p = run.p, *end = run.p + run.len, *nl;

    if (run.len <= TQ_AT(TQ_RUN_NAME)
        || tq_record_spaces(run, tq_run_spaces, sizeof(tq_run_spaces)) != 0
        || p[TQ_AT(TQ_RUN_VERSION)] != '1'
        || tq_record_state(p[TQ_AT(TQ_RUN_STATE)], &out->state) != 0
        || tq_record_number(p, TQ_RUN_FINISHED, &out->finished_ms) != 0
        || tq_record_number(p, TQ_RUN_STARTED, &out->started_ms) != 0
        || tq_record_number(p, TQ_RUN_ATTEMPTS, &attempts) != 0
        || tq_record_number(p, TQ_RUN_CRASHES, &crashes) != 0
        || tq_record_number(p, TQ_RUN_RUNS, &out->runs) != 0
        || tq_record_number(p, TQ_RUN_ERROR_LEN, &error_len) != 0)
    {
        return -1;
    }

    out->attempts = (int) attempts;
    out->crashes = (int) crashes;

    p += TQ_AT(TQ_RUN_NAME);
    nl = memchr(p, '\n', (size_t) (end - p));
    if (nl == NULL) {
        return -1;
    }

    out->worker.p = p;
    out->worker.len = (size_t) (nl - p);

    /* the copy of the job's header line is the scripts' */
    p = nl + 1;
    nl = memchr(p, '\n', (size_t) (end - p));
    if (nl == NULL || error_len > end - (nl + 1)) {
        return -1;
    }

    out->error.p = nl + 1;
    out->error.len = (size_t) error_len;

    out->result.p = out->error.p + error_len;
    out->result.len = (size_t) (end - out->result.p);

    return 0;
}

int
tq_job_decode(int64_t id, tq_str_t record, tq_str_t run, int64_t due_ms,
    tq_job_info_t *out)
{
    memset(out, 0, sizeof(*out));

    out->id = id;
    out->due_ms = due_ms;
    out->state = TQ_STATE_PENDING;

    if (tq_record_job(record, out) != 0) {
        return -1;
    }

    return run.len ? tq_record_run(run, out) : 0;
}

void
tq_job_guess(int64_t id, tq_str_t record, tq_str_t run, int64_t due_ms,
    tq_job_info_t *out)
{
    tq_str_t        rest, head;
    tq_job_info_t   guess;

    memset(out, 0, sizeof(*out));

    if (run.len == 0 || tq_record_run(run, out) != 0) {
        memset(out, 0, sizeof(*out));
        run.len = 0;
    }

    /* the run's copy of the header follows the worker's name */
    head.p = run.len ? out->worker.p + out->worker.len + 1 : NULL;
    head.len = run.len ? (size_t) (out->error.p - head.p) : 0;

    memset(&guess, 0, sizeof(guess));
    if (tq_record_head(record, &guess, &rest) != 0) {
        memset(&guess, 0, sizeof(guess));
        if (tq_record_head(head, &guess, &rest) != 0) {
            memset(&guess, 0, sizeof(guess));
            guess.job.policy = 'n';
            guess.job.max_retries = -1;
        }
    }

    out->job = guess.job;
    out->created_ms = guess.created_ms;
    out->job.payload = tq_str("");
    out->id = id;
    out->due_ms = due_ms;

    if (out->error.len == 0) {
        out->error = tq_str(TQ_UNREADABLE);
    }
}

const char *
tq_state_name(tq_state_t s)
{
    static const char  *names[] = { "PENDING", "RUNNING", "SUCCESS", "FAILED",
                                    "CANCELLED" };

    return names[s];
}

static const char *
tq_policy_name(char policy)
{
    return policy == 'e' ? "exponential" : policy == 'n' ? "none" : "fixed";
}

static void
tq_add_time_or_null(tq_buf_t *b, int64_t ms)
{
    char  iso[TQ_TIME_ISO_LEN + 1];

    if (ms <= 0) {
        tq_buf_add(b, "null", 4);
        return;
    }

    tq_time_format(ms, iso);
    tq_buf_addc(b, '"');
    tq_buf_add(b, iso, TQ_TIME_ISO_LEN);
    tq_buf_addc(b, '"');
}

static void
tq_add_number_or_null(tq_buf_t *b, int64_t v)
{
    if (v <= 0) {
        tq_buf_add(b, "null", 4);
    } else {
        tq_buf_addi(b, v);
    }
}

static void
tq_add_text_or_null(tq_buf_t *b, tq_str_t s)
{
    if (s.len == 0) {
        tq_buf_add(b, "null", 4);
    } else {
        tq_buf_add_json(b, s.p, s.len);
    }
}

static void
tq_add_raw_or_null(tq_buf_t *b, tq_str_t s)
{
    if (s.len == 0) {
        tq_buf_add(b, "null", 4);
    } else {
        tq_buf_add(b, s.p, s.len);
    }
}

void
tq_job_add_json(tq_buf_t *b, const tq_job_info_t *info)
{
    int              waits;
    const tq_job_t  *job = &info->job;

    waits = (info->state == TQ_STATE_PENDING && info->due_ms > 0);

    tq_buf_adds(b, "{\"id\":");
    tq_buf_addi(b, info->id);
    tq_buf_adds(b, ",\"status\":\"");
    tq_buf_adds(b, tq_state_name(info->state));
    tq_buf_adds(b, "\",\"handler\":");
    tq_buf_add_json(b, job->handler, job->handler_len);
    tq_buf_adds(b, ",\"priority\":");
    tq_buf_addi(b, job->priority);
    tq_buf_adds(b, ",\"payload\":");
    tq_add_raw_or_null(b, job->payload);
    tq_buf_adds(b, ",\"result\":");
    tq_add_raw_or_null(b, info->result);
    tq_buf_adds(b, ",\"error_log\":");
    tq_add_text_or_null(b, info->error);
    tq_buf_adds(b, ",\"retries\":");
    tq_buf_addi(b, info->attempts);
    tq_buf_adds(b, ",\"runs\":");
    tq_buf_addi(b, info->runs);
    tq_buf_adds(b, ",\"retry_policy\":\"");
    tq_buf_adds(b, tq_policy_name(job->policy));
    tq_buf_adds(b, "\",\"max_retries\":");
    if (job->max_retries < 0) {
        tq_buf_add(b, "null", 4);
    } else {
        tq_buf_addi(b, job->max_retries);
    }
    tq_buf_adds(b, ",\"timeout\":");
    tq_add_number_or_null(b, job->timeout_s);
    tq_buf_adds(b, ",\"retention_seconds\":");
    tq_add_number_or_null(b, job->retention_s);
    tq_buf_adds(b, ",\"interval_seconds\":");
    tq_add_number_or_null(b, job->interval_s);
    tq_buf_adds(b, ",\"created_at\":");
    tq_add_time_or_null(b, info->created_ms);
    tq_buf_adds(b, ",\"scheduled_for\":");
    tq_add_time_or_null(b, waits ? info->due_ms : job->due_ms);
    tq_buf_adds(b, ",\"started_at\":");
    tq_add_time_or_null(b, info->started_ms);
    tq_buf_adds(b, ",\"finished_at\":");
    tq_add_time_or_null(b, info->finished_ms);
    tq_buf_adds(b, ",\"worker\":");
    tq_add_text_or_null(b, info->worker);
    tq_buf_adds(b, ",\"crashes\":");
    tq_buf_addi(b, info->crashes);
    tq_buf_addc(b, '}');
}

static int
tq_task_attempts(const tq_job_info_t *info)
{
    switch (info->state) {
    case TQ_STATE_RUNNING:
    case TQ_STATE_SUCCESS:
        return info->attempts + 1;
    case TQ_STATE_FAILED:
        return info->attempts + (info->crashes >= TQ_CRASHES_MAX);
    default:
        return info->attempts;
    }
}

void
tq_job_add_task_json(tq_buf_t *b, const tq_job_info_t *info, const char *uuid)
{
    static const char  *names[] = { "pending", "processing", "completed",
                                    "failed", "failed" };

    tq_buf_adds(b, "{\"id\":\"");
    tq_buf_adds(b, uuid);
    tq_buf_adds(b, "\",\"task_type\":");
    tq_buf_add_json(b, info->job.handler, info->job.handler_len);
    tq_buf_adds(b, ",\"task_data\":");
    tq_add_raw_or_null(b, info->job.payload);
    tq_buf_adds(b, ",\"status\":\"");
    tq_buf_adds(b, names[info->state]);
    tq_buf_adds(b, "\",\"priority\":");
    tq_buf_addi(b, info->job.priority);
    tq_buf_adds(b, ",\"created_at\":");
    tq_add_time_or_null(b, info->created_ms);
    tq_buf_adds(b, ",\"completed_at\":");
    tq_add_time_or_null(b,
        info->state >= TQ_STATE_SUCCESS ? info->finished_ms : 0);
    tq_buf_adds(b, ",\"attempts\":");
    tq_buf_addi(b, tq_task_attempts(info));
    tq_buf_adds(b, ",\"last_error\":");
    if (info->state == TQ_STATE_CANCELLED) {
        tq_buf_adds(b, "\"cancelled\"");
    } else {
        tq_add_text_or_null(b, info->error);
    }
    tq_buf_adds(b, ",\"result\":");
    tq_add_raw_or_null(b, info->result);
    tq_buf_addc(b, '}');
}

int
tq_handler_name_ok(const char *p, size_t len)
{
    const char  *end = p + len;

    if (len == 0 || len > TQ_HANDLER_MAX) {
        return 0;
    }

    for (; p < end; p++) {
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
              || (*p >= '0' && *p <= '9') || *p == '_' || *p == '.'
              || *p == '-'))
        {
            return 0;
        }
    }

    return 1;
}

int
tq_id_parse(const char *p, size_t len, int64_t *id)
{
    int64_t  v;

    /* 16 digits hold TQ_ID_MAX */
    if (len == 0 || len > 16 || *p == '0'
        || tq_record_digits(p, len, &v) != 0 || v > TQ_ID_MAX)
    {
        return -1;
    }

    *id = v;

    return 0;
}
