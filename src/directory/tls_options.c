/* Options about TLS, of both kinds of connectors. */
#include "directory/tls_options.h"

#include "base/mem.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Both kinds -------------------------------------------------------------------------- */

/* enum tls_version of os/tls.h. */
static const struct choice versions[] = { { "1.0", 0 }, { "1.1", 1 }, { "1.2", 2 },
    { "1.3", 3 }, { NULL, 0 } };

void read_tls_version(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    const char *text = item->values[0].text;
    const struct choice *choice = choice_find(versions, text);

    if (choice)
        *((uint8_t *)into + option->at) = (uint8_t)choice->value;
    else
        complain_of_choice(reader, value_line(item, 0), option->name, text, versions);
}

static void read_fingerprints(struct reader *reader, const struct option *option,
    const struct config_item *item, char ***list, size_t *count)
{
    char fingerprint[FINGERPRINT_BYTES];

    *list = mem_grow(*list, (*count + item->value_count + 1) * sizeof **list);
    for (size_t i = 0; i < item->value_count; i++) {
        if (fingerprint_parse(item->values[i].text, "sha256:", fingerprint))
            (*list)[(*count)++] = mem_text(fingerprint);
        else
            complaint_hint(complain(reader->complaints, value_line(item, i),
                               "'%s' cannot have '%.100s'", option->name, item->values[i].text),
                "\"sha256:\" and 64 hex digits; openssl x509 -noout -fingerprint -sha256 -in "
                "FILE shows them");
    }
}

/* --- Receive connectors ------------------------------------------------------------------ */

static struct certificate *certificate_at(
    struct receive_connector *connector, size_t i, struct source_line where)
{
    while (connector->certificate_count <= i) {
        size_t n = connector->certificate_count++;
        connector->certificates =
            mem_grow(connector->certificates, (n + 1) * sizeof *connector->certificates);
        connector->certificates[n] = (struct certificate){ .source = where };
    }
    return &connector->certificates[i];
}

/* Each list fills its own half of the pairs; `+=` goes on behind what is there. */
void read_certificates(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct receive_connector *connector = into;
    size_t first = 0;

    while (first < connector->certificate_count &&
           certificate_is_meant(&connector->certificates[first].choice))
        first++;
    for (size_t i = 0; i < item->value_count; i++) {
        struct certificate *certificate =
            certificate_at(connector, first + i, value_line(item, i));
        certificate->source = value_line(item, i);
        read_choice_of_list(reader, option, item, i, &certificate->choice);
    }
}

void read_keys(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct receive_connector *connector = into;
    size_t first = 0;

    while (
        first < connector->certificate_count && connector->certificates[first].choice.key_file)
        first++;
    for (size_t i = 0; i < item->value_count; i++) {
        struct certificate *certificate =
            certificate_at(connector, first + i, value_line(item, i));
        read_file_of_list(reader, option, item, i, &certificate->choice.key_file);
    }
}

enum { CLIENT_NO, CLIENT_ASK, CLIENT_REQUIRE };
static const struct choice client_words[] = {
    { "no", CLIENT_NO },
    { "ask", CLIENT_ASK },
    { "require", CLIENT_REQUIRE },
    { NULL, 0 },
};

void read_client_certificate(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct receive_connector *connector = into;
    const struct choice *choice = choice_find(client_words, item->values[0].text);

    if (!choice) {
        complain_of_choice(
            reader, value_line(item, 0), option->name, item->values[0].text, client_words);
        return;
    }
    connector->asks_client_certificate = choice->value != CLIENT_NO;
    connector->requires_client_certificate = choice->value == CLIENT_REQUIRE;
}

void read_client_fingerprints(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct receive_connector *connector = into;

    read_fingerprints(reader, option, item, &connector->client_fingerprints,
        &connector->client_fingerprint_count);
}

/* KEY is that of a certificate in the folder. */
static void complain_of_key(struct reader *reader, struct source_line where)
{
    complaint_hint(complain(reader->complaints, where,
                       "a certificate that is chosen in the folder has its key there"),
        "certificates given by path come first in the list, and their keys alone stand here");
}

/* Certificates and keys go together by their places; no keys at all: they are in the
 * certificates' files. */
static void check_pairs(struct reader *reader, const struct receive_connector *connector,
    const struct config_item *block)
{
    size_t certificates = 0, keys = 0;
    bool is_odd = false;
    const struct config_item *key = config_find(block, "key");

    for (size_t i = 0; i < connector->certificate_count; i++) {
        const struct certificate_choice *choice = &connector->certificates[i].choice;
        is_odd |= choice->key_file && certificate_is_chosen(choice);
        certificates += choice->certificate_file != NULL;
        keys += choice->key_file != NULL;
    }
    if (is_odd) {
        complain_of_key(reader, key->where);
        return;
    }
    if (keys && !certificates)
        complaint_hint(
            complain(reader->complaints, key->where, "there is a key but no certificate"),
            "certificate = \"/etc/relais/mail.pem\"");
    else if (keys && keys != certificates)
        complaint_hint(complain(reader->complaints, key->where,
                           "there are %zu certificates and %zu keys", certificates, keys),
            "as many keys as certificates, in the same order; or none, and each key stands in "
            "its certificate's file");
}

static void check_client_certificates(struct reader *reader,
    const struct receive_connector *connector, const struct config_item *block)
{
    const struct config_item *asks = config_find(block, "client_certificate");
    const struct config_item *ca = config_find(block, "client_ca");
    const struct config_item *known = ca ? ca : config_find(block, "client_fingerprints");

    if (asks && connector->asks_client_certificate && !ca &&
        connector->client_fingerprint_count == 0)
        complaint_hint(
            complain(reader->complaints, asks->where, "no client's certificate would be known"),
            "client_ca = \"/etc/relais/partners.pem\", or client_fingerprints");
    if (asks && connector->asks_client_certificate && connector->tls == TLS_MODE_OFF)
        complaint_hint(complain(reader->complaints, asks->where,
                           "a client cannot show a certificate: tls is off"),
            "tls = required");
    if (known && !connector->asks_client_certificate)
        complaint_hint(
            complain_warning(reader->complaints, known->where,
                "'%s' is not used: clients are not asked for certificates", known->name),
            "client_certificate = ask");
}

void check_receive_tls(struct reader *reader, const struct receive_connector *connector,
    const struct config_item *block)
{
    const struct config_item *certificate = config_find(block, "certificate");

    if (reader->is_whole)
        check_pairs(reader, connector, block);
    if (connector->tls == TLS_MODE_OFF && certificate)
        complain_warning(
            reader->complaints, certificate->where, "the certificate is not used: tls is off");
    check_client_certificates(reader, connector, block);
}

/* --- Send connectors --------------------------------------------------------------------- */

enum { WORD_IMPLICIT = SEND_TLS_DANE_ONLY + 1 };
static const struct choice levels[] = {
    { "none", SEND_TLS_NONE },
    { "may", SEND_TLS_MAY },
    { "encrypt", SEND_TLS_ENCRYPT },
    { "verify", SEND_TLS_VERIFY },
    { "secure", SEND_TLS_SECURE },
    { "dane", SEND_TLS_DANE },
    { "dane-only", SEND_TLS_DANE_ONLY },
    { "implicit", WORD_IMPLICIT },
    { NULL, 0 },
};

/* `implicit` is an older word for two options: implicit_tls = yes, tls = encrypt. */
void read_send_tls(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct send_connector *connector = into;
    const char *text = item->values[0].text;
    const struct choice *choice = choice_find(levels, text);

    if (!choice)
        complain_of_choice(reader, value_line(item, 0), option->name, text, levels);
    else if (choice->value == WORD_IMPLICIT) {
        connector->is_implicit_tls = true;
        connector->tls = SEND_TLS_ENCRYPT;
    } else {
        connector->tls = (enum send_tls)choice->value;
    }
}

static void read_policy_tls(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct tls_policy *policy = into;
    const char *text = item->values[0].text;
    const struct choice *choice = choice_find(levels, text);

    if (choice && choice->value != WORD_IMPLICIT)
        policy->tls = (enum send_tls)choice->value;
    else
        complain_of_choice(reader, value_line(item, 0), option->name, text, levels);
}

static const struct option policy_options[] = {
    { "tls", CONFIG_VALUE, read_policy_tls },
    { NULL },
};

void read_tls_policy(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct send_connector *connector = into;
    struct tls_policy *policy;
    char pattern[IDNA_BYTES_MAX];

    (void)option;
    if (!item->title || !domain_pattern_parse(bytes_text(item->title), pattern)) {
        complaint_hint(complain(reader->complaints, item->where, "'%.120s' is no domain",
                           item->title ? item->title : ""),
            "tls_policy \"example.com\" { tls = verify }; \"*.example.com\" is all below it");
        return;
    }
    connector->tls_policies = mem_grow(connector->tls_policies,
        (connector->tls_policy_count + 1) * sizeof *connector->tls_policies);
    policy = &connector->tls_policies[connector->tls_policy_count++];
    *policy = (struct tls_policy){ mem_text(pattern), connector->tls };
    options_read(reader, policy_options, item, policy);
    if (reader->is_whole && !config_find(item, "tls"))
        complaint_hint(
            complain(reader->complaints, item->where, "this tls_policy says nothing"),
            "tls = verify");
}

void read_tls_fingerprints(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct send_connector *connector = into;

    read_fingerprints(
        reader, option, item, &connector->tls_fingerprints, &connector->tls_fingerprint_count);
}

static bool has_level(const struct send_connector *connector, enum send_tls level)
{
    bool has = connector->tls == level;

    for (size_t i = 0; i < connector->tls_policy_count; i++)
        has |= connector->tls_policies[i].tls == level;
    return has;
}

static void complain_of_unused(
    struct reader *reader, const struct config_item *item, const char *level)
{
    complain_warning(
        reader->complaints, item->where, "'%s' is not used: tls is not %s", item->name, level);
}

static void check_send_certificate(struct reader *reader,
    const struct certificate_choice *choice, const struct config_item *block)
{
    if (!choice->key_file || choice->certificate_file)
        return;
    if (certificate_is_meant(choice))
        complain_of_key(reader, config_find(block, "key")->where);
    else
        complaint_hint(complain(reader->complaints, config_find(block, "key")->where,
                           "there is a key but no certificate"),
            "certificate = \"/etc/relais/client.pem\"");
}

void check_send_tls(struct reader *reader, const struct send_connector *connector,
    const struct config_item *block)
{
    const struct config_item *tls = config_find(block, "tls");
    const struct config_item *pins = config_find(block, "tls_fingerprints");
    const struct config_item *ca = config_find(block, "ca_file");
    const struct config_item *implicit = config_find(block, "implicit_tls");

    check_send_certificate(reader, &connector->certificate, block);
    if (has_level(connector, SEND_TLS_SECURE) && connector->tls_fingerprint_count == 0)
        complaint_hint(complain(reader->complaints, tls ? tls->where : block->where,
                           "secure TLS needs the certificate's fingerprint"),
            "tls_fingerprints = { \"sha256:...\" }; openssl x509 -noout -fingerprint -sha256 "
            "-in FILE shows it");
    if (pins && !has_level(connector, SEND_TLS_SECURE))
        complain_of_unused(reader, pins, "secure");
    if (ca && !has_level(connector, SEND_TLS_VERIFY))
        complain_of_unused(reader, ca, "verify");
    if (connector->is_implicit_tls && has_level(connector, SEND_TLS_NONE)) /* by one of them */
        complaint_hint(complain(reader->complaints, (implicit ? implicit : tls)->where,
                           "TLS is implicit, but tls is none"),
            "tls = encrypt, or another level");
}

/* --- Both -------------------------------------------------------------------------------- */

static bool is_at(const struct complaint *complaint, const struct config_item *item)
{
    bool is_line = complaint->where.line == item->where.line;

    for (size_t i = 0; i < item->value_count; i++)
        is_line |= complaint->where.line == item->values[i].line;
    return is_line && complaint->where.file && item->where.file &&
           strcmp(complaint->where.file, item->where.file) == 0;
}

bool tls_has_faults(const struct reader *reader, const struct config_item *block)
{
    static const char *const names[] = { "certificate", "key", "client_ca",
        "client_certificate", "ca_file", "tls", "tls_min" };
    const struct complaints *complaints = reader->complaints;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct config_item *item = config_find(block, names[i]);
        for (size_t k = 0; item && k < complaints->count; k++) {
            if (!complaints->list[k].is_warning && is_at(&complaints->list[k], item))
                return true;
        }
    }
    return false;
}

static void check_dane(struct reader *reader)
{
    const struct settings *s = reader->settings;

    if (s->dns_trust_anchor)
        return;
    for (size_t i = 0; i < s->send_count; i++) {
        const struct send_connector *connector = &s->send[i];
        if (connector->enabled &&
            (has_level(connector, SEND_TLS_DANE) || has_level(connector, SEND_TLS_DANE_ONLY)))
            complaint_hint(complain(reader->complaints, connector->source,
                               "send connector \"%s\" uses DANE, but nothing is known that "
                               "DNSSEC can be checked with",
                               connector->name),
                "dns { trust_anchor = /usr/share/dns/root.key } (Debian: dns-root-data)");
    }
}

void check_tls(struct reader *reader)
{
    check_dane(reader);
    check_certificates(reader);
}
