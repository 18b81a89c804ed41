/*
 * log.h: the worker's own log, one line per event on stderr, as text or as
 * JSON. May be called from the loop's thread only.
 *
 * A line is never waited for: when stderr cannot take it now (a full pipe) it
 * is dropped and counted, and the next line that gets through says how many.
 *
 *     TW_LOG(TW_WARN, "job failed", tw_fi("job", id), tw_fs("error", text));
 */

#ifndef TW_LOG_H
#define TW_LOG_H

#include "tq_base.h"

typedef enum { TW_DEBUG, TW_INFO, TW_WARN, TW_ERROR } tw_level_t;

typedef struct {
    const char  *key;         /* NULL ends a list */
    const char  *s;           /* NULL: the number */
    size_t       len;
    int64_t      n;
} tw_field_t;

static inline tw_field_t
tw_fi(const char *key, int64_t n)
{
    return (tw_field_t) { key, NULL, 0, n };
}

/* text must not be NULL; use tw_fz for slices. */
static inline tw_field_t
tw_fs(const char *key, const char *text)
{
    return (tw_field_t) { key, text, __builtin_strlen(text), 0 };
}

static inline tw_field_t
tw_fz(const char *key, tq_str_t text)
{
    return (tw_field_t) { key, text.p ? text.p : "", text.len, 0 };
}

/* "debug", "info", "warn" or "warning", "error"; any case. 0, or -1. */
int tw_log_level(const char *name, tw_level_t *out);

/* From when on, and in which form. */
void tw_log_init(tw_level_t min, int json);

int tw_log_on(tw_level_t level);

/* fields[0] is not read (it keeps an empty list legal C). */
void tw_log_fields(tw_level_t level, const char *msg,
    const tw_field_t *fields);

/* A line of log for each line of the text, as a field. Empties the text. */
void tw_log_lines(tw_level_t level, const char *msg, const char *key,
    tq_buf_t *lines);

#define TW_LOG(level, msg, ...)                                              \
    do {                                                                     \
        if (tw_log_on(level)) {                                              \
            tw_log_fields(level, msg, (const tw_field_t[]) {                 \
                { "", 0, 0, 0 }, ##__VA_ARGS__, { NULL, 0, 0, 0 } });        \
        }                                                                    \
    } while (0)

#endif /* TW_LOG_H */
