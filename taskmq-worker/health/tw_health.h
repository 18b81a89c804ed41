/*
 * tw_health.h: is this worker well (for /healthz, the watchdog and the
 * heartbeat), and the small HTTP server of --listen that says it:
 * GET /healthz and GET /metrics.
 */

#ifndef TW_HEALTH_H
#define TW_HEALTH_H

#include "tw_queue.h"

/* NULL: well. Else why not, static text. */
const char *tw_health_why(const tw_queue_t *q);

/* 0, or -1 after logging why not. where: HOST:PORT, [IPV6]:PORT. */
int tw_health_listen(tw_queue_t *q, const char *where);
void tw_health_close(void);

#endif /* TW_HEALTH_H */
