/*
 * test_ops_shapes.c: decoders of tq_ops.h against replies that are not what
 * the scripts return. A good reply of each kind is cut short and has each of
 * its elements replaced in turn: a decoder then refuses it, or (an element it
 * does not need) answers as before; it never reads what is not there.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "decoders.h"

#define STATS_ZEROS  ":0", ":0", ":0", ":0", ":0", ":0", ":0", ":0", ":0", \
                     ":0", ":0", ":0", ":0", ":0", ":0"

typedef struct {
    const char          *name;
    decode_t             decode;
    unsigned             spare;     /* elements that may be anything */
    size_t               n;
    const char          *words[48];
} shape_t;

#define WORDS(...) \
    sizeof((const char *[]) { __VA_ARGS__ }) / sizeof(char *), { __VA_ARGS__ }

static const shape_t  shapes[] = {
    { "enqueue", decode_enqueue, 0, WORDS(":1", ":2", ":-3") },
    { "claim", decode_claim, 0, WORDS(":1763800000000", ":0", "1", ":0", RECORD,
        "9007199254740991", ":999", ASIDE) },
    { "verdict", decode_verdict, 0, WORDS(":0", ":4") },
    { "reap", decode_reap, 0, WORDS(":1763800000000", ":0", ":1", ":1") },
    { "extend", decode_extend, 0, WORDS(":0", ":1", ":0", ":4") },
    { "sweep", decode_sweep, 0, WORDS(":1000", ":1") },
    { "get", decode_get, 0, WORDS(RECORD, RUN, ":0") },
    { "list", decode_list, 0, WORDS(":5", "6", RECORD, RUN, ":0", "5", RECORD,
        "", ":1763800000000") },
    { "stats", decode_stats, 0, WORDS(":1763800000000", ":0", ":0", ":0", ":0",
        ":0", ":0", ":0", ":0", STATS_ZEROS, ":0", ":0", ":0", ":0", ":0", ":1",
        ":1", "email", ":1", ":2", ":3", ":4", ":5", ":0", W1, "host:1",
        ":1763800000000", "{}", ":1000", ":2000", ":3") },
    { "replay", decode_change, 0, WORDS(":0", ":9") },
    { "config", decode_config, 0, WORDS("selection", "fifo", "max_retries",
        "1") },
    { "probe", decode_probe, 0, WORDS(":5", ":1", ":-1") },
    { "wake", decode_wake, 2, WORDS("{shapes}:h:email:wake", "w", "0") },
};

#define SHAPES  (sizeof(shapes) / sizeof(shapes[0]))


static void
good(void **state)
{
    size_t       i;
    redisReply  *reply;

    (void) state;

    for (i = 0; i < SHAPES; i++) {
        reply = reply_array(shapes[i].words, shapes[i].n);
        if (shapes[i].decode(reply) != 0) {
            fail_msg("%s: the good reply is refused", shapes[i].name);
        }
        freeReplyObject(reply);
    }
}


static void
cut(void **state)
{
    size_t       i, n;
    redisReply  *reply;

    (void) state;

    for (i = 0; i < SHAPES; i++) {
        for (n = 0; n < shapes[i].n; n++) {
            reply = reply_array(shapes[i].words, n);

            /* settings come in pairs and none need be there; a change is the
             * change alone */
            if ((shapes[i].decode == decode_config && n % 2 == 0)
                || (shapes[i].decode == decode_change && n == 1))
            {
                (void) shapes[i].decode(reply);

            } else if (shapes[i].decode(reply) == 0) {
                fail_msg("%s: accepted with %zu elements", shapes[i].name, n);
            }
            freeReplyObject(reply);
        }
    }
}


/* What a script that was stopped on its way may leave: sums below 0. */
static int
below_0(const shape_t *shape, size_t n)
{
    return (shape->decode == decode_stats || shape->decode == decode_probe)
           && shape->words[n][0] == ':'
           && !(shape->decode == decode_probe && n == 2);
}


/* Each element in turn becomes something else. */
static void
replaced(void **state)
{
    size_t        i, n, k;
    const char   *words[48];
    redisReply   *reply, *odd;

    (void) state;

    static const char *const  odds[] = {
        "$-1\r\n", "*0\r\n", "*1\r\n:1\r\n", "-ERR no\r\n",
        ":-9223372036854775808\r\n",
    };

    for (i = 0; i < SHAPES; i++) {
        memcpy(words, shapes[i].words, sizeof(words));

        for (n = 0; n < shapes[i].n; n++) {
            for (k = 0; k < sizeof(odds) / sizeof(odds[0]); k++) {
                if (odds[k][0] == ':' && below_0(&shapes[i], n)) {
                    continue;
                }
                reply = reply_array(words, shapes[i].n);
                odd = reply_parse(odds[k]);
                freeReplyObject(reply->element[n]);
                reply->element[n] = odd;

                if (shapes[i].decode(reply) == 0
                    && n < shapes[i].n - shapes[i].spare)
                {
                    fail_msg("%s: accepted with element %zu as %s",
                        shapes[i].name, n, odds[k]);
                }
                freeReplyObject(reply);
            }
        }
    }
}


/* What follows the last whole item is no item. */
static void
extended(void **state)
{
    unsigned            i;
    redisReply         *reply;
    tq_worker_stats_t   w;

    (void) state;

    static const char *const  odd_claim[] = { ":1", ":0", "1", ":0" };
    static const char *const  odd_list[] = { ":0", "6", RECORD, RUN };
    static const char *const  odd_verdicts[] = { ":0", ":1", ":0" };
    static const char *const  workers[] = { ":1", ":0", ":0", ":0", ":0", ":0",
        ":0", ":0", ":0", STATS_ZEROS, ":0", ":0", ":0", ":0", ":0", ":0",
        ":2", W1, "1", ":1", "1", W1, "1", ":1", "1", ":7", ":8", ":9",
        ":5" };

    reply = reply_array(odd_claim, 4);
    assert_int_equal(decode_claim(reply), -1);
    freeReplyObject(reply);

    reply = reply_array(odd_list, 4);
    assert_int_equal(decode_list(reply), -1);
    freeReplyObject(reply);

    reply = reply_array(odd_verdicts, 3);
    assert_int_equal(decode_verdict(reply), -1);
    freeReplyObject(reply);

    /* two workers, and no queue */
    reply = reply_array(workers, 42);
    assert_int_equal(decode_stats(reply), 0);
    assert_int_equal(res->stats.queues, 0);
    assert_int_equal(res->stats.workers, 2);
    assert_int_equal(res->stats.finished_bytes, 7);
    assert_int_equal(res->stats.finished_max_bytes, 8);
    assert_int_equal(res->stats.finished_dropped, 9);
    for (i = 0; i < 2; i++) {
        tq_stats_worker(res, i, &w);
        assert_string_equal(w.id.p, W1);
        assert_int_equal(w.seen_ms, 1);
    }
    freeReplyObject(reply);

    reply = reply_array(workers, 43);
    assert_int_equal(decode_stats(reply), -1);
    freeReplyObject(reply);
}


/* A sum that is below 0 is shown as 0, and the others as they are. */
static void
sums_below_0(void **state)
{
    redisReply        *reply;
    tq_queue_stats_t   q;

    (void) state;

    static const char *const  stats[] = { ":1", ":-4", ":2", ":0", ":0", ":0",
        ":0", ":0", ":0", STATS_ZEROS, ":-7", ":0", ":-1", ":3", ":0", ":1",
        ":0", "q", ":5", ":-5", ":0", ":-1", ":0", ":0", ":-9", ":0", ":0" };
    static const char *const  probe[] = { ":-5", ":2", ":1", ":-3", ":4" };

    reply = reply_array(stats, sizeof(stats) / sizeof(stats[0]));
    assert_int_equal(decode(tq_stats_call(&ns, NULL, NULL), reply), 0);
    assert_int_equal(res->stats.received, 0);
    assert_int_equal(res->stats.success, 2);
    assert_int_equal(res->stats.waiting, 0);
    assert_int_equal(res->stats.running, 0);
    assert_int_equal(res->stats.dead, 3);
    assert_int_equal(res->stats.finished_bytes, 0);
    tq_stats_queue(res, 0, &q);
    assert_int_equal(q.received, 5);
    assert_int_equal(q.waiting, 0);
    assert_int_equal(q.running, 0);
    freeReplyObject(reply);

    reply = reply_array(probe, 5);
    assert_int_equal(decode_probe(reply), 0);
    assert_int_equal(res->probe.waiting, 0);
    assert_int_equal(res->probe.workers, 2);
    assert_int_equal(res->probe.bytes_full, -1);
    assert_int_equal(res->probe.memory_full, 4);
    freeReplyObject(reply);
}


/* Numbers as strings are as good as integers; other texts are not. */
static void
numbers(void **state)
{
    size_t       i;
    const char  *words[2];
    redisReply  *reply;

    (void) state;

    static const struct {
        const char  *text;
        int64_t      v;         /* 0: refused */
    } texts[] = {
        { "1", 1 }, { "9007199254740991", TQ_ID_MAX }, { "-1", -1 },
        { "9007199254740992", 0 }, { "99999999999999999999", 0 }, { "", 0 },
        { "--1", 0 }, { "x", 0 }, { "1x", 0 }, { " 1", 0 }, { "1.0", 0 },
        { "-4", TQ_ENQUEUE_PAYLOAD }, { "-5", 0 }, { "0", 0 }, { "+1", 0 },
    };
    static const char *const  each[] = { ":7", ":8", ":-2", "10" };
    static const int64_t      ids[] = { 7, 8, -2, 10 };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        /* "-" alone is nil in reply_array()'s words; here it is never alone */
        words[0] = texts[i].text;
        words[1] = "1";
        reply = reply_array(words, 2);
        assert_int_equal(decode(enqueue_call(2), reply),
            texts[i].v != 0 ? 0 : -1);
        if (texts[i].v != 0) {
            assert_int_equal(tq_enqueued(res, 0), texts[i].v);
        }
        freeReplyObject(reply);
    }

    reply = reply_array(each, 4);
    assert_int_equal(decode(enqueue_call(4), reply), 0);
    for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        assert_int_equal(tq_enqueued(res, (unsigned) i), ids[i]);
    }
    assert_int_equal(decode(enqueue_call(3), reply), -1);
    assert_int_equal(decode(enqueue_call(5), reply), -1);
    freeReplyObject(reply);
}


/* Replies that are no array at all, for every decoder. */
static void
scalars(void **state)
{
    size_t       i, k;
    redisReply  *reply;

    (void) state;

    static const decode_t  all[] = {
        decode_enqueue, decode_claim, decode_verdict, decode_reap,
        decode_extend, decode_sweep, decode_get, decode_list, decode_stats,
        decode_config, decode_probe, decode_wake, decode_logs, decode_kept,
        decode_uuid, decode_peek, decode_open, decode_change,
        decode_payload
    };
    static const char *const  odds[] = {
        "$-1\r\n", "*0\r\n", "*-1\r\n", ":77\r\n", "-ERR no\r\n",
        "-OOM command not allowed\r\n", "*3\r\n*0\r\n*0\r\n*0\r\n",
        "*1\r\n$-1\r\n", ":-1\r\n",
    };

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (k = 0; k < sizeof(odds) / sizeof(odds[0]); k++) {
            reply = reply_parse(odds[k]);
            if (all[i](reply) == 0 && !(all[i] == decode_config && k == 1)) {
                fail_msg("decoder %zu accepts %s", i, odds[k]);
            }
            freeReplyObject(reply);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(cut),
        cmocka_unit_test(replaced),
        cmocka_unit_test(extended),
        cmocka_unit_test(sums_below_0),
        cmocka_unit_test(numbers),
        cmocka_unit_test(scalars),
    };

    if (tq_ns_init(&ns, "shapes", 6) != 0) {
        return 1;
    }

    return cmocka_run_group_tests_name("ops_shapes", tests, NULL, NULL);
}
