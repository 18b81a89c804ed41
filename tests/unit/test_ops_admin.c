/*
 * test_ops_admin.c: what people and the HTTP side ask: list, stats, cancel,
 * retry, delete, replay, settings, the probe, the wake-up;
 * on a real Redis (ops_rig.h).
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


/* Ends a job for good. */
static void
kill_job(const char *handler)
{
    tq_outcome_t  o;

    o = claim_one(W1, handler);
    o.error = str("no");
    assert_int_equal(verdict(tq_fail_call(&ns, &o, 1, 0, NULL, NULL)),
        TQ_VERDICT_OK);
}


/* Walks all pages; writes the ids, and checks the order. */
static unsigned
list_all(int status, const char *handler, unsigned limit, int64_t *ids,
    unsigned max)
{
    int64_t             cursor;
    unsigned            i, total;
    tq_list_t           l;
    tq_job_info_t       info;
    const tq_result_t  *res;

    memset(&l, 0, sizeof(l));
    l.status = status;
    l.handler = str(handler);
    l.limit = limit;
    total = 0;

    do {
        res = run(tq_list_call(&ns, &l, NULL, NULL));
        cursor = res->page.cursor;
        assert_true(res->page.jobs <= limit);

        for (i = 0; i < res->page.jobs; i++) {
            tq_list_job(res, i, &info);
            assert_true(total < max);
            assert_true(total == 0 || info.id < ids[total - 1]);
            assert_true(status == -1 || info.state == (tq_state_t) status);
            ids[total++] = info.id;
        }
        assert_true(cursor == 0 || l.before == 0 || cursor < l.before);
        l.before = cursor;
    } while (cursor != 0);

    return total;
}


static void
listing(void **state)
{
    int64_t         ids[64];
    unsigned        i;
    tq_job_t        job;
    tq_outcome_t    o;

    (void) state;

    assert_int_equal(list_all(-1, "", 5, ids, 64), 0);

    for (i = 0; i < 10; i++) {
        add(i % 2 ? "odd" : "even", "{\"p\": 1}");
    }
    job = job_of("odd", "{}");
    job.due_ms = 4102444800000;
    assert_int_equal(add_job(&job), 11);

    o = claim_one(W1, "even");                  /* 1 */
    o.result = str("7");
    verdict(tq_complete_call(&ns, &o, 1, NULL, NULL));
    kill_job("even");                           /* 3 */
    claim_one(W1, "odd");                       /* 2 */
    change(tq_cancel_call(&ns, 4, 0, NULL, NULL), NULL);

    assert_int_equal(list_all(-1, "", 3, ids, 64), 11);
    assert_int_equal(ids[0], 11);
    assert_int_equal(ids[10], 1);
    assert_int_equal(list_all(-1, "", 100, ids, 64), 11);
    assert_int_equal(list_all(-1, "even", 2, ids, 64), 5);
    assert_int_equal(ids[0], 9);
    assert_int_equal(list_all(-1, "never", 2, ids, 64), 0);
    assert_int_equal(list_all(TQ_STATE_SUCCESS, "", 2, ids, 64), 1);
    assert_int_equal(ids[0], 1);
    assert_int_equal(list_all(TQ_STATE_RUNNING, "", 2, ids, 64), 1);
    assert_int_equal(ids[0], 2);
    assert_int_equal(list_all(TQ_STATE_FAILED, "", 2, ids, 64), 1);
    assert_int_equal(ids[0], 3);
    assert_int_equal(list_all(TQ_STATE_CANCELLED, "", 2, ids, 64), 1);
    assert_int_equal(ids[0], 4);
    assert_int_equal(list_all(TQ_STATE_PENDING, "", 2, ids, 64), 7);
    assert_int_equal(list_all(TQ_STATE_PENDING, "odd", 2, ids, 64), 4);
    assert_int_equal(ids[0], 11);
}


static void
statistics(void **state)
{
    unsigned            i;
    int64_t             sum;
    tq_stats_t          s;
    tq_outcome_t        o;
    tq_queue_stats_t    q;
    const tq_result_t  *res;

    (void) state;

    s = run(tq_stats_call(&ns, NULL, NULL))->stats;
    assert_int_equal(s.received, 0);
    assert_int_equal(s.queues, 0);

    for (i = 0; i < 6; i++) {
        add("one", "{}");
    }
    add("two", "{}");

    o = claim_one(W1, "one");
    verdict(tq_complete_call(&ns, &o, 1, NULL, NULL));
    kill_job("one");
    claim_one(W1, "one");
    change(tq_cancel_call(&ns, 4, 0, NULL, NULL), NULL);
    o = claim_one(W1, "two");
    o.retryable = 1;
    verdict(tq_fail_call(&ns, &o, 1, 0, NULL, NULL));

    res = run(tq_stats_call(&ns, NULL, NULL));
    s = res->stats;
    assert_true(s.now_ms > 1700000000000);
    assert_int_equal(s.received, 7);
    assert_int_equal(s.success, 1);
    assert_int_equal(s.failed, 1);
    assert_int_equal(s.cancelled, 1);
    assert_int_equal(s.retries, 1);
    assert_int_equal(s.crashes, 0);
    assert_int_equal(s.dead_dropped, 0);
    assert_int_equal(s.waiting, 2);
    assert_int_equal(s.scheduled, 1);
    assert_int_equal(s.running, 1);
    assert_int_equal(s.dead, 1);
    assert_int_equal(s.finished, 2);
    assert_int_equal(s.workers, 0);
    assert_int_equal(s.queues, 2);

    sum = 0;
    for (i = 0; i <= TQ_DURATION_BUCKETS; i++) {
        sum += s.duration[i];
    }
    assert_int_equal(sum, 1);

    for (i = 0; i < 2; i++) {
        tq_stats_queue(res, i, &q);
        if (q.name.len == 3 && memcmp(q.name.p, "one", 3) == 0) {
            assert_int_equal(q.received, 6);
            assert_int_equal(q.waiting, 2);
            assert_int_equal(q.running, 1);
            assert_int_equal(q.dead, 1);
            assert_true(q.oldest_ms > 1700000000000);
        } else {
            assert_str(q.name, "two");
            assert_int_equal(q.scheduled, 1);
            assert_int_equal(q.oldest_ms, 0);
        }
    }
}


static void
changes(void **state)
{
    int64_t        id;
    tq_outcome_t   o;

    (void) state;

    assert_int_equal(change(tq_cancel_call(&ns, 9, 0, NULL, NULL), NULL),
        TQ_CHANGE_NOT_FOUND);
    assert_int_equal(change(tq_retry_call(&ns, 9, NULL, NULL), &id),
        TQ_CHANGE_NOT_FOUND);
    assert_int_equal(id, 0);
    assert_int_equal(change(tq_delete_call(&ns, 9, NULL, NULL), NULL),
        TQ_CHANGE_NOT_FOUND);
    assert_int_equal(change(tq_replay_call(&ns, 9, 0, NULL, NULL), &id),
        TQ_CHANGE_NOT_FOUND);
    assert_int_equal(id, 0);

    /* cancel: pending, again, running, running by force */
    assert_int_equal(add("c", "{}"), 1);
    assert_int_equal(change(tq_cancel_call(&ns, 1, 0, NULL, NULL), NULL),
        TQ_CHANGE_OK);
    assert_int_equal(change(tq_cancel_call(&ns, 1, 0, NULL, NULL), NULL),
        TQ_CHANGE_ALREADY);
    assert_int_equal(get(1).state, TQ_STATE_CANCELLED);
    assert_int_equal(add("c", "{}"), 2);
    o = claim_one(W1, "c");
    assert_int_equal(change(tq_cancel_call(&ns, 2, 0, NULL, NULL), NULL),
        TQ_CHANGE_CONFLICT);
    assert_int_equal(change(tq_cancel_call(&ns, 2, 1, NULL, NULL), NULL),
        TQ_CHANGE_OK);
    assert_int_equal(get(2).state, TQ_STATE_CANCELLED);
    assert_int_equal(verdict(tq_complete_call(&ns, &o, 1, NULL, NULL)),
        TQ_VERDICT_STALE);
    assert_int_equal(get(2).state, TQ_STATE_CANCELLED);

    /* retry: only what failed */
    assert_int_equal(add("r", "{\"r\": 1.0}"), 3);
    assert_int_equal(change(tq_retry_call(&ns, 3, NULL, NULL), NULL),
        TQ_CHANGE_CONFLICT);
    kill_job("r");
    assert_int_equal(change(tq_retry_call(&ns, 3, NULL, NULL), NULL),
        TQ_CHANGE_OK);
    assert_int_equal(get(3).state, TQ_STATE_PENDING);
    assert_int_equal(get(3).attempts, 0);

    /* replay: a copy; dead only when asked */
    assert_int_equal(change(tq_replay_call(&ns, 3, 1, NULL, NULL), &id),
        TQ_CHANGE_CONFLICT);
    assert_int_equal(change(tq_replay_call(&ns, 3, 0, NULL, NULL), &id),
        TQ_CHANGE_OK);
    assert_int_equal(id, 4);
    assert_str(get(4).job.payload, "{\"r\": 1.0}");
    kill_job("r");
    assert_int_equal(change(tq_replay_call(&ns, 3, 1, NULL, NULL), &id),
        TQ_CHANGE_OK);
    assert_int_equal(id, 5);

    assert_int_equal(change(tq_delete_call(&ns, 5, NULL, NULL), NULL),
        TQ_CHANGE_OK);
    assert_int_equal(exists(5), 0);
}


/* The value of one setting. */
static void
assert_setting(const char *name, const char *value)
{
    int                 found;
    unsigned            i;
    tq_str_t            n, v;
    const tq_result_t  *res;

    found = 0;
    res = run(tq_config_get_call(&ns, NULL, NULL));

    for (i = 0; tq_config_pair(res, i, &n, &v); i++) {
        if (tq_str_eq(n, name)) {
            found++;
            assert_str(v, value);
        }
    }

    assert_int_equal(i, 10);
    assert_int_equal(found, 1);
}


static int
set_setting(const char *name, const char *value, int seed)
{
    assert_null(tq_config_check(name, value));

    return run(tq_config_set_call(&ns, name, value, seed, NULL, NULL))->kept;
}


static void
settings(void **state)
{
    size_t  i;

    (void) state;

    static const struct {
        const char  *name, *value;
    } bad[] = {
        { "moving", "1" }, { "", "1" }, { "Selection", "fifo" },
        { "selection", "FIFO" }, { "selection", "" }, { "selection", "1" },
        { "retention_s", "" }, { "retention_s", "0" },
        { "retention_s", "-1" }, { "retention_s", "1.5" },
        { "retention_s", " 1" }, { "retention_s", "1 " },
        { "retention_s", "01" }, { "retention_s", "31536001" },
        { "max_retries", "101" }, { "retry_wait_ms", "3600001" },
        { "max_retries", "99999999999999999999" }, { "dead_max", "100001" },
    };

    assert_setting("selection", "priority");
    assert_setting("retention_s", "86400");
    assert_setting("dead_retention_s", "2592000");
    assert_setting("dead_max", "100000");
    assert_setting("max_retries", "2");
    assert_setting("daemon_max_retries", "3");
    assert_setting("retry_wait_ms", "2000");
    assert_setting("retry_wait_max_ms", "3600000");
    assert_setting("idempotency_ttl_s", "86400");
    assert_setting("finished_max_bytes", "0");

    assert_int_equal(set_setting("max_retries", "0", 1), 0);
    assert_setting("max_retries", "0");
    assert_int_equal(set_setting("max_retries", "7", 1), 1);
    assert_setting("max_retries", "0");
    assert_int_equal(set_setting("max_retries", "100", 0), 0);
    assert_setting("max_retries", "100");
    assert_int_equal(set_setting("selection", "lifo", 0), 0);
    assert_setting("selection", "lifo");
    assert_int_equal(set_setting("retry_wait_ms", "0", 0), 0);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_non_null(tq_config_check(bad[i].name, bad[i].value));
    }
}


static void
probing(void **state)
{
    tq_probe_t  p;

    (void) state;

    add("p", "{}");
    add("p", "{}");
    beat(W1, 0, NULL, 0);

    p = run(tq_probe_call(&ns, NULL, NULL))->probe;
    assert_int_equal(p.waiting, 2);
    assert_int_equal(p.workers, 1);
    assert_int_equal(p.noeviction, 1);
    assert_int_equal(p.bytes_full, -1);
    assert_int_equal(p.memory_full, -1);

    assert_int_equal(set_setting("finished_max_bytes", "1000", 0), 0);
    p = run(tq_probe_call(&ns, NULL, NULL))->probe;
    assert_int_equal(p.bytes_full, 0);

    redis_loop_cmd(&loop, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru",
        NULL);
    p = run(tq_probe_call(&ns, NULL, NULL))->probe;
    redis_loop_cmd(&loop, "CONFIG", "SET", "maxmemory-policy", "noeviction",
        NULL);
    assert_int_equal(p.noeviction, 0);
}


/* A full Redis: the probe says so, and what frees space still runs. */
static void
full_redis(void **state)
{
    tq_job_t           job;
    tq_outcome_t       o;
    tq_enqueue_t       e;

    (void) state;

    add("full", "{}");
    o = claim_one(W1, "full");
    redis_loop_cmd(&loop, "CONFIG", "SET", "maxmemory", "1", NULL);

    assert_int_equal(result(tq_probe_call(&ns, NULL, NULL))->cause,
        TQ_ERR_OOM);

    job = job_of("full", "{}");
    memset(&e, 0, sizeof(e));
    assert_int_equal(tq_enqueue_add(&e, &ns, str(""), str(""), 0, 0, &job, 1),
        0);
    assert_int_equal(result(tq_enqueue_call(&e, &ns, NULL, NULL))->err,
        TQ_ERR_OOM);

    assert_int_equal(verdict(tq_complete_call(&ns, &o, 1, NULL, NULL)),
        TQ_VERDICT_OK);

    redis_loop_cmd(&loop, "CONFIG", "SET", "maxmemory", "0", NULL);
    assert_int_equal(get(1).state, TQ_STATE_SUCCESS);
}


/* What a wait ends with. */
static tq_wake_t
wake(const char *worker, const tq_str_t *handlers, unsigned n, int64_t ms)
{
    return run(tq_wake_call(&ns, worker, handlers, n, ms, NULL, NULL))->wake;
}


static void
waking(void **state)
{
    tq_str_t   handlers[2];
    tq_wake_t  w;

    (void) state;

    handlers[0] = str("quiet");
    handlers[1] = str("loud");

    assert_int_equal(wake(W1, handlers, 2, 20).kind, TQ_WAKE_TIMEOUT);

    add("loud", "{}");
    w = wake(W1, handlers, 2, 5000);
    assert_int_equal(w.kind, TQ_WAKE_HANDLER);
    assert_str(w.handler, "loud");

    /* a cancel by force wakes the worker that runs the job */
    claim_one(W1, "loud");
    change(tq_cancel_call(&ns, 1, 1, NULL, NULL), NULL);
    assert_int_equal(wake(W1, handlers, 2, 5000).kind, TQ_WAKE_OWN);

    /* no handler at all: only its own key; 0 must not wait for ever */
    assert_int_equal(wake(W2, NULL, 0, 0).kind, TQ_WAKE_TIMEOUT);
}


/* A worker that has taken a marker, and leaves jobs, puts it back. */
static void
waking_others(void **state)
{
    int                 woken;
    tq_str_t            loud = str("loud");
    tq_token_t          token;
    tq_claim_want_t     want = { loud, 1 };
    const tq_result_t  *res;

    (void) state;

    for (woken = 1; woken >= 0; woken--) {
        add("loud", "{}");
        add("loud", "{}");
        assert_int_equal(wake(W1, &loud, 1, 5000).kind, TQ_WAKE_HANDLER);

        token = token_of(W1);
        res = run(tq_claim_call(&ns, &token, "host:1", 30000, 1, woken, &want,
            1, NULL, NULL));
        assert_int_equal(res->claims.jobs, 1);

        assert_int_equal(wake(W2, &loud, 1, 20).kind,
            woken ? TQ_WAKE_HANDLER : TQ_WAKE_TIMEOUT);

        claim_one(W1, "loud");
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        ops_test("list", listing),
        ops_test("stats", statistics),
        ops_test("changes", changes),
        ops_test("settings", settings),
        ops_test("probe", probing),
        ops_test("full", full_redis),
        ops_test("wake", waking),
        ops_test("wake-others", waking_others),
    };

    return cmocka_run_group_tests_name("ops_admin", tests, rig_setup,
        rig_teardown);
}
