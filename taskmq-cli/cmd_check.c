/*
 * cmd_check.c: `taskmq check-handler`: does a program keep the handler
 * protocol (docs/handler-protocol.md)? A verdict per rule.
 *
 * Each rule has a process of its own, so that one that is broken does not
 * spoil the next.
 */

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tc_child.h"

#define QUIET_MS         300     /* no answer may come unasked for this long */
#define LONG_TEXT_BYTES  100000
#define ERROR_SHOWN      120

typedef enum { PASS, NOTE, FAIL } verdict_t;

typedef struct {
    tc_t         *tc;
    char        **argv;
    int64_t       wait_s;
    const char   *type;
    const char   *data;          /* data that it should succeed with */
    const char   *bad;           /* data that it should refuse, or NULL */
    int           taskmq;        /* --protocol taskmq */
    tc_child_t    child;

    int           rules, failed, noise;
    int           errors_seen, odd_retryable;
    int           cannot;        /* be started at all */
    char          why[512];      /* of the rule being checked */
    tq_buf_t      json;
} check_t;

typedef struct {
    int           success;       /* else an error */
    int           retryable;     /* 1, 0, or -1: missing */
    char          error[ERROR_SHOWN + 1];
} answer_t;

static void because(check_t *k, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


static void
because(check_t *k, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vsnprintf(k->why, sizeof(k->why), fmt, args);
    va_end(args);
}


static int64_t
deadline(const check_t *k)
{
    return tc_now_ms() + k->wait_s * 1000;
}


/* The last line that the handler wrote to stderr, for an explanation. */
static void
add_stderr(check_t *k)
{
    size_t     len, used, start;
    tq_buf_t   shown = { 0 };
    tq_str_t   s;

    s = (tq_str_t) { k->child.said.p, k->child.said.len };

    while (s.len > 0 && s.p[s.len - 1] == '\n') {
        s.len--;
    }

    for (start = s.len; start > 0 && s.p[start - 1] != '\n'; start--) {
        /* void */
    }

    s.p += start;
    s.len -= start;

    used = strlen(k->why);
    len = sizeof(k->why) - used;

    if (s.len != 0 && len > 32) {
        tc_add_plain(&shown, s);
        if (tq_buf_cstr(&shown) != NULL) {
            snprintf(k->why + used, len, "; stderr: %s", shown.p);
        }
        tq_buf_free(&shown);
    }
}


/* How a process ended, said in k->why. */
static void
because_ended(check_t *k)
{
    if (!tc_child_finish(&k->child, tc_now_ms() + 1000)) {
        because(k, "it closed its output but goes on");
    } else {
        k->child.pid = 0;

        if (WIFSIGNALED(k->child.status)) {
            because(k, "it died of signal %d (%s)",
                    WTERMSIG(k->child.status),
                    strsignal(WTERMSIG(k->child.status)));
        } else {
            because(k, "it ended with status %d",
                    WEXITSTATUS(k->child.status));
        }
    }

    add_stderr(k);
}


static int
start(check_t *k)
{
    int  e;

    e = tc_child_start(&k->child, k->argv);
    if (e == 0) {
        return 0;
    }

    because(k, "%s: %s", k->argv[0], strerror(e));
    k->cannot = 1;
    return -1;
}


static int
send_task(check_t *k, int number, int attempt, tq_str_t data)
{
    int       rc;
    tq_buf_t  b = { 0 };

    tq_buf_addf(&b, "{\"task_id\":\"00000000-0000-8000-8000-%012d\","
                "\"task_type\":", number);
    tq_buf_add_json(&b, k->type, strlen(k->type));
    tq_buf_adds(&b, ",\"task_data\":");
    tq_json_add_line(&b, data);
    tq_buf_addf(&b, ",\"attempt\":%d", attempt);

    if (k->taskmq) {
        tq_buf_addf(&b, ",\"job_id\":%d,\"priority\":10,\"retries\":%d,"
                    "\"handler\":", number, attempt - 1);
        tq_buf_add_json(&b, k->type, strlen(k->type));
    }

    tq_buf_adds(&b, "}\n");

    rc = b.failed ? -1 : tc_child_send(&k->child, b.p, b.len, deadline(k));

    if (rc != 0) {
        because(k, "it does not read its input");
        if (k->child.out == -1) {
            because_ended(k);
        }
    }

    tq_buf_free(&b);
    return rc;
}


/* 1: an answer, 0: not one (the worker would skip it), -1: an answer that is
 * not right; why is said. */
static int
read_answer(check_t *k, tq_str_t line, answer_t *a)
{
    char            status[16];
    tq_json_val_t   top, v;
    tq_json_err_t   err;

    memset(a, 0, sizeof(*a));
    a->retryable = -1;

    if (tq_json_parse(line.p, line.len, &top, &err) != 0
        || top.type != TQ_JSON_OBJECT
        || !tq_json_find(top.raw, "status", &v) || v.type != TQ_JSON_STRING
        || tq_json_unescape(v.raw, status, sizeof(status)) < 0)
    {
        return 0;
    }

    if (strcmp(status, "success") == 0) {
        a->success = 1;

        if (tq_json_find(top.raw, "result", &v)
            && v.raw.len > TQ_RESULT_MAX_BYTES)
        {
            because(k, "a result of %zu bytes; the limit is %d", v.raw.len,
                    TQ_RESULT_MAX_BYTES);
            return -1;
        }

        return 1;
    }

    if (strcmp(status, "error") != 0) {
        return 0;
    }

    if (!tq_json_find(top.raw, "error", &v) || v.type != TQ_JSON_STRING) {
        because(k, "status is \"error\", but \"error\" is not a text");
        return -1;
    }

    if (v.raw.len <= ERROR_SHOWN) {
        (void) tq_json_unescape(v.raw, a->error, sizeof(a->error));
    } else {
        snprintf(a->error, sizeof(a->error), "%.*s", ERROR_SHOWN - 4,
                 v.raw.p + 1);
    }

    k->errors_seen++;

    if (tq_json_find(top.raw, "retryable", &v)) {
        if (v.type == TQ_JSON_TRUE || v.type == TQ_JSON_FALSE) {
            a->retryable = v.type == TQ_JSON_TRUE;
        } else {
            k->odd_retryable++;
        }
    }

    return 1;
}


/* Waits for the answer; other lines are counted as noise. 0, or -1. */
static int
get_answer(check_t *k, answer_t *a)
{
    int        rc, others;
    int64_t    end;
    tq_str_t   line;

    end = deadline(k);
    others = k->noise;

    for ( ;; ) {
        switch (tc_child_line(&k->child, &line, end)) {

        case TC_CHILD_LINE:
            rc = read_answer(k, line, a);
            if (rc != 0) {
                return rc == 1 ? 0 : -1;
            }
            k->noise++;
            continue;

        case TC_CHILD_LATE:
            others = k->noise - others;
            because(k, "no answer within %lld s%s", (long long) k->wait_s,
                    others ? "; what came was no object with a \"status\" "
                    "of \"success\" or \"error\"" : "");
            add_stderr(k);
            return -1;

        case TC_CHILD_END:
        default:
            because_ended(k);
            return -1;
        }
    }
}


/* Nothing that looks like an answer may come now. 0, or -1. */
static int
stay_quiet(check_t *k, const char *when)
{
    int64_t    end;
    answer_t   a;
    tq_str_t   line;

    end = tc_now_ms() + QUIET_MS;

    for ( ;; ) {
        switch (tc_child_line(&k->child, &line, end)) {

        case TC_CHILD_LINE:
            if (read_answer(k, line, &a) != 0) {
                because(k, "an answer that nobody asked for, %s", when);
                return -1;
            }
            k->noise++;
            continue;

        case TC_CHILD_LATE:
            return 0;

        case TC_CHILD_END:
        default:
            because_ended(k);
            return -1;
        }
    }
}


static tq_str_t
text(const char *s)
{
    return (tq_str_t) { s, strlen(s) };
}


static int
ask(check_t *k, tq_str_t data, answer_t *a)
{
    return start(k) == 0 && send_task(k, 1, 1, data) == 0
           && get_answer(k, a) == 0 ? 0 : -1;
}


/* ---- the rules ---- */

static verdict_t
rule_start(check_t *k)
{
    if (start(k) != 0 || stay_quiet(k, "before the first task") != 0) {
        return FAIL;
    }

    return PASS;
}


static verdict_t
rule_answer(check_t *k)
{
    answer_t  a;

    if (ask(k, text(k->data), &a) != 0) {
        return FAIL;
    }

    if (a.success) {
        return PASS;
    }

    because(k, "it answered with the error \"%s\"; give data that it takes "
            "with --data", a.error);
    return NOTE;
}


static verdict_t
rule_again(check_t *k)
{
    int       i;
    answer_t  a;

    if (start(k) != 0) {
        return FAIL;
    }

    for (i = 1; i <= 3; i++) {
        if (send_task(k, i, i, text(k->data)) != 0
            || get_answer(k, &a) != 0)
        {
            return FAIL;
        }
    }

    return stay_quiet(k, "after the last task") == 0 ? PASS : FAIL;
}


static verdict_t
rule_error(check_t *k)
{
    answer_t  a;

    if (ask(k, text(k->bad != NULL ? k->bad : "{}"), &a) != 0) {
        return FAIL;
    }

    if (!a.success) {
        because(k, "\"%s\", retryable %s", a.error, a.retryable == 1 ? "true"
                : a.retryable == 0 ? "false" : "missing, which is false");
        return PASS;
    }

    if (k->bad != NULL) {
        because(k, "it answered success to the data of --bad");
        return FAIL;
    }

    because(k, "{} is fine with it; give data that it refuses with --bad");
    return NOTE;
}


static verdict_t
rule_retryable(check_t *k)
{
    if (k->odd_retryable != 0) {
        because(k, "\"retryable\" must be true or false; anything else "
                "counts as false");
        return FAIL;
    }

    if (k->errors_seen == 0) {
        because(k, "no error was seen");
        return NOTE;
    }

    return PASS;
}


/* The data with one more member, at the end of the object. */
static void
extend_data(const check_t *k, tq_buf_t *b)
{
    size_t  len;

    len = strlen(k->data);
    while (k->data[len - 1] != '}') {
        len--;
    }
    len--;

    tq_buf_add(b, k->data, len);

    while (len > 0 && strchr(" \t\r\n", k->data[len - 1])) {
        len--;
    }

    if (k->data[len - 1] != '{') {
        tq_buf_addc(b, ',');
    }

    tq_buf_adds(b, "\"taskmq_check\":");
}


static verdict_t
rule_with(check_t *k, tq_buf_t *data)
{
    int       rc;
    answer_t  a;

    tq_buf_addc(data, '}');
    rc = data->failed ? -1
         : ask(k, (tq_str_t) { data->p, data->len }, &a);
    tq_buf_free(data);

    if (rc == 0 && !a.success) {
        because(k, "it answered with the error \"%s\"", a.error);
        return NOTE;
    }

    return rc == 0 ? PASS : FAIL;
}


static verdict_t
rule_long(check_t *k)
{
    int       i;
    tq_buf_t  b = { 0 };

    extend_data(k, &b);
    tq_buf_addc(&b, '"');

    for (i = 0; i < LONG_TEXT_BYTES / 10; i++) {
        tq_buf_adds(&b, "0123456789");
    }

    tq_buf_addc(&b, '"');
    return rule_with(k, &b);
}


static verdict_t
rule_text(check_t *k)
{
    tq_buf_t  b = { 0 };

    extend_data(k, &b);
    tq_buf_adds(&b, "{\"\\n\\t\\\"\":[\"\\u2028\\r\\n\\ud83d\\ude00\","
                "\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\","
                "12345678901234567890123,1.10,-0.0,1e400,null,{}]}");
    return rule_with(k, &b);
}


static verdict_t
rule_noise(check_t *k)
{
    if (k->noise == 0) {
        return PASS;
    }

    because(k, "%d lines on stdout were no answers; the worker logs and skips "
            "them, write them to stderr", k->noise);
    return NOTE;
}


static verdict_t
ends_well(check_t *k)
{
    if (!tc_child_finish(&k->child, deadline(k))) {
        because(k, "it goes on %lld s after the end of its input",
                (long long) k->wait_s);
        return FAIL;
    }

    k->child.pid = 0;

    if (!WIFEXITED(k->child.status) || WEXITSTATUS(k->child.status) != 0) {
        because(k, "%s %d instead of exit status 0",
                WIFEXITED(k->child.status) ? "exit status" : "signal",
                WIFEXITED(k->child.status) ? WEXITSTATUS(k->child.status)
                : WTERMSIG(k->child.status));
        add_stderr(k);
        return FAIL;
    }

    return PASS;
}


static verdict_t
rule_end(check_t *k)
{
    answer_t  a;

    return ask(k, text(k->data), &a) == 0 ? ends_well(k) : FAIL;
}


static verdict_t
rule_end_idle(check_t *k)
{
    return start(k) == 0 ? ends_well(k) : FAIL;
}


static const struct {
    const char   *name;
    const char   *text;
    verdict_t   (*check)(check_t *k);
} rules[] = {
    { "start", "starts, and waits for a task in silence", rule_start },
    { "answer", "answers a task with one JSON line", rule_answer },
    { "again", "answers three tasks in one process, once each", rule_again },
    { "error", "says errors as an answer, and lives on", rule_error },
    { "retryable", "\"retryable\" is true, false or missing",
      rule_retryable },
    { "long", "takes a line of 100 kB", rule_long },
    { "text", "takes any JSON: escapes, UTF-8, big numbers", rule_text },
    { "noise", "writes nothing but answers to stdout", rule_noise },
    { "end", "ends with status 0 at the end of its input", rule_end },
    { "end-idle", "does so without having had a task, too", rule_end_idle },
};

#define N_RULES  (sizeof(rules) / sizeof(rules[0]))


static void
report(check_t *k, unsigned i, verdict_t v)
{
    static const char  *const words[] = { "ok", "note", "FAIL" };

    if (!k->tc->json) {
        printf("%-4s  %-9s  %s%s%s%s\n", words[v], rules[i].name,
               rules[i].text, k->why[0] ? "\n                 (" : "", k->why,
               k->why[0] ? ")" : "");
        fflush(stdout);
        return;
    }

    tq_buf_addf(&k->json, "%s{\"rule\":\"%s\",\"verdict\":\"%s\",\"text\":",
                i ? "," : "", rules[i].name,
                v == PASS ? "ok" : v == NOTE ? "note" : "fail");
    tq_buf_add_json(&k->json, rules[i].text, strlen(rules[i].text));
    tq_buf_adds(&k->json, ",\"why\":");

    if (k->why[0]) {
        tq_buf_add_json(&k->json, k->why, strlen(k->why));
    } else {
        tq_buf_adds(&k->json, "null");
    }

    tq_buf_addc(&k->json, '}');
}


static int
check_all(check_t *k)
{
    unsigned   i;
    verdict_t  v;

    tq_buf_adds(&k->json, "{\"rules\":[");

    for (i = 0; i < N_RULES && !k->cannot; i++) {
        k->why[0] = '\0';
        v = rules[i].check(k);
        tc_child_end(&k->child);

        k->failed += v == FAIL;
        report(k, i, v);
    }

    if (k->tc->json) {
        tq_buf_addf(&k->json, "],\"failed\":%d}", k->failed);
        if (tc_print_json(k->tc, &k->json) != TC_OK) {
            return TC_FAILED;
        }
    } else {
        printf("%s\n", k->failed ? "This program does not keep the protocol."
               : "This program keeps the protocol.");
        tq_buf_free(&k->json);
    }

    return k->failed ? TC_FAILED : TC_OK;
}


static int
is_object(const char *s)
{
    tq_json_val_t  v;
    tq_json_err_t  err;

    return tq_json_parse(s, strlen(s), &v, &err) == 0
           && v.type == TQ_JSON_OBJECT;
}


static int
cmd_check(tc_t *tc, int argc, char **argv)
{
    int          n;
    check_t      k = { .tc = tc, .wait_s = 10, .type = "check",
                       .data = "{}" };
    const char  *protocol = "taskdaemon";

    const tc_opt_t  opts[] = {
        { "timeout", TC_SECONDS, &k.wait_s, 1, TQ_TIMEOUT_MAX_S },
        { "type", TC_TEXT, &k.type, 0, 0 },
        { "data", TC_TEXT, &k.data, 0, 0 },
        { "bad", TC_TEXT, &k.bad, 0, 0 },
        { "protocol", TC_TEXT, &protocol, 0, 0 },
        { NULL, TC_FLAG, NULL, 0, 0 }
    };

    n = tc_args(tc, argc, argv, opts);
    if (n < 0) {
        return TC_USAGE;
    }

    if (n == 0) {
        return tc_usage(tc, "which program? ... -- PROGRAM [ARGUMENT ...]");
    }

    k.taskmq = strcmp(protocol, "taskmq") == 0;

    if (!k.taskmq && strcmp(protocol, "taskdaemon") != 0) {
        return tc_usage(tc, "--protocol is taskdaemon or taskmq, not \"%s\"",
                        protocol);
    }

    if (!is_object(k.data) || (k.bad != NULL && !is_object(k.bad))) {
        return tc_usage(tc, "--data and --bad want a JSON object");
    }

    argv[n] = NULL;
    k.argv = argv;
    k.child.in = k.child.out = k.child.err = -1;

    return check_all(&k);
}


const tc_command_t  tc_check_commands[] = {
    { "check-handler", cmd_check, "check that a program keeps the protocol",
      "usage: taskmq check-handler [options] -- PROGRAM [ARGUMENT ...]\n"
      "\n"
      "Runs the program as a worker runs a handler and prints a verdict per\n"
      "rule of the handler protocol: ok, note (allowed, but look at it) or\n"
      "FAIL. The exit status is 0 when no rule failed. Needs no Redis.\n"
      "\n"
      "  --data JSON      data that the handler succeeds with; {} unless\n"
      "                   given\n"
      "  --bad JSON       data that it must answer with an error\n"
      "  --type NAME      the task's type; \"check\" unless given\n"
      "  --protocol P     taskdaemon (unless given) or taskmq\n"
      "  --timeout TIME   per answer; 10 seconds unless given\n" },
    { NULL, NULL, NULL, NULL }
};
