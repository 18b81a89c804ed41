/*
 * decoders.h: one function per decoder of tq_ops.h, which takes a reply and
 * says whether it was understood; for test_ops_shapes.c. Each owns what it
 * makes; `res` is the last result, valid until the next call.
 */

#ifndef DECODERS_H
#define DECODERS_H

#include "records.h"
#include "replies.h"

#define W1      "00000000000000a1"
#define RECORD  RECORD_HEAD "{\"to\":\"a\"}"
#define ASIDE   "1o 010 f t-- 1763800000000 email t=7 b=5000\n"
#define RUN     RUN_TEXT("R", RUN_NEVER, RUN_TOKEN, RUN_STARTED, "001", "0", \
                    "0000000000", "00002", "host:4242") "no[1]"

static tq_ns_t            ns;
static const tq_token_t   token = { "00000000001f" W1 };

/* 0 when the reply was understood. */
typedef int (*decode_t)(const redisReply *reply);

static const tq_result_t  *res;


static int
decode(tq_call_t *call, const redisReply *reply)
{
    res = reply_result(call, reply);

    return res->status == TQ_OK ? 0 : -1;
}


/* A batch of n groups. */
static tq_call_t *
enqueue_call(unsigned n)
{
    tq_job_t      job = { .handler = "h", .handler_len = 1, .policy = 'f',
                          .payload = tq_str("{}") };
    tq_enqueue_t  e = { .groups = 0 };

    while (n-- != 0) {
        assert_true(tq_enqueue_add(&e, &ns, tq_str(""), tq_str(""), 0, 0, &job,
            1) >= 0);
    }

    return tq_enqueue_call(&e, &ns, NULL, NULL);
}


static int
decode_enqueue(const redisReply *reply)
{
    return decode(enqueue_call(3), reply);
}


static int
decode_claim(const redisReply *reply)
{
    unsigned      i;
    tq_claimed_t  c;

    if (decode(tq_claim_call(&ns, &token, "host:1", 1000, 2, 0, NULL, 0, NULL,
        NULL), reply) != 0)
    {
        return -1;
    }

    for (i = 0; i < res->claims.jobs; i++) {
        if (tq_claim_job(res, i, &c) == 0) {
            assert_string_equal(c.job.handler, "email");
        } else {
            res = NULL;     /* of this one only id and token are known */
        }
        assert_in_range(c.id, res != NULL, TQ_ID_MAX);
        assert_memory_equal(c.token.t, token.t, TQ_LEASE_TOKEN_LEN);

        if (res == NULL) {
            return -1;
        }
    }

    return res->claims.jobs == 2 ? 0 : -1;
}


static int
decode_verdict(const redisReply *reply)
{
    tq_outcome_t  o[2] = { { .id = 1 }, { .id = 2 } };

    if (decode(tq_release_call(&ns, o, 2, NULL, NULL), reply) != 0) {
        return -1;
    }

    assert_in_range(tq_verdict(res, 0), TQ_VERDICT_OK, TQ_VERDICT_CANCELLED);
    assert_in_range(tq_verdict(res, 1), TQ_VERDICT_OK, TQ_VERDICT_CANCELLED);

    return 0;
}


static int
decode_reap(const redisReply *reply)
{
    return decode(tq_reap_call(&ns, -1, NULL, NULL), reply);
}


static int
decode_extend(const redisReply *reply)
{
    tq_outcome_t    o[2] = { { .id = 1 }, { .id = 2 } };
    tq_heartbeat_t  b = { .worker_id = W1, .worker_name = "host:1" };

    return decode(tq_extend_call(&ns, &b, o, 2, NULL, NULL), reply);
}


static int
decode_sweep(const redisReply *reply)
{
    return decode(tq_sweep_call(&ns, NULL, NULL), reply);
}


static int
decode_payload(const redisReply *reply)
{
    return decode(tq_payload_call(&ns, 7, 2, NULL, NULL), reply) == 0
           && res->found && !res->payload.damaged ? 0 : -1;
}


static int
decode_get(const redisReply *reply)
{
    return decode(tq_get_call(&ns, 7, NULL, NULL), reply) == 0 && res->found
           ? 0 : -1;
}


static int
decode_list(const redisReply *reply)
{
    unsigned       i;
    tq_list_t      l = { .status = -1 };
    tq_job_info_t  info;

    if (decode(tq_list_call(&ns, &l, NULL, NULL), reply) != 0) {
        return -1;
    }

    for (i = 0; i < res->page.jobs; i++) {
        tq_list_job(res, i, &info);
        assert_in_range(info.id, 1, TQ_ID_MAX);
    }

    return res->page.jobs == 2 ? 0 : -1;
}


static int
decode_stats(const redisReply *reply)
{
    unsigned           i;
    tq_queue_stats_t   q;
    tq_worker_stats_t  w;

    if (decode(tq_stats_call(&ns, NULL, NULL), reply) != 0) {
        return -1;
    }

    for (i = 0; i < res->stats.queues; i++) {
        tq_stats_queue(res, i, &q);
        assert_string_equal(q.name.p, "email");
        assert_int_equal(q.dead, 5);
    }

    for (i = 0; i < res->stats.workers; i++) {
        tq_stats_worker(res, i, &w);
        assert_string_equal(w.id.p, W1);
    }

    return 0;
}


static int
decode_change(const redisReply *reply)
{
    return decode(tq_replay_call(&ns, 7, 0, NULL, NULL), reply);
}


static int
decode_config(const redisReply *reply)
{
    tq_str_t  name, value;
    unsigned  i;

    if (decode(tq_config_get_call(&ns, NULL, NULL), reply) != 0) {
        return -1;
    }

    for (i = 0; tq_config_pair(res, i, &name, &value); i++) {
        assert_true(name.len != 0 && value.len != 0);
    }
    assert_int_equal(i, 10);

    return 0;
}


static int
decode_probe(const redisReply *reply)
{
    return decode(tq_probe_call(&ns, NULL, NULL), reply);
}


static int
decode_wake(const redisReply *reply)
{
    return decode(tq_wake_call(&ns, W1, NULL, 0, 1, NULL, NULL), reply) == 0
           && res->wake.kind == TQ_WAKE_HANDLER ? 0 : -1;
}


static int
decode_logs(const redisReply *reply)
{
    return decode(tq_logs_call(&ns, 7, NULL, NULL), reply) == 0 && res->found
           ? 0 : -1;
}


static int
decode_kept(const redisReply *reply)
{
    return decode(tq_config_set_call(&ns, "selection", "fifo", 0, NULL, NULL),
        reply);
}


static int
decode_uuid(const redisReply *reply)
{
    static const unsigned char  fresh[TQ_UUID_KEY_LEN];

    return decode(tq_uuid_key_call(&ns, fresh, NULL, NULL), reply);
}


static int
decode_peek(const redisReply *reply)
{
    return decode(tq_uuid_peek_call(&ns, NULL, NULL), reply) == 0 && res->found
           ? 0 : -1;
}


static int
decode_open(const redisReply *reply)
{
    int         rc;
    char        why[192];
    tq_call_t  *call;

    call = tq_call_new(&tq_script_open, NULL, NULL);
    rc = tq_greet_cli.judge(call, reply, why, sizeof(why)) == TQ_GREETED ? 0
                                                                         : -1;
    tq_call_free(call);

    return rc;
}

#endif /* DECODERS_H */
