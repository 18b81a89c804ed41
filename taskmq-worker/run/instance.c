/* instance.c: one instance of a handler: its child, its replacement, the task
 * in flight and its timeout. See instance.h. */

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "instance.h"

#define BOOT_LOOK_MS  20

static const tw_child_events_t  child_events;

void
tw_instance_set_state(tw_instance_t *instance, tw_instance_state_t to)
{
    static const unsigned  allowed[] = {
        [TW_INSTANCE_DOWN] = 1 << TW_INSTANCE_STARTING,
        [TW_INSTANCE_STARTING] = 1 << TW_INSTANCE_IDLE | 1 << TW_INSTANCE_ENDING
                             | 1 << TW_INSTANCE_DOWN,
        [TW_INSTANCE_IDLE] = 1 << TW_INSTANCE_BUSY | 1 << TW_INSTANCE_ENDING
                         | 1 << TW_INSTANCE_DOWN,
        [TW_INSTANCE_BUSY] = 1 << TW_INSTANCE_IDLE | 1 << TW_INSTANCE_ENDING
                         | 1 << TW_INSTANCE_DOWN,
        [TW_INSTANCE_ENDING] = 1 << TW_INSTANCE_DOWN,
    };

    assert(allowed[instance->state] & 1U << to);

    if (instance->state == TW_INSTANCE_IDLE) {
        instance->pool->idle--;
    }

    instance->state = to;

    if (to == TW_INSTANCE_IDLE) {
        instance->pool->idle++;
        instance->pool->useful = 1;
        tw_run_free_place(instance->pool->run);
    }
}

void
tw_instance_init(tw_pool_t *p, tw_instance_t *instance, unsigned no)
{
    instance->pool = p;
    instance->no = no;
    instance->state = TW_INSTANCE_DOWN;
    (void) uv_timer_init(p->run->loop, &instance->timer);
    instance->timer.data = instance;
}

static tw_child_t *
start_child(tw_instance_t *instance)
{
    int          err;
    char         why[128];
    tw_pool_t   *p = instance->pool;
    tw_child_t  *c = NULL;
    tw_launch_t  l;
    const char  *step;

    err = tw_launch_make(p->conf, p->envp, &l, &step);
    if (err == 0) {
        step = "fork";
        c = tw_child_start(p->run->loop, &l, &child_events, instance, &err);
    }
    tw_launch_free(&l);

    if (c == NULL) {
        (void) snprintf(why, sizeof(why), "%s: %s", step, strerror(err));
        tw_pool_start_failed(p, tw_pool_now(p), why);
        return NULL;
    }

    TQ_FAIL("child-started");
    TW_LOG(TW_DEBUG, "child started", tw_fs("handler", p->conf->name),
        tw_fi("instance", instance->no), tw_fi("pid", tw_child_pid(c)));

    return c;
}

/* It has this child from now on (NULL: none), which was started then. */
static void
have_child(tw_instance_t *instance, tw_child_t *c, int64_t forked_ms)
{
    instance->child = c;
    instance->forked_ms = forked_ms;
    instance->born_ms = tw_pool_now(instance->pool);
    instance->tasks = 0;
    instance->ended[0] = '\0';
}

int
tw_instance_start(tw_instance_t *instance)
{
    tw_child_t  *c;

    if (tw_instance_conf(instance)->kind == TW_KIND_URL) {
        return tw_instance_http_start(instance);
    }

    c = start_child(instance);
    if (c == NULL) {
        return -1;
    }

    have_child(instance, c, tw_pool_now(instance->pool));
    tw_instance_set_state(instance, TW_INSTANCE_STARTING);

    return 0;
}

void
tw_instance_replace_if_due(tw_instance_t *instance)
{
    int64_t  max = tw_instance_conf(instance)->max_tasks;

    if (instance->next_ready) {
        tw_child_set_data(instance->child, NULL);
        tw_child_stop(instance->child, TW_STOP_EOF);
        have_child(instance, instance->next, instance->next_ms);
        instance->next = NULL;
        instance->next_ready = 0;

    } else if (max != 0 && instance->tasks >= (uint64_t) max
               && instance->next == NULL
               && tw_pool_may_start(instance->pool)
               && !instance->pool->stopping)
    {
        tw_instance_replace(instance);
    }
}

void
tw_instance_replace(tw_instance_t *instance)
{
    instance->next = start_child(instance);
    instance->next_ms = tw_pool_now(instance->pool);
}

static void
on_timeout(uv_timer_t *t)
{
    tq_buf_t        text = {0};
    tw_instance_t  *instance = t->data;
    tw_slot_t      *s = instance->slot;
    size_t          half;

    tq_buf_addf(&text, "timed out after %lld s",
        (long long) (s->timeout_ms / 1000));

    if (instance->skipped != 0) {
        tq_buf_addf(&text, "; %u stdout %s no answer (the last: %s)",
            instance->skipped,
            instance->skipped == 1 ? "line was" : "lines were",
            instance->skipped_why);
    }

    half = instance->child != NULL ? tw_child_half_line(instance->child) : 0;
    if (half != 0) {
        tq_buf_addf(&text, "; %zu bytes of an unfinished line", half);
    }

    tw_slot_end(s, TW_END_FAIL, tq_buf_cstr(&text) ? text.p : "timed out");
    tq_buf_free(&text);
    tw_instance_kill(instance, 0);
}

/* A new process is still starting when its first task lies in its pipe: on a
 * busy machine that alone can take longer than the task may. */
static void
on_boot(uv_timer_t *t)
{
    tw_instance_t  *instance = t->data;

    if (!tw_child_task_untouched(instance->child)
        || tw_pool_now(instance->pool) - instance->slot->started_ms
           >= TQ_BOOT_MAX_MS)
    {
        tw_instance_start_timer(instance);
    }
}

void
tw_instance_start_timer(tw_instance_t *instance)
{
    (void) uv_timer_start(&instance->timer, on_timeout,
        (uint64_t) instance->slot->timeout_ms, 0);
}

int
tw_instance_run(tw_instance_t *instance, tw_slot_t *slot)
{
    if (instance->child != NULL) {
        /* an answer to a task that was answered before may lie in the pipe */
        tw_child_poll(instance->child);
        if (instance->state != TW_INSTANCE_IDLE) {
            return -1;
        }
    }

    instance->slot = slot;
    instance->skipped = 0;
    tw_instance_set_state(instance, TW_INSTANCE_BUSY);
    tw_instance_start_timer(instance);

    if (instance->child == NULL) {
        return tw_instance_http_run(instance, slot);
    }

    tw_child_send(instance->child, slot->line.p, slot->line.len);
    if (instance->tasks == 0) {
        (void) uv_timer_start(&instance->timer, on_boot, BOOT_LOOK_MS,
            BOOT_LOOK_MS);
    }
    TQ_FAIL("task-sent");

    return 0;
}

void
tw_instance_kill(tw_instance_t *instance, int hard)
{
    if (instance->state != TW_INSTANCE_ENDING) {
        tw_instance_set_state(instance, TW_INSTANCE_ENDING);
    }

    (void) uv_timer_stop(&instance->timer);

    if (instance->child == NULL) {
        tw_instance_http_kill(instance);
    } else {
        tw_child_stop(instance->child, hard ? TW_STOP_KILL : TW_STOP_TERM);
    }
}

void
tw_instance_stop(tw_instance_t *instance, tw_stop_t how)
{
    if (instance->next != NULL) {
        tw_child_set_data(instance->next, NULL);
        tw_child_stop(instance->next, how);
        instance->next = NULL;
        instance->next_ready = 0;
    }

    if (instance->state == TW_INSTANCE_DOWN) {
        return;
    }

    if (instance->state != TW_INSTANCE_ENDING) {
        tw_instance_set_state(instance, TW_INSTANCE_ENDING);
    }

    if (instance->child == NULL) {
        tw_instance_http_kill(instance);
    } else {
        tw_child_stop(instance->child, how);
    }
}

void
tw_instance_answered(tw_instance_t *instance, const tw_answer_t *a)
{
    tw_slot_t  *s = instance->slot;

    instance->tasks++;
    instance->slot = NULL;
    (void) uv_timer_stop(&instance->timer);
    tw_instance_set_state(instance, TW_INSTANCE_IDLE);
    tw_slot_answer(instance->pool->run, s, a);
    tw_pool_started_well(instance->pool, instance->born_ms);
}

/* ---- what the child does ---- */

static void
on_started(tw_child_t *c, void *data)
{
    tw_instance_t  *instance = data;

    if (instance == NULL) {
        return;
    }

    if (c == instance->next) {
        instance->next_ready = 1;
        if (instance->state == TW_INSTANCE_IDLE) {
            tw_instance_replace_if_due(instance);
        }

    } else if (instance->state == TW_INSTANCE_STARTING) {
        tw_instance_set_state(instance, TW_INSTANCE_IDLE);
    }
}

static void
on_line(tw_child_t *c, void *data, tq_str_t line)
{
    tw_instance_t  *instance = data;

    if (instance != NULL && instance->state != TW_INSTANCE_ENDING
        && line.len != 0)
    {
        tw_instance_line(instance, c, line);
    }
}

static void
on_long_line(tw_child_t *c, void *data, char first, size_t len)
{
    tw_instance_t  *instance = data;

    if (instance != NULL && instance->state != TW_INSTANCE_ENDING) {
        tw_instance_long_line(instance, c, first, len);
    }
}

static void
on_err(tw_child_t *c, void *data, const char *p, size_t len)
{
    tw_instance_t  *instance = data;

    if (instance == NULL) {
        return;
    }

    if (instance->slot != NULL && c == instance->child) {
        tw_slot_stderr(instance->slot, p, len);
    }

    tw_instance_stderr(instance, tw_child_pid(c), p, len);
}

static void
on_closed_pipe(tw_child_t *c, void *data, const char *which)
{
    int             failed = 0;
    char            why[64];
    tw_instance_t  *instance = data;

    if (instance == NULL || instance->state == TW_INSTANCE_ENDING) {
        return;
    }

    if (c != instance->child) {
        tw_child_stop(c, TW_STOP_TERM);
        return;
    }

    (void) snprintf(why, sizeof(why), "handler closed its %s", which);
    TW_LOG(TW_ERROR, why, tw_fs("handler", tw_instance_conf(instance)->name),
        tw_fi("pid", tw_child_pid(c)));

    if (instance->state == TW_INSTANCE_BUSY && tw_child_task_untouched(c)) {
        /* it wants no more: not this job's fault */
        tw_slot_end(instance->slot, TW_END_RELEASE, NULL);
        failed = instance->tasks == 0;

    } else if (instance->state == TW_INSTANCE_BUSY) {
        tw_slot_end(instance->slot, TW_END_FAIL, why);
    }

    tw_instance_kill(instance, 0);

    if (failed) {
        tw_pool_start_failed(instance->pool, instance->forked_ms, why);
    }
}

/* The program, for people. */
static const char *
what(const tw_handler_conf_t *conf)
{
    return conf->argv != NULL ? conf->argv[0]
           : conf->library != NULL ? conf->library
           : conf->runtime != NULL ? conf->runtime[0] : "docker";
}

/* How it ended, for the job's error. */
static void
say_exit(tq_buf_t *out, const tw_instance_t *instance, const tw_exit_t *e)
{
    int  sig;

    if (e->start_step != NULL) {
        tq_buf_addf(out, "%s: %s: %s", e->start_step,
            what(instance->pool->conf), strerror(e->start_errno));
        return;
    }

    if (WIFSIGNALED(e->status)) {
        sig = WTERMSIG(e->status);
        tq_buf_addf(out, "handler was killed by signal %d (%s)", sig,
            strsignal(sig));
    } else {
        tq_buf_addf(out, "handler exited with status %d",
            WEXITSTATUS(e->status));
    }

    if (e->out_of_memory) {
        tq_buf_addf(out, " for its memory_limit of %lld bytes",
            (long long) tw_instance_conf(instance)->memory_bytes);
    }

    if (instance->slot != NULL && !e->untouched) {
        tq_buf_adds(out, " without an answer");
    }

    if (e->half_line != 0) {
        tq_buf_addf(out, "; %zu bytes of an unfinished line", e->half_line);
    }

    if (instance->slot != NULL && instance->skipped != 0) {
        tq_buf_addf(out, "; %u stdout %s no answer (the last: %s)",
            instance->skipped,
            instance->skipped == 1 ? "line was" : "lines were",
            instance->skipped_why);
    }
}

static void
replacement_died(tw_instance_t *instance, const char *why)
{
    instance->next = NULL;
    instance->next_ready = 0;
    tw_pool_start_failed(instance->pool, instance->next_ms, why);
}

/* The child is gone: its replacement takes over early, if there is one. */
static void
take_over(tw_instance_t *instance)
{
    have_child(instance, instance->next, instance->next_ms);

    if (instance->next != NULL) {
        instance->next = NULL;
        tw_instance_set_state(instance, TW_INSTANCE_STARTING);
        if (instance->next_ready) {
            instance->next_ready = 0;
            tw_instance_set_state(instance, TW_INSTANCE_IDLE);
        }
    }
}

static void
on_exited(tw_child_t *c, void *data, const tw_exit_t *e)
{
    tq_buf_t             text = {0};
    tw_instance_t       *instance = data;
    tw_slot_t           *s;
    tw_pool_t           *p;
    const char          *why;
    tw_instance_state_t  was;
    int64_t              forked_ms;
    int                  young;

    if (instance == NULL) {
        return;
    }

    p = instance->pool;
    say_exit(&text, instance, e);
    why = tq_buf_cstr(&text) != NULL ? text.p : "handler ended";

    if (c == instance->next) {
        replacement_died(instance, why);
        tq_buf_free(&text);
        return;
    }

    s = instance->slot;
    was = instance->state;
    forked_ms = instance->forked_ms;
    young = instance->tasks == 0
            && tw_pool_now(p) - instance->born_ms < TQ_START_WAIT_MAX_MS;

    TW_LOG(was == TW_INSTANCE_ENDING || e->status == 0 ? TW_DEBUG : TW_WARN,
        "child ended", tw_fs("handler", p->conf->name),
        tw_fi("pid", tw_child_pid(c)), tw_fs("how", why));

    instance->slot = NULL;
    (void) uv_timer_stop(&instance->timer);
    tw_instance_set_state(instance, TW_INSTANCE_DOWN);
    take_over(instance);

    if (s != NULL) {
        tw_slot_died(p->run, s, e->untouched, why);
    }

    /* it never did anything: not a crash of a job but of the handler */
    if (was != TW_INSTANCE_ENDING && young && (s == NULL || e->untouched)) {
        tw_pool_start_failed(p, forked_ms, why);
    } else {
        tw_pool_start_soon(p);
    }

    tq_buf_free(&text);
}

static const tw_child_events_t  child_events = {
    .started = on_started,
    .line = on_line,
    .long_line = on_long_line,
    .err = on_err,
    .closed = on_closed_pipe,
    .exited = on_exited,
};
