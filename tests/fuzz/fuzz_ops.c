/*
 * fuzz_ops.c: every decoder of tq_ops.h on whatever hiredis makes of the
 * input. What a decoder accepts is in its range, and its slices are inside the
 * reply (ASan reads them).
 */

#include "fuzz.h"
#include "tq_ops.h"
#include "tq_redis_int.h"

static volatile unsigned  sink;
static const tq_token_t   token = { "00000000001f00000000000000a1" };


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


static void
work(const redisReply *r)
{
    int              more;
    int64_t          v;
    unsigned         i, n;
    tq_str_t         payload;
    tq_reaped_t      reaped;
    tq_claimed_t     claimed;
    tq_verdict_t     verdict;
    tq_claim_head_t  head;

    for (i = 0;
         i < TQ_BULK_MAX_JOBS && tq_enqueue_result(r, i, &v) == 0;
         i++)
    {
        MUST(v != 0 && v >= TQ_ENQUEUE_PAYLOAD && v <= TQ_ID_MAX);
    }
    for (i = 0; tq_verdict(r, i, &verdict) == 0; i++) {
        MUST(verdict <= TQ_VERDICT_CANCELLED);
    }
    if (tq_claim_head(r, &head) == 0) {
        MUST(head.now_ms >= 0 && head.due_ms >= 0);
        for (i = 0; i < head.jobs; i++) {
            if (tq_claim_job(r, &token, i, &claimed) == 0) {
                MUST(claimed.attempts >= 0);
                MUST(claimed.job.aside_bytes > 0
                     || claimed.job.payload.len >= 2);
                touch(claimed.job.payload);
            }
        }
        MUST(tq_claim_job(r, &token, head.jobs, &claimed) == -1);
    }
    if (tq_extend_result(r, &n, &more) == 0) {
        MUST(more == 0 || more == 1);
        for (i = 0; tq_extend_verdict(r, i, &verdict) == 0; i++) {
            MUST(verdict <= TQ_VERDICT_CANCELLED);
        }
    }
    if (r->type == REDIS_REPLY_STRING
        && tq_payload_result(r, (int64_t) r->len, &payload) == 1)
    {
        MUST(payload.len >= 2 && payload.p[0] == '{');
        touch(payload);
    }
    MUST(tq_payload_result(r, -1, &payload) <= 0);
    (void) tq_sweep_result(r, &n, &more);
    (void) tq_reap_result(r, &reaped);
}


static void
looks(const redisReply *r)
{
    int64_t           v;
    tq_str_t          a, b, c;
    unsigned          i, n;
    tq_stats_t        stats;
    tq_job_info_t     info;
    tq_queue_stats_t  queue;

    if (tq_get_result(r, 7, &info) == 1) {
        touch_job(&info);
    }
    if (tq_logs_result(r, &a) == 1) {
        touch(a);
    }
    if (tq_list_head(r, &v, &n) == 0) {
        for (i = 0; i < n; i++) {
            if (tq_list_job(r, i, &info) == 0) {
                touch_job(&info);
            }
        }
        MUST(tq_list_job(r, n, &info) == -1);
    }
    if (tq_stats_result(r, &stats) == 0) {
        for (i = 0; i < stats.queues; i++) {
            if (tq_stats_queue(r, i, &queue) == 0) {
                touch(queue.name);
            }
        }
        MUST(tq_stats_queue(r, stats.queues, &queue) == -1);
        for (i = 0; i < stats.workers; i++) {
            if (tq_stats_worker(r, i, &a, &b, &v, &c) == 0) {
                touch(a);
                touch(b);
                touch(c);
            }
        }
        MUST(tq_stats_worker(r, stats.workers, &a, &b, &v, &c) == -1);
    }
}


static void
rest(const redisReply *r)
{
    int            kept;
    int64_t        v, w;
    tq_ns_t        ns;
    tq_str_t       a, b;
    unsigned       i;
    tq_change_t    change;
    unsigned char  key[32];

    MUST(tq_ns_init(&ns, "n", 1) == 0);

    if (tq_wake_result(r, &ns, &a) == 1) {
        touch(a);
    }
    for (i = 0; tq_config_pair(r, i, &a, &b) == 1; i++) {
        touch(a);
        touch(b);
    }
    if (tq_change_result(r, &change, &v) == 0) {
        MUST(change <= TQ_CHANGE_NOT_FOUND && v >= 0);
    }
    (void) tq_config_set_result(r, &kept);
    (void) tq_probe_result(r, &v, &w, &kept);
    if (tq_uuid_key_result(r, key) == 0) {
        touch((tq_str_t) { (const char *) key, sizeof(key) });
    }
    if (tq_open_why(r) != NULL) {
        MUST(tq_open_why(r)[0] != '\0');
    }
    MUST(tq_redis_err_text(tq_redis_err(r)) != NULL);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void         *reply;
    redisReader  *reader;

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
