/*
 * ngx_http_taskmq_auth.h: who is asking, and from where (origin.h). Owns JWT
 * keys and the cache of verified tokens. One auth object serves all locations
 * with the same keys, role claim and rules. Called from one nginx worker's
 * event loop, except the functions for reading the configuration.
 */

#ifndef NGX_HTTP_TASKMQ_AUTH_H
#define NGX_HTTP_TASKMQ_AUTH_H

#include "ngx_http_taskmq_module.h"
#include "ngx_http_taskmq_origin.h"

typedef struct {
    ngx_uint_t  roles;        /* NGX_HTTP_TASKMQ_ADMIN | … */
    int64_t     exp_ms;       /* since 1970; INT64_MAX: never */
    int64_t     nbf_ms;       /* 0: at once */
    size_t      subject_len;
    u_char      subject[TQ_SUBJECT_MAX];
} ngx_http_taskmq_identity_t;

/* ---- while the configuration is read (ngx_http_taskmq_auth_conf.c) ---- */

/* Parser of taskmq_jwt_audience and taskmq_jwt_issuer. */
char *ngx_http_taskmq_auth_conf_values(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* The auth object of a location, shared with equal ones. NULL: no memory, or
 * an error that was logged. */
ngx_http_taskmq_auth_t *ngx_http_taskmq_auth_conf(ngx_conf_t *cf,
    ngx_http_taskmq_loc_conf_t *conf);

/* NULL when the PEM text is a public key for RS256 or ES256, else why not. */
const char *ngx_http_taskmq_auth_key_check(ngx_str_t *pem);

/* ---- in a worker ---- */

/* Makes the token cache. NGX_OK or NGX_ERROR (out of memory). */
ngx_int_t ngx_http_taskmq_auth_start(ngx_http_taskmq_auth_t *auth,
    ngx_cycle_t *cycle);

/*
 * Checks the request's bearer token. *who is valid until the next call.
 * NGX_OK, or NGX_DECLINED: no token that counts (the reason is in the log at
 * level info; the client is not told).
 */
ngx_int_t ngx_http_taskmq_auth(ngx_http_request_t *r,
    ngx_http_taskmq_auth_t *auth, const ngx_http_taskmq_identity_t **who);

#endif /* NGX_HTTP_TASKMQ_AUTH_H */
