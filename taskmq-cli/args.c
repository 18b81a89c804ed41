/*
 * args.c: the options of every command, read from a table.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tc.h"

#define USAGE_BYTES  512         /* of a sentence; more is what was typed */


static int
set_option(tc_t *tc, const tc_opt_t *o, char *value)
{
    char        *end;
    int64_t      v;
    tc_texts_t  *texts;

    switch (o->kind) {

    case TC_FLAG:
        *(int *) o->dst = 1;
        return 0;

    case TC_TEXT:
        /* a script's unset variable is a mistake, never a default */
        if (*value == '\0') {
            tc_usage(tc, "--%s wants a value, not an empty one", o->name);
            return -1;
        }
        *(const char **) o->dst = value;
        return 0;

    case TC_TEXTS:
        texts = o->dst;
        if (texts->n == TC_TEXTS_MAX) {
            tc_usage(tc, "--%s can be given %d times", o->name, TC_TEXTS_MAX);
            return -1;
        }
        texts->text[texts->n++] = value;
        return 0;

    case TC_NUMBER:
        errno = 0;
        v = strtoll(value, &end, 10);
        if (errno != 0 || end == value || *end != '\0') {
            tc_usage(tc, "--%s wants a whole number, not \"%s\"", o->name,
                     value);
            return -1;
        }
        break;

    case TC_SECONDS:
    default:
        if (tc_seconds(value, &v) != 0) {
            tc_usage(tc, "--%s wants a time such as 90, 10m, 24h or 7d, not "
                     "\"%s\"", o->name, value);
            return -1;
        }
        break;
    }

    if (v < o->min || v > o->max) {
        tc_usage(tc, "--%s must be from %lld to %lld", o->name,
                 (long long) o->min, (long long) o->max);
        return -1;
    }

    *(int64_t *) o->dst = v;
    return 0;
}


static const tc_opt_t *
find_option(const tc_opt_t *opts, const char *name, size_t len)
{
    for ( ; opts != NULL && opts->name != NULL; opts++) {
        if (strlen(opts->name) == len && memcmp(opts->name, name, len) == 0) {
            return opts;
        }
    }

    return NULL;
}


/* Reads argv[*i], moving *i past a separate value. 0, or -1. */
static int
read_option(tc_t *tc, int argc, char **argv, int *i, const tc_opt_t *opts,
    const tc_opt_t *globals)
{
    const tc_opt_t  *o;
    char            *name, *eq, *value;
    size_t           len;

    name = argv[*i] + 2;
    eq = strchr(name, '=');
    len = (eq != NULL) ? (size_t) (eq - name) : strlen(name);

    o = find_option(opts, name, len);
    if (o == NULL) {
        o = find_option(globals, name, len);
    }

    if (o == NULL) {
        tc_usage(tc, "there is no option --%.*s", (int) len, name);
        return -1;
    }

    value = NULL;

    if (o->kind == TC_FLAG) {
        if (eq != NULL) {
            tc_usage(tc, "--%s takes no value", o->name);
            return -1;
        }

    } else if (eq != NULL) {
        value = eq + 1;

    } else if (*i + 1 < argc) {
        value = argv[++*i];

    } else {
        tc_usage(tc, "--%s wants a value", o->name);
        return -1;
    }

    return set_option(tc, o, value);
}


int
tc_args(tc_t *tc, int argc, char **argv, const tc_opt_t *opts)
{
    int  i, n, help, only_words;

    const tc_opt_t  globals[] = {
        { "json", TC_FLAG, &tc->json, 0, 0 },
        { "redis-url", TC_TEXT, &tc->url, 0, 0 },
        { "namespace", TC_TEXT, &tc->ns_name, 0, 0 },
        { "help", TC_FLAG, &help, 0, 0 },
        { NULL, TC_FLAG, NULL, 0, 0 }
    };

    n = 0;
    help = 0;
    only_words = 0;

    for (i = 1; i < argc; i++) {

        /* no option is a number: its reader says what may stand there */

        if (only_words || argv[i][0] != '-' || argv[i][1] == '\0'
            || (argv[i][1] >= '0' && argv[i][1] <= '9'))
        {
            argv[n++] = argv[i];

        } else if (strcmp(argv[i], "--") == 0) {
            only_words = 1;

        } else if (strcmp(argv[i], "-h") == 0) {
            help = 1;

        } else if (argv[i][1] != '-') {
            tc_usage(tc, "there is no option %s", argv[i]);
            return -1;

        } else if (read_option(tc, argc, argv, &i, opts, globals) != 0) {
            return -1;
        }

        if (help) {
            fputs(tc->usage, stdout);
            exit(tc_end(tc, TC_OK));
        }
    }

    return n;
}


int
tc_usage(tc_t *tc, const char *fmt, ...)
{
    va_list   args;
    tq_buf_t  b = { 0 };

    va_start(args, fmt);
    tq_buf_addv(&b, fmt, args);
    va_end(args);

    (void) tc_error(tc, TC_USAGE, "%.*s (see taskmq %s --help)",
                    (int) tq_text_cut(b.p, b.len, USAGE_BYTES), b.p,
                    tc->command);
    tq_buf_free(&b);

    return TC_USAGE;
}


int
tc_seconds(const char *text, int64_t *out)
{
    char       *end;
    int64_t     v, unit;

    if (*text < '0' || *text > '9') {
        return -1;
    }

    errno = 0;
    v = strtoll(text, &end, 10);

    if (errno != 0) {
        return -1;
    }

    switch (*end) {
    case '\0':
        *out = v;
        return 0;
    case 's':
        unit = 1;
        break;
    case 'm':
        unit = 60;
        break;
    case 'h':
        unit = 3600;
        break;
    case 'd':
        unit = 86400;
        break;
    default:
        return -1;
    }

    if (end[1] != '\0' || __builtin_mul_overflow(v, unit, out)) {
        return -1;
    }

    return 0;
}
