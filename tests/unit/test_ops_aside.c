/*
 * test_ops_aside.c: payloads that are stored apart from their jobs' records
 * (tq_ops.h), on a real Redis (ops_rig.h): every byte arrives, and none is left
 * when no job takes it.
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

#define BIG  3000001

static char  big[BIG];


/* Every byte that a JSON string may hold raw. */
static tq_str_t
payload_of(size_t len)
{
    size_t  n;

    for (n = 0; n < len; n++) {
        big[n] = (char) (n % 7 == 0 ? 0x7f : 'a' + n % 26);
    }
    memcpy(big, "{\"k\":\"", 6);
    memcpy(big + len - 2, "\"}", 2);

    return (tq_str_t) { big, len };
}


static tq_job_t
large_job(const char *handler, size_t len)
{
    tq_job_t  job = job_of(handler, "");

    job.payload = payload_of(len);

    return job;
}


/* How many keys of this kind there are. */
static size_t
keys(const char *kind)
{
    char  pattern[128];

    snprintf(pattern, sizeof(pattern), "%s%s*", ns.prefix, kind);

    return redis_loop_cmd(&loop, "KEYS", pattern, NULL)->elements;
}


/* Of a key of this namespace; -1: it stays. */
static int64_t
ttl_of(const char *name)
{
    char  key[128];

    snprintf(key, sizeof(key), "%s%s", ns.prefix, name);

    return redis_loop_cmd(&loop, "TTL", key, NULL)->integer;
}


/* The payload of a job, by the call that a worker makes. */
static int
payload(int64_t id, size_t len, tq_str_t *out)
{
    const tq_result_t  *res;

    res = run(tq_payload_call(&ns, id, (int64_t) len, NULL, NULL));
    if (!res->found) {
        return 0;
    }

    *out = res->payload.bytes;

    return res->payload.damaged ? -1 : 1;
}


/* Sizes around the limit, the reader's and the kernel's buffers. */
static void
every_size(void **state)
{
    char           name[32];
    size_t         i, len;
    int64_t        id;
    tq_str_t       p;
    tq_job_t       job;
    tq_claimed_t   c;
    tq_job_info_t  info;

    (void) state;

    static const size_t  sizes[] = {
        TQ_ASIDE_BYTES - 1, TQ_ASIDE_BYTES, TQ_ASIDE_BYTES + 1, 16383, 16384,
        65536, 100000, BIG
    };

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        len = sizes[i];
        job = large_job("big", len);
        job.timeout_s = 7;
        id = add_job(&job);

        info = get(id);
        assert_int_equal(info.job.payload.len, len);
        assert_memory_equal(info.job.payload.p, big, len);

        /* slices of the last reply: one job at a time */
        assert_int_equal(claim(W1, "big", 30000, 1, &c), 1);
        assert_int_equal(c.id, id);
        assert_int_equal(c.job.timeout_s, 7);

        if (len <= TQ_ASIDE_BYTES) {
            assert_int_equal(c.job.aside_bytes, 0);
            assert_int_equal(c.job.payload.len, len);
            assert_memory_equal(c.job.payload.p, big, len);
            assert_int_equal(keys("b:"), 0);
            continue;
        }

        assert_int_equal(c.job.aside_bytes, len);
        assert_int_equal(c.job.payload.len, 0);
        assert_int_equal(payload(id, len, &p), 1);
        assert_int_equal(p.len, len);
        assert_memory_equal(p.p, big, len);

        /* under the job's id alone, to stay */
        assert_int_equal(keys("b:"), 1);
        snprintf(name, sizeof(name), "b:%lld", (long long) id);
        assert_int_equal(ttl_of(name), -1);

        /* another length is damage; a deleted job has none */
        assert_int_equal(payload(id, len - 1, &p), -1);
        assert_int_equal(change(tq_delete_call(&ns, id, NULL, NULL), NULL),
            TQ_CHANGE_OK);
        assert_int_equal(payload(id, len, &p), 0);
        assert_int_equal(keys("b:"), 0);
    }
}


/* Small ones and large ones, several requests, in one call. */
static void
mixed(void **state)
{
    tq_job_t             jobs[5];
    unsigned             i;
    tq_enqueue_t         e;
    tq_job_info_t        info;
    const tq_result_t   *res;
    static char          bytes[5][4000];
    static const size_t  lens[] = { 2, 2000, 3000, 100, 4000 };

    (void) state;

    for (i = 0; i < 5; i++) {
        memset(bytes[i], 'a' + (int) i, lens[i]);
        bytes[i][0] = '{';
        bytes[i][lens[i] - 1] = '}';
        jobs[i] = job_of(i % 2 ? "odd" : "even", "");
        jobs[i].payload = (tq_str_t) { bytes[i], lens[i] };
    }

    memset(&e, 0, sizeof(e));
    assert_int_equal(tq_enqueue_add(&e, &ns, str(""), str(""), 0, 0, jobs, 2),
        0);
    assert_int_equal(tq_enqueue_add(&e, &ns, str(""), str("k"), 9, 0, jobs + 2,
        3), 1);
    assert_true(e.bytes > 2 + 2000 + 3000 + 100 + 4000);
    res = run(tq_enqueue_call(&e, &ns, NULL, NULL));
    assert_null(e.aside);
    assert_int_equal(e.bytes, 0);

    assert_int_equal(tq_enqueued(res, 0), 1);
    assert_int_equal(tq_enqueued(res, 1), 3);

    for (i = 0; i < 5; i++) {
        info = get(1 + i);
        assert_int_equal(info.job.payload.len, lens[i]);
        assert_memory_equal(info.job.payload.p, bytes[i], lens[i]);
    }
    assert_int_equal(keys("b:"), 3);

    /* a batch that is not wanted leaves nothing, here and in Redis */
    assert_int_equal(tq_enqueue_add(&e, &ns, str(""), str(""), 0, 0, jobs, 5),
        0);
    assert_non_null(e.aside);
    tq_enqueue_drop(&e);
    assert_null(e.aside);
    assert_int_equal(e.bytes, 0);
    assert_null(tq_enqueue_call(&e, &ns, NULL, NULL));
    assert_int_equal(keys("b:"), 3);
}


/* A request for one job that is not, or not again, stored. */
static int64_t
outcome_of(const char *key, uint64_t hash, int known)
{
    tq_job_t      job = large_job("apart", 5000);
    tq_enqueue_t  e;

    memset(&e, 0, sizeof(e));
    assert_int_equal(tq_enqueue_add(&e, &ns, str(""), str(key), hash, known,
        &job, 1), 0);

    return tq_enqueued(run(tq_enqueue_call(&e, &ns, NULL, NULL)), 0);
}


static void
refused(void **state)
{
    tq_str_t  p;

    (void) state;

    assert_int_equal(outcome_of("", 0, 1), TQ_ENQUEUE_UNKNOWN_HANDLER);
    assert_int_equal(keys("b:"), 0);

    assert_int_equal(outcome_of("k", 1, 0), 1);
    assert_int_equal(outcome_of("k", 1, 0), 1);
    assert_int_equal(outcome_of("k", 2, 0), TQ_ENQUEUE_CONFLICT);
    assert_int_equal(keys("b:"), 1);
    assert_int_equal(payload(1, 5000, &p), 1);
}


/* The call whose payload did not come: only that request is refused. */
static void
not_there(void **state)
{
    tq_job_t            job[2];
    tq_call_t          *call;
    tq_enqueue_t        e;
    const tq_result_t  *res;

    (void) state;

    job[0] = job_of("apart", "{}");
    job[1] = large_job("apart", 5000);
    memset(&e, 0, sizeof(e));
    assert_int_equal(tq_enqueue_add(&e, &ns, str(""), str(""), 0, 0, job, 1),
        0);
    assert_int_equal(tq_enqueue_add(&e, &ns, str(""), str(""), 0, 0, job, 2),
        1);
    assert_int_equal(tq_enqueue_add(&e, &ns, str(""), str(""), 0, 0, job, 1),
        2);
    call = tq_enqueue_call(&e, &ns, NULL, NULL);
    assert_non_null(call->before);
    assert_null(call->before->before);
    tq_call_free(call->before);
    call->before = NULL;

    res = run(call);
    assert_int_equal(tq_enqueued(res, 0), 1);
    assert_int_equal(tq_enqueued(res, 1), TQ_ENQUEUE_PAYLOAD);
    assert_int_equal(tq_enqueued(res, 2), 2);
    assert_int_equal(exists(3), 0);
    assert_int_equal(keys("b:"), 0);
}


/* The payload whose call did not come: it goes by itself. Its name is no id. */
static void
left_behind(void **state)
{
    int                i;
    char               name[2][33];
    size_t             prefix = ns.len + 2;
    tq_job_t           job = large_job("apart", 5000);
    tq_call_t         *call;
    tq_enqueue_t       e;
    char               key[128];
    const redisReply  *reply;

    (void) state;

    for (i = 0; i < 2; i++) {
        memset(&e, 0, sizeof(e));
        assert_int_equal(tq_enqueue_add(&e, &ns, str(""), str(""), 0, 0, &job,
            1), 0);
        call = tq_enqueue_call(&e, &ns, NULL, NULL);
        redis_loop_run(&loop, call->before);
        call->before = NULL;
        tq_call_free(call);

        snprintf(key, sizeof(key), "%sb:*", ns.prefix);
        reply = redis_loop_cmd(&loop, "KEYS", key, NULL);
        assert_int_equal(reply->elements, 1);
        assert_int_equal(reply->element[0]->len, prefix + 32);
        snprintf(name[i], sizeof(name[i]), "%s",
            reply->element[0]->str + prefix);
        assert_int_equal(strspn(name[i], "0123456789abcdef"), 32);

        snprintf(key, sizeof(key), "b:%s", name[i]);
        assert_in_range(ttl_of(key), TQ_ASIDE_S - 5, TQ_ASIDE_S);
        snprintf(key, sizeof(key), "%sb:%s", ns.prefix, name[i]);
        redis_loop_cmd(&loop, "DEL", key, NULL);
    }

    assert_string_not_equal(name[0], name[1]);
    assert_int_equal(keys("j:"), 0);
}


/* What else happens to a job. */
static void
copied_and_ended(void **state)
{
    int64_t        id;
    tq_str_t       p;
    tq_job_t       job = large_job("apart", 5000);
    tq_outcome_t   o;
    tq_claimed_t   c;

    (void) state;

    assert_int_equal(add_job(&job), 1);
    o = claim_one(W1, "apart");
    assert_int_equal(verdict(tq_release_call(&ns, &o, 1, NULL, NULL)),
        TQ_VERDICT_OK);
    o = claim_one(W1, "apart");
    o.error = str("no");
    assert_int_equal(verdict(tq_fail_call(&ns, &o, 1, 0, NULL, NULL)),
        TQ_VERDICT_OK);
    assert_int_equal(payload(1, 5000, &p), 1);

    /* each has its own */
    assert_int_equal(change(tq_replay_call(&ns, 1, 1, NULL, NULL), &id),
        TQ_CHANGE_OK);
    assert_int_equal(change(tq_delete_call(&ns, 1, NULL, NULL), NULL),
        TQ_CHANGE_OK);
    assert_int_equal(payload(1, 5000, &p), 0);
    assert_int_equal(payload(id, 5000, &p), 1);
    assert_memory_equal(p.p, big, 5000);

    assert_int_equal(claim(W1, "apart", 30000, 1, &c), 1);
    assert_int_equal(c.id, id);
    assert_int_equal(c.job.aside_bytes, 5000);
    assert_int_equal(get(id).job.payload.len, 5000);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        ops_test("sizes", every_size),
        ops_test("mixed", mixed),
        ops_test("refused", refused),
        ops_test("missing", not_there),
        ops_test("left", left_behind),
        ops_test("copied", copied_and_ended),
    };

    return cmocka_run_group_tests_name("ops_aside", tests, rig_setup,
        rig_teardown);
}
