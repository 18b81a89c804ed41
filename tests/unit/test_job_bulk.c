/* test_job_bulk.c: the bodies of /add-jobs, and of /cancel and /retry. */

#include "unit.h"
#include "tq_queue.h"
#include "job_words.h"

#define MAX_PAYLOAD  1000

static tq_field_errs_t  errs;

static int
bulk(const char *body, tq_job_t *jobs, int max, tq_buf_t *text)
{
    int       rc;
    tq_str_t  s = { body, strlen(body) };

    rc = tq_job_read_bulk(s, MAX_PAYLOAD, jobs, max, &errs);

    tq_buf_reset(text);
    tq_field_errs_detail(text, &errs);
    assert_int_equal(rc < 0, errs.n > 0);
    assert_non_null(tq_buf_cstr(text));

    return rc;
}

static void
test_bulk(void **state)
{
    size_t     i;
    tq_job_t   jobs[3];
    tq_buf_t   text = { 0 };
#define B(errs)  "{\"detail\":[" errs "]}"
    static const struct {
        const char  *body, *errs;
    } t[] = {
        { "{}", B(D("", "value is not a valid list", "type_error.list")) },
        { "[]", B(D("", "ensure this value has at least 1 items",
                    "value_error.list.min_items")) },
        { "[{" REQ "},{" REQ "},{" REQ "},{" REQ "}]",
          B(D("", "ensure this value has fewer items",
              "value_error.list.max_items")) },
        { "[{" REQ "}", B(BAD_JSON(29, "expected ',' or ']'")) },
        { "[{" REQ "},5,{\"handler\":\"\",\"z\":1}]",
          B(D(",1", "value is not a valid dict", "type_error.dict") ","
            D(",2,\"payload\"", "field required", "value_error.missing") ","
            D(",2,\"handler\"", "string does not match regex "
              "\\\"^[A-Za-z0-9_.-]{1,64}$\\\"", "value_error.str.regex") ","
            D(",2,\"z\"", "extra fields not permitted",
              "value_error.extra")) },
        { "[[]]", B(D(",0", "value is not a valid dict",
                      "type_error.dict")) },
    };

    (void) state;

    assert_int_equal(bulk(" [ {\"payload\":{\"i\":1},\"handler\":\"a\","
        "\"priority\":7} , {\"handler\":\"b\",\"payload\":{\"i\":2}}\n] ",
        jobs, 3, &text), 2);
    assert_string_equal(jobs[0].handler, "a");
    assert_string_equal(jobs[1].handler, "b");
    assert_int_equal(jobs[0].priority, 7);
    assert_int_equal(jobs[1].priority, 0);
    assert_true(tq_str_eq(jobs[1].payload, "{\"i\":2}"));

    assert_int_equal(bulk("[{" REQ "},{" REQ "},{" REQ "}]", jobs, 3, &text),
        3);

    /* each item has its own due time */
    assert_int_equal(bulk("[{" REQ ",\"scheduled_for\":\"1969-12-31T03:00Z\","
        "\"interval_seconds\":86400},{" REQ ",\"interval_seconds\":60}]",
        jobs, 3, &text), 2);
    assert_int_equal(jobs[0].due_ms, 10800000);
    assert_int_equal(jobs[1].due_ms, 0);

    for (i = 0; i < UNIT_COUNT(t); i++) {
        assert_int_equal(bulk(t[i].body, jobs, 3, &text), -1);
        assert_string_equal(text.p, t[i].errs);
    }

    tq_buf_free(&text);
}

/* The largest bulk, one more, and more wrong fields than are listed. */
static void
test_bulk_limits(void **state)
{
    int        i, n;
    tq_job_t  *jobs = malloc(TQ_BULK_MAX_JOBS * sizeof(tq_job_t));
    tq_buf_t   body = { 0 }, text = { 0 };

    (void) state;
    assert_non_null(jobs);

    for (n = TQ_BULK_MAX_JOBS; n <= TQ_BULK_MAX_JOBS + 1; n++) {
        tq_buf_reset(&body);
        for (i = 0; i < n; i++) {
            tq_buf_addf(&body, "%s{" REQ "}", i ? "," : "[");
        }
        tq_buf_addc(&body, ']');

        if (n == TQ_BULK_MAX_JOBS) {
            assert_int_equal(bulk(tq_buf_cstr(&body), jobs, TQ_BULK_MAX_JOBS,
                &text), n);
            continue;
        }

        assert_int_equal(bulk(tq_buf_cstr(&body), jobs, TQ_BULK_MAX_JOBS,
            &text), -1);
        assert_non_null(strstr(text.p, "at most 1000 items"));
        assert_int_equal(errs.n, 1);
    }

    tq_buf_reset(&body);
    for (i = 0; i < 100; i++) {
        tq_buf_addf(&body, "%s{\"x\":1}", i ? "," : "[");
    }
    tq_buf_addc(&body, ']');
    assert_int_equal(bulk(tq_buf_cstr(&body), jobs, TQ_BULK_MAX_JOBS, &text),
        -1);
    assert_int_equal(errs.n, TQ_JSON_ERRORS_MAX);
    assert_int_equal(errs.e[TQ_JSON_ERRORS_MAX - 1].index, 10);

    tq_buf_reset(&body);
    for (i = 0; i < 100; i++) {
        tq_buf_addf(&body, "%s\"x%d\":1", i ? "," : "{", i);
    }
    tq_buf_addc(&body, '}');
    assert_int_equal(tq_job_read(TQ_API_TASKMQ,
        (tq_str_t) { body.p, body.len }, 10, jobs, &errs), -1);
    assert_int_equal(errs.n, TQ_JSON_ERRORS_MAX);

    tq_buf_free(&body);
    tq_buf_free(&text);
    free(jobs);
}

static void
test_id_body(void **state)
{
    int        force, rc;
    size_t     i;
    int64_t    id;
    tq_buf_t   text = { 0 };
    static const struct {
        const char  *body;
        int          with_force;
        int64_t      id;            /* 0: refused with */
        int          force;
        const char  *errs;
    } t[] = {
        { "{\"job_id\":123}", 0, 123, 0, NULL },
        { "{\"job_id\":123}", 1, 123, 0, NULL },
        { " {\"job_id\" : 9007199254740991 } ", 0, TQ_ID_MAX, 0, NULL },
        { "{\"job_id\":1,\"force\":true}", 1, 1, 1, NULL },
        { "{\"force\":false,\"job_id\":1}", 1, 1, 0, NULL },
        { "{\"job_id\":1,\"force\":null}", 1, 1, 0, NULL },
        { "{\"job_id\":1,\"force\":true}", 0, 0, 0, EXTRA("force") },
        { "{\"job_id\":1,\"force\":1}", 1, 0, 0,
          F("force", "value could not be parsed to a boolean",
            "type_error.bool") },
        { "{}", 1, 0, 0, MISSING("job_id") },
        { "{\"job_id\":null}", 1, 0, 0, NONE("job_id") },
        { "{\"job_id\":\"1\"}", 1, 0, 0, INT("job_id") },
        { "{\"job_id\":1.0}", 1, 0, 0, INT("job_id") },
        { "{\"job_id\":0}", 1, 0, 0, GE("job_id", "1") },
        { "{\"job_id\":9007199254740992}", 1, 0, 0,
          LE("job_id", "9007199254740991") },
        { "{\"job_id\":-99999999999999999999}", 1, 0, 0, GE("job_id", "1") },
        { "{\"job_id\":1,\"id\":2}", 1, 0, 0, EXTRA("id") },
        { "[1]", 1, 0, 0, D("", "value is not a valid dict",
                            "type_error.dict") },
        { "{\"job_id\":01}", 1, 0, 0,
          BAD_JSON(10, "a number must not start with 0") },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        id = -7;
        force = 7;
        rc = tq_job_read_id((tq_str_t) { t[i].body, strlen(t[i].body) }, &id,
            t[i].with_force ? &force : NULL, &errs);

        if (t[i].id) {
            assert_int_equal(rc, 0);
            assert_int_equal(id, t[i].id);
            assert_int_equal(force, t[i].with_force ? t[i].force : 7);
            continue;
        }

        assert_int_equal(rc, -1);
        tq_buf_reset(&text);
        tq_buf_addf(&text, "{\"detail\":[%s]}", t[i].errs);
        tq_buf_addc(&text, '\n');
        tq_field_errs_detail(&text, &errs);
        assert_non_null(tq_buf_cstr(&text));
        if (strncmp(text.p, strchr(text.p, '\n') + 1,
                strlen(t[i].errs) + 13) != 0)
        {
            fail_msg("%s", text.p);
        }
    }

    tq_buf_free(&text);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_bulk_limits),
        cmocka_unit_test(test_id_body),
    };

    return cmocka_run_group_tests_name("job_bulk", tests, NULL, NULL);
}
