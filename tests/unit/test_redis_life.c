/*
 * test_redis_life.c: tq_redis in time: deadlines, losses at every stage,
 * backoff, the idle PING. Each test runs with bytes whole and one by one
 * (redis_fake.c).
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

#define ECHO(arg)  "*2\r\n$4\r\nECHO\r\n$1\r\n" arg "\r\n"


static void
deadline_of_sent(fake_t *f)
{
    fake_ready(f);
    assert_int_equal(tq_redis_next_ms(f->r), -1);

    fake_call(f, "a", FAKE_RAW, "1");
    f->now += 10;
    fake_call_for(f, "b", FAKE_A, "2", 300);
    fake_call_for(f, "c", FAKE_RAW + FAKE_WAIT, "3", 5000);
    fake_out(f);
    fake_call(f, "d", FAKE_RAW, "4");
    fake_call(f, "e", FAKE_RAW + FAKE_WAIT, "5");
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 300);

    f->now += 299;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "");
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 1);

    /* every sent call is unknown, even one that waits; of the unsent ones only
     * that stays */
    f->now += 1;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "a=UNKNOWN b=UNKNOWN c=UNKNOWN d=NOT_SENT ");
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
    assert_string_equal(tq_redis_why(f->r), "Redis did not answer in time");
    assert_int_equal(tq_redis_pending(f->r), 1);
    assert_int_equal(tq_redis_next_ms(f->r), 10000 + 10 + 1000);

    /* too late an answer is nobody's */
    assert_int_equal(fake_in(f, ":1\r\n"), -1);
    assert_int_equal(fake_call(f, "f", FAKE_RAW, "6"), -1);

    fake_lost(f);
    fake_log(f, "DOWN ");
    assert_string_equal(tq_redis_why(f->r), "Redis did not answer in time");
    tq_buf_reset(&f->wire);
    fake_backoff(f);
    fake_connect(f);
    fake_out(f);
    fake_wire(f, ECHO("5"));
    fake_in(f, "+ok\r\n");
    fake_log(f, "e=ok ");
}


static void
deadline_of_unsent(fake_t *f)
{
    fake_ready(f);

    fake_call_for(f, "a", FAKE_RAW, "1", 900);
    fake_call_for(f, "b", FAKE_RAW, "2", 100);
    fake_call_for(f, "c", FAKE_RAW + FAKE_WAIT, "3", 200);
    fake_call_for(f, "d", FAKE_RAW, "4", 100);
    fake_out_n(f, 10);
    tq_buf_reset(&f->wire);

    assert_int_equal(tq_redis_next_ms(f->r), f->now + 100);
    f->now += 100;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "b=NOT_SENT d=NOT_SENT ");
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_READY);
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 100);
    f->now += 100;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "c=NOT_SENT ");

    /* the one that was begun is not torn apart */
    fake_out(f);
    fake_wire(f, &ECHO("1")[10]);
    fake_in(f, "+ok\r\n");
    fake_log(f, "a=ok ");
    assert_int_equal(tq_redis_next_ms(f->r), -1);
}


/* A call of which one byte was sent counts as sent. */
static void
deadline_of_begun(fake_t *f)
{
    fake_ready(f);
    fake_call(f, "a", FAKE_RAW, "1");
    fake_call(f, "b", FAKE_RAW, "2");
    fake_out_n(f, 1);
    f->now += 1000;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "a=UNKNOWN b=NOT_SENT ");
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
}


static void
deadline_while_down(fake_t *f)
{
    fake_open(f);

    assert_int_equal(fake_call(f, "a", FAKE_RAW, "1"), -1);
    fake_call_for(f, "b", FAKE_RAW + FAKE_WAIT, "2", 400);
    fake_call_for(f, "c", FAKE_RAW + FAKE_WAIT, "3", 300);
    fake_call_for(f, "d", FAKE_RAW + FAKE_WAIT, "4", -1);
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 300);
    f->now += 350;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "c=NOT_SENT ");
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 50);
    f->now += 50;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "b=NOT_SENT ");
    assert_int_equal(tq_redis_next_ms(f->r), -1);

    /* without a deadline it waits for days, but not once it is sent */
    f->now += 1000 * 86400 * 3;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "");
    fake_connect(f);
    fake_out(f);
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 1000);
    f->now += 1000;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "d=UNKNOWN ");
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
}


static void
connect_deadline(fake_t *f)
{
    f->conf.scripts = fake_scripts;
    fake_open(f);

    tq_redis_connecting(f->r, f->now);
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 1000);
    f->now += 999;
    tq_redis_tick(f->r, f->now);
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_CONNECTING);
    f->now += 1;
    tq_redis_tick(f->r, f->now);
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
    assert_string_equal(tq_redis_why(f->r), "connecting took too long");

    /* the socket that came after all is closed like any other */
    tq_redis_connected(f->r, f->now);
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
    fake_lost(f);
    fake_log(f, "DOWN ");
    fake_backoff(f);

    /* connect and handshake share one deadline */
    tq_redis_connecting(f->r, f->now);
    f->now += 900;
    tq_redis_connected(f->r, f->now);
    fake_out(f);
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 100);
    f->now += 100;
    tq_redis_tick(f->r, f->now);
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
    assert_non_null(strstr(tq_redis_why(f->r), "handshake"));
    assert_int_equal(fake_in(f, "+OK\r\n"), -1);
    fake_lost(f);
}


/* The connection ends after k bytes of three calls, for every k. */
static void
lost_at_every_byte(fake_t *f)
{
    size_t  k, n;

    n = sizeof(ECHO("1")) - 1;

    for (k = 0; k <= 3 * n; k++) {
        f->entries = 0;
        fake_ready(f);
        fake_call(f, "a", FAKE_RAW, "1");
        fake_call(f, "b", FAKE_RAW + FAKE_WAIT, "2");
        fake_call(f, "c", FAKE_RAW, "3");
        fake_out_n(f, k);
        fake_lost(f);

        if (k == 0) {
            fake_log(f, "a=NOT_SENT c=NOT_SENT DOWN ");
        } else if (k <= n) {
            fake_log(f, "a=UNKNOWN c=NOT_SENT DOWN ");
        } else if (k <= 2 * n) {
            fake_log(f, "a=UNKNOWN b=UNKNOWN c=NOT_SENT DOWN ");
        } else {
            fake_log(f, "a=UNKNOWN b=UNKNOWN c=UNKNOWN DOWN ");
        }

        assert_int_equal(tq_redis_pending(f->r), k <= n);
        tq_redis_free(f->r);

        if (k <= n) {
            fake_log(f, "b=NOT_SENT ");
        } else {
            fake_log(f, "");
        }
        tq_buf_reset(&f->wire);
    }

    f->r = NULL;
}


/* The reply stream ends after k bytes, for every k. */
static void
lost_in_every_reply(fake_t *f)
{
    size_t  k, n1, n;

    static const char  replies[] = "*2\r\n$1\r\nx\r\n:12\r\n$4\r\nlast\r\n";

    n1 = strlen("*2\r\n$1\r\nx\r\n:12\r\n");
    n = sizeof(replies) - 1;

    for (k = 0; k <= n; k++) {
        f->entries = 0;
        fake_ready(f);
        fake_call(f, "a", FAKE_RAW, "1");
        fake_call(f, "b", FAKE_RAW, "2");
        fake_out(f);
        assert_int_equal(fake_in_n(f, replies, k), 0);
        fake_lost(f);
        fake_log(f, k < n1 ? "a=UNKNOWN b=UNKNOWN DOWN "
                  : k < n ? "a=[x,12] b=UNKNOWN DOWN "
                          : "a=[x,12] b=last DOWN ");
        tq_redis_free(f->r);
        tq_buf_reset(&f->wire);
    }

    f->r = NULL;
}


/* And at every byte of the handshake, in both directions. */
static void
lost_in_handshake(fake_t *f)
{
    size_t  k, out, n;

    static const char  replies[] = "+OK\r\n+PONG\r\n";

    f->conf.password = "sesame";
    n = sizeof(replies) - 1;
    out = strlen("*2\r\n$4\r\nAUTH\r\n$6\r\nsesame\r\n"
                 "*1\r\n$4\r\nPING\r\n");

    for (k = 0; k < out + n; k++) {
        fake_open(f);
        fake_call(f, "a", FAKE_RAW + FAKE_WAIT, "1");
        tq_redis_connecting(f->r, f->now);
        tq_redis_connected(f->r, f->now);
        fake_out_n(f, k < out ? k : SIZE_MAX);
        if (k > out) {
            fake_in_n(f, replies, k - out);
        }
        fake_lost(f);
        fake_log(f, "DOWN ");
        assert_int_equal(tq_redis_pending(f->r), 1);
        tq_redis_free(f->r);
        fake_log(f, "a=NOT_SENT ");
        tq_buf_reset(&f->wire);
        f->entries = 0;
    }

    f->r = NULL;
}


static void
lost_before_connected(fake_t *f)
{
    int64_t  at;

    fake_open(f);

    /* no socket could be had at all */
    fake_lost(f);
    assert_string_equal(tq_redis_why(f->r), "gone");
    fake_log(f, "DOWN ");

    /* told twice, it is one loss */
    at = tq_redis_next_ms(f->r);
    tq_redis_lost(f->r, "again", f->now + 50);
    assert_int_equal(tq_redis_next_ms(f->r), at);
    fake_log(f, "");

    fake_backoff(f);
    tq_redis_connecting(f->r, f->now);
    fake_lost(f);
    fake_log(f, "DOWN ");
}


static void
backoff(fake_t *f)
{
    int       i, round;
    int64_t   delay, cap, most[8], least[8];

    memset(most, 0, sizeof(most));
    for (i = 0; i < 8; i++) {
        least[i] = INT64_MAX;
    }

    for (round = 0; round < 200; round++) {
        f->conf.seed = (uint64_t) round;
        fake_open(f);
        cap = TQ_BACKOFF_MIN_MS;

        for (i = 0; i < 8; i++) {
            fake_lost(f);
            delay = tq_redis_next_ms(f->r) - f->now;
            assert_true(delay > 0 && delay <= cap);
            most[i] = (delay > most[i]) ? delay : most[i];
            least[i] = (delay < least[i]) ? delay : least[i];
            fake_backoff(f);
            tq_redis_connecting(f->r, f->now);
            cap = (cap * 2 < TQ_BACKOFF_MAX_MS) ? cap * 2 : TQ_BACKOFF_MAX_MS;
        }
        tq_redis_free(f->r);
    }

    /* the jitter is over the whole of it */
    cap = TQ_BACKOFF_MIN_MS;
    for (i = 0; i < 8; i++) {
        assert_true(most[i] > cap * 9 / 10);
        assert_true(least[i] < cap / 10);
        cap = (cap * 2 < TQ_BACKOFF_MAX_MS) ? cap * 2 : TQ_BACKOFF_MAX_MS;
    }

    tq_buf_reset(&f->log);
    f->r = NULL;
}


/* A host may ask for a lower cap (a worker must be back within its lease). */
static void
backoff_cap(fake_t *f)
{
    int      i;
    int64_t  delay, most = 0;

    f->conf.backoff_max_ms = 250;
    fake_open(f);

    for (i = 0; i < 200; i++) {
        fake_lost(f);
        delay = tq_redis_next_ms(f->r) - f->now;
        most = (delay > most) ? delay : most;
        fake_backoff(f);
        tq_redis_connecting(f->r, f->now);
    }

    assert_true(most <= 250 && most > 200);
    tq_buf_reset(&f->log);
}


/* A connection that ends soon after it was READY is one more failure. */
static void
backoff_reset(fake_t *f)
{
    int  i;

    fake_ready(f);

    for (i = 1; i <= 6; i++) {
        f->now += TQ_STABLE_MS - 1;
        fake_lost(f);
        assert_int_equal(f->r->failures, i);
        fake_backoff(f);
        fake_connect(f);
    }

    f->now += TQ_STABLE_MS;
    fake_lost(f);
    assert_int_equal(f->r->failures, 1);
    assert_true(tq_redis_next_ms(f->r) <= f->now + TQ_BACKOFF_MIN_MS);
}


static void
idle_ping(fake_t *f)
{
    f->conf.idle_ping_ms = 5000;
    fake_ready(f);

    assert_int_equal(tq_redis_next_ms(f->r), f->now + 5000);
    f->now += 4000;
    fake_call(f, "a", FAKE_RAW, "1");
    fake_out(f);
    fake_in(f, "+ok\r\n");
    fake_log(f, "a=ok ");
    tq_buf_reset(&f->wire);
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 5000);

    f->now += 5000;
    tq_redis_tick(f->r, f->now);
    fake_out(f);
    fake_wire(f, "*1\r\n$4\r\nPING\r\n");
    assert_int_equal(tq_redis_pending(f->r), 0);
    assert_int_equal(tq_redis_next_ms(f->r), f->now + 1000);
    fake_in(f, "+PONG\r\n");
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_READY);

    /* one that could not be written is made anew in the same tick: a host is
     * never told to come back at once for nothing */
    f->now += 5000;
    tq_redis_tick(f->r, f->now);
    f->now += 5000;
    tq_redis_tick(f->r, f->now);
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_WRITE);
    assert_true(tq_redis_next_ms(f->r) > f->now);
    fake_out(f);
    f->now += 1000;
    tq_redis_tick(f->r, f->now);
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
    fake_log(f, "");
}


/* A connection that is there again in time costs no call, and nothing that was
 * sent is sent again. */
static void
patience(fake_t *f)
{
    f->conf.patience_ms = 250;
    fake_ready(f);
    f->now += TQ_STABLE_MS;

    fake_call(f, "a", FAKE_RAW, "1");
    fake_out(f);
    tq_buf_reset(&f->wire);
    fake_call(f, "b", FAKE_RAW, "2");
    fake_lost(f);
    fake_log(f, "a=UNKNOWN DOWN ");

    assert_int_equal(tq_redis_takes(f->r), 1);
    assert_int_equal(fake_call(f, "c", FAKE_RAW, "3"), 0);
    fake_backoff(f);
    assert_int_equal(fake_call(f, "d", FAKE_RAW + FAKE_WAIT, "4"), 0);

    /* the first attempt fails at once; the next one is in time */
    tq_redis_connecting(f->r, f->now);
    fake_lost(f);
    fake_log(f, "DOWN ");
    fake_backoff(f);
    fake_connect(f);
    fake_out(f);
    fake_wire(f, ECHO("2") ECHO("3") ECHO("4"));
    fake_in(f, "+x\r\n+y\r\n+z\r\n");
    fake_log(f, "b=x c=y d=z ");
    assert_int_equal(tq_redis_takes(f->r), 1);
}


/* … and one that is not there in time costs no more than that. */
static void
patience_ends(fake_t *f)
{
    int64_t  lost;

    f->conf.patience_ms = 250;
    fake_ready(f);
    f->now += TQ_STABLE_MS;
    fake_lost(f);
    lost = f->now;
    fake_log(f, "DOWN ");
    fake_backoff(f);
    tq_redis_connecting(f->r, f->now);
    fake_call(f, "a", FAKE_RAW, "1");
    fake_call(f, "b", FAKE_RAW + FAKE_WAIT, "2");
    assert_int_equal(tq_redis_next_ms(f->r), lost + 250);

    f->now = lost + 249;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "");
    f->now++;
    tq_redis_tick(f->r, f->now);
    fake_log(f, "a=NOT_SENT ");
    assert_int_equal(tq_redis_takes(f->r), 0);
    assert_int_equal(fake_call(f, "c", FAKE_RAW, "3"), -1);

    /* an attempt that fails does not begin the time anew */
    fake_lost(f);
    fake_log(f, "DOWN ");
    assert_int_equal(tq_redis_takes(f->r), 0);
    assert_int_equal(fake_call(f, "d", FAKE_RAW, "4"), -1);
    fake_backoff(f);
    fake_connect(f);
    fake_out(f);
    fake_wire(f, ECHO("2"));
    fake_in(f, "+x\r\n");
    fake_log(f, "b=x ");
}


/* A call that came too late ends the connection; those that were not sent have
 * the next one, unless the next attempt is too far off. */
static void
patience_after_closing(fake_t *f)
{
    f->conf.patience_ms = 250;
    fake_ready(f);
    fake_call_for(f, "a", FAKE_RAW, "1", 100);
    fake_out(f);
    tq_buf_reset(&f->wire);
    fake_call(f, "b", FAKE_RAW, "2");
    f->now += 100;
    tq_redis_tick(f->r, f->now);
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
    assert_int_equal(fake_call(f, "c", FAKE_RAW, "3"), 0);
    fake_lost(f);
    fake_log(f, "a=UNKNOWN DOWN ");
    fake_backoff(f);
    fake_connect(f);
    fake_out(f);
    fake_wire(f, ECHO("2") ECHO("3"));
    fake_in(f, "-READONLY x\r\n+y\r\n");
    fake_log(f, "b=-READONLY x c=y ");
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CLOSE);
    assert_int_equal(fake_call(f, "d", FAKE_RAW, "4"), 0);
    fake_lost(f);
    while (tq_redis_takes(f->r)) {
        fake_backoff(f);
        tq_redis_connecting(f->r, f->now);
        fake_lost(f);
        tq_buf_reset(&f->log);
    }
    assert_int_equal(tq_redis_pending(f->r), 0);
}


int
main(void)
{
    static const fake_test_t  tests[] = {
        { "deadline of a sent call", deadline_of_sent },
        { "deadline of an unsent call", deadline_of_unsent },
        { "deadline of a call that was begun", deadline_of_begun },
        { "deadlines while down", deadline_while_down },
        { "deadline of connecting", connect_deadline },
        { "lost at every byte", lost_at_every_byte },
        { "lost in every reply", lost_in_every_reply },
        { "lost in the handshake", lost_in_handshake },
        { "lost before it was connected", lost_before_connected },
        { "backoff", backoff },
        { "backoff with another cap", backoff_cap },
        { "backoff's reset", backoff_reset },
        { "idle PING", idle_ping },
        { "patience", patience },
        { "patience ends", patience_ends },
        { "patience after closing", patience_after_closing },
    };

    return fake_run("redis_life", tests, sizeof(tests) / sizeof(tests[0]));
}
