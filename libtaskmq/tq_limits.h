/*
 * tq_limits.h: every limit and default of TaskMQ, in one place.
 *
 * A name ends with its unit (_MS, _S, _BYTES); a name without one counts.
 * docs/limits.md says the same to users; tests/unit/test_limits_doc.sh holds
 * the two together.
 */

#ifndef TQ_LIMITS_H
#define TQ_LIMITS_H

/* Names. */
#define TQ_HANDLER_MAX            64      /* [A-Za-z0-9_.-]{1,64} */
#define TQ_NAMESPACE_MAX          64      /* same alphabet */
#define TQ_HANDLERS_MAX           1000    /* handler names per namespace */
#define TQ_WORKER_NAME_MAX        75      /* host (HOST_NAME_MAX is 64):pid,
                                             no spaces */
#define TQ_IDEMPOTENCY_KEY_MAX    255
#define TQ_SUBJECT_MAX            255     /* JWT "sub" */

/* Jobs. */
#define TQ_PRIORITY_MAX           100
#define TQ_PRIORITY_DEFAULT       0       /* TaskMQ API */
#define TQ_PRIORITY_DAEMON        50      /* TaskDaemon API */
#define TQ_RETRIES_MAX            100
#define TQ_TIMEOUT_MAX_S          604800  /* one week */
#define TQ_RETENTION_MAX_S        31536000
#define TQ_INTERVAL_MAX_S         31536000
#define TQ_CRASHES_MAX            3       /* the third lost worker ends a job */
#define TQ_ID_MAX                 9007199254740991LL   /* 2^53 - 1 */
#define TQ_YEAR_MAX               9999

/* Statistics, by nginx and by a worker's --listen. */
#define TQ_STATS_MS               1000    /* a reading of the namespace's sums
                                             is good so long */

/* Sizes. */
#define TQ_PAYLOAD_DEFAULT_BYTES  (1024 * 1024)
#define TQ_PAYLOAD_MAX_BYTES      (64 * 1024 * 1024)
#define TQ_BULK_DEFAULT_BYTES     (8 * 1024 * 1024)
#define TQ_BULK_MAX_JOBS          1000    /* per request and per script call */
#define TQ_RESULT_MAX_BYTES       (1024 * 1024)
#define TQ_ERROR_MAX_BYTES        (16 * 1024)
#define TQ_LOG_MAX_BYTES          (64 * 1024)   /* tail of stderr per job */
#define TQ_LINE_EXTRA_BYTES       (64 * 1024)   /* protocol line: payload + */
#define TQ_TOKEN_MAX_BYTES        8192          /* a JWT */
#define TQ_ENVELOPE_BYTES         (64 * 1024)   /* a body but for its payload */
#define TQ_SECRET_FILE_BYTES      (16 * 1024)   /* secret, password, key */

/* JSON (libtaskmq/json/tq_json.h). */
#define TQ_JSON_DEPTH_MAX         128
#define TQ_JSON_ERRORS_MAX        32      /* field errors listed in one 422 */

/* Script work per call; see docs/redis-schema.md for the measurements. */
#define TQ_CLAIM_MAX              1000
#define TQ_CLAIM_BYTES            (16 * 1024 * 1024)  /* payloads aside that a
                                             worker reads at a time */
#define TQ_ASIDE_BYTES            1024    /* larger payloads do not pass through
                                             scripts (docs/performance.md) */
#define TQ_ASIDE_S                60      /* … and are given up when no job
                                             takes them within this time */
#define TQ_PROMOTE_MAX            1000
#define TQ_SWEEP_MAX              1000    /* jobs, and the rest of a pack */
#define TQ_FINISHED_PACK          100
#define TQ_LANE_READ              100     /* packs of a lane, and records, read
                                             at once */
#define TQ_LOOK_MAX               5000    /* waiting and cancelled, per claim */
#define TQ_REAP_MAX               100     /* jobs, and the rest of a lease */
#define TQ_STATS_LOOK_MAX         2000    /* of a lane, that may wait no more */
#define TQ_HANDLERS_KEPT          500     /* names, of idle handlers too */
#define TQ_HEAL_MAX               10      /* handlers that a sweep looks at */
#define TQ_RUN_READ_BYTES         (17 * 1024)   /* of a run, by a claim: its
                                             error text, not its result */
#define TQ_CLOCK_MAX              1000
#define TQ_CLOCK_BACK_MS          1000    /* Redis' clock: no jump */
#define TQ_LIST_WALK_MAX          500
#define TQ_LIST_MAX               100
#define TQ_LIST_PAGE_BYTES        (1024 * 1024)
#define TQ_DEAD_MAX               100000

/* Redis connection. */
#define TQ_REDIS_TIMEOUT_MS       2000
#define TQ_BACKOFF_MIN_MS         100
#define TQ_BACKOFF_MAX_MS         5000
#define TQ_WORKER_BACKOFF_MAX_MS  250     /* a worker that comes back late is
                                             reaped by one that came earlier:
                                             well under TQ_LEASE_MIN_MS */
#define TQ_PATIENCE_MS            250     /* a request waits so long for a lost
                                             connection to be made again */
#define TQ_EAGER_MS               50      /* … and the longest wait between
                                             attempts meanwhile */
#define TQ_STABLE_MS              1000    /* READY this long resets backoff */
#define TQ_REDIS_CALLS_MAX        16384   /* queued and in flight */
#define TQ_REDIS_OUT_MAX_BYTES    (256 * 1024 * 1024)
#define TQ_REDIS_REPLY_MAX_BYTES  (512 * 1024 * 1024)
#define TQ_REDIS_REPLY_ITEMS_MAX  1000000 /* elements of one array */
#define TQ_REDIS_REPLY_DEPTH_MAX  7       /* arrays around an array */
#define TQ_REDIS_READER_KEEP_BYTES (64 * 1024)  /* read buffer kept when idle */

/* Namespace settings' defaults (`taskmq config`). */
#define TQ_RETENTION_DEFAULT_S    86400
#define TQ_DEAD_RETENTION_S       2592000 /* 30 days */
#define TQ_MAX_RETRIES_DEFAULT    2       /* TaskMQ: 3 executions */
#define TQ_DAEMON_RETRIES_DEFAULT 3       /* TaskDaemon: 4 executions */
#define TQ_RETRY_WAIT_MS          2000
#define TQ_RETRY_WAIT_MAX_MS      3600000
#define TQ_IDEMPOTENCY_TTL_S      86400
#define TQ_FINISHED_BYTES_MAX     549755813888      /* the setting's largest */
#define TQ_JOB_BYTES              256     /* a job, beside its texts: about */
#define TQ_FULL_WARN_PERCENT      90      /* /health warns */

/* Worker. */
#define TQ_LEASE_DEFAULT_MS       30000
#define TQ_LEASE_MIN_MS           1000
#define TQ_LEASE_MAX_MS           3600000
#define TQ_CONCURRENCY_MAX        1000
#define TQ_INSTANCES_DEFAULT      2
#define TQ_TASK_TIMEOUT_S         30
#define TQ_KILL_WAIT_MS           5000    /* TERM to KILL */
#define TQ_REFUSED_WAIT_MIN_MS    100     /* a worker asks again what Redis
                                             refuses: at first, doubled … */
#define TQ_REFUSED_WAIT_MAX_MS    1000    /* … and at most */
#define TQ_WAKE_MAX_MS            5000    /* a blocking read's longest wait */
#define TQ_REAP_FRESH_MS          150     /* from learning the time to reaping;
                                             well under TQ_LEASE_MIN_MS / 3 */
#define TQ_WORKER_GONE_MS         60000   /* not seen: dropped from the list */
#define TQ_GRACE_DEFAULT_S        30      /* TERM: running jobs may finish */
#define TQ_GRACE_MAX_S            86400
#define TQ_MEMORY_MIN_BYTES       (1024 * 1024)
#define TQ_MEMORY_MAX_BYTES       (1024LL * 1024 * 1024 * 1024)
#define TQ_INSTANCES_MAX          1000    /* of one handler */
#define TQ_STARTING_MAX           16      /* processes forked and not in their
                                             program yet: about 1 ms each */
#define TQ_FILES_KEPT             32      /* descriptors that no child may use
                                             up: Redis, log, clients */
#define TQ_START_WAIT_MIN_MS      100     /* handler cannot start: backoff */
#define TQ_START_WAIT_MAX_MS      30000
#define TQ_START_OK_MS            1000    /* alive this long, and twice as long
                                             as those that failed: it started */
#define TQ_ANSWER_LINE_BYTES      (TQ_PAYLOAD_DEFAULT_BYTES \
                                   + TQ_LINE_EXTRA_BYTES)
#define TQ_ANSWER_HEAD_BYTES      65536   /* headers and trailers of a target */
#define TQ_BOOT_MAX_MS            5000    /* a new child's first task: this long
                                             until it reads it is not counted
                                             in the task's timeout */
#define TQ_CLOSED_WAIT_MS         200     /* a child without stdout may be about
                                             to be seen dead */
#define TQ_STDERR_LINE_BYTES      4096    /* longer ones are logged in parts */
#define TQ_CHILD_LINES_PER_S      50      /* of one instance's stderr, and of
                                             its stdout, in the worker's log */
#define TQ_LOG_FIELD_BYTES        2048    /* of one value in the worker's log */
#define TQ_HTTP_CLIENTS_MAX       64      /* of --listen, at a time */
#define TQ_HTTP_CLIENT_MS         5000    /* for its request and our answer */
#define TQ_CONFIG_FILE_BYTES      (1024 * 1024)   /* handlers.toml */
#define TQ_DONE_TRIES             5       /* of outcomes at which the script
                                             fails, or whose answer is none */

/* nginx module. */
#define TQ_JWT_SECRETS_MAX        2       /* new, previous */
#define TQ_JWT_SECRET_WARN_BYTES  32
#define TQ_JWT_RSA_MIN_BITS       2048
#define TQ_TOKEN_SETS             256     /* cache of verified tokens: sets */
#define TQ_TOKEN_WAYS             4       /* … and entries of each */
#define TQ_REDIS_TIMEOUT_MAX_MS   60000
#define TQ_NGINX_PING_MS          10000   /* PING a silent Redis */
#define TQ_HEALTH_MS              1000    /* a probe's answer is good so long */
#define TQ_FORGOT_SHOWN_MS        60000   /* … and says for so long that Redis
                                             had forgotten the scripts */
#define TQ_ODD_AGAIN_MS           60000   /* an unexpected reply that did not
                                             come for so long is logged again */
#define TQ_BATCH_BYTES            (1024 * 1024)  /* a batch this large leaves */
#define TQ_BATCHES_IN_FLIGHT      2       /* more wait for an answer */
#define TQ_CALLS_KEEP             4096    /* free call contexts kept */

#endif /* TQ_LIMITS_H */
