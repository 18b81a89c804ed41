/* notify.c: see notify.h. */

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "notify.h"

static int                 notify_fd = -1;
static struct sockaddr_un  notify_to;
static socklen_t           notify_to_len;
static int64_t             watchdog_ms;

static void
send_text(const char *text)
{
    /* a full socket: systemd is busy, the next one says the same */
    if (notify_fd >= 0) {
        (void) sendto(notify_fd, text, strlen(text), MSG_DONTWAIT
            | MSG_NOSIGNAL, (struct sockaddr *) &notify_to, notify_to_len);
    }
}

void
tw_notify_init(void)
{
    size_t       n;
    const char  *path = getenv("NOTIFY_SOCKET");
    const char  *usec = getenv("WATCHDOG_USEC");
    const char  *pid = getenv("WATCHDOG_PID");

    if (usec != NULL && (pid == NULL || atol(pid) == (long) getpid())) {
        /* half of it, as sd_watchdog_enabled(3) advises */
        watchdog_ms = strtoll(usec, NULL, 10) / 2000;
    }

    n = path != NULL ? strlen(path) : 0;
    if (n > 1 && n < sizeof(notify_to.sun_path)
        && (path[0] == '/' || path[0] == '@'))
    {
        notify_to.sun_family = AF_UNIX;
        memcpy(notify_to.sun_path, path, n);
        if (path[0] == '@') {
            notify_to.sun_path[0] = '\0';
        }
        notify_to_len = (socklen_t) (offsetof(struct sockaddr_un, sun_path)
                                     + n);
        notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    }

    (void) unsetenv("NOTIFY_SOCKET");
    (void) unsetenv("WATCHDOG_USEC");
    (void) unsetenv("WATCHDOG_PID");
}

void
tw_notify_ready(void)
{
    send_text("READY=1\n");
}

void
tw_notify_reloading(void)
{
    char             text[64];
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);
    (void) snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld\n",
        (long long) ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
    send_text(text);
}

void
tw_notify_stopping(void)
{
    send_text("STOPPING=1\n");
}

void
tw_notify_status(const char *text)
{
    char  line[256];

    (void) snprintf(line, sizeof(line), "STATUS=%.200s\n", text);
    send_text(line);
}

void
tw_notify_watchdog(void)
{
    send_text("WATCHDOG=1\n");
}

int64_t
tw_notify_watchdog_ms(void)
{
    return notify_fd >= 0 ? watchdog_ms : 0;
}

void
tw_notify_close(void)
{
    if (notify_fd >= 0) {
        (void) close(notify_fd);
        notify_fd = -1;
    }
}
