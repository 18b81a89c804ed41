/*
 * tq_base.h: the room below all others: buffers, text, time, addresses, task
 * ids, secrets, the environment, and the limits. It knows nothing of jobs or
 * of Redis, and needs no library but libc. This is the header that other rooms
 * include; each part says in its own what it owns and returns.
 */

#ifndef TQ_BASE_H
#define TQ_BASE_H

#include "tq_limits.h"

#include "tq_buf.h"
#include "tq_env.h"
#include "tq_fail.h"
#include "tq_secret.h"
#include "tq_stdio.h"
#include "tq_text.h"
#include "tq_time.h"
#include "tq_url.h"
#include "tq_utf8.h"
#include "tq_uuid.h"
#include "tq_version.h"

#endif /* TQ_BASE_H */
