/* The writing side: which command comes next, and when.
 *
 * Where the peer pipelines, a command waits for no reply but DATA's.  With DATA the next
 * message begins right behind the final dot; with BDAT it follows the content, and a RSET
 * stands before it, since a BDAT that was refused leaves the old transaction standing (RFC
 * 3030, 2) and nothing of it may get into the next one. */
#include "proto/smtp/client_engine.h"

#include <assert.h>

/* So many RCPT are written ahead of their replies: what stands in OUT keeps a bound. */
enum { RCPT_AHEAD_MAX = 250 };

/* Parameters over these limits would not have been taken from a client either (RFC 3461, 4.2
 * and 4.4; RFC 4954, 5).  They are left out. */
enum { ENVID_BYTES_MAX = 100, ORCPT_BYTES_MAX = 500, AUTH_BYTES_MAX = 500 };

static bool is_parameter(struct bytes value, size_t bytes_max, bool is_utf8)
{
    if (value.n == 0 || value.n > bytes_max)
        return false;
    for (size_t i = 0; i < value.n; i++) {
        uint8_t c = value.at[i];

        if (c <= 32 || c == 127 || (c > 127 && !is_utf8))
            return false;
    }
    return true;
}

static void add_priority(struct client_line *line, int8_t priority)
{
    client_line_add(line, BYTES(" MT-PRIORITY="));
    if (priority < 0)
        client_line_add(line, BYTES("-"));
    client_line_add_number(line, (uint64_t)(priority < 0 ? -priority : priority));
}

/* Content with 8 bits goes to a peer without 8BITMIME as it is and undeclared: nearly all take
 * it, and recoding would break signatures. */
static void add_body(
    struct client_line *line, const struct smtp_client *client, const struct transaction *t)
{
    const struct smtp_client_message *message = &t->message;

    if (message->body == BODY_BINARYMIME)
        client_line_add(line, BYTES(" BODY=BINARYMIME"));
    else if (client->peer.eightbit && (message->body == BODY_8BITMIME || message->has_8bit))
        client_line_add(line, BYTES(" BODY=8BITMIME"));
}

static void add_dsn(struct client_line *line, const struct smtp_client_message *message)
{
    if (message->ret == RET_FULL)
        client_line_add(line, BYTES(" RET=FULL"));
    else if (message->ret == RET_HDRS)
        client_line_add(line, BYTES(" RET=HDRS"));
    if (is_parameter(message->envid, ENVID_BYTES_MAX, false)) {
        client_line_add(line, BYTES(" ENVID="));
        client_line_add(line, message->envid);
    }
}

static bool write_mail(struct smtp_client *client, struct transaction *t)
{
    const struct smtp_client_message *message = &t->message;
    const struct smtp_client_peer *peer = &client->peer;
    struct client_line line;

    if (!client_line_begin(client, &line))
        return false;
    client_line_add(&line, BYTES("MAIL FROM:<"));
    client_line_add(&line, message->sender);
    client_line_add(&line, BYTES(">"));
    if (peer->size) {
        client_line_add(&line, BYTES(" SIZE="));
        client_line_add_number(&line, message->content_bytes);
    }
    add_body(&line, client, t);
    if (t->is_utf8)
        client_line_add(&line, BYTES(" SMTPUTF8"));
    if (peer->dsn)
        add_dsn(&line, message);
    if (client->is_authenticated && is_parameter(message->auth, AUTH_BYTES_MAX, false)) {
        client_line_add(&line, BYTES(" AUTH="));
        client_line_add(&line, message->auth);
    }
    if (peer->mt_priority && message->priority)
        add_priority(&line, message->priority);
    client_line_end(client, &line, BYTES_NONE);
    return true;
}

static void add_notify(struct client_line *line, uint8_t notify)
{
    static const struct {
        uint8_t bit;
        struct bytes word;
    } words[] = {
        { NOTIFY_SUCCESS, BYTES("SUCCESS") },
        { NOTIFY_FAILURE, BYTES("FAILURE") },
        { NOTIFY_DELAY, BYTES("DELAY") },
    };
    struct bytes before = BYTES(" NOTIFY=");

    if (notify & NOTIFY_NEVER) {
        client_line_add(line, BYTES(" NOTIFY=NEVER"));
        return;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!(notify & words[i].bit))
            continue;
        client_line_add(line, before);
        client_line_add(line, words[i].word);
        before = BYTES(",");
    }
}

static bool write_rcpt(
    struct smtp_client *client, const struct transaction *t, const struct recipient *recipient)
{
    struct client_line line;

    if (!client_line_begin(client, &line))
        return false;
    client_line_add(&line, BYTES("RCPT TO:<"));
    client_line_add(&line, recipient->address);
    client_line_add(&line, BYTES(">"));
    if (client->peer.dsn) {
        add_notify(&line, recipient->notify);
        if (is_parameter(recipient->orcpt, ORCPT_BYTES_MAX, t->is_utf8)) {
            client_line_add(&line, BYTES(" ORCPT="));
            client_line_add(&line, recipient->orcpt);
        }
    }
    client_line_end(client, &line, BYTES_NONE);
    return true;
}

/* Without pipelining each command waits for the reply to the one before. */
static bool may_write(const struct smtp_client *client)
{
    return (client->peer.pipelining && client->config->uses_pipelining) ||
           !client_is_reply_expected(client);
}

static bool cut(struct transaction *t)
{
    t->is_cut = true;
    t->write = WRITE_OVER;
    return true;
}

static bool write_start(struct smtp_client *client, struct transaction *t)
{
    if (t->own || t->offered == 0)
        return cut(t);
    if (!may_write(client))
        return false;
    if (client->is_mail_open) {
        if (!client_line_put(client, BYTES("RSET")))
            return false;
        client->is_mail_open = false;
        t->read = READ_RSET;
    }
    t->write = WRITE_MAIL;
    return true;
}

static bool begin_mail(struct smtp_client *client, struct transaction *t)
{
    if (!may_write(client) || !write_mail(client, t))
        return false;
    if (t->read == READ_START)
        t->read = READ_MAIL;
    client->is_mail_open = true;
    client->last_mail = client->writing;
    client->mail_count++;
    t->write = WRITE_RCPT;
    return true;
}

static bool next_rcpt(struct smtp_client *client, struct transaction *t)
{
    if (t->unsettled == 0)
        return cut(t); /* MAIL, or each RCPT, was refused: there is nothing to send */
    while (t->write_rcpt < t->message.recipient_count && t->fates[t->write_rcpt] & FATE_REASON)
        t->write_rcpt++;
    if (t->write_rcpt == t->message.recipient_count) {
        t->write = WRITE_DATA;
        return true;
    }
    if (!may_write(client) || t->write_rcpt >= t->read_rcpt + RCPT_AHEAD_MAX)
        return false;
    if (!write_rcpt(client, t, &t->message.recipients[t->write_rcpt]))
        return false;
    t->write_rcpt++;
    return true;
}

static bool write_bdat(struct smtp_client *client, const struct transaction *t)
{
    struct client_line line;

    if (!client_line_begin(client, &line))
        return false;
    client_line_add(&line, BYTES("BDAT "));
    client_line_add_number(&line, t->message.content_bytes);
    client_line_add(&line, BYTES(" LAST"));
    client_line_end(client, &line, BYTES_NONE);
    return true;
}

static bool write_data(struct smtp_client *client, struct transaction *t)
{
    if (t->unsettled == 0)
        return cut(t);
    if (!may_write(client))
        return false;
    if (!(t->is_bdat ? write_bdat(client, t) : client_line_put(client, BYTES("DATA"))))
        return false;
    t->write = t->is_bdat ? WRITE_CONTENT : WRITE_WAITING;
    return true;
}

static bool ask_for_content(struct smtp_client *client, struct transaction *t)
{
    struct smtp_client_action *action = client_act(client, SMTP_CLIENT_SEND_CONTENT);

    action->tag = t->message.tag;
    action->is_stuffed = !t->is_bdat && t->message.has_dot_line;
    t->write = WRITE_SENDING;
    return true;
}

/* The end of data takes the transaction away from the peer; BDAT does by a good reply alone. */
static void end_content(struct smtp_client *client, struct transaction *t)
{
    t->write = WRITE_OVER;
    t->is_sent = true;
    if (!t->is_bdat)
        client->is_mail_open = false;
}

static bool write_dot(struct smtp_client *client, struct transaction *t)
{
    const struct smtp_client_message *message = &t->message;
    bool is_at_start =
        t->unsettled == 0 || message->content_bytes == 0 || message->ends_with_crlf;

    if (buf_add(client->out, is_at_start ? BYTES(".\r\n") : BYTES("\r\n.\r\n")) != OK)
        return false; /* OUT is full: once it drained */
    end_content(client, t);
    return true;
}

void client_content_sent(struct smtp_client *client)
{
    struct transaction *t = client_at(client, client->writing);

    assert(client->writing < client->tail && t->write == WRITE_SENDING);
    if (t->is_bdat || t->message.has_dot_line)
        end_content(client, t);
    else
        t->write = WRITE_DOT;
}

static bool write_next(struct smtp_client *client, struct transaction *t)
{
    switch (t->write) {
    case WRITE_START:
        return write_start(client, t);
    case WRITE_MAIL:
        return begin_mail(client, t);
    case WRITE_RCPT:
        return next_rcpt(client, t);
    case WRITE_DATA:
        return write_data(client, t);
    case WRITE_CONTENT:
        return ask_for_content(client, t);
    case WRITE_DOT:
        return write_dot(client, t);
    case WRITE_OVER:
        client->writing++;
        return true;
    case WRITE_WAITING:
    case WRITE_SENDING:
        break;
    }
    return false;
}

static bool is_used_up(const struct smtp_client *client)
{
    uint32_t ours = client->config->mails_max, theirs = client->peer.mail_max;

    return client->wants_quit || (ours && client->mail_count >= ours) ||
           (theirs && client->mail_count >= theirs);
}

/* Another message is welcome as soon as the one before can go no faster: once its content is
 * asked for, so that the next MAIL follows in the same write; without pipelining once all its
 * replies are here. */
static bool wants_message(const struct smtp_client *client)
{
    if (client->is_ready_open || is_used_up(client))
        return false;
    if (client->head == client->tail)
        return true;
    if (!client->peer.pipelining || !client->config->uses_pipelining)
        return false;
    return client->tail - client->head < client->config->under_way_max &&
           client_at(client, client->tail - 1)->write >= WRITE_SENDING;
}

bool client_write(struct smtp_client *client)
{
    if (client->writing < client->tail) {
        if (write_next(client, client_at(client, client->writing)))
            return true;
    }
    if (wants_message(client)) {
        client->is_ready_open = true;
        client_act(client, SMTP_CLIENT_READY);
        return true;
    }
    if (client->head == client->tail && is_used_up(client) &&
        client_line_put(client, BYTES("QUIT"))) {
        client_enter(client, CLIENT_QUITTING);
        return true;
    }
    return false;
}
