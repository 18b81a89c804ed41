/*
 * test_secret.c: what tq_secret.h promises, as the kernel sees it.
 */

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"
#include "tq_base.h"

/* 1 when the mapping with p has the flag, 0 when not, -1 when there is none. */
static int
mapped(const void *p, const char *flag)
{
    int            here, found;
    char           line[512];
    FILE          *f;
    unsigned long  from, to;

    f = fopen("/proc/self/smaps", "r");
    assert_non_null(f);
    here = 0;
    found = -1;

    while (fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            here = (unsigned long) p >= from && (unsigned long) p < to;
        } else if (here && strncmp(line, "VmFlags:", 8) == 0) {
            found = strstr(line, flag) != NULL;
        }
    }

    fclose(f);

    return found;
}


static void
test_pages(void **state)
{
    size_t               i;
    char                *p, *text;
    static const size_t  sizes[] = { 0, 1, 22, 4095, 4096, 4097, 20000 };

    (void) state;

    for (i = 0; i < UNIT_COUNT(sizes); i++) {
        text = test_malloc(sizes[i] + 1);
        memset(text, 'x', sizes[i]);
        text[sizes[i]] = '\0';

        p = tq_secret_new(text, sizes[i]);
        assert_non_null(p);
        assert_string_equal(p, text);
        assert_int_equal(mapped(p, " dd"), 1);
        assert_int_equal(mapped(p + sizes[i], " dd"), 1);
        assert_int_equal(mapped(text, " dd"), 0);

        tq_secret_free(p, sizes[i]);
        test_free(text);
    }

    tq_secret_free(NULL, 0);
}


/* In a process of its own: 1 when it may be dumped. */
static int
dumpable(const char *env)
{
    int    status;
    pid_t  pid;

    pid = fork();
    assert_true(pid >= 0);

    if (pid == 0) {
        if (env != NULL) {
            setenv("TASKMQ_COREDUMP", env, 1);
        } else {
            unsetenv("TASKMQ_COREDUMP");
        }

        tq_secret_no_dump();
        _exit(prctl(PR_GET_DUMPABLE));
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));

    return WEXITSTATUS(status);
}


static void
test_no_dump(void **state)
{
    (void) state;

    assert_int_equal(dumpable(NULL), 0);
    assert_int_equal(dumpable(""), 0);
    assert_int_equal(dumpable("0"), 0);
    assert_int_equal(dumpable("1"), 1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_no_dump),
    };

    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
