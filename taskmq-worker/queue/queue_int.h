/*
 * queue_int.h: what the parts of the queue tell each other.
 */

#ifndef TW_QUEUE_INT_H
#define TW_QUEUE_INT_H

#include "redis_uv.h"
#include "tw_base.h"
#include "tw_queue.h"

/* Jobs may be claimed. */
static inline int
tw_queue_is_open(const tw_queue_t *q)
{
    return q->run->phase == TW_RUNNING && q->session.gate == 0;
}

/* What Redis refused is asked again in so many ms, after that many refusals in
 * a row before this one. */
static inline int64_t
tw_refused_ms(unsigned refusals)
{
    int64_t  ms = TQ_REFUSED_WAIT_MIN_MS << (refusals > 4 ? 4 : refusals);

    return ms < TQ_REFUSED_WAIT_MAX_MS ? ms : TQ_REFUSED_WAIT_MAX_MS;
}

/* ---- connection.c ---- */

/* 0, or -1: out of memory. */
int tw_connection_init(tw_queue_t *q);

/* ---- trouble.c ---- */

/* Redis refuses this (e: a result's cause), or is away. 1: it is news, log
 * it. */
int tw_trouble(tw_queue_t *q, tw_call_kind_t call, tq_redis_err_t e);
/* The same of a call that was refused; logs it as text, if it is news. */
void tw_refused(tw_queue_t *q, tw_call_kind_t call, const tq_result_t *res,
    const char *text);
/* It works: logs that whatever was wrong is over, if that is news. */
void tw_trouble_over(tw_queue_t *q, tw_call_kind_t call);

/* ---- session.c ---- */

int tw_session_init(tw_queue_t *q);
void tw_session_ready(tw_queue_t *q);

/* Looks at the key of the task ids, in the next call on the connection, unless
 * that was done a moment ago: a namespace that was emptied (FLUSHALL, an empty
 * replica) has another one, and its ids begin at 1 again. 0, or -1: not
 * possible now. When there is no key the gate is shut until there is. */
int tw_session_check_key(tw_queue_t *q);

/* The namespace was emptied: the gate is shut until its key is known. */
void tw_session_emptied(tw_queue_t *q);
void tw_session_lost(tw_queue_t *q);

/* tw_lease_recover() is done, or was refused, or (res NULL) could not go on. */
void tw_session_recovered(tw_queue_t *q, const tq_result_t *res);
void tw_session_close(tw_queue_t *q);

/* ---- claim.c ---- */

int tw_claim_init(tw_queue_t *q);
void tw_claim_turn(tw_queue_t *q);
void tw_claim_close(tw_queue_t *q);

/* The next call's token. */
tq_token_t tw_claim_token(tw_queue_t *q);

/* What came cannot be worked on: the next call is made in ms. */
void tw_claim_pause(tw_queue_t *q, int64_t ms);

/* The pool has fewer places than jobs: what the calls on their way bring for it
 * goes back, or it would overtake. */
void tw_claim_refuse(tw_queue_t *q, tw_pool_t *pool);

/* ---- payload.c ---- */

/* Reads the payloads that slots wait for, as many as may be read at a time. */
void tw_payload_turn(tw_queue_t *q);

/* ---- wake.c ---- */

int tw_wake_init(tw_queue_t *q);
void tw_wake_turn(tw_queue_t *q);

/* What Redis refused may be asked again as soon as the other connection is
 * there: its handshake looks at the rights to it. */
void tw_wake_soon(tw_queue_t *q);
void tw_wake_close(tw_queue_t *q);

/* ---- lease.c ---- */

int tw_lease_init(tw_queue_t *q);
void tw_lease_ready(tw_queue_t *q);
void tw_lease_turn(tw_queue_t *q);

/* Extends all leases now, whatever is under way, and ends those of this worker
 * that it does not hold (a claim whose reply was lost); no claim may be under
 * way. 0, or -1: not sent. */
int tw_lease_recover(tw_queue_t *q);
void tw_lease_close(tw_queue_t *q);

/* ---- restart.c ---- */

/* Asks Redis which handlers are to be restarted: with each heartbeat. */
void tw_restart_read(tw_queue_t *q);

/* One step for each handler. */
void tw_restart_turn(tw_queue_t *q);

/* ---- outcomes.c ---- */

int tw_outcomes_init(tw_queue_t *q);

/* Takes a copy of the outcome and of everything it points at. It leaves at the
 * end of this turn. */
void tw_outcomes_add(tw_queue_t *q, tw_outcome_kind_t kind,
    const tq_outcome_t *o);

void tw_outcomes_turn(tw_queue_t *q);

/* The connection was lost: what was sent without an answer is sent again. */
void tw_outcomes_ready(tw_queue_t *q);

/* Calls f for every outcome that Redis has not answered. */
void tw_outcomes_each(tw_queue_t *q,
    void (*f)(void *data, int64_t id, const tq_token_t *token), void *data);

void tw_outcomes_close(tw_queue_t *q);

#endif /* TW_QUEUE_INT_H */
