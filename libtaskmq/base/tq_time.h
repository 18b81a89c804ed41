/*
 * tq_time.h: ISO 8601 / RFC 3339 dates, always UTC inside, in milliseconds
 * since 1970. No allocation, no locale, no global state.
 */

#ifndef TQ_TIME_H
#define TQ_TIME_H

#include "tq_buf.h"

#define TQ_TIME_ISO_LEN  24     /* 2026-11-22T10:36:35.123Z */

/*
 * Reads `YYYY-MM-DD[T| ]HH:MM[:SS[.fraction]][Z|±HH[[:]MM]]`, or a date
 * alone (T and Z also in lower case). Without an offset it is UTC; a fraction
 * is kept to milliseconds (cut, not rounded); a leap second (23:59:60 in UTC)
 * counts as the second after. Years 0 to 9999, in UTC; a time before 1970 is
 * negative.
 * 0, or -1 when it is not a date.
 */
int tq_time_parse(const char *p, size_t len, int64_t *ms);

/* Writes TQ_TIME_ISO_LEN bytes and a NUL. A time outside 1970 to 9999 comes
 * out as the nearest inside. */
void tq_time_format(int64_t ms, char dst[TQ_TIME_ISO_LEN + 1]);

#endif /* TQ_TIME_H */
