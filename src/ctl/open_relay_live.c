/* The live pass: a plain SMTP client that goes as far as RCPT.
 *
 * Nearly all tricks are refused, and each refusal waits in the connector's tarpit: so some
 * connections, lanes, try them side by side.  A lane has one sender; whenever it has an answer it
 * takes the next trick of that sender that no other has taken.  A session that ends (too many
 * errors, or recipients) is followed by another one. */
#include "ctl/open_relay.h"

#include "os/address.h"
#include "os/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LINE_BYTES = 2048,
    SENDERS = 3,
    TURNED_AWAY_MAX = 50, /* in a row, while our own last connection may count yet */
    TURNED_AWAY_MS = 100,
};

/* What the next answer is to. */
enum stage { STAGE_BANNER, STAGE_HELLO, STAGE_MAIL, STAGE_RCPT };

struct lane {
    int fd; /* -1: none */
    unsigned sender, trick;
    enum stage stage;
    bool has_answered;     /* to a trick, in this session */
    struct moment waits;   /* until then */
    char text[LINE_BYTES]; /* read, and not yet looked at */
    size_t n;
    char line[LINE_BYTES]; /* the last line of the last answer */
};

struct pass {
    const char *host;
    uint16_t port;
    const char *senders[SENDERS + 1];
    const struct open_relay_trick *tricks;
    struct open_relay_pace pace;
    struct open_relay_live *out;
    struct lane lanes[OPEN_RELAY_LANES_MAX];
    unsigned open_count, turned_away;
    bool is_taken[SENDERS][OPEN_RELAY_TRICKS];
    bool has_begun; /* a session was had: until then one connection is enough */
    bool is_over;   /* no more of them */
};

/* --- Lanes ------------------------------------------------------------------------------- */

static bool take_trick(struct pass *pass, struct lane *lane)
{
    bool *is_taken = pass->is_taken[lane->sender];

    for (unsigned t = 0; t < OPEN_RELAY_TRICKS; t++) {
        if (is_taken[t])
            continue;
        is_taken[t] = true;
        lane->trick = t;
        return true;
    }
    return false;
}

static void hang_up(struct pass *pass, struct lane *lane)
{
    close(lane->fd);
    lane->fd = -1;
    pass->open_count--;
}

/* No session for now: there are fewer lanes from here on, and the last one tries again. */
static void on_turned_away(struct pass *pass, struct lane *lane)
{
    pass->is_taken[lane->sender][lane->trick] = false;
    hang_up(pass, lane);
    snprintf(pass->out->remark, sizeof pass->out->remark, "no session: %.250s",
        lane->line[0] ? lane->line : "no answer (TLS from the start?)");
    pass->pace.at_once = pass->open_count ? pass->open_count : 1;
    if (pass->open_count)
        return;
    pass->is_over = !pass->has_begun || ++pass->turned_away > TURNED_AWAY_MAX;
    if (!pass->is_over)
        poll(NULL, 0, TURNED_AWAY_MS);
}

/* The session is over, or the message full: another one goes on behind the last answer.  A trick
 * that even the first command of a session has no answer to is not tried again. */
static void on_unanswered(struct pass *pass, struct lane *lane)
{
    if (lane->stage < STAGE_MAIL) {
        on_turned_away(pass, lane);
        return;
    }
    pass->is_taken[lane->sender][lane->trick] = !lane->has_answered;
    hang_up(pass, lane);
}

/* --- Dialogue ---------------------------------------------------------------------------- */

static void wait_for(struct pass *pass, struct lane *lane, enum stage stage)
{
    lane->stage = stage;
    lane->waits.ms = clock_moment().ms + pass->pace.answer_ms;
}

static void say(struct pass *pass, struct lane *lane, enum stage stage, const char *before,
    const char *what, const char *behind)
{
    char text[LINE_BYTES];
    int n = snprintf(text, sizeof text, "%s%s%s\r\n", before, what, behind);

    wait_for(pass, lane, stage);
    if (send(lane->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        on_unanswered(pass, lane);
}

static void say_rcpt(struct pass *pass, struct lane *lane)
{
    say(pass, lane, STAGE_RCPT, "RCPT TO:<", pass->tricks[lane->trick].path, ">");
}

/* No sender, no recipient. */
static void refuse_sender(struct pass *pass, struct lane *lane)
{
    do
        pass->out->fate[lane->sender][lane->trick] = OPEN_RELAY_REFUSED;
    while (take_trick(pass, lane));
    hang_up(pass, lane);
}

static void on_trick_answered(struct pass *pass, struct lane *lane, bool is_accepted)
{
    lane->has_answered = true;
    pass->out->fate[lane->sender][lane->trick] =
        is_accepted ? OPEN_RELAY_ACCEPTED : OPEN_RELAY_REFUSED;
    if (take_trick(pass, lane))
        say_rcpt(pass, lane);
    else
        hang_up(pass, lane);
}

static void on_answer(struct pass *pass, struct lane *lane, unsigned code)
{
    bool is_yes = code / 100 == 2;

    if (!is_yes && code / 100 != 5) {
        on_unanswered(pass, lane);
        return;
    }
    switch (lane->stage) {
    case STAGE_BANNER:
    case STAGE_HELLO:
        if (!is_yes) {
            on_turned_away(pass, lane);
        } else if (lane->stage == STAGE_BANNER) {
            say(pass, lane, STAGE_HELLO, "EHLO ", OPEN_RELAY_FOREIGN, "");
        } else {
            pass->has_begun = true;
            pass->turned_away = 0;
            say(pass, lane, STAGE_MAIL, "MAIL FROM:<", pass->senders[lane->sender], ">");
        }
        break;
    case STAGE_MAIL:
        if (is_yes)
            say_rcpt(pass, lane);
        else
            refuse_sender(pass, lane);
        break;
    case STAGE_RCPT:
        on_trick_answered(pass, lane, is_yes);
        break;
    }
}

/* False: no whole line is there. */
static bool take_line(struct lane *lane)
{
    char *end = memchr(lane->text, '\n', lane->n);
    size_t n;

    if (!end)
        return false;
    n = (size_t)(end - lane->text) + 1;
    snprintf(
        lane->line, sizeof lane->line, "%.*s", (int)strcspn(lane->text, "\r\n"), lane->text);
    memmove(lane->text, lane->text + n, lane->n - n);
    lane->n -= n;
    return true;
}

static void on_readable(struct pass *pass, struct lane *lane)
{
    ssize_t n = read(lane->fd, lane->text + lane->n, sizeof lane->text - lane->n);
    uint64_t code;

    if (n <= 0) { /* or the line does not end */
        on_unanswered(pass, lane);
        return;
    }
    lane->n += (size_t)n;
    while (lane->fd >= 0 && take_line(lane)) {
        if (strlen(lane->line) > 3 && lane->line[3] == '-')
            continue;
        if (!bytes_to_number(bytes_first(bytes_text(lane->line), 3), 999, &code))
            code = 0;
        on_answer(pass, lane, (unsigned)code);
    }
}

/* --- Connections ------------------------------------------------------------------------- */

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

static void open_lane(struct pass *pass, struct lane *lane)
{
    if (!take_trick(pass, lane))
        return;
    if (!connect_to(pass->host, pass->port, &lane->fd, pass->out->client)) {
        snprintf(
            pass->out->remark, sizeof pass->out->remark, "no connection: %s", strerror(errno));
        lane->fd = -1;
        pass->is_taken[lane->sender][lane->trick] = false;
        pass->is_over = true;
        return;
    }
    pass->open_count++;
    wait_for(pass, lane, STAGE_BANNER);
    lane->has_answered = false;
    lane->n = 0;
    lane->line[0] = 0;
}

static void open_lanes(struct pass *pass)
{
    for (unsigned i = 0; i < OPEN_RELAY_LANES_MAX && !pass->is_over; i++) {
        if (pass->open_count >= (pass->has_begun ? pass->pace.at_once : 1))
            return;
        if (pass->lanes[i].fd < 0)
            open_lane(pass, &pass->lanes[i]);
    }
}

/* Waits for answers, for the longest of them the time there is for one. */
static void hear_lanes(struct pass *pass)
{
    struct pollfd waits[OPEN_RELAY_LANES_MAX];
    struct moment now = clock_moment();
    int64_t left_ms = pass->pace.answer_ms;

    for (unsigned i = 0; i < OPEN_RELAY_LANES_MAX; i++) {
        const struct lane *lane = &pass->lanes[i];
        waits[i] = (struct pollfd){ .fd = lane->fd, .events = POLLIN }; /* -1 is passed over */
        if (lane->fd >= 0 && lane->waits.ms - now.ms < left_ms)
            left_ms = lane->waits.ms - now.ms;
    }
    poll(waits, OPEN_RELAY_LANES_MAX, left_ms > 0 ? (int)left_ms : 0);
    now = clock_moment();
    for (unsigned i = 0; i < OPEN_RELAY_LANES_MAX; i++) {
        struct lane *lane = &pass->lanes[i];
        if (lane->fd < 0)
            continue;
        if (waits[i].revents)
            on_readable(pass, lane);
        else if (lane->waits.ms <= now.ms)
            on_unanswered(pass, lane);
    }
}

static void init(struct pass *pass)
{
    for (unsigned i = 0; i < OPEN_RELAY_LANES_MAX; i++) {
        pass->lanes[i].fd = -1;
        pass->lanes[i].sender = i % SENDERS;
    }
    *pass->out = (struct open_relay_live){ 0 };
    for (unsigned s = 0; s < SENDERS; s++)
        for (unsigned t = 0; t < OPEN_RELAY_TRICKS; t++)
            pass->out->fate[s][t] = OPEN_RELAY_NO_ANSWER;
}

bool open_relay_try(const char *host, uint16_t port, const char *ours,
    const struct open_relay_trick tricks[OPEN_RELAY_TRICKS], struct open_relay_pace pace,
    struct open_relay_live *out)
{
    struct pass pass = {
        .host = host, .port = port, .tricks = tricks, .pace = pace, .out = out
    };
    char own[OPEN_RELAY_PATH_BYTES];

    init(&pass);
    open_relay_senders(ours, own, pass.senders);
    for (;;) {
        open_lanes(&pass);
        if (pass.open_count == 0)
            return pass.has_begun;
        hear_lanes(&pass);
    }
}
