/* tq_env.c: see tq_env.h. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tq_env.h"

static const char  *kept[] = {
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ",
    "TMPDIR", NULL
};

static int
same_name(const char *a, const char *b)
{
    size_t  n = strcspn(a, "=");

    return strncmp(a, b, n) == 0 && (b[n] == '=' || b[n] == '\0');
}

static int
is_one_of(const char *pair, const char *const *names)
{
    for (; names != NULL && *names != NULL; names++) {
        if (same_name(pair, *names)) {
            return 1;
        }
    }

    return 0;
}

int
tq_env_is_kept(const char *pair)
{
    return strncmp(pair, "LC_", 3) == 0 || is_one_of(pair, kept);
}

char **
tq_env_make(char *const *own, const char *const *more)
{
    char    **out;
    size_t    i, j, n = 0, nown = 0;

    while (environ[n] != NULL) {
        n++;
    }

    while (own != NULL && own[nown] != NULL) {
        nown++;
    }

    out = calloc(n + nown + 2, sizeof(char *));
    if (out == NULL) {
        return NULL;
    }

    n = 0;
    for (i = 0; environ[i] != NULL; i++) {
        if (!tq_env_is_kept(environ[i]) && !is_one_of(environ[i], more)) {
            continue;
        }

        for (j = 0; j < nown && !same_name(own[j], environ[i]); j++) {
            /* void */
        }

        if (j == nown) {
            out[n++] = environ[i];
        }
    }

    for (j = 0; j < nown; j++) {
        out[n++] = own[j];
    }

    return out;
}

int
tq_env_name_ok(const char *name, size_t len)
{
    static const char  letters[] = "abcdefghijklmnopqrstuvwxyz"
                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789_";
    size_t             i;

    if (len == 0 || (name[0] >= '0' && name[0] <= '9')) {
        return 0;
    }

    for (i = 0; i < len && name[i] != '\0' && strchr(letters, name[i]); i++) {
        /* void */
    }

    return i == len;
}
