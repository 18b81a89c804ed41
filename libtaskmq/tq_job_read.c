/*
 * tq_job_read.c: request bodies. Per API one table of fields, in the order in
 * which errors are listed; a function per kind of field.
 */

#include <string.h>

#include "tq_job.h"
#include "tq_time.h"

#define TQ_STRINGIZE(x)  #x
#define TQ_STRING(x)     TQ_STRINGIZE(x)

#define TQ_DATE_MAX      128    /* longer texts are no date */

#define TQ_NAME(s)       { s, sizeof(s) - 1 }
#define TQ_NO_RANGE      0, 0, NULL, NULL
#define TQ_RANGE(min, max)                                                    \
    min, max, "ensure this value is greater than or equal to " TQ_STRING(min),\
    "ensure this value is less than or equal to " TQ_STRING(max)

#define TQ_FIELDS_MAX    9

typedef struct tq_field_s  tq_field_t;

typedef struct {
    tq_job_t         *job;
    tq_field_errs_t  *errs;
    int               index;        /* in a bulk array, or -1 */
    size_t            max_payload;
    int64_t          *id;           /* tq_job_read_id() only */
    int              *force;
} tq_reader_t;

struct tq_field_s {
    tq_str_t     name;
    void       (*read)(tq_reader_t *r, const tq_field_t *f,
                       const tq_json_val_t *v);
    int          required;
    int64_t      min;               /* of an integer */
    int64_t      max;
    const char  *not_ge;
    const char  *not_le;
};

static void
tq_read_wrong(tq_reader_t *r, tq_str_t field, const char *msg,
    const char *type)
{
    tq_field_errs_add(r->errs, r->index, field, msg, type);
}

/* tq_read_int reads an integer within the field's range. 0, or -1. */
static int
tq_read_int(tq_reader_t *r, const tq_field_t *f, const tq_json_val_t *v,
    int64_t *out)
{
    size_t  i = 0;

    if (v->type == TQ_JSON_NUMBER) {
        for (i = 0; i < v->raw.len; i++) {
            if (v->raw.p[i] == '.' || (v->raw.p[i] | 0x20) == 'e') {
                break;
            }
        }
    }

    if (v->type != TQ_JSON_NUMBER || i < v->raw.len) {
        tq_read_wrong(r, f->name, "value is not a valid integer",
            "type_error.integer");
        return -1;
    }

    if (tq_json_int64(v, out) != 0) {
        /* an integer, but wider than 64 bits: outside of any range */
        *out = v->raw.p[0] == '-' ? INT64_MIN : INT64_MAX;
    }

    if (*out < f->min) {
        tq_read_wrong(r, f->name, f->not_ge, "value_error.number.not_ge");
        return -1;
    }

    if (*out > f->max) {
        tq_read_wrong(r, f->name, f->not_le, "value_error.number.not_le");
        return -1;
    }

    return 0;
}

static void
tq_read_priority(tq_reader_t *r, const tq_field_t *f, const tq_json_val_t *v)
{
    int64_t  n;

    if (tq_read_int(r, f, v, &n) == 0) {
        r->job->priority = (int) n;
    }
}

static void
tq_read_retries(tq_reader_t *r, const tq_field_t *f, const tq_json_val_t *v)
{
    int64_t  n;

    if (tq_read_int(r, f, v, &n) == 0) {
        r->job->max_retries = (int) n;
    }
}

static void
tq_read_interval(tq_reader_t *r, const tq_field_t *f, const tq_json_val_t *v)
{
    (void) tq_read_int(r, f, v, &r->job->interval_s);
}

static void
tq_read_timeout(tq_reader_t *r, const tq_field_t *f, const tq_json_val_t *v)
{
    (void) tq_read_int(r, f, v, &r->job->timeout_s);
}

static void
tq_read_retention(tq_reader_t *r, const tq_field_t *f, const tq_json_val_t *v)
{
    (void) tq_read_int(r, f, v, &r->job->retention_s);
}

static void
tq_read_payload(tq_reader_t *r, const tq_field_t *f, const tq_json_val_t *v)
{
    if (v->type != TQ_JSON_OBJECT) {
        tq_read_wrong(r, f->name, "value is not a valid dict",
            "type_error.dict");
        return;
    }

    if (v->raw.len > r->max_payload) {
        r->errs->too_large = 1;
        tq_read_wrong(r, f->name, "value is larger than the limit",
            "value_error.too_large");
        return;
    }

    r->job->payload = v->raw;
}

static void
tq_read_handler(tq_reader_t *r, const tq_field_t *f, const tq_json_val_t *v)
{
    long  n;

    if (v->type != TQ_JSON_STRING) {
        tq_read_wrong(r, f->name, "str type expected", "type_error.str");
        return;
    }

    n = tq_json_unescape(v->raw, r->job->handler, sizeof(r->job->handler));

    if (n < 0 || !tq_handler_name_ok(r->job->handler, (size_t) n)) {
        tq_read_wrong(r, f->name,
            "string does not match regex \"^[A-Za-z0-9_.-]{1,"
            TQ_STRING(TQ_HANDLER_MAX) "}$\"", "value_error.str.regex");
        return;
    }

    r->job->handler_len = (size_t) n;
}

static void
tq_read_policy(tq_reader_t *r, const tq_field_t *f, const tq_json_val_t *v)
{
    size_t              i;
    tq_str_t            text;
    static const char  *names[] = { "fixed", "exponential", "none" };

    if (v->type == TQ_JSON_STRING) {
        text.p = v->raw.p + 1;
        text.len = v->raw.len - 2;

        for (i = 0; i < 3; i++) {
            if (tq_json_key_eq(text, names[i])) {
                r->job->policy = names[i][0];
                return;
            }
        }
    }

    tq_read_wrong(r, f->name, "value is not a valid enumeration member; "
        "permitted: 'fixed', 'exponential', 'none'", "type_error.enum");
}

static void
tq_read_date(tq_reader_t *r, const tq_field_t *f, const tq_json_val_t *v)
{
    char  text[TQ_DATE_MAX + 1];
    long  n;

    if (v->type != TQ_JSON_STRING) {
        tq_read_wrong(r, f->name, "str type expected", "type_error.str");
        return;
    }

    n = tq_json_unescape(v->raw, text, sizeof(text));

    if (n < 0 || tq_time_parse(text, (size_t) n, &r->job->due_ms) != 0) {
        tq_read_wrong(r, f->name, "invalid datetime format",
            "value_error.datetime");
    }
}

static const tq_field_t  tq_fields_taskmq[] = {
    { TQ_NAME("payload"), tq_read_payload, 1, TQ_NO_RANGE },
    { TQ_NAME("handler"), tq_read_handler, 1, TQ_NO_RANGE },
    { TQ_NAME("priority"), tq_read_priority, 0, TQ_RANGE(0, TQ_PRIORITY_MAX) },
    { TQ_NAME("retry_policy"), tq_read_policy, 0, TQ_NO_RANGE },
    { TQ_NAME("scheduled_for"), tq_read_date, 0, TQ_NO_RANGE },
    { TQ_NAME("interval_seconds"), tq_read_interval, 0,
      TQ_RANGE(1, TQ_INTERVAL_MAX_S) },
    { TQ_NAME("max_retries"), tq_read_retries, 0, TQ_RANGE(0, TQ_RETRIES_MAX) },
    { TQ_NAME("timeout"), tq_read_timeout, 0, TQ_RANGE(1, TQ_TIMEOUT_MAX_S) },
    { TQ_NAME("retention_seconds"), tq_read_retention, 0,
      TQ_RANGE(1, TQ_RETENTION_MAX_S) },
    { { NULL, 0 }, NULL, 0, TQ_NO_RANGE }
};

static const tq_field_t  tq_fields_daemon[] = {
    { TQ_NAME("type"), tq_read_handler, 1, TQ_NO_RANGE },
    { TQ_NAME("data"), tq_read_payload, 1, TQ_NO_RANGE },
    { TQ_NAME("priority"), tq_read_priority, 0, TQ_RANGE(0, TQ_PRIORITY_MAX) },
    { { NULL, 0 }, NULL, 0, TQ_NO_RANGE }
};

/* tq_find_field returns the key's place in fields, or -1. */
static int
tq_find_field(const tq_field_t *fields, tq_str_t key)
{
    int   i;
    char  name[TQ_HANDLER_MAX];

    if (memchr(key.p, '\\', key.len)) {
        key.len = tq_json_key_text(key, name, sizeof(name));
        key.p = name;
    }

    for (i = 0; fields[i].name.p; i++) {
        if (key.len == fields[i].name.len
            && memcmp(key.p, fields[i].name.p, key.len) == 0) {
            return i;
        }
    }

    return -1;
}

/* tq_read_extras lists the members of object that no field asks for. */
static void
tq_read_extras(tq_reader_t *r, const tq_field_t *fields, tq_str_t object)
{
    char              name[TQ_HANDLER_MAX + 1];
    size_t            pos = 0;
    tq_str_t          field;
    tq_json_member_t  m;

    while (r->errs->n < TQ_JSON_ERRORS_MAX
           && tq_json_next_member(object, &pos, &m)) {
        if (tq_find_field(fields, m.key) < 0) {
            field.p = name;
            field.len = tq_json_key_text(m.key, name, sizeof(name));
            tq_field_errs_add(r->errs, r->index, field,
                "extra fields not permitted", "value_error.extra");
        }
    }
}

/* tq_read_object reads a body, or one item of a bulk body, by its table. open:
 * unknown fields are fine. */
static void
tq_read_object(tq_reader_t *r, const tq_field_t *fields, int open,
    const tq_json_val_t *top)
{
    int               i, unknown = 0;
    size_t            pos = 0;
    unsigned          seen = 0;
    tq_json_val_t     val[TQ_FIELDS_MAX];
    tq_json_member_t  m;

    if (top->type != TQ_JSON_OBJECT) {
        tq_read_wrong(r, tq_str(""), "value is not a valid dict",
            "type_error.dict");
        return;
    }

    while (tq_json_next_member(top->raw, &pos, &m)) {
        i = tq_find_field(fields, m.key);
        if (i < 0) {
            unknown = 1;
            continue;
        }
        seen |= 1u << i;
        val[i] = m.val;
    }

    for (i = 0; fields[i].name.p; i++) {
        if (!(seen & 1u << i)) {
            if (fields[i].required) {
                tq_read_wrong(r, fields[i].name, "field required",
                    "value_error.missing");
            }

        } else if (val[i].type != TQ_JSON_NULL) {
            fields[i].read(r, &fields[i], &val[i]);

        } else if (fields[i].required) {
            tq_read_wrong(r, fields[i].name, "none is not an allowed value",
                "type_error.none.not_allowed");
        }
    }

    if (unknown && !open) {
        tq_read_extras(r, fields, top->raw);
    }
}

/* tq_read_body checks that the body is JSON. 0, or -1 with errs. */
static int
tq_read_body(tq_str_t body, tq_json_val_t *top, tq_field_errs_t *errs)
{
    tq_json_err_t  err;

    errs->n = 0;
    errs->nomem = 0;
    errs->too_large = 0;

    if (tq_json_parse(body.p, body.len, top, &err) == 0) {
        return 0;
    }

    if (err.nomem) {
        errs->nomem = 1;
        return -1;
    }

    tq_field_errs_add(errs, -1, tq_str(""), err.msg,
        "value_error.jsondecode");
    errs->e[0].offset = (int64_t) err.offset;

    return -1;
}

static void
tq_job_defaults(tq_api_t api, tq_job_t *job)
{
    memset(job, 0, sizeof(*job));

    job->api = api;
    job->policy = 'f';
    job->max_retries = -1;
    job->priority = api == TQ_API_TASKMQ ? TQ_PRIORITY_DEFAULT
                                         : TQ_PRIORITY_DAEMON;
}

int
tq_job_read(tq_api_t api, tq_str_t body, size_t max_payload, tq_job_t *job,
    tq_field_errs_t *errs)
{
    tq_reader_t    r = { job, errs, -1, max_payload, NULL, NULL };
    tq_json_val_t  top;

    if (tq_read_body(body, &top, errs) != 0) {
        return -1;
    }

    tq_job_defaults(api, job);

    if (api == TQ_API_TASKMQ) {
        tq_read_object(&r, tq_fields_taskmq, 0, &top);
    } else {
        tq_read_object(&r, tq_fields_daemon, 1, &top);
    }

    return errs->n ? -1 : 0;
}

int
tq_job_read_bulk(tq_str_t body, size_t max_payload, tq_job_t *jobs, int max,
    tq_field_errs_t *errs)
{
    size_t         pos = 0;
    tq_reader_t    r = { NULL, errs, -1, max_payload, NULL, NULL };
    tq_json_val_t  top, item;

    if (tq_read_body(body, &top, errs) != 0) {
        return -1;
    }

    if (top.type != TQ_JSON_ARRAY) {
        tq_read_wrong(&r, tq_str(""), "value is not a valid list",
            "type_error.list");
        return -1;
    }

    while (tq_json_next_item(top.raw, &pos, &item)) {
        if (++r.index == max) {
            r.index = -1;
            tq_read_wrong(&r, tq_str(""), max == TQ_BULK_MAX_JOBS
                ? "ensure this value has at most " TQ_STRING(TQ_BULK_MAX_JOBS)
                  " items"
                : "ensure this value has fewer items",
                "value_error.list.max_items");
            return -1;
        }

        r.job = &jobs[r.index];
        tq_job_defaults(TQ_API_TASKMQ, r.job);
        tq_read_object(&r, tq_fields_taskmq, 0, &item);

        if (errs->n == TQ_JSON_ERRORS_MAX) {
            return -1;
        }
    }

    if (r.index < 0) {
        tq_read_wrong(&r, tq_str(""), "ensure this value has at least 1 items",
            "value_error.list.min_items");
    }

    return errs->n ? -1 : r.index + 1;
}

/* ---- {"job_id": N, "force": true} ---- */

static void
tq_read_id(tq_reader_t *r, const tq_field_t *f, const tq_json_val_t *v)
{
    (void) tq_read_int(r, f, v, r->id);
}

static void
tq_read_force(tq_reader_t *r, const tq_field_t *f, const tq_json_val_t *v)
{
    if (v->type != TQ_JSON_TRUE && v->type != TQ_JSON_FALSE) {
        tq_read_wrong(r, f->name, "value could not be parsed to a boolean",
            "type_error.bool");
        return;
    }

    *r->force = (v->type == TQ_JSON_TRUE);
}

_Static_assert(TQ_ID_MAX == 9007199254740991LL, "the text below names it");

#define TQ_FIELD_ID                                                           \
    { TQ_NAME("job_id"), tq_read_id, 1, 1, TQ_ID_MAX,                                  \
      "ensure this value is greater than or equal to 1",                      \
      "ensure this value is less than or equal to 9007199254740991" }

static const tq_field_t  tq_fields_id[] = {
    TQ_FIELD_ID,
    { { NULL, 0 }, NULL, 0, TQ_NO_RANGE }
};

static const tq_field_t  tq_fields_id_force[] = {
    TQ_FIELD_ID,
    { TQ_NAME("force"), tq_read_force, 0, TQ_NO_RANGE },
    { { NULL, 0 }, NULL, 0, TQ_NO_RANGE }
};

int
tq_job_read_id(tq_str_t body, int64_t *id, int *force, tq_field_errs_t *errs)
{
    tq_reader_t    r = { NULL, errs, -1, 0, id, force };
    tq_json_val_t  top;

    if (tq_read_body(body, &top, errs) != 0) {
        return -1;
    }

    if (force) {
        *force = 0;
    }

    tq_read_object(&r, force ? tq_fields_id_force : tq_fields_id, 0, &top);

    return errs->n ? -1 : 0;
}
