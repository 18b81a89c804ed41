/*
 * sync.h: a small blocking host of tq_redis over poll(2), for the CLI
 * and for a program's start-up checks. It owns the socket (close-on-exec) and
 * waits with deadlines; it does not reconnect: a lost connection ends the
 * calls on it, and every later call fails. One thread at a time.
 *
 * getaddrinfo() may block on DNS: never use this inside an event loop.
 *
 *   char       err[TQ_SYNC_ERR_BYTES];
 *   tq_sync_t *s = tq_sync_open(&url, &ns, "taskmq", 2000, err);
 *   res = tq_sync_run(s, tq_get_call(&ns, id, NULL, NULL));
 *   if (res->status != TQ_OK) puts(tq_sync_why(s)); else … res->job …;
 *   tq_sync_close(s);
 */

#ifndef TQ_CONN_SYNC_H
#define TQ_CONN_SYNC_H

#include "tq_queue.h"
#include "tq_base.h"

#define TQ_SYNC_ERR_BYTES  448

typedef struct tq_sync_s  tq_sync_t;

/*
 * Connects and finishes the handshake (AUTH, SELECT, the scripts of
 * tq_ops_scripts, the schema of ns, unless NULL) within timeout_ms, which is
 * also the default timeout of every call. client_name may be NULL. NULL with a
 * sentence in err (it names the address, never the password).
 */
tq_sync_t *tq_sync_open(const tq_url_t *url, const tq_ns_t *ns,
    const char *client_name, int64_t timeout_ms, char err[TQ_SYNC_ERR_BYTES]);

/*
 * Sends one call of tq_ops.h and waits for its end. Takes the call (NULL, from
 * a builder that ran out of memory, is an error like any other) and replaces
 * who is told. The result, never NULL, lives until the next tq_sync_run() or
 * tq_sync_close(). Unless its status is TQ_OK, tq_sync_why() says why.
 */
const tq_result_t *tq_sync_run(tq_sync_t *s, tq_call_t *call);

/*
 * Pipelining: hands over a call that tells its own cb; it waits only while too
 * many are in flight. The cb runs inside a later tq_sync_start(),
 * _run(), _wait_all() or _close(), exactly once, with the rules of
 * tq_redis.h. 0, or -1: refused, the cb will not run, tq_sync_why() says why.
 */
int tq_sync_start(tq_sync_t *s, tq_call_t *call);

/* Waits until every call that was started has ended. 0: each was answered (it
 * may have been refused); -1: at least one was not since the last
 * tq_sync_wait_all(). */
int tq_sync_wait_all(tq_sync_t *s);

/* A sentence for people about the last failure; "" when there was none. */
const char *tq_sync_why(const tq_sync_t *s);

/* Ends what is in flight and frees. NULL is fine. */
void tq_sync_close(tq_sync_t *s);

#endif /* TQ_CONN_SYNC_H */
