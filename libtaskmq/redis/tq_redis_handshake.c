/*
 * tq_redis_handshake.c: how a connection becomes READY: the handshake's calls
 * and replies, and how long to wait after one that failed.
 */

#include <stdio.h>
#include <string.h>

#include "tq_base.h"
#include "tq_redis_int.h"

/* As many bytes of the names of missing rights are shown. */
#define TQ_SHAKE_RIGHTS  60

static int tq_handshake_add(tq_redis_t *r, const tq_script_t *script,
    const char *word, const char *arg1, const char *arg2);
static int tq_handshake_greet(tq_redis_t *r);
static const char *tq_handshake_word(const tq_call_t *call, int *len);
static void tq_handshake_lacks(tq_redis_t *r, const char *rights);
static int tq_handshake_denied(const char *text, char *name, size_t size);
static int tq_handshake_greeted(tq_redis_t *r, const tq_call_t *call,
    const redisReply *reply);
static void tq_handshake_refused(tq_redis_t *r, const tq_call_t *call,
    tq_redis_err_t err, const char *text);


void
tq_handshake_cb(tq_call_t *call, tq_call_result_t result,
    const redisReply *reply)
{
    /* never called: its address marks a call as our own */
    (void) call;
    (void) result;
    (void) reply;
}


/* Adds one command to the handshake; arg1 and arg2 may be NULL. */
static int
tq_handshake_add(tq_redis_t *r, const tq_script_t *script, const char *word,
    const char *arg1, const char *arg2)
{
    tq_call_t  *call;

    call = tq_call_new(NULL, tq_handshake_cb, (void *) script);
    if (call == NULL) {
        return -1;
    }

    /* room for a password, so that no copy stays behind in freed memory */
    tq_buf_reserve(&call->body, 2048 + (script != NULL ? script->len : 0));

    tq_call_args(call, word);
    if (arg1 != NULL) {
        tq_call_args(call, arg1);
    }
    if (arg2 != NULL) {
        tq_call_args(call, arg2);
    }
    if (script != NULL) {
        tq_call_arg(call, script->text, script->len);
    }

    if (call->body.failed) {
        tq_call_wipe(call);
        return -1;
    }

    tq_call_seal(call);
    tq_list_add(&r->handshake, call);
    r->handshaking++;

    return 0;
}


int
tq_handshake_start(tq_redis_t *r)
{
    char                 db[16];
    const char          *user, *password;
    const tq_script_t  **s;

    r->handshaking = 0;
    user = r->conf.user;
    password = r->conf.password;

    if ((user[0] != '\0'
         && tq_handshake_add(r, NULL, "AUTH", user, password) != 0)
        || (user[0] == '\0' && password[0] != '\0'
            && tq_handshake_add(r, NULL, "AUTH", password, NULL) != 0))
    {
        return -1;
    }

    if (r->conf.db != 0) {
        snprintf(db, sizeof(db), "%d", r->conf.db);
        if (tq_handshake_add(r, NULL, "SELECT", db, NULL) != 0) {
            return -1;
        }
    }

    if (r->conf.client_name[0] != '\0'
        && tq_handshake_add(r, NULL, "CLIENT", "SETNAME", r->conf.client_name)
           != 0)
    {
        return -1;
    }

    for (s = r->conf.scripts; s != NULL && *s != NULL; s++) {
        if (tq_handshake_add(r, *s, "SCRIPT", "LOAD", NULL) != 0) {
            return -1;
        }
    }

    if (r->conf.greet != NULL) {
        r->greet_step = 0;
        return tq_handshake_greet(r);
    }

    /* a connection is not READY before Redis has said a word: a full backlog
     * or a proxy may accept it with nobody behind */
    return tq_handshake_add(r, NULL, "PING", NULL, NULL);
}


/* The host's own calls of this step. */
static int
tq_handshake_greet(tq_redis_t *r)
{
    tq_call_t  *call, *before, *first;

    call = r->conf.greet->call(r->conf.greet, r->conf.greets, r->greet_step);
    if (call == NULL) {
        return -1;
    }

    for (first = NULL; call != NULL; call = before) {
        before = call->before;
        call->before = first;
        first = call;
    }

    for (call = first; call != NULL; call = first) {
        first = call->before;
        call->before = NULL;
        call->cb = tq_handshake_cb;
        call->greets = 1;

        tq_call_seal(call);
        tq_list_add(&r->handshake, call);
        r->handshaking++;
    }

    return 0;
}


/* A call's first argument: of a plain command its name, of a script's call its
 * key. */
static const char *
tq_handshake_word(const tq_call_t *call, int *len)
{
    const char  *word;

    /* the body starts with $<len>\r\n */
    word = memchr(call->body.p, '\n', call->body.len);
    word = (word == NULL) ? "" : word + 1;
    *len = (int) strcspn(word, "\r");

    return word;
}


/* Says in r->why what the user lacks: rights, with spaces between; not all of
 * them where they are many. */
static void
tq_handshake_lacks(tq_redis_t *r, const char *rights)
{
    size_t  n;

    n = strlen(rights);
    if (n > TQ_SHAKE_RIGHTS) {
        n = TQ_SHAKE_RIGHTS;
        while (n != 0 && rights[n] != ' ') {
            n--;
        }
    }

    tq_text_print(r->why, sizeof(r->why),
        "user %.32s lacks the permission for %.*s%s: give it the rights of "
        "redis-acl.example",
        r->conf.user[0] != '\0' ? r->conf.user : "default",
        (int) n, rights, rights[n] != '\0' ? " and more" : "");
}


/* The command that Redis names in an error for a missing right, in `name`, or
 * 0: it is not about a command. */
static int
tq_handshake_denied(const char *text, char *name, size_t size)
{
    const char  *p, *end;

    p = strstr(text, "to run the '");
    if (p == NULL) {
        return 0;
    }

    p += sizeof("to run the '") - 1;
    end = strchr(p, '\'');
    snprintf(name, size, "%.*s", (int) (end != NULL ? end - p : 0), p);

    return 1;
}


/* Says in r->why that Redis answered a call with an error, text. */
static void
tq_handshake_refused(tq_redis_t *r, const tq_call_t *call, tq_redis_err_t err,
    const char *text)
{
    int                 len;
    char                name[32];
    const char         *word;
    const tq_script_t  *script;

    word = tq_handshake_word(call, &len);
    script = call->data;

    if (err == TQ_ERR_NOPERM && tq_handshake_denied(text, name, sizeof(name))) {
        tq_handshake_lacks(r, name);

    } else if (call->script != NULL && err == TQ_ERR_NOPERM) {
        tq_text_print(r->why, sizeof(r->why),
            "user %.32s may not use the keys %.*s*: give it the rights of "
            "redis-acl.example (%.80s)",
            r->conf.user[0] != '\0' ? r->conf.user : "default",
            len, word, text);

    } else if (call->script != NULL) {
        tq_text_print(r->why, sizeof(r->why),
            "script %s was refused: %.120s", call->script->name, text);

    } else if (*word == 'A') {
        /* some servers repeat the arguments in an error: no text here */
        snprintf(r->why, sizeof(r->why),
            "AUTH was refused: %s", err == TQ_ERR_OTHER
                ? "no such password is expected" : tq_redis_err_text(err));

    } else {
        tq_text_print(r->why, sizeof(r->why),
            "%.*s%s%s was refused: %.120s",
            len, word, script != NULL ? " LOAD " : "",
            script != NULL ? script->name : "", text);
    }
}


/* A reply to one of the host's own calls. */
static int
tq_handshake_greeted(tq_redis_t *r, const tq_call_t *call,
    const redisReply *reply)
{
    char            why[sizeof(r->why)];
    tq_redis_err_t  err;

    why[0] = '\0';
    err = tq_redis_err(reply);

    if (call->script != NULL && err != TQ_ERR_NONE) {
        tq_redis_tell(r, err, 1);
        tq_handshake_refused(r, call, err, reply->str);
        return -1;
    }

    switch (r->conf.greet->judge(call, reply, why, sizeof(why))) {

    case TQ_GREETED:
        return 0;

    case TQ_GREET_NEXT:
        r->greet_step++;
        if (tq_handshake_greet(r) == 0) {
            return 0;
        }
        snprintf(r->why, sizeof(r->why), "out of memory");
        return -1;

    case TQ_GREET_LACKS:
        tq_redis_tell(r, TQ_ERR_NOPERM, 1);
        tq_handshake_lacks(r, why);
        return -1;

    case TQ_GREET_UNFIT:
        break;
    }

    tq_redis_tell(r, TQ_ERR_OTHER, 1);
    snprintf(r->why, sizeof(r->why), "%s", why);

    return -1;
}


int
tq_handshake_reply(tq_redis_t *r, tq_call_t *call, const redisReply *reply)
{
    int                 len;
    const char         *word;
    tq_redis_err_t      err;
    const tq_script_t  *script;

    if (call->greets) {
        return tq_handshake_greeted(r, call, reply);
    }

    err = tq_redis_err(reply);
    script = call->data;

    if (err != TQ_ERR_NONE) {
        tq_redis_tell(r, err, 1);
        tq_handshake_refused(r, call, err, reply->str);
        return -1;
    }

    if (script != NULL) {
        if (reply->type != REDIS_REPLY_STRING || reply->len != 40
            || memcmp(reply->str, script->sha, 40) != 0)
        {
            snprintf(r->why, sizeof(r->why),
                "Redis gives script %s another SHA-1", script->name);
            return -1;
        }

        return 0;
    }

    if (reply->type != REDIS_REPLY_STATUS) {
        word = tq_handshake_word(call, &len);
        snprintf(r->why, sizeof(r->why), "%.*s got a reply of type %d",
            len, word, reply->type);
        return -1;
    }

    return 0;
}


/* splitmix64: many processes lose Redis at once and must not come back at
 * once. 1 … cap. */
static int64_t
tq_jitter_ms(tq_redis_t *r, int64_t cap)
{
    uint64_t  z;

    r->random += 0x9e3779b97f4a7c15u;
    z = r->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;

    return 1 + (int64_t) (z % (uint64_t) cap);
}


int64_t
tq_backoff_ms(tq_redis_t *r, int64_t now_ms)
{
    int64_t   cap, max;
    unsigned  i;

    if (r->ready_at != TQ_NEVER && now_ms - r->ready_at >= TQ_STABLE_MS) {
        r->failures = 0;
        r->eager_until = now_ms + r->conf.patience_ms;
    }

    if (now_ms < r->eager_until) {
        return tq_jitter_ms(r, TQ_EAGER_MS);
    }

    max = r->conf.backoff_max_ms ? r->conf.backoff_max_ms
          : TQ_BACKOFF_MAX_MS;

    cap = TQ_BACKOFF_MIN_MS;
    for (i = 0; i < r->failures && cap < max; i++) {
        cap *= 2;
    }

    if (cap > max) {
        cap = max;
    } else {
        r->failures++;
    }

    return tq_jitter_ms(r, cap);
}
