/* config_check.c: what handlers need of this machine: their programs, folders
 * and libraries. For --check alone: a worker that runs tries again and again,
 * and what is missing may come. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "tw_base.h"

/* One handler being looked at. */
typedef struct {
    const char               *path;   /* of handlers.toml */
    const tw_handler_conf_t  *h;
    const char               *workdir;        /* of its programs; NULL: ours */
    tq_buf_t                 *errors;
} check_t;

static void
complain(const check_t *l, int line, const char *key, const char *expected,
    const char *found, const char *why)
{
    tq_buf_addf(l->errors, "%s:%d: handlers.%s.%s: expected %s, %s %s\n",
        l->path, line, l->h->name, key, expected, found, why);
}

/* dir/name as the child will see it: after its chdir(). NULL: no memory. */
static char *
join(const check_t *l, const char *dir, size_t n, const char *name)
{
    tq_buf_t  b = {0};

    if (l->workdir != NULL && (n != 0 ? dir[0] : name[0]) != '/') {
        tq_buf_adds(&b, l->workdir);
        tq_buf_addc(&b, '/');
    }

    if (n != 0) {
        tq_buf_add(&b, dir, n);
        tq_buf_addc(&b, '/');
    }

    tq_buf_adds(&b, name);

    return (char *) tq_buf_cstr(&b);
}

/* 0: a file that can be executed; else an errno. Takes file over. */
static int
executable(char *file)
{
    int          rc = 0;
    struct stat  st;

    if (file == NULL) {
        return ENOMEM;
    }

    if (stat(file, &st) != 0) {
        rc = errno;
    } else if (!S_ISREG(st.st_mode)
               || faccessat(AT_FDCWD, file, X_OK, AT_EACCESS) != 0)
    {
        rc = EACCES;
    }

    free(file);

    return rc;
}

/* As spawn.c looks for it: in env's PATH, else in the worker's. */
static int
in_path(const check_t *l, const char *name, char *const *env)
{
    int          rc, denied = 0;
    size_t       n;
    const char  *path = tw_path(env);

    for ( ;; path += n + 1) {
        n = strcspn(path, ":");
        rc = executable(n != 0 ? join(l, path, n, name)
                        : join(l, ".", 1, name));
        if (rc == 0) {
            return 0;
        }

        denied |= rc == EACCES;
        if (path[n] == '\0') {
            return denied ? EACCES : ENOENT;
        }
    }
}

static void
check_program(const check_t *l, int line, const char *key, const char *name,
    char *const *env)
{
    int  rc, slash = strchr(name, '/') != NULL;

    rc = slash ? executable(join(l, NULL, 0, name)) : in_path(l, name, env);

    if (rc == EACCES) {
        complain(l, line, key, "a program", name,
            "is not an executable file");
    } else if (rc != 0) {
        complain(l, line, key, "a program", name, slash ? "does not exist"
            : "is not in PATH");
    }
}

static void
check_workdir(const check_t *l)
{
    struct stat  st;

    if (stat(l->h->workdir, &st) != 0) {
        complain(l, l->h->workdir_line, "workdir", "a folder", l->h->workdir,
            errno == EACCES ? "may not be looked at" : "does not exist");
    } else if (!S_ISDIR(st.st_mode)) {
        complain(l, l->h->workdir_line, "workdir", "a folder", l->h->workdir,
            "is none");
    }
}

/* Not loaded here: that would run its code. A name without a slash is searched
 * for by the dynamic linker. */
static void
check_library(const check_t *l)
{
    char  *file;

    if (strchr(l->h->library, '/') == NULL) {
        return;
    }

    file = join(l, NULL, 0, l->h->library);
    if (file == NULL || access(file, R_OK) != 0) {
        complain(l, l->h->program_line, "library", "a shared object",
            l->h->library, file != NULL && errno == EACCES
            ? "may not be read" : "does not exist");
    }
    free(file);
}

static void
check_handler(check_t *l)
{
    const tw_handler_conf_t  *h = l->h;

    /* an image's folder is in the image */
    l->workdir = h->kind == TW_KIND_IMAGE ? NULL : h->workdir;

    if (l->workdir != NULL) {
        check_workdir(l);
    }

    switch (h->kind) {
    case TW_KIND_COMMAND:
        check_program(l, h->program_line, "command", h->argv[0], h->env);
        break;
    case TW_KIND_IMAGE:
        check_program(l, h->program_line, h->runtime != NULL ? "runtime"
            : "image", h->runtime != NULL ? h->runtime[0] : "docker", NULL);
        break;
    case TW_KIND_LIBRARY:
        check_library(l);
        break;
    case TW_KIND_URL:
    case TW_KIND_NOOP:
        break;
    }
}

int
tw_conf_check(const tw_conf_t *conf, const char *path, tq_buf_t *errors)
{
    unsigned  i;
    size_t    before = errors->len;
    check_t   l = { .path = path, .errors = errors };

    for (i = 0; i < conf->n; i++) {
        l.h = conf->h[i];
        check_handler(&l);
    }

    return errors->len == before ? 0 : -1;
}
