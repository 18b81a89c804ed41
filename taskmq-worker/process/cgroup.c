/* cgroup.c: see cgroup.h. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"

#define STALE_MAX  64         /* cgroups that could not be removed yet */
#define TAKEN_MAX  1000       /* names passed over because they are taken */

static char      base_dir[1024];
static char      own_dir[1100];   /* where the worker moved; "": it did not */
static unsigned  made;
static char     *stale[STALE_MAX];

/* 0, or an errno. O_CREAT does nothing on a cgroup file system; it lets tests
 * use any folder. */
static int
put(const char *dir, const char *file, const char *text)
{
    int      fd, err = 0;
    char     path[1300];
    ssize_t  n;

    (void) snprintf(path, sizeof(path), "%s/%s", dir, file);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return errno;
    }

    n = write(fd, text, strlen(text));
    if (n != (ssize_t) strlen(text)) {
        err = n < 0 ? errno : EIO;
    }

    (void) close(fd);

    return err;
}

/* The file's text, "" when there is none. */
static void
get(const char *dir, const char *file, char *dst, size_t size)
{
    int      fd;
    char     path[1300];
    ssize_t  n = 0;

    (void) snprintf(path, sizeof(path), "%s/%s", dir, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, dst, size - 1);
        (void) close(fd);
    }

    dst[n > 0 ? n : 0] = '\0';
}

static int
has_word(const char *text, const char *word)
{
    size_t       n = strlen(word);
    const char  *p = text;

    while ((p = strstr(p, word)) != NULL) {
        if ((p == text || p[-1] == ' ')
            && (p[n] == ' ' || p[n] == '\n' || p[n] == '\0'))
        {
            return 1;
        }
        p += n;
    }

    return 0;
}

/* 0, or an errno. */
static int
move(const char *dir, pid_t pid)
{
    char  text[16];

    (void) snprintf(text, sizeof(text), "%d", (int) pid);

    return put(dir, "cgroup.procs", text);
}

int
tw_cgroup_use(const char *base, pid_t companion, const char **why)
{
    int   err;
    char  text[1024];

    get(base, "cgroup.controllers", text, sizeof(text));
    if (!has_word(text, "memory")) {
        *why = "no memory controller in cgroup v2";
        return -1;
    }

    (void) snprintf(base_dir, sizeof(base_dir), "%s", base);

    get(base, "cgroup.subtree_control", text, sizeof(text));
    if (!has_word(text, "memory")) {
        /* a cgroup with processes cannot pass its controllers on */
        (void) snprintf(own_dir, sizeof(own_dir), "%s/worker", base);
        if (mkdir(own_dir, 0755) != 0 && errno != EEXIST) {
            own_dir[0] = '\0';
            base_dir[0] = '\0';
            *why = "the worker's cgroup is not its own (Delegate=yes)";
            return -1;
        }

        err = companion > 0 ? move(own_dir, companion) : 0;
        if (err == 0) {
            err = move(own_dir, getpid());
        }
        if (err == 0) {
            err = put(base, "cgroup.subtree_control", "+memory");
        }

        if (err != 0) {
            if (companion > 0) {
                (void) move(base, companion);
            }
            tw_cgroup_close();
            *why = "the worker's cgroup has other processes, or is not its "
                   "own";
            return -1;
        }
    }

    return 0;
}

/* The folder of the worker's cgroup in the v2 hierarchy. */
static int
find_base(char *dst, size_t size)
{
    FILE  *f;
    char   line[1024], path[512] = "", mount[512] = "";
    char   where[512], type[64];

    f = fopen("/proc/self/cgroup", "re");
    if (f == NULL) {
        return -1;
    }

    while (fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "0::", 3) == 0) {
            (void) sscanf(line + 3, "%511[^\n]", path);
        }
    }
    (void) fclose(f);

    f = fopen("/proc/self/mounts", "re");
    if (f == NULL) {
        return -1;
    }

    while (fgets(line, sizeof(line), f) != NULL) {
        if (mount[0] == '\0'
            && sscanf(line, "%*s %511s %63s", where, type) == 2
            && strcmp(type, "cgroup2") == 0)
        {
            (void) snprintf(mount, sizeof(mount), "%s", where);
        }
    }
    (void) fclose(f);

    if (path[0] != '/' || mount[0] == '\0') {
        return -1;
    }

    (void) snprintf(dst, size, "%s%s", mount, path[1] ? path : "");

    return 0;
}

int
tw_cgroup_init(pid_t companion, const char **why)
{
    char  base[1024];

    if (find_base(base, sizeof(base)) != 0) {
        *why = "no cgroup v2 here";
        return -1;
    }

    return tw_cgroup_use(base, companion, why);
}

int
tw_cgroup_is_ours(void)
{
    char  base[1024], procs[1100];

    if (find_base(base, sizeof(base)) != 0) {
        return 0;
    }

    (void) snprintf(procs, sizeof(procs), "%s/cgroup.procs", base);

    return access(procs, W_OK) == 0;
}

/* Cgroups are removed a moment after their last process was. */
static void
remove_stale(void)
{
    int  i;

    for (i = 0; i < STALE_MAX; i++) {
        if (stale[i] != NULL && (rmdir(stale[i]) == 0 || errno == ENOENT)) {
            free(stale[i]);
            stale[i] = NULL;
        }
    }
}

char *
tw_cgroup_new(int64_t memory_bytes, int *procs_fd)
{
    int   err, tries = TAKEN_MAX;
    char  path[1200], bytes[32], procs[1300];

    remove_stale();

    /* another worker's may have the name: pids repeat in other namespaces, and
     * one that was killed removed nothing */
    do {
        (void) snprintf(path, sizeof(path), "%s/child-%d-%u", base_dir,
            (int) getpid(), ++made);
        err = mkdir(path, 0755) == 0 ? 0 : errno;
    } while (err == EEXIST && --tries > 0);

    if (err != 0) {
        errno = err;
        return NULL;
    }

    (void) snprintf(bytes, sizeof(bytes), "%lld", (long long) memory_bytes);
    (void) snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);

    err = put(path, "memory.max", bytes);
    /* these two are as good as it gets, not there everywhere */
    (void) put(path, "memory.swap.max", "0");
    (void) put(path, "memory.oom.group", "1");

    if (err == 0) {
        *procs_fd = open(procs, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (*procs_fd >= 0) {
            return strdup(path);
        }
        err = errno;
    }

    (void) rmdir(path);
    errno = err;

    return NULL;
}

int
tw_cgroup_end(char *path)
{
    int          i;
    char         text[512];
    const char  *p;

    get(path, "memory.events", text, sizeof(text));
    p = strstr(text, "oom_kill ");

    (void) put(path, "cgroup.kill", "1");
    remove_stale();

    if (rmdir(path) == 0) {
        free(path);
        path = NULL;
    }

    for (i = 0; path != NULL && i < STALE_MAX; i++) {
        if (stale[i] == NULL) {
            stale[i] = path;
            path = NULL;
        }
    }

    free(path);

    return p != NULL && p[9] >= '1' && p[9] <= '9';
}

void
tw_cgroup_close(void)
{
    remove_stale();

    if (own_dir[0] != '\0') {
        (void) put(base_dir, "cgroup.subtree_control", "-memory");
        (void) move(base_dir, getpid());
        (void) rmdir(own_dir);
        own_dir[0] = '\0';
    }

    base_dir[0] = '\0';
}
