/* What a message that was received says in the logs: one line in the log; in the tracking log its
 * recipients as the client named them, and what aliases among them stand for. */
#include "flow/session/internal.h"

#include "base/mem.h"
#include "report/tracking.h"

#include <stdio.h>

/* --- Who sent it ------------------------------------------------------------------------- */

struct receipt_client {
    struct session_id session;
    struct bytes connector, client, helo, user, local, fqdn, tls;
};

static struct receipt_client client_of(const struct session *session)
{
    return (struct receipt_client){
        .session = session->protocol.id,
        .connector = bytes_text(session->connector->name),
        .client = bytes_text(session->protocol.peer),
        .helo = bytes_text(session->client_name),
        .user = bytes_text(session->client.user),
        .local = bytes_text(session->protocol.local),
        .fqdn = session->config.fqdn,
        .tls = bytes_text(session->tls_version),
    };
}

/* What it has is borrowed. */
static struct receipt_client get_client(const struct receipt *receipt)
{
    return receipt->session ? client_of(receipt->session) : *receipt->client;
}

void receipt_keep_client(struct receipt *receipt)
{
    struct receipt_client from = client_of(receipt->session);
    struct bytes *texts[] = { &from.connector, &from.client, &from.helo, &from.user,
        &from.local, &from.fqdn, &from.tls };
    enum { TEXTS = sizeof texts / sizeof *texts };
    size_t bytes = sizeof from;
    uint8_t *to;

    for (size_t i = 0; i < TEXTS; i++)
        bytes += texts[i]->n;
    receipt->client = mem_new(bytes);
    to = (uint8_t *)(receipt->client + 1); /* where the texts stand */
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i]->n)
            memcpy(to, texts[i]->at, texts[i]->n);
        texts[i]->at = to;
        to += texts[i]->n;
    }
    *receipt->client = from;
}

/* --- What it says ------------------------------------------------------------------------ */

/* Where in the list of recipients we are, an alias standing for those behind it. */
struct place {
    uint32_t recipient, alias;
};

/* The next recipients as the client named them.  The list is empty at the end. */
static void list_named(
    const struct receipt *receipt, struct place *place, struct tracking_list *list)
{
    tracking_list_clear(list);
    while (place->recipient < receipt->recipient_count) {
        const struct receipt_alias *alias =
            place->alias < receipt->alias_count ? &receipt->aliases[place->alias] : NULL;
        bool is_alias = alias && alias->first == place->recipient;
        struct span span =
            is_alias ? alias->address : receipt->recipients[place->recipient].address;
        if (!tracking_list_add(list, receipt_text(receipt, span)))
            return;
        place->alias += is_alias;
        place->recipient += is_alias ? alias->count : 1;
    }
}

static uint32_t count_named(const struct receipt *receipt)
{
    uint32_t count = receipt->recipient_count + receipt->alias_count;

    for (uint32_t i = 0; i < receipt->alias_count; i++)
        count -= receipt->aliases[i].count;
    return count;
}

/* One EXPAND, or more of them when they do not fit into one line. */
static void tell_alias(const struct receipt *receipt, const struct receipt_client *client,
    const struct receipt_alias *alias)
{
    uint32_t at = alias->first, end = alias->first + alias->count;
    struct tracking_list list;

    while (at < end) {
        uint32_t count = 0;
        tracking_list_clear(&list);
        for (; at < end; at++) {
            const struct receipt_recipient *recipient = &receipt->recipients[at];
            if (recipient->is_expanded)
                continue; /* the alias itself, which gets a report */
            if (!tracking_list_add(&list, receipt_text(receipt, recipient->address)))
                break;
            count++;
        }
        report(REPORT_EXPANDED, R_MID(receipt->mid), R_SESSION(client->session),
            R_TEXT("connector", client->connector),
            R_ADDRESS("alias", receipt_text(receipt, alias->address)), R_NUMBER("nrcpt", count),
            R_TRACKED("recipients", tracking_list_bytes(&list)),
            R_TRACKED_ADDRESS("from", receipt_sender(receipt)),
            R_TRACKED_CHARS("message-id", receipt->scan.message_id));
    }
}

/* The further recipients of one that has many. */
static void tell_recipients(
    const struct receipt *receipt, const struct receipt_client *client, struct place place)
{
    struct tracking_list list;

    for (list_named(receipt, &place, &list); list.n; list_named(receipt, &place, &list))
        report(REPORT_RECEIVED_FOR, R_TRACKED("recipients", tracking_list_bytes(&list)),
            R_MID(receipt->mid), R_SESSION(client->session),
            R_TEXT("connector", client->connector), R_ADDRESS("from", receipt_sender(receipt)),
            R_NUMBER("nrcpt", count_named(receipt)),
            R_NUMBER("size", (int64_t)receipt->scan.bytes),
            R_CHARS("message-id", receipt->scan.message_id),
            R_CHARS("subject", report_tracks_subjects() ? receipt->scan.subject : ""));
}

void tell_received(const struct receipt *receipt)
{
    struct receipt_client client = get_client(receipt);
    char rules[RECEIPT_RULES_BYTES];
    struct place place = { 0 };
    struct tracking_list list;

    tracking_list_clear(&list);
    if (report_tracks())
        list_named(receipt, &place, &list);
    receipt_format_rules(receipt, rules);
    report(REPORT_RECEIVED, R_MID(receipt->mid), R_SESSION(client.session),
        R_TEXT("connector", client.connector), R_TEXT("client", client.client),
        R_TEXT("helo", client.helo), R_TEXT("user", client.user), R_CHARS("by", rules),
        R_ADDRESS("from", receipt_sender(receipt)), R_NUMBER("nrcpt", receipt->mailbox_count),
        R_NUMBER("size", (int64_t)receipt->scan.bytes),
        R_CHARS("message-id", receipt->scan.message_id),
        R_TRACKED("recipients", tracking_list_bytes(&list)), R_TRACKED("local", client.local),
        R_TRACKED("fqdn", client.fqdn), R_TRACKED("tls", client.tls),
        R_TRACKED_CHARS("subject", report_tracks_subjects() ? receipt->scan.subject : ""));
    if (report_tracks())
        tell_recipients(receipt, &client, place);
    for (uint32_t i = 0; i < receipt->alias_count; i++)
        tell_alias(receipt, &client, &receipt->aliases[i]);
}

void tell_untold(const struct receipt *receipt)
{
    report(REPORT_UNTOLD, R_MID(receipt->mid), R_SESSION(receipt->client->session),
        R_TEXT("connector", receipt->client->connector),
        R_TEXT("client", receipt->client->client));
}
