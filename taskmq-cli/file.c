/*
 * file.c: reading files that a person named.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tc.h"


int
tc_read_file(tc_t *tc, const char *path, size_t max, tq_buf_t *b)
{
    int       fd, code;
    ssize_t   n;

    if (strcmp(path, "-") == 0) {
        fd = STDIN_FILENO;
    } else {
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }

    if (fd == -1) {
        return tc_error(tc, TC_USAGE, "%s: %s", path, strerror(errno));
    }

    code = TC_OK;

    for ( ;; ) {
        if (tq_buf_reserve(b, 65536) != 0) {
            code = tc_error(tc, TC_FAILED, "out of memory");
            break;
        }

        n = read(fd, b->p + b->len, 65536);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n == -1) {
            code = tc_error(tc, TC_USAGE, "%s: %s", path, strerror(errno));
            break;
        }

        if (n == 0) {
            break;
        }

        b->len += (size_t) n;

        if (b->len > max) {
            code = tc_error(tc, TC_USAGE, "%s: larger than %zu bytes", path,
                            max);
            break;
        }
    }

    if (fd != STDIN_FILENO) {
        close(fd);
    }

    return code;
}
