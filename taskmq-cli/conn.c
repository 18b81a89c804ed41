/*
 * conn.c: the one connection to Redis, opened by the first call, and what a
 * failed call means for the exit code.
 */

#include <stdlib.h>
#include <string.h>

#include "tc.h"


/* What no option gave; an empty variable counts as unset. */
static void
setting(const char **dst, const char *variable, const char *otherwise)
{
    if (*dst == NULL) {
        *dst = getenv(variable);

        if (*dst == NULL || **dst == '\0') {
            *dst = otherwise;
        }
    }
}


int
tc_connect(tc_t *tc)
{
    char         err[TQ_SYNC_ERR_BYTES];
    const char  *why;

    if (tc->redis != NULL) {
        return TC_OK;
    }

    setting(&tc->url, "TASKMQ_REDIS_URL", "redis://127.0.0.1:6379/0");
    setting(&tc->ns_name, "TASKMQ_NAMESPACE", "taskmq");

    if (tq_ns_init(&tc->ns, tc->ns_name, strlen(tc->ns_name)) != 0) {
        return tc_usage(tc, "\"%s\" is not a namespace: 1 to %d of A-Z a-z "
                        "0-9 _ . -", tc->ns_name, TQ_NAMESPACE_MAX);
    }

    /* The URL may hold a password: it is not printed. */
    if (tq_url_parse(tc->url, strlen(tc->url), &tc->where, &why) != 0) {
        return tc_usage(tc, "the Redis URL is not usable: %s", why);
    }

    tc->redis = tq_sync_open(&tc->where, &tc->ns, "taskmq-cli", tc->timeout_ms,
                             err);
    if (tc->redis == NULL) {
        return tc_error(tc, TC_UNAVAILABLE, "%s", err);
    }

    return TC_OK;
}


const tq_result_t *
tc_run(tc_t *tc, tq_call_t *call, int *code)
{
    const tq_result_t  *res;

    res = tq_sync_run(tc->redis, call);

    if (res->status == TQ_OK) {
        *code = TC_OK;
        return res;
    }

    if (res->odd) {
        *code = tc_error(tc, TC_FAILED, TC_ODD);

    } else if (res->status == TQ_UNKNOWN || res->half) {
        *code = tc_error(tc, TC_UNKNOWN, "%s: the outcome is unknown",
                         tq_sync_why(tc->redis));

    } else {
        *code = tc_error(tc, TC_UNAVAILABLE, "%s", tq_sync_why(tc->redis));
    }

    return NULL;
}
