/* handlers.toml as structs, from the JSON that toml.cc makes of it: values,
 * every kind of mistake with its line, and what counts as a change. (TOML
 * itself: tests/e2e.) */

#include "unit.h"

#include "../../taskmq-worker/config/config.c"
#include "../../taskmq-worker/config/config_read.c"
#include "../../taskmq-worker/config/config_opt.c"
#include "../../taskmq-worker/config/config_user.c"
#include "../../taskmq-worker/http/curl_load.c"

/* The first step is not under test here. */
char *
tw_toml_to_json(const char *text, size_t len)
{
    return strndup(text, len);
}

#define HANDLER(members)                                                     \
    "[1,\"table\",{\"handlers\":[1,\"table\",{\"x\":[3,\"table\",{"          \
    members "}]}]}]"
#define NOOP  "\"builtin\":[4,\"string\",\"noop\"]"
#define CMD   "\"command\":[4,\"array\",[[4,\"string\",\"a\"]]]"

static void
refused(const char *json, const char *expected)
{
    tq_buf_t   errors = {0};
    tw_conf_t  conf;

    assert_int_equal(tw_conf_read(&conf, "f", (tq_str_t) { json,
        strlen(json) }, &errors), -1);
    assert_string_equal(tq_buf_cstr(&errors), expected);
    tq_buf_free(&errors);
    tw_conf_free(&conf);
}

static void
test_values(void **state)
{
    tq_buf_t            errors = {0};
    tw_conf_t           conf;
    tw_handler_conf_t  *h;
    const char         *json = HANDLER(
        "\"command\":[4,\"array\",[[4,\"string\",\"a b\"],"
        "[4,\"string\",\"\\u00e9\"]]],"
        "\"instances\":[5,\"integer\",3],\"timeout\":[6,\"integer\",9],"
        "\"handler_selection\":[7,\"string\",\"random\"],"
        "\"max_tasks_per_child\":[8,\"integer\",100],"
        "\"prefetch\":[8,\"integer\",1000],"
        "\"protocol\":[9,\"string\",\"taskmq\"],"
        "\"workdir\":[10,\"string\",\"/tmp\"],"
        "\"env\":[11,\"table\",{\"A_1\":[11,\"string\",\"v=w\"],"
        "\"B\":[11,\"string\",\"\"]}]");

    (void) state;

    assert_int_equal(tw_conf_read(&conf, "f", (tq_str_t) { json,
        strlen(json) }, &errors), 0);
    assert_int_equal(errors.len, 0);
    assert_int_equal(conf.n, 1);

    h = conf.h[0];
    assert_string_equal(h->name, "x");
    assert_int_equal(h->kind, TW_KIND_COMMAND);
    assert_string_equal(h->argv[0], "a b");
    assert_string_equal(h->argv[1], "\xc3\xa9");
    assert_null(h->argv[2]);
    assert_int_equal(h->instances, 3);
    assert_int_equal(h->timeout_s, 9);
    assert_int_equal(h->pick, TW_PICK_RANDOM);
    assert_int_equal(h->max_tasks, 100);
    assert_int_equal(h->prefetch, 1000);
    assert_int_equal(h->extended, 1);
    assert_string_equal(h->workdir, "/tmp");
    assert_string_equal(h->env[0], "A_1=v=w");
    assert_string_equal(h->env[1], "B=");
    assert_null(h->env[2]);

    tw_conf_free(&conf);
}

static void
test_mistakes(void **state)
{
    (void) state;

    refused("[1,\"error\",\"no such thing\"]", "f:1: no such thing\n");
    refused("[1,\"table\",{}]",
        "f:1: no handler, expected at least one [handlers.NAME] table\n");
    refused("[1,\"table\",{\"worker\":[2,\"table\",{}]}]",
        "f:2: worker: unknown key, expected [handlers.NAME]\n");
    refused("[1,\"table\",{\"handlers\":[2,\"integer\",1]}]",
        "f:2: expected [handlers.NAME] tables\n");
    refused("[1,\"table\",{\"handlers\":[1,\"table\",{\"a b\":[2,\"table\","
        "{}]}]}]", "f:2: handlers.a b: expected a handler name of 1 to 64 "
        "letters, digits, '.', '_' or '-'\n");

    refused(HANDLER(NOOP ",\"command\":[5,\"array\",[[5,\"string\",\"a\"]]]"),
        "f:3: handlers.x: expected exactly one of command, image, url, "
        "library, builtin\n");
    refused(HANDLER("\"builtin\":[4,\"string\",\"nop\"]"),
        "f:4: handlers.x.builtin: expected \"noop\"\n");
    refused(HANDLER("\"command\":[4,\"array\",[]]"),
        "f:4: handlers.x.command: expected a non-empty array of strings, "
        "the program first\n");
    refused(HANDLER("\"command\":[4,\"array\",[[5,\"integer\",1]]]"),
        "f:5: handlers.x.command: expected a non-empty array of strings, "
        "the program first\n");
    refused(HANDLER(NOOP ",\"instances\":[5,\"integer\",0]"),
        "f:5: handlers.x.instances: expected an integer from 1 to 1000\n");
    refused(HANDLER(NOOP ",\"timeout\":[5,\"float\",\"1.5\"]"),
        "f:5: handlers.x.timeout: expected an integer from 1 to 604800\n");
    refused(HANDLER(CMD ",\"env\":[5,\"table\",{\"A\":[6,\"integer\",1]}]"),
        "f:6: handlers.x.env: expected a table of strings\n");
    refused(HANDLER(CMD ",\"env\":[5,\"table\",{\"A-B\":[6,\"string\","
        "\"\"]}]"),
        "f:6: handlers.x.env: expected names of letters, digits and _\n");
    refused(HANDLER(NOOP ",\"handler_selection\":[5,\"string\",\"best\"]"),
        "f:5: handlers.x.handler_selection: expected \"round-robin\", "
        "\"first-available\" or \"random\"\n");
    refused(HANDLER(CMD ",\"protocol\":[5,\"string\",\"soap\"]"),
        "f:5: handlers.x.protocol: expected \"taskdaemon\" or \"taskmq\"\n");
    refused(HANDLER(CMD ",\"workdir\":[5,\"string\",\"\"]"),
        "f:5: handlers.x.workdir: expected the path of a folder\n");
    refused(HANDLER(CMD ",\"prefetch\":[5,\"integer\",1001]"),
        "f:5: handlers.x.prefetch: expected an integer from 0 to 1000\n");
    refused(HANDLER(CMD ",\"prefetch\":[5,\"integer\",-1]"),
        "f:5: handlers.x.prefetch: expected an integer from 0 to 1000\n");
    refused(HANDLER(CMD ",\"prefetch\":[5,\"string\",\"many\"]"),
        "f:5: handlers.x.prefetch: expected an integer from 0 to 1000\n");
}

static void
test_kinds(void **state)
{
    (void) state;

    refused(HANDLER("\"image\":[4,\"string\",\"-v\"]"),
        "f:4: handlers.x.image: expected the name of an image\n");
    refused(HANDLER("\"url\":[4,\"string\",\"ftp://a\"]"),
        "f:4: handlers.x.url: expected an http:// or https:// URL\n");
    refused(HANDLER("\"url\":[4,\"string\",\"http://\"]"),
        "f:4: handlers.x.url: expected an http:// or https:// URL\n");
    refused(HANDLER("\"library\":[4,\"integer\",1]"),
        "f:4: handlers.x.library: expected the path of a shared object\n");
    refused(HANDLER(NOOP ",\"memory_limit\":[5,\"string\",\"1g\"]"),
        "f:5: handlers.x.memory_limit: not for this kind of handler\n");
    refused(HANDLER(CMD ",\"runtime_args\":[5,\"array\",[]]"),
        "f:5: handlers.x.runtime_args: not for this kind of handler\n");
    refused(HANDLER(NOOP ",\"prefetch\":[5,\"integer\",1]"),
        "f:5: handlers.x.prefetch: not for this kind of handler\n");
    refused(HANDLER("\"url\":[4,\"string\",\"http://a\"],"
        "\"prefetch\":[5,\"integer\",0]"),
        "f:5: handlers.x.prefetch: not for this kind of handler\n");
    refused(HANDLER("\"image\":[4,\"string\",\"i\"],"
        "\"runtime\":[5,\"array\",[]]"),
        "f:5: handlers.x.runtime: expected the container program, or an "
        "array of it and its options\n");
    refused(HANDLER(CMD ",\"user\":[5,\"string\",\"no-such-user\"]"),
        "f:5: handlers.x.user: there is no such user\n");
}

static int64_t
memory_of(const char *value)
{
    char       json[256];
    int64_t    v = -1;
    tq_buf_t   errors = {0};
    tw_conf_t  conf;

    snprintf(json, sizeof(json), HANDLER(CMD ",\"memory_limit\":[5,%s]"),
        value);
    if (tw_conf_read(&conf, "f", (tq_str_t) { json, strlen(json) }, &errors)
        == 0)
    {
        v = conf.h[0]->memory_bytes;
    }
    tq_buf_free(&errors);
    tw_conf_free(&conf);

    return v;
}

static void
test_memory(void **state)
{
    (void) state;

    assert_true(memory_of("\"string\",\"512m\"") == 512LL << 20);
    assert_true(memory_of("\"string\",\"2G\"") == 2LL << 30);
    assert_true(memory_of("\"string\",\"2048k\"") == 2048LL << 10);
    assert_true(memory_of("\"string\",\"1048576\"") == 1048576);
    assert_true(memory_of("\"integer\",1048576") == 1048576);
    assert_true(memory_of("\"integer\",1048575") == -1);
    assert_true(memory_of("\"string\",\"512mb\"") == -1);
    assert_true(memory_of("\"string\",\"m\"") == -1);
    assert_true(memory_of("\"string\",\"\"") == -1);
    assert_true(memory_of("\"string\",\"-1g\"") == -1);
    assert_true(memory_of("\"string\",\"99999999999999999999g\"") == -1);
    assert_true(memory_of("\"boolean\",true") == -1);
}

static uint64_t
fingerprint_of(const char *json)
{
    uint64_t   f;
    tq_buf_t   errors = {0};
    tw_conf_t  conf;

    assert_int_equal(tw_conf_read(&conf, "f", (tq_str_t) { json,
        strlen(json) }, &errors), 0);
    f = conf.h[0]->fingerprint;
    tw_conf_free(&conf);

    return f;
}

/* HUP restarts what changed, and nothing that only moved in the file. */
static void
test_fingerprint(void **state)
{
    uint64_t  f = fingerprint_of(HANDLER(CMD));

    (void) state;

    assert_true(f == fingerprint_of("[9,\"table\",{\"handlers\":[9,"
        "\"table\",{\"x\":[9,\"table\",{\"command\":[10,\"array\","
        "[[11,\"string\",\"a\"]]]}]}]}]"));
    assert_true(f != fingerprint_of(HANDLER(
        "\"command\":[4,\"array\",[[4,\"string\",\"b\"]]]")));
    assert_true(f != fingerprint_of(HANDLER(
        "\"command\":[4,\"array\",[[4,\"string\",\"a\"],"
        "[4,\"string\",\"a\"]]]")));
    assert_true(f != fingerprint_of(HANDLER(
        CMD ",\"timeout\":[5,\"integer\",30]")));
    assert_true(fingerprint_of(HANDLER(CMD ",\"env\":[5,\"table\","
        "{\"A\":[5,\"string\",\"BC\"]}]"))
        != fingerprint_of(HANDLER(CMD ",\"env\":[5,\"table\","
        "{\"AB\":[5,\"string\",\"C\"]}]")));
}

static void
test_unknown_key_lists_the_known(void **state)
{
    tq_buf_t    errors = {0};
    tw_conf_t   conf;
    const char  *json = HANDLER(NOOP ",\"timeuot\":[5,\"integer\",1]");

    (void) state;

    assert_int_equal(tw_conf_read(&conf, "f", (tq_str_t) { json,
        strlen(json) }, &errors), -1);
    assert_non_null(strstr(tq_buf_cstr(&errors),
        "f:5: handlers.x.timeuot: unknown key, expected one of builtin, "));
    assert_non_null(strstr(errors.p, "timeout"));
    tq_buf_free(&errors);
    tw_conf_free(&conf);
}

static void
test_every_mistake_is_named(void **state)
{
    (void) state;

    refused(HANDLER(NOOP ",\"instances\":[5,\"integer\",0],"
        "\"timeout\":[6,\"integer\",0]"),
        "f:5: handlers.x.instances: expected an integer from 1 to 1000\n"
        "f:6: handlers.x.timeout: expected an integer from 1 to 604800\n");
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_unknown_key_lists_the_known),
        cmocka_unit_test(test_every_mistake_is_named),
    };

    return cmocka_run_group_tests_name("worker_config", tests, NULL, NULL);
}
