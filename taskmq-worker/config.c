/* config.c: see config.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "toml.h"
#include "tq_job.h"
#include "tq_json.h"

/* What the readers below share. */
typedef struct {
    const char         *path;
    tq_buf_t           *errors;
    int                 failed;
    tw_handler_conf_t  *h;    /* the handler being read */
    unsigned            kinds;
    char                place[2 * TQ_HANDLER_MAX + 64];
} reader_t;

/* One TOML value: [line, kind, value]. */
typedef struct {
    int            line;
    tq_str_t       kind;      /* with its quotes */
    tq_json_val_t  val;
} node_t;

typedef struct {
    const char  *key;
    void       (*read)(reader_t *r, const node_t *n);
} option_t;

static void
complain(reader_t *r, int line, const char *text)
{
    r->failed = 1;
    tq_buf_addf(r->errors, "%s:%d: ", r->path, line);
    if (r->place[0] != '\0') {
        tq_buf_addf(r->errors, "%s: ", r->place);
    }
    tq_buf_adds(r->errors, text);
    tq_buf_addc(r->errors, '\n');
}

static void
open_node(const tq_json_val_t *v, node_t *n)
{
    size_t         pos = 0;
    int64_t        line = 0;
    tq_json_val_t  item;

    memset(n, 0, sizeof(*n));

    if (tq_json_next_item(v->raw, &pos, &item)) {
        (void) tq_json_int64(&item, &line);
        n->line = (int) line;
    }

    if (tq_json_next_item(v->raw, &pos, &item)) {
        n->kind = item.raw;
    }

    (void) tq_json_next_item(v->raw, &pos, &n->val);
}

static int
is(const node_t *n, const char *kind)
{
    return n->kind.len == strlen(kind) + 2
           && memcmp(n->kind.p + 1, kind, n->kind.len - 2) == 0;
}

static char *
unescape(tq_str_t raw)
{
    char  *s = malloc(raw.len);

    if (s != NULL && tq_json_unescape(raw, s, raw.len) < 0) {
        free(s);
        s = NULL;
    }

    return s;
}

/* A copy of a string value, or NULL after a complaint. */
static char *
want_string(reader_t *r, const node_t *n, const char *expected)
{
    char  *s;

    if (!is(n, "string")) {
        complain(r, n->line, expected);
        return NULL;
    }

    s = unescape(n->val.raw);
    if (s == NULL) {
        complain(r, n->line, "out of memory");
    } else if (s[0] == '\0') {
        free(s);
        s = NULL;
        complain(r, n->line, expected);
    }

    return s;
}

static int64_t
want_int(reader_t *r, const node_t *n, int64_t min, int64_t max)
{
    int64_t  v;
    char     text[96];

    if (is(n, "integer") && tq_json_int64(&n->val, &v) == 0 && v >= min
        && v <= max)
    {
        return v;
    }

    (void) snprintf(text, sizeof(text),
        "expected an integer from %lld to %lld", (long long) min,
        (long long) max);
    complain(r, n->line, text);

    return min;
}

static void
free_list(char **list)
{
    char  **p;

    for (p = list; p != NULL && *p != NULL; p++) {
        free(*p);
    }

    free(list);
}

/* An array of strings, NULL-terminated; NULL after a complaint. */
static char **
want_list(reader_t *r, const node_t *n, const char *expected)
{
    char         **list;
    size_t         pos = 0, count = 0;
    node_t         item;
    tq_json_val_t  v;

    if (!is(n, "array")) {
        complain(r, n->line, expected);
        return NULL;
    }

    while (tq_json_next_item(n->val.raw, &pos, &v)) {
        count++;
    }

    list = calloc(count + 1, sizeof(char *));
    if (list == NULL) {
        complain(r, n->line, "out of memory");
        return NULL;
    }

    for (pos = 0, count = 0; tq_json_next_item(n->val.raw, &pos, &v);
         count++)
    {
        open_node(&v, &item);
        list[count] = is(&item, "string") ? unescape(item.val.raw) : NULL;
        if (list[count] == NULL) {
            complain(r, item.line, expected);
            free_list(list);
            return NULL;
        }
    }

    return list;
}

static void
read_command(reader_t *r, const node_t *n)
{
    static const char  expected[] =
        "expected a non-empty array of strings, the program first";

    r->kinds++;
    r->h->kind = TW_KIND_COMMAND;
    r->h->argv = want_list(r, n, expected);

    if (r->h->argv != NULL
        && (r->h->argv[0] == NULL || r->h->argv[0][0] == '\0'))
    {
        complain(r, n->line, expected);
    }
}

static void
read_builtin(reader_t *r, const node_t *n)
{
    r->kinds++;
    r->h->kind = TW_KIND_NOOP;

    if (!is(n, "string") || !tq_str_eq(n->val.raw, "\"noop\"")) {
        complain(r, n->line, "expected \"noop\"");
    }
}

static void
read_instances(reader_t *r, const node_t *n)
{
    r->h->instances = (unsigned) want_int(r, n, 1, TQ_INSTANCES_MAX);
}

static void
read_timeout(reader_t *r, const node_t *n)
{
    r->h->timeout_s = want_int(r, n, 1, TQ_TIMEOUT_MAX_S);
}

static void
read_pick(reader_t *r, const node_t *n)
{
    if (tq_str_eq(n->val.raw, "\"round-robin\"")) {
        r->h->pick = TW_PICK_ROUND_ROBIN;
    } else if (tq_str_eq(n->val.raw, "\"first-available\"")) {
        r->h->pick = TW_PICK_FIRST;
    } else if (tq_str_eq(n->val.raw, "\"random\"")) {
        r->h->pick = TW_PICK_RANDOM;
    } else {
        complain(r, n->line, "expected \"round-robin\", \"first-available\" "
            "or \"random\"");
    }
}

static int
env_name_ok(const char *s)
{
    if (s[0] == '\0' || (s[0] >= '0' && s[0] <= '9')) {
        return 0;
    }

    return s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                       "0123456789_")] == '\0';
}

/* "NAME=value", or NULL after a complaint. */
static char *
env_pair(reader_t *r, const tq_json_member_t *m, const node_t *n)
{
    char    *value, *pair = NULL;
    tq_buf_t  b = {0};

    value = is(n, "string") ? unescape(n->val.raw) : NULL;
    if (value == NULL) {
        complain(r, n->line, "expected a table of strings");
        return NULL;
    }

    tq_buf_add(&b, m->key.p, m->key.len);
    if (tq_buf_cstr(&b) != NULL && !env_name_ok(b.p)) {
        complain(r, n->line, "expected names of letters, digits and _");
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
read_env(reader_t *r, const node_t *n)
{
    size_t            pos = 0, count = 0;
    node_t            item;
    tq_json_member_t  m;

    if (!is(n, "table")) {
        complain(r, n->line, "expected a table of strings");
        return;
    }

    while (tq_json_next_member(n->val.raw, &pos, &m)) {
        count++;
    }

    r->h->env = calloc(count + 1, sizeof(char *));
    if (r->h->env == NULL) {
        complain(r, n->line, "out of memory");
        return;
    }

    for (pos = 0, count = 0; tq_json_next_member(n->val.raw, &pos, &m);
         count++)
    {
        open_node(&m.val, &item);
        r->h->env[count] = env_pair(r, &m, &item);
        if (r->h->env[count] == NULL) {
            return;
        }
    }
}

static void
read_max_tasks(reader_t *r, const node_t *n)
{
    r->h->max_tasks = want_int(r, n, 1, INT32_MAX);
}

static void
read_protocol(reader_t *r, const node_t *n)
{
    if (tq_str_eq(n->val.raw, "\"taskmq\"")) {
        r->h->extended = 1;
    } else if (!tq_str_eq(n->val.raw, "\"taskdaemon\"")) {
        complain(r, n->line, "expected \"taskdaemon\" or \"taskmq\"");
    }
}

static void
read_workdir(reader_t *r, const node_t *n)
{
    r->h->workdir = want_string(r, n, "expected the path of a folder");
}

static const option_t  options[] = {
    { "builtin", read_builtin },
    { "command", read_command },
    { "env", read_env },
    { "handler_selection", read_pick },
    { "instances", read_instances },
    { "max_tasks_per_child", read_max_tasks },
    { "protocol", read_protocol },
    { "timeout", read_timeout },
    { "workdir", read_workdir },
};

#define NOPTIONS  (sizeof(options) / sizeof(options[0]))

static void
unknown_key(reader_t *r, int line)
{
    size_t    i;
    tq_buf_t  b = {0};

    tq_buf_adds(&b, "unknown key, expected one of");
    for (i = 0; i < NOPTIONS; i++) {
        tq_buf_adds(&b, i == 0 ? " " : ", ");
        tq_buf_adds(&b, options[i].key);
    }

    complain(r, line, tq_buf_cstr(&b) != NULL ? b.p : "unknown key");
    tq_buf_free(&b);
}

static void
set_place(reader_t *r, const char *handler, tq_str_t key)
{
    (void) snprintf(r->place, sizeof(r->place), "handlers.%.*s%s%.*s",
        TQ_HANDLER_MAX, handler, key.len ? "." : "",
        (int) (key.len > 64 ? 64 : key.len), key.p ? key.p : "");
}

static void
read_handler(reader_t *r, const node_t *n)
{
    size_t            i, pos = 0;
    node_t            item;
    tq_json_member_t  m;

    r->kinds = 0;
    r->h->line = n->line;
    r->h->instances = TQ_INSTANCES_DEFAULT;

    while (tq_json_next_member(n->val.raw, &pos, &m)) {
        open_node(&m.val, &item);
        set_place(r, r->h->name, m.key);

        for (i = 0; i < NOPTIONS; i++) {
            if (tq_str_eq(m.key, options[i].key)) {
                options[i].read(r, &item);
                break;
            }
        }

        if (i == NOPTIONS) {
            unknown_key(r, item.line);
        }
    }

    set_place(r, r->h->name, (tq_str_t) { NULL, 0 });
    if (r->kinds != 1) {
        complain(r, n->line, "expected exactly one of command, builtin");
    }
}

static void
read_handlers(reader_t *r, tw_conf_t *conf, const node_t *n)
{
    size_t            pos = 0;
    node_t            item;
    tq_json_member_t  m;

    while (tq_json_next_member(n->val.raw, &pos, &m)) {
        conf->n++;
    }

    conf->h = calloc(conf->n + 1, sizeof(tw_handler_conf_t));
    if (conf->h == NULL) {
        conf->n = 0;
        complain(r, n->line, "out of memory");
        return;
    }

    r->h = conf->h;

    for (pos = 0; tq_json_next_member(n->val.raw, &pos, &m); r->h++) {
        open_node(&m.val, &item);
        (void) snprintf(r->place, sizeof(r->place), "handlers.%.*s",
            (int) (m.key.len > TQ_HANDLER_MAX ? TQ_HANDLER_MAX : m.key.len),
            m.key.p);

        if (!tq_handler_name_ok(m.key.p, m.key.len)) {
            complain(r, item.line, "expected a handler name of 1 to 64 "
                "letters, digits, '.', '_' or '-'");

        } else if (!is(&item, "table")) {
            complain(r, item.line, "expected a table");

        } else {
            memcpy(r->h->name, m.key.p, m.key.len);
            read_handler(r, &item);
        }
    }
}

int
tw_conf_read(tw_conf_t *conf, const char *path, tq_str_t json,
    tq_buf_t *errors)
{
    node_t            top, item;
    size_t            pos = 0;
    char             *text;
    reader_t          r = { .path = path, .errors = errors };
    tq_json_err_t     err;
    tq_json_val_t     v;
    tq_json_member_t  m;

    memset(conf, 0, sizeof(*conf));

    if (tq_json_parse(json.p, json.len, &v, &err) != 0) {
        complain(&r, 1, err.msg);
        return -1;
    }

    open_node(&v, &top);

    if (is(&top, "error")) {
        text = unescape(top.val.raw);
        complain(&r, top.line, text != NULL ? text : "not TOML");
        free(text);
        return -1;
    }

    while (tq_json_next_member(top.val.raw, &pos, &m)) {
        open_node(&m.val, &item);
        if (!tq_str_eq(m.key, "handlers")) {
            (void) snprintf(r.place, sizeof(r.place), "%.*s",
                (int) (m.key.len > 64 ? 64 : m.key.len), m.key.p);
            complain(&r, item.line, "unknown key, expected [handlers.NAME]");
        } else if (!is(&item, "table")) {
            complain(&r, item.line, "expected [handlers.NAME] tables");
        } else {
            read_handlers(&r, conf, &item);
        }
    }

    if (!r.failed && conf->n == 0) {
        r.place[0] = '\0';
        complain(&r, 1, "no handler, expected at least one "
            "[handlers.NAME] table");
    }

    if (!r.failed && conf->n > TQ_HANDLERS_MAX) {
        r.place[0] = '\0';
        complain(&r, 1, "more than 1000 handlers");
    }

    return r.failed ? -1 : 0;
}

/* The whole file. 0, or an errno; EFBIG over the limit. */
static int
read_file(const char *path, tq_buf_t *out)
{
    FILE   *f = fopen(path, "re");
    size_t  n;
    int     rc = 0;

    if (f == NULL) {
        return errno;
    }

    do {
        if (tq_buf_reserve(out, 16384) != 0) {
            rc = ENOMEM;
            break;
        }

        n = fread(out->p + out->len, 1, 16384, f);
        out->len += n;

        if (out->len > TQ_CONFIG_FILE_BYTES) {
            rc = EFBIG;
            break;
        }
    } while (n != 0);

    if (ferror(f) && rc == 0) {
        rc = errno ? errno : EIO;
    }

    (void) fclose(f);

    return rc;
}

int
tw_conf_load(tw_conf_t *conf, const char *path, tq_buf_t *errors)
{
    int       rc;
    char     *json;
    tq_buf_t  text = {0};

    memset(conf, 0, sizeof(*conf));

    rc = read_file(path, &text);
    if (rc != 0) {
        tq_buf_addf(errors, "%s: cannot be read: %s\n", path, strerror(rc));
        tq_buf_free(&text);
        return -1;
    }

    json = tw_toml_to_json(text.p, text.len);
    tq_buf_free(&text);

    if (json == NULL) {
        tq_buf_addf(errors, "%s: out of memory\n", path);
        return -1;
    }

    rc = tw_conf_read(conf, path, (tq_str_t) { json, strlen(json) }, errors);
    free(json);

    return rc;
}

void
tw_conf_free(tw_conf_t *conf)
{
    unsigned  i;

    for (i = 0; i < conf->n; i++) {
        free_list(conf->h[i].argv);
        free_list(conf->h[i].env);
        free(conf->h[i].workdir);
    }

    free(conf->h);
    memset(conf, 0, sizeof(*conf));
}
