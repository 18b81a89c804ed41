/*
 * test_ops_outcomes.c: complete of tq_ops.h for many jobs in one call, on a
 * real Redis (ops_rig.h).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ops_rig.h"


/* Several outcomes in one call, a verdict each. */
static void
many_outcomes(void **state)
{
    unsigned            i;
    tq_claimed_t        c[5];
    tq_outcome_t        o[6];
    const tq_result_t  *res;

    (void) state;

    for (i = 0; i < 5; i++) {
        add("many", "{}");
    }
    assert_int_equal(claim(W1, "many", 30000, 5, c), 5);
    memset(o, 0, sizeof(o));
    for (i = 0; i < 5; i++) {
        o[i].id = c[i].id;
        o[i].token = c[i].token;
        o[i].result = str(i % 2 ? "\"odd\"" : "\"even\"");
        o[i].wait_ms = -1;
    }
    o[5] = o[0];
    o[5].id = 77;

    res = run(tq_complete_call(&ns, o, 2, NULL, NULL));
    assert_int_equal(res->from->elements, 2);

    res = run(tq_complete_call(&ns, o, 6, NULL, NULL));
    for (i = 0; i < 6; i++) {
        assert_int_equal(tq_verdict(res, i), i < 2 ? TQ_VERDICT_ALREADY
                            : i == 5 ? TQ_VERDICT_GONE : TQ_VERDICT_OK);
    }
    assert_str(get(c[3].id).result, "\"odd\"");
}


/* Of several claims, with and without logs. */
static void
outcomes_of_many_claims(void **state)
{
    static const char   with_log[] = { 0, 0, 1, 1, 1, 0, 1, 0, 0 };
    char                results[9][16], logs[9][16];
    unsigned            i;
    tq_claimed_t        c[9];
    tq_outcome_t        o[9];
    const tq_result_t  *res;

    (void) state;

    for (i = 0; i < 9; i++) {
        add("mixed", "{}");
    }
    /* groups: 2, 2, 1, 1 (another counter), 1, 1, 1 */
    assert_int_equal(claim(W1, "mixed", 30000, 4, c), 4);
    assert_int_equal(claim(W2, "mixed", 30000, 4, c + 4), 4);
    assert_int_equal(claim(W1, "mixed", 30000, 1, c + 8), 1);
    memset(o, 0, sizeof(o));
    for (i = 0; i < 9; i++) {
        snprintf(results[i], sizeof(results[i]), "%u", i);
        snprintf(logs[i], sizeof(logs[i]), "t%u", i);
        o[i].id = c[i].id;
        o[i].token = c[i].token;
        o[i].result = str(results[i]);
        o[i].log = with_log[i] ? str(logs[i]) : str("");
    }
    o[5].token.t[0] = 'f';

    res = run(tq_complete_call(&ns, o, 9, NULL, NULL));
    assert_int_equal(res->from->elements, 9);
    for (i = 0; i < 9; i++) {
        assert_int_equal(tq_verdict(res, i),
            i == 5 ? TQ_VERDICT_STALE : TQ_VERDICT_OK);
    }
    for (i = 0; i < 9; i++) {
        assert_str(get(o[i].id).result, i == 5 ? "" : results[i]);
        res = run(tq_logs_call(&ns, o[i].id, NULL, NULL));
        assert_int_equal(res->found, 1);
        assert_str(res->log, with_log[i] ? logs[i] : "");
    }

    res = run(tq_complete_call(&ns, o, 0, NULL, NULL));
    assert_int_equal(res->from->elements, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        ops_test("many", many_outcomes),
        ops_test("groups", outcomes_of_many_claims),
    };

    return cmocka_run_group_tests_name("ops_outcomes", tests, rig_setup,
        rig_teardown);
}
