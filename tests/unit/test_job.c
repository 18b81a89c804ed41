/* test_job.c: the body of one job: what it becomes, and what is said of a
 * wrong one. */

#include "unit.h"
#include "fail_alloc.h"
#include "tq_queue.h"
#include "job_words.h"

#define MAX_PAYLOAD  1000

static tq_field_errs_t  errs;
static tq_job_t         job;

/* Reads a body; what it says of errors, in *text (freed by the caller). */
static int
read_body(tq_api_t api, const char *body, char **keep, tq_buf_t *text)
{
    size_t    len = strlen(body);
    tq_str_t  s = { unit_exact(body, len), len };
    int       rc;

    *keep = (char *) s.p;
    memset(&errs, 0xff, sizeof(errs));
    rc = tq_job_read(api, s, MAX_PAYLOAD, &job, &errs);

    tq_buf_reset(text);
    if (rc != 0) {
        if (api == TQ_API_TASKMQ) {
            tq_field_errs_detail(text, &errs);
        } else {
            tq_field_errs_error(text, &errs);
        }
        assert_true(errs.n > 0);
    } else {
        assert_int_equal(errs.n, 0);
        assert_int_equal(errs.too_large, 0);
    }
    assert_int_equal(errs.nomem, 0);

    return rc;
}

static void
accept(tq_api_t api, const char *body, char **keep)
{
    tq_buf_t  text = { 0 };

    if (read_body(api, body, keep, &text) != 0) {
        fail_msg("%s: %s", body, tq_buf_cstr(&text));
    }

    tq_buf_free(&text);
}

static void
test_defaults(void **state)
{
    char  *keep;

    (void) state;

    accept(TQ_API_TASKMQ, "{\"payload\":{},\"handler\":\"dummy\"}", &keep);
    assert_string_equal(job.handler, "dummy");
    assert_int_equal(job.handler_len, 5);
    assert_int_equal(job.api, TQ_API_TASKMQ);
    assert_int_equal(job.priority, 0);
    assert_int_equal(job.policy, 'f');
    assert_int_equal(job.max_retries, -1);
    assert_int_equal(job.due_ms, 0);
    assert_int_equal(job.interval_s, 0);
    assert_int_equal(job.timeout_s, 0);
    assert_int_equal(job.retention_s, 0);
    assert_true(tq_str_eq(job.payload, "{}"));
    free(keep);

    accept(TQ_API_TASKDAEMON, "{\"data\":{},\"type\":\"resize\"}", &keep);
    assert_string_equal(job.handler, "resize");
    assert_int_equal(job.api, TQ_API_TASKDAEMON);
    assert_int_equal(job.priority, 50);
    assert_int_equal(job.policy, 'f');
    assert_int_equal(job.max_retries, -1);
    free(keep);
}

/* A time at or before 1970 is now, but a periodic job's runs stay where they
 * were asked for. */
static void
test_before_1970(void **state)
{
    size_t   i;
    char    *keep, body[256];

    static const struct {
        const char  *text;
        int          interval;
        int64_t      due;
    } t[] = {
        { "1970-01-01", 0, 0 },
        { "1969-12-31T23:59:59Z", 0, 0 },
        { "0001-01-01", 0, 0 },
        { "1970-01-01", 1, 1000 },
        { "1970-01-01", 86400, 86400000 },
        { "1970-01-01T00:00:00.001Z", 86400, 1 },
        { "1969-12-31T23:59:59.999Z", 86400, 86399999 },
        { "1969-12-31T03:00:00Z", 86400, 10800000 },
        /* a time of day, a Monday, midnight where it is an hour later */
        { "1950-06-01T03:00:00Z", 86400, 10800000 },
        { "1900-01-01T09:30:00Z", 604800, 379800000 },
        { "1970-01-01T00:00:00+01:00", 86400, 82800000 },
        { "0001-01-01T00:00:00.250", 60, 250 },
        { "0000-01-01", 31536000, 21772800000 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        snprintf(body, sizeof(body), "{" REQ ",\"scheduled_for\":\"%s\"%s%d}",
            t[i].text, t[i].interval ? ",\"interval_seconds\":"
            : ",\"priority\":", t[i].interval);
        accept(TQ_API_TASKMQ, body, &keep);
        if (job.due_ms != t[i].due) {
            fail_msg("%s: %lld", body, (long long) job.due_ms);
        }
        free(keep);
    }

    /* the fields in another order */
    accept(TQ_API_TASKMQ, "{\"interval_seconds\":3600,\"scheduled_for\":"
        "\"1969-07-20T20:17:40Z\"," REQ "}", &keep);
    assert_int_equal(job.due_ms, 1060000);
    free(keep);
}

static void
test_all_fields(void **state)
{
    char  *keep;

    (void) state;

    accept(TQ_API_TASKMQ, "{\"payload\":{\"key\":\"value\"},\"handler\":"
        "\"a.B-c_9\",\"priority\":100,\"retry_policy\":\"exponential\","
        "\"scheduled_for\":\"2026-04-01T12:00:00Z\",\"interval_seconds\":60,"
        "\"max_retries\":0,\"timeout\":30,\"retention_seconds\":3600}",
        &keep);
    assert_string_equal(job.handler, "a.B-c_9");
    assert_int_equal(job.priority, 100);
    assert_int_equal(job.policy, 'e');
    assert_int_equal(job.due_ms, 1775044800000);
    assert_int_equal(job.interval_s, 60);
    assert_int_equal(job.max_retries, 0);
    assert_int_equal(job.timeout_s, 30);
    assert_int_equal(job.retention_s, 3600);
    free(keep);

    /* the ends of the ranges, escapes, a past time, another order */
    accept(TQ_API_TASKMQ, "{\"retention_seconds\":31536000,\"timeout\":604800,"
        "\"max_retries\":100,\"interval_seconds\":31536000,"
        "\"scheduled_for\":\"1999-12-31 23:59+01:00\","
        "\"retry_policy\":\"n\\u006fne\",\"p\\u0072iority\":-0,"
        "\"handler\":\"\\u0061\",\"payload\":{}}", &keep);
    assert_string_equal(job.handler, "a");
    assert_int_equal(job.priority, 0);
    assert_int_equal(job.policy, 'n');
    assert_int_equal(job.due_ms, 946681140000);
    assert_int_equal(job.max_retries, 100);
    assert_int_equal(job.interval_s, 31536000);
    assert_int_equal(job.timeout_s, 604800);
    assert_int_equal(job.retention_s, 31536000);
    free(keep);

    /* null is absent */
    accept(TQ_API_TASKMQ, "{" REQ ",\"priority\":null,\"retry_policy\":null,"
        "\"scheduled_for\":null,\"interval_seconds\":null,\"max_retries\":"
        "null,\"timeout\":null,\"retention_seconds\":null}", &keep);
    assert_int_equal(job.policy, 'f');
    assert_int_equal(job.max_retries, -1);
    free(keep);

    /* what TaskDaemon does not know it ignores, our own fields included */
    accept(TQ_API_TASKDAEMON, "{\"type\":\"t\",\"data\":{},\"priority\":null,"
        "\"handler\":5,\"timeout\":\"x\",\"extra\":[]}", &keep);
    assert_int_equal(job.priority, 50);
    assert_int_equal(job.timeout_s, 0);
    free(keep);
}

/* Every byte of the payload stays, whatever cJSON would make of it. */
static void
test_payload_bytes(void **state)
{
    size_t              i;
    char               *keep;
    tq_buf_t            body = { 0 };
    static const char  *t[] = {
        "{\"n\":12345678901234567890123}",
        "{\"n\":1.10}",
        "{\"n\":[1e5,1E+05,-0,0.10e-0,9007199254740993]}",
        "{ \"a\" :\n\t1 ,\r\n\"b\":\"\\u00e9\\/\xc3\xa9\" }",
        "{\"\":{\"\":{}}}",
        "{\"a\":\"x\\u0000\\ud800\",\"\\u0000\":{\"\\udc00\":\"\\ud800A\"}}",
        "{\"handler\":\"not this\",\"priority\":-1}",
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        tq_buf_reset(&body);
        tq_buf_addf(&body, " {\"handler\":\"h\", \"payload\" :  %s  } ", t[i]);
        accept(TQ_API_TASKMQ, tq_buf_cstr(&body), &keep);
        assert_true(tq_str_eq(job.payload, t[i]));
        assert_string_equal(job.handler, "h");
        free(keep);

        tq_buf_reset(&body);
        tq_buf_addf(&body, "{\"data\":%s,\"type\":\"h\"}", t[i]);
        accept(TQ_API_TASKDAEMON, tq_buf_cstr(&body), &keep);
        assert_true(tq_str_eq(job.payload, t[i]));
        free(keep);
    }

    tq_buf_free(&body);
}

static void
test_taskmq_errors(void **state)
{
    size_t     i;
    char      *keep;
    tq_buf_t   got = { 0 }, want = { 0 };
    static const struct {
        const char  *body, *errs;
    } t[] = {
        { "", BAD_JSON(0, "expected a value, found the end") },
        { "{", BAD_JSON(1, "expected a key in double quotes") },
        { "{" REQ "} {}", BAD_JSON(29, "more text after the value") },
        { "{\"a\":007}", BAD_JSON(5, "a number must not start with 0") },
        { "{" REQ ",\"handler\":\"h\"}", BAD_JSON(28, "duplicate key") },
        { "{\"payload\":{\"a\":1,\"a\":2},\"handler\":\"h\"}",
          BAD_JSON(18, "duplicate key") },
        { "{\"payload\":{},\"handler\":\"h\\u0000\"}",
          BAD_JSON(26, "\\\\u0000 is not accepted") },
        { "{" REQ ",\"\\ud800\":1}",
          BAD_JSON(29, "lone surrogate in a string") },
        { "{\"payload\":{\"a\":\"\xff\"}}", BAD_JSON(17, "invalid UTF-8") },
        { "[]", D("", "value is not a valid dict", "type_error.dict") },
        { "null", D("", "value is not a valid dict", "type_error.dict") },
        { "\"x\"", D("", "value is not a valid dict", "type_error.dict") },
        { "{}", MISSING("payload") "," MISSING("handler") },
        { "{\"payload\":{}}", MISSING("handler") },
        { "{\"handler\":\"h\"}", MISSING("payload") },
        { "{\"payload\":null,\"handler\":null}",
          NONE("payload") "," NONE("handler") },
        { "{\"payload\":[],\"handler\":\"h\"}", DICT("payload") },
        { "{\"payload\":\"{}\",\"handler\":\"h\"}", DICT("payload") },
        { "{\"payload\":1,\"handler\":{}}",
          DICT("payload") "," STR("handler") },
        { "{\"payload\":{},\"handler\":\"\"}", REGEX("handler") },
        { "{\"payload\":{},\"handler\":\"a b\"}", REGEX("handler") },
        { "{\"payload\":{},\"handler\":\"a\\nb\"}", REGEX("handler") },
        { "{\"payload\":{},\"handler\":\"\xc3\xa9\"}", REGEX("handler") },
        { "{\"payload\":{},\"handler\":\"a:b\"}", REGEX("handler") },
        { "{\"payload\":{},\"handler\":\"" A64 "a\"}", REGEX("handler") },
        { "{\"payload\":{},\"handler\":5}", STR("handler") },
        { "{" REQ ",\"priority\":101}", LE("priority", "100") },
        { "{" REQ ",\"priority\":-1}", GE("priority", "0") },
        { "{" REQ ",\"priority\":1.0}", INT("priority") },
        { "{" REQ ",\"priority\":1e1}", INT("priority") },
        { "{" REQ ",\"priority\":\"1\"}", INT("priority") },
        { "{" REQ ",\"priority\":true}", INT("priority") },
        { "{" REQ ",\"priority\":[]}", INT("priority") },
        { "{" REQ ",\"priority\":4294967296}", LE("priority", "100") },
        { "{" REQ ",\"priority\":99999999999999999999}",
          LE("priority", "100") },
        { "{" REQ ",\"priority\":-99999999999999999999}",
          GE("priority", "0") },
        { "{" REQ ",\"retry_policy\":\"never\"}", ENUM("retry_policy") },
        { "{" REQ ",\"retry_policy\":\"Fixed\"}", ENUM("retry_policy") },
        { "{" REQ ",\"retry_policy\":\"\"}", ENUM("retry_policy") },
        { "{" REQ ",\"retry_policy\":1}", ENUM("retry_policy") },
        { "{" REQ ",\"scheduled_for\":\"tomorrow\"}", DATE("scheduled_for") },
        { "{" REQ ",\"scheduled_for\":\"\"}", DATE("scheduled_for") },
        { "{" REQ ",\"scheduled_for\":\"2026-02-29\"}",
          DATE("scheduled_for") },
        { "{" REQ ",\"scheduled_for\":\"" A64 A64 A64 "\"}",
          DATE("scheduled_for") },
        { "{" REQ ",\"scheduled_for\":1775044800}", STR("scheduled_for") },
        { "{" REQ ",\"interval_seconds\":0}", GE("interval_seconds", "1") },
        { "{" REQ ",\"interval_seconds\":31536001}",
          LE("interval_seconds", "31536000") },
        { "{" REQ ",\"max_retries\":-1}", GE("max_retries", "0") },
        { "{" REQ ",\"max_retries\":101}", LE("max_retries", "100") },
        { "{" REQ ",\"timeout\":0}", GE("timeout", "1") },
        { "{" REQ ",\"timeout\":604801}", LE("timeout", "604800") },
        { "{" REQ ",\"retention_seconds\":0}",
          GE("retention_seconds", "1") },
        { "{" REQ ",\"retention_seconds\":31536001}",
          LE("retention_seconds", "31536000") },
        { "{" REQ ",\"shceduled_for\":\"2026-04-01\"}",
          EXTRA("shceduled_for") },
        { "{" REQ ",\"Priority\":1}", EXTRA("Priority") },
        { "{" REQ ",\"\":1}", D("", "extra fields not permitted",
                                "value_error.extra") },
        { "{" REQ ",\"q\\\"\\n\":1}", EXTRA("q\\\"\\n") },
        { "{" REQ ",\"" A64 "bcd\":1}", EXTRA(A64) },
        { "{" REQ ",\"a" A64 "\xc3\xa9\":1}", EXTRA(A64) },
        /* all of them at once, in the order of the documentation */
        { "{\"x\":1,\"timeout\":0,\"priority\":\"x\",\"payload\":[],"
          "\"handler\":\"\",\"y\":2,\"max_retries\":null}",
          DICT("payload") "," REGEX("handler") "," INT("priority") ","
          GE("timeout", "1") "," EXTRA("x") "," EXTRA("y") },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        tq_buf_reset(&want);
        tq_buf_addf(&want, "{\"detail\":[%s]}", t[i].errs);

        assert_int_equal(read_body(TQ_API_TASKMQ, t[i].body, &keep, &got), -1);
        assert_string_equal(tq_buf_cstr(&got), tq_buf_cstr(&want));
        free(keep);
    }

    tq_buf_free(&got);
    tq_buf_free(&want);
}

static void
test_daemon_errors(void **state)
{
    size_t     i;
    char      *keep;
    tq_buf_t   got = { 0 }, want = { 0 };
    static const struct {
        const char  *body, *text;
    } t[] = {
        { "{", "body: expected a key in double quotes at byte 1" },
        { "[]", "body: value is not a valid dict" },
        { "{}", "type: field required; data: field required" },
        { "{\"data\":{},\"type\":null}",
          "type: none is not an allowed value" },
        { "{\"type\":\"a b\",\"data\":{}}", "type: string does not match "
          "regex \\\"^[A-Za-z0-9_.-]{1,64}$\\\"" },
        { "{\"type\":\"t\",\"data\":[1]}", "data: value is not a valid dict" },
        { "{\"type\":\"t\",\"data\":{},\"priority\":101}",
          "priority: ensure this value is less than or equal to 100" },
        { "{\"type\":1,\"data\":2,\"priority\":\"x\"}",
          "type: str type expected; data: value is not a valid dict; "
          "priority: value is not a valid integer" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        tq_buf_reset(&want);
        tq_buf_addf(&want, "{\"error\":\"%s\"}", t[i].text);

        assert_int_equal(read_body(TQ_API_TASKDAEMON, t[i].body, &keep, &got),
            -1);
        assert_string_equal(tq_buf_cstr(&got), tq_buf_cstr(&want));
        free(keep);
    }

    tq_buf_free(&got);
    tq_buf_free(&want);
}

/* A payload at the limit, and one byte above it. */
static void
test_too_large(void **state)
{
    int       over;
    char      text[MAX_PAYLOAD * 2];
    tq_str_t  body;

    (void) state;

    for (over = 0; over <= 1; over++) {
        body.p = text;
        body.len = (size_t) sprintf(text,
            "{\"handler\":\"h\",\"payload\":{\"a\":\"%0*d\"}}",
            MAX_PAYLOAD - 8 + over, 0);

        assert_int_equal(tq_job_read(TQ_API_TASKMQ, body, MAX_PAYLOAD, &job,
            &errs), -over);
        assert_int_equal(errs.too_large, over);

        text[0] = '[';
        body.len = (size_t) sprintf(text,
            "[{\"handler\":\"h\",\"payload\":{\"a\":\"%0*d\"}}]",
            MAX_PAYLOAD - 8 + over, 0);
        assert_int_equal(tq_job_read_bulk(body, MAX_PAYLOAD, &job, 1, &errs),
            over ? -1 : 1);
        assert_int_equal(errs.too_large, over);
    }
}

/* Out of memory is not the client's fault, and is told apart. */
static void
test_no_memory(void **state)
{
    int        i, rc;
    tq_buf_t   body = { 0 }, text = { 0 };
    tq_str_t   s;

    (void) state;

    tq_buf_adds(&body, "{\"handler\":\"h\",\"payload\":{\"a\":1");
    for (i = 0; i < 500; i++) {
        tq_buf_addf(&body, ",\"%d\":1", i);
    }
    tq_buf_adds(&body, "}}");
    s.p = tq_buf_cstr(&body);
    s.len = body.len;

    for (i = 0; ; i++) {
        fail_alloc_from(i);
        rc = tq_job_read(TQ_API_TASKMQ, s, 1 << 20, &job, &errs);
        fail_alloc_from(-1);
        if (rc == 0) {
            break;
        }
        assert_int_equal(errs.nomem, 1);
        assert_int_equal(errs.n, 0);
    }
    assert_true(i > 2);
    assert_int_equal(errs.nomem, 0);

    /* an error's text is either whole, or known to be incomplete */
    assert_int_equal(tq_job_read(TQ_API_TASKDAEMON, tq_str("{}"), 1, &job,
        &errs), -1);
    for (i = 0; ; i++) {
        fail_alloc_from(i);
        tq_field_errs_error(&text, &errs);
        fail_alloc_from(-1);
        if (!text.failed) {
            break;
        }
        tq_buf_free(&text);
    }
    assert_true(i > 1);
    assert_string_equal(tq_buf_cstr(&text),
        "{\"error\":\"type: field required; data: field required\"}");

    tq_buf_free(&body);
    tq_buf_free(&text);
}

static void
test_names_and_ids(void **state)
{
    size_t              i;
    int64_t             id;
    static const char  *bad_ids[] = { "", "0", "01", "-1", "+1", " 1", "1 ",
        "1.0", "1e3", "a", "9007199254740992", "90071992547409910",
        "18446744073709551617", "\xef\xbc\x91" };

    (void) state;

    assert_true(tq_handler_name_ok("a", 1));
    assert_true(tq_handler_name_ok("A-Z_a.z-09", 10));
    assert_true(tq_handler_name_ok(A64, 64));
    assert_false(tq_handler_name_ok(A64 "a", 65));
    assert_false(tq_handler_name_ok("", 0));
    assert_false(tq_handler_name_ok("a b", 3));
    assert_false(tq_handler_name_ok("a\n", 2));
    assert_false(tq_handler_name_ok("a\0", 2));
    assert_false(tq_handler_name_ok("{a}", 3));
    assert_false(tq_handler_name_ok("\xc3\xa9", 2));

    assert_int_equal(tq_id_parse("1", 1, &id), 0);
    assert_int_equal(id, 1);
    assert_int_equal(tq_id_parse("9007199254740991", 16, &id), 0);
    assert_int_equal(id, TQ_ID_MAX);
    assert_int_equal(tq_id_parse("123/", 3, &id), 0);
    assert_int_equal(id, 123);

    for (i = 0; i < UNIT_COUNT(bad_ids); i++) {
        assert_int_equal(tq_id_parse(bad_ids[i], strlen(bad_ids[i]), &id), -1);
    }
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_before_1970),
        cmocka_unit_test(test_all_fields),
        cmocka_unit_test(test_payload_bytes),
        cmocka_unit_test(test_taskmq_errors),
        cmocka_unit_test(test_daemon_errors),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_names_and_ids),
    };

    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
