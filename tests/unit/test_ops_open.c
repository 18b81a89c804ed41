/*
 * test_ops_open.c: whether a namespace may be used (the schema, the user's
 * rights) and its key for task ids, of tq_ops.h; on a real Redis (ops_rig.h).
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


#define ROLES  3

static const tq_greet_t *const  greets[ROLES] = {
    &tq_greet_nginx, &tq_greet_worker, &tq_greet_cli
};


static void
on_state(void *host, tq_redis_state_t s, const char *why)
{
    (void) s;
    (void) why;

    *(int *) host = 1;
}


/* Begins a connection of this program; NULL user: who may do all. */
static void
begin(redis_loop_t *l, const tq_greet_t *greet, const char *user, int *ended)
{
    tq_redis_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    conf.user = user;
    conf.password = user != NULL ? "pw" : NULL;
    conf.client_name = "open";
    conf.scripts = tq_ops_scripts;
    conf.greet = greet;
    conf.greets = &ns;
    conf.timeout_ms = 5000;
    conf.backoff_max_ms = 20;
    conf.on_state = on_state;
    conf.host = ended;

    redis_loop_open(l, loop.sock, &conf);
}


/* How one attempt to connect ends: NULL, or why it is of no use. */
static const char *
open_why(void)
{
    int           ended = 0;
    redis_loop_t  l;
    static char   why[200];

    begin(&l, &tq_greet_cli, NULL, &ended);
    redis_loop_until(&l, &ended);
    snprintf(why, sizeof(why), "%s", tq_redis_why(l.r));
    redis_loop_close(&l);

    return why[0] != '\0' ? why : NULL;
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


/* A replica is for those who look; a namespace that it does not have cannot be
 * made there. */
static void
opening_at_a_replica(void **state)
{
    char            made[200];
    const char     *why;
    unsigned char   fresh[32] = { 3 }, got[32];

    (void) state;

    assert_null(open_why());
    run(tq_uuid_key_call(&ns, fresh, NULL, NULL));

    redis_loop_cmd(&loop, "REPLICAOF", "127.0.0.1", "1", NULL);
    why = open_why();
    fresh[0] = 4;
    memcpy(got, run(tq_uuid_key_call(&ns, fresh, NULL, NULL))->key, 32);
    assert_int_equal(tq_ns_init(&ns, "nowhere", 7), 0);
    snprintf(made, sizeof(made), "%s", open_why());
    redis_loop_cmd(&loop, "REPLICAOF", "NO", "ONE", NULL);
    assert_null(why);
    assert_int_equal(got[0], 3);
    assert_non_null(strstr(made, "script create was refused: READONLY"));
}


/* A line of INFO, as a number. */
static long long
info(const char *section, const char *field)
{
    const char        *line;
    const redisReply  *reply;

    reply = redis_loop_cmd(&loop, "INFO", section, NULL);
    line = strstr(reply->str, field);
    assert_non_null(line);

    return strtoll(line + strlen(field), NULL, 10);
}


/* Without the right: refused with its name, nothing written; and as soon as the
 * user has it, the same program goes on. */
static void
lacks(const tq_greet_t *greet, const char *right)
{
    int           ended = 0;
    char          sign[40], word[160];
    redis_loop_t  l;

    snprintf(sign, sizeof(sign), "-%s", right);
    redis_loop_cmd(&loop, "ACL", "SETUSER", "joe", "reset", "on", ">pw",
        "~{rights}:*", "+@all", sign, NULL);

    begin(&l, greet, "joe", &ended);
    redis_loop_until(&l, &ended);
    snprintf(word, sizeof(word), "user joe lacks the permission for %s: give "
        "it the rights of redis-acl.example", right);
    assert_string_equal(tq_redis_why(l.r), word);
    assert_int_equal(redis_loop_cmd(&loop, "DBSIZE", NULL)->integer, 0);

    sign[0] = '+';
    redis_loop_cmd(&loop, "ACL", "SETUSER", "joe", sign, NULL);
    redis_loop_ready(&l);
    redis_loop_close(&l);

    redis_loop_cmd(&loop, "FLUSHALL", NULL);
}


static void
every_right(void **state)
{
    int          i;
    size_t       n;
    char         right[32];
    const char  *p;

    (void) state;

    redis_loop_cmd(&loop, "FLUSHALL", NULL);

    for (i = 0; i < ROLES; i++) {
        for (p = greets[i]->rights; *p != '\0'; p += n) {
            p++;
            n = strcspn(p, " ");
            snprintf(right, sizeof(right), "%.*s", (int) n, p);
            lacks(greets[i], right);
        }

        /* these the handshake needs itself */
        lacks(greets[i], "client|setname");
        lacks(greets[i], "script|load");
        lacks(greets[i], "evalsha");
    }
}


/* All that are missing are named at once; other keys are, too. */
static void
several_rights(void **state)
{
    int           i, k, ended;
    redis_loop_t  l;

    (void) state;

    static const char *const  t[][2] = {
        { "-zadd", "for hset zadd: " },
        { "~other:*", "the keys {several}:*: " },
        { "-@all", " and more: give it the rights of redis-acl.example" },
    };

    for (i = 0; i < 3; i++) {
        redis_loop_cmd(&loop, "ACL", "SETUSER", "joe", "reset", "on", ">pw",
            i == 1 ? "resetkeys" : "~{several}:*", "+@all",
            i == 0 ? "-hset" : "+get", t[i][0], "+client", "+script",
            "+eval", "+evalsha", "+bzpopmin", NULL);
        for (k = 0; k < ROLES; k++) {
            ended = 0;
            begin(&l, greets[k], "joe", &ended);
            redis_loop_until(&l, &ended);
            assert_non_null(strstr(tq_redis_why(l.r), t[i][1]));
            redis_loop_close(&l);
        }
    }
}


/* What redis-acl.example gives is enough, and to ask for it changes nothing. */
static void
rights_that_are_there(void **state)
{
    int           i, ended;
    long long     changes;
    redis_loop_t  l;

    (void) state;

    assert_null(open_why());
    changes = info("persistence", "rdb_changes_since_last_save:");

    for (i = 0; i < ROLES; i++) {
        ended = 0;
        begin(&l, greets[i], NULL, &ended);
        redis_loop_ready(&l);
        redis_loop_close(&l);
    }

    assert_int_equal(info("persistence", "rdb_changes_since_last_save:"),
        changes);
}


/* A right that is taken away ends the connection with the first call that
 * meets it, whether Redis refuses all of that or stops it on its way. */
static void
taken_away(void **state)
{
    int                i, ended = 0;
    char               word[80];
    redis_loop_t       l;
    const redisReply  *reply;

    (void) state;

    static const char *const  rights[] = { "hvals", "get", "evalsha" };

    redis_loop_cmd(&loop, "ACL", "SETUSER", "joe", "reset", "on", ">pw",
        "~{taken}:*", "+@all", NULL);
    begin(&l, &tq_greet_nginx, "joe", &ended);
    redis_loop_ready(&l);

    for (i = 0; i < 3; i++) {
        snprintf(word, sizeof(word), "-%s", rights[i]);
        redis_loop_cmd(&loop, "ACL", "SETUSER", "joe", word, NULL);

        ended = 0;
        reply = redis_loop_run(&l, i == 1 ? tq_uuid_peek_call(&ns, NULL, NULL)
                                          : tq_probe_call(&ns, NULL, NULL));
        assert_int_equal(tq_redis_err_why(reply), TQ_ERR_NOPERM);
        /* it may have written, if it was let through */
        assert_int_equal(tq_redis_err(reply),
            i == 0 ? TQ_ERR_OTHER : TQ_ERR_NOPERM);

        /* lost; then what the next attempt finds */
        redis_loop_until(&l, &ended);
        assert_int_equal(tq_redis_state(l.r), TQ_REDIS_DOWN);
        ended = 0;
        redis_loop_until(&l, &ended);
        snprintf(word, sizeof(word), "permission for %s: ", rights[i]);
        assert_non_null(strstr(tq_redis_why(l.r), word));

        snprintf(word, sizeof(word), "+%s", rights[i]);
        redis_loop_cmd(&loop, "ACL", "SETUSER", "joe", word, NULL);
        redis_loop_ready(&l);
    }

    redis_loop_close(&l);
}


/* A connection that says nothing of its own is not looked at: it stays. */
static void
taken_away_without_a_greeting(void **state)
{
    int               i, ended = 0;
    redis_loop_t      l;
    tq_redis_conf_t   conf;

    (void) state;

    redis_loop_cmd(&loop, "ACL", "SETUSER", "joe", "reset", "on", ">pw",
        "~{alone}:*", "+@all", "-get", NULL);

    memset(&conf, 0, sizeof(conf));
    conf.user = "joe";
    conf.password = "pw";
    conf.timeout_ms = 5000;
    redis_loop_open(&l, loop.sock, &conf);
    redis_loop_ready(&l);
    l.r->conf.on_state = on_state;
    l.r->conf.host = &ended;

    for (i = 0; i < 3; i++) {
        assert_int_equal(tq_redis_err(redis_loop_run(&l,
            tq_uuid_peek_call(&ns, NULL, NULL))), TQ_ERR_NOPERM);
    }

    assert_int_equal(ended, 0);
    redis_loop_close(&l);
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
        ops_test("rights", every_right),
        ops_test("several", several_rights),
        ops_test("there", rights_that_are_there),
        ops_test("taken", taken_away),
        ops_test("alone", taken_away_without_a_greeting),
        ops_test("uuid", uuid_key),
    };

    return cmocka_run_group_tests_name("ops_open", tests, rig_setup,
        rig_teardown);
}
