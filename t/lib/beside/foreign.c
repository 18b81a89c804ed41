/*
 * foreign.c: a module of somebody else's that shares nginx with ours, for
 * t/beside.t. nginx loads all modules into one room.
 *
 * With EXPORTS it brings functions with the names of the libraries that we
 * use, as nchan brings its own hiredis: each ends the process, so that a call
 * that was meant for ours is seen. Without, it has none of them.
 *
 * Either way it looks, once all modules are there, whether it would be given
 * somebody else's in place of its own, or in place of none; not with LINKED,
 * where it is linked to one of these libraries.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include <ngx_config.h>
#include <ngx_core.h>

#define NAMES(F)                                                              \
    F(redisReaderCreate) F(redisReaderCreateWithFunctions)                    \
    F(redisReaderFeed) F(redisReaderGetReply) F(redisReaderFree)              \
    F(freeReplyObject) F(sdsnewlen) F(sdscatlen) F(sdsfree) F(sdsrange)       \
    F(cJSON_Parse) F(cJSON_ParseWithOpts) F(cJSON_Delete)                     \
    F(tq_json_parse) F(tq_buf_add) F(tq_call_init) F(ngx_http_taskmq_handler)

/* libjwt, and what it is linked to */
#define NAMES_OF_LIBJWT(F)                                                    \
    F(jwt_decode) F(jwt_new) F(jwt_free) F(jwt_get_alg) F(jwt_set_alg)        \
    F(jwt_str_alg) F(jwt_alg_str) F(jwt_strcmp) F(jwt_b64_decode)             \
    F(jwt_Base64decode) F(jwt_Base64encode) F(jwt_base64uri_encode)           \
    F(jwt_verify_sha_hmac) F(jwt_sign_sha_hmac) F(jwt_verify_sha_pem)         \
    F(jwt_sign_sha_pem)                                                       \
    F(json_loads) F(json_loadb) F(json_object) F(json_object_get)             \
    F(json_object_clear) F(json_delete) F(json_string_value)                  \
    F(json_integer_value)                                                     \
    F(base64_init_decodestate) F(base64_decode_block)

#ifdef EXPORTS

/* No header of these libraries is included: their types do not matter. */
#define DEFINE(name)                                                          \
    void name(void);                                                          \
    void name(void) { foreign_called(#name); }

static void
foreign_called(const char *name)
{
    ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                  "foreign module: its %s() was called", name);
    abort();
}

NAMES(DEFINE)

/* sanitizers refuse RTLD_DEEPBIND, which keeps libjwt from these */
#ifndef SANITIZED
NAMES_OF_LIBJWT(DEFINE)
#endif

#endif

static ngx_int_t foreign_look(ngx_cycle_t *cycle);

static ngx_core_module_t  foreign_ctx = { ngx_string("foreign"), NULL, NULL };

static ngx_command_t  foreign_commands[] = { ngx_null_command };

ngx_module_t  ngx_foreign_module = {
    NGX_MODULE_V1,
    &foreign_ctx,
    foreign_commands,
    NGX_CORE_MODULE,
    NULL,
    foreign_look,                          /* init module */
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NGX_MODULE_V1_PADDING
};

ngx_module_t  *ngx_modules[] = { &ngx_foreign_module, NULL };
char          *ngx_module_names[] = { "ngx_foreign_module", NULL };
char          *ngx_module_order[] = { NULL };

static ngx_int_t
foreign_look(ngx_cycle_t *cycle)
{
    void        *f;
    Dl_info      mine, its;
    ngx_uint_t   i;

#define NAME(name)  #name,
    static const char  *names[] = { NAMES(NAME) NAMES_OF_LIBJWT(NAME) NULL };

    if (dladdr(&ngx_foreign_module, &mine) == 0) {
        return NGX_ERROR;
    }

#ifdef LINKED
    names[0] = NULL;
#endif

    for (i = 0; names[i]; i++) {
        f = dlsym(RTLD_DEFAULT, names[i]);

        if (f && dladdr(f, &its) && its.dli_fbase != mine.dli_fbase) {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                          "foreign module: %s() would be that of %s",
                          names[i], its.dli_fname);
        }
    }

    ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0, "foreign module: it looked");

    return NGX_OK;
}
