/*
 * tq_redis_end.c: how calls and connections end: who gets which result, and
 * what a callback may do meanwhile.
 */

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tq_redis_int.h"


void
tq_list_add(tq_call_list_t *l, tq_call_t *call)
{
    call->next = NULL;

    if (l->tail == NULL) {
        l->head = call;
    } else {
        l->tail->next = call;
    }

    l->tail = call;
}


tq_call_t *
tq_list_pop(tq_call_list_t *l)
{
    tq_call_t  *call;

    call = l->head;

    if (call != NULL) {
        l->head = call->next;
        if (l->head == NULL) {
            l->tail = NULL;
        }
        call->next = NULL;
    }

    return call;
}


void
tq_redis_state_set(tq_redis_t *r, tq_redis_state_t state)
{
    /* allowed[from] has a bit for each state it may become */
    static const unsigned  allowed[] = {
        [TQ_REDIS_DOWN] = 1 << TQ_REDIS_CONNECTING | 1 << TQ_REDIS_HANDSHAKE
                          | 1 << TQ_REDIS_DOWN,
        [TQ_REDIS_CONNECTING] = 1 << TQ_REDIS_HANDSHAKE | 1 << TQ_REDIS_CLOSING
                                | 1 << TQ_REDIS_DOWN,
        [TQ_REDIS_HANDSHAKE] = 1 << TQ_REDIS_READY | 1 << TQ_REDIS_CLOSING
                               | 1 << TQ_REDIS_DOWN,
        [TQ_REDIS_READY] = 1 << TQ_REDIS_CLOSING | 1 << TQ_REDIS_DOWN,
        [TQ_REDIS_CLOSING] = 1 << TQ_REDIS_DOWN,
    };

    assert(allowed[r->state] & (1u << state));

    r->state = state;
}


void
tq_redis_tell(tq_redis_t *r, tq_redis_err_t e, unsigned ends)
{
    if (ends && r->told) {
        return;
    }

    if (ends) {
        r->told = 1;
    }

    if (r->conf.on_error != NULL && !r->freeing) {
        r->conf.on_error(r->conf.host, e);
    }
}


/* Callbacks may call back: what would pull the ground from under a running
 * loop (lost) waits until the outermost function leaves. */
void
tq_redis_enter(tq_redis_t *r)
{
    r->busy++;
}


void
tq_redis_leave(tq_redis_t *r, int64_t now_ms)
{
    r->busy--;

    if (r->busy == 0 && r->lost) {
        r->lost = 0;
        tq_redis_lost(r, r->why, now_ms);
    }
}


/* Ends one call that is in no list any more. */
void
tq_redis_end(tq_redis_t *r, tq_call_t *call, tq_call_result_t result,
    redisReply *reply)
{
    if (call->cb == tq_handshake_cb) {
        tq_call_wipe(call);

    } else {
        r->calls--;
        r->held -= call->body.len;

        if (call->cb != NULL) {
            r->pending--;

            call->cb(call, result, reply);
            if (call->keep) {
                reply = NULL;
            }
        }

        tq_call_free(call);
    }

    if (reply != NULL) {
        freeReplyObject(reply);
    }
}


void
tq_redis_end_all(tq_redis_t *r, tq_call_list_t *l, tq_call_result_t result)
{
    tq_call_t  *call;

    while ((call = tq_list_pop(l)) != NULL) {
        tq_redis_end(r, call, result, NULL);
    }
}


/* Takes the calls without `wait` out of the queue. */
static tq_call_list_t
tq_redis_unwilling(tq_redis_t *r)
{
    tq_call_t       *call;
    tq_call_list_t   out, kept;

    memset(&out, 0, sizeof(tq_call_list_t));
    memset(&kept, 0, sizeof(tq_call_list_t));

    while ((call = tq_list_pop(&r->queue)) != NULL) {
        tq_list_add(call->wait ? &kept : &out, call);
    }

    r->queue = kept;

    return out;
}


void
tq_redis_impatient(tq_redis_t *r)
{
    tq_call_list_t  not_sent;

    r->patient = 0;
    not_sent = tq_redis_unwilling(r);
    tq_redis_end_all(r, &not_sent, TQ_CALL_NOT_SENT);
}


/* Ends what belonged to this connection: sent calls are UNKNOWN, unsent ones
 * NOT_SENT unless they wait for the next connection, as all do while
 * patient. */
void
tq_redis_drop(tq_redis_t *r)
{
    tq_call_t       *call;
    tq_call_list_t   unknown, not_sent;

    unknown = r->flight;
    memset(&r->flight, 0, sizeof(tq_call_list_t));
    memset(&not_sent, 0, sizeof(tq_call_list_t));

    /* before the callbacks: they may add calls, which come after these */
    if (!r->patient) {
        not_sent = tq_redis_unwilling(r);
    }

    while ((call = tq_list_pop(&r->handshake)) != NULL) {
        tq_call_wipe(call);
    }

    tq_redis_end_all(r, &unknown, TQ_CALL_UNKNOWN);
    tq_redis_end_all(r, &not_sent, TQ_CALL_NOT_SENT);
}


/* Asks the host to close. why may be r->why. */
void
tq_redis_close(tq_redis_t *r, const char *why)
{
    if (why != r->why) {
        snprintf(r->why, sizeof(r->why), "%s", why);
    }

    if (r->state == TQ_REDIS_READY && r->conf.patience_ms > 0) {
        r->patient = 1;     /* tq_redis_lost() says for how long */
    }

    tq_redis_state_set(r, TQ_REDIS_CLOSING);
    tq_redis_drop(r);
}


void
tq_redis_lost(tq_redis_t *r, const char *why, int64_t now_ms)
{
    if (r->state == TQ_REDIS_DOWN && !r->connect_due) {
        return;     /* told before */
    }

    /* when we asked for it, we know better why */
    if (r->state != TQ_REDIS_CLOSING && why != r->why && !r->draining) {
        snprintf(r->why, sizeof(r->why), "%s", why);
    }

    if (r->busy != 0) {
        r->lost = 1;
        if (r->state != TQ_REDIS_CLOSING && r->state != TQ_REDIS_DOWN) {
            tq_redis_state_set(r, TQ_REDIS_CLOSING);
        }
        return;
    }

    tq_redis_state_set(r, TQ_REDIS_DOWN);
    tq_redis_tell(r, TQ_ERR_CONNECTION, 1);

    if (r->reader != NULL) {
        redisReaderFree(r->reader);
        r->reader = NULL;
    }

    r->draining = 0;
    r->connect_due = 0;
    r->connect_at = now_ms + tq_backoff_ms(r, now_ms);

    if (r->ready_at != TQ_NEVER) {
        r->patient_until = now_ms + r->conf.patience_ms;
    }

    r->patient = r->connect_at < r->patient_until;
    r->ready_at = TQ_NEVER;

    tq_redis_enter(r);

    tq_redis_drop(r);

    if (r->conf.on_state != NULL) {
        r->conf.on_state(r->conf.host, TQ_REDIS_DOWN, r->why);
    }

    tq_redis_leave(r, now_ms);
}
