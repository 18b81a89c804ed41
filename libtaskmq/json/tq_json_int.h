/*
 * tq_json_int.h: what the parts of tq_json share. Not for anybody else.
 */

#ifndef TQ_JSON_INT_H
#define TQ_JSON_INT_H

#include <string.h>

#include "tq_json.h"
#include "tq_base.h"

/* tq_json_plain steps over bytes that need no look, eight at a time: ASCII
 * without quotes, backslashes and control characters. */
static inline const char *
tq_json_plain(const char *p, const char *end)
{
    const uint64_t  ones = UINT64_C(0x0101010101010101);
    uint64_t        w, q, b;

    while (end - p >= 8) {
        memcpy(&w, p, 8);
        q = w ^ ones * '"';
        b = w ^ ones * '\\';

        if (((w | (w - ones * 0x20) | (q - ones) | (b - ones)) & ones * 0x80)
            == 0)
        {
            p += 8;
            continue;
        }

        break;
    }

    while (p < end && (unsigned char) *p >= 0x20 && (unsigned char) *p < 0x80
           && *p != '"' && *p != '\\')
    {
        p++;
    }

    return p;
}

/*
 * Decodes the character at p, inside a string that the scanner accepted, into
 * out (1..4 bytes of UTF-8, *n of them; of a lone surrogate the three that
 * would be it). Returns where the next one starts; a truncated escape counts
 * as itself.
 */
const char *tq_json_char(const char *p, const char *end, char out[4], int *n);

/* The type of a value that begins like this. */
tq_json_type_t tq_json_type(char first);

/* ---- duplicate keys ---- */

#define TQ_JSON_KEYS_LOCAL  64
#define TQ_JSON_ESCAPED     0x80000000u

/* A key of an object that is still open. 16 bytes, because a hostile body may
 * hold one for every six bytes of its own. */
typedef struct {
    uint32_t  off;              /* in the text */
    uint32_t  len;              /* and TQ_JSON_ESCAPED */
    uint32_t  hash;             /* a quick tag, until the object is indexed */
    uint32_t  slot;             /* in the index, TQ_JSON_NO_SLOT: none */
} tq_json_key_t;

/* An open array or object. */
typedef struct {
    uint32_t       base;        /* its first key */
    unsigned char  object;
    unsigned char  indexed;     /* its keys are in the index */
} tq_json_frame_t;

/*
 * The keys of all open objects, as a stack. Small objects are searched one by
 * one; a larger one is entered in an index, an open-addressed table under a
 * secret hash, shared by all. Keys leave in the reverse order they came in, so
 * that clearing a slot is all it takes to remove one.
 */
typedef struct {
    const char     *text;
    tq_json_key_t  *key;
    uint32_t        n;
    uint32_t        cap;
    uint32_t       *index;      /* place in key[] + 1, 0: free */
    uint32_t        size;       /* of index, a power of two; 0: not used yet */
    uint32_t        used;
    tq_json_key_t   local[TQ_JSON_KEYS_LOCAL];
    uint32_t        local_index[TQ_JSON_KEYS_LOCAL * 2];
} tq_json_keys_t;

void tq_json_keys_init(tq_json_keys_t *k, const char *text);
void tq_json_keys_free(tq_json_keys_t *k);

/* Adds the raw key at off to the innermost object f. 0, 1 when it is there
 * already, -1 when memory ran out. */
int tq_json_keys_add(tq_json_keys_t *k, tq_json_frame_t *f, size_t off,
    size_t len, int escaped);

/* Forgets the keys of f, the innermost object. */
void tq_json_keys_close(tq_json_keys_t *k, const tq_json_frame_t *f);

#endif /* TQ_JSON_INT_H */
