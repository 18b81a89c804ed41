/* curl_load.c: see curl_load.h. */

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "curl_load.h"

#define SONAME  "libcurl.so.4"

/* CURLOPT_QUICK_EXIT, the newest thing used, came with 7.87.0. An older
 * libcurl would ignore it, and others that must not be ignored. */
#define VERSION_MIN       0x075700
#define VERSION_MIN_TEXT  "7.87.0"

tw_curl_t  tw_curl;

/*
 * What packaging tools look for where a library is not linked to: an ELF note
 * (name "FDO", JSON text), specified as "Package Metadata for dlopen" by the
 * UAPI group.
 */
#define NOTE_TYPE  0x407c0c0a
#define NOTE_TEXT                                                            \
    "[{\"feature\":\"url\",\"description\":\"Handlers that are HTTP "        \
    "targets\",\"priority\":\"recommended\",\"soname\":[\"" SONAME "\"]}]"
#define NOTE_LEN   ((sizeof(NOTE_TEXT) + 3) / 4 * 4)

static const struct {
    uint32_t  name_len, text_len, type;
    char      name[4];
    char      text[NOTE_LEN];
} note __attribute__((used, section(".note.dlopen"), aligned(4))) = {
    4, NOTE_LEN, NOTE_TYPE, "FDO", NOTE_TEXT
};

static const struct {
    const char  *name;
    size_t       at;          /* its place in tw_curl_t */
} functions[] = {
#define FUNCTION(name)  { "curl_" #name, offsetof(tw_curl_t, name) },
    TW_CURL_FUNCTIONS(FUNCTION)
#undef FUNCTION
};

/* All functions of lib. 0, or -1 with a reason. */
static int
find(void *lib, tw_curl_t *c, tq_buf_t *why)
{
    void    *f;
    size_t   i;

    for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        f = dlsym(lib, functions[i].name);
        if (f == NULL) {
            tq_buf_adds(why, SONAME " is too old or none: it has no ");
            tq_buf_adds(why, functions[i].name);
            return -1;
        }
        /* C has no cast between the two kinds of pointers */
        memcpy((char *) c + functions[i].at, &f, sizeof(f));
    }

    if (c->version_info(CURLVERSION_NOW)->version_num < VERSION_MIN) {
        tq_buf_adds(why, SONAME " is too old: ");
        tq_buf_adds(why, c->version_info(CURLVERSION_NOW)->version);
        tq_buf_adds(why, ", expected " VERSION_MIN_TEXT " or later");
        return -1;
    }

    return 0;
}

int
tw_curl_load(tq_buf_t *why)
{
    void       *lib;
    tw_curl_t   c;

    if (tw_curl.global_init != NULL) {
        return 0;
    }

    lib = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
    if (lib == NULL) {
        tq_buf_adds(why, dlerror());
        return -1;
    }

    if (find(lib, &c, why) != 0) {
        (void) dlclose(lib);
        return -1;
    }

    tw_curl = c;              /* kept to the end, as lib is */

    return 0;
}
