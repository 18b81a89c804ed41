/*
 * tq_redis_reply.h: what a reply of Redis looks like, and how arguments are
 * written. For this room and for queue/, which makes structs of replies: no
 * program ever looks into one.
 */

#ifndef TQ_REDIS_REPLY_H
#define TQ_REDIS_REPLY_H

#include <hiredis/hiredis.h>

#include "tq_redis.h"
#include "tq_redis_resp.h"

/* Classifies an error reply by its first word. TQ_ERR_NONE: not an error. */
tq_redis_err_t tq_redis_err(const redisReply *reply);

/* The same, and NOPERM too for a script that was stopped on its way: it may
 * have written before, so to a caller that is OTHER. */
tq_redis_err_t tq_redis_err_why(const redisReply *reply);

/* 1 when a script of ours failed on its way, at what it was given: not when
 * Redis refused to run it, or what it may not do. */
int tq_redis_err_script(const redisReply *reply);

/* 1 when a script (NULL: a text of the call's own) was stopped on its way, and
 * may have written before. */
int tq_redis_err_half(const tq_script_t *script, const redisReply *reply);

#endif /* TQ_REDIS_REPLY_H */
