/*
 * fuzz_route.c: which endpoint a request means. The first byte chooses the
 * API, the method and the location's name; the rest is the path. What is found
 * and the path are the same text, an {id} holds no slash, and what Allow would
 * name is found with that method.
 */

#include <strings.h>

#include "fuzz.h"
#include "nginx_shim.h"
#include "../../ngx_taskmq_module/request/ngx_http_taskmq_route.c"
#include "../../ngx_taskmq_module/api/ngx_http_taskmq_endpoints.c"

/* The handlers stand in the table; none is called. */
#define HANDLER(name)                                                         \
    ngx_int_t name(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,         \
        tq_str_t body)                                                        \
    { (void) r; (void) ctx; (void) body; return NGX_ERROR; }

HANDLER(ngx_http_taskmq_add_job)
HANDLER(ngx_http_taskmq_add_jobs)
HANDLER(ngx_http_taskmq_get_job)
HANDLER(ngx_http_taskmq_cancel)
HANDLER(ngx_http_taskmq_retry)
HANDLER(ngx_http_taskmq_delete)
HANDLER(ngx_http_taskmq_jobs)
HANDLER(ngx_http_taskmq_tasks)
HANDLER(ngx_http_taskmq_queues)
HANDLER(ngx_http_taskmq_metrics)
HANDLER(ngx_http_taskmq_summary)
HANDLER(ngx_http_taskmq_health)
HANDLER(ngx_http_taskmq_queue)
HANDLER(ngx_http_taskmq_get_task)
HANDLER(ngx_http_taskmq_delete_task)
HANDLER(ngx_http_taskmq_redrive)
HANDLER(ngx_http_taskmq_docs)

static char  allow[64];

ngx_int_t
ngx_http_taskmq_header(ngx_http_request_t *r, const char *name,
    const char *value)
{
    (void) r;
    MUST(strcmp(name, "Allow") == 0 && strlen(value) < sizeof(allow));
    strcpy(allow, value);

    return NGX_OK;
}

static void
check_found(const ngx_http_request_t *r, const ngx_http_taskmq_ctx_t *ctx)
{
    u_char                         *p = r->uri.data, *id = ctx->param.data;
    const ngx_str_t                *location = &ctx->conf->location;
    const ngx_http_taskmq_route_t  *route = ctx->route;

    MUST(route->handler != NULL && route->endpoint < NGX_HTTP_TASKMQ_EP_OTHER);

    p += location->len;
    p += location->data[location->len - 1] != '/';
    MUST(memcmp(p, route->path.data, route->path.len) == 0);
    p += route->path.len;

    if (route->suffix) {
        MUST(id == p);
        MUST(memchr(id, '/', ctx->param.len) == NULL);
        p += ctx->param.len;
        MUST(memcmp(p, route->suffix, strlen(route->suffix)) == 0);
        p += strlen(route->suffix);
    }

    MUST(p == r->uri.data + r->uri.len);
}

static void
check_allowed(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    ngx_uint_t allowed)
{
    ngx_uint_t  i, none;
    struct {
        ngx_uint_t   method;
        const char  *name;
    } m[] = { { NGX_HTTP_GET, "GET, HEAD, " }, { NGX_HTTP_POST, "POST, " },
              { NGX_HTTP_DELETE, "DELETE, " } };

    MUST(ngx_http_taskmq_allow(r, allowed) == NGX_OK);

    for (i = 0; i < 3; i++) {
        MUST(!(allowed & m[i].method) == (strstr(allow, m[i].name) == NULL));
        if (allowed & m[i].method) {
            MUST(r->method != m[i].method);
            r->method = m[i].method;
            MUST(ngx_http_taskmq_route(r, ctx, &none) == NGX_OK);
            check_found(r, ctx);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct { ngx_str_t location; } at[] = {
        { ngx_string("/") }, { ngx_string("/jobs") }, { ngx_string("/q/") },
    };
    static const ngx_uint_t      methods[] = {
        NGX_HTTP_GET, NGX_HTTP_POST, NGX_HTTP_DELETE, NGX_HTTP_HEAD,
        NGX_HTTP_PUT, NGX_HTTP_OPTIONS
    };
    ngx_int_t                    rc;
    ngx_uint_t                   allowed;
    ngx_http_request_t           r;
    ngx_http_taskmq_ctx_t        ctx;
    ngx_http_taskmq_loc_conf_t   conf;

    if (size == 0) {
        return 0;
    }

    memset(&r, 0, sizeof(r));
    memset(&ctx, 0, sizeof(ctx));
    memset(&conf, 0, sizeof(conf));

    ctx.conf = &conf;
    conf.api = data[0] & 1 ? NGX_HTTP_TASKMQ_TASKMQ
               : NGX_HTTP_TASKMQ_TASKDAEMON;
    conf.routes = ngx_http_taskmq_routes(conf.api);
    conf.location = at[(data[0] >> 1) % 3].location;
    r.method = methods[(data[0] >> 3) % 6];

    /* nginx found this location, so its name is there; its own allocation */
    r.uri.len = conf.location.len + size - 1;
    r.uri.data = ngx_pnalloc(NULL, r.uri.len);
    memcpy(r.uri.data, conf.location.data, conf.location.len);
    memcpy(r.uri.data + conf.location.len, data + 1, size - 1);

    rc = ngx_http_taskmq_route(&r, &ctx, &allowed);

    if (rc == NGX_OK) {
        MUST(ctx.route->method == r.method
             || (r.method == NGX_HTTP_HEAD
                 && ctx.route->method == NGX_HTTP_GET));
        check_found(&r, &ctx);
    } else {
        MUST(rc == NGX_DECLINED);
        check_allowed(&r, &ctx, allowed);
    }

    shim_pool_reset();

    return 0;
}
