/*
 * ngx_http_taskmq_conf.h: what the directives say. Runs while nginx reads its
 * configuration; everything lives in the configuration's pool. Parsers return
 * NGX_CONF_OK, or another text after they have logged what is wrong.
 */

#ifndef NGX_HTTP_TASKMQ_CONF_H
#define NGX_HTTP_TASKMQ_CONF_H

#include "ngx_http_taskmq_module.h"

/* ---- ngx_http_taskmq_conf.c: directive parsers and what merging makes ---- */

char *ngx_http_taskmq_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_taskmq_conf_password(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_taskmq_conf_namespace(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_taskmq_conf_auth(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_taskmq_conf_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_taskmq_conf_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Gives a location with an API its connection and keys. prev: the level
 * around it. */
char *ngx_http_taskmq_conf_finish(ngx_conf_t *cf,
    ngx_http_taskmq_loc_conf_t *prev, ngx_http_taskmq_loc_conf_t *conf);

/* An environment variable while the configuration is read; makes nginx keep
 * it for its workers and for a binary upgrade. len 0: unset or empty. */
ngx_int_t ngx_http_taskmq_conf_env(ngx_conf_t *cf, const char *name,
    ngx_str_t *value);

/* ---- ngx_http_taskmq_conf_location.c ---- */

char *ngx_http_taskmq_conf_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* Whether a location serves an API, by a taskmq_api of its own or of the level
 * around it (prev, merged before): conf->api and conf->location. */
char *ngx_http_taskmq_conf_location(ngx_conf_t *cf,
    ngx_http_taskmq_loc_conf_t *prev, ngx_http_taskmq_loc_conf_t *conf);

#endif /* NGX_HTTP_TASKMQ_CONF_H */
