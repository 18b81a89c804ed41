/*
 * redis_uv.h: one Redis connection on libuv: the socket, DNS and the timer
 * that drive a tq_redis_t. Used from the loop's thread.
 *
 * Calls are only queued by tw_rconn_call(); they leave, all in one write, at
 * tw_rconn_flush(), which the worker calls once per turn of the loop. The
 * flush is also what connects, reconnects and closes.
 */

#ifndef TW_REDIS_UV_H
#define TW_REDIS_UV_H

#include <uv.h>

#include "tq_redis.h"
#include "tq_base.h"

typedef struct tw_rconn_s  tw_rconn_t;

typedef struct {
    const tq_url_t      *url;           /* must outlive the connection */
    const char          *client_name;
    const tq_script_t  **scripts;       /* NULL: none */
    const tq_greet_t    *greet;         /* these two as in tq_redis.h */
    const void          *greets;
    int64_t              timeout_ms;
    int64_t              idle_ping_ms;
    /* ready 1, or lost 0 and why. It may queue calls. */
    void               (*on_state)(void *data, int ready, const char *why);
    /* as tq_redis_conf_t's; may be NULL */
    void               (*on_error)(void *data, tq_redis_err_t e);
    void                *data;
} tw_rconn_conf_t;

/* NULL: out of memory. Connects at the first flush. */
tw_rconn_t *tw_rconn_new(uv_loop_t *loop, const tw_rconn_conf_t *conf);

/* As tq_redis_call(). call may be NULL (a builder ran out of memory): -1. */
int tw_rconn_call(tw_rconn_t *c, tq_call_t *call);

void tw_rconn_flush(tw_rconn_t *c);

int tw_rconn_ready(const tw_rconn_t *c);

/* As tq_redis_denied(). */
void tw_rconn_denied(tw_rconn_t *c);

/* Why it is not ready; "" when it is. */
const char *tw_rconn_why(const tw_rconn_t *c);

/* Calls without an answer yet. */
unsigned tw_rconn_pending(const tw_rconn_t *c);

/* Ends all calls (their callbacks run now), closes, and frees when the loop
 * has closed the handles. */
void tw_rconn_close(tw_rconn_t *c);

#endif /* TW_REDIS_UV_H */
