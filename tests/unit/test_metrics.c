/*
 * test_metrics.c: the text that Prometheus reads: numbers, escapes,
 * histograms, and a namespace's metrics from a reply made by hand.
 */

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "tq_queue.h"
#include "replies.h"

static void
is(tq_buf_t *b, const char *expected)
{
    assert_string_equal(tq_buf_cstr(b), expected);
    tq_buf_reset(b);
}

static void
test_decimal(void **state)
{
    tq_buf_t  b = {0};

    (void) state;

    tq_metrics_decimal(&b, 0, 3);
    is(&b, "0");
    tq_metrics_decimal(&b, 5, 3);
    is(&b, "0.005");
    tq_metrics_decimal(&b, 2500, 3);
    is(&b, "2.5");
    tq_metrics_decimal(&b, 300000, 3);
    is(&b, "300");
    tq_metrics_decimal(&b, 1000001, 6);
    is(&b, "1.000001");
    tq_metrics_decimal(&b, 100, 6);
    is(&b, "0.0001");
    tq_metrics_decimal(&b, 42, 0);
    is(&b, "42");

    tq_buf_free(&b);
}

static void
test_labels(void **state)
{
    tq_buf_t  b = {0};

    (void) state;

    tq_metrics_value(&b, "m", -1);
    is(&b, "m -1\n");
    tq_metrics_value1(&b, "m", "a", tq_str("x\"y\\z\nw"), 7);
    is(&b, "m{a=\"x\\\"y\\\\z\\nw\"} 7\n");
    tq_metrics_value2(&b, "m", "a", tq_str(""), "b", tq_str("c"), 8);
    is(&b, "m{a=\"\",b=\"c\"} 8\n");
    tq_metrics_head(&b, "m", "gauge", "What it is");
    is(&b, "# HELP m What it is\n# TYPE m gauge\n");

    tq_buf_free(&b);
}

static void
test_histogram(void **state)
{
    tq_buf_t  b = {0};

    static const int64_t  bounds[] = { 5, 1000 };
    static const int64_t  buckets[] = { 2, 0, 1 };

    (void) state;

    tq_metrics_histogram(&b, "h", bounds, 2, buckets, 61003, 3);
    is(&b, "h_bucket{le=\"0.005\"} 2\n"
           "h_bucket{le=\"1\"} 2\n"
           "h_bucket{le=\"+Inf\"} 3\n"
           "h_sum 61.003\n"
           "h_count 3\n");

    tq_buf_free(&b);
}

/* ---- a reply of the stats script, made by hand ---- */

#define HEAD  31

static redisReply  items[HEAD + 7 + 2 * 4 + 3];
static redisReply  *places[HEAD + 7 + 2 * 4 + 3];
static redisReply  reply;

static void
number(size_t i, long long v)
{
    items[i].type = REDIS_REPLY_INTEGER;
    items[i].integer = v;
}

static void
text(size_t i, const char *s)
{
    items[i].type = REDIS_REPLY_STRING;
    items[i].str = (char *) s;
    items[i].len = strlen(s);
}

/* One queue, two workers. */
static void
make_reply(const char *info1, const char *info2)
{
    size_t  i;

    memset(items, 0, sizeof(items));
    memset(&reply, 0, sizeof(reply));

    for (i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        places[i] = &items[i];
        number(i, 0);
    }

    number(0, 1000000);     /* now */
    number(1, 12);          /* received */
    number(2, 3);           /* success */
    number(3, 2);           /* failed */
    number(4, 1);           /* cancelled */
    number(8, 1500);        /* duration, ms */
    number(9, 3);           /* d0 */
    number(24, 4);          /* waiting */
    number(25, 5);          /* scheduled */
    number(29, 1);          /* queues */
    number(30, 2);          /* workers */

    text(HEAD, "re.size");
    number(HEAD + 1, 12);
    number(HEAD + 2, 4);
    number(HEAD + 3, 5);
    number(HEAD + 6, 997500);   /* oldest */

    text(HEAD + 7, "0123456789abcdef");
    text(HEAD + 8, "host:1");
    number(HEAD + 9, 999000);
    text(HEAD + 10, info1);
    text(HEAD + 11, "123456789abcdef0");
    text(HEAD + 12, "host:2");
    number(HEAD + 13, 999000);
    text(HEAD + 14, info2);

    number(HEAD + 15, 900);     /* bytes of finished jobs */
    number(HEAD + 16, 1000);    /* their bound */
    number(HEAD + 17, 6);       /* dropped for it */

    reply.type = REDIS_REPLY_ARRAY;
    reply.elements = sizeof(items) / sizeof(items[0]);
    reply.element = places;
}

static const tq_result_t *
read_stats(void)
{
    static tq_ns_t      ns;
    const tq_result_t  *res;

    assert_int_equal(tq_ns_init(&ns, "metrics", 7), 0);
    res = reply_result(tq_stats_call(&ns, NULL, NULL), &reply);
    assert_int_equal(res->status, TQ_OK);

    return res;
}

static void
has(tq_buf_t *b, const char *line)
{
    char  wanted[128];

    snprintf(wanted, sizeof(wanted), "\n%s\n", line);

    if (strstr(tq_buf_cstr(b), wanted) == NULL) {
        fail_msg("no line \"%s\" in:\n%s", line, tq_buf_cstr(b));
    }
}

static void
test_namespace(void **state)
{
    tq_buf_t  b = {0};

    (void) state;

    make_reply("{\"pools\":{\"re.size\":{\"active\":8,\"idle\":2},"
                         "\"x\":{\"active\":0,\"idle\":1}},\"more\":1}",
               "{\"pools\":{\"re.size\":{\"active\":1,\"idle\":0}}}");

    tq_metrics_namespace(&b, read_stats());
    assert_false(b.failed);

    has(&b, "taskmq_jobs_total{status=\"success\"} 3");
    has(&b, "taskmq_jobs_total{status=\"failed\"} 2");
    has(&b, "taskmq_jobs_total{status=\"cancelled\"} 1");
    has(&b, "taskmq_job_duration_seconds_bucket{le=\"0.005\"} 3");
    has(&b, "taskmq_job_duration_seconds_sum 1.5");
    has(&b, "taskmq_job_duration_seconds_count 3");
    has(&b, "taskmq_queue_depth{handler=\"re.size\",state=\"waiting\"} 4");
    has(&b, "taskmq_queue_depth{handler=\"re.size\",state=\"scheduled\"} 5");
    has(&b, "taskmq_oldest_pending_seconds{handler=\"re.size\"} 2.5");
    has(&b, "taskmq_finished_bytes 900");
    has(&b, "taskmq_finished_max_bytes 1000");
    has(&b, "taskmq_finished_dropped_total 6");
    has(&b, "taskmq_workers 2");
    has(&b, "tasks_received_total 12");
    has(&b, "tasks_processed_total{status=\"failed\"} 2");
    has(&b, "queue_size 4");
    has(&b, "container_pool_active{handler=\"re.size\"} 9");
    has(&b, "container_pool_idle{handler=\"re.size\"} 2");
    has(&b, "container_pool_active{handler=\"x\"} 0");
    has(&b, "container_pool_idle{handler=\"x\"} 1");

    tq_buf_free(&b);
}

/* What a worker says of itself is not trusted. */
static void
test_odd_info(void **state)
{
    size_t    i;
    tq_buf_t  b = {0};

    static const char  *odd[] = {
        "", "{", "[]", "null", "{\"pools\":[1]}", "{\"pools\":{\"a\":5}}",
        "{\"pools\":{\"a\":{\"active\":\"8\",\"idle\":1e3}}}"
    };

    (void) state;

    for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        make_reply(odd[i], "{}");
        tq_metrics_namespace(&b, read_stats());
        has(&b, "taskmq_workers 2");
        assert_null(strstr(tq_buf_cstr(&b), "active{handler=\"a\"} 8"));
        tq_buf_reset(&b);
    }

    tq_buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_namespace),
        cmocka_unit_test(test_odd_info),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
