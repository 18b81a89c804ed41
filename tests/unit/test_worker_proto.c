/* The handler protocol: task lines, answers, bytes into lines, tails. */

#include "unit.h"

#include "../../taskmq-worker/process/proto.c"

static tq_str_t
str(const char *s)
{
    return (tq_str_t) { s, strlen(s) };
}

static void
check_task(const tw_task_t *t, const char *expected)
{
    tq_buf_t  b = {0};

    tw_proto_task(&b, t);
    assert_string_equal(tq_buf_cstr(&b), expected);
    tq_buf_free(&b);
}

static void
test_task(void **state)
{
    tw_task_t  t = { .task_id = "u", .handler = tq_str("resize"),
                     .payload = tq_str("{\r\n \"a\":\t1.10,\n\"b\":\"x\\ny\"}"),
                     .attempt = 2, .job_id = 77, .priority = 5,
                     .retries = 1 };

    (void) state;

    /* line ends between tokens are spaces; every other byte stays */
    check_task(&t, "{\"task_id\":\"u\",\"task_type\":\"resize\",\"task_data\":"
        "{   \"a\":\t1.10, \"b\":\"x\\ny\"},\"attempt\":2}\n");

    /* what only some readers cut at is escaped */
    t.payload = tq_str("{\"a\":\"\xe2\x80\xa8\xc2\x85\"}");
    check_task(&t, "{\"task_id\":\"u\",\"task_type\":\"resize\",\"task_data\":"
        "{\"a\":\"\\u2028\\u0085\"},\"attempt\":2}\n");

    t.extended = 1;
    t.payload = (tq_str_t) { NULL, 0 };
    check_task(&t, "{\"task_id\":\"u\",\"task_type\":\"resize\",\"task_data\":"
        "{},\"attempt\":2,\"job_id\":77,\"priority\":5,\"retries\":1,"
        "\"handler\":\"resize\"}\n");
}

static void
check_answer(const char *line, tw_answer_kind_t kind, const char *text,
    int retryable)
{
    tw_answer_t  a;

    tw_proto_answer(str(line), &a);
    assert_int_equal(a.kind, kind);

    if (kind == TW_ANSWER_SUCCESS) {
        assert_int_equal(a.result.len, strlen(text));
        assert_memory_equal(a.result.p ? a.result.p : "", text,
            a.result.len);
    } else if (kind == TW_ANSWER_ERROR) {
        assert_string_equal(tq_buf_cstr(&a.error), text);
        assert_int_equal(a.retryable, retryable);
    } else {
        assert_string_equal(a.why, text);
    }

    tq_buf_free(&a.error);
}

static void
test_answers(void **state)
{
    (void) state;

    check_answer("{\"status\":\"success\",\"result\":1.10}",
        TW_ANSWER_SUCCESS, "1.10", 0);
    check_answer(" {\"result\" : {\"a\":[ ]} ,\"status\":\"success\"}\r",
        TW_ANSWER_SUCCESS, "{\"a\":[ ]}", 0);
    check_answer("{\"status\":\"success\"}", TW_ANSWER_SUCCESS, "", 0);
    check_answer("{\"status\":\"error\",\"error\":\"a\\u00e9\\n\"}",
        TW_ANSWER_ERROR, "a\xc3\xa9\n", 0);
    check_answer("{\"status\":\"error\",\"error\":\"x\",\"retryable\":true}",
        TW_ANSWER_ERROR, "x", 1);
    check_answer("{\"status\":\"error\",\"error\":\"x\",\"retryable\":1}",
        TW_ANSWER_ERROR, "x", 0);
    check_answer("{\"status\":\"error\",\"error\":[1, 2]}",
        TW_ANSWER_ERROR, "[1, 2]", 0);
    check_answer("{\"status\":\"error\",\"error\":null}", TW_ANSWER_ERROR,
        "handler reported an error without a text", 0);
    check_answer("{\"status\":\"error\",\"error\":\"\"}", TW_ANSWER_ERROR,
        "", 0);

    check_answer("hello", TW_ANSWER_NONE, "not JSON", 0);
    check_answer("", TW_ANSWER_NONE, "not JSON", 0);
    check_answer("[]", TW_ANSWER_NONE, "not an object", 0);
    check_answer("{}", TW_ANSWER_NONE, "no \"status\"", 0);
    check_answer("{\"Status\":\"success\"}", TW_ANSWER_NONE,
        "no \"status\"", 0);
    check_answer("{\"status\":1}", TW_ANSWER_NONE, "no \"status\"", 0);
    check_answer("{\"status\":\"ok\"}", TW_ANSWER_NONE,
        "\"status\" is neither \"success\" nor \"error\"", 0);
    /* what people print, and libraries */
    check_answer("{'status': 'success'}", TW_ANSWER_NONE, "not JSON", 0);
    check_answer("{status:\"success\"}", TW_ANSWER_NONE, "not JSON", 0);
    check_answer("I {\"status\":NaN}", TW_ANSWER_NONE, "not JSON", 0);
    check_answer("[{\"status\":NaN}]", TW_ANSWER_NONE, "not JSON", 0);
    check_answer("{\"result\":NaN}", TW_ANSWER_NONE, "not JSON", 0);
    check_answer("{\"level\":\"info\",\"status\":200}", TW_ANSWER_NONE,
        "no \"status\"", 0);
    check_answer("{\"status\":\"up\",\"error\":1,\"error\":2}",
        TW_ANSWER_NONE, "\"status\" is neither \"success\" nor \"error\"", 0);
}

/* Meant as an answer, and not to be read: what is wrong, and where. */
static void
test_unreadable(void **state)
{
    size_t       i;
    char         deep[600];
    tw_answer_t  a;
    static const struct {
        const char  *line, *says;
    } t[] = {
        { "{\"status\":\"success\"", "expected ',' or '}' at byte 19" },
        { "{\"status\":\"success\"}{}",
          "more text after the value at byte 20, near: {}" },
        { "{\"status\":\"success\",\"result\":{\"x\":NaN}}",
          "expected a value at byte 34, near: NaN}}" },
        { " \t{\"status\":\"success\",\"result\":\"\xff\"}",
          "invalid UTF-8 at byte 32, near: ?\"}" },
        { "\xef\xbb\xbf{\"status\":\"success\"}",
          "byte order mark at byte 0, near: ???{\"status\":\"success\"}" },
        { "\xef\xbb\xbf {\"status\":\"success\"}",
          "byte order mark at byte 0" },
        { "{\"status\":\"success\",\"status\":\"error\"}",
          "duplicate key at byte 20" },
        { "{\"status\":\"ok\",\"status\":\"success\"}",
          "duplicate key at byte 15" },
        { "{\"status\":\"error\",\"error\":\"a\",\"\\u0065rror\":\"b\"}",
          "duplicate key at byte 30" },
        { "{\"status\":\"ok\",\"n\":01}", "must not start with 0 at byte 19" },
        { "{\"status\":\"success\",}", "in double quotes at byte 20" },
        { "{\"status\":\"success\",\"result\":\"a\tb\"}",
          "control character in a string at byte 31" },
        { "{\"status\":\"error\",\"error\":\"\\x\"}",
          "unknown escape in a string at byte 27" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        tw_proto_answer(str(t[i].line), &a);
        assert_int_equal(a.kind, TW_ANSWER_ERROR);
        assert_int_equal(a.unreadable, 1);
        assert_int_equal(a.retryable, 0);
        if (strstr(tq_buf_cstr(&a.error), t[i].says) == NULL) {
            fail_msg("%s: %s", t[i].line, a.error.p);
        }
        tq_buf_free(&a.error);
    }

    strcpy(deep, "{\"status\":\"success\",\"result\":");
    memset(deep + strlen(deep), '[', 200);
    tw_proto_answer((tq_str_t) { deep, 231 }, &a);
    assert_int_equal(a.unreadable, 1);
    assert_non_null(strstr(tq_buf_cstr(&a.error), "nested deeper than 128"));
    tq_buf_free(&a.error);
}

/* A result is carried as it is; an error's text is made one. */
static void
test_carried(void **state)
{
    (void) state;

    check_answer("{\"status\":\"success\",\"result\":\"a\\u0000\\ud800\"}",
        TW_ANSWER_SUCCESS, "\"a\\u0000\\ud800\"", 0);
    check_answer("{\"status\":\"success\",\"result\":"
        "{\"a\":1,\"a\":[\"\\udc00\"]}}",
        TW_ANSWER_SUCCESS, "{\"a\":1,\"a\":[\"\\udc00\"]}", 0);
    check_answer("{\"status\":\"error\",\"error\":\"a\\u0000b\\udcff\","
        "\"retryable\":true}", TW_ANSWER_ERROR,
        "a\xef\xbf\xbd" "b\xef\xbf\xbd", 1);
}

static void
test_long_error(void **state)
{
    size_t       i;
    tq_buf_t     b = {0};
    tw_answer_t  a;

    (void) state;

    tq_buf_adds(&b, "{\"status\":\"error\",\"error\":\"a");
    for (i = 0; i < TQ_ERROR_MAX_BYTES; i++) {
        tq_buf_adds(&b, "\xc3\xa9");
    }
    tq_buf_adds(&b, "\"}");

    tw_proto_answer((tq_str_t) { b.p, b.len }, &a);
    assert_int_equal(a.kind, TW_ANSWER_ERROR);
    /* "a" and whole characters of two bytes: one under the limit */
    assert_int_equal(a.error.len, TQ_ERROR_MAX_BYTES - 1);
    tq_buf_free(&a.error);
    tq_buf_free(&b);
}

/* Feeds text in pieces of `step` bytes, and writes what came out: lines in
 * brackets, long ones as <first:length>. */
static void
check_lines(const char *text, size_t cap, size_t step, const char *expected)
{
    char         out[512] = "";
    size_t       n, all = strlen(text);
    tq_str_t     line;
    tw_line_t    rc;
    tw_lines_t   l = { .cap = cap };
    const char  *p;

    while (all != 0) {
        n = all < step ? all : step;
        all -= n;
        p = text;
        text += n;

        while ((rc = tw_lines_next(&l, &p, &n, &line)) != TW_LINE_NONE) {
            sprintf(out + strlen(out), rc == TW_LINE_OK ? "[%.*s]"
                    : "<%.*s:%zu>", rc == TW_LINE_OK ? (int) line.len : 1,
                    line.p, line.len);
        }
    }

    sprintf(out + strlen(out), "%zu", tw_lines_pending(&l));
    assert_string_equal(out, expected);
    tw_lines_free(&l);
}

static void
test_lines(void **state)
{
    size_t  step;

    (void) state;

    for (step = 1; step < 40; step++) {
        check_lines("a\n\nbc\n", 8, step, "[a][][bc]0");
        check_lines("12345678\n123456789\nx\n", 8, step,
            "[12345678]<1:9>[x]0");
        check_lines(" {3456789012345\n{}\nhalf", 8, step,
            "<{:15>[{}]4");
        check_lines("123456789012", 8, step, "12");
        check_lines("", 8, step, "0");
    }
}

static void
test_tail(void **state)
{
    int       i;
    tq_buf_t  b = {0};
    tq_str_t  s;
    char      text[16];

    (void) state;

    for (i = 0; i < 1000; i++) {
        sprintf(text, "%03d ", i);
        tw_tail_add(&b, 16, text, 4);
        assert_true(b.len <= 32);
    }

    s = tw_tail_get(&b, 16);
    assert_int_equal(s.len, 16);
    assert_memory_equal(s.p, "996 997 998 999 ", 16);

    tw_tail_add(&b, 16, "0123456789abcdefXYZ", 19);
    s = tw_tail_get(&b, 16);
    assert_memory_equal(s.p, "3456789abcdefXYZ", 16);

    /* the cut falls into a character: it goes as a whole */
    tw_tail_add(&b, 16, "\xe2\x82\xac" "56789abcdefghi", 17);
    s = tw_tail_get(&b, 16);
    tw_tail_add(&b, 16, "j", 1);
    s = tw_tail_get(&b, 16);
    assert_memory_equal(s.p, "56789abcdefghij", s.len);
    tq_buf_free(&b);
}

static void
test_utf8(void **state)
{
    tq_buf_t  b = {0};

    (void) state;

    tw_utf8_add(&b, "a\xff\0\xc3\xa9\xe2\x82", 7);
    assert_string_equal(tq_buf_cstr(&b),
        "a\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd");
    tq_buf_free(&b);
}

#define ID     "6d0f6c1e-9b5e-8d3a-a1c4-2f9e8b7a6c5d"
#define OTHER  "6d0f6c1e-9b5e-8d3a-a1c4-2f9e8b7a6c5e"

/* Whose this answer is, where ID is asked for. */
static tq_answer_id_t
whose(const char *line)
{
    tq_answer_id_t  rc;
    tw_answer_t     a;

    tw_proto_answer(str(line), &a);
    rc = tq_answer_whose(&a.task_id, ID);
    tq_buf_free(&a.error);

    return rc;
}

static void
test_whose(void **state)
{
    size_t  i;
    static const struct {
        tq_answer_id_t   id;
        const char      *line;
    } t[] = {
        { TQ_ANSWER_ID_NONE, "{\"status\":\"success\"}" },
        { TQ_ANSWER_ID_RIGHT,
          "{\"status\":\"success\",\"task_id\":\"" ID "\"}" },
        { TQ_ANSWER_ID_RIGHT,
          "{\"task_id\":\"" ID "\",\"status\":\"error\"}" },
        { TQ_ANSWER_ID_RIGHT, "{\"status\":\"success\","
          "\"task_id\":\"6D0F6C1E-9B5E-8D3A-A1C4-2F9E8B7A6C5D\"}" },
        { TQ_ANSWER_ID_NONE, "{\"status\":\"success\",\"task_id\":7}" },
        { TQ_ANSWER_ID_NONE, "{\"status\":\"success\",\"task_id\":null}" },
        { TQ_ANSWER_ID_NONE, "{\"status\":\"success\","
          "\"result\":{\"task_id\":\"" OTHER "\"}}" },
        { TQ_ANSWER_ID_OTHER,
          " {\"task_id\":\"" OTHER "\",\"status\":\"success\"}\r" },
        { TQ_ANSWER_ID_OTHER, "{\"status\":\"error\",\"error\":\"e\","
          "\"task_id\":\"" OTHER "\"}" },
        /* a field of the handler's own */
        { TQ_ANSWER_ID_NONE, "{\"status\":\"success\",\"task_id\":\"\"}" },
        { TQ_ANSWER_ID_NONE, "{\"status\":\"success\",\"task_id\":\"x-1\"}" },
        { TQ_ANSWER_ID_NONE, "{\"status\":\"success\","
          "\"task_id\":\"an_order_as_long_as_a_tasks_id_is_36\"}" },
        /* of what cannot be read nothing is believed */
        { TQ_ANSWER_ID_NONE, "{\"status\":NaN,\"task_id\":\"" ID "\"}" },
        { TQ_ANSWER_ID_NONE, "{\"task_id\":\"" ID "\",\"status\":NaN}" },
        { TQ_ANSWER_ID_NONE, "{\"status\":\"success\",\"task_id\":\"" ID "\","
          "\"task_id\":\"" ID "\"}" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        assert_int_equal(whose(t[i].line), t[i].id);
    }
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_task),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_carried),
        cmocka_unit_test(test_long_error),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_whose),
    };

    return cmocka_run_group_tests_name("worker_proto", tests, NULL, NULL);
}
