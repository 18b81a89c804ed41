/*
 * tc_check.h: the two halves of `taskmq check-handler`: cmd_check.c has the
 * rules, check_talk.c speaks the handler protocol with the program checked.
 *
 * What returns 0 or -1 here leaves the reason for -1 in k->why.
 */

#ifndef TC_CHECK_H
#define TC_CHECK_H

#include "tc_child.h"
#include "tq_queue.h"

#define TC_ERROR_SHOWN  120
#define TC_ID_LEN       36
#define TC_LINE_SHOWN   500      /* 120 bytes, each written as \x00 */

typedef struct {
    tc_t         *tc;
    char        **argv;
    char        **env;           /* as a worker makes it */
    int64_t       wait_s;
    const char   *type;
    tq_str_t      data;          /* an object that it should succeed with */
    tq_str_t      bad;           /* one that it should refuse, or none */
    int           taskmq;        /* --protocol taskmq */
    tc_child_t    child;

    int           answered;      /* answers of this process */
    int           failed;        /* rules */
    int           noise;         /* lines that were no answers */
    int           errors_seen, odd_retryable;
    int           cannot;        /* be started, or ends at once */
    char          why[1024];     /* of the rule being checked */
    char          unanswered[1024];      /* why the first task was not */
    char          came[TC_LINE_SHOWN];   /* this process' first wrong line */
    char          first_noise[TC_LINE_SHOWN];
    cJSON        *rules;         /* under --json: what is said of each */
} tc_check_t;

typedef struct {
    int           success;       /* else an error */
    int           retryable;     /* 1, 0, or -1: missing */
    int           no_text;       /* an error without "error", or a null */
    char          error[TC_ERROR_SHOWN + 1];
} tc_answer_t;

void tc_because(tc_check_t *k, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds the last line that the handler wrote to stderr to the reason. */
void tc_because_stderr(tc_check_t *k);

int tc_check_start(tc_check_t *k);

/* Sends one task; number makes its id. */
int tc_check_send(tc_check_t *k, int number, int attempt, tq_str_t data);

/* Waits for the answer; other lines are counted as noise. */
int tc_check_answer(tc_check_t *k, tc_answer_t *a);

/* Start, one task, its answer. */
int tc_check_exchange(tc_check_t *k, tq_str_t data, tc_answer_t *a);

/* Appends the data, up to the value of one more member at the end of the
 * object: that and a } are the caller's. */
void tc_check_extend(const tc_check_t *k, tq_buf_t *b);

/* For a short time nothing that looks like an answer may come (then -1); -2:
 * the handler ended. */
int tc_check_nothing_more(tc_check_t *k, const char *when);

#endif /* TC_CHECK_H */
