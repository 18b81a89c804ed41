/*
 * redis_fake.c: the host and Redis made of strings.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "redis_fake.h"

#define SHA_A  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

const tq_script_t  fake_script_a = { "a", SHA_A, "return 'a'", 10 };
const tq_script_t  fake_script_b = { "b", SHA_B, "return 'bb'", 11 };
const tq_script_t  *fake_scripts[] = { &fake_script_a, &fake_script_b, NULL };


static void
fake_on_state(void *host, tq_redis_state_t s, const char *why)
{
    fake_t  *f = host;

    assert_non_null(why);

    if (s == TQ_REDIS_READY) {
        assert_string_equal(why, "");
        tq_buf_adds(&f->log, "READY ");
    } else {
        assert_int_equal(s, TQ_REDIS_DOWN);
        assert_string_not_equal(why, "");
        tq_buf_adds(&f->log, "DOWN ");
        if (f->on_down != NULL) {
            f->on_down(f);
        }
    }
}


static void
fake_log_reply(tq_buf_t *log, const redisReply *reply)
{
    size_t  i;

    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        tq_buf_addi(log, reply->integer);
        break;
    case REDIS_REPLY_NIL:
        tq_buf_adds(log, "nil");
        break;
    case REDIS_REPLY_ARRAY:
        tq_buf_addc(log, '[');
        for (i = 0; i < reply->elements; i++) {
            if (i != 0) {
                tq_buf_addc(log, ',');
            }
            fake_log_reply(log, reply->element[i]);
        }
        tq_buf_addc(log, ']');
        break;
    case REDIS_REPLY_ERROR:
        tq_buf_addc(log, '-');
        /* fall through */
    default:
        tq_buf_add(log, reply->str, (size_t) reply->len);
    }
}


static void
fake_cb(tq_call_t *call, tq_call_result_t result, const redisReply *reply)
{
    fake_entry_t  *e = call->data;
    tq_buf_t      *log = &e->fake->log;

    tq_buf_adds(log, e->name);
    tq_buf_addc(log, '=');

    switch (result) {
    case TQ_CALL_REPLY:
        assert_non_null(reply);
        fake_log_reply(log, reply);
        break;
    case TQ_CALL_NOT_SENT:
        assert_null(reply);
        tq_buf_adds(log, "NOT_SENT");
        break;
    case TQ_CALL_UNKNOWN:
        assert_null(reply);
        tq_buf_adds(log, "UNKNOWN");
        break;
    }

    tq_buf_addc(log, ' ');

    if (e->then != NULL) {
        e->fake->call = call;
        e->fake->reply = (redisReply *) reply;
        e->then(e->fake);
    }
}


void
fake_init(fake_t *f)
{
    memset(f, 0, sizeof(fake_t));

    f->now = 10000;
    f->slices = 64;
    f->conf.timeout_ms = 1000;
    f->conf.seed = 42;
    f->conf.on_state = fake_on_state;
    f->conf.host = f;
}


void
fake_open(fake_t *f)
{
    f->r = tq_redis_new(&f->conf, f->now);
    assert_non_null(f->r);
}


void
fake_connect(fake_t *f)
{
    assert_int_equal(tq_redis_want(f->r), TQ_WANT_CONNECT);
    tq_redis_connecting(f->r, f->now);
    tq_redis_connected(f->r, f->now);
    fake_out(f);
    tq_buf_reset(&f->wire);
    assert_int_equal(fake_in(f, "+PONG\r\n"), 0);
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_READY);
    tq_buf_reset(&f->log);
}


void
fake_ready(fake_t *f)
{
    fake_open(f);
    fake_connect(f);
}


void
fake_close(fake_t *f)
{
    if (f->r != NULL) {
        tq_redis_free(f->r);
    }

    tq_buf_free(&f->wire);
    tq_buf_free(&f->log);
}


tq_call_t *
fake_make(fake_t *f, const char *name, int kind, const char *arg,
    int64_t timeout_ms)
{
    tq_call_t     *call;
    fake_entry_t  *e;

    assert_true(f->entries < FAKE_ENTRIES);

    e = &f->entry[f->entries++];
    e->fake = f;
    e->name = name;
    e->then = NULL;

    switch (kind & ~FAKE_WAIT) {
    case FAKE_A:
        call = tq_call_new(&fake_script_a, fake_cb, e);
        break;
    case FAKE_B:
        call = tq_call_new(&fake_script_b, fake_cb, e);
        break;
    default:
        call = tq_call_new(NULL, fake_cb, e);
        if (call != NULL) {
            tq_call_args(call, "ECHO");
        }
    }

    if (call == NULL) {
        return NULL;
    }

    tq_call_args(call, arg);
    call->timeout_ms = timeout_ms;
    call->wait = ((kind & FAKE_WAIT) != 0);

    return call;
}


int
fake_call_for(fake_t *f, const char *name, int kind, const char *arg,
    int64_t timeout_ms)
{
    tq_call_t  *call = fake_make(f, name, kind, arg, timeout_ms);

    return call == NULL ? -1 : tq_redis_call(f->r, call, f->now);
}


int
fake_call(fake_t *f, const char *name, int kind, const char *arg)
{
    return fake_call_for(f, name, kind, arg, 0);
}


void
fake_then(fake_t *f, void (*then)(fake_t *f))
{
    f->entry[f->entries - 1].then = then;
}


void
fake_out_n(fake_t *f, size_t n)
{
    int           i, count;
    size_t        left, part;
    struct iovec  iov[64];

    while (n != 0 && tq_redis_want(f->r) == TQ_WANT_WRITE) {
        count = tq_redis_out(f->r, iov, f->slices);
        assert_true(count > 0 && count <= f->slices);

        left = (f->step != 0 && f->step < n) ? f->step : n;
        part = 0;

        for (i = 0; i < count && part < left; i++) {
            assert_true(iov[i].iov_len != 0);
            if (iov[i].iov_len > left - part) {
                iov[i].iov_len = left - part;
            }
            tq_buf_add(&f->wire, iov[i].iov_base, iov[i].iov_len);
            part += iov[i].iov_len;
        }

        tq_redis_sent(f->r, part, f->now);
        n -= part;
    }
}


void
fake_out(fake_t *f)
{
    struct iovec  iov[64];

    fake_out_n(f, SIZE_MAX);
    assert_int_equal(tq_redis_out(f->r, iov, f->slices), 0);
}


int
fake_in_n(fake_t *f, const char *p, size_t len)
{
    int     rc;
    char   *copy;
    size_t  n;

    rc = 0;

    while (len != 0 && rc == 0) {
        n = (f->bite != 0 && f->bite < len) ? f->bite : len;

        /* its own block: ASan sees a byte read too far or too late */
        copy = test_malloc(n);
        memcpy(copy, p, n);
        rc = tq_redis_feed(f->r, copy, n, f->now);
        test_free(copy);

        p += n;
        len -= n;
    }

    return rc;
}


int
fake_in(fake_t *f, const char *text)
{
    return fake_in_n(f, text, strlen(text));
}


static void
fake_compare(tq_buf_t *b, const char *text)
{
    assert_string_equal(tq_buf_cstr(b), text);
    tq_buf_reset(b);
}


void
fake_wire(fake_t *f, const char *text)
{
    fake_compare(&f->wire, text);
}


void
fake_log(fake_t *f, const char *text)
{
    fake_compare(&f->log, text);
}


void
fake_lost(fake_t *f)
{
    tq_redis_lost(f->r, "gone", f->now);
    assert_int_equal(tq_redis_state(f->r), TQ_REDIS_DOWN);
}


void
fake_backoff(fake_t *f)
{
    int64_t  next;

    assert_int_equal(tq_redis_want(f->r), TQ_WANT_NOTHING);

    while (tq_redis_want(f->r) != TQ_WANT_CONNECT) {
        next = tq_redis_next_ms(f->r);
        assert_true(next >= f->now);
        f->now = next;
        tq_redis_tick(f->r, f->now);
    }
}


static void
fake_run_modes(void **state)
{
    fake_t              f;
    size_t              i;
    const fake_test_t  *t = *state;

    static const struct {
        size_t  bite, step;
        int     slices;
    } modes[] = {
        { 0, 0, 64 }, { 1, 0, 64 }, { 0, 1, 64 }, { 1, 1, 1 }, { 3, 7, 2 },
        { 17, 100, 5 }
    };

    for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        fake_init(&f);
        f.bite = modes[i].bite;
        f.step = modes[i].step;
        f.slices = modes[i].slices;

        t->fn(&f);
        fake_close(&f);
    }
}


int
fake_run(const char *group, const fake_test_t *tests, size_t n)
{
    int                 rc;
    size_t              i;
    struct CMUnitTest  *t;

    t = calloc(n, sizeof(struct CMUnitTest));
    assert_non_null(t);

    for (i = 0; i < n; i++) {
        t[i].name = tests[i].name;
        t[i].test_func = fake_run_modes;
        t[i].initial_state = (void *) &tests[i];
    }

    rc = _cmocka_run_group_tests(group, t, n, NULL, NULL);
    free(t);

    return rc;
}
