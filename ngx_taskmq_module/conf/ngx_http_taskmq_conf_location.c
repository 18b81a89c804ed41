/*
 * ngx_http_taskmq_conf_location.c: taskmq_api, and which locations it reaches:
 * its own, those nested in it, and one that is a single endpoint's. Says where
 * the paths of the API begin.
 */

#include "ngx_http_taskmq_conf.h"
#include "ngx_http_taskmq_api.h"

static char *ngx_http_taskmq_conf_inherit(ngx_http_taskmq_loc_conf_t *prev,
    ngx_http_taskmq_loc_conf_t *conf);
static char *ngx_http_taskmq_conf_base(ngx_conf_t *cf,
    ngx_http_taskmq_loc_conf_t *prev, ngx_http_taskmq_loc_conf_t *conf);
static ngx_uint_t ngx_http_taskmq_conf_is_regex(
    ngx_http_core_loc_conf_t *clcf);
static char *ngx_http_taskmq_conf_two_contents(ngx_conf_t *cf);

char *
ngx_http_taskmq_conf_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_taskmq_loc_conf_t  *lcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    if (lcf->api != NGX_HTTP_TASKMQ_NONE) {
        return "is duplicate";
    }

    value = cf->args->elts;
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (ngx_strcmp(value[1].data, "taskmq") == 0) {
        lcf->api = NGX_HTTP_TASKMQ_TASKMQ;

    } else if (ngx_strcmp(value[1].data, "taskdaemon") == 0) {
        lcf->api = NGX_HTTP_TASKMQ_TASKDAEMON;

    } else if (ngx_strcmp(value[1].data, "off") == 0) {
        lcf->api = NGX_HTTP_TASKMQ_OFF;
        return NGX_CONF_OK;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown API \"%V\": "
                           "it must be \"taskmq\", \"taskdaemon\" or \"off\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (clcf->handler) {
        return ngx_http_taskmq_conf_two_contents(cf);
    }

    /* the place of this line, for messages that can only come when all
     * directives are known */

    lcf->place = ngx_palloc(cf->pool, sizeof(ngx_conf_file_t));
    if (lcf->place == NULL) {
        return NGX_CONF_ERROR;
    }

    *lcf->place = *cf->conf_file;
    clcf->handler = ngx_http_taskmq_handler;

    return NGX_CONF_OK;
}

char *
ngx_http_taskmq_conf_location(ngx_conf_t *cf,
    ngx_http_taskmq_loc_conf_t *prev, ngx_http_taskmq_loc_conf_t *conf)
{
    char             *rv;
    ngx_conf_file_t  *file;

    switch (conf->api) {

    case NGX_HTTP_TASKMQ_OFF:
        conf->api = NGX_HTTP_TASKMQ_NONE;
        return NGX_CONF_OK;

    case NGX_HTTP_TASKMQ_NONE:
        return ngx_http_taskmq_conf_inherit(prev, conf);
    }

    file = cf->conf_file;
    cf->conf_file = conf->place;

    /* each of them sets it without asking whether it is set */

    rv = conf->core->handler == ngx_http_taskmq_handler
         ? ngx_http_taskmq_conf_base(cf, prev, conf)
         : ngx_http_taskmq_conf_two_contents(cf);

    cf->conf_file = file;

    return rv;
}

/* ngx_http_taskmq_conf_inherit: what stands in a location with an API is the
 * API's, too, unless it has content of its own. */
static char *
ngx_http_taskmq_conf_inherit(ngx_http_taskmq_loc_conf_t *prev,
    ngx_http_taskmq_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = conf->core;

    if (prev->api == NGX_HTTP_TASKMQ_NONE) {
        return NGX_CONF_OK;
    }

    /* "if" and "limit_except" have no name; "if" leaves its location's
     * content handler, and both have its files */

    if (!clcf->noname
        && (clcf->handler || clcf->root.data != prev->core->root.data))
    {
        return NGX_CONF_OK;
    }

    conf->api = prev->api;
    conf->location = prev->location;
    conf->place = prev->place;

    if (clcf->handler == NULL && (!clcf->noname || clcf->lmt_excpt)) {
        clcf->handler = ngx_http_taskmq_handler;
    }

    return NGX_CONF_OK;
}

/*
 * ngx_http_taskmq_conf_base: the API's paths follow the name of a prefix
 * location. An exact location and a regular expression only choose some of
 * them: of the API around them, or, for an exact one, of an API that begins
 * where its endpoint's path does.
 */
static char *
ngx_http_taskmq_conf_base(ngx_conf_t *cf, ngx_http_taskmq_loc_conf_t *prev,
    ngx_http_taskmq_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = conf->core;

    if (ngx_http_taskmq_conf_is_regex(clcf) || clcf->exact_match) {

        if (prev->api != NGX_HTTP_TASKMQ_NONE) {
            conf->location = prev->location;
            return NGX_CONF_OK;
        }

        if (clcf->exact_match) {
            conf->location = clcf->name;
            conf->location.len = ngx_http_taskmq_route_base(
                                         ngx_http_taskmq_routes(conf->api),
                                         &clcf->name);
            if (conf->location.len) {
                return NGX_CONF_OK;
            }

            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"taskmq_api\" in \"location = %V\": the name "
                               "does not end with the path of an endpoint, "
                               "such as \"%s\"", &clcf->name,
                               conf->api == NGX_HTTP_TASKMQ_TASKMQ
                               ? "/add-job" : "/queue");
            return NGX_CONF_ERROR;
        }

    } else if (!clcf->named && clcf->name.len && clcf->name.data[0] == '/') {
        conf->location = clcf->name;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"taskmq_api\" works in a prefix location, such as "
                       "\"location /jobs/\", and in an exact one (=) for one "
                       "endpoint; a regular expression (~) must stand inside "
                       "of such a prefix location, and a named one (@) cannot "
                       "have it");
    return NGX_CONF_ERROR;
}

static ngx_uint_t
ngx_http_taskmq_conf_is_regex(ngx_http_core_loc_conf_t *clcf)
{
#if (NGX_PCRE)
    return clcf->regex != NULL;
#else
    return 0;
#endif
}

static char *
ngx_http_taskmq_conf_two_contents(ngx_conf_t *cf)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"taskmq_api\" stands beside another directive that "
                       "makes the content of this location, such as "
                       "\"proxy_pass\": give each a location of its own");

    return NGX_CONF_ERROR;
}
