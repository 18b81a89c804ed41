/* config_opt.c: the keys of [handlers.NAME], one reader each. */

#include <stdlib.h>
#include <string.h>

#include "config_read.h"
#include "tq_env.h"

static void
read_command(tw_reader_t *r, const tw_node_t *n)
{
    static const char  expected[] =
        "expected a non-empty array of strings, the program first";

    r->kinds++;
    r->h->kind = TW_KIND_COMMAND;
    r->h->program_line = n->line;
    r->h->argv = tw_read_list(r, n, expected);

    if (r->h->argv != NULL
        && (r->h->argv[0] == NULL || r->h->argv[0][0] == '\0'))
    {
        tw_read_complain(r, n->line, expected);
    }
}

static void
read_builtin(tw_reader_t *r, const tw_node_t *n)
{
    r->kinds++;
    r->h->kind = TW_KIND_NOOP;

    if (!tw_read_is(n, "string") || !tq_str_eq(n->val.raw, "\"noop\"")) {
        tw_read_complain(r, n->line, "expected \"noop\"");
    }
}

static void
read_image(tw_reader_t *r, const tw_node_t *n)
{
    r->kinds++;
    r->h->kind = TW_KIND_IMAGE;
    if (r->h->runtime == NULL) {
        r->h->program_line = n->line;
    }
    r->h->image = tw_read_string(r, n, "expected the name of an image");

    if (r->h->image != NULL && r->h->image[0] == '-') {
        tw_read_complain(r, n->line, "expected the name of an image");
    }
}

static void
read_library(tw_reader_t *r, const tw_node_t *n)
{
    r->kinds++;
    r->h->kind = TW_KIND_LIBRARY;
    r->h->program_line = n->line;
    r->h->library = tw_read_string(r, n, "expected the path of a shared "
        "object");
}

static void
read_url(tw_reader_t *r, const tw_node_t *n)
{
    static const char  expected[] = "expected an http:// or https:// URL";
    const char        *u;

    r->kinds++;
    r->h->kind = TW_KIND_URL;
    r->h->program_line = n->line;
    u = r->h->url = tw_read_string(r, n, expected);

    if (u != NULL && ((strncmp(u, "http://", 7) != 0
                       && strncmp(u, "https://", 8) != 0)
                      || strpbrk(u, " \t\r\n") != NULL
                      || strchr(u, ':')[3] == '\0'))
    {
        tw_read_complain(r, n->line, expected);
    }
}

/* "docker", or the program with its own options. */
static void
read_runtime(tw_reader_t *r, const tw_node_t *n)
{
    static const char  expected[] = "expected the container program, or an "
                                    "array of it and its options";

    r->h->program_line = n->line;

    if (tw_read_is(n, "array")) {
        r->h->runtime = tw_read_list(r, n, expected);
        if (r->h->runtime != NULL && (r->h->runtime[0] == NULL
                                      || r->h->runtime[0][0] == '\0'))
        {
            tw_read_complain(r, n->line, expected);
        }
        return;
    }

    r->h->runtime = calloc(2, sizeof(char *));
    if (r->h->runtime == NULL) {
        tw_read_complain(r, n->line, "out of memory");
        return;
    }

    r->h->runtime[0] = tw_read_string(r, n, expected);
}

static void
read_runtime_args(tw_reader_t *r, const tw_node_t *n)
{
    r->h->runtime_args = tw_read_list(r, n, "expected an array of strings");
}

/* Bytes, or a string with k, m or g (of 1024). */
static void
read_memory(tw_reader_t *r, const tw_node_t *n)
{
    int64_t      v = 0;
    const char  *p = n->val.raw.p + 1, *end = p + n->val.raw.len - 2;

    if (tw_read_is(n, "integer")) {
        (void) tq_json_int64(&n->val, &v);

    } else if (tw_read_is(n, "string")) {
        while (p < end && *p >= '0' && *p <= '9' && v < INT64_MAX / 2048) {
            v = v * 10 + (*p++ - '0');
        }

        if (p + 1 == end) {
            switch (*p) {
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
        } else if (p != end) {
            v = -1;
        }
    }

    if (v < TQ_MEMORY_MIN_BYTES || v > TQ_MEMORY_MAX_BYTES) {
        tw_read_complain(r, n->line, "expected a size from \"1m\" to "
            "\"1048576m\", such as \"512m\" or \"2g\"");
        return;
    }

    r->h->memory_bytes = v;
}

static void
read_user(tw_reader_t *r, const tw_node_t *n)
{
    const char  *why;

    r->h->user = tw_read_string(r, n, "expected a user's name or number");

    /* a container's users are the image's: its runtime looks them up */
    if (r->h->user != NULL && r->h->image == NULL
        && tw_user_find(r->h->user, &r->h->as, &why) != 0)
    {
        tw_read_complain(r, n->line, why);
    }
}

static void
read_instances(tw_reader_t *r, const tw_node_t *n)
{
    r->h->instances = (unsigned) tw_read_int(r, n, 1, TQ_INSTANCES_MAX);
}

static void
read_prefetch(tw_reader_t *r, const tw_node_t *n)
{
    r->h->prefetch_line = n->line;
    r->h->prefetch = (unsigned) tw_read_int(r, n, 0, TQ_PREFETCH_MAX);
}

static void
read_timeout(tw_reader_t *r, const tw_node_t *n)
{
    r->h->timeout_s = tw_read_int(r, n, 1, TQ_TIMEOUT_MAX_S);
}

static void
read_pick(tw_reader_t *r, const tw_node_t *n)
{
    if (tq_str_eq(n->val.raw, "\"round-robin\"")) {
        r->h->pick = TW_PICK_ROUND_ROBIN;
    } else if (tq_str_eq(n->val.raw, "\"first-available\"")) {
        r->h->pick = TW_PICK_FIRST;
    } else if (tq_str_eq(n->val.raw, "\"random\"")) {
        r->h->pick = TW_PICK_RANDOM;
    } else {
        tw_read_complain(r, n->line, "expected \"round-robin\", "
            "\"first-available\" or \"random\"");
    }
}

/* "NAME=value", or NULL after a complaint. */
static char *
env_pair(tw_reader_t *r, const tq_json_member_t *m, const tw_node_t *n)
{
    char     *value, *pair = NULL;
    tq_buf_t  b = {0};

    value = tw_read_is(n, "string") ? tw_read_unescape(n->val.raw) : NULL;
    if (value == NULL) {
        tw_read_complain(r, n->line, "expected a table of strings");
        return NULL;
    }

    tq_buf_add(&b, m->key.p, m->key.len);
    if (tq_buf_cstr(&b) != NULL && !tq_env_name_ok(b.p, b.len)) {
        tw_read_complain(r, n->line, "expected names of letters, digits and _");
        tq_buf_free(&b);
    } else {
        tq_buf_addc(&b, '=');
        tq_buf_adds(&b, value);
        pair = (char *) tq_buf_cstr(&b);
    }

    free(value);

    return pair;
}

static void
read_env(tw_reader_t *r, const tw_node_t *n)
{
    size_t            pos = 0, count = 0;
    tw_node_t            item;
    tq_json_member_t  m;

    if (!tw_read_is(n, "table")) {
        tw_read_complain(r, n->line, "expected a table of strings");
        return;
    }

    while (tq_json_next_member(n->val.raw, &pos, &m)) {
        count++;
    }

    r->h->env = calloc(count + 1, sizeof(char *));
    if (r->h->env == NULL) {
        tw_read_complain(r, n->line, "out of memory");
        return;
    }

    for (pos = 0, count = 0; tq_json_next_member(n->val.raw, &pos, &m);
         count++)
    {
        tw_read_open(&m.val, &item);
        r->h->env[count] = env_pair(r, &m, &item);
        if (r->h->env[count] == NULL) {
            return;
        }
    }
}

static void
read_max_tasks(tw_reader_t *r, const tw_node_t *n)
{
    r->h->max_tasks = tw_read_int(r, n, 1, INT32_MAX);
}

static void
read_protocol(tw_reader_t *r, const tw_node_t *n)
{
    if (tq_str_eq(n->val.raw, "\"taskmq\"")) {
        r->h->extended = 1;
    } else if (!tq_str_eq(n->val.raw, "\"taskdaemon\"")) {
        tw_read_complain(r, n->line, "expected \"taskdaemon\" or \"taskmq\"");
    }
}

static void
read_workdir(tw_reader_t *r, const tw_node_t *n)
{
    r->h->workdir_line = n->line;
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
    { "prefetch", read_prefetch, CHILD },
    { "protocol", read_protocol, CHILD },
    { "runtime", read_runtime, ONLY(IMAGE) },
    { "runtime_args", read_runtime_args, ONLY(IMAGE) },
    { "timeout", read_timeout, ALL },
    { "user", read_user, CHILD },
    { "workdir", read_workdir, CHILD },
    { NULL, NULL, 0 },
};
