/* target_http.c: see tw_http.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "curl_load.h"
#include "curl_loop.h"
#include "curl_url.h"
#include "tw_http.h"
#include "tq_base.h"
#include "unpack.h"

#define REDIRECTS_MAX    3
#define ERROR_BODY_MAX   1024 /* of an error's body, in the job's error */
#define CONNECT_MS       10000
#define RETRY_AFTER_MAX_MS  TQ_RETRY_WAIT_MAX_MS
#define CODINGS_MAX      16   /* lines of Content-Encoding that are read */
#define TOO_LARGE        100  /* CURLE_TOO_LARGE, which came with 8.6.0 */

struct tw_http_s {
    CURL                *easy;
    struct curl_slist   *headers;
    tq_buf_t             out;         /* the request's body */
    tq_buf_t             in;          /* the answer's */
    int                  too_long;    /* the answer's body is */
    size_t               head_bytes;  /* of its headers and trailers */
    int                  active;
    unsigned             redirects;
    char                 error[CURL_ERROR_SIZE];
    tw_http_cb           cb;
    void                *data;
};

/* ---- the answer ---- */

int64_t
tw_http_retry_after_ms(const char *text, int64_t now_s)
{
    int64_t  s = 0;
    time_t   at;

    if (*text >= '0' && *text <= '9') {
        while (*text >= '0' && *text <= '9' && s < RETRY_AFTER_MAX_MS) {
            s = s * 10 + (*text++ - '0');
        }
    } else {
        at = tw_curl.getdate(text, NULL);
        if (at < 0) {
            return -1;
        }
        s = at > now_s ? at - now_s : 0;
    }

    s *= 1000;

    return s < RETRY_AFTER_MAX_MS ? s : RETRY_AFTER_MAX_MS;
}

static size_t
on_body(char *p, size_t size, size_t n, void *data)
{
    tw_http_t  *h = data;

    n *= size;
    if (h->in.len + n > TQ_ANSWER_LINE_BYTES) {
        h->too_long = 1;
        return 0;             /* ends the transfer */
    }

    tq_buf_add(&h->in, p, n);

    return h->in.failed ? 0 : n;
}

/* libcurl bounds the headers' bytes, but not the trailers', and keeps all. */
static size_t
on_header(char *p, size_t size, size_t n, void *data)
{
    tw_http_t  *h = data;

    (void) p;
    n *= size;
    h->head_bytes += n;

    return h->head_bytes > TQ_ANSWER_HEAD_BYTES ? 0 : n;
}

/* A header's value, valid until the next call; NULL: it is not there. */
static const char *
header(tw_http_t *h, const char *name)
{
    struct curl_header  *found;

    return tw_curl.easy_header(h->easy, name, 0, CURLH_HEADER, -1, &found)
           == CURLHE_OK ? found->value : NULL;
}

/* All lines of a header as one (RFC 9110, 5.3). libcurl looks through all
 * headers for each: of very many, "..." stands for the rest. */
static void
all_lines(tw_http_t *h, const char *name, tq_buf_t *b)
{
    size_t               i = 0;
    struct curl_header  *found;

    while (tw_curl.easy_header(h->easy, name, i++, CURLH_HEADER, -1, &found)
           == CURLHE_OK)
    {
        tq_buf_adds(b, b->len != 0 ? ", " : "");
        if (i > CODINGS_MAX) {
            tq_buf_adds(b, "...");
            return;
        }
        tq_buf_adds(b, found->value);
    }
}

static int64_t
retry_after(tw_http_t *h)
{
    const char  *value = header(h, "Retry-After");

    return value != NULL
           ? tw_http_retry_after_ms(value, (int64_t) time(NULL)) : -1;
}

/* The result: JSON as it is, other text as a JSON string in text. */
static void
read_result(tw_http_t *h, tw_answer_t *a, tq_buf_t *text)
{
    size_t         i;
    tq_json_val_t  v;
    tq_json_err_t  err;

    for (i = 0; i < h->in.len; i++) {
        if (strchr(" \t\r\n", h->in.p[i]) == NULL) {
            break;
        }
    }

    if (i == h->in.len) {
        return;               /* nothing: null */
    }

    if (tq_json_parse_as(TQ_JSON_RESULT, h->in.p, h->in.len, &v, &err) == 0) {
        a->result = v.raw;
        return;
    }

    tq_buf_add_json(text, h->in.p, h->in.len);
    a->result = (tq_str_t) { text->p, text->len };
}

static void
read_status(tw_http_t *h, long status, tw_answer_t *a, tq_buf_t *text)
{
    size_t  n;
    char   *to = NULL;

    if (status >= 200 && status < 300) {
        a->kind = TW_ANSWER_SUCCESS;
        read_result(h, a, text);
        return;
    }

    a->kind = TW_ANSWER_ERROR;
    a->retryable = status == 429 || status >= 500 || status < 200;
    tq_buf_addf(&a->error, "HTTP status %ld", status);

    if (status == 429 || status == 503) {
        a->wait_ms = retry_after(h);
    }

    if (status >= 300 && status < 400) {
        (void) tw_curl.easy_getinfo(h->easy, CURLINFO_REDIRECT_URL, &to);
        tq_buf_adds(&a->error, ", not followed: ");
        to = tw_curl_plain_url(to, NULL);
        tq_buf_adds(&a->error, to != NULL ? to : "no Location that is a URL");
        tw_curl.free(to);
        return;
    }

    n = tq_text_cut(h->in.p, h->in.len, ERROR_BODY_MAX);
    if (n != 0) {
        tq_buf_adds(&a->error, ": ");
        tw_utf8_add(&a->error, h->in.p, n);
    }
}

/* 1: the same request was started again at another place of the same host. */
static int
follow(tw_http_t *h, long status)
{
    char  *to = NULL, *from = NULL;

    (void) tw_curl.easy_getinfo(h->easy, CURLINFO_REDIRECT_URL, &to);
    (void) tw_curl.easy_getinfo(h->easy, CURLINFO_EFFECTIVE_URL, &from);

    /* the others would turn the POST into a GET */
    if ((status != 307 && status != 308) || to == NULL || from == NULL
        || h->redirects++ >= REDIRECTS_MAX)
    {
        return 0;
    }

    if (!tw_curl_same_host(from, to)) {
        return 0;
    }

    tq_buf_reset(&h->in);
    h->head_bytes = 0;
    tw_curl_stop(h->easy);
    to = tw_curl_plain_url(to, NULL);     /* one of its own is not taken */
    (void) tw_curl.easy_setopt(h->easy, CURLOPT_URL, to);
    tw_curl.free(to);

    return tw_curl_start(h->easy) == 0;
}

/* libcurl has a bound of its own for a line. One that is longer is "Out of
 * memory" to it, as is the want of memory, or in newer ones too large. */
static int
head_too_long(tw_http_t *h, CURLcode code)
{
    int         is;
    tq_buf_t    b = {0};
    curl_off_t  began_us = 0;

    if (h->head_bytes > TQ_ANSWER_HEAD_BYTES) {
        return 1;
    }

    if (code != CURLE_OUT_OF_MEMORY) {
        return (int) code == TOO_LARGE && h->error[0] == '\0';
    }

    (void) tw_curl.easy_getinfo(h->easy, CURLINFO_STARTTRANSFER_TIME_T,
        &began_us);
    is = began_us > 0 && tq_buf_reserve(&b, 2 * CURL_MAX_HTTP_HEADER) == 0;
    tq_buf_free(&b);

    return is;
}

/* The transfer failed. Where it is the answer that cannot be read, the work is
 * done: again would be twice. */
static void
read_failure(tw_http_t *h, CURLcode code, tw_answer_t *a)
{
    const char  *why = h->error[0] ? h->error : tw_curl.easy_strerror(code);

    a->kind = TW_ANSWER_ERROR;

    if (h->too_long) {
        tq_buf_addf(&a->error, "the answer has more than %d bytes",
            TQ_ANSWER_LINE_BYTES);

    } else if (head_too_long(h, code)) {
        tq_buf_addf(&a->error, "the target's answer has more than %d bytes of "
            "headers and trailers", TQ_ANSWER_HEAD_BYTES);

    } else if (strcmp(why, "Out of memory in chunked-encoding") == 0) {
        tq_buf_adds(&a->error, "the target's answer has a trailer that is too "
            "long");

    } else {
        a->retryable = (int) code != TOO_LARGE
                       && code != CURLE_BAD_CONTENT_ENCODING;
        tq_buf_adds(&a->error, why);
    }
}

/* 1: h->in is what was sent, also when that needs no body. 0: the answer is
 * done. */
static int
unpack(tw_http_t *h, long status, tw_answer_t *a)
{
    tq_buf_t     plain = {0}, codings = {0};
    const char  *why = "out of memory";
    tw_unpack_t  rc = TW_UNPACK_BROKEN;

    all_lines(h, "Content-Encoding", &codings);

    if (codings.len == 0 && !codings.failed) {
        return 1;
    }

    if (tq_buf_cstr(&codings) != NULL) {
        rc = tw_unpack(codings.p, &h->in, TQ_ANSWER_LINE_BYTES, &plain, &why);
    }

    tq_buf_free(&codings);
    tq_buf_free(&h->in);

    if (rc == TW_UNPACK_OK) {
        h->in = plain;
        return 1;
    }

    tq_buf_free(&plain);

    if (status >= 300) {
        return 1;             /* what it says of the job needs no body */
    }

    if (rc == TW_UNPACK_LONG) {
        h->too_long = 1;
        read_failure(h, CURLE_WRITE_ERROR, a);
        return 0;
    }

    /* the work is done: again would be twice */
    a->kind = TW_ANSWER_ERROR;
    tq_buf_adds(&a->error, "the answer has a Content-Encoding that cannot be "
        "read: ");
    tw_utf8_add(&a->error, why, strlen(why));

    return 0;
}

static void
finish(void *data, CURLcode code)
{
    long         status = 0;
    tw_http_t   *h = data;
    tq_buf_t     text = {0};
    tw_answer_t  a;

    (void) tw_curl.easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);

    if (code == CURLE_OK && status >= 300 && status < 400
        && follow(h, status))
    {
        return;
    }

    memset(&a, 0, sizeof(a));
    a.wait_ms = -1;

    if (code != CURLE_OK) {
        read_failure(h, code, &a);
    } else if (unpack(h, status, &a)) {
        read_status(h, status, &a, &text);
    }

    tw_http_abort(h);
    h->cb(h->data, &a);
    tq_buf_free(&a.error);
    tq_buf_free(&text);
}

/* ---- the request ---- */

int
tw_http_init(uv_loop_t *loop)
{
    return tw_curl_loop_init(loop, finish);
}

void
tw_http_close(void)
{
    tw_curl_loop_close();
}

tw_http_t *
tw_http_new(tw_http_cb cb, void *data)
{
    tw_http_t  *h = calloc(1, sizeof(*h));

    if (h == NULL) {
        return NULL;
    }

    h->cb = cb;
    h->data = data;
    h->easy = tw_curl.easy_init();

    if (h->easy == NULL) {
        free(h);
        return NULL;
    }

    return h;
}

void
tw_http_free(tw_http_t *h)
{
    if (h != NULL) {
        tw_http_abort(h);
        tw_curl.easy_cleanup(h->easy);
        tq_buf_free(&h->in);
        tq_buf_free(&h->out);
        free(h);
    }
}

static int
add_header(tw_http_t *h, const char *name, const char *value)
{
    tq_buf_t            b = {0};
    struct curl_slist  *l = NULL;

    tq_buf_adds(&b, name);
    tq_buf_adds(&b, ": ");
    tq_buf_adds(&b, value);

    if (tq_buf_cstr(&b) != NULL) {
        l = tw_curl.slist_append(h->headers, b.p);
    }
    tq_buf_free(&b);

    if (l == NULL) {
        return -1;
    }

    h->headers = l;

    return 0;
}

static int
add_headers(tw_http_t *h, const tw_http_request_t *r)
{
    char  id[24], attempt[16];

    /* A coding that comes all the same is taken off (unpack.h). As an option
     * of libcurl's this would have it look at codings, too. */
    (void) snprintf(id, sizeof(id), "%lld", (long long) r->job_id);
    (void) snprintf(attempt, sizeof(attempt), "%d", r->attempt);

    return add_header(h, "Content-Type", "application/json")
           || add_header(h, "Accept", "application/json")
           || add_header(h, "Accept-Encoding", "identity")
           || add_header(h, "Expect", "")
           || add_header(h, "TaskMQ-Job-Id", id)
           || add_header(h, "TaskMQ-Task-Id", r->task_id)
           || add_header(h, "TaskMQ-Handler", r->handler)
           || add_header(h, "TaskMQ-Attempt", attempt)
           || add_header(h, "Idempotency-Key", r->key);
}

int
tw_http_start(tw_http_t *h, const tw_http_request_t *r)
{
    char  *url;
    CURL  *e = h->easy;

    tw_curl.easy_reset(e);
    tq_buf_reset(&h->in);
    tq_buf_reset(&h->out);
    h->too_long = 0;
    h->head_bytes = 0;
    h->redirects = 0;
    h->error[0] = '\0';

    tq_buf_add(&h->out, r->body.p, r->body.len);
    if (h->out.failed || add_headers(h, r) != 0) {
        tw_http_abort(h);
        return -1;
    }

    (void) tw_curl.easy_setopt(e, CURLOPT_PRIVATE, h);
    url = tw_curl_plain_url(r->url, e);
    (void) tw_curl.easy_setopt(e, CURLOPT_URL, url != NULL ? url : "");
    tw_curl.free(url);
    (void) tw_curl.easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    (void) tw_curl.easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    /* an end (timeout, cancel) must not wait for the thread that resolves */
    (void) tw_curl.easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    (void) tw_curl.easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
        (long) CONNECT_MS);
    (void) tw_curl.easy_setopt(e, CURLOPT_POST, 1L);
    (void) tw_curl.easy_setopt(e, CURLOPT_POSTFIELDS, h->out.p);
    (void) tw_curl.easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
        (curl_off_t) h->out.len);
    (void) tw_curl.easy_setopt(e, CURLOPT_HTTPHEADER, h->headers);
    (void) tw_curl.easy_setopt(e, CURLOPT_USERAGENT, "taskmq-worker");
    (void) tw_curl.easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    (void) tw_curl.easy_setopt(e, CURLOPT_WRITEDATA, h);
    (void) tw_curl.easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    (void) tw_curl.easy_setopt(e, CURLOPT_HEADERDATA, h);
    (void) tw_curl.easy_setopt(e, CURLOPT_ERRORBUFFER, h->error);

    if (tw_curl_start(e) != 0) {
        tw_http_abort(h);
        return -1;
    }

    h->active = 1;

    return 0;
}

void
tw_http_abort(tw_http_t *h)
{
    if (h->active) {
        tw_curl_stop(h->easy);
        h->active = 0;
    }

    tw_curl.slist_free_all(h->headers);
    h->headers = NULL;
}
