/*
 * ngx_http_taskmq_module.h: the types that the module's rooms share.
 *
 *   main conf ---> redis[]     one connection per nginx worker and distinct
 *        |                     (address, database, user, namespace)
 *        +------> auths[]      one set of keys and one token cache each
 *   loc conf ----> its redis, its auth, its limits
 *   request -----> ctx         what route and auth found out; request's pool
 *        ^
 *        |
 *   call --------> redis       one wait for Redis; lives outside the request's
 *                              pool, because a request can end at any time
 *
 * Everything here belongs to one nginx worker process and its event loop;
 * only the counters (ngx_http_taskmq_stats.h) are shared.
 */

#ifndef NGX_HTTP_TASKMQ_MODULE_H
#define NGX_HTTP_TASKMQ_MODULE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "tq_queue.h"
#include "tq_base.h"

typedef struct ngx_http_taskmq_redis_s      ngx_http_taskmq_redis_t;
typedef struct ngx_http_taskmq_auth_s       ngx_http_taskmq_auth_t;
typedef struct ngx_http_taskmq_call_s       ngx_http_taskmq_call_t;
typedef struct ngx_http_taskmq_ctx_s        ngx_http_taskmq_ctx_t;
typedef struct ngx_http_taskmq_route_s      ngx_http_taskmq_route_t;

/* taskmq_api; 0 is a location that is not ours */
#define NGX_HTTP_TASKMQ_NONE        0
#define NGX_HTTP_TASKMQ_TASKMQ      1
#define NGX_HTTP_TASKMQ_TASKDAEMON  2
#define NGX_HTTP_TASKMQ_OFF         3     /* until it is merged */

/* taskmq_auth */
#define NGX_HTTP_TASKMQ_AUTH_OFF    0
#define NGX_HTTP_TASKMQ_AUTH_JWT    1

/* roles, as bits */
#define NGX_HTTP_TASKMQ_ADMIN       0x01
#define NGX_HTTP_TASKMQ_WORKER      0x02

typedef struct {
    ngx_array_t                   redis;    /* ngx_http_taskmq_redis_t * */
    ngx_array_t                   auths;    /* ngx_http_taskmq_auth_t * */
    ngx_shm_zone_t               *zone;     /* counters; NULL: no API at all */
    unsigned                      env_kept:1;
} ngx_http_taskmq_main_conf_t;

/* taskmq_allowed_hosts, taskmq_allowed_origins */
typedef struct {
    ngx_array_t                   list;     /* ngx_str_t, lower case */
    ngx_uint_t                    all;      /* no check at all */
} ngx_http_taskmq_names_t;

typedef struct {
    ngx_uint_t                    api;
    ngx_str_t                     location; /* what its paths follow */
    ngx_conf_file_t              *place;    /* of taskmq_api, for messages */
    ngx_http_core_loc_conf_t     *core;     /* the same location's */
    off_t                         max_body; /* its client_max_body_size, as
                                               nginx merged it */

    ngx_str_t                     redis_url;
    ngx_conf_file_t              *redis_place;  /* of its line, or NULL */
    ngx_uint_t                    redis_url_password;  /* this level's has */
    ngx_str_t                     redis_password;
    ngx_str_t                     ns;

    ngx_uint_t                    auth_mode;
    ngx_array_t                  *secrets;  /* ngx_str_t: new, previous */
    ngx_str_t                     key;      /* PEM text */
    ngx_str_t                     role_claim;
    ngx_flag_t                    require_exp;
    ngx_array_t                  *audiences;  /* ngx_str_t; NULL: any */
    ngx_array_t                  *issuers;

    ngx_http_taskmq_names_t      *hosts;    /* NULL: not given */
    ngx_http_taskmq_names_t      *origins;  /* NULL: none */
    ngx_array_t                  *servers;  /* ngx_http_server_name_t: names
                                               beside hosts; NULL: any host */

    size_t                        max_payload;
    size_t                        max_bulk;
    ngx_str_t                     docs_root;
    ngx_msec_t                    redis_timeout;
    ngx_int_t                     max_pending;
    ngx_flag_t                    known_handlers;
    ngx_flag_t                    intercept_errors;
    ngx_flag_t                    mirror;

    /* of a location with an API */
    const ngx_http_taskmq_route_t  *routes; /* of this API */
    ngx_http_taskmq_redis_t      *redis;
    ngx_http_taskmq_auth_t       *auth;     /* NULL: off */
} ngx_http_taskmq_loc_conf_t;

struct ngx_http_taskmq_ctx_s {
    const ngx_http_taskmq_route_t  *route;      /* NULL: no such path */
    ngx_uint_t                      endpoint;   /* its, for the metrics */
    ngx_http_taskmq_loc_conf_t     *conf;
    ngx_str_t                       param;      /* {id} of the path */
    tq_str_t                        subject;    /* JWT "sub"; to be used only
                                                   with the next one */
    tq_str_t                        idempotency_key;
    size_t                          max_body;
    tq_buf_t                       *body;       /* of unknown length */
    unsigned                        has_body:1; /* r->request_body is whole */
    unsigned                        discarded:1;    /* … is not to be had */
    unsigned                        parked:1;   /* has waited for the start */
    unsigned                        keyed:1;    /* … for the key of task ids */
    unsigned                        counted:1;  /* … for the number of waiting
                                                   jobs */
    tq_str_t                        kept;       /* the body, meanwhile */
};

#define NGX_HTTP_TASKMQ_UNPROCESSABLE  422

extern ngx_module_t  ngx_http_taskmq_module;

#endif /* NGX_HTTP_TASKMQ_MODULE_H */
