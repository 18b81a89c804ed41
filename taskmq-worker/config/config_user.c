/* config_user.c: `user` of a handler: a name or a number, looked up while the
 * configuration is read (name services may block; the loop must not). */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_read.h"

#define GROUPS_MAX  1024

static struct passwd *
look_up(const char *text)
{
    char  *end;
    long   uid = strtol(text, &end, 10);

    if (text[0] >= '0' && text[0] <= '9' && *end == '\0') {
        return uid < 0 || uid > INT32_MAX ? NULL : getpwuid((uid_t) uid);
    }

    return getpwnam(text);
}

int
tw_user_find(const char *text, tw_user_t *out, const char **why)
{
    int             n = GROUPS_MAX;
    struct passwd  *pw;

    errno = 0;
    pw = look_up(text);
    if (pw == NULL) {
        *why = errno != 0 && errno != ENOENT ? "users cannot be looked up"
               : "there is no such user";
        return -1;
    }

    if (geteuid() != 0 && pw->pw_uid != geteuid()) {
        *why = "only a worker that runs as root can run a handler as "
               "another user";
        return -1;
    }

    out->uid = pw->pw_uid;
    out->gid = pw->pw_gid;
    out->home = strdup(pw->pw_dir);
    out->name = strdup(pw->pw_name);
    out->groups = calloc(GROUPS_MAX, sizeof(gid_t));

    if (out->home == NULL || out->name == NULL || out->groups == NULL) {
        *why = "out of memory";
        return -1;
    }

    if (getgrouplist(pw->pw_name, pw->pw_gid, out->groups, &n) < 0) {
        *why = "the user is in too many groups";
        return -1;
    }

    out->ngroups = n;

    return 0;
}

void
tw_user_free(tw_user_t *u)
{
    free(u->groups);
    free(u->home);
    free(u->name);
    memset(u, 0, sizeof(*u));
}
