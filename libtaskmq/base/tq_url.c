/*
 * tq_url.c: reads Redis URLs. Every part is checked here, so that nothing
 * odd reaches a resolver, a socket address or an AUTH command.
 */

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>

#include "tq_url.h"

#define TQ_URL_PORT  6379

static int
tq_url_fail(const char **why, const char *text)
{
    *why = text;
    return -1;
}

static int
tq_url_starts(const char *p, const char *end, const char *with)
{
    size_t  n = strlen(with);

    return (size_t) (end - p) >= n && memcmp(p, with, n) == 0;
}

/* tq_url_number reads a decimal number, whole range, 0..max. 0, or -1. */
static int
tq_url_number(const char *p, const char *end, int max, int *out)
{
    long long  v = 0;

    if (p == end) {
        return -1;
    }

    for (; p < end; p++) {
        if (*p < '0' || *p > '9') {
            return -1;
        }
        v = v * 10 + (*p - '0');
        if (v > max) {
            return -1;
        }
    }

    *out = (int) v;

    return 0;
}

static int
tq_url_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* tq_url_decode undoes percent-escapes into dst. 0, or -1: a broken escape, a
 * NUL, or no room. */
static int
tq_url_decode(const char *p, const char *end, char *dst, size_t size)
{
    int     c;
    size_t  n = 0;

    while (p < end) {
        c = (unsigned char) *p++;

        if (c == '%') {
            if (end - p < 2 || tq_url_hex(p[0]) < 0 || tq_url_hex(p[1]) < 0) {
                return -1;
            }
            c = tq_url_hex(p[0]) * 16 + tq_url_hex(p[1]);
            p += 2;
        }

        if (c == '\0' || n + 1 >= size) {
            return -1;
        }
        dst[n++] = (char) c;
    }

    dst[n] = '\0';

    return 0;
}

static int
tq_url_userinfo(const char *p, const char *end, tq_url_t *out,
    const char **why)
{
    const char  *colon = memchr(p, ':', (size_t) (end - p));

    if (tq_url_decode(p, colon ? colon : end, out->user, sizeof(out->user))
        != 0)
    {
        return tq_url_fail(why, "the user name is too long, or has a broken "
            "percent-escape");
    }

    if (colon
        && tq_url_decode(colon + 1, end, out->password,
               sizeof(out->password)) != 0)
    {
        return tq_url_fail(why, "the password is too long, or has a broken "
            "percent-escape");
    }

    return 0;
}

static int
tq_url_name_ok(const char *p, const char *end)
{
    for (; p < end; p++) {
        if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z')
              || (*p >= 'A' && *p <= 'Z') || *p == '.' || *p == '-'
              || *p == '_'))
        {
            return 0;
        }
    }

    return 1;
}

/* tq_url_v6_ok: host, NUL-terminated, is an IPv6 address, maybe with a zone. */
static int
tq_url_v6_ok(char *host)
{
    int              ok;
    char            *zone = strchr(host, '%');
    struct in6_addr  addr;

    if (zone) {
        if (zone[1] == '\0'
            || !tq_url_name_ok(zone + 1, zone + strlen(zone)))
        {
            return 0;
        }
        *zone = '\0';
    }

    ok = (inet_pton(AF_INET6, host, &addr) == 1);

    if (zone) {
        *zone = '%';
    }

    return ok;
}

static int
tq_url_hostport(const char *p, const char *end, tq_url_t *out,
    const char **why)
{
    int          v6 = (p < end && *p == '[');
    const char  *stop, *port;

    if (v6) {
        p++;
        stop = memchr(p, ']', (size_t) (end - p));
        if (stop == NULL) {
            return tq_url_fail(why, "the address has [ without ]");
        }
        port = stop + 1;

    } else {
        stop = memchr(p, ':', (size_t) (end - p));
        if (stop == NULL) {
            stop = end;
        }
        port = stop;
    }

    if (stop == p) {
        return tq_url_fail(why, "the host is missing");
    }

    if ((size_t) (stop - p) >= sizeof(out->host)) {
        return tq_url_fail(why, "the host name is too long");
    }

    memcpy(out->host, p, (size_t) (stop - p));
    out->host[stop - p] = '\0';

    if (v6 && !tq_url_v6_ok(out->host)) {
        return tq_url_fail(why, "what stands between [ and ] is not an IPv6 "
            "address");
    }

    if (!v6 && !tq_url_name_ok(p, stop)) {
        return tq_url_fail(why, "the host name has a character that is not "
            "allowed");
    }

    out->port = TQ_URL_PORT;

    if (port < end
        && (*port != ':' || tq_url_number(port + 1, end, 65535, &out->port) != 0
            || out->port == 0))
    {
        return tq_url_fail(why, "the port is not a number from 1 to 65535");
    }

    return 0;
}

static int
tq_url_tcp(const char *p, const char *end, tq_url_t *out, const char **why)
{
    const char  *slash, *at, *s;

    slash = memchr(p, '/', (size_t) (end - p));
    if (slash == NULL) {
        slash = end;
    }

    /* the last one: people forget to escape the @ in a password */
    for (at = NULL, s = p; s < slash; s++) {
        if (*s == '@') {
            at = s;
        }
    }

    if (at) {
        if (tq_url_userinfo(p, at, out, why) != 0) {
            return -1;
        }
        p = at + 1;
    }

    if (tq_url_hostport(p, slash, out, why) != 0) {
        return -1;
    }

    if (slash < end && slash + 1 < end
        && tq_url_number(slash + 1, end, INT_MAX, &out->db) != 0)
    {
        return tq_url_fail(why, "the database after the host is not a "
            "number");
    }

    return 0;
}

/* tq_url_unix_user reads //[user[:pass]@] before a socket's path. 0, or -1. */
static int
tq_url_unix_user(const char **p, const char *end, tq_url_t *out,
    const char **why)
{
    const char  *slash, *at;

    if (!tq_url_starts(*p, end, "//")) {
        return 0;
    }

    slash = memchr(*p + 2, '/', (size_t) (end - *p - 2));

    if (slash == *p + 2) {
        *p = slash;
        return 0;
    }

    if (slash == NULL || slash[-1] != '@') {
        return tq_url_fail(why, "the socket's path is not absolute: "
            "unix:/path, or unix://user[:password]@/path (a / in a password "
            "is written %2F)");
    }

    at = slash - 1;

    if (tq_url_userinfo(*p + 2, at, out, why) != 0) {
        return -1;
    }

    *p = slash;

    return 0;
}

static int
tq_url_unix(const char *p, const char *end, tq_url_t *out, const char **why)
{
    const char  *query, *s;

    if (tq_url_unix_user(&p, end, out, why) != 0) {
        return -1;
    }

    query = memchr(p, '?', (size_t) (end - p));
    if (query == NULL) {
        query = end;
    }

    if (p == query || *p != '/' || tq_url_starts(p, query, "//")) {
        return tq_url_fail(why, "the socket's path is not absolute: "
            "unix:/path");
    }

    if ((size_t) (query - p) >= sizeof(out->path)) {
        return tq_url_fail(why, "the socket's path is longer than 107 bytes");
    }

    for (s = p; s < query; s++) {
        if ((unsigned char) *s < 0x20 || *s == 0x7f) {
            return tq_url_fail(why, "the socket's path has a control "
                "character");
        }
    }

    memcpy(out->path, p, (size_t) (query - p));
    out->path[query - p] = '\0';

    if (query < end
        && (!tq_url_starts(query, end, "?db=")
            || tq_url_number(query + 4, end, INT_MAX, &out->db) != 0))
    {
        return tq_url_fail(why, "after the socket's path only ?db=NUMBER may "
            "follow");
    }

    return 0;
}

int
tq_url_parse(const char *url, size_t len, tq_url_t *out, const char **why)
{
    const char  *end = url + len;

    memset(out, 0, sizeof(*out));

    if (tq_url_starts(url, end, "redis://")) {
        return tq_url_tcp(url + 8, end, out, why);
    }

    if (tq_url_starts(url, end, "unix:")) {
        return tq_url_unix(url + 5, end, out, why);
    }

    if (tq_url_starts(url, end, "rediss://")) {
        return tq_url_fail(why, "rediss:// (TLS) is not supported");
    }

    return tq_url_fail(why, "it starts with neither redis:// nor unix:");
}

const char *
tq_url_show(const tq_url_t *u, char *dst, size_t size)
{
    static const char     hex[] = "0123456789ABCDEF";
    char                  user[sizeof(u->user) * 3], *p = user;
    char                  db[16];
    const char           *hidden, *at;
    const unsigned char  *s;
    int                   v6;

    for (s = (const unsigned char *) u->user; *s; s++) {
        if (*s > 0x20 && *s < 0x7f && strchr("%@:/?#[]\"'\\", *s) == NULL) {
            *p++ = (char) *s;
        } else {
            *p++ = '%';
            *p++ = hex[*s >> 4];
            *p++ = hex[*s & 15];
        }
    }
    *p = '\0';

    hidden = u->password[0] ? ":***" : "";
    at = user[0] || u->password[0] ? "@" : "";

    if (u->path[0]) {
        (void) snprintf(db, sizeof(db), "?db=%d", u->db);
        (void) snprintf(dst, size, "unix:%s%s%s%s%s%s", at[0] ? "//" : "",
            user, hidden, at, u->path, u->db ? db : "");

        return dst;
    }

    v6 = strchr(u->host, ':') != NULL;

    (void) snprintf(dst, size, "redis://%s%s%s%s%s%s:%d/%d", user, hidden,
        at, v6 ? "[" : "", u->host, v6 ? "]" : "", u->port, u->db);

    return dst;
}
