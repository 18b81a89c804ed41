/*
 * curl_loop.h: libcurl's transfers on the worker's loop. Owns the multi
 * handle, and watches its sockets and its timer. After tw_curl_load().
 *
 * One turn of the loop reads a bounded part of a transfer, however fast its
 * peer is; then everything else has its turn.
 */

#ifndef TW_CURL_LOOP_H
#define TW_CURL_LOOP_H

#include <curl/curl.h>
#include <uv.h>

/* A transfer ended by itself; private is its CURLOPT_PRIVATE. */
typedef void (*tw_curl_done_cb)(void *private, CURLcode code);

/* Once per process; again does nothing. 0, or -1: out of memory. */
int tw_curl_loop_init(uv_loop_t *loop, tw_curl_done_cb done);
void tw_curl_loop_close(void);

/* 0, or -1: out of memory. Not inside a callback of libcurl. */
int tw_curl_start(CURL *e);

/* Ends it without done(). */
void tw_curl_stop(CURL *e);

#endif /* TW_CURL_LOOP_H */
