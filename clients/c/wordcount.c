/*
 * wordcount.c: an example of a library handler: counts the words of the text
 * in "text".
 *
 *     cc -shared -fPIC -o wordcount.so clients/c/wordcount.c
 *
 *     [handlers.wordcount]
 *     library = "./wordcount.so"
 */

#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "taskmq_handler.h"

int
taskmq_handle(const char *task, size_t len, char **out)
{
    int          in_word = 0;
    unsigned     words = 0;
    const char  *p = strstr(task, "\"text\"");

    (void) len;

    /* a real one would use a JSON library */
    p = p != NULL ? strchr(p + 6, '"') : NULL;
    if (p == NULL) {
        *out = strdup("expected a string \"text\"");
        return -1;
    }

    for (p++; *p != '"' && *p != '\0'; p++) {
        if (isspace((unsigned char) *p)) {
            in_word = 0;
        } else if (!in_word) {
            in_word = 1;
            words++;
        }
    }

    printf("%u words\n", words);      /* to the job's log */

    return asprintf(out, "{\"words\":%u}", words) < 0 ? 1 : 0;
}
