/*
 * fuzz_url.c: Redis URLs. What is shown of one is a URL of the same place,
 * without the password.
 */

#include "fuzz.h"
#include "tq_base.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char         shown[1024], small[8];
    tq_url_t     u, v;
    const char  *why = NULL;

    if (tq_url_parse((const char *) data, size, &u, &why) != 0) {
        MUST(why != NULL && why[0] != '\0');
        return 0;
    }

    MUST((u.host[0] == '\0') != (u.path[0] == '\0'));
    MUST(u.path[0] || (u.port > 0 && u.port < 65536));
    MUST(u.db >= 0);

    (void) tq_url_show(&u, small, sizeof(small));
    MUST(strlen(small) < sizeof(small));

    (void) tq_url_show(&u, shown, sizeof(shown));
    MUST(tq_url_parse(shown, strlen(shown), &v, &why) == 0);
    MUST(strcmp(u.host, v.host) == 0);
    MUST(strcmp(u.path, v.path) == 0);
    MUST(strcmp(u.user, v.user) == 0);
    MUST(u.port == v.port && u.db == v.db);
    MUST(strcmp(v.password, u.password[0] ? "***" : "") == 0);

    return 0;
}
