/*
 * tq_redis_clock.c: deadlines, the idle PING, and when to look next.
 */

#include <string.h>

#include "tq_redis_int.h"

static void tq_redis_ping(tq_redis_t *r, int64_t now_ms);
static void tq_redis_expire(tq_redis_t *r, int64_t now_ms);


void
tq_redis_due(tq_redis_t *r, tq_call_t *call, int64_t now_ms,
    int64_t timeout_ms)
{
    call->deadline_ms = (timeout_ms < TQ_NEVER - now_ms) ? now_ms + timeout_ms
                                                         : TQ_NEVER;
    if (call->deadline_ms < r->earliest_ms) {
        r->earliest_ms = call->deadline_ms;
    }
}


int64_t
tq_redis_next_ms(const tq_redis_t *r)
{
    int64_t  next;

    next = (r->calls != 0) ? r->earliest_ms : TQ_NEVER;

    if (r->patient && r->calls != 0 && r->state != TQ_REDIS_READY
        && r->patient_until < next)
    {
        next = r->patient_until;
    }

    switch (r->state) {

    case TQ_REDIS_DOWN:
        if (!r->connect_due && r->connect_at < next) {
            next = r->connect_at;
        }
        break;

    case TQ_REDIS_CONNECTING:
    case TQ_REDIS_HANDSHAKE:
        if (r->handshake_until < next) {
            next = r->handshake_until;
        }
        break;

    case TQ_REDIS_READY:
        if (r->flight.head == NULL && r->queue.head == NULL
            && r->conf.idle_ping_ms > 0
            && r->heard_ms + r->conf.idle_ping_ms < next)
        {
            next = r->heard_ms + r->conf.idle_ping_ms;
        }
        break;

    case TQ_REDIS_CLOSING:
        break;
    }

    return (next == TQ_NEVER) ? -1 : next;
}


/* A PING is a call of our own: it has a deadline like any other. */
static void
tq_redis_ping(tq_redis_t *r, int64_t now_ms)
{
    tq_call_t  *call;

    r->heard_ms = now_ms;   /* no memory now: try again an interval later */

    call = tq_call_new(NULL, NULL, NULL);
    if (call != NULL) {
        tq_call_args(call, "PING");
        (void) tq_redis_call(r, call, now_ms);
    }
}


/* Looks at every deadline: only when the earliest known one has come, which
 * for calls with like timeouts is about once per timeout. */
static void
tq_redis_expire(tq_redis_t *r, int64_t now_ms)
{
    unsigned         late;
    tq_call_t       *call;
    tq_call_list_t   queue, expired;

    late = 0;
    r->earliest_ms = TQ_NEVER;

    for (call = r->flight.head; call != NULL; call = call->next) {
        if (call->cb == tq_handshake_cb) {
            continue;   /* handshake_until is theirs */
        }

        late += (call->deadline_ms <= now_ms);

        if (call->deadline_ms < r->earliest_ms) {
            r->earliest_ms = call->deadline_ms;
        }
    }

    if (late != 0) {
        r->earliest_ms = TQ_NEVER;      /* all of them end now */
    }

    queue = r->queue;
    memset(&r->queue, 0, sizeof(tq_call_list_t));
    memset(&expired, 0, sizeof(tq_call_list_t));

    while ((call = tq_list_pop(&queue)) != NULL) {
        if (call->deadline_ms <= now_ms) {
            tq_list_add(&expired, call);
            continue;
        }

        tq_list_add(&r->queue, call);

        if (call->deadline_ms < r->earliest_ms) {
            r->earliest_ms = call->deadline_ms;
        }
    }

    if (late != 0) {
        /* later replies could no longer be matched */
        tq_redis_tell(r, TQ_ERR_TIMEOUT, 1);
        tq_redis_close(r, "Redis did not answer in time");
    }

    tq_redis_end_all(r, &expired, TQ_CALL_NOT_SENT);
}


void
tq_redis_tick(tq_redis_t *r, int64_t now_ms)
{
    tq_redis_enter(r);

    if (r->calls != 0 && now_ms >= r->earliest_ms) {
        tq_redis_expire(r, now_ms);
    }

    if (r->patient && r->state != TQ_REDIS_READY
        && r->state != TQ_REDIS_CLOSING && now_ms >= r->patient_until)
    {
        tq_redis_impatient(r);
    }

    switch (r->state) {

    case TQ_REDIS_DOWN:
        if (now_ms >= r->connect_at) {
            r->connect_due = 1;
        }
        break;

    case TQ_REDIS_CONNECTING:
    case TQ_REDIS_HANDSHAKE:
        if (now_ms >= r->handshake_until) {
            tq_redis_tell(r, TQ_ERR_TIMEOUT, 1);
            tq_redis_close(r, r->state == TQ_REDIS_CONNECTING
                ? "connecting took too long"
                : "Redis did not finish the handshake in time");
        }
        break;

    case TQ_REDIS_READY:
        if (r->flight.head == NULL && r->queue.head == NULL
            && r->conf.idle_ping_ms > 0
            && now_ms - r->heard_ms >= r->conf.idle_ping_ms)
        {
            tq_redis_ping(r, now_ms);
        }
        break;

    case TQ_REDIS_CLOSING:
        break;
    }

    tq_redis_leave(r, now_ms);
}
