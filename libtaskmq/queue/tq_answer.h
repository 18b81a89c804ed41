/*
 * tq_answer.h: a line that a handler wrote to stdout: its answer, or noise
 * (docs/handler-protocol.md). For the worker and `taskmq check-handler`.
 */

#ifndef TQ_ANSWER_H
#define TQ_ANSWER_H

#include "tq_json.h"

typedef enum {
    TQ_ANSWER_SUCCESS,
    TQ_ANSWER_ERROR,
    TQ_ANSWER_NOISE,          /* a library's log, a person's print */
    TQ_ANSWER_UNREADABLE      /* begins with {, holds "status", and is no JSON:
                                 it was meant as the answer */
} tq_answer_kind_t;

typedef struct {
    tq_answer_kind_t  kind;
    tq_json_val_t     result, error, retryable, task_id;  /* no raw: missing */
    const char       *why;    /* NOISE, UNREADABLE: static text */
    size_t            at;     /* UNREADABLE: the byte of the line */
} tq_answer_t;

/* Reads one line (without \n). Slices point into it. A result may be whatever
 * RFC 8259 allows. */
void tq_answer_read(tq_str_t line, tq_answer_t *out);

/* Whose answer a line says it is. A "task_id" that is no UUID is a field of the
 * handler's own, and says nothing. */
typedef enum {
    TQ_ANSWER_ID_NONE,        /* it has no "task_id" that is a UUID */
    TQ_ANSWER_ID_RIGHT,       /* this task's, in either case */
    TQ_ANSWER_ID_OTHER
} tq_answer_id_t;

/* id: TQ_UUID_LEN characters. */
tq_answer_id_t tq_answer_whose(const tq_json_val_t *task_id, const char *id);

#endif /* TQ_ANSWER_H */
