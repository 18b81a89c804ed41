/*
 * tq_job.h: the job as a client asks for it, read from a JSON body and
 * checked field by field; and the job as it is stored, read from its record.
 *
 * A tq_job_t's payload points into the body it was read from: the body must
 * outlive it. No function here allocates except where it says so.
 */

#ifndef TQ_JOB_H
#define TQ_JOB_H

#include "tq_json.h"
#include "tq_base.h"

/* Which API a job came through: decides field names and default budget. */
typedef enum { TQ_API_TASKMQ, TQ_API_TASKDAEMON } tq_api_t;

typedef struct {
    char      handler[TQ_HANDLER_MAX + 1];
    size_t    handler_len;
    tq_api_t  api;
    int       priority;       /* 0..100 */
    char      policy;         /* 'f' fixed, 'e' exponential, 'n' none */
    int       max_retries;    /* -1: the namespace's setting for this API */
    int64_t   due_ms;         /* 0: now */
    int64_t   interval_s;     /* 0: not periodic */
    int64_t   timeout_s;      /* 0: the handler's */
    int64_t   retention_s;    /* 0: the namespace's */
    tq_str_t  payload;        /* a JSON object, as sent */
    int64_t   aside_bytes;    /* stored apart from the record, this long; 0:
                                 in it. Then payload may be empty: not read */
} tq_job_t;

/* One wrong field. Texts are static, FastAPI's words (pydantic 1). */
typedef struct {
    int          index;       /* place in a bulk array, -1: not bulk */
    int64_t      offset;      /* >= 0: not JSON, at this byte */
    char         field[TQ_HANDLER_MAX + 1];  /* "" the body itself; cut */
    const char  *msg;
    const char  *type;        /* e.g. "value_error.missing" */
} tq_field_err_t;

typedef struct {
    tq_field_err_t  e[TQ_JSON_ERRORS_MAX];
    int             n;        /* errors beyond the last place are dropped */
    int             nomem;    /* not the client's fault: answer 503 */
    int             too_large;  /* a payload is over max_payload: 413 (it is
                                   in the list as well) */
} tq_field_errs_t;

/*
 * Reads one job from a request body. Every wrong field is listed in errs.
 * Unknown fields are errors in the TaskMQ API, and ignored in TaskDaemon's.
 * 0, or -1 with errs.
 */
int tq_job_read(tq_api_t api, tq_str_t body, size_t max_payload,
    tq_job_t *job, tq_field_errs_t *errs);

/*
 * The same for an array of 1..max jobs (TaskMQ's /add-jobs). Fills jobs[0..],
 * returns their number, or -1 with errs (each names its index).
 */
int tq_job_read_bulk(tq_str_t body, size_t max_payload, tq_job_t *jobs,
    int max, tq_field_errs_t *errs);

/* The body {"job_id": N} of /cancel and /retry; force may be NULL where the
 * endpoint does not have it. 0, or -1 with errs. */
int tq_job_read_id(tq_str_t body, int64_t *id, int *force,
    tq_field_errs_t *errs);

/* Adds one error; index -1: not bulk. field is cut to fit, msg and type are
 * kept by address. */
void tq_field_errs_add(tq_field_errs_t *errs, int index, tq_str_t field,
    const char *msg, const char *type);

/* Appends {"detail":[{"loc":["body",…],"msg":…,"type":…},…]}. */
void tq_field_errs_detail(tq_buf_t *b, const tq_field_errs_t *errs);

/* Appends {"error":"field: text; field: text"} (TaskDaemon's 400). */
void tq_field_errs_error(tq_buf_t *b, const tq_field_errs_t *errs);

/* [A-Za-z0-9_.-]{1,64} */
int tq_handler_name_ok(const char *p, size_t len);

/* Decimal digits 1..TQ_ID_MAX without leading zero. 0, or -1. */
int tq_id_parse(const char *p, size_t len, int64_t *id);

/* ---- the stored job (docs/redis-schema.md has the two layouts) ---- */

typedef enum {
    TQ_STATE_PENDING, TQ_STATE_RUNNING, TQ_STATE_SUCCESS, TQ_STATE_FAILED,
    TQ_STATE_CANCELLED
} tq_state_t;

typedef struct {
    int64_t     id;
    tq_state_t  state;
    tq_job_t    job;          /* as asked for; payload is a slice */
    int64_t     created_ms;
    int64_t     due_ms;       /* next run of a waiting job, 0: ready */
    int64_t     started_ms;   /* 0: not yet */
    int64_t     finished_ms;  /* 0: not yet */
    int         attempts;     /* handler failures in this budget */
    int         crashes;      /* lost workers in this budget */
    int64_t     runs;         /* finished runs of a periodic job */
    tq_str_t    worker;       /* slice; empty when never claimed */
    tq_str_t    error;        /* slice; empty when none */
    tq_str_t    result;       /* slice, JSON; empty when none (null) */
} tq_job_info_t;

/*
 * Reads the record `j:<id>` (and `r:<id>`, empty when there is none).
 * Slices point into the two. 0, or -1 when either is not a record (corrupt,
 * or of a newer version).
 */
int tq_job_decode(int64_t id, tq_str_t record, tq_str_t run, int64_t due_ms,
    tq_job_info_t *out);

/*
 * What can be told of a job that tq_job_decode() cannot read: for those who
 * look, so that one such job hides no other. Without payload; where the record
 * is lost, what the run knows of it; an error text in any case.
 */
void tq_job_guess(int64_t id, tq_str_t record, tq_str_t run, int64_t due_ms,
    tq_job_info_t *out);

#define TQ_UNREADABLE                                                         \
    "the job's record in Redis cannot be read: it is damaged, or of another " \
    "version of TaskMQ"

/* Appends the job as TaskMQ's GET /job/{id} shows it. */
void tq_job_add_json(tq_buf_t *b, const tq_job_info_t *info);

/*
 * Appends the job as TaskDaemon's GET /api/tasks/{id} shows it; uuid is its
 * task id. `attempts` counts executions as the handler protocol's `attempt`
 * does: the failed ones of this budget, and one more for a run that is under
 * way, succeeded, or was lost for good with its worker.
 */
void tq_job_add_task_json(tq_buf_t *b, const tq_job_info_t *info,
    const char *uuid);

const char *tq_state_name(tq_state_t s);     /* "PENDING" … */

#endif /* TQ_JOB_H */
