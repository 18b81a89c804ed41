/* options.c: see options.h. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "tq_queue.h"
#include "tq_base.h"

static const char  usage[] =
"Usage: taskmq-worker --config FILE [OPTION]...\n"
"Claims jobs from Redis and runs their handlers.\n"
"\n"
"  --config FILE        handlers.toml, which names the handlers\n"
"                       [HANDLER_CONFIG]\n"
"  --redis-url URL      redis://[user:pass@]host[:port][/db] or\n"
"                       unix:[//user:pass@]/path\n"
"                       [TASKMQ_REDIS_URL; redis://127.0.0.1:6379/0]\n"
"  --namespace NAME     the queue's namespace [TASKMQ_NAMESPACE; taskmq]\n"
"  --concurrency N      jobs at a time, 1 to 1000 [DAEMON_WORKERS; 4]\n"
"  --lease SECONDS      how long a job stays with a worker that gives no sign\n"
"                       of life, 1 to 3600 [30]\n"
"  --grace SECONDS      after TERM, how long running jobs may finish [30]\n"
"  --listen ADDR:PORT   serve GET /healthz and GET /metrics there\n"
"  --log-format FORMAT  text or json [text]\n"
"  --check              read the configuration, say what is wrong or missing\n"
"                       (programs, folders, libraries), and exit\n"
"  --help, --version\n"
"\n"
"In brackets: the environment variable that sets the same, where there is\n"
"one, and the default. More environment variables:\n"
"\n"
"  DAEMON_BATCH_SIZE      the most jobs per claim [5, or half of the\n"
"                         concurrency if that is more]\n"
"  DAEMON_TASK_TIMEOUT    seconds, for handlers without a timeout [30]\n"
"  DAEMON_LOG_LEVEL       debug, info, warn or error [info]\n"
"  DAEMON_TASK_SELECTION  (fifo, lifo or priority) and DAEMON_MAX_RETRIES set\n"
"                         the namespace's settings if those are not set yet\n"
"\n"
"TERM lets running jobs finish and gives the others back; a second TERM\n"
"stops at once. HUP reads handlers.toml again.\n";

#define DEFAULT_WORKERS  4    /* as TaskDaemon's DAEMON_WORKERS */

static int
bad(const char *name, const char *expected)
{
    char  text[512];

    /* name may be a word of the command line */
    tq_text_print(text, sizeof(text), "taskmq-worker: %s: expected %s", name,
        expected);
    (void) fprintf(stderr, "%s\n", text);

    return -1;
}

static int
read_int(const char *name, const char *text, int64_t min, int64_t max,
    int64_t *out)
{
    char       expected[80], *end;
    long long  v;

    v = strtoll(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || v < min
        || v > max)
    {
        (void) snprintf(expected, sizeof(expected),
            "an integer from %lld to %lld", (long long) min,
            (long long) max);
        return bad(name, expected);
    }

    *out = v;

    return 0;
}

/* The environment's value; an empty one counts as unset. */
static const char *
env(const char *name)
{
    const char  *v = getenv(name);

    return v != NULL && v[0] != '\0' ? v : NULL;
}

static int
env_int(const char *name, int64_t min, int64_t max, int64_t *out)
{
    const char  *v = env(name);

    return v == NULL ? 0 : read_int(name, v, min, max, out);
}

static int
read_url(const char *name, const char *text, tw_options_t *o)
{
    const char  *why;

    if (tq_url_parse(text, strlen(text), &o->url, &why) == 0) {
        return 0;
    }

    (void) fprintf(stderr, "taskmq-worker: %s: %s\n", name, why);

    return -1;
}

static int
read_namespace(const char *name, const char *text, tw_options_t *o)
{
    tq_ns_t  ns;

    o->ns = text;
    if (tq_ns_init(&ns, text, strlen(text)) == 0) {
        return 0;
    }

    return bad(name, "1 to 64 letters, digits, '.', '_' or '-'");
}

static int
read_environment(tw_options_t *o, int64_t *workers, int64_t *batch)
{
    const char  *v;
    int64_t      retries;

    o->config = env("HANDLER_CONFIG");

    if ((v = env("TASKMQ_BACKEND")) != NULL && strcmp(v, "redis") != 0) {
        return bad("TASKMQ_BACKEND", "redis, the only backend there is");
    }

    v = env("TASKMQ_REDIS_URL");
    if (read_url("TASKMQ_REDIS_URL", v ? v : "redis://127.0.0.1:6379/0", o)
        != 0)
    {
        return -1;
    }

    v = env("TASKMQ_NAMESPACE");
    if (read_namespace("TASKMQ_NAMESPACE", v ? v : "taskmq", o) != 0) {
        return -1;
    }

    o->selection = env("DAEMON_TASK_SELECTION");
    if (o->selection != NULL
        && tq_config_check("selection", o->selection) != NULL)
    {
        return bad("DAEMON_TASK_SELECTION", "fifo, lifo or priority");
    }

    o->daemon_max_retries = env("DAEMON_MAX_RETRIES");

    if ((v = env("DAEMON_LOG_LEVEL")) != NULL
        && tw_log_level(v, &o->log_level) != 0)
    {
        return bad("DAEMON_LOG_LEVEL", "debug, info, warn or error");
    }

    if (env_int("DAEMON_WORKERS", 1, TQ_CONCURRENCY_MAX, workers) != 0
        || env_int("DAEMON_BATCH_SIZE", 1, TQ_CLAIM_MAX, batch) != 0
        || env_int("DAEMON_TASK_TIMEOUT", 1, TQ_TIMEOUT_MAX_S, &o->timeout_s)
           != 0
        || env_int("DAEMON_MAX_RETRIES", 0, TQ_RETRIES_MAX, &retries) != 0)
    {
        return -1;
    }

    return 0;
}

enum {
    OPT_CONFIG, OPT_URL, OPT_NAMESPACE, OPT_CONCURRENCY, OPT_LEASE,
    OPT_GRACE, OPT_LISTEN, OPT_LOG_FORMAT, OPT_CHECK, OPT_HELP, OPT_VERSION
};

static const struct option  long_options[] = {
    { "config", required_argument, NULL, OPT_CONFIG },
    { "redis-url", required_argument, NULL, OPT_URL },
    { "namespace", required_argument, NULL, OPT_NAMESPACE },
    { "concurrency", required_argument, NULL, OPT_CONCURRENCY },
    { "lease", required_argument, NULL, OPT_LEASE },
    { "grace", required_argument, NULL, OPT_GRACE },
    { "listen", required_argument, NULL, OPT_LISTEN },
    { "log-format", required_argument, NULL, OPT_LOG_FORMAT },
    { "check", no_argument, NULL, OPT_CHECK },
    { "help", no_argument, NULL, OPT_HELP },
    { "version", no_argument, NULL, OPT_VERSION },
    { NULL, 0, NULL, 0 }
};

static int
read_flag(tw_options_t *o, int opt, int64_t *workers)
{
    int64_t  v = 0;

    switch (opt) {
    case OPT_CONFIG:
        o->config = optarg;
        return 0;

    case OPT_URL:
        return read_url("--redis-url", optarg, o);

    case OPT_NAMESPACE:
        return read_namespace("--namespace", optarg, o);

    case OPT_CONCURRENCY:
        return read_int("--concurrency", optarg, 1, TQ_CONCURRENCY_MAX,
            workers);

    case OPT_LEASE:
        if (read_int("--lease", optarg, TQ_LEASE_MIN_MS / 1000,
                TQ_LEASE_MAX_MS / 1000, &v) != 0)
        {
            return -1;
        }
        o->lease_ms = v * 1000;
        return 0;

    case OPT_GRACE:
        if (read_int("--grace", optarg, 0, TQ_GRACE_MAX_S, &v) != 0) {
            return -1;
        }
        o->grace_ms = v * 1000;
        return 0;

    case OPT_LISTEN:
        o->listen = optarg;
        return 0;

    case OPT_LOG_FORMAT:
        o->log_json = strcmp(optarg, "json") == 0;
        if (!o->log_json && strcmp(optarg, "text") != 0) {
            return bad("--log-format", "text or json");
        }
        return 0;

    case OPT_CHECK:
        o->check = 1;
        return 0;

    default:                  /* getopt has said what is wrong */
        (void) fputs("taskmq-worker: --help lists the options\n", stderr);
        return -1;
    }
}

int
tw_options_read(tw_options_t *o, int argc, char **argv, int *exit_code)
{
    int      opt;
    int64_t  workers = DEFAULT_WORKERS, batch = 0;

    memset(o, 0, sizeof(*o));
    o->lease_ms = TQ_LEASE_DEFAULT_MS;
    o->grace_ms = TQ_GRACE_DEFAULT_S * 1000;
    o->timeout_s = TQ_TASK_TIMEOUT_S;
    o->log_level = TW_INFO;
    *exit_code = 2;

    if (read_environment(o, &workers, &batch) != 0) {
        return -1;
    }

    while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (opt == OPT_HELP || opt == OPT_VERSION) {
            (void) fputs(opt == OPT_HELP ? usage
                         : "taskmq-worker " TQ_VERSION "\n", stdout);
            *exit_code = 0;
            return -1;
        }

        if (read_flag(o, opt, &workers) != 0) {
            return -1;
        }
    }

    if (optind < argc) {
        return bad(argv[optind], "only options, see --help");
    }

    if (o->config == NULL) {
        return bad("--config", "the path of handlers.toml (or HANDLER_CONFIG)");
    }

    o->concurrency = (unsigned) workers;

    /* half the slots, so that while one batch runs the next is on its way */
    o->batch = batch != 0 ? (unsigned) batch
               : o->concurrency < 10 ? 5 : (o->concurrency + 1) / 2;

    return 0;
}
