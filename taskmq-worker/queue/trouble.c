/*
 * trouble.c: what is wrong with Redis is one line of log when it begins and one
 * when it is over, whatever is asked meanwhile and however often.
 *
 * What is asked is refused by itself (a right may be missing for one script),
 * yet most causes (read-only, loading, full) meet all of it: so a cause is
 * news as long as nothing else met it, and over when nothing does any more.
 */

#include "log.h"
#include "worker.h"

static const char  *over[TW_ASK_N] = {
    [TW_ASK_CONNECTION] = "Redis is back",
    [TW_ASK_SESSION] = "Redis is ready for work again",
    [TW_ASK_CLAIM] = "claiming works again",
    [TW_ASK_PAYLOAD] = "Redis hands out payloads again",
    [TW_ASK_EXTEND] = "Redis extends leases again",
    [TW_ASK_REAP] = "Redis reaps again",
    [TW_ASK_OUTCOME] = "Redis takes outcomes again",
    [TW_ASK_WAKE] = "the blocking read works again",
};

static unsigned
others(const tw_worker_t *w, tw_ask_t ask)
{
    int       i;
    unsigned  all = 0;

    for (i = 0; i < TW_ASK_N; i++) {
        all |= i == (int) ask ? 0 : w->trouble[i];
    }

    return all;
}

int
tw_trouble(tw_worker_t *w, tw_ask_t ask, tq_redis_err_t e)
{
    unsigned  bit, known;

    /* the session will say it, of this and of everything else */
    if (w->session.gate != 0 && ask != TW_ASK_SESSION
        && ask != TW_ASK_CONNECTION)
    {
        return 0;
    }

    /* not there and not answering: an outage shows as either */
    bit = 1u << (e == TQ_ERR_TIMEOUT ? TQ_ERR_CONNECTION : e);
    known = w->trouble[ask] & bit;
    /* the connection knows which right a call lacked */
    if (ask != TW_ASK_CONNECTION || e != TQ_ERR_NOPERM) {
        known |= others(w, ask) & bit;
    }
    w->trouble[ask] |= bit;

    return known == 0;
}

void
tw_refused(tw_worker_t *w, tw_ask_t ask, const tq_result_t *res,
    const char *text)
{
    if (tw_trouble(w, ask, res->err)) {
        TW_LOG(TW_WARN, text, tw_fs("error", res->text));
    }
}

void
tw_trouble_over(tw_worker_t *w, tw_ask_t ask)
{
    unsigned  mine = w->trouble[ask];

    if (mine == 0) {
        return;
    }

    w->trouble[ask] = 0;

    if (mine & ~others(w, ask)) {
        TW_LOG(TW_INFO, over[ask]);
    }
}
