/*
 * check_talk.c: tasks to the program that is checked, and its answers.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tc_check.h"

#define QUIET_MS  300            /* no answer may come unasked this long */
#define SHOWN     120            /* bytes of a line that is no answer */


void
tc_because(tc_check_t *k, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    tq_text_vprint(k->why, sizeof(k->why), fmt, args);
    va_end(args);
}


static int64_t
deadline(const tc_check_t *k)
{
    return tc_now_ms() + k->wait_s * 1000;
}


/* The last line that the handler wrote to stderr, for an explanation. */
void
tc_because_stderr(tc_check_t *k)
{
    size_t     len, used, start;
    tq_str_t   s;

    s = (tq_str_t) { k->child.said.p, k->child.said.len };

    while (s.len > 0 && s.p[s.len - 1] == '\n') {
        s.len--;
    }

    for (start = s.len; start > 0 && s.p[start - 1] != '\n'; start--) {
        /* void */
    }

    s.p += start;
    s.len -= start;

    used = strlen(k->why);
    len = sizeof(k->why) - used;

    if (s.len != 0 && len > 32) {
        tq_text_print(k->why + used, len, "; stderr: %.*s", (int) s.len, s.p);
    }
}


/* How a process ended, said in k->why. */
static void
because_ended(tc_check_t *k)
{
    if (!tc_child_finish(&k->child, tc_now_ms() + 1000)) {
        tc_because(k, "it closed its output but goes on");

    } else if (WIFSIGNALED(k->child.status)) {
        tc_because(k, "it died of signal %d (%s)", WTERMSIG(k->child.status),
                   strsignal(WTERMSIG(k->child.status)));

    } else {
        tc_because(k, "it ended with status %d", WEXITSTATUS(k->child.status));
    }

    tc_because_stderr(k);
}


int
tc_check_start(tc_check_t *k)
{
    int  e;

    k->came[0] = '\0';
    k->answered = 0;
    e = tc_child_start(&k->child, k->argv, k->env);
    if (e == 0) {
        return 0;
    }

    tc_because(k, "%s: %s", k->argv[0], strerror(e));
    k->cannot = 1;
    return -1;
}


static void
make_id(char id[TC_ID_LEN + 1], int number)
{
    (void) snprintf(id, TC_ID_LEN + 1, "00000000-0000-8000-8000-%012d",
                    number);
}


int
tc_check_send(tc_check_t *k, int number, int attempt, tq_str_t data)
{
    int       rc;
    char      id[TC_ID_LEN + 1];
    cJSON    *task;
    tq_buf_t  b = { 0 };

    make_id(id, number);
    tq_json_add_line(&b, data);
    task = tq_doc_object({ "task_id", tq_doc_text(id) },
                         { "task_type", tq_doc_text(k->type) },
                         { "task_data", tq_doc_raw((tq_str_t) { b.p, b.len }) },
                         { "attempt", tq_doc_int(attempt) });

    if (k->taskmq) {
        tq_doc_add(&task, "job_id", tq_doc_int(number));
        tq_doc_add(&task, "priority", tq_doc_int(10));
        tq_doc_add(&task, "retries", tq_doc_int(attempt - 1));
        tq_doc_add(&task, "handler", tq_doc_text(k->type));
    }

    b.len = 0;
    tc_add_doc(&b, task);
    rc = b.failed ? -1 : tc_child_send(&k->child, b.p, b.len, deadline(k));

    if (rc != 0) {
        tc_because(k, "it does not read its input");
        if (k->child.out == -1) {
            because_ended(k);
        }
    }

    tq_buf_free(&b);
    return rc;
}


/* 1: an answer, 0: not one (the worker would skip it), -1: an answer that is
 * not right; why is said. */
static int
read_answer(tc_check_t *k, tq_str_t line, tc_answer_t *a)
{
    char                  id[TC_ID_LEN + 1];
    tq_answer_t           r;
    const tq_json_val_t  *error = &r.error;

    memset(a, 0, sizeof(*a));
    a->retryable = -1;
    tq_answer_read(line, &r);

    if (r.kind == TQ_ANSWER_NOISE) {
        return 0;
    }

    if (r.kind == TQ_ANSWER_UNREADABLE) {
        tc_because(k, "an answer that cannot be read: %s at byte %zu", r.why,
                   r.at);
        return -1;
    }

    make_id(id, ++k->answered);

    if (tq_answer_whose(&r.task_id, id) == TQ_ANSWER_ID_OTHER) {
        tc_because(k, "the answer's \"task_id\" is not that of its task");
        return -1;
    }

    if (r.kind == TQ_ANSWER_SUCCESS) {
        a->success = 1;

        if (r.result.raw.len > TQ_RESULT_MAX_BYTES) {
            tc_because(k, "a result of %zu bytes; the limit is %d",
                       r.result.raw.len, TQ_RESULT_MAX_BYTES);
            return -1;
        }

        return 1;
    }

    if (error->raw.len == 0 || error->type == TQ_JSON_NULL) {
        a->no_text = 1;

    } else if (error->type != TQ_JSON_STRING) {
        tc_because(k, "status is \"error\", but \"error\" is not a text");
        return -1;

    } else if (error->raw.len <= TC_ERROR_SHOWN) {
        (void) tq_json_unescape(error->raw, a->error, sizeof(a->error));

    } else {
        snprintf(a->error, sizeof(a->error), "%.*s...",
                 (int) tq_text_cut(error->raw.p + 1, error->raw.len,
                                   TC_ERROR_SHOWN - 4), error->raw.p + 1);
    }

    k->errors_seen++;

    if (r.retryable.raw.len != 0) {
        if (r.retryable.type == TQ_JSON_TRUE
            || r.retryable.type == TQ_JSON_FALSE)
        {
            a->retryable = r.retryable.type == TQ_JSON_TRUE;
        } else {
            k->odd_retryable++;
        }
    }

    return 1;
}


/* A line of the handler's, for a reason. */
static void
show(char dst[TC_LINE_SHOWN], tq_str_t line)
{
    size_t  len = tq_text_cut(line.p, line.len, SHOWN);

    if (line.len == 0) {
        line = tq_str("(an empty line)");
        len = line.len;
    }

    tq_text_print(dst, TC_LINE_SHOWN, "%.*s%s", (int) len, line.p,
                  len < line.len ? "..." : "");
}


static void
noise(tc_check_t *k, tq_str_t line)
{
    k->noise++;

    if (k->came[0] == '\0') {
        show(k->came, line);
    }

    if (k->first_noise[0] == '\0') {
        show(k->first_noise, line);
    }
}


/* Adds the line that was refused to the reason. */
static void
because_came(tc_check_t *k)
{
    size_t  used = strlen(k->why);

    if (k->came[0] != '\0' && sizeof(k->why) - used > 32) {
        tq_text_print(k->why + used, sizeof(k->why) - used, "; came: %s",
            k->came);
    }
}


/* Waits for the answer; other lines are counted as noise. 0, or -1. */
int
tc_check_answer(tc_check_t *k, tc_answer_t *a)
{
    int        rc, others;
    int64_t    end;
    tq_str_t   line;

    end = deadline(k);
    others = k->noise;

    for ( ;; ) {
        switch (tc_child_line(&k->child, &line, end)) {

        case TC_CHILD_LINE:
            rc = read_answer(k, line, a);
            if (rc == 1) {
                return 0;
            }

            if (rc == -1) {
                show(k->came, line);
                because_came(k);
                return -1;
            }

            noise(k, line);
            continue;

        case TC_CHILD_LATE:
            others = k->noise - others;
            tc_because(k, "no answer within %lld s%s", (long long) k->wait_s,
                       others ? "; what came was no object with a \"status\" "
                       "of \"success\" or \"error\"" : "; is stdout flushed "
                       "after each line?");
            because_came(k);
            tc_because_stderr(k);
            return -1;

        case TC_CHILD_END:
        default:
            because_ended(k);
            because_came(k);
            return -1;
        }
    }
}


int
tc_check_nothing_more(tc_check_t *k, const char *when)
{
    int64_t      end;
    tq_str_t     line;
    tc_answer_t  a;

    end = tc_now_ms() + QUIET_MS;

    for ( ;; ) {
        switch (tc_child_line(&k->child, &line, end)) {

        case TC_CHILD_LINE:
            if (read_answer(k, line, &a) != 0) {
                tc_because(k, "an answer that nobody asked for, %s", when);
                show(k->came, line);
                because_came(k);
                return -1;
            }
            noise(k, line);
            continue;

        case TC_CHILD_LATE:
            return 0;

        case TC_CHILD_END:
        default:
            because_ended(k);
            return -2;
        }
    }
}


int
tc_check_exchange(tc_check_t *k, tq_str_t data, tc_answer_t *a)
{
    return tc_check_start(k) == 0 && tc_check_send(k, 1, 1, data) == 0
           && tc_check_answer(k, a) == 0 ? 0 : -1;
}


void
tc_check_extend(const tc_check_t *k, tq_buf_t *b)
{
    size_t            pos = 0;
    tq_json_member_t  m;

    tq_buf_add(b, k->data.p, k->data.len - 1);
    tq_buf_adds(b, tq_json_next_member(k->data, &pos, &m) ? "," : "");
    tq_buf_adds(b, "\"taskmq_check\":");
}
