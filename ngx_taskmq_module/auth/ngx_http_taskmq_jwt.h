/*
 * ngx_http_taskmq_jwt.h: libjwt, for this module alone. nginx loads all its
 * modules into one room (RTLD_GLOBAL): linked the usual way, the libjwt,
 * jansson and libb64 of another module would be called in place of ours, or
 * ours in place of theirs. So libjwt is opened by name, seen by nobody else
 * (RTLD_LOCAL), and looks for what it needs among its own libraries first
 * (RTLD_DEEPBIND). Nobody but ngx_http_taskmq_auth.c uses it.
 */

#ifndef NGX_HTTP_TASKMQ_JWT_H
#define NGX_HTTP_TASKMQ_JWT_H

#include <jwt.h>

#include <ngx_config.h>
#include <ngx_core.h>

/* All that is used of it, by its names without "jwt_". */
typedef struct {
    __typeof__(jwt_decode)   *decode;
    __typeof__(jwt_free)     *free;
    __typeof__(jwt_get_alg)  *get_alg;
} ngx_http_taskmq_jwt_lib_t;

/* Whole after ngx_http_taskmq_jwt_load() returned NULL. */
extern ngx_http_taskmq_jwt_lib_t  ngx_http_taskmq_libjwt;

/*
 * Opens libjwt unless that is done; it stays open. NULL, or why not (valid
 * until the next call). While the configuration is read: it reads files.
 */
const char *ngx_http_taskmq_jwt_load(void);

#endif /* NGX_HTTP_TASKMQ_JWT_H */
