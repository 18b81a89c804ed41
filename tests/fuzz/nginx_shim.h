/*
 * nginx_shim.h: the handful of nginx functions that the module's files under
 * a fuzzer call. The headers are nginx's own; what is here owns no state but
 * the request pool's pieces, each an allocation of its own, so that ASan sees
 * one byte too many. shim_pool_reset() frees them after each input.
 *
 * To be included once, before the module's .c file.
 */

#ifndef NGINX_SHIM_H
#define NGINX_SHIM_H

#include "ngx_http_taskmq_module.h"

#define SHIM_NOW  1700000000

static struct shim_pool_s {
    void    *piece[64];
    size_t   n;
} shim_pool, shim_kept;   /* of requests; of the cycle, never freed */

static ngx_time_t         shim_time = { .sec = SHIM_NOW };
volatile ngx_time_t      *ngx_cached_time = &shim_time;
static ngx_log_t          shim_log;          /* level 0: says nothing */
static ngx_pool_t         shim_cycle_pool;   /* until the process ends */
static ngx_cycle_t        shim_cycle = { .pool = &shim_cycle_pool,
                                         .log = &shim_log };
volatile ngx_cycle_t     *ngx_cycle = &shim_cycle;
ngx_module_t              ngx_http_taskmq_module;

static void
shim_pool_reset(void)
{
    while (shim_pool.n) {
        free(shim_pool.piece[--shim_pool.n]);
    }
}

void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    (void) log;

    return malloc(size ? size : 1);
}

void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    struct shim_pool_s  *of;

    of = pool == &shim_cycle_pool ? &shim_kept : &shim_pool;
    MUST(of->n < sizeof(of->piece) / sizeof(void *));

    return of->piece[of->n++] = ngx_alloc(size, NULL);
}

void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    return memset(ngx_pnalloc(pool, size), 0, size);
}

ngx_pool_cleanup_t *
ngx_pool_cleanup_add(ngx_pool_t *pool, size_t size)
{
    return ngx_pcalloc(pool, sizeof(ngx_pool_cleanup_t) + size);
}

void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    (void) level; (void) log; (void) err; (void) fmt;
}

ngx_int_t
ngx_strncasecmp(u_char *a, u_char *b, size_t n)
{
    return strncasecmp((char *) a, (char *) b, n);
}

static int
shim_base64url(u_char c)
{
    static const char   all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl"
                                "mnopqrstuvwxyz0123456789-_";
    const char         *p = c ? strchr(all, c) : NULL;

    return p ? (int) (p - all) : -1;
}

/* As nginx's: no padding, the last bits are not looked at. */
ngx_int_t
ngx_decode_base64url(ngx_str_t *dst, ngx_str_t *src)
{
    size_t    i;
    u_char   *d = dst->data;
    unsigned  bits = 0, n = 0;

    for (i = 0; i < src->len && shim_base64url(src->data[i]) >= 0; i++) {
        bits = (bits << 6 | (unsigned) shim_base64url(src->data[i])) & 0xfff;
        n += 6;
        if (n >= 8) {
            n -= 8;
            *d++ = (u_char) (bits >> n);
        }
    }

    dst->len = (size_t) (d - dst->data);

    /* nginx reads up to "=" or the end, and leaves out what is not whole */
    return (i == src->len || src->data[i] == '=') && i % 4 != 1
           ? NGX_OK : NGX_ERROR;
}

#endif /* NGINX_SHIM_H */
