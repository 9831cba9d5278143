#include "ctl/link.h"
#include "ctl/print.h"

#include "os/address.h"

#include <errno.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

enum { ANSWER_WAIT_S = 120 };

struct link {
    struct tool *tool;
    int fd;
    struct buf in;
    size_t used; /* of IN: lines that were handed out */
    size_t seen; /* ... and behind them bytes without an end: a long line is searched once */
    bool shows_progress, has_progress;
};

struct ctl_object *link_request(const char *command)
{
    struct ctl_object *request = ctl_new();

    ctl_set_text(request, "command", bytes_text(command));
    return request;
}

int link_needed(struct tool *tool)
{
    int code = EX_UNAVAILABLE;
    const char *path = tool_socket(tool, &code);

    return path
               ? tool_fail(tool, code, "the daemon is not running (nobody listens at %s)", path)
               : code;
}

static int connect_to(struct tool *tool, int *out)
{
    struct endpoint at = { .is_unix = true };
    struct timeval wait = { .tv_sec = ANSWER_WAIT_S };
    struct sockaddr_storage address;
    socklen_t n;
    int fd, code = EX_OK;
    const char *path = tool_socket(tool, &code);

    if (!path)
        return code;
    if (strlen(path) >= sizeof at.path)
        return tool_fail(tool, EX_USAGE, "%s: too long for a socket's path", path);
    memcpy(at.path, path, strlen(path));
    n = endpoint_to_sockaddr(&at, &address);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return tool_fail(tool, EX_OSERR, "no socket can be made: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, n) == 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        *out = fd;
        return EX_OK;
    }
    code = errno;
    close(fd);
    if (code == ENOENT || code == ECONNREFUSED || code == ENOTDIR)
        return LINK_DOWN;
    return tool_fail(tool, code == EACCES || code == EPERM ? EX_NOPERM : EX_OSERR, "%s: %s",
        path, strerror(code));
}

static int send_request(struct link *link, const struct ctl_object *request)
{
    struct buf line;
    struct bytes rest;
    ssize_t n = 0;

    buf_init(&line, CTL_LINE_BYTES_MAX);
    err_ignore(ctl_format(request, &line)); /* ours are short */
    rest = buf_bytes(&line);
    while (rest.n && n >= 0) {
        n = send(link->fd, rest.at, rest.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            n = 0;
        if (n > 0)
            rest = bytes_skip(rest, (size_t)n);
    }
    buf_done(&line);
    return n < 0 ? tool_fail(link->tool, EX_UNAVAILABLE, "the daemon: %s", strerror(errno))
                 : EX_OK;
}

/* The next line, without its end; borrowed until the next call. */
static int read_line(struct link *link, struct bytes *out)
{
    for (;;) {
        struct bytes rest = bytes_skip(buf_bytes(&link->in), link->used);
        size_t n = bytes_find(bytes_skip(rest, link->seen), '\n');
        uint8_t *room;
        ssize_t got;
        if (n != BYTES_NOT_FOUND) {
            n += link->seen;
            link->seen = 0;
            link->used += n + 1;
            *out = bytes_first(rest, n);
            return EX_OK;
        }
        link->seen = rest.n;
        buf_drop(&link->in, link->used);
        link->used = 0;
        room = buf_room(&link->in, 64 << 10);
        if (!room)
            return tool_fail(link->tool, EX_PROTOCOL, "the daemon's answer is too long");
        got = recv(link->fd, room, 64 << 10, 0);
        if (got > 0)
            buf_wrote(&link->in, (size_t)got);
        else if (got == 0)
            return tool_fail(link->tool, EX_UNAVAILABLE, "the daemon closed without an answer");
        else if (errno == EAGAIN)
            return tool_fail(link->tool, EX_TEMPFAIL, "the daemon does not answer");
        else if (errno != EINTR)
            return tool_fail(link->tool, EX_IOERR, "the daemon: %s", strerror(errno));
    }
}

static void show_progress(struct link *link, double part)
{
    if (!link->shows_progress)
        return;
    fprintf(stderr, "\r%3.0f %%", part * 100);
    link->has_progress = true;
}

static void end_progress(struct link *link)
{
    if (link->has_progress)
        fputs("\r     \r", stderr);
    link->has_progress = false;
}

static void print_complaints(const struct ctl_object *answer)
{
    for (size_t i = 0; i < ctl_list_count(answer, "complaints"); i++) {
        const char *text = ctl_list_text(answer, "complaints", i);
        if (text)
            fprintf(stderr, "%s\n", text);
    }
}

static int refused(struct link *link, const struct ctl_object *answer)
{
    const char *error = ctl_text(answer, "error");
    int64_t code = ctl_number(answer, "code", EX_UNAVAILABLE);

    print_complaints(answer);
    return tool_fail(link->tool, code > 0 && code < 256 ? (int)code : EX_UNAVAILABLE, "%s",
        error ? error : "the daemon refused");
}

/* One object of the answer.  True: it was the last, and *code is set. */
static bool take(struct link *link, struct ctl_object **object,
    const struct link_reader *reader, struct ctl_object **answer, int *code)
{
    struct ctl_object *row = ctl_object(*object, "row");
    double progress = ctl_real(*object, "progress", -1);

    *code = EX_OK;
    if (progress >= 0) {
        show_progress(link, progress);
        return false;
    }
    end_progress(link);
    if (row) {
        bool goes_on = !reader || !reader->on_row || reader->on_row(reader->me, row);
        ctl_free(row);
        return !goes_on;
    }
    if (!ctl_bool(*object, "ok")) {
        *code = refused(link, *object);
    } else if (answer) {
        *answer = *object;
        *object = NULL;
    }
    return true;
}

static int read_answer(
    struct link *link, const struct link_reader *reader, struct ctl_object **answer)
{
    bool is_last = false;
    int code = EX_OK;

    while (!is_last && code == EX_OK) {
        struct ctl_object *object;
        struct bytes line;
        char why[160];
        code = read_line(link, &line);
        if (code != EX_OK)
            break;
        if (ctl_parse(line, &object, why) != OK)
            return tool_fail(link->tool, EX_PROTOCOL, "the daemon's answer: %s", why);
        is_last = take(link, &object, reader, answer, &code);
        ctl_free(object);
    }
    end_progress(link);
    return code;
}

int link_ask(struct tool *tool, struct ctl_object **request, const struct link_reader *reader,
    struct ctl_object **answer)
{
    struct link link = { .tool = tool, .shows_progress = isatty(STDERR_FILENO) };
    int code = connect_to(tool, &link.fd);

    if (answer)
        *answer = NULL;
    if (code == EX_OK) {
        buf_init(&link.in, CTL_LINE_BYTES_MAX);
        code = send_request(&link, *request);
        if (code == EX_OK)
            code = read_answer(&link, reader, answer);
        buf_done(&link.in);
        close(link.fd);
    }
    ctl_free(*request);
    *request = NULL;
    return code;
}

int link_show(struct tool *tool, struct ctl_object **request,
    void (*print)(const struct ctl_object *answer), int (*when_down)(struct tool *tool))
{
    struct ctl_object *answer = NULL;
    int code = link_ask(tool, request, NULL, &answer);

    if (code == LINK_DOWN)
        return when_down(tool);
    if (code == EX_OK && answer)
        (tool->is_json ? print_json_row : print)(answer);
    ctl_free(answer);
    return code;
}
