/*
 * redis_fake.h: a host and a Redis made of strings, for tests of tq_redis as
 * plain function calls. The clock is `now`; bytes out are collected in `wire`;
 * every callback and state change is a word in `log`.
 *
 *     fake_call(f, "a", FAKE_A, "x");       EVALSHA a… 1 x
 *     fake_out(f);  fake_wire(f, "*4\r\n…");
 *     fake_in(f, ":1\r\n");
 *     fake_log(f, "a=1 ");
 */

#ifndef REDIS_FAKE_H
#define REDIS_FAKE_H

#include "tq_redis_int.h"

#define FAKE_ENTRIES  64

/* FAKE_RAW is a plain command: ECHO arg. */
enum { FAKE_RAW, FAKE_A, FAKE_B, FAKE_WAIT = 16 };

typedef struct fake_s  fake_t;

typedef struct {
    fake_t      *fake;
    const char  *name;
    void       (*then)(fake_t *f);  /* called from inside the callback */
} fake_entry_t;

struct fake_s {
    tq_redis_t      *r;
    tq_redis_conf_t  conf;
    int64_t          now;
    size_t           bite;      /* fed this many bytes at a time; 0: all */
    size_t           step;      /* sent this many at a time; 0: all */
    int              slices;    /* iovecs asked for at a time */
    tq_buf_t         wire;
    tq_buf_t         log;
    fake_entry_t     entry[FAKE_ENTRIES];
    unsigned         entries;
    void           (*on_down)(fake_t *f);
    tq_call_t       *call;      /* whose callback runs */
    redisReply      *reply;     /* … and what it got */
};

extern const tq_script_t   fake_script_a, fake_script_b;
extern const tq_script_t  *fake_scripts[];

/* Sets defaults only: no password, no scripts, timeout 1,000 ms, now 10,000. */
void fake_init(fake_t *f);

/* Makes f->r from f->conf. */
void fake_open(fake_t *f);

/* The same, and READY with an empty wire and log. */
void fake_ready(fake_t *f);

/* From wanting to connect to READY; the wire and log are then empty. */
void fake_connect(fake_t *f);

void fake_close(fake_t *f);

/* Hands over a call; returns what tq_redis_call() returned. kind may have
 * FAKE_WAIT added. */
int fake_call(fake_t *f, const char *name, int kind, const char *arg);
int fake_call_for(fake_t *f, const char *name, int kind, const char *arg,
    int64_t timeout_ms);

/* The same, and not handed over. */
tq_call_t *fake_make(fake_t *f, const char *name, int kind, const char *arg,
    int64_t timeout_ms);

/* What is done inside the callback of the call made last. */
void fake_then(fake_t *f, void (*then)(fake_t *f));

/* Takes all that wants out; or n bytes of it. */
void fake_out(fake_t *f);
void fake_out_n(fake_t *f, size_t n);

/* Feeds; returns the last tq_redis_feed()'s answer. */
int fake_in(fake_t *f, const char *text);
int fake_in_n(fake_t *f, const char *p, size_t len);

/* Compare what was collected since the last comparison, and forget it. */
void fake_wire(fake_t *f, const char *text);
void fake_log(fake_t *f, const char *text);

/* The socket closes; then tick at the moment the next attempt is due. */
void fake_lost(fake_t *f);
void fake_backoff(fake_t *f);

typedef struct {
    const char  *name;
    void       (*fn)(fake_t *f);
} fake_test_t;

/* Runs each test on a fresh fake with bytes in all at once, three and one at a
 * time, and bytes out likewise and in few slices. Returns main()'s. */
int fake_run(const char *group, const fake_test_t *tests, size_t n);

#endif /* REDIS_FAKE_H */
