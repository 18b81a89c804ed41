/* Task ids: there and back, tampering is seen, SipHash's own test vector. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "../../libtaskmq/base/tq_uuid.c"

static unsigned char  key[TQ_UUID_KEY_LEN];

static void
fill_key(void)
{
    unsigned  i;

    for (i = 0; i < sizeof(key); i++) {
        key[i] = (unsigned char) i;
    }
}

static void
test_vector(void **state)
{
    (void) state;
    fill_key();
    /* the reference's vectors_sip64[8]: input 00 01 .. 07 */
    assert_true(siphash8(key, UINT64_C(0x0706050403020100))
                == UINT64_C(0x93f5f5799a932462));
}

static void
test_round_trip(void **state)
{
    static const int64_t  ids[] = {1, 2, 3, 1000, 4294967296, TQ_ID_MAX};
    char                  text[TQ_UUID_LEN + 1];
    int64_t               back;
    unsigned              i;

    (void) state;
    fill_key();

    for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        tq_uuid_format(key, ids[i], text);
        assert_int_equal(strlen(text), TQ_UUID_LEN);
        assert_int_equal(text[14], '8');
        assert_true(strchr("89ab", text[19]) != NULL);
        assert_int_equal(tq_uuid_parse(key, text, TQ_UUID_LEN, &back), 0);
        assert_true(back == ids[i]);
    }
}

static void
test_tampered(void **state)
{
    char     text[TQ_UUID_LEN + 1], other[TQ_UUID_LEN + 1];
    int64_t  back;
    int      i;

    (void) state;
    fill_key();
    tq_uuid_format(key, 42, text);

    for (i = 0; i < TQ_UUID_LEN; i++) {
        memcpy(other, text, sizeof(text));
        other[i] = other[i] == '7' ? '6' : '7';
        assert_int_equal(tq_uuid_parse(key, other, TQ_UUID_LEN, &back), -1);
    }

    assert_int_equal(tq_uuid_parse(key, text, TQ_UUID_LEN - 1, &back), -1);
    key[31] ^= 1;
    assert_int_equal(tq_uuid_parse(key, text, TQ_UUID_LEN, &back), -1);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_vector),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_tampered),
    };

    return cmocka_run_group_tests_name("uuid", tests, NULL, NULL);
}
