/*
 * replies.c: replies of Redis made of text, and their results.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "replies.h"


redisReply *
reply_parse(const char *resp)
{
    void         *reply;
    redisReader  *reader;

    reader = redisReaderCreate();
    assert_non_null(reader);
    assert_int_equal(redisReaderFeed(reader, resp, strlen(resp)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);

    return reply;
}


redisReply *
reply_array(const char *const *words, size_t n)
{
    char         *text;
    size_t        i, len;
    redisReply   *reply;

    text = test_malloc(65536);
    len = (size_t) sprintf(text, "*%zu\r\n", n);

    for (i = 0; i < n; i++) {
        if (words[i][0] == ':') {
            len += (size_t) sprintf(text + len, "%s\r\n", words[i]);
        } else if (strcmp(words[i], "-") == 0) {
            len += (size_t) sprintf(text + len, "$-1\r\n");
        } else {
            len += (size_t) sprintf(text + len, "$%zu\r\n%s\r\n",
                strlen(words[i]), words[i]);
        }
    }

    reply = reply_parse(text);
    test_free(text);

    return reply;
}


const tq_result_t *
reply_result(tq_call_t *call, const redisReply *reply)
{
    int                 error = reply->type == REDIS_REPLY_ERROR;
    static tq_result_t  res;

    memset(&res, 0xa5, sizeof(res));
    assert_non_null(call);
    tq_op_result(tq_op_of(call), TQ_CALL_REPLY, reply, &res);
    tq_call_free(call);
    res.call = NULL;

    assert_non_null(res.text);

    if (res.status == TQ_OK) {
        assert_int_equal(res.err, TQ_ERR_NONE);
        assert_int_equal(res.odd, 0);
    } else {
        assert_int_equal(res.status, TQ_REFUSED);
        assert_int_equal(res.odd, !error);
        assert_int_equal(res.err, error ? tq_redis_err(reply) : TQ_ERR_OTHER);
        assert_string_equal(res.text, error ? reply->str : "unexpected reply");
    }

    return &res;
}
