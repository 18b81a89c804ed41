/* Tasks on their way into a pipe: order, partial writes at every byte, the ring
 * going round, and what counts as written. */

#include <fcntl.h>
#include <signal.h>

#include "unit.h"

#include "../../taskmq-worker/process/outq.c"

/* A non-blocking pipe of one page, so that it is soon full. */
static void
make_pipe(int fd[2])
{
    assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
    assert_true(fcntl(fd[1], F_SETPIPE_SZ, 4096) >= 4096);
}

static void
close_pipe(const int fd[2])
{
    close(fd[0]);
    close(fd[1]);
}

static void
test_many_lines_in_one_write(void **state)
{
    int        fd[2];
    char       got[64];
    tw_outq_t  q;

    (void) state;
    make_pipe(fd);
    assert_int_equal(tw_outq_init(&q, 3), 0);
    assert_int_equal(tw_outq_write(&q, fd[1]), 0);
    tw_outq_add(&q, "one\n", 4);
    assert_true(tw_outq_unwritten(&q));
    tw_outq_add(&q, "two\n", 4);
    assert_int_equal(q.written, 0);
    assert_int_equal(tw_outq_write(&q, fd[1]), 0);
    assert_int_equal(q.written, 8);
    assert_false(tw_outq_unwritten(&q));
    assert_int_equal(read(fd[0], got, sizeof(got)), 8);
    assert_memory_equal(got, "one\ntwo\n", 8);

    /* nothing is written twice; an answer makes room */
    tw_outq_add(&q, "three\n", 6);
    assert_int_equal(tw_outq_pop(&q), 0);
    tw_outq_add(&q, "four\n", 5);
    assert_int_equal(tw_outq_write(&q, fd[1]), 0);
    assert_int_equal(q.written, 15);
    assert_int_equal(read(fd[0], got, sizeof(got)), 11);
    assert_memory_equal(got, "three\nfour\n", 11);
    assert_int_equal(tw_outq_pop(&q), 0);
    assert_int_equal(tw_outq_pop(&q), 0);
    assert_int_equal(tw_outq_pop(&q), 0);
    assert_int_equal(q.written, 0);
    tw_outq_free(&q);
    close_pipe(fd);
}

/* Lines of all lengths through a small pipe, read in odd portions. */
static void
test_order_through_a_full_pipe(void **state)
{
    enum { LINES = 700, LONG = 9001 };
    static char   line[LINES][LONG + 1];
    static size_t  len[LINES];
    int           fd[2], rc = 0;
    unsigned      put = 0, seen = 0, full = 0;
    size_t        i, got, from = 0;
    char          buf[997];
    tw_outq_t     q;

    (void) state;
    make_pipe(fd);
    assert_int_equal(tw_outq_init(&q, 301), 0);

    for (i = 0; i < LINES; i++) {
        len[i] = i % 50 == 7 ? LONG : i * 37 % 120 + 1;
        memset(line[i], 'a' + (int) (i % 26), len[i]);
        line[i][len[i] - 1] = '\n';
    }

    while (seen < LINES) {
        while (put < LINES && q.n < 301) {
            tw_outq_add(&q, line[put], len[put]);
            put++;
        }

        rc = tw_outq_write(&q, fd[1]);
        assert_true(rc >= 0);
        full += (unsigned) rc;
        got = (size_t) read(fd[0], buf, sizeof(buf));

        for (i = 0; i < got; i++) {
            assert_int_equal(buf[i], line[seen][from]);
            if (++from == len[seen]) {
                assert_int_equal(tw_outq_pop(&q), 0);
                from = 0;
                seen++;
            }
        }
    }

    assert_true(full > 10);
    assert_int_equal(q.n, 0);
    assert_int_equal(q.written, 0);
    tw_outq_free(&q);
    close_pipe(fd);
}

static void
test_answer_before_the_line_is_written(void **state)
{
    int        fd[2];
    static char  big[20000];
    tw_outq_t  q;

    (void) state;
    make_pipe(fd);
    assert_int_equal(tw_outq_init(&q, 1), 0);
    tw_outq_add(&q, big, sizeof(big));
    assert_int_equal(tw_outq_write(&q, fd[1]), 1);
    assert_true(q.written > 0 && q.written < sizeof(big));
    assert_true(tw_outq_unwritten(&q));
    assert_int_equal(tw_outq_pop(&q), -1);
    assert_int_equal(q.written, 0);

    /* the rest of it is never written */
    assert_int_equal(tw_outq_write(&q, fd[1]), 0);
    tw_outq_free(&q);
    close_pipe(fd);
}

static void
test_nobody_reads(void **state)
{
    int        fd[2];
    tw_outq_t  q;

    (void) state;
    signal(SIGPIPE, SIG_IGN);
    make_pipe(fd);
    close(fd[0]);
    assert_int_equal(tw_outq_init(&q, 2), 0);
    tw_outq_add(&q, "x\n", 2);
    assert_int_equal(tw_outq_write(&q, fd[1]), -1);
    assert_int_equal(errno, EPIPE);
    assert_true(tw_outq_unwritten(&q));
    assert_int_equal(q.written, 0);
    tw_outq_free(&q);
    close(fd[1]);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_many_lines_in_one_write),
        cmocka_unit_test(test_order_through_a_full_pipe),
        cmocka_unit_test(test_answer_before_the_line_is_written),
        cmocka_unit_test(test_nobody_reads),
    };

    return cmocka_run_group_tests_name("worker_outq", tests, NULL, NULL);
}
