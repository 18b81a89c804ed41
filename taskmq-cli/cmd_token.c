/*
 * cmd_token.c: `taskmq token` signs a JWT for the HTTP API.
 *
 * The secret comes from a file or the environment, never from an argument:
 * other users of the machine can read those.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jwt.h>

#include "tc.h"

#define SECRET_MAX_BYTES  65536
#define EXPIRES_MAX_S     (10LL * 365 * 86400)


/* The secret, one trailing newline stripped as the module does. */
static int
read_secret(tc_t *tc, const char *path, tq_buf_t *secret)
{
    int          code;
    const char  *env;

    if (path != NULL) {
        code = tc_read_file(tc, path, SECRET_MAX_BYTES, secret);
        if (code != TC_OK) {
            return code;
        }

        if (secret->len > 0 && secret->p[secret->len - 1] == '\n') {
            secret->len--;
        }

        if (secret->len == 0) {
            return tc_error(tc, TC_USAGE, "%s: the secret is empty", path);
        }

        return TC_OK;
    }

    env = getenv("TASKMQ_JWT_SECRET");
    if (env == NULL || *env == '\0') {
        return tc_usage(tc, "no secret: set $TASKMQ_JWT_SECRET or give "
                        "--secret-file");
    }

    tq_buf_adds(secret, env);
    return secret->failed ? tc_error(tc, TC_FAILED, "out of memory") : TC_OK;
}


/* What a token says; NULL: nothing. */
typedef struct {
    const char  *sub;
    const char  *role;
    const char  *aud;
    const char  *iss;
    int64_t      now;
    int64_t      exp;
} claims_t;


static int
add_claim(jwt_t *jwt, const char *name, const char *value)
{
    return value == NULL ? 0 : jwt_add_grant(jwt, name, value);
}


static char *
sign(const claims_t *c, const tq_buf_t *secret)
{
    jwt_t  *jwt;
    char   *token;

    if (jwt_new(&jwt) != 0) {
        return NULL;
    }

    token = NULL;

    if (add_claim(jwt, "sub", c->sub) == 0
        && add_claim(jwt, "role", c->role) == 0
        && add_claim(jwt, "aud", c->aud) == 0
        && add_claim(jwt, "iss", c->iss) == 0
        && jwt_add_grant_int(jwt, "iat", c->now) == 0
        && jwt_add_grant_int(jwt, "exp", c->exp) == 0
        && jwt_set_alg(jwt, JWT_ALG_HS256, (unsigned char *) secret->p,
                       (int) secret->len) == 0)
    {
        token = jwt_encode_str(jwt);
    }

    jwt_free(jwt);
    return token;
}


static int
cmd_token(tc_t *tc, int argc, char **argv)
{
    int          code, n;
    char        *token;
    int64_t      expires;
    claims_t     c = { .role = "admin" };
    tq_buf_t     out = { 0 }, secret = { 0 };
    const char  *file;

    file = NULL;
    expires = 86400;

    const tc_opt_t  opts[] = {
        { "sub", TC_TEXT, &c.sub, 0, 0 },
        { "role", TC_TEXT, &c.role, 0, 0 },
        { "aud", TC_TEXT, &c.aud, 0, 0 },
        { "iss", TC_TEXT, &c.iss, 0, 0 },
        { "expires", TC_SECONDS, &expires, 1, EXPIRES_MAX_S },
        { "secret-file", TC_TEXT, &file, 0, 0 },
        { NULL, TC_FLAG, NULL, 0, 0 }
    };

    n = tc_args(tc, argc, argv, opts);
    if (n < 0) {
        return TC_USAGE;
    }

    if (n > 0) {
        return tc_usage(tc, "unexpected argument \"%s\"", argv[0]);
    }

    if (strcmp(c.role, "admin") != 0 && strcmp(c.role, "worker") != 0) {
        return tc_usage(tc, "--role is admin or worker, not \"%s\"", c.role);
    }

    if (c.sub == NULL) {
        c.sub = c.role;
    }

    if (*c.sub == '\0' || strlen(c.sub) > TQ_SUBJECT_MAX) {
        return tc_usage(tc, "--sub must be 1 to %d bytes", TQ_SUBJECT_MAX);
    }

    if ((c.aud != NULL && *c.aud == '\0') || (c.iss != NULL && *c.iss == '\0'))
    {
        return tc_usage(tc, "--aud and --iss must not be empty");
    }

    c.now = time(NULL);
    c.exp = c.now + expires;
    code = read_secret(tc, file, &secret);

    if (code == TC_OK) {
        token = sign(&c, &secret);

        if (token == NULL) {
            code = tc_error(tc, TC_FAILED, "the token cannot be signed (are "
                            "--sub, --aud and --iss valid UTF-8?)");
        } else {
            if (tc->json) {
                tc_add_doc(&out, tq_doc_object(
                    { "token", tq_doc_text(token) },
                    { "expires_at", tq_doc_int(c.exp) }));
            } else {
                tq_buf_addf(&out, "%s\n", token);
            }

            code = tc_print(tc, &out);
            free(token);
        }
    }

    if (secret.p != NULL) {
        explicit_bzero(secret.p, secret.cap);
    }
    tq_buf_free(&secret);

    return code;
}


const tc_command_t  tc_token_commands[] = {
    { "token", cmd_token, "sign a token for the HTTP API",
      "usage: taskmq token [--sub NAME] [--role admin|worker] "
      "[--expires 24h]\n"
      "                    [--aud AUDIENCE] [--iss ISSUER] "
      "[--secret-file FILE]\n"
      "\n"
      "Prints a JWT (HS256) for the HTTP API. The secret is that of the\n"
      "nginx side: $TASKMQ_JWT_SECRET, or the file named.\n"
      "\n"
      "  --sub NAME          who; the role's name unless given\n"
      "  --role ROLE         admin (all) or worker (read, retry); admin\n"
      "                      unless given\n"
      "  --aud AUDIENCE      for whom: nginx's taskmq_jwt_audience\n"
      "  --iss ISSUER        by whom: nginx's taskmq_jwt_issuer\n"
      "  --expires TIME      90, 10m, 24h, 7d; 24h unless given\n"
      "  --secret-file FILE  \"-\" is stdin\n" },
    { NULL, NULL, NULL, NULL }
};
