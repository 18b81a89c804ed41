/*
 * tq_redis_resp.h: RESP written straight into memory that is large enough;
 * for tq_redis*.c and the enqueue builder, which reserve once per job.
 */

#ifndef TQ_REDIS_RESP_H
#define TQ_REDIS_RESP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A bulk string takes at most this much more than its bytes. */
#define TQ_RESP_EXTRA  26


/* Writes lead, v in decimal, CR LF: at most 23 bytes. Returns how many. */
static inline size_t
tq_resp_num(char *dst, char lead, uint64_t v)
{
    char    digits[20];
    size_t  i, n;

    i = sizeof(digits);
    do {
        digits[--i] = (char) ('0' + v % 10);
        v /= 10;
    } while (v != 0);

    n = sizeof(digits) - i;
    dst[0] = lead;
    memcpy(dst + 1, digits + i, n);
    dst[n + 1] = '\r';
    dst[n + 2] = '\n';

    return n + 3;
}


/* Writes one bulk string: at most len + TQ_RESP_EXTRA bytes. */
static inline size_t
tq_resp_bulk(char *dst, const void *p, size_t len)
{
    size_t  n;

    n = tq_resp_num(dst, '$', len);
    if (len != 0) {
        memcpy(dst + n, p, len);
        n += len;
    }
    dst[n] = '\r';
    dst[n + 1] = '\n';

    return n + 2;
}

#endif /* TQ_REDIS_RESP_H */
