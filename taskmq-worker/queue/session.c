/*
 * session.c: what must have happened on a connection before the worker claims
 * on it: the eviction policy is one that keeps jobs, the key of the task ids
 * is known, and leases of a claim whose reply was lost are given back. What
 * Redis refuses for now (it is loading, busy, read-only) is asked again.
 */

#include <stdlib.h>
#include <string.h>

#include "queue_int.h"

#define RETRY_MS  500
#define KEY_MS    10          /* at the key, while claims follow each other: the
                                 counter of claims shows most of it, too */

static void ask_open(tw_queue_t *q);
static void seed(tw_queue_t *q);

static void
on_retry(uv_timer_t *t)
{
    ask_open(t->data);
}

static void
ask_later(tw_queue_t *q)
{
    (void) uv_timer_start(&q->session.retry, on_retry, RETRY_MS, 0);
}

static void
retry(tw_queue_t *q, const char *what, const tq_result_t *res)
{
    if (uv_is_active((uv_handle_t *) &q->session.retry)) {
        return;
    }

    if (res->status == TQ_REFUSED
        && tw_trouble(q, TW_CALL_SESSION, res->err))
    {
        TW_LOG(TW_WARN, "Redis is not ready for work", tw_fs("call", what),
            tw_fs("error", res->text), tw_fs("user", q->o->url.user),
            tw_fs("namespace", q->o->ns));
    }

    ask_later(q);
}

static void
open_gate(tw_queue_t *q, unsigned gate)
{
    q->session.gate &= ~gate;

    if (q->session.gate == 0) {
        q->claim.want = 1;
        tw_trouble_over(q, TW_CALL_CONNECTION);
        if (!q->session.full) {
            tw_trouble_over(q, TW_CALL_SESSION);
        }
    }
}

/* The eviction policy, when it is another than before. -1: nothing may be
 * claimed. */
static int
check_policy(tw_queue_t *q, int noeviction)
{
    int  before = q->session.noeviction;

    q->session.noeviction = noeviction;

    if (noeviction == 0 && !q->session.checked) {
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
    tw_queue_t  *q = data;

    if (res->status == TQ_NOT_SENT || res->status == TQ_UNKNOWN) {
        return;
    }

    q->session.full = res->err == TQ_ERR_OOM;

    if (q->session.full) {
        /* full: work makes room, and a full Redis that refuses evicts not */
        if (tw_trouble(q, TW_CALL_SESSION, TQ_ERR_OOM)) {
            TW_LOG(TW_WARN, "Redis is full: no job can be added");
        }

    } else if (res->status == TQ_REFUSED) {
        retry(q, "probe", res);
        return;

    } else if (check_policy(q, res->probe.noeviction) != 0) {
        q->events->hopeless(q->data);
        return;
    }

    q->session.checked = 1;
    open_gate(q, TW_GATE_POLICY);
}

static void
learn_key(tw_queue_t *q, const unsigned char *key)
{
    if (q->session.key_known
        && memcmp(key, q->session.key, TQ_UUID_KEY_LEN) != 0)
    {
        TW_LOG(TW_WARN, "the namespace is another one than before (FLUSHALL, "
            "or an empty replica?): look at its settings (taskmq config)");
        seed(q);
    }

    memcpy(q->session.key, key, TQ_UUID_KEY_LEN);
    q->session.key_known = 1;
}

static void
on_uuid_key(void *data, const tq_result_t *res)
{
    tw_queue_t  *q = data;

    if (res->status == TQ_REFUSED) {
        retry(q, "uuid key", res);
    } else if (res->status == TQ_OK) {
        learn_key(q, res->key);
        open_gate(q, TW_GATE_UUID);
    }
}

static void
on_key_checked(void *data, const tq_result_t *res)
{
    tw_queue_t  *q = data;

    if (res->status == TQ_REFUSED && !res->odd) {
        q->session.gate |= TW_GATE_UUID;
        retry(q, "uuid key", res);
    } else if (res->odd || (res->status == TQ_OK && !res->found)) {
        tw_session_emptied(q);
    } else if (res->status == TQ_OK) {
        learn_key(q, res->key);
    }
}

int
tw_session_check_key(tw_queue_t *q)
{
    if (tw_now(q->loop) - q->session.key_checked_ms < KEY_MS) {
        return 0;
    }

    if (tw_rconn_call(q->redis, tq_uuid_peek_call(&q->ns, on_key_checked, q))
        != 0)
    {
        return -1;
    }

    q->session.key_checked_ms = tw_now(q->loop);

    return 0;
}

void
tw_session_emptied(tw_queue_t *q)
{
    /* jobs that come all the same are given back */
    q->session.gate |= TW_GATE_UUID;
    ask_open(q);
}

void
tw_session_recovered(tw_queue_t *q, const tq_result_t *res)
{
    if (res == NULL) {
        ask_later(q);
    } else if (res->status == TQ_OK) {
        open_gate(q, TW_GATE_RECOVER);
    } else {
        retry(q, "extend", res);
    }
}

static void
differs(const tw_queue_t *q, tq_str_t name, tq_str_t value)
{
    const char  *ours = NULL;

    if (tq_str_eq(name, "selection")) {
        ours = q->o->selection;
    } else if (tq_str_eq(name, "daemon_max_retries")) {
        ours = q->o->daemon_max_retries;
    }

    if (ours != NULL && !tq_str_eq(value, ours)) {
        TW_LOG(TW_WARN, "the namespace's setting differs from this "
            "worker's environment and wins", tw_fz("setting", name),
            tw_fz("namespace", value), tw_fs("environment", ours));
    }
}

/* What was refused is seeded again; what was lost with its connection is, with
 * the next one. */
static void
on_seeded(void *data, const tq_result_t *res)
{
    tw_queue_t  *q = data;

    if (res->status != TQ_OK) {
        q->session.seeded = 0;
    }

    if (res->status == TQ_REFUSED) {
        retry(q, "settings", res);
    }
}

/* Seeds were only set where the namespace had no value: say where it has
 * another one. */
static void
on_config(void *data, const tq_result_t *res)
{
    unsigned     i;
    tq_str_t     name, value;
    tw_queue_t  *q = data;

    on_seeded(q, res);

    if (!q->session.seeded) {
        return;
    }

    if (q->session.gate == 0 && !q->session.full) {
        tw_trouble_over(q, TW_CALL_SESSION);
    }

    for (i = 0; tq_config_pair(res, i, &name, &value); i++) {
        differs(q, name, value);
    }
}

static int
seed_one(tw_queue_t *q, const char *name, const char *value)
{
    return value == NULL ? 0
           : tw_rconn_call(q->redis, tq_config_set_call(&q->ns, name, value, 1,
               on_seeded, q));
}

/* Each namespace that the worker meets. */
static void
seed(tw_queue_t *q)
{
    q->session.seeded = 1;

    if (q->o->selection == NULL && q->o->daemon_max_retries == NULL) {
        return;
    }

    if (seed_one(q, "selection", q->o->selection) != 0
        || seed_one(q, "daemon_max_retries", q->o->daemon_max_retries) != 0
        || tw_rconn_call(q->redis, tq_config_get_call(&q->ns, on_config, q))
           != 0)
    {
        q->session.seeded = 0;
        ask_later(q);
    }
}

/* Asks for everything that is still open; the answers come in this order. What
 * could not be handed over (no memory, too much waits) is asked later. */
static void
ask_open(tw_queue_t *q)
{
    int            failed = 0;
    unsigned char  fresh[TQ_UUID_KEY_LEN];

    if (!tw_rconn_ready(q->redis)) {
        return;
    }

    if (q->session.gate & TW_GATE_POLICY) {
        failed |= tw_rconn_call(q->redis, tq_probe_call(&q->ns, on_probe, q));
    }

    if (!q->session.seeded) {
        seed(q);
    }

    if (q->session.gate & TW_GATE_UUID) {
        failed |= uv_random(NULL, NULL, fresh, sizeof(fresh), 0, NULL) != 0
                  || tw_rconn_call(q->redis, tq_uuid_key_call(&q->ns, fresh,
                      on_uuid_key, q)) != 0;
    }

    if (q->session.gate & TW_GATE_RECOVER) {
        failed |= tw_lease_recover(q) != 0;
    }

    if (failed) {
        ask_later(q);
    }
}

int
tw_session_init(tw_queue_t *q)
{
    q->session.gate = TW_GATE_POLICY | TW_GATE_UUID | TW_GATE_RECOVER;
    q->session.noeviction = -2;
    q->session.retry.data = q;

    return uv_timer_init(q->loop, &q->session.retry);
}

void
tw_session_ready(tw_queue_t *q)
{
    q->session.gate |= TW_GATE_RECOVER | TW_GATE_POLICY;
    ask_open(q);
}

void
tw_session_lost(tw_queue_t *q)
{
    /* before the next claim, whatever this connection's claims did is seen */
    q->session.gate |= TW_GATE_RECOVER;
    (void) uv_timer_stop(&q->session.retry);
}

void
tw_session_close(tw_queue_t *q)
{
    uv_close((uv_handle_t *) &q->session.retry, NULL);
}
