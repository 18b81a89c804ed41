/* ngx_http_taskmq_jwt.c: see ngx_http_taskmq_jwt.h. */

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ngx_http_taskmq_jwt.h"

/* the sanitizers refuse it: they stand in for the C library's functions */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NGX_HTTP_TASKMQ_DEEPBIND  0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NGX_HTTP_TASKMQ_DEEPBIND  0
#endif
#endif

#ifndef NGX_HTTP_TASKMQ_DEEPBIND
#ifdef RTLD_DEEPBIND
#define NGX_HTTP_TASKMQ_DEEPBIND  RTLD_DEEPBIND
#else
#define NGX_HTTP_TASKMQ_DEEPBIND  0       /* musl */
#endif
#endif

/*
 * What packaging tools look for where a library is not linked to: an ELF note
 * (name "FDO", JSON text), specified as "Package Metadata for dlopen" by the
 * UAPI group. NGX_HTTP_TASKMQ_LIBJWT is the name that `config` found.
 */
#define NGX_HTTP_TASKMQ_NOTE                                                  \
    "[{\"feature\":\"jwt\",\"description\":\"Bearer tokens\","                \
    "\"priority\":\"required\",\"soname\":[\"" NGX_HTTP_TASKMQ_LIBJWT "\"]}]"
#define NGX_HTTP_TASKMQ_NOTE_LEN                                              \
    ((sizeof(NGX_HTTP_TASKMQ_NOTE) + 3) / 4 * 4)

static const struct {
    uint32_t  name_len, text_len, type;
    char      name[4];
    char      text[NGX_HTTP_TASKMQ_NOTE_LEN];
} ngx_http_taskmq_jwt_note
    __attribute__((used, section(".note.dlopen"), aligned(4))) = {
    4, NGX_HTTP_TASKMQ_NOTE_LEN, 0x407c0c0a, "FDO", NGX_HTTP_TASKMQ_NOTE
};

static const struct {
    const char  *name;
    size_t       at;          /* its place in ngx_http_taskmq_jwt_lib_t */
} ngx_http_taskmq_jwt_names[] = {
    { "jwt_decode", offsetof(ngx_http_taskmq_jwt_lib_t, decode) },
    { "jwt_free", offsetof(ngx_http_taskmq_jwt_lib_t, free) },
    { "jwt_get_alg", offsetof(ngx_http_taskmq_jwt_lib_t, get_alg) }
};

ngx_http_taskmq_jwt_lib_t  ngx_http_taskmq_libjwt;

const char *
ngx_http_taskmq_jwt_load(void)
{
    void                       *lib, *f;
    ngx_uint_t                  i;
    ngx_http_taskmq_jwt_lib_t   jwt;

    if (ngx_http_taskmq_libjwt.decode != NULL) {
        return NULL;
    }

    lib = dlopen(NGX_HTTP_TASKMQ_LIBJWT,
                 RTLD_NOW|RTLD_LOCAL|NGX_HTTP_TASKMQ_DEEPBIND);
    if (lib == NULL) {
        return dlerror();
    }

    for (i = 0;
         i < sizeof(ngx_http_taskmq_jwt_names)
             / sizeof(ngx_http_taskmq_jwt_names[0]);
         i++)
    {
        f = dlsym(lib, ngx_http_taskmq_jwt_names[i].name);

        if (f == NULL) {
            (void) dlclose(lib);
            return NGX_HTTP_TASKMQ_LIBJWT " lacks a function that is needed";
        }

        /* C has no cast between the two kinds of pointers */

        ngx_memcpy((u_char *) &jwt + ngx_http_taskmq_jwt_names[i].at, &f,
                   sizeof(f));
    }

    ngx_http_taskmq_libjwt = jwt;

    return NULL;
}
