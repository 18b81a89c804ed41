/*
 * test_ops_open.c: whether a namespace may be used, and its key for task ids, of
 * tq_ops.h; on a real Redis (ops_rig.h).
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


static const char *
open_why(void)
{
    return tq_ns_greet.judge(redis_loop_run(&loop, tq_ns_greet.call(&ns)));
}


static void
opening(void **state)
{
    (void) state;

    assert_null(open_why());
    add("open", "{}");
    assert_null(open_why());

    /* a newer one's namespace, and an older one's */
    redis_loop_cmd(&loop, "SET", "{open}:schema", "999", NULL);
    assert_non_null(strstr(open_why(), "newer TaskMQ"));
    redis_loop_cmd(&loop, "SET", "{open}:schema", "1", NULL);
    assert_non_null(strstr(open_why(), "older TaskMQ"));
}


/* The one that did not write its schema down had jobs. It is left as it is. */
static void
opening_an_old_one(void **state)
{
    const redisReply  *reply;

    (void) state;

    redis_loop_cmd(&loop, "SET", "{old}:seq", "5", NULL);
    assert_non_null(strstr(open_why(), "older TaskMQ"));

    reply = redis_loop_cmd(&loop, "KEYS", "{old}:*", NULL);
    assert_int_equal(reply->elements, 1);
}


/* A full Redis must drain: its namespaces are opened, if need be made. */
static void
opening_in_a_full_redis(void **state)
{
    const char     *why;
    unsigned char   fresh[32] = { 3 }, got[32];

    (void) state;

    redis_loop_cmd(&loop, "CONFIG", "SET", "maxmemory", "1", NULL);
    why = open_why();
    memcpy(got, run(tq_uuid_key_call(&ns, fresh, NULL, NULL))->key, 32);
    redis_loop_cmd(&loop, "CONFIG", "SET", "maxmemory", "0", NULL);
    assert_null(why);
    assert_memory_equal(got, fresh, 32);
    assert_null(open_why());
}


/* A replica is for those who look. */
static void
opening_at_a_replica(void **state)
{
    const char     *why;
    unsigned char   fresh[32] = { 3 }, got[32];

    (void) state;

    assert_null(open_why());
    run(tq_uuid_key_call(&ns, fresh, NULL, NULL));

    redis_loop_cmd(&loop, "REPLICAOF", "127.0.0.1", "1", NULL);
    why = open_why();
    fresh[0] = 4;
    memcpy(got, run(tq_uuid_key_call(&ns, fresh, NULL, NULL))->key, 32);
    redis_loop_cmd(&loop, "REPLICAOF", "NO", "ONE", NULL);
    assert_null(why);
    assert_int_equal(got[0], 3);
}


static void
uuid_key(void **state)
{
    unsigned char        first[32], second[32];
    const tq_result_t   *res;

    (void) state;

    memset(first, 0, sizeof(first));
    first[31] = 1;
    memset(second, 0xff, sizeof(second));

    assert_int_equal(run(tq_uuid_peek_call(&ns, NULL, NULL))->found, 0);
    res = run(tq_uuid_key_call(&ns, first, NULL, NULL));
    assert_memory_equal(res->key, first, 32);
    res = run(tq_uuid_key_call(&ns, second, NULL, NULL));
    assert_memory_equal(res->key, first, 32);
    res = run(tq_uuid_peek_call(&ns, NULL, NULL));
    assert_int_equal(res->found, 1);
    assert_memory_equal(res->key, first, 32);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        ops_test("open", opening),
        ops_test("old", opening_an_old_one),
        ops_test("open-full", opening_in_a_full_redis),
        ops_test("open-replica", opening_at_a_replica),
        ops_test("uuid", uuid_key),
    };

    return cmocka_run_group_tests_name("ops_open", tests, rig_setup,
        rig_teardown);
}
