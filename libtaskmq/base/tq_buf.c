/*
 * tq_buf.c: the growing buffer. One allocation, doubled when it is full.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tq_buf.h"
#include "tq_utf8.h"

#define TQ_BUF_FIRST_BYTES  256

int
tq_buf_reserve(tq_buf_t *b, size_t n)
{
    char   *p;
    size_t  cap;

    if (b->failed) {
        return -1;
    }

    if (n <= b->cap - b->len) {
        return 0;
    }

    if (n > SIZE_MAX / 2 - b->len) {
        b->failed = 1;
        return -1;
    }

    cap = b->cap ? b->cap * 2 : TQ_BUF_FIRST_BYTES;
    if (cap < b->len + n) {
        cap = b->len + n;
    }

    p = realloc(b->p, cap);
    if (p == NULL) {
        b->failed = 1;
        return -1;
    }

    b->p = p;
    b->cap = cap;

    return 0;
}

void
tq_buf_add(tq_buf_t *b, const void *p, size_t n)
{
    if (n == 0 || tq_buf_reserve(b, n) != 0) {
        return;
    }

    memcpy(b->p + b->len, p, n);
    b->len += n;
}

void
tq_buf_adds(tq_buf_t *b, const char *cstr)
{
    tq_buf_add(b, cstr, strlen(cstr));
}

void
tq_buf_addc(tq_buf_t *b, char c)
{
    if (tq_buf_reserve(b, 1) == 0) {
        b->p[b->len++] = c;
    }
}

void
tq_buf_addi(tq_buf_t *b, int64_t v)
{
    char      tmp[20], *p = tmp + sizeof(tmp);
    uint64_t  u;

    /* the magnitude as unsigned: -INT64_MIN is no int64_t */
    u = v < 0 ? 0 - (uint64_t) v : (uint64_t) v;

    do {
        *--p = (char) ('0' + u % 10);
        u /= 10;
    } while (u);

    if (v < 0) {
        *--p = '-';
    }

    tq_buf_add(b, p, (size_t) (tmp + sizeof(tmp) - p));
}

void
tq_buf_addv(tq_buf_t *b, const char *fmt, va_list args)
{
    int      n;
    va_list  again;

    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);

    if (n < 0) {
        b->failed = 1;

    /* + 1: vsnprintf always writes its NUL */
    } else if (tq_buf_reserve(b, (size_t) n + 1) == 0) {
        (void) vsnprintf(b->p + b->len, (size_t) n + 1, fmt, again);
        b->len += (size_t) n;
    }

    va_end(again);
}

void
tq_buf_addf(tq_buf_t *b, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    tq_buf_addv(b, fmt, args);
    va_end(args);
}

static void
tq_buf_add_escape(tq_buf_t *b, unsigned c)
{
    static const char  hex[] = "0123456789abcdef";
    char               u[6] = { '\\', 'u', hex[c >> 12 & 15],
                                hex[c >> 8 & 15], hex[c >> 4 & 15],
                                hex[c & 15] };

    switch (c) {
    case '\0':
        tq_buf_add(b, "\xef\xbf\xbd", 3);
        break;
    case '"':
        tq_buf_add(b, "\\\"", 2);
        break;
    case '\\':
        tq_buf_add(b, "\\\\", 2);
        break;
    case '\n':
        tq_buf_add(b, "\\n", 2);
        break;
    case '\r':
        tq_buf_add(b, "\\r", 2);
        break;
    case '\t':
        tq_buf_add(b, "\\t", 2);
        break;
    default:
        tq_buf_add(b, u, sizeof(u));
    }
}

void
tq_buf_add_json(tq_buf_t *b, const char *s, size_t n)
{
    int            len;
    size_t         i = 0, from = 0;
    unsigned       hidden;
    unsigned char  c;

    tq_buf_addc(b, '"');

    while (i < n) {
        c = (unsigned char) s[i];

        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            i++;
            continue;
        }

        if (c >= 0x80) {
            len = tq_utf8_seq(s + i, n - i);
            hidden = len > 0 ? tq_utf8_hidden(s + i, len) : 0;
            if (len > 0 && hidden == 0) {
                i += (size_t) len;
                continue;
            }

            tq_buf_add(b, s + from, i - from);
            if (hidden != 0) {
                tq_buf_add_escape(b, hidden);
            } else {
                tq_buf_add(b, "\xef\xbf\xbd", 3);
            }
            i += (size_t) (len > 0 ? len : -len);

        } else {
            tq_buf_add(b, s + from, i - from);
            tq_buf_add_escape(b, c);
            i++;
        }

        from = i;
    }

    if (n > from) {
        tq_buf_add(b, s + from, n - from);
    }

    tq_buf_addc(b, '"');
}

const char *
tq_buf_cstr(tq_buf_t *b)
{
    if (tq_buf_reserve(b, 1) != 0) {
        return NULL;
    }

    b->p[b->len] = '\0';

    return b->p;
}

void
tq_buf_reset(tq_buf_t *b)
{
    b->len = 0;
    b->failed = 0;
}

void
tq_buf_free(tq_buf_t *b)
{
    free(b->p);
    memset(b, 0, sizeof(*b));
}

int
tq_str_eq(tq_str_t s, const char *cstr)
{
    size_t  n = strlen(cstr);

    return s.len == n && memcmp(s.p, cstr, n) == 0;
}
