/* A message is taken into the ring, and judged by what the peer can do: what it cannot take
 * gets a result of our own without being offered. */
#include "proto/smtp/client_engine.h"

#include "base/mem.h"
#include "mail/address.h"

#include <assert.h>

static bool is_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.at[i] > 127)
            return false;
    }
    return true;
}

/* Whether an address may stand between "<" and ">" of a command.  It was parsed when it came
 * in; this holds even if that had a fault, for a line break or a bracket in it would let a
 * client write commands or parameters of its own. */
static bool is_writable(struct bytes address)
{
    bool is_quoted = false;

    if (address.n > ADDRESS_BYTES_MAX)
        return false;
    for (size_t i = 0; i < address.n; i++) {
        uint8_t c = address.at[i];

        if (c < 32 || c == 127)
            return false;
        if (c == '"')
            is_quoted = !is_quoted;
        else if (c == '\\' && is_quoted && i + 1 < address.n && address.at[i + 1] >= 32)
            i++;
        else if (!is_quoted && (c == ' ' || c == '<' || c == '>'))
            return false;
    }
    return !is_quoted;
}

/* Why the whole message is not offered, or NULL. */
static const struct smtp_reply *judge(
    const struct smtp_client *client, const struct smtp_client_message *message)
{
    const struct smtp_client_peer *peer = &client->peer;
    bool takes_binary = peer->binarymime && peer->chunking && client->config->uses_chunking;

    if (peer->size_bytes_max && message->content_bytes > peer->size_bytes_max)
        return &client_own_size;
    if (!is_writable(message->sender))
        return &client_own_sender;
    if (!peer->smtputf8 && !is_ascii(message->sender))
        return &client_own_sender_ascii;
    if (!peer->smtputf8 && message->is_smtputf8 && message->has_utf8_header)
        return &client_own_header_ascii;
    if (message->body == BODY_BINARYMIME && !takes_binary)
        return &client_own_binary;
    return NULL;
}

static uint8_t fate_of(
    const struct smtp_client *client, const struct transaction *t, struct bytes address)
{
    uint32_t rcpt_max = client->peer.rcpt_max;

    if (address.n == 0 || !is_writable(address))
        return FATE_NO_ADDRESS;
    if (!client->peer.smtputf8 && !is_ascii(address))
        return FATE_NOT_ASCII;
    if (rcpt_max && t->offered >= rcpt_max)
        return FATE_TOO_MANY; /* RFC 9422, 4.2: the driver offers these again at once */
    return FATE_OFFERED;
}

static void make_room(struct transaction *t, size_t recipient_count)
{
    if (t->fates_room >= recipient_count)
        return;
    t->fates = mem_grow(t->fates, recipient_count);
    t->fates_room = recipient_count;
}

static void take(struct smtp_client *client, const struct smtp_client_message *message)
{
    struct transaction *t = client_at(client, client->tail++);
    uint8_t *fates = t->fates;
    size_t fates_room = t->fates_room;
    bool is_utf8 = message->is_smtputf8 || !is_ascii(message->sender);

    *t = (struct transaction){ .message = *message, .fates = fates, .fates_room = fates_room };
    make_room(t, message->recipient_count);
    t->own = judge(client, message);
    t->is_bdat = client->peer.chunking && client->config->uses_chunking;
    t->unsettled = message->recipient_count;
    for (uint32_t i = 0; i < message->recipient_count; i++) {
        struct bytes address = message->recipients[i].address;

        t->fates[i] = fate_of(client, t, address);
        t->offered += t->fates[i] == FATE_OFFERED;
        is_utf8 = is_utf8 || !is_ascii(address);
    }
    t->is_utf8 = is_utf8 && client->peer.smtputf8;
}

/* An offer that crosses the end of the session comes back. */
void client_offer(struct smtp_client *client, const struct smtp_client_message *message)
{
    if (client->state != CLIENT_UP || client->wants_quit) {
        client_act(client, SMTP_CLIENT_RETURNED)->tag = message->tag;
        return;
    }
    assert(client->is_ready_open);
    client->is_ready_open = false;
    take(client, message);
}
