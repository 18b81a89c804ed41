/*
 * guard.h: a small process that outlives a killed worker just long enough to
 * kill what it leaves behind. The parent-death signal reaches only a worker's
 * own children; theirs, in the same process groups, are the guard's.
 *
 * It holds the reading end of a pipe. A child writes its process group there
 * before it execs, the worker writes the negative number when the group is
 * gone; the end of the file means that the worker is dead.
 */

#ifndef TW_GUARD_H
#define TW_GUARD_H

#include <sys/types.h>

/* Starts it. 0, or -1: children of children may outlive a killed worker. */
int tw_guard_start(void);

/* For tw_spawn_t.guard_fd; -1: there is none. */
int tw_guard_fd(void);

/* -1: there is none. */
pid_t tw_guard_pid(void);

/* A group is gone. */
void tw_guard_forget(pid_t group);

/* It must not be missed: called with every dead child that nobody knows. 1:
 * it was the guard, which is running again; its groups must be told anew by
 * tw_guard_add(). */
int tw_guard_died(pid_t pid);
void tw_guard_add(pid_t group);

/* A worker that ends well. */
void tw_guard_stop(void);

#endif /* TW_GUARD_H */
