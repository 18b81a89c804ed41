/* tq_doc.c: see tq_doc.h. */

#include <stdio.h>
#include <string.h>

#include "tq_doc.h"

/* b's bytes are the item's; frees b. */
static cJSON *
tq_doc_take(tq_buf_t *b)
{
    cJSON       *item;
    const char  *text = tq_buf_cstr(b);

    item = text != NULL ? cJSON_CreateRaw(text) : NULL;
    tq_buf_free(b);

    return item;
}

cJSON *
tq_doc_int(int64_t v)
{
    char  text[24];

    (void) snprintf(text, sizeof(text), "%lld", (long long) v);

    return cJSON_CreateRaw(text);
}

cJSON *
tq_doc_str(tq_str_t s)
{
    tq_buf_t  b = { 0 };

    tq_buf_add_json(&b, s.p, s.len);

    return tq_doc_take(&b);
}

cJSON *
tq_doc_text(const char *s)
{
    return s == NULL ? cJSON_CreateNull()
           : tq_doc_str((tq_str_t) { s, strlen(s) });
}

cJSON *
tq_doc_raw(tq_str_t json)
{
    tq_buf_t  b = { 0 };

    tq_buf_add(&b, json.p, json.len);

    return tq_doc_take(&b);
}

cJSON *
tq_doc_of(const tq_doc_member_t *members)
{
    cJSON  *doc = cJSON_CreateObject();

    for ( /* void */ ; members->name != NULL; members++) {
        tq_doc_add(&doc, members->name, members->item);
    }

    return doc;
}

void
tq_doc_add(cJSON **doc, const char *name, cJSON *item)
{
    if (name != NULL ? cJSON_AddItemToObject(*doc, name, item)
        : cJSON_AddItemToArray(*doc, item))
    {
        return;
    }

    cJSON_Delete(item);
    cJSON_Delete(*doc);
    *doc = NULL;
}

void
tq_doc_print(tq_buf_t *b, cJSON *doc)
{
    char  *text = cJSON_PrintUnformatted(doc);

    if (text == NULL) {
        b->failed = 1;
    } else {
        tq_buf_adds(b, text);
    }

    cJSON_free(text);
    cJSON_Delete(doc);
}
