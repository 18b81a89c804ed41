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

static tq_ns_t            ns;
static const tq_token_t   token = { "00000000001f00000000000000a1" };


static void
records_and_keys(void **state)
{
    size_t              i;
    tq_claimed_t        job;
    redisReply         *reply;
    const tq_result_t  *res;

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
        res = reply_result(tq_wake_call(&ns, "w", NULL, 0, 1, NULL, NULL),
            reply);
        assert_int_equal(res->odd, 1);
        freeReplyObject(reply);
    }

    /* a job whose record cannot be read can still be failed: id and token */
    reply = reply_array(bad_record, 5);
    memset(&job, 0, sizeof(job));
    res = reply_result(tq_claim_call(&ns, &token, "host:1", 1000, 1, 0, NULL,
        0, NULL, NULL), reply);
    assert_int_equal(res->claims.jobs, 1);
    assert_int_equal(tq_claim_job(res, 0, &job), -1);
    assert_int_equal(job.id, 5);
    assert_memory_equal(job.token.t, token.t, TQ_LEASE_TOKEN_LEN);
    freeReplyObject(reply);

    /* a replay that went well has an id */
    reply = reply_array(no_id, 2);
    res = reply_result(tq_replay_call(&ns, 5, 0, NULL, NULL), reply);
    assert_int_equal(res->odd, 1);
    freeReplyObject(reply);
}


/* Redis has become a replica: it ends waits by itself. */
static void
wait_ended(void **state)
{
    redisReply         *reply;
    const tq_result_t  *res;

    (void) state;

    reply = reply_parse("-UNBLOCKED force unblock from blocking operation\r\n");
    res = reply_result(tq_wake_call(&ns, "w", NULL, 0, 1, NULL, NULL), reply);
    assert_int_equal(res->status, TQ_OK);
    assert_int_equal(res->wake.kind, TQ_WAKE_ENDED);
    freeReplyObject(reply);
}


/* Of another length, or none: never handed to a handler. */
static void
payloads(void **state)
{
    size_t              i;
    redisReply         *reply;
    const tq_result_t  *res;

    (void) state;

    static const struct {
        const char  *resp;
        int64_t      bytes;
        int          rc;        /* 1 there, 0 not, -1 damaged, -2 refused */
    } t[] = {
        { "$2\r\n{}\r\n", 2, 1 }, { "$5\r\n{\t\n.}\r\n", 5, 1 },
        { "$-1\r\n", 2, 0 },
        { "$2\r\n{}\r\n", 1, -1 }, { "$2\r\n{}\r\n", 3, -1 },
        { "$2\r\n[]\r\n", 2, -1 }, { "$2\r\n{a\r\n", 2, -1 },
        { "$2\r\na}\r\n", 2, -1 }, { "$1\r\n{\r\n", 1, -1 },
        { "$0\r\n\r\n", 0, -1 }, { "$2\r\n{}\r\n", 0, -1 },
        { "$2\r\n{}\r\n", -2, -1 }, { ":2\r\n", 2, -1 },
        { "-ERR no\r\n", 7, -2 }, { "-WRONGTYPE Operation\r\n", 7, -1 },
        { "-LOADING Redis\r\n", 7, -2 }, { "-WRONGTYPED no\r\n", 7, -2 },
    };

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        reply = reply_parse(t[i].resp);
        res = reply_result(tq_payload_call(&ns, 7, t[i].bytes, NULL, NULL),
            reply);
        if (t[i].rc != (res->status != TQ_OK ? -2 : !res->found ? 0
                        : res->payload.damaged ? -1 : 1))
        {
            fail_msg("payload %zu", i);
        }
        if (t[i].rc == 1) {
            assert_int_equal(res->payload.bytes.len, t[i].bytes);
            assert_ptr_equal(res->payload.bytes.p, reply->str);
        }
        freeReplyObject(reply);
    }
}


/* What an error means is told to all in the same words. */
static void
refusals(void **state)
{
    size_t              i;
    redisReply         *reply;
    const tq_result_t  *res;

    (void) state;

    static const struct {
        const char      *resp;
        tq_redis_err_t   err, cause;
        unsigned         script, half;
    } t[] = {
        { "-OOM command\r\n", TQ_ERR_OOM, TQ_ERR_OOM, 0, 0 },
        { "-NOPERM no\r\n", TQ_ERR_NOPERM, TQ_ERR_NOPERM, 0, 0 },
        { "-ERR The user executing the script can't access script: f_x, on "
          "@user_script:9.\r\n", TQ_ERR_OTHER, TQ_ERR_NOPERM, 0, 1 },
        { "-ERR ACL failure in script: no script: f_x, on @user_script:9.\r\n",
          TQ_ERR_OTHER, TQ_ERR_NOPERM, 0, 1 },
        { "-ERR TASKMQ no such setting\r\n", TQ_ERR_OTHER, TQ_ERR_OTHER, 1,
          0 },
        { "-ERR no script: f_x, on @user_script:9.\r\n", TQ_ERR_OTHER,
          TQ_ERR_OTHER, 1, 1 },
        { "-ERR no\r\n", TQ_ERR_OTHER, TQ_ERR_OTHER, 0, 0 },
    };

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        reply = reply_parse(t[i].resp);
        res = reply_result(tq_sweep_call(&ns, NULL, NULL), reply);
        assert_int_equal(res->status, TQ_REFUSED);
        assert_int_equal(res->err, t[i].err);
        assert_int_equal(res->cause, t[i].cause);
        assert_int_equal(res->script, t[i].script);
        assert_int_equal(res->half, t[i].half);

        /* a script that only reads does nothing by half */
        res = reply_result(tq_stats_call(&ns, NULL, NULL), reply);
        assert_int_equal(res->cause, t[i].cause);
        assert_int_equal(res->half, 0);
        freeReplyObject(reply);
    }
}


/* No answer: nothing but that is told, whatever was asked. */
static void
no_answer(void **state)
{
    tq_call_t    *call;
    tq_result_t   res;

    (void) state;

    call = tq_sweep_call(&ns, NULL, NULL);
    assert_non_null(call);
    tq_op_result(tq_op_of(call), TQ_CALL_NOT_SENT, NULL, &res);
    assert_int_equal(res.status, TQ_NOT_SENT);
    assert_int_equal(res.err, TQ_ERR_NONE);
    assert_string_equal(res.text, "");
    tq_op_result(tq_op_of(call), TQ_CALL_UNKNOWN, NULL, &res);
    assert_int_equal(res.status, TQ_UNKNOWN);
    assert_string_equal(res.text, "");
    tq_call_free(call);

    assert_int_equal(tq_not_sent.status, TQ_NOT_SENT);
    assert_string_equal(tq_not_sent.text, "");
    assert_null(tq_result_keep(&tq_not_sent));
    tq_result_free(NULL);
}


/* What a reply to open, create or a question about a right means. */
static void
greetings(void **state)
{
    size_t       i;
    char         why[192];
    tq_call_t   *call;
    redisReply  *reply;

    (void) state;

    static const struct {
        const tq_script_t  *script;
        const char         *resp;
        tq_greeted_t        verdict;
        const char         *why;
    } t[] = {
        { &tq_script_open, "*3\r\n:3\r\n$0\r\n\r\n$0\r\n\r\n", TQ_GREETED, "" },
        { &tq_script_open, "*3\r\n:0\r\n$0\r\n\r\n$0\r\n\r\n",
          TQ_GREET_NEXT, "" },
        { &tq_script_open, "*3\r\n:1\r\n$0\r\n\r\n$0\r\n\r\n",
          TQ_GREET_UNFIT, "older TaskMQ" },
        { &tq_script_open, "*3\r\n:4\r\n$0\r\n\r\n$0\r\n\r\n",
          TQ_GREET_UNFIT, "newer TaskMQ" },
        { &tq_script_open, "*3\r\n:0\r\n$9\r\n zadd get\r\n$2\r\n z\r\n",
          TQ_GREET_LACKS, "zadd get" },
        { &tq_script_open, "*3\r\n:0\r\n$0\r\n\r\n$9\r\n zadd get\r\n",
          TQ_GREET_UNFIT, "does not know zadd get: " },
        { &tq_script_open, "*2\r\n:3\r\n$0\r\n\r\n", TQ_GREET_UNFIT,
          "cannot be read" },
        { &tq_script_open, "*3\r\n:-1\r\n$0\r\n\r\n$0\r\n\r\n",
          TQ_GREET_UNFIT, "cannot be read" },
        { &tq_script_open, "*3\r\n:3\r\n:0\r\n$0\r\n\r\n", TQ_GREET_UNFIT,
          "cannot be read" },
        { &tq_script_open, "*3\r\n:3\r\n$0\r\n\r\n$-1\r\n", TQ_GREET_UNFIT,
          "cannot be read" },
        { &tq_script_open, ":3\r\n", TQ_GREET_UNFIT, "cannot be read" },

        { &tq_script_create, ":3\r\n", TQ_GREETED, "" },
        { &tq_script_create, "$1\r\n3\r\n", TQ_GREETED, "" },
        { &tq_script_create, ":0\r\n", TQ_GREET_UNFIT, "older TaskMQ" },
        { &tq_script_create, ":9223372036854775807\r\n", TQ_GREET_UNFIT,
          "newer TaskMQ" },
        { &tq_script_create, ":-1\r\n", TQ_GREET_UNFIT, "cannot be read" },
        { &tq_script_create, "$3\r\ntwo\r\n", TQ_GREET_UNFIT,
          "cannot be read" },
        { &tq_script_create, "*1\r\n:3\r\n", TQ_GREET_UNFIT,
          "cannot be read" },

        { NULL, ":17\r\n", TQ_GREETED, "" },
        { NULL, "-ERR timeout is not a float or out of range\r\n", TQ_GREETED,
          "" },
        { NULL, "-NOPERM no\r\n", TQ_GREET_LACKS, "a right" },
        { NULL, "-NOPERM No permissions to access a key\r\n", TQ_GREETED, "" },
    };

    assert_int_equal(TQ_SCHEMA, 3);

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        reply = reply_parse(t[i].resp);
        call = tq_call_new(t[i].script, NULL, "a right");
        why[0] = '\0';
        assert_int_equal(tq_greet_cli.judge(call, reply, why, sizeof(why)),
            t[i].verdict);
        assert_true(t[i].why[0] ? strstr(why, t[i].why) != NULL
                                : why[0] == '\0');
        tq_call_free(call);
        freeReplyObject(reply);
    }
}


/* Their names may be more than fit. */
static void
greetings_are_cut(void **state)
{
    char         resp[4096], names[2000], why[24];
    tq_call_t   *call;
    redisReply  *reply;

    (void) state;

    memset(names, 'x', sizeof(names));
    call = tq_call_new(&tq_script_open, NULL, NULL);

    snprintf(resp, sizeof(resp), "*3\r\n:0\r\n$2000\r\n%.2000s\r\n"
        "$0\r\n\r\n", names);
    reply = reply_parse(resp);
    assert_int_equal(tq_greet_cli.judge(call, reply, why, sizeof(why)),
        TQ_GREET_LACKS);
    assert_string_equal(why, "xxxxxxxxxxxxxxxxxxxx...");
    freeReplyObject(reply);

    snprintf(resp, sizeof(resp), "*3\r\n:0\r\n$0\r\n\r\n$2000\r\n%.2000s"
        "\r\n", names);
    reply = reply_parse(resp);
    assert_int_equal(tq_greet_cli.judge(call, reply, why, sizeof(why)),
        TQ_GREET_UNFIT);
    freeReplyObject(reply);

    tq_call_free(call);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(records_and_keys),
        cmocka_unit_test(wait_ended),
        cmocka_unit_test(payloads),
        cmocka_unit_test(refusals),
        cmocka_unit_test(no_answer),
        cmocka_unit_test(greetings),
        cmocka_unit_test(greetings_are_cut),
    };

    if (tq_ns_init(&ns, "replies", 7) != 0) {
        return 1;
    }

    return cmocka_run_group_tests_name("ops_replies", tests, NULL, NULL);
}
