/*
 * test_redis.c: tq_redis' protocol side: handshake, pipeline, NOSCRIPT,
 * replies that are large, wrong or broken. Each test runs with bytes going in
 * and out whole, one by one, and in between (redis_fake.c).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "redis_fake.h"
#include "tq_base.h"
#include "tq_redis_int.h"

#define A40  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B40  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

#define ECHO(arg)  "*2\r\n$4\r\nECHO\r\n$1\r\n" arg "\r\n"
#define SHA_A(arg) "*4\r\n$7\r\nEVALSHA\r\n$40\r\n" A40 "\r\n$1\r\n1\r\n" \
                   "$1\r\n" arg "\r\n"
#define EVAL_A(arg) "*4\r\n$4\r\nEVAL\r\n$10\r\nreturn 'a'\r\n$1\r\n1\r\n" \
                    "$1\r\n" arg "\r\n"
#define NOSCRIPT   "-NOSCRIPT No matching script. Please use EVAL.\r\n"


static void
handshake(fake_t *f)
{
    f->conf.user = "joe";
    f->conf.password = "sesame";
    f->conf.db = 3;
    f->conf.client_name = "unit";
    f->conf.scripts = fake_scripts;
    fake_open(f);

    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CONNECT);
    assert_string_not_equal(tq_redis_why(f->r), "");
    tq_redis_connecting(f->r, f->now);
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_CONNECTING);
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_NOTHING);
    tq_redis_connected(f->r, f->now);

    /* a call that waits is not sent before the handshake is over */
    assert_int_equal(fake_call(f, "a", FAKE_RAW + FAKE_WAIT, "x"), 0);

    fake_out(f);
    fake_wire(f, "*3\r\n$4\r\nAUTH\r\n$3\r\njoe\r\n$6\r\nsesame\r\n"
        "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
        "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$4\r\nunit\r\n"
        "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$10\r\nreturn 'a'\r\n"
        "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$11\r\nreturn 'bb'\r\n"
        "*1\r\n$4\r\nPING\r\n");

    assert_int_equal(fake_in(f, "+OK\r\n+OK\r\n+OK\r\n$40\r\n" A40
        "\r\n$40\r\n" B40 "\r\n"), 0);
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_HANDSHAKE);
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_NOTHING);

    assert_int_equal(fake_in(f, "+PONG\r\n"), 0);
    fake_log(f, "READY ");
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_READY);
    assert_string_equal(tq_redis_why(f->r), "");

    fake_out(f);
    fake_wire(f, ECHO("x"));
}


static void
handshake_password_only(fake_t *f)
{
    f->conf.password = "sesame";
    fake_open(f);
    tq_redis_connecting(f->r, f->now);
    tq_redis_connected(f->r, f->now);
    fake_out(f);
    fake_wire(f, "*2\r\n$4\r\nAUTH\r\n$6\r\nsesame\r\n*1\r\n$4\r\nPING\r\n");
}


/* Each reply of the handshake in turn is an error, or of a wrong kind. */
static void
handshake_refused(fake_t *f)
{
    size_t       i, n;
    const char  *why;

    static const char  *good[] = { "+OK\r\n", "+OK\r\n", "+OK\r\n",
        "$40\r\n" A40 "\r\n", "$40\r\n" B40 "\r\n", "+PONG\r\n" };
    static const struct {
        size_t       at;
        const char  *reply, *why;
    } bad[] = {
        { 0, "-WRONGPASS invalid username-password pair\r\n",
          "AUTH was refused: Redis wants another user or password" },
        { 0, "-LOADING Redis is loading the dataset in memory\r\n",
          "AUTH was refused: Redis is loading its data" },
        { 0, "-ERR unknown command `AUTH`, with args beginning with: "
             "`sesame`\r\n", "AUTH was refused: no such password" },
        { 1, "-ERR DB index is out of range\r\n",
          "SELECT was refused: ERR DB index is out of range" },
        { 2, ":1\r\n", "CLIENT got a reply of type 3" },
        { 3, "-NOPERM no\r\n", "SCRIPT LOAD a was refused: NOPERM no" },
        { 4, "$40\r\n" A40 "\r\n", "gives script b another SHA-1" },
        { 4, "$-1\r\n", "gives script b another SHA-1" },
        { 5, "-LOADING Redis is loading the dataset in memory\r\n",
          "PING was refused: LOADING Redis is loading" },
        { 5, "-NOAUTH Authentication required.\r\n", "NOAUTH" },
    };

    f->conf.password = "sesame";
    f->conf.db = 1;
    f->conf.client_name = "unit";
    f->conf.scripts = fake_scripts;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fake_open(f);
        tq_redis_connecting(f->r, f->now);
        tq_redis_connected(f->r, f->now);
        fake_out(f);

        for (n = 0; n < bad[i].at; n++) {
            assert_int_equal(fake_in(f, good[n]), 0);
        }
        assert_int_equal(fake_in(f, bad[i].reply), -1);

        why = tq_redis_why(f->r);
        assert_non_null(strstr(why, bad[i].why));
        assert_null(strstr(why, "sesame"));
        assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);

        /* what else arrives is nobody's */
        assert_int_equal(fake_in(f, "+OK\r\n"), -1);

        fake_lost(f);
        assert_non_null(strstr(tq_redis_why(f->r), bad[i].why));
        fake_log(f, "DOWN ");
        tq_redis_free(f->r);
    }

    f->r = NULL;
}


static void
pipeline(fake_t *f)
{
    f->conf.scripts = NULL;
    fake_ready(f);

    assert_int_equal(fake_call(f, "a", FAKE_RAW, "1"), 0);
    assert_int_equal(fake_call(f, "b", FAKE_A, "2"), 0);
    assert_int_equal(fake_call(f, "c", FAKE_RAW, "3"), 0);
    assert_int_equal(tq_redis_pending(f->r), 3);
    fake_out(f);
    fake_wire(f, ECHO("1") SHA_A("2") ECHO("3"));
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_NOTHING);
    fake_log(f, "");

    fake_in(f, "$1\r\n1\r\n*5\r\n:-7\r\n$-1\r\n$0\r\n\r\n+OK\r\n*1\r\n"
        "-ERR inside\r\n");
    fake_log(f, "a=1 b=[-7,nil,,OK,[-ERR inside]] ");
    assert_int_equal(tq_redis_pending(f->r), 1);

    fake_in(f, "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    fake_log(f, "c=-OOM command not allowed when used memory > 'maxmemory'. ");
    assert_int_equal(tq_redis_pending(f->r), 0);
    assert_int_equal(tq_redis_held_bytes(f->r), 0);
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_READY);
}


/* At every byte of a partial write the rest still follows in order. */
static void
partial_writes(fake_t *f)
{
    size_t  k, total;

    static const char  all[] = ECHO("1") SHA_A("2") ECHO("3");

    fake_ready(f);
    total = sizeof(all) - 1;

    for (k = 0; k <= total; k++) {
        f->entries = 0;
        fake_call(f, "a", FAKE_RAW, "1");
        fake_call(f, "b", FAKE_A, "2");
        fake_out_n(f, k);
        fake_call(f, "c", FAKE_RAW, "3");
        fake_out(f);
        fake_wire(f, all);
        fake_in(f, "+x\r\n+y\r\n+z\r\n");
        fake_log(f, "a=x b=y c=z ");
    }
}


static void
noscript(fake_t *f)
{
    fake_ready(f);

    fake_call(f, "a", FAKE_RAW, "1");
    fake_call(f, "b", FAKE_A, "2");
    fake_call(f, "c", FAKE_A, "3");
    fake_call(f, "d", FAKE_RAW, "4");
    fake_out(f);
    fake_wire(f, ECHO("1") SHA_A("2") SHA_A("3") ECHO("4"));

    fake_in(f, "+one\r\n" NOSCRIPT);
    fake_log(f, "a=one ");
    assert_int_equal(tq_redis_pending(f->r), 3);
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_WRITE);

    /* behind what came since, while its neighbours are still under way */
    fake_call(f, "e", FAKE_RAW, "5");
    fake_out(f);
    fake_wire(f, EVAL_A("2") ECHO("5"));

    fake_in(f, NOSCRIPT "+four\r\n+two\r\n+five\r\n");
    fake_log(f, "d=four b=two e=five ");
    fake_out(f);
    fake_wire(f, EVAL_A("3"));

    /* only once */
    fake_in(f, NOSCRIPT);
    fake_log(f, "c=-NOSCRIPT No matching script. Please use EVAL. ");
    assert_int_equal(tq_redis_pending(f->r), 0);

    /* a plain command's error is its own */
    fake_call(f, "f", FAKE_RAW, "6");
    fake_out(f);
    fake_in(f, NOSCRIPT);
    fake_log(f, "f=-NOSCRIPT No matching script. Please use EVAL. ");
}


/* NOSCRIPT says that the call was not run: what is lost after it was surely
 * not sent, and one that waits goes out on the next connection. */
static void
noscript_then_lost(fake_t *f)
{
    fake_ready(f);

    fake_call(f, "a", FAKE_A, "1");
    fake_call(f, "b", FAKE_A + FAKE_WAIT, "2");
    fake_out(f);
    fake_in(f, NOSCRIPT NOSCRIPT);
    fake_log(f, "");
    fake_lost(f);
    fake_log(f, "a=NOT_SENT DOWN ");

    fake_backoff(f);
    fake_connect(f);
    fake_out(f);
    fake_wire(f, EVAL_A("2"));
    fake_in(f, ":2\r\n");
    fake_log(f, "b=2 ");
}


static void
large_reply(fake_t *f)
{
    int         round;
    char       *big;
    size_t      i, n, head;
    tq_buf_t    expected;

    n = 300 * 1000;
    big = test_malloc(n + 32);
    fake_ready(f);

    /* byte by byte is another test's business */
    f->bite = (f->bite == 1) ? 4093 : f->bite * 1000;

    for (round = 0; round < 3; round++) {
        head = (size_t) sprintf(big, "$%zu\r\n", n);
        for (i = 0; i < n; i++) {
            big[head + i] = (char) (1 + (i * 31 + (size_t) round) % 255);
        }
        memcpy(big + head + n, "\r\n", 2);

        fake_call(f, "a", FAKE_RAW, "1");
        fake_call(f, "b", FAKE_RAW, "2");
        fake_out(f);
        fake_in_n(f, big, head + n + 2);
        assert_int_equal(tq_redis_pending(f->r), 1);

        memset(&expected, 0, sizeof(expected));
        tq_buf_adds(&expected, "a=");
        tq_buf_add(&expected, big + head, n);
        tq_buf_adds(&expected, " ");
        assert_int_equal(f->log.len, expected.len);
        assert_memory_equal(f->log.p, expected.p, expected.len);
        tq_buf_reset(&f->log);
        tq_buf_free(&expected);

        /* the memory is given back at once, not with the next large reply */
        assert_true(f->r->reader_high <= TQ_REDIS_READER_KEEP_BYTES);
        assert_true(f->r->reader->len <= TQ_REDIS_READER_KEEP_BYTES);

        fake_in(f, ":1\r\n");
        fake_log(f, "b=1 ");
    }

    test_free(big);
}


static void
stray_reply(fake_t *f)
{
    fake_ready(f);
    assert_int_equal(fake_in(f, ":1\r\n"), -1);
    assert_non_null(strstr(tq_redis_why(f->r), "a reply without a call"));
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
    fake_lost(f);
    fake_log(f, "DOWN ");

    /* maxclients is told to a connection that has not said anything */
    fake_backoff(f);
    tq_redis_connecting(f->r, f->now);
    tq_redis_connected(f->r, f->now);
    assert_int_equal(fake_in(f, "-ERR max number of clients reached\r\n"), -1);
    assert_non_null(strstr(tq_redis_why(f->r), "max number of clients"));
    fake_lost(f);

    /* one reply too many behind good ones */
    fake_backoff(f);
    fake_connect(f);
    fake_call(f, "a", FAKE_RAW, "1");
    fake_out(f);
    assert_int_equal(fake_in(f, "+one\r\n+two\r\n"), -1);
    fake_log(f, "a=one ");
}


/* A reply to what was not sent whole cannot be its reply. */
static void
reply_too_early(fake_t *f)
{
    fake_ready(f);
    fake_call(f, "a", FAKE_RAW, "1");
    fake_call(f, "b", FAKE_RAW, "2");
    fake_out_n(f, 5);
    assert_int_equal(
        fake_in(f, "-ERR Protocol error: invalid bulk length\r\n"), -1);
    fake_log(f, "a=UNKNOWN b=NOT_SENT ");
    assert_non_null(strstr(tq_redis_why(f->r), "invalid bulk length"));
}


static void
broken_protocol(fake_t *f)
{
    size_t  i;

    static const char  *bad[] = {
        "HTTP/1.1 400 Bad Request\r\n", "$abc\r\n", ":1x\r\n", "*-5\r\n",
        "$-2\r\n", "*2000000\r\n", "\r\n", "$99999999999999999999\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        "*3\r\n:1\r\n:2\r\n?3\r\n",
    };

    fake_open(f);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        f->entries = 0;
        fake_connect(f);
        fake_call(f, "a", FAKE_RAW, "1");
        fake_call(f, "b", FAKE_RAW, "2");
        fake_call_for(f, "c", FAKE_RAW + FAKE_WAIT, "3", -1);
        fake_out_n(f, sizeof(ECHO("1")) - 1);
        assert_int_equal(fake_in(f, bad[i]), -1);
        fake_log(f, "a=UNKNOWN b=NOT_SENT ");
        assert_non_null(strstr(tq_redis_why(f->r), "broken reply: "));
        fake_lost(f);
        fake_backoff(f);

        /* the next connection starts with a clean reader */
        fake_connect(f);
        fake_out(f);
        fake_wire(f, ECHO("3"));
        fake_in(f, ":3\r\n");
        fake_log(f, "c=3 ");
        fake_lost(f);
        fake_backoff(f);
        tq_buf_reset(&f->log);
        tq_buf_reset(&f->wire);
    }
}


/* White box: half a gigabyte is not fed, it is only claimed to have been. */
static void
reply_too_large(fake_t *f)
{
    fake_ready(f);
    fake_call(f, "a", FAKE_RAW, "1");
    fake_out(f);
    f->r->unparsed = TQ_REDIS_REPLY_MAX_BYTES - 12;
    assert_int_equal(fake_in(f, "$600000000\r\n"), 0);
    assert_int_equal(fake_in(f, "x"), -1);
    assert_string_equal(tq_redis_why(f->r), "a reply is too large");
    fake_log(f, "a=UNKNOWN ");
}


static void
readonly(fake_t *f)
{
    fake_ready(f);
    fake_call(f, "a", FAKE_RAW, "1");
    fake_call(f, "b", FAKE_A, "2");
    fake_call(f, "c", FAKE_RAW, "3");
    fake_call(f, "d", FAKE_RAW, "4");
    fake_call(f, "e", FAKE_RAW + FAKE_WAIT, "5");
    fake_out_n(f, sizeof(ECHO("1") SHA_A("2") ECHO("3")) - 1 - 4);

    assert_int_equal(fake_in(f,
        "-READONLY You can't write against a read only replica.\r\n"), 0);
    fake_log(f, "a=-READONLY You can't write against a read only replica. ");

    /* what was begun is finished, nothing new is */
    assert_int_equal(fake_call(f, "f", FAKE_RAW, "6"), -1);
    tq_buf_reset(&f->wire);
    fake_out(f);
    fake_wire(f, "\r\n3\r\n" + 1);
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_NOTHING);

    assert_int_equal(fake_in(f, ":2\r\n"), 0);
    fake_log(f, "b=2 ");
    assert_int_equal(fake_in(f, ":3\r\n"), -1);
    fake_log(f, "c=3 d=NOT_SENT ");
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
    assert_string_equal(tq_redis_why(f->r), "Redis is a read-only replica");

    fake_lost(f);
    fake_log(f, "DOWN ");
    assert_string_equal(tq_redis_why(f->r), "Redis is a read-only replica");
    fake_backoff(f);
    fake_connect(f);
    fake_out(f);
    fake_wire(f, ECHO("5"));
}


static void
auth_error_is_the_callers(fake_t *f)
{
    fake_ready(f);
    fake_call(f, "a", FAKE_RAW, "1");
    fake_out(f);
    assert_int_equal(fake_in(f, "-NOAUTH Authentication required.\r\n"), 0);
    fake_log(f, "a=-NOAUTH Authentication required. ");
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_READY);
}


static void
arguments(fake_t *f)
{
    size_t       i;
    tq_call_t   *call;

    static const struct {
        int64_t      v;
        const char  *text;
    } ints[] = {
        { 0, "$1\r\n0\r\n" }, { -1, "$2\r\n-1\r\n" },
        { 1763800000000, "$13\r\n1763800000000\r\n" },
        { INT64_MAX, "$19\r\n9223372036854775807\r\n" },
        { INT64_MIN, "$20\r\n-9223372036854775808\r\n" },
    };

    (void) f;

    for (i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
        call = tq_call_new(NULL, NULL, NULL);
        assert_non_null(call);
        tq_call_argi(call, ints[i].v);
        assert_int_equal(call->nargs, 1);
        assert_string_equal(tq_buf_cstr(&call->body), ints[i].text);
        tq_call_free(call);
    }

    call = tq_call_new(NULL, NULL, NULL);
    assert_non_null(call);
    tq_call_arg(call, NULL, 0);
    tq_call_arg(call, "\0\r\n", 3);
    assert_int_equal(call->body.len, 6 + 9);
    assert_memory_equal(call->body.p, "$0\r\n\r\n$3\r\n\0\r\n\r\n", 15);
    tq_call_arg(call, "", (size_t) TQ_REDIS_OUT_MAX_BYTES + 1);
    assert_true(call->body.failed);
    tq_call_free(call);
    tq_call_free(NULL);
}


static void
error_words(fake_t *f)
{
    size_t      i;
    char        text[64];
    redisReply  reply;

    static const struct {
        const char      *text;
        tq_redis_err_t   err;
    } words[] = {
        { "LOADING x", TQ_ERR_LOADING }, { "READONLY x", TQ_ERR_READONLY },
        { "MASTERDOWN x", TQ_ERR_MASTERDOWN }, { "OOM x", TQ_ERR_OOM },
        { "BUSY x", TQ_ERR_BUSY }, { "BUSY", TQ_ERR_BUSY },
        { "BUSYKEY x", TQ_ERR_OTHER }, { "CLUSTERDOWN x", TQ_ERR_CLUSTERDOWN },
        { "MISCONF x", TQ_ERR_MISCONF }, { "NOREPLICAS x", TQ_ERR_NOREPLICAS },
        { "NOAUTH x", TQ_ERR_NOAUTH }, { "WRONGPASS x", TQ_ERR_NOAUTH },
        { "NOPERM x", TQ_ERR_NOPERM }, { "ERR OOM", TQ_ERR_OTHER },
        { "", TQ_ERR_OTHER }, { "O", TQ_ERR_OTHER },
    };

    (void) f;
    memset(&reply, 0, sizeof(reply));
    assert_int_equal(tq_redis_err(NULL), TQ_ERR_NONE);

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        strcpy(text, words[i].text);
        reply.str = text;
        reply.len = strlen(text);
        reply.type = REDIS_REPLY_ERROR;
        assert_int_equal(tq_redis_err(&reply), words[i].err);
        assert_true(strlen(tq_redis_err_text(words[i].err)) > 5);
        reply.type = REDIS_REPLY_STRING;
        assert_int_equal(tq_redis_err(&reply), TQ_ERR_NONE);
    }
}


int
main(void)
{
    static const fake_test_t  tests[] = {
        { "handshake", handshake },
        { "handshake, password only", handshake_password_only },
        { "handshake refused", handshake_refused },
        { "pipeline", pipeline },
        { "partial writes", partial_writes },
        { "NOSCRIPT", noscript },
        { "NOSCRIPT, then lost", noscript_then_lost },
        { "large reply", large_reply },
        { "stray reply", stray_reply },
        { "reply too early", reply_too_early },
        { "broken protocol", broken_protocol },
        { "reply too large", reply_too_large },
        { "READONLY", readonly },
        { "NOAUTH", auth_error_is_the_callers },
        { "arguments", arguments },
        { "error words", error_words },
    };

    return fake_run("redis", tests, sizeof(tests) / sizeof(tests[0]));
}
