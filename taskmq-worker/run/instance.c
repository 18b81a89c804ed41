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
tw_instance_set_state(tw_instance_t *inst, tw_instance_state_t to)
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

    assert(allowed[inst->state] & 1U << to);

    if (inst->state == TW_INSTANCE_IDLE) {
        inst->pool->idle--;
    }

    inst->state = to;

    if (to == TW_INSTANCE_IDLE) {
        inst->pool->idle++;
        inst->pool->useful = 1;
        tw_run_free_place(inst->pool->run);
    }
}

void
tw_instance_init(tw_pool_t *p, tw_instance_t *inst, unsigned no)
{
    inst->pool = p;
    inst->no = no;
    inst->state = TW_INSTANCE_DOWN;
    (void) uv_timer_init(p->run->loop, &inst->timer);
    inst->timer.data = inst;
}

static tw_child_t *
start_child(tw_instance_t *inst)
{
    int          err;
    char         why[128];
    tw_pool_t   *p = inst->pool;
    tw_child_t  *c = NULL;
    tw_launch_t  l;
    const char  *step;

    err = tw_launch_make(p->conf, p->envp, &l, &step);
    if (err == 0) {
        step = "fork";
        c = tw_child_start(p->run->loop, &l, &child_events, inst, &err);
    }
    tw_launch_free(&l);

    if (c == NULL) {
        (void) snprintf(why, sizeof(why), "%s: %s", step, strerror(err));
        tw_pool_start_failed(p, tw_pool_now(p), why);
        return NULL;
    }

    TQ_FAIL("child-started");
    TW_LOG(TW_DEBUG, "child started", tw_fs("handler", p->conf->name),
        tw_fi("instance", inst->no), tw_fi("pid", tw_child_pid(c)));

    return c;
}

/* It has this child from now on (NULL: none), which was started then. */
static void
have_child(tw_instance_t *inst, tw_child_t *c, int64_t forked_ms)
{
    inst->child = c;
    inst->forked_ms = forked_ms;
    inst->born_ms = tw_pool_now(inst->pool);
    inst->tasks = 0;
    inst->ended[0] = '\0';
}

int
tw_instance_start(tw_instance_t *inst)
{
    tw_child_t  *c;

    if (tw_instance_conf(inst)->kind == TW_KIND_URL) {
        return tw_instance_http_start(inst);
    }

    c = start_child(inst);
    if (c == NULL) {
        return -1;
    }

    have_child(inst, c, tw_pool_now(inst->pool));
    tw_instance_set_state(inst, TW_INSTANCE_STARTING);

    return 0;
}

void
tw_instance_replace_if_due(tw_instance_t *inst)
{
    int64_t  max = tw_instance_conf(inst)->max_tasks;

    if (inst->next_ready) {
        tw_child_set_data(inst->child, NULL);
        tw_child_stop(inst->child, TW_STOP_EOF);
        have_child(inst, inst->next, inst->next_ms);
        inst->next = NULL;
        inst->next_ready = 0;

    } else if (max != 0 && inst->tasks >= (uint64_t) max && inst->next == NULL
               && tw_pool_may_start(inst->pool) && !inst->pool->stopping)
    {
        tw_instance_replace(inst);
    }
}

void
tw_instance_replace(tw_instance_t *inst)
{
    inst->next = start_child(inst);
    inst->next_ms = tw_pool_now(inst->pool);
}

static void
on_timeout(uv_timer_t *t)
{
    tq_buf_t        text = {0};
    tw_instance_t  *inst = t->data;
    tw_slot_t      *s = inst->slot;
    size_t          half;

    tq_buf_addf(&text, "timed out after %lld s",
        (long long) (s->timeout_ms / 1000));

    if (inst->skipped != 0) {
        tq_buf_addf(&text, "; %u stdout %s no answer (the last: %s)",
            inst->skipped, inst->skipped == 1 ? "line was" : "lines were",
            inst->skipped_why);
    }

    half = inst->child != NULL ? tw_child_half_line(inst->child) : 0;
    if (half != 0) {
        tq_buf_addf(&text, "; %zu bytes of an unfinished line", half);
    }

    tw_slot_end(s, TW_END_FAIL, tq_buf_cstr(&text) ? text.p : "timed out");
    tq_buf_free(&text);
    tw_instance_kill(inst, 0);
}

/* A new process is still starting when its first task lies in its pipe: on a
 * busy machine that alone can take longer than the task may. */
static void
on_boot(uv_timer_t *t)
{
    tw_instance_t  *inst = t->data;

    if (!tw_child_task_untouched(inst->child)
        || tw_pool_now(inst->pool) - inst->slot->started_ms >= TQ_BOOT_MAX_MS)
    {
        tw_instance_start_timer(inst);
    }
}

void
tw_instance_start_timer(tw_instance_t *inst)
{
    (void) uv_timer_start(&inst->timer, on_timeout,
        (uint64_t) inst->slot->timeout_ms, 0);
}

int
tw_instance_run(tw_instance_t *inst, tw_slot_t *slot)
{
    if (inst->child != NULL) {
        /* an answer to a task that was answered before may lie in the pipe */
        tw_child_poll(inst->child);
        if (inst->state != TW_INSTANCE_IDLE) {
            return -1;
        }
    }

    inst->slot = slot;
    inst->skipped = 0;
    tw_instance_set_state(inst, TW_INSTANCE_BUSY);
    tw_instance_start_timer(inst);

    if (inst->child == NULL) {
        return tw_instance_http_run(inst, slot);
    }

    tw_child_send(inst->child, slot->line.p, slot->line.len);
    if (inst->tasks == 0) {
        (void) uv_timer_start(&inst->timer, on_boot, BOOT_LOOK_MS,
            BOOT_LOOK_MS);
    }
    TQ_FAIL("task-sent");

    return 0;
}

void
tw_instance_kill(tw_instance_t *inst, int hard)
{
    if (inst->state != TW_INSTANCE_ENDING) {
        tw_instance_set_state(inst, TW_INSTANCE_ENDING);
    }

    (void) uv_timer_stop(&inst->timer);

    if (inst->child == NULL) {
        tw_instance_http_kill(inst);
    } else {
        tw_child_stop(inst->child, hard ? TW_STOP_KILL : TW_STOP_TERM);
    }
}

void
tw_instance_stop(tw_instance_t *inst, tw_stop_t how)
{
    if (inst->next != NULL) {
        tw_child_set_data(inst->next, NULL);
        tw_child_stop(inst->next, how);
        inst->next = NULL;
        inst->next_ready = 0;
    }

    if (inst->state == TW_INSTANCE_DOWN) {
        return;
    }

    if (inst->state != TW_INSTANCE_ENDING) {
        tw_instance_set_state(inst, TW_INSTANCE_ENDING);
    }

    if (inst->child == NULL) {
        tw_instance_http_kill(inst);
    } else {
        tw_child_stop(inst->child, how);
    }
}

void
tw_instance_answered(tw_instance_t *inst, const tw_answer_t *a)
{
    tw_slot_t  *s = inst->slot;

    inst->tasks++;
    inst->slot = NULL;
    (void) uv_timer_stop(&inst->timer);
    tw_instance_set_state(inst, TW_INSTANCE_IDLE);
    tw_slot_answer(inst->pool->run, s, a);
    tw_pool_started_well(inst->pool, inst->born_ms);
}

/* ---- what the child does ---- */

static void
on_started(tw_child_t *c, void *data)
{
    tw_instance_t  *inst = data;

    if (inst == NULL) {
        return;
    }

    if (c == inst->next) {
        inst->next_ready = 1;
        if (inst->state == TW_INSTANCE_IDLE) {
            tw_instance_replace_if_due(inst);
        }

    } else if (inst->state == TW_INSTANCE_STARTING) {
        tw_instance_set_state(inst, TW_INSTANCE_IDLE);
    }
}

static void
on_line(tw_child_t *c, void *data, tq_str_t line)
{
    tw_instance_t  *inst = data;

    if (inst != NULL && inst->state != TW_INSTANCE_ENDING && line.len != 0) {
        tw_instance_line(inst, c, line);
    }
}

static void
on_long_line(tw_child_t *c, void *data, char first, size_t len)
{
    tw_instance_t  *inst = data;

    if (inst != NULL && inst->state != TW_INSTANCE_ENDING) {
        tw_instance_long_line(inst, c, first, len);
    }
}

static void
on_err(tw_child_t *c, void *data, const char *p, size_t len)
{
    tw_instance_t  *inst = data;

    if (inst == NULL) {
        return;
    }

    if (inst->slot != NULL && c == inst->child) {
        tw_slot_stderr(inst->slot, p, len);
    }

    tw_instance_stderr(inst, tw_child_pid(c), p, len);
}

static void
on_closed_pipe(tw_child_t *c, void *data, const char *which)
{
    int             failed = 0;
    char            why[64];
    tw_instance_t  *inst = data;

    if (inst == NULL || inst->state == TW_INSTANCE_ENDING) {
        return;
    }

    if (c != inst->child) {
        tw_child_stop(c, TW_STOP_TERM);
        return;
    }

    (void) snprintf(why, sizeof(why), "handler closed its %s", which);
    TW_LOG(TW_ERROR, why, tw_fs("handler", tw_instance_conf(inst)->name),
        tw_fi("pid", tw_child_pid(c)));

    if (inst->state == TW_INSTANCE_BUSY && tw_child_task_untouched(c)) {
        /* it wants no more: not this job's fault */
        tw_slot_end(inst->slot, TW_END_RELEASE, NULL);
        failed = inst->tasks == 0;

    } else if (inst->state == TW_INSTANCE_BUSY) {
        tw_slot_end(inst->slot, TW_END_FAIL, why);
    }

    tw_instance_kill(inst, 0);

    if (failed) {
        tw_pool_start_failed(inst->pool, inst->forked_ms, why);
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
say_exit(tq_buf_t *out, const tw_instance_t *inst, const tw_exit_t *e)
{
    int  sig;

    if (e->start_step != NULL) {
        tq_buf_addf(out, "%s: %s: %s", e->start_step, what(inst->pool->conf),
            strerror(e->start_errno));
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
            (long long) tw_instance_conf(inst)->memory_bytes);
    }

    if (inst->slot != NULL && !e->untouched) {
        tq_buf_adds(out, " without an answer");
    }

    if (e->half_line != 0) {
        tq_buf_addf(out, "; %zu bytes of an unfinished line", e->half_line);
    }

    if (inst->slot != NULL && inst->skipped != 0) {
        tq_buf_addf(out, "; %u stdout %s no answer (the last: %s)",
            inst->skipped, inst->skipped == 1 ? "line was" : "lines were",
            inst->skipped_why);
    }
}

static void
replacement_died(tw_instance_t *inst, const char *why)
{
    inst->next = NULL;
    inst->next_ready = 0;
    tw_pool_start_failed(inst->pool, inst->next_ms, why);
}

/* The child is gone: its replacement takes over early, if there is one. */
static void
take_over(tw_instance_t *inst)
{
    have_child(inst, inst->next, inst->next_ms);

    if (inst->next != NULL) {
        inst->next = NULL;
        tw_instance_set_state(inst, TW_INSTANCE_STARTING);
        if (inst->next_ready) {
            inst->next_ready = 0;
            tw_instance_set_state(inst, TW_INSTANCE_IDLE);
        }
    }
}

static void
on_exited(tw_child_t *c, void *data, const tw_exit_t *e)
{
    tq_buf_t             text = {0};
    tw_instance_t       *inst = data;
    tw_slot_t           *s;
    tw_pool_t           *p;
    const char          *why;
    tw_instance_state_t  was;
    int64_t              forked_ms;
    int                  young;

    if (inst == NULL) {
        return;
    }

    p = inst->pool;
    say_exit(&text, inst, e);
    why = tq_buf_cstr(&text) != NULL ? text.p : "handler ended";

    if (c == inst->next) {
        replacement_died(inst, why);
        tq_buf_free(&text);
        return;
    }

    s = inst->slot;
    was = inst->state;
    forked_ms = inst->forked_ms;
    young = inst->tasks == 0
            && tw_pool_now(p) - inst->born_ms < TQ_START_WAIT_MAX_MS;

    TW_LOG(was == TW_INSTANCE_ENDING || e->status == 0 ? TW_DEBUG : TW_WARN,
        "child ended", tw_fs("handler", p->conf->name),
        tw_fi("pid", tw_child_pid(c)), tw_fs("how", why));

    inst->slot = NULL;
    (void) uv_timer_stop(&inst->timer);
    tw_instance_set_state(inst, TW_INSTANCE_DOWN);
    take_over(inst);

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
