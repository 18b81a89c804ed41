/*
 * health_http.c: the server of --listen: one request per connection, GET and
 * HEAD, two paths. A client has a few seconds in all; a slow or silent one
 * takes one of a few places, never the loop, and loses it to the next client
 * when all are taken. The namespace's totals cost Redis
 * milliseconds: one reading every TQ_STATS_MS serves all who ask.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "health_int.h"
#include "tw_base.h"

#define REQUEST_BYTES  8192
#define BACKLOG        4096   /* a flood of connections waits there, too */

typedef struct client_s  client_t;

struct client_s {
    uv_tcp_t     tcp;
    uv_timer_t   timer;
    uv_write_t   write;
    tw_queue_t  *q;
    char         in[REQUEST_BYTES];
    size_t       len;
    int          head;        /* HEAD: no body */
    int          answered;
    uint64_t     number;      /* in the order they came */
    int          waits;       /* for Redis' answer */
    client_t    *next;        /* … as this one does, too */
    unsigned     handles;
    tq_buf_t     out;
};

static uv_tcp_t   server;
static uv_idle_t  turn;
static unsigned   let_in;     /* clients, in this turn of the loop */
static int        kept_out;   /* one more, which libuv holds meanwhile */
static int        listening;
static unsigned   nclients;
static uint64_t   came;
static client_t  *clients[TQ_HTTP_CLIENTS_MAX];

static struct {
    tq_result_t  *read;       /* NULL: not read yet, or not to be had */
    int64_t       at_ms;
    int           asking;
    client_t     *waiting;
} totals;

static void
free_client(client_t *c)
{
    tq_buf_free(&c->out);
    free(c);
}

static void
on_closed(uv_handle_t *h)
{
    client_t  *c = h->data;

    /* one that waits for Redis is freed by that answer */
    if (--c->handles == 0 && !c->waits) {
        free_client(c);
    }
}

static void
close_client(client_t *c)
{
    unsigned  i;

    if (uv_is_closing((uv_handle_t *) &c->tcp)) {
        return;
    }

    for (i = 0; i < nclients; i++) {
        if (clients[i] == c) {
            clients[i] = clients[--nclients];
            break;
        }
    }

    uv_close((uv_handle_t *) &c->tcp, on_closed);
    uv_close((uv_handle_t *) &c->timer, on_closed);
}

static void
on_timeout(uv_timer_t *t)
{
    close_client(t->data);
}

static void
on_written(uv_write_t *req, int status)
{
    (void) status;
    close_client(req->data);
}

static void
answer(client_t *c, const char *status, const char *type, tq_buf_t *body)
{
    uv_buf_t     buf;
    const char  *allow;

    /* RFC 9110, 15.5.6: what would do */
    allow = strncmp(status, "405", 3) == 0 ? "Allow: GET, HEAD\r\n" : "";

    c->answered = 1;
    tq_buf_addf(&c->out, "HTTP/1.1 %s\r\nContent-Type: %s\r\n"
        "Content-Length: %zu\r\n%sCache-Control: no-store\r\n"
        "Connection: close\r\n\r\n", status, type, body->len, allow);
    if (!c->head) {
        tq_buf_add(&c->out, body->p, body->len);
    }

    c->out.failed |= body->failed;
    tq_buf_free(body);

    buf = uv_buf_init(c->out.p, (unsigned) c->out.len);
    c->write.data = c;
    if (c->out.failed || uv_write(&c->write, (uv_stream_t *) &c->tcp, &buf,
            1, on_written) != 0)
    {
        close_client(c);
    }
}

static void
answer_error(client_t *c, const char *status)
{
    tq_buf_t  b = {0};

    tq_buf_addf(&b, "{\"detail\":\"%s\"}\n", status + 4);
    answer(c, status, "application/json", &b);
}

static void
answer_metrics(client_t *c, const tq_result_t *res)
{
    tq_buf_t  b = {0};

    tw_health_metrics(&b, c->q);

    if (res != NULL) {
        tq_metrics_namespace(&b, res);
    } else {
        tq_metrics_head(&b, "daemon_health", "gauge",
            "1 when the queue answers");
        tq_metrics_value(&b, "daemon_health", 0);
    }

    answer(c, "200 OK", TQ_METRICS_TYPE, &b);
}

static void
drop_sums(void)
{
    tq_result_free(totals.read);
    totals.read = NULL;
}

static void
on_stats(void *data, const tq_result_t *res)
{
    client_t    *c, *next;
    tw_queue_t  *q = data;

    drop_sums();
    totals.asking = 0;
    totals.at_ms = tw_now(q->loop);
    if (res->status == TQ_OK && listening) {
        totals.read = tq_result_keep(res);
    }

    c = totals.waiting;
    totals.waiting = NULL;

    for ( /* void */ ; c != NULL; c = next) {
        next = c->next;
        c->waits = 0;

        if (c->handles == 0) {
            free_client(c);   /* it went while we waited */
        } else if (!uv_is_closing((uv_handle_t *) &c->tcp)) {
            answer_metrics(c, res->status == TQ_OK ? res : NULL);
        }
    }
}

static void
serve_metrics(client_t *c)
{
    tw_queue_t  *q = c->q;

    if (!tw_queue_is_ready(q)) {
        answer_metrics(c, NULL);
        return;
    }

    /* an answer that was an error counts, too: it may have cost as much */
    if (!totals.asking && totals.at_ms != 0
        && tw_now(q->loop) - totals.at_ms < TQ_STATS_MS)
    {
        answer_metrics(c, totals.read);
        return;
    }

    if (!totals.asking
        && tw_queue_stats(q, on_stats, q) != 0)
    {
        answer_metrics(c, NULL);
        return;
    }

    totals.asking = 1;
    c->waits = 1;
    c->next = totals.waiting;
    totals.waiting = c;
}

/* The path of the request line METHOD TARGET HTTP/1.x, with NUL, or NULL: it
 * is none. The target may be a whole URL (RFC 9112, 3.2.2: servers must). */
static char *
read_path(char *line)
{
    char         *path, *end;
    static char   root[] = "/";

    path = strchr(line, ' ');
    end = path != NULL ? strpbrk(path + 1, " \r\n") : NULL;

    if (end == NULL || end == path + 1 || path == line
        || strncmp(end, " HTTP/1.", 8) != 0 || end[8] < '0' || end[8] > '9'
        || end[9] != '\r')
    {
        return NULL;
    }

    *end = '\0';
    path++;

    if (strncasecmp(path, "http://", 7) == 0) {
        path += 7;
        path += strcspn(path, "/?");
    }

    path[strcspn(path, "?")] = '\0';

    return *path != '\0' ? path : root;
}

/* c->in is a whole request, with NUL. */
static void
serve(client_t *c)
{
    int          get;
    char        *path;
    tq_buf_t     b = {0};
    const char  *status;

    c->head = strncmp(c->in, "HEAD ", 5) == 0;
    get = strncmp(c->in, "GET ", 4) == 0;
    path = read_path(c->in);

    if (path == NULL) {
        answer_error(c, "400 Bad Request");
        return;
    }

    if (!c->head && !get) {
        answer_error(c, "405 Method Not Allowed");
        return;
    }

    if (strcmp(path, "/healthz") == 0 || strcmp(path, "/health") == 0) {
        status = tw_health_why(c->q) == NULL ? "200 OK"
                 : "503 Service Unavailable";
        tw_health_json(&b, c->q);
        answer(c, status, "application/json", &b);

    } else if (strcmp(path, "/metrics") == 0) {
        serve_metrics(c);

    } else {
        answer_error(c, "404 Not Found");
    }
}

static void
on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
    client_t  *c = h->data;

    (void) size;
    *buf = uv_buf_init(c->in + c->len,
        (unsigned) (sizeof(c->in) - 1 - c->len));
}

/* n more bytes are in c->in. */
static void
take(client_t *c, size_t n)
{
    c->len += n;
    c->in[c->len] = '\0';

    if (c->len == sizeof(c->in) - 1) {
        answer_error(c, "431 Request Header Fields Too Large");
    } else if (strstr(c->in, "\r\n\r\n") != NULL) {
        serve(c);
    }
}

static void
on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    client_t  *c = s->data;

    (void) buf;

    if (n < 0) {
        close_client(c);
        return;
    }

    take(c, (size_t) n);

    if (c->answered || c->waits) {
        (void) uv_read_stop(s);
    }
}

/* Whether a loses its place before b does. */
static int
goes_first(const client_t *a, const client_t *b)
{
    int  a_asked = a->waits || a->answered, b_asked = b->waits || b->answered;

    return a_asked != b_asked ? !a_asked : a->number < b->number;
}

/* A place for one more: it is the oldest's that has not asked yet. */
static void
make_room(void)
{
    unsigned   i;
    client_t  *c;

    if (nclients < TQ_HTTP_CLIENTS_MAX) {
        return;
    }

    for (c = clients[0], i = 1; i < nclients; i++) {
        if (goes_first(clients[i], c)) {
            c = clients[i];
        }
    }

    close_client(c);
}

/* What is there already is answered before more clients are let in: among
 * thousands of silent ones, the next may cost this one its place. */
static void
read_now(client_t *c)
{
    int      fd;
    ssize_t  n;

    if (uv_fileno((uv_handle_t *) &c->tcp, &fd) != 0) {
        return;
    }

    n = recv(fd, c->in, sizeof(c->in) - 1, MSG_DONTWAIT);

    if (n > 0) {
        take(c, (size_t) n);
    }
}

static void
let_client_in(uv_stream_t *s)
{
    client_t  *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        return;
    }

    c->q = s->data;
    (void) uv_tcp_init(c->q->loop, &c->tcp);
    (void) uv_timer_init(c->q->loop, &c->timer);
    c->tcp.data = c;
    c->timer.data = c;
    c->handles = 2;

    if (uv_accept(s, (uv_stream_t *) &c->tcp) != 0) {
        close_client(c);
        return;
    }

    make_room();
    clients[nclients++] = c;
    c->number = ++came;
    (void) uv_timer_start(&c->timer, on_timeout, TQ_HTTP_CLIENT_MS, 0);

    read_now(c);

    if (!c->answered && !c->waits) {
        (void) uv_read_start((uv_stream_t *) &c->tcp, on_alloc, on_read);
    }
}

static void on_turn(uv_idle_t *i);

/* libuv accepts until nobody waits, which may be never: no more in one turn
 * than there are places. */
static void
on_connect(uv_stream_t *s, int status)
{
    if (status != 0) {
        return;
    }

    (void) uv_idle_start(&turn, on_turn);

    if (let_in == TQ_HTTP_CLIENTS_MAX) {
        kept_out = 1;
        return;
    }

    let_in++;
    let_client_in(s);
}

static void
on_turn(uv_idle_t *i)
{
    (void) uv_idle_stop(i);
    let_in = 0;

    if (kept_out) {
        kept_out = 0;
        on_connect((uv_stream_t *) &server, 0);
    }
}

/* HOST:PORT, numbers only: a server that starts must not wait for DNS. */
static int
parse_where(const char *where, struct sockaddr_storage *sa)
{
    char         host[64];
    long         port;
    size_t       n;
    char        *end;
    const char  *colon = strrchr(where, ':');

    if (colon == NULL) {
        return -1;
    }

    port = strtol(colon + 1, &end, 10);
    n = (size_t) (colon - where);
    if (end == colon + 1 || *end != '\0' || port < 0 || port > 65535
        || n >= sizeof(host))
    {
        return -1;
    }

    memcpy(host, where, n);
    host[n] = '\0';

    if (host[0] == '[' && n > 2 && host[n - 1] == ']') {
        host[n - 1] = '\0';
        return uv_ip6_addr(host + 1, (int) port, (struct sockaddr_in6 *) sa);
    }

    return uv_ip4_addr(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
        (int) port, (struct sockaddr_in *) sa);
}

int
tw_health_listen(tw_queue_t *q, const char *where)
{
    int                      rc;
    struct sockaddr_storage  sa = {0};

    if (parse_where(where, &sa) != 0) {
        TW_LOG(TW_ERROR, "--listen: expected ADDRESS:PORT",
            tw_fs("got", where));
        return -1;
    }

    if (uv_tcp_init(q->loop, &server) != 0) {
        return -1;
    }
    (void) uv_idle_init(q->loop, &turn);

    listening = 1;
    server.data = q;
    rc = uv_tcp_bind(&server, (struct sockaddr *) &sa, 0);
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *) &server, BACKLOG, on_connect);
    }

    if (rc != 0) {
        TW_LOG(TW_ERROR, "--listen", tw_fs("address", where),
            tw_fs("error", uv_strerror(rc)));
        return -1;
    }

    TW_LOG(TW_INFO, "listening", tw_fs("address", where));

    return 0;
}

void
tw_health_close(void)
{
    if (listening) {
        listening = 0;
        uv_close((uv_handle_t *) &server, NULL);
        uv_close((uv_handle_t *) &turn, NULL);
        while (nclients != 0) {
            close_client(clients[0]);
        }
        drop_sums();
    }
}
