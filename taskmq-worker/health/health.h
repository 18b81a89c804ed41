/*
 * health.h: is this worker well (for /healthz, the watchdog and the
 * heartbeat), and the small HTTP server of --listen that says it:
 * GET /healthz and GET /metrics.
 */

#ifndef TW_HEALTH_H
#define TW_HEALTH_H

#include "tq_doc.h"
#include "worker.h"

/* NULL: well. Else why not, static text. */
const char *tw_health_why(const tw_worker_t *w);

/* 1: jobs could be claimed and are not: only a restart helps. */
int tw_health_stuck(const tw_worker_t *w);

/* {"NAME":{"active":N,"idle":N},…}; the caller's, see tq_doc.h. */
cJSON *tw_health_pools(const tw_worker_t *w);

/* 0, or -1 after logging why not. where: HOST:PORT, [IPV6]:PORT. */
int tw_health_listen(tw_worker_t *w, const char *where);
void tw_health_close(void);

#endif /* TW_HEALTH_H */
