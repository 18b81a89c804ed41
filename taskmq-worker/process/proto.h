/*
 * proto.h: the handler protocol, one JSON line each way. Pure functions: no
 * I/O, no clock, nothing kept but the unfinished line.
 */

#ifndef TW_PROTO_H
#define TW_PROTO_H

#include "tq_queue.h"
#include "tq_base.h"
#include "tq_json.h"

typedef struct {
    const char  *task_id;
    tq_str_t     handler;
    tq_str_t     payload;     /* a JSON object; empty: {} */
    int          attempt;     /* from 1 */

    int          extended;    /* protocol = "taskmq": the keys below too */
    int64_t      job_id;
    int          priority;
    int          retries;     /* attempts that failed before this one */
} tw_task_t;

/* Appends the task as one line with its \n. Memory: out->failed. */
void tw_proto_task(tq_buf_t *out, const tw_task_t *t);

typedef enum {
    TW_ANSWER_SUCCESS,
    TW_ANSWER_ERROR,
    TW_ANSWER_NONE            /* not an answer: to be logged and skipped */
} tw_answer_kind_t;

typedef struct {
    tw_answer_kind_t  kind;
    tq_str_t          result; /* success: raw JSON; empty: null */
    tq_buf_t          error;  /* error: its text, whole characters, cut to
                                 TQ_ERROR_MAX_BYTES; the caller frees it */
    int               retryable;
    int64_t           wait_ms;        /* error: a wait asked for; -1: none */
    const char       *why;    /* NONE: static text */
    tq_json_val_t     task_id;        /* no raw: missing */
    int               unreadable;     /* an ERROR that says so */
    int               unfinished;     /* and it could be the start of a
                                         readable one */
} tw_answer_t;

/* Reads one line (without \n). Slices point into it. *out needs no set-up;
 * out->error is freed by the caller whatever the kind. What was meant as an
 * answer and cannot be read is an error, not retryable. */
void tw_proto_answer(tq_str_t line, tw_answer_t *out);

/* ---- bytes into lines ---- */

typedef struct {
    tq_buf_t  part;           /* the unfinished line */
    size_t    cap;            /* longest line */
    size_t    skipped;        /* bytes of a too long line so far; 0: none */
    char      first;          /* its first byte that is no space */
    int       seen;           /* there was one */
} tw_lines_t;

typedef enum {
    TW_LINE_OK,
    TW_LINE_TOO_LONG,         /* its \n came: line.len is the real length,
                                 line.p is one byte, lines->first */
    TW_LINE_NONE              /* everything was taken up */
} tw_line_t;

/*
 * Takes the next line out of (*p, *len) and moves the two on. The line (no \n)
 * points into the input or into lines->part, and is valid until the next call.
 */
tw_line_t tw_lines_next(tw_lines_t *l, const char **p, size_t *len,
    tq_str_t *line);

/* Bytes of the line that has no \n yet. */
size_t tw_lines_pending(const tw_lines_t *l);

void tw_lines_free(tw_lines_t *l);

/* ---- the tail of a stream ---- */

/* Keeps the last `cap` bytes of what was added, at most twice that inside. */
void tw_tail_add(tq_buf_t *tail, size_t cap, const char *p, size_t len);
tq_str_t tw_tail_get(const tq_buf_t *tail, size_t cap);

/* Appends s with every byte that is not UTF-8, and every NUL, as U+FFFD. */
void tw_utf8_add(tq_buf_t *out, const char *s, size_t len);

#endif /* TW_PROTO_H */
