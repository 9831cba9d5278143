/* What a host said of a message: its recipients' results, and what it wants of our pace. */
#include "flow/deliver/internal.h"

/* Whom the reply may be about: what was said before it. */
static struct blame_who who_of(const struct delivery *delivery, const struct sending *sending,
    const struct smtp_client_action *action)
{
    struct blame_who who = {
        .message = item_message(sending->item)->entry.by_mid.mid,
        .sender = blame_sender(sending->offer.sender),
    };
    bool is_of_each = action->stage == SMTP_CLIENT_AT_RCPT ||
                      (action->stage == SMTP_CLIENT_AT_END && delivery->config.is_lmtp);

    if (action->stage != SMTP_CLIENT_AT_MAIL &&
        (is_of_each || sending->offer.recipient_count == 1))
        who.recipient = blame_recipient(sending->recipients[action->recipient].address);
    return who;
}

/* What the host says of our pace; nothing that was made up here says such words.  If that is
 * about this sender or recipient alone, it is a refusal like any other. */
static void note_pace(struct delivery *delivery, struct sending *sending, struct result *result,
    const struct smtp_client_action *action)
{
    const struct smtp_reply *reply = action->reply;
    enum pace_sign sign = PACE_SIGN_NONE;
    struct blame_who who;

    sending->is_accepted |= result->fate == FATE_DELIVERED;
    if (result->fate == FATE_DEFERRED && action->stage != SMTP_CLIENT_IN_DOUBT)
        sign = pace_sign_of(reply->code, reply->status, reply->text);
    if (sign == PACE_SIGN_NONE)
        return;
    who = who_of(delivery, sending, action);
    if (!host_slow_down(delivery->host, sign, reply, &who, false))
        return;
    result->is_slowed = true;
    delivery->is_quitting = true;
    delivery_uncount(delivery);
}

/* The host takes mail, and whose. */
static void note_accepted(struct delivery *delivery, const struct sending *sending)
{
    struct host_pace *pace = delivery->host->pace;
    uint64_t sender;

    pace_accepted(&pace->pace, loop_now(pace->deliver->loop).ms);
    if (!blame_is_open(&pace->blame))
        return;
    sender = blame_sender(sending->offer.sender);
    for (uint32_t i = 0; i < sending->offer.recipient_count; i++) {
        if (sending->results[i].fate == FATE_DELIVERED)
            blame_accepted(
                &pace->blame, sender, blame_recipient(sending->recipients[i].address));
    }
}

void delivery_ended_by(struct delivery *delivery, const struct smtp_reply *reply)
{
    enum pace_sign sign = pace_sign_of(reply->code, reply->status, reply->text);

    if (sign == PACE_SIGN_NONE)
        return;
    delivery->is_slowed = true;
    host_slow_down(delivery->host, sign, reply, NULL, !delivery->is_up);
}

void delivery_result(struct delivery *delivery, const struct smtp_client_action *action)
{
    struct sending *sending = delivery_sending_of(action);
    const struct smtp_reply *reply = action->reply;
    struct result *result = &sending->results[action->recipient];
    bool is_ok = reply->code >= 200 && reply->code < 300;

    sending_begin(
        sending); /* the step began with another one, perhaps; it ends this one, too */
    *result = (struct result){
        .recipient = item_recipient(sending->item, action->recipient),
        .is_own = reply->is_own,
        .verdict = verdict_of(reply->code, reply->status, "%s", reply->text),
        .tls = delivery->tls_text,
    };
    sending->is_in_doubt |= action->stage == SMTP_CLIENT_IN_DOUBT;
    if (is_ok && action->stage == SMTP_CLIENT_AT_END) {
        result->fate = FATE_DELIVERED;
        delivery->taken.recipients++;
        sending->is_taken = true;
        result->is_final = delivery->config.is_lmtp;
        result->is_relayed_blind = !smtp_client_peer(delivery->engine)->dsn;
    } else {
        result->fate = reply->code >= 500 && reply->code < 600 ? FATE_FAILED : FATE_DEFERRED;
    }
    note_pace(delivery, sending, result, action);
}

void delivery_done(struct delivery *delivery, struct sending *sending)
{
    struct deliver *deliver = delivery->destination->deliver;
    struct item *item = sending->item;
    struct crash_work before = sending_begin(sending);

    if (sending->is_taken) {
        delivery->taken.messages++;
        delivery->taken.bytes +=
            sending->takeover.n + sending->prepend.n + sending->content_bytes;
    }
    if (sending->is_in_doubt)
        report(REPORT_IN_DOUBT, R_MID(item_message(item)->entry.by_mid.mid),
            R_SESSION(delivery->protocol.id), R_CHARS("host", delivery->text));
    if (sending->trouble != OK) {
        for (uint32_t i = 0; i < item->recipient_count; i++)
            sending->results[i] = deliver_unreadable(item_recipient(item, i), sending->trouble);
    }
    if (sending->is_accepted)
        note_accepted(delivery, sending);
    deliver->finished(deliver, item, sending->results,
        &(struct attempt){ delivery->text, bytes_of(sending->envelope, sending->envelope_n) });
    sending_free(sending);
    crash_end(before);
}

void delivery_returned(struct delivery *delivery, struct sending *sending)
{
    struct deliver *deliver = delivery->destination->deliver;
    struct item *item = sending->item;

    sending_free(sending);
    deliver->put_back(deliver, item);
}
