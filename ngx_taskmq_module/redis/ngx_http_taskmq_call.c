/*
 * ngx_http_taskmq_call.c: the link between a request and its wait for Redis.
 * A request can end at any time (client gone, shutdown), and Redis' reply
 * cannot be called back; so a call lives outside the request's pool, and the
 * request's cleanup only cuts the link.
 */

#include "ngx_http_taskmq_redis.h"
#include "ngx_http_taskmq_stats.h"

static ngx_http_taskmq_call_t  *ngx_http_taskmq_call_free;
static ngx_uint_t               ngx_http_taskmq_call_nfree;

static void ngx_http_taskmq_call_cleanup(void *data);
static void ngx_http_taskmq_call_run(ngx_http_taskmq_redis_t *redis,
    ngx_http_taskmq_call_t *call, const tq_result_t *res);

ngx_http_taskmq_call_t *
ngx_http_taskmq_call_new(ngx_http_request_t *r, ngx_http_taskmq_redis_t *redis,
    ngx_http_taskmq_done_pt done)
{
    ngx_http_cleanup_t      *cln;
    ngx_http_taskmq_call_t  *call;

    cln = NULL;

    if (r) {
        cln = ngx_http_cleanup_add(r, 0);
        if (cln == NULL) {
            return NULL;
        }
    }

    call = ngx_http_taskmq_call_free;

    if (call) {
        ngx_http_taskmq_call_free = call->next;
        ngx_http_taskmq_call_nfree--;

    } else {
        call = ngx_alloc(sizeof(ngx_http_taskmq_call_t), ngx_cycle->log);
        if (call == NULL) {
            return NULL;
        }
    }

    ngx_memzero(call, sizeof(ngx_http_taskmq_call_t));

    call->request = r;
    call->redis = redis;
    call->done = done;
    call->cleanup = cln;

    if (cln) {
        cln->handler = ngx_http_taskmq_call_cleanup;
        cln->data = call;
    }

    return call;
}

/* The request ends while its call waits. */
static void
ngx_http_taskmq_call_cleanup(void *data)
{
    ngx_http_taskmq_call_t  *call = data;

    ngx_http_taskmq_stats_gone(call->request);

    call->request = NULL;
    call->cleanup = NULL;
}

ngx_http_request_t *
ngx_http_taskmq_call_end(ngx_http_taskmq_call_t *call)
{
    ngx_http_request_t  *r;

    r = call->request;

    if (call->cleanup) {
        call->cleanup->handler = NULL;
    }

    if (ngx_http_taskmq_call_nfree < TQ_CALLS_KEEP) {
        call->next = ngx_http_taskmq_call_free;
        ngx_http_taskmq_call_free = call;
        ngx_http_taskmq_call_nfree++;

    } else {
        ngx_free(call);
    }

    return r;
}

void
ngx_http_taskmq_call_forget(ngx_http_taskmq_call_t *call)
{
    ngx_http_taskmq_call_t  *member;

    if (call->cleanup) {
        call->cleanup->handler = NULL;
        call->cleanup = NULL;
    }

    call->request = NULL;

    for (member = call->members; member; member = member->next) {
        ngx_http_taskmq_call_forget(member);
    }
}

void
ngx_http_taskmq_call_exit(void)
{
    ngx_http_taskmq_call_t  *call;

    while (ngx_http_taskmq_call_free) {
        call = ngx_http_taskmq_call_free;
        ngx_http_taskmq_call_free = call->next;
        ngx_free(call);
    }

    ngx_http_taskmq_call_nfree = 0;
}

/* ---- one answer for many ---- */

ngx_int_t
ngx_http_taskmq_reading_start(ngx_http_taskmq_reading_t *reading,
    ngx_http_taskmq_call_t *call, tq_call_t *tq)
{
    if (call == NULL) {
        tq_call_free(tq);
        return NGX_ERROR;
    }

    if (ngx_http_taskmq_redis_send(call, tq, call->redis->timeout) != NGX_OK) {
        (void) ngx_http_taskmq_call_end(call);
        return NGX_ERROR;
    }

    reading->asking++;

    return NGX_OK;
}

ngx_int_t
ngx_http_taskmq_reading_wait(ngx_http_taskmq_reading_t *reading,
    ngx_http_taskmq_call_t *call, ngx_uint_t under_way,
    ngx_int_t (*fetch)(ngx_http_taskmq_redis_t *redis))
{
    if (!under_way && fetch(call->redis) != NGX_OK) {
        return NGX_ERROR;
    }

    call->next = reading->waiting;
    reading->waiting = call;

    return NGX_OK;
}

void
ngx_http_taskmq_reading_end(ngx_http_taskmq_reading_t *reading,
    ngx_http_taskmq_redis_t *redis, const tq_result_t *res)
{
    ngx_http_taskmq_call_t  *call;

    call = reading->waiting;

    reading->asking--;
    reading->waiting = NULL;

    ngx_http_taskmq_call_run(redis, call, res);
}

/* ---- requests that came before the first connection ---- */

ngx_uint_t
ngx_http_taskmq_redis_starting(ngx_http_taskmq_redis_t *redis)
{
    return redis->core && !redis->started;
}

void
ngx_http_taskmq_redis_park(ngx_http_taskmq_call_t *call)
{
    call->next = call->redis->parked;
    call->redis->parked = call;
    call->redis->timer.cancelable = 0;
}

void
ngx_http_taskmq_redis_started(ngx_http_taskmq_redis_t *redis)
{
    ngx_http_taskmq_call_t  *call;

    redis->started = 1;

    call = redis->parked;
    redis->parked = NULL;

    ngx_http_taskmq_call_run(redis, call, &tq_not_sent);
}

/* ngx_http_taskmq_call_run ends a list of calls with one result. */
static void
ngx_http_taskmq_call_run(ngx_http_taskmq_redis_t *redis,
    ngx_http_taskmq_call_t *call, const tq_result_t *res)
{
    ngx_http_taskmq_call_t  *next;

    for ( /* void */ ; call; call = next) {
        next = call->next;

        if (redis->stopping) {
            ngx_http_taskmq_call_forget(call);
        }

        call->done(call, res);
    }
}
