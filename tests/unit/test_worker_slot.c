/* A job in the worker: every way from its claim to its outcome, with the
 * instances and Redis played by this test. */

#include "slot_rig.h"

static void
test_success(void **state)
{
    tw_slot_t    *s = take(7);
    tw_answer_t   a = { .kind = TW_ANSWER_SUCCESS, .result = tq_str("1.10") };

    (void) state;
    assert_int_equal(s->state, TW_SLOT_RUNNING);
    assert_int_equal(s->attempt, 2);
    assert_int_equal(s->timeout_ms, 30000);
    assert_int_equal(run.busy, 1);

    tw_slot_stderr(s, "note\xff\n", 6);
    tw_slot_answer(&run, s, &a);
    assert_string_equal(outcome, "complete 7 result=1.10 error= retryable=0 "
        "log=note\xef\xbf\xbd\n");
    assert_int_equal(s->state, TW_SLOT_FREE);
    assert_int_equal(run.busy, 0);
    assert_int_equal(freed, 1);
}

static void
test_timeouts(void **state)
{
    tq_claimed_t  job = { .id = 1 };

    (void) state;
    conf.timeout_s = 9;
    (void) tw_slot_take(&run, &pool, &job, key);
    assert_int_equal(running->timeout_ms, 9000);
    idle = &instance;
    job.job.timeout_s = 4;
    (void) tw_slot_take(&run, &pool, &job, key);
    assert_int_equal(running->timeout_ms, 4000);
    conf.timeout_s = 0;
}

static void
test_error(void **state)
{
    tw_slot_t    *s = take(7);
    tw_answer_t   a = { .kind = TW_ANSWER_ERROR, .retryable = 1 };

    (void) state;
    tq_buf_adds(&a.error, "no");
    tw_slot_answer(&run, s, &a);
    tq_buf_free(&a.error);
    assert_string_equal(outcome,
        "fail 7 result= error=no retryable=1 log=");
}

static void
test_waits_for_a_place(void **state)
{
    tw_slot_t  *s;

    (void) state;
    idle = NULL;
    assert_null(take(7));
    assert_int_equal(pool.waiting, 1);
    assert_int_equal(outcomes, 0);

    idle = &instance;
    tw_slots_place(&run, &pool);
    s = running;
    assert_int_equal(s->state, TW_SLOT_RUNNING);
    assert_int_equal(pool.waiting, 0);

    tw_slot_died(&run, s, 0, "gone");
    assert_string_equal(outcome,
        "fail 7 result= error=gone retryable=1 log=");
}

static void
test_untouched_task_waits_again(void **state)
{
    tw_slot_t  *s = take(7);

    (void) state;
    tw_slot_died(&run, s, 1, "gone");
    assert_int_equal(s->state, TW_SLOT_WAITING);
    assert_int_equal(pool.waiting, 1);
    assert_int_equal(outcomes, 0);

    tw_slots_release_waiting(&run, &pool);
    assert_string_equal(outcome, "release 7 result= error= retryable=0 log=");
    assert_int_equal(run.busy, 0);
    assert_int_equal(pool.waiting, 0);
}

static void
test_outcome_only_after_death(void **state)
{
    tw_slot_t  *s = take(7);

    (void) state;
    tw_slot_end(s, TW_END_FAIL, "timed out");
    assert_int_equal(s->state, TW_SLOT_ENDING);
    assert_int_equal(outcomes, 0);
    tw_slot_died(&run, s, 1, "killed");
    assert_string_equal(outcome,
        "fail 7 result= error=timed out retryable=1 log=");
}

static void
test_lost_lease_drops(void **state)
{
    tw_slot_t  *s = take(7);
    uint32_t    generation = s->generation;

    (void) state;
    /* even when another outcome was decided before */
    tw_slot_end(s, TW_END_FAIL, "timed out");
    tw_slot_abort(&run, s, TW_END_DROP, 0);
    tw_slot_died(&run, s, 0, "killed");
    assert_int_equal(outcomes, 0);
    assert_int_equal(s->state, TW_SLOT_FREE);
    assert_int_not_equal(s->generation, generation);
}

static void
test_abort(void **state)
{
    tw_slot_t  *s = take(7);

    (void) state;
    tw_slot_abort(&run, s, TW_END_RELEASE, 0);
    assert_int_equal(killed, 1);
    tw_slot_abort(&run, s, TW_END_RELEASE, 1);
    assert_int_equal(killed, 2);
    assert_int_equal(outcomes, 0);
    tw_slot_died(&run, s, 0, "killed");
    assert_string_equal(outcome, "release 7 result= error= retryable=0 log=");
}

static void
test_waiting_ones_keep_their_order(void **state)
{
    tw_slot_t  *first = take(1);

    (void) state;
    take(2);
    take(3);
    assert_int_equal(pool.waiting, 2);

    /* what comes back from its place is older than what waits */
    tw_slot_died(&run, first, 1, "gone");
    assert_int_equal(pool.waiting, 3);
    idle = &instance;
    tw_slots_place(&run, &pool);
    assert_int_equal(running->id, 1);
    tw_slot_died(&run, running, 0, "gone");
    idle = &instance;
    tw_slots_place(&run, &pool);
    assert_int_equal(running->id, 2);

    /* one goes out of the middle */
    take(4);
    take(5);
    tw_slot_abort(&run, pool.wait_first->next, TW_END_DROP, 0);
    assert_int_equal(pool.waiting, 2);
    idle = &instance;
    tw_slots_place(&run, &pool);
    assert_int_equal(running->id, 3);
    idle = &instance;
    tw_slots_place(&run, &pool);
    assert_int_equal(running->id, 5);
    assert_int_equal(pool.waiting, 0);
    assert_null(pool.wait_last);
}

/* A pool of one process has replaced one of several. */
static void
test_more_than_there_are_places(void **state)
{
    (void) state;
    pool.n = 1;

    take(1);
    take(2);
    assert_int_equal(outcomes, 0);
    take(3);

    assert_int_equal(pool.waiting, 1);
    assert_int_equal(pool.wait_first->id, 2);
    assert_string_equal(outcome, "release 3 result= error= retryable=0 log=");
    /* and what the calls on their way bring must not overtake it */
    assert_int_equal(given_back, -1);
}

static void
test_result_over_the_limit(void **state)
{
    tw_slot_t    *s = take(7);
    char         *big = malloc(TQ_RESULT_MAX_BYTES + 1);
    tw_answer_t   a = { .kind = TW_ANSWER_SUCCESS };

    (void) state;
    memset(big, '1', TQ_RESULT_MAX_BYTES + 1);
    a.result = (tq_str_t) { big, TQ_RESULT_MAX_BYTES + 1 };
    tw_slot_answer(&run, s, &a);
    assert_string_equal(outcome, "fail 7 result= error=the result has "
        "1048577 bytes, the limit is 1048576 retryable=0 log=");
    free(big);
}

int
main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest  tests[] = {
        T(test_success), T(test_timeouts), T(test_error),
        T(test_waits_for_a_place), T(test_untouched_task_waits_again),
        T(test_outcome_only_after_death), T(test_lost_lease_drops),
        T(test_abort), T(test_result_over_the_limit),
        T(test_waiting_ones_keep_their_order),
        T(test_more_than_there_are_places),
    };

    return cmocka_run_group_tests_name("worker_slot", tests, NULL, NULL);
}
