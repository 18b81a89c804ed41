/*
 * tq_job_read.c: request bodies. Per API one table of fields, in the order in
 * which errors are listed; a function per kind of field.
 */

#include <stddef.h>
#include <string.h>

#include "tq_job.h"
#include "tq_base.h"

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
    tq_job_t          *job;
    tq_field_errs_t   *errs;
    int                index;       /* in a bulk array, or -1 */
    size_t             max_payload;
    int64_t           *id;          /* tq_job_read_id() only */
    int               *force;

    /* a bulk body */
    tq_job_t          *jobs;
    int                max;
    int                full;        /* more than that, or errors enough */

    /* the object that is being scanned */
    const tq_field_t  *fields;
    int                open;        /* unknown fields are fine */
    int                unknown;     /* there were some */
    int                dated;       /* it has a due time, which may be 0 */
    unsigned           seen;        /* bits, by place in fields */
    tq_json_val_t      val[TQ_FIELDS_MAX];      /* last: not initialized */
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

static void tq_read_item(void *data, const tq_json_val_t *item);

static void
tq_reader_init(tq_reader_t *r, tq_field_errs_t *errs, const tq_field_t *fields)
{
    memset(r, 0, offsetof(tq_reader_t, val));
    r->errs = errs;
    r->index = -1;
    r->fields = fields;
}

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
        return;
    }

    r->dated = 1;
}

/* tq_settle_due: no due time that is stored is before or at 1970. Such a one
 * is now; a periodic job's is counted on by whole intervals to the first after
 * it, so that all its runs are when they were asked for. */
static void
tq_settle_due(tq_reader_t *r)
{
    int64_t    step;
    tq_job_t  *job = r->job;

    if (!r->dated || job->due_ms > 0) {
        return;
    }

    step = job->interval_s * 1000;
    job->due_ms = step > 0 ? step + job->due_ms % step : 0;
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
            && memcmp(key.p, fields[i].name.p, key.len) == 0)
        {
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
           && tq_json_next_member(object, &pos, &m))
    {
        if (tq_find_field(fields, m.key) < 0) {
            field.p = name;
            field.len = tq_json_key_text(m.key, name, sizeof(name));
            tq_field_errs_add(r->errs, r->index, field,
                "extra fields not permitted", "value_error.extra");
        }
    }
}

/* tq_read_member notes a member while the scan passes it. */
static void
tq_read_member(void *data, const tq_json_member_t *m)
{
    int           i;
    tq_reader_t  *r = data;

    i = tq_find_field(r->fields, m->key);

    if (i < 0) {
        r->unknown = 1;
        return;
    }

    r->seen |= 1u << i;
    r->val[i] = m->val;
}

/* tq_read_object reads what was noted of a body, or of one item of a bulk
 * body. */
static void
tq_read_object(tq_reader_t *r, const tq_json_val_t *top)
{
    int                i;
    const tq_field_t  *f = r->fields;

    if (top->type != TQ_JSON_OBJECT) {
        tq_read_wrong(r, tq_str(""), "value is not a valid dict",
            "type_error.dict");
        return;
    }

    for (i = 0; f[i].name.p; i++) {
        if (!(r->seen & 1u << i)) {
            if (f[i].required) {
                tq_read_wrong(r, f[i].name, "field required",
                    "value_error.missing");
            }

        } else if (r->val[i].type != TQ_JSON_NULL) {
            f[i].read(r, &f[i], &r->val[i]);

        } else if (f[i].required) {
            tq_read_wrong(r, f[i].name, "none is not an allowed value",
                "type_error.none.not_allowed");
        }
    }

    tq_settle_due(r);

    if (r->unknown && !r->open) {
        tq_read_extras(r, f, top->raw);
    }
}

static void
tq_errs_init(tq_field_errs_t *errs)
{
    errs->n = 0;
    errs->nomem = 0;
    errs->too_large = 0;
}

/* tq_read_scan checks that the body is JSON, and notes members on the way: the
 * envelope strictly, strings in a payload as RFC 8259 has them. 0, or -1 with
 * errs, which then says only that. */
static int
tq_read_scan(tq_reader_t *r, int level, tq_str_t body, tq_json_val_t *top)
{
    tq_json_err_t    err;
    tq_json_visit_t  visit = { level, TQ_JSON_PAYLOAD, level + 1,
                               tq_read_member, tq_read_item, r };

    tq_errs_init(r->errs);

    if (tq_json_parse_visit(body.p, body.len, top, &err, &visit) == 0) {
        return 0;
    }

    tq_errs_init(r->errs);

    if (err.nomem) {
        r->errs->nomem = 1;
        return -1;
    }

    tq_field_errs_add(r->errs, -1, tq_str(""), err.msg,
        "value_error.jsondecode");
    r->errs->e[0].offset = (int64_t) err.offset;

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
    tq_reader_t    r;
    tq_json_val_t  top;

    tq_reader_init(&r, errs, api == TQ_API_TASKMQ ? tq_fields_taskmq
                                                  : tq_fields_daemon);
    r.job = job;
    r.max_payload = max_payload;
    r.open = (api == TQ_API_TASKDAEMON);

    if (tq_read_scan(&r, 1, body, &top) != 0) {
        return -1;
    }

    tq_job_defaults(api, job);
    tq_read_object(&r, &top);

    return errs->n ? -1 : 0;
}

/* tq_read_item reads an item of a bulk body that the scan has passed. */
static void
tq_read_item(void *data, const tq_json_val_t *item)
{
    tq_reader_t  *r = data;

    if (r->full) {
        return;
    }

    if (++r->index == r->max) {
        r->full = 1;
        r->index = -1;
        tq_read_wrong(r, tq_str(""), r->max == TQ_BULK_MAX_JOBS
            ? "ensure this value has at most " TQ_STRING(TQ_BULK_MAX_JOBS)
              " items"
            : "ensure this value has fewer items",
            "value_error.list.max_items");
        return;
    }

    r->job = &r->jobs[r->index];
    tq_job_defaults(TQ_API_TASKMQ, r->job);
    tq_read_object(r, item);

    r->full = (r->errs->n == TQ_JSON_ERRORS_MAX);
    r->seen = 0;
    r->unknown = 0;
    r->dated = 0;
}

int
tq_job_read_bulk(tq_str_t body, size_t max_payload, tq_job_t *jobs, int max,
    tq_field_errs_t *errs)
{
    tq_reader_t    r;
    tq_json_val_t  top;

    tq_reader_init(&r, errs, tq_fields_taskmq);
    r.max_payload = max_payload;
    r.jobs = jobs;
    r.max = max;

    if (tq_read_scan(&r, 2, body, &top) != 0) {
        return -1;
    }

    if (top.type != TQ_JSON_ARRAY) {
        tq_read_wrong(&r, tq_str(""), "value is not a valid list",
            "type_error.list");

    } else if (r.index < 0 && !r.full) {
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
    { TQ_NAME("job_id"), tq_read_id, 1, 1, TQ_ID_MAX,                         \
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
    tq_reader_t    r;
    tq_json_val_t  top;

    tq_reader_init(&r, errs, force ? tq_fields_id_force : tq_fields_id);
    r.id = id;
    r.force = force;

    if (tq_read_scan(&r, 1, body, &top) != 0) {
        return -1;
    }

    if (force) {
        *force = 0;
    }

    tq_read_object(&r, &top);

    return errs->n ? -1 : 0;
}
