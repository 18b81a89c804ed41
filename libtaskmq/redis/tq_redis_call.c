/*
 * tq_redis_call.c: one call's bytes: RESP encoding, the head that names a
 * script by hash or carries its text, and the slices still to be sent.
 */

#include <stdlib.h>
#include <string.h>

#include "tq_base.h"
#include "tq_redis_int.h"

static const char  tq_one_key[] = "\r\n$1\r\n1\r\n";
static const char  tq_no_key[] = "\r\n$1\r\n0\r\n";

#define TQ_KEYS_LEN  (sizeof(tq_one_key) - 1)

_Static_assert(sizeof(((tq_call_t *) 0)->head) >= 23 + 18 + 40,
               "tq_call_seal() has room");


tq_call_t *
tq_call_new(const tq_script_t *script, tq_call_cb cb, void *data)
{
    return tq_call_make(sizeof(tq_call_t), script, cb, data);
}


tq_call_t *
tq_call_make(size_t size, const tq_script_t *script, tq_call_cb cb, void *data)
{
    tq_call_t  *call;

    call = calloc(1, size);
    if (call == NULL) {
        return NULL;
    }

    call->script = script;
    call->raw = (script == NULL);
    call->cb = cb;
    call->data = data;

    return call;
}


void
tq_call_free(tq_call_t *call)
{
    tq_call_t  *before;

    for ( /* void */ ; call != NULL; call = before) {
        before = call->before;
        tq_buf_free(&call->body);
        free(call);
    }
}


void
tq_call_wipe(tq_call_t *call)
{
    if (call->body.p != NULL) {
        explicit_bzero(call->body.p, call->body.cap);
    }

    tq_call_free(call);
}


void
tq_call_arg(tq_call_t *call, const void *p, size_t len)
{
    char  *dst;

    if (len > TQ_REDIS_OUT_MAX_BYTES) {
        call->body.failed = 1;
        return;
    }

    if (tq_buf_reserve(&call->body, len + TQ_RESP_EXTRA) != 0) {
        return;
    }

    dst = call->body.p + call->body.len;
    call->body.len += tq_resp_bulk(dst, p, len);
    call->nargs++;
}


void
tq_call_args(tq_call_t *call, const char *cstr)
{
    tq_call_arg(call, cstr, strlen(cstr));
}


void
tq_call_argi(tq_call_t *call, int64_t v)
{
    char      num[24];
    size_t    n;
    uint64_t  u;

    u = (v < 0) ? (uint64_t) 0 - (uint64_t) v : (uint64_t) v;

    /* a minus sign takes the lead's place; CR LF is not the argument's */
    n = tq_resp_num(num, '-', u) - 2;

    if (v < 0) {
        tq_call_arg(call, num, n);
    } else {
        tq_call_arg(call, num + 1, n - 1);
    }
}


void
tq_call_seal(tq_call_t *call)
{
    char    *p;
    size_t   n;

    p = call->head;

    if (call->raw) {
        call->head_len = (unsigned) tq_resp_num(p, '*', call->nargs);
        return;
    }

    n = tq_resp_num(p, '*', (uint64_t) call->nargs + 3);

    if (call->resent) {
        memcpy(p + n, "$4\r\nEVAL\r\n", 10);
        n += 10;
        n += tq_resp_num(p + n, '$', call->script->len);

    } else {
        memcpy(p + n, "$7\r\nEVALSHA\r\n$40\r\n", 18);
        n += 18;
        memcpy(p + n, call->script->sha, 40);
        n += 40;
    }

    call->head_len = (unsigned) n;
}


size_t
tq_call_total(const tq_call_t *call)
{
    size_t  n;

    n = call->head_len + call->body.len - call->skip;

    if (!call->raw) {
        n += TQ_KEYS_LEN + (call->resent ? call->script->len : 0);
    }

    return n;
}


int
tq_call_iov(const tq_call_t *call, struct iovec *iov, int max)
{
    int           n;
    size_t        off, len;
    unsigned      i;
    const char   *p;
    struct iovec  part[TQ_CALL_IOV_MAX];

    memset(part, 0, sizeof(part));

    part[0].iov_base = (void *) call->head;
    part[0].iov_len = call->head_len;

    if (!call->raw) {
        if (call->resent) {
            part[1].iov_base = (void *) call->script->text;
            part[1].iov_len = call->script->len;
        }

        p = (call->nargs != 0) ? tq_one_key : tq_no_key;
        part[2].iov_base = (void *) p;
        part[2].iov_len = TQ_KEYS_LEN;
    }

    if (call->body.p != NULL) {
        part[3].iov_base = call->body.p + call->skip;
        part[3].iov_len = call->body.len - call->skip;
    }

    n = 0;
    off = call->off;

    for (i = 0; i < TQ_CALL_IOV_MAX && n < max; i++) {
        len = part[i].iov_len;

        if (off >= len) {
            off -= len;
            continue;
        }

        iov[n].iov_base = (char *) part[i].iov_base + off;
        iov[n].iov_len = len - off;
        off = 0;
        n++;
    }

    return n;
}
