/*
 * tq_redis_reply.c: the reply side that needs no connection: hiredis' reader
 * with our array limits, and what an error reply means.
 */

#include <string.h>

#include "tq_base.h"
#include "tq_redis_int.h"

/* hiredis 1.0 widened the element count. */
#if HIREDIS_MAJOR >= 1
typedef size_t  tq_elements_t;
#else
typedef int     tq_elements_t;
#endif

static void *(*tq_create_array)(const redisReadTask *, tq_elements_t);
static redisReplyObjectFunctions  tq_reply_functions;

static int tq_too_deep(const redisReadTask *task);
static void *tq_create_bounded(const redisReadTask *task, tq_elements_t n);


/* From 1.0 on hiredis nests as deep as the bytes go, and frees by recursion:
 * a broken peer must not choose how much stack that takes. */
static int
tq_too_deep(const redisReadTask *task)
{
    int  depth;

    depth = 0;

    for (task = task->parent; task != NULL; task = task->parent) {
        if (++depth > TQ_REDIS_REPLY_DEPTH_MAX) {
            return 1;
        }
    }

    return 0;
}


/* hiredis allocates the whole array when it reads its length: a broken peer
 * must not make us ask for gigabytes with ten bytes. */
static void *
tq_create_bounded(const redisReadTask *task, tq_elements_t n)
{
    if ((size_t) n > TQ_REDIS_REPLY_ITEMS_MAX) {
        return NULL;
    }

    if (tq_too_deep(task)) {
        return NULL;
    }

    return tq_create_array(task, n);
}


redisReader *
tq_redis_reader_new(void)
{
    redisReader  *reader;

    reader = redisReaderCreate();
    if (reader == NULL) {
        return NULL;
    }

    if (tq_create_array == NULL) {
        tq_reply_functions = *reader->fn;
        tq_create_array = tq_reply_functions.createArray;
        tq_reply_functions.createArray = tq_create_bounded;
    }

    reader->fn = &tq_reply_functions;

    /* tq_redis gives a large buffer back itself: hiredis 0.14 would abort
     * when the new one cannot be had */
    reader->maxbuf = 0;

    return reader;
}


/* Redis 7.0 and 7.2 say so, behind a plain ERR, when a script may not do what
 * it is about to do. */
tq_redis_err_t
tq_redis_err_why(const redisReply *reply)
{
    size_t          i;
    tq_redis_err_t  err = tq_redis_err(reply);

    static const char *const  denied[] = {
        "ERR The user executing the script can't",
        "ERR ACL failure in script",
    };

    for (i = 0; err == TQ_ERR_OTHER
         && i < sizeof(denied) / sizeof(denied[0]); i++)
    {
        if (strncmp(reply->str, denied[i], strlen(denied[i])) == 0) {
            err = TQ_ERR_NOPERM;
        }
    }

    return err;
}


int
tq_redis_err_script(const redisReply *reply)
{
    /* Redis 6: "ERR Error running script (call to f_…): @user_script:9: …";
     * from 7 on: "… script: …, on @user_script:9." */
    return tq_redis_err_why(reply) == TQ_ERR_OTHER
           && (strstr(reply->str, "user_script:") != NULL
               || strncmp(reply->str, "ERR TASKMQ ", 11) == 0);
}


int
tq_redis_err_half(const tq_script_t *script, const redisReply *reply)
{
    static const char  reads[] = "#!lua flags=no-writes\n";

    /* where it was stopped, as above; what is refused as a whole has none */
    return strstr(reply->str, "user_script:") != NULL
           && (script == NULL
               || strncmp(script->text, reads, sizeof(reads) - 1) != 0);
}


tq_redis_err_t
tq_redis_err(const redisReply *reply)
{
    size_t    n;
    unsigned  i;

    static const struct {
        const char      *word;
        tq_redis_err_t   err;
    } words[] = {
        { "LOADING", TQ_ERR_LOADING },
        { "READONLY", TQ_ERR_READONLY },
        { "MASTERDOWN", TQ_ERR_MASTERDOWN },
        { "OOM", TQ_ERR_OOM },
        { "BUSY", TQ_ERR_BUSY },
        { "CLUSTERDOWN", TQ_ERR_CLUSTERDOWN },
        { "MISCONF", TQ_ERR_MISCONF },
        { "NOREPLICAS", TQ_ERR_NOREPLICAS },
        { "NOAUTH", TQ_ERR_NOAUTH },
        { "WRONGPASS", TQ_ERR_NOAUTH },
        { "NOPERM", TQ_ERR_NOPERM },
    };

    if (reply == NULL || reply->type != REDIS_REPLY_ERROR) {
        return TQ_ERR_NONE;
    }

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        n = strlen(words[i].word);

        if ((size_t) reply->len >= n
            && memcmp(reply->str, words[i].word, n) == 0
            && ((size_t) reply->len == n || reply->str[n] == ' '))
        {
            return words[i].err;
        }
    }

    return TQ_ERR_OTHER;
}


const char *
tq_redis_err_text(tq_redis_err_t e)
{
    switch (e) {
    case TQ_ERR_NONE:
        return "no error";
    case TQ_ERR_LOADING:
        return "Redis is loading its data";
    case TQ_ERR_READONLY:
        return "Redis is a read-only replica";
    case TQ_ERR_MASTERDOWN:
        return "the Redis replica has lost its master";
    case TQ_ERR_OOM:
        return "Redis is out of memory";
    case TQ_ERR_BUSY:
        return "Redis is busy with a script";
    case TQ_ERR_CLUSTERDOWN:
        return "the Redis cluster is down";
    case TQ_ERR_MISCONF:
        return "Redis cannot save to disk";
    case TQ_ERR_NOREPLICAS:
        return "Redis has too few replicas to accept writes";
    case TQ_ERR_NOAUTH:
        return "Redis wants another user or password, or the user is off";
    case TQ_ERR_NOPERM:
        return "the Redis user lacks a permission";
    case TQ_ERR_NOSCRIPT:
        return "Redis had forgotten its scripts";
    case TQ_ERR_TIMEOUT:
        return "Redis did not answer in time";
    case TQ_ERR_CONNECTION:
        return "the connection to Redis failed";
    case TQ_ERR_OTHER:
    case TQ_ERR_N:
        break;
    }

    return "Redis answered with an error";
}


const char *
tq_redis_err_word(tq_redis_err_t e)
{
    static const char *const  words[TQ_ERR_N] = {
        [TQ_ERR_NONE] = "none",
        [TQ_ERR_LOADING] = "loading",
        [TQ_ERR_READONLY] = "readonly",
        [TQ_ERR_MASTERDOWN] = "masterdown",
        [TQ_ERR_OOM] = "oom",
        [TQ_ERR_BUSY] = "busy",
        [TQ_ERR_CLUSTERDOWN] = "clusterdown",
        [TQ_ERR_MISCONF] = "misconf",
        [TQ_ERR_NOREPLICAS] = "noreplicas",
        [TQ_ERR_NOAUTH] = "noauth",
        [TQ_ERR_NOPERM] = "noperm",
        [TQ_ERR_OTHER] = "other",
        [TQ_ERR_NOSCRIPT] = "noscript",
        [TQ_ERR_TIMEOUT] = "timeout",
        [TQ_ERR_CONNECTION] = "connection",
    };

    return words[e];
}
