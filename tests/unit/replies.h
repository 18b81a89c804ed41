/*
 * replies.h: for tests: replies of Redis made of text, as hiredis reads them.
 * Freed by the caller.
 */

#ifndef REPLIES_H
#define REPLIES_H

#include <hiredis/hiredis.h>

redisReply *reply_parse(const char *resp);

/* An array of words: ":1" integer, "-" nil, else a string. */
redisReply *reply_array(const char *const *words, size_t n);

#endif /* REPLIES_H */
