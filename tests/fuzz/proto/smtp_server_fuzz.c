/* The server engine under any client and any driver that keeps to the contract.
 *
 * The first byte chooses the configuration, the second how the input is split.  Every input is
 * played three times: whole and split with the driver that decides by what it reads, which must
 * come out the same; and with one whose decisions are the input's last bytes, read backwards,
 * while the engine is held to what its header says of the actions and their order. */
#include "../../unit/proto/smtp_server_kit.h"

enum { SIZE_MAX_HERE = 300 };

static struct smtp_server_config config_of(uint8_t flags)
{
    return (struct smtp_server_config){
        .fqdn = BYTES("mx.test"),
        .banner = BYTES("mx.test ESMTP"),
        .size_bytes_max = SIZE_MAX_HERE,
        .recipients_max = 2,
        .errors_max = flags & 1 ? 2 : 1000,
        .mails_max = flags & 2 ? 3 : 0,
        .offers_starttls = flags & 4,
        .requires_tls = flags & 8,
        .auth_mechanisms = flags & 16 ? BYTES("PLAIN LOGIN") : BYTES_NONE,
        .offers_auth_plain_text = true,
        .requires_auth = flags & 32,
        .tolerates_bare_lf = flags & 64,
        .tolerates_path_spaces = flags & 64,
        .tolerates_no_brackets = flags & 64,
        .tolerates_bad_helo = flags & 64,
        .tolerates_no_helo = flags & 64,
        .logs_lines = flags & 128,
    };
}

/* What was said is whole reply lines of printable bytes. */
static void check_replies(struct bytes said)
{
    while (said.n) {
        size_t lf = bytes_find(said, '\n');

        assert(lf != BYTES_NOT_FOUND && lf > 4 && said.at[lf - 1] == '\r');
        assert(said.at[0] >= '2' && said.at[0] <= '5');
        assert(said.at[3] == ' ' || said.at[3] == '-');
        for (size_t i = 0; i + 1 < lf; i++)
            assert(said.at[i] >= ' ' && said.at[i] != 127);
        said = bytes_skip(said, lf + 1);
    }
}

static void play(struct driver *driver, const struct smtp_server_config *config,
    struct bytes in, size_t step)
{
    driver_init(driver, config);
    driver->never_fails = true;
    run_event(driver, SMTP_SERVER_OPENED, BYTES_NONE);
    run_input(driver, in, step, step);
    check_replies(buf_bytes(&driver->said));
}

static void compare(const struct smtp_server_config *config, struct bytes in, size_t step)
{
    struct driver whole, split;

    play(&whole, config, in, in.n ? in.n : 1);
    play(&split, config, in, step);
    assert(bytes_equal(buf_bytes(&whole.said), buf_bytes(&split.said)));
    assert(bytes_equal(buf_bytes(&whole.done), buf_bytes(&split.done)));
    assert(whole.server.state == split.server.state);
    driver_done(&whole);
    driver_done(&split);
}

/* The driver that decides by chance, and what it holds. */
struct chance {
    struct smtp_server server;
    struct buf out;
    struct bytes dice; /* taken from the end */
    bool has_mail, has_body, is_committing, is_closed;
    enum smtp_server_action_type asked; /* what DECIDED answers */
    uint64_t body_bytes;
    struct verdict verdict;
    enum smtp_server_event_type next;
    bool owes;
};

static unsigned roll(struct chance *chance)
{
    if (chance->dice.n == 0)
        return 5;
    chance->dice.n--;
    return chance->dice.at[chance->dice.n];
}

static bool choose(struct chance *chance, const char *text)
{
    static const uint16_t codes[] = { 550, 451, 421, 554 };
    unsigned n = roll(chance) % 16;

    chance->verdict = n < 4 ? say(codes[n], STATUS(0, 0, 0), n & 1 ? "" : "n\no")
                            : say(250, STATUS(2, 0, 0), text);
    return n >= 4;
}

static void owe(struct chance *chance, enum smtp_server_event_type type)
{
    assert(!chance->owes);
    chance->owes = true;
    chance->next = type;
}

static void on_check(struct chance *chance, enum smtp_server_action_type type)
{
    assert(!chance->is_committing);
    assert(type == SMTP_SERVER_CHECK_HELLO ||
           (!chance->has_body && chance->has_mail == (type != SMTP_SERVER_CHECK_MAIL)));
    choose(chance, "");
    chance->asked = type;
    owe(chance, SMTP_SERVER_DECIDED);
}

/* The driver holds a transaction, or content, from when it has said 250. */
static void before_decided(struct chance *chance)
{
    if (chance->is_closed || !verdict_is_ok(&chance->verdict))
        return;
    chance->has_mail |= chance->asked == SMTP_SERVER_CHECK_MAIL;
    chance->has_body |= chance->asked == SMTP_SERVER_BODY_BEGIN;
    chance->body_bytes = 0;
}

static void on_body(struct chance *chance, const struct smtp_server_action *action)
{
    if (action->type == SMTP_SERVER_BODY) {
        assert(action->text.n > 0);
        chance->body_bytes += action->text.n;
        assert(chance->has_body && chance->body_bytes <= SIZE_MAX_HERE);
    } else if (action->type == SMTP_SERVER_RESET) {
        assert(chance->has_mail && !chance->has_body);
        chance->has_mail = false;
    } else if (action->type == SMTP_SERVER_BODY_ABANDON) {
        assert(chance->has_body);
        chance->has_mail = chance->has_body = false;
    } else {
        assert(chance->has_body && chance->has_mail);
        chance->has_mail = chance->has_body = false;
        chance->is_committing = true;
        owe(chance, choose(chance, "id-stored") ? SMTP_SERVER_STORED : SMTP_SERVER_REFUSED);
    }
}

static void on_auth(struct chance *chance)
{
    if (roll(chance) % 2) {
        owe(chance, SMTP_SERVER_AUTH_CHALLENGE);
        return;
    }
    choose(chance, "");
    owe(chance, SMTP_SERVER_AUTH_DONE);
}

static void on_action(struct chance *chance, const struct smtp_server_action *action)
{
    assert(!chance->is_closed);
    switch (action->type) {
    case SMTP_SERVER_CHECK_HELLO:
    case SMTP_SERVER_CHECK_MAIL:
    case SMTP_SERVER_CHECK_RCPT:
    case SMTP_SERVER_BODY_BEGIN:
        on_check(chance, action->type);
        break;
    case SMTP_SERVER_BODY:
    case SMTP_SERVER_BODY_END:
    case SMTP_SERVER_BODY_ABANDON:
    case SMTP_SERVER_RESET:
        on_body(chance, action);
        break;
    case SMTP_SERVER_START_TLS:
        assert(!chance->has_mail);
        owe(chance, SMTP_SERVER_TLS_STARTED);
        break;
    case SMTP_SERVER_AUTH_BEGIN:
    case SMTP_SERVER_AUTH_RESPONSE:
        on_auth(chance);
        break;
    case SMTP_SERVER_CLOSE:
        chance->is_closed = true;
        assert(!chance->has_mail && !chance->has_body);
        break;
    case SMTP_SERVER_AUTH_CANCEL:
    case SMTP_SERVER_LINE:
    case SMTP_SERVER_PROTOCOL_ERROR:
        break;
    case SMTP_SERVER_REJECTED:
        assert(action->rule[0] && action->command[0]);
        assert(bytes_ends_nocase(action->text, BYTES("\r\n")));
        break;
    }
}

/* One event and its actions; what is owed afterwards is given by the caller. */
static size_t post(struct chance *chance, enum smtp_server_event_type type, struct bytes in)
{
    struct smtp_server_event event = { type, in, &chance->verdict };
    struct smtp_server_actions actions;
    size_t used, said_n = chance->out.n;
    uint32_t refusals = chance->server.refusal_count;
    struct bytes said;

    used = smtp_server_step(&chance->server, &event, &actions, &chance->out);
    assert(used <= in.n && (used == 0 || type == SMTP_SERVER_INPUT));
    assert(actions.count <= SMTP_SERVER_ACTIONS_MAX);
    assert(chance->server.refusal_count - refusals <= 1);
    said = bytes_skip(buf_bytes(&chance->out), said_n);
    check_replies(said);
    assert(type == SMTP_SERVER_STORED || !has(said, "id-stored"));
    assert(type != SMTP_SERVER_STORED || chance->is_closed || has(said, "250 2.0.0 id-stored"));
    if (type == SMTP_SERVER_STORED || type == SMTP_SERVER_REFUSED)
        chance->is_committing = false;
    for (unsigned i = 0; i < actions.count; i++)
        on_action(chance, &actions.list[i]);
    return used;
}

/* Gives up the message, stops the session, or lets it be. */
static void disturb(struct chance *chance)
{
    unsigned n = roll(chance) % 32;

    if (n == 0 && chance->has_body && !chance->owes) {
        chance->verdict = say(451, STATUS(4, 3, 0), "gave up");
        chance->has_body = chance->has_mail = false;
        post(chance, SMTP_SERVER_BODY_FAILED, BYTES_NONE);
    } else if (n == 1) {
        struct verdict verdict = chance->verdict;

        chance->verdict = say(421, STATUS(4, 3, 2), "stopped");
        post(chance, SMTP_SERVER_STOPPED, BYTES_NONE);
        chance->verdict = verdict; /* what is owed comes late */
    }
}

static void run_by_chance(const struct smtp_server_config *config, struct bytes in, size_t step)
{
    struct chance chance = { .dice = in };
    size_t at = 0, end = 0, used;

    smtp_server_init(&chance.server, config);
    buf_init(&chance.out, 3 * SMTP_SERVER_LINE_BYTES_MAX);
    post(&chance, SMTP_SERVER_OPENED, BYTES_NONE);
    for (;;) {
        size_t said_n = chance.out.n;

        disturb(&chance);
        if (chance.owes) {
            chance.owes = false;
            if (chance.next == SMTP_SERVER_DECIDED)
                before_decided(&chance);
            post(&chance, chance.next, BYTES("challenge"));
            continue;
        }
        if (chance.is_closed)
            break;
        used = post(&chance, SMTP_SERVER_INPUT, bytes_skip(bytes_first(in, end), at));
        at += used;
        if (used || chance.owes)
            continue;
        if (said_n) {
            buf_clear(&chance.out);
            continue;
        }
        if (end == in.n)
            break;
        end = end + step < in.n ? end + step : in.n;
    }
    smtp_server_done(&chance.server);
    buf_done(&chance.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtp_server_config config;
    struct bytes in;

    if (size < 2 || size > 8192)
        return 0;
    config = config_of(data[0]);
    in = bytes_of(data + 2, size - 2);
    compare(&config, in, 1 + data[1] % 64);
    run_by_chance(&config, in, 1 + data[1] / 4);
    return 0;
}
