/*
 * fuzz_json.c: the scanner and everything that reads what it accepted.
 *
 * Put together again from its members and items, a text is what it was without
 * the space between its tokens; no object has a key twice; cJSON, which is
 * laxer, takes the text as well.
 */

#include <cjson/cJSON.h>

#include "fuzz.h"
#include "tq_json.h"
#include "tq_base.h"

static tq_buf_t  joined;

static void rejoin(const tq_json_val_t *v, tq_str_t text, int depth);

static void
must_be_inside(tq_str_t s, tq_str_t text)
{
    MUST(s.p >= text.p && s.p + s.len <= text.p + text.len);
}

static void
check_string(tq_str_t raw)
{
    long    n;
    char   *text = malloc(raw.len);
    size_t  cut;

    MUST(text != NULL && raw.len >= 2);

    n = tq_json_unescape(raw, text, raw.len);
    MUST(n >= 0 && (size_t) n <= raw.len - 2);
    MUST(strlen(text) == (size_t) n);
    MUST(tq_json_key_eq((tq_str_t) { raw.p + 1, raw.len - 2 }, text));

    if (n > 0) {
        MUST(tq_json_unescape(raw, text, (size_t) n) == -1);
        cut = tq_json_key_text((tq_str_t) { raw.p + 1, raw.len - 2 }, text,
            (size_t) n);
        MUST(cut < (size_t) n);
    }

    free(text);
}

static void
check_key(tq_str_t object, size_t before, const tq_json_member_t *m)
{
    char              *name = malloc(m->key.len + 1);
    size_t             pos = 0;
    tq_json_val_t      found;
    tq_json_member_t   other;

    MUST(name != NULL);
    (void) tq_json_key_text(m->key, name, m->key.len + 1);

    MUST(tq_json_find(object, name, &found));
    MUST(found.raw.p == m->val.raw.p);

    /* the plainest search for a duplicate, kept short */
    while (before-- > 0 && tq_json_next_member(object, &pos, &other)) {
        MUST(!tq_json_key_eq(other.key, name));
    }

    free(name);
}

static void
check_integer(tq_str_t raw, int64_t i)
{
    tq_buf_t  b = { 0 };

    tq_buf_addi(&b, i);
    MUST((b.len == raw.len && memcmp(b.p, raw.p, raw.len) == 0)
         || (i == 0 && tq_str_eq(raw, "-0")));
    tq_buf_free(&b);
}

static void
rejoin_object(const tq_json_val_t *v, tq_str_t text, int depth)
{
    size_t            pos = 0, n = 0;
    tq_str_t          quoted;
    tq_json_member_t  m;

    tq_buf_addc(&joined, '{');

    while (tq_json_next_member(v->raw, &pos, &m)) {
        must_be_inside(m.key, text);
        quoted.p = m.key.p - 1;
        quoted.len = m.key.len + 2;
        check_string(quoted);

        if (n < 40) {
            check_key(v->raw, n, &m);
        }

        tq_buf_adds(&joined, n++ ? "," : "");
        tq_buf_add(&joined, quoted.p, quoted.len);
        tq_buf_addc(&joined, ':');
        rejoin(&m.val, text, depth + 1);
    }

    tq_buf_addc(&joined, '}');
}

static void
rejoin(const tq_json_val_t *v, tq_str_t text, int depth)
{
    size_t         pos = 0, n = 0;
    int64_t        i;
    tq_json_val_t  item;

    MUST(depth <= TQ_JSON_DEPTH_MAX);
    MUST(v->raw.len > 0);
    must_be_inside(v->raw, text);

    if (v->type == TQ_JSON_OBJECT) {
        rejoin_object(v, text, depth);
        return;
    }

    if (v->type != TQ_JSON_ARRAY) {
        if (v->type == TQ_JSON_STRING) {
            check_string(v->raw);
        }

        if (tq_json_int64(v, &i) == 0) {
            check_integer(v->raw, i);
        }

        tq_buf_add(&joined, v->raw.p, v->raw.len);
        return;
    }

    tq_buf_addc(&joined, '[');
    while (tq_json_next_item(v->raw, &pos, &item)) {
        tq_buf_adds(&joined, n++ ? "," : "");
        rejoin(&item, text, depth + 1);
    }
    tq_buf_addc(&joined, ']');
}

/* The text without the space outside of strings. */
static void
strip(tq_str_t text, tq_buf_t *out)
{
    size_t  i;
    int     in = 0;

    for (i = 0; i < text.len; i++) {
        if (in && text.p[i] == '\\') {
            tq_buf_addc(out, text.p[i++]);
        } else if (text.p[i] == '"') {
            in = !in;
        } else if (!in && strchr(" \t\r\n", text.p[i]) != NULL) {
            continue;
        }
        tq_buf_addc(out, text.p[i]);
    }
}

/* cJSON cuts numbers at 63 characters, and then refuses what follows. */
static int
has_long_number(tq_str_t text)
{
    size_t  i, n = 0;

    for (i = 0; i < text.len; i++) {
        n = strchr("0123456789+-.eE", text.p[i]) != NULL ? n + 1 : 0;
        if (n > 60) {
            return 1;
        }
    }

    return 0;
}

static void
check_line(tq_str_t text)
{
    tq_buf_t       line = { 0 };
    tq_json_val_t  v;
    tq_json_err_t  err;

    tq_json_add_line(&line, text);
    MUST(line.len == text.len);
    MUST(memchr(line.p, '\n', line.len) == NULL);
    MUST(memchr(line.p, '\r', line.len) == NULL);
    MUST(tq_json_parse(line.p, line.len, &v, &err) == 0);

    tq_buf_reset(&line);
    tq_json_add_safe_line(&line, text);
    MUST(line.len >= text.len && memchr(line.p, '\n', line.len) == NULL);
    MUST(memmem(line.p, line.len, "\xc2\x85", 2) == NULL
         && memmem(line.p, line.len, "\xe2\x80\xa8", 3) == NULL
         && memmem(line.p, line.len, "\xe2\x80\xa9", 3) == NULL);
    MUST(tq_json_parse(line.p, line.len, &v, &err) == 0);
    tq_buf_free(&line);
}

/* What a visitor is shown, in turn, is what the iterators find. */
typedef struct {
    tq_str_t  in;             /* the array or object that is gone through */
    size_t    pos;
    tq_str_t  inner;          /* level 2: the members of the next item */
    size_t    inner_pos;
} visited_t;

static void
visited_member(void *data, const tq_json_member_t *m)
{
    visited_t         *w = data;
    tq_json_val_t      item;
    tq_json_member_t   n;

    if (w->in.p[0] == '{') {
        MUST(tq_json_next_member(w->in, &w->pos, &n));

    } else {
        if (w->inner.p == NULL) {
            MUST(tq_json_next_item(w->in, &w->pos, &item));
            MUST(item.type == TQ_JSON_OBJECT);
            w->inner = item.raw;
            w->inner_pos = 0;
        }
        MUST(tq_json_next_member(w->inner, &w->inner_pos, &n));
    }

    MUST(n.key.p == m->key.p && n.key.len == m->key.len);
    MUST(n.val.type == m->val.type && n.val.raw.p == m->val.raw.p
         && n.val.raw.len == m->val.raw.len);
}

static void
visited_item(void *data, const tq_json_val_t *v)
{
    visited_t         *w = data;
    tq_json_val_t      item;
    tq_json_member_t   n;

    if (w->inner.p) {
        MUST(!tq_json_next_member(w->inner, &w->inner_pos, &n));
        MUST(v->raw.p == w->inner.p && v->raw.len == w->inner.len);
        w->inner.p = NULL;
        return;
    }

    MUST(tq_json_next_item(w->in, &w->pos, &item));
    MUST(item.type == v->type && item.raw.p == v->raw.p
         && item.raw.len == v->raw.len);
}

static void
check_visit(tq_str_t text, const tq_json_val_t *top, int level)
{
    visited_t         w = { top->raw, 0, { NULL, 0 }, 0 };
    tq_json_val_t     v, item;
    tq_json_err_t     err;
    tq_json_visit_t   visit = { level, TQ_JSON_READ, 0, visited_member,
                                visited_item, &w };
    tq_json_member_t  m;

    MUST(tq_json_parse_visit(text.p, text.len, &v, &err, &visit) == 0);
    MUST(v.raw.p == top->raw.p && v.raw.len == top->raw.len);

    if (level == 1 && top->type == TQ_JSON_OBJECT) {
        MUST(!tq_json_next_member(w.in, &w.pos, &m));
    }

    if (level == 2 && top->type == TQ_JSON_ARRAY) {
        MUST(!tq_json_next_item(w.in, &w.pos, &item) && w.inner.p == NULL);
    }
}

/* What is accepted strictly is accepted as a payload, and that as a result; the
 * strings in there can be unescaped, whatever they hold. */
static int
check_carried(tq_str_t text)
{
    int             rc[3];
    size_t          pos = 0;
    char           *copy;
    tq_json_val_t   v, item;
    tq_json_err_t   err;

    rc[0] = tq_json_parse(text.p, text.len, &v, &err);
    rc[1] = tq_json_parse_as(TQ_JSON_PAYLOAD, text.p, text.len, &v, &err);
    rc[2] = tq_json_parse_as(TQ_JSON_RESULT, text.p, text.len, &v, &err);
    MUST(rc[0] <= rc[1] && rc[1] <= rc[2]);

    while (rc[2] == 0 && v.type == TQ_JSON_ARRAY
           && tq_json_next_item(v.raw, &pos, &item))
    {
        if (item.type == TQ_JSON_STRING) {
            copy = malloc(item.raw.len);
            MUST(copy != NULL);
            MUST(tq_json_unescape(item.raw, copy, item.raw.len) >= 0);
            free(copy);
        }
    }

    return rc[0];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cJSON          *tree;
    tq_buf_t        bare = { 0 };
    tq_str_t        text = { (const char *) data, size };
    tq_json_val_t   v;
    tq_json_err_t   err;

    if (check_carried(text) != 0) {
        (void) tq_json_parse(text.p, text.len, &v, &err);
        MUST(err.offset <= size);
        MUST(err.msg[0] != '\0' && !err.nomem);
        return 0;
    }

    MUST(tq_json_parse(text.p, text.len, &v, &err) == 0);
    tq_buf_reset(&joined);
    rejoin(&v, text, 0);
    strip(text, &bare);
    MUST(!joined.failed && !bare.failed);
    MUST(joined.len == bare.len);
    MUST(memcmp(joined.p, bare.p, bare.len) == 0);

    if (!has_long_number(text)) {
        tree = cJSON_Parse(tq_buf_cstr(&joined));
        MUST(tree != NULL);
        cJSON_Delete(tree);
    }

    check_line(text);
    check_visit(text, &v, 1);
    check_visit(text, &v, 2);
    tq_buf_free(&bare);

    return 0;
}
