/*
 * test_ops_room.c: the enqueue builder of tq_ops.h never writes more than it
 * has reserved.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tq_queue.h"

/* The builder reserves once per group: with every length, so that each end of
 * the buffer is met, what it writes must fit (ASan watches). */
static void
enqueue_room(void **state)
{
    int            i;
    char          *payload, key[TQ_SUBJECT_MAX];
    size_t         len;
    tq_job_t       job;
    tq_ns_t        ns;
    tq_enqueue_t   e;

    (void) state;

    assert_int_equal(tq_ns_init(&ns, "room", 4), 0);
    memset(key, 'k', sizeof(key));
    memset(&job, 0, sizeof(job));
    memset(job.handler, 'h', TQ_HANDLER_MAX);
    job.handler_len = TQ_HANDLER_MAX;
    job.api = TQ_API_TASKDAEMON;
    job.policy = 'f';
    job.priority = 100;
    job.max_retries = -1;
    job.due_ms = INT64_MAX;
    job.interval_s = INT64_MAX;
    job.timeout_s = INT64_MAX;
    job.retention_s = INT64_MAX;

    payload = test_malloc(3000);
    memset(payload, 'p', 3000);
    memset(&e, 0, sizeof(e));

    for (len = 0; len < 3000; len++) {
        job.payload = (tq_str_t) { payload, len };

        for (i = 0; i < 3; i++) {
            assert_int_equal(tq_enqueue_add(&e, &ns,
                (tq_str_t) { key, len % 256 }, (tq_str_t) { key, sizeof(key) },
                UINT64_MAX, 1, &job, 1), i);
            assert_true(e.args.len <= e.args.cap);
        }

        tq_enqueue_drop(&e);
    }

    test_free(payload);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(enqueue_room),
    };

    return cmocka_run_group_tests_name("ops_room", tests, NULL, NULL);
}
