/*
 * tq_redis.c: one connection from the host's side: connect, bytes in, bytes
 * out, calls in. No I/O and no clock of its own.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tq_base.h"
#include "tq_redis_int.h"

static void tq_redis_reply(tq_redis_t *r, redisReply *reply, int64_t now_ms);
static void tq_redis_reply_err(tq_redis_t *r, const redisReply *reply);
static int tq_redis_again(tq_redis_t *r, tq_call_t *call,
    const redisReply *reply);
static void tq_redis_parse(tq_redis_t *r, int64_t now_ms);
static void tq_redis_ready(tq_redis_t *r, int64_t now_ms);
static void tq_redis_trim(tq_redis_t *r);
static int tq_redis_room(const tq_redis_t *r, const tq_call_t *call);
static void tq_redis_queue(tq_redis_t *r, tq_call_t *call, int64_t now_ms);


tq_redis_t *
tq_redis_new(const tq_redis_conf_t *conf, int64_t now_ms)
{
    tq_redis_t  *r;
    const char  *password;

    password = conf->password ? conf->password : "";

    r = calloc(1, sizeof(tq_redis_t));
    if (r == NULL) {
        return NULL;
    }

    r->conf = *conf;
    r->conf.user = strdup(conf->user ? conf->user : "");
    r->conf.password = tq_secret_new(password, strlen(password));
    r->conf.client_name = strdup(conf->client_name ? conf->client_name : "");

    if (r->conf.timeout_ms <= 0) {
        r->conf.timeout_ms = TQ_REDIS_TIMEOUT_MS;
    }

    r->state = TQ_REDIS_DOWN;
    r->connect_at = now_ms;
    r->connect_due = 1;
    r->earliest_ms = TQ_NEVER;
    r->ready_at = TQ_NEVER;
    r->heard_ms = now_ms;
    r->random = conf->seed;
    snprintf(r->why, sizeof(r->why), "not connected yet");

    if (r->conf.user == NULL || r->conf.password == NULL
        || r->conf.client_name == NULL)
    {
        tq_redis_free(r);
        return NULL;
    }

    return r;
}


void
tq_redis_free(tq_redis_t *r)
{
    assert(r->busy == 0);

    r->freeing = 1;
    tq_redis_drop(r);
    tq_redis_end_all(r, &r->queue, TQ_CALL_NOT_SENT);

    if (r->reader != NULL) {
        redisReaderFree(r->reader);
    }

    if (r->conf.password != NULL) {
        tq_secret_free((char *) r->conf.password, strlen(r->conf.password));
    }

    free((char *) r->conf.user);
    free((char *) r->conf.client_name);
    free(r);
}


tq_want_t
tq_redis_want(const tq_redis_t *r)
{
    switch (r->state) {

    case TQ_REDIS_DOWN:
        return r->connect_due ? TQ_WANT_CONNECT : TQ_WANT_NOTHING;

    case TQ_REDIS_CONNECTING:
        return TQ_WANT_NOTHING;

    case TQ_REDIS_CLOSING:
        return TQ_WANT_CLOSE;

    case TQ_REDIS_HANDSHAKE:
    case TQ_REDIS_READY:
        break;
    }

    if (r->flight.tail != NULL
        && r->flight.tail->off < tq_call_total(r->flight.tail))
    {
        return TQ_WANT_WRITE;
    }

    if (r->state == TQ_REDIS_HANDSHAKE) {
        return r->handshake.head != NULL ? TQ_WANT_WRITE : TQ_WANT_NOTHING;
    }

    return (r->queue.head != NULL && !r->draining) ? TQ_WANT_WRITE
                                                   : TQ_WANT_NOTHING;
}


tq_redis_state_t
tq_redis_state(const tq_redis_t *r)
{
    return r->state;
}


int
tq_redis_takes(const tq_redis_t *r)
{
    return r->patient || (r->state == TQ_REDIS_READY && !r->draining);
}


void
tq_redis_hurry(tq_redis_t *r)
{
    r->conf.patience_ms = 0;
}


const char *
tq_redis_why(const tq_redis_t *r)
{
    return r->why;
}


unsigned
tq_redis_pending(const tq_redis_t *r)
{
    return r->pending;
}


size_t
tq_redis_held_bytes(const tq_redis_t *r)
{
    return r->held;
}


void
tq_redis_connecting(tq_redis_t *r, int64_t now_ms)
{
    tq_redis_state_set(r, TQ_REDIS_CONNECTING);

    r->connect_due = 0;
    r->told = 0;
    r->handshake_until = now_ms + r->conf.timeout_ms;
}


void
tq_redis_connected(tq_redis_t *r, int64_t now_ms)
{
    if (r->state == TQ_REDIS_DOWN) {
        tq_redis_connecting(r, now_ms);
    }

    if (r->state != TQ_REDIS_CONNECTING) {
        return;     /* it took too long: want is CLOSE already */
    }

    tq_redis_state_set(r, TQ_REDIS_HANDSHAKE);

    r->heard_ms = now_ms;
    r->unparsed = 0;
    r->reader_high = 0;
    r->reader = tq_redis_reader_new();

    if (r->reader == NULL || tq_handshake_start(r) != 0) {
        tq_redis_enter(r);
        tq_redis_close(r, "out of memory");
        tq_redis_leave(r, now_ms);
    }
}


static void
tq_redis_ready(tq_redis_t *r, int64_t now_ms)
{
    tq_redis_state_set(r, TQ_REDIS_READY);

    r->ready_at = now_ms;
    r->patient = 0;
    r->why[0] = '\0';

    if (r->conf.on_state != NULL) {
        r->conf.on_state(r->conf.host, TQ_REDIS_READY, "");
    }
}


/* A script that Redis has forgotten was surely not run: the same arguments go
 * out again with its text, once. 1: the call is in the queue again. */
static int
tq_redis_again(tq_redis_t *r, tq_call_t *call, const redisReply *reply)
{
    if (call->raw || call->resent || reply->type != REDIS_REPLY_ERROR
        || strncmp(reply->str, "NOSCRIPT", 8) != 0)
    {
        return 0;
    }

    call->resent = 1;
    call->off = 0;
    call->sent_ms = 0;
    tq_call_seal(call);
    tq_list_add(&r->queue, call);

    tq_redis_tell(r, TQ_ERR_NOSCRIPT, 0);

    return 1;
}


/* No call is sent any more; the connection ends when all are answered. */
static void
tq_redis_drain(tq_redis_t *r, tq_redis_err_t err)
{
    r->draining = 1;
    r->patient = r->conf.patience_ms > 0;
    r->told = 1;
    snprintf(r->why, sizeof(r->why), "%s", tq_redis_err_text(err));
}


/* READONLY ends the connection: a failover, and the next one may lead to the
 * new master. So does a missing right, where the next handshake looks at all of
 * them, and says which: a call that was let through might do half its work. */
static void
tq_redis_reply_err(tq_redis_t *r, const redisReply *reply)
{
    tq_redis_err_t  err = tq_redis_err_why(reply);

    if (err == TQ_ERR_NONE) {
        return;
    }

    if (!r->draining
        && (err == TQ_ERR_READONLY
            || (err == TQ_ERR_NOPERM && r->conf.greet != NULL)))
    {
        tq_redis_drain(r, err);
    }

    tq_redis_tell(r, err, 0);
}


void
tq_redis_denied(tq_redis_t *r, int64_t now_ms)
{
    if (r->state != TQ_REDIS_READY) {
        return;
    }

    tq_redis_tell(r, TQ_ERR_NOPERM, 0);

    if (r->draining) {
        return;
    }

    tq_redis_drain(r, TQ_ERR_NOPERM);

    if (r->flight.head == NULL) {
        tq_redis_enter(r);
        tq_redis_close(r, r->why);
        tq_redis_leave(r, now_ms);
    }
}


/* Matches one reply with the call it belongs to; takes the reply. */
static void
tq_redis_reply(tq_redis_t *r, redisReply *reply, int64_t now_ms)
{
    tq_call_t  *call;

    call = r->flight.head;

    if (call == NULL || call->off < tq_call_total(call)) {
        /* maxclients, protected mode and our own bad bytes come this way */
        tq_redis_tell(r, reply->type == REDIS_REPLY_ERROR
            ? tq_redis_err(reply) : TQ_ERR_CONNECTION, 1);
        tq_text_print(r->why, sizeof(r->why), "a reply without a call%s%.120s",
            reply->type == REDIS_REPLY_ERROR ? ": " : "",
            reply->type == REDIS_REPLY_ERROR ? reply->str : "");
        freeReplyObject(reply);
        tq_redis_close(r, r->why);
        return;
    }

    (void) tq_list_pop(&r->flight);

    if (r->state == TQ_REDIS_HANDSHAKE) {
        if (tq_handshake_reply(r, call, reply) != 0) {
            tq_redis_end(r, call, TQ_CALL_REPLY, reply);
            tq_redis_close(r, r->why);
            return;
        }

        tq_redis_end(r, call, TQ_CALL_REPLY, reply);

        if (--r->handshaking == 0) {
            tq_redis_ready(r, now_ms);
        }
        return;
    }

    if (tq_redis_again(r, call, reply)) {
        freeReplyObject(reply);
        return;
    }

    tq_redis_reply_err(r, reply);
    tq_redis_end(r, call, TQ_CALL_REPLY, reply);
}


/* Gives back the read buffer after a large reply. A new one that cannot be
 * had is no harm: the old one stays. */
static void
tq_redis_trim(tq_redis_t *r)
{
    redisReader  *reader;

    if (r->reader_high <= TQ_REDIS_READER_KEEP_BYTES || r->unparsed != 0) {
        return;
    }

    reader = tq_redis_reader_new();

    if (reader != NULL) {
        redisReaderFree(r->reader);
        r->reader = reader;
        r->reader_high = 0;
    }
}


/* Takes all whole replies out of the reader. */
static void
tq_redis_parse(tq_redis_t *r, int64_t now_ms)
{
    void  *reply;

    while (r->state != TQ_REDIS_CLOSING) {
        reply = NULL;

        if (redisReaderGetReply(r->reader, &reply) != REDIS_OK) {
            tq_text_print(r->why, sizeof(r->why), "broken reply: %s",
                r->reader->errstr);
            tq_redis_close(r, r->why);
            return;
        }

        if (reply == NULL) {
            if (r->unparsed > TQ_REDIS_REPLY_MAX_BYTES) {
                tq_redis_close(r, "a reply is too large");
            }
            return;
        }

        r->unparsed = r->reader->len - r->reader->pos;
        tq_redis_reply(r, reply, now_ms);
    }
}


int
tq_redis_feed(tq_redis_t *r, const char *p, size_t len, int64_t now_ms)
{
    int     broken;
    size_t  n;

    if (r->state != TQ_REDIS_HANDSHAKE && r->state != TQ_REDIS_READY) {
        return -1;
    }

    tq_redis_enter(r);

    r->heard_ms = now_ms;

    /* small bites: the reader moves the rest of its buffer per reply */
    for ( /* void */ ; len != 0 && r->state != TQ_REDIS_CLOSING; len -= n) {
        n = (len < TQ_REDIS_BITE_BYTES) ? len : TQ_REDIS_BITE_BYTES;

        if (redisReaderFeed(r->reader, p, n) != REDIS_OK) {
            tq_redis_close(r, "out of memory for a reply");
            break;
        }

        p += n;
        r->unparsed += n;
        if (r->reader->len > r->reader_high) {
            r->reader_high = r->reader->len;
        }

        tq_redis_parse(r, now_ms);
    }

    if (r->state == TQ_REDIS_READY && r->draining && r->flight.head == NULL) {
        tq_redis_close(r, r->why);
    }

    if (r->state != TQ_REDIS_CLOSING) {
        tq_redis_trim(r);
    }

    broken = (r->state == TQ_REDIS_CLOSING);
    tq_redis_leave(r, now_ms);

    return broken ? -1 : 0;
}


int
tq_redis_out(tq_redis_t *r, struct iovec *iov, int max)
{
    int         n;
    tq_call_t  *call;

    if (r->state != TQ_REDIS_HANDSHAKE && r->state != TQ_REDIS_READY) {
        return 0;
    }

    n = 0;

    if (r->flight.tail != NULL) {
        n = tq_call_iov(r->flight.tail, iov, max);
    }

    if (r->draining) {
        return n;
    }

    call = (r->state == TQ_REDIS_HANDSHAKE) ? r->handshake.head : r->queue.head;

    for ( /* void */ ; call != NULL && n < max; call = call->next) {
        n += tq_call_iov(call, iov + n, max - n);
    }

    return n;
}


void
tq_redis_sent(tq_redis_t *r, size_t n, int64_t now_ms)
{
    size_t           left;
    tq_call_t       *call;
    tq_call_list_t  *from;

    if (r->state != TQ_REDIS_HANDSHAKE && r->state != TQ_REDIS_READY) {
        return;
    }

    r->heard_ms = now_ms;
    from = (r->state == TQ_REDIS_HANDSHAKE) ? &r->handshake : &r->queue;

    while (n != 0) {
        call = r->flight.tail;

        if (call == NULL || call->off == tq_call_total(call)) {
            call = tq_list_pop(from);
            assert(call != NULL);

            call->sent_ms = now_ms;
            if (call->timeout_ms < 0) {
                tq_redis_due(r, call, now_ms, r->conf.timeout_ms);
            }

            tq_list_add(&r->flight, call);
        }

        left = tq_call_total(call) - call->off;
        left = (left < n) ? left : n;
        call->off += left;
        n -= left;
    }
}


/* Whether the call, and those before it, may be taken now. */
static int
tq_redis_room(const tq_redis_t *r, const tq_call_t *call)
{
    size_t    bytes = 0;
    unsigned  calls = 0;

    if (r->freeing || (!call->wait && !tq_redis_takes(r)))
    {
        return 0;
    }

    for ( /* void */ ; call != NULL; call = call->before) {
        if (call->body.failed) {
            return 0;
        }
        bytes += call->body.len;
        calls++;
    }

    return r->calls + calls <= TQ_REDIS_CALLS_MAX
           && r->held + bytes <= TQ_REDIS_OUT_MAX_BYTES;
}


static void
tq_redis_queue(tq_redis_t *r, tq_call_t *call, int64_t now_ms)
{
    call->off = 0;
    call->sent_ms = 0;
    call->resent = 0;
    tq_call_seal(call);

    if (r->calls == 0) {
        r->earliest_ms = TQ_NEVER;
    }

    if (call->timeout_ms > 0) {
        tq_redis_due(r, call, now_ms, call->timeout_ms);

    } else if (call->timeout_ms == 0 || !call->wait) {
        call->timeout_ms = 0;
        tq_redis_due(r, call, now_ms, r->conf.timeout_ms);

    } else {
        call->deadline_ms = TQ_NEVER;
    }

    tq_list_add(&r->queue, call);
    r->calls++;
    r->held += call->body.len;
    r->pending += (call->cb != NULL);
}


int
tq_redis_call(tq_redis_t *r, tq_call_t *call, int64_t now_ms)
{
    unsigned    wait = call->wait;
    int64_t     timeout_ms = call->timeout_ms;
    tq_call_t  *before, *first;

    if (!tq_redis_room(r, call)) {
        tq_call_free(call);
        return -1;
    }

    /* turned around: each then names the one after it */
    for (first = NULL; call != NULL; call = before) {
        before = call->before;
        call->before = first;
        first = call;
    }

    for (call = first; call != NULL; call = first) {
        first = call->before;
        call->before = NULL;
        call->wait = wait & 1;
        call->timeout_ms = timeout_ms;
        tq_redis_queue(r, call, now_ms);
    }

    return 0;
}
