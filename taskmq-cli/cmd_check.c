/*
 * cmd_check.c: `taskmq check-handler`: does a program keep the handler
 * protocol (docs/handler-protocol.md)? A verdict per rule.
 *
 * Each rule has a process of its own, so that one that is broken does not
 * spoil the next.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tc_check.h"
#include "tq_base.h"

#define LONG_TEXT_BYTES  100000

typedef enum { PASS, NOTE, FAIL } verdict_t;


/* ---- the rules ---- */

static verdict_t
rule_start(tc_check_t *k)
{
    int          rc;
    tc_answer_t  a;

    rc = tc_check_start(k) == 0
         ? tc_check_nothing_more(k, "before the first task") : -2;
    if (rc != 0) {
        k->cannot = rc == -2;
        return FAIL;
    }

    /* It may start slowly and say it only now: then two answers come to one
     * task. One that does not answer is the next rule's. */
    if (tc_check_send(k, 1, 1, k->data) != 0
        || tc_check_answer(k, &a) != 0)
    {
        memcpy(k->unanswered, k->why, sizeof(k->why));

    } else if (tc_check_nothing_more(k, "before the first task or beside its "
                   "answer") == -1)
    {
        return FAIL;
    }

    k->why[0] = '\0';
    return PASS;
}


static verdict_t
rule_answer(tc_check_t *k)
{
    tc_answer_t  a;

    if (k->unanswered[0] != '\0') {
        memcpy(k->why, k->unanswered, sizeof(k->why));
        return FAIL;
    }

    if (tc_check_exchange(k, k->data, &a) != 0) {
        return FAIL;
    }

    if (a.success) {
        return PASS;
    }

    tc_because(k, "it answered with the error \"%s\"; give data that it takes "
               "with --data", a.error);
    return NOTE;
}


static verdict_t
rule_again(tc_check_t *k)
{
    int          i;
    tc_answer_t  a;

    if (tc_check_start(k) != 0) {
        return FAIL;
    }

    for (i = 1; i <= 3; i++) {
        if (tc_check_send(k, i, i, k->data) != 0
            || tc_check_answer(k, &a) != 0)
        {
            return FAIL;
        }
    }

    return tc_check_nothing_more(k, "after the last task") == 0 ? PASS : FAIL;
}


static verdict_t
rule_error(tc_check_t *k)
{
    tc_answer_t  a;

    if (tc_check_exchange(k, k->bad.p != NULL ? k->bad : tq_str("{}"), &a)
        != 0)
    {
        return FAIL;
    }

    if (!a.success && a.no_text) {
        tc_because(k, "its \"error\" has no text; the job's will only say so");
        return NOTE;
    }

    if (!a.success) {
        tc_because(k, "\"%s\", retryable %s", a.error, a.retryable == 1 ? "true"
                   : a.retryable == 0 ? "false" : "missing, which is false");
        return PASS;
    }

    if (k->bad.p != NULL) {
        tc_because(k, "it answered success to the data of --bad");
        return FAIL;
    }

    tc_because(k, "{} is fine with it; give data that it refuses with --bad");
    return NOTE;
}


static verdict_t
rule_retryable(tc_check_t *k)
{
    if (k->odd_retryable != 0) {
        tc_because(k, "\"retryable\" must be true or false; anything else "
                   "counts as false");
        return FAIL;
    }

    if (k->errors_seen == 0) {
        tc_because(k, "no error was seen");
        return NOTE;
    }

    return PASS;
}


static verdict_t
rule_with(tc_check_t *k, tq_buf_t *data)
{
    int          rc;
    tc_answer_t  a;

    tq_buf_addc(data, '}');
    rc = data->failed ? -1
         : tc_check_exchange(k, (tq_str_t) { data->p, data->len }, &a);
    tq_buf_free(data);

    if (rc == 0 && !a.success) {
        tc_because(k, "it answered with the error \"%s\"", a.error);
        return NOTE;
    }

    return rc == 0 ? PASS : FAIL;
}


static verdict_t
rule_long(tc_check_t *k)
{
    int       i;
    tq_buf_t  b = { 0 };

    tc_check_extend(k, &b);
    tq_buf_addc(&b, '"');

    for (i = 0; i < LONG_TEXT_BYTES / 10; i++) {
        tq_buf_adds(&b, "0123456789");
    }

    tq_buf_addc(&b, '"');
    return rule_with(k, &b);
}


/* Strings as they may be in a payload; cuts: what some readers of lines cut
 * at. */
static verdict_t
with_text(tc_check_t *k, const char *cuts)
{
    tq_buf_t   b = { 0 };
    verdict_t  v;

    tc_check_extend(k, &b);
    tq_buf_adds(&b, "{\"\\n\\t\\\"\":[\"");
    tq_buf_adds(&b, cuts);
    tq_buf_adds(&b, "\\r\\n\\ud83d\\ude00\","
                "\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\","
                "12345678901234567890123,1.10,-0.0,1e300,null,{}]}");
    v = rule_with(k, &b);

    return v == PASS && tc_check_nothing_more(k, "after its answer") != 0
           ? FAIL : v;
}


/* A worker sends those characters as escapes. Others that speak this protocol
 * may not, and JSON allows them. */
static verdict_t
rule_text(tc_check_t *k)
{
    verdict_t  v = with_text(k, "\xe2\x80\xa8\xe2\x80\xa9\xc2\x85");

    if (v == PASS) {
        return PASS;
    }

    tc_child_end(&k->child);
    k->why[0] = '\0';
    v = with_text(k, "\\u2028\\u2029\\u0085");

    if (v == PASS) {
        tc_because(k, "not when U+2028, U+2029 or U+0085 are raw in a string: "
                   "it cuts lines there, not only at LF; the worker sends "
                   "them as escapes");
        return NOTE;
    }

    return v;
}


static verdict_t
rule_noise(tc_check_t *k)
{
    if (k->noise == 0) {
        return PASS;
    }

    tc_because(k, "%d lines on stdout were no answers; the worker logs and "
               "skips them, write them to stderr; the first: %s", k->noise,
               k->first_noise);
    return NOTE;
}


static verdict_t
ends_well(tc_check_t *k)
{
    if (!tc_child_finish(&k->child, tc_now_ms() + k->wait_s * 1000)) {
        tc_because(k, "it goes on %lld s after the end of its input",
                   (long long) k->wait_s);
        return FAIL;
    }

    if (!WIFEXITED(k->child.status) || WEXITSTATUS(k->child.status) != 0) {
        tc_because(k, "%s %d instead of exit status 0",
                   WIFEXITED(k->child.status) ? "exit status" : "signal",
                   WIFEXITED(k->child.status) ? WEXITSTATUS(k->child.status)
                   : WTERMSIG(k->child.status));
        tc_because_stderr(k);
        return FAIL;
    }

    return PASS;
}


static verdict_t
rule_end(tc_check_t *k)
{
    tc_answer_t  a;

    return tc_check_exchange(k, k->data, &a) == 0 ? ends_well(k) : FAIL;
}


static verdict_t
rule_end_idle(tc_check_t *k)
{
    return tc_check_start(k) == 0 ? ends_well(k) : FAIL;
}


static const struct {
    const char   *name;
    const char   *text;
    verdict_t   (*check)(tc_check_t *k);
} rules[] = {
    { "start", "starts, and waits for a task in silence", rule_start },
    { "answer", "answers a task with one JSON line", rule_answer },
    { "again", "answers three tasks in one process, once each", rule_again },
    { "error", "says errors as an answer, and lives on", rule_error },
    { "retryable", "\"retryable\" is true, false or missing",
      rule_retryable },
    { "long", "takes a line of 100 kB", rule_long },
    { "text", "takes any JSON: escapes, UTF-8, U+2028, big numbers",
      rule_text },
    { "noise", "writes nothing but answers to stdout", rule_noise },
    { "end", "ends with status 0 at the end of its input", rule_end },
    { "end-idle", "does so without having had a task, too", rule_end_idle },
};

#define N_RULES  (sizeof(rules) / sizeof(rules[0]))


static void
report(tc_check_t *k, unsigned i, verdict_t v)
{
    tq_buf_t                  line = { 0 };
    static const char  *const  words[] = { "ok", "note", "FAIL" };

    if (!k->tc->json) {
        tc_add_word(&line, 4, words[v]);
        tq_buf_addf(&line, "  %-9s  %s%s%s%s\n", rules[i].name,
                    rules[i].text, k->why[0] ? "\n                 (" : "",
                    k->why, k->why[0] ? ")" : "");
        (void) fwrite(line.p, 1, line.len, stdout);
        (void) fflush(stdout);
        tq_buf_free(&line);
        return;
    }

    tq_doc_add(&k->rules, NULL, tq_doc_object(
        { "rule", tq_doc_text(rules[i].name) },
        { "verdict", tq_doc_text(v == FAIL ? "fail" : words[v]) },
        { "text", tq_doc_text(rules[i].text) },
        { "why", tq_doc_text(k->why[0] ? k->why : NULL) }));
}


/* What all further rules need and this one found missing, or NULL. */
static const char *
needed(const tc_check_t *k, unsigned i, verdict_t v)
{
    if (v != FAIL) {
        return NULL;
    }

    if (k->cannot) {
        return "a program that waits for its tasks";
    }

    return rules[i].check == rule_answer ? "an answer" : NULL;
}


static int
check_all(tc_check_t *k)
{
    unsigned     i;
    verdict_t    v;
    const char  *missing = NULL;

    k->rules = k->tc->json ? cJSON_CreateArray() : NULL;

    for (i = 0; i < N_RULES && missing == NULL; i++) {
        k->why[0] = '\0';
        v = rules[i].check(k);
        tc_child_end(&k->child);

        k->failed += v == FAIL;
        report(k, i, v);
        missing = needed(k, i, v);
    }

    if (k->tc->json) {
        if (tc_print_doc(k->tc, tq_doc_object(
                { "rules", k->rules },
                { "failed", tq_doc_int(k->failed) },
                { "stopped", cJSON_CreateBool(missing != NULL) })) != TC_OK)
        {
            return TC_FAILED;
        }
    } else {
        if (missing != NULL) {
            printf("Not checked further: the rest needs %s.\n", missing);
        }

        printf("%s\n", k->failed ? "This program does not keep the protocol."
               : "This program keeps the protocol.");
    }

    return k->failed ? TC_FAILED : TC_OK;
}


/* NULL stays none. */
static int
is_object(const char *s, tq_str_t *out)
{
    tq_json_val_t  v;
    tq_json_err_t  err;

    if (s == NULL) {
        return 1;
    }

    if (tq_json_parse_as(TQ_JSON_PAYLOAD, s, strlen(s), &v, &err) != 0) {
        return 0;
    }

    *out = v.raw;
    return v.type == TQ_JSON_OBJECT;
}


/* What is said never has a value in it: it may be a secret. */
static int
check_env(tc_t *tc, const tc_texts_t *env)
{
    int          i, j;
    size_t       len;
    const char  *s;

    for (i = 0; i < env->n; i++) {
        s = env->text[i];
        len = strcspn(s, "=");

        if (s[len] != '=' || !tq_env_name_ok(s, len)) {
            return tc_usage(tc, "--env wants NAME=VALUE, not \"%.*s%s\"",
                            (int) len, s, s[len] == '=' ? "=..." : "");
        }

        for (j = 0; j < i; j++) {
            if (strncmp(env->text[j], s, len + 1) == 0) {
                return tc_usage(tc, "--env sets %.*s twice", (int) len, s);
            }
        }
    }

    return TC_OK;
}


static int
cmd_check(tc_t *tc, int argc, char **argv)
{
    int          n;
    tc_check_t   k = { .tc = tc, .wait_s = 10, .type = "check" };
    tc_texts_t   env = { 0 };
    const char  *protocol = "taskdaemon", *data = "{}", *bad = NULL;

    const tc_opt_t  opts[] = {
        { "timeout", TC_SECONDS, &k.wait_s, 1, TQ_TIMEOUT_MAX_S },
        { "type", TC_TEXT, &k.type, 0, 0 },
        { "data", TC_TEXT, &data, 0, 0 },
        { "bad", TC_TEXT, &bad, 0, 0 },
        { "protocol", TC_TEXT, &protocol, 0, 0 },
        { "env", TC_TEXTS, &env, 0, 0 },
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

    if (!is_object(data, &k.data) || !is_object(bad, &k.bad)) {
        return tc_usage(tc, "--data and --bad want a JSON object");
    }

    if (check_env(tc, &env) != TC_OK) {
        return TC_USAGE;
    }

    argv[n] = NULL;
    k.argv = argv;
    k.child.in = k.child.out = k.child.err = -1;
    k.env = tq_env_make(env.text, NULL);

    n = k.env != NULL ? check_all(&k)
        : tc_error(tc, TC_FAILED, "out of memory");
    free(k.env);

    return n;
}


const tc_command_t  tc_check_commands[] = {
    { "check-handler", cmd_check, "check that a program keeps the protocol",
      "usage: taskmq check-handler [options] -- PROGRAM [ARGUMENT ...]\n"
      "\n"
      "Runs the program as a worker runs a handler and prints a verdict per\n"
      "rule of the handler protocol: ok, note (allowed, but look at it) or\n"
      "FAIL. The exit status is 0 when no rule failed. Needs no Redis.\n"
      "Without an answer to the first task it stops there.\n"
      "\n"
      "As under a worker, the program gets only PATH, HOME, USER, LOGNAME,\n"
      "SHELL, LANG, LANGUAGE, LC_*, TZ and TMPDIR of your environment, and\n"
      "can gain no privileges (no sudo, no setuid).\n"
      "\n"
      "  --data JSON      data that the handler succeeds with; {} unless\n"
      "                   given\n"
      "  --bad JSON       data that it must answer with an error\n"
      "  --type NAME      the task's type; \"check\" unless given\n"
      "  --protocol P     taskdaemon (unless given) or taskmq\n"
      "  --env NAME=VALUE\n"
      "                   what env in handlers.toml sets; can be repeated\n"
      "  --timeout TIME   per answer; 10 seconds unless given\n" },
    { NULL, NULL, NULL, NULL }
};
