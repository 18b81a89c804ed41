/*
 * tq_ops_enqueue.c: the enqueue batch. This is the HTTP hot path: one reserve
 * per group, arguments written in place, the payload copied once.
 */

#include <stdlib.h>
#include <string.h>

#include "tq_ops_int.h"
#include "tq_redis_resp.h"

/* At the batch's start: the key and the number of groups, known at its end. */
#define TQ_ENQUEUE_GAP    (TQ_NAMESPACE_MAX + 4 + 2 * TQ_RESP_EXTRA + 20)

#define TQ_HEAD_LEN       13
#define TQ_OPTIONS_MAX    (4 * (3 + 20))    /* " t=" and digits, four times */

/* What a group or a job takes at most, apart from texts of any length. */
#define TQ_GROUP_EXTRA    (TQ_RESP_EXTRA + 1 + 20 + 1 + 16 + 3 + 20 + 2)
#define TQ_JOB_EXTRA      (2 * TQ_RESP_EXTRA + 2 * TQ_HANDLER_MAX + 20 + 1 \
                           + TQ_HEAD_LEN + 1 + TQ_OPTIONS_MAX + 1)

static size_t tq_put_digits(char *dst, uint64_t v);
static char *tq_put_option(char *p, char name, int64_t v);
static char *tq_put_group(char *p, tq_str_t scope, tq_str_t key,
    uint64_t body_hash, int known, unsigned n);
static char *tq_put_head(char *p, const tq_job_t *job, int options);
static char *tq_put_job(char *p, const tq_job_t *job);


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


/* Bytes 1 to 13 of the record. */
static char *
tq_put_head(char *p, const tq_job_t *job, int options)
{
    int  n;

    p[0] = '1';
    p[1] = (job->interval_s > 0) ? 'p' : options ? 'o' : '-';
    p[2] = ' ';
    p[3] = (char) ('0' + job->priority / 100 % 10);
    p[4] = (char) ('0' + job->priority / 10 % 10);
    p[5] = (char) ('0' + job->priority % 10);
    p[6] = ' ';
    p[7] = job->policy;
    p[8] = ' ';

    n = job->max_retries;

    if (n < 0) {
        p[9] = (job->api == TQ_API_TASKDAEMON) ? 'd' : 't';
        p[10] = '-';
        p[11] = '-';
    } else {
        p[9] = (char) ('0' + n / 100 % 10);
        p[10] = (char) ('0' + n / 10 % 10);
        p[11] = (char) ('0' + n % 10);
    }

    p[12] = ' ';

    return p + TQ_HEAD_LEN;
}


/* Kind and tail: two arguments. */
static char *
tq_put_job(char *p, const tq_job_t *job)
{
    char    options[TQ_OPTIONS_MAX], due[20], *end;
    size_t  len, due_len;

    end = tq_put_option(options, 't', job->timeout_s);
    end = tq_put_option(end, 'k', job->retention_s);
    end = tq_put_option(end, 'i', job->interval_s);
    end = tq_put_option(end, 's', job->due_ms);
    len = (size_t) (end - options);

    due_len = tq_put_digits(due, job->due_ms > 0 ? (uint64_t) job->due_ms : 0);

    p += tq_resp_num(p, '$', TQ_HEAD_LEN + due_len + 1 + job->handler_len);
    p = tq_put_head(p, job, len != 0);
    memcpy(p, due, due_len);
    p += due_len;
    *p++ = ' ';
    memcpy(p, job->handler, job->handler_len);
    p += job->handler_len;
    *p++ = '\r';
    *p++ = '\n';

    p += tq_resp_num(p, '$', 1 + job->handler_len + len + 1
                             + job->payload.len);
    *p++ = ' ';
    memcpy(p, job->handler, job->handler_len);
    p += job->handler_len;
    memcpy(p, options, len);
    p += len;
    *p++ = '\n';
    memcpy(p, job->payload.p, job->payload.len);
    p += job->payload.len;
    *p++ = '\r';
    *p++ = '\n';

    return p;
}


int
tq_enqueue_add(tq_enqueue_t *e, tq_str_t scope, tq_str_t key,
    uint64_t body_hash, int known, const tq_job_t *jobs, unsigned n)
{
    char      *p;
    size_t     room;
    unsigned   i;

    room = (e->args.len == 0 ? TQ_ENQUEUE_GAP : 0) + TQ_GROUP_EXTRA + scope.len
           + key.len;
    for (i = 0; i < n; i++) {
        room += TQ_JOB_EXTRA + jobs[i].payload.len;
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
        p = tq_put_job(p, &jobs[i]);
    }

    e->args.len = (size_t) (p - e->args.p);
    e->nargs += 2 * n;
    e->jobs += n;

    return (int) e->groups++;
}


tq_call_t *
tq_enqueue_call(tq_enqueue_t *e, const tq_ns_t *ns, tq_call_cb cb, void *data)
{
    char        prefix[TQ_ENQUEUE_GAP], num[20];
    size_t      len;
    tq_call_t  *call;

    call = NULL;

    if (e->groups != 0 && !e->args.failed) {
        call = tq_call_new(&tq_script_enqueue, cb, data);
    }

    if (call == NULL) {
        tq_buf_free(&e->args);
        memset(e, 0, sizeof(tq_enqueue_t));
        return NULL;
    }

    len = tq_resp_bulk(prefix, ns->prefix, ns->len);
    len += tq_resp_bulk(prefix + len, num, tq_put_digits(num, e->groups));

    call->skip = (unsigned) (TQ_ENQUEUE_GAP - len);
    memcpy(e->args.p + call->skip, prefix, len);

    call->body = e->args;
    call->nargs = 2 + e->nargs;
    memset(e, 0, sizeof(tq_enqueue_t));

    return call;
}


/* The reply is pairs: an outcome, and how many groups it is for. */
int
tq_enqueue_result(const redisReply *reply, unsigned group, int64_t *out)
{
    size_t   i;
    int64_t  v, groups, at;

    if (tq_reply_array(reply, 2) != 0) {
        return -1;
    }

    at = group;

    for (i = 0; i + 1 < reply->elements; i += 2) {

        if (tq_reply_int(reply->element[i], &v) != 0
            || tq_reply_int(reply->element[i + 1], &groups) != 0
            || v > TQ_ID_MAX || v == 0 || v < TQ_ENQUEUE_UNKNOWN_HANDLER
            || groups < 1 || groups > TQ_BULK_MAX_JOBS)
        {
            return -1;
        }

        if (at < groups) {
            v += v > 0 ? at : 0;

            if (v > TQ_ID_MAX) {
                return -1;
            }

            *out = v;
            return 0;
        }

        at -= groups;
    }

    return -1;
}
