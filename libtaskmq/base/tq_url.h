/*
 * tq_url.h: where Redis is. `redis://[user[:pass]@]host[:port][/db]`,
 * `unix:/path[?db=N]` or `unix://[user[:pass]@]/path[?db=N]`. `rediss://` is
 * refused: TLS does not work yet. Percent-escapes in user and password are
 * decoded.
 */

#ifndef TQ_URL_H
#define TQ_URL_H

#include "tq_buf.h"

typedef struct {
    char      host[256];      /* "" for a unix socket; IPv6 without [] */
    int       port;
    char      path[108];      /* unix socket, "" for TCP */
    char      user[128];
    char      password[512];
    int       db;
} tq_url_t;

/* 0, or -1 with *why a static sentence. The URL may hold a password: never
 * log it, log tq_url_show(). */
int tq_url_parse(const char *url, size_t len, tq_url_t *out,
    const char **why);

/* The URL without its password, for logs. Returns dst. */
const char *tq_url_show(const tq_url_t *u, char *dst, size_t size);

#endif /* TQ_URL_H */
