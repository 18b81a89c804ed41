/* owner.c: see owner.h. Names are taskmq-HOST-BOOT-SPACE-PID-START-N. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "owner.h"

/* Hashes; 0: not known. */
typedef struct {
    unsigned  host;
    unsigned  boot;
    unsigned  space;
} place_t;

#define HASH_START  2166136261u

static unsigned
hash_text(unsigned h, const char *s)
{
    for (; *s != '\0' && *s != '\n'; s++) {
        h = (h ^ (unsigned char) *s) * 16777619u;
    }

    return h;
}

static unsigned
boot_hash(void)
{
    char   text[128] = "";
    FILE  *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (f == NULL) {
        return 0;
    }

    if (fgets(text, sizeof(text), f) == NULL) {
        text[0] = '\0';
    }
    (void) fclose(f);

    return text[0] != '\0' ? hash_text(HASH_START, text) : 0;
}

static int
read_link(const char *path, char *dst, size_t size)
{
    ssize_t  n = readlink(path, dst, size - 1);

    dst[n > 0 ? n : 0] = '\0';

    return n > 0 ? 0 : -1;
}

/* Where pids and start times mean the same. A /proc of another pid namespace
 * knows other processes by our numbers: nothing is known then. */
static unsigned
space_hash(void)
{
    char      text[128];
    unsigned  h = HASH_START;

    if (read_link("/proc/self", text, sizeof(text)) != 0
        || strtol(text, NULL, 10) != (long) getpid()
        || read_link("/proc/self/ns/pid", text, sizeof(text)) != 0)
    {
        return 0;
    }
    h = hash_text(h, text);

    /* kernels before 5.6 have one time for all */
    (void) read_link("/proc/self/ns/time", text, sizeof(text));

    return hash_text(h, text);
}

static void
look_around(place_t *p)
{
    char  host[256] = "";

    (void) gethostname(host, sizeof(host) - 1);
    p->host = hash_text(HASH_START, host);
    p->boot = boot_hash();
    p->space = space_hash();
}

/* When the process started, in the kernel's ticks; 0: not known. */
static unsigned long long
start_time(long pid)
{
    int                  i;
    char                 path[64], text[1024], *p;
    FILE                *f;
    unsigned long long   t = 0;

    (void) snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    f = fopen(path, "re");
    if (f == NULL) {
        return 0;
    }

    if (fgets(text, sizeof(text), f) != NULL
        && (p = strrchr(text, ')')) != NULL)
    {
        /* field 22; the name in brackets was field 2 */
        for (i = 2; i < 22 && p != NULL; i++) {
            p = strchr(p + 1, ' ');
        }
        if (p != NULL) {
            t = strtoull(p, NULL, 10);
        }
    }

    (void) fclose(f);

    return t;
}

void
tw_owner_name(char dst[TW_OWNER_NAME_MAX])
{
    static unsigned  count;
    place_t          here;

    look_around(&here);
    (void) snprintf(dst, TW_OWNER_NAME_MAX,
        "taskmq-%08x-%08x-%08x-%d-%llu-%u", here.host, here.boot, here.space,
        (int) getpid(), start_time(getpid()), ++count);
}

tw_owner_t
tw_owner_read(const char *name, size_t len)
{
    int                  end = 0;
    char                 text[TW_OWNER_NAME_MAX];
    long                 pid;
    place_t              here, there;
    unsigned             n;
    unsigned long long   start, now;

    if (len >= sizeof(text)) {
        return TW_OWNER_NONE;
    }

    memcpy(text, name, len);
    text[len] = '\0';

    if (sscanf(text, "taskmq-%8x-%8x-%8x-%ld-%llu-%u%n", &there.host,
            &there.boot, &there.space, &pid, &start, &n, &end) != 6
        || text[end] != '\0' || pid <= 0)
    {
        return TW_OWNER_NONE;
    }

    look_around(&here);

    if (there.host != here.host) {
        return TW_OWNER_NONE;
    }

    if (there.boot == 0 || there.boot != here.boot || there.space == 0
        || there.space != here.space || start == 0)
    {
        return TW_OWNER_UNSEEN;
    }

    /* /proc may hide the processes of others (hidepid) */
    if (kill((pid_t) pid, 0) != 0 && errno == ESRCH) {
        return TW_OWNER_DEAD;
    }

    now = start_time(pid);

    return now != 0 && now != start ? TW_OWNER_DEAD : TW_OWNER_ALIVE;
}
