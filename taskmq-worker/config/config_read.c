/* config_read.c: see config_read.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_read.h"

void
tw_read_complain(tw_reader_t *r, int line, const char *text)
{
    r->failed = 1;
    tq_buf_addf(r->errors, "%s:%d: ", r->path, line);
    if (r->place[0] != '\0') {
        tq_buf_addf(r->errors, "%s: ", r->place);
    }
    tq_buf_adds(r->errors, text);
    tq_buf_addc(r->errors, '\n');
}

int
tw_read_eq(const cJSON *n, const char *text)
{
    return cJSON_IsString(n) && strcmp(n->valuestring, text) == 0;
}

/* A copy of a string value, or NULL after a complaint. */
char *
tw_read_string(tw_reader_t *r, const cJSON *n, const char *expected)
{
    char  *s;

    if (!cJSON_IsString(n) || n->valuestring[0] == '\0') {
        tw_read_complain(r, n->valueint, expected);
        return NULL;
    }

    s = strdup(n->valuestring);
    if (s == NULL) {
        tw_read_complain(r, n->valueint, "out of memory");
    }

    return s;
}

int64_t
tw_read_int(tw_reader_t *r, const cJSON *n, int64_t min, int64_t max)
{
    char  text[96];

    if (cJSON_IsNumber(n) && n->valuedouble >= (double) min
        && n->valuedouble <= (double) max)
    {
        return (int64_t) n->valuedouble;
    }

    (void) snprintf(text, sizeof(text),
        "expected an integer from %lld to %lld", (long long) min,
        (long long) max);
    tw_read_complain(r, n->valueint, text);

    return min;
}

void
tw_list_free(char **list)
{
    char  **p;

    for (p = list; p != NULL && *p != NULL; p++) {
        free(*p);
    }

    free(list);
}

char **
tw_list_copy(char *const *list)
{
    char    **copy;
    size_t    i, n = 0;

    while (list[n] != NULL) {
        n++;
    }

    copy = calloc(n + 1, sizeof(char *));

    for (i = 0; copy != NULL && i < n; i++) {
        copy[i] = strdup(list[i]);
        if (copy[i] == NULL) {
            tw_list_free(copy);
            return NULL;
        }
    }

    return copy;
}

/* An array of strings, NULL-terminated; NULL after a complaint. */
char **
tw_read_list(tw_reader_t *r, const cJSON *n, const char *expected)
{
    char         **list;
    size_t         count = 0;
    const cJSON   *item;

    if (!cJSON_IsArray(n)) {
        tw_read_complain(r, n->valueint, expected);
        return NULL;
    }

    list = calloc((size_t) cJSON_GetArraySize(n) + 1, sizeof(char *));
    if (list == NULL) {
        tw_read_complain(r, n->valueint, "out of memory");
        return NULL;
    }

    cJSON_ArrayForEach(item, n) {
        list[count] = cJSON_IsString(item) ? strdup(item->valuestring) : NULL;
        if (list[count++] == NULL) {
            tw_read_complain(r, item->valueint, expected);
            tw_list_free(list);
            return NULL;
        }
    }

    return list;
}
