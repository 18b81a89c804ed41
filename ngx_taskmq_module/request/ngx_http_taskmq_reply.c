/*
 * ngx_http_taskmq_reply.c: sends answers. Header and body leave in one write,
 * because the body's one buffer is the last.
 */

#include "ngx_http_taskmq_request_int.h"
#include "tq_base.h"

static ngx_int_t ngx_http_taskmq_send(ngx_http_request_t *r,
    ngx_uint_t status, const char *type, ngx_buf_t *b);
static ngx_int_t ngx_http_taskmq_head(ngx_http_request_t *r,
    ngx_uint_t status);
static void ngx_http_taskmq_count(ngx_http_request_t *r, ngx_uint_t status);
static ngx_uint_t ngx_http_taskmq_has_page(ngx_http_request_t *r,
    ngx_uint_t status);
static void ngx_http_taskmq_reply_free(void *data);
static ngx_uint_t ngx_http_taskmq_is_taskmq(ngx_http_request_t *r);

ngx_int_t
ngx_http_taskmq_reply(ngx_http_request_t *r, ngx_uint_t status, const char *p,
    size_t len)
{
    ngx_buf_t  *b;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = (u_char *) p;
    b->last = b->pos + len;
    b->memory = 1;

    return ngx_http_taskmq_send(r, status, NULL, b);
}

ngx_int_t
ngx_http_taskmq_reply_copy(ngx_http_request_t *r, ngx_uint_t status,
    const char *p, size_t len)
{
    ngx_buf_t  *b;

    b = ngx_palloc(r->pool, sizeof(ngx_buf_t) + len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->pos = (u_char *) b + sizeof(ngx_buf_t);
    b->last = ngx_cpymem(b->pos, p, len);
    b->memory = 1;

    return ngx_http_taskmq_send(r, status, NULL, b);
}

ngx_int_t
ngx_http_taskmq_reply_buf(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, tq_buf_t *buf)
{
    ngx_buf_t           *b;
    ngx_pool_cleanup_t  *cln;

    if (buf->failed) {
        tq_buf_free(buf);
        return ngx_http_taskmq_error_later(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           "Out of memory");
    }

    b = ngx_calloc_buf(r->pool);
    cln = ngx_pool_cleanup_add(r->pool, sizeof(tq_buf_t));

    if (b == NULL || cln == NULL) {
        tq_buf_free(buf);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_taskmq_reply_free;
    ngx_memcpy(cln->data, buf, sizeof(tq_buf_t));

    b->pos = (u_char *) buf->p;
    b->last = b->pos + buf->len;
    b->memory = buf->len ? 1 : 0;

    ngx_memzero(buf, sizeof(tq_buf_t));

    return ngx_http_taskmq_send(r, status, type, b);
}

static void
ngx_http_taskmq_reply_free(void *data)
{
    tq_buf_free(data);
}

ngx_int_t
ngx_http_taskmq_reply_empty(ngx_http_request_t *r, ngx_uint_t status)
{
    r->header_only = 1;

    return ngx_http_taskmq_head(r, status);
}

static ngx_int_t
ngx_http_taskmq_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_buf_t *b)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    if (status >= NGX_HTTP_SPECIAL_RESPONSE
        && ngx_http_taskmq_has_page(r, status))
    {
        /* nothing was sent: who finalizes the request by this shows the page */

        ngx_http_taskmq_body_hand_over(r, status);
        ngx_http_taskmq_count(r, status);

        return (ngx_int_t) status;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    r->headers_out.content_length_n = b->last - b->pos;

    ngx_http_taskmq_content_type(r, type ? type : "application/json");

    rc = ngx_http_taskmq_head(r, status);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}

void
ngx_http_taskmq_content_type(ngx_http_request_t *r, const char *type)
{
    const char  *parameters;

    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_lowcase = NULL;

    /* gzip_types and others know a type without its parameters */

    parameters = strchr(type, ';');

    r->headers_out.content_type_len = parameters
                                      ? (size_t) (parameters - type)
                                      : r->headers_out.content_type.len;

    if (parameters && strstr(parameters, "charset=utf-8")) {
        ngx_str_set(&r->headers_out.charset, "utf-8");
    }
}

static ngx_int_t
ngx_http_taskmq_head(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_int_t  rc;

    rc = ngx_http_taskmq_body_discard(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_taskmq_count(r, status);

    r->headers_out.status = status;
    r->disable_not_modified = 1;

    return ngx_http_send_header(r);
}

static void
ngx_http_taskmq_count(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_http_taskmq_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);

    ngx_http_taskmq_stats_request(ctx && ctx->route
                                  ? (ngx_uint_t) ctx->endpoint
                                  : NGX_HTTP_TASKMQ_EP_OTHER, status);
}

/* ngx_http_taskmq_has_page: taskmq_intercept_errors is on, there is an
 * error_page for the status, and nginx would show it now: not while it shows
 * one already. */
static ngx_uint_t
ngx_http_taskmq_has_page(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_uint_t                   i;
    ngx_http_err_page_t         *page;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_taskmq_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_taskmq_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!conf->intercept_errors || clcf->error_pages == NULL
        || r->error_page || r->uri_changes == 0)
    {
        return 0;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if (page[i].status == (ngx_int_t) status) {
            return 1;
        }
    }

    return 0;
}

static ngx_uint_t
ngx_http_taskmq_is_taskmq(ngx_http_request_t *r)
{
    ngx_http_taskmq_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_taskmq_module);

    return conf->api == NGX_HTTP_TASKMQ_TASKMQ;
}

ngx_int_t
ngx_http_taskmq_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    tq_buf_t  b;

    ngx_memzero(&b, sizeof(tq_buf_t));

    tq_buf_adds(&b, ngx_http_taskmq_is_taskmq(r) ? "{\"detail\":"
                                                 : "{\"error\":");
    tq_buf_add_json(&b, text, ngx_strlen(text));
    tq_buf_addc(&b, '}');

    if (b.failed) {
        tq_buf_free(&b);
        return NGX_ERROR;
    }

    return ngx_http_taskmq_reply_buf(r, status, NULL, &b);
}

ngx_int_t
ngx_http_taskmq_error_later(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    if (ngx_http_taskmq_header(r, "Retry-After", "1") != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_taskmq_error(r, status, text);
}

ngx_int_t
ngx_http_taskmq_error_fields(ngx_http_request_t *r,
    const tq_field_errs_t *errs)
{
    tq_buf_t    b;
    ngx_uint_t  status;

    if (errs->nomem) {
        return ngx_http_taskmq_error_later(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           "Out of memory");
    }

    if (errs->too_large) {
        return ngx_http_taskmq_error(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                     "Payload too large");
    }

    ngx_memzero(&b, sizeof(tq_buf_t));

    if (ngx_http_taskmq_is_taskmq(r)) {
        status = NGX_HTTP_TASKMQ_UNPROCESSABLE;
        tq_field_errs_detail(&b, errs);

    } else {
        status = NGX_HTTP_BAD_REQUEST;
        tq_field_errs_error(&b, errs);
    }

    return ngx_http_taskmq_reply_buf(r, status, NULL, &b);
}

ngx_int_t
ngx_http_taskmq_error_field(ngx_http_request_t *r, const char *place,
    const char *field, const char *msg, const char *type)
{
    tq_buf_t    b;
    ngx_uint_t  status;

    ngx_memzero(&b, sizeof(tq_buf_t));

    if (ngx_http_taskmq_is_taskmq(r)) {
        status = NGX_HTTP_TASKMQ_UNPROCESSABLE;
        tq_buf_addf(&b, "{\"detail\":[{\"loc\":[\"%s\",\"%s\"],"
                        "\"msg\":\"%s\",\"type\":\"%s\"}]}",
                    place, field, msg, type);

    } else {
        status = ngx_strcmp(place, "header") == 0
                 ? NGX_HTTP_TASKMQ_UNPROCESSABLE : NGX_HTTP_BAD_REQUEST;
        tq_buf_addf(&b, "{\"error\":\"%s: %s\"}", field, msg);
    }

    return ngx_http_taskmq_reply_buf(r, status, NULL, &b);
}

ngx_int_t
ngx_http_taskmq_error_redis(ngx_http_request_t *r, const tq_result_t *res,
    const char *why)
{
    char                    said[256];
    tq_buf_t                b;
    ngx_int_t               rc;
    ngx_uint_t              level;
    const char             *text;
    ngx_http_taskmq_ctx_t  *ctx;

    if (res->status == TQ_UNKNOWN) {

        ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);

        text = ctx->route->flags & NGX_HTTP_TASKMQ_WRITE
               ? "Redis did not answer: it is not known whether this was done"
               : "Redis did not answer";

        return ngx_http_taskmq_error(r, NGX_HTTP_GATEWAY_TIME_OUT, text);
    }

    if (res->status == TQ_REFUSED && res->err == TQ_ERR_OTHER
        && (res->half || res->cause == TQ_ERR_OTHER))
    {
        ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);

        /* of a right that is missing the connection's end says more */

        level = res->cause != TQ_ERR_NOPERM
                && ngx_http_taskmq_trouble_odd(ctx->conf->redis, res)
                ? NGX_LOG_ERR : NGX_LOG_INFO;

        tq_text_print(said, sizeof(said), "%s", res->text);
        ngx_log_error(level, r->connection->log, 0,
                      "taskmq: unexpected reply from Redis: %s", said);

        return ngx_http_taskmq_error(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                     res->cause == TQ_ERR_NOPERM
                                     ? "The Redis user lacks a permission: it "
                                       "is not known whether this was done"
                                     : "Unexpected reply from Redis");
    }

    ngx_memzero(&b, sizeof(tq_buf_t));

    tq_buf_addf(&b, "Redis is not available: %s",
                res->status == TQ_REFUSED ? tq_redis_err_text(res->cause)
                                          : why);

    text = tq_buf_cstr(&b);

    rc = ngx_http_taskmq_error_later(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     text ? text : "Redis is not available");
    tq_buf_free(&b);

    return rc;
}

/* ngx_http_taskmq_push adds a header; NULL: out of memory. */
static ngx_table_elt_t *
ngx_http_taskmq_push(ngx_http_request_t *r, const char *name,
    const char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    h->hash = 1;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = (u_char *) value;
    h->value.len = ngx_strlen(value);
    h->lowcase_key = NULL;

    return h;
}

ngx_int_t
ngx_http_taskmq_header(ngx_http_request_t *r, const char *name,
    const char *value)
{
    return ngx_http_taskmq_push(r, name, value) ? NGX_OK : NGX_ERROR;
}

ngx_int_t
ngx_http_taskmq_cache_control(ngx_http_request_t *r, const char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_http_taskmq_push(r, "Cache-Control", value);

    if (h == NULL) {
        return NGX_ERROR;
    }

#if (nginx_version >= 1023000)

    r->headers_out.cache_control = h;

#else

    {
        ngx_table_elt_t  **known;

        if (ngx_array_init(&r->headers_out.cache_control, r->pool, 1,
                           sizeof(ngx_table_elt_t *))
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        known = ngx_array_push(&r->headers_out.cache_control);
        *known = h;
    }

#endif

    return NGX_OK;
}

void
ngx_http_taskmq_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0, "taskmq finalize: %i", rc);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
