/*
 * ops_rig.c: short words for operations on a real Redis.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ops_rig.h"

static redis_server_t  server;
redis_loop_t           loop;
tq_ns_t                ns;
static tq_result_t    *kept;      /* of the last call */


tq_str_t
str(const char *s)
{
    return (tq_str_t) { s, strlen(s) };
}


void
assert_str(tq_str_t s, const char *text)
{
    assert_int_equal(s.len, strlen(text));
    assert_memory_equal(s.p, text, s.len);
}


static void
told(void *data, const tq_result_t *res)
{
    kept = tq_result_keep(res);
    *(int *) data = 1;
}


const tq_result_t *
result(tq_call_t *call)
{
    int  done = 0;

    assert_non_null(call);
    tq_result_free(kept);
    kept = NULL;

    (void) tq_done_swap(call, (tq_done_t) { told, &done });
    call->wait = 1;
    assert_int_equal(tq_redis_call(loop.r, call, redis_loop_now()), 0);
    redis_loop_until(&loop, &done);
    assert_non_null(kept);

    return kept;
}


const tq_result_t *
run(tq_call_t *call)
{
    const tq_result_t  *res = result(call);

    if (res->status != TQ_OK) {
        fail_msg("status %d: %s", (int) res->status, res->text);
    }

    return res;
}


tq_job_t
job_of(const char *handler, const char *payload)
{
    tq_job_t  job;

    memset(&job, 0, sizeof(job));
    job.handler_len = strlen(handler);
    strcpy(job.handler, handler);
    job.policy = 'f';
    job.max_retries = -1;
    job.payload = str(payload);

    return job;
}


/* Stores one job and returns its id. */
int64_t
add_job(const tq_job_t *job)
{
    int64_t       id;
    tq_enqueue_t  e;

    memset(&e, 0, sizeof(e));
    assert_int_equal(tq_enqueue_add(&e, &ns, str(""), str(""), 0, 0, job, 1),
        0);
    id = tq_enqueued(run(tq_enqueue_call(&e, &ns, NULL, NULL)), 0);
    assert_true(id > 0);

    return id;
}


int64_t
add(const char *handler, const char *payload)
{
    tq_job_t  job = job_of(handler, payload);

    return add_job(&job);
}


tq_job_info_t
get(int64_t id)
{
    const tq_result_t  *res = run(tq_get_call(&ns, id, NULL, NULL));

    assert_int_equal(res->found, 1);

    return res->job;
}


int
exists(int64_t id)
{
    return run(tq_get_call(&ns, id, NULL, NULL))->found;
}


/* A token that was not used before. */
tq_token_t
token_of(const char *worker)
{
    char             text[TQ_LEASE_TOKEN_LEN + 1];
    tq_token_t       token;
    static unsigned  number;

    assert_int_equal(snprintf(text, sizeof(text), "%012x%s", ++number, worker),
        TQ_LEASE_TOKEN_LEN);
    memcpy(token.t, text, TQ_LEASE_TOKEN_LEN);

    return token;
}


/* A heartbeat of a worker that holds the n jobs of o. */
const tq_result_t *
beat(const char *worker, int all, const tq_outcome_t *o, unsigned n)
{
    tq_heartbeat_t  b;

    memset(&b, 0, sizeof(b));
    b.worker_id = worker;
    b.worker_name = "host:1";
    b.info = str("{}");
    b.lease_ms = 30000;
    b.all = all;

    return run(tq_extend_call(&ns, &b, o, n, NULL, NULL));
}


/* Claims up to n jobs of one handler; returns how many. */
unsigned
claim(const char *worker, const char *handler, int64_t lease_ms, unsigned n,
    tq_claimed_t *out)
{
    unsigned            i;
    tq_token_t          token = token_of(worker);
    tq_claim_want_t     want = { str(handler), n };
    const tq_result_t  *res;

    res = run(tq_claim_call(&ns, &token, "host:1", lease_ms, n, 0, &want,
        1, NULL, NULL));
    assert_true(res->claims.now_ms > 1700000000000);
    assert_true(res->claims.jobs <= n);

    for (i = 0; i < res->claims.jobs; i++) {
        assert_int_equal(tq_claim_job(res, i, &out[i]), 0);
    }

    return res->claims.jobs;
}


/* Claims one job, which must be there, as an outcome to be filled. */
tq_outcome_t
claim_one(const char *worker, const char *handler)
{
    tq_claimed_t  c;
    tq_outcome_t  o;

    assert_int_equal(claim(worker, handler, 30000, 1, &c), 1);

    memset(&o, 0, sizeof(o));
    o.id = c.id;
    o.token = c.token;
    o.wait_ms = -1;

    return o;
}


tq_verdict_t
verdict(tq_call_t *call)
{
    return tq_verdict(run(call), 0);
}


tq_change_t
change(tq_call_t *call, int64_t *new_id)
{
    const tq_result_t  *res = run(call);

    if (new_id != NULL) {
        *new_id = res->change.new_id;
    }

    return res->change.verdict;
}


int
rig_setup(void **state)
{
    (void) state;

    redis_server_start(&server);
    redis_loop_open(&loop, server.sock, NULL);
    redis_loop_ready(&loop);

    return 0;
}


int
rig_teardown(void **state)
{
    (void) state;

    tq_result_free(kept);
    kept = NULL;
    redis_loop_close(&loop);
    redis_server_stop(&server);

    return 0;
}


int
rig_fresh(void **state)
{
    return tq_ns_init(&ns, *state, strlen(*state));
}
