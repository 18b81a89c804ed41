/*
 * test_ops.c: what workers and POSTs do to jobs: enqueue, claim, complete,
 * fail, release, extend, reap, on a real Redis (ops_rig.h).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ops_rig.h"

static const char  payload_odd[] = "{\n  \"n\": 12345678901234567890123,\r\n"
                                       "  \"f\" : 1.10, \"s\":\"\303\244\\u0041"
                                       "\\n\" ,\"e\":[ ] }";


static void
namespaces(void **state)
{
    tq_ns_t  n;
    char     longest[TQ_NAMESPACE_MAX + 2];

    (void) state;
    memset(longest, 'n', sizeof(longest));

    assert_int_equal(tq_ns_init(&n, "taskmq", 6), 0);
    assert_string_equal(n.prefix, "{taskmq}:");
    assert_int_equal(n.len, 9);
    assert_int_equal(tq_ns_init(&n, longest, TQ_NAMESPACE_MAX), 0);
    assert_int_equal(strlen(n.prefix), n.len);
    assert_int_equal(tq_ns_init(&n, longest, TQ_NAMESPACE_MAX + 1), -1);
    assert_int_equal(tq_ns_init(&n, "", 0), -1);
    assert_int_equal(tq_ns_init(&n, "a}b", 3), -1);
    assert_int_equal(tq_ns_init(&n, "a b", 3), -1);
}


static void
enqueue_and_get(void **state)
{
    int64_t            id;
    tq_job_t           job;
    tq_job_info_t      info;
    const redisReply  *reply;

    (void) state;

    /* the record's bytes are the schema's */
    id = add("email", payload_odd);
    assert_int_equal(id, 1);
    info = get(id);
    assert_int_equal(info.state, TQ_STATE_PENDING);
    assert_string_equal(info.job.handler, "email");
    assert_str(info.job.payload, payload_odd);
    assert_int_equal(info.job.priority, 0);
    assert_int_equal(info.job.max_retries, -1);
    assert_int_equal(info.due_ms, 0);
    assert_true(info.created_ms > 1700000000000);

    reply = redis_loop_cmd(&loop, "GET", "{enqueue}:j:1", NULL);
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    assert_memory_equal(reply->str, "1- 000 f t-- ", 13);
    assert_memory_equal(reply->str + 26, " email\n{\n  \"n\"", 14);

    job = job_of("a.b-c_D", "{}");
    job.api = TQ_API_TASKDAEMON;
    job.priority = 100;
    job.policy = 'e';
    job.timeout_s = 7;
    job.retention_s = 31536000;
    job.interval_s = 60;
    job.due_ms = 4102444800000;
    id = add_job(&job);
    info = get(id);
    assert_int_equal(info.job.api, TQ_API_TASKDAEMON);
    assert_int_equal(info.job.priority, 100);
    assert_int_equal(info.job.policy, 'e');
    assert_int_equal(info.job.max_retries, -1);
    assert_int_equal(info.job.timeout_s, 7);
    assert_int_equal(info.job.retention_s, 31536000);
    assert_int_equal(info.job.interval_s, 60);
    assert_int_equal(info.job.due_ms, 4102444800000);
    assert_int_equal(info.due_ms, 4102444800000);
    assert_str(info.job.payload, "{}");

    job = job_of("a", "{}");
    job.policy = 'n';
    job.max_retries = 100;
    job.priority = 42;
    job.timeout_s = 604800;
    info = get(add_job(&job));
    assert_int_equal(info.job.max_retries, 100);
    assert_int_equal(info.job.priority, 42);
    assert_int_equal(info.job.timeout_s, 604800);
    assert_int_equal(info.job.interval_s, 0);
    job.max_retries = 0;
    info = get(add_job(&job));
    assert_int_equal(info.job.max_retries, 0);

    assert_int_equal(exists(99), 0);
}


static void
enqueue_bulk(void **state)
{
    int                 g;
    int64_t             first;
    unsigned            i;
    char                text[1000][24];
    tq_job_t            one, *jobs;
    tq_enqueue_t        e;
    const tq_result_t  *res;

    (void) state;

    jobs = test_calloc(1000, sizeof(tq_job_t));
    for (i = 0; i < 1000; i++) {
        snprintf(text[i], sizeof(text[i]), "{\"i\":%u}", i);
        jobs[i] = job_of("bulk", text[i]);
        jobs[i].priority = (int) (i % 101);
    }
    one = job_of("other", "{\"one\":1}");

    memset(&e, 0, sizeof(e));
    g = tq_enqueue_add(&e, &ns, str(""), str(""), 0, 0, jobs, 1000);
    assert_int_equal(g, 0);
    g = tq_enqueue_add(&e, &ns, str(""), str(""), 0, 1, &one, 1);
    assert_int_equal(g, 1);
    g = tq_enqueue_add(&e, &ns, str(""), str(""), 0, 0, &one, 1);
    assert_int_equal(g, 2);
    assert_int_equal(e.jobs, 1002);
    assert_int_equal(e.groups, 3);

    res = run(tq_enqueue_call(&e, &ns, NULL, NULL));
    assert_int_equal(e.groups, 0);
    assert_null(e.args.p);

    first = tq_enqueued(res, 0);
    assert_int_equal(first, 1);
    assert_int_equal(tq_enqueued(res, 1), TQ_ENQUEUE_UNKNOWN_HANDLER);
    assert_int_equal(tq_enqueued(res, 2), 1001);

    for (i = 0; i < 1000; i += 37) {
        assert_str(get(first + i).job.payload, text[i]);
        assert_int_equal(get(first + i).job.priority, i % 101);
    }
    assert_str(get(1001).job.payload, "{\"one\":1}");

    /* an empty batch is no call */
    assert_null(tq_enqueue_call(&e, &ns, NULL, NULL));
    test_free(jobs);
}


static int64_t
add_keyed(tq_str_t scope, tq_str_t key, uint64_t hash)
{
    tq_job_t      job = job_of("keyed", "{}");
    tq_enqueue_t  e;

    memset(&e, 0, sizeof(e));
    assert_int_equal(tq_enqueue_add(&e, &ns, scope, key, hash, 0, &job, 1),
        0);

    return tq_enqueued(run(tq_enqueue_call(&e, &ns, NULL, NULL)), 0);
}


static void
idempotency(void **state)
{
    char      longest[TQ_SUBJECT_MAX];
    int64_t   id;
    tq_str_t  all;

    (void) state;
    memset(longest, 'x', sizeof(longest));
    all = (tq_str_t) { longest, sizeof(longest) };

    id = add_keyed(str("joe"), str("k"), 0xfedcba9876543210);
    assert_int_equal(id, 1);
    assert_int_equal(add_keyed(str("joe"), str("k"), 0xfedcba9876543210), 1);
    assert_int_equal(add_keyed(str("joe"), str("k"), 0xfedcba9876543211),
        TQ_ENQUEUE_CONFLICT);
    assert_int_equal(add_keyed(str("ann"), str("k"), 1), 2);
    assert_int_equal(add_keyed(str(""), str("k"), 1), 3);

    /* colons, NUL, the longest */
    assert_int_equal(add_keyed(str("a:b"), str("c"), 1), 4);
    assert_int_equal(add_keyed(str("a"), str("b:c"), 1), 5);
    assert_int_equal(add_keyed(str(""), (tq_str_t) { "\0\1", 2 }, 1), 6);
    assert_int_equal(add_keyed(str(""), (tq_str_t) { "\0\2", 2 }, 1), 7);
    assert_int_equal(add_keyed(all, all, 1), 8);
    assert_int_equal(add_keyed(all, all, 1), 8);

    /* without a key nothing is remembered */
    assert_int_equal(add_keyed(str("joe"), str(""), 1), 9);
    assert_int_equal(add_keyed(str("joe"), str(""), 1), 10);
}


static void
claim_and_complete(void **state)
{
    unsigned         i;
    tq_job_t         job;
    tq_claimed_t     c[4];
    tq_outcome_t     o;
    tq_job_info_t    info;

    (void) state;

    for (i = 1; i <= 4; i++) {
        job = job_of("work", "{\"x\":1}");
        job.priority = (int) i * 10;
        job.timeout_s = i;
        assert_int_equal(add_job(&job), i);
    }

    /* the highest priority first */
    assert_int_equal(claim(W1, "work", 30000, 2, c), 2);
    assert_int_equal(c[0].id, 4);
    assert_int_equal(c[1].id, 3);
    assert_int_equal(c[0].job.priority, 40);
    assert_int_equal(c[0].job.timeout_s, 4);
    assert_int_equal(c[0].attempts, 0);
    assert_memory_equal(c[0].token.t + TQ_COUNTER_LEN, W1, TQ_WORKER_ID_LEN);
    assert_int_equal(claim(W1, "nothing", 30000, 4, c + 2), 0);

    info = get(4);
    assert_int_equal(info.state, TQ_STATE_RUNNING);
    assert_str(info.worker, "host:1");
    assert_true(info.started_ms >= info.created_ms);
    assert_int_equal(info.finished_ms, 0);

    memset(&o, 0, sizeof(o));
    o.id = 4;
    o.token = c[0].token;
    o.result = str("[1.10, 12345678901234567890123]");
    o.log = str("said so\n");
    assert_int_equal(verdict(tq_complete_call(&ns, &o, 1, NULL, NULL)),
        TQ_VERDICT_OK);
    assert_int_equal(verdict(tq_complete_call(&ns, &o, 1, NULL, NULL)),
        TQ_VERDICT_ALREADY);

    info = get(4);
    assert_int_equal(info.state, TQ_STATE_SUCCESS);
    assert_str(info.result, "[1.10, 12345678901234567890123]");
    assert_str(info.error, "");
    assert_true(info.finished_ms >= info.started_ms);

    /* another worker's token, another counter, no such job */
    o.id = 3;
    o.token = c[1].token;
    o.token.t[TQ_LEASE_TOKEN_LEN - 1] = 'f';
    assert_int_equal(verdict(tq_complete_call(&ns, &o, 1, NULL, NULL)),
        TQ_VERDICT_STALE);
    assert_int_equal(get(3).state, TQ_STATE_RUNNING);
    o.id = 999;
    assert_int_equal(verdict(tq_complete_call(&ns, &o, 1, NULL, NULL)),
        TQ_VERDICT_GONE);

    /* no result is null */
    o = claim_one(W2, "work");
    assert_int_equal(o.id, 2);
    assert_int_equal(verdict(tq_complete_call(&ns, &o, 1, NULL, NULL)),
        TQ_VERDICT_OK);
    assert_str(get(2).result, "");
}


static void
failing(void **state)
{
    int64_t         due;
    tq_outcome_t    o;
    tq_job_info_t   info;

    (void) state;

    assert_int_equal(add("shaky", "{}"), 1);
    o = claim_one(W1, "shaky");
    o.retryable = 1;
    o.error = str("first\nline");
    o.log = str("trace 1");
    assert_int_equal(verdict(tq_fail_call(&ns, &o, 1, 999999, NULL, NULL)),
        TQ_VERDICT_OK);
    assert_int_equal(verdict(tq_fail_call(&ns, &o, 1, 999999, NULL, NULL)),
        TQ_VERDICT_ALREADY);
    info = get(1);
    assert_int_equal(info.state, TQ_STATE_PENDING);
    assert_int_equal(info.attempts, 1);
    assert_str(info.error, "first\nline");
    due = info.due_ms;
    assert_true(due >= info.started_ms + TQ_RETRY_WAIT_MS);

    /* an asked-for wait that is longer */
    assert_int_equal(add("shaky2", "{}"), 2);
    o = claim_one(W1, "shaky2");
    o.retryable = 1;
    o.wait_ms = 600000;
    assert_int_equal(verdict(tq_fail_call(&ns, &o, 1, UINT64_MAX, NULL, NULL)),
        TQ_VERDICT_OK);
    assert_true(get(2).due_ms >= due + 500000);

    assert_int_equal(add("shaky3", "{}"), 3);
    o = claim_one(W1, "shaky3");
    o.error = str("for good");
    o.log = str("trace 3");
    assert_int_equal(verdict(tq_fail_call(&ns, &o, 1, 0, NULL, NULL)),
        TQ_VERDICT_OK);
    info = get(3);
    assert_int_equal(info.state, TQ_STATE_FAILED);
    assert_str(info.error, "for good");

    assert_str(run(tq_logs_call(&ns, 1, NULL, NULL))->log, "trace 1");
    assert_str(run(tq_logs_call(&ns, 2, NULL, NULL))->log, "");
    assert_int_equal(run(tq_logs_call(&ns, 99, NULL, NULL))->found, 0);
}


static void
releasing(void **state)
{
    tq_outcome_t  o;

    (void) state;

    add("back", "{}");
    add("back", "{}");
    o = claim_one(W1, "back");
    assert_int_equal(o.id, 1);
    assert_int_equal(verdict(tq_release_call(&ns, &o, 1, NULL, NULL)),
        TQ_VERDICT_OK);
    assert_int_equal(verdict(tq_release_call(&ns, &o, 1, NULL, NULL)),
        TQ_VERDICT_STALE);
    assert_int_equal(get(1).state, TQ_STATE_PENDING);
    assert_int_equal(get(1).attempts, 0);

    /* its old place: before the second */
    assert_int_equal(claim_one(W2, "back").id, 1);
}


static void
extending(void **state)
{
    unsigned            i;
    tq_str_t            handlers[2];
    tq_outcome_t        o[4];
    tq_heartbeat_t      b;
    tq_worker_stats_t   w;
    const tq_result_t  *res;

    (void) state;

    static const tq_verdict_t  expected[] = {
        TQ_VERDICT_OK, TQ_VERDICT_CANCELLED, TQ_VERDICT_GONE, TQ_VERDICT_STALE
    };

    for (i = 0; i < 4; i++) {
        add("ext", "{}");
    }
    for (i = 0; i < 4; i++) {
        o[i] = claim_one(W1, "ext");
    }
    assert_int_equal(change(tq_cancel_call(&ns, 2, 1, NULL, NULL), NULL),
        TQ_CHANGE_OK);
    assert_int_equal(change(tq_delete_call(&ns, 3, NULL, NULL), NULL),
        TQ_CHANGE_OK);
    assert_int_equal(verdict(tq_release_call(&ns, &o[3], 1, NULL, NULL)),
        TQ_VERDICT_OK);

    handlers[0] = str("ext");
    handlers[1] = str("served");
    memset(&b, 0, sizeof(b));
    b.worker_id = W1;
    b.worker_name = "host:1";
    b.info = str("{\"a\": \"b c\"}");
    b.handlers = handlers;
    b.nhandlers = 2;
    b.lease_ms = 30000;
    res = run(tq_extend_call(&ns, &b, o, 4, NULL, NULL));
    for (i = 0; i < 4; i++) {
        assert_int_equal(tq_verdict(res, i), expected[i]);
    }
    assert_int_equal(res->given_back.jobs, 0);
    assert_int_equal(res->given_back.more, 0);

    /* a heartbeat without jobs is fine, and is what `known` looks at */
    b.worker_id = W2;
    b.worker_name = "host:2";
    b.nhandlers = 1;
    res = run(tq_extend_call(&ns, &b, NULL, 0, NULL, NULL));
    assert_int_equal(res->given_back.jobs, 0);

    res = run(tq_stats_call(&ns, NULL, NULL));
    assert_int_equal(res->stats.workers, 2);
    assert_int_equal(res->stats.running, 1);
    for (i = 0; i < 2; i++) {
        tq_stats_worker(res, i, &w);
        assert_true(w.seen_ms <= res->stats.now_ms
                    && w.seen_ms > res->stats.now_ms - 20000);
        if (memcmp(w.id.p, W1, TQ_WORKER_ID_LEN) == 0) {
            assert_str(w.name, "host:1");
            assert_str(w.info, "{\"a\": \"b c\"}");
        } else {
            assert_str(w.id, W2);
        }
    }

    run(tq_goodbye_call(&ns, W1, NULL, NULL));
    assert_int_equal(run(tq_stats_call(&ns, NULL, NULL))->stats.workers, 1);
}


static void
reaping(void **state)
{
    int64_t       now;
    unsigned      requeued;
    tq_claimed_t  c;
    tq_reaped_t   r;

    (void) state;

    add("lost", "{}");
    assert_int_equal(claim(W1, "lost", 1000, 1, &c), 1);

    /* the lease is Redis' clock's: wait for it, not for ours */
    requeued = 0;
    do {
        r = run(tq_reap_call(&ns, -1, NULL, NULL))->reaped;
        now = r.now_ms;
        requeued += r.requeued;
        assert_int_equal(r.failed, 0);
    } while (requeued == 0 && now < get(1).started_ms + 10000);

    assert_int_equal(requeued, 1);
    assert_true(now >= get(1).started_ms + 1000);
    assert_int_equal(get(1).state, TQ_STATE_PENDING);
    assert_int_equal(get(1).crashes, 1);
    assert_int_equal(get(1).attempts, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        ops_test("namespaces", namespaces),
        ops_test("enqueue", enqueue_and_get),
        ops_test("bulk", enqueue_bulk),
        ops_test("idempotency", idempotency),
        ops_test("complete", claim_and_complete),
        ops_test("fail", failing),
        ops_test("release", releasing),
        ops_test("extend", extending),
        ops_test("reap", reaping),
    };

    return cmocka_run_group_tests_name("ops", tests, rig_setup, rig_teardown);
}
