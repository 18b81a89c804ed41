/*
 * tq_json.h: strict JSON scanner (RFC 8259) that keeps raw slices.
 *
 * Why not a tree: a payload must leave as the bytes it came in, numbers
 * included, and cJSON rounds numbers, accepts invalid UTF-8, duplicate keys and
 * trailing bytes. So cJSON is for small documents of our own and of the
 * operator (tq_doc.h, handlers.toml), and this for all that comes from outside:
 * requests, payloads, answers, tokens. The module uses no other.
 *
 * Nothing here keeps memory after it returns, except slices into the caller's
 * text. Refused: invalid UTF-8, raw control characters, numbers such as 007 or
 * 1., nesting deeper than TQ_JSON_DEPTH_MAX, trailing bytes, a byte order mark,
 * an empty text; and, unless the text is only carried (tq_json_kind_t), \u0000,
 * escaped lone surrogates, and duplicate keys (compared after unescaping).
 */

#ifndef TQ_JSON_H
#define TQ_JSON_H

#include "tq_base.h"

typedef enum {
    TQ_JSON_NULL, TQ_JSON_FALSE, TQ_JSON_TRUE, TQ_JSON_NUMBER,
    TQ_JSON_STRING, TQ_JSON_ARRAY, TQ_JSON_OBJECT
} tq_json_type_t;

typedef struct {
    tq_json_type_t  type;
    tq_str_t        raw;      /* the value's bytes; a string with its quotes */
} tq_json_val_t;

typedef struct {
    tq_str_t        key;      /* raw bytes between the quotes */
    tq_json_val_t   val;
} tq_json_member_t;

typedef struct {
    size_t       offset;      /* bytes from the start of the text */
    const char  *msg;         /* static text, e.g. "duplicate key" */
    int          nomem;       /* the text may be fine: memory ran out */
} tq_json_err_t;

/* Checks the whole text and returns its top value. 0, or -1 with *err. */
int tq_json_parse(const char *p, size_t len, tq_json_val_t *out,
    tq_json_err_t *err);

/* What a text is for. RFC 8259 allows more than what is safe to read; what is
 * only carried, byte for byte, may have it. */
typedef enum {
    TQ_JSON_READ,             /* strict */
    TQ_JSON_PAYLOAD,          /* any string: \u0000, lone surrogates */
    TQ_JSON_RESULT            /* and duplicate keys: the work is done */
} tq_json_kind_t;

int tq_json_parse_as(tq_json_kind_t kind, const char *p, size_t len,
    tq_json_val_t *out, tq_json_err_t *err);

/*
 * What a caller wants to see while the text is checked, so that it need not be
 * read twice: the members of the top object (level 1), or the items of the top
 * array and, before each, its members where it is an object (level 2). What
 * was seen counts only when the whole text turns out to be valid.
 *
 * From depth `from` on the text is of that kind, above it is strict. Keys and
 * strings of the top object itself are at depth 1, those of an object in it at
 * depth 2.
 */
typedef struct {
    int              level;
    tq_json_kind_t   kind;
    int              from;
    void           (*member)(void *data, const tq_json_member_t *m);
    void           (*item)(void *data, const tq_json_val_t *v);  /* level 2 */
    void            *data;
} tq_json_visit_t;

int tq_json_parse_visit(const char *p, size_t len, tq_json_val_t *out,
    tq_json_err_t *err, const tq_json_visit_t *visit);

/*
 * Iterates over the members of an object, or the items of an array, that
 * tq_json_parse() has accepted (they trust that). Start with *pos = 0.
 * 1: *out is the next one; 0: no more.
 */
int tq_json_next_member(tq_str_t object, size_t *pos, tq_json_member_t *out);
int tq_json_next_item(tq_str_t array, size_t *pos, tq_json_val_t *out);

/* Finds a member by its unescaped name. 1 found, 0 not. */
int tq_json_find(tq_str_t object, const char *name, tq_json_val_t *out);

/* Compares a raw key (or the inside of a raw string) with plain text. */
int tq_json_key_eq(tq_str_t raw, const char *name);

/*
 * Unescapes a string value (raw, with quotes) into dst of dst_size bytes, and
 * NUL-terminates. Returns the length, or -1 when it does not fit. len of raw
 * is always enough room. Of a text that is only carried, \u0000 is a NUL byte
 * and a lone surrogate U+FFFD.
 */
long tq_json_unescape(tq_str_t raw, char *dst, size_t dst_size);

/* The same for the bytes between the quotes (a key), cut between two
 * characters where it does not fit. Returns the length. dst_size > 0. */
size_t tq_json_key_text(tq_str_t raw, char *dst, size_t dst_size);

/* An integer without fraction or exponent that fits int64. 0, or -1. */
int tq_json_int64(const tq_json_val_t *v, int64_t *out);

/* Appends a value with CR and LF between tokens made spaces (for a line
 * protocol); every other byte stays. A valid text has no raw CR or LF inside
 * strings. */
void tq_json_add_line(tq_buf_t *b, tq_str_t raw);

/* The same for readers that cut lines elsewhere, too: U+0085, U+2028 and
 * U+2029, which are raw in strings, become escapes. (What else some cut at, as
 * FF or U+001C, cannot be raw in JSON.) */
void tq_json_add_safe_line(tq_buf_t *b, tq_str_t raw);

#endif /* TQ_JSON_H */
