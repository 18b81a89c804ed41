/*
 * cmd_config.c: `taskmq config`: the settings that nginx and the workers of a
 * namespace share, kept in Redis.
 */

#include <string.h>

#include "tc.h"


static int
read_settings(tc_t *tc, const redisReply **reply)
{
    int  code;

    code = tc_connect(tc);
    if (code != TC_OK) {
        return code;
    }

    *reply = tc_run(tc, tq_config_get_call(&tc->ns, NULL, NULL), &code);
    return code;
}


/* A setting in JSON: a whole number is one. */
static void
add_value(tq_buf_t *b, tq_str_t value)
{
    size_t  i;

    for (i = 0; i < value.len && value.p[i] >= '0' && value.p[i] <= '9'; i++) {
        /* void */
    }

    if (i != 0 && i == value.len && (value.p[0] != '0' || i == 1)) {
        tq_buf_add(b, value.p, value.len);
    } else {
        tq_buf_add_json(b, value.p, value.len);
    }
}


static int
config_list(tc_t *tc)
{
    int                code, rc;
    unsigned           i;
    tq_buf_t           b = { 0 };
    tq_str_t           name, value;
    const redisReply  *reply;

    code = read_settings(tc, &reply);
    if (code != TC_OK) {
        return code;
    }

    if (tc->json) {
        tq_buf_addc(&b, '{');
    }

    for (i = 0; (rc = tq_config_pair(reply, i, &name, &value)) == 1; i++) {

        if (!tc->json) {
            tc_add_cell(&b, 24, name);
            tq_text_add(&b, value.p, value.len);
            tq_buf_addc(&b, '\n');
            continue;
        }

        if (i != 0) {
            tq_buf_addc(&b, ',');
        }
        tq_buf_add_json(&b, name.p, name.len);
        tq_buf_addc(&b, ':');
        add_value(&b, value);
    }

    if (rc != 0) {
        tq_buf_free(&b);
        return tc_bad_reply(tc);
    }

    if (!tc->json) {
        return tc_print(tc, &b);
    }

    tq_buf_addc(&b, '}');
    return tc_print_json(tc, &b);
}


static int
config_get(tc_t *tc, const char *wanted)
{
    int                code, rc;
    unsigned           i;
    tq_buf_t           b = { 0 };
    tq_str_t           name, value;
    const redisReply  *reply;

    code = read_settings(tc, &reply);
    if (code != TC_OK) {
        return code;
    }

    for (i = 0; (rc = tq_config_pair(reply, i, &name, &value)) == 1; i++) {

        if (!tq_str_eq(name, wanted)) {
            continue;
        }

        if (tc->json) {
            add_value(&b, value);
        } else {
            tq_text_add(&b, value.p, value.len);
        }

        tq_buf_addc(&b, '\n');
        return tc_print(tc, &b);
    }

    if (rc != 0) {
        return tc_bad_reply(tc);
    }

    return tc_error(tc, TC_FAILED, "there is no setting \"%s\" (see taskmq "
                    "config list)", wanted);
}


static int
config_set(tc_t *tc, const char *name, const char *value)
{
    int                code, kept;
    tq_buf_t           b = { 0 };
    const char        *why;
    const redisReply  *reply;

    why = tq_config_check(name, value);
    if (why != NULL) {
        return tc_usage(tc, "%s: %s", name, why);
    }

    code = tc_connect(tc);
    if (code != TC_OK) {
        return code;
    }

    reply = tc_run(tc, tq_config_set_call(&tc->ns, name, value, 0, NULL,
                                          NULL), &code);
    if (reply == NULL) {
        return code;
    }

    if (tq_config_set_result(reply, &kept) != 0) {
        return tc_bad_reply(tc);
    }

    if (tc->json) {
        tq_buf_addc(&b, '{');
        tq_buf_add_json(&b, name, strlen(name));
        tq_buf_addc(&b, ':');
        tq_buf_add_json(&b, value, strlen(value));
        tq_buf_adds(&b, "}\n");
    } else {
        tq_buf_addf(&b, "%s %s\n", name, value);
    }

    return tc_print(tc, &b);
}


static int
cmd_config(tc_t *tc, int argc, char **argv)
{
    int  n;

    n = tc_args(tc, argc, argv, NULL);
    if (n < 0) {
        return TC_USAGE;
    }

    if (n == 0 || (n == 1 && strcmp(argv[0], "list") == 0)) {
        return config_list(tc);
    }

    if (n == 2 && strcmp(argv[0], "get") == 0) {
        return config_get(tc, argv[1]);
    }

    if (n == 3 && strcmp(argv[0], "set") == 0) {
        return config_set(tc, argv[1], argv[2]);
    }

    return tc_usage(tc, "list, get NAME or set NAME VALUE");
}


const tc_command_t  tc_config_commands[] = {
    { "config", cmd_config, "show and change the namespace's settings",
      "usage: taskmq config [list]\n"
      "       taskmq config get NAME\n"
      "       taskmq config set NAME VALUE\n"
      "\n"
      "The settings that nginx and all workers of a namespace agree on. A\n"
      "change holds from the next job on; selection applies to waiting jobs\n"
      "too. list shows the defaults of those that were not set.\n" },
    { NULL, NULL, NULL, NULL }
};
