/* Payloads that do not come with the claim: they are read, in time, once; what
 * waits keeps its order; what comes late is nobody's. */

#include "slot_rig.h"
#include "fail_alloc.h"
#include "replies.h"

#define PAYLOAD  "{\"a\":1}"

static void
take_aside(int64_t id, int64_t bytes)
{
    tq_claimed_t  job = { .id = id, .attempts = 1 };

    job.job.aside_bytes = bytes;
    (void) tw_slot_take(&run, &pool, &job, key);
    tw_payload_turn(&q);
}

/* The newest call asks for this job's payload. */
static void
assert_asked(int64_t id)
{
    char        want[64], got[128];
    tq_call_t  *call = asked[nasked - 1];

    snprintf(want, sizeof(want), "$3\r\nGET\r\n$%d\r\n{ns}:b:%lld\r\n",
        7 + snprintf(NULL, 0, "%lld", (long long) id), (long long) id);
    assert_in_range(call->body.len, 1, sizeof(got) - 1);
    memcpy(got, call->body.p, call->body.len);
    got[call->body.len] = '\0';
    assert_string_equal(got, want);
}

static void
answer(unsigned i, tq_call_result_t result, const char *resp)
{
    tq_call_t   *call = asked[i];
    redisReply  *reply = resp != NULL ? reply_parse(resp) : NULL;

    assert_non_null(call);
    asked[i] = NULL;
    call->cb(call, result, reply);
    tq_call_free(call);
    if (reply != NULL) {
        freeReplyObject(reply);
    }
}

/* The payload of `size` bytes comes. */
static void
answer_bytes(unsigned i, size_t size)
{
    char    *resp = malloc(size + 64);
    size_t   n = (size_t) sprintf(resp, "$%zu\r\n", size);

    memset(resp + n, ' ', size);
    resp[n] = '{';
    resp[n + size - 1] = '}';
    strcpy(resp + n + size, "\r\n");
    answer(i, TQ_CALL_REPLY, resp);
    free(resp);
}

static void
answer_payload(unsigned i)
{
    answer(i, TQ_CALL_REPLY, "$7\r\n" PAYLOAD "\r\n");
}

static void
assert_nothing_waits(void)
{
    assert_int_equal(pool.waiting, 0);
    assert_null(pool.wait_first);
    assert_null(pool.wait_last);
    assert_int_equal(q.claim.reading_bytes, 0);
}

static void
test_read_and_run(void **state)
{
    (void) state;
    take_aside(7, 7);
    assert_int_equal(nasked, 1);
    assert_asked(7);
    assert_null(running);
    assert_int_equal(run.busy, 1);
    assert_int_equal(pool.waiting, 1);
    assert_int_equal(q.claim.reading_bytes, 7);

    /* asked for once */
    tw_payload_turn(&q);
    tw_slots_place(&run, &pool);
    assert_int_equal(nasked, 1);
    assert_null(running);

    answer_payload(0);
    assert_int_equal(running->id, 7);
    assert_int_equal(running->state, TW_SLOT_RUNNING);
    tq_buf_addc(&running->line, '\0');
    assert_non_null(strstr(running->line.p, "\"task_data\":" PAYLOAD ","));
    running->line.len--;
    assert_int_equal(outcomes, 0);
    assert_nothing_waits();
    assert_int_equal(nasked, 1);

    /* its child died before it read the task: the payload is there */
    tw_slot_died(&run, running, 1, "gone");
    assert_int_equal(pool.waiting, 1);
    tw_payload_turn(&q);
    assert_int_equal(nasked, 1);
    idle = &instance;
    tw_slots_place(&run, &pool);
    assert_int_equal(running->id, 7);
    assert_nothing_waits();
}

/* What was claimed first runs first, whichever payload comes first. */
static void
test_order_is_kept(void **state)
{
    (void) state;
    take_aside(1, 7);
    take(2);
    take_aside(3, 7);
    assert_int_equal(nasked, 2);
    assert_null(running);
    assert_int_equal(pool.waiting, 3);

    answer_payload(1);
    tw_slots_place(&run, &pool);
    assert_null(running);

    answer_payload(0);
    assert_int_equal(running->id, 1);
    idle = &instance;
    tw_slots_place(&run, &pool);
    assert_int_equal(running->id, 2);
    idle = &instance;
    tw_slots_place(&run, &pool);
    assert_int_equal(running->id, 3);
    assert_nothing_waits();
    assert_int_equal(outcomes, 0);
}

/* A lost lease, and a worker that stops. The reply comes late: the slot is free
 * then, or another job's. */
static void
test_abort_while_reading(void **state)
{
    tw_slot_t  *s;

    (void) state;
    take_aside(1, 7);
    s = pool.wait_first;
    tw_slot_abort(&run, s, TW_END_DROP, 0);
    assert_int_equal(s->state, TW_SLOT_FREE);
    assert_int_equal(outcomes, 0);
    assert_int_equal(run.counts.lost, 1);
    assert_int_equal(run.busy, 0);
    assert_int_equal(q.claim.reading_bytes, 7);

    /* the same slot: what was asked for the job before is not this one's */
    take_aside(2, 9);
    assert_ptr_equal(pool.wait_first, s);
    assert_int_equal(nasked, 2);
    assert_asked(2);
    answer_payload(0);
    assert_int_equal(s->state, TW_SLOT_WAITING);
    assert_null(running);
    assert_int_equal(q.claim.reading_bytes, 9);
    answer_bytes(1, 9);
    assert_int_equal(running->id, 2);
    assert_nothing_waits();
    assert_int_equal(outcomes, 0);
}

static void
test_release_while_reading(void **state)
{
    (void) state;
    take_aside(1, 7);
    take_aside(2, 7);
    tw_slots_release_waiting(&run, &pool);
    assert_int_equal(outcomes, 2);
    assert_string_equal(outcome, "release 2 result= error= retryable=0 log=");
    assert_int_equal(run.busy, 0);

    answer_payload(0);
    answer(1, TQ_CALL_UNKNOWN, NULL);
    assert_null(running);
    assert_int_equal(outcomes, 2);
    assert_int_equal(run.busy, 0);
    assert_nothing_waits();

    /* a job that came with its payload is in that slot: it has no late one */
    take_aside(3, 7);
    tw_slot_abort(&run, pool.wait_first, TW_END_RELEASE, 0);
    idle = NULL;
    take(4);
    answer_payload(2);
    assert_int_equal(pool.waiting, 1);
    idle = &instance;
    tw_slots_place(&run, &pool);
    assert_int_equal(running->id, 4);
    assert_nothing_waits();
}

/* Whether the job can run is not known: another may try. */
static void
test_not_read(void **state)
{
    unsigned     i;
    static const struct {
        tq_call_result_t   result;
        const char        *resp;
    } t[] = {
        { TQ_CALL_NOT_SENT, NULL }, { TQ_CALL_UNKNOWN, NULL },
        { TQ_CALL_REPLY, "-LOADING Redis is loading\r\n" },
        { TQ_CALL_REPLY, "-NOPERM no permissions\r\n" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        take_aside(7, 7);
        answer(i, t[i].result, t[i].resp);
        assert_string_equal(outcome,
            "release 7 result= error= retryable=0 log=");
        assert_int_equal(outcomes, i + 1);
        assert_null(running);
        assert_int_equal(run.busy, 0);
        assert_nothing_waits();
        /* refused, it is not claimed again at once */
        assert_int_equal(pauses, i < 2 ? 0 : i - 1);
    }

    redis_full = 1;
    take_aside(8, 7);
    assert_string_equal(outcome, "release 8 result= error= retryable=0 log=");
    assert_int_equal(run.busy, 0);
    assert_nothing_waits();
}

/* It can never run: it must not come back for ever. */
static void
test_cannot_run(void **state)
{
    unsigned     i;
    static const struct {
        const char  *resp, *error;
    } t[] = {
        { "$-1\r\n", "its payload is not in Redis any more" },
        { "$6\r\n{\"a\":}\r\n", "its payload in Redis is damaged" },
        { "$8\r\n{\"a\":10}\r\n", "its payload in Redis is damaged" },
        { "$7\r\n[\"a\",1]\r\n", "its payload in Redis is damaged" },
        { "$0\r\n\r\n", "its payload in Redis is damaged" },
        { ":7\r\n", "its payload in Redis is damaged" },
        { "-WRONGTYPE Operation against a key\r\n",
          "its payload in Redis is damaged" },
    };
    char         want[128];

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        take_aside(7, 7);
        answer(i, TQ_CALL_REPLY, t[i].resp);
        snprintf(want, sizeof(want), "fail 7 result= error=%s retryable=-1 "
            "log=", t[i].error);
        assert_string_equal(outcome, want);
        assert_int_equal(outcomes, i + 1);
        assert_null(running);
        assert_nothing_waits();
    }

    /* what waited behind it does not */
    take_aside(8, 7);
    take(9);
    assert_null(running);
    answer(i, TQ_CALL_REPLY, "$-1\r\n");
    tw_slots_place(&run, &pool);
    assert_int_equal(running->id, 9);
    assert_nothing_waits();
}

/* So many bytes at a time; one that is larger is read alone. */
static void
test_bytes_at_a_time(void **state)
{
    (void) state;
    idle = NULL;
    take_aside(1, TQ_CLAIM_BYTES - 7);
    take_aside(2, 7);
    assert_int_equal(nasked, 2);
    take_aside(3, TQ_CLAIM_BYTES + 1);
    take_aside(4, 7);
    assert_int_equal(nasked, 2);
    assert_int_equal(q.claim.reading_bytes, TQ_CLAIM_BYTES);

    answer_bytes(0, TQ_CLAIM_BYTES - 7);
    assert_int_equal(nasked, 2);
    answer_payload(1);
    assert_int_equal(nasked, 3);
    assert_asked(3);
    assert_int_equal(q.claim.reading_bytes, TQ_CLAIM_BYTES + 1);
    answer_bytes(2, TQ_CLAIM_BYTES + 1);
    assert_int_equal(nasked, 4);
    assert_asked(4);
    answer_payload(3);
    assert_int_equal(q.claim.reading_bytes, 0);
    assert_int_equal(pool.waiting, 4);
    assert_int_equal(outcomes, 0);

    tw_slots_release_waiting(&run, &pool);
    assert_nothing_waits();
}

/* Every allocation fails in turn, while it is asked for and when it comes. */
static void
test_no_memory(void **state)
{
    int          i, asks;
    unsigned     ended, runs = 0;
    static char  large[1000];       /* its line grows in steps */

    (void) state;
    memset(large, ' ', sizeof(large));
    large[0] = '{';
    large[sizeof(large) - 1] = '}';

    for (i = 0; runs == 0; i++) {
        assert_true(i < 50);
        ended = outcomes;
        idle = &instance;
        nasked = 0;
        running = NULL;

        fail_alloc_from(i);
        take_aside(7, sizeof(large));
        asks = fail_alloc_calls;
        fail_alloc_from(-1);

        if (nasked != 0) {
            fail_alloc_from(i >= asks ? i - asks : 0);
            asked[0]->cb(asked[0], TQ_CALL_REPLY, &(redisReply) {
                .type = REDIS_REPLY_STRING, .str = large,
                .len = sizeof(large) });
            fail_alloc_from(-1);
            tq_call_free(asked[0]);
            asked[0] = NULL;
        }

        if (running != NULL) {
            runs++;
            tw_slot_died(&run, running, 0, "gone");
        } else {
            assert_string_equal(outcome,
                "release 7 result= error= retryable=0 log=");
        }
        assert_int_equal(outcomes, ended + 1);
        assert_int_equal(run.busy, 0);
        assert_nothing_waits();

        /* what the slot kept for the next job was all there was */
        tq_buf_free(&run.free_slots->line);
    }

    assert_true(i > 3);
}

int
main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest  tests[] = {
        T(test_read_and_run), T(test_order_is_kept),
        T(test_abort_while_reading), T(test_release_while_reading),
        T(test_not_read), T(test_cannot_run), T(test_bytes_at_a_time),
        T(test_no_memory),
    };

    return cmocka_run_group_tests_name("worker_payload", tests, NULL, NULL);
}
