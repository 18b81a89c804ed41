/*
 * ngx_http_taskmq_route.c: which endpoint of its location's API a request
 * means.
 */

#include "ngx_http_taskmq_request_int.h"

static ngx_uint_t ngx_http_taskmq_route_match(
    const ngx_http_taskmq_route_t *route, ngx_str_t *path, ngx_str_t *param);

ngx_int_t
ngx_http_taskmq_route(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    ngx_uint_t *allowed)
{
    ngx_str_t                       path, *location;
    ngx_uint_t                      method;
    const ngx_http_taskmq_route_t  *route;

    *allowed = 0;

    location = &ctx->conf->location;

    if (r->uri.len <= location->len) {
        return NGX_DECLINED;
    }

    path.data = r->uri.data + location->len;
    path.len = r->uri.len - location->len;

    if (location->data[location->len - 1] != '/') {

        /* "location /jobs" is also found for /jobsx */

        if (*path.data != '/') {
            return NGX_DECLINED;
        }

        path.data++;
        path.len--;
    }

    method = r->method == NGX_HTTP_HEAD ? NGX_HTTP_GET : r->method;

    for (route = ctx->conf->routes; route->handler; route++) {
        if (!ngx_http_taskmq_route_match(route, &path, &ctx->param)) {
            continue;
        }

        ctx->route = route;
        ctx->endpoint = route->endpoint;

        if (route->method == method) {
            return NGX_OK;
        }

        *allowed |= route->method;
    }

    return NGX_DECLINED;
}

size_t
ngx_http_taskmq_route_base(const ngx_http_taskmq_route_t *route,
    ngx_str_t *name)
{
    size_t  base, shortest;

    shortest = 0;

    for ( /* void */ ; route->handler; route++) {

        if (route->suffix || name->len <= route->path.len) {
            continue;
        }

        base = name->len - route->path.len;

        if (name->data[base - 1] == '/'
            && ngx_memcmp(name->data + base, route->path.data,
                          route->path.len)
               == 0
            && (shortest == 0 || base < shortest))
        {
            shortest = base;
        }
    }

    return shortest;
}

static ngx_uint_t
ngx_http_taskmq_route_match(const ngx_http_taskmq_route_t *route,
    ngx_str_t *path, ngx_str_t *param)
{
    size_t  len;

    if (path->len < route->path.len
        || ngx_memcmp(path->data, route->path.data, route->path.len) != 0)
    {
        return 0;
    }

    if (route->suffix == NULL) {
        return path->len == route->path.len;
    }

    param->data = path->data + route->path.len;
    param->len = path->len - route->path.len;

    len = ngx_strlen(route->suffix);

    /* an empty {id} is one that nobody has */

    if (param->len < len
        || ngx_memcmp(param->data + param->len - len, route->suffix, len) != 0)
    {
        return 0;
    }

    param->len -= len;

    return ngx_strlchr(param->data, param->data + param->len, '/') == NULL;
}

ngx_int_t
ngx_http_taskmq_allow(ngx_http_request_t *r, ngx_uint_t methods)
{
    u_char  *p, *value;

    value = ngx_pnalloc(r->pool, sizeof("GET, HEAD, POST, DELETE, OPTIONS"));
    if (value == NULL) {
        return NGX_ERROR;
    }

    p = value;

    if (methods & NGX_HTTP_GET) {
        p = ngx_cpymem(p, "GET, HEAD, ", sizeof("GET, HEAD, ") - 1);
    }

    if (methods & NGX_HTTP_POST) {
        p = ngx_cpymem(p, "POST, ", sizeof("POST, ") - 1);
    }

    if (methods & NGX_HTTP_DELETE) {
        p = ngx_cpymem(p, "DELETE, ", sizeof("DELETE, ") - 1);
    }

    ngx_memcpy(p, "OPTIONS", sizeof("OPTIONS"));

    return ngx_http_taskmq_header(r, "Allow", (char *) value);
}
