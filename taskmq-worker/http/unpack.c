/* unpack.c: see unpack.h. */

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "unpack.h"

#define CHUNK_BYTES  16384
#define SPACE        " \t\r\n,"      /* of an empty header curl leaves "\r" */

/* zlib's windowBits; 0: as it is; -1: not known, or more than one */
static int
window_bits(const char *coding, const tq_buf_t *in)
{
    int     bits = 0, found;
    size_t  n;

    for ( ;; ) {
        coding += strspn(coding, SPACE);
        n = strcspn(coding, SPACE);

        if (n == 0) {
            return bits;
        }

        if ((n == 4 && strncasecmp(coding, "gzip", n) == 0)
            || (n == 6 && strncasecmp(coding, "x-gzip", n) == 0))
        {
            found = MAX_WBITS + 16;
        } else if (n == 7 && strncasecmp(coding, "deflate", n) == 0) {
            /* some leave zlib's two bytes in front out */
            found = in->len >= 2 && (in->p[0] & 15) == Z_DEFLATED
                    && ((in->p[0] & 255) << 8 | (in->p[1] & 255)) % 31 == 0
                    ? MAX_WBITS : -MAX_WBITS;
        } else if (n == 8 && strncasecmp(coding, "identity", n) == 0) {
            found = 0;
        } else {
            return -1;
        }

        if (found != 0 && bits != 0) {
            return -1;
        }

        bits = found != 0 ? found : bits;
        coding += n;
    }
}

/* gzip's body is one member or more, one behind the other (RFC 1952, 2.2).
 * Whether a further one begins here; z is ready for it then. */
static int
next_member(z_stream *z, int bits)
{
    return bits > MAX_WBITS && z->avail_in >= 2
           && z->next_in[0] == 0x1f && z->next_in[1] == 0x8b
           && inflateReset(z) == Z_OK;
}

static tw_unpack_t
inflate_all(z_stream *z, int bits, size_t max, tq_buf_t *out, const char **why)
{
    int   rc;
    char  chunk[CHUNK_BYTES];

    do {
        z->next_out = (Bytef *) chunk;
        z->avail_out = sizeof(chunk);
        rc = inflate(z, Z_NO_FLUSH);

        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
            *why = z->msg != NULL ? z->msg : zError(rc);
            return TW_UNPACK_BROKEN;
        }

        tq_buf_add(out, chunk, sizeof(chunk) - z->avail_out);
        if (out->len > max) {
            return TW_UNPACK_LONG;
        }
    } while (rc == Z_OK || (rc == Z_STREAM_END && next_member(z, bits)));

    *why = rc != Z_STREAM_END ? "it ends too early"
           : z->avail_in != 0 ? "there is more behind its end"
           : out->failed ? "out of memory" : NULL;

    return *why == NULL ? TW_UNPACK_OK : TW_UNPACK_BROKEN;
}

tw_unpack_t
tw_unpack(const char *coding, const tq_buf_t *in, size_t max, tq_buf_t *out,
    const char **why)
{
    int          bits = window_bits(coding, in);
    z_stream     z;
    tw_unpack_t  rc;
    static char  text[128];

    if (bits == -1) {
        (void) snprintf(text, sizeof(text), "%.80s; known are gzip and "
            "deflate, one of them", coding);
        *why = text;
        return TW_UNPACK_BROKEN;
    }

    if (bits == 0 || in->len == 0) {
        tq_buf_add(out, in->p, in->len);
        *why = "out of memory";
        return out->failed ? TW_UNPACK_BROKEN : TW_UNPACK_OK;
    }

    memset(&z, 0, sizeof(z));
    z.next_in = (Bytef *) in->p;
    z.avail_in = (uInt) in->len;

    if (inflateInit2(&z, bits) != Z_OK) {
        *why = "out of memory";
        return TW_UNPACK_BROKEN;
    }

    rc = inflate_all(&z, bits, max, out, why);
    if (rc == TW_UNPACK_BROKEN && *why != text) {
        (void) snprintf(text, sizeof(text), "%.20s: %s", coding, *why);
        *why = text;
    }
    (void) inflateEnd(&z);

    return rc;
}
