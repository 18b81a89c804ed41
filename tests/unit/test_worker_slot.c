/* A job in the worker: every way from its claim to its outcome, with the
 * instances and Redis played by this test. */

#include "unit.h"

#undef fail                     /* cmocka's; slot.c has one of its own */
#include "../../taskmq-worker/slot.c"
#include "../../taskmq-worker/proto.c"

/* ---- what slot.c stands on ---- */

static char         outcome[256];     /* the last outcome, as text */
static unsigned     outcomes;
static tw_inst_t    inst;
static tw_inst_t   *idle;             /* what the pool offers */
static int          killed;           /* 1 TERM, 2 KILL */
static tw_slot_t   *running;

uint64_t
uv_now(const uv_loop_t *loop)
{
    (void) loop;
    return 1000;
}

int
tw_log_on(tw_level_t level)
{
    (void) level;
    return 0;
}

void
tw_log_fields(tw_level_t level, const char *msg, const tw_field_t *fields)
{
    (void) level;
    (void) msg;
    (void) fields;
}

tw_inst_t *
tw_pool_pick(tw_pool_t *p)
{
    (void) p;
    return idle;
}

int
tw_inst_run(tw_inst_t *i, tw_slot_t *s)
{
    (void) i;
    idle = NULL;
    running = s;
    return 0;
}

void
tw_inst_kill(tw_inst_t *i, int hard)
{
    (void) i;
    killed = hard ? 2 : 1;
}

void
tw_done_add(tw_worker_t *w, tw_done_kind_t kind, const tq_outcome_t *o)
{
    (void) w;
    outcomes++;
    snprintf(outcome, sizeof(outcome), "%s %lld result=%.*s error=%.*s "
        "retryable=%d log=%.*s", kind == TW_DONE_COMPLETE ? "complete"
        : kind == TW_DONE_FAIL ? "fail" : "release", (long long) o->id,
        (int) o->result.len, o->result.p ? o->result.p : "",
        (int) o->error.len, o->error.p ? o->error.p : "", o->retryable,
        (int) o->log.len, o->log.p ? o->log.p : "");
}

/* ---- a worker with two slots and one handler ---- */

static tw_options_t       options = { .concurrency = 2, .timeout_s = 30 };
static tw_handler_conf_t  conf = { .name = "h", .kind = TW_KIND_COMMAND };
static tw_pool_t          pool = { .conf = &conf, .name_len = 1 };
static tw_worker_t        w;

static int
setup(void **state)
{
    (void) state;
    memset(&w, 0, sizeof(w));
    w.o = &options;
    w.phase = TW_RUNNING;
    pool.w = &w;
    pool.waiting = 0;
    inst.pool = &pool;
    idle = &inst;
    outcome[0] = '\0';
    outcomes = 0;
    killed = 0;
    running = NULL;

    return tw_slots_init(&w);
}

static int
teardown(void **state)
{
    (void) state;
    tw_slots_close(&w);
    return 0;
}

static tw_slot_t *
take(int64_t id)
{
    tq_claimed_t  job = { .id = id, .attempts = 1 };

    job.job.payload = tq_str("{\"a\":1}");
    tw_slot_take(&w, &pool, &job);

    return running;
}

static void
test_success(void **state)
{
    tw_slot_t    *s = take(7);
    tw_answer_t   a = { .kind = TW_ANSWER_SUCCESS, .result = tq_str("1.10") };

    (void) state;
    assert_int_equal(s->state, TW_SLOT_RUNNING);
    assert_int_equal(s->attempt, 2);
    assert_int_equal(s->timeout_ms, 30000);
    assert_int_equal(w.busy, 1);

    tw_slot_stderr(s, "note\xff\n", 6);
    tw_slot_answer(&w, s, &a);
    assert_string_equal(outcome, "complete 7 result=1.10 error= retryable=0 "
        "log=note\xef\xbf\xbd\n");
    assert_int_equal(s->state, TW_SLOT_FREE);
    assert_int_equal(w.busy, 0);
    assert_int_equal(w.claim.want, 1);
}

static void
test_timeouts(void **state)
{
    tq_claimed_t  job = { .id = 1 };

    (void) state;
    conf.timeout_s = 9;
    tw_slot_take(&w, &pool, &job);
    assert_int_equal(running->timeout_ms, 9000);
    idle = &inst;
    job.job.timeout_s = 4;
    tw_slot_take(&w, &pool, &job);
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
    tw_slot_answer(&w, s, &a);
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

    tw_slot_assign(&w, &inst);
    s = running;
    assert_int_equal(s->state, TW_SLOT_RUNNING);
    assert_int_equal(pool.waiting, 0);

    tw_slot_died(&w, s, 0, "gone");
    assert_string_equal(outcome,
        "fail 7 result= error=gone retryable=1 log=");
}

static void
test_untouched_task_waits_again(void **state)
{
    tw_slot_t  *s = take(7);

    (void) state;
    tw_slot_died(&w, s, 1, "gone");
    assert_int_equal(s->state, TW_SLOT_WAITING);
    assert_int_equal(pool.waiting, 1);
    assert_int_equal(outcomes, 0);

    tw_slots_release_waiting(&w, &pool);
    assert_string_equal(outcome, "release 7 result= error= retryable=0 log=");
    assert_int_equal(w.busy, 0);
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
    tw_slot_died(&w, s, 1, "killed");
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
    tw_slot_abort(&w, s, TW_END_DROP, 0);
    tw_slot_died(&w, s, 0, "killed");
    assert_int_equal(outcomes, 0);
    assert_int_equal(s->state, TW_SLOT_FREE);
    assert_int_not_equal(s->generation, generation);
}

static void
test_abort(void **state)
{
    tw_slot_t  *s = take(7);

    (void) state;
    tw_slot_abort(&w, s, TW_END_RELEASE, 0);
    assert_int_equal(killed, 1);
    tw_slot_abort(&w, s, TW_END_RELEASE, 1);
    assert_int_equal(killed, 2);
    assert_int_equal(outcomes, 0);
    tw_slot_died(&w, s, 0, "killed");
    assert_string_equal(outcome, "release 7 result= error= retryable=0 log=");
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
    tw_slot_answer(&w, s, &a);
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
    };

    return cmocka_run_group_tests_name("worker_slot", tests, NULL, NULL);
}
