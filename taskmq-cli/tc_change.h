/*
 * tc_change.h: the two halves of the commands that change jobs: cmd_change.c
 * starts changes and says what came of them, change_many.c reads the options
 * and walks through the jobs that match.
 */

#ifndef TC_CHANGE_H
#define TC_CHANGE_H

#include "tc.h"

typedef enum {
    TC_CANCEL, TC_RETRY, TC_DELETE, TC_REPLAY, TC_REPLAY_DEAD
} tc_change_kind_t;

typedef struct {
    tc_t              *tc;
    tc_change_kind_t   change;
    int                force;
    int                chosen;       /* a choice of jobs, not ids */
    int64_t            done, refused, unknown, lost;
    int64_t            gone;         /* changed while they were walked */
    int64_t            conflicts[TQ_LIST_MAX];      /* of this page */
    unsigned           n_conflicts;
    tq_buf_t           out;
} tc_change_t;

/* Starts one change. TC_OK, or an exit code after saying why. */
int tc_change_start(tc_change_t *w, int64_t id);

/* Waits for what was started and prints it. At most TQ_LIST_MAX at a time. */
int tc_change_land(tc_change_t *w);

/* The whole work for ids. */
int tc_change_ids(tc_change_t *w, int n, char **argv);

/* A whole command. */
int tc_change(tc_t *tc, int argc, char **argv, tc_change_kind_t change);

#endif /* TC_CHANGE_H */
