/* handlers.toml as structs: values, every kind of mistake with its line, and
 * what counts as a change. (TOML itself: tests/e2e/test_worker_check.py.) */

#include "unit.h"

#include "../../taskmq-worker/config/config.c"
#include "../../taskmq-worker/config/config_read.c"
#include "../../taskmq-worker/config/config_opt.c"
#include "../../taskmq-worker/config/config_user.c"
#include "../../taskmq-worker/base/curl_load.c"

#define HANDLER(lines)  "[handlers.x]\n" lines
#define NOOP            HANDLER("builtin = 'noop'\n")
#define CMD             HANDLER("command = ['a']\n")

/* Both steps, as tw_conf_load() takes them; NUL bytes may be in the text. */
static int
read_bytes(tw_conf_t *conf, const char *text, size_t len, tq_buf_t *errors)
{
    int     rc;
    cJSON  *top = tw_toml_read(text, len);

    assert_non_null(top);
    memset(conf, 0, sizeof(*conf));
    rc = read_tree(conf, "f", top, errors);
    cJSON_Delete(top);

    return rc;
}

static int
read_text(tw_conf_t *conf, const char *text, tq_buf_t *errors)
{
    return read_bytes(conf, text, strlen(text), errors);
}

static void
refused(const char *text, const char *expected)
{
    tq_buf_t   errors = {0};
    tw_conf_t  conf;

    assert_int_equal(read_text(&conf, text, &errors), -1);
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

    (void) state;

    assert_int_equal(read_text(&conf, HANDLER(
        "command = ['a b', \"\\u00e9\\n\"]\n"
        "instances = 3\ntimeout = 9\nhandler_selection = 'random'\n"
        "max_tasks_per_child = 100\nprefetch = 1000\nprotocol = 'taskmq'\n"
        "workdir = '/tmp'\nenv = { A_1 = 'v=w', B = '' }\n"), &errors), 0);
    assert_int_equal(errors.len, 0);
    assert_int_equal(conf.n, 1);

    h = conf.h[0];
    assert_string_equal(h->name, "x");
    assert_int_equal(h->line, 1);
    assert_int_equal(h->kind, TW_KIND_COMMAND);
    assert_string_equal(h->argv[0], "a b");
    assert_string_equal(h->argv[1], "\xc3\xa9\n");
    assert_null(h->argv[2]);
    assert_int_equal(h->instances, 3);
    assert_int_equal(h->timeout_s, 9);
    assert_int_equal(h->pick, TW_PICK_RANDOM);
    assert_int_equal(h->max_tasks, 100);
    assert_int_equal(h->prefetch_line, 7);
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

    refused("",
        "f:1: no handler, expected at least one [handlers.NAME] table\n");
    refused("\n[worker]\n",
        "f:2: worker: unknown key, expected [handlers.NAME]\n");
    refused("\nhandlers = 1\n",
        "f:2: expected [handlers.NAME] tables\n");
    refused("[handlers]\nx = 1\n", "f:2: handlers.x: expected a table\n");
    refused("\n[handlers.'a b']\n",
        "f:2: handlers.a b: expected a handler name of 1 to 64 "
        "letters, digits, '.', '_' or '-'\n");

    refused(NOOP "command = ['a']\n",
        "f:1: handlers.x: expected exactly one of command, image, url, "
        "library, builtin\n");
    refused(HANDLER("builtin = 'nop'"),
        "f:2: handlers.x.builtin: expected \"noop\"\n");
    refused(HANDLER("command = []"),
        "f:2: handlers.x.command: expected a non-empty array of strings, "
        "the program first\n");
    refused(HANDLER("command = ['']"),
        "f:2: handlers.x.command: expected a non-empty array of strings, "
        "the program first\n");
    refused(HANDLER("command = [\n'a', [1]]"),
        "f:3: handlers.x.command: expected a non-empty array of strings, "
        "the program first\n");
    refused(CMD "[handlers.x.env]\nA = 1\n",
        "f:4: handlers.x.env: expected a table of strings\n");
    refused(CMD "env = 'A=1'\n",
        "f:3: handlers.x.env: expected a table of strings\n");
    refused(CMD "env = { A-B = '' }\n",
        "f:3: handlers.x.env: expected names of letters, digits and _\n");
    refused(NOOP "handler_selection = 'best'\n",
        "f:3: handlers.x.handler_selection: expected \"round-robin\", "
        "\"first-available\" or \"random\"\n");
    refused(CMD "protocol = 'soap'\n",
        "f:3: handlers.x.protocol: expected \"taskdaemon\" or \"taskmq\"\n");
    refused(CMD "workdir = ''\n",
        "f:3: handlers.x.workdir: expected the path of a folder\n");
}

/* An integer is one that fits, and nothing that only looks like one. */
static void
test_integers(void **state)
{
    static const char  *wrong[] = {
        "-1", "1001", "9223372036854775807", "-9223372036854775808",
        "1.0", "1e2", "inf", "nan", "true", "'1'", "[1]", "{}",
        "2026-12-24", "2026-12-24T10:00:00Z"
    };
    size_t             i;
    char               text[128];

    (void) state;

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(text, sizeof(text), CMD "instances = %s\n", wrong[i]);
        refused(text, "f:3: handlers.x.instances: expected an integer from 1 "
            "to 1000\n");
    }

    refused(NOOP "instances = 0\n",
        "f:3: handlers.x.instances: expected an integer from 1 to 1000\n");
    refused(NOOP "timeout = 604801\n",
        "f:3: handlers.x.timeout: expected an integer from 1 to 604800\n");
    refused(CMD "max_tasks_per_child = 2147483648\n",
        "f:3: handlers.x.max_tasks_per_child: expected an integer from 1 to "
        "2147483647\n");
}

static void
test_kinds(void **state)
{
    (void) state;

    refused(HANDLER("image = '-v'\n"),
        "f:2: handlers.x.image: expected the name of an image\n");
    refused(HANDLER("url = 'ftp://a'\n"),
        "f:2: handlers.x.url: expected an http:// or https:// URL\n");
    refused(HANDLER("url = 'http://'\n"),
        "f:2: handlers.x.url: expected an http:// or https:// URL\n");
    refused(HANDLER("library = 1\n"),
        "f:2: handlers.x.library: expected the path of a shared object\n");
    refused(NOOP "memory_limit = '1g'\n",
        "f:3: handlers.x.memory_limit: not for this kind of handler\n");
    refused(CMD "runtime_args = []\n",
        "f:3: handlers.x.runtime_args: not for this kind of handler\n");
    refused(HANDLER("url = 'http://a'\nmax_tasks_per_child = 1\n"),
        "f:3: handlers.x.max_tasks_per_child: not for this kind of handler\n");
    refused(HANDLER("image = 'i'\nruntime = []\n"),
        "f:3: handlers.x.runtime: expected the container program, or an "
        "array of it and its options\n");
    refused(CMD "user = 'no-such-user'\n",
        "f:3: handlers.x.user: there is no such user\n");
}

/* A C string would end at a NUL: what follows it must not be lost unsaid. */
static void
test_nul(void **state)
{
    tq_buf_t    errors = {0};
    tw_conf_t   conf;
    const char  raw[] = NOOP "# \0\n";

    (void) state;

    refused(HANDLER("command = [\n'a', \"b\\u0000c\"]\n"),
        "f:3: a NUL character is not accepted\n");
    refused(NOOP "\"time\\u0000out\" = 1\n",
        "f:3: a NUL character is not accepted\n");
    refused("[handlers.\"x\\u0000\"]\nbuiltin = 'noop'\n",
        "f:1: a NUL character is not accepted\n");

    assert_int_equal(read_bytes(&conf, raw, sizeof(raw) - 1, &errors), -1);
    assert_memory_equal(tq_buf_cstr(&errors), "f:3: ", 5);
    tq_buf_free(&errors);
    tw_conf_free(&conf);
}

/* One line per mistake, and nothing in it that a terminal obeys. */
static void
test_odd_keys(void **state)
{
    (void) state;

    refused("\"a\\nb\\u001b\\u009b\" = 1\n",
        "f:1: a\\x0ab\\x1b\\u009b: unknown key, expected "
        "[handlers.NAME]\n");
    refused("[handlers.\"a\\nb\"]\n",
        "f:1: handlers.a\\x0ab: expected a handler name of 1 to 64 letters, "
        "digits, '.', '_' or '-'\n");
}

static int  allowed;          /* allocations that cJSON still gets */

static void *
allocate(size_t n)
{
    return allowed-- > 0 ? malloc(n) : NULL;
}

/* A tree without some of its keys would be another configuration: it is whole,
 * or none. (The sanitizer sees what would be left behind.) */
static void
test_memory_runs_out(void **state)
{
    int          n;
    cJSON       *top, *whole;
    cJSON_Hooks  hooks = { allocate, free };
    const char   text[] = CMD "env = { A = 'b', C = '' }\ntimeout = 9\n";

    (void) state;
    whole = tw_toml_read(text, sizeof(text) - 1);
    cJSON_InitHooks(&hooks);

    for (n = 0; /* void */ ; n++) {
        allowed = n;
        top = tw_toml_read(text, sizeof(text) - 1);
        if (top != NULL) {
            break;
        }
    }

    cJSON_InitHooks(NULL);
    assert_true(n > 15);
    assert_true(cJSON_Compare(top, whole, 1));
    cJSON_Delete(top);
    cJSON_Delete(whole);
}

static int64_t
memory_of(const char *value)
{
    char       text[256];
    int64_t    v = -1;
    tq_buf_t   errors = {0};
    tw_conf_t  conf;

    snprintf(text, sizeof(text), CMD "memory_limit = %s\n", value);
    if (read_text(&conf, text, &errors) == 0) {
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

    assert_true(memory_of("'512m'") == 512LL << 20);
    assert_true(memory_of("'2G'") == 2LL << 30);
    assert_true(memory_of("'2048k'") == 2048LL << 10);
    assert_true(memory_of("'1048576'") == 1048576);
    assert_true(memory_of("1048576") == 1048576);
    assert_true(memory_of("1048575") == -1);
    assert_true(memory_of("9223372036854775807") == -1);
    assert_true(memory_of("-9223372036854775808") == -1);
    assert_true(memory_of("'512mb'") == -1);
    assert_true(memory_of("'m'") == -1);
    assert_true(memory_of("''") == -1);
    assert_true(memory_of("'-1g'") == -1);
    assert_true(memory_of("'99999999999999999999g'") == -1);
    assert_true(memory_of("true") == -1);
}

static uint64_t
fingerprint_of(const char *text)
{
    uint64_t   f;
    tq_buf_t   errors = {0};
    tw_conf_t  conf;

    assert_int_equal(read_text(&conf, text, &errors), 0);
    f = conf.h[0]->fingerprint;
    tw_conf_free(&conf);

    return f;
}

/* HUP restarts what changed, and nothing that only moved in the file. */
static void
test_fingerprint(void **state)
{
    uint64_t  f = fingerprint_of(CMD);

    (void) state;

    assert_true(f == fingerprint_of("\n\n[handlers]\nx = "
        "{ command = [ \"a\" ] }\n"));
    assert_true(f != fingerprint_of(HANDLER("command = ['b']")));
    assert_true(f != fingerprint_of(HANDLER("command = ['a', 'a']")));
    assert_true(f != fingerprint_of(CMD "timeout = 30\n"));
    assert_true(fingerprint_of(CMD "timeout = 31\n")
        != fingerprint_of(CMD "timeout = 30\n"));
    assert_true(fingerprint_of(CMD "env = { A = 'BC' }\n")
        != fingerprint_of(CMD "env = { AB = 'C' }\n"));
}

static void
test_unknown_key_lists_the_known(void **state)
{
    tq_buf_t    errors = {0};
    tw_conf_t   conf;

    (void) state;

    assert_int_equal(read_text(&conf, NOOP "timeuot = 1\n", &errors), -1);
    assert_non_null(strstr(tq_buf_cstr(&errors),
        "f:3: handlers.x.timeuot: unknown key, expected one of builtin, "));
    assert_non_null(strstr(errors.p, "timeout"));
    tq_buf_free(&errors);
    tw_conf_free(&conf);
}

static void
test_every_mistake_is_named(void **state)
{
    (void) state;

    refused(NOOP "instances = 0\ntimeout = 0\n",
        "f:3: handlers.x.instances: expected an integer from 1 to 1000\n"
        "f:4: handlers.x.timeout: expected an integer from 1 to 604800\n");
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_odd_keys),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_unknown_key_lists_the_known),
        cmocka_unit_test(test_every_mistake_is_named),
    };

    return cmocka_run_group_tests_name("worker_config", tests, NULL, NULL);
}
