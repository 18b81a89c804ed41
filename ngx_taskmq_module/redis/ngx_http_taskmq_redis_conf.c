/*
 * ngx_http_taskmq_redis_conf.c: which connections the configuration asks for.
 * Names are resolved here, once, because a resolver would block a worker.
 */

#include <string.h>

#include "ngx_http_taskmq_redis.h"
#include "tq_base.h"

static ngx_http_taskmq_redis_t *ngx_http_taskmq_redis_new(ngx_conf_t *cf,
    ngx_http_taskmq_main_conf_t *mcf, tq_url_t *url, tq_ns_t *ns);
static ngx_http_taskmq_redis_t *ngx_http_taskmq_redis_find(
    ngx_http_taskmq_main_conf_t *mcf, tq_url_t *url, tq_ns_t *ns);
static ngx_int_t ngx_http_taskmq_redis_resolve(ngx_conf_t *cf,
    ngx_http_taskmq_redis_t *redis);
static void ngx_http_taskmq_redis_cleanup(void *data);

ngx_http_taskmq_redis_t *
ngx_http_taskmq_redis_conf(ngx_conf_t *cf, ngx_http_taskmq_loc_conf_t *conf)
{
    tq_ns_t                       ns;
    tq_url_t                      url;
    const char                   *why;
    ngx_http_taskmq_redis_t      *redis;
    ngx_http_taskmq_main_conf_t  *mcf;

    if (tq_url_parse((char *) conf->redis_url.data, conf->redis_url.len, &url,
                     &why)
        != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid Redis URL in TASKMQ_REDIS_URL: %s", why);
        return NULL;
    }

    if (conf->redis_password.len) {
        (void) ngx_cpystrn((u_char *) url.password, conf->redis_password.data,
                           sizeof(url.password));
    }

    (void) tq_ns_init(&ns, (char *) conf->ns.data, conf->ns.len);

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_taskmq_module);
    redis = ngx_http_taskmq_redis_find(mcf, &url, &ns);

    if (redis == NULL) {
        redis = ngx_http_taskmq_redis_new(cf, mcf, &url, &ns);
    }

    explicit_bzero(&url, sizeof(url));

    if (redis == NULL) {
        return NULL;
    }

    if (redis->timeout == 0 || conf->redis_timeout < redis->timeout) {
        redis->timeout = conf->redis_timeout;
    }

    if (conf->api == NGX_HTTP_TASKMQ_TASKDAEMON) {
        redis->uuid = 1;
    }

    return redis;
}

/* ngx_http_taskmq_redis_new: a Redis and namespace not named before; its
 * timeout is the caller's to set. NULL: the reason was logged. */
static ngx_http_taskmq_redis_t *
ngx_http_taskmq_redis_new(ngx_conf_t *cf, ngx_http_taskmq_main_conf_t *mcf,
    tq_url_t *url, tq_ns_t *ns)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_taskmq_redis_t   *redis, **known;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_http_taskmq_redis_t));
    known = ngx_array_push(&mcf->redis);

    if (cln == NULL || known == NULL) {
        return NULL;
    }

    redis = cln->data;
    ngx_memzero(redis, sizeof(ngx_http_taskmq_redis_t));
    redis->url = *url;
    redis->ns = *ns;
    cln->handler = ngx_http_taskmq_redis_cleanup;

    redis->password = tq_secret_new(url->password, strlen(url->password));

    if (redis->password == NULL
        || ngx_http_taskmq_redis_resolve(cf, redis) != NGX_OK)
    {
        return NULL;
    }

    explicit_bzero(redis->url.password, sizeof(redis->url.password));

    *known = redis;

    return redis;
}

static ngx_http_taskmq_redis_t *
ngx_http_taskmq_redis_find(ngx_http_taskmq_main_conf_t *mcf, tq_url_t *url,
    tq_ns_t *ns)
{
    ngx_uint_t                 i;
    ngx_http_taskmq_redis_t  **redis;

    redis = mcf->redis.elts;

    for (i = 0; i < mcf->redis.nelts; i++) {
        if (strcmp(redis[i]->url.host, url->host) == 0
            && strcmp(redis[i]->url.path, url->path) == 0
            && strcmp(redis[i]->url.user, url->user) == 0
            && strcmp(redis[i]->password, url->password) == 0
            && redis[i]->url.port == url->port
            && redis[i]->url.db == url->db
            && redis[i]->ns.len == ns->len
            && ngx_memcmp(redis[i]->ns.prefix, ns->prefix, ns->len) == 0)
        {
            return redis[i];
        }
    }

    return NULL;
}

static ngx_int_t
ngx_http_taskmq_redis_resolve(ngx_conf_t *cf, ngx_http_taskmq_redis_t *redis)
{
    char       show[1024];
    u_char    *p;
    size_t     len;
    ngx_url_t  u;

    (void) tq_url_show(&redis->url, show, sizeof(show));

    redis->name.len = ngx_strlen(show);
    redis->name.data = ngx_pnalloc(cf->pool, redis->name.len + 1);

    len = sizeof("unix:[]:65535") + sizeof(redis->url.path)
          + sizeof(redis->url.host);
    p = ngx_pnalloc(cf->pool, len);

    if (redis->name.data == NULL || p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(redis->name.data, show, redis->name.len + 1);

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.url.data = p;

    if (redis->url.path[0]) {
        p = ngx_sprintf(p, "unix:%s", redis->url.path);

    } else if (ngx_strchr(redis->url.host, ':')) {
        p = ngx_sprintf(p, "[%s]:%d", redis->url.host, redis->url.port);

    } else {
        p = ngx_sprintf(p, "%s:%d", redis->url.host, redis->url.port);
    }

    u.url.len = (size_t) (p - u.url.data);

    if (ngx_parse_url(cf->pool, &u) != NGX_OK || u.naddrs == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s in the address of Redis, \"%V\"",
                           u.err ? u.err : "nothing found", &redis->name);
        return NGX_ERROR;
    }

    redis->addrs = u.addrs;
    redis->naddrs = u.naddrs;

    return NGX_OK;
}

/* The configuration goes: in a worker it has stopped already, unless nginx
 * runs as a single process and was reloaded. */
static void
ngx_http_taskmq_redis_cleanup(void *data)
{
    ngx_http_taskmq_redis_t  *redis = data;

    ngx_http_taskmq_redis_stop(redis);

    if (redis->password) {
        tq_secret_free(redis->password, strlen(redis->password));
    }
}
