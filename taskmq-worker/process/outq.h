/*
 * outq.h: the tasks on their way to one process: those whose lines it has not
 * answered yet, in order, and how far they are written. Knows nothing of jobs,
 * and owns only its ring: a line stays its owner's, who keeps it as it is until
 * tw_outq_pop() has taken it out or nothing is written any more.
 */

#ifndef TW_OUTQ_H
#define TW_OUTQ_H

#include <stddef.h>
#include <sys/uio.h>

typedef struct {
    unsigned       cap;       /* tasks at most */
    unsigned       first, n;  /* those without an answer, the head first */
    unsigned       whole;     /* of them, written to the last byte */
    size_t         part;      /* bytes written of the next one */
    size_t         written;   /* bytes written of them all */
    struct iovec  *task;      /* ring of cap */
} tw_outq_t;

/* 0, or -1: out of memory. */
int tw_outq_init(tw_outq_t *q, unsigned cap);
void tw_outq_free(tw_outq_t *q);

/* There must be room. Writes nothing. */
void tw_outq_add(tw_outq_t *q, const char *p, size_t len);

/* Writes what is left to a non-blocking pipe, many lines per call. 0: all is
 * written; 1: the pipe is full; -1: nobody reads it, errno says more. */
int tw_outq_write(tw_outq_t *q, int fd);

/* The head was answered. 0, or -1: before its line was written whole, so that
 * what comes next would be taken for the rest of it. */
int tw_outq_pop(tw_outq_t *q);

/* The head is not written whole. */
static inline int
tw_outq_unwritten(const tw_outq_t *q)
{
    return q->n != 0 && q->whole == 0;
}

#endif /* TW_OUTQ_H */
