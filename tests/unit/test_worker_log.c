/* The worker's log: both forms, and that nothing waits for a reader. */

#include "unit.h"

#include "../../taskmq-worker/base/log.c"

static int  out;              /* what is read from "stderr" */
static int  saved;

static int
setup(void **state)
{
    int  fd[2];

    (void) state;
    saved = dup(STDERR_FILENO);
    if (pipe(fd) != 0 || dup2(fd[1], STDERR_FILENO) < 0) {
        return -1;
    }
    close(fd[1]);
    out = fd[0];
    log_fd = -1;
    log_dropped = 0;
    log_torn = 0;

    return 0;
}

static int
teardown(void **state)
{
    (void) state;
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(out);
    if (log_fd > 2) {
        close(log_fd);
    }
    log_fd = -1;
    tq_buf_free(&log_buf);

    return 0;
}

static char *
line(void)
{
    static char  text[65536];
    ssize_t      n = read(out, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';

    return text;
}

static void
test_text(void **state)
{
    char  *l;

    (void) state;
    tw_log_init(TW_INFO, 0);
    TW_LOG(TW_DEBUG, "not this");
    TW_LOG(TW_WARN, "job failed", tw_fi("job", -7), tw_fs("error", "a \"b\"\n"),
        tw_fs("empty", ""), tw_fs("word", "x/y.z"));
    l = line();
    assert_string_equal(l + 25, "warn  job failed job=-7 "
        "error=\"a \\\"b\\\"\\n\" empty=\"\" word=x/y.z\n");
    assert_int_equal(l[TQ_TIME_ISO_LEN - 1], 'Z');
}

static void
test_json(void **state)
{
    char  *l;

    (void) state;
    tw_log_init(TW_DEBUG, 1);
    TW_LOG(TW_DEBUG, "x", tw_fi("n", 1), tw_fs("s", "\xff\n"));
    l = line();
    assert_memory_equal(l, "{\"time\":\"", 9);
    assert_string_equal(l + 33, "\",\"level\":\"debug\",\"msg\":\"x\",\"n\":1,"
        "\"s\":\"\xef\xbf\xbd\\n\"}\n");
}

/* A pipe that nobody reads: lines are dropped and counted, and those that get
 * through are whole. */
static void
test_full_pipe(void **state)
{
    int      i, lines = 0, dropped = 0;
    char    *l, *p;
    size_t   n;
    char     big[1500];

    (void) state;
    tw_log_init(TW_INFO, 0);
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';

    for (i = 0; i < 200; i++) {
        TW_LOG(TW_INFO, "big", tw_fs("a", big), tw_fs("b", big),
            tw_fs("c", big));
    }
    assert_true(log_dropped > 100);

    fcntl(out, F_SETFL, O_NONBLOCK);
    while ((n = strlen(l = line())) != 0) {
        lines++;
    }

    TW_LOG(TW_INFO, "after");
    l = line();
    p = strstr(l, "dropped_lines=");
    assert_non_null(p);
    dropped = atoi(p + 14);
    assert_true(dropped > 100 && dropped <= 200);
    assert_non_null(strstr(l, "info  after"));
    assert_true(lines > 0);

    TW_LOG(TW_INFO, "and");
    assert_null(strstr(line(), "dropped"));
}

/* What would move a terminal's cursor or turn the text around. */
static void
test_harmless(void **state)
{
    int         json;
    char       *l;
    size_t      i;
    const char  bad[] = "x\x1b[2J\xc2\x9b" "2J\xe2\x80\xae" "cod.exe\x7f";

    (void) state;

    for (json = 0; json <= 1; json++) {
        tw_log_init(TW_INFO, json);
        TW_LOG(TW_INFO, "m", tw_fs("v", bad));
        l = line();
        assert_non_null(strstr(l, "\"x\\u001b[2J\\u009b2J\\u202ecod.exe\\u007f\""));

        for (i = 0; l[i] != '\0'; i++) {
            assert_true((unsigned char) l[i] < 0x7f);
        }
    }
}

/* A value is cut between characters, in both forms. */
static void
test_cut(void **state)
{
    int     json;
    char   *l, big[TQ_LOG_FIELD_BYTES + 10];
    size_t  i;

    (void) state;

    for (i = 0; i + 3 <= sizeof(big); i += 3) {
        memcpy(big + i, "\xe2\x82\xac", 3);
    }

    for (json = 0; json <= 1; json++) {
        tw_log_init(TW_INFO, json);
        TW_LOG(TW_INFO, "m", tw_fz("v", ((tq_str_t) { big, i })));
        l = line();
        assert_null(strstr(l, "\xef\xbf\xbd"));
        assert_non_null(strstr(l, "\xe2\x82\xac\""));
    }
}

static void
test_levels(void **state)
{
    tw_level_t  level;

    (void) state;
    assert_int_equal(tw_log_level("WARNING", &level), 0);
    assert_int_equal(level, TW_WARN);
    assert_int_equal(tw_log_level("error", &level), 0);
    assert_int_equal(tw_log_level("loud", &level), -1);
}

int
main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest  tests[] = {
        T(test_text), T(test_json), T(test_full_pipe), T(test_harmless),
        T(test_cut),
        cmocka_unit_test(test_levels),
    };

    return cmocka_run_group_tests_name("worker_log", tests, NULL, NULL);
}
