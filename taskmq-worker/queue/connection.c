/* connection.c: the connection to Redis that all calls but the blocking one
 * use: what follows when it comes and goes. */

#include "queue_int.h"

#define IDLE_PING_MS  15000
#define FORGOT_MS     1000    /* one line of log for one SCRIPT FLUSH */

static void
on_state(void *data, int ready, const char *why)
{
    int          news;
    char         where[512];
    tw_queue_t  *q = data;

    (void) tq_url_show(&q->o->url, where, sizeof(where));

    if (!ready) {
        /* once for each cause, not for every attempt to come back, not when
         * Redis closes what is idle, and of a missing right when the next
         * attempt has found out which */
        news = !q->idle && !(q->was_ready && q->redis_err == TQ_ERR_NOPERM)
               && tw_trouble(q, TW_CALL_CONNECTION, q->redis_err);
        TW_LOG(news ? TW_WARN : TW_DEBUG, "Redis is away",
            tw_fs("redis", where), tw_fs("why", why),
            tw_fi("running_jobs", q->run->busy));
        if (news) {
            tw_notify_status("Redis is away");
        }
        if (!q->was_ready && q->redis_err == TQ_ERR_NOPERM) {
            tw_wake_soon(q);
        }
        q->idle = 0;
        q->was_ready = 0;
        tw_session_lost(q);
        return;
    }

    q->was_ready = 1;
    q->redis_err = TQ_ERR_NONE;
    TW_LOG(q->run->phase == TW_STARTING ? TW_INFO : TW_DEBUG, "connected",
        tw_fs("redis", where));
    q->events->connected(q->data);

    tw_lease_ready(q);
    tw_outcomes_ready(q);
    /* outcomes and leases first: they are older than anything asked below */
    tw_outcomes_turn(q);
    tw_lease_turn(q);
    tw_session_ready(q);
}

static void
on_error(void *data, tq_redis_err_t e)
{
    tw_queue_t  *q = data;

    q->redis_errors[e]++;
    q->redis_err = e;
    q->idle = e == TQ_ERR_CONNECTION && q->was_ready
              && tw_rconn_pending(q->redis) == 0;

    /* a flush forgets all of them: one line */
    if (e == TQ_ERR_NOSCRIPT
        && (q->forgot_ms == 0 || tw_now(q->loop) - q->forgot_ms > FORGOT_MS))
    {
        q->forgot_ms = tw_now(q->loop);
        TW_LOG(TW_WARN, "Redis had forgotten its scripts (SCRIPT FLUSH?); "
            "they are sent again");
    }
}

int
tw_connection_init(tw_queue_t *q)
{
    tw_rconn_conf_t  conf = {0};

    conf.url = &q->o->url;
    conf.client_name = q->name;
    conf.scripts = tq_ops_scripts;
    conf.greet = &tq_greet_worker;
    conf.greets = &q->ns;
    conf.timeout_ms = TQ_REDIS_TIMEOUT_MS;
    conf.idle_ping_ms = IDLE_PING_MS;
    conf.on_state = on_state;
    conf.on_error = on_error;
    conf.data = q;

    q->redis = tw_rconn_new(q->loop, &conf);

    return q->redis == NULL ? -1 : 0;
}
