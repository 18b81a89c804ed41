/* tq_text.c: see tq_text.h. */

#include <string.h>

#include "tq_text.h"
#include "tq_utf8.h"

typedef enum {
    TQ_TEXT_LINE,
    TQ_TEXT_LINES,           /* \n and tabs stay */
    TQ_TEXT_JSON             /* the same, and all else as JSON writes it */
} tq_text_kind_t;

static void
tq_text_put(tq_buf_t *b, const char *s, size_t len, tq_text_kind_t kind)
{
    int            n, i;
    size_t         at, from;
    unsigned       hidden;
    unsigned char  c;

    from = 0;

    for (at = 0; at < len; at += (size_t) n) {
        c = (unsigned char) s[at];
        n = 1;

        if ((c >= 0x20 && c < 0x7f)
            || (kind != TQ_TEXT_LINE && (c == '\n' || c == '\t')))
        {
            continue;
        }

        hidden = 0;

        if (c >= 0x80) {
            n = tq_utf8_seq(s + at, len - at);
            hidden = n > 0 ? tq_utf8_hidden(s + at, n) : 0;

            if (n > 0 && hidden == 0) {
                continue;
            }
        }

        tq_buf_add(b, s + from, at - from);

        if (hidden != 0 || kind == TQ_TEXT_JSON) {
            tq_buf_addf(b, "\\u%04x", hidden != 0 ? hidden
                        : c < 0x80 ? c : 0xfffdu);
            n = n < 0 ? -n : n;
        } else {
            n = n < 0 ? -n : n;
            for (i = 0; i < n; i++) {
                tq_buf_addf(b, "\\x%02x", (unsigned char) s[at + (size_t) i]);
            }
        }

        from = at + (size_t) n;
    }

    if (from < len) {
        tq_buf_add(b, s + from, len - from);
    }
}

void
tq_text_add(tq_buf_t *b, const char *s, size_t len)
{
    tq_text_put(b, s, len, TQ_TEXT_LINE);
}

void
tq_text_add_lines(tq_buf_t *b, const char *s, size_t len)
{
    tq_text_put(b, s, len, TQ_TEXT_LINES);
}

void
tq_text_add_json(tq_buf_t *b, const char *json, size_t len)
{
    tq_text_put(b, json, len, TQ_TEXT_JSON);
}

void
tq_text_vprint(char *dst, size_t size, const char *fmt, va_list args)
{
    size_t    len;
    tq_buf_t  raw = { 0 }, b = { 0 };

    tq_buf_addv(&raw, fmt, args);
    tq_text_add(&b, raw.p, raw.len);

    if (raw.failed || b.failed) {
        tq_buf_reset(&b);
        tq_buf_adds(&b, "?");
    }

    len = b.len;

    if (len > size - 1) {
        len = tq_text_cut(b.p, len, size - 4);
        memcpy(dst + len, "...", 4);
    } else {
        dst[len] = '\0';
    }

    if (len != 0) {
        memcpy(dst, b.p, len);
    }

    tq_buf_free(&raw);
    tq_buf_free(&b);
}

void
tq_text_print(char *dst, size_t size, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    tq_text_vprint(dst, size, fmt, args);
    va_end(args);
}

size_t
tq_text_cut(const char *s, size_t len, size_t max)
{
    return len <= max ? len : tq_text_whole(s, max);
}

size_t
tq_text_whole(const char *s, size_t len)
{
    size_t         back, wanted;
    unsigned char  c;

    /* the last byte that begins a character; more than three after it are
     * no UTF-8, and then it is all the same where the cut is */
    for (back = 1; back <= 3 && back <= len; back++) {
        c = (unsigned char) s[len - back];

        if ((c & 0xc0) == 0x80) {
            continue;
        }

        wanted = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

        return wanted > back ? len - back : len;
    }

    return len;
}
