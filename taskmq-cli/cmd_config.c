/*
 * cmd_config.c: `taskmq config`: the settings that nginx and the workers of a
 * namespace share, kept in Redis.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tc.h"


/* NULL after saying why, with the exit code in *code. */
static const tq_result_t *
read_settings(tc_t *tc, int *code)
{
    *code = tc_connect(tc);

    return *code == TC_OK
           ? tc_run(tc, tq_config_get_call(&tc->ns, NULL, NULL), code) : NULL;
}


/* A setting in JSON: a whole number is one. */
static cJSON *
value_doc(tq_str_t value)
{
    size_t  i;

    for (i = 0; i < value.len && value.p[i] >= '0' && value.p[i] <= '9'; i++) {
        /* void */
    }

    return i != 0 && i == value.len && (value.p[0] != '0' || i == 1)
           ? tq_doc_raw(value) : tq_doc_str(value);
}


static int
config_list(tc_t *tc)
{
    int                 code;
    cJSON              *doc;
    unsigned            i;
    tq_buf_t            b = { 0 };
    tq_str_t            name, value;
    const tq_result_t  *res;

    res = read_settings(tc, &code);
    if (res == NULL) {
        return code;
    }

    doc = tc->json ? cJSON_CreateObject() : NULL;

    for (i = 0; tq_config_pair(res, i, &name, &value); i++) {

        if (tc->json) {
            tq_doc_add(&doc, name.p, value_doc(value));
        } else {
            tc_add_cell(&b, 24, name);
            tq_text_add(&b, value.p, value.len);
            tq_buf_addc(&b, '\n');
        }
    }

    return tc->json ? tc_print_doc(tc, doc) : tc_print(tc, &b);
}


static int
config_get(tc_t *tc, const char *wanted)
{
    int                 code;
    unsigned            i;
    const char         *why;
    tq_buf_t            b = { 0 };
    tq_str_t            name, value;
    const tq_result_t  *res;

    why = tq_config_check(wanted, NULL);
    if (why != NULL) {
        return tc_usage(tc, "%s: %s", wanted, why);
    }

    res = read_settings(tc, &code);
    if (res == NULL) {
        return code;
    }

    for (i = 0; tq_config_pair(res, i, &name, &value); i++) {

        if (!tq_str_eq(name, wanted)) {
            continue;
        }

        if (tc->json) {
            tc_add_doc(&b, value_doc(value));
        } else {
            tq_text_add(&b, value.p, value.len);
            tq_buf_addc(&b, '\n');
        }

        break;
    }

    return tc_print(tc, &b);
}


static int
ends_with(const char *name, const char *end)
{
    size_t  n = strlen(name), len = strlen(end);

    return n > len && strcmp(name + n - len, end) == 0;
}


/* What a size's unit, as in memory_limit, makes of v; 0, or -1. */
static int
scale_bytes(const char *unit, int64_t *v)
{
    static const char  units[] = "kKmMgG";
    const char        *u;

    u = unit[1] == '\0' ? strchr(units, *unit) : NULL;

    return u == NULL
           || __builtin_mul_overflow(*v, INT64_C(1024)
                                     << (u - units) / 2 * 10, v) ? -1 : 0;
}


/* A time or a size with a unit as the number that the setting is kept as:
 * retention_s 7d, retry_wait_ms 2s, finished_max_bytes 512m. What is no such
 * text, or fits no number, stays as it is. */
static void
without_unit(const char *name, const char **value, char number[24])
{
    char     *unit;
    int64_t   v;

    errno = 0;
    v = strtoll(*value, &unit, 10);

    if (**value < '0' || **value > '9' || errno != 0 || *unit == '\0') {
        return;
    }

    if (ends_with(name, "_ms")) {

        if (strcmp(unit, "ms") != 0
            && (tc_seconds(*value, &v) != 0
                || __builtin_mul_overflow(v, 1000, &v)))
        {
            return;
        }

    } else if (ends_with(name, "_bytes")) {

        if (scale_bytes(unit, &v) != 0) {
            return;
        }

    } else if (!ends_with(name, "_s") || tc_seconds(*value, &v) != 0) {
        return;
    }

    snprintf(number, 24, "%lld", (long long) v);
    *value = number;
}


static int
send_setting(tc_t *tc, const char *name, const char *value)
{
    int  code;

    code = tc_connect(tc);

    if (code == TC_OK) {
        (void) tc_run(tc, tq_config_set_call(&tc->ns, name, value, 0, NULL,
                                             NULL), &code);
    }

    return code;
}


static int
config_unset(tc_t *tc, const char *name)
{
    int          code;
    const char  *why;

    why = tq_config_check(name, NULL);
    if (why != NULL) {
        return tc_usage(tc, "%s: %s", name, why);
    }

    code = send_setting(tc, name, NULL);

    return code == TC_OK ? config_get(tc, name) : code;
}


static int
config_set(tc_t *tc, const char *name, const char *value)
{
    int          code;
    char         number[24];
    tq_buf_t     b = { 0 };
    const char  *why;

    without_unit(name, &value, number);

    why = tq_config_check(name, value);
    if (why != NULL) {
        return tc_usage(tc, "%s: %s", name, why);
    }

    code = send_setting(tc, name, value);
    if (code != TC_OK) {
        return code;
    }

    if (tc->json) {
        tc_add_doc(&b, tq_doc_object({
            name, value_doc((tq_str_t) { value, strlen(value) }) }));
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

    if (n == 2 && strcmp(argv[0], "unset") == 0) {
        return config_unset(tc, argv[1]);
    }

    return tc_usage(tc, "list, get NAME, set NAME VALUE or unset NAME");
}


/* How many of the workers seen lately say that they serve the handler; *urls:
 * of these those where it is a url's. */
static int
count_serving(const tq_result_t *res, const char *handler, int *urls)
{
    int                n = 0;
    cJSON             *said, *pool;
    unsigned           i;
    tq_worker_stats_t  w;

    for (i = 0; i < res->stats.workers; i++) {
        tq_stats_worker(res, i, &w);
        said = cJSON_ParseWithLength(w.info.p, w.info.len);
        pool = cJSON_GetObjectItemCaseSensitive(
                   cJSON_GetObjectItemCaseSensitive(said, "pools"), handler);
        n += pool != NULL;
        *urls += cJSON_HasObjectItem(pool, "url");
        cJSON_Delete(said);
    }

    return n;
}


/* Redis' clock tells what is older; its next whole second, so that nothing
 * started by now counts as new. */
static int
cmd_restart(tc_t *tc, int argc, char **argv)
{
    int                 n, code, serving, urls = 0;
    int64_t             at_s;
    tq_buf_t            b = { 0 };
    const tq_result_t  *res;

    n = tc_args(tc, argc, argv, NULL);
    if (n < 0) {
        return TC_USAGE;
    }

    if (n != 1 || !tq_handler_name_ok(argv[0], strlen(argv[0]))) {
        return tc_usage(tc, n == 1 ? "\"%s\" is not a handler's name"
                        : "which handler?", argv[0]);
    }

    code = tc_connect(tc);
    if (code != TC_OK) {
        return code;
    }

    res = tc_run(tc, tq_stats_call(&tc->ns, NULL, NULL), &code);
    if (res == NULL) {
        return code;
    }

    serving = count_serving(res, argv[0], &urls);
    at_s = res->stats.now_ms / 1000 + 1;

    if (tc_run(tc, tq_config_restart_call(&tc->ns, argv[0], at_s, NULL, NULL),
               &code) == NULL)
    {
        return code;
    }

    if (serving == 0 && !tc->json) {
        tc_warn(tc, "no worker serves \"%s\" now", argv[0]);
    }

    if (urls != 0 && !tc->json) {
        tc_warn(tc, "\"%s\" is a url handler: it has no processes to "
                "replace", argv[0]);
    }

    serving -= urls;

    if (urls != 0 && serving == 0 && !tc->json) {
        return TC_OK;
    }

    if (tc->json) {
        tc_add_doc(&b, tq_doc_object({ "handler", tq_doc_text(argv[0]) },
                                     { "workers", tq_doc_int(serving) }));
    } else {
        tq_buf_addf(&b, "%s: the workers that serve it replace its processes, "
                    "one by one (workers seen in the last minute: %d)\n",
                    argv[0], serving);
    }

    return tc_print(tc, &b);
}


const tc_command_t  tc_config_commands[] = {
    { "restart", cmd_restart, "replace a handler's processes one by one",
      "usage: taskmq restart HANDLER\n"
      "\n"
      "For changed handler code: every worker that serves HANDLER replaces the\n"
      "processes that were started before now. It learns that within a third\n"
      "of its lease time, and has one at a time in hand: the new process runs\n"
      "before the old one ends, which it does between two jobs. Where new\n"
      "processes cannot start, the old ones go on, and the worker tries again\n"
      "until they can. It says how many workers that serve HANDLER were seen\n"
      "in the last minute; one that was killed since counts, too. Where there\n"
      "is none, stderr says so. A url handler has no processes.\n" },
    { "config", cmd_config, "show and change the namespace's settings",
      "usage: taskmq config [list]\n"
      "       taskmq config get NAME\n"
      "       taskmq config set NAME VALUE\n"
      "       taskmq config unset NAME\n"
      "\n"
      "The settings that nginx and all workers of a namespace agree on. A\n"
      "change holds from the next job on; selection applies to waiting jobs\n"
      "too. list shows the defaults of those that were not set; unset goes\n"
      "back to the default, and prints it. A VALUE that is a time or a size\n"
      "may have a unit: retention_s 7d, retry_wait_ms 500ms,\n"
      "finished_max_bytes 512m. With --json, list and set print an object of\n"
      "names and values, get and unset the value alone; a value is a number\n"
      "or a string.\n" },
    { NULL, NULL, NULL, NULL }
};
