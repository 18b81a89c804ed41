/*
 * out.c: everything the commands print.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tc.h"
#include "tq_base.h"

#define MESSAGE_BYTES  1024


/* A line on stderr. Text may be what others wrote: a file's line, an argument
 * that xargs took from somewhere. */
static void
complain(const char *lead, tq_str_t text)
{
    tq_buf_t  b = { 0 };

    tq_buf_adds(&b, lead);
    tq_text_add(&b, text.p, text.len);
    tq_buf_addc(&b, '\n');

    if (b.failed) {
        fprintf(stderr, "%sout of memory\n", lead);
    } else {
        fwrite(b.p, 1, b.len, stderr);
    }

    tq_buf_free(&b);
}


int
tc_error(const tc_t *tc, int code, const char *fmt, ...)
{
    va_list   args;
    tq_buf_t  b = { 0 }, message = { 0 };
    tq_str_t  text;

    va_start(args, fmt);
    tq_buf_addv(&message, fmt, args);
    va_end(args);

    text = message.failed ? tq_str("out of memory")
           : (tq_str_t) { message.p, tq_text_cut(message.p, message.len,
                                                 MESSAGE_BYTES) };

    if (tc->json) {
        tc_add_doc(&b, tq_doc_object({ "error", tq_doc_str(text) },
                                     { "exit", tq_doc_int(code) }));
        tq_buf_cstr(&b);
        fputs(b.failed ? "out of memory\n" : b.p, stderr);
        tq_buf_free(&b);

    } else {
        complain("taskmq: ", text);
    }

    tq_buf_free(&message);
    return code;
}


void
tc_warn(const tc_t *tc, const char *fmt, ...)
{
    va_list   args;
    char      lead[64];
    tq_buf_t  b = { 0 };

    va_start(args, fmt);
    tq_buf_addv(&b, fmt, args);
    va_end(args);

    snprintf(lead, sizeof(lead), "taskmq %s: ", tc->command);
    complain(lead, (tq_str_t) { b.p, b.len });
    tq_buf_free(&b);
}


static void
indent(tq_buf_t *b, int depth)
{
    tq_buf_addc(b, '\n');

    while (depth-- > 0) {
        tq_buf_adds(b, "  ");
    }
}


/* Spreads JSON over lines; between its tokens only. */
static void
spread(tq_buf_t *out, const tq_json_val_t *v, int depth)
{
    int               n = 0, object = v->type == TQ_JSON_OBJECT;
    size_t            pos = 0;
    tq_json_member_t  m;

    if (!object && v->type != TQ_JSON_ARRAY) {
        tq_buf_add(out, v->raw.p, v->raw.len);
        return;
    }

    tq_buf_addc(out, object ? '{' : '[');

    while (object ? tq_json_next_member(v->raw, &pos, &m)
           : tq_json_next_item(v->raw, &pos, &m.val))
    {
        tq_buf_adds(out, n++ ? "," : "");
        indent(out, depth + 1);

        if (object) {
            tq_buf_addc(out, '"');
            tq_buf_add(out, m.key.p, m.key.len);
            tq_buf_adds(out, "\": ");
        }

        spread(out, &m.val, depth + 1);
    }

    if (n != 0) {
        indent(out, depth);
    }

    tq_buf_addc(out, object ? '}' : ']');
}


/* The same JSON with what a terminal must not get as \uxxxx: it can only be
 * within strings. */
static void
make_harmless(tq_buf_t *b)
{
    tq_buf_t  out = { 0 };

    tq_text_add_json(&out, b->p, b->len);
    tq_buf_free(b);
    *b = out;
}


int
tc_print_json(tc_t *tc, tq_buf_t *b)
{
    tq_buf_t       pretty = { 0 };
    tq_json_val_t  top;
    tq_json_err_t  err;

    if (isatty(STDOUT_FILENO) && !b->failed) {
        make_harmless(b);

        /* what is too deep for it, or for memory, stays in one line */
        if (!b->failed && tq_json_parse_as(TQ_JSON_RESULT, b->p, b->len, &top,
                                           &err) == 0)
        {
            spread(&pretty, &top, 0);
            tq_buf_free(b);
            *b = pretty;
        }
    }

    tq_buf_addc(b, '\n');
    return tc_print(tc, b);
}


int
tc_print_doc(tc_t *tc, cJSON *doc)
{
    tq_buf_t  b = { 0 };

    tq_doc_print(&b, doc);
    return tc_print_json(tc, &b);
}


void
tc_add_doc(tq_buf_t *b, cJSON *doc)
{
    tq_doc_print(b, doc);
    tq_buf_addc(b, '\n');
}


static int
not_printed(const tc_t *tc, int e)
{
    return tc_error(tc, TC_FAILED, "standard output cannot be written%s%s",
                    e != 0 ? ": " : "", e != 0 ? strerror(e) : "");
}


int
tc_print(tc_t *tc, tq_buf_t *b)
{
    int  nomem;

    if (tc->json && !b->failed && isatty(STDOUT_FILENO)) {
        make_harmless(b);
    }

    nomem = b->failed;
    errno = 0;

    if (!nomem && b->len != 0) {
        (void) fwrite(b->p, 1, b->len, stdout);
    }

    tq_buf_free(b);

    if (nomem) {
        return tc_error(tc, TC_FAILED, "out of memory");
    }

    return (fflush(stdout) == 0 && !ferror(stdout)) ? TC_OK
           : not_printed(tc, errno);
}


int
tc_end(const tc_t *tc, int code)
{
    return (tq_stdio_end() == 0 || code != TC_OK) ? code
           : not_printed(tc, errno);
}


/* https://no-color.org: set to anything but nothing, it is obeyed. */
static int
has_colours(void)
{
    const char  *no, *term;

    no = getenv("NO_COLOR");
    term = getenv("TERM");

    return isatty(STDOUT_FILENO) && (no == NULL || *no == '\0')
           && term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
}


void
tc_add_word(tq_buf_t *b, int width, const char *word)
{
    size_t       i;
    const char  *code = "0";
    static const struct {
        const char  *word, *code;
    } colours[] = {
        { "SUCCESS", "32" }, { "FAILED", "31" }, { "RUNNING", "36" },
        { "PENDING", "33" }, { "SCHEDULED", "34" }, { "CANCELLED", "2" },
        { "ok", "32" }, { "note", "33" }, { "FAIL", "31" },
    };

    if (!has_colours()) {
        tq_buf_addf(b, "%-*s", width, word);
        return;
    }

    for (i = 0; i < sizeof(colours) / sizeof(colours[0]); i++) {
        if (strcmp(colours[i].word, word) == 0) {
            code = colours[i].code;
        }
    }

    tq_buf_addf(b, "\x1b[%sm%-*s\x1b[0m", code, width, word);
}


void
tc_add_cell(tq_buf_t *b, size_t width, tq_str_t s)
{
    size_t  end = b->len + width;

    tq_text_add(b, s.p, s.len);

    do {
        tq_buf_addc(b, ' ');
    } while (!b->failed && b->len <= end);
}


const char *
tc_time(int64_t ms, char dst[TQ_TIME_ISO_LEN + 1])
{
    if (ms == 0) {
        strcpy(dst, "-");
    } else {
        tq_time_format(ms, dst);
    }

    return dst;
}


int64_t
tc_now_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


void
tc_progress_start(const tc_t *tc, tc_progress_t *p, int64_t total)
{
    p->on = !tc->json && isatty(STDERR_FILENO);
    p->shown_ms = 0;
    p->total = total;
}


void
tc_progress(tc_progress_t *p, int64_t done, const char *what, int64_t count)
{
    int      filled;
    int64_t  now;

    if (!p->on) {
        return;
    }

    now = tc_now_ms();
    if (now - p->shown_ms < 100) {
        return;
    }
    p->shown_ms = now;

    if (p->total <= 0) {
        fprintf(stderr, "\r%lld %s\033[K", (long long) count, what);
        return;
    }

    if (done > p->total) {
        done = p->total;
    }

    filled = (int) (done * 30 / p->total);
    fprintf(stderr, "\r[%.*s%.*s] %3d%%  %lld %s\033[K",
            filled, "##############################",
            30 - filled, "..............................",
            (int) (done * 100 / p->total), (long long) count, what);
}


void
tc_progress_end(tc_progress_t *p)
{
    if (p->on && p->shown_ms != 0) {
        fputs("\r\033[K", stderr);
    }

    p->on = 0;
}
