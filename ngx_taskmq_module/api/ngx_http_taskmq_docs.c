/*
 * ngx_http_taskmq_docs.c: serves the API reference pages below
 * taskmq_docs_root; docs/web.md is the contract. A request can only name a
 * file of one of our own folders: the folder comes from the route, the file's
 * name may hold neither a slash nor a leading dot.
 */

#include "ngx_http_taskmq_api_int.h"

/* Where `make install` puts the pages. */
#define NGX_HTTP_TASKMQ_DOCS_ROOT  "/usr/share/taskmq/web"

typedef struct {
    ngx_str_t    suffix;
    const char  *type;
} ngx_http_taskmq_docs_type_t;

static ngx_uint_t ngx_http_taskmq_docs_folder(ngx_http_taskmq_ctx_t *ctx);
static ngx_uint_t ngx_http_taskmq_docs_slash(ngx_http_taskmq_ctx_t *ctx);
static ngx_int_t ngx_http_taskmq_docs_path(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, ngx_str_t *path);
static ngx_uint_t ngx_http_taskmq_docs_name_ok(ngx_str_t *name);
static ngx_int_t ngx_http_taskmq_docs_move(ngx_http_request_t *r,
    ngx_uint_t slash);
static ngx_int_t ngx_http_taskmq_docs_open(ngx_http_request_t *r,
    ngx_str_t *path, ngx_open_file_info_t *of);
static ngx_int_t ngx_http_taskmq_docs_send(ngx_http_request_t *r,
    ngx_str_t *path, ngx_open_file_info_t *of);
static const char *ngx_http_taskmq_docs_type(ngx_str_t *path);

static ngx_http_taskmq_docs_type_t  ngx_http_taskmq_docs_types[] = {
    { ngx_string(".html"), "text/html; charset=utf-8" },
    { ngx_string(".js"), "text/javascript; charset=utf-8" },
    { ngx_string(".css"), "text/css; charset=utf-8" },
    { ngx_string(".json"), "application/json" },
    { ngx_string(".png"), "image/png" },
    { ngx_string(""), "text/plain; charset=utf-8" }
};

ngx_int_t
ngx_http_taskmq_docs(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    ngx_int_t             rc;
    ngx_str_t             path;
    ngx_uint_t            slash;
    ngx_open_file_info_t  of;

    (void) body;

    /* a folder's page ends with a slash in one API, and not in the other */

    slash = ctx->conf->api == NGX_HTTP_TASKMQ_TASKDAEMON;

    if (ngx_http_taskmq_docs_folder(ctx)
        && ngx_http_taskmq_docs_slash(ctx) != slash)
    {
        return ngx_http_taskmq_docs_move(r, slash);
    }

    if (!ngx_http_taskmq_docs_name_ok(&ctx->param)) {
        return ngx_http_taskmq_error(r, NGX_HTTP_NOT_FOUND, "Not found");
    }

    rc = ngx_http_taskmq_docs_path(r, ctx, &path);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_taskmq_docs_open(r, &path, &of);
    if (rc == NGX_DECLINED) {
        return ngx_http_taskmq_error(r, NGX_HTTP_NOT_FOUND, ctx->param.len
                   ? "Not found"
                   : "Not found: the reference pages are not installed in "
                     "taskmq_docs_root");
    }

    if (rc != NGX_OK) {
        return ngx_http_taskmq_error(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                     "The page cannot be read");
    }

    return ngx_http_taskmq_docs_send(r, &path, &of);
}

/* Is a folder asked for, and no file in it? Of our paths only a file's has a
 * dot. */
static ngx_uint_t
ngx_http_taskmq_docs_folder(ngx_http_taskmq_ctx_t *ctx)
{
    const ngx_str_t  *path = &ctx->route->path;

    return ctx->param.len == 0
           && ngx_strlchr(path->data, path->data + path->len, '.') == NULL;
}

static ngx_uint_t
ngx_http_taskmq_docs_slash(ngx_http_taskmq_ctx_t *ctx)
{
    return ctx->route->path.data[ctx->route->path.len - 1] == '/';
}

/* ngx_http_taskmq_docs_path makes the file's name on disk. */
static ngx_int_t
ngx_http_taskmq_docs_path(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    ngx_str_t *path)
{
    u_char     *p;
    size_t      len;
    ngx_str_t   root, api, page;

    root = ctx->conf->docs_root;
    if (root.len == 0) {
        ngx_str_set(&root, NGX_HTTP_TASKMQ_DOCS_ROOT);
    }

    if (ctx->conf->api == NGX_HTTP_TASKMQ_TASKMQ) {
        ngx_str_set(&api, "/taskmq/");

    } else {
        ngx_str_set(&api, "/taskdaemon/");
    }

    if (!ngx_http_taskmq_docs_folder(ctx)) {
        page = ctx->param;

        if (page.data == NULL) {
            ngx_str_set(&page, "");
        }

    } else if (ngx_http_taskmq_docs_slash(ctx)) {
        ngx_str_set(&page, "index.html");

    } else {
        ngx_str_set(&page, "/index.html");
    }

    len = root.len + api.len + ctx->route->path.len + page.len;

    p = ngx_pnalloc(r->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    path->data = p;
    path->len = len;

    p = ngx_cpymem(p, root.data, root.len);
    p = ngx_cpymem(p, api.data, api.len);
    p = ngx_cpymem(p, ctx->route->path.data, ctx->route->path.len);
    p = ngx_cpymem(p, page.data, page.len);
    *p = '\0';

    return ngx_get_full_name(r->pool, (ngx_str_t *) &ngx_cycle->prefix, path);
}

static ngx_uint_t
ngx_http_taskmq_docs_name_ok(ngx_str_t *name)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '_' || c == '-'
              || (c == '.' && i > 0)))
        {
            return 0;
        }
    }

    return 1;
}

/* ngx_http_taskmq_docs_move redirects to the same path with or without the
 * slash at its end. The location stays a path: what is before it (host, port,
 * scheme) may be another proxy's. */
static ngx_int_t
ngx_http_taskmq_docs_move(ngx_http_request_t *r, ngx_uint_t slash)
{
    u_char     *p, *last;
    size_t      len;
    uintptr_t   escape;

    len = slash ? r->uri.len : r->uri.len - 1;
    escape = 2 * ngx_escape_uri(NULL, r->uri.data, len, NGX_ESCAPE_URI);

    p = ngx_pnalloc(r->pool, len + escape + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (escape) {
        last = (u_char *) ngx_escape_uri(p, r->uri.data, len, NGX_ESCAPE_URI);

    } else {
        last = ngx_cpymem(p, r->uri.data, len);
    }

    if (slash) {
        *last++ = '/';
    }

    *last = '\0';

    if (ngx_http_taskmq_header(r, "Location", (char *) p) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_taskmq_reply_copy(r, NGX_HTTP_MOVED_PERMANENTLY, "{}", 2);
}

/* NGX_OK with of filled in; NGX_DECLINED: no such file; NGX_ERROR, logged. */
static ngx_int_t
ngx_http_taskmq_docs_open(ngx_http_request_t *r, ngx_str_t *path,
    ngx_open_file_info_t *of)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_memzero(of, sizeof(ngx_open_file_info_t));

    of->read_ahead = clcf->read_ahead;
    of->directio = clcf->directio;
    of->valid = clcf->open_file_cache_valid;
    of->min_uses = clcf->open_file_cache_min_uses;
    of->errors = clcf->open_file_cache_errors;
    of->events = clcf->open_file_cache_events;

    if (ngx_http_set_disable_symlinks(r, clcf, path, of) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_open_cached_file(clcf->open_file_cache, path, of, r->pool)
        == NGX_OK)
    {
        return of->is_file ? NGX_OK : NGX_DECLINED;
    }

    if (of->err == NGX_ENOENT || of->err == NGX_ENOTDIR
        || of->err == NGX_ENAMETOOLONG)
    {
        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, of->err,
                  "taskmq: %s \"%V\" failed", of->failed ? of->failed : "open",
                  path);

    return NGX_ERROR;
}

static ngx_int_t
ngx_http_taskmq_docs_send(ngx_http_request_t *r, ngx_str_t *path,
    ngx_open_file_info_t *of)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = of->size;
    r->headers_out.last_modified_time = of->mtime;
    ngx_http_taskmq_content_type(r, ngx_http_taskmq_docs_type(path));
    r->allow_ranges = 1;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->file = ngx_pcalloc(r->pool, sizeof(ngx_file_t));

    if (b->file == NULL || ngx_http_set_etag(r) != NGX_OK
        || ngx_http_taskmq_cache_control(r, "no-cache") != NGX_OK
        || ngx_http_taskmq_header(r, "X-Content-Type-Options", "nosniff")
           != NGX_OK
        || ngx_http_taskmq_header(r, "X-Frame-Options", "DENY") != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_send_header(r);

    /* after the filters: an answer can be a 304 or a 206 by now */
    ngx_http_taskmq_stats_request(NGX_HTTP_TASKMQ_EP_DOCS,
                                  r->headers_out.status);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->file->fd = of->fd;
    b->file->name = *path;
    b->file->log = r->connection->log;
    b->file->directio = of->is_directio;

    b->file_last = of->size;
    b->in_file = of->size ? 1 : 0;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;
    b->sync = (b->last_buf || b->in_file) ? 0 : 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}

static const char *
ngx_http_taskmq_docs_type(ngx_str_t *path)
{
    ngx_http_taskmq_docs_type_t  *t;

    for (t = ngx_http_taskmq_docs_types; t->suffix.len; t++) {
        if (path->len > t->suffix.len
            && ngx_memcmp(path->data + path->len - t->suffix.len,
                          t->suffix.data, t->suffix.len) == 0)
        {
            break;
        }
    }

    return t->type;
}
