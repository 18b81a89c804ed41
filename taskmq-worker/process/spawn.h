/*
 * spawn.h: fork and exec of one handler process. Blocks only for the fork.
 */

#ifndef TW_SPAWN_H
#define TW_SPAWN_H

#include "fence.h"

typedef struct {
    const char       *file;   /* what to exec; NULL: argv[0], looked up in
                                 PATH of envp when it has no slash */
    char *const      *argv;   /* NULL-terminated */
    char *const      *envp;
    const char       *workdir;        /* NULL: stay */
    const tw_user_t  *user;           /* NULL: as we are */
    int64_t           memory_bytes;   /* RLIMIT_AS; 0: none */
    int               cgroup_fd;      /* cgroup.procs to enter; -1: none */
    int               guard_fd;       /* guard.h; -1: none */
    int               may_gain;       /* setuid programs keep working */
    const struct sock_fprog  *fence;  /* fence.h; NULL: none */
} tw_spawn_t;

typedef struct {
    pid_t  pid;
    int    in, out, err;      /* our ends, non-blocking, close-on-exec */
    int    report;            /* end of file: exec worked; else tw_report_t */
} tw_spawned_t;

/* What the child writes when it could not exec. */
typedef struct {
    int  step;                /* index for tw_spawn_step() */
    int  err;                 /* errno */
} tw_report_t;

/* 0, or an errno. */
int tw_spawn(const tw_spawn_t *spec, tw_spawned_t *out);

/* Raises this process' limit of open files as far as it may; children get the
 * old one back (programs that use select() break with more). Call it once. */
void tw_spawn_raise_files(void);

const char *tw_spawn_step(int step);

#endif /* TW_SPAWN_H */
