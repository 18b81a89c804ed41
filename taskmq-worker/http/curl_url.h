/*
 * curl_url.h: URLs, as libcurl reads them. After tw_curl_load().
 */

#ifndef TW_CURL_URL_H
#define TW_CURL_URL_H

#include <curl/curl.h>

/* A URL without the name and password in it, to be freed by tw_curl.free();
 * these go to e where it is not NULL. NULL: it is no URL, or no memory. */
char *tw_curl_plain_url(const char *url, CURL *e);

/* 1: both have the same scheme, host and port. */
int tw_curl_same_host(const char *from, const char *to);

#endif /* TW_CURL_URL_H */
