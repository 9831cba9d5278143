/* The live pass: an SMTP client that goes as far as RCPT, over TLS where the connector wants it.
 *
 * Nearly all tricks are refused, and each refusal waits in the connector's tarpit: so some
 * connections, lanes, try them side by side.  A lane has one sender; whenever it has an answer it
 * takes the next trick of that sender that no other has taken.  A session that ends (too many
 * errors, or recipients) is followed by another one. */
#include "ctl/open_relay.h"

#include "os/address.h"
#include "os/clock.h"
#include "os/tls.h"
#include "policy/receive.h"

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
    READ_BYTES = 4096,
    KEPT_BYTES_MAX = 64 << 10, /* what a TLS record brings among them */
    WIRE_BYTES_MAX = 64 << 10,
};

/* What the next answer is to. */
enum stage {
    STAGE_BANNER,
    STAGE_HELLO,
    STAGE_STARTTLS,
    STAGE_HANDSHAKE, /* which has no reply of its own */
    STAGE_MAIL,
    STAGE_RCPT,
};

struct lane {
    int fd; /* -1: none */
    unsigned sender, trick;
    enum stage stage;
    bool has_answered;      /* to a trick, in this session */
    struct moment waits;    /* until then */
    struct tls_stream *tls; /* NULL: in the clear */
    struct buf text;        /* read, and not yet looked at */
    char line[LINE_BYTES];  /* the last line of the last answer */
};

struct pass {
    const struct open_relay_target *target;
    const char *senders[SENDERS + 1];
    struct open_relay_pace pace; /* the target's, and less where connections are refused */
    struct tls_context *context;
    enum tls_mode tls; /* of the connector that has us */
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
    tls_stream_free(lane->tls);
    lane->tls = NULL;
    buf_done(&lane->text);
    pass->open_count--;
}

/* No session for now: there are fewer lanes from here on, and the last one tries again. */
static void on_turned_away(struct pass *pass, struct lane *lane)
{
    pass->is_taken[lane->sender][lane->trick] = false;
    hang_up(pass, lane);
    if (!pass->has_begun)
        snprintf(pass->out->remark, sizeof pass->out->remark, "no session: %.250s",
            lane->line[0] ? lane->line : "no answer");
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

static bool send_all(const struct lane *lane, struct bytes bytes)
{
    return !bytes.n || send(lane->fd, bytes.at, bytes.n, MSG_NOSIGNAL) == (ssize_t)bytes.n;
}

static bool send_text(struct lane *lane, struct bytes text)
{
    struct buf wire;
    bool is_sent;

    if (!lane->tls)
        return send_all(lane, text);
    buf_init(&wire, WIRE_BYTES_MAX);
    is_sent =
        tls_stream_write(lane->tls, text, &wire) == OK && send_all(lane, buf_bytes(&wire));
    buf_done(&wire);
    return is_sent;
}

static void say(struct pass *pass, struct lane *lane, enum stage stage, const char *before,
    const char *what, const char *behind)
{
    char text[LINE_BYTES];
    int n = snprintf(text, sizeof text, "%s%s%s\r\n", before, what, behind);

    wait_for(pass, lane, stage);
    if (!send_text(lane, bytes_of(text, (size_t)n)))
        on_unanswered(pass, lane);
}

static void say_rcpt(struct pass *pass, struct lane *lane)
{
    say(pass, lane, STAGE_RCPT, "RCPT TO:<", pass->target->tricks[lane->trick].path, ">");
}

/* No sender, no recipient. */
static void refuse_sender(struct pass *pass, struct lane *lane)
{
    pass->out->is_sender_refused[lane->sender] = true;
    snprintf(pass->out->remark, sizeof pass->out->remark, "%.290s", lane->line);
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

/* --- TLS --------------------------------------------------------------------------------- */

/* What has come, or nothing to begin with, through TLS.  False: it has failed, or is over. */
static bool pass_through_tls(struct lane *lane, struct bytes in)
{
    struct buf wire;
    enum err err;

    buf_init(&wire, WIRE_BYTES_MAX);
    err = tls_stream_read(lane->tls, in, &wire, &lane->text);
    if (!send_all(lane, buf_bytes(&wire)) && err == OK)
        err = ERR_CLOSED;
    buf_done(&wire);
    if (err == ERR_TLS)
        snprintf(lane->line, sizeof lane->line, "TLS: %s", tls_stream_error(lane->tls));
    return err == OK;
}

static void start_tls(struct pass *pass, struct lane *lane)
{
    const struct tls_client_settings any = { .version_min = TLS_1_0 };
    char why[TLS_ERROR_BYTES];

    wait_for(pass, lane, STAGE_HANDSHAKE);
    buf_clear(&lane->text); /* what came in the clear is not said by TLS */
    snprintf(lane->line, sizeof lane->line, "no answer to a handshake of TLS");
    pass->out->is_tls = true;
    if (!pass->context && tls_client_context(&any, &pass->context, why) != OK)
        pass->context = NULL;
    if (!pass->context || tls_stream_new(pass->context, false, "", &lane->tls) != OK) {
        lane->tls = NULL;
        on_turned_away(pass, lane);
    } else if (!pass_through_tls(lane, BYTES_NONE)) {
        on_turned_away(pass, lane);
    }
}

static void say_hello(struct pass *pass, struct lane *lane)
{
    say(pass, lane, STAGE_HELLO, "EHLO ", OPEN_RELAY_FOREIGN, "");
}

/* The banner comes then, when the connection began with TLS. */
static void on_handshake_done(struct pass *pass, struct lane *lane)
{
    if (pass->tls == TLS_MODE_IMPLICIT)
        wait_for(pass, lane, STAGE_BANNER);
    else
        say_hello(pass, lane);
}

/* --- Answers ----------------------------------------------------------------------------- */

static void on_hello_answered(struct pass *pass, struct lane *lane)
{
    if (pass->tls == TLS_MODE_REQUIRED && !lane->tls) {
        say(pass, lane, STAGE_STARTTLS, "STARTTLS", "", "");
        return;
    }
    pass->has_begun = true;
    pass->turned_away = 0;
    say(pass, lane, STAGE_MAIL, "MAIL FROM:<", pass->senders[lane->sender], ">");
}

/* Before there is a session. */
static void on_no(struct pass *pass, struct lane *lane)
{
    pass->out->is_refused = lane->stage != STAGE_STARTTLS;
    on_turned_away(pass, lane);
}

static void on_answer(struct pass *pass, struct lane *lane, unsigned code)
{
    bool is_yes = code / 100 == 2;

    if (!is_yes && code / 100 != 5) {
        on_unanswered(pass, lane);
        return;
    }
    if (!is_yes && lane->stage < STAGE_MAIL) {
        on_no(pass, lane);
        return;
    }
    switch (lane->stage) {
    case STAGE_BANNER:
        say_hello(pass, lane);
        break;
    case STAGE_HELLO:
        on_hello_answered(pass, lane);
        break;
    case STAGE_STARTTLS:
        start_tls(pass, lane);
        break;
    case STAGE_HANDSHAKE: /* nothing is said in the clear any more */
        on_unanswered(pass, lane);
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
    struct bytes text = buf_bytes(&lane->text);
    size_t end = bytes_find(text, '\n');

    if (end == BYTES_NOT_FOUND)
        return false;
    text = bytes_first(text, end);
    if (text.n && text.at[text.n - 1] == '\r')
        text.n--;
    snprintf(lane->line, sizeof lane->line, "%.*s", BYTES_ARGS(text));
    buf_drop(&lane->text, end + 1);
    return true;
}

static void take_lines(struct pass *pass, struct lane *lane)
{
    uint64_t code;

    while (lane->fd >= 0 && take_line(lane)) {
        if (strlen(lane->line) > 3 && lane->line[3] == '-')
            continue;
        if (!bytes_to_number(bytes_first(bytes_text(lane->line), 3), 999, &code))
            code = 0;
        on_answer(pass, lane, (unsigned)code);
    }
}

static void on_readable(struct pass *pass, struct lane *lane)
{
    uint8_t room[READ_BYTES];
    ssize_t n = read(lane->fd, room, sizeof room);
    struct bytes in = bytes_of(room, n > 0 ? (size_t)n : 0);
    bool is_good =
        n > 0 && (lane->tls ? pass_through_tls(lane, in) : buf_add(&lane->text, in) == OK);

    if (is_good && lane->stage == STAGE_HANDSHAKE && tls_stream_is_up(lane->tls))
        on_handshake_done(pass, lane);
    if (lane->fd >= 0)
        take_lines(pass, lane);
    if (!is_good && lane->fd >= 0) /* or the line does not end */
        on_unanswered(pass, lane);
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

/* How the connector that takes us has TLS; what it offers only is left alone. */
static enum tls_mode mode_of(const struct pass *pass)
{
    struct arrival arrival = { .port = pass->target->port };
    const struct receive_connector *connector;

    if (!ip_parse(bytes_text(pass->target->host), &arrival.local) ||
        !ip_parse(bytes_text(pass->out->client), &arrival.peer))
        return TLS_MODE_OFF;
    connector = receive_choose(pass->target->settings, &arrival);
    return connector ? connector->tls : TLS_MODE_OFF;
}

static void open_lane(struct pass *pass, struct lane *lane)
{
    if (!take_trick(pass, lane))
        return;
    if (!connect_to(pass->target->host, pass->target->port, &lane->fd, pass->out->client)) {
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
    buf_init(&lane->text, KEPT_BYTES_MAX);
    lane->line[0] = 0;
    pass->tls = mode_of(pass);
    if (pass->tls == TLS_MODE_IMPLICIT)
        start_tls(pass, lane);
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

bool open_relay_try(const struct open_relay_target *target, struct open_relay_live *out)
{
    struct pass pass = { .target = target, .pace = target->pace, .out = out };
    char own[OPEN_RELAY_PATH_BYTES];

    init(&pass);
    open_relay_senders(target->ours, own, pass.senders);
    for (;;) {
        open_lanes(&pass);
        if (pass.open_count == 0)
            break;
        hear_lanes(&pass);
    }
    tls_context_free(pass.context);
    return pass.has_begun;
}
