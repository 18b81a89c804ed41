/*
 * fuzz_worker_line.c: what a handler may write: bytes into lines, lines into
 * answers. The first two bytes choose the cap and the size of the pieces.
 *
 * However the bytes are cut into pieces, the same lines come out, and they are
 * the bytes between the line feeds; a line that is too long is only counted.
 */

#include "fuzz.h"
#include "../../taskmq-worker/process/proto.c"

static tq_buf_t  whole;      /* what came out of all bytes at once */
static tq_buf_t  pieces;     /* and piece by piece */

static void
check_answer(tq_str_t line)
{
    size_t       cut;
    tw_answer_t  a;

    tw_proto_answer(line, &a);

    switch (a.kind) {
    case TW_ANSWER_SUCCESS:
        MUST(a.result.len == 0
             || (a.result.p >= line.p
                 && a.result.p + a.result.len <= line.p + line.len));
        break;
    case TW_ANSWER_ERROR:
        MUST(a.error.len <= TQ_ERROR_MAX_BYTES && !a.error.failed);
        cut = tq_text_cut(a.error.p, a.error.len, a.error.len / 2);
        MUST(cut <= a.error.len / 2);
        break;
    case TW_ANSWER_NONE:
        MUST(a.why != NULL);
        break;
    }

    tq_buf_free(&a.error);
}

static void
split(const char *p, size_t len, size_t cap, size_t step, tq_buf_t *out)
{
    size_t       n;
    tq_str_t     line;
    tw_line_t    rc;
    tw_lines_t   l = { .cap = cap };
    const char  *piece;

    tq_buf_reset(out);

    while (len != 0) {
        n = len < step ? len : step;
        piece = p;
        p += n;
        len -= n;

        while ((rc = tw_lines_next(&l, &piece, &n, &line)) != TW_LINE_NONE) {
            if (rc == TW_LINE_OK) {
                MUST(line.len <= cap);
                MUST(memchr(line.p, '\n', line.len) == NULL);
                check_answer(line);
                tq_buf_add(out, line.p, line.len);
                tq_buf_addc(out, '\n');
            } else {
                MUST(line.len > cap);
                tq_buf_addf(out, "long %zu %d\n", line.len, *line.p);
            }
        }
        MUST(n == 0);
    }

    tq_buf_addf(out, "left %zu", tw_lines_pending(&l));
    tw_lines_free(&l);
}

static void
check_text(const char *p, size_t len)
{
    size_t    cap = 64;
    tq_buf_t  tail = {0}, clean = {0}, again = {0};
    tq_str_t  s;

    tw_tail_add(&tail, cap, p, len / 3);
    tw_tail_add(&tail, cap, p + len / 3, len - len / 3);
    s = tw_tail_get(&tail, cap);
    MUST(s.len <= cap && s.len <= len);
    MUST(s.len == 0 || memcmp(s.p, p + len - s.len, s.len) == 0);

    /* what is clean stays as it is */
    tw_utf8_add(&clean, p, len);
    tw_utf8_add(&again, clean.p, clean.len);
    MUST(clean.len == again.len
         && (clean.len == 0 || memcmp(clean.p, again.p, clean.len) == 0));

    tq_buf_free(&tail);
    tq_buf_free(&clean);
    tq_buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t       cap, step;
    const char  *p;

    if (size < 2) {
        return 0;
    }

    cap = data[0] + 1;
    step = data[1] % 61 + 1;
    p = (const char *) data + 2;
    size -= 2;

    split(p, size, cap, size + 1, &whole);
    split(p, size, cap, step, &pieces);
    MUST(whole.len == pieces.len
         && memcmp(whole.p, pieces.p, whole.len) == 0);

    check_answer((tq_str_t) { p, size });
    check_text(p, size);

    return 0;
}
