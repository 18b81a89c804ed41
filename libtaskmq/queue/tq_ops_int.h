/*
 * tq_ops_int.h: what the tq_ops*.c files of this room share.
 */

#ifndef TQ_OPS_INT_H
#define TQ_OPS_INT_H

#include "tq_ops.h"
#include "tq_redis_reply.h"
#include "tq_scripts.h"

typedef struct tq_op_s  tq_op_t;

/* Makes an operation's part of the result of a reply, which may be of any
 * shape and an error. 0, or -1: it is none of this operation's. */
typedef int  tq_decode_t(const tq_op_t *op, const redisReply *reply,
    tq_result_t *res);

/* A call of an operation. */
struct tq_op_s {
    tq_call_t             call;       /* first: it is freed as one */
    tq_done_cb            done;
    tq_decode_t          *decode;     /* NULL: whatever is no error is fine */

    /* what the operation is about, for decode */
    union {
        int64_t           id;
        int64_t           bytes;
        unsigned          n;          /* groups, outcomes */
        tq_token_t        token;
        const tq_ns_t    *ns;
    };
};

/* A call of a script with its key, or (script and ns NULL) a plain command.
 * NULL: out of memory. */
tq_call_t *tq_op_new(const tq_script_t *script, const tq_ns_t *ns,
    tq_decode_t *decode, tq_done_cb done, void *data);

/* A call of a plain command, with its key, a short one: what follows the
 * prefix. NULL: out of memory. */
tq_call_t *tq_op_plain(const char *command, const tq_ns_t *ns,
    const char *key, tq_decode_t *decode, tq_done_cb done, void *data);

/* The next argument: a key of a job, such as "b:" and 7. */
void tq_op_job_key(tq_call_t *call, const tq_ns_t *ns, const char *kind,
    int64_t id);

/* A call of tq_op_new(). */
static inline tq_op_t *
tq_op_of(tq_call_t *call)
{
    return (tq_op_t *) call;
}

/* The finished call, or NULL (and it is freed) when an argument had no room. */
tq_call_t *tq_op_done(tq_call_t *call);

/* The result of a call that ended so; reply is NULL where none came. */
void tq_op_result(const tq_op_t *op, tq_call_result_t result,
    const redisReply *reply, tq_result_t *res);

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

/* The same of sums that a script which was stopped on its way may have left
 * below 0: they are 0 then, and what else is known is not lost. */
int tq_reply_totals(const redisReply *reply, size_t from, int64_t *const *to,
    size_t n);

#endif /* TQ_OPS_INT_H */
