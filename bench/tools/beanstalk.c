/*
 * beanstalk.c: a client of beanstalkd that pipelines, on one connection.
 *
 *   beanstalk PORT put N       N jobs, 100 in flight
 *   beanstalk PORT drain N     reserves 100, then deletes them and reserves
 *                              the next 100 in one write
 *   beanstalk PORT due N SECS  N jobs delayed by SECS; drains them; prints ms
 *                              from their due time to the last deletion
 *   beanstalk PORT idle N      put, reserve by a second process, put of the
 *                              result, reserve: microseconds, one per line
 */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH  100

static const char  payload[] =
    "{\"to\":\"someone@example.org\",\"subject\":\"hello\","
    "\"order\":1234567,\"text\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}";

typedef struct {
    int     fd;
    FILE   *in;
    char   *out;
    size_t  len;
} conn_t;

static void
die(const char *what)
{
    fprintf(stderr, "beanstalk: %s\n", what);
    exit(1);
}

static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static conn_t
dial(int port)
{
    int                 one = 1;
    conn_t              c;
    struct sockaddr_in  sa = { .sin_family = AF_INET };

    sa.sin_port = htons((unsigned short) port);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c.fd < 0 || connect(c.fd, (struct sockaddr *) &sa, sizeof(sa)) != 0) {
        die("cannot connect");
    }
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c.in = fdopen(dup(c.fd), "r");
    c.out = malloc(1 << 20);
    c.len = 0;

    return c;
}

static void
flush(conn_t *c)
{
    size_t   off = 0;
    ssize_t  n;

    while (off < c->len) {
        n = write(c->fd, c->out + off, c->len - off);
        if (n <= 0) {
            die("write");
        }
        off += (size_t) n;
    }
    c->len = 0;
}

static void
line(conn_t *c, char *buf, int size, const char *want)
{
    if (fgets(buf, size, c->in) == NULL
        || strncmp(buf, want, strlen(want)) != 0)
    {
        die(buf);
    }
}

static void
put(conn_t *c, long n, int delay)
{
    int   k, part;
    long  i;
    char  buf[256];

    for (i = 0; i < n; i += part) {
        part = n - i < BATCH ? (int) (n - i) : BATCH;
        for (k = 0; k < part; k++) {
            c->len += (size_t) sprintf(c->out + c->len,
                "put 10 %d 60 %zu\r\n%s\r\n", delay, sizeof(payload) - 1,
                payload);
        }
        flush(c);
        for (k = 0; k < part; k++) {
            line(c, buf, sizeof(buf), "INSERTED ");
        }
    }
}

static void
drain(conn_t *c, long n)
{
    int     k, got = 0, part;
    char    buf[256], body[256];
    long    done = 0, asked = 0, len;
    long    ids[BATCH];

    while (done < n) {
        for (k = 0; k < got; k++) {
            c->len += (size_t) sprintf(c->out + c->len, "delete %ld\r\n",
                ids[k]);
        }
        part = n - asked < BATCH ? (int) (n - asked) : BATCH;
        for (k = 0; k < part; k++) {
            c->len += (size_t) sprintf(c->out + c->len, "reserve\r\n");
        }
        asked += part;
        flush(c);

        for (k = 0; k < got; k++) {
            line(c, buf, sizeof(buf), "DELETED");
        }
        done += got;

        for (k = 0; k < part; k++) {
            line(c, buf, sizeof(buf), "RESERVED ");
            if (sscanf(buf, "RESERVED %ld %ld", &ids[k], &len) != 2
                || len + 2 > (long) sizeof(body)
                || fread(body, 1, (size_t) len + 2, c->in)
                   != (size_t) len + 2)
            {
                die(buf);
            }
        }
        got = part;
    }
}

static void
due(conn_t *c, long n, int secs)
{
    double  at, start = now();

    put(c, n, secs);
    at = now() + secs;        /* the last one's */
    if (now() - start > secs) {
        die("the first jobs fell due before the last was put");
    }
    drain(c, n);
    printf("%.1f\n", (now() - at) * 1000);
}

static void
use(conn_t *c, const char *out, const char *in)
{
    char  buf[256];

    c->len = (size_t) sprintf(c->out, "use %s\r\nwatch %s\r\nignore default"
        "\r\n", out, in);
    flush(c);
    line(c, buf, sizeof(buf), "USING");
    line(c, buf, sizeof(buf), "WATCHING");
    line(c, buf, sizeof(buf), "WATCHING");
}

static void
idle(int port, long n)
{
    long             i;
    double           start;
    conn_t           c;
    struct timespec  pause = { 0, 5000000 };

    if (fork() == 0) {
        c = dial(port);
        use(&c, "results", "jobs");
        for (i = 0; i < n; i++) {
            drain(&c, 1);
            put(&c, 1, 0);
        }
        exit(0);
    }

    c = dial(port);
    use(&c, "jobs", "results");

    for (i = 0; i < n; i++) {
        nanosleep(&pause, NULL);
        start = now();
        put(&c, 1, 0);
        drain(&c, 1);
        printf("%.1f\n", (now() - start) * 1e6);
    }
}

int
main(int argc, char **argv)
{
    int     port;
    long    n;
    conn_t  c;
    double  start;

    if (argc < 4 || (port = atoi(argv[1])) == 0 || (n = atol(argv[3])) <= 0) {
        die("usage: beanstalk PORT put|drain|due|idle N [SECONDS]");
    }

    if (strcmp(argv[2], "idle") == 0) {
        idle(port, n);
        return 0;
    }

    c = dial(port);
    start = now();

    if (strcmp(argv[2], "put") == 0) {
        put(&c, n, 0);
    } else if (strcmp(argv[2], "drain") == 0) {
        drain(&c, n);
    } else if (strcmp(argv[2], "due") == 0 && argc == 5) {
        due(&c, n, atoi(argv[4]));
        return 0;
    } else {
        die("what?");
    }

    printf("%.0f\n", (double) n / (now() - start));

    return 0;
}
