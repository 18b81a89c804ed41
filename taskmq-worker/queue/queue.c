/* queue.c: the parts of the queue together, and what others ask of them. See
 * tw_queue.h. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "queue_int.h"

static void
on_outcome(void *data, tw_outcome_kind_t kind, const tq_outcome_t *o)
{
    tw_outcomes_add(data, kind, o);
}

static void
on_free(void *data)
{
    tw_queue_want(data);
}

static const tw_run_events_t  run_events = {
    .outcome = on_outcome,
    .free = on_free,
};

static int
make_identity(tw_queue_t *q)
{
    unsigned char  r[TQ_WORKER_ID_LEN / 2];
    char           host[TQ_WORKER_NAME_MAX + 1 - (sizeof(":1234567890") - 1)];
    unsigned       i;

    if (uv_random(NULL, NULL, r, sizeof(r), 0, NULL) != 0) {
        return -1;
    }

    for (i = 0; i < sizeof(r); i++) {
        (void) snprintf(q->id + 2 * i, 3, "%02x", r[i]);
    }

    if (gethostname(host, sizeof(host)) != 0) {
        (void) snprintf(host, sizeof(host), "localhost");
    }
    host[sizeof(host) - 1] = '\0';

    for (i = 0; host[i] != '\0'; i++) {
        if ((unsigned char) host[i] <= ' ' || (unsigned char) host[i] > '~') {
            host[i] = '-';
        }
    }

    (void) snprintf(q->name, sizeof(q->name), "%s:%d", host, (int) getpid());

    return 0;
}

int
tw_queue_init(tw_queue_t *q, tw_run_t *run, const tw_queue_events_t *events,
    void *data)
{
    q->loop = run->loop;
    q->o = run->o;
    q->run = run;
    q->events = events;
    q->data = data;
    tw_run_listen(run, &run_events, q);

    if (tq_ns_init(&q->ns, q->o->ns, strlen(q->o->ns)) != 0
        || make_identity(q) != 0 || tw_session_init(q) != 0
        || tw_claim_init(q) != 0 || tw_lease_init(q) != 0
        || tw_outcomes_init(q) != 0 || tw_connection_init(q) != 0)
    {
        return -1;
    }

    return tw_wake_init(q);
}

void
tw_queue_turn(tw_queue_t *q)
{
    tw_restart_turn(q);
    tw_outcomes_turn(q);
    tw_lease_turn(q);
    tw_claim_turn(q);
    tw_wake_turn(q);
}

void
tw_queue_flush(tw_queue_t *q)
{
    tw_rconn_flush(q->redis);
    tw_rconn_flush(q->wake.conn);
}

void
tw_queue_want(tw_queue_t *q)
{
    q->claim.want = 1;
}

void
tw_queue_changed(tw_queue_t *q)
{
    q->lease.extend_soon = 1;
    q->claim.want = 1;
}

int
tw_queue_stats(tw_queue_t *q, tq_done_cb done, void *data)
{
    return tw_rconn_call(q->redis, tq_stats_call(&q->ns, done, data));
}

void
tw_queue_close(tw_queue_t *q)
{
    if (q->redis != NULL) {
        tw_rconn_close(q->redis);
    }
    tw_wake_close(q);
    tw_claim_close(q);
    tw_lease_close(q);
    tw_session_close(q);
    tw_outcomes_close(q);
}
