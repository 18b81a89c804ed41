/*
 * library.h: the child of a `library` handler: `taskmq-worker --run-library
 * FILE` loads a shared object and speaks the handler protocol for it, so that
 * its crash is only its job's.
 */

#ifndef TW_LIBRARY_H
#define TW_LIBRARY_H

/* Does not return before the end of its input. Returns the exit status. */
int tw_run_library(const char *path);

#endif /* TW_LIBRARY_H */
