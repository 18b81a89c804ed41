/* outq.c: see outq.h. */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outq.h"

#define LINES_PER_WRITE  256  /* under IOV_MAX; about one full pipe of small
                                 tasks */

int
tw_outq_init(tw_outq_t *q, unsigned cap)
{
    memset(q, 0, sizeof(*q));
    q->task = calloc(cap, sizeof(*q->task));
    q->cap = cap;

    return q->task != NULL ? 0 : -1;
}

void
tw_outq_free(tw_outq_t *q)
{
    free(q->task);
    q->task = NULL;
}

/* The i-th of those without an answer. */
static struct iovec *
at(const tw_outq_t *q, unsigned i)
{
    i += q->first;

    return &q->task[i < q->cap ? i : i - q->cap];
}

void
tw_outq_add(tw_outq_t *q, const char *p, size_t len)
{
    struct iovec  *v;

    assert(q->n < q->cap);
    v = at(q, q->n++);
    v->iov_base = (void *) p; /* writev() only reads it */
    v->iov_len = len;
}

/* So many bytes more are written. */
static void
advance(tw_outq_t *q, size_t bytes)
{
    size_t  left;

    q->written += bytes;

    while (bytes != 0) {
        left = at(q, q->whole)->iov_len - q->part;
        if (bytes < left) {
            q->part += bytes;
            return;
        }

        bytes -= left;
        q->part = 0;
        q->whole++;
    }
}

int
tw_outq_write(tw_outq_t *q, int fd)
{
    int           i, max;
    ssize_t       n;
    struct iovec  v[LINES_PER_WRITE];

    while (q->whole < q->n) {
        max = q->n - q->whole < LINES_PER_WRITE ? (int) (q->n - q->whole)
              : LINES_PER_WRITE;

        for (i = 0; i < max; i++) {
            v[i] = *at(q, q->whole + (unsigned) i);
        }
        v[0].iov_base = (char *) v[0].iov_base + q->part;
        v[0].iov_len -= q->part;

        n = writev(fd, v, max);
        if (n >= 0) {
            advance(q, (size_t) n);
        } else if (errno != EINTR) {
            return errno == EAGAIN ? 1 : -1;
        }
    }

    return 0;
}

int
tw_outq_pop(tw_outq_t *q)
{
    int  rc = 0;

    assert(q->n != 0);

    if (q->whole != 0) {
        q->written -= at(q, 0)->iov_len;
        q->whole--;
    } else {
        q->written = 0;
        q->part = 0;
        rc = -1;
    }

    q->first = q->first + 1 < q->cap ? q->first + 1 : 0;
    q->n--;

    return rc;
}
