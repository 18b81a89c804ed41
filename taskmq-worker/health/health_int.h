/* health_int.h: between health.c (texts) and health_http.c (server). */

#ifndef TW_HEALTH_INT_H
#define TW_HEALTH_INT_H

#include "tw_health.h"
#include "tq_queue.h"

void tw_health_json(tq_buf_t *b, const tw_queue_t *q);

/* This worker's own metrics; the namespace's come from Redis. */
void tw_health_metrics(tq_buf_t *b, const tw_queue_t *q);

#endif /* TW_HEALTH_INT_H */
