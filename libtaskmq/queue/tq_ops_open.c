/*
 * tq_ops_open.c: the end of the handshake: whether Redis lets this program do
 * what it will do, all of it, and whether the namespace is one that it may
 * use. Both are known before anything is written.
 */

#include <stdio.h>
#include <string.h>

#include "tq_base.h"
#include "tq_layout.h"
#include "tq_ops_int.h"

#define TQ_OPEN_STEP    0
#define TQ_CREATE_STEP  1

#define TQ_PREFIX       "{}:"     /* stands for the namespace's */

/*
 * Commands that no script may ask about, in a form that does nothing: Redis
 * looks at the right to one before it looks at the arguments, of which one is
 * not a number.
 */
static const struct {
    const char  *right;
    const char  *words[4];
} tq_questions[] = {
    { "eval", { "EVAL", "", "x" } },
    { "bzpopmin", { "BZPOPMIN", TQ_PREFIX, "x" } },
    { "client|id", { "CLIENT", "ID" } },
    { "client|unblock", { "CLIENT", "UNBLOCK", "x" } },
};

#define TQ_QUESTIONS  (sizeof(tq_questions) / sizeof(tq_questions[0]))

static tq_call_t *tq_greet_call(const tq_greet_t *greet, const void *ns,
    unsigned step);
static tq_greeted_t tq_greet_judge(const tq_call_t *call,
    const redisReply *reply, char *why, size_t size);
static int tq_open_uses(const char *rights, const char *right);
static tq_call_t *tq_open_question(const tq_ns_t *ns, unsigned i);
static tq_greeted_t tq_open_answered(const redisReply *reply, char *why,
    size_t size);
static tq_greeted_t tq_open_schema(int64_t schema, char *why, size_t size);

const tq_greet_t  tq_greet_nginx = { tq_greet_call, tq_greet_judge,
                                     tq_rights_nginx };
const tq_greet_t  tq_greet_worker = { tq_greet_call, tq_greet_judge,
                                      tq_rights_worker };
const tq_greet_t  tq_greet_cli = { tq_greet_call, tq_greet_judge,
                                   tq_rights_cli };


/* Whether a command is one of those, which stand after a space each. */
static int
tq_open_uses(const char *rights, const char *right)
{
    size_t       n = strlen(right);
    const char  *p = rights;

    while ((p = strstr(p, right)) != NULL) {
        if (p[-1] == ' ' && (p[n] == ' ' || p[n] == '\0')) {
            return 1;
        }
        p += n;
    }

    return 0;
}


static tq_call_t *
tq_open_question(const tq_ns_t *ns, unsigned i)
{
    unsigned            n;
    tq_call_t          *call;
    const char *const  *words = tq_questions[i].words;

    call = tq_call_new(NULL, NULL, (void *) tq_questions[i].right);
    if (call == NULL) {
        return NULL;
    }

    for (n = 0; n < 4 && words[n] != NULL; n++) {
        if (strcmp(words[n], TQ_PREFIX) == 0) {
            tq_call_arg(call, ns->prefix, ns->len);
        } else {
            tq_call_args(call, words[n]);
        }
    }

    return tq_op_done(call);
}


static tq_call_t *
tq_greet_call(const tq_greet_t *greet, const void *ns, unsigned step)
{
    unsigned    i;
    tq_call_t  *call, *before = NULL;

    if (step == TQ_CREATE_STEP) {
        return tq_op_done(tq_op_new(&tq_script_create, ns, NULL, NULL, NULL));
    }

    for (i = 0; i < TQ_QUESTIONS; i++) {
        if (!tq_open_uses(greet->rights, tq_questions[i].right)) {
            continue;
        }

        call = tq_open_question(ns, i);
        if (call == NULL) {
            tq_call_free(before);
            return NULL;
        }

        call->before = before;
        before = call;
    }

    /* the last one: nothing is made before all have been answered */
    call = tq_op_new(&tq_script_open, ns, NULL, NULL, NULL);
    if (call == NULL) {
        tq_call_free(before);
        return NULL;
    }

    tq_call_args(call, greet->rights);
    call->before = before;

    return tq_op_done(call);
}


static tq_greeted_t
tq_greet_judge(const tq_call_t *call, const redisReply *reply, char *why,
    size_t size)
{
    int64_t  schema;

    if (call->script == NULL) {
        /* that the keys are others' is said when open is refused */
        if (tq_redis_err(reply) != TQ_ERR_NOPERM
            || strstr(reply->str, " key") != NULL)
        {
            return TQ_GREETED;
        }

        snprintf(why, size, "%s", (const char *) call->data);
        return TQ_GREET_LACKS;
    }

    if (call->script == &tq_script_open) {
        return tq_open_answered(reply, why, size);
    }

    if (tq_reply_count(reply, INT64_MAX, &schema) != 0) {
        schema = -1;
    }

    return tq_open_schema(schema, why, size);
}


/* The reply to open. */
static tq_greeted_t
tq_open_answered(const redisReply *reply, char *why, size_t size)
{
    int64_t   schema;
    tq_str_t  lacks, unknown;

    if (tq_reply_array(reply, 3) != 0
        || tq_reply_count(reply->element[0], INT64_MAX, &schema) != 0
        || tq_reply_str(reply->element[1], &lacks) != 0
        || tq_reply_str(reply->element[2], &unknown) != 0)
    {
        return tq_open_schema(-1, why, size);
    }

    if (lacks.len > 1) {
        tq_text_print(why, size, "%.*s", (int) lacks.len - 1, lacks.p + 1);
        return TQ_GREET_LACKS;
    }

    if (unknown.len > 1) {
        tq_text_print(why, size, "this Redis does not know %.*s: TaskMQ needs "
            "Redis 7.0 or later, or Valkey, with no command renamed",
            (int) (unknown.len < 64 ? unknown.len - 1 : 64), unknown.p + 1);
        return TQ_GREET_UNFIT;
    }

    return schema == 0 ? TQ_GREET_NEXT : tq_open_schema(schema, why, size);
}


/* -1: it could not be read. */
static tq_greeted_t
tq_open_schema(int64_t schema, char *why, size_t size)
{
    const char  *text;

    if (schema == TQ_SCHEMA) {
        return TQ_GREETED;
    }

    if (schema < 0) {
        text = "the namespace's schema cannot be read";

    } else if (schema < TQ_SCHEMA) {
        text = "this namespace was made by an older TaskMQ: let that one "
               "finish its jobs and delete its keys, or use another namespace";

    } else {
        text = "this namespace is a newer TaskMQ's: upgrade this program";
    }

    snprintf(why, size, "%s", text);

    return TQ_GREET_UNFIT;
}
