/*
 * ngx_http_taskmq_route.c: the endpoints of both APIs, and which of them a
 * request means.
 */

#include "ngx_http_taskmq_api.h"
#include "ngx_http_taskmq_reply.h"

#define NGX_HTTP_TASKMQ_ANY                                                   \
    (NGX_HTTP_TASKMQ_ADMIN|NGX_HTTP_TASKMQ_WORKER)
#define NGX_HTTP_TASKMQ_TASK   (NGX_HTTP_TASKMQ_REDIS|NGX_HTTP_TASKMQ_UUID)
#define NGX_HTTP_TASKMQ_CHANGE (NGX_HTTP_TASKMQ_REDIS|NGX_HTTP_TASKMQ_WRITE)

/* a page of the API reference */
#define NGX_HTTP_TASKMQ_DOCS(path, suffix)                                    \
    { ngx_string(path), suffix, NGX_HTTP_GET, 0, NGX_HTTP_TASKMQ_BODY_NONE,   \
      0, NGX_HTTP_TASKMQ_EP_DOCS, ngx_http_taskmq_docs }

static const ngx_http_taskmq_route_t *ngx_http_taskmq_route_table(
    ngx_uint_t api);
static ngx_uint_t ngx_http_taskmq_route_match(
    const ngx_http_taskmq_route_t *route, ngx_str_t *path, ngx_str_t *param);

const char  *ngx_http_taskmq_endpoints[NGX_HTTP_TASKMQ_ENDPOINTS] = {
    "/add-job", "/add-jobs", "/job/{id}", "/jobs", "/queues", "/cancel",
    "/retry", "/health", "/monitor/metrics", "/queue", "/api/tasks/{id}",
    "/api/tasks", "/api/tasks/{id}/redrive", "/metrics", "/api/metrics",
    "docs", "other"
};

static const ngx_http_taskmq_route_t  ngx_http_taskmq_routes[] = {

    { ngx_string("add-job"), NULL, NGX_HTTP_POST, NGX_HTTP_TASKMQ_ADMIN,
      NGX_HTTP_TASKMQ_BODY_JOB, NGX_HTTP_TASKMQ_CHANGE,
      NGX_HTTP_TASKMQ_EP_ADD_JOB, ngx_http_taskmq_add_job },

    { ngx_string("job/"), "", NGX_HTTP_GET, NGX_HTTP_TASKMQ_ANY,
      NGX_HTTP_TASKMQ_BODY_NONE, NGX_HTTP_TASKMQ_REDIS,
      NGX_HTTP_TASKMQ_EP_JOB, ngx_http_taskmq_get_job },

    { ngx_string("job/"), "", NGX_HTTP_DELETE, NGX_HTTP_TASKMQ_ADMIN,
      NGX_HTTP_TASKMQ_BODY_NONE, NGX_HTTP_TASKMQ_CHANGE,
      NGX_HTTP_TASKMQ_EP_JOB, ngx_http_taskmq_delete },

    { ngx_string("health"), NULL, NGX_HTTP_GET, 0,
      NGX_HTTP_TASKMQ_BODY_NONE, NGX_HTTP_TASKMQ_START,
      NGX_HTTP_TASKMQ_EP_HEALTH, ngx_http_taskmq_health },

    { ngx_string("add-jobs"), NULL, NGX_HTTP_POST, NGX_HTTP_TASKMQ_ADMIN,
      NGX_HTTP_TASKMQ_BODY_BULK, NGX_HTTP_TASKMQ_CHANGE,
      NGX_HTTP_TASKMQ_EP_ADD_JOBS, ngx_http_taskmq_add_jobs },

    { ngx_string("cancel"), NULL, NGX_HTTP_POST, NGX_HTTP_TASKMQ_ADMIN,
      NGX_HTTP_TASKMQ_BODY_SMALL, NGX_HTTP_TASKMQ_CHANGE,
      NGX_HTTP_TASKMQ_EP_CANCEL, ngx_http_taskmq_cancel },

    { ngx_string("retry"), NULL, NGX_HTTP_POST, NGX_HTTP_TASKMQ_ANY,
      NGX_HTTP_TASKMQ_BODY_SMALL, NGX_HTTP_TASKMQ_CHANGE,
      NGX_HTTP_TASKMQ_EP_RETRY, ngx_http_taskmq_retry },

    { ngx_string("jobs"), NULL, NGX_HTTP_GET, NGX_HTTP_TASKMQ_ANY,
      NGX_HTTP_TASKMQ_BODY_NONE, NGX_HTTP_TASKMQ_REDIS,
      NGX_HTTP_TASKMQ_EP_JOBS, ngx_http_taskmq_jobs },

    { ngx_string("queues"), NULL, NGX_HTTP_GET, NGX_HTTP_TASKMQ_ANY,
      NGX_HTTP_TASKMQ_BODY_NONE, NGX_HTTP_TASKMQ_REDIS,
      NGX_HTTP_TASKMQ_EP_QUEUES, ngx_http_taskmq_queues },

    { ngx_string("monitor/metrics"), NULL, NGX_HTTP_GET, 0,
      NGX_HTTP_TASKMQ_BODY_NONE, NGX_HTTP_TASKMQ_REDIS,
      NGX_HTTP_TASKMQ_EP_MONITOR, ngx_http_taskmq_metrics },

    /* the Python TaskMQ's own spelling */
    { ngx_string("monitor/metrics/"), NULL, NGX_HTTP_GET, 0,
      NGX_HTTP_TASKMQ_BODY_NONE, NGX_HTTP_TASKMQ_REDIS,
      NGX_HTTP_TASKMQ_EP_MONITOR, ngx_http_taskmq_metrics },

    NGX_HTTP_TASKMQ_DOCS("openapi.json", NULL),
    NGX_HTTP_TASKMQ_DOCS("docs", NULL),
    NGX_HTTP_TASKMQ_DOCS("docs/", ""),
    NGX_HTTP_TASKMQ_DOCS("redoc", NULL),
    NGX_HTTP_TASKMQ_DOCS("redoc/", ""),

    { ngx_null_string, NULL, 0, 0, 0, 0, 0, NULL }
};

static const ngx_http_taskmq_route_t  ngx_http_taskmq_daemon_routes[] = {

    { ngx_string("queue"), NULL, NGX_HTTP_POST, NGX_HTTP_TASKMQ_ADMIN,
      NGX_HTTP_TASKMQ_BODY_JOB,
      NGX_HTTP_TASKMQ_TASK|NGX_HTTP_TASKMQ_WRITE,
      NGX_HTTP_TASKMQ_EP_QUEUE, ngx_http_taskmq_queue },

    { ngx_string("api/tasks/"), "", NGX_HTTP_GET, NGX_HTTP_TASKMQ_ANY,
      NGX_HTTP_TASKMQ_BODY_NONE, NGX_HTTP_TASKMQ_TASK,
      NGX_HTTP_TASKMQ_EP_TASK, ngx_http_taskmq_get_task },

    { ngx_string("api/tasks/"), "", NGX_HTTP_DELETE, NGX_HTTP_TASKMQ_ADMIN,
      NGX_HTTP_TASKMQ_BODY_NONE,
      NGX_HTTP_TASKMQ_TASK|NGX_HTTP_TASKMQ_WRITE,
      NGX_HTTP_TASKMQ_EP_TASK, ngx_http_taskmq_delete_task },

    { ngx_string("api/tasks/"), "/redrive", NGX_HTTP_POST,
      NGX_HTTP_TASKMQ_ANY, NGX_HTTP_TASKMQ_BODY_NONE,
      NGX_HTTP_TASKMQ_TASK|NGX_HTTP_TASKMQ_WRITE,
      NGX_HTTP_TASKMQ_EP_REDRIVE, ngx_http_taskmq_redrive },

    /* …//redrive, an empty id, as nginx hands it over (merge_slashes) */
    { ngx_string("api/tasks/redrive"), NULL, NGX_HTTP_POST,
      NGX_HTTP_TASKMQ_ANY, NGX_HTTP_TASKMQ_BODY_NONE,
      NGX_HTTP_TASKMQ_TASK|NGX_HTTP_TASKMQ_WRITE,
      NGX_HTTP_TASKMQ_EP_REDRIVE, ngx_http_taskmq_redrive },

    { ngx_string("api/tasks"), NULL, NGX_HTTP_GET, NGX_HTTP_TASKMQ_ANY,
      NGX_HTTP_TASKMQ_BODY_NONE, NGX_HTTP_TASKMQ_TASK,
      NGX_HTTP_TASKMQ_EP_TASKS, ngx_http_taskmq_tasks },

    { ngx_string("health"), NULL, NGX_HTTP_GET, 0,
      NGX_HTTP_TASKMQ_BODY_NONE, NGX_HTTP_TASKMQ_START,
      NGX_HTTP_TASKMQ_EP_HEALTH, ngx_http_taskmq_health },

    { ngx_string("metrics"), NULL, NGX_HTTP_GET, 0,
      NGX_HTTP_TASKMQ_BODY_NONE, NGX_HTTP_TASKMQ_REDIS,
      NGX_HTTP_TASKMQ_EP_METRICS, ngx_http_taskmq_metrics },

    { ngx_string("api/metrics"), NULL, NGX_HTTP_GET, 0,
      NGX_HTTP_TASKMQ_BODY_NONE, NGX_HTTP_TASKMQ_REDIS,
      NGX_HTTP_TASKMQ_EP_API_METRICS, ngx_http_taskmq_sums },

    NGX_HTTP_TASKMQ_DOCS("openapi.json", NULL),
    NGX_HTTP_TASKMQ_DOCS("swagger-ui", NULL),
    NGX_HTTP_TASKMQ_DOCS("swagger-ui/", ""),

    { ngx_null_string, NULL, 0, 0, 0, 0, 0, NULL }
};

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

    for (route = ngx_http_taskmq_route_table(ctx->conf->api);
         route->handler;
         route++)
    {
        if (!ngx_http_taskmq_route_match(route, &path, &ctx->param)) {
            continue;
        }

        ctx->route = route;

        if (route->method == method) {
            return NGX_OK;
        }

        *allowed |= route->method;
    }

    return NGX_DECLINED;
}

static const ngx_http_taskmq_route_t *
ngx_http_taskmq_route_table(ngx_uint_t api)
{
    return api == NGX_HTTP_TASKMQ_TASKMQ ? ngx_http_taskmq_routes
                                         : ngx_http_taskmq_daemon_routes;
}

size_t
ngx_http_taskmq_route_base(ngx_uint_t api, ngx_str_t *name)
{
    size_t                          base, shortest;
    const ngx_http_taskmq_route_t  *route;

    shortest = 0;

    for (route = ngx_http_taskmq_route_table(api); route->handler; route++) {

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
