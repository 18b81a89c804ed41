/*
 * ngx_http_taskmq_origin.h: which browsers' pages may use an API, and by which
 * names its server may be called (taskmq_allowed_origins,
 * taskmq_allowed_hosts). Owns nothing; lists live as long as the
 * configuration.
 */

#ifndef NGX_HTTP_TASKMQ_ORIGIN_H
#define NGX_HTTP_TASKMQ_ORIGIN_H

#include "ngx_http_taskmq_module.h"

/* Parsers of the two directives. */
char *ngx_http_taskmq_conf_hosts(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_taskmq_conf_origins(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Notes the server's names for a location whose requests' hosts are to be
 * checked. All server_name lines must have been read. NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_taskmq_origin_servers(ngx_conf_t *cf,
    ngx_http_taskmq_loc_conf_t *conf);

/*
 * Whether this request may come from where it says that it comes from. NULL:
 * it may; else what to tell the client. Looks at headers alone.
 */
const char *ngx_http_taskmq_origin_check(ngx_http_request_t *r,
    ngx_http_taskmq_loc_conf_t *conf);

#endif /* NGX_HTTP_TASKMQ_ORIGIN_H */
