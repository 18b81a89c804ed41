/*
 * tq_time.c: dates by arithmetic; the C library's need a time zone.
 */

#include "tq_limits.h"
#include "tq_time.h"

#define TQ_DAY_MS  86400000

/* tq_time_two reads two digits, at most max. 0, or -1. */
static int
tq_time_two(const char **p, const char *end, int max, int *out)
{
    const char  *s = *p;

    if (end - s < 2 || s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9') {
        return -1;
    }

    *out = (s[0] - '0') * 10 + (s[1] - '0');
    *p = s + 2;

    return *out <= max ? 0 : -1;
}

/* tq_time_char steps over c. 0, or -1 when something else stands there. */
static int
tq_time_char(const char **p, const char *end, char c)
{
    if (*p == end || **p != c) {
        return -1;
    }

    (*p)++;

    return 0;
}

static int
tq_time_month_days(int year, int month)
{
    static const char  days[] = { 31, 28, 31, 30, 31, 30,
                                  31, 31, 30, 31, 30, 31 };

    if (month == 2 && (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))) {
        return 29;
    }

    return days[month - 1];
}

/* tq_time_days counts days since 1970-01-01; the year begins in March, so
 * that the leap day is its last. By 400 years later: no quotient of a negative
 * number. */
static int64_t
tq_time_days(int year, int month, int day)
{
    int64_t  y = 400 + year - (month <= 2);
    int64_t  yday = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return y * 365 + y / 4 - y / 100 + y / 400 + yday
           - (719468 + 146097);
}

/* tq_time_date reads YYYY-MM-DD into days since 1970. 0, or -1. */
static int
tq_time_date(const char **p, const char *end, int64_t *days)
{
    int  century, year, month, day;

    if (tq_time_two(p, end, 99, &century) != 0
        || tq_time_two(p, end, 99, &year) != 0
        || tq_time_char(p, end, '-') != 0
        || tq_time_two(p, end, 12, &month) != 0 || month == 0
        || tq_time_char(p, end, '-') != 0
        || tq_time_two(p, end, 31, &day) != 0 || day == 0)
    {
        return -1;
    }

    year += century * 100;
    if (day > tq_time_month_days(year, month)) {
        return -1;
    }

    *days = tq_time_days(year, month, day);

    return 0;
}

/* tq_time_clock reads HH:MM[:SS[.fraction]] into ms of the day; leap is set
 * for second 60. 0, or -1. */
static int
tq_time_clock(const char **p, const char *end, int64_t *ms, int *leap)
{
    int          hour, min, sec = 0, frac = 0, unit = 100;
    const char  *from;

    if (tq_time_two(p, end, 23, &hour) != 0
        || tq_time_char(p, end, ':') != 0
        || tq_time_two(p, end, 59, &min) != 0)
    {
        return -1;
    }

    if (tq_time_char(p, end, ':') == 0) {
        if (tq_time_two(p, end, 60, &sec) != 0) {
            return -1;
        }

        if (tq_time_char(p, end, '.') == 0) {
            for (from = *p; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
                frac += (**p - '0') * unit;
                unit /= 10;
            }
            if (*p == from) {
                return -1;
            }
        }
    }

    *leap = (sec == 60);
    *ms = ((hour * 60 + min) * 60 + sec) * 1000 + frac;

    return 0;
}

/* tq_time_zone reads Z or ±HH[[:]MM] into ms east of UTC. 0, or -1. */
static int
tq_time_zone(const char **p, const char *end, int64_t *ms)
{
    int  hour, min = 0, sign;

    *ms = 0;

    if (tq_time_char(p, end, 'Z') == 0 || tq_time_char(p, end, 'z') == 0) {
        return 0;
    }

    if (tq_time_char(p, end, '+') == 0) {
        sign = 1;
    } else if (tq_time_char(p, end, '-') == 0) {
        sign = -1;
    } else {
        return -1;
    }

    if (tq_time_two(p, end, 23, &hour) != 0) {
        return -1;
    }

    if (*p < end) {
        (void) tq_time_char(p, end, ':');
        if (tq_time_two(p, end, 59, &min) != 0) {
            return -1;
        }
    }

    *ms = (int64_t) sign * (hour * 60 + min) * 60000;

    return 0;
}

int
tq_time_parse(const char *p, size_t len, int64_t *ms)
{
    int          leap = 0;
    int64_t      days, clock = 0, zone = 0, t;
    const char  *end = p + len;

    if (tq_time_date(&p, end, &days) != 0) {
        return -1;
    }

    if (p < end) {
        if (*p != 'T' && *p != 't' && *p != ' ') {
            return -1;
        }
        p++;

        if (tq_time_clock(&p, end, &clock, &leap) != 0) {
            return -1;
        }

        if (p < end && tq_time_zone(&p, end, &zone) != 0) {
            return -1;
        }
    }

    if (p != end) {
        return -1;
    }

    t = days * TQ_DAY_MS + clock - zone;

    if (t >= tq_time_days(TQ_YEAR_MAX + 1, 1, 1) * TQ_DAY_MS) {
        return -1;
    }

    /* UTC days are what leap seconds are appended to: 23:59:60 is, in this
     * count, within the first second of the next day */
    if (leap && (t % TQ_DAY_MS + TQ_DAY_MS) % TQ_DAY_MS >= 1000) {
        return -1;
    }

    *ms = t;

    return 0;
}

static char *
tq_time_put(char *p, int64_t v, int digits)
{
    int  i;

    for (i = digits - 1; i >= 0; i--) {
        p[i] = (char) ('0' + v % 10);
        v /= 10;
    }

    return p + digits;
}

void
tq_time_format(int64_t ms, char dst[TQ_TIME_ISO_LEN + 1])
{
    int64_t  max, days, era, doe, yoe, doy, mp, year, month;

    max = tq_time_days(TQ_YEAR_MAX + 1, 1, 1) * TQ_DAY_MS - 1;
    ms = ms < 0 ? 0 : ms > max ? max : ms;

    /* the inverse of tq_time_days(), by eras of 400 years */
    days = ms / TQ_DAY_MS + 719468;
    ms %= TQ_DAY_MS;

    era = days / 146097;
    doe = days % 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    month = mp < 10 ? mp + 3 : mp - 9;
    year = era * 400 + yoe + (month <= 2);

    dst = tq_time_put(dst, year, 4);
    *dst++ = '-';
    dst = tq_time_put(dst, month, 2);
    *dst++ = '-';
    dst = tq_time_put(dst, doy - (153 * mp + 2) / 5 + 1, 2);
    *dst++ = 'T';
    dst = tq_time_put(dst, ms / 3600000, 2);
    *dst++ = ':';
    dst = tq_time_put(dst, ms / 60000 % 60, 2);
    *dst++ = ':';
    dst = tq_time_put(dst, ms / 1000 % 60, 2);
    *dst++ = '.';
    dst = tq_time_put(dst, ms % 1000, 3);
    *dst++ = 'Z';
    *dst = '\0';
}
