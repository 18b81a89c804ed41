/*
 * tc.h: what the commands of `taskmq` share: the context made from the global
 * options, exit codes, options, output.
 *
 * A command is a function: it reads its own options with tc_args(), talks to
 * Redis with tc_run(), prints its answer to stdout and returns an exit code.
 * Errors go to stderr through tc_error(), and no secret is ever printed.
 */

#ifndef TC_H
#define TC_H

#include <stdio.h>

#include "sync.h"
#include "tq_base.h"
#include "tq_doc.h"
#include "tq_queue.h"

/* Exit codes; docs/man/taskmq.1 says the same to users. */
enum {
    TC_OK = 0,
    TC_FAILED = 1,           /* no such job, wrong state, a failed check */
    TC_USAGE = 2,            /* wrong arguments or input */
    TC_UNAVAILABLE = 69,     /* Redis away or refusing; nothing was changed */
    TC_UNKNOWN = 75          /* sent, but no reply came, or it was stopped on
                                its way: may have been done, in part or whole */
};

typedef struct {
    const char   *url;           /* as given; may hold a password */
    tq_url_t      where;
    tq_ns_t       ns;
    const char   *ns_name;
    const char   *command;       /* its name, for messages */
    const char   *usage;         /* the command's help text */
    int           json;          /* --json */
    int64_t       timeout_ms;
    tq_sync_t    *redis;         /* opened by the first call */
    int           uuid_known;    /* uuid_key is there (ids.c) */
    unsigned char uuid_key[TQ_UUID_KEY_LEN];
} tc_t;

typedef struct {
    const char   *name;
    int         (*run)(tc_t *tc, int argc, char **argv);
    const char   *summary;       /* one line for `taskmq --help` */
    const char   *help;          /* usage and options, `--help` */
} tc_command_t;

/* One array per file of commands, ended by a NULL name. */
extern const tc_command_t  tc_token_commands[];
extern const tc_command_t  tc_add_commands[];
extern const tc_command_t  tc_jobs_commands[];
extern const tc_command_t  tc_list_commands[];
extern const tc_command_t  tc_change_commands[];
extern const tc_command_t  tc_stats_commands[];
extern const tc_command_t  tc_config_commands[];
extern const tc_command_t  tc_check_commands[];
extern const tc_command_t  tc_serve_commands[];

/* ---- options (args.c) ---- */

typedef enum {
    TC_FLAG,                 /* int: 1 when given */
    TC_TEXT,                 /* const char * */
    TC_TEXTS,                /* tc_texts_t: one for each time it is given */
    TC_NUMBER,               /* int64_t within min..max */
    TC_SECONDS               /* int64_t seconds from "90", "10m", "24h", "7d" */
} tc_opt_kind_t;

#define TC_TEXTS_MAX  64

typedef struct {
    int     n;
    char   *text[TC_TEXTS_MAX + 1];      /* NULL-terminated; argv's */
} tc_texts_t;

typedef struct {
    const char     *name;    /* without "--"; NULL ends the array */
    tc_opt_kind_t   kind;
    void           *dst;     /* untouched when the option is absent */
    int64_t         min, max;
} tc_opt_t;

/*
 * Reads options among argv[1..] (`--name value`, `--name=value`, `--` ends
 * them), the global ones included, and moves the other arguments to argv[0..].
 * Returns how many those are, or -1 after printing what is wrong. Ends the
 * program for --help.
 */
int tc_args(tc_t *tc, int argc, char **argv, const tc_opt_t *opts);

/* A wrong argument: prints the sentence and where help is; TC_USAGE. */
int tc_usage(tc_t *tc, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "90", "90s", "10m", "24h", "7d" as seconds. 0, or -1. */
int tc_seconds(const char *text, int64_t *out);

/* ---- which jobs (choice.c) ---- */

/* --status and --handler (NULL: any) for a list of jobs. TC_OK, or TC_USAGE
 * after saying what is wrong. */
int tc_choice(tc_t *tc, const char *status, const char *handler,
    tq_list_t *out);

/* ---- Redis (conn.c) ---- */

/* Opens the connection if need be. TC_OK, or an exit code after saying why. */
int tc_connect(tc_t *tc);

/* One call. Its result, which is TQ_OK and lives until the next one; NULL after
 * printing why there is none, with the exit code in *code. */
const tq_result_t *tc_run(tc_t *tc, tq_call_t *call, int *code);

/* Of a refusal that is none. */
#define TC_ODD  "Redis answered something that this version does not understand"

/* ---- jobs as arguments (ids.c) ---- */

/* A job id, or a task id: then *id is 0. 0, or -1 after saying that it is
 * neither. */
int tc_id(tc_t *tc, const char *text, int64_t *id);

/* The same with Redis' help, after tc_connect(), so that *id is a job id.
 * TC_OK, or an exit code after saying why. */
int tc_id_find(tc_t *tc, const char *text, int64_t *id);

/* The other way round; "" in a namespace that has no task ids yet. TC_OK, or an
 * exit code after saying why. */
int tc_task_id(tc_t *tc, int64_t id, char uuid[TQ_UUID_LEN + 1]);

/* ---- output (out.c) ---- */

/* A sentence on stderr, as JSON under --json. Returns code. */
int tc_error(const tc_t *tc, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A warning on stderr; the command goes on. */
void tc_warn(const tc_t *tc, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints one JSON value and a newline: indented when stdout is a terminal,
 * else as it is. Frees b. */
int tc_print_json(tc_t *tc, tq_buf_t *b);

/* The same of a document; frees it. */
int tc_print_doc(tc_t *tc, cJSON *doc);

/* Appends a document and a newline; frees it. */
void tc_add_doc(tq_buf_t *b, cJSON *doc);

/* Prints b to stdout as it is and frees it; only JSON in a terminal has
 * characters that are not shown (tq_text.h) as \uxxxx. TC_OK, or TC_FAILED when
 * memory ran out or stdout could not be written. */
int tc_print(tc_t *tc, tq_buf_t *b);

/* Ends the output. code, or TC_FAILED after saying that something that was
 * printed did not get there. */
int tc_end(const tc_t *tc, int code);

/* A state or verdict as a column of so many bytes, in its colour where stdout
 * is a terminal that has colours and $NO_COLOR is not set. */
void tc_add_word(tq_buf_t *b, int width, const char *word);

/* Text of others as a column of so many bytes, and a blank. */
void tc_add_cell(tq_buf_t *b, size_t width, tq_str_t s);

/* "2026-11-22T10:36:35.123Z", or "-" for 0. Returns dst. */
const char *tc_time(int64_t ms, char dst[TQ_TIME_ISO_LEN + 1]);

/* Progress of bulk work: a bar on stderr when that is a terminal and --json
 * was not given. total 0: unknown. */
typedef struct {
    int       on;
    int64_t   shown_ms;
    int64_t   total;
} tc_progress_t;

void tc_progress_start(const tc_t *tc, tc_progress_t *p, int64_t total);
void tc_progress(tc_progress_t *p, int64_t done, const char *what,
    int64_t count);
void tc_progress_end(tc_progress_t *p);

/* Milliseconds of a monotonic clock. */
int64_t tc_now_ms(void);

/* ---- Ctrl-C in bulk work (stop.c) ---- */

/* From here on INT, TERM and HUP only set a flag, once they are looked for. */
void tc_stop_watch(void);

/* Waits until fd can be read, at most so long (-1: for ever). 1, 0 at the end
 * of the time, or -1: the command is to stop. */
int tc_stop_wait(int fd, int64_t ms);

/* The signal that asks to stop, or 0. */
int tc_stop_asked(void);

/* Ends the program by the signal that stopped it, if one did. Call it last. */
void tc_stop_end(void);

/* ---- files (file.c) ---- */

static inline int
tc_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Reads a whole file, "-" is stdin, up to max bytes. TC_OK, or an exit code
 * after saying why; b is the caller's to free either way. */
int tc_read_file(tc_t *tc, const char *path, size_t max, tq_buf_t *b);

#endif /* TC_H */
