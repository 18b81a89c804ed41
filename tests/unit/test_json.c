/* test_json.c: what the scanner accepts and refuses, and where. */

#include "unit.h"
#include "tq_json.h"
#include "tq_base.h"

#define E9   "\xc3\xa9"                 /* U+00E9 */
#define EURO "\xe2\x82\xac"             /* U+20AC */
#define SMILE "\xf0\x9f\x98\x80"        /* U+1F600 */

static int
parse(const char *text, size_t len, tq_json_val_t *v, tq_json_err_t *err)
{
    char    *exact = unit_exact(text, len);
    int      rc;
    size_t   from;

    rc = tq_json_parse(exact, len, v, err);

    if (rc == 0) {
        assert_true(v->raw.p >= exact);
        from = (size_t) (v->raw.p - exact);
        assert_true(from + v->raw.len <= len);
        v->raw.p = text + from;

    } else {
        assert_int_equal(rc, -1);
        assert_true(err->offset <= len);
        assert_true(err->msg[0] != '\0');
        assert_int_equal(err->nomem, 0);
    }

    free(exact);

    return rc;
}

static void
test_accepted(void **state)
{
    size_t          i;
    tq_json_val_t   v;
    tq_json_err_t   err;
    static const struct {
        const char      *text;
        tq_json_type_t   type;
        const char      *raw;       /* NULL: the same */
    } t[] = {
        { "null", TQ_JSON_NULL, NULL },
        { "true", TQ_JSON_TRUE, NULL },
        { "false", TQ_JSON_FALSE, NULL },
        { " \t\r\nnull\n\r\t ", TQ_JSON_NULL, "null" },
        { "0", TQ_JSON_NUMBER, NULL },
        { "-0", TQ_JSON_NUMBER, NULL },
        { "1", TQ_JSON_NUMBER, NULL },
        { "-1", TQ_JSON_NUMBER, NULL },
        { "10", TQ_JSON_NUMBER, NULL },
        { "0.0", TQ_JSON_NUMBER, NULL },
        { "1.10", TQ_JSON_NUMBER, NULL },
        { "-0.5", TQ_JSON_NUMBER, NULL },
        { "0e0", TQ_JSON_NUMBER, NULL },
        { "1E5", TQ_JSON_NUMBER, NULL },
        { "1e+05", TQ_JSON_NUMBER, NULL },
        { "1.5e-300", TQ_JSON_NUMBER, NULL },
        { "1e999999", TQ_JSON_NUMBER, NULL },
        { "12345678901234567890123", TQ_JSON_NUMBER, NULL },
        { "0.12345678901234567890123456789", TQ_JSON_NUMBER, NULL },
        { "\"\"", TQ_JSON_STRING, NULL },
        { "\"a\"", TQ_JSON_STRING, NULL },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", TQ_JSON_STRING, NULL },
        { "\"\\u0001\\u00e9\\u20AC\\uffff\"", TQ_JSON_STRING, NULL },
        { "\"\\ud83d\\uDE00\"", TQ_JSON_STRING, NULL },
        { "\"\\ud800\\udc00\\udbff\\udfff\"", TQ_JSON_STRING, NULL },
        { "\"" E9 EURO SMILE "\"", TQ_JSON_STRING, NULL },
        { "\"\xf4\x8f\xbf\xbf\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80\"",
          TQ_JSON_STRING, NULL },
        { "\"\x7f\"", TQ_JSON_STRING, NULL },
        { "\"\\\\u0000\"", TQ_JSON_STRING, NULL },
        { "\"12345678\"", TQ_JSON_STRING, NULL },
        { "\"123456789012345\\n\"", TQ_JSON_STRING, NULL },
        { "\"\xef\xbb\xbf\"", TQ_JSON_STRING, NULL },
        { "[]", TQ_JSON_ARRAY, NULL },
        { " [ ] ", TQ_JSON_ARRAY, "[ ]" },
        { "[1]", TQ_JSON_ARRAY, NULL },
        { "[1,2 , 3]", TQ_JSON_ARRAY, NULL },
        { "[[],[[]],{}]", TQ_JSON_ARRAY, NULL },
        { "[null,true,false,\"x\",1.5,{}]", TQ_JSON_ARRAY, NULL },
        { "[1,1]", TQ_JSON_ARRAY, NULL },
        { "{}", TQ_JSON_OBJECT, NULL },
        { " { } ", TQ_JSON_OBJECT, "{ }" },
        { "{\"\":0}", TQ_JSON_OBJECT, NULL },
        { "{\"a\":1,\"b\":2}", TQ_JSON_OBJECT, NULL },
        { "{ \"a\" : 1 , \"b\" : [ ] }", TQ_JSON_OBJECT, NULL },
        /* equal keys, but not of one object */
        { "{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}}", TQ_JSON_OBJECT, NULL },
        { "[{\"a\":1},{\"a\":1}]", TQ_JSON_ARRAY, NULL },
        { "{\"a\":1,\"A\":1,\"a \":1,\"\":1,\" \":1}", TQ_JSON_OBJECT, NULL },
        { "{\"a\":1,\"\\u0061b\":1,\"\\\\u0061\":1}", TQ_JSON_OBJECT, NULL },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        if (parse(t[i].text, strlen(t[i].text), &v, &err) != 0) {
            fail_msg("%s: %s at %zu", t[i].text, err.msg, err.offset);
        }
        assert_int_equal(v.type, t[i].type);
        assert_true(tq_str_eq(v.raw, t[i].raw ? t[i].raw : t[i].text));
    }
}

typedef struct {
    const char  *text;
    size_t       len;
    size_t       offset;
    const char  *says;
} refused_t;

#define R(text, offset, says)  { text, sizeof(text) - 1, offset, says }

static void
check_refused(const refused_t *t, size_t n)
{
    size_t         i;
    tq_json_val_t  v;
    tq_json_err_t  err;

    for (i = 0; i < n; i++) {
        if (parse(t[i].text, t[i].len, &v, &err) == 0) {
            fail_msg("accepted: %s", t[i].text);
        }

        if (err.offset != t[i].offset || strstr(err.msg, t[i].says) == NULL) {
            fail_msg("%s: \"%s\" at %zu", t[i].text, err.msg, err.offset);
        }
    }
}

static void
test_refused_structure(void **state)
{
    static const refused_t  t[] = {
        R("", 0, "expected a value, found the end"),
        R("  \n", 3, "expected a value, found the end"),
        R("\xef\xbb\xbf{}", 0, "byte order mark"),
        R("\xef\xbb\xbf", 0, "byte order mark"),
        R("\xef\xbb", 0, "expected a value"),
        R("\0", 0, "expected a value"),
        R("{}\0", 2, "more text"),
        R("{} {}", 3, "more text"),
        R("1 2", 2, "more text"),
        R("nullx", 4, "more text"),
        R("\"a\"b", 3, "more text"),
        R("[]]", 2, "more text"),
        R("{}//", 2, "more text"),
        R("nul", 0, "expected a value"),
        R("nulL", 0, "expected a value"),
        R("True", 0, "expected a value"),
        R("tru", 0, "expected a value"),
        R("fals", 0, "expected a value"),
        R("NaN", 0, "expected a value"),
        R("Infinity", 0, "expected a value"),
        R("undefined", 0, "expected a value"),
        R("'a'", 0, "expected a value"),
        R("/**/1", 0, "expected a value"),
        R("\f1", 0, "expected a value"),
        R("\xc2\xa0" "1", 0, "expected a value"),
        R("[", 1, "found the end"),
        R("[1", 2, "expected ',' or ']'"),
        R("[1,", 3, "found the end"),
        R("[1,]", 3, "expected a value"),
        R("[,1]", 1, "expected a value"),
        R("[1,,2]", 3, "expected a value"),
        R("[1 2]", 3, "expected ',' or ']'"),
        R("[1}", 2, "expected ',' or ']'"),
        R("[1:2]", 2, "expected ',' or ']'"),
        R("]", 0, "expected a value"),
        R("}", 0, "expected a value"),
        R(",", 0, "expected a value"),
        R(":", 0, "expected a value"),
        R("{", 1, "expected a key"),
        R("{1:2}", 1, "expected a key"),
        R("{a:1}", 1, "expected a key"),
        R("{'a':1}", 1, "expected a key"),
        R("{\"a\"", 4, "expected ':'"),
        R("{\"a\" 1}", 5, "expected ':'"),
        R("{\"a\",1}", 4, "expected ':'"),
        R("{\"a\":", 5, "found the end"),
        R("{\"a\":}", 5, "expected a value"),
        R("{\"a\":1", 6, "expected ',' or '}'"),
        R("{\"a\":1]", 6, "expected ',' or '}'"),
        R("{\"a\":1,", 7, "expected a key"),
        R("{\"a\":1,}", 7, "expected a key"),
        R("{\"a\":1,,\"b\":2}", 7, "expected a key"),
        R("{,\"a\":1}", 1, "expected a key"),
        R("{\"a\"::1}", 5, "expected a value"),
        R("{\"a\":1 \"b\":2}", 7, "expected ',' or '}'"),
        R("{\"a\":{\"b\":[1,2,{\"c\":x}]}}", 20, "expected a value"),
        R("{\"a\":1,\"a\":2}", 7, "duplicate key"),
        R("{\"a\":1,\"b\":{\"x\":1,\"y\":2,\"x\":3}}", 24, "duplicate"),
        R("{\"a\":{\"a\":1},\"b\":[{\"a\":1}],\"a\":1}", 27, "duplicate"),
        R("{\"\":1,\"\":1}", 6, "duplicate key"),
        R("{\"a\":1,\"\\u0061\":1}", 7, "duplicate key"),
        R("{\"\\u0061\":1,\"a\":1}", 12, "duplicate key"),
        R("{\"\\/\":1,\"/\":1}", 8, "duplicate key"),
        R("{\"\\n\":1,\"\\u000A\":1}", 8, "duplicate key"),
        R("{\"\\ud83d\\ude00\":1,\"" SMILE "\":1}", 18, "duplicate key"),
        R("{\"" E9 "\":1,\"\\u00E9\":1}", 8, "duplicate key"),
    };

    (void) state;

    check_refused(t, UNIT_COUNT(t));
}

static void
test_refused_numbers(void **state)
{
    static const refused_t  t[] = {
        R("007", 0, "start with 0"),
        R("00", 0, "start with 0"),
        R("-00", 1, "start with 0"),
        R("-01", 1, "start with 0"),
        R("01.5", 0, "start with 0"),
        R("[10, 012]", 5, "start with 0"),
        R("-", 1, "needs a digit"),
        R("--1", 1, "needs a digit"),
        R("-a", 1, "needs a digit"),
        R("-.5", 1, "needs a digit"),
        R("1.", 2, "needs a digit"),
        R("1.e5", 2, "needs a digit"),
        R("[1.]", 3, "needs a digit"),
        R("1.-5", 2, "needs a digit"),
        R("1e", 2, "needs a digit"),
        R("1e+", 3, "needs a digit"),
        R("1E-", 3, "needs a digit"),
        R("1e+-5", 3, "needs a digit"),
        R("1ee5", 2, "needs a digit"),
        R("1e5.5", 3, "more text"),
        R("1.5.5", 3, "more text"),
        R("1_000", 1, "more text"),
        R("0x10", 1, "more text"),
        R("1a", 1, "more text"),
        R("1-", 1, "more text"),
        R("+1", 0, "expected a value"),
        R(".5", 0, "expected a value"),
        R("-Infinity", 1, "needs a digit"),
        R("[1e]", 3, "needs a digit"),
        R("[-]", 2, "needs a digit"),
        R("\xef\xbc\x91", 0, "expected a value"),     /* full-width 1 */
    };

    (void) state;

    check_refused(t, UNIT_COUNT(t));
}

static void
test_refused_strings(void **state)
{
    static const refused_t  t[] = {
        R("\"", 1, "unexpected end"),
        R("\"abc", 4, "unexpected end"),
        R("\"abcdefghijklmnop", 17, "unexpected end"),
        R("\"\\", 2, "unexpected end"),
        R("\"\\\"", 3, "unexpected end"),
        R("\"a\nb\"", 2, "control character"),
        R("\"a\rb\"", 2, "control character"),
        R("\"a\tb\"", 2, "control character"),
        R("\"a\0b\"", 2, "control character"),
        R("\"12345678901\x1f\"", 12, "control character"),
        R("{\"a\x01\":1}", 3, "control character"),
        R("\"\\x41\"", 1, "unknown escape"),
        R("\"\\a\"", 1, "unknown escape"),
        R("\"\\'\"", 1, "unknown escape"),
        R("\"\\U0041\"", 1, "unknown escape"),
        R("\"\\0\"", 1, "unknown escape"),
        R("\"\\\0\"", 1, "unknown escape"),
        R("\"\\\n\"", 1, "unknown escape"),
        R("\"\\" E9 "\"", 1, "unknown escape"),
        R("\"\\u\"", 1, "four hex digits"),
        R("\"\\u12\"", 1, "four hex digits"),
        R("\"\\u123\"", 1, "four hex digits"),
        R("\"\\u12g4\"", 1, "four hex digits"),
        R("\"\\u-123\"", 1, "four hex digits"),
        R("\"\\u 123\"", 1, "four hex digits"),
        R("\"\\u12", 1, "four hex digits"),
        R("\"\\u0000\"", 1, "\\u0000"),
        R("\"ab\\u0000cd\"", 3, "\\u0000"),
        R("{\"\\u0000\":1}", 2, "\\u0000"),
        R("\"\\ud800\"", 1, "lone surrogate"),
        R("\"\\udc00\"", 1, "lone surrogate"),
        R("\"\\udfff\"", 1, "lone surrogate"),
        R("\"\\ud800x\"", 1, "lone surrogate"),
        R("\"\\ud800\\n\"", 1, "lone surrogate"),
        R("\"\\ud800\\u\"", 1, "lone surrogate"),
        R("\"\\ud800\\u0041\"", 1, "lone surrogate"),
        R("\"\\ud800\\ud800\"", 1, "lone surrogate"),
        R("\"\\udc00\\ud800\"", 1, "lone surrogate"),
        R("\"\\ud83d\\ude0", 1, "lone surrogate"),
        R("\"\\uD800", 1, "lone surrogate"),
        R("\"\x80\"", 1, "UTF-8"),
        R("\"\xbf\"", 1, "UTF-8"),
        R("\"\xff\"", 1, "UTF-8"),
        R("\"\xfe\"", 1, "UTF-8"),
        R("\"\xc3\"", 1, "UTF-8"),
        R("\"\xc3(\"", 1, "UTF-8"),
        R("\"\xe2\x82\"", 1, "UTF-8"),
        R("\"\xf0\x9f\x98\"", 1, "UTF-8"),
        R("\"abc\xe9\"", 4, "UTF-8"),                 /* Latin-1 */
        R("\"\xc0\x80\"", 1, "UTF-8"),                /* overlong NUL */
        R("\"\xc1\xbf\"", 1, "UTF-8"),
        R("\"\xe0\x9f\xbf\"", 1, "UTF-8"),
        R("\"\xf0\x8f\xbf\xbf\"", 1, "UTF-8"),
        R("\"\xed\xa0\x80\"", 1, "UTF-8"),            /* a surrogate */
        R("\"\xed\xbf\xbf\"", 1, "UTF-8"),
        R("\"\xf4\x90\x80\x80\"", 1, "UTF-8"),        /* above U+10FFFF */
        R("\"\xf5\x80\x80\x80\"", 1, "UTF-8"),
        R("\"\xf8\x88\x80\x80\x80\"", 1, "UTF-8"),
        R("\"\xe2\x82", 1, "UTF-8"),                  /* cut off */
        R("\"\xf0", 1, "UTF-8"),
        R("{\"\xff\":1}", 2, "UTF-8"),
        R("[\"\xc3\xa9\",\"\xc3\"]", 7, "UTF-8"),
    };

    (void) state;

    check_refused(t, UNIT_COUNT(t));
}

/* What is only carried: any escape, and in a result any key; nothing else. */
static void
test_carried(void **state)
{
    size_t          i;
    tq_json_val_t   v;
    tq_json_err_t   err;
    static const struct {
        const char  *text;
        int          payload, result;     /* accepted */
    } t[] = {
        { "{\"a\":\"x\\u0000y\"}", 1, 1 },
        { "{\"\\u0000\":[{\"\\ud800\":\"\\udc00\\ud800\\u0041\"}]}", 1, 1 },
        { "\"\\u0000\\uD83D\"", 1, 1 },
        { "\"\\ud83d\\ude00\"", 1, 1 },
        { "{\"\\ud800\":1,\"\\ud801\":2,\"\\udc00\":3}", 1, 1 },
        { "{\"\\ud800\":1,\"\\uD800\":2}", 0, 1 },
        { "{\"a\":1,\"a\":2}", 0, 1 },
        { "[{\"a\":1,\"\\u0061\":2}]", 0, 1 },
        { "{\"a\":NaN}", 0, 0 },
        { "{\"a\":\"\\ud8\"}", 0, 0 },
        { "{\"a\":\"\\x00\"}", 0, 0 },
        { "{\"a\":\"\x01\"}", 0, 0 },
        { "{\"a\":\"\xed\xa0\x80\"}", 0, 0 },    /* a raw surrogate */
        { "\xef\xbb\xbf{}", 0, 0 },
        { "{} {}", 0, 0 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        size_t   len = strlen(t[i].text);
        char    *exact = unit_exact(t[i].text, len);

        assert_int_equal(tq_json_parse_as(TQ_JSON_PAYLOAD, exact, len, &v,
            &err), t[i].payload ? 0 : -1);
        assert_int_equal(tq_json_parse_as(TQ_JSON_RESULT, exact, len, &v,
            &err), t[i].result ? 0 : -1);
        if (t[i].result) {
            assert_true(v.raw.p == exact && v.raw.len == len);
        }
        free(exact);
    }
}

/* Nesting at the limit, one above it, and five thousand deep. */
static void
test_depth(void **state)
{
    size_t          depth, n, i;
    char           *text = malloc(5000 * 12 + 2);
    tq_json_val_t   v;
    tq_json_err_t   err;

    (void) state;
    assert_non_null(text);

    for (depth = TQ_JSON_DEPTH_MAX; depth <= TQ_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);

        if (depth == TQ_JSON_DEPTH_MAX) {
            assert_int_equal(parse(text, depth * 2, &v, &err), 0);
        } else {
            assert_int_equal(parse(text, depth * 2, &v, &err), -1);
            assert_non_null(strstr(err.msg, "nested deeper than 128"));
            assert_int_equal(err.offset, TQ_JSON_DEPTH_MAX);
        }
    }

    for (i = 0, n = 0; i < 5000; i++) {
        n += (size_t) sprintf(text + n, "{\"a\":[");
    }
    assert_int_equal(parse(text, n, &v, &err), -1);
    assert_non_null(strstr(err.msg, "nested deeper than 128"));
    assert_int_equal(err.offset, TQ_JSON_DEPTH_MAX / 2 * 6);

    /* side by side is not deep */
    for (n = 0, text[n++] = '[', i = 0; i < 5000; i++) {
        n += (size_t) sprintf(text + n, "%s[{}]", i ? "," : "");
    }
    text[n++] = ']';
    assert_int_equal(parse(text, n, &v, &err), 0);

    free(text);
}

/* No proper prefix of an object or array is a text, and reading one touches
 * nothing behind it. */
static void
test_every_prefix(void **state)
{
    size_t             i;
    tq_json_val_t      v;
    tq_json_err_t      err;
    static const char  text[] =
        "{\"s\":\"a\\n\\u20ac\\ud83d\\ude00 " E9 EURO SMILE "\",\"n\":"
        "-12.5e+10,\"l\":[true,false,null,{}],\"o\":{\"k\":[]}}";

    (void) state;

    for (i = 0; i < sizeof(text) - 1; i++) {
        assert_int_equal(parse(text, i, &v, &err), -1);
    }

    assert_int_equal(parse(text, sizeof(text) - 1, &v, &err), 0);
}

/* Every single byte as a text, in a string, and after a backslash. */
static void
test_every_byte(void **state)
{
    int             c, ok;
    char            text[5] = "\"..\"";
    tq_json_val_t   v;
    tq_json_err_t   err;

    (void) state;

    for (c = 0; c < 256; c++) {
        text[1] = (char) c;
        assert_int_equal(parse(text + 1, 1, &v, &err),
            c >= '0' && c <= '9' ? 0 : -1);

        text[2] = 'x';
        ok = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
        assert_int_equal(parse(text, 4, &v, &err), ok ? 0 : -1);

        text[1] = '\\';
        text[2] = (char) c;
        ok = c != 0 && strchr("\"\\/bfnrt", c) != NULL;
        assert_int_equal(parse(text, 4, &v, &err), ok ? 0 : -1);
    }
}

/* A byte that matters, at every place of strings of every length: eight bytes
 * are looked at together where there are eight. */
static void
test_every_place(void **state)
{
    size_t         len, at, i;
    char           text[64];
    tq_json_val_t  v;
    tq_json_err_t  err;
    static const struct {
        char         c;
        const char  *says;      /* NULL: fine */
    } t[] = {
        { '\x1f', "control character" },
        { '\x01', "control character" },
        { '\0', "control character" },
        { '\x80', "UTF-8" },
        { '\xff', "UTF-8" },
        { '\\', "unknown escape" },
        { ' ', NULL },
        { '!', NULL },
        { '#', NULL },
        { '[', NULL },
        { ']', NULL },
        { '\x7f', NULL },
    };

    (void) state;

    for (len = 1; len <= 40; len++) {
        for (at = 0; at < len; at++) {
            for (i = 0; i < UNIT_COUNT(t); i++) {
                memset(text, 'x', sizeof(text));
                text[0] = text[len + 1] = '"';
                text[at + 1] = t[i].c;

                if (t[i].c == '\\' && at == len - 1) {
                    continue;
                }

                assert_int_equal(parse(text, len + 2, &v, &err),
                    t[i].says ? -1 : 0);
                if (t[i].says) {
                    assert_int_equal(err.offset, at + 1);
                    assert_non_null(strstr(err.msg, t[i].says));
                } else {
                    assert_int_equal(v.raw.len, len + 2);
                }
            }

            /* a quote ends the string there */
            text[at + 1] = '"';
            assert_int_equal(parse(text, len + 2, &v, &err), -1);
            assert_int_equal(err.offset, at + 2);
            assert_non_null(strstr(err.msg, "more text"));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused_structure),
        cmocka_unit_test(test_refused_numbers),
        cmocka_unit_test(test_refused_strings),
        cmocka_unit_test(test_carried),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_every_place),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
