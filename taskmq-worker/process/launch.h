/*
 * launch.h: how a handler of each kind becomes a process: its command line,
 * environment, limits, user and cgroup.
 */

#ifndef TW_LAUNCH_H
#define TW_LAUNCH_H

#include "spawn.h"
#include "tw_config.h"

typedef struct {
    tw_spawn_t    spec;
    char        **own_argv;   /* spec.argv, when it was made for this child */
    char        **kill_argv;  /* a program to run instead of KILL, or NULL */
    char         *cgroup;     /* of this child alone, or NULL */
} tw_launch_t;

/* Finds out how memory is limited on this machine, when a handler wants that:
 * it may move the worker into another cgroup. Once, when the guard runs. */
void tw_launch_limits(const tw_conf_t *conf);

/* For the next child of a handler; env: of tw_launch_env(). 0, or an errno with
 * *step what failed. */
int tw_launch_make(const tw_handler_conf_t *conf, char *const *env,
    tw_launch_t *l, const char **step);

/* Frees what is only needed until the child runs; the rest (kill_argv, cgroup)
 * only when it was not taken over (set NULL by who took it). */
void tw_launch_free(tw_launch_t *l);

/* The environment of a handler's children, and what says how its memory is
 * bound. out: NULL-terminated; free with tw_launch_env_free(). */
char **tw_launch_env(const tw_handler_conf_t *conf);
void tw_launch_env_free(char **env);

/* Logs once per handler which kind of memory limit is used. */
void tw_launch_say_limit(const tw_handler_conf_t *conf);

#endif /* TW_LAUNCH_H */
