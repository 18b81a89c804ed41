/* state.c: whether jobs are claimed, and if not, why. See tw_queue.h. */

#include "queue_int.h"

/* A claim is made at least every TQ_WAKE_MAX_MS. */
#define STUCK_MS  (6 * TQ_WAKE_MAX_MS)

/* Longer than one call may take: it was asked on a second connection. */
#define UNANSWERED_MS  (2 * TQ_REDIS_TIMEOUT_MS + 1000)

int
tw_queue_is_ready(const tw_queue_t *q)
{
    return tw_rconn_ready(q->redis);
}

int
tw_queue_is_stuck(const tw_queue_t *q)
{
    int64_t  now = tw_now(q->loop);

    return tw_queue_is_open(q) && tw_rconn_ready(q->redis)
           && q->claim.refusals == 0 && tw_pools_have_room(q->run)
           && now - q->claim.last_ok_ms > STUCK_MS
           && now - q->lease.connected_ms > STUCK_MS;
}

/* A claim waits for its answer, or, on a connection that is new, for its turn
 * to be asked again. */
static int
unanswered(const tw_queue_t *q)
{
    return q->claim.unanswered_ms != 0
           && tw_now(q->loop) - q->claim.unanswered_ms > UNANSWERED_MS
           && (q->claim.in_flight != 0
               || (q->claim.want && tw_pools_have_room(q->run)));
}

const char *
tw_queue_why(const tw_queue_t *q)
{
    if (!tw_rconn_ready(q->redis)) {
        return "Redis is away";
    }
    if (q->session.gate != 0) {
        return "Redis is not ready for work";
    }
    if (q->claim.refusals != 0) {
        return "Redis refuses claims";
    }
    if (tw_queue_is_stuck(q) || unanswered(q)) {
        return "no claim was answered for a while";
    }

    return NULL;
}

const char *
tw_queue_redis_why(const tw_queue_t *q)
{
    if (!tw_rconn_ready(q->redis)) {
        return tw_rconn_why(q->redis);
    }

    return q->redis_err != TQ_ERR_NONE
           && (q->session.gate != 0 || q->claim.refusals != 0)
           ? tq_redis_err_text(q->redis_err) : "";
}
