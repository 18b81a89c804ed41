/*
 * cgroup.h: memory limits of children by cgroup v2, where this process may
 * make child cgroups with a memory controller (root in a container of its
 * own, or a service with Delegate=). Files of the cgroup file system do not
 * block.
 */

#ifndef TW_CGROUP_H
#define TW_CGROUP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Looks for it once; moves the worker, and its companion (a pid; -1: none),
 * into a cgroup below its own where that is needed. 0: tw_cgroup_new() works;
 * -1: it does not, *why says it. */
int tw_cgroup_init(pid_t companion, const char **why);

/* 1: this process' cgroup belongs to its user, who can move, freeze and end
 * what is in it. */
int tw_cgroup_is_ours(void);

/* The first half, for tests: base is a cgroup folder. */
int tw_cgroup_use(const char *base, pid_t companion, const char **why);

/* A cgroup for one child. Returns its path (malloc'ed) and *procs_fd, to be
 * entered by writing "0" (close-on-exec; the caller closes it). NULL with
 * errno. */
char *tw_cgroup_new(int64_t memory_bytes, int *procs_fd);

/* Its child is dead: ends what is left in it, removes it, frees the path.
 * Returns 1 when the kernel killed something in it for its memory. */
int tw_cgroup_end(char *path);

/* Back to where the worker was started; its companion has ended. */
void tw_cgroup_close(void);

#endif /* TW_CGROUP_H */
