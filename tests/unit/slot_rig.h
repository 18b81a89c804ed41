/*
 * slot_rig.h: for tests of a job in the worker (slot.c, payload.c): both are
 * included here; the instances and Redis are played.
 */

#ifndef SLOT_RIG_H
#define SLOT_RIG_H

#include "unit.h"

#undef fail                     /* cmocka's; slot.c has one of its own */
#include "../../taskmq-worker/run/slot.c"
#include "../../taskmq-worker/process/proto.c"
#include "../../taskmq-worker/run/payload.c"

/* ---- what slot.c stands on ---- */

static char         outcome[256];     /* the last outcome, as text */
static unsigned     outcomes;
static tw_inst_t    inst;
static tw_inst_t   *idle;             /* what the pool offers */
static int          killed;           /* 1 TERM, 2 KILL */
static tw_slot_t   *running;
static unsigned     pauses;           /* of the claims */

void
tw_claim_pause(tw_worker_t *w, int64_t ms)
{
    (void) w;
    assert_in_range(ms, 100, 10000);
    pauses++;
}

void
tw_refused(tw_worker_t *w, tw_ask_t ask, const tq_result_t *res,
    const char *text)
{
    (void) w;
    assert_int_equal(ask, TW_ASK_PAYLOAD);
    assert_int_equal(res->status, TQ_REFUSED);
    assert_non_null(text);
}

void
tw_trouble_over(tw_worker_t *w, tw_ask_t ask)
{
    (void) w;
    assert_int_equal(ask, TW_ASK_PAYLOAD);
}

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
    idle = NULL;
    running = s;
    i->slot = s;
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

/* Calls to Redis: kept until the test answers them, or ends. */
static tq_call_t   *asked[8];
static unsigned     nasked;
static int          redis_full;       /* it takes none */

int
tw_rconn_call(tw_rconn_t *c, tq_call_t *call)
{
    (void) c;

    if (call == NULL || redis_full) {
        tq_call_free(call);
        return -1;
    }

    assert_true(nasked < UNIT_COUNT(asked));
    asked[nasked++] = call;

    return 0;
}

/* ---- a worker with four slots and one handler ---- */

static tw_options_t       options = { .concurrency = 4, .timeout_s = 30 };
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
    pool.n = 4;
    pool.waiting = 0;
    pool.wait_first = pool.wait_last = NULL;
    inst.pool = &pool;
    idle = &inst;
    outcome[0] = '\0';
    outcomes = 0;
    pauses = 0;
    killed = 0;
    running = NULL;
    nasked = 0;
    redis_full = 0;
    if (tq_ns_init(&w.ns, "ns", 2) != 0) {
        return -1;
    }

    return tw_slots_init(&w);
}

static int
teardown(void **state)
{
    unsigned  i;

    (void) state;
    for (i = 0; i < nasked; i++) {
        if (asked[i] != NULL) {
            free(asked[i]->data);
            tq_call_free(asked[i]);
        }
    }
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

#endif /* SLOT_RIG_H */
