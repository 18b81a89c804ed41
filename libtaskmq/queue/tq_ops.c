/*
 * tq_ops.c: what all operations share: the namespace, a call's start, its end
 * as a result, and reply elements that are checked before they are believed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tq_ops_int.h"

const tq_result_t  tq_not_sent = { .status = TQ_NOT_SENT, .text = "" };

static void tq_op_end(tq_call_t *call, tq_call_result_t result,
    const redisReply *reply);
static void tq_op_refused(const tq_op_t *op, const redisReply *reply,
    tq_result_t *res);


int
tq_ns_init(tq_ns_t *ns, const char *name, size_t len)
{
    if (len > TQ_NAMESPACE_MAX || !tq_handler_name_ok(name, len)) {
        return -1;
    }

    ns->prefix[0] = '{';
    memcpy(ns->prefix + 1, name, len);
    memcpy(ns->prefix + 1 + len, "}:", 3);
    ns->len = len + 3;

    return 0;
}


tq_call_t *
tq_op_new(const tq_script_t *script, const tq_ns_t *ns, tq_decode_t *decode,
    tq_done_cb done, void *data)
{
    tq_call_t  *call;

    call = tq_call_make(sizeof(tq_op_t), script,
        done != NULL ? tq_op_end : NULL, data);
    if (call == NULL) {
        return NULL;
    }

    tq_op_of(call)->decode = decode;
    tq_op_of(call)->done = done;

    if (ns != NULL) {
        tq_call_arg(call, ns->prefix, ns->len);
    }

    return call;
}


tq_call_t *
tq_op_plain(const char *command, const tq_ns_t *ns, const char *key,
    tq_decode_t *decode, tq_done_cb done, void *data)
{
    char        text[TQ_NAMESPACE_MAX + 32];
    tq_call_t  *call;

    call = tq_op_new(NULL, NULL, decode, done, data);

    if (call != NULL) {
        (void) snprintf(text, sizeof(text), "%s%s", ns->prefix, key);
        tq_call_args(call, command);
        tq_call_args(call, text);
    }

    return call;
}


void
tq_op_job_key(tq_call_t *call, const tq_ns_t *ns, const char *kind, int64_t id)
{
    char  text[TQ_NAMESPACE_MAX + 32];

    (void) snprintf(text, sizeof(text), "%s%s%lld", ns->prefix, kind,
        (long long) id);
    tq_call_args(call, text);
}


tq_call_t *
tq_op_done(tq_call_t *call)
{
    if (call != NULL && call->body.failed) {
        tq_call_free(call);
        return NULL;
    }

    return call;
}


tq_done_t
tq_done_swap(tq_call_t *call, tq_done_t with)
{
    tq_op_t    *op = tq_op_of(call);
    tq_done_t   old = { op->done, call->data };

    op->done = with.cb;
    call->cb = (with.cb != NULL) ? tq_op_end : NULL;
    call->data = with.data;

    return old;
}


static void
tq_op_end(tq_call_t *call, tq_call_result_t result, const redisReply *reply)
{
    tq_op_t      *op = tq_op_of(call);
    tq_result_t   res;

    tq_op_result(op, result, reply, &res);
    op->done(call->data, &res);
}


void
tq_op_result(const tq_op_t *op, tq_call_result_t result,
    const redisReply *reply, tq_result_t *res)
{
    res->err = TQ_ERR_NONE;
    res->cause = TQ_ERR_NONE;
    res->text = "";
    res->odd = 0;
    res->script = 0;
    res->half = 0;
    res->found = 1;
    res->call = (tq_call_t *) &op->call;
    res->from = reply;
    res->first = 0;

    if (result != TQ_CALL_REPLY) {
        res->status = (result == TQ_CALL_NOT_SENT) ? TQ_NOT_SENT : TQ_UNKNOWN;

    } else if (op->decode != NULL ? op->decode(op, reply, res) == 0
                                  : reply->type != REDIS_REPLY_ERROR)
    {
        res->status = TQ_OK;

    } else {
        tq_op_refused(op, reply, res);
    }
}


static void
tq_op_refused(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    res->status = TQ_REFUSED;

    if (reply->type == REDIS_REPLY_ERROR) {
        res->err = tq_redis_err(reply);
        res->cause = tq_redis_err_why(reply);
        res->script = tq_redis_err_script(reply) ? 1 : 0;
        res->half = tq_redis_err_half(op->call.script, reply) ? 1 : 0;
        res->text = reply->str;

    } else {
        res->err = TQ_ERR_OTHER;
        res->cause = TQ_ERR_OTHER;
        res->odd = 1;
        res->text = "unexpected reply";
    }
}


tq_result_t *
tq_result_keep(const tq_result_t *res)
{
    tq_result_t  *kept;

    kept = (res->call != NULL) ? malloc(sizeof(tq_result_t)) : NULL;

    if (kept != NULL) {
        memcpy(kept, res, sizeof(tq_result_t));
        kept->call = NULL;
        res->call->keep = 1;
    }

    return kept;
}


void
tq_result_free(tq_result_t *kept)
{
    if (kept != NULL) {
        freeReplyObject((redisReply *) kept->from);
        free(kept);
    }
}


int
tq_reply_array(const redisReply *reply, size_t min)
{
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements < min)
    {
        return -1;
    }

    return 0;
}


int
tq_reply_int(const redisReply *reply, int64_t *out)
{
    size_t    i, len;
    int64_t   v;
    unsigned  minus;

    if (reply == NULL) {
        return -1;
    }

    if (reply->type == REDIS_REPLY_INTEGER) {
        *out = reply->integer;
        return 0;
    }

    if (reply->type != REDIS_REPLY_STRING) {
        return -1;
    }

    len = (size_t) reply->len;
    minus = (len != 0 && reply->str[0] == '-');

    /* 18 digits always fit; no number of ours is longer */
    if (len == minus || len > minus + 18u) {
        return -1;
    }

    v = 0;

    for (i = minus; i < len; i++) {
        if (reply->str[i] < '0' || reply->str[i] > '9') {
            return -1;
        }
        v = v * 10 + (reply->str[i] - '0');
    }

    *out = minus ? -v : v;

    return 0;
}


int
tq_reply_count(const redisReply *reply, int64_t max, int64_t *out)
{
    int64_t  v;

    if (tq_reply_int(reply, &v) != 0 || v < 0 || v > max) {
        return -1;
    }

    *out = v;

    return 0;
}


int
tq_reply_id(const redisReply *reply, int64_t *out)
{
    return (tq_reply_count(reply, TQ_ID_MAX, out) == 0 && *out > 0) ? 0 : -1;
}


int
tq_reply_str(const redisReply *reply, tq_str_t *out)
{
    if (reply == NULL || (reply->type != REDIS_REPLY_STRING
                          && reply->type != REDIS_REPLY_STATUS))
    {
        return -1;
    }

    out->p = reply->str;
    out->len = (size_t) reply->len;

    return 0;
}


int
tq_reply_counts(const redisReply *reply, size_t from, int64_t *const *to,
    size_t n)
{
    size_t  i;

    if (tq_reply_array(reply, from + n) != 0) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        if (tq_reply_count(reply->element[from + i], INT64_MAX, to[i]) != 0) {
            return -1;
        }
    }

    return 0;
}


int
tq_reply_totals(const redisReply *reply, size_t from, int64_t *const *to,
    size_t n)
{
    size_t  i;

    if (tq_reply_array(reply, from + n) != 0) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        if (tq_reply_int(reply->element[from + i], to[i]) != 0) {
            return -1;
        }

        if (*to[i] < 0) {
            *to[i] = 0;
        }
    }

    return 0;
}
