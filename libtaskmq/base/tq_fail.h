/*
 * tq_fail.h: named failure points, for tests that kill a program exactly
 * there. Compiled out unless TQ_FAIL_POINTS is defined.
 *
 *     TQ_FAIL("claim-replied");
 *
 * With TASKMQ_FAIL=claim-replied:3 in the environment the process kills
 * itself (SIGKILL, no clean-up) when it passes the point for the third time.
 * Used from one thread.
 */

#ifndef TQ_FAIL_H
#define TQ_FAIL_H

#ifdef TQ_FAIL_POINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void
tq_fail_point(const char *name, unsigned *passed)
{
    const char  *want = getenv("TASKMQ_FAIL");
    size_t       n = strlen(name);

    if (want != NULL && strncmp(want, name, n) == 0 && want[n] == ':'
        && ++*passed == (unsigned) atoi(want + n + 1))
    {
        (void) kill(getpid(), SIGKILL);
    }
}

#define TQ_FAIL(name)                                                        \
    do {                                                                     \
        static unsigned  tq_fail_passed;                                     \
        tq_fail_point(name, &tq_fail_passed);                                \
    } while (0)

#else

#define TQ_FAIL(name)  ((void) 0)

#endif

#endif /* TQ_FAIL_H */
