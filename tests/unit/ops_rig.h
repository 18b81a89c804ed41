/*
 * ops_rig.h: for tests of tq_ops.h: one redis-server for a whole test program,
 * a namespace of its own for each test, and short words for what the tests do
 * most. Every word fails the test when the operation is not answered.
 *
 * cmocka's headers go first.
 */

#ifndef OPS_RIG_H
#define OPS_RIG_H

#include "redis_loop.h"
#include "tq_ops_int.h"

/* Two worker ids. */
#define W1  "00000000000000a1"
#define W2  "00000000000000b2"

/* A test in namespace `name`. */
#define ops_test(name, fn) \
    { name, fn, rig_fresh, NULL, (void *) name }

extern redis_loop_t  loop;
extern tq_ns_t       ns;

int rig_setup(void **state);
int rig_teardown(void **state);
int rig_fresh(void **state);

tq_str_t str(const char *s);
void assert_str(tq_str_t s, const char *text);

/* Runs a call. Its result lives until the next one is run. */
const tq_result_t *result(tq_call_t *call);

/* The same; a result that is not TQ_OK fails the test. */
const tq_result_t *run(tq_call_t *call);

/* A job with nothing set but these. */
tq_job_t job_of(const char *handler, const char *payload);

/* Store one job and return its id. */
int64_t add_job(const tq_job_t *job);
int64_t add(const char *handler, const char *payload);

/* The job, which must be there. Slices live until the next run(). */
tq_job_info_t get(int64_t id);
int exists(int64_t id);

/* A lease token of worker that was not used before. */
tq_token_t token_of(const char *worker);

/* The result of a heartbeat of a worker that holds the n jobs of o; all: and
 * none besides. */
const tq_result_t *beat(const char *worker, int all, const tq_outcome_t *o,
    unsigned n);

/* Claims up to n jobs of one handler; returns how many. */
unsigned claim(const char *worker, const char *handler, int64_t lease_ms,
    unsigned n, tq_claimed_t *out);

/* Claims one job, which must be there, as an outcome to be filled. */
tq_outcome_t claim_one(const char *worker, const char *handler);

/* The only verdict of a call about one job. */
tq_verdict_t verdict(tq_call_t *call);
tq_change_t change(tq_call_t *call, int64_t *new_id);

#endif /* OPS_RIG_H */
