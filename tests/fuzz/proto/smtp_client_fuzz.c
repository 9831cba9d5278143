/* A peer that says anything, and a driver that keeps to the header.
 *
 * The first four bytes choose the configuration and the driver's habits.  Each further byte is
 * a move: one of the replies below, an event, or raw bytes.  Whatever happens: each recipient
 * of an offered message gets one RESULT, or the message is RETURNED and none gets any; each
 * message ends once; nothing is written while the content is being handed over; the engine
 * comes to CLOSE. */
#include "proto/smtp/client.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

enum { MESSAGES_MAX = 64, RECIPIENTS_MAX = 600 };

struct offered {
    bool is_over;
    uint8_t results[RECIPIENTS_MAX];
    uint32_t recipient_count, result_count;
};

struct drive {
    struct smtp_client *client;
    struct buf out, input;
    uint32_t recipient_count;
    size_t content_bytes;
    uint8_t habits;
    struct offered offered[MESSAGES_MAX];
    unsigned offered_count;
    bool is_ready, is_asked, is_starting_tls, is_closed, is_asked_to_say;
    bool is_stuffed, is_more;
};

static struct recipient recipients[RECIPIENTS_MAX];

static const char *const replies[] = {
    "220 mx\r\n",
    "250 ok\r\n",
    "250 ok\r\n250 ok\r\n354 go\r\n",
    "250-mx\r\n250-PIPELINING\r\n250 SIZE 100\r\n",
    "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 BINARYMIME\r\n",
    "250-mx\r\n250-CHUNKING\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 SMTPUTF8\r\n",
    "250-mx\r\n250-PIPELINING\r\n250-AUTH=LOGIN\r\n250-DSN\r\n250 LIMITS MAILMAX=3 "
    "RCPTMAX=2\r\n",
    "354 go\r\n",
    "550 5.1.1 who\r\n",
    "451 4.3.0 later\r\n",
    "421 4.3.2 bye\r\n",
    "334 VXNlcg==\r\n",
    "235 2.7.0 in\r\n",
    "503 5.5.1 what\r\n",
    "221 bye\r\n",
    "250-half\r\n",
    "250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 "
    "ok\r\n",
};
enum { REPLY_COUNT = sizeof replies / sizeof *replies };

static size_t step(struct drive *drive, struct smtp_client_event event);

static void post(struct drive *drive, enum smtp_client_event_type type)
{
    step(drive, (struct smtp_client_event){ .type = type });
}

static struct offered *find(struct drive *drive, uint64_t tag)
{
    assert(tag < drive->offered_count);
    assert(!drive->offered[tag].is_over);
    return &drive->offered[tag];
}

static void on_result(struct drive *drive, const struct smtp_client_action *action)
{
    struct offered *offered = find(drive, action->tag);

    assert(action->recipient < offered->recipient_count);
    assert(offered->results[action->recipient]++ == 0);
    assert(action->reply && action->reply->code >= 200 && action->reply->code <= 599);
    assert(strlen(action->reply->text) < SMTP_REPLY_TEXT_MAX);
    assert(action->reply->code / 100 != 2 || action->stage == SMTP_CLIENT_AT_END);
    offered->result_count++;
}

static void on_action(struct drive *drive, const struct smtp_client_action *action)
{
    struct offered *offered;

    switch (action->type) {
    case SMTP_CLIENT_START_TLS:
        drive->is_starting_tls = true;
        break;
    case SMTP_CLIENT_AUTH:
        assert(!drive->is_asked_to_say);
        drive->is_asked_to_say = true;
        break;
    case SMTP_CLIENT_READY:
        assert(!drive->is_ready);
        drive->is_ready = true;
        break;
    case SMTP_CLIENT_SEND_CONTENT:
        find(drive, action->tag);
        drive->is_asked = true;
        drive->is_stuffed = action->is_stuffed;
        break;
    case SMTP_CLIENT_RESULT:
        on_result(drive, action);
        break;
    case SMTP_CLIENT_DONE:
        offered = find(drive, action->tag);
        assert(offered->result_count == offered->recipient_count);
        offered->is_over = true;
        break;
    case SMTP_CLIENT_RETURNED:
        offered = find(drive, action->tag);
        assert(offered->result_count == 0);
        offered->is_over = true;
        break;
    case SMTP_CLIENT_FAILED:
        assert(action->reply && action->reply->code >= 200);
        break;
    case SMTP_CLIENT_LINE_IN:
    case SMTP_CLIENT_LINE_OUT:
        assert(bytes_find(action->text, '\n') == BYTES_NOT_FOUND);
        break;
    case SMTP_CLIENT_CLOSE:
        assert(!drive->is_closed);
        drive->is_closed = true;
        break;
    case SMTP_CLIENT_UP:
        break;
    }
}

static size_t step(struct drive *drive, struct smtp_client_event event)
{
    struct smtp_client_actions actions;
    bool was_asked = drive->is_asked && event.type != SMTP_CLIENT_CONTENT_SENT;
    size_t out_n = drive->out.n;
    size_t used = smtp_client_step(drive->client, &event, &actions, &drive->out);

    assert(used <= event.input.n);
    assert(!was_asked || drive->out.n == out_n);
    assert(actions.count <= SMTP_CLIENT_ACTIONS_MAX);
    if (event.type == SMTP_CLIENT_CONTENT_SENT)
        drive->is_asked = false;
    for (unsigned i = 0; i < actions.count; i++)
        on_action(drive, &actions.list[i]);
    (void)smtp_client_waits(drive->client);
    drive->is_more = actions.is_more;
    if (actions.is_more && event.input.n == 0)
        post(drive, SMTP_CLIENT_INPUT);
    return used;
}

static void feed(struct drive *drive, struct bytes bytes)
{
    size_t used;

    assert(buf_add(&drive->input, bytes) == OK);
    do {
        used = step(drive, (struct smtp_client_event){
                               .type = SMTP_CLIENT_INPUT, .input = buf_bytes(&drive->input) });
        buf_drop(&drive->input, used);
    } while (drive->is_more || (used && drive->input.n));
    if (drive->input.n > 8192)
        buf_clear(&drive->input);
}

static void offer(struct drive *drive)
{
    static const struct bytes senders[] = { BYTES("s@x"), BYTES_NONE, BYTES("s\r\n@x"),
        BYTES("\xc3\xa9@x") };
    unsigned n = drive->offered_count;
    struct smtp_client_message message = {
        .tag = n,
        .sender = senders[drive->habits & 3],
        .body = n % 7 == 6 ? BODY_BINARYMIME : BODY_7BIT,
        .has_dot_line = n % 2,
        .ends_with_crlf = n % 3 != 0,
        .content_bytes = drive->content_bytes,
        .recipients = recipients,
        .recipient_count = drive->recipient_count,
    };

    if (!drive->is_ready || n == MESSAGES_MAX)
        return;
    drive->is_ready = false;
    drive->offered[n].recipient_count = message.recipient_count;
    drive->offered_count++;
    step(drive, (struct smtp_client_event){ .type = SMTP_CLIENT_OFFER, .message = &message });
}

static void hand_over(struct drive *drive)
{
    static const uint8_t content[256];

    if (!drive->is_asked || drive->is_closed)
        return;
    buf_clear(&drive->out);
    assert(buf_add(&drive->out, bytes_of(content, drive->content_bytes)) == OK);
    post(drive, SMTP_CLIENT_CONTENT_SENT);
}

/* The habits of a driver that does at once what it is asked. */
static void be_prompt(struct drive *drive)
{
    if (drive->is_starting_tls && !drive->is_closed) {
        drive->is_starting_tls = false;
        post(drive, SMTP_CLIENT_TLS_STARTED);
    }
    for (int i = 0; i < 8 && drive->is_asked_to_say; i++) {
        drive->is_asked_to_say = false;
        step(drive, (struct smtp_client_event){ .type = SMTP_CLIENT_AUTH_RESPONSE,
                        .input = BYTES("n,,n=user"),
                        .is_last = drive->habits & 2 });
    }
    for (int i = 0; i < 8 && drive->habits & 4 && drive->is_asked; i++)
        hand_over(drive);
    if (drive->habits & 8)
        offer(drive);
    for (int i = 0; i < 8 && drive->habits & 4 && drive->is_asked; i++)
        hand_over(drive);
    if (drive->habits & 16)
        buf_clear(&drive->out);
}

static void move(struct drive *drive, uint8_t what, struct bytes rest)
{
    struct verdict lost = { 451, { 4, 4, 2 }, "lost" };

    if (what < 200)
        feed(drive, bytes_text(replies[what % REPLY_COUNT]));
    else if (what < 215)
        offer(drive);
    else if (what < 230)
        hand_over(drive);
    else if (what < 240)
        buf_clear(&drive->out);
    else if (what < 250)
        feed(drive, bytes_first(rest, what - 239u));
    else if (what == 250 && !(drive->habits & 32))
        step(drive, (struct smtp_client_event){ .type = SMTP_CLIENT_LOST, .verdict = &lost });
    else if (what == 251) {
        drive->is_ready = false;
        post(drive, SMTP_CLIENT_QUIT);
    } else
        post(drive, SMTP_CLIENT_INPUT);
}

static struct smtp_client_config configure(const uint8_t *at)
{
    struct smtp_client_config config = {
        .fqdn = BYTES("us.example"),
        .is_lmtp = at[0] & 1,
        .uses_chunking = at[0] & 2,
        .uses_pipelining = at[0] & 4,
        .tls = at[0] >> 3 & 1 ? SMTP_CLIENT_TLS_MAY : SMTP_CLIENT_TLS_NONE,
        .auth_plain_text = true,
        .logs_lines = at[0] & 16,
        .under_way_max = 1 + (at[0] >> 5),
        .mails_max = at[1] & 7,
    };

    if (at[1] & 8) {
        config.auth_user = BYTES("user");
        config.auth_password = BYTES("password");
        config.auth_mechanisms = at[1] >> 4;
    }
    return config;
}

static void fill_recipients(void)
{
    static const struct bytes addresses[] = { BYTES("a@x"), BYTES("b@x"), BYTES("c@x"),
        BYTES("\xc3\xa9@x"), BYTES("a@x>\r\n") };

    for (size_t i = 0; i < RECIPIENTS_MAX; i++)
        recipients[i].address = addresses[i % 5];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t counts[] = { 1, 2, 5, 0, 3, 80, 1, RECIPIENTS_MAX };
    struct smtp_client_config config;
    struct drive *drive;

    if (size < 4)
        return 0;
    fill_recipients();
    config = configure(data);
    drive = calloc(1, sizeof *drive);
    drive->client = smtp_client_new(&config);
    drive->recipient_count = counts[data[1] >> 5];
    drive->habits = data[2];
    drive->content_bytes = data[3];
    buf_init(&drive->out, data[2] & 64 ? 3000 : 1 << 20);
    buf_init(&drive->input, 1 << 20);
    post(drive, SMTP_CLIENT_CONNECTED);
    for (size_t i = 4; i < size && i < 4000; i++) {
        if (smtp_client_waits(drive->client) != SMTP_CLIENT_WAITS_NOT)
            (void)smtp_client_peer(drive->client);
        if (!drive->offered_count && !drive->is_ready)
            buf_clear(&drive->out); /* until UP there must be room */
        move(drive, data[i], bytes_of(data + i + 1, size - i - 1));
        be_prompt(drive);
    }
    buf_clear(&drive->out);
    post(drive, SMTP_CLIENT_LOST);
    assert(drive->is_closed);
    for (unsigned i = 0; i < drive->offered_count; i++)
        assert(drive->offered[i].is_over);
    smtp_client_free(drive->client);
    buf_done(&drive->out);
    buf_done(&drive->input);
    free(drive);
    return 0;
}
