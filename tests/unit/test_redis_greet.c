/*
 * test_redis_greet.c: the host's own calls of the handshake (greet): a
 * connection that it refuses is of no use, and nothing goes over it. Each test
 * runs with bytes whole and one by one (redis_fake.c).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "redis_fake.h"

#define A40    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B40    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define GREET  "*4\r\n$7\r\nEVALSHA\r\n$40\r\n" A40                            \
               "\r\n$1\r\n1\r\n$5\r\nhello\r\n"
#define ASK    "*1\r\n$3\r\nASK\r\n"
#define SHAS   "$40\r\n" A40 "\r\n$40\r\n" B40 "\r\n"

static int  no_memory;


/* ASK first, then the script; and, if that says 1, the script again. */
static tq_call_t *
greet(const tq_greet_t *self, const void *greets, unsigned step)
{
    tq_call_t  *call, *before = NULL;

    assert_string_equal(self->rights, "ask");
    assert_true(step <= 1);

    if (no_memory) {
        return NULL;
    }

    if (step == 0) {
        before = tq_call_new(NULL, NULL, "ask");
        assert_non_null(before);
        tq_call_args(before, "ASK");
    }

    call = tq_call_new(&fake_script_a, NULL, NULL);
    assert_non_null(call);
    tq_call_args(call, greets);
    call->before = before;

    return call;
}


static tq_greeted_t
greeted(const tq_call_t *call, const redisReply *reply, char *why, size_t size)
{
    if (call->script == NULL) {
        assert_string_equal(call->data, "ask");
        snprintf(why, size, "ask");
        return tq_redis_err(reply) == TQ_ERR_NOPERM ? TQ_GREET_LACKS
                                                    : TQ_GREETED;
    }

    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);

    if (reply->type == REDIS_REPLY_INTEGER) {
        return reply->integer == 1 ? TQ_GREET_NEXT : TQ_GREETED;
    }

    snprintf(why, size, "we are not welcome");
    return TQ_GREET_UNFIT;
}


static const tq_greet_t  greeting = { greet, greeted, "ask" };


static void
open_greeting(fake_t *f)
{
    no_memory = 0;
    f->conf.scripts = fake_scripts;
    f->conf.greet = &greeting;
    f->conf.greets = "hello";
    fake_open(f);
}


static void
connect_greeting(fake_t *f)
{
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CONNECT);
    tq_redis_connecting(f->r, f->now);
    tq_redis_connected(f->r, f->now);
    fake_out(f);
}


/* After the scripts, instead of a PING; calls wait for its answer. */
static void
welcome(fake_t *f)
{
    open_greeting(f);
    fake_call_for(f, "a", FAKE_RAW + FAKE_WAIT, "1", -1);
    connect_greeting(f);
    assert_memory_equal(f->wire.p + f->wire.len - strlen(ASK GREET), ASK GREET,
        strlen(ASK GREET));
    assert_null(memmem(f->wire.p, f->wire.len, "PING", 4));
    tq_buf_reset(&f->wire);

    assert_int_equal(fake_in(f, SHAS "-ERR what\r\n"), 0);
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_HANDSHAKE);
    fake_log(f, "");
    assert_int_equal(fake_in(f, ":2\r\n"), 0);
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_READY);
    fake_out(f);
    fake_wire(f, "*2\r\n$4\r\nECHO\r\n$1\r\n1\r\n");
    assert_int_equal(fake_in(f, "+1\r\n"), 0);
    fake_log(f, "READY a=1 ");
}


/* Refused, by the host's judgement or by Redis: why is said, nothing is sent,
 * and the next connection is asked again. */
static void
refused(fake_t *f)
{
    size_t  i;

    static const struct {
        const char  *reply, *why;
    } t[] = {
        { "+OK\r\n+no\r\n", "we are not welcome" },
        { "+OK\r\n-OOM command not allowed\r\n",
          "script a was refused: OOM" },
        { "+OK\r\n-NOSCRIPT no\r\n", "script a was refused: NOSCRIPT" },
        { "+OK\r\n-NOPERM no\r\n", "user default may not use the keys" },
        { "+OK\r\n-NOPERM this user has no permissions to run the 'evalsha' "
          "command\r\n", "user default lacks the permission for evalsha: give"
          },
        { "-NOPERM no\r\n", "user default lacks the permission for ask: give "
          "it the rights of redis-acl.example" },
    };

    open_greeting(f);
    fake_call_for(f, "a", FAKE_RAW + FAKE_WAIT, "1", -1);

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        connect_greeting(f);
        tq_buf_reset(&f->wire);
        assert_int_equal(fake_in(f, SHAS), 0);
        assert_int_equal(fake_in(f, t[i].reply), -1);
        assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
        assert_non_null(strstr(tq_redis_why(f->r), t[i].why));
        fake_lost(f);
        assert_non_null(strstr(tq_redis_why(f->r), t[i].why));
        fake_wire(f, "");
        fake_log(f, "DOWN ");
        fake_backoff(f);
    }

    connect_greeting(f);
    assert_int_equal(fake_in(f, SHAS "+OK\r\n:2\r\n"), 0);
    tq_buf_reset(&f->wire);
    fake_out(f);
    assert_int_equal(fake_in(f, "+1\r\n"), 0);
    fake_log(f, "READY a=1 ");
}


/* A second step is sent when the first has ended, and may be refused, too. */
static void
two_steps(fake_t *f)
{
    int  i;

    open_greeting(f);

    for (i = 0; i < 2; i++) {
        connect_greeting(f);
        tq_buf_reset(&f->wire);
        assert_int_equal(fake_in(f, SHAS "+OK\r\n:1\r\n"), 0);
        assert_int_equal(tq_redis_state(f->r), TQ_REDIS_HANDSHAKE);
        assert_int_equal(tq_redis_want(f->r), TQ_WANT_WRITE);
        fake_out(f);
        fake_wire(f, GREET);

        if (i == 0) {
            assert_int_equal(fake_in(f, "+no\r\n"), -1);
            assert_string_equal(tq_redis_why(f->r), "we are not welcome");
            fake_lost(f);
            fake_log(f, "DOWN ");
            fake_backoff(f);
        } else {
            assert_int_equal(fake_in(f, ":2\r\n"), 0);
        }
    }

    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_READY);
    fake_log(f, "READY ");
}


static void
without_memory(fake_t *f)
{
    int  i;

    open_greeting(f);

    /* for the first step, then for the second */
    for (i = 0; i < 2; i++) {
        tq_redis_connecting(f->r, f->now);
        no_memory = i == 0;
        tq_redis_connected(f->r, f->now);
        if (i == 1) {
            fake_out(f);
            no_memory = 1;
            assert_int_equal(fake_in(f, SHAS "+OK\r\n:1\r\n"), -1);
        }
        assert_string_equal(tq_redis_why(f->r), "out of memory");
        assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
        fake_lost(f);
        fake_log(f, "DOWN ");
        fake_backoff(f);
    }

    no_memory = 0;
    connect_greeting(f);
    assert_int_equal(fake_in(f, SHAS "+OK\r\n:2\r\n"), 0);
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_READY);
}


int
main(void)
{
    static const fake_test_t  tests[] = {
        { "welcome", welcome },
        { "refused", refused },
        { "two steps", two_steps },
        { "without memory", without_memory },
    };

    return fake_run("redis_greet", tests, sizeof(tests) / sizeof(tests[0]));
}
