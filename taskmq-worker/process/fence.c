/*
 * fence.c: see fence.h.
 *
 * Each call of a child runs through the filter. Kernels since 5.11 work out
 * once which numbers it always allows; for these it costs a bit's test. So
 * only the calls below cost more, and only fcntl() and ioctl() among them are
 * common: they stand first.
 *
 * 32-bit programs have a list of their own and go on working. x32, which
 * Debian's kernels have switched off, is answered as there: no such call.
 *
 * The numbers are those of the worker's pid namespace. A handler that makes
 * one of its own meets the same refusals there for the same numbers, although
 * they are other processes; it never reaches the worker that way.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "fence.h"
#include "tw_base.h"

#define X32_BIT          0x40000000
#define IOPRIO_USER      3    /* IOPRIO_WHO_USER; PRIO_USER is another number */

/* UV_THREADPOOL_SIZE is at most 1024; the rest is room */
#define IDS_MAX          1100
#define CODE_MAX         (2 * IDS_MAX + 512)

/* Where the call's arguments say whom it is for. */
typedef enum {
    WHOM_FIRST,               /* the first */
    WHOM_SIGNALLED,           /* the first, but for signal 0, which asks */
    WHOM_PRIO,                /* the second; or all of a user */
    WHOM_IOPRIO,              /* the same, with ioprio's numbers */
    WHOM_OWNER,               /* fcntl(): signals for a descriptor go there */
    WHOM_OWNER_AT,            /* ioctl(): the same, in memory: for nobody; and
                                 what types into a terminal */
    WHOM_HELD                 /* a descriptor of a process: for nobody */
} whom_t;

enum { X86_64, I386, ARM64, ARM, ARCHS };

static const unsigned  audit_arch[ARCHS] = {
    AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM
};

static const struct {
    whom_t  whom;
    int     nr[ARCHS];        /* -1: there is none */
} calls[] = {
    { WHOM_OWNER,     {  72,  55,  25,  55 } },   /* fcntl */
    { WHOM_OWNER,     {  -1, 221,  -1, 221 } },   /* fcntl64 */
    { WHOM_OWNER_AT,  {  16,  54,  29,  54 } },   /* ioctl */
    { WHOM_SIGNALLED, {  62,  37, 129,  37 } },   /* kill */
    { WHOM_SIGNALLED, { 200, 238, 130, 238 } },   /* tkill */
    { WHOM_FIRST,     { 234, 270, 131, 268 } },   /* tgkill */
    { WHOM_FIRST,     { 129, 178, 138, 178 } },   /* rt_sigqueueinfo */
    { WHOM_FIRST,     { 297, 335, 240, 363 } },   /* rt_tgsigqueueinfo */
    { WHOM_HELD,      { 424, 424, 424, 424 } },   /* pidfd_send_signal */
    { WHOM_FIRST,     { 302, 340, 261, 369 } },   /* prlimit64 */
    { WHOM_PRIO,      { 141,  97, 140,  97 } },   /* setpriority */
    { WHOM_IOPRIO,    { 251, 289,  30, 314 } },   /* ioprio_set */
    { WHOM_FIRST,     { 203, 241, 122, 241 } },   /* sched_setaffinity */
    { WHOM_FIRST,     { 144, 156, 119, 156 } },   /* sched_setscheduler */
    { WHOM_FIRST,     { 142, 154, 118, 154 } },   /* sched_setparam */
    { WHOM_FIRST,     { 314, 351, 274, 380 } }    /* sched_setattr */
};

#define CALLS  (sizeof(calls) / sizeof(calls[0]))

/* The filter being written. Jumps go forward; those to the list of ids are put
 * right when it is known where it stands. */
static struct sock_filter  code[CODE_MAX];
static unsigned            len;
static unsigned            to_ids[ARCHS * CALLS], nto_ids;
static struct sock_fprog   program;

static void
put(unsigned short op, unsigned k, unsigned char yes, unsigned char no)
{
    code[len++] = (struct sock_filter) BPF_JUMP(op, k, yes, no);
}

static void
load(size_t offset)
{
    put(BPF_LD | BPF_W | BPF_ABS, (unsigned) offset, 0, 0);
}

/* Pids, signals and commands are ints: the lower half, as the kernel takes
 * it. Both processors are little-endian. */
static void
load_arg(unsigned n)
{
    load(offsetof(struct seccomp_data, args) + n * sizeof(__u64));
}

static void
answer(unsigned what)
{
    put(BPF_RET | BPF_K, what, 0, 0);
}

/* Ends the call when the accumulator is this. */
static void
answer_if(unsigned k, unsigned what)
{
    put(BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1);
    answer(what);
}

static void
look_up(unsigned arg)
{
    load_arg(arg);
    to_ids[nto_ids++] = len;
    put(BPF_JMP | BPF_JA, 0, 0, 0);
}

#define EPERM_NOW   (SECCOMP_RET_ERRNO | EPERM)
#define ENOSYS_NOW  (SECCOMP_RET_ERRNO | ENOSYS)

/* What is done with one kind of call; always ends it or goes to the ids. */
static void
judge(whom_t whom)
{
    switch (whom) {

    case WHOM_FIRST:
        look_up(0);
        break;

    case WHOM_SIGNALLED:
        load_arg(1);
        answer_if(0, SECCOMP_RET_ALLOW);
        look_up(0);
        break;

    case WHOM_PRIO:
    case WHOM_IOPRIO:
        load_arg(0);
        answer_if(whom == WHOM_PRIO ? PRIO_USER : IOPRIO_USER, EPERM_NOW);
        look_up(1);
        break;

    case WHOM_OWNER:
        load_arg(1);
        answer_if(F_SETOWN_EX, EPERM_NOW);
        put(BPF_JMP | BPF_JEQ | BPF_K, F_SETOWN, 1, 0);
        answer(SECCOMP_RET_ALLOW);
        look_up(2);
        break;

    case WHOM_OWNER_AT:
        load_arg(1);
        answer_if(FIOSETOWN, EPERM_NOW);
        answer_if(SIOCSPGRP, EPERM_NOW);
        answer_if(TIOCSTI, EPERM_NOW);
        answer_if(TIOCLINUX, EPERM_NOW);
        answer(SECCOMP_RET_ALLOW);
        break;

    case WHOM_HELD:
        /* what a folder in /proc stands for cannot be seen here; runtimes try
         * the call and use kill() on kernels that do not have it */
        answer(ENOSYS_NOW);
        break;
    }
}

static void
write_arch(int arch)
{
    size_t    i;
    unsigned  other, skip;

    load(offsetof(struct seccomp_data, arch));
    other = len;
    /* over JA, which can go as far as it takes */
    put(BPF_JMP | BPF_JEQ | BPF_K, audit_arch[arch], 1, 0);
    put(BPF_JMP | BPF_JA, 0, 0, 0);
    load(offsetof(struct seccomp_data, nr));

    if (arch == X86_64) {
        put(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
        answer(ENOSYS_NOW);
    }

    for (i = 0; i < CALLS; i++) {
        if (calls[i].nr[arch] >= 0) {
            skip = len;
            put(BPF_JMP | BPF_JEQ | BPF_K, (unsigned) calls[i].nr[arch], 0, 0);
            judge(calls[i].whom);
            code[skip].jf = (unsigned char) (len - skip - 1);
        }
    }

    answer(SECCOMP_RET_ALLOW);
    code[other + 1].k = len - (other + 1) - 1;
}

/* n: of ids. */
static void
write_fence(const pid_t *ids, size_t n)
{
    int     arch;
    size_t  i;

    len = nto_ids = 0;

    for (arch = 0; arch < ARCHS; arch++) {
        write_arch(arch);
    }

    answer(SECCOMP_RET_ALLOW);

    for (i = 0; i < nto_ids; i++) {
        code[to_ids[i]].k = len - to_ids[i] - 1;
    }

    for (i = 0; i < n; i++) {
        answer_if((unsigned) ids[i], EPERM_NOW);
    }

    answer(SECCOMP_RET_ALLOW);

    program.len = (unsigned short) len;
    program.filter = code;
}

/* A group is a negative number to kill(), a positive one to others: whose
 * leader is not the worker then has the protection, too. */
static size_t
find_ids(pid_t guard, pid_t *ids)
{
    DIR            *d = opendir("/proc/self/task");
    pid_t           group = getpgrp();
    size_t          n = 0;
    struct dirent  *e;

    if (d == NULL) {
        return 0;
    }

    ids[n++] = -1;
    if (group > 0) {          /* 0: of another pid namespace */
        ids[n++] = group;
        ids[n++] = -group;
    }
    if (guard > 0) {
        ids[n++] = guard;
        ids[n++] = -guard;
    }

    errno = 0;
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] == '.') {
            continue;
        }
        if (n == IDS_MAX) {
            errno = EMFILE;
            break;
        }
        ids[n++] = (pid_t) strtol(e->d_name, NULL, 10);
    }

    if (errno != 0) {
        n = 0;
    }
    (void) closedir(d);

    return n;
}

/* Asked once: what is missing at the start is not expected later. */
static int
is_possible(void)
{
    static int  known;

    if (known == 0) {
#if defined(__x86_64__) || (defined(__aarch64__) && defined(__AARCH64EL__))
        /* a filter at address 0 is refused, and last of all reasons */
        known = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) != 0
                && errno == EFAULT
                && access("/proc/self/task", R_OK | X_OK) == 0 ? 1 : -1;
#else
        known = -1;
#endif
    }

    return known > 0;
}

static void
nothing(uv_work_t *work)
{
    (void) work;
}

void
tw_fence_start(uv_loop_t *loop)
{
    static uv_work_t  work;

    /* the first work starts the whole pool, and returns when it runs */
    if (is_possible()) {
        (void) uv_queue_work(loop, &work, nothing, NULL);
    }
}

int
tw_fence_make(pid_t guard, const struct sock_fprog **fence)
{
    size_t        n;
    static pid_t  ids[IDS_MAX];

    *fence = NULL;

    if (is_possible()) {
        n = find_ids(guard, ids);
        if (n == 0) {
            return errno;
        }
        write_fence(ids, n);
        *fence = &program;
    }

    return 0;
}

int
tw_fence_enter(const struct sock_fprog *fence)
{
    /* a service's own filter may kill whoever calls seccomp(), which is not in
     * systemd's @system-service before 256; prctl() is */
    if (prctl(PR_GET_SECCOMP) != 0) {
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fence);
    }

    /* without the flag, kernels before 5.16 slow the whole process down
     * against attacks that this filter is not about */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                SECCOMP_FILTER_FLAG_SPEC_ALLOW, fence) == 0)
    {
        return 0;
    }

    /* valgrind does not know that call */
    return errno == ENOSYS ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fence)
                           : -1;
}

/* What of this configuration is around the fence; NULL: nothing. */
static const char *
gap(const tw_conf_t *conf)
{
    unsigned  i;

    if (!is_possible()) {
        return "this machine cannot filter system calls";
    }

    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1) {
        return "TASKMQ_COREDUMP=1 lets them into its memory";
    }

    if (tw_cgroup_is_ours()) {
        return "its cgroup belongs to its user (Delegate=yes)";
    }

    for (i = 0; i < conf->n; i++) {
        if (conf->h[i]->kind == TW_KIND_URL) {
            return "url handlers look names up in threads that come and go";
        }
        if (conf->h[i]->kind == TW_KIND_IMAGE) {
            return "the programs of containers are of that user, too, and "
                   "are not kept from it";
        }
    }

    return NULL;
}

void
tw_fence_warn(const tw_conf_t *conf)
{
    unsigned                  i, n = 0;
    const char               *why, *first = NULL;
    const tw_handler_conf_t  *h;

    for (i = 0; i < conf->n; i++) {
        h = conf->h[i];
        /* of a container this is not ours to know */
        if ((h->kind == TW_KIND_COMMAND || h->kind == TW_KIND_LIBRARY)
            && (h->as.name == NULL || h->as.uid == geteuid()))
        {
            first = n++ == 0 ? h->name : first;
        }
    }

    if (n == 0) {
        return;
    }

    /* who owns all of /proc, /sys and /etc needs none of these calls */
    if (geteuid() == 0) {
        TW_LOG(TW_WARN, "handlers run as root, and can stop, slow down or "
            "limit the worker: give them a user", tw_fi("handlers", n),
            tw_fs("first", first));
        return;
    }

    why = gap(conf);
    if (why != NULL) {
        TW_LOG(TW_WARN, "handlers run as the worker's own user, and can stop, "
            "slow down or limit it: only a worker that runs as root gives "
            "them another (user)", tw_fi("handlers", n),
            tw_fs("first", first), tw_fs("because", why));
    }
}
