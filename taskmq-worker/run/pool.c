/* pool.c: see pool.h. */

#include <stdlib.h>
#include <string.h>

#include "instance.h"

static void on_timer(uv_timer_t *t);

static int64_t
backoff_ms(const tw_pool_t *p)
{
    int64_t   ms = TQ_START_WAIT_MIN_MS;
    unsigned  i;

    for (i = 1; i < p->fails && ms < TQ_START_WAIT_MAX_MS; i++) {
        ms *= 2;
    }

    return ms < TQ_START_WAIT_MAX_MS ? ms : TQ_START_WAIT_MAX_MS;
}

static tw_instance_t *
find_down(tw_pool_t *p)
{
    unsigned  i;

    for (i = 0; i < p->n; i++) {
        if (p->instances[i].state == TW_INSTANCE_DOWN) {
            return &p->instances[i];
        }
    }

    return NULL;
}

/* All of them; after a failure one at a time, so that a broken handler does
 * not cost a process per instance and try. */
static void
start_down(tw_pool_t *p)
{
    tw_instance_t  *instance;

    while (!p->stopping && (instance = find_down(p)) != NULL) {
        if (tw_children_starting() >= TQ_STARTING_MAX) {
            (void) uv_timer_start(&p->timer, on_timer, 1, 0);
            return;
        }

        if (tw_instance_start(instance) != 0) {
            return;
        }

        if (p->fails != 0) {
            if (find_down(p) != NULL) {
                (void) uv_timer_start(&p->timer, on_timer, TQ_START_OK_MS,
                    0);
            }
            return;
        }
    }
}

static void
on_timer(uv_timer_t *t)
{
    start_down(t->data);
}

void
tw_pool_start_soon(tw_pool_t *p)
{
    int64_t  wait;

    if (p->stopping || uv_is_active((uv_handle_t *) &p->timer)) {
        return;
    }

    wait = p->fails ? backoff_ms(p) : 0;
    (void) uv_timer_start(&p->timer, on_timer, (uint64_t) wait, 0);
}

/* There will be a turn in TQ_START_OK_MS, if not earlier. */
static void
turn_later(tw_pool_t *p)
{
    if (!uv_is_active((uv_handle_t *) &p->timer)) {
        (void) uv_timer_start(&p->timer, on_timer, TQ_START_OK_MS, 0);
    }
}

static int
has_live(const tw_pool_t *p)
{
    unsigned  i;

    for (i = 0; i < p->n; i++) {
        if (p->instances[i].state == TW_INSTANCE_IDLE
            || p->instances[i].state == TW_INSTANCE_BUSY
            || p->instances[i].state == TW_INSTANCE_STARTING)
        {
            return 1;
        }
    }

    return 0;
}

/* Whether there is one that has shown that it runs. */
static int
has_proven(const tw_pool_t *p)
{
    unsigned              i;
    const tw_instance_t  *instance;

    for (i = 0; i < p->n; i++) {
        instance = &p->instances[i];
        if ((instance->state == TW_INSTANCE_IDLE
             || instance->state == TW_INSTANCE_BUSY)
            && (instance->tasks != 0
                || tw_pool_now(p) - instance->forked_ms >= TQ_START_OK_MS))
        {
            return 1;
        }
    }

    return 0;
}

void
tw_pool_start_failed(tw_pool_t *p, int64_t forked_ms, const char *why)
{
    if (p->stopping) {
        return;
    }

    p->fails++;
    p->failed_ms = tw_pool_now(p);
    if (p->lived_ms < p->failed_ms - forked_ms) {
        p->lived_ms = p->failed_ms - forked_ms;
    }

    TW_LOG(TW_ERROR, has_proven(p)
        ? "a process of this handler cannot start, the others go on"
        : "handler cannot start, its jobs wait",
        tw_fs("handler", p->conf->name), tw_fs("error", why),
        tw_fi("retry_in_ms", backoff_ms(p)));

    (void) uv_timer_stop(&p->timer);
    tw_pool_start_soon(p);

    if (!has_live(p)) {
        tw_slots_release_waiting(p->run, p);
    }
}

int
tw_pool_may_start(const tw_pool_t *p)
{
    return p->fails == 0 || tw_pool_now(p) - p->failed_ms >= backoff_ms(p);
}

void
tw_pool_started_well(tw_pool_t *p, int64_t born_ms)
{
    /* where all are up and none is being replaced, nothing fails any more */
    if (p->fails != 0
        && (born_ms >= p->failed_ms
            || (find_down(p) == NULL && tw_pool_now(p) - p->failed_ms
                > 2 * TQ_START_WAIT_MAX_MS)))
    {
        p->fails = 0;
        p->lived_ms = 0;
        (void) uv_timer_stop(&p->timer);
        TW_LOG(TW_INFO, "handler works again",
            tw_fs("handler", p->conf->name));
        tw_pool_start_soon(p);
    }
}

void
tw_pool_check_life(tw_pool_t *p)
{
    unsigned              i;
    int64_t               now = tw_pool_now(p), enough = 2 * p->lived_ms;
    const tw_instance_t  *instance;

    enough = enough < TQ_START_OK_MS ? TQ_START_OK_MS : enough;

    for (i = 0; i < p->n && p->fails != 0 && !p->stopping; i++) {
        instance = &p->instances[i];
        if (instance->child == NULL || instance->state == TW_INSTANCE_ENDING
            || instance->forked_ms < p->failed_ms)
        {
            continue;
        }

        if (now - instance->forked_ms >= enough) {
            tw_pool_started_well(p, instance->forked_ms);
        } else {
            turn_later(p);
        }
    }
}

static void
free_memory(tw_pool_t *p)
{
    unsigned  i;

    for (i = 0; p->instances != NULL && i < p->n; i++) {
        tq_buf_free(&p->instances[i].err_line);
    }

    free(p->instances);
    tw_launch_env_free(p->envp);
    tw_handler_conf_free(p->conf);
    free(p);
}

tw_pool_t *
tw_pool_new(tw_run_t *run, tw_handler_conf_t *conf)
{
    unsigned    i;
    tw_pool_t  *p = calloc(1, sizeof(*p));

    if (p == NULL) {
        return NULL;
    }

    p->run = run;
    p->name_len = strlen(conf->name);
    p->n = conf->kind == TW_KIND_NOOP ? 0 : conf->instances;
    p->envp = tw_launch_env(conf);
    p->instances = calloc(p->n + 1, sizeof(tw_instance_t));

    if (p->envp == NULL || p->instances == NULL
        || (conf->kind == TW_KIND_URL && tw_http_init(run->loop) != 0))
    {
        free_memory(p);
        return NULL;
    }

    p->conf = conf;
    (void) uv_timer_init(run->loop, &p->timer);
    p->timer.data = p;
    p->handles = 1 + p->n;
    p->useful = p->n == 0;

    for (i = 0; i < p->n; i++) {
        tw_instance_init(p, &p->instances[i], i);
    }

    tw_launch_say_limit(conf);
    start_down(p);
    p->woken = 1;

    return p;
}

unsigned
tw_pool_free(const tw_pool_t *p)
{
    unsigned  taken;

    if (p->n == 0) {
        return p->stopping ? 0 : TQ_CLAIM_MAX;
    }

    taken = p->waiting + p->asked;

    return p->idle > taken ? p->idle - taken : 0;
}

static unsigned
random_below(unsigned n)
{
    static uint64_t  state;

    /* xorshift: spreads load, decides nothing else */
    if (state == 0) {
        state = uv_hrtime() | 1;
    }

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;

    return (unsigned) (state % n);
}

tw_instance_t *
tw_pool_pick(tw_pool_t *p)
{
    unsigned  i, at, first = 0;

    if (p->idle == 0) {
        return NULL;
    }

    if (p->conf->pick == TW_PICK_ROUND_ROBIN) {
        first = p->last + 1;
    } else if (p->conf->pick == TW_PICK_RANDOM) {
        first = random_below(p->n);
    }

    for (i = 0; i < p->n; i++) {
        at = (first + i) % p->n;
        if (p->instances[at].state == TW_INSTANCE_IDLE) {
            p->last = at;
            return &p->instances[at];
        }
    }

    return NULL;
}

void
tw_pool_stop(tw_pool_t *p, tw_stop_t how)
{
    unsigned  i;

    p->stopping = 1;
    (void) uv_timer_stop(&p->timer);
    tw_slots_release_waiting(p->run, p);

    for (i = 0; i < p->n; i++) {
        if (p->instances[i].state != TW_INSTANCE_BUSY) {
            tw_instance_stop(&p->instances[i], how);
        }
    }
}

int
tw_pool_is_done(const tw_pool_t *p)
{
    unsigned              i;
    const tw_instance_t  *instance;

    for (i = 0; i < p->n; i++) {
        instance = &p->instances[i];
        if (instance->state != TW_INSTANCE_DOWN || instance->next != NULL) {
            return 0;
        }
    }

    return p->asked == 0 && p->waiting == 0;
}

static void
on_handle_closed(uv_handle_t *h)
{
    tw_pool_t  *p = h->data;

    if (--p->handles == 0) {
        free_memory(p);
    }
}

void
tw_pool_close(tw_pool_t *p)
{
    unsigned  i;

    for (i = 0; i < p->n; i++) {
        tw_http_free(p->instances[i].http);
        p->instances[i].http = NULL;
        p->instances[i].timer.data = p;
        uv_close((uv_handle_t *) &p->instances[i].timer, on_handle_closed);
    }

    uv_close((uv_handle_t *) &p->timer, on_handle_closed);
}

/* ---- replacing processes that are older than something ---- */

static tw_instance_t *
find_older(const tw_pool_t *p, int64_t ms)
{
    unsigned  i;

    for (i = 0; i < p->n; i++) {
        if (p->instances[i].child != NULL && p->instances[i].forked_ms < ms) {
            return &p->instances[i];
        }
    }

    return NULL;
}

int
tw_pool_has_older(const tw_pool_t *p, int64_t ms)
{
    return find_older(p, ms) != NULL;
}

void
tw_pool_replace_older(tw_pool_t *p, int64_t ms)
{
    tw_instance_t  *instance = find_older(p, ms);

    if (instance != NULL) {
        tw_instance_replace(instance);
    }
}

int
tw_pool_is_well(tw_pool_t *p)
{
    unsigned              i;
    const tw_instance_t  *instance;

    if (p->stopping) {
        return 0;
    }

    if (!tw_pool_may_start(p)) {
        turn_later(p);
        return 0;
    }

    for (i = 0; i < p->n; i++) {
        instance = &p->instances[i];

        if (instance->next != NULL || (instance->state != TW_INSTANCE_IDLE
                                   && instance->state != TW_INSTANCE_BUSY))
        {
            return 0;
        }

        if ((instance->tasks == 0
             && tw_pool_now(p) - instance->forked_ms < TQ_START_OK_MS)
            || (p->fails != 0 && instance->forked_ms >= p->failed_ms))
        {
            turn_later(p);
            return 0;
        }
    }

    return 1;
}
