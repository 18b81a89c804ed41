/*
 * fail_alloc.h: makes allocations of the code under test fail. A test that
 * includes this is linked with --wrap (see tests.mk): malloc, calloc and
 * realloc of the test and of libtaskmq come here first.
 */

#ifndef FAIL_ALLOC_H
#define FAIL_ALLOC_H

#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

/* How many more allocations work; -1: all. */
static int  fail_alloc_after = -1;
/* How many were asked for since fail_alloc_from(). */
static int  fail_alloc_calls;

/* Lets n allocations work and the later ones fail; -1: none fails. */
static inline void
fail_alloc_from(int n)
{
    fail_alloc_after = n;
    fail_alloc_calls = 0;
}

static int
fail_alloc_now(void)
{
    fail_alloc_calls++;

    if (fail_alloc_after < 0) {
        return 0;
    }

    if (fail_alloc_after == 0) {
        return 1;
    }

    fail_alloc_after--;

    return 0;
}

void *
__wrap_malloc(size_t n)
{
    return fail_alloc_now() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return fail_alloc_now() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
    return fail_alloc_now() ? NULL : __real_realloc(p, n);
}

#endif /* FAIL_ALLOC_H */
