/* tq_stdio.c: see tq_stdio.h. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tq_stdio.h"

int
tq_stdio_open(void)
{
    int               fd, got;
    /* 1 only for reading: an answer that nobody gets must not look given */
    static const int  modes[] = { O_RDONLY, O_RDONLY, O_WRONLY };

    for (fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) != -1 || errno != EBADF) {
            continue;
        }

        got = open("/dev/null", modes[fd]);

        if (got == -1) {
            /* a bare chroot: a folder, too, takes and gives no bytes */
            got = open("/", O_RDONLY | O_DIRECTORY);
        }

        if (got != fd) {
            return -1;
        }
    }

    return 0;
}

int
tq_stdio_end(void)
{
    int  lost;

    lost = ferror(stdout);
    errno = 0;

    return (fclose(stdout) != 0 || lost) ? -1 : 0;
}
