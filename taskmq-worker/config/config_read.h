/*
 * config_read.h: reading one value of handlers.toml (its line is n->valueint,
 * see toml.h), and complaining about it. Shared by config*.c only.
 */

#ifndef TW_CONFIG_READ_H
#define TW_CONFIG_READ_H

#include "config.h"
#include "toml.h"

/* What all readers share. */
typedef struct {
    const char         *path;
    tq_buf_t           *errors;
    int                 failed;
    tw_handler_conf_t  *h;    /* the handler being read */
    unsigned            kinds;
    char                place[2 * TQ_HANDLER_MAX + 64];
} tw_reader_t;

typedef struct {
    const char  *key;
    void       (*read)(tw_reader_t *r, const cJSON *n);       /* NULL: an old
                                 key, taken for files that have it */
    unsigned     kinds;       /* bits 1 << tw_kind_t: where it may be */
} tw_option_t;

/* Ends with the one whose key is NULL. "command", "image" … are the kinds. */
extern const tw_option_t  tw_options[];

/* Adds "FILE:LINE: PLACE: text". */
void tw_read_complain(tw_reader_t *r, int line, const char *text);

/* A string that is this one? */
int tw_read_eq(const cJSON *n, const char *text);

/* These complain and return NULL (or min) when the value is another one. The
 * string must not be empty. */
char *tw_read_string(tw_reader_t *r, const cJSON *n, const char *expected);
int64_t tw_read_int(tw_reader_t *r, const cJSON *n, int64_t min, int64_t max);
char **tw_read_list(tw_reader_t *r, const cJSON *n, const char *expected);

/* config_user.c: looks h->user up. 0, or -1 with *why static text. */
int tw_user_find(const char *text, tw_user_t *out, const char **why);
void tw_user_free(tw_user_t *u);

#endif /* TW_CONFIG_READ_H */
