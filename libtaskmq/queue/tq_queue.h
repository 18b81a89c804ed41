/*
 * tq_queue.h: the queue's meaning: what a job is (tq_job.h), what can be done
 * with it in Redis (tq_ops.h), what a handler answers (tq_answer.h), and the
 * metrics (tq_metrics.h). No input or output: calls are handed to a connection
 * of redis/, which the program serves. This is the header that other rooms
 * include.
 */

#ifndef TQ_QUEUE_H
#define TQ_QUEUE_H

#include "tq_answer.h"
#include "tq_job.h"
#include "tq_metrics.h"
#include "tq_ops.h"

#endif /* TQ_QUEUE_H */
