/*
 * tq_ops_admin.c: changes by people (cancel, retry, delete, replay), the
 * namespace's settings, and its key for task ids.
 */

#include <stdlib.h>
#include <string.h>

#include "tq_layout.h"
#include "tq_ops_int.h"

#define TQ_TEXT_OF(x)  #x
#define TQ_TEXT(x)     TQ_TEXT_OF(x)

typedef struct {
    const char  *name;
    const char  *preset;
    int64_t      min;
    int64_t      max;       /* 0: not a number */
    const char  *range;     /* what is expected */
} tq_setting_t;

/* The order `taskmq config` shows them in. */
static const tq_setting_t  tq_settings[] = {
    { "selection", "priority", 0, 0,
      "expected priority, fifo or lifo" },
    { "retention_s", TQ_TEXT(TQ_RETENTION_DEFAULT_S), 1, TQ_RETENTION_MAX_S,
      "expected seconds, 1 to " TQ_TEXT(TQ_RETENTION_MAX_S)
      ", or a time such as 12h or 7d" },
    { "dead_retention_s", TQ_TEXT(TQ_DEAD_RETENTION_S), 1, TQ_RETENTION_MAX_S,
      "expected seconds, 1 to " TQ_TEXT(TQ_RETENTION_MAX_S)
      ", or a time such as 12h or 7d" },
    { "dead_max", TQ_TEXT(TQ_DEAD_MAX), 1, TQ_DEAD_MAX,
      "expected a whole number, 1 to " TQ_TEXT(TQ_DEAD_MAX) },
    { "max_retries", TQ_TEXT(TQ_MAX_RETRIES_DEFAULT), 0, TQ_RETRIES_MAX,
      "expected a whole number, 0 to " TQ_TEXT(TQ_RETRIES_MAX) },
    { "daemon_max_retries", TQ_TEXT(TQ_DAEMON_RETRIES_DEFAULT), 0,
      TQ_RETRIES_MAX,
      "expected a whole number, 0 to " TQ_TEXT(TQ_RETRIES_MAX) },
    { "retry_wait_ms", TQ_TEXT(TQ_RETRY_WAIT_MS), 0, TQ_RETRY_WAIT_MAX_MS,
      "expected milliseconds, 0 to " TQ_TEXT(TQ_RETRY_WAIT_MAX_MS)
      ", or a time such as 500ms or 10s" },
    { "retry_wait_max_ms", TQ_TEXT(TQ_RETRY_WAIT_MAX_MS), 0,
      TQ_RETRY_WAIT_MAX_MS,
      "expected milliseconds, 0 to " TQ_TEXT(TQ_RETRY_WAIT_MAX_MS)
      ", or a time such as 500ms or 10s" },
    { "idempotency_ttl_s", TQ_TEXT(TQ_IDEMPOTENCY_TTL_S), 1,
      TQ_RETENTION_MAX_S,
      "expected seconds, 1 to " TQ_TEXT(TQ_RETENTION_MAX_S)
      ", or a time such as 12h or 7d" },
    { "finished_max_bytes", "0", 0, TQ_FINISHED_BYTES_MAX,
      "expected bytes, 0 (no bound) to " TQ_TEXT(TQ_FINISHED_BYTES_MAX)
      ", or a size such as 512m or 2g" },
};

/* Before a handler's name; not among the settings that people see. */
#define RESTART  "restart:"

#define TQ_SETTINGS  (sizeof(tq_settings) / sizeof(tq_settings[0]))

/* Not one of the scripts: a plain EVAL may read under any condition (a full
 * Redis, a replica), and only the first call of a namespace writes. A full
 * Redis, which must drain, allows DEL, and then the rest of a script that has
 * begun to write. */
static const char  tq_uuid_key_text[] =
    "local key = redis.call('GET', KEYS[1] .. 'uuid-key')\n"
    "if not key then\n"
    "  key = ARGV[1]\n"
    "  redis.call('DEL', KEYS[1] .. 'uuid-key')\n"
    "  redis.call('SET', KEYS[1] .. 'uuid-key', key)\n"
    "end\n"
    "return key\n";

static tq_decode_t  tq_change_decode, tq_config_decode, tq_kept_decode,
    tq_uuid_key_decode, tq_uuid_peek_decode;
static tq_call_t *tq_change_call(const tq_script_t *script, const tq_ns_t *ns,
    int64_t id, const char *what, tq_done_cb done, void *data);

static tq_call_t *
tq_change_call(const tq_script_t *script, const tq_ns_t *ns, int64_t id,
    const char *what, tq_done_cb done, void *data)
{
    tq_call_t  *call;

    call = tq_op_new(script, ns, tq_change_decode, done, data);
    if (call == NULL) {
        return NULL;
    }

    tq_call_argi(call, id);
    tq_call_args(call, what);

    return tq_op_done(call);
}


tq_call_t *
tq_cancel_call(const tq_ns_t *ns, int64_t id, int force, tq_done_cb done,
    void *data)
{
    return tq_change_call(&tq_script_change, ns, id,
        force ? "force" : "cancel", done, data);
}


tq_call_t *
tq_retry_call(const tq_ns_t *ns, int64_t id, tq_done_cb done, void *data)
{
    return tq_change_call(&tq_script_change, ns, id, "retry", done,
        data);
}


tq_call_t *
tq_delete_call(const tq_ns_t *ns, int64_t id, tq_done_cb done, void *data)
{
    return tq_change_call(&tq_script_change, ns, id, "delete", done,
        data);
}


tq_call_t *
tq_replay_call(const tq_ns_t *ns, int64_t id, int dead_only, tq_done_cb done,
    void *data)
{
    return tq_change_call(&tq_script_replay, ns, id, dead_only ? "1" : "0",
        done, data);
}


static int
tq_change_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    int64_t             change, id;
    const redisReply   *first;

    (void) op;

    /* replay answers change and id, the others the change alone */
    first = reply;
    id = 0;

    if (tq_reply_array(reply, 1) == 0) {
        first = reply->element[0];

        if (reply->elements > 1
            && tq_reply_count(reply->element[1], TQ_ID_MAX, &id) != 0)
        {
            return -1;
        }
    }

    if (tq_reply_count(first, TQ_CHANGE_NOT_FOUND, &change) != 0
        || (first != reply && change == TQ_CHANGE_OK && id == 0))
    {
        return -1;
    }

    res->change.verdict = (tq_change_t) change;
    res->change.new_id = id;

    return 0;
}


tq_call_t *
tq_config_get_call(const tq_ns_t *ns, tq_done_cb done, void *data)
{
    return tq_op_done(tq_op_plain("HGETALL", ns, "config", tq_config_decode,
        done, data));
}


tq_call_t *
tq_config_set_call(const tq_ns_t *ns, const char *name, const char *value,
    int seed, tq_done_cb done, void *data)
{
    tq_call_t  *call;

    call = tq_op_new(&tq_script_config_set, ns, tq_kept_decode, done, data);
    if (call == NULL) {
        return NULL;
    }

    tq_call_args(call, name);
    tq_call_args(call, value != NULL ? value : "");
    tq_call_args(call, value == NULL ? "-" : seed ? "1" : "0");

    return tq_op_done(call);
}


static int
tq_kept_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    int64_t  v;

    (void) op;

    if (tq_reply_count(reply, 1, &v) != 0) {
        return -1;
    }

    res->kept = (int) v;

    return 0;
}


/* Pairs of texts. */
static int
tq_config_decode(const tq_op_t *op, const redisReply *reply, tq_result_t *res)
{
    size_t    i;
    tq_str_t  text;

    (void) op;
    (void) res;

    if (tq_reply_array(reply, 0) != 0 || reply->elements % 2 != 0) {
        return -1;
    }

    for (i = 0; i < reply->elements; i++) {
        if (tq_reply_str(reply->element[i], &text) != 0) {
            return -1;
        }
    }

    return 0;
}


int
tq_config_pair(const tq_result_t *res, unsigned i, tq_str_t *name,
    tq_str_t *value)
{
    size_t    n;
    tq_str_t  field;

    if (i >= TQ_SETTINGS) {
        return 0;
    }

    name->p = tq_settings[i].name;
    name->len = strlen(name->p);
    value->p = tq_settings[i].preset;
    value->len = strlen(value->p);

    for (n = 0; n < res->from->elements; n += 2) {
        if (tq_reply_str(res->from->element[n], &field) == 0
            && tq_str_eq(field, name->p))
        {
            (void) tq_reply_str(res->from->element[n + 1], value);
            break;
        }
    }

    return 1;
}


tq_call_t *
tq_config_restart_call(const tq_ns_t *ns, const char *handler, int64_t at_s,
    tq_done_cb done, void *data)
{
    char  name[sizeof(RESTART) + TQ_HANDLER_MAX], value[24];

    snprintf(name, sizeof(name), RESTART "%s", handler);
    snprintf(value, sizeof(value), "%lld", (long long) at_s);

    return tq_config_set_call(ns, name, value, 0, done, data);
}


int
tq_config_restart(const tq_result_t *res, unsigned i, tq_str_t *handler,
    int64_t *at_ms)
{
    size_t             k;
    tq_str_t           name, value;
    const redisReply  *from = res->from;

    if (2 * (size_t) i >= from->elements
        || tq_reply_str(from->element[2 * i], &name) != 0
        || tq_reply_str(from->element[2 * i + 1], &value) != 0)
    {
        return -1;
    }

    if (name.len <= sizeof(RESTART) - 1 || value.len > 12
        || memcmp(name.p, RESTART, sizeof(RESTART) - 1) != 0)
    {
        return 0;
    }

    handler->p = name.p + sizeof(RESTART) - 1;
    handler->len = name.len - (sizeof(RESTART) - 1);

    for (*at_ms = 0, k = 0; k < value.len; k++) {
        if (value.p[k] < '0' || value.p[k] > '9') {
            return 0;
        }
        *at_ms = *at_ms * 10 + (value.p[k] - '0');
    }

    *at_ms *= 1000;

    return 1;
}


const char *
tq_config_check(const char *name, const char *value)
{
    char                *end;
    size_t               i;
    long long            v;
    const tq_setting_t  *s;

    s = NULL;
    for (i = 0; i < TQ_SETTINGS; i++) {
        if (strcmp(tq_settings[i].name, name) == 0) {
            s = &tq_settings[i];
        }
    }

    if (s == NULL) {
        return "no such setting";
    }

    if (value == NULL) {
        return NULL;
    }

    if (s->max == 0) {
        return (strcmp(value, "priority") == 0 || strcmp(value, "fifo") == 0
                || strcmp(value, "lifo") == 0) ? NULL : s->range;
    }

    if (value[0] < '0' || value[0] > '9' || strlen(value) > 15
        || (value[0] == '0' && value[1] != '\0'))
    {
        return s->range;
    }

    v = strtoll(value, &end, 10);

    return (*end == '\0' && v >= s->min && v <= s->max) ? NULL : s->range;
}


tq_call_t *
tq_uuid_key_call(const tq_ns_t *ns, const unsigned char fresh[TQ_UUID_KEY_LEN],
    tq_done_cb done, void *data)
{
    tq_call_t  *call;

    call = tq_op_new(NULL, NULL, tq_uuid_key_decode, done, data);
    if (call == NULL) {
        return NULL;
    }

    tq_call_args(call, "EVAL");
    tq_call_args(call, tq_uuid_key_text);
    tq_call_args(call, "1");
    tq_call_arg(call, ns->prefix, ns->len);
    tq_call_arg(call, fresh, TQ_UUID_KEY_LEN);

    return tq_op_done(call);
}


tq_call_t *
tq_uuid_peek_call(const tq_ns_t *ns, tq_done_cb done, void *data)
{
    return tq_op_done(tq_op_plain("GET", ns, "uuid-key", tq_uuid_peek_decode,
        done, data));
}


static int
tq_uuid_key_decode(const tq_op_t *op, const redisReply *reply,
    tq_result_t *res)
{
    tq_str_t  s;

    (void) op;

    if (tq_reply_str(reply, &s) != 0 || s.len != TQ_UUID_KEY_LEN) {
        return -1;
    }

    memcpy(res->key, s.p, TQ_UUID_KEY_LEN);

    return 0;
}


static int
tq_uuid_peek_decode(const tq_op_t *op, const redisReply *reply,
    tq_result_t *res)
{
    res->found = (reply->type != REDIS_REPLY_NIL);

    return res->found ? tq_uuid_key_decode(op, reply, res) : 0;
}
