/* The live pass: a plain SMTP client that goes as far as RCPT. */
#include "ctl/open_relay.h"

#include "os/address.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MS = 30000, LINE_BYTES = 2048 };

struct talk {
    int fd;
    char text[LINE_BYTES]; /* read, and not yet looked at */
    size_t n;
    char line[LINE_BYTES]; /* the last line of the last answer */
};

static bool read_more(struct talk *talk)
{
    struct pollfd wait = { .fd = talk->fd, .events = POLLIN };
    ssize_t n;

    if (talk->n == sizeof talk->text || poll(&wait, 1, ANSWER_MS) <= 0)
        return false;
    n = read(talk->fd, talk->text + talk->n, sizeof talk->text - talk->n);
    if (n <= 0)
        return false;
    talk->n += (size_t)n;
    return true;
}

/* The code of the next answer; 0: the connection is over. */
static unsigned read_answer(struct talk *talk)
{
    for (;;) {
        char *end = memchr(talk->text, '\n', talk->n);
        size_t n;
        uint64_t code;
        bool is_last;
        if (!end) {
            if (!read_more(talk))
                return 0;
            continue;
        }
        n = (size_t)(end - talk->text) + 1;
        snprintf(talk->line, sizeof talk->line, "%.*s", (int)strcspn(talk->text, "\r\n"),
            talk->text);
        memmove(talk->text, talk->text + n, talk->n - n);
        talk->n -= n;
        is_last = strlen(talk->line) < 4 || talk->line[3] != '-';
        if (is_last)
            return bytes_to_number(bytes_first(bytes_text(talk->line), 3), 999, &code)
                       ? (unsigned)code
                       : 0;
    }
}

static bool send_text(const struct talk *talk, const char *text, size_t n)
{
    return send(talk->fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static unsigned say(struct talk *talk, const char *line)
{
    return send_text(talk, line, strlen(line)) ? read_answer(talk) : 0;
}

static bool connect_to(const char *host, uint16_t port, int *fd, char client[64])
{
    struct endpoint endpoint = { .port = port }, ours;
    struct sockaddr_storage address;
    socklen_t n;

    if (!ip_parse(bytes_text(host), &endpoint.ip))
        return false;
    n = endpoint_to_sockaddr(&endpoint, &address);
    *fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return false;
    if (connect(*fd, (struct sockaddr *)&address, n) != 0) {
        close(*fd);
        return false;
    }
    n = sizeof address;
    if (getsockname(*fd, (struct sockaddr *)&address, &n) == 0) {
        endpoint_of_sockaddr((struct sockaddr *)&address, n, &ours);
        ip_format(ours.ip, client);
    }
    return true;
}

static bool begin(
    struct talk *talk, const char *host, uint16_t port, struct open_relay_live *out)
{
    talk->n = 0;
    if (!connect_to(host, port, &talk->fd, out->client)) {
        snprintf(out->remark, sizeof out->remark, "no connection: %s", strerror(errno));
        return false;
    }
    if (read_answer(talk) == 220 && say(talk, "EHLO " OPEN_RELAY_FOREIGN "\r\n") == 250)
        return true;
    snprintf(out->remark, sizeof out->remark, "no session: %.250s",
        talk->line[0] ? talk->line : "no answer (TLS from the start?)");
    close(talk->fd);
    return false;
}

/* One write for MAIL and all RCPTs from FIRST on: what a tarpit holds back is waited for once. */
static bool send_tricks(const struct talk *talk, const char *sender,
    const struct open_relay_trick *tricks, unsigned first)
{
    char text[OPEN_RELAY_TRICKS * (OPEN_RELAY_PATH_BYTES + 16) + 400];
    size_t n = (size_t)snprintf(text, sizeof text, "MAIL FROM:<%s>\r\n", sender);

    for (unsigned t = first; t < OPEN_RELAY_TRICKS; t++)
        n += (size_t)snprintf(text + n, sizeof text - n, "RCPT TO:<%s>\r\n", tricks[t].path);
    return send_text(talk, text, n);
}

static bool is_answer(unsigned code)
{
    return code && code != 421 && code != 452; /* the session, or the message, is full */
}

/* A session with one sender, from trick FIRST on; returns how many tricks had an answer. */
static unsigned try_some(struct talk *talk, const char *sender,
    const struct open_relay_trick *tricks, unsigned first, enum open_relay_fate *fate)
{
    unsigned t = first, code;

    if (!send_tricks(talk, sender, tricks, first))
        return 0;
    code = read_answer(talk);
    if (!is_answer(code))
        return 0;
    if (code != 250) { /* no sender, no recipient */
        for (; t < OPEN_RELAY_TRICKS; t++)
            fate[t] = OPEN_RELAY_REFUSED;
        return t - first;
    }
    for (; t < OPEN_RELAY_TRICKS; t++) {
        code = read_answer(talk);
        if (!is_answer(code))
            break;
        fate[t] = code < 300 ? OPEN_RELAY_ACCEPTED : OPEN_RELAY_REFUSED;
    }
    return t - first;
}

/* Too many errors end a session: another one goes on behind the last answer. */
static bool try_sender(const char *host, uint16_t port, const char *sender,
    const struct open_relay_trick *tricks, enum open_relay_fate *fate,
    struct open_relay_live *out)
{
    unsigned t = 0, n;

    while (t < OPEN_RELAY_TRICKS) {
        struct talk talk = { .fd = -1 };
        if (!begin(&talk, host, port, out))
            return false;
        n = try_some(&talk, sender, tricks, t, fate);
        close(talk.fd);
        if (n == 0)
            fate[t++] = OPEN_RELAY_NO_ANSWER;
        t += n;
    }
    return true;
}

bool open_relay_try(const char *host, uint16_t port, const char *ours,
    const struct open_relay_trick tricks[OPEN_RELAY_TRICKS], struct open_relay_live *out)
{
    char own[OPEN_RELAY_PATH_BYTES];
    const char *senders[4];

    *out = (struct open_relay_live){ 0 };
    open_relay_senders(ours, own, senders);
    for (unsigned s = 0; senders[s]; s++) {
        if (!try_sender(host, port, senders[s], tricks, out->fate[s], out))
            return false;
    }
    return true;
}
