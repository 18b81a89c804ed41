/*
 * tq_text.h: text of others on its way to a terminal or a log: nothing in it
 * may move the cursor, change the order of what is shown, or end the line; and
 * text is cut between characters.
 *
 * Made visible: control characters (U+0000-1F, U+007F-9F), the line separators
 * U+2028 and U+2029, the characters that change the direction of writing
 * (Unicode's Bidi_Control), and bytes that are not UTF-8. tq_buf_add_json()
 * does the same in JSON.
 */

#ifndef TQ_TEXT_H
#define TQ_TEXT_H

#include <stdarg.h>

#include "tq_buf.h"

/* Appends s: bytes as \x1b, characters as \u202e. */
void tq_text_add(tq_buf_t *b, const char *s, size_t len);

/* The same with lines: \n and tabs stay. */
void tq_text_add_lines(tq_buf_t *b, const char *s, size_t len);

/* JSON text: what is not shown is \uxxxx in its strings, the value the same. */
void tq_text_add_json(tq_buf_t *b, const char *json, size_t len);

/* As snprintf() into dst, then as above, with "..." where it does not fit.
 * size is at least 8. What is shown of others in messages of a fixed size. */
void tq_text_print(char *dst, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void tq_text_vprint(char *dst, size_t size, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

/* The length of s cut to at most max bytes, between characters. */
size_t tq_text_cut(const char *s, size_t len, size_t max);

/* The length of s without a last character that is not whole. */
size_t tq_text_whole(const char *s, size_t len);

#endif /* TQ_TEXT_H */
