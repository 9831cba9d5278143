/* The reading side: whose reply this is, and what it means for the recipients. */
#include "proto/smtp/client_engine.h"

#include <assert.h>

static void give_result(struct smtp_client *client, uint32_t recipient,
    enum smtp_client_stage stage, const struct smtp_reply *reply)
{
    struct transaction *t = client_head(client);
    struct smtp_client_action *action = client_act(client, SMTP_CLIENT_RESULT);

    assert(!(t->fates[recipient] & FATE_SETTLED));
    t->fates[recipient] |= FATE_SETTLED;
    t->unsettled--;
    action->tag = t->message.tag;
    action->recipient = recipient;
    action->stage = stage;
    action->reply = reply;
    if (reply == &client->replies[client->reply_at])
        client->is_reply_kept = true;
}

void client_settle(
    struct smtp_client *client, enum smtp_client_stage stage, const struct smtp_reply *reply)
{
    assert(!client->settling.reply);
    client->settling = (struct settling){ .reply = reply, .stage = stage };
}

void client_settle_more(struct smtp_client *client)
{
    struct settling *settling = &client->settling;
    struct transaction *t = client_head(client);

    while (t->unsettled && client_has_room(client)) {
        uint32_t i = settling->next++;

        assert(i < t->message.recipient_count);
        if (!(t->fates[i] & FATE_SETTLED))
            give_result(client, i, settling->stage, settling->reply);
    }
    if (t->unsettled == 0)
        settling->reply = NULL;
}

/* With BDAT a reply may come before all of the content is handed over; it can only be a
 * refusal then. */
bool client_is_reply_expected(const struct smtp_client *client)
{
    const struct transaction *t = client_head(client);

    if (client->state != CLIENT_UP)
        return client->state != CLIENT_CONNECTING && client->state != CLIENT_STARTING_TLS &&
               client->state != CLIENT_AUTH_ASKING;
    if (!t)
        return false;
    switch (t->read) {
    case READ_RSET:
        return true;
    case READ_MAIL:
        return t->write > WRITE_MAIL;
    case READ_RCPT:
        return t->read_rcpt < t->write_rcpt;
    case READ_DATA:
        return t->write > WRITE_DATA && !t->is_cut;
    case READ_END:
        return t->write >= WRITE_SENDING && !t->is_cut;
    case READ_START:
    case READ_OVER:
        break;
    }
    return false;
}

static bool is_refusal(const struct smtp_reply *reply)
{
    return reply->code >= 400;
}

static bool is_good(const struct smtp_reply *reply)
{
    return reply->code / 100 == 2;
}

/* Nothing was written behind this transaction's MAIL that opened another. */
static bool is_last_mail(const struct smtp_client *client)
{
    return client->last_mail == client->head;
}

static void on_mail_reply(
    struct smtp_client *client, struct transaction *t, const struct smtp_reply *reply)
{
    t->read = READ_RCPT;
    if (!is_refusal(reply))
        return;
    client_settle(client, SMTP_CLIENT_AT_MAIL, reply);
    if (is_last_mail(client))
        client->is_mail_open = false;
}

/* Some servers still say 552 when there are too many recipients, which is for now and not for
 * good (RFC 5321, 4.5.3.1.10).  A full mailbox is 552 too: the enhanced code tells them apart.
 */
static const struct smtp_reply *soften(const struct smtp_reply *reply)
{
    bool is_count = reply->status.subject == 5 && reply->status.detail == 3;

    return reply->code == 552 && is_count ? &client_own_too_many : reply;
}

static void on_rcpt_reply(
    struct smtp_client *client, struct transaction *t, const struct smtp_reply *reply)
{
    uint32_t i = t->read_rcpt++;

    if (t->fates[i] & FATE_SETTLED)
        return; /* MAIL was refused: whatever is said here means nothing */
    if (is_refusal(reply))
        give_result(client, i, SMTP_CLIENT_AT_RCPT, soften(reply));
    else
        t->fates[i] |= FATE_ACCEPTED;
}

/* 354 though no recipient was taken: the data must be ended, and is empty (RFC 2920, 3.1).  By
 * LMTP that has no reply, or one for each recipient that we do not know of. */
static void on_data_reply(
    struct smtp_client *client, struct transaction *t, const struct smtp_reply *reply)
{
    if (is_refusal(reply)) {
        t->write = WRITE_OVER;
        t->read = READ_OVER;
        if (t->unsettled)
            client_settle(client, SMTP_CLIENT_AT_DATA, reply);
    } else if (t->unsettled) {
        t->read = READ_END;
        t->read_rcpt = 0;
        t->write = WRITE_CONTENT;
    } else if (client->config->is_lmtp) {
        client_end_lost(client, &client_own_protocol);
    } else {
        t->read = READ_END;
        t->write = WRITE_DOT;
    }
}

static void on_last_reply(
    struct smtp_client *client, struct transaction *t, const struct smtp_reply *reply)
{
    t->read = READ_OVER;
    if (is_last_mail(client) && (is_good(reply) || client->config->is_lmtp))
        client->is_mail_open = false;
}

/* LMTP answers once for each accepted recipient, in their order (RFC 2033, 4.2). */
static void on_end_reply(
    struct smtp_client *client, struct transaction *t, const struct smtp_reply *reply)
{
    if (t->write != WRITE_OVER) { /* the rest of the content would be wasted, or worse */
        client_end_refused(client, reply);
        return;
    }
    if (client->config->is_lmtp && t->unsettled) {
        while (t->fates[t->read_rcpt] & FATE_SETTLED)
            t->read_rcpt++;
        give_result(client, t->read_rcpt, SMTP_CLIENT_AT_END, reply);
        if (t->unsettled == 0)
            on_last_reply(client, t, reply);
        return;
    }
    if (t->unsettled)
        client_settle(client, SMTP_CLIENT_AT_END, reply);
    on_last_reply(client, t, reply);
}

/* Whether a reply of this class can be an answer here at all. */
static bool makes_sense(const struct smtp_client *client, const struct transaction *t,
    const struct smtp_reply *reply)
{
    if (is_refusal(reply))
        return true;
    if (t->read == READ_DATA)
        return !is_good(reply);
    if (t->read == READ_END)
        return is_good(reply) && t->write == WRITE_OVER &&
               !(client->config->is_lmtp && t->unsettled == 0);
    return is_good(reply);
}

void client_transaction_reply(struct smtp_client *client, const struct smtp_reply *reply)
{
    struct transaction *t = client_head(client);

    if (!makes_sense(client, t, reply)) {
        client_end_lost(client, &client_own_protocol);
        return;
    }
    if (t->read == READ_RSET) { /* refused or not: MAIL's reply decides */
        t->read = READ_MAIL;
        return;
    }
    t->is_answered = true;
    if (t->read == READ_MAIL)
        on_mail_reply(client, t, reply);
    else if (t->read == READ_RCPT)
        on_rcpt_reply(client, t, reply);
    else if (t->read == READ_DATA)
        on_data_reply(client, t, reply);
    else
        on_end_reply(client, t, reply);
}

/* A recipient that was not offered gets its result when its turn comes. */
static bool skip_recipient(struct smtp_client *client, struct transaction *t)
{
    static const struct smtp_reply *const reasons[] = {
        [FATE_TOO_MANY] = &client_own_too_many,
        [FATE_NOT_ASCII] = &client_own_recipient_ascii,
        [FATE_NO_ADDRESS] = &client_own_recipient,
    };
    uint8_t fate;

    if (t->read_rcpt == t->message.recipient_count)
        return false;
    fate = t->fates[t->read_rcpt];
    if (!(fate & FATE_REASON))
        return false;
    if (!(fate & FATE_SETTLED))
        give_result(client, t->read_rcpt, SMTP_CLIENT_AT_RCPT, reasons[fate & FATE_REASON]);
    t->read_rcpt++;
    return true;
}

static bool advance_rcpt(struct smtp_client *client, struct transaction *t)
{
    if (skip_recipient(client, t))
        return true;
    if (t->is_cut && t->read_rcpt >= t->write_rcpt) {
        t->read = READ_OVER;
        return true;
    }
    if (t->read_rcpt < t->message.recipient_count)
        return false;
    t->read = t->is_bdat ? READ_END : READ_DATA;
    if (t->is_bdat)
        t->read_rcpt = 0;
    return true;
}

static bool advance_start(struct smtp_client *client, struct transaction *t)
{
    if (!t->is_cut)
        return false;
    t->read = t->own ? READ_OVER : READ_RCPT;
    if (t->own && t->unsettled)
        client_settle(client, SMTP_CLIENT_AT_MAIL, t->own);
    return true;
}

static bool leave(struct smtp_client *client, struct transaction *t)
{
    assert(t->unsettled == 0);
    client_act(client, SMTP_CLIENT_DONE)->tag = t->message.tag;
    client->through += t->is_answered;
    client->head++;
    if (client->writing < client->head)
        client->writing = client->head;
    return true;
}

bool client_advance(struct smtp_client *client)
{
    struct transaction *t = client_head(client);

    if (!t || client->reply_lines)
        return false;
    switch (t->read) {
    case READ_START:
        return advance_start(client, t);
    case READ_RCPT:
        return advance_rcpt(client, t);
    case READ_DATA:
    case READ_END:
        if (t->is_cut)
            t->read = READ_OVER;
        return t->is_cut;
    case READ_OVER:
        return t->write == WRITE_OVER && leave(client, t);
    case READ_RSET:
    case READ_MAIL:
        break;
    }
    return false;
}
