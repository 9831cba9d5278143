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

static struct verdict no_submission(const struct receive_connector *connector)
{
    return verdict_of(550, STATUS(5, 7, 1),
        "SMTP; Client has no right to submit mail on connector %.64s", connector->name);
}

struct verdict rights_of_recipient(const struct settings *settings,
    const struct receive_connector *connector, const struct address *recipient)
{
    bool is_postmaster =
        recipient->domain.n == 0 && bytes_equal_nocase(recipient->local, BYTES("postmaster"));

    if (!(connector->rights & RIGHT_SUBMIT))
        return no_submission(connector);
    if (is_postmaster || (connector->rights & RIGHT_ANY_RECIPIENT) ||
        accepted_domain_find(settings, recipient->domain))
        return verdict_of(250, STATUS(2, 1, 5), "Recipient OK");
    return verdict_of(
        550, STATUS(5, 7, 54), "SMTP; Unable to relay recipient in non-accepted domain");
}

struct verdict rights_of_sender(const struct settings *settings,
    const struct receive_connector *connector, const struct address *sender,
    uint64_t size_bytes)
{
    bool is_null = sender->local.n == 0 && sender->domain.n == 0;
    unsigned needed = accepted_domain_find(settings, sender->domain) ? RIGHT_OWN_DOMAIN_SENDER
                                                                     : RIGHT_ANY_SENDER;

    if (!(connector->rights & RIGHT_SUBMIT))
        return no_submission(connector);
    if (!is_null && !(connector->rights & needed)) /* a bounce has no sender to ask about */
        return verdict_of(550, STATUS(5, 7, 60),
            "SMTP; Client does not have permissions to send as this sender");
    if (size_bytes > connector->size_bytes_max &&
        !(connector->rights & RIGHT_BYPASS_SIZE_LIMIT))
        return verdict_of(552, STATUS(5, 3, 4), "Message size exceeds the limit of %llu bytes",
            (unsigned long long)connector->size_bytes_max);
    return verdict_of(250, STATUS(2, 1, 0), "Sender OK");
}
