/*
 * tq_field_errs.c: the list of wrong fields, and how each API shows it.
 */

#include <string.h>

#include "tq_job.h"
#include "tq_base.h"

void
tq_field_errs_add(tq_field_errs_t *errs, int index, tq_str_t field,
    const char *msg, const char *type)
{
    int              n;
    size_t           len = 0;
    tq_field_err_t  *e;

    if (errs->n == TQ_JSON_ERRORS_MAX) {
        return;
    }

    e = &errs->e[errs->n++];
    e->index = index;
    e->offset = -1;
    e->msg = msg;
    e->type = type;

    /* cut between characters */
    while (len < field.len) {
        n = tq_utf8_seq(field.p + len, field.len - len);
        n = n < 0 ? -n : n;
        if (len + (size_t) n >= sizeof(e->field)) {
            break;
        }
        memcpy(e->field + len, field.p + len, (size_t) n);
        len += (size_t) n;
    }

    e->field[len] = '\0';
}

static void
tq_field_err_loc(tq_buf_t *b, const tq_field_err_t *e)
{
    tq_buf_adds(b, "{\"loc\":[\"body\"");

    if (e->offset >= 0) {
        tq_buf_addc(b, ',');
        tq_buf_addi(b, e->offset);
    }

    if (e->index >= 0) {
        tq_buf_addc(b, ',');
        tq_buf_addi(b, e->index);
    }

    if (e->field[0]) {
        tq_buf_addc(b, ',');
        tq_buf_add_json(b, e->field, strlen(e->field));
    }

    tq_buf_addc(b, ']');
}

void
tq_field_errs_detail(tq_buf_t *b, const tq_field_errs_t *errs)
{
    int                    i;
    const tq_field_err_t  *e;

    tq_buf_adds(b, "{\"detail\":[");

    for (i = 0; i < errs->n; i++) {
        e = &errs->e[i];

        if (i) {
            tq_buf_addc(b, ',');
        }

        tq_field_err_loc(b, e);
        tq_buf_adds(b, ",\"msg\":");
        tq_buf_add_json(b, e->msg, strlen(e->msg));
        tq_buf_adds(b, ",\"type\":");
        tq_buf_add_json(b, e->type, strlen(e->type));
        tq_buf_addc(b, '}');
    }

    tq_buf_adds(b, "]}");
}

void
tq_field_errs_error(tq_buf_t *b, const tq_field_errs_t *errs)
{
    int                    i;
    tq_buf_t               text = { 0 };
    const tq_field_err_t  *e;

    for (i = 0; i < errs->n; i++) {
        e = &errs->e[i];

        if (i) {
            tq_buf_adds(&text, "; ");
        }

        tq_buf_adds(&text, e->field[0] ? e->field : "body");
        tq_buf_adds(&text, ": ");
        tq_buf_adds(&text, e->msg);

        if (e->offset >= 0) {
            tq_buf_adds(&text, " at byte ");
            tq_buf_addi(&text, e->offset);
        }
    }

    tq_buf_adds(b, "{\"error\":");
    tq_buf_add_json(b, text.p, text.len);
    tq_buf_addc(b, '}');

    if (text.failed) {
        b->failed = 1;
    }

    tq_buf_free(&text);
}
