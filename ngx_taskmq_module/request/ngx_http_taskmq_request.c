/*
 * ngx_http_taskmq_request.c: what every request goes through before its
 * endpoint's handler: path, method, token and role, headers, Redis at hand,
 * body. Cheap refusals come first; a body is read only for somebody who may
 * send it.
 */

#include "ngx_http_taskmq_request_int.h"
#include "ngx_http_taskmq_auth.h"

static ngx_int_t ngx_http_taskmq_serve(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, ngx_uint_t *answered);
static ngx_int_t ngx_http_taskmq_check_origin(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);
static ngx_int_t ngx_http_taskmq_check_auth(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);
static ngx_uint_t ngx_http_taskmq_is_mirrored(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskmq_check_headers(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);
static ngx_inline ngx_uint_t ngx_http_taskmq_is_header(ngx_table_elt_t *h,
    const char *name);
static ngx_int_t ngx_http_taskmq_check_key(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, ngx_str_t *key);
static ngx_uint_t ngx_http_taskmq_is_json(ngx_str_t *type);

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
    ctx->has_body = r->request_body && !r->reading_body;
    ngx_http_set_ctx(r, ctx, ngx_http_taskmq_module);

    rc = ngx_http_taskmq_serve(r, ctx, &answered);

    return answered ? rc : ngx_http_taskmq_run(r, ctx);
}

ngx_int_t
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

        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "taskmq endpoint: %s",
                       ngx_http_taskmq_endpoints[ctx->endpoint]);

        rc = ngx_http_taskmq_check_origin(r, ctx);

        if (rc == NGX_DECLINED) {
            rc = ngx_http_taskmq_check_auth(r, ctx);
        }

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

/* The checks return NGX_DECLINED when there is nothing to object to, else the
 * rc of their answer. */
static ngx_int_t
ngx_http_taskmq_check_origin(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx)
{
    const char  *why;

    /* what everybody may ask, every page may */

    if (ctx->route->roles == 0) {
        return NGX_DECLINED;
    }

    why = ngx_http_taskmq_origin_check(r, ctx->conf);

    return why ? ngx_http_taskmq_error(r, NGX_HTTP_FORBIDDEN, why)
               : NGX_DECLINED;
}

static ngx_int_t
ngx_http_taskmq_check_auth(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx)
{
    const ngx_http_taskmq_identity_t  *who;

    if (ctx->route->flags & NGX_HTTP_TASKMQ_WRITE
        && ngx_http_taskmq_is_mirrored(r)
        && !ctx->conf->mirror)
    {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "taskmq: mirrored request refused: \"taskmq_mirror\" is "
                      "off in its location");

        return ngx_http_taskmq_error(r, NGX_HTTP_FORBIDDEN,
                                     "Not available to mirrored requests");
    }

    if (ctx->route->roles == 0 || ctx->conf->auth == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_http_taskmq_auth(r, ctx->conf->auth, &who) != NGX_OK) {

        if (ngx_http_taskmq_header(r, "WWW-Authenticate", "Bearer") != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_taskmq_error(r, NGX_HTTP_UNAUTHORIZED,
                                     "Invalid or missing token");
    }

    if (!(who->roles & ctx->route->roles)) {
        return ngx_http_taskmq_error(r, NGX_HTTP_FORBIDDEN,
                                     "Insufficient permissions");
    }

    ctx->subject.p = (char *) who->subject;
    ctx->subject.len = who->subject_len;

    return NGX_DECLINED;
}

/*
 * ngx_http_taskmq_is_mirrored: a copy that nginx's mirror made of a request,
 * with its method and its body or none, and whose answer nobody gets. Other
 * subrequests (of lua, njs, echo) are asked for in so many words; njs' detached
 * ones look like a mirror's, but have a method or a body of their own.
 */
static ngx_uint_t
ngx_http_taskmq_is_mirrored(ngx_http_request_t *r)
{
    ngx_http_request_t  *main = r->main;

    return r != main && r->background && r->header_only
           && (r->request_body == NULL
               || r->request_body == main->request_body)
           && r->method_name.len < main->request_line.len
           && ngx_memcmp(r->method_name.data, main->request_line.data,
                         r->method_name.len)
              == 0;
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
        return ngx_http_taskmq_error(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
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
                return ngx_http_taskmq_error(r,
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
    u_char  *p;

    if (ctx->idempotency_key.p
        || key->len == 0
        || key->len > TQ_IDEMPOTENCY_KEY_MAX)
    {
        return ngx_http_taskmq_error_field(r, "header", "Idempotency-Key",
                                           "one key of 1 to 255 bytes "
                                           "expected", "value_error");
    }

    /* who has no name would share the keys of all others without one */

    if (ctx->conf->auth && ctx->subject.len == 0) {
        return ngx_http_taskmq_error_field(r, "header", "Idempotency-Key",
                                           "a token with a sub expected, "
                                           "because keys are remembered by "
                                           "sub", "value_error");
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

ngx_int_t
ngx_http_taskmq_arg(ngx_http_request_t *r, const char *name, ngx_str_t *value)
{
    u_char     *p, *dst, *src;
    ngx_str_t   raw;

    ngx_str_null(value);

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &raw) != NGX_OK) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, raw.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    dst = p;
    src = raw.data;
    ngx_unescape_uri(&dst, &src, raw.len, 0);

    value->data = p;
    value->len = (size_t) (dst - p);

    return NGX_OK;
}
