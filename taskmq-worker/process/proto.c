/* proto.c: see proto.h. */

#include <string.h>

#include "proto.h"
#include "tq_base.h"

#define NEAR_BYTES  32        /* of an unreadable answer, in the job's error */

void
tw_proto_task(tq_buf_t *out, const tw_task_t *t)
{
    /* a handler's name needs no escapes: [A-Za-z0-9_.-] */
    tq_buf_adds(out, "{\"task_id\":\"");
    tq_buf_adds(out, t->task_id);
    tq_buf_adds(out, "\",\"task_type\":\"");
    tq_buf_add(out, t->handler.p, t->handler.len);
    tq_buf_adds(out, "\",\"task_data\":");

    if (t->payload.len == 0) {
        tq_buf_adds(out, "{}");
    } else {
        tq_json_add_safe_line(out, t->payload);
    }

    tq_buf_adds(out, ",\"attempt\":");
    tq_buf_addi(out, t->attempt);

    if (t->extended) {
        tq_buf_adds(out, ",\"job_id\":");
        tq_buf_addi(out, t->job_id);
        tq_buf_adds(out, ",\"priority\":");
        tq_buf_addi(out, t->priority);
        tq_buf_adds(out, ",\"retries\":");
        tq_buf_addi(out, t->retries);
        tq_buf_adds(out, ",\"handler\":\"");
        tq_buf_add(out, t->handler.p, t->handler.len);
        tq_buf_addc(out, '"');
    }

    tq_buf_adds(out, "}\n");
}

/* The error's text: a string unescaped, anything else as its JSON. */
static void
read_error(const tq_json_val_t *v, tq_buf_t *out)
{
    long      n;
    tq_buf_t  text = {0};

    if (v->type != TQ_JSON_STRING) {
        tq_buf_add(out, v->raw.p, v->raw.len);

    } else if (tq_buf_reserve(&text, v->raw.len) == 0) {
        n = tq_json_unescape(v->raw, text.p, v->raw.len);
        tw_utf8_add(out, text.p, n > 0 ? (size_t) n : 0);
    }

    tq_buf_free(&text);
    out->len = tq_text_cut(out->p, out->len, TQ_ERROR_MAX_BYTES);
}

/* What is wrong, at which byte, and what stands there. */
static void
say_unreadable(tq_str_t line, const tq_answer_t *a, tq_buf_t *out)
{
    size_t  i;
    char    c;

    tq_buf_addf(out, "the answer cannot be read: %s at byte %zu", a->why,
        a->at);

    if (a->at < line.len) {
        tq_buf_adds(out, ", near: ");
    }

    for (i = a->at; i < line.len && i < a->at + NEAR_BYTES; i++) {
        c = line.p[i];
        tq_buf_addc(out, c >= ' ' && c <= '~' ? c : '?');
    }
}

/* 1: with more behind it, the line could have been read. */
static int
is_unfinished(tq_str_t line, size_t at)
{
    while (line.len != 0 && strchr(" \t\r", line.p[line.len - 1]) != NULL) {
        line.len--;
    }

    return at >= line.len || line.p[line.len - 1] != '}';
}

void
tw_proto_answer(tq_str_t line, tw_answer_t *out)
{
    tq_answer_t  a;

    memset(out, 0, sizeof(*out));
    out->wait_ms = -1;
    tq_answer_read(line, &a);

    switch (a.kind) {
    case TQ_ANSWER_NOISE:
        out->kind = TW_ANSWER_NONE;
        out->why = a.why;
        return;

    case TQ_ANSWER_SUCCESS:
        out->kind = TW_ANSWER_SUCCESS;
        out->result = a.result.raw;
        break;

    case TQ_ANSWER_UNREADABLE:
        out->kind = TW_ANSWER_ERROR;
        out->unreadable = 1;
        out->unfinished = is_unfinished(line, a.at);
        say_unreadable(line, &a, &out->error);
        return;

    case TQ_ANSWER_ERROR:
        out->kind = TW_ANSWER_ERROR;
        if (a.error.raw.len != 0 && a.error.type != TQ_JSON_NULL) {
            read_error(&a.error, &out->error);
        } else {
            tq_buf_adds(&out->error,
                "handler reported an error without a text");
        }
        out->retryable = a.retryable.raw.len != 0
                         && a.retryable.type == TQ_JSON_TRUE;
        break;
    }

    out->task_id = a.task_id;
}

/* Looks for the first byte of a too long line that is no space. */
static void
see_first(tw_lines_t *l, const char *p, size_t len)
{
    for (; !l->seen && len != 0; p++, len--) {
        if (*p != ' ' && *p != '\t' && *p != '\r') {
            l->first = *p;
            l->seen = 1;
        }
    }
}

/* Adds the start of a line, or drops it when the line is over the cap. */
static void
keep(tw_lines_t *l, const char *p, size_t len)
{
    if (l->skipped == 0) {
        if (l->part.len + len <= l->cap) {
            tq_buf_add(&l->part, p, len);
            if (!l->part.failed) {
                return;
            }
        }

        /* too long, or no memory for it: the same to its writer */
        l->first = '\0';
        l->seen = 0;
        see_first(l, l->part.p, l->part.len);
        l->skipped = l->part.len;
        tq_buf_free(&l->part);
    }

    see_first(l, p, len);
    l->skipped += len;
}

tw_line_t
tw_lines_next(tw_lines_t *l, const char **p, size_t *len, tq_str_t *line)
{
    size_t       n;
    const char  *nl;

    /* the line handed out by the last call is no longer needed */
    if (l->part.len != 0 && l->part.p[l->part.len - 1] == '\n') {
        if (l->part.cap > 64 * 1024) {
            tq_buf_free(&l->part);
        } else {
            tq_buf_reset(&l->part);
        }
    }

    if (*len == 0) {
        return TW_LINE_NONE;
    }

    nl = memchr(*p, '\n', *len);
    if (nl == NULL) {
        keep(l, *p, *len);
        *p += *len;
        *len = 0;
        return TW_LINE_NONE;
    }

    n = (size_t) (nl - *p);

    if (l->part.len == 0 && l->skipped == 0 && n <= l->cap) {
        line->p = *p;
        line->len = n;
        *p += n + 1;
        *len -= n + 1;
        return TW_LINE_OK;
    }

    if (n > 0 || l->skipped == 0) {
        keep(l, *p, n);
    }

    *p += n + 1;
    *len -= n + 1;

    if (l->skipped != 0) {
        line->p = &l->first;
        line->len = l->skipped;
        l->skipped = 0;
        return TW_LINE_TOO_LONG;
    }

    tq_buf_addc(&l->part, '\n');
    if (l->part.failed) {
        tq_buf_free(&l->part);
        line->p = &l->first;
        line->len = 0;
        l->first = '\0';
        return TW_LINE_TOO_LONG;
    }

    line->p = l->part.p;
    line->len = l->part.len - 1;

    return TW_LINE_OK;
}

size_t
tw_lines_pending(const tw_lines_t *l)
{
    if (l->skipped != 0) {
        return l->skipped;
    }

    if (l->part.len != 0 && l->part.p[l->part.len - 1] == '\n') {
        return 0;
    }

    return l->part.len;
}

void
tw_lines_free(tw_lines_t *l)
{
    tq_buf_free(&l->part);
    l->skipped = 0;
}

void
tw_tail_add(tq_buf_t *tail, size_t cap, const char *p, size_t len)
{
    if (len >= cap) {
        p += len - cap;
        len = cap;
        tail->len = 0;
    }

    /* moved only once per `cap` bytes, so a flood costs one copy each */
    if (tail->len + len > 2 * cap) {
        memmove(tail->p, tail->p + tail->len - cap, cap);
        tail->len = cap;
    }

    tq_buf_add(tail, p, len);
    tail->failed = 0;
}

tq_str_t
tw_tail_get(const tq_buf_t *tail, size_t cap)
{
    int       i;
    tq_str_t  s = { tail->p, tail->len };

    if (tail->len <= cap) {
        return s;
    }

    s.p += tail->len - cap;
    s.len = cap;

    /* not from the middle of a character */
    for (i = 0; i < 3 && s.len != 0 && ((unsigned char) *s.p & 0xc0) == 0x80;
         i++)
    {
        s.p++;
        s.len--;
    }

    return s;
}

void
tw_utf8_add(tq_buf_t *out, const char *s, size_t len)
{
    int     n;
    size_t  i = 0, from = 0;

    while (i < len) {
        n = s[i] == '\0' ? -1 : tq_utf8_seq(s + i, len - i);
        if (n > 0) {
            i += (size_t) n;
            continue;
        }

        tq_buf_add(out, s + from, i - from);
        tq_buf_adds(out, "\xef\xbf\xbd");
        i += (size_t) -n;
        from = i;
    }

    if (from < len) {
        tq_buf_add(out, s + from, len - from);
    }
}
