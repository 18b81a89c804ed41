/*
 * session.c: what must have happened on a connection before the worker claims
 * on it: the eviction policy is one that keeps jobs, the key of the task ids
 * is known, and leases of a claim whose reply was lost are given back. What
 * Redis refuses for now (it is loading, busy, read-only) is asked again.
 */

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "pool.h"
#include "tq_fail.h"

#define RETRY_MS  500
#define LOOK_MS   10          /* at the key, while claims follow each other: the
                                 counter of claims shows most of it, too */

static void ask(tw_worker_t *w);

static void
on_retry(uv_timer_t *t)
{
    ask(t->data);
}

static void
ask_later(tw_worker_t *w)
{
    (void) uv_timer_start(&w->session.retry, on_retry, RETRY_MS, 0);
}

static void
retry(tw_worker_t *w, const char *what, const tq_result_t *res)
{
    if (uv_is_active((uv_handle_t *) &w->session.retry)) {
        return;
    }

    if (res->status == TQ_REFUSED
        && tw_trouble(w, TW_ASK_SESSION, res->err))
    {
        TW_LOG(TW_WARN, "Redis is not ready for work", tw_fs("call", what),
            tw_fs("error", res->text), tw_fs("user", w->o->url.user),
            tw_fs("namespace", w->o->ns));
    }

    ask_later(w);
}

static void
open_gate(tw_worker_t *w, unsigned gate)
{
    w->session.gate &= ~gate;

    if (w->session.gate == 0) {
        w->claim.want = 1;
        tw_trouble_over(w, TW_ASK_CONNECTION);
        if (!w->session.full) {
            tw_trouble_over(w, TW_ASK_SESSION);
        }
    }
}

/* The eviction policy, when it is another than before. -1: nothing may be
 * claimed. */
static int
check_policy(tw_worker_t *w, int noeviction)
{
    int  before = w->session.noeviction;

    w->session.noeviction = noeviction;

    if (noeviction == 0 && !w->session.checked) {
        TW_LOG(TW_ERROR, "Redis' maxmemory-policy is not noeviction: it "
            "would drop jobs. Set it: CONFIG SET maxmemory-policy "
            "noeviction");
        return -1;
    }

    if (noeviction == before) {
        return 0;
    }

    if (noeviction == 0) {
        /* after a failover, or it was changed: jobs that run are not given up
         * for what may come */
        TW_LOG(TW_ERROR, "Redis' maxmemory-policy is not noeviction any more: "
            "it would drop jobs. Set it: CONFIG SET maxmemory-policy "
            "noeviction");

    } else if (noeviction < 0) {
        TW_LOG(TW_WARN, "Redis' maxmemory-policy cannot be read; it must be "
            "noeviction");
    }

    return 0;
}

static void
on_probe(void *data, const tq_result_t *res)
{
    tw_worker_t  *w = data;

    if (res->status == TQ_NOT_SENT || res->status == TQ_UNKNOWN) {
        return;
    }

    w->session.full = res->err == TQ_ERR_OOM;

    if (w->session.full) {
        /* full: work makes room, and a full Redis that refuses evicts not */
        if (tw_trouble(w, TW_ASK_SESSION, TQ_ERR_OOM)) {
            TW_LOG(TW_WARN, "Redis is full: no job can be added");
        }

    } else if (res->status == TQ_REFUSED) {
        retry(w, "probe", res);
        return;

    } else if (check_policy(w, res->probe.noeviction) != 0) {
        tw_die(w);
        return;
    }

    w->session.checked = 1;
    open_gate(w, TW_GATE_POLICY);
}

static void
learn_key(tw_worker_t *w, const unsigned char *key)
{
    if (w->uuid_known && memcmp(key, w->uuid_key, TQ_UUID_KEY_LEN) != 0) {
        TW_LOG(TW_WARN, "the namespace is another one than before (FLUSHALL, "
            "or an empty replica?)");
    }

    memcpy(w->uuid_key, key, TQ_UUID_KEY_LEN);
    w->uuid_known = 1;
}

static void
on_uuid_key(void *data, const tq_result_t *res)
{
    tw_worker_t  *w = data;

    if (res->status == TQ_REFUSED) {
        retry(w, "uuid key", res);
    } else if (res->status == TQ_OK) {
        learn_key(w, res->key);
        open_gate(w, TW_GATE_UUID);
    }
}

static void
on_look(void *data, const tq_result_t *res)
{
    tw_worker_t  *w = data;

    if (res->status == TQ_REFUSED && !res->odd) {
        w->session.gate |= TW_GATE_UUID;
        retry(w, "uuid key", res);
    } else if (res->odd || (res->status == TQ_OK && !res->found)) {
        tw_session_emptied(w);
    } else if (res->status == TQ_OK) {
        learn_key(w, res->key);
    }
}

int
tw_session_look(tw_worker_t *w)
{
    if (tw_now(w) - w->session.looked_ms < LOOK_MS) {
        return 0;
    }

    if (tw_rconn_call(w->redis, tq_uuid_peek_call(&w->ns, on_look, w)) != 0) {
        return -1;
    }

    w->session.looked_ms = tw_now(w);

    return 0;
}

void
tw_session_emptied(tw_worker_t *w)
{
    /* jobs that come all the same are given back */
    w->session.gate |= TW_GATE_UUID;
    ask(w);
}

void
tw_session_recovered(tw_worker_t *w, const tq_result_t *res)
{
    if (res == NULL) {
        ask_later(w);
    } else if (res->status == TQ_OK) {
        open_gate(w, TW_GATE_RECOVER);
    } else {
        retry(w, "extend", res);
    }
}

/* Seeds were only set where the namespace had no value: say where it has
 * another one. */
static void
on_config(void *data, const tq_result_t *res)
{
    unsigned      i;
    tq_str_t      name, value;
    const char   *ours;
    tw_worker_t  *w = data;

    if (res->status != TQ_OK) {
        return;
    }

    w->session.seeded = 1;

    for (i = 0; tq_config_pair(res, i, &name, &value); i++) {
        ours = NULL;
        if (tq_str_eq(name, "selection")) {
            ours = w->o->selection;
        } else if (tq_str_eq(name, "daemon_max_retries")) {
            ours = w->o->daemon_max_retries;
        }

        if (ours != NULL && !tq_str_eq(value, ours)) {
            TW_LOG(TW_WARN, "the namespace's setting differs from this "
                "worker's environment and wins", tw_fz("setting", name),
                tw_fz("namespace", value), tw_fs("environment", ours));
        }
    }
}

static void
seed(tw_worker_t *w)
{
    if (w->o->selection == NULL && w->o->daemon_max_retries == NULL) {
        w->session.seeded = 1;
        return;
    }

    if (w->o->selection != NULL) {
        (void) tw_rconn_call(w->redis, tq_config_set_call(&w->ns, "selection",
            w->o->selection, 1, NULL, NULL));
    }

    if (w->o->daemon_max_retries != NULL) {
        (void) tw_rconn_call(w->redis, tq_config_set_call(&w->ns,
            "daemon_max_retries", w->o->daemon_max_retries, 1, NULL, NULL));
    }

    (void) tw_rconn_call(w->redis, tq_config_get_call(&w->ns, on_config, w));
}

/* Asks for everything that is still open; the answers come in this order. What
 * could not be handed over (no memory, too much waits) is asked later. */
static void
ask(tw_worker_t *w)
{
    int            failed = 0;
    unsigned char  fresh[TQ_UUID_KEY_LEN];

    if (!tw_rconn_ready(w->redis)) {
        return;
    }

    if (w->session.gate & TW_GATE_POLICY) {
        failed |= tw_rconn_call(w->redis, tq_probe_call(&w->ns, on_probe, w));
    }

    if (!w->session.seeded) {
        seed(w);
    }

    if (w->session.gate & TW_GATE_UUID) {
        failed |= uv_random(NULL, NULL, fresh, sizeof(fresh), 0, NULL) != 0
                  || tw_rconn_call(w->redis, tq_uuid_key_call(&w->ns, fresh,
                      on_uuid_key, w)) != 0;
    }

    if (w->session.gate & TW_GATE_RECOVER) {
        failed |= tw_lease_recover(w) != 0;
    }

    if (failed) {
        ask_later(w);
    }
}

int
tw_session_init(tw_worker_t *w)
{
    w->session.gate = TW_GATE_POLICY | TW_GATE_UUID | TW_GATE_RECOVER;
    w->session.noeviction = -2;
    w->session.retry.data = w;

    return uv_timer_init(&w->loop, &w->session.retry);
}

void
tw_session_ready(tw_worker_t *w)
{
    w->session.gate |= TW_GATE_RECOVER | TW_GATE_POLICY;
    ask(w);
}

void
tw_session_lost(tw_worker_t *w)
{
    /* before the next claim, whatever this connection's claims did is seen */
    w->session.gate |= TW_GATE_RECOVER;
    (void) uv_timer_stop(&w->session.retry);
}

void
tw_session_close(tw_worker_t *w)
{
    uv_close((uv_handle_t *) &w->session.retry, NULL);
}
