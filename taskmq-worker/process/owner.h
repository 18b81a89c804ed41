/*
 * owner.h: names of things that may outlive the worker that made them
 * (containers), which tell whether it is alive.
 *
 * A pid and a host name are not enough: both repeat from one container to the
 * next, while an engine and its containers are seen from all. So a name has
 * the host, the boot, the namespaces that pid and time are counted in, the
 * pid and its start.
 */

#ifndef TW_OWNER_H
#define TW_OWNER_H

#include <stddef.h>

#define TW_OWNER_NAME_MAX  96

typedef enum {
    TW_OWNER_NONE,            /* no such name, or another host's */
    TW_OWNER_ALIVE,
    TW_OWNER_UNSEEN,          /* out of sight: another boot or namespace */
    TW_OWNER_DEAD             /* for certain */
} tw_owner_t;

/* A name of this worker's that was not given out before: letters, digits and
 * '-', first "taskmq-". */
void tw_owner_name(char dst[TW_OWNER_NAME_MAX]);

/* What can be said of the worker that made this name; name is untrusted. */
tw_owner_t tw_owner_read(const char *name, size_t len);

#endif /* TW_OWNER_H */
