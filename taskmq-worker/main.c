/* main.c: taskmq-worker: options, configuration, then worker.c. */

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "worker.h"

/* For what was asked for on stdout: code, or 1 when it did not get there. */
static int
printed(int code)
{
    if (tq_stdio_end() == 0 || code != 0) {
        return code;
    }

    (void) fprintf(stderr, "taskmq-worker: standard output cannot be "
        "written%s%s\n", errno != 0 ? ": " : "",
        errno != 0 ? strerror(errno) : "");

    return 1;
}

/* Sentences about handlers.toml, which quote it. Frees them. */
static void
say(FILE *to, tq_buf_t *sentences)
{
    tq_buf_t  b = {0};

    tq_text_add_lines(&b, sentences->p, sentences->len);
    if (b.len != 0) {
        (void) fwrite(b.p, 1, b.len, to);
    }

    tq_buf_free(&b);
    tq_buf_free(sentences);
}

int
main(int argc, char **argv)
{
    int           code;
    tw_conf_t     conf;
    tq_buf_t      errors = {0};
    tw_options_t  o;

    if (tq_stdio_open() != 0) {
        return 1;
    }

    /* the worker's own child: see library.h */
    if (argc == 3 && strcmp(argv[1], "--run-library") == 0) {
        return tw_run_library(argv[2]);
    }

    if (tw_options_read(&o, argc, argv, &code) != 0) {
        return printed(code);
    }

    /* The other threads (names, handlers.toml) allocate little and seldom: an
     * arena for each would only keep what they freed. */
    (void) mallopt(M_ARENA_MAX, 1);

    tw_log_init(o.log_level, o.log_json);

    if (tw_conf_load(&conf, o.config, &errors) != 0
        || (o.check && tw_conf_check(&conf, o.config, &errors) != 0))
    {
        say(stderr, &errors);
        tw_conf_free(&conf);
        return 2;
    }

    tw_conf_say_old(&conf, o.config, &errors);

    if (o.check) {
        (void) printf("%s: %u handler%s, configuration is fine\n", o.config,
            conf.n, conf.n == 1 ? "" : "s");
        say(stdout, &errors);
        tw_conf_free(&conf);
        return printed(0);
    }

    tw_log_lines(TW_WARN, "configuration", "warning", &errors);

    tq_secret_no_dump();
    tw_fence_warn(&conf);
    tw_notify_init();
    tw_spawn_raise_files();

    /* before anything that a fork would have to share */
    if (tw_guard_start() != 0) {
        TW_LOG(TW_WARN, "no guard process: what a handler started may "
            "outlive a killed worker");
    }

    return tw_work(&o, &conf);
}
