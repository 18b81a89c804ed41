/*
 * ngx_http_taskmq_origin.c: what a browser must not do for somebody else. A
 * page of another origin is known by what browsers say of it and no page can
 * change (Sec-Fetch-Site, Origin). One that had its own host name pointed at
 * this server after it was loaded (DNS rebinding) is of the same origin for
 * the browser: it is known by that name. Programs send none of these headers,
 * and call the server by a name that it has, or by its address.
 */

#include "ngx_http_taskmq_origin.h"

/* What browsers say of where a request comes from; NULL: nothing. */
typedef struct {
    ngx_str_t   *origin;
    ngx_str_t   *site;        /* Sec-Fetch-Site */
    ngx_str_t   *mode;        /* Sec-Fetch-Mode */
    ngx_uint_t   twice;       /* one of them came twice: no browser's */
} ngx_http_taskmq_from_t;

typedef ngx_uint_t (*ngx_http_taskmq_valid_pt)(ngx_str_t *name);

static char *ngx_http_taskmq_conf_names(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf, ngx_http_taskmq_valid_pt valid, const char *expected);
static ngx_uint_t ngx_http_taskmq_origin_word(ngx_str_t *value);
static ngx_uint_t ngx_http_taskmq_origin_valid_host(ngx_str_t *name);
static ngx_uint_t ngx_http_taskmq_origin_valid(ngx_str_t *name);
static ngx_uint_t ngx_http_taskmq_origin_host(ngx_str_t *host,
    ngx_http_taskmq_loc_conf_t *conf);
static ngx_uint_t ngx_http_taskmq_origin_local(ngx_str_t *host);
static ngx_uint_t ngx_http_taskmq_origin_named(ngx_str_t *name,
    ngx_str_t *host);
static void ngx_http_taskmq_origin_from(ngx_http_request_t *r,
    ngx_http_taskmq_from_t *from);
static ngx_uint_t ngx_http_taskmq_origin_same(ngx_http_request_t *r,
    ngx_http_taskmq_from_t *from);
static ngx_uint_t ngx_http_taskmq_origin_allowed(
    ngx_http_taskmq_names_t *names, ngx_str_t *origin);

/* ---- the directives ---- */

char *
ngx_http_taskmq_conf_hosts(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_taskmq_conf_names(cf, cmd, conf,
                                      ngx_http_taskmq_origin_valid_host,
                                      "a host name without a port, such as "
                                      "queue.example.com or *.example.com");
}

char *
ngx_http_taskmq_conf_origins(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_taskmq_conf_names(cf, cmd, conf,
                                      ngx_http_taskmq_origin_valid,
                                      "an origin without a path, such as "
                                      "https://app.example.com or "
                                      "https://*.example.com");
}

static char *
ngx_http_taskmq_conf_names(ngx_conf_t *cf, ngx_command_t *cmd, void *conf,
    ngx_http_taskmq_valid_pt valid, const char *expected)
{
    ngx_str_t                 *value, *name;
    ngx_uint_t                 i;
    ngx_http_taskmq_names_t  **field, *names;

    field = (ngx_http_taskmq_names_t **) ((char *) conf + cmd->offset);

    if (*field != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    names = ngx_pcalloc(cf->pool, sizeof(ngx_http_taskmq_names_t));
    if (names == NULL
        || ngx_array_init(&names->list, cf->pool, cf->args->nelts,
                          sizeof(ngx_str_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    *field = names;
    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_http_taskmq_origin_word(&value[1])) {
        names->all = value[1].data[0] == 'a';

        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        ngx_strlow(value[i].data, value[i].data, value[i].len);

        if (ngx_http_taskmq_origin_word(&value[i]) || !valid(&value[i])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" in \"%V\": expected %s; "
                               "or \"all\" or \"none\" alone",
                               &value[i], &value[0], expected);
            return NGX_CONF_ERROR;
        }

        name = ngx_array_push(&names->list);
        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        *name = value[i];
    }

    return NGX_CONF_OK;
}

/* ngx_http_taskmq_origin_word: the values that stand alone. */
static ngx_uint_t
ngx_http_taskmq_origin_word(ngx_str_t *value)
{
    return ngx_strcmp(value->data, "all") == 0
           || ngx_strcmp(value->data, "none") == 0;
}

static ngx_uint_t
ngx_http_taskmq_origin_is_name(u_char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'
           || c == '_' || c == '.';
}

/* A name, or nginx's wildcards: ".a.b", "*.a.b", "a.b.*". */
static ngx_uint_t
ngx_http_taskmq_origin_valid_host(ngx_str_t *name)
{
    u_char  *p, *end;

    p = name->data;
    end = p + name->len;

    if (name->len > 2 && p[0] == '*' && p[1] == '.') {
        p++;

    } else if (name->len > 2 && end[-1] == '*' && end[-2] == '.') {
        end--;
    }

    if (end - p < (*p == '.' ? 2 : 1)) {
        return 0;
    }

    for ( /* void */ ; p < end; p++) {
        if (!ngx_http_taskmq_origin_is_name(*p)) {
            return 0;
        }
    }

    return 1;
}

/* ngx_http_taskmq_origin_rest: what follows an origin's "://", which no
 * browser's other origin ("null") has; NULL: nothing does. */
static u_char *
ngx_http_taskmq_origin_rest(ngx_str_t *origin)
{
    u_char  *p;

    p = ngx_strnstr(origin->data, "://", origin->len);

    return p && p > origin->data && p + 3 < origin->data + origin->len
           ? p + 3 : NULL;
}

/* ngx_http_taskmq_origin_port takes the port that a scheme has anyway off a
 * host's end. */
static void
ngx_http_taskmq_origin_port(ngx_str_t *host, ngx_str_t *origin)
{
    ngx_str_t  port;

    if (origin->len > 7
        && ngx_strncasecmp(origin->data, (u_char *) "http://", 7) == 0)
    {
        ngx_str_set(&port, ":80");

    } else if (origin->len > 8
               && ngx_strncasecmp(origin->data, (u_char *) "https://", 8) == 0)
    {
        ngx_str_set(&port, ":443");

    } else {
        return;
    }

    if (host->len > port.len
        && ngx_memcmp(host->data + host->len - port.len, port.data, port.len)
           == 0)
    {
        host->len -= port.len;
    }
}

/* [ADDRESS]: brackets alone do not make one. */
static ngx_uint_t
ngx_http_taskmq_origin_ip6(ngx_str_t *host)
{
#if (NGX_HAVE_INET6)
    u_char  addr[16];

    return host->len > 2 && host->data[0] == '['
           && host->data[host->len - 1] == ']'
           && ngx_inet6_addr(host->data + 1, host->len - 2, addr) == NGX_OK;
#else
    return 0;
#endif
}

/* SCHEME://HOST[:PORT]; "*." may stand before HOST. */
static ngx_uint_t
ngx_http_taskmq_origin_valid(ngx_str_t *name)
{
    u_char     *p, *end;
    ngx_str_t   host;

    p = ngx_http_taskmq_origin_rest(name);

    if (p == NULL) {
        return 0;
    }

    ngx_http_taskmq_origin_port(name, name);
    end = name->data + name->len;

    host.data = p;

    if (*p == '[') {
        p = ngx_strlchr(p, end, ']');

        if (p == NULL) {
            return 0;
        }

        host.len = (size_t) (++p - host.data);

        if (!ngx_http_taskmq_origin_ip6(&host)) {
            return 0;
        }

    } else {
        p = ngx_strlchr(p, end, ':');

        if (p == NULL) {
            p = end;
        }

        host.len = (size_t) (p - host.data);

        if (host.len == 0 || *host.data == '.' || p[-1] == '*'
            || !ngx_http_taskmq_origin_valid_host(&host))
        {
            return 0;
        }
    }

    return p == end
           || (*p == ':' && ngx_atoi(p + 1, (size_t) (end - p - 1)) > 0);
}

/* nginx keeps its own list only until the configuration is read. */
ngx_int_t
ngx_http_taskmq_origin_servers(ngx_conf_t *cf,
    ngx_http_taskmq_loc_conf_t *conf)
{
    ngx_array_t               *names;
    ngx_http_server_name_t    *sn;
    ngx_http_core_srv_conf_t  *cscf;

    if (conf->hosts ? conf->hosts->all : conf->auth != NULL) {
        return NGX_OK;
    }

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    names = &cscf->server_names;

    conf->servers = ngx_array_create(cf->pool, names->nelts,
                                     sizeof(ngx_http_server_name_t));
    if (conf->servers == NULL) {
        return NGX_ERROR;
    }

    sn = ngx_array_push_n(conf->servers, names->nelts);
    if (sn == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(sn, names->elts,
               names->nelts * sizeof(ngx_http_server_name_t));

    return NGX_OK;
}

/* ---- a request ---- */

const char *
ngx_http_taskmq_origin_check(ngx_http_request_t *r,
    ngx_http_taskmq_loc_conf_t *conf)
{
    ngx_http_taskmq_from_t  from;

    if (conf->servers
        && !ngx_http_taskmq_origin_host(&r->headers_in.server, conf))
    {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "taskmq: request refused: its host \"%V\" is neither an "
                      "address nor in server_name or taskmq_allowed_hosts",
                      &r->headers_in.server);

        return "This host name is not accepted: see taskmq_allowed_hosts";
    }

    if (conf->origins && conf->origins->all) {
        return NULL;
    }

    ngx_http_taskmq_origin_from(r, &from);

    if (ngx_http_taskmq_origin_same(r, &from)
        || (!from.twice && from.origin
            && ngx_http_taskmq_origin_allowed(conf->origins, from.origin)))
    {
        return NULL;
    }

    /* a link to here: the page with the link does not see the answer */

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)
        && from.mode && from.mode->len == 8
        && ngx_strncmp(from.mode->data, "navigate", 8) == 0)
    {
        return NULL;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "taskmq: request refused: a browser sent it for a page of "
                  "another origin (taskmq_allowed_origins)");

    return "Pages of another origin may not use this: see "
           "taskmq_allowed_origins";
}

/* ngx_http_taskmq_origin_host: is the server called by an accepted name? A
 * browser always says by which. */
static ngx_uint_t
ngx_http_taskmq_origin_host(ngx_str_t *host, ngx_http_taskmq_loc_conf_t *conf)
{
    ngx_str_t               *name;
    ngx_uint_t               i;
    ngx_http_server_name_t  *sn;

    if (host->len == 0 || ngx_http_taskmq_origin_local(host)) {
        return 1;
    }

    if (conf->hosts) {
        name = conf->hosts->list.elts;

        for (i = 0; i < conf->hosts->list.nelts; i++) {
            if (ngx_http_taskmq_origin_named(&name[i], host)) {
                return 1;
            }
        }
    }

    sn = conf->servers->elts;

    for (i = 0; i < conf->servers->nelts; i++) {

#if (NGX_PCRE)
        if (sn[i].regex) {
            if (ngx_regex_exec(sn[i].regex->regex, host, NULL, 0) >= 0) {
                return 1;
            }

            continue;
        }
#endif

        if (ngx_http_taskmq_origin_named(&sn[i].name, host)) {
            return 1;
        }
    }

    return 0;
}

/* Addresses, and names that mean this machine in every browser: nobody's DNS
 * answers for these. */
static ngx_uint_t
ngx_http_taskmq_origin_local(ngx_str_t *host)
{
    ngx_str_t  localhost = ngx_string("localhost");
    ngx_str_t  below = ngx_string("*.localhost");

    return ngx_http_taskmq_origin_ip6(host)
           || ngx_inet_addr(host->data, host->len) != INADDR_NONE
           || ngx_http_taskmq_origin_named(&localhost, host)
           || ngx_http_taskmq_origin_named(&below, host);
}

static ngx_uint_t
ngx_http_taskmq_origin_named(ngx_str_t *name, ngx_str_t *host)
{
    u_char  *p;
    size_t   len;

    p = name->data;
    len = name->len;

    if (len > 1 && p[len - 1] == '*') {
        len--;

        return host->len > len && ngx_memcmp(host->data, p, len) == 0;
    }

    if (len > 1 && p[0] == '.' && host->len == len - 1) {
        return ngx_memcmp(host->data, p + 1, len - 1) == 0;
    }

    if (len > 1 && (p[0] == '*' || p[0] == '.')) {

        if (p[0] == '*') {
            p++;
            len--;
        }

        return host->len > len
               && ngx_memcmp(host->data + host->len - len, p, len) == 0;
    }

    return host->len == len && ngx_memcmp(host->data, p, len) == 0;
}

static void
ngx_http_taskmq_origin_note(ngx_http_taskmq_from_t *from, ngx_str_t **field,
    ngx_table_elt_t *h, const char *name)
{
    if (ngx_strncasecmp(h->key.data, (u_char *) name, h->key.len) == 0) {
        from->twice |= *field != NULL;
        *field = &h->value;
    }
}

static void
ngx_http_taskmq_origin_from(ngx_http_request_t *r,
    ngx_http_taskmq_from_t *from)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    ngx_memzero(from, sizeof(ngx_http_taskmq_from_t));

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == sizeof("Origin") - 1) {
                ngx_http_taskmq_origin_note(from, &from->origin, &h[i],
                                            "Origin");

            } else if (h[i].key.len == sizeof("Sec-Fetch-Site") - 1) {
                ngx_http_taskmq_origin_note(from, &from->site, &h[i],
                                            "Sec-Fetch-Site");
                ngx_http_taskmq_origin_note(from, &from->mode, &h[i],
                                            "Sec-Fetch-Mode");
            }
        }
    }
}

/* ngx_http_taskmq_origin_same: no browser's, or a page's of this very origin.
 * A browser that does not send Sec-Fetch-Site (an old one, or one that came
 * without TLS) sends Origin with all that changes something. Its scheme is not
 * compared: what ends TLS may stand before nginx. */
static ngx_uint_t
ngx_http_taskmq_origin_same(ngx_http_request_t *r,
    ngx_http_taskmq_from_t *from)
{
    ngx_str_t  host, there;

    if (from->twice) {
        return 0;
    }

    if (from->site) {
        return (from->site->len == 11
                && ngx_strncmp(from->site->data, "same-origin", 11) == 0)
               || (from->site->len == 4
                   && ngx_strncmp(from->site->data, "none", 4) == 0);
    }

    if (from->origin == NULL) {
        return 1;
    }

    there.data = ngx_http_taskmq_origin_rest(from->origin);

    if (there.data == NULL) {
        return 0;
    }

    there.len = (size_t) (from->origin->data + from->origin->len - there.data);
    host = r->headers_in.host ? r->headers_in.host->value
                              : r->headers_in.server;

    ngx_http_taskmq_origin_port(&there, from->origin);
    ngx_http_taskmq_origin_port(&host, from->origin);

    return host.len == there.len
           && ngx_strncasecmp(host.data, there.data, host.len) == 0;
}

static ngx_uint_t
ngx_http_taskmq_origin_allowed(ngx_http_taskmq_names_t *names,
    ngx_str_t *origin)
{
    u_char      *p;
    size_t       before, after;
    ngx_str_t   *name;
    ngx_uint_t   i;

    if (names == NULL) {
        return 0;
    }

    name = names->list.elts;

    for (i = 0; i < names->list.nelts; i++) {

        /* with "*" what is before and after it must be the same */

        p = ngx_strlchr(name[i].data, name[i].data + name[i].len, '*');
        before = p ? (size_t) (p - name[i].data) : name[i].len;
        after = p ? name[i].len - before - 1 : 0;

        if ((p ? origin->len > before + after : origin->len == before)
            && ngx_strncasecmp(origin->data, name[i].data, before) == 0
            && ngx_strncasecmp(origin->data + origin->len - after,
                               name[i].data + name[i].len - after, after)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}
