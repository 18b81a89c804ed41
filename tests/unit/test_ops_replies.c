/*
 * test_ops_replies.c: replies of the right shape whose content tq_ops.h must
 * judge: names of keys, records of another version, payloads, schemas.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "replies.h"
#include "tq_layout.h"
#include "tq_ops.h"

static tq_ns_t            ns;
static const tq_token_t   token = { "00000000001f00000000000000a1" };


static void
records_and_keys(void **state)
{
    size_t             i;
    int64_t            id;
    tq_str_t           handler;
    tq_change_t        c;
    tq_claimed_t       job;
    redisReply        *reply;

    (void) state;

    static const char *const  bad_keys[][3] = {
        { "{replies}:h::wake", "w", "0" }, { "{replies}:x:a:wake", "w", "0" },
        { "{other}:h:email:wake", "w", "0" }, { "{replies}:h:email", "w", "0" },
        { "{replies}::wake", "w", "0" }, { "", "w", "0" },
        { "{replies}:wake", "w", "0" },
    };
    static const char *const  bad_record[] = {
        ":1", ":0", "5", ":0", "9- newer version"
    };
    static const char *const  no_id[] = { ":0", ":0" };

    for (i = 0; i < sizeof(bad_keys) / sizeof(bad_keys[0]); i++) {
        reply = reply_array(bad_keys[i], 3);
        assert_int_equal(tq_wake_result(reply, &ns, &handler), -1);
        freeReplyObject(reply);
    }

    /* a job whose record cannot be read can still be failed: id and token */
    reply = reply_array(bad_record, 5);
    memset(&job, 0, sizeof(job));
    assert_int_equal(tq_claim_job(reply, &token, 0, &job), -1);
    assert_int_equal(job.id, 5);
    assert_memory_equal(job.token.t, token.t, TQ_LEASE_TOKEN_LEN);
    freeReplyObject(reply);

    /* a replay that went well has an id */
    reply = reply_array(no_id, 2);
    assert_int_equal(tq_change_result(reply, &c, &id), -1);
    freeReplyObject(reply);
}


/* Of another length, or none: never handed to a handler. */
static void
payloads(void **state)
{
    size_t       i;
    tq_str_t     payload;
    redisReply  *reply;

    (void) state;

    static const struct {
        const char  *resp;
        int64_t      bytes;
        int          rc;
    } t[] = {
        { "$2\r\n{}\r\n", 2, 1 }, { "$5\r\n{\t\n.}\r\n", 5, 1 },
        { "$-1\r\n", 2, 0 },
        { "$2\r\n{}\r\n", 1, -1 }, { "$2\r\n{}\r\n", 3, -1 },
        { "$2\r\n[]\r\n", 2, -1 }, { "$2\r\n{a\r\n", 2, -1 },
        { "$2\r\na}\r\n", 2, -1 }, { "$1\r\n{\r\n", 1, -1 },
        { "$0\r\n\r\n", 0, -1 }, { "$2\r\n{}\r\n", 0, -1 },
        { "$2\r\n{}\r\n", -2, -1 }, { ":2\r\n", 2, -1 },
        { "-ERR no\r\n", 7, -1 },
    };

    assert_int_equal(tq_payload_result(NULL, 2, &payload), -1);

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        reply = reply_parse(t[i].resp);
        if (tq_payload_result(reply, t[i].bytes, &payload) != t[i].rc) {
            fail_msg("payload %zu", i);
        }
        freeReplyObject(reply);
    }
}


/* A namespace that is another TaskMQ's: which one, and what to do. */
static void
schemas(void **state)
{
    size_t       i;
    const char  *why;
    redisReply  *reply;

    (void) state;

    static const struct {
        const char  *resp, *why;
    } t[] = {
        { ":2\r\n", NULL }, { "$1\r\n2\r\n", NULL },
        { ":1\r\n", "older TaskMQ" }, { ":0\r\n", "older TaskMQ" },
        { ":3\r\n", "newer TaskMQ" },
        { ":9223372036854775807\r\n", "newer TaskMQ" },
        { ":-1\r\n", "cannot be read" }, { "$-1\r\n", "cannot be read" },
        { "$3\r\ntwo\r\n", "cannot be read" },
        { "*1\r\n:2\r\n", "cannot be read" },
        { "-ERR no\r\n", "cannot be read" },
    };

    assert_int_equal(TQ_SCHEMA, 2);
    assert_non_null(tq_open_why(NULL));

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        reply = reply_parse(t[i].resp);
        why = tq_open_why(reply);
        if (t[i].why == NULL) {
            assert_null(why);
        } else {
            assert_non_null(why);
            assert_non_null(strstr(why, t[i].why));
        }
        freeReplyObject(reply);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(records_and_keys),
        cmocka_unit_test(payloads),
        cmocka_unit_test(schemas),
    };

    if (tq_ns_init(&ns, "replies", 7) != 0) {
        return 1;
    }

    return cmocka_run_group_tests_name("ops_replies", tests, NULL, NULL);
}
