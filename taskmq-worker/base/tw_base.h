/*
 * tw_base.h: what all rooms of the worker stand on: the log, systemd's
 * notifications, where programs are looked for, the loop's clock.
 */

#ifndef TW_BASE_H
#define TW_BASE_H

#include <uv.h>

#include "tq_base.h"
#include "log.h"
#include "notify.h"
#include "path.h"

/* The loop's clock, ms. */
static inline int64_t
tw_now(const uv_loop_t *loop)
{
    return (int64_t) uv_now(loop);
}

#endif /* TW_BASE_H */
