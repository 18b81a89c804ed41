/*
 * tq_metrics.h: Prometheus' text format, and the metrics of a namespace in it.
 * nginx and the worker show the same text. Everything is appended to a buffer;
 * check b->failed at the end.
 */

#ifndef TQ_METRICS_H
#define TQ_METRICS_H

#include "tq_ops.h"

#define TQ_METRICS_TYPE  "text/plain; version=0.0.4; charset=utf-8"

/* A label's value from a C string. */
tq_str_t tq_metrics_text(const char *cstr);

/* # HELP and # TYPE. type: "counter", "gauge", "histogram". */
void tq_metrics_head(tq_buf_t *b, const char *name, const char *type,
    const char *help);

/* One sample without, with one and with two labels. Values are escaped. */
void tq_metrics_value(tq_buf_t *b, const char *name, int64_t v);
void tq_metrics_value1(tq_buf_t *b, const char *name, const char *label,
    tq_str_t value, int64_t v);
void tq_metrics_value2(tq_buf_t *b, const char *name, const char *label1,
    tq_str_t value1, const char *label2, tq_str_t value2, int64_t v);

/*
 * A histogram's samples in seconds. bounds: n upper bounds, buckets: n + 1
 * counts (not cumulative, the last for +Inf), sum: all in units of 10^-digits
 * seconds (3: ms, 6: us).
 */
void tq_metrics_histogram(tq_buf_t *b, const char *name,
    const int64_t *bounds, size_t n, const int64_t *buckets, int64_t sum,
    int digits);

/* Appends v units of 10^-digits as a decimal number: 2500, 3 is "2.5". */
void tq_metrics_decimal(tq_buf_t *b, int64_t v, int digits);

/* All metrics of a namespace, under TaskMQ's and TaskDaemon's names, from what
 * tq_stats_call() read. */
void tq_metrics_namespace(tq_buf_t *b, const tq_result_t *res);

#endif /* TQ_METRICS_H */
