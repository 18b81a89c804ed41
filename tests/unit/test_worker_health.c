/* What /healthz and systemd's watchdog are told: alive means that claiming
 * works. The connection and the clock are played by this test. */

#include "unit.h"

#include "../../taskmq-worker/health/health.c"

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

static tw_options_t       options = { .concurrency = 2 };
static tw_handler_conf_t  conf = { .name = "h" };
static tw_inst_t          inst;
static tw_pool_t          pool = { .conf = &conf, .n = 1, .inst = &inst };
static tw_pool_t         *pools[] = { &pool };
static tw_worker_t        w;

/* Connected, one idle instance, a claim answered just now. */
static int
setup(void **state)
{
    (void) state;
    memset(&w, 0, sizeof(w));
    w.o = &options;
    w.phase = TW_RUNNING;
    w.pools = pools;
    w.npools = 1;
    pool.idle = 1;
    pool.waiting = 0;
    pool.fails = 0;
    ready = 1;
    now_ms = 1000000;
    w.claim.last_ok_ms = (int64_t) now_ms;
    w.lease.connected_ms = 1000;

    return 0;
}

static void
test_well(void **state)
{
    (void) state;
    assert_null(tw_health_why(&w));
    assert_int_equal(tw_health_stuck(&w), 0);
    now_ms += STUCK_MS;
    assert_int_equal(tw_health_stuck(&w), 0);
}

/* Free slots, Redis there, and no claim: systemd gets no sign of life. */
static void
test_stuck(void **state)
{
    (void) state;
    now_ms += STUCK_MS + 1;
    assert_int_equal(tw_health_stuck(&w), 1);
    assert_string_equal(tw_health_why(&w),
        "no claim was answered for a while");

    /* all slots at work: no claim is due */
    w.busy = 2;
    assert_int_equal(tw_health_stuck(&w), 0);
    w.busy = 0;

    /* the handler's places are */
    pool.idle = 0;
    assert_int_equal(tw_health_stuck(&w), 0);
    pool.idle = 1;

    /* a restart would not help */
    ready = 0;
    assert_int_equal(tw_health_stuck(&w), 0);
    assert_string_equal(tw_health_why(&w), "Redis is away");
    ready = 1;
    w.claim.refusals = 1;
    assert_int_equal(tw_health_stuck(&w), 0);
    assert_string_equal(tw_health_why(&w), "Redis refuses claims");
    w.claim.refusals = 0;

    /* connected a moment ago, draining */
    w.lease.connected_ms = (int64_t) now_ms;
    assert_int_equal(tw_health_stuck(&w), 0);
    w.lease.connected_ms = 0;
    w.phase = TW_DRAINING;
    assert_int_equal(tw_health_stuck(&w), 0);
    assert_string_equal(tw_health_why(&w), "stopping");
}

/* Asked again and again, each time on a new connection. */
static void
test_unanswered(void **state)
{
    (void) state;
    w.claim.in_flight = 1;
    w.claim.unanswered_ms = (int64_t) now_ms;
    w.lease.connected_ms = (int64_t) now_ms;
    now_ms += UNANSWERED_MS;
    assert_null(tw_health_why(&w));
    now_ms++;
    assert_string_equal(tw_health_why(&w),
        "no claim was answered for a while");
    w.claim.in_flight = 0;
    assert_null(tw_health_why(&w));

    /* the connection is new: it will be asked again in a moment */
    w.claim.want = 1;
    assert_string_equal(tw_health_why(&w),
        "no claim was answered for a while");
    pool.idle = 0;
    w.busy = options.concurrency;
    assert_null(tw_health_why(&w));     /* there is nothing to ask for */
}

static void
test_no_handler_can_start(void **state)
{
    (void) state;
    pool.fails = 1;
    assert_null(tw_health_why(&w));     /* the one that is there works */
    pool.idle = 0;
    inst.state = TW_INST_BUSY;
    assert_null(tw_health_why(&w));
    inst.state = TW_INST_DOWN;
    assert_string_equal(tw_health_why(&w), "no handler can start");
}

static void
says(const char *expected)
{
    tq_buf_t  b = {0};

    tw_health_json(&b, &w);
    assert_string_equal(tq_buf_cstr(&b), expected);
    tq_buf_free(&b);
}

/* /healthz byte by byte: others read it. */
static void
test_json(void **state)
{
    tw_pool_t           two = { .conf = &(tw_handler_conf_t) { .name = "b.c" },
                                .n = 1, .inst = &inst, .idle = 7 };
    tw_pool_t           builtin = { .conf = &conf };
    tw_pool_t          *three[] = { &pool, &builtin, &two };

    (void) state;
    strcpy(w.name, "host:1");
    says("{\"status\":\"ok\",\"worker\":\"host:1\",\"running\":0,"
        "\"concurrency\":2,\"pools\":{\"h\":{\"active\":0,\"idle\":1}}}\n");

    w.pools = three;
    w.npools = 3;
    w.busy = 1;
    pool.fails = 1;
    ready = 0;
    says("{\"status\":\"error\",\"detail\":\"Redis is away: not now\","
        "\"worker\":\"host:1\",\"running\":1,\"concurrency\":2,\"pools\":{"
        "\"h\":{\"active\":0,\"idle\":1,\"failing\":true},"
        "\"b.c\":{\"active\":0,\"idle\":7}}}\n");

    w.npools = 0;
    ready = 1;
    w.phase = TW_DRAINING;
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
