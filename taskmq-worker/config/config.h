/*
 * config.h: handlers.toml as plain structs. Reading is two steps: TOML to a
 * tree with line numbers (toml.cc), and the tree to structs with every mistake
 * named by file, line and what was expected (here).
 */

#ifndef TW_CONFIG_H
#define TW_CONFIG_H

#include <sys/types.h>

#include "tq_base.h"

typedef enum {
    TW_KIND_COMMAND,          /* a child process */
    TW_KIND_IMAGE,            /* a container: a child that is its runtime */
    TW_KIND_URL,              /* an HTTP target */
    TW_KIND_LIBRARY,          /* a child that loads a shared object */
    TW_KIND_NOOP              /* builtin: succeeds at once, in the worker */
} tw_kind_t;

typedef enum {
    TW_PICK_ROUND_ROBIN, TW_PICK_FIRST, TW_PICK_RANDOM
} tw_pick_t;

/* Who a child runs as. */
typedef struct {
    uid_t      uid;
    gid_t      gid;
    gid_t     *groups;        /* ngroups of them */
    int        ngroups;
    char      *home;
    char      *name;
} tw_user_t;

typedef struct {
    char        name[TQ_HANDLER_MAX + 1];
    int         line;
    int         program_line;     /* of command, runtime (or image), library,
                                   * url */
    int         workdir_line;
    uint64_t    fingerprint;  /* of all its keys and values */
    tw_kind_t   kind;
    char      **argv;         /* command; NULL-terminated, as all lists here */
    char       *image;
    char       *url;
    char       *library;
    char      **runtime;      /* image: program and its own options */
    char      **runtime_args; /* image: further arguments of `run` */
    unsigned    instances;
    int64_t     timeout_s;    /* 0: DAEMON_TASK_TIMEOUT */
    int         prefetch_line;    /* an old key; 0: it is not there */
    tw_pick_t   pick;
    int64_t     memory_bytes; /* 0: no limit */
    char      **env;          /* "NAME=value"; NULL: none */
    int64_t     max_tasks;    /* per child; 0: no bound */
    int         extended;     /* protocol = "taskmq" */
    char       *workdir;      /* NULL: the worker's */
    char       *user;         /* as written; NULL: the worker's */
    tw_user_t   as;           /* user, resolved */
} tw_handler_conf_t;

typedef struct {
    tw_handler_conf_t  **h;   /* whoever takes one out leaves NULL */
    unsigned             n;
} tw_conf_t;

/*
 * Reads handlers.toml, and loads libcurl where a `url` handler is in it (see
 * curl_load.h: one thread at a time). 0, or -1 with a line per mistake in
 * errors, "FILE:LINE: PLACE: what was expected\n" (never empty then). conf must
 * be freed in both cases.
 */
int tw_conf_load(tw_conf_t *conf, const char *path, tq_buf_t *errors);

/* Adds a line to out, as above, for each key that has no effect any more. */
void tw_conf_say_old(const tw_conf_t *conf, const char *path, tq_buf_t *out);

void tw_conf_free(tw_conf_t *conf);

/* config_check.c: looks whether the handlers' programs, folders and libraries
 * are there. 0, or -1 with a line per miss added to errors. */
int tw_conf_check(const tw_conf_t *conf, const char *path, tq_buf_t *errors);

/* NULL-terminated lists of strings that they own. Copying: NULL without
 * memory. */
char **tw_list_copy(char *const *list);
void tw_list_free(char **list);

/* One handler that was taken out. NULL is fine. */
void tw_handler_conf_free(tw_handler_conf_t *h);

#endif /* TW_CONFIG_H */
