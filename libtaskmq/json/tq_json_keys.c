/*
 * tq_json_keys.c: finds duplicate keys in linear time, also when somebody
 * chooses the keys to make that slow: the hash is SipHash-1-3 (J.-P. Aumasson,
 * D. J. Bernstein, "SipHash: a fast short-input PRF", 2012) under a key that
 * each process draws for itself.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/random.h>

#include "tq_json_int.h"

#define TQ_JSON_NO_SLOT      UINT32_MAX

/* An object with more keys, a longer one, or one with escapes is indexed. */
#define TQ_JSON_KEYS_LINEAR  16
#define TQ_JSON_KEY_SHORT    64

/* The programs that link this have one thread. */
static uint64_t  tq_json_seed[2];
static int       tq_json_seeded;

typedef struct {
    uint64_t  v0, v1, v2, v3;
    uint64_t  word;             /* bytes not yet mixed in */
    size_t    len;
} tq_json_sip_t;

static inline uint64_t
tq_json_rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static void
tq_json_sip_round(tq_json_sip_t *s)
{
    s->v0 += s->v1;
    s->v1 = tq_json_rotl(s->v1, 13) ^ s->v0;
    s->v0 = tq_json_rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = tq_json_rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = tq_json_rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = tq_json_rotl(s->v1, 17) ^ s->v2;
    s->v2 = tq_json_rotl(s->v2, 32);
}

static void
tq_json_sip_word(tq_json_sip_t *s)
{
    s->v3 ^= s->word;
    tq_json_sip_round(s);
    s->v0 ^= s->word;
    s->word = 0;
}

static inline void
tq_json_sip_byte(tq_json_sip_t *s, unsigned char c)
{
    s->word |= (uint64_t) c << (8 * (s->len & 7));

    if ((++s->len & 7) == 0) {
        tq_json_sip_word(s);
    }
}

static uint64_t
tq_json_sip_end(tq_json_sip_t *s)
{
    int  i;

    s->word |= (uint64_t) (s->len & 0xff) << 56;
    tq_json_sip_word(s);

    s->v2 ^= 0xff;
    for (i = 0; i < 3; i++) {
        tq_json_sip_round(s);
    }

    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static void
tq_json_seed_once(void)
{
    struct timespec  ts;

    if (tq_json_seeded) {
        return;
    }

    if (getrandom(tq_json_seed, sizeof(tq_json_seed), GRND_NONBLOCK)
        != (ssize_t) sizeof(tq_json_seed))
    {
        /* before the kernel's pool is ready: hard to guess, not more */
        clock_gettime(CLOCK_REALTIME, &ts);
        tq_json_seed[0] = (uint64_t) ts.tv_nsec << 32 ^ (uint64_t) ts.tv_sec;
        tq_json_seed[1] = (uint64_t) (uintptr_t) &ts;
    }

    tq_json_seeded = 1;
}

static inline uint32_t
tq_json_key_len(const tq_json_key_t *key)
{
    return key->len & ~TQ_JSON_ESCAPED;
}

/* tq_json_key_hash hashes the key as it reads after unescaping. base keeps
 * equal keys of nested objects apart. */
static uint32_t
tq_json_key_hash(const char *text, const tq_json_key_t *key, uint32_t base)
{
    int            i, n;
    char           c[4];
    uint64_t       h;
    const char    *p = text + key->off, *end = p + tq_json_key_len(key);
    tq_json_sip_t  s = { 0 };

    s.v0 = tq_json_seed[0] ^ UINT64_C(0x736f6d6570736575);
    s.v1 = tq_json_seed[1] ^ UINT64_C(0x646f72616e646f6d);
    s.v2 = tq_json_seed[0] ^ UINT64_C(0x6c7967656e657261);
    s.v3 = tq_json_seed[1] ^ UINT64_C(0x7465646279746573);

    for (i = 0; i < 4; i++) {
        tq_json_sip_byte(&s, (unsigned char) (base >> (8 * i)));
    }

    while (p < end) {
        if (!(key->len & TQ_JSON_ESCAPED)) {
            tq_json_sip_byte(&s, (unsigned char) *p++);
            continue;
        }

        p = tq_json_char(p, end, c, &n);
        for (i = 0; i < n; i++) {
            tq_json_sip_byte(&s, (unsigned char) c[i]);
        }
    }

    h = tq_json_sip_end(&s);

    return (uint32_t) (h ^ h >> 32);
}

static int
tq_json_same_key(const char *text, const tq_json_key_t *a,
    const tq_json_key_t *b)
{
    int          na, nb;
    char         ca[4], cb[4];
    const char  *pa = text + a->off, *pb = text + b->off;
    const char  *ea = pa + tq_json_key_len(a), *eb = pb + tq_json_key_len(b);

    if (!((a->len | b->len) & TQ_JSON_ESCAPED)) {
        return a->len == b->len && memcmp(pa, pb, a->len) == 0;
    }

    while (pa < ea && pb < eb) {
        pa = tq_json_char(pa, ea, ca, &na);
        pb = tq_json_char(pb, eb, cb, &nb);
        if (na != nb || memcmp(ca, cb, (size_t) na) != 0) {
            return 0;
        }
    }

    return pa == ea && pb == eb;
}

void
tq_json_keys_init(tq_json_keys_t *k, const char *text)
{
    k->text = text;
    k->key = k->local;
    k->n = 0;
    k->cap = TQ_JSON_KEYS_LOCAL;
    k->index = k->local_index;
    k->size = 0;
    k->used = 0;
}

void
tq_json_keys_free(tq_json_keys_t *k)
{
    if (k->key != k->local) {
        free(k->key);
    }

    if (k->index != k->local_index) {
        free(k->index);
    }
}

/* tq_json_keys_grow doubles the room for keys. 0, or -1. */
static int
tq_json_keys_grow(tq_json_keys_t *k)
{
    size_t          bytes = (size_t) k->cap * 2 * sizeof(tq_json_key_t);
    tq_json_key_t  *key;

    if (k->key == k->local) {
        key = malloc(bytes);
        if (key) {
            memcpy(key, k->local, sizeof(k->local));
        }

    } else {
        key = realloc(k->key, bytes);
    }

    if (key == NULL) {
        return -1;
    }

    k->key = key;
    k->cap *= 2;

    return 0;
}

/* tq_json_keys_slot finds the free slot for a hash that is not there yet. */
static uint32_t
tq_json_keys_slot(const tq_json_keys_t *k, uint32_t hash)
{
    uint32_t  i, mask = k->size - 1;

    for (i = hash & mask; k->index[i]; i = (i + 1) & mask) {
        /* void */
    }

    return i;
}

static void
tq_json_keys_enter(tq_json_keys_t *k, uint32_t i)
{
    uint32_t  slot = tq_json_keys_slot(k, k->key[i].hash);

    k->key[i].slot = slot;
    k->index[slot] = i + 1;
    k->used++;
}

/* tq_json_keys_room makes the index large enough for one more key. 0, or
 * -1. */
static int
tq_json_keys_room(tq_json_keys_t *k)
{
    uint32_t   i, size, *index;

    if (k->size == 0) {
        tq_json_seed_once();
        memset(k->local_index, 0, sizeof(k->local_index));
        k->size = TQ_JSON_KEYS_LOCAL * 2;
    }

    if ((k->used + 1) * 2 <= k->size) {
        return 0;
    }

    size = k->size * 2;
    index = malloc((size_t) size * sizeof(uint32_t));
    if (index == NULL) {
        return -1;
    }

    memset(index, 0, (size_t) size * sizeof(uint32_t));

    if (k->index != k->local_index) {
        free(k->index);
    }

    k->index = index;
    k->size = size;
    k->used = 0;

    /* in stack order, so that removal in reverse stays right */
    for (i = 0; i < k->n; i++) {
        if (k->key[i].slot != TQ_JSON_NO_SLOT) {
            tq_json_keys_enter(k, i);
        }
    }

    return 0;
}

/* tq_json_keys_index enters the keys of f, which has outgrown a plain search.
 * 0, or -1. */
static int
tq_json_keys_index(tq_json_keys_t *k, tq_json_frame_t *f)
{
    uint32_t  i;

    for (i = f->base; i < k->n; i++) {
        if (tq_json_keys_room(k) != 0) {
            return -1;
        }

        k->key[i].hash = tq_json_key_hash(k->text, &k->key[i], f->base);
        tq_json_keys_enter(k, i);
    }

    f->indexed = 1;

    return 0;
}

/* tq_json_keys_plain looks for a short key without escapes among the others of
 * its object. Their tags make most comparisons one of integers. */
static int
tq_json_keys_plain(const tq_json_keys_t *k, uint32_t base, const char *p,
    uint32_t len, uint32_t tag)
{
    uint32_t  i;

    for (i = base; i < k->n; i++) {
        if (k->key[i].hash == tag
            && memcmp(k->text + k->key[i].off, p, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}

/* tq_json_keys_tag: the length, the first and the last byte. */
static inline uint32_t
tq_json_keys_tag(const unsigned char *p, uint32_t len)
{
    return len ? len << 16 | (uint32_t) p[0] << 8 | p[len - 1] : 0;
}

static int
tq_json_keys_indexed(const tq_json_keys_t *k, uint32_t base,
    const tq_json_key_t *key)
{
    uint32_t              i, mask = k->size - 1;
    const tq_json_key_t  *other;

    for (i = key->hash & mask; k->index[i]; i = (i + 1) & mask) {
        other = &k->key[k->index[i] - 1];

        if (k->index[i] > base && other->hash == key->hash
            && tq_json_same_key(k->text, other, key))
        {
            return 1;
        }
    }

    return 0;
}

int
tq_json_keys_add(tq_json_keys_t *k, tq_json_frame_t *f, size_t off,
    size_t len, int escaped)
{
    uint32_t        tag;
    const char     *p = k->text + off;
    tq_json_key_t  *key;

    if (!f->indexed
        && (k->n - f->base >= TQ_JSON_KEYS_LINEAR || len > TQ_JSON_KEY_SHORT
            || escaped)
        && tq_json_keys_index(k, f) != 0)
    {
        return -1;
    }

    if (k->n == k->cap && tq_json_keys_grow(k) != 0) {
        return -1;
    }

    key = &k->key[k->n];
    key->off = (uint32_t) off;
    key->len = (uint32_t) len | (escaped ? TQ_JSON_ESCAPED : 0);
    key->slot = TQ_JSON_NO_SLOT;

    if (!f->indexed) {
        tag = tq_json_keys_tag((const unsigned char *) p, (uint32_t) len);
        key->hash = tag;
        if (tq_json_keys_plain(k, f->base, p, (uint32_t) len, tag)) {
            return 1;
        }

    } else {
        if (tq_json_keys_room(k) != 0) {
            return -1;
        }

        key->hash = tq_json_key_hash(k->text, key, f->base);
        if (tq_json_keys_indexed(k, f->base, key)) {
            return 1;
        }

        tq_json_keys_enter(k, k->n);
    }

    k->n++;

    return 0;
}

void
tq_json_keys_close(tq_json_keys_t *k, const tq_json_frame_t *f)
{
    if (f->indexed) {
        while (k->n > f->base) {
            k->n--;
            k->index[k->key[k->n].slot] = 0;
            k->used--;
        }
    }

    k->n = f->base;
}
