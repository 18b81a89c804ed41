/*
 * ngx_http_taskmq_api_list.c: the lists of both APIs, newest first, page by
 * page.
 */

#include "ngx_http_taskmq_api_int.h"

#define NGX_HTTP_TASKMQ_LIST_DEFAULT  20

/* In what the lists of the two APIs differ. */
typedef struct {
    const char               *handler;   /* the argument with its name */
    int                     (*status)(tq_str_t name);   /* -1: there is none */
    const char               *permitted; /* said where there is none */
    ngx_http_taskmq_done_pt   done;
} ngx_http_taskmq_list_api_t;

static ngx_int_t ngx_http_taskmq_list(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, const ngx_http_taskmq_list_api_t *api);
static ngx_int_t ngx_http_taskmq_list_limit(ngx_http_request_t *r,
    tq_list_t *list, ngx_int_t *rc);
static ngx_int_t ngx_http_taskmq_list_handler(ngx_http_request_t *r,
    const char *name, tq_list_t *list, ngx_int_t *rc);
static ngx_int_t ngx_http_taskmq_list_status(ngx_http_request_t *r,
    const ngx_http_taskmq_list_api_t *api, tq_list_t *list, ngx_int_t *rc);
static ngx_int_t ngx_http_taskmq_list_cursor(ngx_http_request_t *r,
    ngx_http_taskmq_ctx_t *ctx, tq_list_t *list, ngx_int_t *rc);
static int ngx_http_taskmq_job_status(tq_str_t name);
static int ngx_http_taskmq_task_status(tq_str_t name);
static u_char *ngx_http_taskmq_list_path(ngx_http_request_t *r, u_char *dst);
static ngx_int_t ngx_http_taskmq_list_next(ngx_http_request_t *r,
    const char *uuid, unsigned limit);
static void ngx_http_taskmq_jobs_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);
static void ngx_http_taskmq_tasks_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res);

static const ngx_http_taskmq_list_api_t  ngx_http_taskmq_jobs_api = {
    "handler",
    ngx_http_taskmq_job_status,
    "value is not a valid enumeration member; permitted: 'PENDING', "
    "'RUNNING', 'SUCCESS', 'FAILED', 'CANCELLED'",
    ngx_http_taskmq_jobs_done
};

static const ngx_http_taskmq_list_api_t  ngx_http_taskmq_tasks_api = {
    "type",
    ngx_http_taskmq_task_status,
    "must be pending, processing, completed or failed",
    ngx_http_taskmq_tasks_done
};

/* ---- GET /jobs, GET /api/tasks ---- */

/* The readers of query arguments return NGX_OK, or NGX_DECLINED: answered,
 * with *rc. */

static ngx_int_t
ngx_http_taskmq_list_limit(ngx_http_request_t *r, tq_list_t *list,
    ngx_int_t *rc)
{
    ngx_int_t  n;
    ngx_str_t  value;

    if (ngx_http_taskmq_arg(r, "limit", &value) != NGX_OK) {
        *rc = NGX_ERROR;
        return NGX_DECLINED;
    }

    if (value.data == NULL) {
        list->limit = NGX_HTTP_TASKMQ_LIST_DEFAULT;
        return NGX_OK;
    }

    n = ngx_atoi(value.data, value.len);

    if (n == NGX_ERROR) {
        *rc = ngx_http_taskmq_error_field(r, "query", "limit",
                                          "value is not a valid integer",
                                          "type_error.integer");
        return NGX_DECLINED;
    }

    if (n < 1 || n > TQ_LIST_MAX) {
        *rc = ngx_http_taskmq_error_field(r, "query", "limit",
                                          "ensure this value is from 1 to 100",
                                          "value_error");
        return NGX_DECLINED;
    }

    list->limit = (unsigned) n;

    return NGX_OK;
}

static ngx_int_t
ngx_http_taskmq_list_handler(ngx_http_request_t *r, const char *name,
    tq_list_t *list, ngx_int_t *rc)
{
    ngx_str_t  value;

    if (ngx_http_taskmq_arg(r, name, &value) != NGX_OK) {
        *rc = NGX_ERROR;
        return NGX_DECLINED;
    }

    if (value.data == NULL) {
        return NGX_OK;
    }

    if (!tq_handler_name_ok((char *) value.data, value.len)) {
        *rc = ngx_http_taskmq_error_field(r, "query", name,
                                          "not a handler's name",
                                          "value_error.str.regex");
        return NGX_DECLINED;
    }

    list->handler.p = (char *) value.data;
    list->handler.len = value.len;

    return NGX_OK;
}

static ngx_int_t
ngx_http_taskmq_list_status(ngx_http_request_t *r,
    const ngx_http_taskmq_list_api_t *api, tq_list_t *list, ngx_int_t *rc)
{
    tq_str_t   name;
    ngx_str_t  value;

    if (ngx_http_taskmq_arg(r, "status", &value) != NGX_OK) {
        *rc = NGX_ERROR;
        return NGX_DECLINED;
    }

    if (value.data == NULL) {
        return NGX_OK;
    }

    name.p = (char *) value.data;
    name.len = value.len;
    list->status = api->status(name);

    if (list->status != -1) {
        return NGX_OK;
    }

    *rc = ngx_http_taskmq_error_field(r, "query", "status", api->permitted,
                                      "type_error.enum");
    return NGX_DECLINED;
}

static int
ngx_http_taskmq_job_status(tq_str_t name)
{
    int  state;

    for (state = TQ_STATE_PENDING; state <= TQ_STATE_CANCELLED; state++) {
        if (tq_str_eq(name, tq_state_name((tq_state_t) state))) {
            return state;
        }
    }

    return -1;
}

static int
ngx_http_taskmq_task_status(tq_str_t name)
{
    ngx_uint_t  i;

    static const struct {
        const char  *name;
        int          status;
    } names[] = {
        { "pending", TQ_STATE_PENDING },
        { "processing", TQ_STATE_RUNNING },
        { "completed", TQ_STATE_SUCCESS },
        { "failed", TQ_LIST_NOT_SUCCESS },
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (tq_str_eq(name, names[i].name)) {
            return names[i].status;
        }
    }

    return -1;
}

/* ngx_http_taskmq_list_cursor: of TaskMQ's list a job id, of TaskDaemon's a
 * task id. */
static ngx_int_t
ngx_http_taskmq_list_cursor(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_list_t *list, ngx_int_t *rc)
{
    int        bad;
    ngx_str_t  value;

    if (ngx_http_taskmq_arg(r, "cursor", &value) != NGX_OK) {
        *rc = NGX_ERROR;
        return NGX_DECLINED;
    }

    if (value.data == NULL) {
        return NGX_OK;
    }

    bad = ctx->conf->api == NGX_HTTP_TASKMQ_TASKMQ
          ? tq_id_parse((char *) value.data, value.len, &list->before)
          : ngx_http_taskmq_task_id_parse(ctx->conf->redis, value.data,
                                          value.len, &list->before);
    if (!bad) {
        return NGX_OK;
    }

    *rc = ngx_http_taskmq_error_field(r, "query", "cursor",
                                      "not a cursor of this list",
                                      "value_error");
    return NGX_DECLINED;
}

static ngx_int_t
ngx_http_taskmq_list(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    const ngx_http_taskmq_list_api_t *api)
{
    tq_call_t                *tq;
    tq_list_t                 list;
    ngx_int_t                 rc;
    ngx_http_taskmq_call_t   *call;
    ngx_http_taskmq_redis_t  *redis;

    ngx_memzero(&list, sizeof(tq_list_t));
    list.status = -1;

    if (ngx_http_taskmq_list_limit(r, &list, &rc) != NGX_OK
        || ngx_http_taskmq_list_handler(r, api->handler, &list, &rc) != NGX_OK
        || ngx_http_taskmq_list_status(r, api, &list, &rc) != NGX_OK
        || ngx_http_taskmq_list_cursor(r, ctx, &list, &rc) != NGX_OK)
    {
        return rc;
    }

    redis = ctx->conf->redis;
    call = ngx_http_taskmq_call_new(r, redis, api->done);
    tq = NULL;

    if (call) {
        call->value = list.limit;
        tq = tq_list_call(&redis->ns, &list, ngx_http_taskmq_redis_done, call);
    }

    return ngx_http_taskmq_wait(r, call, tq);
}

ngx_int_t
ngx_http_taskmq_jobs(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    return ngx_http_taskmq_list(r, ctx, &ngx_http_taskmq_jobs_api);
}

static void
ngx_http_taskmq_jobs_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    tq_buf_t             b;
    unsigned             i;
    tq_job_info_t        info;
    ngx_http_request_t  *r;

    r = ngx_http_taskmq_wait_end(call, res);

    if (r == NULL) {
        return;
    }

    ngx_memzero(&b, sizeof(tq_buf_t));
    tq_buf_adds(&b, "{\"jobs\":[");

    for (i = 0; i < res->page.jobs; i++) {
        tq_list_job(res, i, &info);

        if (i) {
            tq_buf_addc(&b, ',');
        }

        tq_job_add_json(&b, &info);
    }

    tq_buf_adds(&b, "],\"next_cursor\":");

    if (res->page.cursor) {
        tq_buf_addc(&b, '"');
        tq_buf_addi(&b, res->page.cursor);
        tq_buf_adds(&b, "\"}");

    } else {
        tq_buf_adds(&b, "null}");
    }

    ngx_http_taskmq_finalize(r,
        ngx_http_taskmq_reply_buf(r, NGX_HTTP_OK, NULL, &b));
}

ngx_int_t
ngx_http_taskmq_tasks(ngx_http_request_t *r, ngx_http_taskmq_ctx_t *ctx,
    tq_str_t body)
{
    return ngx_http_taskmq_list(r, ctx, &ngx_http_taskmq_tasks_api);
}

static void
ngx_http_taskmq_tasks_done(ngx_http_taskmq_call_t *call,
    const tq_result_t *res)
{
    char                      uuid[TQ_UUID_LEN + 1];
    tq_buf_t                  b;
    unsigned                  i, limit;
    tq_job_info_t             info;
    ngx_http_request_t       *r;
    ngx_http_taskmq_redis_t  *redis;

    redis = call->redis;
    limit = (unsigned) call->value;
    r = ngx_http_taskmq_wait_end(call, res);

    if (r == NULL) {
        return;
    }

    ngx_memzero(&b, sizeof(tq_buf_t));
    tq_buf_addc(&b, '[');

    for (i = 0; i < res->page.jobs; i++) {
        tq_list_job(res, i, &info);

        if (i) {
            tq_buf_addc(&b, ',');
        }

        ngx_http_taskmq_task_id(redis, info.id, uuid);
        tq_job_add_task_json(&b, &info, uuid);
    }

    tq_buf_addc(&b, ']');

    if (res->page.cursor) {
        ngx_http_taskmq_task_id(redis, res->page.cursor, uuid);

        if (ngx_http_taskmq_list_next(r, uuid, limit) != NGX_OK) {
            tq_buf_free(&b);
            ngx_http_taskmq_finalize(r, NGX_ERROR);
            return;
        }
    }

    ngx_http_taskmq_finalize(r,
        ngx_http_taskmq_reply_buf(r, NGX_HTTP_OK, NULL, &b));
}

/* ngx_http_taskmq_list_path writes the path that the client asked for, as it
 * may stand in a Link: it stays on this host ("//other/../api/tasks" would
 * not) and ends neither its "<...>" nor, by a "#", the arguments. */
static u_char *
ngx_http_taskmq_list_path(ngx_http_request_t *r, u_char *dst)
{
    u_char  *p, *end;

    p = r->unparsed_uri.data;
    end = p + r->unparsed_uri.len;

    while (end - p > 1 && p[0] == '/' && p[1] == '/') {
        p++;
    }

    for ( /* void */ ; p < end && *p != '?' && *p != '#'; p++) {

        if (*p <= ' ' || *p >= 0x7f || ngx_strchr("\"<>\\^`{|}", *p)) {
            dst = ngx_sprintf(dst, "%%%02XD", (uint32_t) *p);

        } else {
            *dst++ = *p;
        }
    }

    return dst;
}

/* ngx_http_taskmq_list_next adds the next page's Link: this one's, with its
 * filters, from the cursor on. A cursor is a task id, so that it tells no more
 * than one. */
static ngx_int_t
ngx_http_taskmq_list_next(ngx_http_request_t *r, const char *uuid,
    unsigned limit)
{
    u_char     *p, *value;
    ngx_str_t   status, type;

    if (ngx_http_taskmq_arg(r, "status", &status) != NGX_OK
        || ngx_http_taskmq_arg(r, "type", &type) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* both were checked: nothing in them needs escaping */

    value = ngx_pnalloc(r->pool,
                        sizeof("<?limit=100&status=&type=&cursor=>; "
                               "rel=\"next\"")
                        + 3 * r->unparsed_uri.len + status.len + type.len
                        + TQ_UUID_LEN);
    if (value == NULL) {
        return NGX_ERROR;
    }

    *value = '<';

    p = ngx_http_taskmq_list_path(r, value + 1);
    p = ngx_sprintf(p, "?limit=%ud", limit);

    if (status.len) {
        p = ngx_sprintf(p, "&status=%V", &status);
    }

    if (type.len) {
        p = ngx_sprintf(p, "&type=%V", &type);
    }

    (void) ngx_sprintf(p, "&cursor=%s>; rel=\"next\"%Z", uuid);

    return ngx_http_taskmq_header(r, "Link", (char *) value);
}
