/*
 * ngx_http_taskmq_auth_int.h: what the files of this room share.
 */

#ifndef NGX_HTTP_TASKMQ_AUTH_INT_H
#define NGX_HTTP_TASKMQ_AUTH_INT_H

#include "ngx_http_taskmq_auth.h"
#include "tq_json.h"

typedef struct ngx_http_taskmq_token_cache_s  ngx_http_taskmq_token_cache_t;

/* what taskmq_jwt_key_file holds */
#define NGX_HTTP_TASKMQ_KEY_NONE  0
#define NGX_HTTP_TASKMQ_KEY_RSA   1     /* RS256 */
#define NGX_HTTP_TASKMQ_KEY_EC    2     /* ES256 */

struct ngx_http_taskmq_auth_s {
    ngx_array_t                    *secrets;     /* ngx_str_t, or NULL */
    ngx_str_t                       key;         /* PEM, NUL-terminated */
    ngx_uint_t                      key_kind;
    ngx_str_t                       role_claim;  /* NUL-terminated */
    ngx_flag_t                      require_exp;
    ngx_array_t                    *audiences;   /* ngx_str_t, each with a NUL
                                                    behind it; NULL: any */
    ngx_array_t                    *issuers;     /* the same */
    ngx_http_taskmq_token_cache_t  *cache;       /* in a worker */
    ngx_http_taskmq_identity_t      who;         /* the last one verified */
};

/* ---- ngx_http_taskmq_auth_claims.c ---- */

/* Starts *who with the dates among the claims of a token, a valid JSON object.
 * Before its signature is looked at: libjwt says of a number that it cannot
 * hold that the signature is wrong. NULL, or why the token is refused. */
const char *ngx_http_taskmq_auth_dates(ngx_http_taskmq_auth_t *auth,
    tq_str_t object, ngx_http_taskmq_identity_t *who);

/* Reads the other claims into *who, and whether it is time. NULL, or why the
 * token is refused. */
const char *ngx_http_taskmq_auth_claims(ngx_http_taskmq_auth_t *auth,
    tq_str_t object, ngx_http_taskmq_identity_t *who);

/* Is v this string? */
ngx_uint_t ngx_http_taskmq_auth_is(tq_json_val_t *v, const char *text);

/* nginx's time in milliseconds since 1970. */
int64_t ngx_http_taskmq_auth_now_ms(void);

/* ---- ngx_http_taskmq_token_cache.c ---- */

/*
 * A bounded set of verified tokens; its memory goes with the pool. New
 * entries push out the least recently used of their set. NULL: out of memory.
 */
ngx_http_taskmq_token_cache_t *ngx_http_taskmq_token_cache_create(
    ngx_pool_t *pool);

/* The identity of a token that was added and has not expired, or NULL. The
 * token is compared whole, in constant time. now_ms: since 1970. */
const ngx_http_taskmq_identity_t *ngx_http_taskmq_token_cache_find(
    ngx_http_taskmq_token_cache_t *cache, ngx_str_t *token, int64_t now_ms);

/* Adds a token; out of memory it is just not remembered. */
void ngx_http_taskmq_token_cache_add(ngx_http_taskmq_token_cache_t *cache,
    ngx_str_t *token, const ngx_http_taskmq_identity_t *who);

#endif /* NGX_HTTP_TASKMQ_AUTH_INT_H */
