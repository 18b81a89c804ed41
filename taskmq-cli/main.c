/*
 * main.c: `taskmq`, the command line tool: finds the command and gives it the
 * global options.
 */

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tc.h"
#include "tq_base.h"

static const tc_command_t  *const command_sets[] = {
    tc_add_commands,
    tc_jobs_commands,
    tc_list_commands,
    tc_change_commands,
    tc_stats_commands,
    tc_config_commands,
    tc_token_commands,
    tc_check_commands,
    tc_serve_commands,
};

#define N_SETS  (sizeof(command_sets) / sizeof(command_sets[0]))

static const char  usage_head[] =
    "usage: taskmq [--redis-url URL] [--namespace NAME] [--json] COMMAND ...\n"
    "\n"
    "Works on a TaskMQ queue directly in Redis.\n"
    "\n"
    "  --redis-url URL   redis://[user:pass@]host[:port][/db] or\n"
    "                    unix:[//user:pass@]/path; else $TASKMQ_REDIS_URL,\n"
    "                    else redis://127.0.0.1:6379/0\n"
    "  --namespace NAME  else $TASKMQ_NAMESPACE, else taskmq\n"
    "  --json            prints answers as JSON to stdout, errors as JSON to\n"
    "                    stderr; commands that change jobs say on stdout what\n"
    "                    became of each job, failures included\n"
    "  --help            this text; taskmq COMMAND --help explains a command\n"
    "  --version         the version\n"
    "\n"
    "Commands:\n";

static const char  usage_tail[] =
    "\n"
    "Exit status: 0 done; 1 it failed, there is no such job, or the output could\n"
    "not be written; 2 wrong arguments or input; 69 Redis is not available or\n"
    "refuses, and nothing was changed; 75 no reply came, or Redis stopped the\n"
    "call halfway: the change may have been made.\n";


static void
print_usage(FILE *to)
{
    size_t               i;
    const tc_command_t  *c;

    fputs(usage_head, to);

    for (i = 0; i < N_SETS; i++) {
        for (c = command_sets[i]; c->name != NULL; c++) {
            fprintf(to, "  %-14s %s\n", c->name, c->summary);
        }
    }

    fputs(usage_tail, to);
}


static const tc_command_t *
find_command(const char *name)
{
    size_t               i;
    const tc_command_t  *c;

    for (i = 0; i < N_SETS; i++) {
        for (c = command_sets[i]; c->name != NULL; c++) {
            if (strcmp(c->name, name) == 0) {
                return c;
            }
        }
    }

    return NULL;
}


/* Reads one option that stands before the command. Returns how many of argv
 * it took, 0 when it is none of ours. */
static int
global_option(tc_t *tc, int argc, char **argv)
{
    const char  **dst;
    size_t        len;

    if (strcmp(argv[0], "--json") == 0) {
        tc->json = 1;
        return 1;
    }

    if (strncmp(argv[0], "--redis-url", 11) == 0) {
        len = 11;
        dst = &tc->url;

    } else if (strncmp(argv[0], "--namespace", 11) == 0) {
        len = 11;
        dst = &tc->ns_name;

    } else {
        return 0;
    }

    if (argv[0][len] == '=') {
        *dst = argv[0] + len + 1;
        return **dst != '\0' ? 1 : 0;
    }

    if (argv[0][len] != '\0' || argc < 2 || argv[1][0] == '\0') {
        return 0;
    }

    *dst = argv[1];
    return 2;
}


int
main(int argc, char **argv)
{
    int                  i, n, code;
    tc_t                 tc = { 0 };
    const tc_command_t  *command;

    if (tq_stdio_open() != 0) {
        return TC_FAILED;
    }

    tq_secret_no_dump();

    /* A pipe's other end may go: the write then fails and says so. */
    signal(SIGPIPE, SIG_IGN);

    tc.command = "";
    tc.timeout_ms = TQ_REDIS_TIMEOUT_MS;

    for (i = 1; i < argc && argv[i][0] == '-'; i += n) {

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_usage(stdout);
            return tc_end(&tc, TC_OK);
        }

        if (strcmp(argv[i], "--version") == 0) {
            fputs("taskmq " TQ_VERSION "\n", stdout);
            return tc_end(&tc, TC_OK);
        }

        n = global_option(&tc, argc - i, argv + i);
        if (n == 0) {
            return tc_error(&tc, TC_USAGE, "%s: not an option, or its value "
                            "is missing or empty (see taskmq --help)", argv[i]);
        }
    }

    if (i == argc) {
        print_usage(stderr);
        return TC_USAGE;
    }

    command = find_command(argv[i]);
    if (command == NULL) {
        return tc_error(&tc, TC_USAGE, "there is no command \"%s\" (see "
                        "taskmq --help)", argv[i]);
    }

    tc.command = command->name;
    tc.usage = command->help;

    code = command->run(&tc, argc - i, argv + i);

    tq_sync_close(tc.redis);
    code = tc_end(&tc, code);
    tc_stop_end();

    return code;
}
