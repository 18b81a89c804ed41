/* launch.c: see launch.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "container.h"
#include "fence.h"
#include "guard.h"
#include "launch.h"
#include "tw_base.h"
#include "tq_base.h"

/* Why cgroups are not used; NULL: they are. */
static const char  *cgroup_why = "no handler had a memory_limit at the "
                                 "worker's start";

/* What a container's program needs to find its engine. */
static const char  *engine_env[] = {
    "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY", "CONTAINER_HOST", "CONTAINERS_CONF",
    "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME",
    "DBUS_SESSION_BUS_ADDRESS", NULL
};

static const char *
pair_of(char *const *env, const char *name)
{
    size_t  n = strlen(name);

    for (; env != NULL && *env != NULL; env++) {
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') {
            return *env;
        }
    }

    return NULL;
}

static char *
make_pair(const char *name, const char *value)
{
    tq_buf_t  b = {0};

    tq_buf_adds(&b, name);
    tq_buf_addc(&b, '=');
    tq_buf_adds(&b, value);

    return (char *) tq_buf_cstr(&b);
}

char **
tw_launch_env(const tw_handler_conf_t *conf)
{
    char    **own, **env, **copy;
    size_t    i, n = 0;
    char     *who[3] = { NULL, NULL, NULL };

    while (conf->env != NULL && conf->env[n] != NULL) {
        n++;
    }

    own = calloc(n + 4, sizeof(char *));
    if (own == NULL) {
        return NULL;
    }

    for (i = 0, n = 0; conf->env != NULL && conf->env[i] != NULL; i++) {
        /* a container's PATH is not its runtime's (container.c) */
        if (conf->kind != TW_KIND_IMAGE || !tq_env_is_kept(conf->env[i])) {
            own[n++] = conf->env[i];
        }
    }

    /* another user's home and name, unless env says otherwise */
    if (conf->as.name != NULL) {
        who[0] = make_pair("HOME", conf->as.home);
        who[1] = make_pair("USER", conf->as.name);
        who[2] = make_pair("LOGNAME", conf->as.name);

        for (i = 0; i < 3; i++) {
            static const char  *names[] = { "HOME", "USER", "LOGNAME" };

            if (who[i] != NULL && pair_of(conf->env, names[i]) == NULL) {
                own[n++] = who[i];
            }
        }
    }

    env = tq_env_make(own, conf->kind == TW_KIND_IMAGE ? engine_env : NULL);
    free(own);

    /* one that owns its strings: the configuration may go before it */
    copy = env != NULL ? tw_list_copy(env) : NULL;
    free(env);
    for (i = 0; i < 3; i++) {
        free(who[i]);
    }

    return copy;
}

void
tw_launch_env_free(char **env)
{
    tw_list_free(env);
}

void
tw_launch_limits(const tw_conf_t *conf)
{
    unsigned  i;

    for (i = 0; i < conf->n; i++) {
        if (conf->h[i]->memory_bytes != 0
            && conf->h[i]->kind != TW_KIND_IMAGE)
        {
            if (tw_cgroup_init(tw_guard_pid(), &cgroup_why) == 0) {
                cgroup_why = NULL;
            }
            return;
        }
    }
}

void
tw_launch_say_limit(const tw_handler_conf_t *conf)
{
    if (conf->memory_bytes == 0) {
        return;
    }

    if (conf->kind == TW_KIND_IMAGE) {
        TW_LOG(TW_INFO, "memory limit", tw_fs("handler", conf->name),
            tw_fi("bytes", conf->memory_bytes), tw_fs("by", "container"));
    } else if (cgroup_why == NULL) {
        TW_LOG(TW_INFO, "memory limit", tw_fs("handler", conf->name),
            tw_fi("bytes", conf->memory_bytes), tw_fs("by", "cgroup v2"));
    } else {
        TW_LOG(TW_INFO, "memory limit", tw_fs("handler", conf->name),
            tw_fi("bytes", conf->memory_bytes), tw_fs("by", "RLIMIT_AS"),
            tw_fs("because", cgroup_why));
    }
}

static int
limit_memory(const tw_handler_conf_t *conf, tw_launch_t *l, const char **step)
{
    if (conf->memory_bytes == 0 || conf->kind == TW_KIND_IMAGE) {
        return 0;
    }

    if (cgroup_why != NULL) {
        l->spec.memory_bytes = conf->memory_bytes;
        return 0;
    }

    l->cgroup = tw_cgroup_new(conf->memory_bytes, &l->spec.cgroup_fd);
    if (l->cgroup == NULL) {
        *step = "cgroup";
        return errno;
    }

    return 0;
}

static char *const *
library_argv(const tw_handler_conf_t *conf)
{
    const char  *argv[] = { "taskmq-worker", "--run-library", conf->library,
                            NULL };

    return tw_list_copy((char *const *) argv);
}

int
tw_launch_make(const tw_handler_conf_t *conf, char *const *env,
    tw_launch_t *l, const char **step)
{
    int  err;

    memset(l, 0, sizeof(*l));
    l->spec.envp = env;
    l->spec.workdir = conf->workdir;
    l->spec.cgroup_fd = -1;
    l->spec.guard_fd = tw_guard_fd();
    *step = "starting";

    switch (conf->kind) {

    case TW_KIND_LIBRARY:
        /* this very program, even when its file was replaced meanwhile */
        l->spec.file = "/proc/self/exe";
        l->own_argv = (char **) library_argv(conf);
        break;

    case TW_KIND_IMAGE:
        l->own_argv = tw_container_argv(conf, &l->kill_argv);
        l->spec.may_gain = 1;
        /* --workdir is the container's, not its engine's */
        l->spec.workdir = NULL;
        break;

    default:
        l->spec.argv = conf->argv;
    }

    if (l->spec.argv == NULL) {
        l->spec.argv = l->own_argv;
    }

    if (l->spec.argv == NULL) {
        return ENOMEM;
    }

    if (conf->as.name != NULL) {
        l->spec.user = &conf->as;
    }

    if (conf->kind != TW_KIND_IMAGE
        && (l->spec.user == NULL || l->spec.user->uid == geteuid()))
    {
        err = tw_fence_make(tw_guard_pid(), &l->spec.fence);
        if (err != 0) {
            *step = "system call filter";
            return err;
        }
    }

    return limit_memory(conf, l, step);
}

void
tw_launch_free(tw_launch_t *l)
{
    if (l->spec.cgroup_fd >= 0) {
        (void) close(l->spec.cgroup_fd);
    }

    if (l->cgroup != NULL) {
        (void) tw_cgroup_end(l->cgroup);
    }

    tw_list_free(l->own_argv);
    tw_list_free(l->kill_argv);
    memset(l, 0, sizeof(*l));
    l->spec.cgroup_fd = -1;
}
