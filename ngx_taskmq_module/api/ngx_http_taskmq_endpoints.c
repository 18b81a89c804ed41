/*
 * ngx_http_taskmq_endpoints.c: the endpoints of both APIs: path, method, who
 * may, what body, and the handler.
 */

#include "ngx_http_taskmq_api_int.h"

#define NGX_HTTP_TASKMQ_ANY                                                   \
    (NGX_HTTP_TASKMQ_ADMIN|NGX_HTTP_TASKMQ_WORKER)
#define NGX_HTTP_TASKMQ_TASK   (NGX_HTTP_TASKMQ_REDIS|NGX_HTTP_TASKMQ_UUID)
#define NGX_HTTP_TASKMQ_CHANGE (NGX_HTTP_TASKMQ_REDIS|NGX_HTTP_TASKMQ_WRITE)

/* a page of the API reference */
#define NGX_HTTP_TASKMQ_DOCS(path, suffix)                                    \
    { ngx_string(path), suffix, NGX_HTTP_GET, 0, NGX_HTTP_TASKMQ_BODY_NONE,   \
      0, NGX_HTTP_TASKMQ_EP_DOCS, ngx_http_taskmq_docs }

static const ngx_http_taskmq_route_t  ngx_http_taskmq_own_routes[] = {

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
      NGX_HTTP_TASKMQ_EP_API_METRICS, ngx_http_taskmq_summary },

    NGX_HTTP_TASKMQ_DOCS("openapi.json", NULL),
    NGX_HTTP_TASKMQ_DOCS("swagger-ui", NULL),
    NGX_HTTP_TASKMQ_DOCS("swagger-ui/", ""),

    { ngx_null_string, NULL, 0, 0, 0, 0, 0, NULL }
};

const ngx_http_taskmq_route_t *
ngx_http_taskmq_routes(ngx_uint_t api)
{
    return api == NGX_HTTP_TASKMQ_TASKMQ ? ngx_http_taskmq_own_routes
                                         : ngx_http_taskmq_daemon_routes;
}
