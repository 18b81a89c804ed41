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

#include "records.h"
#include "replies.h"
#include "tq_ops.h"

#define W1      "00000000000000a1"
#define RECORD  RECORD_HEAD "{\"to\":\"a\"}"
#define ASIDE   "1o 010 f t-- 1763800000000 email t=7 b=5000\n"
#define RUN     RUN_TEXT("R", RUN_NEVER, RUN_TOKEN, RUN_STARTED, "001", "0", \
                    "0000000000", "00002", "host:4242") "no[1]"

static tq_ns_t            ns;
static const tq_token_t   token = { "00000000001f" W1 };

/* 0 when the whole reply was understood. */
typedef int (*decode_t)(const redisReply *reply);


static int
decode_enqueue(const redisReply *reply)
{
    int64_t  v;

    return tq_enqueue_result(reply, 0, &v) | tq_enqueue_result(reply, 2, &v);
}


static int
decode_claim(const redisReply *reply)
{
    tq_claimed_t     c;
    tq_claim_head_t  head;

    if (tq_claim_job(reply, &token, 0, &c) == 0) {
        assert_in_range(c.id, 1, TQ_ID_MAX);
        assert_memory_equal(c.token.t, token.t, TQ_LEASE_TOKEN_LEN);
        assert_string_equal(c.job.handler, "email");
    }

    return tq_claim_head(reply, &head) | tq_claim_job(reply, &token, 0, &c)
           | tq_claim_job(reply, &token, 1, &c) | (head.jobs == 2 ? 0 : -1);
}


static int
decode_verdict(const redisReply *reply)
{
    tq_verdict_t  v;

    return tq_verdict(reply, 0, &v) | tq_verdict(reply, 1, &v);
}


static int
decode_reap(const redisReply *reply)
{
    tq_reaped_t  r;

    return tq_reap_result(reply, &r);
}


static int
decode_extend(const redisReply *reply)
{
    int           more;
    unsigned      n;
    tq_verdict_t  v;

    return tq_extend_result(reply, &n, &more) | tq_extend_verdict(reply, 0, &v)
           | tq_extend_verdict(reply, 1, &v);
}


static int
decode_sweep(const redisReply *reply)
{
    int       more;
    unsigned  n;

    return tq_sweep_result(reply, &n, &more);
}


static int
decode_payload(const redisReply *reply)
{
    tq_str_t  payload;

    return tq_payload_result(reply, 2, &payload) == 1 ? 0 : -1;
}


static int
decode_get(const redisReply *reply)
{
    tq_job_info_t  info;

    return tq_get_result(reply, 7, &info) == 1 ? 0 : -1;
}


static int
decode_list(const redisReply *reply)
{
    int64_t        cursor;
    unsigned       n;
    tq_job_info_t  info;

    return tq_list_head(reply, &cursor, &n) | tq_list_job(reply, 0, &info)
           | tq_list_job(reply, 1, &info) | (n == 2 ? 0 : -1);
}


static int
decode_stats(const redisReply *reply)
{
    int64_t           seen;
    tq_str_t          id, name, info;
    tq_stats_t        s;
    tq_queue_stats_t  q;

    return tq_stats_result(reply, &s) | tq_stats_queue(reply, 0, &q)
           | tq_stats_worker(reply, 0, &id, &name, &seen, &info);
}


static int
decode_change(const redisReply *reply)
{
    int64_t      id;
    tq_change_t  c;

    return tq_change_result(reply, &c, &id) | tq_change_result(reply, &c, NULL);
}


static int
decode_config(const redisReply *reply)
{
    int       rc;
    tq_str_t  name, value;
    unsigned  i;

    for (i = 0; (rc = tq_config_pair(reply, i, &name, &value)) == 1; i++) {
        assert_true(name.len != 0);
    }

    return rc;
}


static int
decode_probe(const redisReply *reply)
{
    int      noeviction;
    int64_t  waiting, workers;

    return tq_probe_result(reply, &waiting, &workers, &noeviction);
}


static int
decode_wake(const redisReply *reply)
{
    tq_str_t  handler;

    return tq_wake_result(reply, &ns, &handler) == 1 ? 0 : -1;
}


static int
decode_logs(const redisReply *reply)
{
    tq_str_t  log;

    return tq_logs_result(reply, &log) == 1 ? 0 : -1;
}


static int
decode_kept(const redisReply *reply)
{
    int  kept;

    return tq_config_set_result(reply, &kept);
}


static int
decode_uuid(const redisReply *reply)
{
    unsigned char  key[32];

    return tq_uuid_key_result(reply, key);
}


static int
decode_open(const redisReply *reply)
{
    return tq_open_why(reply) == NULL ? 0 : -1;
}


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
    { "enqueue", decode_enqueue, 0, WORDS(":1", ":2", ":-3", ":1") },
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
    int64_t            cursor;
    unsigned           n;
    redisReply        *reply;
    tq_stats_t         stats;
    tq_claim_head_t    head;
    tq_queue_stats_t   queue;

    (void) state;

    static const char *const  odd_claim[] = { ":1", ":0", "1", ":0" };
    static const char *const  odd_list[] = { ":0", "6", RECORD, RUN };
    static const char *const  workers[] = { ":1", ":0", ":0", ":0", ":0", ":0",
        ":0", ":0", ":0", STATS_ZEROS, ":0", ":0", ":0", ":0", ":0", ":0",
        ":2", "a", "1", ":1", "1", "2", "1", ":1", "1", ":7", ":8", ":9",
        ":5" };

    reply = reply_array(odd_claim, 4);
    assert_int_equal(tq_claim_head(reply, &head), -1);
    freeReplyObject(reply);

    reply = reply_array(odd_list, 4);
    assert_int_equal(tq_list_head(reply, &cursor, &n), -1);
    freeReplyObject(reply);

    /* two workers take more room than the queue that is not there */
    reply = reply_array(workers, 42);
    assert_int_equal(tq_stats_result(reply, &stats), 0);
    assert_int_equal(stats.workers, 2);
    assert_int_equal(stats.finished_bytes, 7);
    assert_int_equal(stats.finished_max_bytes, 8);
    assert_int_equal(stats.finished_dropped, 9);
    assert_int_equal(tq_stats_queue(reply, 0, &queue), -1);
    freeReplyObject(reply);

    reply = reply_array(workers, 43);
    assert_int_equal(tq_stats_result(reply, &stats), -1);
    freeReplyObject(reply);
}


/* Numbers as strings are as good as integers; other texts are not. */
static void
numbers(void **state)
{
    size_t       i;
    int64_t      v;
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
    static const char *const  runs[] = { ":7", ":3", ":-2", ":2", ":10", "1" };
    static const int64_t      each[] = { 7, 8, 9, -2, -2, 10 };
    static const char *const  past[] = { "9007199254740990", ":3" };
    static const char *const  none[] = { ":7", ":0" };
    static const char *const  many[] = { ":7", ":1001" };

    words[1] = "1";

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        /* "-" alone is nil in reply_array()'s words; here it is never alone */
        words[0] = texts[i].text;
        reply = reply_array(words, 2);
        v = 0;
        assert_int_equal(tq_enqueue_result(reply, 0, &v),
            texts[i].v != 0 ? 0 : -1);
        assert_int_equal(v, texts[i].v);
        freeReplyObject(reply);
    }

    reply = reply_array(runs, 6);
    for (i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
        assert_int_equal(tq_enqueue_result(reply, (unsigned) i, &v), 0);
        assert_int_equal(v, each[i]);
    }
    assert_int_equal(tq_enqueue_result(reply, (unsigned) i, &v), -1);
    freeReplyObject(reply);

    reply = reply_array(past, 2);
    assert_int_equal(tq_enqueue_result(reply, 1, &v), 0);
    assert_int_equal(tq_enqueue_result(reply, 2, &v), -1);
    freeReplyObject(reply);

    reply = reply_array(none, 2);
    assert_int_equal(tq_enqueue_result(reply, 0, &v), -1);
    freeReplyObject(reply);

    reply = reply_array(many, 2);
    assert_int_equal(tq_enqueue_result(reply, 0, &v), -1);
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
        decode_uuid, decode_open, decode_change, decode_payload
    };
    static const char *const  odds[] = {
        "$-1\r\n", "*0\r\n", "*-1\r\n", ":77\r\n", "-ERR no\r\n",
        "-OOM command not allowed\r\n", "*3\r\n*0\r\n*0\r\n*0\r\n",
        "*1\r\n$-1\r\n", ":-1\r\n",
    };

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_int_equal(all[i](NULL), -1);

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
        cmocka_unit_test(numbers),
        cmocka_unit_test(scalars),
    };

    if (tq_ns_init(&ns, "shapes", 6) != 0) {
        return 1;
    }

    return cmocka_run_group_tests_name("ops_shapes", tests, NULL, NULL);
}
