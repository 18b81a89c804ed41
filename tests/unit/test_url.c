/* test_url.c: Redis URLs. */

#include "unit.h"
#include "tq_base.h"

static int
parse(const char *url, size_t len, tq_url_t *u, const char **why)
{
    char  *exact = unit_exact(url, len);
    int    rc;

    *why = NULL;
    rc = tq_url_parse(exact, len, u, why);
    free(exact);

    return rc;
}

static void
test_good(void **state)
{
    size_t       i;
    char         shown[1024];
    tq_url_t     u;
    const char  *why;
    static const struct {
        const char  *url, *host;
        int          port;
        const char  *path, *user, *password;
        int          db;
        const char  *shown;
    } t[] = {
        { "redis://localhost", "localhost", 6379, "", "", "", 0,
          "redis://localhost:6379/0" },
        { "redis://localhost/", "localhost", 6379, "", "", "", 0,
          "redis://localhost:6379/0" },
        { "redis://10.0.0.1:7000/15", "10.0.0.1", 7000, "", "", "", 15,
          "redis://10.0.0.1:7000/15" },
        { "redis://my_redis-1.example.org:65535", "my_redis-1.example.org",
          65535, "", "", "", 0, "redis://my_redis-1.example.org:65535/0" },
        { "redis://:secret@h", "h", 6379, "", "", "secret", 0,
          "redis://:***@h:6379/0" },
        { "redis://ann@h", "h", 6379, "", "ann", "", 0,
          "redis://ann@h:6379/0" },
        { "redis://ann:secret@h:1/2", "h", 1, "", "ann", "secret", 2,
          "redis://ann:***@h:1/2" },
        { "redis://a%40b:%2F%3a%25%00x@h", NULL, 0, "", "", "", 0, "" },
        { "redis://a%40b:%2F%3a%25x@h", "h", 6379, "", "a@b", "/:%x", 0,
          "redis://a%40b:***@h:6379/0" },
        /* an @ that somebody forgot to escape, and a second colon */
        { "redis://ann:p@ss:word@h", "h", 6379, "", "ann", "p@ss:word", 0,
          "redis://ann:***@h:6379/0" },
        { "redis://[::1]", "::1", 6379, "", "", "", 0,
          "redis://[::1]:6379/0" },
        { "redis://u:p@[fe80::1%eth0]:6380/3", "fe80::1%eth0", 6380, "", "u",
          "p", 3, "redis://u:***@[fe80::1%eth0]:6380/3" },
        { "unix:/run/redis.sock", "", 0, "/run/redis.sock", "", "", 0,
          "unix:/run/redis.sock" },
        { "unix:///run/redis.sock?db=7", "", 0, "/run/redis.sock", "", "", 7,
          "unix:/run/redis.sock?db=7" },
        { "unix:/a b", "", 0, "/a b", "", "", 0, "unix:/a b" },
        { "unix://ann@/run/r", "", 0, "/run/r", "ann", "", 0,
          "unix://ann@/run/r" },
        { "unix://ann:s%2Fe@c:r@/run/r?db=2", "", 0, "/run/r", "ann",
          "s/e@c:r", 2, "unix://ann:***@/run/r?db=2" },
        { "unix://:secret@/run/r@b", "", 0, "/run/r@b", "", "secret", 0,
          "unix://:***@/run/r@b" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        if (t[i].host == NULL) {
            assert_int_equal(parse(t[i].url, strlen(t[i].url), &u, &why), -1);
            continue;
        }

        if (parse(t[i].url, strlen(t[i].url), &u, &why) != 0) {
            fail_msg("%s: %s", t[i].url, why);
        }

        assert_string_equal(u.host, t[i].host);
        assert_int_equal(u.port, t[i].port);
        assert_string_equal(u.path, t[i].path);
        assert_string_equal(u.user, t[i].user);
        assert_string_equal(u.password, t[i].password);
        assert_int_equal(u.db, t[i].db);
        assert_ptr_equal(tq_url_show(&u, shown, sizeof(shown)), shown);
        assert_string_equal(shown, t[i].shown);
    }
}

static void
test_bad(void **state)
{
    size_t       i;
    tq_url_t     u;
    const char  *why;
    static const struct {
        const char  *url, *says;
    } t[] = {
        { "", "neither redis:// nor unix:" },
        { "localhost:6379", "neither" },
        { "http://localhost", "neither" },
        { "REDIS://localhost", "neither" },
        { "redis:/localhost", "neither" },
        { "rediss://localhost", "TLS" },
        { "redis://", "host is missing" },
        { "redis:///0", "host is missing" },
        { "redis://u:p@", "host is missing" },
        { "redis://:6379", "host is missing" },
        { "redis://[]", "host is missing" },
        { "redis://[::1", "without ]" },
        { "redis://[name]", "IPv6" },
        { "redis://[127.0.0.1]", "IPv6" },
        { "redis://[::g]", "IPv6" },
        { "redis://[::1%]", "IPv6" },
        { "redis://[::1%e/0]", "without ]" },
        { "redis://[::1%e:0]", "IPv6" },
        { "redis://[::1]x", "port" },
        { "redis://[::1]6379", "port" },
        { "redis://h:", "port" },
        { "redis://h:0", "port" },
        { "redis://h:65536", "port" },
        { "redis://h:-1", "port" },
        { "redis://h:6379x", "port" },
        { "redis://h:99999999999999999999", "port" },
        { "redis://h/x", "database" },
        { "redis://h/1x", "database" },
        { "redis://h/1/2", "database" },
        { "redis://h/-1", "database" },
        { "redis://h/2147483648", "database" },
        { "redis://h?db=1", "not allowed" },
        { "redis://h h", "not allowed" },
        { "redis://h\n", "not allowed" },
        { "redis://h::1", "port" },
        { "redis://u%4@h", "user name" },
        { "redis://u%zz:p@h", "user name" },
        { "redis://u:%1@h", "password" },
        { "redis://u:%g0@h", "password" },
        { "redis://u:a%00b@h", "password" },
        { "unix:", "not absolute" },
        { "unix:run/redis.sock", "not absolute" },
        { "unix://host/path", "not absolute" },
        { "unix:?db=1", "not absolute" },
        { "unix:////x", "not absolute" },
        { "unix://", "not absolute" },
        { "unix://u:p@", "not absolute" },
        { "unix://u:p@run/r", "not absolute" },
        { "unix://u:p@//run/r", "not absolute" },
        { "unix://u%4@/run/r", "user name" },
        { "unix://u:%1@/run/r", "password" },
        { "unix:/x?", "?db=NUMBER" },
        { "unix:/x?db=", "?db=NUMBER" },
        { "unix:/x?db=a", "?db=NUMBER" },
        { "unix:/x?base=1", "?db=NUMBER" },
        { "unix:/x\ny", "control character" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        if (parse(t[i].url, strlen(t[i].url), &u, &why) != -1) {
            fail_msg("%s was accepted", t[i].url);
        }
        assert_non_null(why);
        if (strstr(why, t[i].says) == NULL) {
            fail_msg("%s: %s", t[i].url, why);
        }
    }
}

/* Each part at its longest, and one byte longer. */
static void
test_lengths(void **state)
{
    size_t       i;
    int          over;
    char         url[2048], shown[2048];
    tq_url_t     u;
    const char  *why;
    static const struct {
        const char  *before, *after;
        size_t       max;
    } t[] = {
        { "redis://", "", 255 },
        { "redis://", "@h", 127 },
        { "redis://u:", "@h", 511 },
        { "unix:/", "?db=1", 106 },
        { "unix://", "@/r", 127 },
        { "unix://u:", "@/r", 511 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        for (over = 0; over <= 1; over++) {
            strcpy(url, t[i].before);
            memset(url + strlen(t[i].before), 'a', t[i].max + over);
            strcpy(url + strlen(t[i].before) + t[i].max + over, t[i].after);

            assert_int_equal(parse(url, strlen(url), &u, &why), -over);
            if (!over) {
                tq_url_show(&u, shown, sizeof(shown));
                assert_null(strstr(shown, "(null)"));
            }
        }
    }
}

static void
test_show_small(void **state)
{
    size_t       n;
    char        *dst;
    tq_url_t     u;
    const char  *why, *url = "redis://ann:secret@[::1]:77/4";

    (void) state;

    assert_int_equal(parse(url, strlen(url), &u, &why), 0);

    for (n = 1; n < 40; n++) {
        dst = malloc(n);
        assert_non_null(dst);
        tq_url_show(&u, dst, n);
        assert_true(strlen(dst) < n);
        assert_memory_equal(dst, "redis://ann:***@[::1]:77/4", strlen(dst));
        free(dst);
    }
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_show_small),
    };

    return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
