/*
 * unpack.h: takes an HTTP answer's Content-Encoding off, which nobody asked
 * for. libcurl could, but takes a part of a packed body for the whole.
 */

#ifndef TW_UNPACK_H
#define TW_UNPACK_H

#include "tq_base.h"

typedef enum {
    TW_UNPACK_OK,
    TW_UNPACK_LONG,           /* it has more than max bytes */
    TW_UNPACK_BROKEN          /* *why says in which way */
} tw_unpack_t;

/*
 * Puts what in holds into out. coding: the header's value; knows gzip (of any
 * number of members), x-gzip and deflate, one of them, and identity. Blocks as
 * long as it takes to read all of in and to unpack max bytes. An empty body is
 * empty in any coding. *why is valid until the next call.
 */
tw_unpack_t tw_unpack(const char *coding, const tq_buf_t *in, size_t max,
    tq_buf_t *out, const char **why);

#endif /* TW_UNPACK_H */
