/*
 * tq_secret.h: memory for secrets, and processes that hold them.
 *
 * A secret gets pages of its own that no core dump contains, and is wiped when
 * it goes. Whoever made it ends it, with the same length.
 */

#ifndef TQ_SECRET_H
#define TQ_SECRET_H

#include <stddef.h>

/* A NUL-terminated copy of len bytes. NULL: out of memory. */
char *tq_secret_new(const void *p, size_t len);

/* p may be NULL. */
void tq_secret_free(char *p, size_t len);

/*
 * This process leaves no core dump, and other processes of its user, its own
 * children among them, cannot read its memory, environment or descriptors.
 * Not when TASKMQ_COREDUMP=1 is in the environment: for hunting a crash. An
 * exec undoes it.
 */
void tq_secret_no_dump(void);

#endif /* TQ_SECRET_H */
