/*
 * tq_uuid.c: task ids. Layout of the 128 bits, from the left:
 * 48 MAC, 4 version (8), 12 MAC, 2 variant (10), 4 MAC, 58 masked id.
 */

#include "tq_uuid.h"
#include "tq_limits.h"

#define ID_BITS  58
#define ID_MASK  ((UINT64_C(1) << ID_BITS) - 1)

static uint64_t
rotl(uint64_t v, int n)
{
    return (v << n) | (v >> (64 - n));
}

static uint64_t
load64(const unsigned char *p)
{
    uint64_t  v = 0;
    int       i;

    for (i = 7; i >= 0; i--) {
        v = (v << 8) | p[i];
    }

    return v;
}

static void
rounds(uint64_t v[4], int n)
{
    while (n--) {
        v[0] += v[1];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[0] = rotl(v[0], 32);
        v[2] += v[3];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[2] = rotl(v[2], 32);
    }
}

/* SipHash-2-4 of one 8-byte little-endian word. */
static uint64_t
siphash8(const unsigned char key[16], uint64_t word)
{
    uint64_t  k0 = load64(key), k1 = load64(key + 8);
    uint64_t  v[4], last = UINT64_C(8) << 56;

    v[0] = k0 ^ UINT64_C(0x736f6d6570736575);
    v[1] = k1 ^ UINT64_C(0x646f72616e646f6d);
    v[2] = k0 ^ UINT64_C(0x6c7967656e657261);
    v[3] = k1 ^ UINT64_C(0x7465646279746573);

    v[3] ^= word;
    rounds(v, 2);
    v[0] ^= word;

    v[3] ^= last;
    rounds(v, 2);
    v[0] ^= last;

    v[2] ^= 0xff;
    rounds(v, 4);

    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void
put_hex(char *dst, uint64_t v, int digits)
{
    static const char  hex[] = "0123456789abcdef";

    while (digits--) {
        dst[digits] = hex[v & 15];
        v >>= 4;
    }
}

void
tq_uuid_format(const unsigned char key[TQ_UUID_KEY_LEN], int64_t id,
    char dst[TQ_UUID_LEN + 1])
{
    uint64_t  mac, masked, low;

    mac = siphash8(key, (uint64_t) id);
    masked = ((uint64_t) id ^ siphash8(key + 16, mac)) & ID_MASK;
    low = UINT64_C(2) << 62 | (mac & 15) << ID_BITS | masked;

    put_hex(dst, mac >> 32, 8);
    dst[8] = '-';
    put_hex(dst + 9, mac >> 16 & 0xffff, 4);
    dst[13] = '-';
    put_hex(dst + 14, UINT64_C(0x8000) | (mac >> 4 & 0xfff), 4);
    dst[18] = '-';
    put_hex(dst + 19, low >> 48, 4);
    dst[23] = '-';
    put_hex(dst + 24, low & UINT64_C(0xffffffffffff), 12);
    dst[TQ_UUID_LEN] = '\0';
}

/* 32 hex digits around dashes at their places. 0, or -1. */
static int
read_hex(const char *p, uint64_t *hi, uint64_t *lo)
{
    int       i, n = 0, d;
    uint64_t  w[2] = {0, 0};

    for (i = 0; i < TQ_UUID_LEN; i++) {
        char  c = p[i];

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-') {
                return -1;
            }
            continue;
        }

        if (c >= '0' && c <= '9') {
            d = c - '0';
        } else if (c >= 'a' && c <= 'f') {
            d = c - 'a' + 10;
        } else if (c >= 'A' && c <= 'F') {
            d = c - 'A' + 10;
        } else {
            return -1;
        }

        w[n / 16] = w[n / 16] << 4 | (uint64_t) d;
        n++;
    }

    *hi = w[0];
    *lo = w[1];

    return 0;
}

int
tq_uuid_parse(const unsigned char key[TQ_UUID_KEY_LEN], const char *p,
    size_t len, int64_t *id)
{
    uint64_t  hi, lo, mac, n;

    if (len != TQ_UUID_LEN || read_hex(p, &hi, &lo) != 0
        || (hi >> 12 & 15) != 8 || lo >> 62 != 2)
    {
        return -1;
    }

    mac = (hi >> 16) << 16 | (hi & 0xfff) << 4 | (lo >> ID_BITS & 15);
    n = (lo ^ siphash8(key + 16, mac)) & ID_MASK;

    if (n == 0 || n > TQ_ID_MAX || siphash8(key, n) != mac) {
        return -1;
    }

    *id = (int64_t) n;

    return 0;
}
