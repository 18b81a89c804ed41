/*
 * A handler: {"limit": N} -> how many primes up to N, and the largest.
 *
 *     cc -O2 -o primes clients/c/primes.c -lcjson
 *
 * handlers.toml: [handlers.primes] command = ["/usr/local/bin/primes"]
 */

#include <stdio.h>
#include <stdlib.h>
#include <cjson/cJSON.h>

#define DEFAULT_LIMIT  1000000L
#define MAX_LIMIT      10000000L

/* Ends the answer line. stdout belongs to the protocol; everything else goes
 * to stderr, which is the job's log. */
static void
answer_error(const char *text, int retryable)
{
    printf("\"status\":\"error\",\"error\":\"%s\",\"retryable\":%s}\n",
           text, retryable ? "true" : "false");
}

/* The limit the task asks for, or -1. */
static long
task_limit(const cJSON *task)
{
    const cJSON  *data, *limit;
    double        x;

    data = cJSON_GetObjectItemCaseSensitive(task, "task_data");
    limit = cJSON_GetObjectItemCaseSensitive(data, "limit");
    if (limit == NULL) {
        return DEFAULT_LIMIT;
    }

    x = cJSON_IsNumber(limit) ? limit->valuedouble : -1;
    return x >= 0 && x <= MAX_LIMIT && x == (double) (long) x ? (long) x : -1;
}

static void
primes(long limit)
{
    char  *composite;
    long   n, m, count, largest;

    composite = calloc((size_t) limit + 1, 1);
    if (composite == NULL) {
        answer_error("out of memory", 1);
        return;
    }

    for (count = largest = 0, n = 2; n <= limit; n++) {
        if (!composite[n]) {
            count++;
            largest = n;
            for (m = n * n; m <= limit; m += n) {
                composite[m] = 1;
            }
        }
    }

    free(composite);
    printf("\"status\":\"success\",\"result\":"
           "{\"limit\":%ld,\"count\":%ld,\"largest\":%ld}}\n",
           limit, count, largest);
}

int
main(void)
{
    char   *id, *line = NULL;
    size_t  size = 0;
    long    limit;
    cJSON  *task;

    while (getline(&line, &size, stdin) > 0) {      /* lines of any length */
        task = cJSON_Parse(line);

        /* every answer has the task's id: it is never taken for another's */
        id = cJSON_PrintUnformatted(
            cJSON_GetObjectItemCaseSensitive(task, "task_id"));
        printf("{\"task_id\":%s,", id ? id : "null");
        free(id);

        limit = task != NULL ? task_limit(task) : -1;
        if (limit < 0) {
            answer_error("limit must be an integer from 0 to 10000000", 0);
        } else {
            primes(limit);
        }
        cJSON_Delete(task);
        fflush(stdout);                 /* a pipe is not flushed by itself */
    }

    free(line);
    return 0;
}
