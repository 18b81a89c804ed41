/* container.c: see container.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "container.h"
#include "launch.h"
#include "tw_base.h"
#include "owner.h"
#include "tool.h"
#include "tq_base.h"

#define SWEEP_MAX  100   /* containers removed by one command */

/* A list of strings that grows. */
typedef struct {
    char    **v;
    size_t    n, cap;
    int       failed;
} list_t;

/* A sweep of one runtime: `ps`, then `rm`. */
typedef struct {
    uv_loop_t  *loop;
    char      **runtime;
    char      **envp;
    list_t      orphans;
    unsigned    left;         /* run, and their worker is out of sight */
} sweep_t;

static void
add(list_t *l, const char *s)
{
    char  **v;

    if (l->n + 2 > l->cap) {
        v = realloc(l->v, (l->cap + 32) * sizeof(char *));
        if (v == NULL) {
            l->failed = 1;
            return;
        }
        l->v = v;
        l->cap += 32;
    }

    l->v[l->n] = strdup(s);
    if (l->v[l->n] == NULL) {
        l->failed = 1;
        return;
    }

    l->v[++l->n] = NULL;
}

static void
add_all(list_t *l, char *const *from)
{
    for (; from != NULL && *from != NULL; from++) {
        add(l, *from);
    }
}

/* NULL when it is not complete. */
static char **
take(list_t *l)
{
    if (l->failed) {
        tw_list_free(l->v);
        return NULL;
    }

    return l->v;
}

/* ---- the command line ---- */

static void
add_env(list_t *l, char *const *env)
{
    char  *name;

    for (; env != NULL && *env != NULL; env++) {
        add(l, "-e");

        /* these would change the runtime itself (launch.c leaves them out of
         * its environment): they go by its command line */
        if (tq_env_is_kept(*env)) {
            add(l, *env);
            continue;
        }

        /* by name only: a command line can be read by everybody */
        name = strndup(*env, strcspn(*env, "="));
        if (name == NULL) {
            l->failed = 1;
            return;
        }
        add(l, name);
        free(name);
    }
}

char **
tw_container_argv(const tw_handler_conf_t *conf, char ***kill_argv)
{
    static char  *docker[] = { "docker", NULL };
    char        **runtime = conf->runtime ? conf->runtime : docker;
    char          name[TW_OWNER_NAME_MAX], text[32];
    list_t        l = {0}, k = {0};

    tw_owner_name(name);
    add_all(&l, runtime);
    add(&l, "run");
    add(&l, "-i");
    add(&l, "--rm");
    add(&l, "--init");
    add(&l, "--name");
    add(&l, name);
    add(&l, "--stop-timeout");
    (void) snprintf(text, sizeof(text), "%d", TQ_KILL_WAIT_MS / 1000);
    add(&l, text);

    if (conf->memory_bytes != 0) {
        add(&l, "--memory");
        (void) snprintf(text, sizeof(text), "%lld",
            (long long) conf->memory_bytes);
        add(&l, text);
    }

    if (conf->user != NULL) {
        add(&l, "--user");
        add(&l, conf->user);
    }

    if (conf->workdir != NULL) {
        add(&l, "--workdir");
        add(&l, conf->workdir);
    }

    add_env(&l, conf->env);
    add_all(&l, conf->runtime_args);
    add(&l, conf->image);

    add_all(&k, runtime);
    add(&k, "kill");
    add(&k, "--signal");
    add(&k, "KILL");
    add(&k, name);

    *kill_argv = take(&k);

    return take(&l);
}

/* ---- what an earlier life left behind ---- */

static void
sweep_free(sweep_t *s)
{
    tw_list_free(s->orphans.v);
    tw_list_free(s->runtime);
    tw_list_free(s->envp);
    free(s);
}

/* Whether a container's status says that nothing runs in it any more. One that
 * is created and not started yet does not. */
static int
has_ended(const char *status, size_t len)
{
    return (len >= 6 && memcmp(status, "Exited", 6) == 0)
           || (len >= 4 && memcmp(status, "Dead", 4) == 0);
}

/* A name, a space, and the engine's status. */
static void
on_line(tw_child_t *c, void *data, tq_str_t line)
{
    char         name[TW_OWNER_NAME_MAX];
    size_t       len;
    sweep_t     *s = data;
    const char  *space = memchr(line.p, ' ', line.len);
    tw_owner_t   owner;

    (void) c;

    len = space != NULL ? (size_t) (space - line.p) : line.len;
    if (len >= sizeof(name)) {
        return;
    }

    owner = tw_owner_read(line.p, len);
    if (owner == TW_OWNER_UNSEEN) {
        if (space != NULL && has_ended(space + 1, line.len - len - 1)) {
            owner = TW_OWNER_DEAD;
        } else {
            s->left++;
        }
    }

    if (owner == TW_OWNER_DEAD && s->orphans.n < SWEEP_MAX) {
        memcpy(name, line.p, len);
        name[len] = '\0';
        add(&s->orphans, name);
    }
}

static void
on_err(tw_child_t *c, void *data, const char *p, size_t len)
{
    (void) c;
    (void) data;
    TW_LOG(TW_WARN, "container runtime", tw_fz("stderr",
        ((tq_str_t) { p, len })));
}

static void
on_removed(tw_child_t *c, void *data, const tw_exit_t *e)
{
    sweep_t  *s = data;

    (void) c;
    TW_LOG(e->status == 0 ? TW_INFO : TW_WARN,
        "containers of a dead worker removed",
        tw_fi("containers", (int64_t) s->orphans.n),
        tw_fi("status", e->status));
    sweep_free(s);
}

static void on_listed(tw_child_t *c, void *data, const tw_exit_t *e);

static const tw_child_events_t  list_events = {
    tw_tool_started, on_line, tw_tool_long_line, on_err, tw_tool_closed,
    on_listed
};

static const tw_child_events_t  remove_events = {
    tw_tool_started, tw_tool_line, tw_tool_long_line, on_err,
    tw_tool_closed, on_removed
};

/* Runs the runtime with these arguments. 0, or -1. */
static int
run(sweep_t *s, const char *const *args, char *const *more,
    const tw_child_events_t *events)
{
    int          err, rc = -1;
    char       **argv;
    list_t       l = {0};
    tw_launch_t  launch = { .spec = { .cgroup_fd = -1, .guard_fd = -1 } };

    add_all(&l, s->runtime);
    add_all(&l, (char *const *) args);
    add_all(&l, more);
    argv = take(&l);

    if (argv != NULL) {
        launch.spec.argv = argv;
        launch.spec.envp = s->envp;
        launch.spec.may_gain = 1;
        rc = tw_child_start(s->loop, &launch, events, s, &err) ? 0 : -1;
    }

    tw_list_free(argv);

    return rc;
}

static void
on_listed(tw_child_t *c, void *data, const tw_exit_t *e)
{
    static const char  *args[] = { "rm", "-f", NULL };
    sweep_t            *s = data;

    (void) c;

    if (e->start_step != NULL || e->status != 0) {
        TW_LOG(TW_WARN, "containers of dead workers cannot be listed",
            tw_fs("runtime", s->runtime[0]), tw_fi("status", e->status));
    }

    if (s->left != 0) {
        TW_LOG(TW_INFO, "containers of workers that cannot be seen from here "
            "are left alone", tw_fi("containers", (int64_t) s->left));
    }

    if (e->start_step != NULL || e->status != 0 || s->orphans.n == 0
        || run(s, args, s->orphans.v, &remove_events) != 0)
    {
        sweep_free(s);
    }
}

static void
sweep(uv_loop_t *loop, const tw_handler_conf_t *conf)
{
    static const char  *args[] = { "ps", "-a", "--filter", "name=taskmq-",
                                   "--format", "{{.Names}} {{.Status}}", NULL };
    static char        *docker[] = { "docker", NULL };
    sweep_t            *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return;
    }

    s->loop = loop;
    s->runtime = tw_list_copy(conf->runtime ? conf->runtime : docker);
    s->envp = tw_launch_env(conf);

    if (s->runtime == NULL || s->envp == NULL
        || run(s, args, NULL, &list_events) != 0)
    {
        sweep_free(s);
    }
}

static int
same_runtime(char *const *a, char *const *b)
{
    static char  *docker[] = { "docker", NULL };

    a = a ? a : docker;
    b = b ? b : docker;

    for (; *a != NULL && *b != NULL && strcmp(*a, *b) == 0; a++, b++) {
        /* void */
    }

    return *a == NULL && *b == NULL;
}

void
tw_container_sweep(uv_loop_t *loop, const tw_conf_t *conf)
{
    unsigned                  i, j;
    const tw_handler_conf_t  *one, *other;

    for (i = 0; i < conf->n; i++) {
        one = conf->h[i];
        if (one == NULL || one->kind != TW_KIND_IMAGE) {
            continue;
        }

        for (j = 0; j < i; j++) {
            other = conf->h[j];
            if (other != NULL && other->kind == TW_KIND_IMAGE
                && same_runtime(one->runtime, other->runtime))
            {
                break;
            }
        }

        if (j == i) {
            sweep(loop, one);
        }
    }
}
