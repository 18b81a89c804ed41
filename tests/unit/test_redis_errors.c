/*
 * test_redis_errors.c: what on_error() is told: each error reply once, each
 * lost connection once, with the best known reason.
 */

#include "unit.h"
#include "redis_fake.h"

#define A40  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"


/* The fake's log gets a word per error: "!oom ". */
static void
on_error(void *host, tq_redis_err_t e)
{
    fake_t  *f = host;

    assert_true(e > TQ_ERR_NONE && e < TQ_ERR_N);
    tq_buf_addf(&f->log, "!%s ", tq_redis_err_word(e));
}


static void
ready(fake_t *f)
{
    f->conf.on_error = on_error;
    fake_ready(f);
}


static void
replies(fake_t *f)
{
    ready(f);
    fake_call(f, "a", FAKE_RAW, "x");
    fake_call(f, "b", FAKE_RAW, "x");
    fake_call(f, "c", FAKE_RAW, "x");
    fake_out(f);
    fake_in(f, "-OOM x\r\n+fine\r\n-WHAT x\r\n");
    fake_log(f, "!oom a=-OOM x b=fine !other c=-WHAT x ");

    fake_call(f, "d", FAKE_RAW, "x");
    fake_out(f);
    fake_in(f, "-ERR The user executing the script can't run this\r\n");
    fake_log(f, "!noperm "
        "d=-ERR The user executing the script can't run this ");
}


static void
noscript(fake_t *f)
{
    ready(f);
    fake_call(f, "a", FAKE_A, "x");
    fake_out(f);
    fake_in(f, "-NOSCRIPT x\r\n");
    fake_log(f, "!noscript ");
    fake_out(f);
    fake_in(f, ":1\r\n");
    fake_log(f, "a=1 ");
}


/* READONLY ends the connection, which is not another error. */
static void
readonly(fake_t *f)
{
    ready(f);
    fake_call(f, "a", FAKE_RAW, "x");
    fake_out(f);
    fake_in(f, "-READONLY x\r\n");
    fake_log(f, "!readonly a=-READONLY x ");
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
    fake_lost(f);
    fake_log(f, "DOWN ");

    /* the next one is a story of its own */
    fake_backoff(f);
    tq_redis_connecting(f->r, f->now);
    fake_lost(f);
    fake_log(f, "!connection DOWN ");
}


/* What another connection was refused ends this one, when all is answered: as a
 * refusal of its own does. One that is not there counts nothing. */
static void
denied_elsewhere(fake_t *f)
{
    ready(f);
    fake_call(f, "a", FAKE_RAW, "x");
    fake_out(f);
    fake_call(f, "b", FAKE_RAW, "x");
    tq_redis_denied(f->r, f->now);
    fake_log(f, "!noperm ");
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_NOTHING);
    fake_in(f, "+fine\r\n");
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
    fake_lost(f);
    fake_log(f, "a=fine b=NOT_SENT DOWN ");

    tq_redis_denied(f->r, f->now);
    fake_log(f, "");
}


/* Nothing is under way: at once. */
static void
denied_elsewhere_idle(fake_t *f)
{
    ready(f);
    tq_redis_denied(f->r, f->now);
    fake_log(f, "!noperm ");
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
    assert_string_equal(tq_redis_why(f->r),
        tq_redis_err_text(TQ_ERR_NOPERM));
    fake_lost(f);
    fake_log(f, "DOWN ");
}


static void
lost(fake_t *f)
{
    ready(f);
    fake_call(f, "a", FAKE_RAW, "x");
    fake_out(f);
    fake_lost(f);
    fake_log(f, "!connection a=UNKNOWN DOWN ");
}


static void
timeouts(fake_t *f)
{
    ready(f);
    fake_call(f, "a", FAKE_RAW, "x");
    fake_out(f);
    f->now += 1000;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "!timeout a=UNKNOWN ");
    fake_lost(f);
    fake_log(f, "DOWN ");

    /* the connect, and the handshake */
    fake_backoff(f);
    tq_redis_connecting(f->r, f->now);
    f->now += 1000;
    tq_redis_tick(f->r, f->now);
    fake_lost(f);
    fake_log(f, "!timeout DOWN ");

    fake_backoff(f);
    tq_redis_connecting(f->r, f->now);
    tq_redis_connected(f->r, f->now);
    f->now += 1000;
    tq_redis_tick(f->r, f->now);
    fake_lost(f);
    fake_log(f, "!timeout DOWN ");
}


static void
handshake(fake_t *f)
{
    size_t  i;

    static const struct {
        const char  *reply, *log;
    } t[] = {
        { "-LOADING x\r\n", "!loading DOWN " },
        { "-NOPERM x\r\n", "!noperm DOWN " },
        { "-ERR x\r\n", "!other DOWN " },
        { "$40\r\n" A40 "\r\n-LOADING x\r\n", "!loading DOWN " },
        { ":1\r\n", "!connection DOWN " },
        { "rubbish\r\n", "!connection DOWN " },
    };

    f->conf.scripts = fake_scripts;
    f->conf.on_error = on_error;
    fake_open(f);

    for (i = 0; i < UNIT_COUNT(t); i++) {
        if (i != 0) {
            fake_backoff(f);
        }
        tq_redis_connecting(f->r, f->now);
        tq_redis_connected(f->r, f->now);
        fake_out(f);
        assert_int_equal(fake_in(f, t[i].reply), -1);
        fake_lost(f);
        fake_log(f, t[i].log);
    }
}


/* maxclients says so to a connection that has asked for nothing. */
static void
unasked(fake_t *f)
{
    ready(f);
    assert_int_equal(fake_in(f, "-ERR max number of clients reached\r\n"), -1);
    fake_lost(f);
    fake_log(f, "!other DOWN ");
}


/* Being freed is no error. */
static void
freed(fake_t *f)
{
    ready(f);
    fake_call(f, "a", FAKE_RAW, "x");
    tq_redis_free(f->r);
    f->r = NULL;
    fake_log(f, "a=NOT_SENT ");
}


int
main(void)
{
    static const fake_test_t  tests[] = {
        { "replies", replies },
        { "NOSCRIPT", noscript },
        { "READONLY", readonly },
        { "denied elsewhere", denied_elsewhere },
        { "denied elsewhere, idle", denied_elsewhere_idle },
        { "lost", lost },
        { "timeouts", timeouts },
        { "handshake", handshake },
        { "unasked", unasked },
        { "freed", freed },
    };

    return fake_run("redis errors", tests, UNIT_COUNT(tests));
}
