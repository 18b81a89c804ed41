/*
 * ngx_http_taskmq_conf.c: parsers of the directives that need more than a
 * slot, the environment's defaults, and what a location with an API gets when
 * everything is merged: its Redis connection and its keys. Runs in the process
 * that reads the configuration, which may still be root: secrets are read
 * here, and wiped when the configuration goes.
 */

#include <string.h>

#include "ngx_http_taskmq_conf.h"
#include "ngx_http_taskmq_auth.h"
#include "ngx_http_taskmq_api.h"
#include "ngx_http_taskmq_redis.h"
#include "tq_base.h"

#define NGX_HTTP_TASKMQ_URL   "redis://127.0.0.1:6379/0"
#define NGX_HTTP_TASKMQ_NS    "taskmq"

static ngx_int_t ngx_http_taskmq_conf_file(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *text);
static ngx_int_t ngx_http_taskmq_conf_keep(ngx_conf_t *cf, u_char *p,
    size_t len, ngx_str_t *copy);
static void ngx_http_taskmq_conf_wipe(void *data);
static char *ngx_http_taskmq_conf_secret_check(ngx_conf_t *cf,
    ngx_str_t *secret, const char *from);

static char  ngx_http_taskmq_conf_two_passwords[] =
    "is one password too many: the URL of \"taskmq_redis\" beside it has one, "
    "too; take one of them out";

char *
ngx_http_taskmq_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_taskmq_loc_conf_t  *lcf = conf;

    u_char      *p;
    ngx_str_t   *value, path;
    tq_url_t     url;
    const char  *why;

    if (lcf->redis_url.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    /* a relative socket path is below nginx's prefix, as everywhere */

    if (value[1].len > 5 && ngx_strncmp(value[1].data, "unix:", 5) == 0
        && value[1].data[5] != '/')
    {
        path.data = value[1].data + 5;
        path.len = value[1].len - 5;

        if (ngx_conf_full_name(cf->cycle, &path, 0) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        p = ngx_pnalloc(cf->pool, path.len + 6);
        if (p == NULL) {
            return NGX_CONF_ERROR;
        }

        lcf->redis_url.data = p;
        lcf->redis_url.len = (size_t) (ngx_sprintf(p, "unix:%V%Z", &path) - p)
                             - 1;

    } else if (ngx_http_taskmq_conf_keep(cf, value[1].data, value[1].len,
                                         &lcf->redis_url)
               != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (tq_url_parse((char *) lcf->redis_url.data, lcf->redis_url.len, &url,
                     &why)
        != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid Redis URL: %s (expected "
                           "redis://[user[:password]@]host[:port][/db] or "
                           "unix:[//user[:password]@]/path)", why);
        return NGX_CONF_ERROR;
    }

    lcf->redis_url_password = url.password[0] != '\0';
    explicit_bzero(&url, sizeof(url));

    if (lcf->redis_url_password && lcf->redis_password.data) {
        return ngx_http_taskmq_conf_two_passwords;
    }

    lcf->redis_place = ngx_palloc(cf->pool, sizeof(ngx_conf_file_t));
    if (lcf->redis_place == NULL) {
        return NGX_CONF_ERROR;
    }

    *lcf->redis_place = *cf->conf_file;

    return NGX_CONF_OK;
}

char *
ngx_http_taskmq_conf_password(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_taskmq_loc_conf_t  *lcf = conf;

    ngx_str_t  *value;
    tq_url_t   *url;

    if (lcf->redis_password.data) {
        return "is duplicate";
    }

    if (lcf->redis_url_password) {
        return ngx_http_taskmq_conf_two_passwords;
    }

    value = cf->args->elts;

    if (ngx_http_taskmq_conf_file(cf, &value[1], &lcf->redis_password)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (lcf->redis_password.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the password file \"%V\" is empty", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (lcf->redis_password.len >= sizeof(url->password)
        || memchr(lcf->redis_password.data, 0, lcf->redis_password.len))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the password in \"%V\" is longer than %uz bytes "
                           "or has a NUL byte",
                           &value[1], sizeof(url->password) - 1);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

char *
ngx_http_taskmq_conf_namespace(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_taskmq_loc_conf_t  *lcf = conf;

    tq_ns_t     ns;
    ngx_str_t  *value;

    if (lcf->ns.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (tq_ns_init(&ns, (char *) value[1].data, value[1].len) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid namespace \"%V\": 1 to %d letters, "
                           "digits, \"_\", \".\" or \"-\"",
                           &value[1], TQ_NAMESPACE_MAX);
        return NGX_CONF_ERROR;
    }

    lcf->ns = value[1];

    return NGX_CONF_OK;
}

char *
ngx_http_taskmq_conf_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_taskmq_loc_conf_t  *lcf = conf;

    ngx_str_t  *value;

    if (lcf->auth_mode != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "jwt") == 0) {
        lcf->auth_mode = NGX_HTTP_TASKMQ_AUTH_JWT;

    } else if (ngx_strcmp(value[1].data, "off") == 0) {
        lcf->auth_mode = NGX_HTTP_TASKMQ_AUTH_OFF;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"taskmq_auth\": "
                           "it must be \"jwt\" or \"off\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

char *
ngx_http_taskmq_conf_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_taskmq_loc_conf_t  *lcf = conf;

    ngx_str_t  *value, *secret;

    value = cf->args->elts;

    if (lcf->secrets == NGX_CONF_UNSET_PTR) {
        lcf->secrets = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
        if (lcf->secrets == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (lcf->secrets->nelts == TQ_JWT_SECRETS_MAX) {
        return "may be given twice: the new secret and the previous one";
    }

    secret = ngx_array_push(lcf->secrets);
    if (secret == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_taskmq_conf_file(cf, &value[1], secret) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_taskmq_conf_secret_check(cf, secret,
                                             (char *) value[1].data);
}

static char *
ngx_http_taskmq_conf_secret_check(ngx_conf_t *cf, ngx_str_t *secret,
    const char *from)
{
    if (secret->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the JWT secret in \"%s\" is empty", from);
        return NGX_CONF_ERROR;
    }

    if (secret->len < TQ_JWT_SECRET_WARN_BYTES) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the JWT secret in \"%s\" has %uz bytes: HS256 is "
                           "only as strong as a random secret of at least %d",
                           from, secret->len, TQ_JWT_SECRET_WARN_BYTES);
    }

    return NGX_CONF_OK;
}

char *
ngx_http_taskmq_conf_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_taskmq_loc_conf_t  *lcf = conf;

    ngx_str_t   *value;
    const char  *why;

    if (lcf->key.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_taskmq_conf_file(cf, &value[1], &lcf->key) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    why = ngx_http_taskmq_auth_key_check(&lcf->key);

    if (why) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" cannot verify RS256 or ES256: %s",
                           &value[1], why);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

/* ngx_http_taskmq_conf_file reads a small file with one secret, without one
 * trailing newline; text is NUL-terminated. */
static ngx_int_t
ngx_http_taskmq_conf_file(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *text)
{
    u_char     buf[TQ_SECRET_FILE_BYTES + 1];
    size_t     len;
    ssize_t    n;
    ngx_fd_t   fd;
    ngx_int_t  rc;

    if (ngx_conf_full_name(cf->cycle, path, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    len = 0;

    do {
        n = ngx_read_fd(fd, buf + len, sizeof(buf) - len);

        if (n == -1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               ngx_read_fd_n " \"%V\" failed", path);
            break;
        }

        len += (size_t) n;

    } while (n > 0 && len < sizeof(buf));

    (void) ngx_close_file(fd);

    if (n != -1 && len == sizeof(buf)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is longer than %d bytes",
                           path, TQ_SECRET_FILE_BYTES);
        n = -1;
    }

    if (n != -1 && len && buf[len - 1] == LF) {
        len--;

        if (len && buf[len - 1] == CR) {
            len--;
        }
    }

    rc = n == -1 ? NGX_ERROR : ngx_http_taskmq_conf_keep(cf, buf, len, text);

    explicit_bzero(buf, sizeof(buf));

    return rc;
}

/* ngx_http_taskmq_conf_keep copies bytes that must not outlive the
 * configuration nor be in a core dump, and NUL-terminates them. */
static ngx_int_t
ngx_http_taskmq_conf_keep(ngx_conf_t *cf, u_char *p, size_t len,
    ngx_str_t *copy)
{
    ngx_str_t           *wipe;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_str_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    copy->data = (u_char *) tq_secret_new(p, len);
    if (copy->data == NULL) {
        return NGX_ERROR;
    }

    copy->len = len;

    wipe = cln->data;
    *wipe = *copy;
    cln->handler = ngx_http_taskmq_conf_wipe;

    return NGX_OK;
}

static void
ngx_http_taskmq_conf_wipe(void *data)
{
    ngx_str_t  *wipe = data;

    tq_secret_free((char *) wipe->data, wipe->len);
}

/*
 * nginx gives its workers and a new binary (USR2) only the variables that
 * `env` lines name, and the new binary reads this configuration again: so
 * whatever is read here is also kept.
 */
ngx_int_t
ngx_http_taskmq_conf_env(ngx_conf_t *cf, const char *name, ngx_str_t *value)
{
    char             *text;
    ngx_str_t        *var;
    ngx_uint_t        i;
    ngx_core_conf_t  *ccf;

    ngx_str_null(value);

    text = getenv(name);

    if (text == NULL || *text == '\0') {
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);
    var = ccf->env.elts;

    for (i = 0; i < ccf->env.nelts; i++) {
        if (var[i].len == ngx_strlen(name)
            && ngx_strncmp(var[i].data, name, var[i].len) == 0)
        {
            break;
        }
    }

    if (i == ccf->env.nelts) {
        var = ngx_array_push(&ccf->env);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->len = ngx_strlen(name);
        var->data = (u_char *) name;
    }

    return ngx_http_taskmq_conf_keep(cf, (u_char *) text, ngx_strlen(text),
                                     value);
}

static char *
ngx_http_taskmq_conf_finish_redis(ngx_conf_t *cf,
    ngx_http_taskmq_loc_conf_t *conf)
{
    ngx_str_t         backend, url;
    ngx_conf_file_t  *file;

    if (ngx_http_taskmq_conf_env(cf, "TASKMQ_BACKEND", &backend) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (backend.len && ngx_strcmp(backend.data, "redis") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "TASKMQ_BACKEND is \"%V\" in the environment: "
                           "only \"redis\" is supported", &backend);
        return NGX_CONF_ERROR;
    }

    if (conf->redis_url.len == 0) {
        if (ngx_http_taskmq_conf_env(cf, "TASKMQ_REDIS_URL", &url) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        if (url.len == 0) {
            ngx_str_set(&url, NGX_HTTP_TASKMQ_URL);
        }

        conf->redis_url = url;
    }

    if (conf->ns.len == 0) {
        ngx_str_set(&conf->ns, NGX_HTTP_TASKMQ_NS);
    }

    file = cf->conf_file;
    cf->conf_file = conf->redis_place ? conf->redis_place : file;

    conf->redis = ngx_http_taskmq_redis_conf(cf, conf);

    cf->conf_file = file;

    return conf->redis ? NGX_CONF_OK : NGX_CONF_ERROR;
}

static char *
ngx_http_taskmq_conf_finish_auth(ngx_conf_t *cf,
    ngx_http_taskmq_loc_conf_t *conf)
{
    char       *rv;
    ngx_str_t   secret, *s;

    if (conf->auth_mode == NGX_HTTP_TASKMQ_AUTH_OFF) {
        return NGX_CONF_OK;
    }

    if (conf->secrets == NULL && conf->key.len == 0) {

        if (ngx_http_taskmq_conf_env(cf, "TASKMQ_JWT_SECRET", &secret)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        if (secret.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"taskmq_api\" needs \"taskmq_jwt_secret_file\""
                               " or \"taskmq_jwt_key_file\" or "
                               "TASKMQ_JWT_SECRET in the environment, or "
                               "\"taskmq_auth off\"");
            return NGX_CONF_ERROR;
        }

        rv = ngx_http_taskmq_conf_secret_check(cf, &secret,
                                               "TASKMQ_JWT_SECRET");
        if (rv != NGX_CONF_OK) {
            return rv;
        }

        conf->secrets = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
        if (conf->secrets == NULL) {
            return NGX_CONF_ERROR;
        }

        s = ngx_array_push(conf->secrets);
        *s = secret;
    }

    conf->auth = ngx_http_taskmq_auth_conf(cf, conf);

    return conf->auth ? NGX_CONF_OK : NGX_CONF_ERROR;
}

char *
ngx_http_taskmq_conf_finish(ngx_conf_t *cf, ngx_http_taskmq_loc_conf_t *prev,
    ngx_http_taskmq_loc_conf_t *conf)
{
    char  *rv;

    conf->routes = ngx_http_taskmq_routes(conf->api);

    rv = ngx_http_taskmq_conf_finish_redis(cf, conf);

    if (rv == NGX_CONF_OK) {
        rv = ngx_http_taskmq_conf_finish_auth(cf, conf);
    }

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_http_taskmq_origin_servers(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /*
     * The size of a body is checked by this module, in JSON. nginx's own
     * check would come first, with a page of HTML: it is left on only where
     * the configuration asks for it in this very location, which shows as a
     * value that is not the inherited one.
     */

    if (conf->core->noname) {
        conf->core->client_max_body_size = prev->core->client_max_body_size;

    } else if (conf->max_body == prev->max_body) {
        conf->core->client_max_body_size = 0;
    }

    return NGX_CONF_OK;
}
