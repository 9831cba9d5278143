#include "flow/route/route.h"

#include "mail/address.h"
#include "mail/idna.h"
#include "policy/route.h"

#include <assert.h>
#include <stdio.h>

enum { HOP_NAME_BYTES = 400 };

static struct item *item_for(struct message *message, const struct hop *hop)
{
    for (struct item *item = &message->first; item; item = item->next) {
        if (item->recipient_count && item->hop == hop)
            return item;
    }
    return NULL;
}

/* The domain that decides, in A-labels and lower case.  A bare "postmaster" is ours. */
static void domain_of(
    const struct router *router, struct bytes address, char out[IDNA_BYTES_MAX])
{
    struct address parsed;
    enum address_fault fault =
        address_parse(address, ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY | ADDRESS_POSTMASTER, &parsed);

    if (fault != ADDRESS_OK || parsed.domain.n == 0)
        parsed.domain = bytes_text(router->setup->settings->fqdn);
    if (idna_to_ascii(parsed.domain, out) != OK) /* a literal, or a name only we understand */
        snprintf(out, IDNA_BYTES_MAX, "%.*s", BYTES_ARGS(parsed.domain));
}

/* The first choice, unless it is down and says that others may stand in (SC-4). */
static struct hop *choose_hop(struct router *router, const char *domain, uint64_t size)
{
    const struct settings *settings = router->setup->settings;
    const struct send_connector *connector = NULL;
    struct hop *first = NULL;
    char name[HOP_NAME_BYTES];

    for (;;) {
        struct hop *hop;
        connector = route_choose(settings, bytes_text(domain), size, connector);
        if (!connector)
            break;
        route_hop_name(connector, bytes_text(domain), name);
        hop = router->find_hop(
            router, name, connector->delivery == DELIVERY_MX ? domain : "", connector);
        if (!hop_is_resting(hop)) /* or it is time to try it again */
            return hop;
        if (!first)
            first = hop;
        if (!connector->failover)
            break;
    }
    return first ? first : router->find_hop(router, "unreachable", "", NULL);
}

void route_message(struct router *router, struct message *message)
{
    struct envelope_cursor cursor;
    struct recipient recipient;
    char domain[IDNA_BYTES_MAX], last_domain[IDNA_BYTES_MAX] = "";
    struct hop *hop = NULL;

    assert(message->first.recipient_count == 0);
    envelope_recipients(message_envelope(message), &cursor);
    for (uint32_t i = 0; envelope_next_recipient(&cursor, &recipient); i++) {
        struct item *item;
        if (recipient.is_expanded ||
            !spool_is_pending(spool_entry_outcome(&message->entry, i)))
            continue;
        domain_of(router, recipient.address, domain);
        if (!hop || strcmp(domain, last_domain) != 0) {
            hop = choose_hop(router, domain, message->entry.content_bytes);
            memcpy(last_domain, domain, sizeof domain);
        }
        item = item_for(message, hop);
        if (item) {
            item_add_recipient(item, i);
        } else {
            item = message_add_item(message, i);
            item->hop = hop;
        }
    }
}
