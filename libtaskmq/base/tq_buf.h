/*
 * tq_buf.h: a growing byte buffer and a byte slice.
 *
 * A tq_buf_t owns its bytes; tq_buf_free() gives them back. A failed
 * allocation sets `failed`, keeps what was there and makes every later append
 * a no-op, so that a caller builds freely and checks `failed` once at the end.
 * The bytes are not NUL-terminated unless tq_buf_cstr() is called.
 *
 * A tq_str_t owns nothing: it points into somebody else's bytes.
 */

#ifndef TQ_BUF_H
#define TQ_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char  *p;
    size_t       len;
} tq_str_t;

#define tq_str(lit)  ((tq_str_t) { (lit), sizeof(lit) - 1 })

typedef struct {
    char    *p;
    size_t   len;
    size_t   cap;
    int      failed;    /* an allocation failed: contents are incomplete */
} tq_buf_t;

/* Makes room for n more bytes. 0, or -1 when memory ran out. */
int tq_buf_reserve(tq_buf_t *b, size_t n);

void tq_buf_add(tq_buf_t *b, const void *p, size_t n);
void tq_buf_adds(tq_buf_t *b, const char *cstr);
void tq_buf_addc(tq_buf_t *b, char c);
void tq_buf_addi(tq_buf_t *b, int64_t v);              /* decimal */
void tq_buf_addf(tq_buf_t *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void tq_buf_addv(tq_buf_t *b, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Appends s as a JSON string with its quotes. Bytes that are not UTF-8 come
 * out as U+FFFD (one per ill-formed sequence), NUL as well (tq_json and others
 * refuse \u0000 or stop there), and what must not reach a terminal or a log as
 * it is (tq_text.h) as \n, \r, \t or \uxxxx. */
void tq_buf_add_json(tq_buf_t *b, const char *s, size_t n);

/* NUL-terminates (not counted in len). NULL when memory ran out. */
const char *tq_buf_cstr(tq_buf_t *b);

/* Forgets the contents, keeps the memory and clears `failed`. */
void tq_buf_reset(tq_buf_t *b);

void tq_buf_free(tq_buf_t *b);

int tq_str_eq(tq_str_t s, const char *cstr);

#endif /* TQ_BUF_H */
