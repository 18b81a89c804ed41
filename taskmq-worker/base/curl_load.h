/*
 * curl_load.h: libcurl, loaded when the first `url` handler is configured and
 * then kept. It brings some thirty libraries along, more than half of what an
 * idle worker would have in memory, and most workers have no `url` handler.
 * So nothing here is linked to it, and nobody but http/ uses it.
 */

#ifndef TW_CURL_LOAD_H
#define TW_CURL_LOAD_H

#include <curl/curl.h>

#include "tq_base.h"

/* All that is used of it, by its names without "curl_". */
#define TW_CURL_FUNCTIONS(F)                                                 \
    F(easy_cleanup) F(easy_getinfo) F(easy_header) F(easy_init)              \
    F(easy_reset) F(easy_setopt) F(easy_strerror)                            \
    F(free) F(getdate) F(global_cleanup) F(global_init)                      \
    F(multi_add_handle) F(multi_assign) F(multi_cleanup) F(multi_info_read)  \
    F(multi_init) F(multi_remove_handle) F(multi_setopt)                     \
    F(multi_socket_action)                                                   \
    F(slist_append) F(slist_free_all)                                        \
    F(url) F(url_cleanup) F(url_get) F(url_set)                              \
    F(version_info)

#define TW_CURL_MEMBER(name)  __typeof__(curl_##name)  *name;

typedef struct {
    TW_CURL_FUNCTIONS(TW_CURL_MEMBER)
} tw_curl_t;

/* Whole after tw_curl_load() returned 0, NULL pointers before. */
extern tw_curl_t  tw_curl;

/*
 * Loads libcurl unless it is there already. 0, or -1 with the reason, without
 * a line feed, added to why; it can be tried again. From any thread (it reads
 * files), but from one at a time.
 */
int tw_curl_load(tq_buf_t *why);

#endif /* TW_CURL_LOAD_H */
