/* instance_http.c: one place of a `url` handler: like a child, but a
 * request. */

#include <stdio.h>

#include "instance.h"

static void
on_answer(void *data, const tw_answer_t *a)
{
    tw_instance_answered(data, a);
}

int
tw_instance_http_start(tw_instance_t *instance)
{
    if (instance->http == NULL) {
        instance->http = tw_http_new(on_answer, instance);
        if (instance->http == NULL) {
            tw_pool_start_failed(instance->pool, tw_pool_now(instance->pool),
                "out of memory");
            return -1;
        }
    }

    tw_instance_set_state(instance, TW_INSTANCE_STARTING);
    tw_instance_set_state(instance, TW_INSTANCE_IDLE);

    return 0;
}

int
tw_instance_http_run(tw_instance_t *instance, tw_slot_t *slot)
{
    char               key[TQ_UUID_LEN + TQ_COUNTER_LEN + 2];
    tw_http_request_t  r = {
        .url = tw_instance_conf(instance)->url,
        .body = { slot->line.p, slot->line.len },
        .task_id = slot->task_id,
        .key = key,
        .handler = tw_instance_conf(instance)->name,
        .job_id = slot->id,
        .attempt = slot->attempt,
    };

    /* one key for all attempts at a job; the runs of a periodic job are told
     * apart by their claim */
    (void) snprintf(key, sizeof(key), "%s%s%.*s", slot->task_id,
        slot->periodic ? "-" : "", slot->periodic ? TQ_COUNTER_LEN : 0,
        slot->token.t);

    if (tw_http_start(instance->http, &r) != 0) {
        instance->slot = NULL;
        (void) uv_timer_stop(&instance->timer);
        tw_instance_set_state(instance, TW_INSTANCE_DOWN);
        tw_pool_start_failed(instance->pool, tw_pool_now(instance->pool),
            "out of memory");
        return -1;
    }

    return 0;
}

static void
on_ended(uv_timer_t *t)
{
    tw_instance_t  *instance = t->data;
    tw_slot_t      *s = instance->slot;

    instance->slot = NULL;
    tw_instance_set_state(instance, TW_INSTANCE_DOWN);

    if (s != NULL) {
        tw_slot_died(instance->pool->run, s, 0, "request ended");
    }

    tw_pool_start_soon(instance->pool);
}

void
tw_instance_http_kill(tw_instance_t *instance)
{
    tw_http_abort(instance->http);
    (void) uv_timer_start(&instance->timer, on_ended, 0, 0);
}
