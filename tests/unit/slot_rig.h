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
#include "../../taskmq-worker/queue/payload.c"

/* ---- what slot.c stands on ---- */

static char         outcome[256];     /* the last outcome, as text */
static unsigned     outcomes;
static tw_instance_t    instance;
static tw_instance_t   *idle;             /* what the pool offers */
static int          killed;           /* 1 TERM, 2 KILL */
static tw_slot_t   *running;
static unsigned     pauses;           /* of the claims */
static unsigned     freed;            /* slots */

void
tw_claim_pause(tw_queue_t *queue, int64_t ms)
{
    (void) queue;
    assert_in_range(ms, 100, 10000);
    pauses++;
}

void
tw_refused(tw_queue_t *queue, tw_call_kind_t call, const tq_result_t *res,
    const char *text)
{
    (void) queue;
    assert_int_equal(call, TW_CALL_PAYLOAD);
    assert_int_equal(res->status, TQ_REFUSED);
    assert_non_null(text);
}

void
tw_trouble_over(tw_queue_t *queue, tw_call_kind_t call)
{
    (void) queue;
    assert_int_equal(call, TW_CALL_PAYLOAD);
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

tw_instance_t *
tw_pool_pick(tw_pool_t *p)
{
    (void) p;
    return idle;
}

int
tw_instance_run(tw_instance_t *i, tw_slot_t *s)
{
    idle = NULL;
    running = s;
    i->slot = s;
    return 0;
}

void
tw_instance_kill(tw_instance_t *i, int hard)
{
    (void) i;
    killed = hard ? 2 : 1;
}

static void
on_outcome(void *data, tw_outcome_kind_t kind, const tq_outcome_t *o)
{
    (void) data;
    outcomes++;
    snprintf(outcome, sizeof(outcome), "%s %lld result=%.*s error=%.*s "
        "retryable=%d log=%.*s", kind == TW_OUTCOME_COMPLETE ? "complete"
        : kind == TW_OUTCOME_FAIL ? "fail" : "release", (long long) o->id,
        (int) o->result.len, o->result.p ? o->result.p : "",
        (int) o->error.len, o->error.p ? o->error.p : "", o->retryable,
        (int) o->log.len, o->log.p ? o->log.p : "");
}

static void
on_free(void *data)
{
    (void) data;
    freed++;
}

static const tw_run_events_t  events = { on_outcome, on_free };

/* As run.c's. */
void
tw_run_free_place(tw_run_t *r)
{
    r->events->free(r->data);
}

void
tw_claim_refuse(tw_queue_t *queue, tw_pool_t *p)
{
    (void) queue;
    p->refused = 1;
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
static tw_run_t           run;
static tw_queue_t         q;
static const unsigned char  key[TQ_UUID_KEY_LEN];
static int                given_back;  /* tw_slot_take() said so */

static int
setup(void **state)
{
    (void) state;
    memset(&run, 0, sizeof(run));
    memset(&q, 0, sizeof(q));
    run.o = q.o = &options;
    run.phase = TW_RUNNING;
    run.events = &events;
    q.run = &run;
    pool.run = &run;
    pool.refused = 0;
    pool.n = 4;
    pool.waiting = 0;
    pool.wait_first = pool.wait_last = NULL;
    instance.pool = &pool;
    idle = &instance;
    outcome[0] = '\0';
    outcomes = 0;
    pauses = 0;
    freed = 0;
    killed = 0;
    running = NULL;
    nasked = 0;
    redis_full = 0;
    if (tq_ns_init(&q.ns, "ns", 2) != 0) {
        return -1;
    }

    return tw_slots_init(&run);
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
    tw_slots_free(&run);
    return 0;
}

static tw_slot_t *
take(int64_t id)
{
    tq_claimed_t  job = { .id = id, .attempts = 1 };

    job.job.payload = tq_str("{\"a\":1}");
    given_back = tw_slot_take(&run, &pool, &job, key);

    return running;
}

#endif /* SLOT_RIG_H */
