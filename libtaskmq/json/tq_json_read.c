/*
 * tq_json_read.c: reads values out of text that tq_json_parse() has accepted.
 * It trusts the grammar, but never steps outside the slice it is given.
 */

#include <string.h>

#include "tq_json_int.h"

static const char *
tq_json_skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }

    return p;
}

/* tq_json_skip_string returns what follows the string that starts at p. */
static const char *
tq_json_skip_string(const char *p, const char *end)
{
    for (p++; ; p++) {
        p = tq_json_plain(p, end);

        while (p < end && (unsigned char) *p >= 0x80) {
            p++;
        }

        if (p >= end || *p == '"') {
            break;
        }

        if (*p == '\\') {
            p++;
        }
    }

    return p < end ? p + 1 : end;
}

/* tq_json_skip returns what follows the value that starts at p. */
static const char *
tq_json_skip(const char *p, const char *end)
{
    int  depth = 0;

    while (p < end) {
        switch (*p) {
        case '"':
            p = tq_json_skip_string(p, end);
            break;

        case '{':
        case '[':
            depth++;
            p++;
            continue;

        case '}':
        case ']':
            depth--;
            p++;
            break;

        default:
            if (depth == 0) {
                /* a number or a word: up to what cannot be part of one */
                do {
                    p++;
                } while (p < end && *p > ' ' && *p != ',' && *p != ']'
                         && *p != '}');
                return p;
            }
            p++;
            continue;
        }

        if (depth <= 0) {
            return p;
        }
    }

    return end;
}

/* tq_json_enter finds where the next item or key starts: NULL when there is
 * none. */
static const char *
tq_json_enter(tq_str_t in, size_t pos)
{
    const char  *p, *end = in.p + in.len;

    if (pos >= in.len) {
        return NULL;
    }

    p = tq_json_skip_space(in.p + pos + (pos == 0), end);

    if (p < end && *p == ',') {
        p = tq_json_skip_space(p + 1, end);
    }

    return p < end && *p != '}' && *p != ']' ? p : NULL;
}

int
tq_json_next_item(tq_str_t array, size_t *pos, tq_json_val_t *out)
{
    const char  *p, *end = array.p + array.len;

    p = tq_json_enter(array, *pos);
    if (p == NULL) {
        return 0;
    }

    out->type = tq_json_type(*p);
    out->raw.p = p;
    p = tq_json_skip(p, end);
    out->raw.len = (size_t) (p - out->raw.p);

    *pos = (size_t) (p - array.p);

    return 1;
}

int
tq_json_next_member(tq_str_t object, size_t *pos, tq_json_member_t *out)
{
    const char  *p, *key, *end = object.p + object.len;

    key = tq_json_enter(object, *pos);
    if (key == NULL) {
        return 0;
    }

    p = tq_json_skip_string(key, end);

    out->key.p = key + 1;
    out->key.len = (size_t) (p - key) > 2 ? (size_t) (p - key) - 2 : 0;

    p = tq_json_skip_space(p, end);
    if (p < end && *p == ':') {
        p = tq_json_skip_space(p + 1, end);
    }

    if (p == end) {
        return 0;
    }

    out->val.type = tq_json_type(*p);
    out->val.raw.p = p;
    p = tq_json_skip(p, end);
    out->val.raw.len = (size_t) (p - out->val.raw.p);

    *pos = (size_t) (p - object.p);

    return 1;
}

int
tq_json_find(tq_str_t object, const char *name, tq_json_val_t *out)
{
    size_t            pos = 0;
    tq_json_member_t  m;

    while (tq_json_next_member(object, &pos, &m)) {
        if (tq_json_key_eq(m.key, name)) {
            *out = m.val;
            return 1;
        }
    }

    return 0;
}

static unsigned
tq_json_hex(const char *p)
{
    int       i;
    unsigned  v = 0, c;

    for (i = 0; i < 4; i++) {
        c = (unsigned char) p[i];
        v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }

    return v & 0xffff;
}

static int
tq_json_put_utf8(unsigned u, char out[4])
{
    if (u < 0x80) {
        out[0] = (char) u;
        return 1;
    }

    if (u < 0x800) {
        out[0] = (char) (0xc0 | u >> 6);
        out[1] = (char) (0x80 | (u & 0x3f));
        return 2;
    }

    if (u < 0x10000) {
        out[0] = (char) (0xe0 | u >> 12);
        out[1] = (char) (0x80 | (u >> 6 & 0x3f));
        out[2] = (char) (0x80 | (u & 0x3f));
        return 3;
    }

    out[0] = (char) (0xf0 | u >> 18);
    out[1] = (char) (0x80 | (u >> 12 & 0x3f));
    out[2] = (char) (0x80 | (u >> 6 & 0x3f));
    out[3] = (char) (0x80 | (u & 0x3f));

    return 4;
}

/* tq_json_plain_char copies a character that stands for itself. */
static const char *
tq_json_plain_char(const char *p, const char *end, char out[4], int *n)
{
    unsigned char  c = (unsigned char) *p;
    int            i, len = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    if (len > end - p) {
        len = (int) (end - p);
    }

    for (i = 0; i < len; i++) {
        out[i] = p[i];
    }

    *n = len;

    return p + len;
}

const char *
tq_json_char(const char *p, const char *end, char out[4], int *n)
{
    unsigned  u, low;

    if (*p != '\\' || end - p < 2) {
        return tq_json_plain_char(p, end, out, n);
    }

    *n = 1;

    switch (p[1]) {
    case 'b':
        out[0] = '\b';
        return p + 2;
    case 'f':
        out[0] = '\f';
        return p + 2;
    case 'n':
        out[0] = '\n';
        return p + 2;
    case 'r':
        out[0] = '\r';
        return p + 2;
    case 't':
        out[0] = '\t';
        return p + 2;
    case 'u':
        break;
    default:
        out[0] = p[1];
        return p + 2;
    }

    if (end - p < 6) {
        out[0] = *p;
        return p + 1;
    }

    u = tq_json_hex(p + 2);
    p += 6;

    if (u >= 0xd800 && u <= 0xdfff) {
        low = u <= 0xdbff && end - p >= 6 && p[0] == '\\' && p[1] == 'u'
              ? tq_json_hex(p + 2) : 0;
        if (low >= 0xdc00 && low <= 0xdfff) {
            u = 0x10000 + ((u & 0x3ff) << 10 | (low & 0x3ff));
            p += 6;
        }
    }

    *n = tq_json_put_utf8(u, out);

    return p;
}

int
tq_json_key_eq(tq_str_t raw, const char *name)
{
    int          n;
    char         c[4];
    const char  *p = raw.p, *end = raw.p + raw.len;

    if (memchr(raw.p, '\\', raw.len) == NULL) {
        return tq_str_eq(raw, name);
    }

    while (p < end) {
        p = tq_json_char(p, end, c, &n);
        if (*name == '\0' || strncmp(name, c, (size_t) n) != 0) {
            return 0;
        }
        name += n;
    }

    return *name == '\0';
}

/* tq_json_copy unescapes p..end into dst as long as whole characters fit
 * beside a NUL. Returns the length, and in *rest where it stopped. */
static size_t
tq_json_copy(const char *p, const char *end, char *dst, size_t dst_size,
    const char **rest)
{
    int          n;
    char         c[4];
    size_t       len = 0;
    const char  *next;

    while (p < end) {
        next = tq_json_char(p, end, c, &n);
        if (n == 3 && (c[0] & 0xff) == 0xed && (c[1] & 0xff) >= 0xa0) {
            memcpy(c, "\xef\xbf\xbd", 3);      /* a lone surrogate */
        }
        if (len + (size_t) n >= dst_size) {
            break;
        }
        memcpy(dst + len, c, (size_t) n);
        len += (size_t) n;
        p = next;
    }

    dst[len] = '\0';
    *rest = p;

    return len;
}

long
tq_json_unescape(tq_str_t raw, char *dst, size_t dst_size)
{
    size_t       len;
    const char  *rest, *end;

    if (raw.len < 2 || dst_size == 0) {
        return -1;
    }

    end = raw.p + raw.len - 1;
    len = tq_json_copy(raw.p + 1, end, dst, dst_size, &rest);

    return rest == end ? (long) len : -1;
}

size_t
tq_json_key_text(tq_str_t raw, char *dst, size_t dst_size)
{
    const char  *rest;

    return tq_json_copy(raw.p, raw.p + raw.len, dst, dst_size, &rest);
}

int
tq_json_int64(const tq_json_val_t *v, int64_t *out)
{
    int          minus, d;
    int64_t      n = 0;
    const char  *p = v->raw.p, *end = p + v->raw.len;

    if (v->type != TQ_JSON_NUMBER) {
        return -1;
    }

    minus = (*p == '-');
    p += minus;

    if (p == end) {
        return -1;
    }

    /* counted downwards: INT64_MIN has no positive twin */
    for (; p < end; p++) {
        if (*p < '0' || *p > '9') {
            return -1;
        }

        d = *p - '0';
        if (n < (INT64_MIN + d) / 10) {
            return -1;
        }
        n = n * 10 - d;
    }

    if (!minus && n == INT64_MIN) {
        return -1;
    }

    *out = minus ? n : -n;

    return 0;
}

/* tq_json_one_line makes what was added from at on one line. */
static void
tq_json_one_line(tq_buf_t *b, size_t at)
{
    size_t  i;

    for (i = at; i < b->len; i++) {
        if (b->p[i] == '\n' || b->p[i] == '\r') {
            b->p[i] = ' ';
        }
    }
}

void
tq_json_add_line(tq_buf_t *b, tq_str_t raw)
{
    size_t  at = b->len;

    if (raw.len != 0) {
        tq_buf_add(b, raw.p, raw.len);
        tq_json_one_line(b, at);
    }
}

/* tq_json_cut tells whether some line reader cuts at what starts at p, a
 * character of more than one byte: how many bytes it has, or 0. */
static size_t
tq_json_cut(const char *p, const char *end)
{
    if (end - p >= 2 && memcmp(p, "\xc2\x85", 2) == 0) {
        return 2;
    }

    return end - p >= 3 && (memcmp(p, "\xe2\x80\xa8", 3) == 0
                            || memcmp(p, "\xe2\x80\xa9", 3) == 0) ? 3 : 0;
}

/* tq_json_escape_cuts appends p..end with those characters as escapes. They
 * can only be inside strings. */
static void
tq_json_escape_cuts(tq_buf_t *b, const char *p, const char *end)
{
    size_t       n;
    const char  *from = p;

    while (p < end) {
        n = (*p & 0xff) < 0xc2 ? 0 : tq_json_cut(p, end);
        if (n == 0) {
            p++;
            continue;
        }

        tq_buf_add(b, from, (size_t) (p - from));
        tq_buf_adds(b, n == 2 ? "\\u0085"
                       : (p[2] & 0xff) == 0xa8 ? "\\u2028" : "\\u2029");
        p += n;
        from = p;
    }

    tq_buf_add(b, from, (size_t) (p - from));
}

void
tq_json_add_safe_line(tq_buf_t *b, tq_str_t raw)
{
    size_t  at = b->len;

    /* hardly any text has them: two quick looks instead of a slow one */
    if (raw.len == 0
        || (memmem(raw.p, raw.len, "\xc2\x85", 2) == NULL
            && memmem(raw.p, raw.len, "\xe2\x80", 2) == NULL))
    {
        tq_json_add_line(b, raw);
        return;
    }

    tq_json_escape_cuts(b, raw.p, raw.p + raw.len);
    tq_json_one_line(b, at);
}
