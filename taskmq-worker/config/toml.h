/*
 * toml.h: TOML text into JSON text with line numbers; the only door to the
 * one C++ file.
 */

#ifndef TW_TOML_H
#define TW_TOML_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Every TOML value comes out as [line, kind, value] with kind one of
 * "table", "array", "string", "integer", "float", "boolean", "date"; a table's
 * value is an object of such values, a date's is its text. Text that is not
 * TOML comes out as [line, "error", description].
 *
 * Returns a malloc'ed C string, or NULL when memory ran out.
 */
char *tw_toml_to_json(const char *text, size_t len);

#ifdef __cplusplus
}
#endif

#endif /* TW_TOML_H */
