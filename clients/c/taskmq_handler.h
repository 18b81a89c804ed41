/*
 * taskmq_handler.h: a handler as a shared object.
 *
 *     [handlers.resize]
 *     library = "/usr/lib/taskmq/resize.so"
 *
 * taskmq-worker runs it in processes of its own, so a crash, a leak or an
 * endless loop is only its job's. The object exports one function:
 */

#ifndef TASKMQ_HANDLER_H
#define TASKMQ_HANDLER_H

#include <stddef.h>

/*
 * Called once per task, never twice at a time in one process.
 *
 * task    one JSON object, NUL-terminated: {"task_id":…,"task_type":…,
 *         "task_data":{…},"attempt":1}
 * len     its length
 * out     set to malloc'ed text, which the caller frees, or left NULL
 *
 * Returns 0: success, *out is the result as JSON (NULL: null);
 *       > 0: error, *out is its text, the job's retry policy applies;
 *       < 0: error that trying again would not help.
 *
 * What it writes to stdout and stderr is the job's log.
 */
__attribute__((visibility("default")))
int taskmq_handle(const char *task, size_t len, char **out);

#endif /* TASKMQ_HANDLER_H */
