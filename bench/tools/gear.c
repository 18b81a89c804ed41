/*
 * gear.c: gearmand's own C library.
 *
 *   gear PORT put N      N background jobs, one after the other
 *   gear PORT drain N    one worker that does nothing, N jobs; jobs per second
 *                        from the first to the last
 */

#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char  payload[] =
    "{\"to\":\"someone@example.org\",\"subject\":\"hello\","
    "\"order\":1234567,\"text\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}";

static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static void
die(const char *what)
{
    fprintf(stderr, "gear: %s\n", what);
    exit(1);
}

static void
put(in_port_t port, long n)
{
    long                i;
    char                handle[GEARMAN_JOB_HANDLE_SIZE];
    gearman_client_st  *c = gearman_client_create(NULL);

    if (gearman_client_add_server(c, "127.0.0.1", port) != GEARMAN_SUCCESS) {
        die(gearman_client_error(c));
    }

    for (i = 0; i < n; i++) {
        if (gearman_client_do_background(c, "noop", NULL, payload,
            sizeof(payload) - 1, handle) != GEARMAN_SUCCESS)
        {
            die(gearman_client_error(c));
        }
    }
}

static void *
noop(gearman_job_st *job, void *data, size_t *size, gearman_return_t *rc)
{
    (void) job;
    (void) data;
    *size = 0;
    *rc = GEARMAN_SUCCESS;

    return NULL;
}

static void
drain(in_port_t port, long n)
{
    long                i;
    double              start = 0;
    gearman_worker_st  *w = gearman_worker_create(NULL);

    if (gearman_worker_add_server(w, "127.0.0.1", port) != GEARMAN_SUCCESS
        || gearman_worker_add_function(w, "noop", 0, noop, NULL)
           != GEARMAN_SUCCESS)
    {
        die(gearman_worker_error(w));
    }

    for (i = 0; i < n; i++) {
        if (gearman_worker_work(w) != GEARMAN_SUCCESS) {
            die(gearman_worker_error(w));
        }
        if (i == 0) {
            start = now();
        }
    }

    printf("%.0f\n", (double) (n - 1) / (now() - start));
}

int
main(int argc, char **argv)
{
    long    n;
    double  start = now();

    if (argc != 4 || (n = atol(argv[3])) <= 1) {
        die("usage: gear PORT put|drain N");
    }

    if (strcmp(argv[2], "put") == 0) {
        put((in_port_t) atoi(argv[1]), n);
        printf("%.0f\n", (double) n / (now() - start));
    } else {
        drain((in_port_t) atoi(argv[1]), n);
    }

    return 0;
}
