#include "flow/route/route.h"

#include "mail/idna.h"
#include "policy/route.h"

#include <assert.h>
#include <stdlib.h>

enum { HOP_NAME_BYTES = 400 };

static struct item *item_for(struct message *message, const struct hop *hop)
{
    for (struct item *item = &message->first; item; item = item->next) {
        if (item->recipient_count && item->hop == hop)
            return item;
    }
    return NULL;
}

/* Hops of connectors, as they are asked for. */
struct ways {
    struct router *router;
    struct bytes domain; /* zero-ended */
    struct hop *first, *last;
};

static bool is_resting(void *me, const struct send_connector *connector)
{
    struct ways *ways = me;
    const char *domain = (const char *)ways->domain.at;
    char name[HOP_NAME_BYTES];

    route_hop_name(connector, ways->domain, name);
    ways->last = ways->router->find_hop(
        ways->router, name, connector->delivery == DELIVERY_MX ? domain : "", connector);
    if (!ways->first)
        ways->first = ways->last;
    if (!hop_is_resting(ways->last)) /* or it is time to try it again */
        return false;
    ways->last->idle_sweeps = 0; /* it is asked for, and goes on being probed */
    return true;
}

/* The first choice, unless it is down and says that others may stand in (SC-4). */
static struct hop *choose_hop(struct router *router, const struct route_facts *facts)
{
    struct ways ways = { .router = router, .domain = facts->domain };

    if (!route_choose_up(router->setup->settings, facts, is_resting, &ways))
        return router->find_hop(router, HOP_UNREACHABLE, "", NULL);
    return hop_is_resting(ways.last) ? ways.first : ways.last;
}

static void add_to(struct message *message, struct hop *hop, uint32_t recipient)
{
    struct item *item = item_for(message, hop);

    if (item) {
        item_add_recipient(item, recipient);
    } else {
        item = message_add_item(message, recipient);
        item->hop = hop;
    }
}

static bool is_to_be_routed(
    const struct message *message, const struct recipient *recipient, uint32_t number)
{
    return !recipient->is_expanded &&
           spool_is_pending(spool_entry_outcome(&message->entry, number));
}

static void put_away(struct router *router, struct message *message)
{
    struct hop *hop = router->find_hop(router, HOP_POISON, "", NULL);
    struct envelope_cursor cursor;
    struct recipient recipient;

    envelope_recipients(message_envelope(message), &cursor);
    for (uint32_t i = 0; envelope_next_recipient(&cursor, &recipient); i++)
        if (is_to_be_routed(message, &recipient, i))
            add_to(message, hop, i);
}

/* Recipients are asked for in their order; AT is how far the pins are gone through. */
static struct hop *pinned_hop(const struct route_pins *pins, uint32_t recipient, uint32_t *at)
{
    while (pins && *at < pins->count && pins->list[*at].recipient < recipient)
        ++*at;
    return pins && *at < pins->count && pins->list[*at].recipient == recipient
               ? pins->list[*at].hop
               : NULL;
}

void route_message(
    struct router *router, struct message *message, const struct route_pins *pins)
{
    struct envelope_cursor cursor;
    struct recipient recipient;
    char domain[IDNA_BYTES_MAX], last_domain[IDNA_BYTES_MAX] = "";
    struct route_facts facts = { .size_bytes = message->entry.content_bytes };
    struct envelope envelope;
    struct hop *hop = NULL;
    uint32_t pin = 0;

    assert(message->first.recipient_count == 0);
    if (message->is_poison) {
        put_away(router, message);
        return;
    }
    if (envelope_decode(message_envelope(message), &envelope) != OK)
        abort(); /* it was decoded when the message came in, and lies in our memory */
    facts.sender = envelope.sender;
    facts.receive_name = envelope.connector;
    envelope_recipients(message_envelope(message), &cursor);
    for (uint32_t i = 0; envelope_next_recipient(&cursor, &recipient); i++) {
        struct hop *pinned = pinned_hop(pins, i, &pin);
        if (!is_to_be_routed(message, &recipient, i))
            continue;
        if (pinned) {
            add_to(message, pinned, i);
            continue;
        }
        route_domain(router->setup->settings, recipient.address, domain);
        if (!hop || strcmp(domain, last_domain) != 0) {
            facts.domain = bytes_text(domain);
            hop = choose_hop(router, &facts);
            memcpy(last_domain, domain, sizeof domain);
        }
        add_to(message, hop, i);
    }
}
