/*
 * tq_utf8.h: one UTF-8 sequence at a time (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). Used by tq_buf and tq_json only.
 */

#ifndef TQ_UTF8_H
#define TQ_UTF8_H

#include <stddef.h>

/*
 * The length (1..4) of the valid sequence at p, or minus the number of bytes
 * (1..3) that belong together and are none: what one U+FFFD stands for.
 * left, the bytes from p on, is at least 1.
 */
static inline int
tq_utf8_seq(const char *s, size_t left)
{
    const unsigned char *p = (const unsigned char *) s;
    unsigned char        lo = 0x80, hi = 0xbf;
    int                  i, n;

    if (p[0] < 0x80) {
        return 1;
    }

    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2;

    } else if ((p[0] & 0xf0) == 0xe0) {
        n = 3;
        lo = (p[0] == 0xe0) ? 0xa0 : 0x80;
        hi = (p[0] == 0xed) ? 0x9f : 0xbf;

    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4;
        lo = (p[0] == 0xf0) ? 0x90 : 0x80;
        hi = (p[0] == 0xf4) ? 0x8f : 0xbf;

    } else {
        return -1;
    }

    for (i = 1; i < n; i++) {
        if ((size_t) i >= left || p[i] < lo || p[i] > hi) {
            return -i;
        }
        lo = 0x80;
        hi = 0xbf;
    }

    return n;
}

#endif /* TQ_UTF8_H */
