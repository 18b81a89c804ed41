/*
 * path.h: where a handler's program is looked for.
 */

#ifndef TW_PATH_H
#define TW_PATH_H

/* The PATH of a handler with this env (NULL-terminated, or NULL): its own, else
 * the worker's, else the usual one. */
const char *tw_path(char *const *env);

#endif /* TW_PATH_H */
