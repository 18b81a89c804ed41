/*
 * tq_env.h: owns what a handler's environment is made of. taskmq-worker starts
 * handlers with it, and `taskmq check-handler` what it checks: a program that
 * passes there may lean on nothing that it will not have here.
 *
 * Nothing is kept between calls; not for several threads, as environ is not.
 */

#ifndef TQ_ENV_H
#define TQ_ENV_H

#include <stddef.h>

/* 1: "NAME=value" is one of the few variables that every handler gets. */
int tq_env_is_kept(const char *pair);

/* 1: len bytes that may be the name of one: letters, digits, _. */
int tq_env_name_ok(const char *name, size_t len);

/*
 * Those few of this process' variables and those named in more
 * (NULL-terminated, or NULL), and own's pairs (the same), which win. Nothing
 * else (TASKMQ_*, DAEMON_*) gets through. One malloc'ed block of pointers to
 * strings that are own's or environ's; free() it. NULL: out of memory.
 */
char **tq_env_make(char *const *own, const char *const *more);

#endif /* TQ_ENV_H */
