/* config_read.c: see config_read.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_read.h"

void
tw_read_complain(tw_reader_t *r, int line, const char *text)
{
    r->failed = 1;
    tq_buf_addf(r->errors, "%s:%d: ", r->path, line);
    if (r->place[0] != '\0') {
        tq_buf_addf(r->errors, "%s: ", r->place);
    }
    tq_buf_adds(r->errors, text);
    tq_buf_addc(r->errors, '\n');
}

void
tw_read_open(const tq_json_val_t *v, tw_node_t *n)
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

int
tw_read_is(const tw_node_t *n, const char *kind)
{
    return n->kind.len == strlen(kind) + 2
           && memcmp(n->kind.p + 1, kind, n->kind.len - 2) == 0;
}

char *
tw_read_unescape(tq_str_t raw)
{
    char  *s = malloc(raw.len);

    if (s != NULL && tq_json_unescape(raw, s, raw.len) < 0) {
        free(s);
        s = NULL;
    }

    return s;
}

/* A copy of a string value, or NULL after a complaint. */
char *
tw_read_string(tw_reader_t *r, const tw_node_t *n, const char *expected)
{
    char  *s;

    if (!tw_read_is(n, "string")) {
        tw_read_complain(r, n->line, expected);
        return NULL;
    }

    s = tw_read_unescape(n->val.raw);
    if (s == NULL) {
        tw_read_complain(r, n->line, "out of memory");
    } else if (s[0] == '\0') {
        free(s);
        s = NULL;
        tw_read_complain(r, n->line, expected);
    }

    return s;
}

int64_t
tw_read_int(tw_reader_t *r, const tw_node_t *n, int64_t min, int64_t max)
{
    int64_t  v;
    char     text[96];

    if (tw_read_is(n, "integer") && tq_json_int64(&n->val, &v) == 0
        && v >= min && v <= max)
    {
        return v;
    }

    (void) snprintf(text, sizeof(text),
        "expected an integer from %lld to %lld", (long long) min,
        (long long) max);
    tw_read_complain(r, n->line, text);

    return min;
}

void
tw_list_free(char **list)
{
    char  **p;

    for (p = list; p != NULL && *p != NULL; p++) {
        free(*p);
    }

    free(list);
}

char **
tw_list_copy(char *const *list)
{
    char    **copy;
    size_t    i, n = 0;

    while (list[n] != NULL) {
        n++;
    }

    copy = calloc(n + 1, sizeof(char *));

    for (i = 0; copy != NULL && i < n; i++) {
        copy[i] = strdup(list[i]);
        if (copy[i] == NULL) {
            tw_list_free(copy);
            return NULL;
        }
    }

    return copy;
}

/* An array of strings, NULL-terminated; NULL after a complaint. */
char **
tw_read_list(tw_reader_t *r, const tw_node_t *n, const char *expected)
{
    char         **list;
    size_t         pos = 0, count = 0;
    tw_node_t         item;
    tq_json_val_t  v;

    if (!tw_read_is(n, "array")) {
        tw_read_complain(r, n->line, expected);
        return NULL;
    }

    while (tq_json_next_item(n->val.raw, &pos, &v)) {
        count++;
    }

    list = calloc(count + 1, sizeof(char *));
    if (list == NULL) {
        tw_read_complain(r, n->line, "out of memory");
        return NULL;
    }

    for (pos = 0, count = 0; tq_json_next_item(n->val.raw, &pos, &v);
         count++)
    {
        tw_read_open(&v, &item);
        list[count] = tw_read_is(&item, "string")
                      ? tw_read_unescape(item.val.raw) : NULL;
        if (list[count] == NULL) {
            tw_read_complain(r, item.line, expected);
            tw_list_free(list);
            return NULL;
        }
    }

    return list;
}
