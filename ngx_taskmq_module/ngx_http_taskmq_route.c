/*
 * ngx_http_taskmq_route.c: the endpoints of both APIs, and what every request
 * goes through before its handler: path, method, token and role, headers,
 * Redis at hand, body. Cheap refusals come first; a body is read only for
 * somebody who may send it.
 */

#include "ngx_http_taskmq_api.h"
#include "ngx_http_taskmq_auth.h"
#include "ngx_http_taskmq_reply.h"

#define NGX_HTTP_TASKMQ_ANY                                                   \
    (NGX_HTTP_TASKMQ_ADMIN|NGX_HTTP_TASKMQ_WORKER)
#define NGX_HTTP_TASKMQ_TASK   (NGX_HTTP_TASKMQ_REDIS|NGX_HTTP_TASKMQ_UUID)
#define NGX_HTTP_TASKMQ_CHANGE (NGX_HTTP_TASKMQ_REDIS|NGX_HTTP_TASKMQ_WRITE)

/* a page of the API reference */
#define NGX_HTTP_TASKMQ_DOCS(path, suffix)                                    \
    { ngx_string(path), suffix, NGX_HTTP_GET, 0, NGX_HTTP_TASKMQ_BODY_NONE,   \
      0, NGX_HTTP_TASKMQ_EP_DOCS, ngx_http_taskmq_docs }

static ngx_int_t ngx_http_taskmq_route(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, ngx_uint_t *allowed);
static ngx_uint_t ngx_http_taskmq_route_match(
    const ngx_http_taskmq_route_t *route, ngx_str_t *path, ngx_str_t *param);
static ngx_int_t ngx_http_taskmq_serve(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, ngx_uint_t *answered);
static ngx_int_t ngx_http_taskmq_run(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);
static ngx_int_t ngx_http_taskmq_park(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);
static void ngx_http_taskmq_unpark(ngx_http_taskmq_call_t *call,
    tq_call_result_t result, const redisReply *reply);
static ngx_int_t ngx_http_taskmq_allow(ngx_http_request_t *r,
    ngx_uint_t methods);
static ngx_int_t ngx_http_taskmq_check_auth(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);
static ngx_int_t ngx_http_taskmq_check_headers(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);
static ngx_inline ngx_uint_t ngx_http_taskmq_is_header(ngx_table_elt_t *h,
    const char *name);
static ngx_int_t ngx_http_taskmq_check_key(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, ngx_str_t *key);
static ngx_int_t ngx_http_taskmq_check_redis(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);
static ngx_uint_t ngx_http_taskmq_is_json(ngx_str_t *type);

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

    NGX_HTTP_TASKMQ_DOCS("openapi.json", NULL),
    NGX_HTTP_TASKMQ_DOCS("docs", NULL),
    NGX_HTTP_TASKMQ_DOCS("docs/", NULL),
    NGX_HTTP_TASKMQ_DOCS("docs/", ""),
    NGX_HTTP_TASKMQ_DOCS("redoc", NULL),
    NGX_HTTP_TASKMQ_DOCS("redoc/", NULL),
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
    NGX_HTTP_TASKMQ_DOCS("swagger-ui/", NULL),
    NGX_HTTP_TASKMQ_DOCS("swagger-ui/", ""),

    { ngx_null_string, NULL, 0, 0, 0, 0, 0, NULL }
};

ngx_int_t
ngx_http_taskmq_handler(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_uint_t              answered;
    ngx_http_taskmq_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_taskmq_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->conf = ngx_http_get_module_loc_conf(r, ngx_http_taskmq_module);
    ngx_http_set_ctx(r, ctx, ngx_http_taskmq_module);

    rc = ngx_http_taskmq_serve(r, ctx, &answered);

    return answered ? rc : ngx_http_taskmq_run(r, ctx);
}

/* ngx_http_taskmq_run: all checks were passed. */
static ngx_int_t
ngx_http_taskmq_run(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->route->body != NGX_HTTP_TASKMQ_BODY_NONE) {
        return ngx_http_taskmq_body_read(r, ctx);
    }

    rc = ngx_http_taskmq_body_discard(r);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ctx->route->handler(r, ctx, (tq_str_t) { NULL, 0 });

    if (rc == NGX_DONE) {

        /* a call waits, and ends this when it is answered */

        r->main->count++;
    }

    return rc;
}

/* ngx_http_taskmq_serve: everything that can be answered without the body. */
static ngx_int_t
ngx_http_taskmq_serve(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    ngx_uint_t *answered)
{
    ngx_int_t   rc;
    ngx_uint_t  allowed;

    *answered = 1;

    if (ngx_http_taskmq_route(r, ctx, &allowed) == NGX_OK) {

        rc = ngx_http_taskmq_check_auth(r, ctx);

        if (rc == NGX_DECLINED) {
            rc = ngx_http_taskmq_check_headers(r, ctx);
        }

        if (rc == NGX_DECLINED) {
            rc = ngx_http_taskmq_check_redis(r, ctx);
        }

        if (rc == NGX_DECLINED) {
            *answered = 0;
        }

        return rc;
    }

    rc = ngx_http_taskmq_body_discard(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (allowed == 0) {
        return ngx_http_taskmq_error(r, NGX_HTTP_NOT_FOUND, "Not Found");
    }

    if (ngx_http_taskmq_allow(r, allowed) != NGX_OK) {
        return NGX_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_taskmq_reply_empty(r, NGX_HTTP_NO_CONTENT);
    }

    return ngx_http_taskmq_error(r, NGX_HTTP_NOT_ALLOWED,
                                 "Method Not Allowed");
}

/* ngx_http_taskmq_route finds ctx->route and ctx->param. NGX_DECLINED: no such
 * path (allowed 0), or not with this method. */
static ngx_int_t
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

    for (route = ctx->conf->api == NGX_HTTP_TASKMQ_TASKMQ
                 ? ngx_http_taskmq_routes : ngx_http_taskmq_daemon_routes;
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

    if (param->len <= len
        || ngx_memcmp(param->data + param->len - len, route->suffix, len) != 0)
    {
        return 0;
    }

    param->len -= len;

    return ngx_strlchr(param->data, param->data + param->len, '/') == NULL;
}

static ngx_int_t
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

/* ngx_http_taskmq_refuse answers a request whose body nobody will read. */
static ngx_int_t
ngx_http_taskmq_refuse(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    ngx_int_t  rc;

    rc = ngx_http_taskmq_body_discard(r);

    return rc == NGX_OK ? ngx_http_taskmq_error(r, status, text) : rc;
}

/* The checks return NGX_DECLINED when there is nothing to object to, else the
 * rc of their answer. */
static ngx_int_t
ngx_http_taskmq_check_auth(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx)
{
    const ngx_http_taskmq_identity_t  *who;

    /* a mirror's or an include's copy of a request must not do it again */

    if (r != r->main && ctx->route->flags & NGX_HTTP_TASKMQ_WRITE) {
        return ngx_http_taskmq_refuse(r, NGX_HTTP_FORBIDDEN,
                                      "Not available in a subrequest");
    }

    if (ctx->route->roles == 0 || ctx->conf->auth == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_http_taskmq_auth(r, ctx->conf->auth, &who) != NGX_OK) {

        if (ngx_http_taskmq_header(r, "WWW-Authenticate", "Bearer") != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_taskmq_refuse(r, NGX_HTTP_UNAUTHORIZED,
                                      "Invalid or missing token");
    }

    if (!(who->roles & ctx->route->roles)) {
        return ngx_http_taskmq_refuse(r, NGX_HTTP_FORBIDDEN,
                                      "Insufficient permissions");
    }

    ctx->subject.p = (char *) who->subject;
    ctx->subject.len = who->subject_len;

    return NGX_DECLINED;
}

/* ngx_http_taskmq_check_headers: what the headers say of the body. */
static ngx_int_t
ngx_http_taskmq_check_headers(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx)
{
    ngx_int_t         rc;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    switch (ctx->route->body) {

    case NGX_HTTP_TASKMQ_BODY_NONE:
        return NGX_DECLINED;

    case NGX_HTTP_TASKMQ_BODY_SMALL:
        ctx->max_body = TQ_ENVELOPE_BYTES;
        break;

    case NGX_HTTP_TASKMQ_BODY_JOB:
        ctx->max_body = ctx->conf->max_payload + TQ_ENVELOPE_BYTES;
        break;

    case NGX_HTTP_TASKMQ_BODY_BULK:
        ctx->max_body = ctx->conf->max_bulk;
        break;
    }

    if (ctx->conf->api == NGX_HTTP_TASKMQ_TASKMQ
        && r->headers_in.content_type
        && !ngx_http_taskmq_is_json(&r->headers_in.content_type->value))
    {
        return ngx_http_taskmq_refuse(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                      "Content-Type must be application/json");
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (ngx_http_taskmq_is_header(&h[i], "Content-Encoding")
                && (h[i].value.len != sizeof("identity") - 1
                    || ngx_strncasecmp(h[i].value.data, (u_char *) "identity",
                                       h[i].value.len) != 0))
            {
                return ngx_http_taskmq_refuse(r,
                                              NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                              "Content-Encoding is not "
                                              "supported");
            }

            if (ctx->route->body != NGX_HTTP_TASKMQ_BODY_SMALL
                && ngx_http_taskmq_is_header(&h[i], "Idempotency-Key"))
            {
                rc = ngx_http_taskmq_check_key(r, ctx, &h[i].value);

                if (rc != NGX_DECLINED) {
                    return rc;
                }
            }
        }
    }

    return NGX_DECLINED;
}

static ngx_inline ngx_uint_t
ngx_http_taskmq_is_header(ngx_table_elt_t *h, const char *name)
{
    return h->key.len == ngx_strlen(name)
           && ngx_strncasecmp(h->key.data, (u_char *) name, h->key.len) == 0;
}

/* ngx_http_taskmq_check_key notes an Idempotency-Key and whose it is. */
static ngx_int_t
ngx_http_taskmq_check_key(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    ngx_str_t *key)
{
    u_char     *p;
    ngx_int_t   rc;

    if (ctx->idempotency_key.p
        || key->len == 0
        || key->len > TQ_IDEMPOTENCY_KEY_MAX)
    {
        rc = ngx_http_taskmq_body_discard(r);

        return rc != NGX_OK ? rc
               : ngx_http_taskmq_error_field(r, "header", "Idempotency-Key",
                                             "one key of 1 to 255 bytes "
                                             "expected", "value_error");
    }

    /* the identity is valid until the next request's */

    p = ngx_pnalloc(r->pool, ctx->subject.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, ctx->subject.p ? ctx->subject.p : "", ctx->subject.len);

    ctx->subject.p = (char *) p;
    ctx->idempotency_key.p = (char *) key->data;
    ctx->idempotency_key.len = key->len;

    return NGX_DECLINED;
}

/* application/json and application/…+json, with any parameters */
static ngx_uint_t
ngx_http_taskmq_is_json(ngx_str_t *type)
{
    u_char  *p;
    size_t   len;

    p = ngx_strlchr(type->data, type->data + type->len, ';');
    len = p ? (size_t) (p - type->data) : type->len;

    while (len && (type->data[len - 1] == ' ' || type->data[len - 1] == '\t'))
    {
        len--;
    }

    if (len < sizeof("application/json") - 1
        || ngx_strncasecmp(type->data, (u_char *) "application/", 12) != 0)
    {
        return 0;
    }

    return (len == sizeof("application/json") - 1
            && ngx_strncasecmp(type->data + 12, (u_char *) "json", 4) == 0)
           || (len > sizeof("application/+json") - 1
               && ngx_strncasecmp(type->data + len - 5, (u_char *) "+json", 5)
                  == 0);
}

static ngx_int_t
ngx_http_taskmq_check_redis(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_taskmq_redis_t  *redis;

    redis = ctx->conf->redis;

    if (ctx->route->flags & (NGX_HTTP_TASKMQ_REDIS|NGX_HTTP_TASKMQ_START)
        && ngx_http_taskmq_redis_starting(redis)
        && !ctx->parked)
    {
        return ngx_http_taskmq_park(r, ctx);
    }

    if (!(ctx->route->flags & NGX_HTTP_TASKMQ_REDIS)) {
        return NGX_DECLINED;
    }

    if (!ngx_http_taskmq_redis_ready(redis)) {
        rc = ngx_http_taskmq_body_discard(r);

        return rc != NGX_OK ? rc
               : ngx_http_taskmq_error_redis(r, TQ_CALL_NOT_SENT, NULL,
                                             ngx_http_taskmq_redis_why(redis));
    }

    if (ctx->route->flags & NGX_HTTP_TASKMQ_UUID && !redis->uuid_known) {
        ngx_http_taskmq_health_uuid(redis);

        rc = ngx_http_taskmq_body_discard(r);

        return rc != NGX_OK ? rc
               : ngx_http_taskmq_error_later(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                             "The key for task ids is not "
                                             "known yet");
    }

    return NGX_DECLINED;
}

/* ngx_http_taskmq_park: this nginx worker has just started, and will have its
 * connection in a moment. The request goes on from here then. */
static ngx_int_t
ngx_http_taskmq_park(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx)
{
    ngx_http_taskmq_call_t  *call;

    call = ngx_http_taskmq_call_new(r, ctx->conf->redis,
                                    ngx_http_taskmq_unpark);
    if (call == NULL) {
        return NGX_ERROR;
    }

    ctx->parked = 1;
    r->main->count++;

    ngx_http_taskmq_redis_park(call);

    return NGX_DONE;
}

static void
ngx_http_taskmq_unpark(ngx_http_taskmq_call_t *call, tq_call_result_t result,
    const redisReply *reply)
{
    ngx_int_t               rc;
    ngx_http_request_t     *r;
    ngx_http_taskmq_ctx_t  *ctx;

    r = ngx_http_taskmq_call_end(call);

    if (r == NULL) {
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);

    rc = ngx_http_taskmq_check_redis(r, ctx);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_taskmq_run(r, ctx);
    }

    /* what nginx does with what a content handler returns */

    ngx_http_taskmq_finalize(r, rc);
}
