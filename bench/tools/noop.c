/*
 * noop.c: a library handler that does nothing, for the drain of a queue.
 */

#include "../../clients/c/taskmq_handler.h"

int
taskmq_handle(const char *task, size_t len, char **out)
{
    (void) task;
    (void) len;
    *out = NULL;

    return 0;
}
