/* library.c: see library.h; the function is described in
 * clients/c/taskmq_handler.h. */

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library.h"
#include "tq_json.h"

#define ENTRY  "taskmq_handle"

typedef int (*handle_t)(const char *task, size_t len, char **out);

/* Writes all of it. 0, or -1: nobody reads any more. */
static int
put(int fd, const char *p, size_t len)
{
    ssize_t  n;

    while (len != 0) {
        n = write(fd, p, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        p += n;
        len -= (size_t) n;
    }

    return 0;
}

/* Begins an answer with the id of the task, as the worker wrote it. */
static void
add_head(tq_buf_t *b, const char *status, const char *task)
{
    static const char  start[] = "{\"task_id\":\"";

    tq_buf_addf(b, "{\"status\":\"%s\",", status);

    if (strncmp(task, start, sizeof(start) - 1) == 0) {
        task += sizeof(start) - 1;
        tq_buf_adds(b, start + 1);
        tq_buf_add(b, task, strcspn(task, "\""));
        tq_buf_adds(b, "\",");
    }
}

static void
add_error(tq_buf_t *b, const char *task, const char *text, int retryable)
{
    add_head(b, "error", task);
    tq_buf_adds(b, "\"error\":");
    tq_buf_add_json(b, text, strlen(text));
    tq_buf_addf(b, ",\"retryable\":%s}\n", retryable ? "true" : "false");
}

/* The answer line for what the function returned. */
static void
add_answer(tq_buf_t *b, const char *task, int rc, const char *out)
{
    char           why[128];
    tq_json_val_t  v;
    tq_json_err_t  err;

    if (rc != 0) {
        add_error(b, task, out != NULL ? out : "the library reported an error "
            "without a text", rc > 0);
        return;
    }

    if (out == NULL) {
        add_head(b, "success", task);
        tq_buf_adds(b, "\"result\":null}\n");
        return;
    }

    if (tq_json_parse_as(TQ_JSON_RESULT, out, strlen(out), &v, &err) != 0) {
        (void) snprintf(why, sizeof(why), "the library's result cannot be "
            "read: %s at byte %zu", err.msg, err.offset);
        add_error(b, task, why, 0);
        return;
    }

    add_head(b, "success", task);
    tq_buf_adds(b, "\"result\":");
    tq_json_add_line(b, v.raw);
    tq_buf_adds(b, "}\n");
}

static handle_t
load(const char *path)
{
    union {
        void      *object;
        handle_t   function;  /* C has no cast between the two */
    } entry;
    void      *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    entry.object = lib != NULL ? dlsym(lib, ENTRY) : NULL;

    if (entry.object == NULL) {
        (void) fprintf(stderr, "%s\n", dlerror());
        return NULL;
    }

    return entry.function;
}

int
tw_run_library(const char *path)
{
    int        rc, fd;
    char      *line = NULL, *out;
    size_t     size = 0;
    ssize_t    n;
    tq_buf_t   b = {0};
    handle_t   handle;

    /* what the library prints goes to the log, not between the answers */
    fd = dup(STDOUT_FILENO);
    if (fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        perror("dup");
        return 1;
    }

    handle = load(path);
    if (handle == NULL) {
        return 1;
    }

    while ((n = getline(&line, &size, stdin)) > 0) {
        if (line[n - 1] == '\n') {
            line[--n] = '\0';
        }

        out = NULL;
        rc = handle(line, (size_t) n, &out);
        (void) fflush(stdout);
        tq_buf_reset(&b);
        add_answer(&b, line, rc, out);
        free(out);

        if (b.failed || put(fd, b.p, b.len) != 0) {
            return 1;
        }
    }

    free(line);
    tq_buf_free(&b);

    return 0;
}
