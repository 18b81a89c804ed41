/*
 * trouble.c: what is wrong with Redis is one line of log when it begins and one
 * when it is over, whatever is asked meanwhile and however often.
 *
 * What is asked is refused by itself (a right may be missing for one script),
 * yet most causes (read-only, loading, full) meet all of it: so a cause is
 * news as long as nothing else met it, and over when nothing does any more.
 */

#include "queue_int.h"

static const char  *over[TW_CALL_N] = {
    [TW_CALL_CONNECTION] = "Redis is back",
    [TW_CALL_SESSION] = "Redis is ready for work again",
    [TW_CALL_CLAIM] = "claiming works again",
    [TW_CALL_PAYLOAD] = "Redis hands out payloads again",
    [TW_CALL_EXTEND] = "Redis extends leases again",
    [TW_CALL_REAP] = "Redis reaps again",
    [TW_CALL_SWEEP] = "Redis sweeps again",
    [TW_CALL_OUTCOME] = "Redis takes outcomes again",
    [TW_CALL_WAKE] = "the blocking read works again",
};

static unsigned
others(const tw_queue_t *q, tw_call_kind_t call)
{
    int       i;
    unsigned  all = 0;

    for (i = 0; i < TW_CALL_N; i++) {
        all |= i == (int) call ? 0 : q->trouble[i];
    }

    return all;
}

int
tw_trouble(tw_queue_t *q, tw_call_kind_t call, tq_redis_err_t e)
{
    unsigned  bit, known;

    /* the session will say it, of this and of everything else */
    if (q->session.gate != 0 && call != TW_CALL_SESSION
        && call != TW_CALL_CONNECTION)
    {
        return 0;
    }

    /* not there and not answering: an outage shows as either */
    bit = 1u << (e == TQ_ERR_TIMEOUT ? TQ_ERR_CONNECTION : e);
    known = q->trouble[call] & bit;
    /* the connection knows which right a call lacked */
    if (call != TW_CALL_CONNECTION || e != TQ_ERR_NOPERM) {
        known |= others(q, call) & bit;
    }
    q->trouble[call] |= bit;

    return known == 0;
}

void
tw_refused(tw_queue_t *q, tw_call_kind_t call, const tq_result_t *res,
    const char *text)
{
    if (tw_trouble(q, call, res->err)) {
        TW_LOG(TW_WARN, text, tw_fs("error", res->text));
    }
}

void
tw_trouble_over(tw_queue_t *q, tw_call_kind_t call)
{
    unsigned  mine = q->trouble[call];

    if (mine == 0) {
        return;
    }

    q->trouble[call] = 0;

    if (mine & ~others(q, call)) {
        TW_LOG(TW_INFO, over[call]);
    }
}
