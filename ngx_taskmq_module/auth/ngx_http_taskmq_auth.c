/*
 * ngx_http_taskmq_auth.c: bearer tokens. The only file that knows libjwt,
 * which is trusted with signatures alone: it accepts "none" where a key is
 * empty, ignores "crit" and rounds claims, so the token's shape and its
 * algorithm are checked here, and its claims by ngx_http_taskmq_auth_claims.c,
 * with the strict JSON reader.
 */

#include <openssl/err.h>

#include "ngx_http_taskmq_auth_int.h"
#include "ngx_http_taskmq_jwt.h"

/* A token cut into its parts. */
typedef struct {
    ngx_str_t  text;          /* NUL-terminated copy */
    ngx_str_t  header;        /* decoded */
    ngx_str_t  payload;       /* decoded */
} ngx_http_taskmq_jwt_t;

static const char *ngx_http_taskmq_auth_verify(ngx_http_taskmq_auth_t *auth,
    ngx_pool_t *pool, ngx_str_t *token);
static const char *ngx_http_taskmq_auth_split(ngx_pool_t *pool,
    ngx_str_t *token, ngx_http_taskmq_jwt_t *jwt);
static const char *ngx_http_taskmq_auth_header(ngx_http_taskmq_jwt_t *jwt,
    jwt_alg_t *alg);
static const char *ngx_http_taskmq_auth_signature(
    ngx_http_taskmq_auth_t *auth, ngx_http_taskmq_jwt_t *jwt, jwt_alg_t alg);
static const char *ngx_http_taskmq_auth_object(ngx_str_t *text,
    tq_str_t *object);


ngx_int_t
ngx_http_taskmq_auth_start(ngx_http_taskmq_auth_t *auth, ngx_cycle_t *cycle)
{
    auth->cache = ngx_http_taskmq_token_cache_create(cycle->pool);

    return auth->cache ? NGX_OK : NGX_ERROR;
}

/* ngx_http_taskmq_auth_token finds the token behind "Bearer". */
static const char *
ngx_http_taskmq_auth_token(ngx_http_request_t *r, ngx_str_t *token)
{
    ngx_str_t         value;
    ngx_table_elt_t  *h;

    h = r->headers_in.authorization;

    if (h == NULL) {
        return "no Authorization header";
    }

    value = h->value;

    if (value.len < sizeof("Bearer ") - 1
        || ngx_strncasecmp(value.data, (u_char *) "Bearer ",
                           sizeof("Bearer ") - 1) != 0)
    {
        return "the Authorization header is not \"Bearer\"";
    }

    value.data += sizeof("Bearer ") - 1;
    value.len -= sizeof("Bearer ") - 1;

    while (value.len && *value.data == ' ') {
        value.data++;
        value.len--;
    }

    if (value.len > TQ_TOKEN_MAX_BYTES) {
        return "the token is too long";
    }

    *token = value;

    return NULL;
}

ngx_int_t
ngx_http_taskmq_auth(ngx_http_request_t *r, ngx_http_taskmq_auth_t *auth,
    const ngx_http_taskmq_identity_t **who)
{
    const char  *why;
    ngx_str_t    token;

    why = ngx_http_taskmq_auth_token(r, &token);

    if (why == NULL) {

        if (auth->cache == NULL
            && ngx_http_taskmq_auth_start(auth, (ngx_cycle_t *) ngx_cycle)
               != NGX_OK)
        {
            why = "out of memory";

        } else {
            *who = ngx_http_taskmq_token_cache_find(auth->cache, &token,
                                               ngx_http_taskmq_auth_now_ms());
            if (*who) {
                ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                               "taskmq token: known, roles:%ui",
                               (*who)->roles);
                return NGX_OK;
            }

            why = ngx_http_taskmq_auth_verify(auth, r->pool, &token);
        }
    }

    if (why) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "taskmq: request refused: %s", why);
        return NGX_DECLINED;
    }

    *who = &auth->who;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "taskmq token: verified, roles:%ui", (*who)->roles);

    return NGX_OK;
}

/* ngx_http_taskmq_auth_verify checks a token that is not in the cache, and
 * remembers it. NULL: auth->who says who it is; else why it is refused. */
static const char *
ngx_http_taskmq_auth_verify(ngx_http_taskmq_auth_t *auth, ngx_pool_t *pool,
    ngx_str_t *token)
{
    tq_str_t                claims;
    jwt_alg_t               alg;
    const char             *why;
    ngx_http_taskmq_jwt_t   jwt;

    why = ngx_http_taskmq_auth_split(pool, token, &jwt);

    if (why == NULL) {
        why = ngx_http_taskmq_auth_header(&jwt, &alg);
    }

    if (why == NULL) {
        why = ngx_http_taskmq_auth_object(&jwt.payload, &claims);
    }

    if (why == NULL) {
        why = ngx_http_taskmq_auth_dates(auth, claims, &auth->who);
    }

    if (why == NULL) {
        why = ngx_http_taskmq_auth_signature(auth, &jwt, alg);
    }

    if (why == NULL) {
        why = ngx_http_taskmq_auth_claims(auth, claims, &auth->who);
    }

    if (why == NULL) {
        ngx_http_taskmq_token_cache_add(auth->cache, token, &auth->who);
    }

    return why;
}

static ngx_uint_t
ngx_http_taskmq_auth_base64url(u_char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
           || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_';
}

/* ngx_http_taskmq_auth_decode decodes one part of a token. */
static const char *
ngx_http_taskmq_auth_decode(ngx_pool_t *pool, u_char *p, u_char *end,
    ngx_str_t *text)
{
    ngx_str_t  part;

    part.data = p;
    part.len = (size_t) (end - p);

    text->data = ngx_pnalloc(pool, ngx_base64_decoded_length(part.len) + 1);
    if (text->data == NULL) {
        return "out of memory";
    }

    if (ngx_decode_base64url(text, &part) != NGX_OK) {
        return "the token is not base64url";
    }

    return NULL;
}

/* ngx_http_taskmq_auth_split: libjwt stops decoding at an odd byte without
 * saying so, and wants a NUL; nothing reaches it that is not three non-empty
 * parts of base64url. */
static const char *
ngx_http_taskmq_auth_split(ngx_pool_t *pool, ngx_str_t *token,
    ngx_http_taskmq_jwt_t *jwt)
{
    u_char      *p, *end, *part[4];
    const char  *why;
    ngx_uint_t   n;

    jwt->text.data = ngx_pnalloc(pool, token->len + 1);
    if (jwt->text.data == NULL) {
        return "out of memory";
    }

    ngx_memcpy(jwt->text.data, token->data, token->len);
    jwt->text.data[token->len] = '\0';
    jwt->text.len = token->len;

    end = jwt->text.data + jwt->text.len;
    part[0] = jwt->text.data;
    n = 0;

    for (p = jwt->text.data; p <= end; p++) {

        if (p == end || *p == '.') {

            if (p == part[n] || n == 3) {
                return "the token does not have three parts";
            }

            part[++n] = p + 1;

        } else if (!ngx_http_taskmq_auth_base64url(*p)) {
            return "the token is not base64url";
        }
    }

    if (n != 3) {
        return "the token does not have three parts";
    }

    why = ngx_http_taskmq_auth_decode(pool, part[0], part[1] - 1,
                                      &jwt->header);
    if (why) {
        return why;
    }

    return ngx_http_taskmq_auth_decode(pool, part[1], part[2] - 1,
                                       &jwt->payload);
}

/* ngx_http_taskmq_auth_object reads a part's JSON, which must be an object. */
static const char *
ngx_http_taskmq_auth_object(ngx_str_t *text, tq_str_t *object)
{
    tq_json_err_t  err;
    tq_json_val_t  v;

    if (tq_json_parse((char *) text->data, text->len, &v, &err) != 0
        || v.type != TQ_JSON_OBJECT)
    {
        return "a part of the token is not a valid JSON object";
    }

    *object = v.raw;

    return NULL;
}

static const char *
ngx_http_taskmq_auth_header(ngx_http_taskmq_jwt_t *jwt, jwt_alg_t *alg)
{
    tq_str_t        object;
    const char     *why;
    tq_json_val_t   v;

    why = ngx_http_taskmq_auth_object(&jwt->header, &object);

    if (why) {
        return why;
    }

    if (tq_json_find(object, "crit", &v)) {
        return "the token has critical extensions";
    }

    if (!tq_json_find(object, "alg", &v)) {
        return "the token does not name its algorithm";
    }

    if (ngx_http_taskmq_auth_is(&v, "HS256")) {
        *alg = JWT_ALG_HS256;

    } else if (ngx_http_taskmq_auth_is(&v, "RS256")) {
        *alg = JWT_ALG_RS256;

    } else if (ngx_http_taskmq_auth_is(&v, "ES256")) {
        *alg = JWT_ALG_ES256;

    } else {
        return "the token's algorithm is not accepted";
    }

    return NULL;
}

static ngx_uint_t
ngx_http_taskmq_auth_try(ngx_http_taskmq_jwt_t *jwt, jwt_alg_t alg,
    ngx_str_t *key)
{
    int         rc;
    jwt_t      *token;
    ngx_uint_t  ok;

    token = NULL;

    rc = ngx_http_taskmq_libjwt.decode(&token, (char *) jwt->text.data,
                                       key->data, (int) key->len);

    /* out of memory it says 0 and leaves the algorithm "none" */

    ok = rc == 0 && token != NULL
         && ngx_http_taskmq_libjwt.get_alg(token) == alg;

    if (rc == 0 && token) {
        ngx_http_taskmq_libjwt.free(token);
    }

    ERR_clear_error();

    return ok;
}

/* ngx_http_taskmq_auth_signature: which keys are tried follows from their
 * kind, never from the token alone: a public key is no HS256 secret. */
static const char *
ngx_http_taskmq_auth_signature(ngx_http_taskmq_auth_t *auth,
    ngx_http_taskmq_jwt_t *jwt, jwt_alg_t alg)
{
    ngx_str_t   *secret;
    ngx_uint_t   i;

    if (alg != JWT_ALG_HS256) {

        if (auth->key_kind != (alg == JWT_ALG_RS256
                               ? NGX_HTTP_TASKMQ_KEY_RSA
                               : NGX_HTTP_TASKMQ_KEY_EC))
        {
            return "the token's algorithm is not accepted";
        }

        return ngx_http_taskmq_auth_try(jwt, alg, &auth->key)
               ? NULL : "the signature does not match";
    }

    if (auth->secrets == NULL) {
        return "the token's algorithm is not accepted";
    }

    secret = auth->secrets->elts;

    for (i = 0; i < auth->secrets->nelts; i++) {
        if (ngx_http_taskmq_auth_try(jwt, alg, &secret[i])) {
            return NULL;
        }
    }

    return "the signature does not match";
}
