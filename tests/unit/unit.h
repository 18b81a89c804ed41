/*
 * unit.h: cmocka with the headers it wants, and two helpers.
 */

#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define UNIT_COUNT(array)  (sizeof(array) / sizeof((array)[0]))

/*
 * A copy of s without its NUL in memory of its own size, so that the sanitizer
 * sees one byte too many being read. Freed by the caller.
 */
static inline char *
unit_exact(const char *s, size_t len)
{
    char  *p = malloc(len ? len : 1);

    assert_non_null(p);
    memcpy(p, s, len);

    return p;
}

#endif /* UNIT_H */
