/* test_text.c: text of others made harmless for terminals and logs, and cut
 * between characters. */

#include "unit.h"
#include "fail_alloc.h"
#include "tq_base.h"

typedef struct {
    const char  *in;
    const char  *line;           /* tq_text_add() */
    const char  *json;           /* between the quotes of add_json */
} shown_t;

static const shown_t  shown[] = {
    { "plain \"q\" \\", "plain \"q\" \\", "plain \\\"q\\\" \\\\" },
    { "\x1b[31m", "\\x1b[31m", "\\u001b[31m" },
    { "a\nb\tc\r", "a\\x0ab\\x09c\\x0d", "a\\nb\\tc\\r" },
    { "\x7f", "\\x7f", "\\u007f" },
    /* C1: the first, CSI, the last; U+00A0 is shown */
    { "\xc2\x80\xc2\x9b" "31m\xc2\x9f\xc2\xa0",
      "\\u0080\\u009b31m\\u009f\xc2\xa0",
      "\\u0080\\u009b31m\\u009f\xc2\xa0" },
    /* a bare CSI byte, for terminals that are not on UTF-8 */
    { "\x9b" "31m", "\\x9b31m", "\xef\xbf\xbd" "31m" },
    /* U+061C, and its neighbours */
    { "\xd8\x9b\xd8\x9c\xd8\x9d", "\xd8\x9b\\u061c\xd8\x9d",
      "\xd8\x9b\\u061c\xd8\x9d" },
    { "\xe2\x80\x8d\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\x90",
      "\xe2\x80\x8d\\u200e\\u200f\xe2\x80\x90",
      "\xe2\x80\x8d\\u200e\\u200f\xe2\x80\x90" },
    { "\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\xab"
      "\xe2\x80\xac\xe2\x80\xad\xe2\x80\xae\xe2\x80\xaf",
      "\xe2\x80\xa7\\u2028\\u2029\\u202a\\u202b\\u202c\\u202d\\u202e"
      "\xe2\x80\xaf",
      "\xe2\x80\xa7\\u2028\\u2029\\u202a\\u202b\\u202c\\u202d\\u202e"
      "\xe2\x80\xaf" },
    { "\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9"
      "\xe2\x81\xaa",
      "\xe2\x81\xa5\\u2066\\u2067\\u2068\\u2069\xe2\x81\xaa",
      "\xe2\x81\xa5\\u2066\\u2067\\u2068\\u2069\xe2\x81\xaa" },
    /* others of these lengths, and four bytes */
    { "\xc3\xa9\xe2\x82\xac\xe3\x80\xa8\xf0\x9f\x98\x80",
      "\xc3\xa9\xe2\x82\xac\xe3\x80\xa8\xf0\x9f\x98\x80",
      "\xc3\xa9\xe2\x82\xac\xe3\x80\xa8\xf0\x9f\x98\x80" },
    { "\xe2\x82", "\\xe2\\x82", "\xef\xbf\xbd" },
    { "", "", "" },
};

static void
test_shown(void **state)
{
    char      want[200], *in;
    size_t    i, len;
    tq_buf_t  b = { 0 };

    (void) state;

    for (i = 0; i < UNIT_COUNT(shown); i++) {
        len = strlen(shown[i].in);
        in = unit_exact(shown[i].in, len);

        tq_buf_reset(&b);
        tq_text_add(&b, in, len);
        assert_string_equal(tq_buf_cstr(&b), shown[i].line);

        snprintf(want, sizeof(want), "\"%s\"", shown[i].json);
        tq_buf_reset(&b);
        tq_buf_add_json(&b, in, len);
        assert_string_equal(tq_buf_cstr(&b), want);

        /* what is JSON stays what it is */
        tq_buf_reset(&b);
        tq_text_add_json(&b, want, strlen(want));
        assert_string_equal(tq_buf_cstr(&b), want);
        free(in);
    }

    tq_buf_free(&b);
}

static void
test_nul(void **state)
{
    tq_buf_t  b = { 0 };

    (void) state;

    tq_text_add(&b, "a\0b", 3);
    assert_string_equal(tq_buf_cstr(&b), "a\\x00b");
    tq_buf_reset(&b);
    tq_text_add(&b, NULL, 0);
    assert_int_equal(b.len, 0);
    tq_buf_free(&b);
}

static void
test_lines(void **state)
{
    tq_buf_t  b = { 0 };

    (void) state;

    tq_text_add_lines(&b, "a\n\tb\x1b\r\n", 7);
    assert_string_equal(tq_buf_cstr(&b), "a\n\tb\\x1b\\x0d\n");
    tq_buf_reset(&b);
    tq_text_add_json(&b, "{\n\t\"a\": \"\xc2\x9b\x7f\"}", 14);
    assert_string_equal(tq_buf_cstr(&b), "{\n\t\"a\": \"\\u009b\\u007f\"}");
    tq_buf_free(&b);
}

static void
test_print(void **state)
{
    char  text[16];

    (void) state;

    tq_text_print(text, sizeof(text), "%s-%d", "\x1b", 7);
    assert_string_equal(text, "\\x1b-7");
    tq_text_print(text, sizeof(text), "%s", "123456789012345");
    assert_string_equal(text, "123456789012345");
    tq_text_print(text, sizeof(text), "%s", "1234567890123456");
    assert_string_equal(text, "123456789012...");
    tq_text_print(text, sizeof(text), "%s", "1234567890\xe2\x82\xac" "xyz");
    assert_string_equal(text, "1234567890...");
    tq_text_print(text, sizeof(text), "%s", "");
    assert_string_equal(text, "");
}

static void
test_cut(void **state)
{
    size_t       i;
    static const struct {
        const char  *s;
        size_t       max, want;
    } cuts[] = {
        { "abc", 5, 3 }, { "abc", 3, 3 }, { "abc", 2, 2 }, { "abc", 0, 0 },
        { "a\xc3\xa9z", 2, 1 }, { "a\xc3\xa9z", 3, 3 },
        { "\xe2\x82\xac.", 3, 3 }, { "\xe2\x82\xac.", 2, 0 },
        { "\xe2\x82\xac.", 1, 0 },
        { "a\xf0\x9f\x98\x80.", 5, 5 }, { "a\xf0\x9f\x98\x80.", 4, 1 },
        { "a\xf0\x9f\x98\x80.", 3, 1 }, { "a\xf0\x9f\x98\x80.", 2, 1 },
        /* no UTF-8: it is not all thrown away */
        { "\x80\x80\x80\x80\x80\x80", 5, 5 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(cuts); i++) {
        assert_int_equal(tq_text_cut(cuts[i].s, strlen(cuts[i].s),
                                     cuts[i].max), cuts[i].want);
    }

    assert_int_equal(tq_text_whole("a\xe2\x82", 3), 1);
    assert_int_equal(tq_text_whole("a\xe2\x82\xac", 4), 4);
    assert_int_equal(tq_text_whole("", 0), 0);
}

static void
test_no_memory(void **state)
{
    char      text[64];
    tq_buf_t  b = { 0 };

    (void) state;

    fail_alloc_from(0);
    tq_text_add(&b, "\x1b", 1);
    fail_alloc_from(-1);
    assert_int_equal(b.failed, 1);
    tq_buf_free(&b);

    fail_alloc_from(0);
    tq_text_print(text, sizeof(text), "%s", "long enough to be allocated");
    fail_alloc_from(-1);
    assert_string_equal(text, "");
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
