/*
 * fuzz_redis.c: tq_redis under a host and a Redis that do anything in any
 * order. The input is a programme: a byte says what happens, what follows is
 * its argument. Every call that was taken ends exactly once, and nothing is
 * read or kept that should not be (ASan, LSan).
 */

#include "fuzz.h"
#include "tq_redis_int.h"

#define CALLS_MAX  64

static const tq_script_t   script = {
    "s", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "return 1", 8
};
static const tq_script_t  *scripts[] = { &script, NULL };

typedef struct {
    tq_redis_t      *r;
    int64_t          now;
    unsigned         taken;
    unsigned         ended[CALLS_MAX];
    const uint8_t   *p;
    size_t           left;
} host_t;

static host_t  *host;

static void give(void);


static unsigned
next_byte(void)
{
    if (host->left == 0) {
        return 0;
    }

    host->left--;

    return *host->p++;
}


static void
ended(tq_call_t *call, tq_call_result_t result, const redisReply *reply)
{
    unsigned  *n = call->data;

    MUST((result == TQ_CALL_REPLY) == (reply != NULL));
    MUST(++*n == 1);

    switch (next_byte() & 7) {
    case 1:
        give();
        break;
    case 2:
        call->keep = 1;
        freeReplyObject((redisReply *) reply);
        break;
    case 3:
        tq_redis_lost(host->r, "in a callback", host->now);
        break;
    default:
        break;
    }
}


static tq_call_t *
make(unsigned how, unsigned n)
{
    tq_call_t  *call;

    call = tq_call_new((how & 1) ? &script : NULL, ended, &host->ended[n]);
    MUST(call != NULL);
    tq_call_args(call, "GET");
    tq_call_argi(call, how);
    call->wait = (how >> 1) & 1;
    call->timeout_ms = (how & 4) ? -1 : (how & 8) ? 5 : 0;

    return call;
}


/* One call, or with up to three before it. */
static void
give(void)
{
    unsigned    how, n, before;
    tq_call_t  *call, **link;

    how = next_byte();
    before = how >> 6;
    n = host->taken;

    if (n + before >= CALLS_MAX) {
        return;
    }

    call = make(how, n++);
    for (link = &call->before; before != 0; before--) {
        *link = make(0, n++);
        link = &(*link)->before;
    }

    if (tq_redis_call(host->r, call, host->now) == 0) {
        host->taken = n;
    }
}


static void
send_some(size_t most)
{
    int           i, n;
    size_t        all;
    struct iovec  iov[8];

    n = tq_redis_out(host->r, iov, 1 + (int) (most & 7));
    MUST((n > 0) == (tq_redis_want(host->r) == TQ_WANT_WRITE));

    all = 0;
    for (i = 0; i < n; i++) {
        MUST(iov[i].iov_len != 0);
        all += iov[i].iov_len;
    }

    tq_redis_sent(host->r, all < most ? all : most, host->now);
}


static void
step(void)
{
    size_t     n;
    unsigned   what;
    tq_want_t  want;

    what = next_byte();
    want = tq_redis_want(host->r);

    switch (what & 7) {
    case 0:
        give();
        break;
    case 1:
        send_some(next_byte());
        break;
    case 2:
        send_some(SIZE_MAX);
        break;
    case 3:
    case 4:
        n = next_byte();
        n = n < host->left ? n : host->left;
        (void) tq_redis_feed(host->r, (const char *) host->p, n, host->now);
        n = n < host->left ? n : host->left;
        host->p += n;
        host->left -= n;
        break;
    case 5:
        host->now += (what >> 3) * 7;
        tq_redis_tick(host->r, host->now);
        MUST(tq_redis_next_ms(host->r) == -1
             || tq_redis_next_ms(host->r) > host->now
             || tq_redis_want(host->r) != TQ_WANT_NOTHING);
        break;
    case 6:
        tq_redis_lost(host->r, "lost", host->now);
        break;
    default:
        if (want == TQ_WANT_CONNECT) {
            tq_redis_connecting(host->r, host->now);
            if (what & 8) {
                tq_redis_connected(host->r, host->now);
            }
        } else if (tq_redis_state(host->r) == TQ_REDIS_CONNECTING) {
            tq_redis_connected(host->r, host->now);
        }
        break;
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    host_t           h;
    unsigned         i;
    tq_redis_conf_t  conf;

    memset(&h, 0, sizeof(h));
    memset(&conf, 0, sizeof(conf));
    conf.timeout_ms = 50;
    conf.idle_ping_ms = 30;
    h.p = data;
    h.left = size;
    h.now = 1000;
    host = &h;

    if (next_byte() & 1) {
        conf.scripts = scripts;
    }

    h.r = tq_redis_new(&conf, h.now);
    MUST(h.r != NULL);

    while (h.left != 0) {
        step();
    }

    tq_redis_free(h.r);

    for (i = 0; i < h.taken; i++) {
        MUST(h.ended[i] == 1);
    }

    return 0;
}
