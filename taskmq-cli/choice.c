/*
 * choice.c: which jobs: --status and --handler of the commands that list.
 */

#include <string.h>

#include "tc.h"


/* A tq_list_t's status by its name in any case, -1: no such. */
static int
read_status(const char *name)
{
    int  s;

    if (strcasecmp(name, "scheduled") == 0) {
        return TQ_LIST_SCHEDULED;
    }

    if (strcasecmp(name, "dead") == 0) {
        return TQ_STATE_FAILED;
    }

    for (s = TQ_STATE_PENDING; s <= TQ_STATE_CANCELLED; s++) {
        if (strcasecmp(name, tq_state_name(s)) == 0) {
            return s;
        }
    }

    return -1;
}


int
tc_choice(tc_t *tc, const char *status, const char *handler, tq_list_t *out)
{
    out->status = status != NULL ? read_status(status) : -1;

    if (status != NULL && out->status == -1) {
        return tc_usage(tc, "--status is pending, scheduled, running, "
                        "success, failed, dead or cancelled, not \"%s\"",
                        status);
    }

    if (handler != NULL) {
        if (!tq_handler_name_ok(handler, strlen(handler))) {
            return tc_usage(tc, "\"%s\" is not a handler's name", handler);
        }

        out->handler = (tq_str_t) { handler, strlen(handler) };
    }

    return TC_OK;
}
