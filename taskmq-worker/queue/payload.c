/*
 * payload.c: reads the payloads that are stored apart from their jobs' records,
 * and so do not come with a claim: some at a time, so that no reply is late
 * because of those before it.
 */

#include <stdlib.h>
#include <string.h>

#include "queue_int.h"

#define REFUSED_MS  1000

/* A call in flight. */
typedef struct {
    tw_queue_t  *q;
    tw_slot_t   *slot;
    uint32_t     generation;
    int64_t      bytes;
} read_t;

static void
take_payload(tw_queue_t *q, tw_slot_t *s, const tq_result_t *res)
{
    if (res->status == TQ_REFUSED) {
        /* the next claim, which may bring the job again, waits a little */
        tw_refused(q, TW_CALL_PAYLOAD, res,
            "Redis refuses to hand out payloads");
        tw_claim_pause(q, REFUSED_MS);
    }

    if (res->status != TQ_OK) {
        tw_slot_give_back(q->run, s);
        return;
    }

    tw_trouble_over(q, TW_CALL_PAYLOAD);

    /* given back, it would be claimed again for ever */
    if (!res->found) {
        tw_slot_no_payload(q->run, s, "its payload is not in Redis any more");
    } else if (res->payload.damaged) {
        tw_slot_no_payload(q->run, s, "its payload in Redis is damaged");
    } else {
        if (tw_slot_payload(q->run, s, res->payload.bytes) != 0) {
            tw_claim_refuse(q, s->pool);
        }
    }
}

static void
on_payload(void *data, const tq_result_t *res)
{
    read_t       r = *(read_t *) data;
    tw_queue_t  *q = r.q;

    free(data);
    q->claim.reading_bytes -= r.bytes;

    if (r.slot->generation == r.generation
        && r.slot->state == TW_SLOT_WAITING)
    {
        take_payload(q, r.slot, res);
    }

    tw_payload_turn(q);
}

/* 0, or -1: not now. */
static int
read_payload(tw_queue_t *q, tw_slot_t *s)
{
    read_t  *r;

    r = malloc(sizeof(*r));
    if (r == NULL) {
        return -1;
    }

    r->q = q;
    r->slot = s;
    r->generation = s->generation;
    r->bytes = s->payload_bytes;

    if (tw_rconn_call(q->redis, tq_payload_call(&q->ns, s->id, r->bytes,
        on_payload, r)) != 0)
    {
        free(r);
        return -1;
    }

    s->reading = 1;
    q->claim.reading_bytes += r->bytes;

    return 0;
}

void
tw_payload_turn(tw_queue_t *q)
{
    unsigned    i;
    tw_slot_t  *s;

    for (i = 0; i < q->o->concurrency; i++) {
        s = &q->run->slots[i];

        if (s->state != TW_SLOT_WAITING || s->payload_bytes == 0
            || s->reading)
        {
            continue;
        }

        if (q->claim.reading_bytes != 0
            && q->claim.reading_bytes + s->payload_bytes > TQ_CLAIM_BYTES)
        {
            return;
        }

        if (read_payload(q, s) != 0) {
            tw_slot_give_back(q->run, s);
        }
    }
}
