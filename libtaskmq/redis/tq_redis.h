/*
 * tq_redis.h: the Redis client's core, without any I/O.
 *
 * The host (nginx, libuv, a unit test, the CLI's poll loop) owns the socket and
 * the clock; this owns the protocol: the handshake, the order of calls, their
 * deadlines, NOSCRIPT, backoff. One tq_redis_t is one connection and is used
 * from one thread.
 *
 *   host                                tq_redis
 *   ----                                --------
 *   tq_redis_next_ms(), a timer     ->  tq_redis_tick(now)
 *   want == CONNECT: opens a socket ->  tq_redis_connected(now)
 *   socket readable, bytes          ->  tq_redis_feed(bytes, now)
 *   socket writable, or after calls <-  tq_redis_out(iov) ; tq_redis_sent(n)
 *   socket closed or failed         ->  tq_redis_lost(why, now)
 *   want == CLOSE: closes it        ->  tq_redis_lost(…)
 *
 * After any of these, and after tq_redis_call(), the host looks at
 * tq_redis_want(). Replies come in the order of the calls; a call that is past
 * its deadline ends the connection, because later replies could no longer be
 * matched.
 *
 * Memory: a tq_call_t is the caller's, made with tq_call_new(), handed over
 * with tq_redis_call(), and freed by this after its callback returned. Inside
 * a callback (or on_state) tq_redis_call(), _out(), _sent() and the functions
 * that only look are allowed; tq_redis_lost() is done when the callback has
 * returned; _feed(), _tick() and _free() are not allowed.
 *
 * What a reply looks like is a matter of this room and of queue/, which makes
 * structs of it: hosts never look into one.
 */

#ifndef TQ_REDIS_H
#define TQ_REDIS_H

#include <sys/uio.h>

#include "tq_base.h"

typedef struct tq_redis_s  tq_redis_t;
typedef struct tq_call_s   tq_call_t;

struct redisReply;          /* hiredis' own */

/* A Lua script: text and the SHA-1 that names it (hex, computed at build
 * time by the embedding step). */
typedef struct {
    const char  *name;
    const char  *sha;       /* 40 characters */
    const char  *text;
    size_t       len;
} tq_script_t;

typedef enum {
    TQ_CALL_REPLY,          /* reply is there; it may be an error */
    TQ_CALL_NOT_SENT,       /* surely never reached Redis */
    TQ_CALL_UNKNOWN         /* was sent, in part or whole; no reply came */
} tq_call_result_t;

/* What an error reply means to a caller. */
typedef enum {
    TQ_ERR_NONE,
    TQ_ERR_LOADING, TQ_ERR_READONLY, TQ_ERR_MASTERDOWN, TQ_ERR_OOM,
    TQ_ERR_BUSY, TQ_ERR_CLUSTERDOWN, TQ_ERR_MISCONF, TQ_ERR_NOREPLICAS,
    TQ_ERR_NOAUTH, TQ_ERR_NOPERM,
    TQ_ERR_OTHER,

    /* told to on_error() only; no error reply means them */
    TQ_ERR_NOSCRIPT,        /* Redis had forgotten a script; it got it again */
    TQ_ERR_TIMEOUT,         /* no connection or no reply in time */
    TQ_ERR_CONNECTION,      /* it could not be made, or was lost */

    TQ_ERR_N                /* how many there are */
} tq_redis_err_t;

/* The reply is freed when this returns, unless it sets call->keep. */
typedef void (*tq_call_cb)(tq_call_t *call, tq_call_result_t result,
    const struct redisReply *reply);

struct tq_call_s {
    tq_call_cb          cb;          /* may be NULL: result not wanted */
    void               *data;        /* the caller's */
    int64_t             timeout_ms;  /* from tq_redis_call(); 0: the default;
                                        < 0 (with wait): unlimited until it
                                        is sent, then the default */
    unsigned            wait:1;      /* keep while disconnected, until the
                                        deadline; else NOT_SENT at once, or
                                        after the connection's patience_ms */
    unsigned            raw:1;       /* nargs/body hold a whole command, no
                                        script */
    unsigned            keep:1;      /* set in cb: it frees the reply itself */

    /* filled through tq_call_*() */
    const tq_script_t  *script;
    unsigned            nargs;       /* arguments appended to body */
    tq_buf_t            body;        /* they, RESP-encoded */
    unsigned            skip;        /* unused bytes at body's start */

    /* tq_redis' own */
    int64_t             deadline_ms;
    int64_t             sent_ms;     /* when the first byte left; 0: not yet */
    size_t              off;         /* bytes sent */
    unsigned            resent:1;    /* as EVAL, after NOSCRIPT */
    unsigned            greets:1;    /* one of greet->call()'s */
    char                head[96];    /* command, script */
    unsigned            head_len;
    tq_call_t          *next;

    tq_call_t          *before;      /* sent right before this one, after that
                                        one's own before; all are taken, or
                                        freed, together, and wait and time out
                                        as this one does */
};

/* A script call, or (script NULL) a plain command. NULL: out of memory. */
tq_call_t *tq_call_new(const tq_script_t *script, tq_call_cb cb, void *data);

/* The same with memory behind it, size in all, zeroed and freed with it. */
tq_call_t *tq_call_make(size_t size, const tq_script_t *script, tq_call_cb cb,
    void *data);

/* Arguments, in order. The first argument of a script call is its only key.
 * An allocation failure shows in call->body.failed and makes tq_redis_call()
 * answer -1. */
void tq_call_arg(tq_call_t *call, const void *p, size_t len);
void tq_call_args(tq_call_t *call, const char *cstr);
void tq_call_argi(tq_call_t *call, int64_t v);

/* For a call that was never handed over; those before it go, too. */
void tq_call_free(tq_call_t *call);

typedef enum {
    TQ_REDIS_DOWN,          /* no socket; backing off until connect_at */
    TQ_REDIS_CONNECTING,    /* the host was asked for a socket */
    TQ_REDIS_HANDSHAKE,     /* AUTH, SELECT, CLIENT SETNAME, SCRIPT LOAD … */
    TQ_REDIS_READY,
    TQ_REDIS_CLOSING        /* asks the host to close */
} tq_redis_state_t;

typedef enum {
    TQ_WANT_NOTHING, TQ_WANT_CONNECT, TQ_WANT_WRITE, TQ_WANT_CLOSE
} tq_want_t;

/* What a reply to the host's own calls of the handshake means. */
typedef enum {
    TQ_GREETED,             /* fine */
    TQ_GREET_NEXT,          /* fine, and the calls of the next step follow */
    TQ_GREET_LACKS,         /* the user lacks rights; their names are written */
    TQ_GREET_UNFIT          /* the connection is of no use: why was written */
} tq_greeted_t;

/* The host's own calls, which end the handshake. */
typedef struct tq_greet_s  tq_greet_t;

struct tq_greet_s {
    /* Made from conf.greets, for a step, from 0 on: one call and those `before`
     * it. Their data is theirs. NULL: out of memory. */
    tq_call_t           *(*call)(const tq_greet_t *greet, const void *greets,
        unsigned step);
    /* Judges one's reply; an error only if that was no script's. */
    tq_greeted_t         (*judge)(const tq_call_t *call,
        const struct redisReply *reply, char *why, size_t size);
    const char          *rights;       /* call()'s own */
};

typedef struct {
    const char          *user;         /* "" or NULL: none */
    const char          *password;     /* copied, as a tq_secret.h */
    int                  db;
    const char          *client_name;  /* CLIENT SETNAME, NULL: none */
    const tq_script_t  **scripts;      /* NULL-terminated; loaded at once */
    const tq_greet_t    *greet;        /* NULL: none */
    const void          *greets;       /* whom; for greet->call() */
    int64_t              timeout_ms;   /* per call, connect and handshake */
    int64_t              idle_ping_ms; /* PING when silent this long; 0: no */
    int64_t              backoff_max_ms;  /* 0: TQ_BACKOFF_MAX_MS */
    int64_t              patience_ms;  /* a connection that was READY and is
                                          lost: calls without `wait` are kept,
                                          and taken, so long; 0: not */
    uint64_t             seed;         /* for backoff jitter */
    /* READY; or DOWN, after every lost connection or failed attempt. May be
     * NULL. why: static or short-lived text */
    void               (*on_state)(void *host, tq_redis_state_t s,
                                   const char *why);
    /* Something went wrong: once for each error reply, in the handshake too,
     * and once for each connection that ended or was not made for another
     * reason. For counting and logging: calls nothing here. May be NULL */
    void               (*on_error)(void *host, tq_redis_err_t e);
    void                *host;
} tq_redis_conf_t;

/* Starts DOWN with connect_at = now. NULL: out of memory. now_ms: any
 * monotonic clock in milliseconds, the same in all functions. */
tq_redis_t *tq_redis_new(const tq_redis_conf_t *conf, int64_t now_ms);

/* Ends all calls (NOT_SENT or UNKNOWN), then frees. The socket is the
 * host's. */
void tq_redis_free(tq_redis_t *r);

tq_want_t tq_redis_want(const tq_redis_t *r);
tq_redis_state_t tq_redis_state(const tq_redis_t *r);

/* 1 when tq_redis_call() takes calls without `wait`: it is READY, or was a
 * moment ago and may be again before patience_ms are over. */
int tq_redis_takes(const tq_redis_t *r);

/* From now on as if patience_ms was 0: the host has no more time. To be
 * followed by tq_redis_lost(). */
void tq_redis_hurry(tq_redis_t *r);

/* Why the connection is not READY ("" when it is). The text may change with
 * the next call of a function here. */
const char *tq_redis_why(const tq_redis_t *r);

/* The host took up TQ_WANT_CONNECT: a connect is under way. */
void tq_redis_connecting(tq_redis_t *r, int64_t now_ms);
void tq_redis_connected(tq_redis_t *r, int64_t now_ms);
void tq_redis_lost(tq_redis_t *r, const char *why, int64_t now_ms);

/* 0, or -1: the stream is broken, want is CLOSE. */
int tq_redis_feed(tq_redis_t *r, const char *p, size_t len, int64_t now_ms);

/* The bytes to send next, as up to max slices; returns how many. They stay
 * valid until tq_redis_sent(), _lost(), _feed(), _tick() or _free(). */
int tq_redis_out(tq_redis_t *r, struct iovec *iov, int max);
void tq_redis_sent(tq_redis_t *r, size_t n, int64_t now_ms);

/* The next moment tq_redis_tick() has something to do; -1: none. */
int64_t tq_redis_next_ms(const tq_redis_t *r);
void tq_redis_tick(tq_redis_t *r, int64_t now_ms);

/* Another connection of the same user was refused a call, for a missing right:
 * when READY, this one counts that and ends as if it had been its own call, and
 * the next handshake says which right it is. Not from inside a callback of this
 * connection. */
void tq_redis_denied(tq_redis_t *r, int64_t now_ms);

/*
 * Takes the call. 0: its callback will be called exactly once, later (never
 * from inside this function). -1: refused (out of memory, or over
 * TQ_REDIS_CALLS_MAX / _OUT_MAX_BYTES, or !call->wait and !tq_redis_takes());
 * the call was freed and the callback will not be called: nothing was sent.
 */
int tq_redis_call(tq_redis_t *r, tq_call_t *call, int64_t now_ms);

/* Calls queued or in flight that have a callback. */
unsigned tq_redis_pending(const tq_redis_t *r);

/* Bytes of arguments held by calls queued or in flight. */
size_t tq_redis_held_bytes(const tq_redis_t *r);

const char *tq_redis_err_text(tq_redis_err_t e);  /* for people */
const char *tq_redis_err_word(tq_redis_err_t e);  /* a metric's label */

#endif /* TQ_REDIS_H */
