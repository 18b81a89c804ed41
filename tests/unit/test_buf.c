/* test_buf.c: the growing buffer. */

#include "unit.h"
#include "fail_alloc.h"
#include "tq_base.h"

static void
assert_buf(tq_buf_t *b, const char *want)
{
    assert_int_equal(b->failed, 0);
    assert_string_equal(tq_buf_cstr(b), want);
    assert_int_equal(b->len, strlen(want));
}

static void
test_append(void **state)
{
    tq_buf_t  b = { 0 };

    (void) state;

    tq_buf_adds(&b, "one");
    tq_buf_addc(&b, ' ');
    tq_buf_add(&b, "two\0three", 3);
    tq_buf_add(&b, NULL, 0);
    tq_buf_addf(&b, " %d-%s", 3, "four");
    assert_buf(&b, "one two 3-four");

    tq_buf_reset(&b);
    assert_buf(&b, "");
    tq_buf_adds(&b, "again");
    assert_buf(&b, "again");

    tq_buf_free(&b);
    assert_null(b.p);
    assert_int_equal(b.cap, 0);

    tq_buf_add(&b, "\0x", 2);
    assert_int_equal(b.len, 2);
    assert_memory_equal(b.p, "\0x", 2);
    tq_buf_free(&b);
}

static void
test_growth(void **state)
{
    int       i;
    char     *big = malloc(100001);
    tq_buf_t  b = { 0 };

    (void) state;

    assert_non_null(big);
    memset(big, 'x', 100000);
    big[100000] = '\0';

    tq_buf_addf(&b, "<%s>", big);
    assert_int_equal(b.len, 100002);
    assert_int_equal(b.p[0], '<');
    assert_int_equal(b.p[100001], '>');
    tq_buf_free(&b);

    for (i = 0; i < 100000; i++) {
        tq_buf_addc(&b, (char) ('a' + i % 26));
    }
    assert_int_equal(b.len, 100000);
    for (i = 0; i < 100000; i++) {
        assert_int_equal(b.p[i], 'a' + i % 26);
    }

    tq_buf_free(&b);
    free(big);
}

static void
test_integers(void **state)
{
    size_t    i;
    tq_buf_t  b = { 0 };
    static const struct {
        int64_t      v;
        const char  *text;
    } t[] = {
        { 0, "0" }, { 7, "7" }, { -1, "-1" }, { 10, "10" },
        { 9007199254740993, "9007199254740993" },
        { INT64_MAX, "9223372036854775807" },
        { INT64_MIN, "-9223372036854775808" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        tq_buf_reset(&b);
        tq_buf_addi(&b, t[i].v);
        assert_buf(&b, t[i].text);
    }

    tq_buf_free(&b);
}

static void
test_json_text(void **state)
{
    size_t    i;
    char     *exact;
    tq_buf_t  b = { 0 };
#define FFFD "\xef\xbf\xbd"
    static const struct {
        const char  *in;
        size_t       len;
        const char  *out;
    } t[] = {
#define T(in, out)  { in, sizeof(in) - 1, "\"" out "\"" }
        T("", ""),
        T("plain text", "plain text"),
        T("\"\\/", "\\\"\\\\/"),
        T("\n\r\t", "\\n\\r\\t"),
        T("\0\x01\x1f\x7f", FFFD "\\u0001\\u001f\\u007f"),
        T("\b\f", "\\u0008\\u000c"),
        T("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
          "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
        T("a\xff" "b", "a" FFFD "b"),
        T("\x80\x80", FFFD FFFD),
        /* overlong, surrogate, above U+10FFFF */
        T("\xc0\x80", FFFD FFFD),
        T("\xe0\x80\x80", FFFD FFFD FFFD),
        T("\xed\xa0\x80", FFFD FFFD FFFD),
        T("\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD),
        T("\xf0\x80\x80\x80", FFFD FFFD FFFD FFFD),
        /* cut: what belongs together is one replacement */
        T("\xe2\x82", FFFD),
        T("\xf0\x9f\x98", FFFD),
        T("\xf0\x9f\x98" "a", FFFD "a"),
        T("\xe2\"", FFFD "\\\""),
        /* the largest that are fine */
        T("\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80",
          "\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80"),
#undef T
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        tq_buf_reset(&b);
        exact = unit_exact(t[i].in, t[i].len);
        tq_buf_add_json(&b, exact, t[i].len);
        free(exact);
        assert_buf(&b, t[i].out);
    }

    tq_buf_free(&b);
}

/* A failed allocation keeps what was there and stops the rest. */
static void
test_no_memory(void **state)
{
    size_t    len;
    tq_buf_t  b = { 0 };

    (void) state;

    fail_alloc_from(0);
    tq_buf_adds(&b, "x");
    fail_alloc_from(-1);
    assert_int_equal(b.failed, 1);
    assert_int_equal(b.len, 0);
    assert_null(tq_buf_cstr(&b));
    tq_buf_free(&b);

    tq_buf_adds(&b, "kept");
    while (b.len < b.cap) {
        tq_buf_addc(&b, '.');
    }
    len = b.len;

    fail_alloc_from(0);
    tq_buf_addf(&b, "%d", 12345);
    assert_int_equal(b.failed, 1);
    fail_alloc_from(-1);

    /* memory is back, but a part would be missing in the middle */
    tq_buf_addc(&b, '!');
    tq_buf_adds(&b, "!");
    tq_buf_addi(&b, 1);
    tq_buf_add_json(&b, "!", 1);
    assert_int_equal(tq_buf_reserve(&b, 1), -1);
    assert_int_equal(b.len, len);
    assert_memory_equal(b.p, "kept....", 8);

    tq_buf_reset(&b);
    tq_buf_adds(&b, "new");
    assert_buf(&b, "new");
    tq_buf_free(&b);
}

static void
test_absurd_size(void **state)
{
    tq_buf_t  b = { 0 };

    (void) state;

    tq_buf_adds(&b, "x");
    assert_int_equal(tq_buf_reserve(&b, SIZE_MAX), -1);
    assert_int_equal(b.failed, 1);

    tq_buf_reset(&b);
    tq_buf_adds(&b, "x");
    assert_int_equal(tq_buf_reserve(&b, SIZE_MAX / 2), -1);
    tq_buf_free(&b);
}

static void
test_str_eq(void **state)
{
    tq_str_t  s = { "queue!", 5 };

    (void) state;

    assert_true(tq_str_eq(s, "queue"));
    assert_false(tq_str_eq(s, "queue!"));
    assert_false(tq_str_eq(s, "queu"));
    assert_false(tq_str_eq(s, "qveue"));
    assert_true(tq_str_eq(tq_str(""), ""));
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_json_text),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_absurd_size),
        cmocka_unit_test(test_str_eq),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
