/* test_time.c: dates in and out. */

#include "unit.h"
#include "tq_base.h"

static int
parse(const char *text, size_t len, int64_t *ms)
{
    char  *exact = unit_exact(text, len);
    int    rc = tq_time_parse(exact, len, ms);

    free(exact);

    return rc;
}

static void
test_good(void **state)
{
    size_t   i;
    int64_t  ms;
    static const struct {
        const char  *text;
        int64_t      ms;
    } t[] = {
        { "1970-01-01", 0 },
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T00:00:00.001Z", 1 },
        { "2026-04-01T12:00:00Z", 1775044800000 },
        { "2026-04-01t12:00:00z", 1775044800000 },
        { "2026-04-01 12:00:00", 1775044800000 },
        { "2026-04-01T12:00", 1775044800000 },
        { "2026-04-01T12:00Z", 1775044800000 },
        { "2026-04-01T12:00:00+00:00", 1775044800000 },
        { "2026-04-01T12:00:00-00:00", 1775044800000 },
        { "2026-04-01T17:30:00+05:30", 1775044800000 },
        { "2026-04-01T17:30:00+0530", 1775044800000 },
        { "2026-04-01T07:00:00-05", 1775044800000 },
        { "2026-04-02T11:59:00+23:59", 1775044800000 },
        { "2026-03-31T12:01:00-23:59", 1775044800000 },
        /* Python's isoformat() */
        { "2026-04-01T12:00:00.123456+00:00", 1775044800123 },
        /* cut, not rounded */
        { "2026-04-01T12:00:00.9999999999999999999999Z", 1775044800999 },
        { "2026-04-01T12:00:00.5", 1775044800500 },
        { "2026-04-01T12:00:00.05", 1775044800050 },
        { "2026-04-01T12:00:00.0005", 1775044800000 },
        /* leap days */
        { "2024-02-29", 1709164800000 },
        { "2000-02-29", 951782400000 },
        { "2400-02-29", 13574563200000 },
        /* leap seconds, in UTC and elsewhere */
        { "2016-12-31T23:59:60Z", 1483228800000 },
        { "2016-12-31T23:59:60.25Z", 1483228800250 },
        { "2017-01-01T05:29:60+05:30", 1483228800000 },
        { "2016-12-31T18:59:60-05:00", 1483228800000 },
        /* the ends */
        { "1970-01-01T05:30:00+05:30", 0 },
        { "1969-12-31T23:00:00-01:00", 0 },
        { "9999-12-31T23:59:59.999Z", 253402300799999 },
        { "9999-12-31T22:59:59.999-01:00", 253402300799999 },
        /* before 1970: Python's datetime.min, too */
        { "1969-12-31T23:59:59.999Z", -1 },
        { "1970-01-01T00:00:00+00:01", -60000 },
        { "1969-12-31T23:59:60Z", 0 },
        { "1964-12-31T23:59:60Z", -157766400000 },
        { "1600-02-29T12:00:00.5-05:00", -11670937199500 },
        { "0001-01-01T00:00:00", -62135596800000 },
        { "0000-02-29T00:00:00+23:59", -62162207940000 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        ms = -1;
        if (parse(t[i].text, strlen(t[i].text), &ms) != 0 || ms != t[i].ms) {
            fail_msg("%s: %lld", t[i].text, (long long) ms);
        }
    }
}

static void
test_bad(void **state)
{
    size_t              i;
    int64_t             ms;
    static const char  *t[] = {
        "", " ", "now", "2026", "2026-04", "2026-4-1", "20260401",
        "2026-04-01T", "2026-04-01T12", "2026-04-01T12:", "2026-04-01T12:0",
        "2026-04-01T12:00:", "2026-04-01T12:00:0", "2026-04-01T12:00:00.",
        "2026-04-01T12:00:00,5Z", "2026-04-01T12:00:00.Z",
        "2026-04-01T12:00:00.5.5", "2026-04-01T120000Z",
        "2026-04-01Z", "2026-04-01+01:00", "2026-04-01X12:00",
        "2026-04-01  12:00", " 2026-04-01", "2026-04-01 ",
        "2026-04-01T12:00:00Z ", "2026-04-01T12:00:00ZZ",
        "2026-04-01T12:00:00+", "2026-04-01T12:00:00+1",
        "2026-04-01T12:00:00+01:", "2026-04-01T12:00:00+01:0",
        "2026-04-01T12:00:00+01:000", "2026-04-01T12:00:00+24:00",
        "2026-04-01T12:00:00+01:60", "2026-04-01T12:00:00 +01:00",
        "2026-00-01", "2026-13-01", "2026-01-00", "2026-01-32",
        "2026-02-29", "2100-02-29", "2026-04-31", "2024-02-30",
        "2026-04-01T24:00:00Z", "2026-04-01T12:60:00Z",
        "2026-04-01T12:00:61Z",
        "2026-04-01T12:00:60Z", "2016-12-31T23:59:60+01:00",
        "1969-12-31T23:59:61Z", "1960-06-30T12:00:60Z",
        "1900-02-29", "0001-02-29", "0000-00-00",
        "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-00:01",
        "-026-04-01", "+2026-04-01", "2026-0\xcc-01", "1e9", "1775044800",
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        ms = 42;
        if (parse(t[i], strlen(t[i]), &ms) != -1) {
            fail_msg("\"%s\" was taken as %lld", t[i], (long long) ms);
        }
    }

    assert_int_equal(parse("2026-04-01T12:00:00\0Z", 21, &ms), -1);
}

/* Every prefix of a date is judged without reading past its end. */
static void
test_cut(void **state)
{
    size_t             i;
    int64_t            ms;
    static const char  text[] = "2026-04-01T12:00:00.123+05:30";

    (void) state;

    for (i = 0; i < sizeof(text) - 1; i++) {
        (void) parse(text, i, &ms);
    }

    assert_int_equal(parse(text, sizeof(text) - 1, &ms), 0);
}

static void
test_format(void **state)
{
    size_t  i;
    char    dst[TQ_TIME_ISO_LEN + 1];
    static const struct {
        int64_t      ms;
        const char  *text;
    } t[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { 1763807795123, "2025-11-22T10:36:35.123Z" },
        { 951782400000, "2000-02-29T00:00:00.000Z" },
        { 253402300799999, "9999-12-31T23:59:59.999Z" },
        { 253402300800000, "9999-12-31T23:59:59.999Z" },
        { INT64_MAX, "9999-12-31T23:59:59.999Z" },
        { -1, "1970-01-01T00:00:00.000Z" },
        { INT64_MIN, "1970-01-01T00:00:00.000Z" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        tq_time_format(t[i].ms, dst);
        assert_string_equal(dst, t[i].text);
    }
}

static int
is_leap(int y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Counts every day of eight thousand years the way a wall calendar does. */
static void
test_calendar(void **state)
{
    int      y, m, d, len;
    char     want[64], got[TQ_TIME_ISO_LEN + 1];
    int64_t  ms = 0, back;

    (void) state;

    for (y = 1970; y <= 9999; y++) {
        for (m = 1; m <= 12; m++) {
            len = m == 2 ? 28 + is_leap(y)
                  : (m == 4 || m == 6 || m == 9 || m == 11) ? 30 : 31;

            for (d = 1; d <= len; d++, ms += 86400000) {
                /* all days of some years, the month's ends of the others */
                if (y % 100 > 4 && d > 1 && d < len) {
                    continue;
                }

                snprintf(want, sizeof(want), "%04d-%02d-%02dT00:00:00.000Z",
                    y, m, d);
                tq_time_format(ms, got);
                assert_string_equal(got, want);
                assert_int_equal(tq_time_parse(got, TQ_TIME_ISO_LEN, &back),
                    0);
                assert_int_equal(back, ms);

                tq_time_format(ms + 86399999, got);
                memcpy(want + 11, "23:59:59.999Z", 13);
                assert_string_equal(got, want);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_calendar),
    };

    return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
