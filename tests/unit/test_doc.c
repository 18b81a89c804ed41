/* Documents of our own: the bytes of what is put in, and that a tree without
 * memory is none, whichever allocation it was. */

#include "unit.h"

#include "tq_doc.h"

static int  allowed;          /* allocations that cJSON still gets; -1: all */

static void *
allocate(size_t n)
{
    if (allowed == 0) {
        return NULL;
    }

    allowed -= allowed > 0;

    return malloc(n);
}

static int
setup(void **state)
{
    cJSON_Hooks  hooks = { allocate, free };

    (void) state;
    allowed = -1;
    cJSON_InitHooks(&hooks);

    return 0;
}

static int
teardown(void **state)
{
    (void) state;
    cJSON_InitHooks(NULL);

    return 0;
}

static void
prints(cJSON *doc, const char *expected)
{
    tq_buf_t  b = { 0 };

    tq_doc_print(&b, doc);
    assert_string_equal(tq_buf_cstr(&b), expected);
    tq_buf_free(&b);
}

static void
test_numbers(void **state)
{
    (void) state;

    prints(tq_doc_int(0), "0");
    prints(tq_doc_int(INT64_MAX), "9223372036854775807");
    prints(tq_doc_int(INT64_MIN), "-9223372036854775808");
    prints(tq_doc_int(9007199254740993), "9007199254740993");
    prints(tq_doc_int(1234567890123460), "1234567890123460");
}

static void
test_strings(void **state)
{
    (void) state;

    prints(tq_doc_text(NULL), "null");
    prints(tq_doc_text(""), "\"\"");
    prints(tq_doc_text("a\"\\/\n\x01\xc3\xbc"),
        "\"a\\\"\\\\/\\n\\u0001\xc3\xbc\"");

    /* a NUL, no UTF-8, and what a terminal would obey */
    prints(tq_doc_str(tq_str("a\0b\xff" "c\x1b\xc2\x9b\xe2\x80\xae")),
        "\"a\xef\xbf\xbd" "b\xef\xbf\xbd" "c\\u001b\\u009b\\u202e\"");
}

static void
test_raw_keeps_its_bytes(void **state)
{
    const char  *text = "{ \"a\":1.10, \"a\":12345678901234567890123,"
                        "\r\n\"\\u0000\":[\"\\ud800\",-0.0,1e300] }";
    char        *p = unit_exact(text, strlen(text));

    (void) state;

    prints(tq_doc_raw((tq_str_t) { p, strlen(text) }), text);
    free(p);
}

static cJSON *
nested(void)
{
    cJSON  *list = cJSON_CreateArray();

    tq_doc_add(&list, NULL, tq_doc_int(1));
    tq_doc_add(&list, NULL, tq_doc_object({ "b", tq_doc_text("x") }));

    return tq_doc_object({ "z", list }, { "a", cJSON_CreateTrue() },
        { "a\"", cJSON_CreateObject() }, { "n", cJSON_CreateArray() });
}

/* In the order in which they came, two of one name included. */
static void
test_trees(void **state)
{
    cJSON  *doc = tq_doc_object({ "b", tq_doc_int(1) });

    (void) state;

    tq_doc_add(&doc, "a", tq_doc_int(2));
    tq_doc_add(&doc, "b", tq_doc_int(3));
    prints(doc, "{\"b\":1,\"a\":2,\"b\":3}");
    prints(nested(), "{\"z\":[1,{\"b\":\"x\"}],\"a\":true,\"a\\\"\":{},"
        "\"n\":[]}");
}

/* All or nothing; the sanitizer sees what would be left behind. */
static void
test_memory_runs_out(void **state)
{
    int       n;
    tq_buf_t  b = { 0 };

    (void) state;

    for (n = 0; /* void */ ; n++) {
        allowed = n;
        tq_doc_print(&b, nested());

        if (!b.failed) {
            break;
        }

        assert_int_equal(b.len, 0);
        tq_buf_reset(&b);
    }

    assert_true(n > 15);
    tq_buf_free(&b);
}

/* A part that could not be made: neither can the whole. */
static void
test_part_that_is_missing(void **state)
{
    cJSON     *doc = tq_doc_object({ "a", tq_doc_int(1) }, { "b", NULL },
                                   { "c", tq_doc_int(3) });
    tq_buf_t   b = { 0 };

    (void) state;

    assert_null(doc);
    tq_doc_add(&doc, "d", tq_doc_int(4));
    assert_null(doc);
    tq_doc_add(&doc, NULL, tq_doc_int(4));
    assert_null(doc);
    tq_doc_print(&b, doc);
    assert_int_equal(b.failed, 1);
    tq_buf_free(&b);
}

int
main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest  tests[] = {
        T(test_numbers), T(test_strings), T(test_raw_keeps_its_bytes),
        T(test_trees), T(test_memory_runs_out), T(test_part_that_is_missing),
    };

    return cmocka_run_group_tests_name("doc", tests, NULL, NULL);
}
