/*
 * records.h: for tests: a job's two records as Redis keeps them (the examples
 * of docs/redis-schema.md), as constant text. test_job_record.c holds their
 * fields to the places of tq_layout.h.
 */

#ifndef RECORDS_H
#define RECORDS_H

#define RECORD_CREATED   "1763800000000"
#define RECORD_HEAD      "1- 010 f t-- " RECORD_CREATED " email\n"

#define RUN_WORKER       "9c0ffee012345678"
#define RUN_TOKEN        "00000000001f" RUN_WORKER
#define RUN_STARTED      "1763800000123"
#define RUN_NEVER        "0000000000000"

/* All but the error's text and the result, which follow. */
#define RUN_TEXT(state, finished, token, started, attempts, crashes, runs,    \
    error_len, name)                                                          \
    "1" state finished " " token " " started " " attempts " " crashes " "     \
    runs " " error_len " " name "\n" RECORD_HEAD

#endif /* RECORDS_H */
