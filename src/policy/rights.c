#include "policy/rights.h"

#include "policy/domain.h"

static const struct accepted_domain *find_normal(
    const struct settings *settings, struct bytes domain)
{
    const struct accepted_domain *best = NULL;
    uint32_t best_fit = 0;

    if (domain.n == 0 || domain.at[0] == '[')
        return NULL;
    for (size_t i = 0; i < settings->domain_count; i++) {
        uint32_t fit = domain_fit(settings->domains[i].pattern, domain);
        if (fit > best_fit) {
            best = &settings->domains[i];
            best_fit = fit;
        }
    }
    return best;
}

const struct accepted_domain *accepted_domain_find(
    const struct settings *settings, struct bytes domain)
{
    char room[IDNA_BYTES_MAX];

    return find_normal(settings, domain_normal(domain, room));
}

static void decide_no_submission(
    const struct receive_connector *connector, struct decision *out)
{
    decide(out, "submit",
        verdict_of(550, STATUS(5, 7, 1),
            "SMTP; Client has no right to submit mail on connector %.64s", connector->name),
        "connector %s gives this client no right to submit", connector->name);
}

void rights_decide_recipient(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client,
    const struct address *recipient, struct decision *out)
{
    unsigned rights = client_rights(settings, connector, client);
    struct verdict yes = verdict_of(250, STATUS(2, 1, 5), "Recipient OK");
    const struct accepted_domain *domain = accepted_domain_find(settings, recipient->domain);
    char room[100];

    if (!(rights & RIGHT_SUBMIT))
        decide_no_submission(connector, out);
    else if (recipient->domain.n == 0 &&
             bytes_equal_nocase(recipient->local, BYTES("postmaster")))
        decide(out, "postmaster", yes, "postmaster is always ours");
    else if (domain)
        decide(out, "accepted-domain", yes, "accepted domain %s", domain->pattern);
    else if (rights & RIGHT_ANY_RECIPIENT)
        decide(out, "any-recipient", yes, "any-recipient by %s",
            client_right_source(settings, connector, client, RIGHT_ANY_RECIPIENT, room));
    else
        decide(out, "relay",
            verdict_of(550, STATUS(5, 7, 54),
                "SMTP; Unable to relay recipient in non-accepted domain"),
            "%.*s is no accepted domain, and the client has no right any-recipient",
            BYTES_ARGS(recipient->domain));
}

void rights_decide_sender(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client,
    const struct address *sender, uint64_t size_bytes, struct decision *out)
{
    unsigned rights = client_rights(settings, connector, client);
    struct verdict yes = verdict_of(250, STATUS(2, 1, 0), "Sender OK");
    bool is_null = sender->local.n == 0 && sender->domain.n == 0;
    enum right needed = accepted_domain_find(settings, sender->domain) ? RIGHT_OWN_DOMAIN_SENDER
                                                                       : RIGHT_ANY_SENDER;
    char room[100];

    if (!(rights & RIGHT_SUBMIT))
        decide_no_submission(connector, out);
    else if (!is_null && !(rights & needed)) /* a bounce has no sender to ask about */
        decide(out, "sender-rights",
            verdict_of(550, STATUS(5, 7, 60),
                "SMTP; Client does not have permissions to send as this sender"),
            "the client has no right %s", right_name(needed));
    else if (size_bytes > connector->size_bytes_max && !(rights & RIGHT_BYPASS_SIZE_LIMIT))
        decide(out, "size",
            verdict_of(552, STATUS(5, 3, 4), "Message size exceeds the limit of %llu bytes",
                (unsigned long long)connector->size_bytes_max),
            "size_max of connector %s", connector->name);
    else if (is_null)
        decide(out, "null-sender", yes, "the null sender");
    else
        decide(out, right_name(needed), yes, "%s by %s", right_name(needed),
            client_right_source(settings, connector, client, needed, room));
}
