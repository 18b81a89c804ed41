/* config_opt.c: the keys of [handlers.NAME], one reader each. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_read.h"
#include "tq_base.h"

static void
read_command(tw_reader_t *r, const cJSON *n)
{
    static const char  expected[] =
        "expected a non-empty array of strings, the program first";

    r->kinds++;
    r->h->kind = TW_KIND_COMMAND;
    r->h->program_line = n->valueint;
    r->h->argv = tw_read_list(r, n, expected);

    if (r->h->argv != NULL
        && (r->h->argv[0] == NULL || r->h->argv[0][0] == '\0'))
    {
        tw_read_complain(r, n->valueint, expected);
    }
}

static void
read_builtin(tw_reader_t *r, const cJSON *n)
{
    r->kinds++;
    r->h->kind = TW_KIND_NOOP;

    if (!tw_read_eq(n, "noop")) {
        tw_read_complain(r, n->valueint, "expected \"noop\"");
    }
}

static void
read_image(tw_reader_t *r, const cJSON *n)
{
    r->kinds++;
    r->h->kind = TW_KIND_IMAGE;
    if (r->h->runtime == NULL) {
        r->h->program_line = n->valueint;
    }
    r->h->image = tw_read_string(r, n, "expected the name of an image");

    if (r->h->image != NULL && r->h->image[0] == '-') {
        tw_read_complain(r, n->valueint, "expected the name of an image");
    }
}

static void
read_library(tw_reader_t *r, const cJSON *n)
{
    r->kinds++;
    r->h->kind = TW_KIND_LIBRARY;
    r->h->program_line = n->valueint;
    r->h->library = tw_read_string(r, n, "expected the path of a shared "
        "object");
}

static void
read_url(tw_reader_t *r, const cJSON *n)
{
    static const char  expected[] = "expected an http:// or https:// URL";
    const char        *u;

    r->kinds++;
    r->h->kind = TW_KIND_URL;
    r->h->program_line = n->valueint;
    u = r->h->url = tw_read_string(r, n, expected);

    if (u != NULL && ((strncmp(u, "http://", 7) != 0
                       && strncmp(u, "https://", 8) != 0)
                      || strpbrk(u, " \t\r\n") != NULL
                      || strchr(u, ':')[3] == '\0'))
    {
        tw_read_complain(r, n->valueint, expected);
    }
}

/* "docker", or the program with its own options. */
static void
read_runtime(tw_reader_t *r, const cJSON *n)
{
    static const char  expected[] = "expected the container program, or an "
                                    "array of it and its options";

    r->h->program_line = n->valueint;

    if (cJSON_IsArray(n)) {
        r->h->runtime = tw_read_list(r, n, expected);
        if (r->h->runtime != NULL && (r->h->runtime[0] == NULL
                                      || r->h->runtime[0][0] == '\0'))
        {
            tw_read_complain(r, n->valueint, expected);
        }
        return;
    }

    r->h->runtime = calloc(2, sizeof(char *));
    if (r->h->runtime == NULL) {
        tw_read_complain(r, n->valueint, "out of memory");
        return;
    }

    r->h->runtime[0] = tw_read_string(r, n, expected);
}

static void
read_runtime_args(tw_reader_t *r, const cJSON *n)
{
    r->h->runtime_args = tw_read_list(r, n, "expected an array of strings");
}

/* Bytes, or a string with k, m or g (of 1024). */
static void
read_memory(tw_reader_t *r, const cJSON *n)
{
    int64_t      v = 0;
    const char  *p;

    if (cJSON_IsNumber(n) && n->valuedouble <= TQ_MEMORY_MAX_BYTES) {
        v = (int64_t) n->valuedouble;

    } else if (cJSON_IsString(n)) {
        p = n->valuestring;
        while (*p >= '0' && *p <= '9' && v < INT64_MAX / 2048) {
            v = v * 10 + (*p++ - '0');
        }

        if (*p != '\0') {
            switch (p[1] == '\0' ? *p : '?') {
            case 'g': case 'G':
                v = v < INT64_MAX >> 30 ? v << 30 : -1;
                break;
            case 'm': case 'M':
                v = v < INT64_MAX >> 20 ? v << 20 : -1;
                break;
            case 'k': case 'K':
                v <<= 10;
                break;
            default:
                v = -1;
            }
        }
    }

    if (v < TQ_MEMORY_MIN_BYTES || v > TQ_MEMORY_MAX_BYTES) {
        tw_read_complain(r, n->valueint, "expected a size from \"1m\" to "
            "\"1048576m\", such as \"512m\" or \"2g\"");
        return;
    }

    r->h->memory_bytes = v;
}

static void
read_user(tw_reader_t *r, const cJSON *n)
{
    const char  *why;

    r->h->user = tw_read_string(r, n, "expected a user's name or number");

    /* a container's users are the image's: its runtime looks them up */
    if (r->h->user != NULL && r->h->image == NULL
        && tw_user_find(r->h->user, &r->h->as, &why) != 0)
    {
        tw_read_complain(r, n->valueint, why);
    }
}

static void
read_instances(tw_reader_t *r, const cJSON *n)
{
    r->h->instances = (unsigned) tw_read_int(r, n, 1, TQ_INSTANCES_MAX);
}

static void
read_timeout(tw_reader_t *r, const cJSON *n)
{
    r->h->timeout_s = tw_read_int(r, n, 1, TQ_TIMEOUT_MAX_S);
}

static void
read_pick(tw_reader_t *r, const cJSON *n)
{
    if (tw_read_eq(n, "round-robin")) {
        r->h->pick = TW_PICK_ROUND_ROBIN;
    } else if (tw_read_eq(n, "first-available")) {
        r->h->pick = TW_PICK_FIRST;
    } else if (tw_read_eq(n, "random")) {
        r->h->pick = TW_PICK_RANDOM;
    } else {
        tw_read_complain(r, n->valueint, "expected \"round-robin\", "
            "\"first-available\" or \"random\"");
    }
}

/* "NAME=value", or NULL after a complaint. */
static char *
env_pair(tw_reader_t *r, const cJSON *n)
{
    char  *pair = NULL;

    if (!cJSON_IsString(n)) {
        tw_read_complain(r, n->valueint, "expected a table of strings");

    } else if (!tq_env_name_ok(n->string, strlen(n->string))) {
        tw_read_complain(r, n->valueint, "expected names of letters, digits "
            "and _");

    } else if (asprintf(&pair, "%s=%s", n->string, n->valuestring) < 0) {
        pair = NULL;
        tw_read_complain(r, n->valueint, "out of memory");
    }

    return pair;
}

static void
read_env(tw_reader_t *r, const cJSON *n)
{
    size_t        count = 0;
    const cJSON  *item;

    if (!cJSON_IsObject(n)) {
        tw_read_complain(r, n->valueint, "expected a table of strings");
        return;
    }

    r->h->env = calloc((size_t) cJSON_GetArraySize(n) + 1, sizeof(char *));
    if (r->h->env == NULL) {
        tw_read_complain(r, n->valueint, "out of memory");
        return;
    }

    cJSON_ArrayForEach(item, n) {
        r->h->env[count] = env_pair(r, item);
        if (r->h->env[count++] == NULL) {
            return;
        }
    }
}

static void
read_max_tasks(tw_reader_t *r, const cJSON *n)
{
    r->h->max_tasks = tw_read_int(r, n, 1, INT32_MAX);
}

static void
read_protocol(tw_reader_t *r, const cJSON *n)
{
    if (tw_read_eq(n, "taskmq")) {
        r->h->extended = 1;
    } else if (!tw_read_eq(n, "taskdaemon")) {
        tw_read_complain(r, n->valueint,
            "expected \"taskdaemon\" or \"taskmq\"");
    }
}

static void
read_workdir(tw_reader_t *r, const cJSON *n)
{
    r->h->workdir_line = n->valueint;
    r->h->workdir = tw_read_string(r, n, "expected the path of a folder");
}

#define ONLY(kind)  (1u << TW_KIND_ ## kind)
#define ALL         (~0u)
#define CHILD       (ONLY(COMMAND) | ONLY(IMAGE) | ONLY(LIBRARY))

const tw_option_t  tw_options[] = {
    { "builtin", read_builtin, ALL },
    { "command", read_command, ALL },
    { "image", read_image, ALL },
    { "library", read_library, ALL },
    { "url", read_url, ALL },
    { "env", read_env, CHILD },
    { "handler_selection", read_pick, ALL },
    { "instances", read_instances, ALL },
    { "max_tasks_per_child", read_max_tasks, CHILD },
    { "memory_limit", read_memory, CHILD },
    { "prefetch", NULL, CHILD },
    { "protocol", read_protocol, CHILD },
    { "runtime", read_runtime, ONLY(IMAGE) },
    { "runtime_args", read_runtime_args, ONLY(IMAGE) },
    { "timeout", read_timeout, ALL },
    { "user", read_user, CHILD },
    { "workdir", read_workdir, CHILD },
    { NULL, NULL, 0 },
};
