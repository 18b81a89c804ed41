/*
 * fuzz_config.c: handlers.toml, both steps: toml.cc and what reads its tree.
 * What is taken is complete and within every limit, and reads the same twice;
 * what is not is said a line per mistake, each with the file and a line of it.
 */

#include "fuzz.h"
#include "../../taskmq-worker/config/config.c"
#include "../../taskmq-worker/config/config_read.c"
#include "../../taskmq-worker/config/config_opt.c"
#include "../../taskmq-worker/config/config_user.c"
#include "../../taskmq-worker/base/curl_load.c"

static void
check_handler(const tw_handler_conf_t *h)
{
    char  **e;

    MUST(tq_handler_name_ok(h->name, strlen(h->name)));
    MUST(h->line >= 1);
    MUST((h->kind == TW_KIND_COMMAND) == (h->argv != NULL));
    MUST((h->kind == TW_KIND_IMAGE) == (h->image != NULL));
    MUST((h->kind == TW_KIND_URL) == (h->url != NULL));
    MUST((h->kind == TW_KIND_LIBRARY) == (h->library != NULL));
    MUST(h->argv == NULL || h->argv[0][0] != '\0');
    MUST(h->image == NULL || (h->image[0] && h->image[0] != '-'));
    MUST(h->image != NULL || (h->runtime == NULL && h->runtime_args == NULL));
    MUST(h->runtime == NULL || h->runtime[0][0] != '\0');
    MUST(h->instances >= 1 && h->instances <= TQ_INSTANCES_MAX);
    MUST(h->timeout_s >= 0 && h->timeout_s <= TQ_TIMEOUT_MAX_S);
    MUST(h->memory_bytes == 0 || (h->memory_bytes >= TQ_MEMORY_MIN_BYTES
                                  && h->memory_bytes <= TQ_MEMORY_MAX_BYTES));
    MUST(h->max_tasks >= 0);

    for (e = h->env; e != NULL && *e != NULL; e++) {
        MUST(strchr(*e, '=') != NULL && (*e)[0] != '=');
    }
}

static void
check_errors(const char *p, size_t lines)
{
    int          line;
    const char  *end;

    MUST(*p != '\0');

    for ( /* void */ ; *p != '\0'; p = end + 1) {
        end = strchr(p, '\n');
        MUST(end != NULL);
        MUST(strncmp(p, "f:", 2) == 0);
        line = atoi(p + 2);
        MUST(line >= 1 && (size_t) line <= lines);
        MUST(end - p > 10);
    }
}

/* The tree is what toml.cc says it is. */
static void
check_tree(const cJSON *n, size_t lines)
{
    const cJSON  *item;

    MUST(n->valueint >= 1 && (size_t) n->valueint <= lines);
    MUST(cJSON_IsObject(n) || cJSON_IsArray(n) || cJSON_IsString(n)
         || cJSON_IsNumber(n) || cJSON_IsNull(n));

    cJSON_ArrayForEach(item, n) {
        MUST(cJSON_IsObject(n) == (item->string != NULL));
        check_tree(item, lines);
    }
}

static int
read_text(const char *text, size_t len, size_t lines, tw_conf_t *conf,
    tq_buf_t *errors)
{
    int     rc;
    cJSON  *top = tw_toml_read(text, len);

    MUST(top != NULL);
    check_tree(top, lines);
    memset(conf, 0, sizeof(*conf));
    rc = read_tree(conf, "f", top, errors);
    cJSON_Delete(top);

    return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int         rc;
    size_t      i, lines = 1;
    tq_buf_t    errors = {0}, again = {0};
    tw_conf_t   conf, twice;

    for (i = 0; i < size; i++) {
        lines += data[i] == '\n';
    }

    rc = read_text((const char *) data, size, lines, &conf, &errors);
    MUST(read_text((const char *) data, size, lines, &twice, &again) == rc);

    if (rc == 0) {
        MUST(errors.len == 0 && conf.n >= 1 && conf.n == twice.n);
        for (i = 0; i < conf.n; i++) {
            check_handler(conf.h[i]);
            MUST(conf.h[i]->fingerprint == twice.h[i]->fingerprint);
        }
    } else {
        MUST(rc == -1 && errors.len != 0);
        check_errors(tq_buf_cstr(&errors), lines);
        MUST(strcmp(errors.p, tq_buf_cstr(&again)) == 0);
    }

    tw_conf_free(&conf);
    tw_conf_free(&twice);
    tq_buf_free(&errors);
    tq_buf_free(&again);

    return 0;
}
