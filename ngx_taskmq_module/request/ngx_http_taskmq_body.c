/*
 * ngx_http_taskmq_body.c: the whole request body, wherever nginx put it. A
 * body of known length is left to nginx: most are in the header's buffer
 * already, large ones may be in a temporary file. One of unknown length
 * (chunked) is taken as it comes, so that it can be refused as soon as it is
 * too large, and in JSON.
 */

#include "ngx_http_taskmq_request_int.h"

static void ngx_http_taskmq_body_whole(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskmq_body_gather(ngx_http_request_t *r,
    tq_str_t *body);
static void ngx_http_taskmq_body_part(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskmq_body_take(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);
static ngx_int_t ngx_http_taskmq_body_put_back(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx);
static void ngx_http_taskmq_body_free(void *data);
static void ngx_http_taskmq_body_run(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_str_t body);
static ngx_int_t ngx_http_taskmq_body_large(ngx_http_request_t *r);
static ngx_int_t ngx_http_taskmq_body_failed(ngx_http_request_t *r,
    ngx_int_t rc);

ngx_int_t
ngx_http_taskmq_body_read(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_pool_cleanup_t  *cln;

    if (r->headers_in.content_length_n > (off_t) ctx->max_body) {

        /* the connection stays usable, unless that means to read on for
         * long; then nginx closes it */

        if (r->headers_in.content_length_n > TQ_PAYLOAD_MAX_BYTES) {
            r->keepalive = 0;
        }

        return ngx_http_taskmq_body_large(r);
    }

    if (!r->headers_in.chunked || r->request_body) {
        rc = ngx_http_read_client_request_body(r, ngx_http_taskmq_body_whole);

        return rc >= NGX_HTTP_SPECIAL_RESPONSE
               ? ngx_http_taskmq_body_failed(r, rc) : NGX_DONE;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(tq_buf_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ctx->body = cln->data;
    ngx_memzero(ctx->body, sizeof(tq_buf_t));
    cln->handler = ngx_http_taskmq_body_free;

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_taskmq_body_part);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE
           ? ngx_http_taskmq_body_failed(r, rc) : NGX_DONE;
}

ngx_int_t
ngx_http_taskmq_body_discard(ngx_http_request_t *r)
{
    ngx_http_taskmq_ctx_t  *ctx;

    if (r->request_body || r != r->main) {
        return NGX_OK;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);
    ctx->discarded = 1;

    if (r->headers_in.expect && !r->expect_tested
        && r->http_version <= NGX_HTTP_VERSION_11)
    {
        /* The client waits to be asked for a body that nobody wants. Whether
         * it sends it all the same is not known, so this is the connection's
         * last request; nobody waits for that body. */

        r->expect_tested = 1;
        r->keepalive = 0;
        r->lingering_close = 0;

        return NGX_OK;
    }

    return ngx_http_discard_request_body(r);
}

void
ngx_http_taskmq_body_hand_over(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_http_taskmq_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);

    if (r != r->main
        || (r->headers_in.content_length_n <= 0 && !r->headers_in.chunked))
    {
        return;
    }

    if (status != NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
        && (ctx->has_body || (r->request_body == NULL && !ctx->discarded)))
    {
        return;
    }

    /* The page's location would read what is not there any more, or not be let
     * in with so large a body. What of it is still to come is nobody's: the
     * connection ends behind this request. */

    if (r->discard_body) {
        r->discard_body = 0;
        r->count--;
        r->read_event_handler = ngx_http_block_reading;

    } else if (r->http_version > NGX_HTTP_VERSION_11) {
        (void) ngx_http_discard_request_body(r);
    }

    if (r->headers_in.content_length_n != 0) {
        r->keepalive = 0;
    }

    r->expect_tested = 1;
    r->headers_in.content_length_n = 0;
    r->headers_in.chunked = 0;

    if (r->request_body) {
        r->request_body->bufs = NULL;
    }
}

static void
ngx_http_taskmq_body_whole(ngx_http_request_t *r)
{
    tq_str_t                body;
    ngx_http_taskmq_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);

    switch (ngx_http_taskmq_body_gather(r, &body)) {

    case NGX_OK:
        ngx_http_taskmq_body_run(r, ctx, body);
        return;

    case NGX_DECLINED:
        ngx_http_finalize_request(r, ngx_http_taskmq_body_large(r));
        return;

    default:
        ngx_http_finalize_request(r,
            ngx_http_taskmq_error(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                  "The request body could not be read"));
    }
}

/* ngx_http_taskmq_body_gather: one buffer in memory is used as it is; anything
 * else is put together. NGX_DECLINED: too large. */
static ngx_int_t
ngx_http_taskmq_body_gather(ngx_http_request_t *r, tq_str_t *body)
{
    u_char                 *p;
    size_t                  len, size;
    ngx_buf_t              *b;
    ngx_chain_t            *cl;
    ngx_http_taskmq_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);

    body->p = NULL;
    body->len = 0;

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    cl = r->request_body->bufs;

    if (cl->next == NULL && !cl->buf->in_file) {
        body->p = (char *) cl->buf->pos;
        body->len = (size_t) (cl->buf->last - cl->buf->pos);

        return body->len <= ctx->max_body ? NGX_OK : NGX_DECLINED;
    }

    len = 0;

    for ( /* void */ ; cl; cl = cl->next) {
        len += (size_t) ngx_buf_size(cl->buf);

        if (len > ctx->max_body) {
            return NGX_DECLINED;
        }
    }

    p = ngx_pnalloc(r->pool, len ? len : 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->p = (char *) p;
    body->len = len;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;
        size = (size_t) ngx_buf_size(b);

        if (size == 0) {
            continue;         /* it may have no memory */
        }

        if (!b->in_file || ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, size);
            continue;
        }

        if (ngx_read_file(b->file, p, size, b->file_pos) != (ssize_t) size) {
            return NGX_ERROR;
        }

        p += size;
    }

    return NGX_OK;
}

/* A part of a chunked body is there: the first one, or the next. */
static void
ngx_http_taskmq_body_part(ngx_http_request_t *r)
{
    tq_str_t                body;
    ngx_int_t               rc;
    ngx_http_taskmq_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_taskmq_module);

    for ( ;; ) {
        rc = ngx_http_taskmq_body_take(r, ctx);

        if (rc == NGX_DECLINED) {

            /* nginx closes when it is finalized before the body's end: say so
             * in the answer */

            if (r->reading_body) {
                r->keepalive = 0;
            }

            ngx_http_finalize_request(r, ngx_http_taskmq_body_large(r));
            return;
        }

        if (rc != NGX_OK) {
            ngx_http_finalize_request(r,
                ngx_http_taskmq_error_later(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                            "Out of memory"));
            return;
        }

        if (!r->reading_body) {
            body.p = ctx->body->p;
            body.len = ctx->body->len;

            r->read_event_handler = ngx_http_block_reading;
            ngx_http_taskmq_body_run(r, ctx, body);
            return;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            ngx_http_finalize_request(r, ngx_http_taskmq_body_failed(r, rc));
            return;
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            r->read_event_handler = ngx_http_taskmq_body_part;
            return;
        }
    }
}

/* ngx_http_taskmq_body_take moves what nginx has read into ctx->body.
 * NGX_DECLINED: too large. */
static ngx_int_t
ngx_http_taskmq_body_take(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx)
{
    size_t        size;
    ngx_chain_t  *cl, *next;

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl; cl = next) {
        next = cl->next;
        size = (size_t) (cl->buf->last - cl->buf->pos);

        if (ctx->body->len + size > ctx->max_body) {
            return NGX_DECLINED;
        }

        tq_buf_add(ctx->body, cl->buf->pos, size);

        cl->buf->pos = cl->buf->last;
        ngx_free_chain(r->pool, cl);
    }

    r->request_body->bufs = NULL;

    if (ctx->body->failed) {
        return NGX_ERROR;
    }

    return r->reading_body ? NGX_OK : ngx_http_taskmq_body_put_back(r, ctx);
}

/* ngx_http_taskmq_body_put_back: other modules look for the body where nginx
 * has it ($request_body, post_action, an error_page that is proxied), and for
 * its length, which it does not note of HTTP/2's. */
static ngx_int_t
ngx_http_taskmq_body_put_back(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    r->headers_in.content_length_n = (off_t) ctx->body->len;

    if (ctx->body->len == 0) {
        return NGX_OK;
    }

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    b->pos = (u_char *) ctx->body->p;
    b->last = b->pos + ctx->body->len;
    b->memory = 1;
    b->last_buf = 1;

    cl->buf = b;
    cl->next = NULL;

    r->request_body->bufs = cl;

    return NGX_OK;
}

static void
ngx_http_taskmq_body_free(void *data)
{
    tq_buf_free(data);
}

static void
ngx_http_taskmq_body_run(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    ngx_int_t  rc;

    if (body.p == NULL) {
        body.p = "";
    }

    ctx->has_body = 1;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "taskmq body: %uz bytes", body.len);

    rc = ctx->route->handler(r, ctx, body);

    /* else the call's done() ends what reading the body began */

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}

static ngx_int_t
ngx_http_taskmq_body_large(ngx_http_request_t *r)
{
    return ngx_http_taskmq_error(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                 "Request body too large");
}

/* Reading the body failed with a status of nginx's. */
static ngx_int_t
ngx_http_taskmq_body_failed(ngx_http_request_t *r, ngx_int_t rc)
{
    if (r->connection->error || rc == NGX_HTTP_REQUEST_TIME_OUT
        || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST)
    {
        return rc;
    }

    /* where the next request would begin is not known */

    r->keepalive = 0;

    if (rc == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        return ngx_http_taskmq_body_large(r);
    }

    if (rc == NGX_HTTP_BAD_REQUEST) {
        return ngx_http_taskmq_error(r, NGX_HTTP_BAD_REQUEST,
                                     "The request body is malformed");
    }

    return ngx_http_taskmq_error(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                 "The request body could not be read");
}
