/*
 * reload.c: HUP: handlers.toml is read again without dropping a job. What did
 * not change keeps its children. A changed handler gets a second pool; when
 * that can run its first job it takes over, and the old one ends as its jobs
 * do. A file with a mistake changes nothing.
 */

#include <stdlib.h>
#include <string.h>

#include "worker.h"

/* Reading the file happens on another thread. */
typedef struct {
    uv_work_t     work;
    tw_worker_t  *w;
    char         *path;
    tw_conf_t     conf;
    tq_buf_t      errors;
    int           rc;
} load_t;

static void
retire(tw_run_t *run, tw_pool_t *p)
{
    tw_pool_stop(p, TW_STOP_EOF);
    p->next = run->retired;
    run->retired = p;

    if (p->successor != NULL) {
        tw_pool_t  *s = p->successor;

        p->successor = NULL;
        retire(run, s);
    }
}

static const tw_handler_conf_t *
find_conf(const tw_conf_t *conf, const char *name)
{
    unsigned  i;

    for (i = 0; i < conf->n; i++) {
        if (conf->h[i] != NULL && strcmp(conf->h[i]->name, name) == 0) {
            return conf->h[i];
        }
    }

    return NULL;
}

/* Handlers that are gone. Before the new ones: their places are needed. */
static void
apply_removals(tw_run_t *run, const tw_conf_t *conf)
{
    unsigned    i;
    tw_pool_t  *p;

    for (i = run->npools; i-- > 0; ) {
        p = run->pools[i];
        if (find_conf(conf, p->conf->name) == NULL) {
            TW_LOG(TW_INFO, "handler removed", tw_fs("handler",
                p->conf->name));
            run->pools[i] = run->pools[--run->npools];
            retire(run, p);
        }
    }
}

/* One handler of the new file; takes its configuration out when it is used. */
static void
apply(tw_run_t *run, tw_handler_conf_t **h)
{
    tw_pool_t  *p, *fresh;

    p = tw_pool_find(run, (*h)->name, strlen((*h)->name));
    fresh = p != NULL ? p->successor : NULL;

    /* back to what still runs, or to what is starting already */
    if (fresh != NULL && fresh->conf->fingerprint == (*h)->fingerprint) {
        return;
    }

    if (fresh != NULL) {
        p->successor = NULL;
        retire(run, fresh);
    }

    if (p != NULL && p->conf->fingerprint == (*h)->fingerprint) {
        return;
    }

    fresh = tw_pool_new(run, *h);
    if (fresh == NULL) {
        TW_LOG(TW_ERROR, "out of memory, handler not changed",
            tw_fs("handler", (*h)->name));
        return;
    }

    *h = NULL;

    if (p != NULL) {
        TW_LOG(TW_INFO, "handler changes", tw_fs("handler",
            p->conf->name));
        p->successor = fresh;
    } else {
        TW_LOG(TW_INFO, "handler added", tw_fs("handler",
            fresh->conf->name));
        run->pools[run->npools++] = fresh;
    }
}

static void
load(uv_work_t *work)
{
    load_t  *l = work->data;

    l->rc = tw_conf_load(&l->conf, l->path, &l->errors);
}

static void
on_loaded(uv_work_t *work, int status)
{
    unsigned      i;
    load_t       *l = work->data;
    tw_worker_t  *w = l->w;
    tw_run_t     *run = &w->run;

    w->reloading = 0;

    if (status != 0 || l->rc != 0) {
        tw_log_lines(TW_ERROR, "configuration not reloaded", "error",
            &l->errors);

    } else if (run->phase < TW_DRAINING) {
        tw_conf_say_old(&l->conf, l->path, &l->errors);
        tw_log_lines(TW_WARN, "configuration", "warning", &l->errors);
        tw_fence_warn(&l->conf);
        apply_removals(run, &l->conf);
        for (i = 0; i < l->conf.n; i++) {
            apply(run, &l->conf.h[i]);
        }
        TW_LOG(TW_INFO, "configuration reloaded",
            tw_fi("handlers", run->npools));
        tw_queue_changed(&w->queue);
    }

    tw_notify_ready();
    tw_conf_free(&l->conf);
    tq_buf_free(&l->errors);
    free(l->path);
    free(l);

    /* the file may have changed after it was read */
    if (w->reload_again) {
        w->reload_again = 0;
        tw_reload(w);
    }
}

void
tw_reload(tw_worker_t *w)
{
    load_t  *l;

    if (w->run.phase >= TW_DRAINING) {
        return;
    }

    if (w->reloading) {
        w->reload_again = 1;
        return;
    }

    l = calloc(1, sizeof(*l));
    if (l == NULL || (l->path = strdup(w->o->config)) == NULL) {
        free(l);
        return;
    }

    tw_notify_reloading();
    l->w = w;
    l->work.data = l;
    w->reloading = 1;

    if (uv_queue_work(&w->loop, &l->work, load, on_loaded) != 0) {
        on_loaded(&l->work, UV_ENOMEM);
    }
}

void
tw_reload_turn(tw_worker_t *w)
{
    unsigned     i;
    tw_run_t    *run = &w->run;
    tw_pool_t   *p, **link;

    for (i = 0; i < run->npools; i++) {
        p = run->pools[i];
        if (p->successor != NULL && p->successor->useful) {
            TW_LOG(TW_INFO, "handler changed",
                tw_fs("handler", p->conf->name));
            run->pools[i] = p->successor;
            p->successor = NULL;
            retire(run, p);
            tw_queue_want(&w->queue);
        }
    }

    for (link = &run->retired; (p = *link) != NULL; ) {
        tw_pool_stop(p, TW_STOP_EOF);
        if (tw_pool_is_done(p)) {
            *link = p->next;
            tw_pool_close(p);
        } else {
            link = &p->next;
        }
    }
}
