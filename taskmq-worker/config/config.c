/* config.c: see config.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_read.h"
#include "curl_load.h"
#include "toml.h"
#include "tq_job.h"

static void
unknown_key(tw_reader_t *r, int line)
{
    size_t    i;
    tq_buf_t  b = {0};

    tq_buf_adds(&b, "unknown key, expected one of");
    for (i = 0; tw_options[i].key != NULL; i++) {
        tq_buf_adds(&b, i == 0 ? " " : ", ");
        tq_buf_adds(&b, tw_options[i].key);
    }

    tw_read_complain(r, line, tq_buf_cstr(&b) != NULL ? b.p : "unknown key");
    tq_buf_free(&b);
}

static void
set_place(tw_reader_t *r, const char *handler, tq_str_t key)
{
    (void) snprintf(r->place, sizeof(r->place), "handlers.%.*s%s%.*s",
        TQ_HANDLER_MAX, handler, key.len ? "." : "",
        (int) (key.len > 64 ? 64 : key.len), key.p ? key.p : "");
}

/* FNV-1a over kinds, keys and values, without the line numbers: a handler
 * that was only moved in the file is the same. */
static uint64_t
digest(uint64_t d, tq_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        d = (d ^ (unsigned char) s.p[i]) * UINT64_C(0x100000001b3);
    }

    return (d ^ 0x1f) * UINT64_C(0x100000001b3);
}

static uint64_t
digest_node(uint64_t d, const tw_node_t *n)
{
    size_t            pos = 0;
    tw_node_t         item;
    tq_json_val_t     v;
    tq_json_member_t  m;

    d = digest(d, n->kind);

    if (tw_read_is(n, "table")) {
        while (tq_json_next_member(n->val.raw, &pos, &m)) {
            tw_read_open(&m.val, &item);
            d = digest_node(digest(d, m.key), &item);
        }
    } else if (tw_read_is(n, "array")) {
        while (tq_json_next_item(n->val.raw, &pos, &v)) {
            tw_read_open(&v, &item);
            d = digest_node(d, &item);
        }
    } else {
        d = digest(d, n->val.raw);
    }

    return d;
}

/* Keys that mean nothing for this kind of handler. */
static void
check_kinds(tw_reader_t *r, const tw_node_t *n)
{
    size_t            i, pos = 0;
    tw_node_t         item;
    tq_json_member_t  m;

    while (tq_json_next_member(n->val.raw, &pos, &m)) {
        for (i = 0; tw_options[i].key != NULL; i++) {
            if (tq_str_eq(m.key, tw_options[i].key)
                && (tw_options[i].kinds & 1u << r->h->kind) == 0)
            {
                tw_read_open(&m.val, &item);
                set_place(r, r->h->name, m.key);
                tw_read_complain(r, item.line, "not for this kind of "
                    "handler");
            }
        }
    }
}

static void
read_handler(tw_reader_t *r, const tw_node_t *n)
{
    size_t            i, pos = 0;
    tw_node_t         item;
    tq_json_member_t  m;

    r->kinds = 0;
    r->h->line = n->line;
    r->h->instances = TQ_INSTANCES_DEFAULT;
    r->h->fingerprint = digest_node(UINT64_C(0xcbf29ce484222325), n);

    while (tq_json_next_member(n->val.raw, &pos, &m)) {
        tw_read_open(&m.val, &item);
        set_place(r, r->h->name, m.key);

        for (i = 0; tw_options[i].key != NULL; i++) {
            if (tq_str_eq(m.key, tw_options[i].key)) {
                tw_options[i].read(r, &item);
                break;
            }
        }

        if (tw_options[i].key == NULL) {
            unknown_key(r, item.line);
        }
    }

    if (r->kinds == 1) {
        check_kinds(r, n);
    } else {
        set_place(r, r->h->name, (tq_str_t) { NULL, 0 });
        tw_read_complain(r, n->line, "expected exactly one of command, "
            "image, url, library, builtin");
    }
}

static void
read_handlers(tw_reader_t *r, tw_conf_t *conf, const tw_node_t *n)
{
    size_t            i = 0, pos = 0;
    tw_node_t            item;
    tq_json_member_t  m;

    while (tq_json_next_member(n->val.raw, &pos, &m)) {
        conf->n++;
    }

    conf->h = calloc(conf->n + 1, sizeof(tw_handler_conf_t *));
    if (conf->h == NULL) {
        conf->n = 0;
        tw_read_complain(r, n->line, "out of memory");
        return;
    }

    for (pos = 0; tq_json_next_member(n->val.raw, &pos, &m); i++) {
        tw_read_open(&m.val, &item);
        r->h = conf->h[i] = calloc(1, sizeof(tw_handler_conf_t));
        if (r->h == NULL) {
            tw_read_complain(r, item.line, "out of memory");
            return;
        }

        (void) snprintf(r->place, sizeof(r->place), "handlers.%.*s",
            (int) (m.key.len > TQ_HANDLER_MAX ? TQ_HANDLER_MAX : m.key.len),
            m.key.p);

        if (!tq_handler_name_ok(m.key.p, m.key.len)) {
            tw_read_complain(r, item.line, "expected a handler name of 1 to 64 "
                "letters, digits, '.', '_' or '-'");

        } else if (!tw_read_is(&item, "table")) {
            tw_read_complain(r, item.line, "expected a table");

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
    tw_node_t            top, item;
    size_t            pos = 0;
    char             *text;
    tw_reader_t          r = { .path = path, .errors = errors };
    tq_json_err_t     err;
    tq_json_val_t     v;
    tq_json_member_t  m;

    memset(conf, 0, sizeof(*conf));

    if (tq_json_parse(json.p, json.len, &v, &err) != 0) {
        tw_read_complain(&r, 1, err.msg);
        return -1;
    }

    tw_read_open(&v, &top);

    if (tw_read_is(&top, "error")) {
        text = tw_read_unescape(top.val.raw);
        tw_read_complain(&r, top.line, text != NULL ? text : "not TOML");
        free(text);
        return -1;
    }

    while (tq_json_next_member(top.val.raw, &pos, &m)) {
        tw_read_open(&m.val, &item);
        if (!tq_str_eq(m.key, "handlers")) {
            (void) snprintf(r.place, sizeof(r.place), "%.*s",
                (int) (m.key.len > 64 ? 64 : m.key.len), m.key.p);
            tw_read_complain(&r, item.line, "unknown key, expected "
                "[handlers.NAME]");
        } else if (!tw_read_is(&item, "table")) {
            tw_read_complain(&r, item.line, "expected [handlers.NAME] tables");
        } else {
            read_handlers(&r, conf, &item);
        }
    }

    if (!r.failed && conf->n == 0) {
        r.place[0] = '\0';
        tw_read_complain(&r, 1, "no handler, expected at least one "
            "[handlers.NAME] table");
    }

    if (!r.failed && conf->n > TQ_HANDLERS_MAX) {
        r.place[0] = '\0';
        tw_read_complain(&r, 1, "more than 1000 handlers");
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

/* What `url` handlers need. */
static int
load_curl(const tw_conf_t *conf, const char *path, tq_buf_t *errors)
{
    int                 rc = 0;
    unsigned            i;
    tq_buf_t            why = {0};
    tw_handler_conf_t  *h;

    for (i = 0; i < conf->n; i++) {
        h = conf->h[i];
        if (h->kind != TW_KIND_URL) {
            continue;
        }

        if (rc == 0) {
            rc = tw_curl_load(&why);
        }
        if (rc == 0) {
            break;
        }

        tq_buf_addf(errors, "%s:%d: handlers.%s.url: expected libcurl on "
            "this machine: ", path, h->program_line, h->name);
        tq_buf_adds(errors, tq_buf_cstr(&why) != NULL ? why.p
            : "out of memory");
        tq_buf_addc(errors, '\n');
    }

    tq_buf_free(&why);

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

    return rc != 0 ? rc : load_curl(conf, path, errors);
}

void
tw_handler_conf_free(tw_handler_conf_t *h)
{
    if (h == NULL) {
        return;
    }

    tw_list_free(h->argv);
    tw_list_free(h->runtime);
    tw_list_free(h->runtime_args);
    tw_list_free(h->env);
    free(h->image);
    free(h->url);
    free(h->library);
    free(h->workdir);
    free(h->user);
    tw_user_free(&h->as);
    free(h);
}

void
tw_conf_free(tw_conf_t *conf)
{
    unsigned  i;

    for (i = 0; i < conf->n; i++) {
        tw_handler_conf_free(conf->h[i]);
    }

    free(conf->h);
    memset(conf, 0, sizeof(*conf));
}
