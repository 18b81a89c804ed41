/* test_json_read.c: members, items, keys, unescaping, integers, one line. */

#include "unit.h"
#include "fail_alloc.h"
#include "tq_json.h"

#define E9   "\xc3\xa9"
#define EURO "\xe2\x82\xac"
#define SMILE "\xf0\x9f\x98\x80"

/* The value of a text; the text's copy is kept until the test ends. */
static tq_json_val_t
value(const char *text)
{
    tq_json_val_t  v;
    tq_json_err_t  err;

    if (tq_json_parse(text, strlen(text), &v, &err) != 0) {
        fail_msg("%s: %s at %zu", text, err.msg, err.offset);
    }

    return v;
}

static void
test_members(void **state)
{
    size_t            i, pos = 0;
    tq_json_val_t     v;
    tq_json_member_t  m;
    static const struct {
        const char      *key, *raw;
        tq_json_type_t   type;
    } t[] = {
        { "a", "1.10", TQ_JSON_NUMBER },
        { "", "12345678901234567890123", TQ_JSON_NUMBER },
        { "q\\\"uote", "\"}]\\\"{[\\\\\"", TQ_JSON_STRING },
        { "list", "[1, [2], {\"a\": \"]\"}]", TQ_JSON_ARRAY },
        { "obj", "{ \"x\" : { } }", TQ_JSON_OBJECT },
        { "t", "true", TQ_JSON_TRUE },
        { "f", "false", TQ_JSON_FALSE },
        { "n", "null", TQ_JSON_NULL },
        { "e", "-0.0e-1", TQ_JSON_NUMBER },
        { "emptys", "\"\"", TQ_JSON_STRING },
        { "emptyo", "{}", TQ_JSON_OBJECT },
        { "emptyl", "[]", TQ_JSON_ARRAY },
    };

    (void) state;

    v = value(" \n{ \"a\" : 1.10 ,\"\":12345678901234567890123,\n"
        "\"q\\\"uote\"\t: \"}]\\\"{[\\\\\",\"list\":[1, [2], {\"a\": \"]\"}]"
        " , \"obj\":{ \"x\" : { } },\"t\":true,\"f\":false\r\n,\"n\":null,"
        "\"e\":-0.0e-1,\"emptys\":\"\",\"emptyo\":{},\"emptyl\":[] } ");

    for (i = 0; i < UNIT_COUNT(t); i++) {
        assert_int_equal(tq_json_next_member(v.raw, &pos, &m), 1);
        assert_true(tq_str_eq(m.key, t[i].key));
        assert_true(tq_str_eq(m.val.raw, t[i].raw));
        assert_int_equal(m.val.type, t[i].type);
    }

    assert_int_equal(tq_json_next_member(v.raw, &pos, &m), 0);
    assert_int_equal(tq_json_next_member(v.raw, &pos, &m), 0);

    v = value(" { \n } ");
    pos = 0;
    assert_int_equal(tq_json_next_member(v.raw, &pos, &m), 0);
}

static void
test_items(void **state)
{
    size_t         i, pos = 0;
    tq_json_val_t  v, item;
    static const struct {
        const char      *raw;
        tq_json_type_t   type;
    } t[] = {
        { "1", TQ_JSON_NUMBER },
        { "\"a,]\"", TQ_JSON_STRING },
        { "[]", TQ_JSON_ARRAY },
        { "{\"k\":[\"}\"]}", TQ_JSON_OBJECT },
        { "null", TQ_JSON_NULL },
        { "[[[ ]]]", TQ_JSON_ARRAY },
        { "-5", TQ_JSON_NUMBER },
    };

    (void) state;

    v = value("[1,\"a,]\" , [],{\"k\":[\"}\"]},\nnull,[[[ ]]],-5\n]");

    for (i = 0; i < UNIT_COUNT(t); i++) {
        assert_int_equal(tq_json_next_item(v.raw, &pos, &item), 1);
        assert_true(tq_str_eq(item.raw, t[i].raw));
        assert_int_equal(item.type, t[i].type);
    }

    assert_int_equal(tq_json_next_item(v.raw, &pos, &item), 0);

    v = value("[ ]");
    pos = 0;
    assert_int_equal(tq_json_next_item(v.raw, &pos, &item), 0);
}

static void
test_find(void **state)
{
    tq_json_val_t  v, out;

    (void) state;

    v = value("{\"x\":{\"role\":1},\"ROLE\":2,\"\\u0072ole\":\"admin\","
        "\"\":3}");

    assert_int_equal(tq_json_find(v.raw, "role", &out), 1);
    assert_true(tq_str_eq(out.raw, "\"admin\""));
    assert_int_equal(tq_json_find(v.raw, "", &out), 1);
    assert_true(tq_str_eq(out.raw, "3"));
    assert_int_equal(tq_json_find(v.raw, "Role", &out), 0);
    assert_int_equal(tq_json_find(v.raw, "rol", &out), 0);
    assert_int_equal(tq_json_find(v.raw, "roles", &out), 0);
    assert_int_equal(tq_json_find(value("{}").raw, "role", &out), 0);
}

static void
test_key_eq(void **state)
{
    size_t  i;
    static const struct {
        const char  *raw, *name;
        int          equal;
    } t[] = {
        { "abc", "abc", 1 },
        { "abc", "ab", 0 },
        { "ab", "abc", 0 },
        { "", "", 1 },
        { "", "a", 0 },
        { "\\u0061bc", "abc", 1 },
        { "a\\u0062", "abc", 0 },
        { "a\\u0062cd", "abc", 0 },
        { "\\n", "\n", 1 },
        { "\\n", "\\n", 0 },
        { "\\b\\f\\r\\t\\/\\\\\\\"", "\b\f\r\t/\\\"", 1 },
        { "\\u00e9", E9, 1 },
        { "\\u20AC!", EURO "!", 1 },
        { "\\uD83D\\uDE00", SMILE, 1 },
        { "\\uD83D\\uDE01", SMILE, 0 },
        { "\\u00e9", "\xc3", 0 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        size_t    len = strlen(t[i].raw);
        char     *exact = unit_exact(t[i].raw, len);
        tq_str_t  raw = { exact, len };

        assert_int_equal(tq_json_key_eq(raw, t[i].name), t[i].equal);
        free(exact);
    }
}

static void
test_unescape(void **state)
{
    size_t         i, want, size, len;
    char           dst[64];
    tq_str_t       key;
    tq_json_val_t  v;
    static const struct {
        const char  *raw, *text;
    } t[] = {
        { "\"\"", "" },
        { "\"abc\"", "abc" },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
        { "\"\\u0001\\u007f\\u0080\\u07ff\"", "\x01\x7f\xc2\x80\xdf\xbf" },
        { "\"\\u0800\\uffff\"", "\xe0\xa0\x80\xef\xbf\xbf" },
        { "\"\\ud800\\udc00\\udbff\\udfff\"",
          "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
        { "\"" E9 EURO SMILE "\\u00E9\"", E9 EURO SMILE E9 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        v = value(t[i].raw);
        want = strlen(t[i].text);

        assert_true(v.raw.len <= sizeof(dst));
        assert_int_equal(tq_json_unescape(v.raw, dst, v.raw.len), want);
        assert_string_equal(dst, t[i].text);

        /* exactly enough room, and every size that is too small */
        assert_int_equal(tq_json_unescape(v.raw, dst, want + 1), want);
        for (size = 0; size <= want; size++) {
            assert_int_equal(tq_json_unescape(v.raw, dst, size), -1);
        }

        key.p = v.raw.p + 1;
        key.len = v.raw.len - 2;
        for (size = 1; size <= want + 1; size++) {
            len = tq_json_key_text(key, dst, size);
            assert_true(len < size);
            assert_memory_equal(dst, t[i].text, len);
            assert_int_equal(dst[len], '\0');
            /* cut at a character's start */
            assert_true(((unsigned char) t[i].text[len] & 0xc0) != 0x80);
            assert_true(len + 4 >= size);
        }
    }
}

static void
test_int64(void **state)
{
    size_t         i;
    int64_t        n;
    tq_json_val_t  v;
    static const struct {
        const char  *text;
        int          rc;
        int64_t      n;
    } t[] = {
        { "0", 0, 0 }, { "-0", 0, 0 }, { "1", 0, 1 }, { "-1", 0, -1 },
        { "9007199254740993", 0, 9007199254740993 },
        { "9223372036854775807", 0, INT64_MAX },
        { "9223372036854775808", -1, 0 },
        { "-9223372036854775808", 0, INT64_MIN },
        { "-9223372036854775809", -1, 0 },
        { "9223372036854775810", -1, 0 },
        { "-9223372036854775810", -1, 0 },
        { "18446744073709551616", -1, 0 },
        { "18446744073709551617", -1, 0 },
        { "100000000000000000000", -1, 0 },
        { "12345678901234567890123", -1, 0 },
        { "1.0", -1, 0 }, { "1e3", -1, 0 }, { "1E3", -1, 0 },
        { "-1.5", -1, 0 },
        { "\"1\"", -1, 0 }, { "true", -1, 0 }, { "null", -1, 0 },
        { "[1]", -1, 0 }, { "{}", -1, 0 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        v = value(t[i].text);
        n = 42;
        assert_int_equal(tq_json_int64(&v, &n), t[i].rc);
        if (t[i].rc == 0) {
            assert_int_equal(n, t[i].n);
        }
    }
}

static void
test_line(void **state)
{
    tq_buf_t       b = { 0 };
    tq_json_val_t  v;

    (void) state;

    v = value("\n{\n  \"a\": \"x\\ny\",\r\n\t\"b\": [1.10,\n2]\n}\n");
    tq_buf_adds(&b, "keep\n");
    tq_json_add_line(&b, v.raw);
    assert_string_equal(tq_buf_cstr(&b),
        "keep\n{   \"a\": \"x\\ny\",  \t\"b\": [1.10, 2] }");

    fail_alloc_from(0);
    while (!b.failed) {
        tq_json_add_line(&b, v.raw);
    }
    fail_alloc_from(-1);

    tq_buf_free(&b);
    tq_json_add_line(&b, tq_str(""));
    assert_int_equal(b.len, 0);
    tq_buf_free(&b);
}

/* No reader of lines cuts what comes out; its neighbours stay. */
static void
test_safe_line(void **state)
{
    size_t    i;
    tq_buf_t  b = { 0 };
    static const struct {
        const char  *raw, *line;
    } t[] = {
        { "{\"a\":\r\n1}", "{\"a\":  1}" },
        { "\"\xe2\x80\xa8\"", "\"\\u2028\"" },
        { "{\"\xe2\x80\xa9\":\n\"x\xc2\x85\xc2\x85y\"}",
          "{\"\\u2029\": \"x\\u0085\\u0085y\"}" },
        { "\"\\\\\xe2\x80\xa8\\u2028\"", "\"\\\\\\u2028\\u2028\"" },
        { "\"\xe2\x80\xa7\xe2\x80\xaa\xc2\x84\xc2\x86\xe2\x81\xa8\"", NULL },
        { "\"\xc3\x85\xf0\x9f\x82\x85\xe2\x80\x99\"", NULL },
        { "\"\x7f\"", NULL },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        size_t  len = strlen(t[i].raw);
        char   *exact = unit_exact(t[i].raw, len);

        tq_buf_reset(&b);
        tq_buf_adds(&b, "\n");
        tq_json_add_safe_line(&b, (tq_str_t) { exact, len });
        free(exact);
        assert_string_equal(tq_buf_cstr(&b) + 1,
            t[i].line ? t[i].line : t[i].raw);
    }

    tq_buf_free(&b);
    fail_alloc_from(0);
    tq_json_add_safe_line(&b, tq_str("\"\xe2\x80\xa8\n\""));
    assert_true(b.failed);
    fail_alloc_from(-1);
    tq_buf_free(&b);
    tq_json_add_safe_line(&b, tq_str(""));
    assert_int_equal(b.len, 0);
    tq_buf_free(&b);
}

/* \u0000 is a byte, and what is no character is U+FFFD; nothing is read behind
 * the end. */
static void
test_carried_text(void **state)
{
    size_t    i;
    char      dst[64];
    static const struct {
        const char  *raw, *text;
        size_t       len;
    } t[] = {
        { "\"a\\u0000b\"", "a\0b", 3 },
        { "\"\\u0000\"", "\0", 1 },
        { "\"\\ud800\"", "\xef\xbf\xbd", 3 },
        { "\"\\ud800x\"", "\xef\xbf\xbdx", 4 },
        { "\"\\ud800\\n\"", "\xef\xbf\xbd\n", 4 },
        { "\"\\ud800\\u0041\"", "\xef\xbf\xbd" "A", 4 },
        { "\"\\ud800\\ud83d\\ude00\"", "\xef\xbf\xbd" SMILE, 7 },
        { "\"\\udc00\\ud800\"", "\xef\xbf\xbd\xef\xbf\xbd", 6 },
        { "\"\\ud800ABCDEF\"", "\xef\xbf\xbd" "ABCDEF", 9 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        size_t    len = strlen(t[i].raw);
        char     *exact = unit_exact(t[i].raw, len);
        tq_str_t  raw = { exact, len };

        assert_int_equal(tq_json_unescape(raw, dst, len), t[i].len);
        assert_memory_equal(dst, t[i].text, t[i].len + 1);
        free(exact);
    }

    /* a name is not taken for one that it begins with */
    assert_false(tq_json_key_eq(tq_str("status\\u0000"), "status"));
    assert_false(tq_json_key_eq(tq_str("\\u0000status"), ""));
    assert_false(tq_json_key_eq(tq_str("a\\u0000"), "a"));
}

/* What a visitor was shown, as text: "key=value;" and "item:value|". */
static void
show_member(void *data, const tq_json_member_t *m)
{
    tq_buf_t  *b = data;

    tq_buf_add(b, m->key.p, m->key.len);
    tq_buf_addc(b, '=');
    tq_buf_add(b, m->val.raw.p, m->val.raw.len);
    tq_buf_addf(b, "/%d;", (int) m->val.type);
}

static void
show_item(void *data, const tq_json_val_t *v)
{
    tq_buf_t  *b = data;

    tq_buf_adds(b, "item:");
    tq_buf_add(b, v->raw.p, v->raw.len);
    tq_buf_addf(b, "/%d|", (int) v->type);
}

static void
test_visit(void **state)
{
    size_t           i;
    tq_buf_t         b = { 0 };
    tq_json_val_t    v;
    tq_json_err_t    err;
    tq_json_visit_t  visit = { 0, TQ_JSON_READ, 0, show_member, show_item,
                               &b };
    static const struct {
        int          level;
        const char  *text, *seen;
    } t[] = {
        { 1, " { \"a\" : 1.10 , \"b\":{\"a\":[{\"c\":2}]} } ",
          "a=1.10/3;b={\"a\":[{\"c\":2}]}/6;" },
        { 1, "{\"q\\\"\":\"]\",\"\":[],\"o\":{},\"n\":null}",
          "q\\\"=\"]\"/4;=[]/5;o={}/6;n=null/0;" },
        { 1, "[1,{\"a\":2}]", "" },
        { 1, "{}", "" },
        { 1, "7", "" },
        { 2, "[ {\"a\":1, \"b\":[{\"c\":1}]} , 2,[3,{\"d\":4}],{}, \"x\" ]",
          "a=1/3;b=[{\"c\":1}]/5;item:{\"a\":1, \"b\":[{\"c\":1}]}/6|"
          "item:2/3|item:[3,{\"d\":4}]/5|item:{}/6|item:\"x\"/4|" },
        { 2, "{\"a\":{\"b\":1}}", "" },
        { 2, "[]", "" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        tq_buf_reset(&b);
        tq_buf_adds(&b, "");
        visit.level = t[i].level;
        assert_int_equal(tq_json_parse_visit(t[i].text, strlen(t[i].text), &v,
            &err, &visit), 0);
        assert_string_equal(tq_buf_cstr(&b), t[i].seen);
    }

    tq_buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_visit),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_key_eq),
        cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_int64),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_safe_line),
        cmocka_unit_test(test_carried_text),
    };

    return cmocka_run_group_tests_name("json_read", tests, NULL, NULL);
}
