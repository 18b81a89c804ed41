/* pools.c: all pools together. See pool.h. */

#include <string.h>

#include "instance.h"
#include "tq_doc.h"

tw_pool_t *
tw_pool_find(tw_run_t *run, const char *name, size_t len)
{
    unsigned    i;
    tw_pool_t  *p;

    for (i = 0; i < run->npools; i++) {
        p = run->pools[i];
        if (p->name_len == len && memcmp(p->conf->name, name, len) == 0) {
            return p;
        }
    }

    return NULL;
}

int
tw_pools_add(tw_run_t *run, tw_handler_conf_t *conf)
{
    tw_pool_t  *p = tw_pool_new(run, conf);

    if (p == NULL) {
        return -1;
    }

    run->pools[run->npools++] = p;

    return 0;
}

void
tw_pools_turn(tw_run_t *run)
{
    unsigned    i;
    tw_pool_t  *p;

    for (i = 0; i < run->npools; i++) {
        p = run->pools[i];
        if (p->waiting != 0) {
            tw_slots_place(run, p);
        }
        tw_pool_check_life(p);
    }
}

void
tw_pools_stop(tw_run_t *run, tw_stop_t how)
{
    unsigned    i;
    tw_pool_t  *p;

    for (i = 0; i < run->npools; i++) {
        tw_pool_stop(run->pools[i], how);
        if (run->pools[i]->successor != NULL) {
            tw_pool_stop(run->pools[i]->successor, how);
        }
    }

    for (p = run->retired; p != NULL; p = p->next) {
        tw_pool_stop(p, how);
    }
}

void
tw_pools_close(tw_run_t *run)
{
    tw_pool_t  *p;

    while (run->npools != 0) {
        p = run->pools[--run->npools];
        if (p->successor != NULL) {
            tw_pool_close(p->successor);
        }
        tw_pool_close(p);
    }

    while ((p = run->retired) != NULL) {
        run->retired = p->next;
        tw_pool_close(p);
    }
}

int
tw_pools_have_room(const tw_run_t *run)
{
    unsigned    i;
    tw_pool_t  *p;

    if (run->busy >= run->o->concurrency) {
        return 0;
    }

    for (i = 0; i < run->npools; i++) {
        p = run->pools[i];
        if (p->n == 0 || p->idle > p->waiting) {
            return 1;
        }
    }

    return 0;
}

static unsigned
active(const tw_pool_t *p)
{
    unsigned  i, n = 0;

    for (i = 0; i < p->n; i++) {
        n += p->instances[i].state == TW_INSTANCE_BUSY;
    }

    return n;
}

int
tw_pools_all_fail(const tw_run_t *run)
{
    unsigned    i;
    tw_pool_t  *p;

    for (i = 0; i < run->npools; i++) {
        p = run->pools[i];
        if (p->fails == 0 || p->idle != 0 || active(p) != 0) {
            return 0;         /* fewer than there should be, but some */
        }
    }

    return 1;
}

cJSON *
tw_pools_doc(const tw_run_t *run)
{
    cJSON      *pools = cJSON_CreateObject(), *pool;
    unsigned    i;
    tw_pool_t  *p;

    for (i = 0; i < run->npools; i++) {
        p = run->pools[i];
        if (p->n == 0) {
            continue;         /* a builtin has no instances */
        }

        pool = tq_doc_object({ "active", tq_doc_int(active(p)) },
                             { "idle", tq_doc_int(p->idle) });
        if (p->fails != 0) {
            tq_doc_add(&pool, "failing", cJSON_CreateTrue());
        }
        if (p->conf->kind == TW_KIND_URL) {
            tq_doc_add(&pool, "url", cJSON_CreateTrue());
        }
        tq_doc_add(&pools, p->conf->name, pool);
    }

    return pools;
}
