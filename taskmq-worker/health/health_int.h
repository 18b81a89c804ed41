/* health_int.h: between health.c (texts) and health_http.c (server). */

#ifndef TW_HEALTH_INT_H
#define TW_HEALTH_INT_H

#include "health.h"
#include "tq_metrics.h"

void tw_health_json(tq_buf_t *b, const tw_worker_t *w);

/* This worker's own metrics; the namespace's come from Redis. */
void tw_health_metrics(tq_buf_t *b, const tw_worker_t *w);

#endif /* TW_HEALTH_INT_H */
