/* fence.c: the filter, run here call by call for each of the four kinds of
 * program, as the kernel would; the end-to-end test has the kernel do it. */

#include "unit.h"

#include <pthread.h>
#include <signal.h>

#include "../../taskmq-worker/process/fence.c"

#define OTHER  4000000        /* nobody's pid */
#define GUARD  4100000

int
tw_cgroup_is_ours(void)
{
    return 0;
}

void
tw_log_fields(tw_level_t level, const char *msg, const tw_field_t *fields)
{
    (void) level;
    (void) msg;
    (void) fields;
}

int
tw_log_on(tw_level_t level)
{
    (void) level;
    return 0;
}

int
uv_queue_work(uv_loop_t *loop, uv_work_t *req, uv_work_cb work,
    uv_after_work_cb after)
{
    (void) loop;
    (void) req;
    (void) work;
    (void) after;
    return 0;
}

static const struct sock_fprog  *fence;

/* The answer; every instruction that fence.c writes. */
static unsigned
run(const struct seccomp_data *data)
{
    unsigned                   pc, a = 0;
    const struct sock_filter  *f;

    for (pc = 0; pc < fence->len; pc++) {
        f = &fence->filter[pc];

        switch (f->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(f->k + 4 <= sizeof(*data));
            memcpy(&a, (const char *) data + f->k, 4);
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += a == f->k ? f->jt : f->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            pc += a >= f->k ? f->jt : f->jf;
            break;
        case BPF_JMP | BPF_JA:
            pc += f->k;
            break;
        case BPF_RET | BPF_K:
            return f->k;
        default:
            fail_msg("instruction %u: code %u", pc, f->code);
        }
    }

    fail_msg("no answer");

    return 0;
}

static unsigned
call(int arch, int nr, int64_t a, int64_t b, int64_t c)
{
    struct seccomp_data  data = { .nr = nr, .arch = audit_arch[arch],
        .args = { (uint64_t) a, (uint64_t) b, (uint64_t) c } };

    return run(&data);
}

#define YES  SECCOMP_RET_ALLOW
#define NO   EPERM_NOW

static int
make_fence(void **state)
{
    (void) state;

    /* one that is led from outside a pid namespace has the number 0 there */
    (void) setpgid(0, 0);

    return tw_fence_make(GUARD, &fence) != 0 || fence == NULL;
}

/* Each call as its arguments name somebody. */
static void
check(int arch, int64_t who, unsigned expected)
{
    size_t    i;
    unsigned  got = 0;

    for (i = 0; i < CALLS; i++) {
        int  nr = calls[i].nr[arch];

        if (nr < 0) {
            continue;
        }

        switch (calls[i].whom) {
        case WHOM_FIRST:
            got = call(arch, nr, who, SIGKILL, 0);
            break;
        case WHOM_SIGNALLED:
            assert_int_equal(call(arch, nr, who, 0, 0), YES);
            got = call(arch, nr, who, SIGKILL, 0);
            break;
        case WHOM_PRIO:
            assert_int_equal(call(arch, nr, PRIO_USER, OTHER, 0), NO);
            assert_int_equal(call(arch, nr, PRIO_PGRP, who, 0), expected);
            got = call(arch, nr, PRIO_PROCESS, who, 0);
            break;
        case WHOM_IOPRIO:
            assert_int_equal(call(arch, nr, 3, OTHER, 0), NO);
            assert_int_equal(call(arch, nr, 2, who, 0), expected);
            got = call(arch, nr, 1, who, 0);
            break;
        case WHOM_OWNER:
            assert_int_equal(call(arch, nr, 0, F_SETOWN_EX, who), NO);
            assert_int_equal(call(arch, nr, 0, F_SETFL, who), YES);
            got = call(arch, nr, 0, F_SETOWN, who);
            break;
        case WHOM_OWNER_AT:
            assert_int_equal(call(arch, nr, 0, FIOSETOWN, who), NO);
            assert_int_equal(call(arch, nr, 0, SIOCSPGRP, who), NO);
            assert_int_equal(call(arch, nr, 0, TIOCSTI, who), NO);
            assert_int_equal(call(arch, nr, 0, TIOCLINUX, who), NO);
            assert_int_equal(call(arch, nr, 0, 0x5401, who), YES);
            continue;
        case WHOM_HELD:
            assert_int_equal(call(arch, nr, 0, 0, 0), ENOSYS_NOW);
            continue;
        }

        if (got != expected) {
            fail_msg("arch %d, call %d, who %ld: %#x", arch, nr, (long) who,
                got);
        }
    }
}

static void
test_each_call(void **state)
{
    int      arch;
    int64_t  high = 7LL << 32;    /* the kernel does not look at it */

    (void) state;

    for (arch = 0; arch < ARCHS; arch++) {
        check(arch, getpid(), NO);
        check(arch, getpid() | high, NO);
        check(arch, getpgrp(), NO);
        check(arch, -getpgrp(), NO);
        check(arch, GUARD, NO);
        check(arch, -GUARD, NO);
        check(arch, -1, NO);
        check(arch, 0, YES);
        check(arch, high, YES);
        check(arch, OTHER, YES);
        check(arch, -OTHER, YES);
    }
}

static void
test_nothing_else(void **state)
{
    int     arch, nr;
    size_t  i;

    (void) state;

    for (arch = 0; arch < ARCHS; arch++) {
        for (nr = 0; nr < 600; nr++) {
            for (i = 0; i < CALLS && calls[i].nr[arch] != nr; i++) {
                /* void */
            }
            if (i == CALLS) {
                assert_int_equal(call(arch, nr, getpid(), 9, getpid()), YES);
            }
        }
    }

    assert_int_equal(call(X86_64, X32_BIT + 62, OTHER, 9, 0), ENOSYS_NOW);
    assert_int_equal(call(X86_64, -1, OTHER, 9, 0), ENOSYS_NOW);
}

static void *
wait_for_end(void *mutex)
{
    pthread_mutex_lock(mutex);
    pthread_mutex_unlock(mutex);
    return NULL;
}

/* As many threads as a pool can have; a child of a worker with more does not
 * start. */
static void
test_threads(void **state)
{
    static pthread_t        t[IDS_MAX];
    static pthread_mutex_t  mutex = PTHREAD_MUTEX_INITIALIZER;
    unsigned                i, n = 0;
    pthread_attr_t          small;

    (void) state;
    pthread_mutex_lock(&mutex);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);

    for (i = 0; i < 1030; i++) {
        assert_int_equal(pthread_create(&t[n++], &small, wait_for_end,
            &mutex), 0);
    }
    assert_int_equal(tw_fence_make(GUARD, &fence), 0);
    assert_true(fence->len < CODE_MAX);
    test_each_call(state);
    test_nothing_else(state);

    for (; n < IDS_MAX; i++) {
        assert_int_equal(pthread_create(&t[n++], &small, wait_for_end,
            &mutex), 0);
    }
    assert_int_equal(tw_fence_make(GUARD, &fence), EMFILE);

    pthread_mutex_unlock(&mutex);
    while (n > 0) {
        pthread_join(t[--n], NULL);
    }
}

/* This machine's numbers, at least, against its own headers. */
static void
test_numbers(void **state)
{
    size_t            i;
    int               arch = X86_64;
    static const int  own[] = { SYS_fcntl, -1, SYS_ioctl, SYS_kill, SYS_tkill,
        SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
        SYS_pidfd_send_signal, SYS_prlimit64, SYS_setpriority,
        SYS_ioprio_set, SYS_sched_setaffinity, SYS_sched_setscheduler,
        SYS_sched_setparam, SYS_sched_setattr };

    (void) state;
#ifdef __aarch64__
    arch = ARM64;
#endif
    assert_int_equal(UNIT_COUNT(own), CALLS);
    for (i = 0; i < CALLS; i++) {
        assert_int_equal(calls[i].nr[arch], own[i]);
    }
}

int
main(void)
{
#define T(f)  cmocka_unit_test_setup(f, make_fence)
    const struct CMUnitTest  tests[] = {
        T(test_each_call), T(test_nothing_else), T(test_threads),
        cmocka_unit_test(test_numbers),
    };

    return cmocka_run_group_tests_name("worker_fence", tests, NULL, NULL);
}
