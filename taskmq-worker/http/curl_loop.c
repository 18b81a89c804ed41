/* curl_loop.c: see curl_loop.h. */

#include <stdlib.h>

#include "curl_load.h"
#include "curl_loop.h"

/* A socket of curl's, watched by the loop. */
typedef struct {
    uv_poll_t      poll;
    curl_socket_t  fd;
} watch_t;

static CURLM            *multi;
static uv_loop_t        *loop;
static uv_timer_t        timer;
static uv_idle_t         soon;        /* libcurl asked for 0 ms */
static tw_curl_done_cb   done_cb;

static void
check_done(void)
{
    int        left;
    void      *private;
    CURLMsg   *m;
    CURLcode   code;

    while (multi != NULL
           && (m = tw_curl.multi_info_read(multi, &left)) != NULL)
    {
        if (m->msg == CURLMSG_DONE) {
            code = m->data.result;    /* m dies with the next curl call */
            private = NULL;
            (void) tw_curl.easy_getinfo(m->easy_handle, CURLINFO_PRIVATE,
                &private);
            done_cb(private, code);
        }
    }
}

static void
go_on(void)
{
    int  running;

    (void) tw_curl.multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    check_done();
}

static void
on_timer(uv_timer_t *t)
{
    (void) t;
    go_on();
}

static void
on_soon(uv_idle_t *i)
{
    (void) uv_idle_stop(i);
    go_on();
}

/* libcurl asks for 0 ms each time it stops reading a fast peer's answer to let
 * others have their turn. As a timer that would be none: libuv runs timers
 * until none is due, and the time stands still meanwhile. */
static int
set_timer(CURLM *m, long ms, void *data)
{
    (void) m;
    (void) data;

    (void) uv_timer_stop(&timer);
    (void) uv_idle_stop(&soon);

    if (ms == 0) {
        (void) uv_idle_start(&soon, on_soon);
    } else if (ms > 0) {
        (void) uv_timer_start(&timer, on_timer, (uint64_t) ms, 0);
    }

    return 0;
}

static void
on_socket(uv_poll_t *p, int status, int events)
{
    int       flags = 0, running;
    watch_t  *w = p->data;

    if (status < 0) {
        flags = CURL_CSELECT_ERR;
    }
    if (events & UV_READABLE) {
        flags |= CURL_CSELECT_IN;
    }
    if (events & UV_WRITABLE) {
        flags |= CURL_CSELECT_OUT;
    }

    (void) tw_curl.multi_socket_action(multi, w->fd, flags, &running);
    check_done();
}

static void
on_watch_closed(uv_handle_t *h)
{
    free(h->data);
}

static int
set_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket)
{
    int       events = 0;
    watch_t  *w = socket;

    (void) easy;
    (void) data;

    if (what == CURL_POLL_REMOVE) {
        if (w != NULL) {
            (void) tw_curl.multi_assign(multi, fd, NULL);
            (void) uv_poll_stop(&w->poll);
            uv_close((uv_handle_t *) &w->poll, on_watch_closed);
        }
        return 0;
    }

    if (w == NULL) {
        w = calloc(1, sizeof(*w));
        if (w == NULL || uv_poll_init_socket(loop, &w->poll, fd) != 0) {
            free(w);
            return -1;
        }
        w->poll.data = w;
        w->fd = fd;
        (void) tw_curl.multi_assign(multi, fd, w);
    }

    if (what & CURL_POLL_IN) {
        events |= UV_READABLE;
    }
    if (what & CURL_POLL_OUT) {
        events |= UV_WRITABLE;
    }

    return uv_poll_start(&w->poll, events, on_socket) == 0 ? 0 : -1;
}

int
tw_curl_loop_init(uv_loop_t *l, tw_curl_done_cb done)
{
    if (multi != NULL) {
        return 0;
    }

    loop = l;
    done_cb = done;
    if (tw_curl.global_init(CURL_GLOBAL_DEFAULT) != 0
        || (multi = tw_curl.multi_init()) == NULL
        || uv_timer_init(loop, &timer) != 0
        || uv_idle_init(loop, &soon) != 0)
    {
        return -1;
    }

    (void) tw_curl.multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void) tw_curl.multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, set_socket);

    return 0;
}

void
tw_curl_loop_close(void)
{
    if (multi != NULL) {
        (void) tw_curl.multi_cleanup(multi);
        multi = NULL;
        uv_close((uv_handle_t *) &timer, NULL);
        uv_close((uv_handle_t *) &soon, NULL);
        tw_curl.global_cleanup();
    }
}

int
tw_curl_start(CURL *e)
{
    return tw_curl.multi_add_handle(multi, e) == CURLM_OK ? 0 : -1;
}

void
tw_curl_stop(CURL *e)
{
    (void) tw_curl.multi_remove_handle(multi, e);
}
