/*
 * ngx_http_taskmq_api.h: the two APIs, as tables of endpoints.
 */

#ifndef NGX_HTTP_TASKMQ_API_H
#define NGX_HTTP_TASKMQ_API_H

#include "ngx_http_taskmq_request.h"

/* The endpoints of an API (NGX_HTTP_TASKMQ_TASKMQ or _TASKDAEMON); the last
 * has no handler. Static. */
const ngx_http_taskmq_route_t *ngx_http_taskmq_routes(ngx_uint_t api);

#endif /* NGX_HTTP_TASKMQ_API_H */
