/*
 * ngx_http_taskmq_auth_conf.c: which sets of keys the configuration asks for,
 * and what a public key is good for.
 */

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "ngx_http_taskmq_auth_int.h"
#include "ngx_http_taskmq_jwt.h"

static ngx_uint_t ngx_http_taskmq_auth_key_kind(ngx_str_t *pem,
    const char **why);

char *
ngx_http_taskmq_auth_conf_values(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t     *value, *v;
    ngx_uint_t     i;
    ngx_array_t  **field;

    field = (ngx_array_t **) ((char *) conf + cmd->offset);

    if (*field != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    *field = ngx_array_create(cf->pool, cf->args->nelts - 1,
                              sizeof(ngx_str_t));
    if (*field == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" has an empty value: expected what the "
                               "claim must say", &value[0]);
            return NGX_CONF_ERROR;
        }

        v = ngx_array_push(*field);
        if (v == NULL) {
            return NGX_CONF_ERROR;
        }

        *v = value[i];
    }

    return NGX_CONF_OK;
}

ngx_http_taskmq_auth_t *
ngx_http_taskmq_auth_conf(ngx_conf_t *cf, ngx_http_taskmq_loc_conf_t *conf)
{
    const char                    *why;
    ngx_uint_t                     i;
    ngx_http_taskmq_auth_t        *auth, **known;
    ngx_http_taskmq_main_conf_t   *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_taskmq_module);
    known = mcf->auths.elts;

    /* inherited values are the very same memory */

    for (i = 0; i < mcf->auths.nelts; i++) {
        auth = known[i];

        if (auth->secrets == conf->secrets
            && auth->key.data == conf->key.data
            && auth->require_exp == conf->require_exp
            && auth->audiences == conf->audiences
            && auth->issuers == conf->issuers
            && auth->role_claim.len == conf->role_claim.len
            && ngx_memcmp(auth->role_claim.data, conf->role_claim.data,
                          conf->role_claim.len) == 0)
        {
            return auth;
        }
    }

    why = ngx_http_taskmq_jwt_load();

    if (why) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "tokens cannot be checked: libjwt cannot be "
                           "loaded: %s", why);
        return NULL;
    }

    auth = ngx_pcalloc(cf->pool, sizeof(ngx_http_taskmq_auth_t));
    known = ngx_array_push(&mcf->auths);

    if (auth == NULL || known == NULL) {
        return NULL;
    }

    auth->secrets = conf->secrets;
    auth->key = conf->key;
    auth->role_claim = conf->role_claim;
    auth->require_exp = conf->require_exp;
    auth->audiences = conf->audiences;
    auth->issuers = conf->issuers;
    auth->key_kind = NGX_HTTP_TASKMQ_KEY_NONE;

    if (conf->key.len) {
        auth->key_kind = ngx_http_taskmq_auth_key_kind(&conf->key, &why);
    }

    *known = auth;

    return auth;
}

const char *
ngx_http_taskmq_auth_key_check(ngx_str_t *pem)
{
    const char  *why = NULL;

    (void) ngx_http_taskmq_auth_key_kind(pem, &why);

    return why;
}

/* ngx_http_taskmq_auth_key_kind says which of our algorithms a public key is
 * for: RSA RS256, EC ES256; none with *why. */
static ngx_uint_t
ngx_http_taskmq_auth_key_kind(ngx_str_t *pem, const char **why)
{
    BIO         *bio;
    char         group[32];
    size_t       len;
    EVP_PKEY    *key;
    ngx_uint_t   kind;

    kind = NGX_HTTP_TASKMQ_KEY_NONE;

    bio = BIO_new_mem_buf(pem->data, (int) pem->len);
    if (bio == NULL) {
        *why = "out of memory";
        return kind;
    }

    key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);

    if (key == NULL) {
        ERR_clear_error();
        *why = "it is not a public key in PEM format";
        return kind;
    }

    if (EVP_PKEY_base_id(key) == EVP_PKEY_RSA) {

        if (EVP_PKEY_bits(key) < TQ_JWT_RSA_MIN_BITS) {
            *why = "the RSA key is shorter than 2048 bits";

        } else {
            kind = NGX_HTTP_TASKMQ_KEY_RSA;
        }

    } else if (EVP_PKEY_base_id(key) == EVP_PKEY_EC
               && EVP_PKEY_get_group_name(key, group, sizeof(group), &len)
               && ngx_strcmp(group, "prime256v1") == 0)
    {
        kind = NGX_HTTP_TASKMQ_KEY_EC;

    } else {
        *why = "the key is neither RSA nor on the curve P-256";
    }

    EVP_PKEY_free(key);

    return kind;
}
