/*
 * ngx_http_taskmq_auth_claims.c: what a token says, once its signature was
 * found good: until when it holds, who it is for, by whom it was made, and
 * which roles it gives.
 */

#include "ngx_http_taskmq_auth_int.h"

static const char *ngx_http_taskmq_auth_roles(tq_json_val_t *v,
    ngx_uint_t *roles);
static const char *ngx_http_taskmq_auth_names(ngx_http_taskmq_auth_t *auth,
    tq_str_t object);
static const char *ngx_http_taskmq_auth_times(
    const ngx_http_taskmq_identity_t *who);

ngx_uint_t
ngx_http_taskmq_auth_is(tq_json_val_t *v, const char *text)
{
    /* the inside of the quotes, unescaped */

    return v->type == TQ_JSON_STRING
           && tq_json_key_eq((tq_str_t) { v->raw.p + 1, v->raw.len - 2 },
                             text);
}

/* ngx_http_taskmq_auth_scaled: a JSON number without its sign, times ten to
 * the power of tens, as a whole number and as exact as it is written; -1 when
 * that is more than INT64_MAX. Neither a double, which cannot tell large
 * numbers apart, nor strtod(), which goes by a locale that another module may
 * set. */
static int64_t
ngx_http_taskmq_auth_scaled(tq_str_t number, ngx_int_t tens)
{
    uint64_t     n;
    ngx_int_t    e, sign, fraction;
    const char  *p, *end;

    n = 0;
    fraction = 0;
    end = number.p + number.len;

    for (p = number.p + (*number.p == '-');
         p < end && *p != 'e' && *p != 'E';
         p++)
    {
        if (*p == '.') {
            fraction = 1;

        } else if (n <= (UINT64_MAX - 9) / 10) {
            n = n * 10 + (uint64_t) (*p - '0');
            tens -= fraction;

        } else {
            tens += !fraction;
        }
    }

    if (p < end) {
        p++;
        sign = *p == '-' ? -1 : 1;
        p += *p == '-' || *p == '+';

        for (e = 0; p < end; p++) {
            if (e < TQ_TOKEN_MAX_BYTES * 10) {
                e = e * 10 + (*p - '0');
            }
        }

        tens += sign * e;
    }

    for ( /* void */ ; n && tens < 0; tens++) {
        n /= 10;
    }

    for ( /* void */ ; n && tens > 0 && n <= INT64_MAX; tens--) {
        n = n > INT64_MAX / 10 ? UINT64_MAX : n * 10;
    }

    return n <= INT64_MAX ? (int64_t) n : -1;
}

typedef enum {
    NGX_HTTP_TASKMQ_DATE,
    NGX_HTTP_TASKMQ_DATE_NONE,
    NGX_HTTP_TASKMQ_DATE_TYPE,
    NGX_HTTP_TASKMQ_DATE_RANGE
} ngx_http_taskmq_auth_date_e;

/* ngx_http_taskmq_auth_date reads a date claim: any number of seconds since
 * 1970 (RFC 7519, NumericDate) whose whole part has 64 bits, which is what
 * libjwt can hold. What is before 1970 is 0, what has more than 64 bits in
 * milliseconds is INT64_MAX: as dates these are past and future, too. */
static ngx_http_taskmq_auth_date_e
ngx_http_taskmq_auth_date(tq_str_t object, const char *name, int64_t *ms)
{
    tq_json_val_t  v;

    if (!tq_json_find(object, name, &v)) {
        return NGX_HTTP_TASKMQ_DATE_NONE;
    }

    if (v.type != TQ_JSON_NUMBER) {
        return NGX_HTTP_TASKMQ_DATE_TYPE;
    }

    if (ngx_http_taskmq_auth_scaled(v.raw, 0) < 0) {
        return NGX_HTTP_TASKMQ_DATE_RANGE;
    }

    *ms = *v.raw.p == '-' ? 0 : ngx_http_taskmq_auth_scaled(v.raw, 3);

    if (*ms < 0) {
        *ms = INT64_MAX;
    }

    return NGX_HTTP_TASKMQ_DATE;
}

const char *
ngx_http_taskmq_auth_dates(ngx_http_taskmq_auth_t *auth, tq_str_t object,
    ngx_http_taskmq_identity_t *who)
{
    ngx_memzero(who, sizeof(ngx_http_taskmq_identity_t));
    who->exp_ms = INT64_MAX;

    switch (ngx_http_taskmq_auth_date(object, "exp", &who->exp_ms)) {

    case NGX_HTTP_TASKMQ_DATE_NONE:
        if (auth->require_exp) {
            return "the token never expires";
        }
        break;

    case NGX_HTTP_TASKMQ_DATE_TYPE:
        return "the token's exp is not a number";

    case NGX_HTTP_TASKMQ_DATE_RANGE:
        return "the token's exp is out of range";

    default:
        break;
    }

    switch (ngx_http_taskmq_auth_date(object, "nbf", &who->nbf_ms)) {

    case NGX_HTTP_TASKMQ_DATE_TYPE:
        return "the token's nbf is not a number";

    case NGX_HTTP_TASKMQ_DATE_RANGE:
        return "the token's nbf is out of range";

    default:
        return NULL;
    }
}

const char *
ngx_http_taskmq_auth_claims(ngx_http_taskmq_auth_t *auth, tq_str_t object,
    ngx_http_taskmq_identity_t *who)
{
    char           subject[TQ_SUBJECT_MAX + 1];
    long           len;
    const char    *why;
    tq_json_val_t  v;

    if (tq_json_find(object, "sub", &v)) {

        if (v.type != TQ_JSON_STRING) {
            return "the token's sub is not a string";
        }

        len = tq_json_unescape(v.raw, subject, sizeof(subject));

        if (len < 0) {
            return "the token's sub is too long";
        }

        ngx_memcpy(who->subject, subject, (size_t) len);
        who->subject_len = (size_t) len;
    }

    if (tq_json_find(object, (char *) auth->role_claim.data, &v)) {
        why = ngx_http_taskmq_auth_roles(&v, &who->roles);

        if (why) {
            return why;
        }
    }

    why = ngx_http_taskmq_auth_names(auth, object);

    return why ? why : ngx_http_taskmq_auth_times(who);
}

static const char *
ngx_http_taskmq_auth_roles(tq_json_val_t *v, ngx_uint_t *roles)
{
    size_t         pos;
    tq_json_val_t  item;

    if (v->type == TQ_JSON_STRING) {

        if (ngx_http_taskmq_auth_is(v, "admin")) {
            *roles |= NGX_HTTP_TASKMQ_ADMIN;

        } else if (ngx_http_taskmq_auth_is(v, "worker")) {
            *roles |= NGX_HTTP_TASKMQ_WORKER;
        }

        return NULL;
    }

    if (v->type != TQ_JSON_ARRAY) {
        return "the token's role is neither a string nor an array of strings";
    }

    for (pos = 0; tq_json_next_item(v->raw, &pos, &item); /* void */ ) {

        if (item.type != TQ_JSON_STRING) {
            return "the token's role is neither a string nor an array of "
                   "strings";
        }

        (void) ngx_http_taskmq_auth_roles(&item, roles);
    }

    return NULL;
}

/* ngx_http_taskmq_auth_is_one: is this string one of the values? */
static ngx_uint_t
ngx_http_taskmq_auth_is_one(tq_json_val_t *v, ngx_array_t *values)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = values->elts;

    for (i = 0; i < values->nelts; i++) {
        if (ngx_http_taskmq_auth_is(v, (char *) value[i].data)) {
            return 1;
        }
    }

    return 0;
}

/* ngx_http_taskmq_auth_names: by whom and for whom a token was made, where
 * the configuration asks. "aud" is a string or an array of strings. */
static const char *
ngx_http_taskmq_auth_names(ngx_http_taskmq_auth_t *auth, tq_str_t object)
{
    size_t         pos;
    ngx_uint_t     found;
    tq_json_val_t  v, item;

    if (auth->issuers
        && (!tq_json_find(object, "iss", &v)
            || !ngx_http_taskmq_auth_is_one(&v, auth->issuers)))
    {
        return "the token's iss is not in taskmq_jwt_issuer";
    }

    if (auth->audiences == NULL) {
        return NULL;
    }

    found = 0;

    if (tq_json_find(object, "aud", &v)) {
        found = ngx_http_taskmq_auth_is_one(&v, auth->audiences);

        for (pos = 0;
             v.type == TQ_JSON_ARRAY && tq_json_next_item(v.raw, &pos, &item);
             /* void */ )
        {
            if (item.type != TQ_JSON_STRING) {
                return "the token's aud is neither a string nor an array of "
                       "strings";
            }

            found |= ngx_http_taskmq_auth_is_one(&item, auth->audiences);
        }
    }

    return found ? NULL : "the token's aud is not in taskmq_jwt_audience";
}

int64_t
ngx_http_taskmq_auth_now_ms(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + (int64_t) tp->msec;
}

static const char *
ngx_http_taskmq_auth_times(const ngx_http_taskmq_identity_t *who)
{
    int64_t  now_ms;

    now_ms = ngx_http_taskmq_auth_now_ms();

    if (who->exp_ms <= now_ms) {
        return "the token has expired";
    }

    if (who->nbf_ms > now_ms) {
        return "the token is not valid yet";
    }

    return NULL;
}
