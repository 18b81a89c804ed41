/* test_job_record.c: stored jobs: read, refused when damaged, shown. */

#include "unit.h"
#include "fail_alloc.h"
#include "records.h"
#include "tq_queue.h"
#include "tq_layout.h"

#define HEAD    RECORD_HEAD
#define RECORD  HEAD "{\"to\":\"a@example.org\"}"
#define NEVER   RUN_NEVER
#define RUN(state, attempts, crashes, runs, finished, len)                    \
    RUN_TEXT(state, finished, RUN_TOKEN, RUN_STARTED, attempts, crashes,      \
        runs, len, "host:4242")

static tq_job_info_t  info;

static int
decode(const char *record, const char *run, int64_t due_ms)
{
    return tq_job_decode(42, (tq_str_t) { record, strlen(record) },
        (tq_str_t) { run, strlen(run) }, due_ms, &info);
}

static void
assert_job(const char *want)
{
    tq_buf_t  b = { 0 };

    tq_job_add_json(&b, &info);
    assert_string_equal(tq_buf_cstr(&b), want);
    tq_buf_free(&b);
}

static void
assert_task(const char *want)
{
    tq_buf_t  b = { 0 };

    tq_job_add_task_json(&b, &info, "the-uuid");
    assert_string_equal(tq_buf_cstr(&b), want);
    tq_buf_free(&b);
}

static void
test_record(void **state)
{
    (void) state;

    assert_int_equal(decode(RECORD, "", 0), 0);
    assert_int_equal(info.id, 42);
    assert_int_equal(info.state, TQ_STATE_PENDING);
    assert_string_equal(info.job.handler, "email");
    assert_int_equal(info.job.handler_len, 5);
    assert_int_equal(info.job.priority, 10);
    assert_int_equal(info.job.policy, 'f');
    assert_int_equal(info.job.max_retries, -1);
    assert_int_equal(info.job.api, TQ_API_TASKMQ);
    assert_int_equal(info.created_ms, 1763800000000);
    assert_true(tq_str_eq(info.job.payload, "{\"to\":\"a@example.org\"}"));
    assert_int_equal(info.worker.len, 0);
    assert_int_equal(info.error.len, 0);
    assert_int_equal(info.result.len, 0);
    assert_int_equal(info.started_ms, 0);

    assert_job("{\"id\":42,\"status\":\"PENDING\",\"handler\":\"email\","
        "\"priority\":10,\"payload\":{\"to\":\"a@example.org\"},"
        "\"result\":null,\"error_log\":null,\"retries\":0,\"runs\":0,"
        "\"retry_policy\":\"fixed\",\"max_retries\":null,\"timeout\":null,"
        "\"retention_seconds\":null,\"interval_seconds\":null,"
        "\"created_at\":\"2025-11-22T08:26:40.000Z\",\"scheduled_for\":null,"
        "\"started_at\":null,\"finished_at\":null,\"worker\":null,"
        "\"crashes\":0}");
    assert_task("{\"id\":\"the-uuid\",\"task_type\":\"email\",\"task_data\":"
        "{\"to\":\"a@example.org\"},\"status\":\"pending\",\"priority\":10,"
        "\"created_at\":\"2025-11-22T08:26:40.000Z\",\"completed_at\":null,"
        "\"attempts\":0,\"last_error\":null,\"result\":null}");
}

static void
test_options(void **state)
{
    (void) state;

    assert_int_equal(decode("1o 100 e 007 1763800000000 a.B-c_9 t=30 k=60 "
        "s=1775044800000\n{}", "", 1775044800000), 0);
    assert_int_equal(info.job.priority, 100);
    assert_int_equal(info.job.policy, 'e');
    assert_int_equal(info.job.max_retries, 7);
    assert_int_equal(info.job.timeout_s, 30);
    assert_int_equal(info.job.retention_s, 60);
    assert_int_equal(info.job.interval_s, 0);
    assert_int_equal(info.job.due_ms, 1775044800000);
    assert_int_equal(info.due_ms, 1775044800000);
    assert_string_equal(info.job.handler, "a.B-c_9");

    assert_int_equal(decode("1p 000 n d-- 0000000000000 x i=3600\n{}", "", 0),
        0);
    assert_int_equal(info.job.interval_s, 3600);
    assert_int_equal(info.job.api, TQ_API_TASKDAEMON);
    assert_int_equal(info.job.max_retries, -1);
    assert_int_equal(info.job.policy, 'n');

    /* any order */
    assert_int_equal(decode("1p 000 n 100 1763800000000 x s=5 i=1 k=3 t=2\n"
        "{\"n\":1.10,\"b\":12345678901234567890123}", "", 0), 0);
    assert_int_equal(info.job.timeout_s, 2);
    assert_int_equal(info.job.retention_s, 3);
    assert_int_equal(info.job.interval_s, 1);
    assert_int_equal(info.job.due_ms, 5);
    assert_int_equal(info.job.max_retries, 100);

    assert_job("{\"id\":42,\"status\":\"PENDING\",\"handler\":\"x\","
        "\"priority\":0,\"payload\":{\"n\":1.10,\"b\":12345678901234567890123"
        "},\"result\":null,\"error_log\":null,\"retries\":0,\"runs\":0,"
        "\"retry_policy\":\"none\",\"max_retries\":100,\"timeout\":2,"
        "\"retention_seconds\":3,\"interval_seconds\":1,"
        "\"created_at\":\"2025-11-22T08:26:40.000Z\","
        "\"scheduled_for\":\"1970-01-01T00:00:00.005Z\","
        "\"started_at\":null,\"finished_at\":null,\"worker\":null,"
        "\"crashes\":0}");
}

/* The payload may be apart, and not read: then there is none. */
static void
test_aside(void **state)
{
    (void) state;

    assert_int_equal(decode("1o 010 f t-- 1763800000000 email b=1025\n", "",
        0), 0);
    assert_int_equal(info.job.aside_bytes, 1025);
    assert_int_equal(info.job.payload.len, 0);
    assert_job("{\"id\":42,\"status\":\"PENDING\",\"handler\":\"email\","
        "\"priority\":10,\"payload\":null,\"result\":null,"
        "\"error_log\":null,\"retries\":0,\"runs\":0,"
        "\"retry_policy\":\"fixed\",\"max_retries\":null,\"timeout\":null,"
        "\"retention_seconds\":null,\"interval_seconds\":null,"
        "\"created_at\":\"2025-11-22T08:26:40.000Z\",\"scheduled_for\":null,"
        "\"started_at\":null,\"finished_at\":null,\"worker\":null,"
        "\"crashes\":0}");

    assert_int_equal(decode("1p 010 f t-- 1763800000000 email t=7 i=5 b=7\n"
        "{\"a\":1}", "", 0), 0);
    assert_int_equal(info.job.aside_bytes, 7);
    assert_int_equal(info.job.timeout_s, 7);
    assert_true(tq_str_eq(info.job.payload, "{\"a\":1}"));

    assert_int_equal(decode(RECORD, "", 0), 0);
    assert_int_equal(info.job.aside_bytes, 0);
}

/* What these tests write stands where the table says. */
static void
assert_at(const char *record, size_t at, size_t len, const char *text)
{
    assert_int_equal(strlen(text), len);
    assert_memory_equal(record + at, text, len);
}

#define ASSERT_AT(record, field, text)                                        \
    assert_at(record, TQ_AT(field), TQ_LEN(field), text)

static void
test_layout(void **state)
{
    static const char  run[] = RUN("S", "002", "1", "0000000003",
        "1763800001000", "00006") "errors[1]";

    (void) state;

    ASSERT_AT(RECORD, TQ_JOB_VERSION, "1");
    ASSERT_AT(RECORD, TQ_JOB_KIND, "-");
    ASSERT_AT(RECORD, TQ_JOB_PRIORITY, "010");
    ASSERT_AT(RECORD, TQ_JOB_POLICY, "f");
    ASSERT_AT(RECORD, TQ_JOB_RETRIES, "t--");
    ASSERT_AT(RECORD, TQ_JOB_HEAD, "1- 010 f t-- ");
    ASSERT_AT(RECORD, TQ_JOB_CREATED, RECORD_CREATED);
    ASSERT_AT(RECORD, TQ_JOB_HANDLER, "e");

    ASSERT_AT(run, TQ_RUN_VERSION, "1");
    ASSERT_AT(run, TQ_RUN_STATE, "S");
    ASSERT_AT(run, TQ_RUN_FINISHED, "1763800001000");
    ASSERT_AT(run, TQ_RUN_COUNTER, "00000000001f");
    ASSERT_AT(run, TQ_RUN_WORKER, RUN_WORKER);
    ASSERT_AT(run, TQ_RUN_TOKEN, RUN_TOKEN);
    ASSERT_AT(run, TQ_RUN_STARTED, RUN_STARTED);
    ASSERT_AT(run, TQ_RUN_ATTEMPTS, "002");
    ASSERT_AT(run, TQ_RUN_CRASHES, "1");
    ASSERT_AT(run, TQ_RUN_RUNS, "0000000003");
    ASSERT_AT(run, TQ_RUN_ERROR_LEN, "00006");
    ASSERT_AT(run, TQ_RUN_NAME, "h");
}

static void
test_run(void **state)
{
    (void) state;

    assert_int_equal(decode(RECORD, RUN("W", "002", "1", "0000000003",
        "1763800001000", "00006") "a\n\"\xff" "bc[1.10, null]",
        1763800002000), 0);
    assert_int_equal(info.state, TQ_STATE_PENDING);
    assert_int_equal(info.attempts, 2);
    assert_int_equal(info.crashes, 1);
    assert_int_equal(info.runs, 3);
    assert_int_equal(info.started_ms, 1763800000123);
    assert_int_equal(info.finished_ms, 1763800001000);
    assert_true(tq_str_eq(info.worker, "host:4242"));
    assert_true(tq_str_eq(info.error, "a\n\"\xff" "bc"));
    assert_true(tq_str_eq(info.result, "[1.10, null]"));

    assert_job("{\"id\":42,\"status\":\"PENDING\",\"handler\":\"email\","
        "\"priority\":10,\"payload\":{\"to\":\"a@example.org\"},"
        "\"result\":[1.10, null],\"error_log\":\"a\\n\\\"\xef\xbf\xbd" "bc\","
        "\"retries\":2,\"runs\":3,"
        "\"retry_policy\":\"fixed\",\"max_retries\":null,\"timeout\":null,"
        "\"retention_seconds\":null,\"interval_seconds\":null,"
        "\"created_at\":\"2025-11-22T08:26:40.000Z\","
        "\"scheduled_for\":\"2025-11-22T08:26:42.000Z\","
        "\"started_at\":\"2025-11-22T08:26:40.123Z\","
        "\"finished_at\":\"2025-11-22T08:26:41.000Z\","
        "\"worker\":\"host:4242\",\"crashes\":1}");
    assert_task("{\"id\":\"the-uuid\",\"task_type\":\"email\",\"task_data\":"
        "{\"to\":\"a@example.org\"},\"status\":\"pending\",\"priority\":10,"
        "\"created_at\":\"2025-11-22T08:26:40.000Z\",\"completed_at\":null,"
        "\"attempts\":2,\"last_error\":\"a\\n\\\"\xef\xbf\xbd" "bc\","
        "\"result\":[1.10, null]}");

    /* no worker yet: a job that was cancelled before its first run */
    assert_int_equal(decode(RECORD, RUN_TEXT("C", "1763800001000",
        "0000000000000000000000000000", NEVER, "000", "0", "0000000000",
        "00000", ""), 0), 0);
    assert_int_equal(info.state, TQ_STATE_CANCELLED);
    assert_int_equal(info.worker.len, 0);
    assert_int_equal(info.started_ms, 0);
    assert_task("{\"id\":\"the-uuid\",\"task_type\":\"email\",\"task_data\":"
        "{\"to\":\"a@example.org\"},\"status\":\"failed\",\"priority\":10,"
        "\"created_at\":\"2025-11-22T08:26:40.000Z\","
        "\"completed_at\":\"2025-11-22T08:26:41.000Z\",\"attempts\":0,"
        "\"last_error\":\"cancelled\",\"result\":null}");
}

static void
test_states(void **state)
{
    size_t     i;
    tq_buf_t   b = { 0 }, want = { 0 };
    static const struct {
        const char  *run;
        tq_state_t   state;
        const char  *name, *task;
        int          task_attempts;
        int          completed;
    } t[] = {
        { RUN("R", "001", "0", "0000000000", NEVER, "00000"),
          TQ_STATE_RUNNING, "RUNNING", "processing", 2, 0 },
        { RUN("E", "000", "0", "0000000000", NEVER, "00000"),
          TQ_STATE_RUNNING, "RUNNING", "processing", 1, 0 },
        { RUN("W", "001", "0", "0000000000", NEVER, "00000"),
          TQ_STATE_PENDING, "PENDING", "pending", 1, 0 },
        { RUN("W", "000", "0", "0000000004", "1763800001000", "00000") "5",
          TQ_STATE_PENDING, "PENDING", "pending", 0, 0 },
        { RUN("S", "001", "0", "0000000000", "1763800001000", "00000") "5",
          TQ_STATE_SUCCESS, "SUCCESS", "completed", 2, 1 },
        { RUN("F", "003", "0", "0000000000", "1763800001000", "00001") "x",
          TQ_STATE_FAILED, "FAILED", "failed", 3, 1 },
        /* lost for good with its third worker */
        { RUN("F", "001", "3", "0000000000", "1763800001000", "00001") "x",
          TQ_STATE_FAILED, "FAILED", "failed", 2, 1 },
        { RUN("C", "001", "0", "0000000000", "1763800001000", "00001") "x",
          TQ_STATE_CANCELLED, "CANCELLED", "failed", 1, 1 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        assert_int_equal(decode(RECORD, t[i].run, 0), 0);
        assert_int_equal(info.state, t[i].state);
        assert_string_equal(tq_state_name(info.state), t[i].name);

        tq_buf_reset(&b);
        tq_job_add_task_json(&b, &info, "u");
        assert_non_null(tq_buf_cstr(&b));

        tq_buf_reset(&want);
        tq_buf_addf(&want, "\"status\":\"%s\"", t[i].task);
        assert_non_null(strstr(b.p, tq_buf_cstr(&want)));

        tq_buf_reset(&want);
        tq_buf_addf(&want, "\"attempts\":%d,", t[i].task_attempts);
        assert_non_null(strstr(b.p, tq_buf_cstr(&want)));

        assert_int_equal(strstr(b.p, "\"completed_at\":null") == NULL,
            t[i].completed);
    }

    /* a due time means something to waiting jobs only */
    assert_int_equal(decode(RECORD, t[0].run, 1763800002000), 0);
    tq_buf_reset(&b);
    tq_job_add_json(&b, &info);
    assert_non_null(strstr(tq_buf_cstr(&b), "\"scheduled_for\":null"));

    tq_buf_free(&b);
    tq_buf_free(&want);
}

static void
test_bad_records(void **state)
{
    size_t              i;
    static const char  *t[] = {
        "", "1", "x", "2- 010 f t-- 1763800000000 email\n{}",
        "1x 010 f t-- 1763800000000 email\n{}",
        "1- 101 f t-- 1763800000000 email\n{}",
        "1- 0a0 f t-- 1763800000000 email\n{}",
        "1- 010 x t-- 1763800000000 email\n{}",
        "1- 010 f x-- 1763800000000 email\n{}",
        "1- 010 f t-0 1763800000000 email\n{}",
        "1- 010 f 101 1763800000000 email\n{}",
        "1- 010 f t-- 176380000000 email\n{}",
        "1- 010 f t-- 17638000000x0 email\n{}",
        "1-_010 f t-- 1763800000000 email\n{}",
        "1- 010 f t-- 1763800000000_email\n{}",
        "1- 010 f t-- 1763800000000 \n{}",
        "1- 010 f t-- 1763800000000 em:il\n{}",
        "1- 010 f t-- 1763800000000 email",
        "1- 010 f t-- 1763800000000 email\n",
        "1- 010 f t-- 1763800000000 email\n{",
        "1- 010 f t-- 1763800000000 email\n[]",
        "1- 010 f t-- 1763800000000 email\n{\"a\":",
        "1- 010 f t-- 1763800000000 email \n{}",
        "1- 010 f t-- 1763800000000 email t=5\n{}",
        "1o 010 f t-- 1763800000000 email\n{}",
        "1o 010 f t-- 1763800000000 email i=5\n{}",
        "1p 010 f t-- 1763800000000 email t=5\n{}",
        "1o 010 f t-- 1763800000000 email t=\n{}",
        "1o 010 f t-- 1763800000000 email t=0\n{}",
        "1o 010 f t-- 1763800000000 email t=-5\n{}",
        "1o 010 f t-- 1763800000000 email t=5x\n{}",
        "1o 010 f t-- 1763800000000 email t=5 t=5\n{}",
        "1o 010 f t-- 1763800000000 email z=5\n{}",
        "1o 010 f t-- 1763800000000 email t=9007199254740992\n{}",
        "1o 010 f t-- 1763800000000 email t=99999999999999999999999999\n{}",
        "1o 010 f t-- 1763800000000 email t=5 \n{}",
        "1o 010 f t-- 1763800000000 email  t=5\n{}",
        "1- 010 f t-- 1763800000000 email b=2\n{}",
        "1o 010 f t-- 1763800000000 email b=0\n{}",
        "1o 010 f t-- 1763800000000 email b=\n{}",
        "1o 010 f t-- 1763800000000 email b=2 b=2\n{}",
        "1o 010 f t-- 1763800000000 email b=3\n{}",
        "1o 010 f t-- 1763800000000 email b=2\n{} ",
        "1o 010 f t-- 1763800000000 email b=2\n{",
        "1o 010 f t-- 1763800000000 email b=2\n[]",
        "1o 010 f t-- 1763800000000 email b=-2\n{}",
        "1o 010 f t-- 1763800000000 email t=5\n",
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        if (decode(t[i], "", 0) != -1) {
            fail_msg("accepted: %s", t[i]);
        }
    }
}

/* What is told of a job whose record, or run, cannot be read. */
static void
test_guess(void **state)
{
    size_t  i;

    static const char  dead[] =
        RUN("F", "000", "0", "0000000000", "1763800001000", "00003") "why";

    static const struct {
        const char  *record, *run;
        tq_state_t   state;
        const char  *handler, *error;
        int64_t      created;
    } t[] = {
        { "2- 010 f t-- 1763800000000 email\n{}", dead, TQ_STATE_FAILED,
          "email", "why", 1763800000000 },
        { "", dead, TQ_STATE_FAILED, "email", "why", 1763800000000 },
        { "\xff", "", TQ_STATE_PENDING, "", TQ_UNREADABLE, 0 },
        { "1- 010 f t-- 1763800000000 own\n{\"cut", "", TQ_STATE_PENDING,
          "own", TQ_UNREADABLE, 1763800000000 },
        { "1- 010 f t-- 1763800000000 own\n{}", "S00", TQ_STATE_PENDING,
          "own", TQ_UNREADABLE, 1763800000000 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        assert_int_equal(decode(t[i].record, t[i].run, 0), -1);
        tq_job_guess(42, (tq_str_t) { t[i].record, strlen(t[i].record) },
            (tq_str_t) { t[i].run, strlen(t[i].run) }, 7, &info);
        assert_int_equal(info.id, 42);
        assert_int_equal(info.due_ms, 7);
        assert_int_equal(info.state, t[i].state);
        assert_int_equal(info.created_ms, t[i].created);
        assert_string_equal(info.job.handler, t[i].handler);
        assert_true(tq_str_eq(info.error, t[i].error));
        assert_int_equal(info.job.payload.len, 0);
    }
}

/* Records cut after each byte, and with each byte changed, in memory of their
 * own size: judged, shown, never read past the end. */
static void
damage(const char *record, size_t len, const char *run, size_t run_len,
    int whole)
{
    int        rc;
    tq_buf_t   b = { 0 };
    char      *r = unit_exact(record, len), *s = unit_exact(run, run_len);

    rc = tq_job_decode(1, (tq_str_t) { r, len }, (tq_str_t) { s, run_len }, 0,
        &info);
    if (whole) {
        assert_int_equal(rc, 0);
    }

    if (rc != 0) {
        tq_job_guess(1, (tq_str_t) { r, len }, (tq_str_t) { s, run_len }, 0,
            &info);
        assert_int_equal(info.id, 1);
        assert_true(info.error.len > 0);
        assert_int_equal(info.job.payload.len, 0);
    }

    tq_job_add_json(&b, &info);
    tq_job_add_task_json(&b, &info, "u");
    assert_int_equal(b.failed, 0);
    tq_buf_free(&b);

    free(r);
    free(s);
}

static void
test_damage(void **state)
{
    size_t             i, j;
    static const char  bytes[] = "\0\n 0-9aR{}\xff";
    static const char  record[] =
        "1p 010 f t-- 1763800000000 email t=30 k=60 i=5 s=17 b=8\n"
        "{\"a\":{}}";
    static const char  run[] =
        RUN("S", "002", "1", "0000000003", "1763800001000", "00006")
        "errors[1]";
    char               copy[sizeof(run) + sizeof(record)];

    (void) state;

    damage(record, sizeof(record) - 1, run, sizeof(run) - 1, 1);

    for (i = 0; i < sizeof(record) - 1; i++) {
        damage(record, i, run, sizeof(run) - 1, 0);
        for (j = 0; j < sizeof(bytes); j++) {
            memcpy(copy, record, sizeof(record));
            copy[i] = bytes[j];
            damage(copy, sizeof(record) - 1, run, sizeof(run) - 1, 0);
        }
    }

    for (i = 0; i < sizeof(run) - 1; i++) {
        damage(record, sizeof(record) - 1, run, i, 0);
        for (j = 0; j < sizeof(bytes); j++) {
            memcpy(copy, run, sizeof(run));
            copy[i] = bytes[j];
            damage(record, sizeof(record) - 1, copy, sizeof(run) - 1, 0);
        }
    }

    /* an error longer than what is there */
    assert_int_equal(decode(RECORD, RUN("F", "001", "0", "0000000000", NEVER,
        "00004") "abc", 0), -1);
    assert_int_equal(decode(RECORD, RUN("F", "001", "0", "0000000000", NEVER,
        "99999") "abc", 0), -1);
    assert_int_equal(decode(RECORD, RUN("X", "001", "0", "0000000000", NEVER,
        "00000"), 0), -1);
    /* another version; each blank is one */
    memcpy(copy, run, sizeof(run));
    assert_int_equal(decode(RECORD, copy, 0), 0);
    copy[TQ_AT(TQ_RUN_VERSION)] = '2';
    assert_int_equal(decode(RECORD, copy, 0), -1);
    for (i = 0; i < TQ_AT(TQ_RUN_NAME); i++) {
        if (run[i] == ' ') {
            memcpy(copy, run, sizeof(run));
            copy[i] = '+';
            assert_int_equal(decode(RECORD, copy, 0), -1);
        }
    }
    assert_int_equal(decode(RECORD, RUN("F", "0x1", "0", "0000000000", NEVER,
        "00000"), 0), -1);
}

/* Every allocation fails in turn: known to be incomplete, nothing leaks. */
static void
test_no_memory(void **state)
{
    int       i;
    tq_buf_t  b = { 0 };

    (void) state;

    assert_int_equal(decode(RECORD, RUN("F", "001", "0", "0000000000", NEVER,
        "00003") "abc", 0), 0);

    for (i = 0; ; i++) {
        fail_alloc_from(i);
        tq_job_add_json(&b, &info);
        tq_job_add_task_json(&b, &info, "u");
        fail_alloc_from(-1);
        if (!b.failed) {
            break;
        }
        tq_buf_free(&b);
    }

    assert_true(i > 1);
    tq_buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_aside),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_guess),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests_name("job_record", tests, NULL, NULL);
}
