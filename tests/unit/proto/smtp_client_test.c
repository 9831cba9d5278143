/* Dialogues.  A script is read line by line:
 *
 *     S text    the peer sends this line; lines that follow each other come at once
 *     C text    the next line that the engine (or the content) wrote
 *     > event   TLS | OFFER n | QUIT | LOST | SENT | HOLD (content is handed over by SENT
 * alone) ! action  the next action the engine gave
 *
 * What was written and what was given are two queues; both must be empty at the script's end.
 * Each script runs whole, byte by byte, and with every batch of the peer's lines cut once at
 * every place. */
#include "kit.h"

#include "proto/smtp/client.h"

#include <stdio.h>
#include <stdlib.h>

static const struct recipient bob[] = { { BYTES("b@x"), BYTES("rfc822;b@y"), NOTIFY_NEVER } };
static const struct recipient three[] = {
    { BYTES("a@x"), BYTES_NONE, NOTIFY_SUCCESS | NOTIFY_DELAY },
    { BYTES("b@x"), BYTES_NONE, 0 },
    { BYTES("c@x"), BYTES_NONE, 0 },
};
static const struct recipient utf8[] = { { BYTES("a@x") }, { BYTES("\xc3\xa9@x") } };
static const struct recipient evil[] = {
    { BYTES("a@x\r\nRSET") },
    { BYTES("a@x> NOTIFY=NEVER") },
    { BYTES("") },
    { BYTES("\"a >\\\" b\"@x") },
};

struct offer {
    struct smtp_client_message message;
    const char *content;
};

static const struct offer offers[] = {
    { { .sender = BYTES("s@x"),
          .ends_with_crlf = true,
          .recipients = bob,
          .recipient_count = 1 },
        "one\r\n" },
    { { .sender = BYTES("s@x"),
          .ends_with_crlf = true,
          .recipients = bob,
          .recipient_count = 1 },
        "two\r\n" },
    { { .sender = BYTES_NONE, .has_dot_line = true, .recipients = three, .recipient_count = 3 },
        ".dot" },
    { { .sender = BYTES("s@x"), .recipients = three, .recipient_count = 3 }, "no end" },
    { { .sender = BYTES("s@x"),
          .envid = BYTES("id"),
          .auth = BYTES("s@x"),
          .ret = RET_HDRS,
          .body = BODY_8BITMIME,
          .is_smtputf8 = true,
          .priority = -3,
          .ends_with_crlf = true,
          .recipients = bob,
          .recipient_count = 1 },
        "all\r\n" },
    { { .sender = BYTES("s@x"),
          .is_smtputf8 = true,
          .ends_with_crlf = true,
          .recipients = utf8,
          .recipient_count = 2 },
        "utf8\r\n" },
    { { .sender = BYTES("s@x"),
          .is_smtputf8 = true,
          .has_utf8_header = true,
          .ends_with_crlf = true,
          .recipients = bob,
          .recipient_count = 1 },
        "header\r\n" },
    { { .sender = BYTES("s@x"),
          .body = BODY_BINARYMIME,
          .ends_with_crlf = true,
          .recipients = bob,
          .recipient_count = 1 },
        "binary\r\n" },
    { { .sender = BYTES("s@x"),
          .ends_with_crlf = true,
          .recipients = evil,
          .recipient_count = 4 },
        "evil\r\n" },
    { { .sender = BYTES("s@x\r\nQUIT"),
          .ends_with_crlf = true,
          .recipients = bob,
          .recipient_count = 1 },
        "evil\r\n" },
    { { .sender = BYTES("s@x"), .has_8bit = true, .recipients = bob, .recipient_count = 1 },
        "" },
};

/* A queue of lines. */
struct queue {
    struct buf text;
    size_t at;
};

struct play {
    const char *name;
    struct smtp_client *client;
    struct buf out, input;
    struct queue given;
    size_t cut, stride;
    bool holds;
    uint64_t asked; /* the message whose content was asked for */
    bool is_stuffed, is_asked, is_more;
};

static const char *stages[] = { "SESSION", "MAIL", "RCPT", "DATA", "END", "IN_DOUBT" };

static void note_reply(struct buf *out, const struct smtp_client_action *action)
{
    char status[STATUS_TEXT_BYTES];

    status_format(action->reply->status, status);
    assert_int_equal(buf_printf(out, " %s %u%s%s %s", stages[action->stage],
                         action->reply->code, *status ? " " : "", status, action->reply->text),
        OK);
}

static void note(struct play *play, const struct smtp_client_action *action)
{
    static const char *const names[] = {
        [SMTP_CLIENT_START_TLS] = "START_TLS",
        [SMTP_CLIENT_AUTH] = "AUTH",
        [SMTP_CLIENT_UP] = "UP",
        [SMTP_CLIENT_READY] = "READY",
        [SMTP_CLIENT_SEND_CONTENT] = "SEND",
        [SMTP_CLIENT_RESULT] = "RESULT",
        [SMTP_CLIENT_DONE] = "DONE",
        [SMTP_CLIENT_FAILED] = "FAILED",
        [SMTP_CLIENT_RETURNED] = "RETURNED",
        [SMTP_CLIENT_LINE_OUT] = "OUT",
        [SMTP_CLIENT_LINE_IN] = "IN",
        [SMTP_CLIENT_CLOSE] = "CLOSE",
    };
    struct buf *out = &play->given.text;
    enum smtp_client_action_type type = action->type;

    assert_int_equal(buf_add_text(out, names[type]), OK);
    if (type == SMTP_CLIENT_SEND_CONTENT || type == SMTP_CLIENT_DONE ||
        type == SMTP_CLIENT_RETURNED)
        assert_int_equal(buf_printf(out, " %d", (int)action->tag), OK);
    if (type == SMTP_CLIENT_AUTH)
        assert_int_equal(buf_printf(out, " %.*s%s%.*s", BYTES_ARGS(action->text),
                             action->is_first ? "" : " ", BYTES_ARGS(action->more)),
            OK);
    if (type == SMTP_CLIENT_RESULT)
        assert_int_equal(buf_printf(out, " %d.%u", (int)action->tag, action->recipient), OK);
    if (type == SMTP_CLIENT_RESULT || type == SMTP_CLIENT_FAILED)
        note_reply(out, action);
    if (type == SMTP_CLIENT_LINE_OUT || type == SMTP_CLIENT_LINE_IN)
        assert_int_equal(buf_printf(out, " %.*s", BYTES_ARGS(action->text)), OK);
    assert_int_equal(buf_add_text(out, "\n"), OK);
}

static size_t step(struct play *play, const struct smtp_client_event *event);

static void hand_over(struct play *play)
{
    struct bytes content = bytes_text(offers[play->asked].content);
    struct smtp_stuff stuff = SMTP_STUFF_START;

    if (play->is_stuffed) {
        assert_int_equal(smtp_stuff_add(&stuff, content, &play->out), OK);
        assert_int_equal(smtp_stuff_end(&stuff, &play->out), OK);
    } else {
        assert_int_equal(buf_add(&play->out, content), OK);
    }
    play->is_asked = false;
    step(play, &(struct smtp_client_event){ .type = SMTP_CLIENT_CONTENT_SENT });
}

/* Does one step and what it asked for; again while there is more. */
static size_t step(struct play *play, const struct smtp_client_event *event)
{
    struct smtp_client_actions actions;
    size_t used = smtp_client_step(play->client, event, &actions, &play->out);

    for (unsigned i = 0; i < actions.count; i++) {
        note(play, &actions.list[i]);
        if (actions.list[i].type == SMTP_CLIENT_SEND_CONTENT) {
            play->is_asked = true;
            play->asked = actions.list[i].tag;
            play->is_stuffed = actions.list[i].is_stuffed;
        }
    }
    if (play->is_asked && !play->holds)
        hand_over(play);
    play->is_more = actions.is_more;
    if (actions.is_more && event->input.n == 0)
        step(play, &(struct smtp_client_event){ .type = SMTP_CLIENT_INPUT });
    return used;
}

/* What the peer sent by now: N bytes of the batch. */
static void feed(struct play *play, size_t n)
{
    struct smtp_client_event event = { .type = SMTP_CLIENT_INPUT };
    size_t used;

    do {
        event.input = bytes_first(buf_bytes(&play->input), n);
        used = step(play, &event);
        buf_drop(&play->input, used);
        n -= used;
    } while (play->is_more || (used && n));
}

static void feed_batch(struct play *play)
{
    size_t sent = play->cut < play->input.n ? play->cut : play->input.n;

    while (play->input.n) {
        size_t left = play->input.n - sent;

        feed(play, sent);
        check(play->name, left > 0 || play->input.n == 0);
        sent = play->input.n - left;
        sent += play->stride < left ? play->stride : left;
    }
}

static void offer(struct play *play, unsigned n)
{
    struct smtp_client_message message = offers[n].message;

    message.tag = n;
    message.content_bytes = strlen(offers[n].content);
    step(play, &(struct smtp_client_event){ .type = SMTP_CLIENT_OFFER, .message = &message });
}

static void post(struct play *play, struct bytes what)
{
    static const struct verdict lost = { 451, { 4, 4, 2 }, "timed out" };

    if (bytes_starts(what, BYTES("OFFER ")))
        offer(play, (unsigned)strtoul((const char *)what.at + 6, NULL, 10));
    else if (bytes_equal(what, BYTES("TLS")))
        step(play, &(struct smtp_client_event){ .type = SMTP_CLIENT_TLS_STARTED });
    else if (bytes_starts(what, BYTES("SAY ")) || bytes_starts(what, BYTES("END ")))
        step(play, &(struct smtp_client_event){ .type = SMTP_CLIENT_AUTH_RESPONSE,
                       .input = bytes_skip(what, 4),
                       .is_last = what.at[0] == 'E' });
    else if (bytes_equal(what, BYTES("NO AUTH")))
        step(play,
            &(struct smtp_client_event){ .type = SMTP_CLIENT_AUTH_FAILED, .verdict = &lost });
    else if (bytes_equal(what, BYTES("QUIT")))
        step(play, &(struct smtp_client_event){ .type = SMTP_CLIENT_QUIT });
    else if (bytes_equal(what, BYTES("LOST")))
        step(play, &(struct smtp_client_event){ .type = SMTP_CLIENT_LOST, .verdict = &lost });
    else if (bytes_equal(what, BYTES("SENT")))
        hand_over(play);
    else if (bytes_equal(what, BYTES("HOLD")))
        play->holds = true;
    else
        fail_msg("%s: unknown event %.*s", play->name, BYTES_ARGS(what));
}

static struct bytes take_line(struct bytes *text, bool has_cr)
{
    size_t lf = bytes_find(*text, '\n');
    struct bytes line = bytes_first(*text, lf);

    *text = bytes_skip(*text, lf == BYTES_NOT_FOUND ? text->n : lf + 1);
    if (has_cr && line.n && line.at[line.n - 1] == '\r')
        line.n--;
    return line;
}

static void expect(struct play *play, char kind, struct bytes want)
{
    struct bytes rest, line;

    rest = kind == 'C' ? buf_bytes(&play->out)
                       : bytes_skip(buf_bytes(&play->given.text), play->given.at);
    if (rest.n == 0)
        fail_msg("%s: nothing left, want %c %.*s", play->name, kind, BYTES_ARGS(want));
    size_t before = rest.n;
    line = take_line(&rest, kind == 'C');
    check_bytes(play->name, line, want);
    if (kind == 'C')
        buf_drop(&play->out, before - rest.n);
    else
        play->given.at += before - rest.n;
}

static void play_line(struct play *play, struct bytes line)
{
    struct bytes text = bytes_skip(line, 2);

    if (line.at[0] == 'S') {
        assert_int_equal(buf_add(&play->input, text), OK);
        assert_int_equal(buf_add_text(&play->input, "\r\n"), OK);
        return;
    }
    feed_batch(play);
    if (line.at[0] == '>')
        post(play, text);
    else
        expect(play, (char)line.at[0], text);
}

static void play(const char *name, const struct smtp_client_config *config, const char *script,
    size_t cut, size_t stride)
{
    struct play play = { .name = name, .cut = cut, .stride = stride };
    struct bytes rest = bytes_text(script);

    buf_init(&play.out, 1 << 20);
    buf_init(&play.input, 1 << 20);
    buf_init(&play.given.text, 1 << 20);
    play.client = smtp_client_new(config);
    step(&play, &(struct smtp_client_event){ .type = SMTP_CLIENT_CONNECTED });
    while (rest.n)
        play_line(&play, take_line(&rest, false));
    feed_batch(&play);
    check_bytes(name, buf_bytes(&play.out), BYTES(""));
    check_bytes(name, bytes_skip(buf_bytes(&play.given.text), play.given.at), BYTES(""));
    smtp_client_free(play.client);
    buf_done(&play.out);
    buf_done(&play.input);
    buf_done(&play.given.text);
}

struct dialogue {
    const char *name;
    struct smtp_client_config config;
    const char *script;
};

static void play_all(const struct dialogue *dialogues, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct smtp_client_config config = dialogues[i].config;

        config.fqdn = BYTES("us.example");
        if (config.under_way_max == 0)
            config.under_way_max = 3;
        play(dialogues[i].name, &config, dialogues[i].script, 1 << 20, 1);
        play(dialogues[i].name, &config, dialogues[i].script, 1, 1);
        for (size_t cut = 1; cut < 250; cut++)
            play(dialogues[i].name, &config, dialogues[i].script, cut, 1 << 20);
    }
}

#define PLAIN_EHLO                                                                             \
    "S 220 mx\nC EHLO us.example\nS 250-mx.example hello\nS 250 SIZE 1000\n! UP\n! READY\n"
#define PIPE_EHLO                                                                              \
    "S 220 mx\nC EHLO us.example\nS 250-mx.example\nS 250 PIPELINING\n! UP\n! READY\n"
#define BDAT_EHLO                                                                              \
    "S 220 mx\nC EHLO us.example\nS 250-mx.example\nS 250-CHUNKING\nS 250 PIPELINING\n! UP\n"  \
    "! READY\n"
#define FLIGHT_0 "> OFFER 0\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC DATA\n"

static void sessions(void **state)
{
    static const struct dialogue dialogues[] = {
        { "greeted and left", {}, PLAIN_EHLO "> QUIT\nC QUIT\nS 221 bye\n! CLOSE\n" },
        { "the banner refuses", {},
            "S 554 5.7.1 go away\nC QUIT\n! FAILED SESSION 554 5.7.1 go away\n! CLOSE\n" },
        { "the banner ends it", {},
            "S 421-4.3.2 full\nS 421 4.3.2 later\n"
            "! FAILED SESSION 421 4.3.2 full / later\n! CLOSE\n" },
        { "a banner of many lines", {}, "S 220-mx\nS 220-one\nS 220 two\nC EHLO us.example\n" },
        { "falls back to HELO", {},
            "S 220 mx\nC EHLO us.example\nS 502 what\nC HELO us.example\nS 250 mx\n! UP\n"
            "! READY\n" },
        { "EHLO refused for good", {},
            "S 220 mx\nC EHLO us.example\nS 550 no\nC QUIT\n! FAILED SESSION 550 no\n"
            "! CLOSE\n" },
        { "HELO says no extensions", { .tls = SMTP_CLIENT_TLS_MAY },
            "S 220 mx\nC EHLO us.example\nS 500 what\nC HELO us.example\nS 250-mx\n"
            "S 250 STARTTLS\n! UP\n! READY\n" },
        { "LMTP has no HELO", { .is_lmtp = true },
            "S 220 mx\nC LHLO us.example\nS 500 no\nC QUIT\n! FAILED SESSION 500 no\n"
            "! CLOSE\n" },
        { "TLS when offered", { .tls = SMTP_CLIENT_TLS_MAY },
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 STARTTLS\nC STARTTLS\nS 220 go\n"
            "! START_TLS\n> TLS\nC EHLO us.example\nS 250 mx\n! UP\n! READY\n" },
        { "TLS refused, and only welcome", { .tls = SMTP_CLIENT_TLS_MAY },
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 STARTTLS\nC STARTTLS\nS 454 no\n"
            "! UP\n! READY\n" },
        { "TLS refused, and wanted", { .tls = SMTP_CLIENT_TLS_MUST },
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 STARTTLS\nC STARTTLS\nS 454 no\n"
            "C QUIT\n! FAILED SESSION 451 4.7.4 TLS is required, and the next host does not "
            "offer it\n! CLOSE\n" },
        { "TLS not offered, and wanted", { .tls = SMTP_CLIENT_TLS_MUST },
            "S 220 mx\nC EHLO us.example\nS 250 mx\nC QUIT\n! FAILED SESSION 451 4.7.4 TLS is "
            "required, and the next host does not offer it\n! CLOSE\n" },
        { "plain text behind STARTTLS", { .tls = SMTP_CLIENT_TLS_MAY },
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 STARTTLS\nC STARTTLS\nS 220 go\n"
            "S 250 evil\n! START_TLS\n! FAILED SESSION 451 4.7.0 the next host sent plain text "
            "behind its reply to STARTTLS\n! CLOSE\n" },
        { "the TLS handshake fails", { .tls = SMTP_CLIENT_TLS_MAY },
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 STARTTLS\nC STARTTLS\nS 220 go\n"
            "! START_TLS\n> LOST\n! FAILED SESSION 451 4.4.2 timed out\n! CLOSE\n" },
        { "lost before the banner", {},
            "> LOST\n! FAILED SESSION 451 4.4.2 timed out\n! CLOSE\n> LOST\n" },
        { "garbage for a banner", {},
            "S HTTP/1.1 400\n! FAILED SESSION 451 4.5.0 the next host broke the protocol\n"
            "! CLOSE\n" },
        { "codes differ in a reply", {},
            "S 220-mx\nS 250 mx\n! FAILED SESSION 451 4.5.0 the next host broke the "
            "protocol\n! CLOSE\n" },
        { "a reply too many", {},
            PLAIN_EHLO "S 250 what\n! FAILED SESSION 451 4.5.0 the next host broke the "
                       "protocol\n! CLOSE\n" },
        { "421 while idle, before any mail", {},
            PLAIN_EHLO "S 421 4.4.2 idle\n! FAILED SESSION 421 4.4.2 idle\n! CLOSE\n" },
        { "an offer that comes too late", {},
            PLAIN_EHLO "> LOST\n! FAILED SESSION 451 4.4.2 timed out\n! CLOSE\n> OFFER 0\n"
                       "! RETURNED 0\n" },
        { "quits as soon as it may", {},
            "> QUIT\nS 220 mx\nC EHLO us.example\nS 250 mx\n! UP\nC QUIT\nS 221 x\n! CLOSE\n" },
    };

    (void)state;
    play_all(dialogues, CASES(dialogues));
}

#define SCRAM_EHLO                                                                             \
    "S 220 mx\nC EHLO us.example\nS 250-mx\n"                                                  \
    "S 250 AUTH PLAIN SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-256-PLUS\n"
#define SCRAM                                                                                  \
    {                                                                                          \
        .is_tls = true, .auth_user = BYTES("user"), .auth_password = BYTES("pass"),            \
        .auth_mechanisms = 15                                                                  \
    }

static void authentication(void **state)
{
    static const struct dialogue dialogues[] = {
        { "PLAIN",
            { .is_tls = true, .auth_user = BYTES("user"), .auth_password = BYTES("pass") },
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 AUTH LOGIN PLAIN\n"
            "C AUTH PLAIN AHVzZXIAcGFzcw==\nS 235 2.7.0 ok\n! UP\n! READY\n> OFFER 4\n"
            "C MAIL FROM:<s@x> AUTH=s@x\n" },
        { "LOGIN",
            { .auth_plain_text = true,
                .auth_user = BYTES("user"),
                .auth_password = BYTES("pw") },
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 AUTH=LOGIN\n"
            "C AUTH LOGIN\nS 334 VXNlcm5hbWU6\nC dXNlcg==\nS 334 UGFzc3dvcmQ6\nC cHc=\n"
            "S 235 ok\n! UP\n! READY\n" },
        { "refused",
            { .is_tls = true, .auth_user = BYTES("user"), .auth_password = BYTES("pass") },
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 AUTH PLAIN\n"
            "C AUTH PLAIN AHVzZXIAcGFzcw==\nS 535 5.7.8 no\nC QUIT\n"
            "! FAILED SESSION 535 5.7.8 no\n! CLOSE\n" },
        { "not over plain text", { .auth_user = BYTES("user"), .auth_password = BYTES("pw") },
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 AUTH PLAIN\nC QUIT\n"
            "! FAILED SESSION 454 4.7.0 AUTH is required, and the next host offers no way that "
            "may be used\n! CLOSE\n" },
        { "SCRAM", SCRAM,
            SCRAM_EHLO
            "! AUTH SCRAM-SHA-256-PLUS\n> SAY p=x,,n=u\n"
            "C AUTH SCRAM-SHA-256-PLUS cD14LCxuPXU=\nS 334 cj0xLHM9Mg==\n"
            "! AUTH SCRAM-SHA-256-PLUS r=1,s=2\n> SAY c=x\nC Yz14\nS 334 dj0x\n"
            "! AUTH SCRAM-SHA-256-PLUS v=1\n> END \nC \nS 235 2.7.0 ok\n! UP\n! READY\n" },
        { "SCRAM without TLS, PLAIN never",
            { .auth_user = BYTES("user"),
                .auth_password = BYTES("pass"),
                .auth_mechanisms = 15 },
            SCRAM_EHLO "! AUTH SCRAM-SHA-256\n> SAY n,,\nC AUTH SCRAM-SHA-256 biws\n"
                       "S 535 5.7.8 no\nC QUIT\n! FAILED SESSION 535 5.7.8 no\n! CLOSE\n" },
        { "PLAIN alone is wanted",
            { .is_tls = true,
                .auth_user = BYTES("user"),
                .auth_password = BYTES("pass"),
                .auth_mechanisms = SMTP_CLIENT_AUTH_PLAIN },
            SCRAM_EHLO "C AUTH PLAIN AHVzZXIAcGFzcw==\nS 235 ok\n! UP\n! READY\n" },
        { "235 before the server has proved itself", SCRAM,
            SCRAM_EHLO
            "! AUTH SCRAM-SHA-256-PLUS\n> SAY p\nC AUTH SCRAM-SHA-256-PLUS cA==\n"
            "S 235 2.7.0 ok\nC QUIT\n! FAILED SESSION 454 4.7.0 the next host did not prove "
            "that it knows the password\n! CLOSE\n" },
        { "the exchange fails", SCRAM,
            SCRAM_EHLO
            "! AUTH SCRAM-SHA-256-PLUS\n> NO AUTH\n! FAILED SESSION 451 4.4.2 timed out\n"
            "! CLOSE\n" },
        { "not base64", SCRAM,
            SCRAM_EHLO
            "! AUTH SCRAM-SHA-256-PLUS\n> SAY p\nC AUTH SCRAM-SHA-256-PLUS cA==\nS 334 ?\n"
            "! FAILED SESSION 451 4.5.0 the next host broke the protocol\n! CLOSE\n" },
        { "it speaks out of turn", SCRAM,
            SCRAM_EHLO
            "! AUTH SCRAM-SHA-256-PLUS\nS 334 cA==\n! FAILED SESSION 451 4.5.0 the next host "
            "broke the protocol\n! CLOSE\n> SAY late\n" },
        { "masked in the log",
            { .is_tls = true,
                .auth_user = BYTES("user"),
                .auth_password = BYTES("pass"),
                .logs_lines = true },
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 AUTH PLAIN\n"
            "C AUTH PLAIN AHVzZXIAcGFzcw==\nS 235 ok\n! IN 220 mx\n! OUT EHLO us.example\n"
            "! IN 250-mx\n! IN 250 AUTH PLAIN\n! OUT AUTH PLAIN ***\n! IN 235 ok\n! UP\n"
            "! READY\n> QUIT\nC QUIT\n! OUT QUIT\nS 221 bye\n! IN 221 bye\n! CLOSE\n" },
    };

    (void)state;
    play_all(dialogues, CASES(dialogues));
}

static void one_command_at_a_time(void **state)
{
    static const struct dialogue dialogues[] = {
        { "two messages", { .uses_pipelining = true },
            PLAIN_EHLO "> OFFER 0\nC MAIL FROM:<s@x> SIZE=5\nS 250 ok\nC RCPT TO:<b@x>\n"
                       "S 250 2.1.5 ok\nC DATA\nS 354 go\n! SEND 0\nC one\nC .\n"
                       "S 250 2.0.0 queued\n! RESULT 0.0 END 250 2.0.0 queued\n! DONE 0\n"
                       "! READY\n> OFFER 1\nC MAIL FROM:<s@x> SIZE=5\nS 250 ok\n"
                       "C RCPT TO:<b@x>\nS 250 ok\nC DATA\nS 354 go\n! SEND 1\nC two\nC .\n"
                       "S 250 ok\n! RESULT 1.0 END 250 ok\n! DONE 1\n! READY\n" },
        { "we do not want to pipeline", {},
            PIPE_EHLO "> OFFER 0\nC MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<b@x>\nS 250 ok\n"
                      "C DATA\n" },
        { "dots are stuffed", {},
            PLAIN_EHLO "> OFFER 2\nC MAIL FROM:<> SIZE=4\nS 250 ok\nC RCPT TO:<a@x>\nS 250 ok\n"
                       "C RCPT TO:<b@x>\nS 550 5.1.1 who\n! RESULT 2.1 RCPT 550 5.1.1 who\n"
                       "C RCPT TO:<c@x>\nS 250 ok\nC DATA\nS 354 go\n! SEND 2\nC ..dot\nC .\n"
                       "S 250 ok\n! RESULT 2.0 END 250 ok\n! RESULT 2.2 END 250 ok\n! DONE 2\n"
                       "! READY\n" },
        { "a line end before the dot", {},
            PLAIN_EHLO "> OFFER 3\nC MAIL FROM:<s@x> SIZE=6\nS 250 ok\nC RCPT TO:<a@x>\n"
                       "S 450 x\n! RESULT 3.0 RCPT 450 x\nC RCPT TO:<b@x>\nS 250 ok\n"
                       "C RCPT TO:<c@x>\nS 452 4.5.3 many\n! RESULT 3.2 RCPT 452 4.5.3 many\n"
                       "C DATA\nS 354 go\n! SEND 3\nC no end\nC .\nS 554 5.6.0 bad\n"
                       "! RESULT 3.1 END 554 5.6.0 bad\n! DONE 3\n! READY\n" },
        { "empty content", {},
            PLAIN_EHLO "> OFFER 10\nC MAIL FROM:<s@x> SIZE=0\nS 250 ok\nC RCPT TO:<b@x>\n"
                       "S 250 ok\nC DATA\nS 354 go\n! SEND 10\nC .\n" },
        { "MAIL refused", {},
            PLAIN_EHLO "> OFFER 2\nC MAIL FROM:<> SIZE=4\nS 451 4.7.1 later\n"
                       "! RESULT 2.0 MAIL 451 4.7.1 later\n! RESULT 2.1 MAIL 451 4.7.1 later\n"
                       "! RESULT 2.2 MAIL 451 4.7.1 later\n! DONE 2\n! READY\n> OFFER 0\n"
                       "C MAIL FROM:<s@x> SIZE=5\n" },
        { "every RCPT refused, then RSET", {},
            PLAIN_EHLO "> OFFER 0\nC MAIL FROM:<s@x> SIZE=5\nS 250 ok\nC RCPT TO:<b@x>\n"
                       "S 550 5.1.1 who\n! RESULT 0.0 RCPT 550 5.1.1 who\n! DONE 0\n! READY\n"
                       "> OFFER 1\nC RSET\nS 250 ok\nC MAIL FROM:<s@x> SIZE=5\nS 250 ok\n"
                       "C RCPT TO:<b@x>\n" },
        { "DATA refused, then QUIT", {},
            PLAIN_EHLO "> OFFER 0\nC MAIL FROM:<s@x> SIZE=5\nS 250 ok\nC RCPT TO:<b@x>\n"
                       "S 250 ok\nC DATA\nS 451 4.3.0 no\n! RESULT 0.0 DATA 451 4.3.0 no\n"
                       "! DONE 0\n! READY\n> QUIT\nC QUIT\nS 221 bye\n! CLOSE\n" },
        { "no more than mails_max", { .mails_max = 1 },
            PLAIN_EHLO "> OFFER 0\nC MAIL FROM:<s@x> SIZE=5\nS 550 no\n"
                       "! RESULT 0.0 MAIL 550 no\n! DONE 0\nC QUIT\nS 221 bye\n! CLOSE\n" },
        { "no more than the peer's MAILMAX", {},
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 LIMITS MAILMAX=1 RCPTMAX=2\n! UP\n"
            "! READY\n> OFFER 3\nC MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<a@x>\nS 250 ok\n"
            "C RCPT TO:<b@x>\nS 250 ok\n! RESULT 3.2 RCPT 452 4.5.3 more recipients than the "
            "next host takes at once\nC DATA\nS 354 go\n! SEND 3\nC no end\nC .\nS 250 ok\n"
            "! RESULT 3.0 END 250 ok\n! RESULT 3.1 END 250 ok\n! DONE 3\nC QUIT\n" },
    };

    (void)state;
    play_all(dialogues, CASES(dialogues));
}

static void pipelined_data(void **state)
{
    static const struct dialogue dialogues[] = {
        { "the next MAIL follows the dot", { .uses_pipelining = true },
            PIPE_EHLO FLIGHT_0
            "S 250 ok\nS 250 ok\nS 354 go\n! SEND 0\n! READY\nC one\nC .\n> OFFER 1\n"
            "C MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC DATA\nS 250 1st\nS 250 ok\nS 250 ok\n"
            "S 354 go\n! RESULT 0.0 END 250 1st\n! DONE 0\n! SEND 1\n! READY\nC two\nC .\n"
            "S 250 2nd\n! RESULT 1.0 END 250 2nd\n! DONE 1\n> QUIT\nC QUIT\nS 221 x\n! "
            "CLOSE\n" },
        { "all refused, 354 even so", { .uses_pipelining = true },
            PIPE_EHLO FLIGHT_0 "S 250 ok\nS 550 5.1.1 who\nS 354 go\n"
                               "! RESULT 0.0 RCPT 550 5.1.1 who\nC .\n! READY\nS 554 none\n"
                               "! DONE 0\n> OFFER 1\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\n"
                               "C DATA\n" },
        { "all refused, DATA too", { .uses_pipelining = true },
            PIPE_EHLO FLIGHT_0 "S 250 ok\nS 550 5.1.1 who\nS 554 none\n"
                               "! RESULT 0.0 RCPT 550 5.1.1 who\n! DONE 0\n! READY\n"
                               "> OFFER 1\nC RSET\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\n"
                               "C DATA\nS 250 ok\nS 250 ok\nS 250 ok\nS 354 go\n! SEND 1\n"
                               "! READY\nC two\nC .\n" },
        { "MAIL refused", { .uses_pipelining = true },
            PIPE_EHLO FLIGHT_0 "S 550 5.7.1 no\nS 503 what\nS 503 what\n"
                               "! RESULT 0.0 MAIL 550 5.7.1 no\n! DONE 0\n! READY\n> OFFER 1\n"
                               "C MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC DATA\n" },
        { "MAIL refused, the rest taken", { .uses_pipelining = true },
            PIPE_EHLO FLIGHT_0 "S 550 no\nS 250 ok\nS 354 go\n! RESULT 0.0 MAIL 550 no\nC .\n"
                               "! READY\nS 250 empty\n! DONE 0\n" },
        { "one of three", { .uses_pipelining = true },
            PIPE_EHLO "> OFFER 3\nC MAIL FROM:<s@x>\nC RCPT TO:<a@x>\nC RCPT TO:<b@x>\n"
                      "C RCPT TO:<c@x>\nC DATA\nS 250 ok\nS 550 a\nS 250 b\nS 450 c\nS 354 go\n"
                      "! RESULT 3.0 RCPT 550 a\n! RESULT 3.2 RCPT 450 c\n! SEND 3\n! READY\n"
                      "C no end\nC .\nS 250 ok\n! RESULT 3.1 END 250 ok\n! DONE 3\n" },
        { "too many recipients, said as 552", { .uses_pipelining = true },
            PIPE_EHLO FLIGHT_0
            "S 250 ok\nS 552 5.5.3 many\nS 554 none\n! RESULT 0.0 RCPT 452 4.5.3 more "
            "recipients than the next host takes at once\n! DONE 0\n! READY\n" },
        { "a full mailbox, said as 552", { .uses_pipelining = true },
            PIPE_EHLO FLIGHT_0
            "S 250 ok\nS 552 5.2.2 full\nS 554 none\n! RESULT 0.0 RCPT 552 5.2.2 full\n"
            "! DONE 0\n! READY\n" },
        { "one message under way", { .uses_pipelining = true, .under_way_max = 1 },
            PIPE_EHLO FLIGHT_0 "S 250 ok\nS 250 ok\nS 354 go\n! SEND 0\nC one\nC .\nS 250 x\n"
                               "! RESULT 0.0 END 250 x\n! DONE 0\n! READY\n" },
        { "2xx to DATA", { .uses_pipelining = true },
            PIPE_EHLO FLIGHT_0 "S 250 ok\nS 250 ok\nS 250 ok\n! RESULT 0.0 DATA 451 4.5.0 the "
                               "next host broke the protocol\n! DONE 0\n! FAILED SESSION 451 "
                               "4.5.0 the next host broke the protocol\n! CLOSE\n" },
    };

    (void)state;
    play_all(dialogues, CASES(dialogues));
}

static void whole_flights_by_bdat(void **state)
{
    static const struct smtp_client_config config = { .uses_pipelining = true,
        .uses_chunking = true };
    const struct dialogue dialogues[] = {
        { "several deep", config,
            BDAT_EHLO "> OFFER 0\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC BDAT 5 LAST\n! SEND 0\n"
                      "C one\n! READY\n> OFFER 1\nC RSET\nC MAIL FROM:<s@x>\n"
                      "C RCPT TO:<b@x>\nC BDAT 5 LAST\n! SEND 1\nC two\n! READY\n"
                      "S 250 m\nS 250 r\nS 250 1st\n! RESULT 0.0 END 250 1st\n! DONE 0\n"
                      "S 250 rset\nS 250 m\nS 250 r\nS 250 2nd\n! RESULT 1.0 END 250 2nd\n"
                      "! DONE 1\n> OFFER 0\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\n"
                      "C BDAT 5 LAST\nC one\n! SEND 0\n! READY\n> QUIT\nS 250 m\nS 250 r\n"
                      "S 250 x\n! RESULT 0.0 END 250 x\n! DONE 0\nC QUIT\nS 221 x\n! CLOSE\n" },
        { "the first refused, the second untouched by it", config,
            BDAT_EHLO "> OFFER 0\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC BDAT 5 LAST\n! SEND 0\n"
                      "C one\n! READY\n> OFFER 1\nC RSET\nC MAIL FROM:<s@x>\n"
                      "C RCPT TO:<b@x>\nC BDAT 5 LAST\n! SEND 1\nC two\n! READY\n"
                      "S 250 m\nS 550 who\nS 503 none\n! RESULT 0.0 RCPT 550 who\n! DONE 0\n"
                      "S 250 rset\nS 250 m\nS 250 r\nS 451 full\n! RESULT 1.0 END 451 full\n"
                      "! DONE 1\n> OFFER 0\nC RSET\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\n"
                      "C BDAT 5 LAST\nC one\n! SEND 0\n! READY\n" },
        { "content as it is", config,
            BDAT_EHLO "> OFFER 2\nC MAIL FROM:<>\nC RCPT TO:<a@x>\nC RCPT TO:<b@x>\n"
                      "C RCPT TO:<c@x>\nC BDAT 4 LAST\nC .dot\n! SEND 2\n! READY\n" },
        { "without pipelining", config,
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 CHUNKING\n! UP\n! READY\n> OFFER 0\n"
            "C MAIL FROM:<s@x>\nS 250 m\nC RCPT TO:<b@x>\nS 250 r\nC BDAT 5 LAST\nC one\n"
            "! SEND 0\nS 250 x\n! RESULT 0.0 END 250 x\n! DONE 0\n! READY\n" },
        { "refused while the content is on its way", config,
            "> HOLD\n" BDAT_EHLO
            "> OFFER 0\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC BDAT 5 LAST\n! SEND 0\n! READY\n"
            "S 250 m\nS 250 r\nS 552 5.3.4 big\n! RESULT 0.0 END 552 5.3.4 big\n! DONE 0\n"
            "! CLOSE\n" },
        { "taken while the content is on its way", config,
            "> HOLD\n" BDAT_EHLO
            "> OFFER 0\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC BDAT 5 LAST\n! SEND 0\n! READY\n"
            "> OFFER 1\nS 250 m\nS 250 r\nS 250 x\n! RESULT 0.0 END 451 4.5.0 the next host "
            "broke the protocol\n! DONE 0\n! RETURNED 1\n! FAILED SESSION 451 4.5.0 the next "
            "host broke the protocol\n! CLOSE\n" },
        { "nothing is written before the content", config,
            "> HOLD\n" BDAT_EHLO
            "> OFFER 0\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC BDAT 5 LAST\n! SEND 0\n! READY\n"
            "> OFFER 1\nS 250 m\n> SENT\nC one\nC RSET\nC MAIL FROM:<s@x>\n"
            "C RCPT TO:<b@x>\nC BDAT 5 LAST\n! SEND 1\n! READY\n" },
    };

    (void)state;
    play_all(dialogues, CASES(dialogues));
}

static void lmtp(void **state)
{
    static const struct dialogue dialogues[] = {
        { "a reply for each", { .is_lmtp = true, .uses_pipelining = true },
            "S 220 mx\nC LHLO us.example\nS 250-mx\nS 250 PIPELINING\n! UP\n! READY\n"
            "> OFFER 3\nC MAIL FROM:<s@x>\nC RCPT TO:<a@x>\nC RCPT TO:<b@x>\nC RCPT TO:<c@x>\n"
            "C DATA\nS 250 m\nS 250 a\nS 550 b\nS 250 c\nS 354 go\n! RESULT 3.1 RCPT 550 b\n"
            "! SEND 3\n! READY\nC no end\nC .\nS 250 a done\nS 452 4.2.2 c full\n"
            "! RESULT 3.0 END 250 a done\n! RESULT 3.2 END 452 4.2.2 c full\n! DONE 3\n" },
        { "by BDAT", { .is_lmtp = true, .uses_pipelining = true, .uses_chunking = true },
            "S 220 mx\nC LHLO us.example\nS 250-mx\nS 250-CHUNKING\nS 250 PIPELINING\n! UP\n"
            "! READY\n> OFFER 3\nC MAIL FROM:<s@x>\nC RCPT TO:<a@x>\nC RCPT TO:<b@x>\n"
            "C RCPT TO:<c@x>\nC BDAT 6 LAST\nC no end\n! SEND 3\n! READY\nS 250 m\nS 550 a\n"
            "S 250 b\nS 250 c\nS 250 b done\nS 250 c done\n! RESULT 3.0 RCPT 550 a\n"
            "! RESULT 3.1 END 250 b done\n! RESULT 3.2 END 250 c done\n! DONE 3\n> OFFER 0\n"
            "C MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC BDAT 5 LAST\nC one\n! SEND 0\n! READY\n" },
        { "354 for nobody", { .is_lmtp = true, .uses_pipelining = true },
            "S 220 mx\nC LHLO us.example\nS 250-mx\nS 250 PIPELINING\n! UP\n! READY\n" FLIGHT_0
            "S 250 m\nS 550 b\nS 354 go\n! RESULT 0.0 RCPT 550 b\n! DONE 0\n! FAILED SESSION "
            "451 4.5.0 the next host broke the protocol\n! CLOSE\n" },
        { "lost between two replies", { .is_lmtp = true, .uses_pipelining = true },
            "S 220 mx\nC LHLO us.example\nS 250-mx\nS 250 PIPELINING\n! UP\n! READY\n"
            "> OFFER 3\nC MAIL FROM:<s@x>\nC RCPT TO:<a@x>\nC RCPT TO:<b@x>\nC RCPT TO:<c@x>\n"
            "C DATA\nS 250 m\nS 250 a\nS 250 b\nS 250 c\nS 354 go\n! SEND 3\n! READY\n"
            "C no end\nC .\nS 250 a done\n> LOST\n! RESULT 3.0 END 250 a done\n"
            "! RESULT 3.1 IN_DOUBT 451 4.4.2 lost connection after end of data: maybe "
            "delivered\n! RESULT 3.2 IN_DOUBT 451 4.4.2 lost connection after end of data: "
            "maybe delivered\n! DONE 3\n! FAILED SESSION 451 4.4.2 timed out\n! CLOSE\n" },
    };

    (void)state;
    play_all(dialogues, CASES(dialogues));
}

#define IN_DOUBT "IN_DOUBT 451 4.4.2 lost connection after end of data: maybe delivered\n"
#define FIRST_THROUGH                                                                          \
    PIPE_EHLO FLIGHT_0 "S 250 m\nS 250 r\nS 354 go\n! SEND 0\n! READY\nC one\nC .\nS 250 x\n"  \
                       "! RESULT 0.0 END 250 x\n! DONE 0\n"

static void ends(void **state)
{
    static const struct smtp_client_config config = { .uses_pipelining = true,
        .uses_chunking = true };
    const struct dialogue dialogues[] = {
        { "lost before any reply, on a fresh connection", config,
            PIPE_EHLO FLIGHT_0 "> LOST\n! RESULT 0.0 MAIL 451 4.4.2 timed out\n! DONE 0\n"
                               "! FAILED SESSION 451 4.4.2 timed out\n! CLOSE\n" },
        { "lost before any reply, on one that worked", config,
            FIRST_THROUGH "> OFFER 1\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC DATA\n> LOST\n"
                          "! RETURNED 1\n! CLOSE\n" },
        { "421 for MAIL, on one that worked", config,
            FIRST_THROUGH "> OFFER 1\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC DATA\n"
                          "S 421 4.4.2 idle\n! RETURNED 1\n! CLOSE\n" },
        { "421 while idle, on one that worked", config,
            FIRST_THROUGH "S 421 4.4.2 idle\n! CLOSE\n> OFFER 1\n! RETURNED 1\n" },
        { "421 for MAIL, on a fresh connection", config,
            PIPE_EHLO FLIGHT_0 "S 421 4.3.2 no\n! RESULT 0.0 MAIL 421 4.3.2 no\n! DONE 0\n"
                               "! FAILED SESSION 421 4.3.2 no\n! CLOSE\n" },
        { "421 for RCPT", config,
            PIPE_EHLO "> OFFER 3\nC MAIL FROM:<s@x>\nC RCPT TO:<a@x>\nC RCPT TO:<b@x>\n"
                      "C RCPT TO:<c@x>\nC DATA\nS 250 m\nS 550 a\nS 250 b\nS 421 c\n"
                      "! RESULT 3.0 RCPT 550 a\n! RESULT 3.1 RCPT 421 c\n"
                      "! RESULT 3.2 RCPT 421 c\n! DONE 3\n! FAILED SESSION 421 c\n! CLOSE\n" },
        { "lost after the dot", config,
            PIPE_EHLO FLIGHT_0 "S 250 m\nS 250 r\nS 354 go\n! SEND 0\n! READY\nC one\nC .\n"
                               "> OFFER 1\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC DATA\n"
                               "> LOST\n! RESULT 0.0 " IN_DOUBT
                               "! DONE 0\n! RETURNED 1\n! FAILED SESSION 451 4.4.2 timed "
                               "out\n! CLOSE\n" },
        { "lost before the dot", config,
            "> HOLD\n" PIPE_EHLO FLIGHT_0
            "S 250 m\nS 250 r\nS 354 go\n! SEND 0\n! READY\n> OFFER 1\n> LOST\n"
            "! RESULT 0.0 END 451 4.4.2 timed out\n! DONE 0\n! RETURNED 1\n"
            "! FAILED SESSION 451 4.4.2 timed out\n! CLOSE\n" },
        { "421 after the dot", config,
            PIPE_EHLO FLIGHT_0 "S 250 m\nS 250 r\nS 354 go\n! SEND 0\n! READY\nC one\nC .\n"
                               "> OFFER 1\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC DATA\n"
                               "S 421 bye\n! RESULT 0.0 END 421 bye\n! DONE 0\n! RETURNED 1\n"
                               "! FAILED SESSION 421 bye\n! CLOSE\n" },
        { "lost with two whole messages out", config,
            BDAT_EHLO "> OFFER 0\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC BDAT 5 LAST\n! SEND 0\n"
                      "C one\n! READY\n> OFFER 1\nC RSET\nC MAIL FROM:<s@x>\n"
                      "C RCPT TO:<b@x>\nC BDAT 5 LAST\n! SEND 1\nC two\n! READY\n"
                      "S 250 m\n> LOST\n! RESULT 0.0 " IN_DOUBT
                      "! DONE 0\n! RESULT 1.0 " IN_DOUBT
                      "! DONE 1\n! FAILED SESSION 451 4.4.2 timed out\n! CLOSE\n" },
        { "421 with two whole messages out", config,
            BDAT_EHLO "> OFFER 0\nC MAIL FROM:<s@x>\nC RCPT TO:<b@x>\nC BDAT 5 LAST\n! SEND 0\n"
                      "C one\n! READY\n> OFFER 1\nC RSET\nC MAIL FROM:<s@x>\n"
                      "C RCPT TO:<b@x>\nC BDAT 5 LAST\n! SEND 1\nC two\n! READY\n"
                      "S 250 m\nS 250 r\nS 421 x\n! RESULT 0.0 END 421 x\n! DONE 0\n"
                      "! RETURNED 1\n! FAILED SESSION 421 x\n! CLOSE\n" },
        { "a reply too many after the dot's", config, FIRST_THROUGH "S 250 x\n! CLOSE\n" },
    };

    (void)state;
    play_all(dialogues, CASES(dialogues));
}

static void what_the_peer_can_do(void **state)
{
    static const struct dialogue dialogues[] = {
        { "everything", {},
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250-SIZE\nS 250-8bitmime\nS "
            "250-smtputf8\n"
            "S 250-DSN\nS 250-ENHANCEDSTATUSCODES\nS 250 MT-PRIORITY MIXER\n! UP\n! READY\n"
            "> OFFER 4\nC MAIL FROM:<s@x> SIZE=5 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id "
            "MT-PRIORITY=-3\nS 250 ok\nC RCPT TO:<b@x> NOTIFY=NEVER ORCPT=rfc822;b@y\n" },
        { "nothing", {},
            "S 220 mx\nC EHLO us.example\nS 250 mx\n! UP\n! READY\n"
            "> OFFER 4\nC MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<b@x>\n" },
        { "NOTIFY", {},
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 DSN\n! UP\n! READY\n> OFFER 3\n"
            "C MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<a@x> NOTIFY=SUCCESS,DELAY\n" },
        { "8 bits, undeclared by the client", {},
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 8BITMIME\n! UP\n! READY\n> OFFER 10\n"
            "C MAIL FROM:<s@x> BODY=8BITMIME\n" },
        { "too large", {},
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 SIZE 4\n! UP\n! READY\n> OFFER 0\n"
            "! RESULT 0.0 MAIL 552 5.3.4 message is larger than the next host takes\n"
            "! DONE 0\n! READY\n" },
        { "a UTF-8 recipient, not offered", {},
            "S 220 mx\nC EHLO us.example\nS 250 mx\n! UP\n! READY\n> OFFER 5\n"
            "C MAIL FROM:<s@x>\nS 250 ok\nC RCPT TO:<a@x>\nS 250 ok\n"
            "! RESULT 5.1 RCPT 553 5.6.7 recipient needs SMTPUTF8, which the next host does "
            "not offer\nC DATA\n" },
        { "a UTF-8 recipient", {},
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250 SMTPUTF8\n! UP\n! READY\n> OFFER 5\n"
            "C MAIL FROM:<s@x> SMTPUTF8\nS 250 ok\nC RCPT TO:<a@x>\nS 250 ok\n"
            "C RCPT TO:<\xc3\xa9@x>\n" },
        { "a UTF-8 header, not offered", {},
            "S 220 mx\nC EHLO us.example\nS 250 mx\n! UP\n! READY\n> OFFER 6\n"
            "! RESULT 6.0 MAIL 554 5.6.9 header needs SMTPUTF8, which the next host does not "
            "offer\n! DONE 6\n! READY\n" },
        { "binary, not offered", { .uses_chunking = true },
            "S 220 mx\nC EHLO us.example\nS 250 CHUNKING\n! UP\n! READY\n> OFFER 7\n"
            "! RESULT 7.0 MAIL 554 5.6.1 content needs BINARYMIME, which the next host does "
            "not offer\n! DONE 7\n! READY\n" },
        { "binary", { .uses_chunking = true },
            "S 220 mx\nC EHLO us.example\nS 250-mx\nS 250-CHUNKING\nS 250 BINARYMIME\n! UP\n"
            "! READY\n> OFFER 7\nC MAIL FROM:<s@x> BODY=BINARYMIME\n" },
        { "recipients that would be commands", {},
            "S 220 mx\nC EHLO us.example\nS 250 mx\n! UP\n! READY\n> OFFER 8\n"
            "C MAIL FROM:<s@x>\nS 250 ok\n"
            "! RESULT 8.0 RCPT 553 5.1.3 recipient cannot be sent on\n"
            "! RESULT 8.1 RCPT 553 5.1.3 recipient cannot be sent on\n"
            "! RESULT 8.2 RCPT 553 5.1.3 recipient cannot be sent on\n"
            "C RCPT TO:<\"a >\\\" b\"@x>\nS 250 ok\nC DATA\n" },
        { "a sender that would be a command", {},
            "S 220 mx\nC EHLO us.example\nS 250 mx\n! UP\n! READY\n> OFFER 9\n"
            "! RESULT 9.0 MAIL 553 5.1.7 sender cannot be sent on\n! DONE 9\n! READY\n" },
    };

    (void)state;
    play_all(dialogues, CASES(dialogues));
}

/* More recipients than a step has actions, and more replies than the engine has places: a
 * thousand RCPT, every third refused, in windows; written as a script by the program. */
static void a_thousand_recipients(void **state)
{
    enum { COUNT = 1000 };
    static struct recipient many[COUNT];
    struct smtp_client_message message = { .sender = BYTES("s@x"),
        .ends_with_crlf = true,
        .recipients = many,
        .recipient_count = COUNT,
        .content_bytes = 5 };
    struct smtp_client_config config = {
        .fqdn = BYTES("us.example"), .under_way_max = 1, .uses_pipelining = true
    };
    struct play play = { .name = "a thousand", .cut = 1 << 20, .stride = 1 << 20 };
    size_t sent = 0, results = 0, refused = 0;

    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        many[i].address = BYTES("b@x");
    buf_init(&play.out, 1 << 20);
    buf_init(&play.input, 1 << 20);
    buf_init(&play.given.text, 1 << 20);
    play.client = smtp_client_new(&config);
    step(&play, &(struct smtp_client_event){ .type = SMTP_CLIENT_CONNECTED });
    assert_int_equal(buf_add_text(&play.input, "220 mx\r\n250-mx\r\n250 PIPELINING\r\n"), OK);
    feed_batch(&play);
    buf_clear(&play.out);
    step(&play, &(struct smtp_client_event){ .type = SMTP_CLIENT_OFFER, .message = &message });
    for (bool goes_on = true; goes_on;) {
        struct bytes out = buf_bytes(&play.out), line;

        goes_on = out.n > 0;
        while (out.n) {
            const char *reply = "250 ok\r\n";

            line = take_line(&out, true);
            if (bytes_starts(line, BYTES("RCPT")) && sent++ % 3 == 0)
                reply = "550 5.1.1 who\r\n";
            else if (bytes_equal(line, BYTES("DATA")))
                reply = "354 go\r\n";
            else if (bytes_equal(line, BYTES("one")))
                continue;
            assert_int_equal(buf_add_text(&play.input, reply), OK);
        }
        buf_clear(&play.out);
        feed_batch(&play);
    }
    for (struct bytes rest = buf_bytes(&play.given.text); rest.n;) {
        struct bytes line = take_line(&rest, false);

        results += bytes_starts(line, BYTES("RESULT"));
        refused += bytes_ends_nocase(line, BYTES("RCPT 550 5.1.1 who"));
    }
    assert_int_equal(sent, COUNT);
    assert_int_equal(results, COUNT);
    assert_int_equal(refused, (COUNT + 2) / 3);
    assert_int_equal(smtp_client_waits(play.client), SMTP_CLIENT_WAITS_NOT);
    smtp_client_free(play.client);
    buf_done(&play.out);
    buf_done(&play.input);
    buf_done(&play.given.text);
}

static void what_it_waits_for(void **state)
{
    static const struct {
        const char *says;
        enum smtp_client_wait want;
    } steps[] = {
        { "", SMTP_CLIENT_WAITS_GREETING },
        { "220 mx\r\n", SMTP_CLIENT_WAITS_COMMAND },
        { "250-mx\r\n250 PIPELINING\r\n", SMTP_CLIENT_WAITS_NOT },
        { "OFFER", SMTP_CLIENT_WAITS_COMMAND },
        { "250 m\r\n", SMTP_CLIENT_WAITS_COMMAND },
        { "250 r\r\n", SMTP_CLIENT_WAITS_DATA },
        { "354 go\r\n", SMTP_CLIENT_WAITS_END },
        { "250 ok\r\n", SMTP_CLIENT_WAITS_NOT },
    };
    struct smtp_client_config config = {
        .fqdn = BYTES("us.example"), .under_way_max = 1, .uses_pipelining = true
    };
    struct play play = { .name = "waits", .cut = 1 << 20, .stride = 1 << 20 };

    (void)state;
    buf_init(&play.out, 1 << 20);
    buf_init(&play.input, 1 << 20);
    buf_init(&play.given.text, 1 << 20);
    play.client = smtp_client_new(&config);
    assert_int_equal(smtp_client_waits(play.client), SMTP_CLIENT_WAITS_NOT);
    step(&play, &(struct smtp_client_event){ .type = SMTP_CLIENT_CONNECTED });
    for (size_t i = 0; i < CASES(steps); i++) {
        if (strcmp(steps[i].says, "OFFER") == 0)
            offer(&play, 0);
        else
            assert_int_equal(buf_add_text(&play.input, steps[i].says), OK);
        feed_batch(&play);
        check(steps[i].says, smtp_client_waits(play.client) == steps[i].want);
    }
    assert_true(smtp_client_peer(play.client)->pipelining);
    assert_string_equal(smtp_client_peer(play.client)->name, "mx");
    smtp_client_free(play.client);
    buf_done(&play.out);
    buf_done(&play.input);
    buf_done(&play.given.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions),
        cmocka_unit_test(authentication),
        cmocka_unit_test(one_command_at_a_time),
        cmocka_unit_test(pipelined_data),
        cmocka_unit_test(whole_flights_by_bdat),
        cmocka_unit_test(lmtp),
        cmocka_unit_test(ends),
        cmocka_unit_test(what_the_peer_can_do),
        cmocka_unit_test(a_thousand_recipients),
        cmocka_unit_test(what_it_waits_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
