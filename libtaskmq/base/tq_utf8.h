/*
 * tq_utf8.h: one UTF-8 sequence at a time (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF), and which characters are not shown.
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
    const unsigned char  *p = (const unsigned char *) s;
    unsigned char         lo = 0x80, hi = 0xbf;
    int                   i, n;

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

/*
 * The code point of the valid sequence of n bytes at s if it is a control
 * character above U+007F (C1), a line separator, or one that changes the
 * direction of writing; else 0.
 */
static inline unsigned
tq_utf8_hidden(const char *s, int n)
{
    unsigned              c;
    const unsigned char  *p = (const unsigned char *) s;

    if (n == 2) {
        c = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);

        return c < 0xa0 || c == 0x61c ? c : 0;
    }

    if (n != 3 || p[0] != 0xe2) {
        return 0;
    }

    c = 0x2000u | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);

    return c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e)
           || (c >= 0x2066 && c <= 0x2069) ? c : 0;
}

#endif /* TQ_UTF8_H */
