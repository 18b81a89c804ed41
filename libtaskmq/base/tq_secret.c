/* tq_secret.c: see tq_secret.h. */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tq_secret.h"

/* Whole pages for len bytes and a NUL. */
static size_t
tq_secret_pages(size_t len)
{
    size_t  page = (size_t) sysconf(_SC_PAGESIZE);

    return (len / page + 1) * page;
}


char *
tq_secret_new(const void *p, size_t len)
{
    char  *copy;

    copy = mmap(NULL, tq_secret_pages(len), PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED) {
        return NULL;
    }

    (void) madvise(copy, tq_secret_pages(len), MADV_DONTDUMP);

    if (len != 0) {
        memcpy(copy, p, len);
    }

    return copy;
}


void
tq_secret_free(char *p, size_t len)
{
    if (p != NULL) {
        /* a forked process has a copy of its own */
        explicit_bzero(p, len);
        (void) munmap(p, tq_secret_pages(len));
    }
}


void
tq_secret_no_dump(void)
{
    const char  *keep = getenv("TASKMQ_COREDUMP");

    if (keep == NULL || strcmp(keep, "1") != 0) {
        (void) prctl(PR_SET_DUMPABLE, 0);
    }
}
