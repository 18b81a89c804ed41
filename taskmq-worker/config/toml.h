/*
 * toml.h: TOML text as a tree; the only door to the one C++ file.
 */

#ifndef TW_TOML_H
#define TW_TOML_H

#include <stddef.h>

#include <cjson/cJSON.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A table is an object, an array an array, a string a string, an integer a
 * number (valuedouble: exact up to 2^53, and beyond that still out of every
 * bound). Other values, which no key of handlers.toml takes, are null.
 * valueint of every item is its line in the text.
 *
 * Text that is not TOML, or has a NUL character in a key or a string, comes
 * out as a string that says what is wrong, with the line of it.
 *
 * The caller frees the tree with cJSON_Delete(). NULL when memory ran out.
 */
cJSON *tw_toml_read(const char *text, size_t len);

#ifdef __cplusplus
}
#endif

#endif /* TW_TOML_H */
