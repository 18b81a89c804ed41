/* cgroup.c on a plain folder: what is written where, and taken back. */

#include "unit.h"

#include <sys/stat.h>

#include "../../taskmq-worker/process/cgroup.c"

static char  dir[64];

static void
file(const char *name, const char *text)
{
    assert_int_equal(put(dir, name, text), 0);
}

static void
read_file(const char *folder, const char *name, char *dst, size_t size)
{
    get(folder, name, dst, size);
}

static int
make_dir(void **state)
{
    (void) state;
    snprintf(dir, sizeof(dir), "/tmp/taskmq-cgroup-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int
remove_dir(void **state)
{
    char  command[128];

    (void) state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void
test_no_controller(void **state)
{
    const char  *why = NULL;

    (void) state;
    assert_int_equal(tw_cgroup_use(dir, -1, &why), -1);
    assert_string_equal(why, "no memory controller in cgroup v2");
    file("cgroup.controllers", "cpu memoryless pids\n");
    assert_int_equal(tw_cgroup_use(dir, -1, &why), -1);
}

static void
test_moves_itself_and_back(void **state)
{
    char         text[64], own[80], pid[16];
    const char  *why = NULL;

    (void) state;
    snprintf(own, sizeof(own), "%s/worker", dir);
    snprintf(pid, sizeof(pid), "%d", (int) getpid());
    file("cgroup.controllers", "cpu memory\n");
    file("cgroup.subtree_control", "");

    assert_int_equal(tw_cgroup_use(dir, -1, &why), 0);
    read_file(own, "cgroup.procs", text, sizeof(text));
    assert_string_equal(text, pid);
    read_file(dir, "cgroup.subtree_control", text, sizeof(text));
    assert_string_equal(text, "+memory");

    tw_cgroup_close();
    read_file(dir, "cgroup.procs", text, sizeof(text));
    assert_string_equal(text, pid);
}

static void
test_child(void **state)
{
    int          fd = -1;
    char         text[64], *path;
    const char  *why = NULL;
    struct stat  st;

    (void) state;
    file("cgroup.controllers", "memory\n");
    file("cgroup.subtree_control", "cpu memory\n");
    assert_int_equal(tw_cgroup_use(dir, -1, &why), 0);
    assert_int_equal(own_dir[0], '\0');

    path = tw_cgroup_new(67108864, &fd);
    assert_non_null(path);
    read_file(path, "memory.max", text, sizeof(text));
    assert_string_equal(text, "67108864");
    read_file(path, "memory.swap.max", text, sizeof(text));
    assert_string_equal(text, "0");
    assert_int_equal(write(fd, "0", 1), 1);
    close(fd);
    read_file(path, "cgroup.procs", text, sizeof(text));
    assert_string_equal(text, "0");

    assert_int_equal(put(path, "memory.events",
        "low 0\noom 1\noom_kill 1\n"), 0);
    assert_int_equal(tw_cgroup_end(path), 1);

    path = tw_cgroup_new(1048576, &fd);
    assert_non_null(path);
    close(fd);
    assert_int_equal(put(path, "memory.events", "oom_kill 0\n"), 0);
    assert_int_equal(tw_cgroup_end(path), 0);

    /* a plain folder with files cannot be removed: kept for later */
    assert_non_null(stale[0]);
    assert_int_equal(stat(stale[0], &st), 0);
    for (fd = 0; fd < STALE_MAX; fd++) {
        char  command[1300];

        if (stale[fd] != NULL) {
            snprintf(command, sizeof(command), "rm -f %s/*", stale[fd]);
            assert_int_equal(system(command), 0);
        }
    }
    tw_cgroup_close();
    assert_null(stale[0]);
    assert_null(stale[1]);
}

/* Of a worker with our pid in another namespace, or that was killed. */
static void
test_taken_name(void **state)
{
    int          fd;
    char         name[64], theirs[160], *path;
    const char  *why = NULL;

    (void) state;
    file("cgroup.controllers", "memory\n");
    file("cgroup.subtree_control", "memory\n");
    assert_int_equal(tw_cgroup_use(dir, -1, &why), 0);
    snprintf(name, sizeof(name), "child-%d-%u", (int) getpid(), made + 1);
    snprintf(theirs, sizeof(theirs), "%s/%s", dir, name);
    assert_int_equal(mkdir(theirs, 0755), 0);

    path = tw_cgroup_new(1048576, &fd);
    assert_non_null(path);
    assert_string_not_equal(path, theirs);
    close(fd);
    free(path);
    assert_int_equal(rmdir(theirs), 0);     /* nothing was put there */
    tw_cgroup_close();
}

int
main(void)
{
#define T(f)  cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
    const struct CMUnitTest  tests[] = {
        T(test_no_controller), T(test_moves_itself_and_back), T(test_child),
        T(test_taken_name),
    };

    return cmocka_run_group_tests_name("worker_cgroup", tests, NULL, NULL);
}
