/*
 * tq_ops_int.h: what the tq_ops*.c files share. Nobody else includes it.
 */

#ifndef TQ_OPS_INT_H
#define TQ_OPS_INT_H

#include "tq_ops.h"
#include "tq_scripts.h"

/* A call of a script with its key. NULL: out of memory. */
tq_call_t *tq_op_new(const tq_script_t *script, const tq_ns_t *ns,
    tq_call_cb cb, void *data);

/* The finished call, or NULL (and it is freed) when an argument had no room. */
tq_call_t *tq_op_done(tq_call_t *call);

/* An array of at least min elements. 0, or -1. */
int tq_reply_array(const redisReply *reply, size_t min);

/* An integer, or a string of decimal digits. 0, or -1. */
int tq_reply_int(const redisReply *reply, int64_t *out);

/* The same within 0..max. 0, or -1. */
int tq_reply_count(const redisReply *reply, int64_t max, int64_t *out);

/* A job id 1..TQ_ID_MAX. 0, or -1. */
int tq_reply_id(const redisReply *reply, int64_t *out);

/* A string or status. 0, or -1. */
int tq_reply_str(const redisReply *reply, tq_str_t *out);

/* Reads n counts, elements [from..from+n), through pointers. 0, or -1. */
int tq_reply_counts(const redisReply *reply, size_t from, int64_t *const *to,
    size_t n);

#endif /* TQ_OPS_INT_H */
