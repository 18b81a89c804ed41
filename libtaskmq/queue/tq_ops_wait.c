/*
 * tq_ops_wait.c: what a worker waits for: work, on its blocking connection, and
 * large payloads.
 */

#include <stdio.h>
#include <string.h>

#include "tq_ops_int.h"

static tq_decode_t  tq_payload_decode, tq_wake_decode, tq_client_id_decode,
    tq_unblock_decode;
static int tq_key_between(tq_str_t *key, const char *prefix, size_t len);


tq_call_t *
tq_payload_call(const tq_ns_t *ns, int64_t id, int64_t bytes, tq_done_cb done,
    void *data)
{
    tq_call_t  *call;

    call = tq_op_new(NULL, NULL, tq_payload_decode, done, data);
    if (call == NULL) {
        return NULL;
    }

    tq_op_of(call)->bytes = bytes;
    tq_call_args(call, "GET");
    tq_op_job_key(call, ns, "b:", id);

    return tq_op_done(call);
}


static int
tq_payload_decode(const tq_op_t *op, const redisReply *reply,
    tq_result_t *res)
{
    tq_str_t  *p = &res->payload.bytes;

    if (reply->type == REDIS_REPLY_NIL) {
        res->found = 0;
        return 0;
    }

    if (reply->type == REDIS_REPLY_ERROR
        && strncmp(reply->str, "WRONGTYPE ", 10) != 0)
    {
        return -1;
    }

    /* an object's two ends, as of a payload that is in its record; a key that
     * holds no string (WRONGTYPE) no other worker can read either */
    res->payload.damaged = tq_reply_str(reply, p) != 0 || p->len < 2
        || (uint64_t) op->bytes != p->len || p->p[0] != '{'
        || p->p[p->len - 1] != '}';

    return 0;
}


tq_call_t *
tq_wake_call(const tq_ns_t *ns, const char *worker_id,
    const tq_str_t *handlers, unsigned n, int64_t timeout_ms, tq_done_cb done,
    void *data)
{
    char        key[TQ_NAMESPACE_MAX + TQ_HANDLER_MAX + 32];
    char        seconds[32];
    unsigned    i;
    tq_call_t  *call;

    call = tq_op_new(NULL, NULL, tq_wake_decode, done, data);
    if (call == NULL) {
        return NULL;
    }

    tq_op_of(call)->ns = ns;

    /* to Redis, 0 is for ever */
    timeout_ms = (timeout_ms < 1) ? 1 : timeout_ms;
    call->timeout_ms = timeout_ms + TQ_REDIS_TIMEOUT_MS;

    tq_call_args(call, "BZPOPMIN");

    /* its own key first: a cancel must not wait behind work */
    snprintf(key, sizeof(key), "%sw:%s:wake", ns->prefix, worker_id);
    tq_call_args(call, key);

    for (i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "%sh:%.*s:wake", ns->prefix,
            (int) handlers[i].len, handlers[i].p);
        tq_call_args(call, key);
    }

    snprintf(seconds, sizeof(seconds), "%lld.%03d",
        (long long) (timeout_ms / 1000), (int) (timeout_ms % 1000));
    tq_call_args(call, seconds);

    return tq_op_done(call);
}


/* Cuts prefix and ":wake" off a key. 1: it had both. */
static int
tq_key_between(tq_str_t *key, const char *prefix, size_t len)
{
    if (key->len <= len + 5 || memcmp(key->p, prefix, len) != 0
        || memcmp(key->p + key->len - 5, ":wake", 5) != 0)
    {
        return 0;
    }

    key->p += len;
    key->len -= len + 5;

    return 1;
}


static int
tq_wake_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    tq_str_t    key;
    tq_wake_t  *out = &res->wake;

    if (reply->type == REDIS_REPLY_NIL) {
        out->kind = TQ_WAKE_TIMEOUT;
        return 0;
    }

    if (reply->type == REDIS_REPLY_ERROR
        && strncmp(reply->str, "UNBLOCKED", 9) == 0)
    {
        out->kind = TQ_WAKE_ENDED;
        return 0;
    }

    if (tq_reply_array(reply, 3) != 0
        || tq_reply_str(reply->element[0], &key) != 0
        || !tq_key_between(&key, op->ns->prefix, op->ns->len)
        || key.len < 3 || key.p[1] != ':'
        || (key.p[0] != 'h' && key.p[0] != 'w'))
    {
        return -1;
    }

    out->kind = (key.p[0] == 'h') ? TQ_WAKE_HANDLER : TQ_WAKE_OWN;
    out->handler.p = key.p + 2;
    out->handler.len = key.len - 2;

    return 0;
}


tq_call_t *
tq_client_id_call(tq_done_cb done, void *data)
{
    tq_call_t  *call;

    call = tq_op_new(NULL, NULL, tq_client_id_decode, done, data);
    if (call == NULL) {
        return NULL;
    }

    tq_call_args(call, "CLIENT");
    tq_call_args(call, "ID");

    return tq_op_done(call);
}


static int
tq_client_id_decode(const tq_op_t *op, const redisReply *reply,
    tq_result_t *res)
{
    (void) op;

    if (reply->type != REDIS_REPLY_INTEGER || reply->integer <= 0) {
        return -1;
    }

    res->client_id = reply->integer;

    return 0;
}


tq_call_t *
tq_unblock_call(int64_t client_id, tq_done_cb done, void *data)
{
    tq_call_t  *call;

    call = tq_op_new(NULL, NULL, tq_unblock_decode, done, data);
    if (call == NULL) {
        return NULL;
    }

    tq_call_args(call, "CLIENT");
    tq_call_args(call, "UNBLOCK");
    tq_call_argi(call, client_id);

    return tq_op_done(call);
}


static int
tq_unblock_decode(const tq_op_t *op, const redisReply *reply,
    tq_result_t *res)
{
    (void) op;

    if (reply->type != REDIS_REPLY_INTEGER) {
        return -1;
    }

    res->unblocked = (reply->integer != 0);

    return 0;
}
