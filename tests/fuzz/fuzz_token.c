/*
 * fuzz_token.c: bearer tokens, everything before and after libjwt. The first
 * byte chooses: the rest is the Authorization header as it came, or it is a
 * token's header and its claims, a line each, which are signed here, so that
 * what reads claims is reached.
 *
 * Held against a plain reading of our own: a token that is taken is signed
 * with one of the two secrets, and cJSON finds the same in it. Seen again it
 * is the same; with one letter changed it is refused.
 */

#include <math.h>
#include <strings.h>

#include <cjson/cJSON.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "fuzz.h"
#include "nginx_shim.h"
#include "../../ngx_taskmq_module/auth/ngx_http_taskmq_auth.c"
#include "../../ngx_taskmq_module/auth/ngx_http_taskmq_auth_claims.c"
#include "../../ngx_taskmq_module/auth/ngx_http_taskmq_jwt.c"
#include "../../ngx_taskmq_module/auth/ngx_http_taskmq_token_cache.c"

static ngx_str_t  secrets[] = {
    ngx_string("one secret of this fuzzer, 32 bytes long"),
    ngx_string("and the previous one of it, as long"),
};

static void
add_base64url(tq_buf_t *b, const void *p, size_t n)
{
    char  *c;

    MUST(tq_buf_reserve(b, n / 3 * 4 + 8) == 0);
    c = b->p + b->len;
    b->len += (size_t) EVP_EncodeBlock((unsigned char *) c, p, (int) n);

    for ( /* void */ ; c < b->p + b->len; c++) {
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    }
    while (b->len && b->p[b->len - 1] == '=') {
        b->len--;
    }
}

static void
add_signature(tq_buf_t *b, const ngx_str_t *secret, const char *p, size_t n)
{
    unsigned       len;
    unsigned char  mac[EVP_MAX_MD_SIZE];

    MUST(HMAC(EVP_sha256(), secret->data, (int) secret->len,
              (const unsigned char *) p, n, mac, &len) != NULL);
    add_base64url(b, mac, len);
}

static void
make_token(tq_buf_t *b, const ngx_str_t *secret, const char *p, size_t n)
{
    size_t       from = b->len;
    const char  *line = memchr(p, '\n', n);
    size_t       head = line ? (size_t) (line - p) : n;

    add_base64url(b, p, head);
    tq_buf_addc(b, '.');
    if (line) {
        add_base64url(b, line + 1, n - head - 1);
    }
    n = b->len - from;
    tq_buf_addc(b, '.');
    add_signature(b, secret, b->p + from, n);
}

/* The HMAC of a token's text, made anew. */
static int
is_signed(const char *p, size_t len)
{
    int        ok = 0;
    size_t     i, n = len;
    tq_buf_t   b = {0};

    while (n > 0 && p[n - 1] != '.') {
        n--;
    }
    MUST(n > 0);

    for (i = 0; i < 2; i++) {
        tq_buf_reset(&b);
        add_signature(&b, &secrets[i], p, n - 1);
        ok |= b.len == len - n && memcmp(b.p, p + n, b.len) == 0;
    }
    tq_buf_free(&b);

    return ok;
}

static cJSON *
part(const char *p, const char *end)
{
    cJSON      *tree;
    ngx_str_t   text, in;

    in.data = (u_char *) p;
    in.len = (size_t) (end - p);
    text.data = malloc(in.len + 1);
    MUST(text.data != NULL);
    MUST(ngx_decode_base64url(&text, &in) == NGX_OK);
    tree = cJSON_ParseWithLength((char *) text.data, text.len);
    free(text.data);

    return tree;
}

static int
has_role(const cJSON *v, const char *role)
{
    const cJSON  *item;

    if (cJSON_IsString(v)) {
        return strcmp(v->valuestring, role) == 0;
    }
    cJSON_ArrayForEach(item, v) {
        if (cJSON_IsString(item) && strcmp(item->valuestring, role) == 0) {
            return 1;
        }
    }

    return 0;
}

static void
check_taken(const char *p, size_t len, int require_exp,
    const ngx_http_taskmq_identity_t *who)
{
    cJSON        *head, *claims, *v;
    const char   *dot = memchr(p, '.', len), *end;

    MUST(len <= TQ_TOKEN_MAX_BYTES && dot != NULL);
    end = memchr(dot + 1, '.', len - (size_t) (dot + 1 - p));
    MUST(end != NULL && is_signed(p, len));

    head = part(p, dot);
    claims = part(dot + 1, end);

    /* NULL: cJSON cannot, a number of more than 63 characters */
    if (head) {
        v = cJSON_GetObjectItemCaseSensitive(head, "alg");
        MUST(cJSON_IsString(v) && strcmp(v->valuestring, "HS256") == 0);
        MUST(!cJSON_HasObjectItem(head, "crit")
             || !cJSON_GetObjectItemCaseSensitive(head, "crit"));
    }
    if (claims) {
        v = cJSON_GetObjectItemCaseSensitive(claims, "exp");
        MUST(v ? cJSON_IsNumber(v) && v->valuedouble > SHIM_NOW
                 && (fabs((double) who->exp_ms - v->valuedouble * 1000) < 1.5
                     || v->valuedouble > 9e11)
               : !require_exp && who->exp_ms == INT64_MAX);

        v = cJSON_GetObjectItemCaseSensitive(claims, "nbf");
        MUST(v ? cJSON_IsNumber(v) && v->valuedouble < SHIM_NOW + 0.001 : 1);

        v = cJSON_GetObjectItemCaseSensitive(claims, "sub");
        MUST(v ? strlen(v->valuestring) == who->subject_len
                 && memcmp(v->valuestring, who->subject, who->subject_len) == 0
               : who->subject_len == 0);

        v = cJSON_GetObjectItemCaseSensitive(claims, "role");
        MUST(!(who->roles & NGX_HTTP_TASKMQ_ADMIN) == !has_role(v, "admin"));
        MUST(!(who->roles & NGX_HTTP_TASKMQ_WORKER) == !has_role(v, "worker"));
    }

    cJSON_Delete(head);
    cJSON_Delete(claims);
}

static ngx_int_t
ask(ngx_http_taskmq_auth_t *auth, const char *p, size_t len,
    const ngx_http_taskmq_identity_t **who)
{
    ngx_int_t           rc;
    ngx_table_elt_t     h;
    ngx_connection_t    c;
    ngx_http_request_t  r;

    memset(&r, 0, sizeof(r));
    memset(&c, 0, sizeof(c));
    memset(&h, 0, sizeof(h));
    r.connection = &c;
    c.log = &shim_log;
    r.headers_in.authorization = &h;

    /* nginx's values end with a NUL, in larger memory; here in their own */
    h.value.len = len;
    h.value.data = malloc(len + 1);
    MUST(h.value.data != NULL);
    memcpy(h.value.data, p, len);
    h.value.data[len] = '\0';

    rc = ngx_http_taskmq_auth(&r, auth, who);

    free(h.value.data);
    shim_pool_reset();

    return rc;
}

static void
taken(ngx_http_taskmq_auth_t *auth, tq_buf_t *b, size_t where,
    const ngx_http_taskmq_identity_t *who)
{
    char                               *p = b->p + 7;
    ngx_http_taskmq_identity_t          first = *who;
    const ngx_http_taskmq_identity_t   *again;

    while (*p == ' ') {
        p++;
    }
    check_taken(p, (size_t) (b->p + b->len - p), auth->require_exp, who);

    MUST(ask(auth, b->p, b->len, &again) == NGX_OK);
    MUST(again->roles == first.roles && again->exp_ms == first.exp_ms);

    p += where % (size_t) (b->p + b->len - p);
    *p = *p == 'A' ? 'B' : 'A';
    MUST(ask(auth, b->p, b->len, &again) == NGX_DECLINED);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tq_buf_t                           b = {0};
    ngx_array_t                        keys;
    static ngx_http_taskmq_auth_t      auths[2];
    ngx_http_taskmq_auth_t            *auth;
    const ngx_http_taskmq_identity_t  *who;

    if (size < 2) {
        return 0;
    }

    MUST(ngx_http_taskmq_jwt_load() == NULL);

    memset(&keys, 0, sizeof(keys));
    keys.elts = secrets;
    keys.nelts = 2;

    auth = &auths[data[0] >> 1 & 1];
    auth->secrets = &keys;
    auth->require_exp = data[0] >> 1 & 1;
    auth->role_claim.data = (u_char *) "role";
    auth->role_claim.len = 4;

    if (data[0] & 1) {
        tq_buf_adds(&b, "Bearer ");
        make_token(&b, &secrets[data[0] >> 2 & 1], (const char *) data + 2,
                   size - 2);
    } else {
        tq_buf_add(&b, data + 2, size - 2);
    }
    MUST(tq_buf_cstr(&b) != NULL);

    if (ask(auth, b.p, b.len, &who) == NGX_OK) {
        taken(auth, &b, data[1], who);
    }

    tq_buf_free(&b);

    return 0;
}
