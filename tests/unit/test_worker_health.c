/* What /healthz and systemd's watchdog are told: alive means that claiming
 * works. The connection and the clock are played by this test. */

#include "unit.h"

#include "../../taskmq-worker/health/health.c"
#include "../../taskmq-worker/queue/state.c"
#include "../../taskmq-worker/run/pools.c"

static int       ready;
static uint64_t  now_ms;

uint64_t
uv_now(const uv_loop_t *loop)
{
    (void) loop;
    return now_ms;
}

int
tw_rconn_ready(const tw_rconn_t *c)
{
    (void) c;
    return ready;
}

const char *
tw_rconn_why(const tw_rconn_t *c)
{
    (void) c;
    return ready ? "" : "not now";
}

/* ---- what pools.c calls and nothing here does ---- */

tw_pool_t *
tw_pool_new(tw_run_t *r, tw_handler_conf_t *c)
{
    (void) r;
    (void) c;
    fail();
    return NULL;
}

void
tw_pool_stop(tw_pool_t *p, tw_stop_t how)
{
    (void) p;
    (void) how;
    fail();
}

void
tw_pool_close(tw_pool_t *p)
{
    (void) p;
    fail();
}

void
tw_pool_check_life(tw_pool_t *p)
{
    (void) p;
    fail();
}

void
tw_slots_place(tw_run_t *r, tw_pool_t *p)
{
    (void) r;
    (void) p;
    fail();
}

static tw_options_t       options = { .concurrency = 2 };
static tw_handler_conf_t  conf = { .name = "h" };
static tw_instance_t      instance;
static tw_pool_t          pool = { .conf = &conf, .n = 1,
                                   .instances = &instance };
static tw_pool_t         *pools[] = { &pool };
static tw_run_t           run;
static tw_queue_t         q;

/* Connected, one idle instance, a claim answered just now. */
static int
setup(void **state)
{
    (void) state;
    memset(&q, 0, sizeof(q));
    memset(&run, 0, sizeof(run));
    q.o = run.o = &options;
    q.run = &run;
    run.phase = TW_RUNNING;
    run.pools = pools;
    run.npools = 1;
    pool.idle = 1;
    pool.waiting = 0;
    pool.fails = 0;
    ready = 1;
    now_ms = 1000000;
    q.claim.last_ok_ms = (int64_t) now_ms;
    q.lease.connected_ms = 1000;

    return 0;
}

static void
test_well(void **state)
{
    (void) state;
    assert_null(tw_health_why(&q));
    assert_int_equal(tw_queue_is_stuck(&q), 0);
    now_ms += STUCK_MS;
    assert_int_equal(tw_queue_is_stuck(&q), 0);
}

/* Free slots, Redis there, and no claim: systemd gets no sign of life. */
static void
test_stuck(void **state)
{
    (void) state;
    now_ms += STUCK_MS + 1;
    assert_int_equal(tw_queue_is_stuck(&q), 1);
    assert_string_equal(tw_health_why(&q),
        "no claim was answered for a while");

    /* all slots at work: no claim is due */
    run.busy = 2;
    assert_int_equal(tw_queue_is_stuck(&q), 0);
    run.busy = 0;

    /* the handler's places are */
    pool.idle = 0;
    assert_int_equal(tw_queue_is_stuck(&q), 0);
    pool.idle = 1;

    /* a restart would not help */
    ready = 0;
    assert_int_equal(tw_queue_is_stuck(&q), 0);
    assert_string_equal(tw_health_why(&q), "Redis is away");
    ready = 1;
    q.claim.refusals = 1;
    assert_int_equal(tw_queue_is_stuck(&q), 0);
    assert_string_equal(tw_health_why(&q), "Redis refuses claims");
    q.claim.refusals = 0;

    /* connected a moment ago, draining */
    q.lease.connected_ms = (int64_t) now_ms;
    assert_int_equal(tw_queue_is_stuck(&q), 0);
    q.lease.connected_ms = 0;
    run.phase = TW_DRAINING;
    assert_int_equal(tw_queue_is_stuck(&q), 0);
    assert_string_equal(tw_health_why(&q), "stopping");
}

/* Asked again and again, each time on a new connection. */
static void
test_unanswered(void **state)
{
    (void) state;
    q.claim.in_flight = 1;
    q.claim.unanswered_ms = (int64_t) now_ms;
    q.lease.connected_ms = (int64_t) now_ms;
    now_ms += UNANSWERED_MS;
    assert_null(tw_health_why(&q));
    now_ms++;
    assert_string_equal(tw_health_why(&q),
        "no claim was answered for a while");
    q.claim.in_flight = 0;
    assert_null(tw_health_why(&q));

    /* the connection is new: it will be asked again in a moment */
    q.claim.want = 1;
    assert_string_equal(tw_health_why(&q),
        "no claim was answered for a while");
    pool.idle = 0;
    run.busy = options.concurrency;
    assert_null(tw_health_why(&q));     /* there is nothing to ask for */
}

static void
test_no_handler_can_start(void **state)
{
    (void) state;
    pool.fails = 1;
    assert_null(tw_health_why(&q));     /* the one that is there works */
    pool.idle = 0;
    instance.state = TW_INSTANCE_BUSY;
    assert_null(tw_health_why(&q));
    instance.state = TW_INSTANCE_DOWN;
    assert_string_equal(tw_health_why(&q), "no handler can start");
}

static void
says(const char *expected)
{
    tq_buf_t  b = {0};

    tw_health_json(&b, &q);
    assert_string_equal(tq_buf_cstr(&b), expected);
    tq_buf_free(&b);
}

/* /healthz byte by byte: others read it. */
static void
test_json(void **state)
{
    tw_pool_t           two = { .conf = &(tw_handler_conf_t) { .name = "b.c" },
                                .n = 1, .instances = &instance, .idle = 7 };
    tw_pool_t           builtin = { .conf = &conf };
    tw_pool_t          *three[] = { &pool, &builtin, &two };

    (void) state;
    strcpy(q.name, "host:1");
    says("{\"status\":\"ok\",\"worker\":\"host:1\",\"running\":0,"
        "\"concurrency\":2,\"pools\":{\"h\":{\"active\":0,\"idle\":1}}}\n");

    run.pools = three;
    run.npools = 3;
    run.busy = 1;
    pool.fails = 1;
    ready = 0;
    says("{\"status\":\"error\",\"detail\":\"Redis is away: not now\","
        "\"worker\":\"host:1\",\"running\":1,\"concurrency\":2,\"pools\":{"
        "\"h\":{\"active\":0,\"idle\":1,\"failing\":true},"
        "\"b.c\":{\"active\":0,\"idle\":7}}}\n");

    run.npools = 0;
    ready = 1;
    run.phase = TW_DRAINING;
    says("{\"status\":\"error\",\"detail\":\"stopping\",\"worker\":"
        "\"host:1\",\"running\":1,\"concurrency\":2,\"pools\":{}}\n");
}

int
main(void)
{
#define T(f)  cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest  tests[] = {
        T(test_well), T(test_stuck), T(test_unanswered),
        T(test_no_handler_can_start), T(test_json),
    };

    return cmocka_run_group_tests_name("worker_health", tests, NULL, NULL);
}
