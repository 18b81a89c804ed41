/*
 * replies.c: replies of Redis made of text.
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
