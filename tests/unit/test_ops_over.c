/*
 * test_ops_over.c: jobs that a worker does not hold any more, and those whose
 * time is over: extend that gives back, and sweep, of tq_ops.h; on a real Redis
 * (ops_rig.h).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ops_rig.h"


/* The jobs of a worker that it does not have. */
static unsigned
given_back_by(const char *worker, int all, const tq_outcome_t *o, unsigned n,
    int expect_more)
{
    tq_some_t  some = beat(worker, all, o, n)->given_back;

    assert_int_equal(some.more, expect_more);

    return some.jobs;
}


static void
giving_back(void **state)
{
    unsigned      n;
    tq_claimed_t  c[5];
    tq_outcome_t  o;

    (void) state;

    for (n = 0; n < 5; n++) {
        add("held", "{}");
    }
    assert_int_equal(claim(W1, "held", 30000, 2, c), 2);
    assert_int_equal(claim(W2, "held", 30000, 1, c + 2), 1);
    assert_int_equal(claim(W1, "held", 30000, 1, c + 3), 1);

    /* of a lease that is named; another may be a claim that is under way */
    memset(&o, 0, sizeof(o));
    o.id = c[0].id;
    o.token = c[0].token;
    assert_int_equal(given_back_by(W1, 0, &o, 1, 0), 1);
    assert_int_equal(get(c[0].id).state, TQ_STATE_RUNNING);
    assert_int_equal(get(c[1].id).state, TQ_STATE_PENDING);
    assert_int_equal(get(c[1].id).crashes, 0);
    assert_int_equal(get(c[2].id).state, TQ_STATE_RUNNING);
    assert_int_equal(get(c[3].id).state, TQ_STATE_RUNNING);

    /* nothing is under way: of all leases of this worker, and no other's */
    assert_int_equal(given_back_by(W1, 1, &o, 1, 0), 1);
    assert_int_equal(get(c[0].id).state, TQ_STATE_RUNNING);
    assert_int_equal(get(c[2].id).state, TQ_STATE_RUNNING);
    assert_int_equal(get(c[3].id).state, TQ_STATE_PENDING);
    assert_int_equal(given_back_by(W1, 1, NULL, 0, 0), 1);
    assert_int_equal(get(c[0].id).state, TQ_STATE_PENDING);
    assert_int_equal(get(c[2].id).state, TQ_STATE_RUNNING);
}


/* More than one call may give back. */
static void
giving_back_many(void **state)
{
    unsigned       i;
    tq_claimed_t  *c;

    (void) state;

    c = test_calloc(TQ_REAP_MAX + 50, sizeof(tq_claimed_t));
    for (i = 0; i < TQ_REAP_MAX + 60; i++) {
        add("many", "{}");
    }
    assert_int_equal(claim(W1, "many", 30000, TQ_REAP_MAX + 50, c),
        TQ_REAP_MAX + 50);
    assert_int_equal(claim(W1, "many", 30000, 10, c), 10);

    i = given_back_by(W1, 1, NULL, 0, 1);
    assert_true(i == 10 + TQ_REAP_MAX + 50 || i == TQ_REAP_MAX + 50);
    i += given_back_by(W1, 1, NULL, 0, 0);
    assert_int_equal(i, TQ_REAP_MAX + 60);
    assert_int_equal(given_back_by(W1, 1, NULL, 0, 0), 0);
    test_free(c);
}


static void
sweeping(void **state)
{
    int64_t       until;
    tq_some_t     swept;
    tq_job_t      job = job_of("short", "{}");
    tq_outcome_t  o;

    (void) state;

    job.retention_s = 1;
    add_job(&job);
    add("short", "{}");
    o = claim_one(W1, "short");
    assert_int_equal(o.id, 1);
    verdict(tq_complete_call(&ns, &o, 1, NULL, NULL));
    o = claim_one(W1, "short");
    verdict(tq_complete_call(&ns, &o, 1, NULL, NULL));

    until = redis_loop_now() + 10000;
    do {
        swept = run(tq_sweep_call(&ns, NULL, NULL))->swept;
        assert_int_equal(swept.more, 0);
    } while (swept.jobs == 0 && redis_loop_now() < until);

    assert_int_equal(swept.jobs, 1);
    assert_int_equal(exists(1), 0);
    assert_int_equal(exists(2), 1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        ops_test("given-back", giving_back),
        ops_test("given-back-many", giving_back_many),
        ops_test("sweep", sweeping),
    };

    return cmocka_run_group_tests_name("ops_over", tests, rig_setup,
        rig_teardown);
}
