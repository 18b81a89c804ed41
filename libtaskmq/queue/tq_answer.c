/* tq_answer.c: see tq_answer.h. */

#include <string.h>
#include <strings.h>

#include "tq_answer.h"

typedef struct {
    tq_answer_t    *a;
    tq_json_val_t   status;
    const char     *twice;    /* the second of two keys that are read */
    int             status_twice;
} tq_answer_seen_t;

static void
tq_answer_member(void *data, const tq_json_member_t *m)
{
    size_t             i;
    tq_answer_seen_t  *s = data;
    const struct {
        const char     *name;
        tq_json_val_t  *val;
    } t[] = {
        { "status", &s->status },
        { "result", &s->a->result },
        { "error", &s->a->error },
        { "retryable", &s->a->retryable },
        { "task_id", &s->a->task_id },
    };

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        if (!tq_json_key_eq(m->key, t[i].name)) {
            continue;
        }

        if (t[i].val->raw.p == NULL) {
            *t[i].val = m->val;
        } else if (s->twice == NULL) {
            s->twice = m->key.p - 1;
            s->status_twice = i == 0;
        }
        return;
    }
}

/* 1: a line like this was meant as an answer. A byte order mark is what some
 * runtimes write before their first one. */
static int
tq_answer_meant(tq_str_t line)
{
    const char  *p = line.p, *end = line.p + line.len;

    if (end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        p += 3;
    }

    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r')) {
        p++;
    }

    return p < end && *p == '{'
           && memmem(p, (size_t) (end - p), "\"status\"", 8) != NULL;
}

static void
tq_answer_status(const tq_answer_seen_t *s, const char *start)
{
    tq_answer_t  *a = s->a;

    a->kind = TQ_ANSWER_NOISE;

    if (s->status_twice) {
        /* which of the two is meant cannot be known */
        a->kind = TQ_ANSWER_UNREADABLE;

    } else if (s->status.raw.p == NULL || s->status.type != TQ_JSON_STRING) {
        a->why = "no \"status\"";

    } else if (tq_str_eq(s->status.raw, "\"success\"")) {
        a->kind = TQ_ANSWER_SUCCESS;

    } else if (tq_str_eq(s->status.raw, "\"error\"")) {
        a->kind = TQ_ANSWER_ERROR;

    } else {
        a->why = "\"status\" is neither \"success\" nor \"error\"";
    }

    if (a->kind != TQ_ANSWER_NOISE && s->twice != NULL) {
        a->kind = TQ_ANSWER_UNREADABLE;
        a->why = "duplicate key";
        a->at = (size_t) (s->twice - start);
    }
}

void
tq_answer_read(tq_str_t line, tq_answer_t *out)
{
    tq_json_val_t     top;
    tq_json_err_t     err;
    tq_answer_seen_t  seen = { .a = out };
    tq_json_visit_t   visit = { 1, TQ_JSON_RESULT, 1, tq_answer_member, NULL,
                                &seen };

    memset(out, 0, sizeof(*out));

    if (tq_json_parse_visit(line.p, line.len, &top, &err, &visit) != 0) {
        memset(out, 0, sizeof(*out));
        out->kind = tq_answer_meant(line) ? TQ_ANSWER_UNREADABLE
                                          : TQ_ANSWER_NOISE;
        out->why = out->kind == TQ_ANSWER_NOISE ? "not JSON" : err.msg;
        out->at = err.offset;

    } else if (top.type != TQ_JSON_OBJECT) {
        out->kind = TQ_ANSWER_NOISE;
        out->why = "not an object";

    } else {
        tq_answer_status(&seen, line.p);
    }
}

tq_answer_id_t
tq_answer_whose(const tq_json_val_t *task_id, const char *id)
{
    static const size_t  dashes[] = { 8, 13, 18, 23 };

    size_t       i;
    const char  *p;

    if (task_id->raw.p == NULL || task_id->type != TQ_JSON_STRING
        || task_id->raw.len != TQ_UUID_LEN + 2)
    {
        return TQ_ANSWER_ID_NONE;
    }

    p = task_id->raw.p + 1;

    for (i = 0; i < sizeof(dashes) / sizeof(dashes[0]); i++) {
        if (p[dashes[i]] != '-') {
            return TQ_ANSWER_ID_NONE;
        }
    }

    /* RFC 9562, 4: in either case */
    return strncasecmp(p, id, TQ_UUID_LEN) == 0 ? TQ_ANSWER_ID_RIGHT
                                                : TQ_ANSWER_ID_OTHER;
}
