/* slot.c: see slot.h. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "instance.h"

/* A job that was claimed waits behind the others, one that comes back from a
 * place before them: it is the oldest. */
static void
enter_queue(tw_slot_t *s)
{
    tw_pool_t   *p = s->pool;
    tw_slot_t  **link = &p->wait_first;

    if (s->state == TW_SLOT_FREE && p->wait_last != NULL) {
        link = &p->wait_last->next;
    }

    s->next = *link;
    *link = s;
    if (s->next == NULL) {
        p->wait_last = s;
    }

    p->waiting++;
}

static void
leave_queue(tw_slot_t *s)
{
    tw_pool_t   *p = s->pool;
    tw_slot_t  **link = &p->wait_first, *before = NULL;

    for (; *link != s; link = &before->next) {
        before = *link;
    }

    *link = s->next;
    if (p->wait_last == s) {
        p->wait_last = before;
    }

    s->next = NULL;
    p->waiting--;
}

static void
set_state(tw_slot_t *s, tw_slot_state_t to)
{
    static const unsigned  allowed[] = {
        [TW_SLOT_FREE] = 1 << TW_SLOT_WAITING,
        [TW_SLOT_WAITING] = 1 << TW_SLOT_RUNNING | 1 << TW_SLOT_FREE,
        [TW_SLOT_RUNNING] = 1 << TW_SLOT_WAITING | 1 << TW_SLOT_FREE
                            | 1 << TW_SLOT_ENDING,
        [TW_SLOT_ENDING] = 1 << TW_SLOT_FREE,
    };

    assert(allowed[s->state] & 1U << to);

    if (s->state == TW_SLOT_WAITING) {
        leave_queue(s);
    }

    if (to == TW_SLOT_WAITING) {
        enter_queue(s);
        s->instance = NULL;
    }

    s->state = to;
}

int
tw_slots_init(tw_run_t *run)
{
    unsigned  i;

    run->slots = calloc(run->o->concurrency, sizeof(tw_slot_t));
    if (run->slots == NULL) {
        return -1;
    }

    for (i = run->o->concurrency; i-- > 0; ) {
        run->slots[i].next = run->free_slots;
        run->free_slots = &run->slots[i];
    }

    return 0;
}

void
tw_slots_free(tw_run_t *run)
{
    unsigned  i;

    for (i = 0; run->slots != NULL && i < run->o->concurrency; i++) {
        tq_buf_free(&run->slots[i].line);
        tq_buf_free(&run->slots[i].log);
        tq_buf_free(&run->slots[i].error);
    }

    free(run->slots);
    run->slots = NULL;
}

/* Big buffers go back, small ones stay for the next job. */
static void
empty(tq_buf_t *b)
{
    if (b->cap > 16384) {
        tq_buf_free(b);
    } else {
        tq_buf_reset(b);
    }
}

/* The job leaves this worker: its outcome was handed over, or dropped. */
static void
free_slot(tw_run_t *run, tw_slot_t *s)
{
    set_state(s, TW_SLOT_FREE);
    s->pool = NULL;
    s->instance = NULL;
    s->end = TW_END_NONE;
    s->generation++;
    s->cancelled = 0;
    s->keep_log = 0;
    empty(&s->line);
    empty(&s->log);
    empty(&s->error);

    s->next = run->free_slots;
    run->free_slots = s;
    run->busy--;
    tw_run_free_place(run);
}

/* Hands the outcome over, with the tail of stderr as whole characters. */
static void
finish(tw_run_t *run, tw_slot_t *s, tw_outcome_kind_t kind, tq_outcome_t *o)
{
    tq_buf_t  log = {0};
    tq_str_t  tail = tw_tail_get(&s->log, TQ_LOG_MAX_BYTES);

    o->id = s->id;
    o->token = s->token;

    if (tail.len != 0) {
        tw_utf8_add(&log, tail.p, tail.len);
        tail = tw_tail_get(&log, TQ_LOG_MAX_BYTES);
        o->log = tail;
    }

    run->events->outcome(run->data, kind, o);
    tq_buf_free(&log);
    free_slot(run, s);
}

static void
fail(tw_run_t *run, tw_slot_t *s, tq_str_t error, int retryable,
    int64_t wait_ms)
{
    tq_outcome_t  o = {0};

    o.error = error;
    o.error.len = tq_text_cut(error.p, error.len, TQ_ERROR_MAX_BYTES);
    o.retryable = retryable;
    o.wait_ms = wait_ms;

    run->counts.failed++;
    TW_LOG(TW_WARN, "job failed", tw_fi("job", s->id),
        tw_fs("handler", tw_slot_conf(s)->name), tw_fi("attempt", s->attempt),
        tw_fi("ms", tw_now(run->loop) - s->started_ms),
        tw_fi("retryable", retryable), tw_fz("error", o.error));

    finish(run, s, TW_OUTCOME_FAIL, &o);
}

static void
give_back(tw_run_t *run, tw_slot_t *s, tw_level_t level)
{
    tq_outcome_t  o = { .wait_ms = -1 };

    run->counts.released++;
    TW_LOG(level, "job given back", tw_fi("job", s->id),
        tw_fs("handler", tw_slot_conf(s)->name));

    finish(run, s, TW_OUTCOME_RELEASE, &o);
}

static void
start(tw_run_t *run, tw_slot_t *s, tw_instance_t *instance)
{
    if (tw_instance_run(instance, s) == 0) {
        s->instance = instance;
        s->started_ms = tw_now(run->loop);
        set_state(s, TW_SLOT_RUNNING);
    }
}

/* The task, as the handler gets it. */
static void
make_line(tw_slot_t *s, tq_str_t payload)
{
    tw_task_t  t = {0};

    if (tw_slot_conf(s)->kind == TW_KIND_URL) {
        tq_buf_add(&s->line, payload.p, payload.len);
        return;
    }

    t.task_id = s->task_id;
    t.handler.p = tw_slot_conf(s)->name;
    t.handler.len = s->pool->name_len;
    t.payload = payload;
    t.attempt = s->attempt;
    t.extended = tw_slot_conf(s)->extended;
    t.job_id = s->id;
    t.priority = s->priority;
    t.retries = s->attempt - 1;

    tw_proto_task(&s->line, &t);
}

int
tw_slot_take(tw_run_t *run, tw_pool_t *pool, const tq_claimed_t *job,
    const unsigned char *key)
{
    int64_t     timeout_s = job->job.timeout_s;
    tw_slot_t  *s = run->free_slots;

    run->free_slots = s->next;
    run->busy++;

    s->id = job->id;
    s->token = job->token;
    s->attempt = job->attempts + 1;
    s->priority = job->job.priority;
    s->periodic = job->job.interval_s != 0;
    s->payload_bytes = job->job.aside_bytes;
    s->reading = 0;
    s->pool = pool;

    if (timeout_s == 0) {
        timeout_s = pool->conf->timeout_s ? pool->conf->timeout_s
                                          : run->o->timeout_s;
    }
    s->timeout_ms = timeout_s * 1000;

    tq_uuid_format(key, job->id, s->task_id);
    set_state(s, TW_SLOT_WAITING);
    s->started_ms = tw_now(run->loop);

    return s->payload_bytes != 0 ? 0
           : tw_slot_payload(run, s, job->job.payload);
}

int
tw_slot_payload(tw_run_t *run, tw_slot_t *s, tq_str_t payload)
{
    tw_pool_t  *pool = s->pool;
    tw_slot_t  *next;

    s->payload_bytes = 0;
    make_line(s, payload);

    if (s->line.failed) {
        TW_LOG(TW_ERROR, "out of memory for a task", tw_fi("job", s->id));
        give_back(run, s, TW_INFO);
        return 0;
    }

    tw_slots_place(run, pool);

    /* more than it has places: claimed for a pool that this one has replaced */
    if (s->state != TW_SLOT_WAITING || pool->waiting <= pool->n) {
        return 0;
    }

    /* with those after it, in one call: what is given back goes to the front,
     * where each call is before those that came earlier */
    for ( /* void */ ; s != NULL; s = next) {
        next = s->next;
        give_back(run, s, TW_DEBUG);
    }

    return -1;
}

void
tw_slot_no_payload(tw_run_t *run, tw_slot_t *s, const char *why)
{
    fail(run, s, (tq_str_t) { why, strlen(why) }, -1, -1);
}

void
tw_slot_give_back(tw_run_t *run, tw_slot_t *s)
{
    give_back(run, s, TW_INFO);
}

void
tw_slots_place(tw_run_t *run, tw_pool_t *pool)
{
    tw_slot_t      *s;
    tw_instance_t  *instance;

    /* in their order: one whose payload is being read holds up the others */
    while ((s = pool->wait_first) != NULL && s->payload_bytes == 0) {
        instance = tw_pool_pick(pool);
        if (instance == NULL) {
            return;
        }
        start(run, s, instance);
    }
}

void
tw_slots_release_waiting(tw_run_t *run, tw_pool_t *pool)
{
    while (pool->wait_first != NULL) {
        give_back(run, pool->wait_first, TW_INFO);
    }
}

void
tw_slot_answer(tw_run_t *run, tw_slot_t *s, const tw_answer_t *a)
{
    char          why[96];
    tq_outcome_t  o = { .wait_ms = -1 };
    tq_str_t      text = { a->error.p, a->error.len };

    if (a->kind == TW_ANSWER_ERROR) {
        fail(run, s, text, a->retryable, a->wait_ms);
        return;
    }

    if (a->result.len > TQ_RESULT_MAX_BYTES) {
        (void) snprintf(why, sizeof(why),
            "the result has %zu bytes, the limit is %d", a->result.len,
            TQ_RESULT_MAX_BYTES);
        fail(run, s, (tq_str_t) { why, strlen(why) }, 0, -1);
        return;
    }

    run->counts.succeeded++;
    TW_LOG(TW_DEBUG, "job succeeded", tw_fi("job", s->id),
        tw_fs("handler", tw_slot_conf(s)->name),
        tw_fi("ms", tw_now(run->loop) - s->started_ms));

    o.result = a->result;
    finish(run, s, TW_OUTCOME_COMPLETE, &o);
}

void
tw_slot_end(tw_slot_t *s, tw_end_t end, const char *text)
{
    set_state(s, TW_SLOT_ENDING);
    s->end = end;
    tq_buf_reset(&s->error);
    if (text != NULL) {
        tq_buf_adds(&s->error, text);
    }
}

/* Of a run that was cancelled Redis keeps what it said, and nothing else. The
 * rest of the outcome is for a Redis that has forgotten the cancel. */
static void
drop(tw_run_t *run, tw_slot_t *s)
{
    static const char  why[] = "stopped: the job was cancelled";
    tq_outcome_t       o = { .retryable = 1, .wait_ms = -1,
                             .error = { why, sizeof(why) - 1 } };

    if (s->cancelled) {
        run->counts.cancelled++;
    } else {
        run->counts.lost++;
    }

    if (s->keep_log && s->log.len != 0) {
        finish(run, s, TW_OUTCOME_FAIL, &o);
    } else {
        free_slot(run, s);
    }
}

void
tw_slot_died(tw_run_t *run, tw_slot_t *s, int untouched, const char *why)
{
    tq_str_t  text = { s->error.p, s->error.len };

    if (s->state == TW_SLOT_RUNNING) {
        if (untouched) {
            set_state(s, TW_SLOT_WAITING);
            if (run->phase >= TW_DRAINING) {
                give_back(run, s, TW_INFO);
            }
        } else {
            fail(run, s, (tq_str_t) { why, strlen(why) }, 1, -1);
        }
        return;
    }

    switch (s->end) {
    case TW_END_FAIL:
        fail(run, s, text, 1, -1);
        break;
    case TW_END_FAIL_FOR_GOOD:
        fail(run, s, text, 0, -1);
        break;
    case TW_END_RELEASE:
        give_back(run, s, TW_INFO);
        break;
    case TW_END_DROP:
    case TW_END_NONE:
        drop(run, s);
        break;
    }
}

void
tw_slot_stderr(tw_slot_t *s, const char *p, size_t len)
{
    tw_tail_add(&s->log, TQ_LOG_MAX_BYTES, p, len);
}

void
tw_slot_abort(tw_run_t *run, tw_slot_t *s, tw_end_t end, int hard)
{
    switch (s->state) {

    case TW_SLOT_FREE:
        break;

    case TW_SLOT_WAITING:
        if (end == TW_END_DROP) {
            drop(run, s);
        } else {
            give_back(run, s, TW_INFO);
        }
        break;

    case TW_SLOT_RUNNING:
        tw_slot_end(s, end, NULL);
        tw_instance_kill(s->instance, hard);
        break;

    case TW_SLOT_ENDING:
        /* decided before; a lost lease drops that, too */
        if (end == TW_END_DROP) {
            s->end = end;
        }
        if (hard) {
            tw_instance_kill(s->instance, 1);
        }
        break;
    }
}

void
tw_slots_abort(tw_run_t *run, int hard)
{
    unsigned  i;

    for (i = 0; i < run->o->concurrency; i++) {
        tw_slot_abort(run, &run->slots[i], TW_END_RELEASE, hard);
    }
}

void
tw_slots_give_back(tw_run_t *run)
{
    unsigned  i;

    for (i = 0; i < run->o->concurrency; i++) {
        if (run->slots[i].state == TW_SLOT_WAITING) {
            tw_slot_abort(run, &run->slots[i], TW_END_RELEASE, 0);
        }
    }
}
