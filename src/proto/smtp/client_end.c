/* Every way a connection ends but QUIT: refused, lost, or the protocol broken.
 *
 * What becomes of a message that was under way:
 *
 * 1. Its last byte was handed over and no reply came: IN_DOUBT.  It may have been delivered.
 * 2. The peer ended the connection by a reply (421): what stands behind that reply was not
 *    done (commands are done in order), so those messages are RETURNED, sent or not.
 * 3. The first message, to which it happened, was attempted: it gets results.  If it was not
 *    answered at all on a connection that had worked before, the peer most likely closed an
 *    idle connection in the same moment: RETURNED.  On a fresh connection it gets results even
 *    so, or a message that makes the peer break down would be offered for ever.
 * 4. The others were not answered and not sent: RETURNED. */
#include "proto/smtp/client_engine.h"

#include <assert.h>

/* The session worked before, and of the first message nothing was answered. */
static bool is_worn_out(const struct smtp_client *client)
{
    const struct transaction *t = client_head(client);

    return client->through && (!t || !t->is_answered);
}

static bool wants_failed(
    const struct smtp_client *client, const struct smtp_reply *cause, bool is_by_reply)
{
    if (client->state == CLIENT_QUITTING)
        return false;
    if (client->state == CLIENT_CONNECTING && client->wants_quit)
        return false;
    if (client->state != CLIENT_UP)
        return true;
    if (is_by_reply)
        return cause->code == 421 && !is_worn_out(client);
    return client->through == 0 && !client->wants_quit;
}

static void end(struct smtp_client *client, const struct smtp_reply *cause, bool is_by_reply)
{
    client->ending = (struct ending){
        .cause = cause,
        .is_by_reply = is_by_reply,
        .wants_failed = wants_failed(client, cause, is_by_reply),
        .is_first = true,
    };
    client->reply_lines = 0;
    client_enter(client, CLIENT_ENDING);
}

/* A session that does not come up is left with QUIT, if the peer still listens. */
void client_end_refused(struct smtp_client *client, const struct smtp_reply *reply)
{
    bool is_up = client->state == CLIENT_UP || client->state == CLIENT_QUITTING;

    end(client, reply, true);
    if (!is_up && reply->code != 421) {
        bool is_said = client_line_put(client, BYTES("QUIT"));
        (void)is_said; /* a courtesy */
    }
}

void client_end_lost(struct smtp_client *client, const struct smtp_reply *cause)
{
    end(client, cause, false);
}

static enum smtp_client_stage stage_of(const struct transaction *t)
{
    if (t->read <= READ_MAIL)
        return SMTP_CLIENT_AT_MAIL;
    if (t->read == READ_RCPT)
        return SMTP_CLIENT_AT_RCPT;
    return t->read == READ_DATA ? SMTP_CLIENT_AT_DATA : SMTP_CLIENT_AT_END;
}

/* 1..4 above. */
static bool is_returned(const struct smtp_client *client, const struct transaction *t)
{
    const struct ending *ending = &client->ending;

    if (t->is_answered || t->unsettled < t->message.recipient_count)
        return false;
    if (!ending->is_by_reply && t->is_sent)
        return false;
    return !ending->is_first || t->write == WRITE_START || is_worn_out(client);
}

static void end_transaction(struct smtp_client *client, struct transaction *t)
{
    const struct ending *ending = &client->ending;

    if (t->unsettled && !is_returned(client, t)) {
        if (t->is_sent && !ending->is_by_reply)
            client_settle(client, SMTP_CLIENT_IN_DOUBT, &client_own_in_doubt);
        else
            client_settle(client, stage_of(t), ending->cause);
        return;
    }
    client_act(client, t->unsettled ? SMTP_CLIENT_RETURNED : SMTP_CLIENT_DONE)->tag =
        t->message.tag;
    client->head++;
    client->ending.is_first = false;
}

void client_end_more(struct smtp_client *client)
{
    struct transaction *t = client_head(client);
    struct smtp_client_action *failed;

    if (t) {
        end_transaction(client, t);
        return;
    }
    if (client->ending.wants_failed) {
        failed = client_act(client, SMTP_CLIENT_FAILED);
        failed->stage = SMTP_CLIENT_AT_SESSION;
        failed->reply = client->ending.cause;
    }
    client_act(client, SMTP_CLIENT_CLOSE)->reply =
        client->ending.is_by_reply ? client->ending.cause : NULL;
    client_enter(client, CLIENT_CLOSED);
}
