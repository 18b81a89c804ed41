/*
 * ngx_http_taskmq_module.c: the module's face to nginx: directives, creating
 * and merging configurations, and the start and end of a worker process.
 */

#include "ngx_http_taskmq_module.h"
#include "ngx_http_taskmq_auth.h"
#include "ngx_http_taskmq_conf.h"
#include "ngx_http_taskmq_redis.h"
#include "ngx_http_taskmq_stats.h"

static void *ngx_http_taskmq_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_taskmq_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_taskmq_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_taskmq_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_taskmq_init_process(ngx_cycle_t *cycle);
static void ngx_http_taskmq_exit_process(ngx_cycle_t *cycle);
static char *ngx_http_taskmq_check_size(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_taskmq_check_timeout(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_taskmq_check_claim(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_taskmq_check_path(ngx_conf_t *cf, void *post,
    void *data);

static char *ngx_http_taskmq_set_size(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_taskmq_set_time(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_taskmq_set_count(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static ngx_conf_post_t  ngx_http_taskmq_size = { ngx_http_taskmq_check_size };
static ngx_conf_post_t  ngx_http_taskmq_time = {
    ngx_http_taskmq_check_timeout
};
static ngx_conf_post_t  ngx_http_taskmq_claim = {
    ngx_http_taskmq_check_claim
};
static ngx_conf_post_t  ngx_http_taskmq_path = { ngx_http_taskmq_check_path };
static ngx_conf_num_bounds_t  ngx_http_taskmq_pending = {
    ngx_conf_check_num_bounds, 0, -1
};

#define NGX_HTTP_TASKMQ_ALL                                                   \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)

static ngx_command_t  ngx_http_taskmq_commands[] = {

    { ngx_string("taskmq_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_taskmq_conf_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskmq_redis"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_TAKE1,
      ngx_http_taskmq_conf_redis,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskmq_redis_password_file"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_TAKE1,
      ngx_http_taskmq_conf_password,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskmq_namespace"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_TAKE1,
      ngx_http_taskmq_conf_namespace,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskmq_auth"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_TAKE1,
      ngx_http_taskmq_conf_auth,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskmq_jwt_secret_file"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_TAKE1,
      ngx_http_taskmq_conf_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskmq_jwt_key_file"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_TAKE1,
      ngx_http_taskmq_conf_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("taskmq_jwt_role_claim"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, role_claim),
      &ngx_http_taskmq_claim },

    { ngx_string("taskmq_jwt_require_exp"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, require_exp),
      NULL },

    { ngx_string("taskmq_jwt_audience"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_1MORE,
      ngx_http_taskmq_auth_conf_values,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, audiences),
      NULL },

    { ngx_string("taskmq_jwt_issuer"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_1MORE,
      ngx_http_taskmq_auth_conf_values,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, issuers),
      NULL },

    { ngx_string("taskmq_allowed_hosts"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_1MORE,
      ngx_http_taskmq_conf_hosts,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, hosts),
      NULL },

    { ngx_string("taskmq_allowed_origins"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_1MORE,
      ngx_http_taskmq_conf_origins,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, origins),
      NULL },

    { ngx_string("taskmq_max_payload"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_TAKE1,
      ngx_http_taskmq_set_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, max_payload),
      &ngx_http_taskmq_size },

    { ngx_string("taskmq_max_bulk"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_TAKE1,
      ngx_http_taskmq_set_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, max_bulk),
      &ngx_http_taskmq_size },

    { ngx_string("taskmq_docs_root"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, docs_root),
      &ngx_http_taskmq_path },

    { ngx_string("taskmq_redis_timeout"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_TAKE1,
      ngx_http_taskmq_set_time,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, redis_timeout),
      &ngx_http_taskmq_time },

    { ngx_string("taskmq_max_pending"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_TAKE1,
      ngx_http_taskmq_set_count,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, max_pending),
      &ngx_http_taskmq_pending },

    { ngx_string("taskmq_known_handlers"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, known_handlers),
      NULL },

    { ngx_string("taskmq_intercept_errors"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, intercept_errors),
      NULL },

    { ngx_string("taskmq_mirror"),
      NGX_HTTP_TASKMQ_ALL|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_taskmq_loc_conf_t, mirror),
      NULL },

      ngx_null_command
};

static ngx_http_module_t  ngx_http_taskmq_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_taskmq_init,                  /* postconfiguration */

    ngx_http_taskmq_create_main_conf,      /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_taskmq_create_loc_conf,       /* create location configuration */
    ngx_http_taskmq_merge_loc_conf         /* merge location configuration */
};

ngx_module_t  ngx_http_taskmq_module = {
    NGX_MODULE_V1,
    &ngx_http_taskmq_module_ctx,           /* module context */
    ngx_http_taskmq_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_taskmq_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_taskmq_exit_process,          /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};

static void *
ngx_http_taskmq_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_taskmq_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_taskmq_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&mcf->redis, cf->pool, 2, sizeof(void *)) != NGX_OK
        || ngx_array_init(&mcf->auths, cf->pool, 2, sizeof(void *)) != NGX_OK)
    {
        return NULL;
    }

    return mcf;
}

static void *
ngx_http_taskmq_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_taskmq_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_taskmq_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->auth_mode = NGX_CONF_UNSET_UINT;
    conf->secrets = NGX_CONF_UNSET_PTR;
    conf->require_exp = NGX_CONF_UNSET;
    conf->audiences = NGX_CONF_UNSET_PTR;
    conf->issuers = NGX_CONF_UNSET_PTR;
    conf->hosts = NGX_CONF_UNSET_PTR;
    conf->origins = NGX_CONF_UNSET_PTR;
    conf->max_payload = NGX_CONF_UNSET_SIZE;
    conf->max_bulk = NGX_CONF_UNSET_SIZE;
    conf->redis_timeout = NGX_CONF_UNSET_MSEC;
    conf->max_pending = NGX_CONF_UNSET;
    conf->known_handlers = NGX_CONF_UNSET;
    conf->intercept_errors = NGX_CONF_UNSET;
    conf->mirror = NGX_CONF_UNSET;

    return conf;
}

static char *
ngx_http_taskmq_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_taskmq_loc_conf_t  *prev = parent;
    ngx_http_taskmq_loc_conf_t  *conf = child;

    char             *rv;
    ngx_conf_file_t  *file;

    ngx_conf_merge_str_value(conf->redis_url, prev->redis_url, "");

    if (conf->redis_place == NULL) {
        conf->redis_place = prev->redis_place;
    }

    /* a password in the URL is nearer than the file of a level above */

    if (conf->redis_url_password) {
        ngx_str_set(&conf->redis_password, "");
    }

    ngx_conf_merge_str_value(conf->redis_password, prev->redis_password, "");
    ngx_conf_merge_str_value(conf->ns, prev->ns, "");
    ngx_conf_merge_uint_value(conf->auth_mode, prev->auth_mode,
                              NGX_HTTP_TASKMQ_AUTH_JWT);
    ngx_conf_merge_ptr_value(conf->secrets, prev->secrets, NULL);
    ngx_conf_merge_str_value(conf->key, prev->key, "");
    ngx_conf_merge_str_value(conf->role_claim, prev->role_claim, "role");
    ngx_conf_merge_value(conf->require_exp, prev->require_exp, 1);
    ngx_conf_merge_ptr_value(conf->audiences, prev->audiences, NULL);
    ngx_conf_merge_ptr_value(conf->issuers, prev->issuers, NULL);
    ngx_conf_merge_ptr_value(conf->hosts, prev->hosts, NULL);
    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);
    ngx_conf_merge_size_value(conf->max_payload, prev->max_payload,
                              TQ_PAYLOAD_DEFAULT_BYTES);
    ngx_conf_merge_size_value(conf->max_bulk, prev->max_bulk,
                              TQ_BULK_DEFAULT_BYTES);
    ngx_conf_merge_str_value(conf->docs_root, prev->docs_root, "");
    ngx_conf_merge_msec_value(conf->redis_timeout, prev->redis_timeout,
                              TQ_REDIS_TIMEOUT_MS);
    ngx_conf_merge_value(conf->max_pending, prev->max_pending, 0);
    ngx_conf_merge_value(conf->known_handlers, prev->known_handlers, 0);
    ngx_conf_merge_value(conf->intercept_errors, prev->intercept_errors, 0);
    ngx_conf_merge_value(conf->mirror, prev->mirror, 0);

    conf->core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    conf->max_body = conf->core->client_max_body_size;

    rv = ngx_http_taskmq_conf_location(cf, prev, conf);

    if (rv != NGX_CONF_OK || conf->api == NGX_HTTP_TASKMQ_NONE) {
        return rv;
    }

    file = cf->conf_file;
    cf->conf_file = conf->place;

    rv = ngx_http_taskmq_conf_finish(cf, prev, conf);

    cf->conf_file = file;

    return rv;
}

static ngx_int_t
ngx_http_taskmq_init(ngx_conf_t *cf)
{
    ngx_http_taskmq_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_taskmq_module);

    if (mcf->redis.nelts == 0) {
        return NGX_OK;
    }

    mcf->zone = ngx_http_taskmq_stats_zone(cf);

    return mcf->zone ? NGX_OK : NGX_ERROR;
}

static ngx_int_t
ngx_http_taskmq_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_http_taskmq_auth_t       **auth;
    ngx_http_taskmq_redis_t      **redis;
    ngx_http_taskmq_main_conf_t   *mcf;

    /* the cache manager and loader come here, too */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_taskmq_module);

    if (mcf == NULL || mcf->zone == NULL) {
        return NGX_OK;
    }

    ngx_http_taskmq_stats_start(mcf->zone);

    auth = mcf->auths.elts;

    for (i = 0; i < mcf->auths.nelts; i++) {
        if (ngx_http_taskmq_auth_start(auth[i], cycle) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    redis = mcf->redis.elts;

    for (i = 0; i < mcf->redis.nelts; i++) {
        if (ngx_http_taskmq_redis_start(redis[i], cycle) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}

static void
ngx_http_taskmq_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_http_taskmq_redis_t      **redis;
    ngx_http_taskmq_main_conf_t   *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_taskmq_module);

    if (mcf == NULL) {
        return;
    }

    redis = mcf->redis.elts;

    for (i = 0; i < mcf->redis.nelts; i++) {
        ngx_http_taskmq_redis_stop(redis[i]);
    }

    ngx_http_taskmq_call_exit();
}

/* nginx's setters say "invalid value" and no more: adds what is expected.
 * Errors that they have logged, and "is duplicate", stay. */

static char *
ngx_http_taskmq_expected(char *rv, char *expected)
{
    if (rv == NGX_CONF_OK || rv == NGX_CONF_ERROR
        || ngx_strncmp(rv, "invalid", 7) != 0)
    {
        return rv;
    }

    return expected;
}

static char *
ngx_http_taskmq_set_size(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_taskmq_expected(ngx_conf_set_size_slot(cf, cmd, conf),
                                    "has an invalid value, expected a size "
                                    "such as 512k or 8m");
}

static char *
ngx_http_taskmq_set_time(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_taskmq_expected(ngx_conf_set_msec_slot(cf, cmd, conf),
                                    "has an invalid value, expected a time "
                                    "such as 500ms or 2s");
}

static char *
ngx_http_taskmq_set_count(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_taskmq_expected(ngx_conf_set_num_slot(cf, cmd, conf),
                                    "has an invalid value, expected a number "
                                    "such as 10000, or 0");
}

static char *
ngx_http_taskmq_check_size(ngx_conf_t *cf, void *post, void *data)
{
    size_t     *size = data;
    ngx_str_t  *name = cf->args->elts;

    if (*size == 0 || *size > TQ_PAYLOAD_MAX_BYTES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be from 1 byte to %d bytes", name,
                           TQ_PAYLOAD_MAX_BYTES);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

static char *
ngx_http_taskmq_check_timeout(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *ms = data;
    ngx_str_t   *name = cf->args->elts;

    if (*ms == 0 || *ms > TQ_REDIS_TIMEOUT_MAX_MS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be from 1ms to %dms", name,
                           TQ_REDIS_TIMEOUT_MAX_MS);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

static char *
ngx_http_taskmq_check_claim(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t  *name = data;

    if (name->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"taskmq_jwt_role_claim\" is empty: expected the "
                           "claim's name");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

static char *
ngx_http_taskmq_check_path(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t  *path = data;

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
