/*
 * tq_doc.h: small JSON documents of our own (answers of the command line, what
 * a worker says of itself), built as cJSON trees. Not for what comes from
 * outside, nor for payloads and results on their way: tq_json.h. Not part of
 * the module, which has no cJSON.
 *
 * An item that is added belongs to the tree, and goes with it where there is
 * no memory: then the tree is NULL, stays NULL whatever is added, and
 * tq_doc_print() says so. A caller builds freely and checks once, at the end.
 *
 *     doc = tq_doc_object({ "job", tq_doc_int(id) },
 *                         { "why", tq_doc_text(why) });
 *     tq_doc_print(&out, doc);
 */

#ifndef TQ_DOC_H
#define TQ_DOC_H

#include <cjson/cJSON.h>

#include "tq_base.h"

typedef struct {
    const char  *name;           /* NULL ends a list */
    cJSON       *item;           /* NULL: there was no memory for it */
} tq_doc_member_t;

/* All digits: cJSON's own numbers are doubles, and 1234567890123460 is printed
 * as 1.23456789012346e+15. */
cJSON *tq_doc_int(int64_t v);

/* Text of others, in the form of tq_buf_add_json(). */
cJSON *tq_doc_str(tq_str_t s);

/* The same; NULL: null. */
cJSON *tq_doc_text(const char *s);

/* JSON that tq_json.h has accepted: its bytes stay. */
cJSON *tq_doc_raw(tq_str_t json);

#define tq_doc_object(...)                                                   \
    tq_doc_of((const tq_doc_member_t[]) { __VA_ARGS__, { NULL, NULL } })
cJSON *tq_doc_of(const tq_doc_member_t *members);

/* Adds a member to an object, or with name NULL an item to an array. */
void tq_doc_add(cJSON **doc, const char *name, cJSON *item);

/* Appends doc to b, without spaces, and frees it. NULL: b->failed is set. */
void tq_doc_print(tq_buf_t *b, cJSON *doc);

#endif /* TQ_DOC_H */
