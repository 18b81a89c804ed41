/*
 * trouble.c: what is wrong with Redis is one line of log when it begins and one
 * when it is over, whatever is asked meanwhile and however often.
 *
 * What is asked is refused by itself (a right may be missing for one script),
 * yet most causes (read-only, loading, full) meet all of it: so a cause is
 * news as long as nothing else met it, and over when nothing does any more.
 *
 * Of a missing right the connection's next attempt says which one it is; only
 * where that finds none is it news that the same is refused again.
 */

#include <string.h>

#include "queue_int.h"

#define WORD_BYTES  16        /* a cause's, with a comma */

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

    if (e == TQ_ERR_NOPERM && call != TW_CALL_CONNECTION
        && call != TW_CALL_SESSION && !(q->denied & 1u << call))
    {
        q->denied |= 1u << call;
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
    if (tw_trouble(q, call, res->cause)) {
        TW_LOG(TW_WARN, text, tw_fs("error", res->text));
    }
}

void
tw_trouble_over(tw_queue_t *q, tw_call_kind_t call)
{
    int       e;
    char      after[TQ_ERR_N * WORD_BYTES] = "";
    unsigned  over = q->trouble[call] & ~others(q, call);

    q->trouble[call] = 0;
    q->denied &= ~(1u << call);

    if (over == 0) {
        return;
    }

    for (e = 0; e < TQ_ERR_N; e++) {
        if (over & 1u << e) {
            (void) strcat(after, after[0] != '\0' ? "," : "");
            (void) strcat(after, tq_redis_err_word(e));
        }
    }

    TW_LOG(TW_INFO, "Redis works again", tw_fs("after", after));
}
