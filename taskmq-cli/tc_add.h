/*
 * tc_add.h: the two halves of `taskmq add-job`: cmd_add.c reads the arguments
 * and adds one job, add_bulk.c adds many from NDJSON.
 */

#ifndef TC_ADD_H
#define TC_ADD_H

#include "tc.h"

/*
 * Puts a job's body together: payload, then tail (everything else, from
 * `,"handler":` to the last brace), or, with an empty tail, text as it is.
 * Reads the job from it; job points into body. where names the place in
 * errors, e.g. "line 7: ", or "". TC_OK, or an exit code after saying why.
 */
int tc_add_read(tc_t *tc, const char *where, tq_str_t text, tq_str_t tail,
    tq_buf_t *body, tq_job_t *job);

/*
 * Adds the job and says on stderr, but not under --json, when no worker serves
 * its handler. Where one does, that costs no call. key: an idempotency key, or
 * empty. TC_OK with *id an outcome of tq_enqueue_result(), or an exit code
 * after saying why.
 */
int tc_add_send(tc_t *tc, tq_str_t key, uint64_t hash, const tq_job_t *job,
    int64_t *id);

/* What a negative outcome of an enqueue means. */
const char *tc_add_why(int64_t outcome);

/* The exit status that goes with it. */
int tc_add_code(int64_t outcome);

/* Adds a job per line of the file ("-": stdin). */
int tc_add_bulk(tc_t *tc, const char *path, tq_str_t tail);

#endif /* TC_ADD_H */
