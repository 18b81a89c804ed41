/* run.c: see run.h. */

#include <stdlib.h>

#include "instance.h"

int
tw_run_init(tw_run_t *run, uv_loop_t *loop, const tw_options_t *o)
{
    run->loop = loop;
    run->o = o;
    run->pools = calloc(TQ_HANDLERS_MAX + 1, sizeof(*run->pools));

    return run->pools != NULL ? tw_slots_init(run) : -1;
}

void
tw_run_listen(tw_run_t *run, const tw_run_events_t *events, void *data)
{
    run->events = events;
    run->data = data;
}

void
tw_run_free_place(tw_run_t *run)
{
    run->events->free(run->data);
}

void
tw_run_free(tw_run_t *run)
{
    tw_slots_free(run);
    free(run->pools);
    run->pools = NULL;
}
