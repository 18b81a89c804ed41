/*
 * add_bulk.c: `taskmq add-job --from`: NDJSON in, batches of one script call
 * each out, a few of them in flight at a time.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tc_add.h"

#define BATCH_BYTES      (1024 * 1024)
#define BATCHES_AHEAD    8
#define READ_BYTES       (256 * 1024)
#define HOLD_MS          100     /* how long a line waits for others */
#define LINE_MAX_BYTES   (TQ_PAYLOAD_MAX_BYTES + TQ_LINE_EXTRA_BYTES)

typedef struct {
    tc_t           *tc;
    tq_str_t        tail;
    tq_buf_t        body;
    tq_enqueue_t    batch;
    int64_t         lines[TQ_BULK_MAX_JOBS];  /* of the batch's jobs */
    int64_t         line;        /* the one being read, from 1 */
    int64_t         since_ms;    /* when the batch got its first job */
    int             asked;       /* whether a worker serves HANDLER */
    unsigned        started;     /* batches in flight */
    int             stopped;     /* the signal that ended the reading */

    int64_t         added, refused, unknown;
    int64_t         bad_line;    /* first line refused by Redis */
    int64_t         bad_why;
    char            lost[256];   /* why a batch has no outcome */
    int64_t         first, last; /* the range of ids being collected */
    tq_buf_t        ranges;      /* "1-1000\n1004-1007\n", or as JSON: */
    cJSON          *json_ranges; /* [[1,1000],[1004,1007]] */
} bulk_t;

/* A batch in flight. */
typedef struct {
    bulk_t         *bulk;
    unsigned        jobs;
    int64_t         lines[];
} flight_t;


static void
close_range_of_ids(bulk_t *k)
{
    char  json[48];

    if (k->first == 0) {
        return;
    }

    if (k->tc->json) {
        snprintf(json, sizeof(json), "[%lld,%lld]", (long long) k->first,
                 (long long) k->last);
        tq_doc_add(&k->json_ranges, NULL,
                   tq_doc_raw((tq_str_t) { json, strlen(json) }));
    } else {
        tq_buf_addf(&k->ranges, "%lld-%lld\n", (long long) k->first,
                    (long long) k->last);
    }

    k->first = 0;
}


static void
collect(bulk_t *k, int64_t id)
{
    k->added++;

    if (k->first != 0 && id == k->last + 1) {
        k->last = id;
        return;
    }

    close_range_of_ids(k);
    k->first = id;
    k->last = id;
}


/* What became of a line. */
static void
landed_line(bulk_t *k, int64_t line, int64_t id)
{
    if (id > 0) {
        collect(k, id);
        return;
    }

    k->refused++;

    if (k->bad_line == 0) {
        k->bad_line = line;
        k->bad_why = id;
    }
}


static void
landed(void *data, const tq_result_t *res)
{
    unsigned   i;
    flight_t  *f = data;
    bulk_t    *k = f->bulk;

    switch (res->status) {

    case TQ_OK:
        for (i = 0; i < f->jobs; i++) {
            landed_line(k, f->lines[i], tq_enqueued(res, i));
        }
        break;

    case TQ_REFUSED:
        if (res->odd) {
            k->unknown += f->jobs;
            snprintf(k->lost, sizeof(k->lost), TC_ODD);
            break;
        }

        if (k->lost[0] == '\0') {
            tq_text_print(k->lost, sizeof(k->lost), "Redis: %s", res->text);
        }
        if (res->half) {
            k->unknown += f->jobs;
        } else {
            k->refused += f->jobs;
        }
        break;

    case TQ_NOT_SENT:
        k->refused += f->jobs;
        break;

    case TQ_UNKNOWN:
        k->unknown += f->jobs;
        break;
    }

    free(f);
}


/* Waits for what was sent. */
static int
settle(bulk_t *k)
{
    k->started = 0;

    if (tq_sync_wait_all(k->tc->redis) != 0) {
        snprintf(k->lost, sizeof(k->lost), "%s", tq_sync_why(k->tc->redis));
        return TC_UNAVAILABLE;
    }

    return (k->refused + k->unknown != 0) ? TC_FAILED : TC_OK;
}


/* Sends the batch. TC_OK, or TC_UNAVAILABLE, or TC_FAILED; why is in k. */
static int
send_batch(bulk_t *k)
{
    tq_call_t  *call;
    flight_t   *f;
    unsigned    jobs;

    jobs = k->batch.jobs;
    if (jobs == 0) {
        return TC_OK;
    }

    f = malloc(sizeof(flight_t) + jobs * sizeof(int64_t));
    if (f == NULL) {
        return tc_error(k->tc, TC_FAILED, "out of memory");
    }

    f->bulk = k;
    f->jobs = jobs;
    memcpy(f->lines, k->lines, jobs * sizeof(int64_t));

    call = tq_enqueue_call(&k->batch, &k->tc->ns, landed, f);

    if (call == NULL) {
        free(f);
        return tc_error(k->tc, TC_FAILED, "out of memory");
    }

    if (tq_sync_start(k->tc->redis, call) != 0) {
        free(f);
        snprintf(k->lost, sizeof(k->lost), "%s", tq_sync_why(k->tc->redis));
        return TC_UNAVAILABLE;
    }

    return ++k->started < BATCHES_AHEAD ? TC_OK : settle(k);
}


static int
is_blank(tq_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (!tc_is_blank(s.p[i])) {
            return 0;
        }
    }

    return 1;
}


/* The first job goes alone: it finds out whether its handler is served. */
static int
send_first(bulk_t *k, const tq_job_t *job)
{
    int      code;
    int64_t  id;

    k->asked = 1;

    code = tc_add_send(k->tc, tq_str(""), 0, job, &id);

    if (code == TC_OK && id > 0) {
        collect(k, id);

    } else if (code == TC_OK) {
        k->bad_line = k->line;
        k->bad_why = id;
        code = TC_FAILED;
    }

    return code;
}


static int
take_line(bulk_t *k, tq_str_t line)
{
    int       code;
    char      where[40];
    tq_job_t  job;

    k->line++;

    if (is_blank(line)) {
        return TC_OK;
    }

    snprintf(where, sizeof(where), "line %lld: ", (long long) k->line);

    code = tc_add_read(k->tc, where, line, k->tail, &k->body, &job);
    if (code != TC_OK) {
        return code;
    }

    if (k->tail.len != 0 && !k->asked) {
        return send_first(k, &job);
    }

    if (k->batch.jobs == 0) {
        k->since_ms = tc_now_ms();
    }

    k->lines[k->batch.jobs] = k->line;

    if (tq_enqueue_add(&k->batch, &k->tc->ns, tq_str(""), tq_str(""), 0, 0,
            &job, 1) < 0)
    {
        return tc_error(k->tc, TC_FAILED, "out of memory");
    }

    if (k->batch.jobs == TQ_BULK_MAX_JOBS || k->batch.bytes > BATCH_BYTES) {
        return send_batch(k);
    }

    return TC_OK;
}


/* Takes the complete lines at the start of b and keeps the rest. */
static int
take_lines(bulk_t *k, tq_buf_t *b, size_t searched)
{
    int     code;
    char   *p, *nl;
    size_t  from;

    from = 0;
    code = TC_OK;

    while (code == TC_OK) {
        p = b->p + from;
        nl = memchr(b->p + searched, '\n', b->len - searched);
        if (nl == NULL) {
            break;
        }

        code = take_line(k, (tq_str_t) { p, (size_t) (nl - p) });
        from = (size_t) (nl - b->p) + 1;
        searched = from;
    }

    memmove(b->p, b->p + from, b->len - from);
    b->len -= from;
    return code;
}


/* Waits for more input; what was read does not wait with it. */
static int
wait_for_lines(bulk_t *k, int fd)
{
    int      code, ready;
    int64_t  left;

    for ( ;; ) {
        left = -1;

        if (k->batch.jobs != 0 || k->started != 0) {
            left = k->since_ms + HOLD_MS - tc_now_ms();
            left = left < 0 ? 0 : left;
        }

        ready = tc_stop_wait(fd, left);

        if (ready > 0) {
            return TC_OK;
        }

        if (ready < 0) {
            k->stopped = tc_stop_asked();
            return TC_FAILED;
        }

        code = send_batch(k);

        if (code == TC_OK && k->started != 0) {
            code = settle(k);
        }

        if (code != TC_OK) {
            return code;
        }
    }
}


static int
read_lines(bulk_t *k, int fd, const char *path)
{
    int            code;
    ssize_t        n;
    int64_t        done;
    tq_buf_t       b = { 0 };
    struct stat    st;
    tc_progress_t  bar;

    tc_progress_start(k->tc, &bar,
                      fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
                      ? st.st_size : 0);
    done = 0;
    code = TC_OK;

    while (code == TC_OK) {

        if (tq_buf_reserve(&b, READ_BYTES) != 0) {
            code = tc_error(k->tc, TC_FAILED, "out of memory");
            break;
        }

        code = wait_for_lines(k, fd);
        if (code != TC_OK) {
            break;
        }

        n = read(fd, b.p + b.len, READ_BYTES);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n == -1) {
            code = tc_error(k->tc, TC_USAGE, "%s: %s", path, strerror(errno));
            break;
        }

        if (n == 0) {
            /* it may have come between the wait and the end of input */
            k->stopped = tc_stop_asked();

            if (k->stopped != 0) {
                code = TC_FAILED;

            } else if (b.len != 0) {
                code = take_line(k, (tq_str_t) { b.p, b.len });
            }
            break;
        }

        b.len += (size_t) n;
        done += n;
        code = take_lines(k, &b, b.len - (size_t) n);

        if (code == TC_OK && b.len > LINE_MAX_BYTES) {
            code = tc_error(k->tc, TC_USAGE, "line %lld: longer than %d bytes",
                            (long long) k->line + 1, LINE_MAX_BYTES);
        }

        tc_progress(&bar, done, "jobs", k->line);
    }

    tc_progress_end(&bar);
    tq_buf_free(&b);
    return code;
}


/* Says what came of it, on stdout what was added, on stderr what was not. */
static int
report(bulk_t *k, int code)
{
    close_range_of_ids(k);

    if (k->tc->json) {
        tc_add_doc(&k->ranges, tq_doc_object(
            { "status", tq_doc_text(code == TC_OK ? "ok" : "error") },
            { "added", tq_doc_int(k->added) },
            { "job_ids", k->json_ranges }));
    }

    if (k->bad_line != 0) {
        code = tc_error(k->tc, tc_add_code(k->bad_why), "line %lld: %s",
                        (long long) k->bad_line, tc_add_why(k->bad_why));

    } else if (k->unknown != 0) {
        code = tc_error(k->tc, TC_UNKNOWN, "%s: the outcome of %lld jobs is "
                        "unknown", k->lost, (long long) k->unknown);

    } else if (k->lost[0] != '\0') {
        code = tc_error(k->tc, TC_UNAVAILABLE, "%s", k->lost);

    } else if (k->stopped != 0) {
        code = tc_error(k->tc, 128 + k->stopped, "stopped by signal %d (%s): "
                        "line %lld and what follows it were not added",
                        k->stopped, strsignal(k->stopped),
                        (long long) (k->batch.jobs != 0 ? k->lines[0]
                                     : k->line + 1));
    }

    if (tc_print(k->tc, &k->ranges) != TC_OK && code == TC_OK) {
        code = TC_FAILED;
    }

    if (code != TC_OK && !k->tc->json) {
        fprintf(stderr, "taskmq: jobs that were added before that: %lld\n",
                (long long) k->added);
    }

    return code;
}


int
tc_add_bulk(tc_t *tc, const char *path, tq_str_t tail)
{
    int      fd, code, sent;
    bulk_t  *k;

    fd = STDIN_FILENO;

    if (strcmp(path, "-") != 0) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd == -1) {
            return tc_error(tc, TC_USAGE, "%s: %s", path, strerror(errno));
        }
    }

    k = calloc(1, sizeof(bulk_t));
    if (k == NULL) {
        return tc_error(tc, TC_FAILED, "out of memory");
    }

    k->tc = tc;
    k->tail = tail;
    k->json_ranges = tc->json ? cJSON_CreateArray() : NULL;

    tc_stop_watch();
    code = read_lines(k, fd, path);

    /* A wrong line does not take the ones before it along. */
    if (code == TC_OK || code == TC_USAGE) {
        sent = send_batch(k);
        if (code == TC_OK) {
            code = sent;
        }
    }

    if (tq_sync_wait_all(tc->redis) != 0 && k->lost[0] == '\0') {
        snprintf(k->lost, sizeof(k->lost), "%s", tq_sync_why(tc->redis));
    }

    code = report(k, code);

    if (fd != STDIN_FILENO) {
        close(fd);
    }

    tq_enqueue_drop(&k->batch);
    tq_buf_free(&k->body);
    free(k);
    return code;
}
