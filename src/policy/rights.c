#include "policy/rights.h"

#include "policy/domain.h"
#include "policy/domain_index.h"
#include "policy/pattern.h"

static const struct accepted_domain *find_normal(
    const struct settings *settings, struct bytes domain)
{
    const struct accepted_domain *best = NULL;
    uint32_t best_fit = 0;

    if (domain.n == 0 || domain.at[0] == '[')
        return NULL;
    if (settings->domain_index) {
        size_t at = domain_index_find_nearest(settings->domain_index, domain);
        return at == DOMAIN_INDEX_NONE ? NULL : &settings->domains[at];
    }
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

static const struct verdict sender_ok = { 250, { 2, 1, 0 }, "Sender OK" };
static const struct verdict recipient_ok = { 250, { 2, 1, 5 }, "Recipient OK" };

/* --- Both commands ----------------------------------------------------------------------- */

/* He may do nothing here: he is told to log in where that may help. */
static void decide_no_submission(const struct receive_connector *connector,
    const struct client *client, struct decision *out)
{
    if (client_could_log_in(connector, client))
        decide(out, "authentication",
            verdict_of(530, STATUS(5, 7, 0), "Authentication required"),
            "connector %s takes users, and nobody has logged in", connector->name);
    else
        decide_refusal(out, "submit", connector->name,
            verdict_of(550, STATUS(5, 7, 1), "SMTP; Client has no right to submit mail"),
            "connector %s gives this client no right to submit", connector->name);
}

/* PE-5: what is refused wins; a list of what is allowed refuses all else. */
struct pattern_rules {
    const struct address_patterns *allowed, *refused;
    const char *what; /* "Sender" */
    const char *refused_rule, *other_rule;
};

/* False: decided. */
static bool patterns_let_pass(const struct receive_connector *connector,
    const struct pattern_rules *rules, const struct address *address, struct decision *out)
{
    struct pattern_subject subject;
    struct verdict no;
    const char *pattern;

    if (rules->allowed->count == 0 && rules->refused->count == 0)
        return true;
    pattern_subject_init(&subject, address);
    no = verdict_of(550, STATUS(5, 7, 1), "SMTP; %s refused by policy", rules->what);
    pattern = patterns_find(rules->refused, &subject);
    if (pattern) {
        decide_refusal(
            out, rules->refused_rule, connector->name, no, "refused by pattern %s", pattern);
        return false;
    }
    if (rules->allowed->count == 0 || patterns_find(rules->allowed, &subject))
        return true;
    decide_refusal(out, rules->other_rule, connector->name, no,
        "none of the %zu patterns that are allowed fits", rules->allowed->count);
    return false;
}

/* --- RCPT -------------------------------------------------------------------------------- */

static void decide_relay(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client,
    const struct address *recipient, const struct resolved *resolved, struct decision *out)
{
    const struct accepted_domain *domain = resolved->domain;
    char room[100];

    if (resolved->kind == RESOLVED_NOBODY)
        decide_refusal(out, "recipient-unknown", connector->name,
            verdict_of(550, STATUS(5, 1, 1), "User unknown"), "nobody is called that in %s",
            domain->pattern);
    else if (domain)
        decide(out, "accepted-domain", recipient_ok, "accepted domain %s", domain->pattern);
    else if (client_rights(settings, connector, client) & RIGHT_ANY_RECIPIENT)
        decide(out, "any-recipient", recipient_ok, "any-recipient by %s",
            client_right_source(settings, connector, client, RIGHT_ANY_RECIPIENT, room));
    else
        decide(out, "relay",
            verdict_of(550, STATUS(5, 7, 54),
                "SMTP; Unable to relay recipient in non-accepted domain"),
            "%.*s is no accepted domain, and the client has no right any-recipient",
            BYTES_ARGS(recipient->domain));
}

void rights_decide_recipient(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client,
    const struct address *recipient, struct resolved *resolved, struct decision *out)
{
    const struct pattern_rules rules = { &connector->recipients_allowed,
        &connector->recipients_refused, "Recipient", "recipient-refused",
        "recipient-not-allowed" };

    if (!(client_rights(settings, connector, client) & RIGHT_SUBMIT)) {
        decide_no_submission(connector, client, out);
        return;
    }
    *resolved = recipient_resolve(settings, recipient);
    if (recipient->domain.n == 0 && bytes_equal_nocase(recipient->local, BYTES("postmaster"))) {
        decide(out, "postmaster", recipient_ok, "postmaster is always ours");
        return;
    }
    decide_relay(settings, connector, client, recipient, resolved, out);
    if (decision_is_yes(out))
        (void)patterns_let_pass(connector, &rules, recipient, out);
}

/* --- MAIL -------------------------------------------------------------------------------- */

static bool is_null(const struct address *sender)
{
    return sender->local.n == 0 && sender->domain.n == 0;
}

/* NAME is "user", or "user@example.com" as it may be for people of Kerberos and PAM. */
static bool name_owns(
    const struct settings *settings, const char *name, const struct pattern_subject *sender)
{
    struct bytes at = bytes_text(strchr(name, '@'));
    struct bytes local = bytes_first(bytes_text(name), strlen(name) - at.n);
    const struct accepted_domain *domain;

    if (!bytes_equal_nocase(local, sender->local))
        return false;
    if (at.n)
        return domain_equal(bytes_skip(at, 1), sender->domain);
    domain = accepted_domain_find(settings, sender->domain);
    return domain && domain->type != DOMAIN_EXTERNAL_RELAY;
}

bool client_owns(
    const struct settings *settings, const struct client *client, const struct address *sender)
{
    struct pattern_subject subject;

    if (!client->user || is_null(sender))
        return false;
    pattern_subject_init(&subject, sender);
    if (!client->account || client->account->addresses.count == 0)
        return name_owns(settings, client->user, &subject);
    return patterns_find(&client->account->addresses, &subject) != NULL;
}

static void decide_no_right(
    const struct client *client, enum right needed, struct decision *out)
{
    struct verdict no = verdict_of(
        550, STATUS(5, 7, 60), "SMTP; Client does not have permissions to send as this sender");

    if (client->user)
        decide(out, "sender-rights", no,
            "no right %s, and the address is not one of user %.64s", right_name(needed),
            client->user);
    else
        decide(out, "sender-rights", no, "the client has no right %s", right_name(needed));
}

/* PE-4.  A bounce has no sender whose right one could ask for. */
static void decide_right(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client,
    const struct address *sender, struct decision *out)
{
    enum right needed = accepted_domain_find(settings, sender->domain) ? RIGHT_OWN_DOMAIN_SENDER
                                                                       : RIGHT_ANY_SENDER;
    char room[100];

    if (is_null(sender))
        decide(out, "null-sender", sender_ok, "the null sender");
    else if (client_rights(settings, connector, client) & needed)
        decide(out, right_name(needed), sender_ok, "%s by %s", right_name(needed),
            client_right_source(settings, connector, client, needed, room));
    else if (client_owns(settings, client, sender))
        decide(out, "own-address", sender_ok, "an address of user %s", client->user);
    else
        decide_no_right(client, needed, out);
}

/* As Postfix has it: the handshake goes on whatever was shown, and policy refuses. */
static void decide_no_certificate(const struct receive_connector *connector,
    const struct client *client, struct decision *out)
{
    if (client->has_certificate)
        decide_refusal(out, "client-certificate", connector->name,
            verdict_of(550, STATUS(5, 7, 1), "SMTP; Client certificate is not known here"),
            "connector %s requires a client certificate that it knows", connector->name);
    else
        decide(out, "client-certificate",
            verdict_of(530, STATUS(5, 7, 0), "Client certificate required"),
            "connector %s requires a client certificate, and the client showed none",
            connector->name);
}

/* What the connector wants before anybody may say MAIL; the engine says the same. */
static bool has_introduced_himself(const struct receive_connector *connector,
    const struct client *client, struct decision *out)
{
    bool wants_tls =
        connector->tls == TLS_MODE_REQUIRED || connector->requires_client_certificate;

    if (wants_tls && !client->is_tls)
        decide(out, "tls",
            verdict_of(530, STATUS(5, 7, 0), "Must issue a STARTTLS command first"),
            "connector %s requires TLS", connector->name);
    else if (connector->requires_client_certificate && !client->is_partner)
        decide_no_certificate(connector, client, out);
    else if (connector->requires_auth && !client->user)
        decide(out, "authentication",
            verdict_of(530, STATUS(5, 7, 0), "Authentication required"),
            "connector %s requires AUTH", connector->name);
    else
        return true;
    return false;
}

static void decide_size(const struct receive_connector *connector, struct decision *out)
{
    decide_refusal(out, "size", connector->name,
        verdict_of(552, STATUS(5, 3, 4), "Message size exceeds the limit of %llu bytes",
            (unsigned long long)connector->size_bytes_max),
        "size_max of connector %s", connector->name);
}

void rights_decide_sender(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client,
    const struct address *sender, uint64_t size_bytes, struct decision *out)
{
    const struct pattern_rules rules = { &connector->senders_allowed,
        &connector->senders_refused, "Sender", "sender-refused", "sender-not-allowed" };
    unsigned rights = client_rights(settings, connector, client);

    if (!has_introduced_himself(connector, client, out))
        return;
    if (!(rights & RIGHT_SUBMIT)) {
        decide_no_submission(connector, client, out);
        return;
    }
    decide_right(settings, connector, client, sender, out);
    if (!decision_is_yes(out) || !patterns_let_pass(connector, &rules, sender, out))
        return;
    if (size_bytes > connector->size_bytes_max && !(rights & RIGHT_BYPASS_SIZE_LIMIT) &&
        !(connector->report_only & LIMIT_MESSAGE_SIZE))
        decide_size(connector, out);
}
