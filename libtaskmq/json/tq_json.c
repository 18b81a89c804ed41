/*
 * tq_json.c: the scanner. One pass, one loop, an explicit stack of open arrays
 * and objects; memory only for objects with many keys (tq_json_keys.c).
 */

#include <string.h>

#include "tq_json_int.h"
#include "tq_base.h"

#define TQ_STRINGIZE(x)  #x
#define TQ_STRING(x)     TQ_STRINGIZE(x)

#define TQ_JSON_LEN_MAX  INT32_MAX      /* a key's place is 31 bits wide */

/* What may come next. */
typedef enum {
    TQ_JSON_AT_VALUE,           /* a value */
    TQ_JSON_AT_FIRST_ITEM,      /* after [: a value or ] */
    TQ_JSON_AT_FIRST_KEY,       /* after {: a key or } */
    TQ_JSON_AT_KEY,             /* after , in an object */
    TQ_JSON_AT_NEXT,            /* after a value: , or the closing one */
    TQ_JSON_BAD
} tq_json_at_t;

typedef struct {
    const char             *p;        /* where the scan is */
    const char             *end;
    const char             *start;
    tq_json_err_t          *err;
    const tq_json_visit_t  *visit;
    int                     level;    /* the visitor's, 0: none */
    int                     text;     /* from these depths on strings may hold
                                         anything, and keys may repeat */
    int                     repeats;
    tq_str_t                key;      /* the last one at that level */
    const char             *from[3];  /* by depth: where a value began */
    tq_json_keys_t          keys;
    int                     depth;    /* open frames */
    tq_json_frame_t         frame[TQ_JSON_DEPTH_MAX];
} tq_json_scan_t;

static tq_json_at_t
tq_json_fail(tq_json_scan_t *s, const char *at, const char *msg)
{
    s->err->offset = (size_t) (at - s->start);
    s->err->msg = msg;

    return TQ_JSON_BAD;
}

static inline void
tq_json_space(tq_json_scan_t *s)
{
    while (s->p < s->end
           && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r'
               || *s->p == '\t'))
    {
        s->p++;
    }
}

/* tq_json_hex4 reads four hex digits. The number, or -1. */
static int
tq_json_hex4(const char *p, const char *end)
{
    int  i, v = 0;

    if (end - p < 4) {
        return -1;
    }

    for (i = 0; i < 4; i++) {
        v <<= 4;
        if (p[i] >= '0' && p[i] <= '9') {
            v |= p[i] - '0';
        } else if (p[i] >= 'a' && p[i] <= 'f') {
            v |= p[i] - 'a' + 10;
        } else if (p[i] >= 'A' && p[i] <= 'F') {
            v |= p[i] - 'A' + 10;
        } else {
            return -1;
        }
    }

    return v;
}

/* tq_json_escape steps over the escape at p. 0, or -1. */
static int
tq_json_escape(tq_json_scan_t *s)
{
    int          u;
    const char  *p = s->p;

    if (s->end - p < 2) {
        (void) tq_json_fail(s, s->end, "unexpected end inside a string");
        return -1;
    }

    if (p[1] != 'u') {
        if (p[1] == '\0' || strchr("\"\\/bfnrt", p[1]) == NULL) {
            (void) tq_json_fail(s, p, "unknown escape in a string");
            return -1;
        }

        s->p += 2;
        return 0;
    }

    u = tq_json_hex4(p + 2, s->end);

    if (u < 0) {
        (void) tq_json_fail(s, p, "\\u without four hex digits");
        return -1;
    }

    s->p += 6;

    if (s->depth >= s->text) {
        return 0;
    }

    if (u == 0) {
        (void) tq_json_fail(s, p, "\\u0000 is not accepted");
        return -1;
    }

    if (u < 0xd800 || u > 0xdfff) {
        return 0;
    }

    if (u <= 0xdbff && s->end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
        u = tq_json_hex4(p + 8, s->end);
        if (u >= 0xdc00 && u <= 0xdfff) {
            s->p += 6;
            return 0;
        }
    }

    (void) tq_json_fail(s, p, "lone surrogate in a string");

    return -1;
}

/* tq_json_string steps over the string that starts at p; *escaped tells
 * whether it has escapes. 0, or -1. */
static int
tq_json_string(tq_json_scan_t *s, int *escaped)
{
    int            n;
    unsigned char  c;

    *escaped = 0;

    for (s->p++;; ) {
        s->p = tq_json_plain(s->p, s->end);

        if (s->p == s->end) {
            (void) tq_json_fail(s, s->end, "unexpected end inside a string");
            return -1;
        }

        c = (unsigned char) *s->p;

        if (c == '"') {
            s->p++;
            return 0;
        }

        if (c == '\\') {
            *escaped = 1;
            if (tq_json_escape(s) != 0) {
                return -1;
            }

        } else if (c < 0x20) {
            (void) tq_json_fail(s, s->p, "control character in a string");
            return -1;

        } else {
            n = tq_utf8_seq(s->p, (size_t) (s->end - s->p));
            if (n < 0) {
                (void) tq_json_fail(s, s->p, "invalid UTF-8");
                return -1;
            }
            s->p += n;
        }
    }
}

static inline const char *
tq_json_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9') {
        p++;
    }

    return p;
}

static tq_json_at_t
tq_json_number(tq_json_scan_t *s)
{
    const char  *p = s->p, *from;

    if (*p == '-') {
        p++;
    }

    from = p;
    p = tq_json_digits(p, s->end);

    if (p == from) {
        return tq_json_fail(s, p, "a number needs a digit here");
    }

    if (*from == '0' && p - from > 1) {
        return tq_json_fail(s, from, "a number must not start with 0");
    }

    if (p < s->end && *p == '.') {
        from = ++p;
        p = tq_json_digits(p, s->end);
        if (p == from) {
            return tq_json_fail(s, p, "a number needs a digit here");
        }
    }

    if (p < s->end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < s->end && (*p == '+' || *p == '-')) {
            p++;
        }

        from = p;
        p = tq_json_digits(p, s->end);
        if (p == from) {
            return tq_json_fail(s, p, "a number needs a digit here");
        }
    }

    s->p = p;

    return TQ_JSON_AT_NEXT;
}

static tq_json_at_t
tq_json_word(tq_json_scan_t *s, const char *word, size_t len)
{
    if ((size_t) (s->end - s->p) < len || memcmp(s->p, word, len) != 0) {
        return tq_json_fail(s, s->p, "expected a value");
    }

    s->p += len;

    return TQ_JSON_AT_NEXT;
}

static tq_json_at_t
tq_json_open(tq_json_scan_t *s, int object)
{
    tq_json_frame_t  *f;

    if (s->depth == TQ_JSON_DEPTH_MAX) {
        return tq_json_fail(s, s->p, "nested deeper than "
            TQ_STRING(TQ_JSON_DEPTH_MAX) " levels");
    }

    f = &s->frame[s->depth++];
    f->base = s->keys.n;
    f->object = (unsigned char) object;
    f->indexed = 0;

    s->p++;

    return object ? TQ_JSON_AT_FIRST_KEY : TQ_JSON_AT_FIRST_ITEM;
}

static tq_json_at_t
tq_json_close(tq_json_scan_t *s)
{
    tq_json_frame_t  *f = &s->frame[--s->depth];

    if (f->object) {
        tq_json_keys_close(&s->keys, f);
    }

    s->p++;

    return TQ_JSON_AT_NEXT;
}

static tq_json_at_t
tq_json_value(tq_json_scan_t *s)
{
    int  escaped;

    if (s->p == s->end) {
        return tq_json_fail(s, s->p, "expected a value, found the end");
    }

    if (s->depth <= s->level) {
        s->from[s->depth] = s->p;
    }

    switch (*s->p) {
    case '{':
        return tq_json_open(s, 1);
    case '[':
        return tq_json_open(s, 0);
    case '"':
        return tq_json_string(s, &escaped) == 0 ? TQ_JSON_AT_NEXT
                                                : TQ_JSON_BAD;
    case 't':
        return tq_json_word(s, "true", 4);
    case 'f':
        return tq_json_word(s, "false", 5);
    case 'n':
        return tq_json_word(s, "null", 4);
    default:
        if (*s->p == '-' || (*s->p >= '0' && *s->p <= '9')) {
            return tq_json_number(s);
        }
        return tq_json_fail(s, s->p, "expected a value");
    }
}

/* tq_json_key reads a key and its colon. */
static tq_json_at_t
tq_json_key(tq_json_scan_t *s)
{
    int          escaped, rc;
    const char  *from = s->p;

    if (s->p == s->end || *s->p != '"') {
        return tq_json_fail(s, s->p, "expected a key in double quotes");
    }

    if (tq_json_string(s, &escaped) != 0) {
        return TQ_JSON_BAD;
    }

    if (s->depth == s->level) {
        s->key.p = from + 1;
        s->key.len = (size_t) (s->p - from - 2);
    }

    rc = s->depth >= s->repeats ? 0
         : tq_json_keys_add(&s->keys, &s->frame[s->depth - 1],
               (size_t) (from + 1 - s->start), (size_t) (s->p - from - 2),
               escaped);

    if (rc > 0) {
        return tq_json_fail(s, from, "duplicate key");
    }

    if (rc < 0) {
        s->err->nomem = 1;
        return tq_json_fail(s, from, "out of memory");
    }

    tq_json_space(s);

    if (s->p == s->end || *s->p != ':') {
        return tq_json_fail(s, s->p, "expected ':' after a key");
    }

    s->p++;

    return TQ_JSON_AT_VALUE;
}

/* tq_json_next goes on after a value. */
static tq_json_at_t
tq_json_next(tq_json_scan_t *s)
{
    int  object = s->frame[s->depth - 1].object;

    if (s->p < s->end) {
        if (*s->p == ',') {
            s->p++;
            return object ? TQ_JSON_AT_KEY : TQ_JSON_AT_VALUE;
        }

        if (*s->p == (object ? '}' : ']')) {
            return tq_json_close(s);
        }
    }

    return tq_json_fail(s, s->p,
        object ? "expected ',' or '}'" : "expected ',' or ']'");
}

/* tq_json_step takes one token, or a key with its colon. */
static inline tq_json_at_t
tq_json_step(tq_json_scan_t *s, tq_json_at_t at)
{
    tq_json_space(s);

    switch (at) {
    case TQ_JSON_AT_FIRST_ITEM:
        if (s->p < s->end && *s->p == ']') {
            return tq_json_close(s);
        }
        return tq_json_value(s);

    case TQ_JSON_AT_FIRST_KEY:
        if (s->p < s->end && *s->p == '}') {
            return tq_json_close(s);
        }
        return tq_json_key(s);

    case TQ_JSON_AT_KEY:
        return tq_json_key(s);

    case TQ_JSON_AT_NEXT:
        return tq_json_next(s);

    default:
        return tq_json_value(s);
    }
}

tq_json_type_t
tq_json_type(char first)
{
    switch (first) {
    case '{':
        return TQ_JSON_OBJECT;
    case '[':
        return TQ_JSON_ARRAY;
    case '"':
        return TQ_JSON_STRING;
    case 't':
        return TQ_JSON_TRUE;
    case 'f':
        return TQ_JSON_FALSE;
    case 'n':
        return TQ_JSON_NULL;
    default:
        return TQ_JSON_NUMBER;
    }
}

/* tq_json_seen shows the visitor the value that has just ended. */
static void
tq_json_seen(const tq_json_scan_t *s)
{
    const char        *from = s->from[s->depth];
    tq_json_member_t   m;

    m.val.type = tq_json_type(*from);
    m.val.raw.p = from;
    m.val.raw.len = (size_t) (s->p - from);

    if (s->level == 2 && s->frame[0].object) {
        return;                 /* nobody waits for what is in here */
    }

    if (s->depth < s->level) {
        s->visit->item(s->visit->data, &m.val);

    } else if (s->frame[s->level - 1].object) {
        m.key = s->key;
        s->visit->member(s->visit->data, &m);
    }
}

static int
tq_json_scan(const char *p, size_t len, tq_json_val_t *out,
    tq_json_err_t *err, const tq_json_visit_t *visit, tq_json_kind_t kind,
    int depth)
{
    const char      *from;
    tq_json_at_t     at = TQ_JSON_AT_VALUE;
    tq_json_scan_t   s;

    err->offset = 0;
    err->msg = "";
    err->nomem = 0;

    s.p = s.start = p;
    s.end = p + len;
    s.err = err;
    s.visit = visit;
    s.level = visit ? visit->level : 0;
    s.text = kind == TQ_JSON_READ ? TQ_JSON_DEPTH_MAX + 1 : depth;
    s.repeats = kind == TQ_JSON_RESULT ? depth : TQ_JSON_DEPTH_MAX + 1;
    s.depth = 0;

    if (len > TQ_JSON_LEN_MAX) {
        (void) tq_json_fail(&s, p, "the text is too long");
        return -1;
    }

    if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        (void) tq_json_fail(&s, p, "byte order mark");
        return -1;
    }

    tq_json_space(&s);
    from = s.p;

    tq_json_keys_init(&s.keys, p);

    do {
        at = tq_json_step(&s, at);

        if (at == TQ_JSON_AT_NEXT && s.depth <= s.level && s.depth > 0) {
            tq_json_seen(&s);
        }
    } while (at != TQ_JSON_BAD && (at != TQ_JSON_AT_NEXT || s.depth > 0));

    tq_json_keys_free(&s.keys);

    if (at == TQ_JSON_BAD) {
        return -1;
    }

    out->type = tq_json_type(*from);
    out->raw.p = from;
    out->raw.len = (size_t) (s.p - from);

    tq_json_space(&s);

    if (s.p != s.end) {
        (void) tq_json_fail(&s, s.p, "more text after the value");
        return -1;
    }

    return 0;
}

int
tq_json_parse(const char *p, size_t len, tq_json_val_t *out,
    tq_json_err_t *err)
{
    return tq_json_scan(p, len, out, err, NULL, TQ_JSON_READ, 0);
}

int
tq_json_parse_as(tq_json_kind_t kind, const char *p, size_t len,
    tq_json_val_t *out, tq_json_err_t *err)
{
    return tq_json_scan(p, len, out, err, NULL, kind, 0);
}

int
tq_json_parse_visit(const char *p, size_t len, tq_json_val_t *out,
    tq_json_err_t *err, const tq_json_visit_t *visit)
{
    return tq_json_scan(p, len, out, err, visit, visit->kind, visit->from);
}
