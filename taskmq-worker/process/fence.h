/*
 * fence.h: what keeps a handler of its worker's own user from stopping,
 * slowing down or limiting the worker: a filter of system calls (seccomp) in
 * the handler's processes. Calls that name a thread of the worker, its process
 * group, its guard or everybody of the user fail with EPERM; what a handler
 * asks for itself and its own processes stays as it was.
 *
 * Not thread-safe: the loop's thread only.
 */

#ifndef TW_FENCE_H
#define TW_FENCE_H

#include <linux/filter.h>
#include <sys/types.h>
#include <uv.h>

#include "tw_config.h"

/* Starts the threads that the worker will have, so that a fence knows them.
 * Once, after the loop was made. */
void tw_fence_start(uv_loop_t *loop);

/* For the next child: the threads as they are now, and the guard (-1: none).
 * 0 with *fence, which is valid until the next call, or NULL where this machine
 * has no such filter; or an errno. */
int tw_fence_make(pid_t guard, const struct sock_fprog **fence);

/* In the child, which has no_new_privs. Async-signal-safe. 0, or -1 with
 * errno. */
int tw_fence_enter(const struct sock_fprog *fence);

/* Logs a warning when handlers will have the worker's own user and could reach
 * it all the same, with the reason. */
void tw_fence_warn(const tw_conf_t *conf);

#endif /* TW_FENCE_H */
