/*
 * options.h: the worker's command line and environment. A flag wins over the
 * environment, which wins over the default.
 */

#ifndef TW_OPTIONS_H
#define TW_OPTIONS_H

#include "config.h"
#include "tw_base.h"
#include "tq_base.h"

typedef struct {
    const char  *config;      /* handlers.toml */
    tq_url_t     url;
    const char  *ns;
    const char  *listen;      /* ADDRESS:PORT of /healthz; NULL: none */
    unsigned     concurrency; /* jobs at a time */
    unsigned     batch;       /* most jobs per claim */
    int64_t      lease_ms;
    int64_t      grace_ms;
    int64_t      timeout_s;   /* of a task whose handler has none */
    tw_level_t   log_level;
    int          log_json;
    int          check;       /* only read the configuration */

    /* seeds for the namespace's settings; NULL: not given */
    const char  *selection;
    const char  *daemon_max_retries;
} tw_options_t;

/*
 * Reads both. 0: go on; otherwise the program ends with *exit_code (after
 * --help, --version, or a message on stderr that names the mistake). Texts
 * point into argv and the environment.
 */
int tw_options_read(tw_options_t *o, int argc, char **argv, int *exit_code);

#endif /* TW_OPTIONS_H */
