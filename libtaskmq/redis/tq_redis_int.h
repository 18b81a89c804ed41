/*
 * tq_redis_int.h: what the files of this room share.
 */

#ifndef TQ_REDIS_INT_H
#define TQ_REDIS_INT_H

#include "tq_redis_reply.h"

#define TQ_NEVER  INT64_MAX

typedef struct {
    tq_call_t  *head;
    tq_call_t  *tail;
} tq_call_list_t;

/*
 * A call is in one list at a time. `flight`: its first byte was sent; only
 * the last of them may be sent in part. `queue`: of this nothing was sent
 * (or NOSCRIPT undid it). `handshake`: its calls, sent before queue.
 */
struct tq_redis_s {
    tq_redis_conf_t   conf;         /* strings are our copies */
    tq_redis_state_t  state;
    char              why[256];

    tq_call_list_t    flight;
    tq_call_list_t    queue;
    tq_call_list_t    handshake;
    unsigned          calls;        /* in flight and queue */
    unsigned          pending;      /* of these, with a callback */
    unsigned          handshaking;      /* handshake replies still to come */
    unsigned          greet_step;   /* of conf.greet */
    size_t            held;         /* bytes of their bodies */

    /* no call's deadline is earlier; exact after each scan in tick() */
    int64_t           earliest_ms;
    int64_t           connect_at;
    int64_t           handshake_until;
    int64_t           ready_at;
    int64_t           patient_until;  /* while patient */
    int64_t           eager_until;    /* the lost connection was stable: short
                                         waits */
    int64_t           heard_ms;     /* last byte received or sent */
    unsigned          failures;     /* since the last stable connection */
    uint64_t          random;

    redisReader      *reader;
    size_t            reader_high;  /* most bytes it has held */
    size_t            unparsed;     /* bytes since the last whole reply */

    unsigned          connect_due:1;
    unsigned          patient:1;    /* not READY: calls without `wait` wait for
                                       the next attempts, too */
    unsigned          draining:1;   /* READONLY or NOPERM: send no more, then
                                       close */
    unsigned          lost:1;       /* lost() came from inside a callback */
    unsigned          freeing:1;
    unsigned          told:1;       /* on_error() knows why it ends */
    unsigned          busy;         /* callbacks may be running */
};

/* What the reader gets at a time. */
#define TQ_REDIS_BITE_BYTES  (16 * 1024)

/* The one place where the state changes; it asserts the allowed edges. */
void tq_redis_state_set(tq_redis_t *r, tq_redis_state_t state);

/* Tells on_error(). ends: the connection ends for this. */
void tq_redis_tell(tq_redis_t *r, tq_redis_err_t e, unsigned ends);

/* Around everything that may run callbacks. */
void tq_redis_enter(tq_redis_t *r);
void tq_redis_leave(tq_redis_t *r, int64_t now_ms);

/* Ends one call that is in no list any more; takes the reply. */
void tq_redis_end(tq_redis_t *r, tq_call_t *call, tq_call_result_t result,
    redisReply *reply);
void tq_redis_end_all(tq_redis_t *r, tq_call_list_t *l,
    tq_call_result_t result);

/* Ends what belonged to this connection: sent calls are UNKNOWN, unsent ones
 * NOT_SENT unless they wait for the next connection, as all do while
 * patient. */
void tq_redis_drop(tq_redis_t *r);

/* No attempt came in time: unsent calls without `wait` are NOT_SENT. */
void tq_redis_impatient(tq_redis_t *r);

/* Asks the host to close, and drops. why may be r->why. */
void tq_redis_close(tq_redis_t *r, const char *why);

/* Sets a call's deadline. */
void tq_redis_due(tq_redis_t *r, tq_call_t *call, int64_t now_ms,
    int64_t timeout_ms);

void tq_list_add(tq_call_list_t *l, tq_call_t *call);
tq_call_t *tq_list_pop(tq_call_list_t *l);

/* Builds r->handshake. 0, or -1 when memory ran out. */
int tq_handshake_start(tq_redis_t *r);

/* Judges one handshake reply. 0 fine, or -1 with r->why. */
int tq_handshake_reply(tq_redis_t *r, tq_call_t *call, const redisReply *reply);

/* The callback that marks handshake calls and PINGs. */
void tq_handshake_cb(tq_call_t *call, tq_call_result_t result,
    const redisReply *reply);

/* How long to wait before the next attempt, ms; counts the failure, unless it
 * is one of the first moments' after a stable connection. */
int64_t tq_backoff_ms(tq_redis_t *r, int64_t now_ms);

/* Slices of one call at most: head, script text, key count, body. */
#define TQ_CALL_IOV_MAX  4

/* Writes the head for EVALSHA, or for EVAL once `resent` is set. To be called
 * when all arguments are there. */
void tq_call_seal(tq_call_t *call);

/* All bytes of a sealed call. */
size_t tq_call_total(const tq_call_t *call);

/* The bytes from call->off on, as up to max slices; returns how many. */
int tq_call_iov(const tq_call_t *call, struct iovec *iov, int max);

/* As tq_call_free(), but no argument stays readable in freed memory. */
void tq_call_wipe(tq_call_t *call);

/* A reader that refuses arrays over TQ_REDIS_REPLY_ITEMS_MAX, and those deeper
 * than TQ_REDIS_REPLY_DEPTH_MAX. */
redisReader *tq_redis_reader_new(void);

#endif /* TQ_REDIS_INT_H */
