/*
 * redis_loop.h: for tests: a private redis-server on a unix socket in a folder
 * of its own, and a poll(2) host that drives a tq_redis_t with it, reconnecting
 * as tq_redis asks. Everything that fails here fails the test, and says what.
 */

#ifndef REDIS_LOOP_H
#define REDIS_LOOP_H

#include <sys/types.h>

#include "tq_redis_int.h"

typedef struct {
    pid_t  pid;               /* 0: not running */
    char   dir[64];
    char   sock[96];
} redis_server_t;

/* Makes the folder, starts the server, and waits until it answers. */
void redis_server_start(redis_server_t *s);

/* kill -9; then the same folder again (the append-only file is there). */
void redis_server_kill(redis_server_t *s);
void redis_server_restart(redis_server_t *s);

/* Ends it and removes the folder. Fine to call twice. */
void redis_server_stop(redis_server_t *s);

typedef struct {
    tq_redis_t   *r;
    const char   *sock;
    int           fd;         /* -1: none */
    int           connecting;
    redisReply   *reply;      /* of the last redis_loop_run() */
} redis_loop_t;

int64_t redis_loop_now(void);

/* conf may be NULL: all scripts, 5 s timeouts. Does not wait. */
void redis_loop_open(redis_loop_t *l, const char *sock,
    const tq_redis_conf_t *conf);
void redis_loop_close(redis_loop_t *l);

/* One round: waits for the socket or the clock, at most max_ms. */
void redis_loop_step(redis_loop_t *l, int max_ms);

/* Steps until *done or the condition holds; fails the test after 20 s. */
void redis_loop_until(redis_loop_t *l, const int *done);
void redis_loop_ready(redis_loop_t *l);

/* Sends a call (its cb and data are replaced) and waits for its end. The reply
 * lives until the next run; NULL when none came. */
const redisReply *redis_loop_run(redis_loop_t *l, tq_call_t *call);

/* The same for a plain command of words; NULL ends them. */
const redisReply *redis_loop_cmd(redis_loop_t *l, ...);

#endif /* REDIS_LOOP_H */
