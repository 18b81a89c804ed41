/*
 * cmd_serve.c: `taskmq serve-api` and `taskmq run-worker`: the two programs
 * with as little configuration as the reference's commands have.
 */

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tc_exec.h"

#define MODULE  "ngx_http_taskmq_module.so"

typedef struct {
    const char  *host;
    int64_t      port;
    int64_t      daemon_port;        /* 0: TaskDaemon's API is not served */
    int64_t      processes;          /* 0: one per processor */
    const char  *secret_file;
    const char  *module;
    const char  *docs;
    const char  *nginx;
    const char  *user;               /* of nginx' workers */
} serve_t;


/* What concerns the process: before "http". */
static void
write_main(FILE *f, const serve_t *o)
{
    fprintf(f, "load_module %s;\n"
            "daemon off;\n"
            "pid nginx.pid;\n"
            "error_log stderr notice;\n", o->module);

    if (o->user != NULL) {
        fprintf(f, "user %s;\n", o->user);
    }

    if (o->processes != 0) {
        fprintf(f, "worker_processes %lld;\n", (long long) o->processes);
    } else {
        fputs("worker_processes auto;\n", f);
    }

    fputs("events { worker_connections 4096; }\n", f);
}


/* What both APIs share; their servers follow. */
static void
write_shared(FILE *f, const serve_t *o)
{
    const char  *ns = getenv("TASKMQ_NAMESPACE");

    fputs("    access_log off;\n"
          "    client_body_temp_path body;\n"
          "    proxy_temp_path proxy;\n"
          "    fastcgi_temp_path fastcgi;\n"
          "    uwsgi_temp_path uwsgi;\n"
          "    scgi_temp_path scgi;\n"
          "    client_body_buffer_size 1m;\n", f);

    if (ns != NULL && *ns != '\0') {
        fprintf(f, "    taskmq_namespace %s;\n", ns);
    }

    if (o->secret_file != NULL) {
        fprintf(f, "    taskmq_jwt_secret_file %s;\n", o->secret_file);
    }

    if (o->docs != NULL) {
        fprintf(f, "    taskmq_docs_root %s;\n", o->docs);
    }
}


static void
write_server(FILE *f, const serve_t *o, int64_t port, const char *api)
{
    fprintf(f, "    server {\n"
            "        listen %s:%lld;\n"
            "        location / { taskmq_api %s; }\n"
            "    }\n", o->host, (long long) port, api);
}


/* Every text that goes in was checked to be one word of nginx.conf. */
static int
write_conf(tc_t *tc, const serve_t *o, const char *path)
{
    int    bad;
    FILE  *f;

    f = fopen(path, "we");
    if (f == NULL) {
        return tc_error(tc, TC_FAILED, "%s: %s", path, strerror(errno));
    }

    write_main(f, o);
    fputs("http {\n", f);
    write_shared(f, o);
    write_server(f, o, o->port, "taskmq");

    if (o->daemon_port != 0) {
        write_server(f, o, o->daemon_port, "taskdaemon");
    }

    fputs("}\n", f);

    bad = ferror(f);
    if (fclose(f) != 0 || bad) {
        return tc_error(tc, TC_FAILED, "%s: cannot be written", path);
    }

    return TC_OK;
}


static int
remove_one(const char *path, const struct stat *st, int type,
    struct FTW *where)
{
    (void) st;
    (void) type;
    (void) where;
    return remove(path);
}


/* A text that goes into nginx.conf as one unquoted word. */
static int
is_word(const char *s)
{
    return *s != '\0' && strpbrk(s, " \t\r\n;{}\"'\\$#") == NULL;
}


static int
check_user(tc_t *tc, const char *user)
{
    if (user != NULL && geteuid() != 0) {
        return tc_usage(tc, "--user: only root can choose another user");
    }

    if (user != NULL && (!is_word(user) || getpwnam(user) == NULL)) {
        return tc_usage(tc, "--user: there is no user \"%s\"", user);
    }

    return TC_OK;
}


/* Makes the paths absolute and finds what was not given. */
static int
resolve(tc_t *tc, serve_t *o, char *module, char *docs, char *secret)
{
    const char  *env;

    if (o->module == NULL) {
        o->module = tc_beside(MODULE, module, PATH_MAX);

        if (o->module == NULL) {
            o->module = tc_beside("../lib/nginx/modules/" MODULE, module,
                                  PATH_MAX);
        }
    } else {
        o->module = realpath(o->module, module);
    }

    if (o->module == NULL) {
        return tc_error(tc, TC_FAILED, "ngx_http_taskmq_module.so is not "
                        "there; say where with --module");
    }

    if (o->docs == NULL) {
        o->docs = tc_beside("web", docs, PATH_MAX);

        if (o->docs == NULL) {
            o->docs = tc_beside("../share/taskmq/web", docs, PATH_MAX);
        }

    } else if ((o->docs = realpath(o->docs, docs)) == NULL) {
        return tc_error(tc, TC_USAGE, "--docs-root: %s", strerror(errno));
    }

    if (o->secret_file != NULL) {
        env = o->secret_file;
        o->secret_file = realpath(env, secret);

        if (o->secret_file == NULL) {
            return tc_error(tc, TC_USAGE, "%s: %s", env, strerror(errno));
        }

    } else {
        env = getenv("TASKMQ_JWT_SECRET");

        if (env == NULL || *env == '\0') {
            return tc_usage(tc, "no secret: set $TASKMQ_JWT_SECRET or give "
                            "--secret-file");
        }
    }

    if (!is_word(o->host) || !is_word(o->module)
        || (o->docs != NULL && !is_word(o->docs))
        || (o->secret_file != NULL && !is_word(o->secret_file)))
    {
        return tc_usage(tc, "a path or address has characters that cannot "
                        "stand in nginx.conf");
    }

    if (o->nginx == NULL) {
        /* Often not on the PATH of those who are not root. */
        o->nginx = access("/usr/sbin/nginx", X_OK) == 0 ? "/usr/sbin/nginx"
                   : "nginx";
    }

    return TC_OK;
}


/* Started by root, nginx' workers become another user, who may not be let in
 * where root is: every request would be a 503. */
static void
hint_at_socket(const serve_t *o)
{
    tq_url_t      url;
    struct stat   st;
    const char   *text, *why;

    text = getenv("TASKMQ_REDIS_URL");

    if (geteuid() != 0 || o->user != NULL || text == NULL
        || tq_url_parse(text, strlen(text), &url, &why) != 0
        || url.path[0] == '\0' || stat(url.path, &st) != 0
        || (st.st_mode & S_IWOTH))
    {
        return;
    }

    fprintf(stderr, "taskmq: nginx's workers do not run as root and may not "
            "open %s: give --user NAME (its owner's), or set unixsocketperm "
            "777 in redis.conf\n", url.path);
}


static int
serve(tc_t *tc, const serve_t *o)
{
    int          code;
    char         dir[PATH_MAX], conf[PATH_MAX + 16];
    const char  *tmp;

    tmp = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%s/taskmq-api.XXXXXX",
             tmp != NULL && *tmp == '/' ? tmp : "/tmp");

    if (mkdtemp(dir) == NULL) {
        return tc_error(tc, TC_FAILED, "%s: %s", dir, strerror(errno));
    }

    /* nginx' workers, of another user, keep large bodies in it. It has no
     * secret: those come by the environment or stay in their file. */
    chmod(dir, 0711);

    snprintf(conf, sizeof(conf), "%s/nginx.conf", dir);
    code = write_conf(tc, o, conf);

    if (code == TC_OK) {
        char  *argv[] = { (char *) o->nginx, "-p", dir, "-c", conf,
                          "-e", "stderr", NULL };

        hint_at_socket(o);
        fprintf(stderr, "taskmq: serving http://%s:%lld\n", o->host,
                (long long) o->port);

        if (o->daemon_port != 0) {
            fprintf(stderr, "taskmq: serving TaskDaemon's API at "
                    "http://%s:%lld\n", o->host, (long long) o->daemon_port);
        }

        code = tc_supervise(tc, argv, SIGQUIT);
    }

    (void) nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return code;
}


static int
cmd_serve_api(tc_t *tc, int argc, char **argv)
{
    int      n, code;
    char     module[PATH_MAX], docs[PATH_MAX], secret[PATH_MAX];
    serve_t  o = { .host = "127.0.0.1", .port = 8000 };

    const tc_opt_t  opts[] = {
        { "host", TC_TEXT, &o.host, 0, 0 },
        { "port", TC_NUMBER, &o.port, 1, 65535 },
        { "daemon-port", TC_NUMBER, &o.daemon_port, 1, 65535 },
        { "processes", TC_NUMBER, &o.processes, 1, 1024 },
        { "secret-file", TC_TEXT, &o.secret_file, 0, 0 },
        { "module", TC_TEXT, &o.module, 0, 0 },
        { "docs-root", TC_TEXT, &o.docs, 0, 0 },
        { "nginx", TC_TEXT, &o.nginx, 0, 0 },
        { "user", TC_TEXT, &o.user, 0, 0 },
        { NULL, TC_FLAG, NULL, 0, 0 }
    };

    n = tc_args(tc, argc, argv, opts);
    if (n < 0) {
        return TC_USAGE;
    }

    if (n > 0) {
        return tc_usage(tc, "unexpected argument \"%s\"", argv[0]);
    }

    code = tc_environment(tc);

    if (code == TC_OK) {
        code = check_user(tc, o.user);
    }

    if (code == TC_OK) {
        code = resolve(tc, &o, module, docs, secret);
    }

    return code == TC_OK ? serve(tc, &o) : code;
}


/* The reference's one handler, for whom there is no handlers.toml yet. Kept
 * open across exec: the worker reads it as a file, again on HUP. */
static int
dummy_config(tc_t *tc, char *path, size_t size)
{
    int                fd;
    static const char  text[] = "[handlers.dummy]\nbuiltin = \"noop\"\n";

    fd = memfd_create("handlers.toml", 0);

    if (fd == -1
        || write(fd, text, sizeof(text) - 1) != (ssize_t) sizeof(text) - 1)
    {
        return tc_error(tc, TC_FAILED, "memfd: %s", strerror(errno));
    }

    snprintf(path, size, "/proc/self/fd/%d", fd);
    fprintf(stderr, "taskmq: there is no handlers.toml here; serving only "
            "the handler \"dummy\", which does nothing\n");
    return TC_OK;
}


static int
cmd_run_worker(tc_t *tc, int argc, char **argv)
{
    int          n, i, code;
    char         worker[PATH_MAX], dummy[64], **args;
    const char  *config = NULL;

    const tc_opt_t  opts[] = {
        { "config", TC_TEXT, &config, 0, 0 },
        { NULL, TC_FLAG, NULL, 0, 0 }
    };

    n = tc_args(tc, argc, argv, opts);
    if (n < 0) {
        return TC_USAGE;
    }

    code = tc_environment(tc);
    if (code != TC_OK) {
        return code;
    }

    if (config == NULL) {
        config = getenv("HANDLER_CONFIG");
    }

    if (config == NULL || *config == '\0') {
        config = "handlers.toml";

        if (access(config, F_OK) != 0) {
            code = dummy_config(tc, dummy, sizeof(dummy));
            config = dummy;
        }
    }

    args = calloc((size_t) n + 4, sizeof(char *));
    if (args == NULL || code != TC_OK) {
        free(args);
        return code != TC_OK ? code
               : tc_error(tc, TC_FAILED, "out of memory");
    }

    args[0] = (char *) tc_beside("taskmq-worker", worker, sizeof(worker));
    if (args[0] == NULL) {
        args[0] = "taskmq-worker";
    }

    args[1] = "--config";
    args[2] = (char *) config;

    for (i = 0; i < n; i++) {
        args[i + 3] = argv[i];
    }

    signal(SIGPIPE, SIG_DFL);
    execvp(args[0], args);

    code = tc_error(tc, errno == ENOENT ? 127 : 126, "%s: %s", args[0],
                    strerror(errno));
    free(args);
    return code;
}


const tc_command_t  tc_serve_commands[] = {
    { "serve-api", cmd_serve_api, "run nginx with the API, set up by options",
      "usage: taskmq serve-api [options]\n"
      "\n"
      "Starts nginx in the foreground with a small configuration of its own\n"
      "and TaskMQ's API on http://127.0.0.1:8000. The secret of the tokens is\n"
      "$TASKMQ_JWT_SECRET, Redis is $TASKMQ_REDIS_URL. Ctrl-C lets requests\n"
      "finish and ends it; HUP reloads. If Redis has users, the URL names\n"
      "nginx's (taskmq-nginx in redis-acl.example), not taskmq-cli.\n"
      "\n"
      "For production put the directives into your own nginx instead: see\n"
      "nginx.conf.example.\n"
      "\n"
      "  --host ADDRESS      127.0.0.1 unless given\n"
      "  --port N            8000 unless given\n"
      "  --daemon-port N     serve TaskDaemon's API there, too (usually 8080);\n"
      "                      it wants the same tokens\n"
      "  --processes N       nginx workers; one per processor unless given\n"
      "  --secret-file FILE  instead of $TASKMQ_JWT_SECRET\n"
      "  --module FILE       ngx_http_taskmq_module.so; else the one in the\n"
      "                      folder of taskmq or in ../lib/nginx/modules\n"
      "  --docs-root FOLDER  of Swagger UI and ReDoc; else web in the folder\n"
      "                      of taskmq, or ../share/taskmq/web\n"
      "  --nginx FILE        the nginx to run\n"
      "  --user NAME         of nginx's workers, if root starts it; they must\n"
      "                      be able to open Redis' socket\n" },
    { "run-worker", cmd_run_worker, "run taskmq-worker",
      "usage: taskmq run-worker [--config FILE] [-- WORKER-OPTION ...]\n"
      "\n"
      "Becomes taskmq-worker with this configuration: --config, else\n"
      "$HANDLER_CONFIG, else ./handlers.toml, else only the handler\n"
      "\"dummy\", which does nothing. What follows -- is the worker's\n"
      "(taskmq-worker --help). If Redis has users, the URL names the\n"
      "worker's (taskmq-worker in redis-acl.example), not taskmq-cli.\n" },
    { NULL, NULL, NULL, NULL }
};
