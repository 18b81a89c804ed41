/*
 * replies.h: for tests: replies of Redis made of text, as hiredis reads them
 * (freed by the caller), and what tq_ops.h makes of them.
 */

#ifndef REPLIES_H
#define REPLIES_H

#include "tq_ops_int.h"

redisReply *reply_parse(const char *resp);

/* An array of words: ":1" integer, "-" nil, else a string. */
redisReply *reply_array(const char *const *words, size_t n);

/* What an operation makes of a reply; its call is freed. Checks that what was
 * refused says why, as all do. The result lives until the next one. */
const tq_result_t *reply_result(tq_call_t *call, const redisReply *reply);

#endif /* REPLIES_H */
