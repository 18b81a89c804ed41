/* path.c: see path.h. */

#include <stdlib.h>
#include <string.h>

#include "path.h"

const char *
tw_path(char *const *env)
{
    const char  *path;

    for (; env != NULL && *env != NULL; env++) {
        if (strncmp(*env, "PATH=", 5) == 0) {
            return *env + 5;
        }
    }

    path = getenv("PATH");

    return path != NULL ? path : "/usr/local/bin:/usr/bin:/bin";
}
