/* log.c: see log.h. */

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "tq_base.h"

static tw_level_t   log_min = TW_INFO;
static int          log_json;
static uint64_t     log_dropped;
static tq_buf_t     log_buf;     /* kept: a line costs no allocation */
static int          log_fd = -1;
static int          log_socket;
static int          log_torn;    /* the last line was cut in its middle */

static const char  *level_names[] = { "debug", "info", "warn", "error" };

int
tw_log_level(const char *name, tw_level_t *out)
{
    int  i;

    if (strcasecmp(name, "warning") == 0) {
        name = "warn";
    }

    for (i = 0; i < 4; i++) {
        if (strcasecmp(name, level_names[i]) == 0) {
            *out = (tw_level_t) i;
            return 0;
        }
    }

    return -1;
}

void
tw_log_init(tw_level_t min, int json)
{
    log_min = min;
    log_json = json;
}

int
tw_log_on(tw_level_t level)
{
    return level >= log_min;
}

/* A value in a text line: bare when it is one plain word, else quoted. */
static void
add_text(tq_buf_t *b, const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if ((unsigned char) s[i] <= ' ' || s[i] == '"' || s[i] == '='
            || s[i] == '\\' || (unsigned char) s[i] >= 0x7f)
        {
            break;
        }
    }

    if (len != 0 && i == len) {
        tq_buf_add(b, s, len);
    } else {
        tq_buf_add_json(b, s, len);
    }
}

static void
add_field(tq_buf_t *b, const tw_field_t *f)
{
    if (log_json) {
        tq_buf_addc(b, ',');
        tq_buf_add_json(b, f->key, strlen(f->key));
        tq_buf_addc(b, ':');
    } else {
        tq_buf_addc(b, ' ');
        tq_buf_adds(b, f->key);
        tq_buf_addc(b, '=');
    }

    if (f->s == NULL) {
        tq_buf_addi(b, f->n);
    } else {
        size_t  len = f->len;

        len = tq_text_cut(f->s, len, TQ_LOG_FIELD_BYTES);

        if (log_json) {
            tq_buf_add_json(b, f->s, len);
        } else {
            add_text(b, f->s, len);
        }
    }
}

/*
 * stderr's flags are shared with whoever gave it to us, so they stay as they
 * are: a pipe or a terminal is opened once more, without blocking; a socket
 * (systemd's journal) takes a flag per write; a file does not block.
 */
static void
open_sink(void)
{
    struct stat  st;

    log_fd = STDERR_FILENO;

    if (fstat(STDERR_FILENO, &st) != 0) {
        return;
    }

    log_socket = S_ISSOCK(st.st_mode);

    if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
        log_fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY
                      | O_CLOEXEC);
        if (log_fd < 0) {
            log_fd = STDERR_FILENO;
        }
    }
}

/* Writes the line if it is taken now. 0, or -1: it is lost. */
static int
put(const tq_buf_t *b)
{
    ssize_t        n;
    struct pollfd  p = { .events = POLLOUT };

    if (log_fd < 0) {
        open_sink();
    }

    p.fd = log_fd;
    if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0) {
        return -1;
    }

    if (log_torn) {
        log_torn = write(log_fd, "\n", 1) != 1;
    }

    n = log_socket ? send(log_fd, b->p, b->len, MSG_DONTWAIT | MSG_NOSIGNAL)
                   : write(log_fd, b->p, b->len);

    if (n != (ssize_t) b->len) {
        log_torn |= n > 0;    /* a part of it: ends there */
        return -1;
    }

    return 0;
}

void
tw_log_fields(tw_level_t level, const char *msg, const tw_field_t *fields)
{
    char              when[TQ_TIME_ISO_LEN + 1];
    tq_buf_t         *b = &log_buf;
    struct timespec   ts;
    tw_field_t        dropped = tw_fi("dropped_lines", 0);

    clock_gettime(CLOCK_REALTIME, &ts);
    tq_time_format((int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000, when);

    tq_buf_reset(b);
    if (log_json) {
        tq_buf_addf(b, "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":", when,
            level_names[level]);
        tq_buf_add_json(b, msg, strlen(msg));
    } else {
        tq_buf_addf(b, "%s %-5s %s", when, level_names[level], msg);
    }

    for (fields++; fields->key != NULL; fields++) {
        add_field(b, fields);
    }

    if (log_dropped != 0) {
        dropped.n = (int64_t) log_dropped;
        add_field(b, &dropped);
    }

    tq_buf_adds(b, log_json ? "}\n" : "\n");
    if (!b->failed && put(b) == 0) {
        log_dropped = 0;
    } else {
        log_dropped++;
    }
}

void
tw_log_lines(tw_level_t level, const char *msg, const char *key,
    tq_buf_t *lines)
{
    size_t       n;
    const char  *p = tq_buf_cstr(lines);

    for (; p != NULL && *p != '\0'; p += n + (p[n] == '\n')) {
        n = strcspn(p, "\n");
        TW_LOG(level, msg, tw_fz(key, ((tq_str_t) { p, n })));
    }

    tq_buf_free(lines);
}
