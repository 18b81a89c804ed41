/* config.c: see config.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_read.h"
#include "curl_load.h"
#include "tq_queue.h"
#include "tq_base.h"

static void
unknown_key(tw_reader_t *r, int line)
{
    size_t    i;
    tq_buf_t  b = {0};

    tq_buf_adds(&b, "unknown key, expected one of");
    for (i = 0; tw_options[i].key != NULL; i++) {
        if (tw_options[i].read != NULL) {
            tq_buf_adds(&b, i == 0 ? " " : ", ");
            tq_buf_adds(&b, tw_options[i].key);
        }
    }

    tw_read_complain(r, line, tq_buf_cstr(&b) != NULL ? b.p : "unknown key");
    tq_buf_free(&b);
}

static void
set_place(tw_reader_t *r, const char *key)
{
    tq_text_print(r->place, sizeof(r->place), "handlers.%s%s%.64s",
        r->h->name, key != NULL ? "." : "", key != NULL ? key : "");
}

/* FNV-1a over kinds, keys and values, without the line numbers: a handler
 * that was only moved in the file is the same. */
static uint64_t
digest(uint64_t d, const void *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        d = (d ^ ((const unsigned char *) p)[i]) * UINT64_C(0x100000001b3);
    }

    return (d ^ 0x1f) * UINT64_C(0x100000001b3);
}

static uint64_t
digest_node(uint64_t d, const cJSON *n)
{
    const cJSON  *item;

    d = digest(d, &n->type, sizeof(n->type));

    if (n->string != NULL) {
        d = digest(d, n->string, strlen(n->string));
    }
    if (cJSON_IsString(n)) {
        d = digest(d, n->valuestring, strlen(n->valuestring));
    }
    if (cJSON_IsNumber(n)) {
        d = digest(d, &n->valuedouble, sizeof(n->valuedouble));
    }

    cJSON_ArrayForEach(item, n) {
        d = digest_node(d, item);
    }

    return d;
}

/* The option of this name, or the last one, whose key is NULL. */
static const tw_option_t *
find_option(const char *key)
{
    const tw_option_t  *o = tw_options;

    while (o->key != NULL && strcmp(o->key, key) != 0) {
        o++;
    }

    return o;
}

/* Keys that mean nothing for this kind of handler. */
static void
check_kinds(tw_reader_t *r, const cJSON *n)
{
    const cJSON        *item;
    const tw_option_t  *o;

    cJSON_ArrayForEach(item, n) {
        o = find_option(item->string);
        if (o->key != NULL && (o->kinds & 1u << r->h->kind) == 0) {
            set_place(r, item->string);
            tw_read_complain(r, item->valueint, "not for this kind of "
                "handler");
        }
    }
}

static void
read_handler(tw_reader_t *r, const cJSON *n)
{
    const cJSON        *item;
    const tw_option_t  *o;

    r->kinds = 0;
    r->h->line = n->valueint;
    r->h->instances = TQ_INSTANCES_DEFAULT;
    r->h->fingerprint = digest_node(UINT64_C(0xcbf29ce484222325), n);

    cJSON_ArrayForEach(item, n) {
        set_place(r, item->string);
        o = find_option(item->string);

        if (o->key == NULL) {
            unknown_key(r, item->valueint);
        } else if (o->read == NULL) {
            r->h->prefetch_line = item->valueint;
        } else {
            o->read(r, item);
        }
    }

    if (r->kinds == 1) {
        check_kinds(r, n);
    } else {
        set_place(r, NULL);
        tw_read_complain(r, n->valueint, "expected exactly one of command, "
            "image, url, library, builtin");
    }
}

static void
read_handlers(tw_reader_t *r, tw_conf_t *conf, const cJSON *n)
{
    const cJSON  *item;

    conf->h = calloc((size_t) cJSON_GetArraySize(n) + 1,
        sizeof(tw_handler_conf_t *));
    if (conf->h == NULL) {
        tw_read_complain(r, n->valueint, "out of memory");
        return;
    }

    cJSON_ArrayForEach(item, n) {
        r->h = conf->h[conf->n++] = calloc(1, sizeof(tw_handler_conf_t));
        if (r->h == NULL) {
            tw_read_complain(r, item->valueint, "out of memory");
            return;
        }

        tq_text_print(r->place, sizeof(r->place), "handlers.%.*s",
            TQ_HANDLER_MAX, item->string);

        if (!tq_handler_name_ok(item->string, strlen(item->string))) {
            tw_read_complain(r, item->valueint, "expected a handler name of "
                "1 to 64 letters, digits, '.', '_' or '-'");

        } else if (!cJSON_IsObject(item)) {
            tw_read_complain(r, item->valueint, "expected a table");

        } else {
            strcpy(r->h->name, item->string);
            read_handler(r, item);
        }
    }
}

/* conf is all zeroes. 0, or -1 with a line per mistake in errors. */
static int
read_tree(tw_conf_t *conf, const char *path, const cJSON *top,
    tq_buf_t *errors)
{
    tw_reader_t   r = { .path = path, .errors = errors };
    const cJSON  *item;

    if (cJSON_IsString(top)) {
        tw_read_complain(&r, top->valueint, top->valuestring);
        return -1;
    }

    cJSON_ArrayForEach(item, top) {
        if (strcmp(item->string, "handlers") != 0) {
            tq_text_print(r.place, sizeof(r.place), "%.64s", item->string);
            tw_read_complain(&r, item->valueint, "unknown key, expected "
                "[handlers.NAME]");
        } else if (!cJSON_IsObject(item)) {
            tw_read_complain(&r, item->valueint, "expected [handlers.NAME] "
                "tables");
        } else {
            read_handlers(&r, conf, item);
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
    cJSON    *top;
    tq_buf_t  text = {0};

    memset(conf, 0, sizeof(*conf));

    rc = read_file(path, &text);
    if (rc != 0) {
        tq_buf_addf(errors, "%s: cannot be read: %s\n", path, strerror(rc));
        tq_buf_free(&text);
        return -1;
    }

    top = tw_toml_read(text.p, text.len);
    tq_buf_free(&text);

    if (top == NULL) {
        tq_buf_addf(errors, "%s: out of memory\n", path);
        return -1;
    }

    rc = read_tree(conf, path, top, errors);
    cJSON_Delete(top);

    return rc != 0 ? rc : load_curl(conf, path, errors);
}

void
tw_conf_say_old(const tw_conf_t *conf, const char *path, tq_buf_t *out)
{
    unsigned                  i;
    const tw_handler_conf_t  *h;

    for (i = 0; i < conf->n; i++) {
        h = conf->h[i];
        if (h->prefetch_line != 0) {
            tq_buf_addf(out, "%s:%d: handlers.%s.prefetch has no effect any "
                "more: remove it, and raise instances if its jobs are tiny\n",
                path, h->prefetch_line, h->name);
        }
    }
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
