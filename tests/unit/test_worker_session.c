/* What is asked on a new connection before the worker claims: a call that
 * cannot be handed over is asked again, and does not leave the gate shut until
 * the next connection. The connection and the timer are played by this test. */

#include "unit.h"

#include "../../taskmq-worker/queue/session.c"
#include "../../taskmq-worker/queue/trouble.c"

static int           refuse;      /* bits: which calls cannot be handed over */
static int           no_random;
static unsigned      asked;
static uv_timer_cb   armed;
static tq_done_t     calls[16];
static tw_options_t  options = { .ns = "x", .url = { .user = "" } };
static tw_queue_t    q;
static tw_run_t      run;

int
tw_rconn_call(tw_rconn_t *c, tq_call_t *call)
{
    (void) c;
    assert_non_null(call);
    if (refuse & 1 << asked++) {
        tq_call_free(call);
        return -1;
    }

    calls[asked - 1] = tq_done_swap(call, (tq_done_t) { NULL, NULL });
    tq_call_free(call);

    return 0;
}

int
tw_rconn_ready(const tw_rconn_t *c)
{
    (void) c;
    return 1;
}

uint64_t
uv_now(const uv_loop_t *loop)
{
    (void) loop;
    return 1000000;
}

int
uv_random(uv_loop_t *loop, uv_random_t *req, void *buf, size_t len,
    unsigned flags, uv_random_cb cb)
{
    (void) loop;
    (void) req;
    (void) flags;
    (void) cb;
    memset(buf, 'k', len);

    return no_random ? UV_EIO : 0;
}

int
uv_timer_init(uv_loop_t *loop, uv_timer_t *t)
{
    (void) loop;
    (void) t;
    return 0;
}

int
uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t ms, uint64_t repeat)
{
    (void) t;
    (void) ms;
    (void) repeat;
    armed = cb;
    return 0;
}

int
uv_timer_stop(uv_timer_t *t)
{
    (void) t;
    armed = NULL;
    return 0;
}

int
uv_is_active(const uv_handle_t *h)
{
    (void) h;
    return armed != NULL;
}

void
uv_close(uv_handle_t *h, uv_close_cb cb)
{
    (void) h;
    (void) cb;
}

unsigned
tw_queue_outcomes(tw_queue_t *queue)
{
    (void) queue;
    return 0;
}

void
tw_outcomes_each(tw_queue_t *queue,
    void (*f)(void *data, int64_t id, const tq_token_t *token), void *data)
{
    (void) queue;
    (void) f;
    (void) data;
}

static void
on_hopeless(void *data)
{
    (void) data;
    fail();
}

static const tw_queue_events_t  events = { .hopeless = on_hopeless };

void
tw_log_fields(tw_level_t level, const char *msg, const tw_field_t *fields)
{
    (void) level;
    (void) msg;
    (void) fields;
}

int
tw_log_on(tw_level_t level)
{
    (void) level;
    return 0;
}

static void
on_recovered(void *data, const tq_result_t *res)
{
    tw_session_recovered(data, res);
}

/* What lease.c asks for is not of interest here. */
int
tw_lease_recover(tw_queue_t *queue)
{
    return tw_rconn_call(NULL, tq_uuid_peek_call(&queue->ns, on_recovered,
        queue));
}

/* Redis answers all that was asked. */
static void
answer(void)
{
    unsigned     i;
    tq_result_t  res = { .status = TQ_OK, .text = "", .found = 1 };

    for (i = 0; i < asked; i++) {
        if (calls[i].cb == on_probe) {
            res.probe = (tq_probe_t) { .noeviction = 1 };
        } else if (calls[i].cb == on_uuid_key) {
            memset(res.key, 'k', sizeof(res.key));
        }

        if (calls[i].cb != NULL) {
            calls[i].cb(calls[i].data, &res);
            calls[i].cb = NULL;
        }
    }

    asked = 0;
}

static void
open_after(int refused, int random_fails)
{
    uv_timer_cb  cb;

    memset(&q, 0, sizeof(q));
    memset(calls, 0, sizeof(calls));
    q.o = &options;
    q.run = &run;
    q.events = &events;
    q.session.seeded = 1;
    run.phase = TW_RUNNING;
    (void) tq_ns_init(&q.ns, "x", 1);
    (void) tw_session_init(&q);
    armed = NULL;
    asked = 0;
    refuse = refused;
    no_random = random_fails;

    tw_session_ready(&q);
    answer();
    assert_int_equal(q.session.gate != 0, refused != 0 || random_fails);
    assert_int_equal(armed != NULL, refused != 0 || random_fails);

    refuse = 0;
    no_random = 0;
    if (armed != NULL) {
        cb = armed;
        armed = NULL;
        cb(&q.session.retry);
        answer();
    }

    assert_int_equal(q.session.gate, 0);
    assert_null(armed);
    assert_int_equal(q.claim.want, 1);
}

/* What Redis refuses is asked again, whatever it was and whyever. */
static void
answers_that_fail(void **state)
{
    unsigned     i;
    tq_done_t    bad;
    tq_result_t  res = { .status = TQ_REFUSED, .err = TQ_ERR_LOADING,
                         .text = "LOADING" };

    (void) state;
    for (i = 0; i < 6; i++) {
        open_after(0, 0);
        res.odd = i & 1;
        tw_session_ready(&q);
        if (i < 4) {
            q.session.gate |= TW_GATE_UUID;
            on_uuid_key(&q, &res);
        }
        assert_in_range(asked, 2, 3);
        bad = calls[i / 2 % asked];
        calls[i / 2 % asked].cb = NULL;
        bad.cb(bad.data, &res);
        assert_int_not_equal(q.session.gate, 0);
        assert_non_null(armed);
        answer();
        assert_int_not_equal(q.session.gate, 0);
        armed(&q.session.retry);
        armed = NULL;
        answer();
        assert_int_equal(q.session.gate, 0);
    }
}

/* Of what is not answered nothing is learnt: the next connection asks. */
static void
no_answers(void **state)
{
    (void) state;
    open_after(0, 0);
    tw_session_ready(&q);
    while (asked-- != 0) {
        if (calls[asked].cb != on_recovered) {
            calls[asked].cb(calls[asked].data, &tq_not_sent);
        }
    }
    asked = 0;
    assert_null(armed);
    assert_int_not_equal(q.session.gate, 0);
}

/* The key is looked at: another one, none, a refusal. */
static void
looking(void **state)
{
    tq_result_t  res = { .status = TQ_OK, .text = "", .found = 1 };

    (void) state;
    open_after(0, 0);
    memset(res.key, 'x', sizeof(res.key));
    on_key_checked(&q, &res);
    assert_int_equal(q.session.gate, 0);
    assert_int_equal(q.session.key[0], 'x');

    on_key_checked(&q, &tq_not_sent);
    assert_int_equal(q.session.gate, 0);

    res.found = 0;
    on_key_checked(&q, &res);
    assert_int_equal(q.session.gate, TW_GATE_UUID);
    answer();
    assert_int_equal(q.session.gate, 0);
    assert_int_equal(q.session.key[0], 'k');

    res = (tq_result_t) { .status = TQ_REFUSED, .err = TQ_ERR_BUSY,
                          .text = "BUSY" };
    on_key_checked(&q, &res);
    assert_int_equal(q.session.gate, TW_GATE_UUID);
    assert_non_null(armed);
}

static void
calls_that_fail(void **state)
{
    int  refused;

    (void) state;
    for (refused = 0; refused < 8; refused++) {
        open_after(refused, 0);
    }

    open_after(0, 1);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(calls_that_fail),
        cmocka_unit_test(answers_that_fail),
        cmocka_unit_test(no_answers),
        cmocka_unit_test(looking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
