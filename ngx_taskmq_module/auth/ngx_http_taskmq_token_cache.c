/*
 * ngx_http_taskmq_token_cache.c: verified tokens of one nginx worker, so that
 * the next request with a token costs no signature check. Set-associative:
 * TQ_TOKEN_SETS sets of TQ_TOKEN_WAYS entries, so its memory is bounded and a
 * look-up touches one set. A reload starts with an empty cache, because keys
 * may have changed.
 */

#include <openssl/rand.h>

#include "ngx_http_taskmq_auth_int.h"

typedef struct {
    uint64_t                     tag;     /* of the token; 0: free */
    uint64_t                     used;    /* the cache's clock */
    ngx_str_t                    token;
    ngx_http_taskmq_identity_t  *who;     /* same allocation, before token */
} ngx_http_taskmq_token_t;

struct ngx_http_taskmq_token_cache_s {
    uint64_t                 seed[2];
    uint64_t                 clock;
    ngx_http_taskmq_token_t  set[TQ_TOKEN_SETS][TQ_TOKEN_WAYS];
};

static void ngx_http_taskmq_token_cache_free(void *data);
static void ngx_http_taskmq_token_forget(ngx_http_taskmq_token_t *t);

ngx_http_taskmq_token_cache_t *
ngx_http_taskmq_token_cache_create(ngx_pool_t *pool)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_taskmq_token_cache_t  *cache;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cache = ngx_pcalloc(pool, sizeof(ngx_http_taskmq_token_cache_t));
    if (cache == NULL) {
        return NULL;
    }

    if (RAND_bytes((u_char *) cache->seed, sizeof(cache->seed)) != 1) {
        return NULL;
    }

    cln->handler = ngx_http_taskmq_token_cache_free;
    cln->data = cache;

    return cache;
}

static void
ngx_http_taskmq_token_cache_free(void *data)
{
    ngx_http_taskmq_token_cache_t  *cache = data;

    ngx_uint_t  i, k;

    for (i = 0; i < TQ_TOKEN_SETS; i++) {
        for (k = 0; k < TQ_TOKEN_WAYS; k++) {
            ngx_http_taskmq_token_forget(&cache->set[i][k]);
        }
    }
}

static void
ngx_http_taskmq_token_forget(ngx_http_taskmq_token_t *t)
{
    if (t->who) {
        explicit_bzero(t->token.data, t->token.len);
        ngx_free(t->who);
    }

    ngx_memzero(t, sizeof(ngx_http_taskmq_token_t));
}

/*
 * A tag is made from the token's last 16 bytes, the end of its signature,
 * which is as good as random in a token that was verified. The seed keeps
 * others from choosing which set theirs goes to.
 */
static uint64_t
ngx_http_taskmq_token_tag(ngx_http_taskmq_token_cache_t *cache,
    ngx_str_t *token)
{
    uint64_t  a, b;

    ngx_memcpy(&a, token->data + token->len - 16, 8);
    ngx_memcpy(&b, token->data + token->len - 8, 8);

    a = (a ^ cache->seed[0]) * 0x9e3779b97f4a7c15;
    b = (b ^ cache->seed[1] ^ (a >> 32)) * 0xc2b2ae3d27d4eb4f;

    a ^= b ^ (b >> 29);

    return a ? a : 1;
}

/* ngx_http_taskmq_token_same compares in a time that depends on the length
 * alone. Eight bytes at a time: CRYPTO_memcmp() takes one at a time, which for
 * a token is longer than the rest of a look-up. */
static ngx_uint_t
ngx_http_taskmq_token_same(const u_char *a, const u_char *b, size_t len)
{
    size_t    i;
    uint64_t  x, y, diff;

    diff = 0;

    for (i = 0; i + 8 <= len; i += 8) {
        ngx_memcpy(&x, a + i, 8);
        ngx_memcpy(&y, b + i, 8);
        diff |= x ^ y;
    }

    for ( /* void */ ; i < len; i++) {
        diff |= a[i] ^ b[i];
    }

    return diff == 0;
}

const ngx_http_taskmq_identity_t *
ngx_http_taskmq_token_cache_find(ngx_http_taskmq_token_cache_t *cache,
    ngx_str_t *token, int64_t now_ms)
{
    uint64_t                  tag;
    ngx_uint_t                i;
    ngx_http_taskmq_token_t  *t;

    if (token->len < 16) {
        return NULL;
    }

    tag = ngx_http_taskmq_token_tag(cache, token);
    t = cache->set[(tag >> 48) % TQ_TOKEN_SETS];

    for (i = 0; i < TQ_TOKEN_WAYS; i++, t++) {

        if (t->tag != tag
            || t->token.len != token->len
            || !ngx_http_taskmq_token_same(t->token.data, token->data,
                                           token->len))
        {
            continue;
        }

        if (t->who->exp_ms <= now_ms) {
            ngx_http_taskmq_token_forget(t);
            return NULL;
        }

        t->used = ++cache->clock;

        return t->who;
    }

    return NULL;
}

void
ngx_http_taskmq_token_cache_add(ngx_http_taskmq_token_cache_t *cache,
    ngx_str_t *token, const ngx_http_taskmq_identity_t *who)
{
    u_char                      *p;
    uint64_t                     tag;
    ngx_uint_t                   i;
    ngx_http_taskmq_token_t     *t, *oldest;
    ngx_http_taskmq_identity_t  *copy;

    if (token->len < 16) {
        return;
    }

    tag = ngx_http_taskmq_token_tag(cache, token);
    t = cache->set[(tag >> 48) % TQ_TOKEN_SETS];
    oldest = t;

    for (i = 0; i < TQ_TOKEN_WAYS; i++) {
        if (t[i].used < oldest->used) {
            oldest = &t[i];
        }
    }

    p = ngx_alloc(sizeof(ngx_http_taskmq_identity_t) + token->len,
                  ngx_cycle->log);
    if (p == NULL) {
        return;
    }

    ngx_http_taskmq_token_forget(oldest);

    copy = (ngx_http_taskmq_identity_t *) p;
    *copy = *who;

    oldest->who = copy;
    oldest->token.data = p + sizeof(ngx_http_taskmq_identity_t);
    oldest->token.len = token->len;
    ngx_memcpy(oldest->token.data, token->data, token->len);
    oldest->tag = tag;
    oldest->used = ++cache->clock;
}
