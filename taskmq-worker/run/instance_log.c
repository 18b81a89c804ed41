/* instance_log.c: what an instance's child writes beside its answers, in the
 * worker's log: a named number of lines a second of each sort. See
 * instance.h. */

#include <string.h>

#include "instance.h"

/* 1: one more line of this sort may be logged. */
static int
may_log(tw_instance_t *instance, tw_rate_t *r, const char *sort)
{
    int64_t  now = tw_pool_now(instance->pool);

    if (now - r->since_ms >= 1000) {
        if (r->dropped != 0) {
            TW_LOG(TW_WARN, "lines not logged",
                tw_fs("handler", tw_instance_conf(instance)->name),
                tw_fs("of", sort), tw_fi("lines", r->dropped));
        }
        r->since_ms = now;
        r->lines = 0;
        r->dropped = 0;
    }

    if (r->lines < TQ_CHILD_LINES_PER_S) {
        r->lines++;
        return 1;
    }

    r->dropped++;

    return 0;
}

void
tw_instance_skip(tw_instance_t *instance, tq_str_t line, size_t bytes,
    const char *why)
{
    instance->skipped++;
    instance->skipped_why = why;

    if (may_log(instance, &instance->out_rate, "stdout")) {
        TW_LOG(TW_WARN, "stdout line skipped",
            tw_fs("handler", tw_instance_conf(instance)->name),
            tw_fs("why", why),
            tw_fi("job", instance->slot ? instance->slot->id : 0),
            tw_fi("bytes", (int64_t) bytes), tw_fz("line", line));
    }
}

static void
log_line(tw_instance_t *instance, pid_t pid, tq_str_t line)
{
    if (may_log(instance, &instance->err_rate, "stderr")) {
        TW_LOG(TW_INFO, "stderr",
            tw_fs("handler", tw_instance_conf(instance)->name),
            tw_fi("pid", pid),
            tw_fi("job", instance->slot ? instance->slot->id : 0),
            tw_fz("line", line));
    }
}

void
tw_instance_stderr(tw_instance_t *instance, pid_t pid, const char *p,
    size_t len)
{
    size_t       n, whole;
    tq_buf_t    *b;
    const char  *nl;

    for (b = &instance->err_line; len != 0; p += n, len -= n) {
        nl = memchr(p, '\n', len);
        n = nl != NULL ? (size_t) (nl - p) : len;

        if (b->len + n > TQ_STDERR_LINE_BYTES) {
            n = TQ_STDERR_LINE_BYTES - b->len;
            nl = NULL;
        }

        tq_buf_add(b, p, n);

        if (nl != NULL) {
            n++;
            log_line(instance, pid, (tq_str_t) { b->p, b->len });
            tq_buf_reset(b);

        } else if (b->failed) {
            tq_buf_reset(b);

        } else if (b->len == TQ_STDERR_LINE_BYTES) {
            /* a part; a character at its end begins the next one */
            whole = tq_text_whole(b->p, b->len);
            log_line(instance, pid, (tq_str_t) { b->p, whole });
            memmove(b->p, b->p + whole, b->len - whole);
            b->len -= whole;
        }
    }
}
