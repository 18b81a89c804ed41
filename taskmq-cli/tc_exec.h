/*
 * tc_exec.h: finding and starting the other programs of TaskMQ.
 */

#ifndef TC_EXEC_H
#define TC_EXEC_H

#include "tc.h"

/* Finds a file by its path from this program's folder, a build folder or the
 * bin/ that it was installed in. dst, or NULL: it is not there. */
const char *tc_beside(const char *name, char *dst, size_t size);

/* TaskMQ's environment, as both programs read it: refuses a TASKMQ_BACKEND
 * other than redis, checks --redis-url and --namespace and puts them there
 * (a URL may hold a password: it is not for argv). TC_OK or an exit code. */
int tc_environment(tc_t *tc);

/*
 * Runs argv until it ends, handing on INT, TERM, QUIT and HUP (an INT becomes
 * first_int, so that Ctrl-C can mean "finish what is in hand"). Returns its
 * exit code.
 */
int tc_supervise(tc_t *tc, char **argv, int first_int);

#endif /* TC_EXEC_H */
