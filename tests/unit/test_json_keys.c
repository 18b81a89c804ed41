/* test_json_keys.c: duplicate keys: found in objects of any size and shape,
 * in linear time, and without a leak when memory runs out. */

#include <time.h>

#include "unit.h"
#include "fail_alloc.h"
#include "tq_json.h"

static int
parse(tq_buf_t *b, tq_json_err_t *err)
{
    tq_json_val_t  v;

    assert_int_equal(b->failed, 0);

    return tq_json_parse(b->p, b->len, &v, err);
}

/* A key of number i; the forms of one number are equal after unescaping. */
static void
add_key(tq_buf_t *b, int i, int form)
{
    static const char  *first[] = { "k", "\\u006b", "\\u006B" };

    tq_buf_addf(b, "\"%s%d\":%d", first[form], i, i);
}

/* An object of n keys, the last of which repeats number dup (-1: none). */
static void
add_object(tq_buf_t *b, int n, int dup, int form)
{
    int  i;

    tq_buf_addc(b, '{');
    for (i = 0; i < n; i++) {
        tq_buf_adds(b, i ? "," : "");
        if (i == n - 1 && dup >= 0) {
            add_key(b, dup, form);
        } else {
            add_key(b, i, (i * 7 + form) % 5 < 3 ? 0 : (i + form) % 3);
        }
    }
    tq_buf_addc(b, '}');
}

/* Around every size where the table changes its ways. */
static void
test_every_size(void **state)
{
    int            n, dup, form;
    tq_buf_t       b = { 0 };
    tq_json_err_t  err;

    (void) state;

    for (n = 1; n <= 300; n++) {
        for (form = 0; form < 3; form++) {
            tq_buf_reset(&b);
            add_object(&b, n, -1, form);
            assert_int_equal(parse(&b, &err), 0);

            for (dup = 0; dup < n - 1; dup += 1 + n / 20) {
                tq_buf_reset(&b);
                add_object(&b, n, dup, form);
                assert_int_equal(parse(&b, &err), -1);
                assert_string_equal(err.msg, "duplicate key");
                assert_int_equal(b.p[err.offset], '"');
                assert_int_equal(err.nomem, 0);
            }
        }
    }

    tq_buf_free(&b);
}

/* Large objects inside of large ones, closed and followed by others: removing
 * the inner ones' keys must leave the outer ones' findable. */
static void
test_nested(void **state)
{
    int            i, depth, round, want;
    tq_buf_t       b = { 0 };
    tq_json_err_t  err;

    (void) state;

    for (round = 0; round < 200; round++) {
        tq_buf_reset(&b);

        for (depth = 0; depth < 20; depth++) {
            tq_buf_addc(&b, '{');
            for (i = 0; i < 5 + (round * 7 + depth * 13) % 60; i++) {
                add_key(&b, i, 0);
                tq_buf_addc(&b, ',');
            }
            tq_buf_adds(&b, "\"closed\":");
            add_object(&b, (round * 3 + depth) % 90, -1, 1);
            tq_buf_adds(&b, ",\"in\":");
        }

        tq_buf_adds(&b, "[]");

        /* on the way out, in half of the rounds, one repeats an early key */
        want = round % 2 ? -1 : 0;
        for (depth = 19; depth >= 0; depth--) {
            if (want && depth == round % 20) {
                tq_buf_adds(&b, ",\"k3\":0");
            } else {
                tq_buf_adds(&b, ",\"k3x\":0");
            }
            tq_buf_addc(&b, '}');
        }

        if (parse(&b, &err) != want) {
            fail_msg("round %d: %s", round, want ? "accepted" : err.msg);
        }
        if (want) {
            assert_string_equal(err.msg, "duplicate key");
        }
    }

    tq_buf_free(&b);
}

/* Long keys that differ at their ends only, and empty ones. */
static void
test_long_keys(void **state)
{
    int            i, dup;
    tq_buf_t       b = { 0 };
    tq_json_err_t  err;

    (void) state;

    for (dup = 0; dup <= 1; dup++) {
        tq_buf_reset(&b);
        tq_buf_addc(&b, '{');
        for (i = 0; i < 40; i++) {
            tq_buf_addf(&b, "%s\"%01000d%02dx\":1", i ? "," : "", 0,
                i == 39 && dup ? 11 : i);
        }
        tq_buf_adds(&b, ",\"\":1,\"0\":1}");
        assert_int_equal(parse(&b, &err), -dup);
    }

    tq_buf_free(&b);
}

/* A text of random small objects against the plainest search there is. */
static void
test_random(void **state)
{
    int            i, j, n, round, want, k[80];
    tq_buf_t       b = { 0 };
    tq_json_err_t  err;

    (void) state;
    srand(20261122);

    for (round = 0; round < 20000; round++) {
        n = rand() % 80;
        want = 0;
        tq_buf_reset(&b);
        tq_buf_addc(&b, '{');

        for (i = 0; i < n; i++) {
            k[i] = rand() % 3000;
            for (j = 0; j < i; j++) {
                if (k[j] == k[i]) {
                    want = -1;
                }
            }
            tq_buf_adds(&b, i ? "," : "");
            add_key(&b, k[i], rand() % 8 ? 0 : rand() % 3);
        }

        tq_buf_addc(&b, '}');
        assert_int_equal(parse(&b, &err), want);
    }

    tq_buf_free(&b);
}

/* Two megabytes meant to hurt. A search of each key through all would take
 * minutes; the bound is generous for slow machines under a sanitizer. */
static void
test_hostile(void **state)
{
    int            i, shape;
    clock_t        t;
    tq_buf_t       b = { 0 };
    tq_json_err_t  err;

    (void) state;

    for (shape = 0; shape < 4; shape++) {
        tq_buf_reset(&b);
        tq_buf_addc(&b, '{');

        for (i = 0; b.len < 2 * 1024 * 1024; i++) {
            tq_buf_adds(&b, i ? "," : "");

            switch (shape) {
            case 0:                     /* many keys */
                tq_buf_addf(&b, "\"%x\":0", i);
                break;
            case 1:                     /* with escapes */
                tq_buf_addf(&b, "\"\\u0061%x\":0", i);
                break;
            case 2:                     /* few, long, alike, escaped */
                tq_buf_addf(&b, "\"\\u0061%0140000d\":0", i);
                break;
            default:                    /* many objects of middling size */
                tq_buf_addf(&b, "\"%x\":", i);
                add_object(&b, 17, -1, 0);
            }
        }

        tq_buf_addc(&b, '}');
        t = clock();
        assert_int_equal(parse(&b, &err), 0);
        assert_true(clock() - t < 5 * CLOCKS_PER_SEC);
    }

    tq_buf_free(&b);
}

/* Every allocation fails in turn: said as such, nothing leaks (the sanitizer
 * looks), and the next try works. */
static void
test_no_memory(void **state)
{
    int            i;
    tq_buf_t       b = { 0 };
    tq_json_err_t  err;

    (void) state;

    add_object(&b, 5000, -1, 0);

    for (i = 0; ; i++) {
        fail_alloc_from(i);
        if (parse(&b, &err) == 0) {
            break;
        }
        assert_int_equal(err.nomem, 1);
        assert_string_equal(err.msg, "out of memory");
    }

    /* both the keys and their index outgrew the stack, several times */
    assert_true(i > 10);
    assert_int_equal(fail_alloc_calls, i);
    fail_alloc_from(-1);

    /* a usual body needs none */
    tq_buf_reset(&b);
    add_object(&b, 60, -1, 0);
    fail_alloc_from(0);
    assert_int_equal(parse(&b, &err), 0);
    assert_int_equal(fail_alloc_calls, 0);
    fail_alloc_from(-1);

    /* nor do many such, one after the other */
    tq_buf_reset(&b);
    tq_buf_addc(&b, '[');
    for (i = 0; i < 1000; i++) {
        add_object(&b, 60, -1, 0);
        tq_buf_addc(&b, i < 999 ? ',' : ']');
    }
    fail_alloc_from(0);
    assert_int_equal(parse(&b, &err), 0);
    assert_int_equal(fail_alloc_calls, 0);
    fail_alloc_from(-1);

    tq_buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_long_keys),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests_name("json_keys", tests, NULL, NULL);
}
