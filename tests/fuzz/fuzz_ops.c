/*
 * fuzz_ops.c: the result of every operation of tq_ops.h from whatever hiredis
 * makes of the input. What is accepted is in its range, and its slices are
 * inside the reply (ASan reads them); what is not says why.
 */

#include "fuzz.h"
#include "tq_ops_int.h"
#include "tq_redis_int.h"

static volatile unsigned  sink;
static const tq_token_t   token = { "00000000001f00000000000000a1" };
static tq_ns_t            ns;


static void
touch(tq_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        sink += (unsigned char) s.p[i];
    }
}


static void
touch_job(const tq_job_info_t *info)
{
    MUST(info->id >= 1 && info->id <= TQ_ID_MAX);
    /* a job that cannot be read may have no name, but says so */
    MUST(tq_handler_name_ok(info->job.handler, info->job.handler_len)
         || (info->job.handler_len == 0 && info->error.len != 0
             && info->job.payload.len == 0));
    MUST(info->job.priority >= 0 && info->job.priority <= TQ_PRIORITY_MAX);
    touch(info->job.payload);
    touch(info->worker);
    touch(info->error);
    touch(info->result);
}


/* What an operation makes of the reply: 1 when its part is there. */
static int
makes(tq_call_t *call, const redisReply *r, tq_result_t *res)
{
    MUST(call != NULL);
    tq_op_result(tq_op_of(call), TQ_CALL_REPLY, r, res);
    tq_call_free(call);
    touch((tq_str_t) { res->text, strlen(res->text) });

    if (res->status == TQ_OK) {
        MUST(res->err == TQ_ERR_NONE && !res->odd);
        return 1;
    }

    MUST(res->status == TQ_REFUSED && res->err != TQ_ERR_NONE);
    MUST(res->odd == (r->type != REDIS_REPLY_ERROR));
    MUST(tq_redis_err_text(res->err) != NULL);
    MUST(tq_redis_err_text(res->cause) != NULL);

    return 0;
}


/* As many groups as could be meant. */
static void
enqueued(const redisReply *r)
{
    int64_t       v;
    unsigned      i, n;
    tq_job_t      job;
    tq_result_t   res;
    tq_enqueue_t  e;

    memset(&job, 0, sizeof(job));
    job.handler[0] = 'h';
    job.handler_len = 1;
    job.policy = 'f';
    job.payload = tq_str("{}");

    for (n = 1; n <= 4; n++) {
        memset(&e, 0, sizeof(e));
        for (i = 0; i < n; i++) {
            MUST(tq_enqueue_add(&e, &ns, tq_str(""), tq_str(""), 0, 0, &job, 1)
                 == (int) i);
        }

        if (makes(tq_enqueue_call(&e, &ns, NULL, NULL), r, &res)) {
            for (i = 0; i < n; i++) {
                v = tq_enqueued(&res, i);
                MUST(v != 0 && v >= TQ_ENQUEUE_PAYLOAD && v <= TQ_ID_MAX);
            }
        }
    }
}


/* As many outcomes as there are verdicts. */
static void
verdicts(const redisReply *r)
{
    unsigned                   i, n;
    tq_result_t                res;
    tq_heartbeat_t             beat;
    static const tq_outcome_t  o[64];

    n = (r->type == REDIS_REPLY_ARRAY && r->elements <= 64)
        ? (unsigned) r->elements : 3;

    if (makes(tq_release_call(&ns, o, n, NULL, NULL), r, &res)) {
        for (i = 0; i < n; i++) {
            MUST(tq_verdict(&res, i) <= TQ_VERDICT_CANCELLED);
        }
    }

    memset(&beat, 0, sizeof(beat));
    beat.worker_id = "w";
    beat.worker_name = "w";
    n = n > 2 ? n - 2 : 0;

    if (makes(tq_extend_call(&ns, &beat, o, n, NULL, NULL), r, &res)) {
        MUST(res.given_back.more == 0 || res.given_back.more == 1);
        for (i = 0; i < n; i++) {
            MUST(tq_verdict(&res, i) <= TQ_VERDICT_CANCELLED);
        }
    }
}


static void
work(const redisReply *r)
{
    unsigned      i;
    tq_result_t   res;
    tq_claimed_t  job;

    enqueued(r);
    verdicts(r);

    if (makes(tq_claim_call(&ns, &token, "w", 1, 1, 0, NULL, 0, NULL, NULL), r,
        &res))
    {
        MUST(res.claims.now_ms >= 0 && res.claims.due_ms >= 0);
        for (i = 0; i < res.claims.jobs; i++) {
            if (tq_claim_job(&res, i, &job) == 0) {
                MUST(job.attempts >= 0);
                MUST(job.job.aside_bytes > 0 || job.job.payload.len >= 2);
                touch(job.job.payload);
                MUST(job.id >= 1);
            }
            MUST(job.id >= 0 && job.id <= TQ_ID_MAX);
        }
    }

    if (makes(tq_payload_call(&ns, 7, r->type == REDIS_REPLY_STRING
                              ? (int64_t) r->len : -1, NULL, NULL), r, &res)
        && res.found && !res.payload.damaged)
    {
        MUST(res.payload.bytes.len >= 2 && res.payload.bytes.p[0] == '{');
        touch(res.payload.bytes);
    }

    (void) makes(tq_sweep_call(&ns, NULL, NULL), r, &res);
    (void) makes(tq_reap_call(&ns, -1, NULL, NULL), r, &res);
    (void) makes(tq_goodbye_call(&ns, "w", NULL, NULL), r, &res);

    if (makes(tq_wake_call(&ns, "w", NULL, 0, 1, NULL, NULL), r, &res)
        && res.wake.kind == TQ_WAKE_HANDLER)
    {
        MUST(res.wake.handler.len != 0);
        touch(res.wake.handler);
    }

    if (makes(tq_client_id_call(NULL, NULL), r, &res)) {
        MUST(res.client_id > 0);
    }

    (void) makes(tq_unblock_call(1, NULL, NULL), r, &res);
}


static void
looks(const redisReply *r)
{
    unsigned           i;
    tq_list_t          list;
    tq_result_t        res;
    tq_job_info_t      info;
    tq_queue_stats_t   queue;
    tq_worker_stats_t  worker;

    if (makes(tq_get_call(&ns, 7, NULL, NULL), r, &res) && res.found) {
        MUST(res.job.id == 7);
        touch_job(&res.job);
    }

    if (makes(tq_logs_call(&ns, 7, NULL, NULL), r, &res) && res.found) {
        touch(res.log);
    }

    memset(&list, 0, sizeof(list));

    if (makes(tq_list_call(&ns, &list, NULL, NULL), r, &res)) {
        MUST(res.page.jobs <= TQ_LIST_MAX);
        for (i = 0; i < res.page.jobs; i++) {
            tq_list_job(&res, i, &info);
            touch_job(&info);
        }
    }

    if (makes(tq_stats_call(&ns, NULL, NULL), r, &res)) {
        for (i = 0; i < res.stats.queues; i++) {
            tq_stats_queue(&res, i, &queue);
            touch(queue.name);
            MUST(queue.dead >= 0);
        }
        for (i = 0; i < res.stats.workers; i++) {
            tq_stats_worker(&res, i, &worker);
            touch(worker.id);
            touch(worker.name);
            touch(worker.info);
        }
    }
}


static void
rest(const redisReply *r)
{
    int                   rc;
    int64_t               at_ms;
    tq_str_t              a, b;
    unsigned              i;
    char                  why[64];
    tq_call_t            *call;
    tq_result_t           res;
    tq_greeted_t          greeted;
    static unsigned char  fresh[TQ_UUID_KEY_LEN];

    static const tq_script_t *const  scripts[] = {
        NULL, &tq_script_open, &tq_script_create
    };

    if (makes(tq_config_get_call(&ns, NULL, NULL), r, &res)) {
        for (i = 0; tq_config_pair(&res, i, &a, &b); i++) {
            touch(a);
            touch(b);
        }
        for (i = 0; (rc = tq_config_restart(&res, i, &a, &at_ms)) >= 0; i++) {
            if (rc == 1) {
                touch(a);
                MUST(at_ms >= 0);
            }
        }
    }

    if (makes(tq_replay_call(&ns, 7, 0, NULL, NULL), r, &res)) {
        MUST(res.change.verdict <= TQ_CHANGE_NOT_FOUND);
        MUST(res.change.new_id >= 0 && res.change.new_id <= TQ_ID_MAX);
    }

    (void) makes(tq_config_set_call(&ns, "a", "b", 0, NULL, NULL), r, &res);

    if (makes(tq_probe_call(&ns, NULL, NULL), r, &res)) {
        MUST(res.probe.waiting >= 0 && res.probe.noeviction >= -1);
        MUST(res.probe.bytes_full >= -1 && res.probe.memory_full >= -1);
    }

    if (makes(tq_uuid_key_call(&ns, fresh, NULL, NULL), r, &res)
        || (makes(tq_uuid_peek_call(&ns, NULL, NULL), r, &res) && res.found))
    {
        touch((tq_str_t) { (const char *) res.key, sizeof(res.key) });
    }

    for (i = 0; i < 3; i++) {
        call = tq_call_new(scripts[i], NULL, "a right");
        MUST(call != NULL);
        why[0] = '\0';
        greeted = tq_greet_cli.judge(call, r, why, sizeof(why));
        MUST((why[0] == '\0') == (greeted == TQ_GREETED
                                  || greeted == TQ_GREET_NEXT));
        tq_call_free(call);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void         *reply;
    redisReader  *reader;

    MUST(tq_ns_init(&ns, "n", 1) == 0);

    reader = tq_redis_reader_new();
    MUST(reader != NULL);

    if (redisReaderFeed(reader, (const char *) data, size) == REDIS_OK) {
        while (redisReaderGetReply(reader, &reply) == REDIS_OK
               && reply != NULL)
        {
            work(reply);
            looks(reply);
            rest(reply);
            freeReplyObject(reply);
        }
    }

    redisReaderFree(reader);

    return 0;
}
