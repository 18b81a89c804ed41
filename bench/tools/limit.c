/*
 * limit.c: what Redis itself allows a job queue, by the plainest scripts (see
 * limit/) and one synchronous connection.
 *
 *   limit SOCKET DIR fill N           N jobs, pipelined
 *   limit SOCKET DIR drain N BATCH    completes the last batch and claims the
 *                                     next in one write
 *   limit SOCKET DIR idle N           push, blocked pop wakes, push, blocked
 *                                     pop: microseconds, one per line
 *
 * fill and drain print jobs per second.
 */

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char  *payload =
    "{\"to\":\"someone@example.org\",\"subject\":\"hello\","
    "\"order\":1234567,\"text\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}";

static void
die(const char *what)
{
    fprintf(stderr, "limit: %s\n", what);
    exit(1);
}

static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static redisContext *
dial(const char *sock)
{
    redisContext  *c = redisConnectUnix(sock);

    if (c == NULL || c->err) {
        die("cannot connect");
    }

    return c;
}

static redisReply *
answer(redisContext *c)
{
    redisReply  *r;

    if (redisGetReply(c, (void **) &r) != REDIS_OK) {
        die(c->errstr);
    }

    if (r->type == REDIS_REPLY_ERROR) {
        die(r->str);
    }

    return r;
}

static char *
load(redisContext *c, const char *dir, const char *name)
{
    char         path[4096], text[4096], *sha;
    size_t       n;
    FILE        *f;
    redisReply  *r;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "r");
    if (f == NULL) {
        die(path);
    }

    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);

    redisAppendCommand(c, "SCRIPT LOAD %b", text, n);
    r = answer(c);
    sha = strdup(r->str);
    freeReplyObject(r);

    return sha;
}

static void
fill(redisContext *c, const char *dir, long n)
{
    int     k, part;
    char   *sha = load(c, dir, "enqueue.lua");
    long    i;
    double  start = now();

    for (i = 0; i < n; i += part) {
        part = n - i < 500 ? (int) (n - i) : 500;
        for (k = 0; k < part; k++) {
            redisAppendCommand(c, "EVALSHA %s 1 l: dummy %s 10 1", sha,
                payload);
        }
        for (k = 0; k < part; k++) {
            freeReplyObject(answer(c));
        }
    }

    printf("%.0f\n", (double) n / (now() - start));
}

static void
drain(redisContext *c, const char *dir, long n, int batch)
{
    int           argc = 0;
    char         *claim = load(c, dir, "claim.lua");
    char         *ack = load(c, dir, "ack.lua"), lease[32], size[16];
    long          done = 0;
    size_t        i;
    double        start = now();
    const char  **argv = calloc((size_t) batch + 4, sizeof(char *));
    redisReply   *jobs = NULL, *r;

    snprintf(size, sizeof(size), "%d", batch);
    snprintf(lease, sizeof(lease), "%.0f", (double) time(NULL) * 1000 + 30000);

    while (done < n) {
        if (jobs != NULL) {
            argc = 0;
            argv[argc++] = "EVALSHA";
            argv[argc++] = ack;
            argv[argc++] = "1";
            argv[argc++] = "l:";
            for (i = 0; i < jobs->elements; i += 2) {
                argv[argc++] = jobs->element[i]->str;
            }
            redisAppendCommandArgv(c, argc, argv, NULL);
        }

        redisAppendCommand(c, "EVALSHA %s 1 l: %s %s 0123456789abcdef",
            claim, size, lease);

        if (jobs != NULL) {
            r = answer(c);
            done += r->integer;
            freeReplyObject(r);
            freeReplyObject(jobs);
        }

        jobs = answer(c);
        if (jobs->elements == 0 && done < n) {
            die("fewer jobs than expected");
        }
    }

    printf("%.0f\n", (double) done / (now() - start));
}

static void
echo(const char *sock, long n)
{
    redisContext  *c = dial(sock);

    while (n-- > 0) {
        redisAppendCommand(c, "BRPOP q 0");
        freeReplyObject(answer(c));
        redisAppendCommand(c, "LPUSH r %s", payload);
        freeReplyObject(answer(c));
    }
}

static void
idle(const char *sock, long n)
{
    long             i;
    double           start;
    redisContext    *c;
    struct timespec  pause = { 0, 5000000 };

    if (fork() == 0) {
        echo(sock, n);
        exit(0);
    }

    c = dial(sock);

    for (i = 0; i < n; i++) {
        nanosleep(&pause, NULL);
        start = now();
        redisAppendCommand(c, "LPUSH q %s", payload);
        freeReplyObject(answer(c));
        redisAppendCommand(c, "BRPOP r 0");
        freeReplyObject(answer(c));
        printf("%.1f\n", (now() - start) * 1e6);
    }
}

int
main(int argc, char **argv)
{
    long           n;
    redisContext  *c;

    if (argc < 5 || (n = atol(argv[4])) <= 0) {
        die("usage: limit SOCKET DIR fill|drain|idle N [BATCH]");
    }

    c = dial(argv[1]);

    if (strcmp(argv[3], "fill") == 0) {
        fill(c, argv[2], n);
    } else if (strcmp(argv[3], "drain") == 0 && argc == 6) {
        drain(c, argv[2], n, atoi(argv[5]));
    } else if (strcmp(argv[3], "idle") == 0) {
        idle(argv[1], n);
    } else {
        die("what?");
    }

    return 0;
}
