/*
 * ids.c: jobs as arguments: a job id, or the job's task id, the UUID that the
 * TaskDaemon API and handlers know it by. Only the namespace's key turns one
 * into the other.
 */

#include <string.h>

#include "tc.h"


/* Whether it could be a task id of some namespace. */
static int
looks_like_task(const char *text)
{
    return strlen(text) == TQ_UUID_LEN
           && strspn(text, "0123456789abcdefABCDEF-") == TQ_UUID_LEN;
}


int
tc_id(tc_t *tc, const char *text, int64_t *id)
{
    if (tq_id_parse(text, strlen(text), id) == 0) {
        return 0;
    }

    if (looks_like_task(text)) {
        *id = 0;
        return 0;
    }

    tc_usage(tc, "\"%s\" is not a job id", text);
    return -1;
}


/* Asks for the key once. Where there is none (tc->uuid_known stays 0) nobody
 * has been given a task id yet, and no command needs to make one: Redis may be
 * a replica. TC_OK, or an exit code after saying why. */
static int
need_key(tc_t *tc)
{
    int                 code = TC_OK;
    const tq_result_t  *res;

    if (tc->uuid_known) {
        return TC_OK;
    }

    res = tc_run(tc, tq_uuid_peek_call(&tc->ns, NULL, NULL), &code);

    if (res != NULL && res->found) {
        memcpy(tc->uuid_key, res->key, TQ_UUID_KEY_LEN);
        tc->uuid_known = 1;
    }

    return code;
}


int
tc_id_find(tc_t *tc, const char *text, int64_t *id)
{
    int  code;

    if (tq_id_parse(text, strlen(text), id) == 0) {
        return TC_OK;
    }

    code = need_key(tc);

    if (code == TC_OK
        && (!tc->uuid_known
            || tq_uuid_parse(tc->uuid_key, text, strlen(text), id) != 0))
    {
        return tc_error(tc, TC_FAILED, "there is no job %s", text);
    }

    return code;
}


int
tc_task_id(tc_t *tc, int64_t id, char uuid[TQ_UUID_LEN + 1])
{
    int  code;

    code = need_key(tc);

    uuid[0] = '\0';

    if (code == TC_OK && tc->uuid_known) {
        tq_uuid_format(tc->uuid_key, id, uuid);
    }

    return code;
}
