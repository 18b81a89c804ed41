/*
 * container.h: `image` handlers: the command line of their runtime (docker,
 * podman or what works like them), and the removal of containers that a
 * killed worker of this machine left behind.
 */

#ifndef TW_CONTAINER_H
#define TW_CONTAINER_H

#include <uv.h>

#include "tw_config.h"

/*
 * `<runtime> run -i --rm --init …` for a container with a name of its own;
 * *kill_argv is what ends it at once (a KILL of the runtime would leave the
 * container). Both are lists for tw_list_free(). NULL: out of memory.
 */
char **tw_container_argv(const tw_handler_conf_t *conf, char ***kill_argv);

/* Looks for containers whose worker is dead for certain (owner.h), or that
 * ended while it is out of sight, with every runtime in use, and removes them.
 * Does not wait for it. */
void tw_container_sweep(uv_loop_t *loop, const tw_conf_t *conf);

#endif /* TW_CONTAINER_H */
