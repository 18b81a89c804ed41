/*
 * tq_ops_enqueue.c: the enqueue batch. This is the HTTP hot path: one reserve
 * per group, arguments written in place, the payload copied once.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tq_layout.h"
#include "tq_ops_int.h"

/* At the batch's start: the key, known at its end. */
#define TQ_ENQUEUE_GAP    (TQ_NAMESPACE_MAX + 4 + TQ_RESP_EXTRA)

#define TQ_HEAD_LEN       TQ_LEN(TQ_JOB_HEAD)
#define TQ_OPTIONS_MAX    (5 * (3 + 20))    /* " t=" and digits, five times */
#define TQ_ASIDE_NAME     32                /* hex */

/* What a group or a job takes at most, apart from texts of any length. */
#define TQ_GROUP_EXTRA    (TQ_RESP_EXTRA + 1 + 20 + 1 + 16 + 3 + 20 + 2)
#define TQ_JOB_EXTRA      (2 * TQ_RESP_EXTRA + 2 * TQ_HANDLER_MAX + 20 + 1 \
                           + TQ_HEAD_LEN + 1 + TQ_OPTIONS_MAX + 1 \
                           + 1 + TQ_ASIDE_NAME)

static size_t tq_put_digits(char *dst, uint64_t v);
static char *tq_put_option(char *p, char name, int64_t v);
static char *tq_put_group(char *p, tq_str_t scope, tq_str_t key,
    uint64_t body_hash, int known, unsigned n);
static void tq_put_three(char *p, int n);
static char *tq_put_head(char *p, const tq_job_t *job, int options);
static char *tq_put_job(char *p, const tq_job_t *job, const char *aside);
static tq_decode_t  tq_enqueue_decode;
static int tq_aside_name(char name[TQ_ASIDE_NAME + 1]);
static int tq_aside_add(tq_enqueue_t *e, const tq_ns_t *ns, const char *name,
    tq_str_t payload);


/* Decimal digits, at most 20. Returns how many. */
static size_t
tq_put_digits(char *dst, uint64_t v)
{
    char    digits[20];
    size_t  i;

    i = sizeof(digits);
    do {
        digits[--i] = (char) ('0' + v % 10);
        v /= 10;
    } while (v != 0);

    memcpy(dst, digits + i, sizeof(digits) - i);

    return sizeof(digits) - i;
}


static char *
tq_put_option(char *p, char name, int64_t v)
{
    if (v <= 0) {
        return p;
    }

    p[0] = ' ';
    p[1] = name;
    p[2] = '=';

    return p + 3 + tq_put_digits(p + 3, (uint64_t) v);
}


/* What is asked for a whole group, unless that is nothing. */
static char *
tq_put_group(char *p, tq_str_t scope, tq_str_t key, uint64_t body_hash,
    int known, unsigned n)
{
    int     i;
    char    jobs[20], num[20];
    size_t  jobs_len, num_len, len;

    static const char  hex[] = "0123456789abcdef";

    jobs_len = tq_put_digits(jobs, n);
    num_len = tq_put_digits(num, scope.len);
    len = 1 + jobs_len + 1 + 16 + 1 + 1 + 1;

    if (key.len != 0) {
        /* the scope's length keeps "a:b" + "c" and "a" + "b:c" apart */
        len += num_len + 1 + scope.len + 1 + key.len;
    }

    p += tq_resp_num(p, '$', len);

    *p++ = 'g';
    memcpy(p, jobs, jobs_len);
    p += jobs_len;
    *p++ = ' ';

    for (i = 60; i >= 0; i -= 4) {
        *p++ = hex[body_hash >> i & 15];
    }

    *p++ = ' ';
    *p++ = known ? '1' : '0';
    *p++ = ' ';

    if (key.len != 0) {
        memcpy(p, num, num_len);
        p += num_len;
        *p++ = ':';
        if (scope.len != 0) {
            memcpy(p, scope.p, scope.len);
            p += scope.len;
        }
        *p++ = ':';
        memcpy(p, key.p, key.len);
        p += key.len;
    }

    *p++ = '\r';
    *p++ = '\n';

    return p;
}


/* Up to 999. */
static void
tq_put_three(char *p, int n)
{
    p[0] = (char) ('0' + n / 100 % 10);
    p[1] = (char) ('0' + n / 10 % 10);
    p[2] = (char) ('0' + n % 10);
}


/* The record's head. */
static char *
tq_put_head(char *p, const tq_job_t *job, int options)
{
    memset(p, ' ', TQ_HEAD_LEN);

    p[TQ_AT(TQ_JOB_VERSION)] = '1';
    p[TQ_AT(TQ_JOB_KIND)] = (job->interval_s > 0) ? 'p' : options ? 'o' : '-';
    tq_put_three(p + TQ_AT(TQ_JOB_PRIORITY), job->priority);
    p[TQ_AT(TQ_JOB_POLICY)] = job->policy;

    if (job->max_retries < 0) {
        memcpy(p + TQ_AT(TQ_JOB_RETRIES),
            (job->api == TQ_API_TASKDAEMON) ? "d--" : "t--", 3);
    } else {
        tq_put_three(p + TQ_AT(TQ_JOB_RETRIES), job->max_retries);
    }

    return p + TQ_HEAD_LEN;
}


/* Kind and tail: two arguments. aside: where the payload is, or NULL. */
static char *
tq_put_job(char *p, const tq_job_t *job, const char *aside)
{
    char    options[TQ_OPTIONS_MAX], due[21], *end;
    size_t  len, due_len, payload_len;

    payload_len = (aside == NULL) ? job->payload.len : 0;

    end = tq_put_option(options, 't', job->timeout_s);
    end = tq_put_option(end, 'k', job->retention_s);
    end = tq_put_option(end, 'i', job->interval_s);
    end = tq_put_option(end, 's', job->due_ms);
    if (aside != NULL) {
        end = tq_put_option(end, 'b', (int64_t) job->payload.len);
    }
    len = (size_t) (end - options);

    due_len = tq_put_digits(due, job->due_ms > 0 ? (uint64_t) job->due_ms : 0);
    if (aside != NULL) {
        due[due_len++] = '@';
    }

    p += tq_resp_num(p, '$', TQ_HEAD_LEN + due_len + 1 + job->handler_len);
    p = tq_put_head(p, job, len != 0);
    memcpy(p, due, due_len);
    p += due_len;
    *p++ = ' ';
    memcpy(p, job->handler, job->handler_len);
    p += job->handler_len;
    *p++ = '\r';
    *p++ = '\n';

    p += tq_resp_num(p, '$', (aside != NULL ? TQ_ASIDE_NAME : 0)
                             + 1 + job->handler_len + len + 1 + payload_len);
    if (aside != NULL) {
        memcpy(p, aside, TQ_ASIDE_NAME);
        p += TQ_ASIDE_NAME;
    }
    *p++ = ' ';
    memcpy(p, job->handler, job->handler_len);
    p += job->handler_len;
    memcpy(p, options, len);
    p += len;
    *p++ = '\n';
    memcpy(p, job->payload.p, payload_len);
    p += payload_len;
    *p++ = '\r';
    *p++ = '\n';

    return p;
}


/* A name for a payload that no other has: random once per process, counted
 * from there. 0, or -1. */
static int
tq_aside_name(char name[TQ_ASIDE_NAME + 1])
{
    static pid_t     owner;
    static uint64_t  random, count;

    if (owner != getpid()) {
        if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
            return -1;
        }
        owner = getpid();
    }

    (void) snprintf(name, TQ_ASIDE_NAME + 1, "%016llx%016llx",
        (unsigned long long) random, (unsigned long long) ++count);

    return 0;
}


/* The call that stores a payload apart, to be sent before the batch. It goes
 * by itself where no job takes it. 0, or -1. */
static int
tq_aside_add(tq_enqueue_t *e, const tq_ns_t *ns, const char *name,
    tq_str_t payload)
{
    char        key[TQ_NAMESPACE_MAX + 8 + TQ_ASIDE_NAME];
    tq_call_t  *call;

    call = tq_call_new(NULL, NULL, NULL);
    if (call == NULL) {
        return -1;
    }

    (void) snprintf(key, sizeof(key), "%sb:%s", ns->prefix, name);
    tq_buf_reserve(&call->body, payload.len + sizeof(key) + 128);
    tq_call_args(call, "SET");
    tq_call_args(call, key);
    tq_call_arg(call, payload.p, payload.len);
    tq_call_arg(call, "EX", 2);
    tq_call_argi(call, TQ_ASIDE_S);

    if (call->body.failed) {
        tq_call_free(call);
        return -1;
    }

    call->before = e->aside;
    e->aside = call;
    e->bytes += payload.len;

    return 0;
}


void
tq_enqueue_drop(tq_enqueue_t *e)
{
    tq_call_t  *call;

    while ((call = e->aside) != NULL) {
        e->aside = call->before;
        call->before = NULL;
        tq_call_free(call);
    }

    tq_buf_free(&e->args);
    memset(e, 0, sizeof(tq_enqueue_t));
}


int
tq_enqueue_add(tq_enqueue_t *e, const tq_ns_t *ns, tq_str_t scope,
    tq_str_t key, uint64_t body_hash, int known, const tq_job_t *jobs,
    unsigned n)
{
    char      *p, name[TQ_ASIDE_NAME + 1];
    size_t     room;
    unsigned   i, aside;

    room = (e->args.len == 0 ? TQ_ENQUEUE_GAP : 0) + TQ_GROUP_EXTRA + scope.len
           + key.len;
    for (i = 0; i < n; i++) {
        room += TQ_JOB_EXTRA;
        if (jobs[i].payload.len <= TQ_ASIDE_BYTES) {
            room += jobs[i].payload.len;
        }
    }

    if (tq_buf_reserve(&e->args, room) != 0) {
        return -1;
    }

    if (e->args.len == 0) {
        e->args.len = TQ_ENQUEUE_GAP;
    }

    p = e->args.p + e->args.len;

    if (n != 1 || known || key.len != 0) {
        p = tq_put_group(p, scope, key, body_hash, known, n);
        e->nargs++;
    }

    for (i = 0; i < n; i++) {
        aside = jobs[i].payload.len > TQ_ASIDE_BYTES;

        if (aside && (tq_aside_name(name) != 0
            || tq_aside_add(e, ns, name, jobs[i].payload) != 0))
        {
            return -1;
        }

        p = tq_put_job(p, &jobs[i], aside ? name : NULL);
    }

    e->bytes += (size_t) (p - e->args.p) - e->args.len;
    e->args.len = (size_t) (p - e->args.p);
    e->nargs += 2 * n;
    e->jobs += n;

    return (int) e->groups++;
}


tq_call_t *
tq_enqueue_call(tq_enqueue_t *e, const tq_ns_t *ns, tq_done_cb done,
    void *data)
{
    char        prefix[TQ_ENQUEUE_GAP];
    size_t      len;
    tq_call_t  *call;

    call = NULL;

    if (e->groups != 0 && !e->args.failed) {
        call = tq_op_new(&tq_script_enqueue, NULL, tq_enqueue_decode, done,
            data);
    }

    if (call == NULL) {
        tq_enqueue_drop(e);
        return NULL;
    }

    len = tq_resp_bulk(prefix, ns->prefix, ns->len);

    call->skip = (unsigned) (TQ_ENQUEUE_GAP - len);
    memcpy(e->args.p + call->skip, prefix, len);

    call->body = e->args;
    call->nargs = 1 + e->nargs;
    call->before = e->aside;
    tq_op_of(call)->n = e->groups;
    memset(e, 0, sizeof(tq_enqueue_t));

    return call;
}


/* The reply is an outcome for each group. */
static int
tq_enqueue_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    size_t   i;
    int64_t  v;

    (void) res;

    if (tq_reply_array(reply, 1) != 0 || reply->elements != op->n) {
        return -1;
    }

    for (i = 0; i < reply->elements; i++) {
        if (tq_reply_int(reply->element[i], &v) != 0 || v == 0
            || v < TQ_ENQUEUE_PAYLOAD || v > TQ_ID_MAX)
        {
            return -1;
        }
    }

    return 0;
}


int64_t
tq_enqueued(const tq_result_t *res, unsigned group)
{
    int64_t  v = 0;

    (void) tq_reply_int(res->from->element[group], &v);

    return v;
}
