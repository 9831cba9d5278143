/* send_connector "Name" { ... } */
#include "directory/option.h"
#include "directory/tls_options.h"

#include "base/mem.h"
#include "mail/address.h"
#include "policy/send_tls.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
enum { SMTP_PORT = 25, LMTP_PORT = 24, RETRIES_MAX = 1000, COST_MAX = 65535 };

bool domain_pattern_parse(struct bytes text, char out[IDNA_BYTES_MAX])
{
    bool is_wild = bytes_starts(text, BYTES("*."));
    char name[IDNA_BYTES_MAX];

    if (bytes_equal(text, BYTES("*"))) {
        snprintf(out, IDNA_BYTES_MAX, "*");
        return true;
    }
    if (is_wild)
        text = bytes_skip(text, 2);
    if (!domain_is_name(text) || idna_to_ascii(text, name) != OK)
        return false;
    return snprintf(out, IDNA_BYTES_MAX, "%s%s", is_wild ? "*." : "", name) < IDNA_BYTES_MAX;
}

/* "*", "*.example.com", "example.com", "--", each with ":COST" behind it or without. */
static bool parse_space(const char *text, struct address_space *out)
{
    struct bytes pattern = bytes_text(text);
    size_t colon = bytes_find(pattern, ':');
    char name[IDNA_BYTES_MAX];
    uint64_t cost = 1;

    if (colon != BYTES_NOT_FOUND) {
        if (!bytes_to_number(bytes_skip(pattern, colon + 1), COST_MAX, &cost))
            return false;
        pattern = bytes_first(pattern, colon);
    }
    if (bytes_equal(pattern, BYTES("--")))
        snprintf(name, sizeof name, "--");
    else if (!domain_pattern_parse(pattern, name))
        return false;
    *out = (struct address_space){ mem_text(name), (uint32_t)cost };
    return true;
}

static void read_spaces(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct send_connector *connector = into;

    (void)option;
    connector->spaces = mem_grow(connector->spaces,
        (connector->space_count + item->value_count + 1) * sizeof *connector->spaces);
    for (size_t i = 0; i < item->value_count; i++) {
        if (parse_space(item->values[i].text, &connector->spaces[connector->space_count]))
            connector->space_count++;
        else
            complaint_hint(complain(reader->complaints, value_line(item, i),
                               "'%.120s' is no address space", item->values[i].text),
                "\"*\", \"example.com\", \"*.example.com\" or \"--\" (all accepted domains), "
                "with a cost behind it if need be: \"example.com:10\"");
    }
}

/* An address without brackets, or with them and with "IPv6:" as RFC 5321 writes literals. */
static bool is_ip(struct bytes text)
{
    struct ip ip;

    if (bytes_starts_nocase(text, BYTES("IPv6:")))
        text = bytes_skip(text, 5);
    return ip_parse(text, &ip);
}

/* Cuts ":PORT" off the end; an IPv6 address without brackets has none.  False: no port. */
static bool cut_port(struct bytes *text, uint16_t *port)
{
    size_t colon = text->n;
    uint64_t number;

    while (colon > 0 && text->at[colon - 1] != ':' && text->at[colon - 1] != ']')
        colon--;
    if (colon == 0 || text->at[colon - 1] == ']' || is_ip(*text))
        return colon == 0 || colon == text->n || is_ip(*text);
    if (!bytes_to_number(bytes_skip(*text, colon), UINT16_MAX, &number) || number == 0)
        return false;
    *port = (uint16_t)number;
    *text = bytes_first(*text, colon - 1);
    return true;
}

/* "mail.example.com" and "mail.example.com:587" (its MX is asked for), "[mail.example.com]",
 * "[192.0.2.1]:25", "192.0.2.1", "[2001:db8::1]:25". */
static bool parse_host(const char *host_text, uint16_t port, struct smart_host *out)
{
    struct bytes text = bytes_text(host_text);
    bool has_brackets;

    if (!cut_port(&text, &port))
        return false;
    has_brackets = text.n > 2 && text.at[0] == '[' && text.at[text.n - 1] == ']';
    if (has_brackets)
        text = bytes_of(text.at + 1, text.n - 2);
    if (has_brackets && bytes_starts_nocase(text, BYTES("IPv6:")))
        text = bytes_skip(text, 5);
    if (!is_ip(text) && !domain_is_name(text))
        return false;
    *out = (struct smart_host){ .host = bytes_to_text(text),
        .port = port,
        .uses_mx = !has_brackets && !is_ip(text),
        .priority = 10,
        .weight = 1 };
    return true;
}

static struct smart_host *host_room(struct send_connector *connector)
{
    connector->hosts =
        mem_grow(connector->hosts, (connector->host_count + 1) * sizeof *connector->hosts);
    return &connector->hosts[connector->host_count];
}

static void complain_of_host(struct reader *reader, struct source_line where, const char *text)
{
    complaint_hint(complain(reader->complaints, where, "'%.120s' is no smart host", text),
        "\"[mail.example.com]:25\", \"[192.0.2.1]\"; without brackets its MX is asked for");
}

static void read_hosts(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct send_connector *connector = into;

    if (item->value_count == 0 && reader->is_whole)
        complain(reader->complaints, item->where, "'%s' is empty", option->name);
    for (size_t i = 0; i < item->value_count; i++) {
        if (parse_host(item->values[i].text, SMTP_PORT, host_room(connector)))
            connector->host_count++;
        else
            complain_of_host(reader, value_line(item, i), item->values[i].text);
    }
}

#define HOST_AT(member) offsetof(struct smart_host, member)
static const struct option host_options[] = {
    { "port", CONFIG_VALUE, read_port, HOST_AT(port), 1, UINT16_MAX },
    { "priority", CONFIG_VALUE, read_number, HOST_AT(priority), 0, 65535 },
    { "weight", CONFIG_VALUE, read_number, HOST_AT(weight), 0, 65535 },
    { NULL },
};

/* smart_host "host" { port priority weight } */
static void read_host(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct send_connector *connector = into;
    struct smart_host *host = host_room(connector);

    (void)option;
    if (!item->title || !parse_host(item->title, SMTP_PORT, host)) {
        complain_of_host(reader, item->where, item->title ? item->title : "");
        return;
    }
    connector->host_count++;
    options_read(reader, host_options, item, host);
}

static void read_mx(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    bool is_mx = false;

    read_flag(reader, option, item, &is_mx);
    if (is_mx)
        ((struct send_connector *)into)->delivery = DELIVERY_MX;
}

static void read_lmtp(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct send_connector *connector = into;
    const char *text = item->values[0].text;
    struct smart_host *host = host_room(connector);

    (void)option;
    if (strncmp(text, "unix:/", 6) == 0) {
        *host = (struct smart_host){
            .host = mem_text(text + 5), .is_unix = true, .priority = 10, .weight = 1
        };
    } else if (parse_host(text, LMTP_PORT, host)) {
        host->uses_mx = false; /* LMTP is for a server one knows: RFC 2033, 5 */
    } else {
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%.120s' is no LMTP server", text),
            "\"unix:/run/dovecot/lmtp\" or \"[::1]:24\"");
        return;
    }
    connector->host_count++;
    connector->delivery = DELIVERY_LMTP;
}

static bool has_only_known_signs(const char *path)
{
    for (const char *at = strchr(path, '%'); at; at = strchr(at + 2, '%')) {
        if (at[1] != 'u' && at[1] != 'd')
            return false;
    }
    return true;
}

static void read_maildir(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct send_connector *connector = into;

    read_path(reader, option, item, into);
    if (!connector->maildir)
        return;
    connector->delivery = DELIVERY_MAILDIR;
    if (!has_only_known_signs(connector->maildir))
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'maildir' has a sign that does not exist"),
            "%%u is the local part, %%d the domain");
}

static void read_source(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct send_connector *connector = into;

    connector->has_source_ip =
        ip_parse(bytes_text(item->values[0].text), &connector->source_ip);
    if (!connector->has_source_ip)
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%s' cannot be '%.60s'", option->name, item->values[0].text),
            "one address of this machine, as 192.0.2.1");
}

/* "10m", or "4x1m" for four of them. */
static bool parse_wait(const char *text, uint64_t *times, int64_t *wait_ms)
{
    const char *x = strchr(text, 'x');

    *times = 1;
    if (x) {
        if (!bytes_to_number(bytes_of(text, (size_t)(x - text)), RETRIES_MAX, times) ||
            *times == 0)
            return false;
        text = x + 1;
    }
    return duration_parse(bytes_text(text), wait_ms) && *wait_ms >= SECOND && *wait_ms <= DAY;
}

static void read_retry(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct send_connector *connector = into;
    int64_t *plan = NULL, wait_ms;
    size_t count = 0;
    uint64_t times;

    for (size_t i = 0; i < item->value_count; i++) {
        if (!parse_wait(item->values[i].text, &times, &wait_ms) ||
            count + times > RETRIES_MAX) {
            complaint_hint(complain(reader->complaints, value_line(item, i),
                               "'%s' cannot have '%.60s'", option->name, item->values[i].text),
                "times from 1s to 1d, as 1m, or 4x1m for four of them");
            continue;
        }
        plan = mem_grow(plan, (count + times) * sizeof *plan);
        while (times--)
            plan[count++] = wait_ms;
    }
    if (count == 0) {
        if (item->value_count == 0)
            complain(reader->complaints, item->where, "'%s' is empty", option->name);
        return;
    }
    free(connector->retry_ms);
    connector->retry_ms = plan;
    connector->retry_count = count;
}

static const struct choice send_mechanisms[] = {
    { "plain", AUTH_PLAIN },
    { "login", AUTH_LOGIN },
    { "scram-sha-256", AUTH_SCRAM_SHA_256 },
    { "scram-sha-256-plus", AUTH_SCRAM_SHA_256_PLUS },
    { NULL, 0 },
};

/* Those that are named, instead of all. */
static void read_send_auth(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    unsigned *set = &((struct send_connector *)into)->mechanisms;

    if (!item->is_append)
        *set = 0;
    read_flags(reader, option, item, into);
    if (item->value_count == 0)
        complaint_hint(complain(reader->complaints, item->where, "'%s' is empty", option->name),
            "leave it out for all: plain, login, scram-sha-256, scram-sha-256-plus");
}

#define AT(member) offsetof(struct send_connector, member)

static const struct option options[] = {
    { "enabled", CONFIG_VALUE, read_flag, AT(enabled) },
    { "comment", CONFIG_VALUE, read_text, AT(comment) },
    { "address_spaces", CONFIG_LIST, read_spaces },
    { "smart_hosts", CONFIG_LIST, read_hosts },
    { "smart_host", CONFIG_BLOCK, read_host, .may_repeat = true },
    { "mx", CONFIG_VALUE, read_mx },
    { "senders", CONFIG_LIST, read_patterns, AT(senders) },
    { "receive_connectors", CONFIG_LIST, read_names, AT(came_by) },
    { "source_nodes", CONFIG_LIST, read_names, AT(source_nodes) },
    { "mx_port", CONFIG_VALUE, read_port, AT(mx_port), 1, UINT16_MAX },
    { "lmtp", CONFIG_VALUE, read_lmtp },
    { "maildir", CONFIG_VALUE, read_maildir, AT(maildir) },
    { "fqdn", CONFIG_VALUE, read_host_name, AT(fqdn) },
    { "source_address", CONFIG_VALUE, read_source },
    { "tls", CONFIG_VALUE, read_send_tls },
    { "tls_policy", CONFIG_BLOCK, read_tls_policy, .may_repeat = true },
    { "implicit_tls", CONFIG_VALUE, read_flag, AT(is_implicit_tls) },
    { "tls_min", CONFIG_VALUE, read_tls_version, AT(tls_version_min) },
    { "tls_fingerprints", CONFIG_LIST, read_tls_fingerprints },
    { "ca_file", CONFIG_VALUE, read_file, AT(ca_file) },
    { "certificate", CONFIG_VALUE, read_choice_of_certificate, AT(certificate) },
    { "key", CONFIG_VALUE, read_file, AT(certificate.key_file) },
    { "user", CONFIG_VALUE, read_text, AT(user) },
    { "password", CONFIG_VALUE, read_text, AT(password) },
    { "auth", CONFIG_LIST, read_send_auth, AT(mechanisms), .choices = send_mechanisms },
    { "auth_without_tls", CONFIG_VALUE, read_flag, AT(auth_without_tls) },
    { "connections", CONFIG_VALUE, read_number, AT(connections_max), 1, 1000 },
    { "messages_per_minute", CONFIG_VALUE, read_number, AT(messages_per_minute_max), 0,
        1000000 },
    { "messages_per_connection", CONFIG_VALUE, read_number, AT(messages_per_connection), 0,
        1000000 },
    { "recipients_per_message", CONFIG_VALUE, read_number, AT(recipients_per_message), 1,
        100000 },
    { "size_max", CONFIG_VALUE, read_size, AT(size_bytes_max), 0, 2LL << 30 },
    { "chunking", CONFIG_VALUE, read_flag, AT(uses_chunking) },
    { "pipelining", CONFIG_VALUE, read_flag, AT(uses_pipelining) },
    { "protocol_log", CONFIG_VALUE, read_flag, AT(logs_protocol) },
    { "failover", CONFIG_VALUE, read_flag, AT(failover) },
    { "connect_timeout", CONFIG_VALUE, read_duration, AT(connect_ms), 100, HOUR },
    { "greeting_timeout", CONFIG_VALUE, read_duration, AT(greeting_ms), 100, HOUR },
    { "command_timeout", CONFIG_VALUE, read_duration, AT(command_ms), 100, HOUR },
    { "data_timeout", CONFIG_VALUE, read_duration, AT(data_ms), 100, HOUR },
    { "end_timeout", CONFIG_VALUE, read_duration, AT(end_ms), 100, HOUR },
    { "idle_timeout", CONFIG_VALUE, read_duration, AT(idle_ms), 0, HOUR },
    { "retry", CONFIG_LIST, read_retry },
    { "message_retry", CONFIG_VALUE, read_duration, AT(message_retry_ms), SECOND, DAY },
    { NULL },
};

/* Exactly one of the four ways. */
static void check_delivery(struct reader *reader, const struct send_connector *connector,
    const struct config_item *item)
{
    const struct config_item *mx = config_find(item, "mx");
    bool has_mx = false;
    int ways = (config_find(item, "smart_hosts") || config_find(item, "smart_host")) +
               (config_find(item, "lmtp") != NULL) + (config_find(item, "maildir") != NULL);

    if (mx && mx->kind == CONFIG_VALUE && flag_parse(mx->values[0].text, &has_mx))
        ways += has_mx;
    if (ways == 1)
        return;
    complaint_hint(complain(reader->complaints, item->where,
                       ways > 1 ? "send connector \"%s\" has several ways to deliver"
                                : "send connector \"%s\" has no way to deliver",
                       connector->name),
        "one of smart_hosts = { \"[mail.example.com]:25\" }, mx = true, lmtp = "
        "\"unix:/run/dovecot/lmtp\" or maildir = \"/var/mail/%%d/%%u\"");
}

static void check(struct reader *reader, const struct send_connector *connector,
    const struct config_item *item)
{
    size_t spaces = 0;

    for (const struct config_item *i = item->first; i; i = i->next)
        spaces += strcmp(i->name, "address_spaces") == 0 ? i->value_count : 0;
    if (reader->is_whole) {
        check_delivery(reader, connector, item);
        if (spaces == 0)
            complaint_hint(complain(reader->complaints, item->where,
                               "send connector \"%s\" has no address_spaces", connector->name),
                "address_spaces = { \"*\" } takes mail for every domain");
    }
    if (reader->is_whole && !connector->user != !connector->password)
        complain(reader->complaints,
            config_find(item, connector->user ? "user" : "password")->where,
            "'user' and 'password' go together");
    check_send_tls(reader, connector, item);
    if (connector->password && connector->auth_without_tls && !send_tls_is_sure(connector))
        complaint_hint(
            complain_warning(reader->complaints, config_find(item, "password")->where,
                "the password may go out in clear: tls is not required"),
            "tls = encrypt");
    else if (connector->password && !connector->auth_without_tls &&
             connector->tls == SEND_TLS_NONE && !connector->is_implicit_tls &&
             !(connector->mechanisms & AUTH_SCRAM_SHA_256))
        complaint_hint(
            complain_warning(reader->complaints, config_find(item, "password")->where,
                "the password is never sent: there is no TLS"),
            "tls = encrypt, or auth_without_tls = true");
}

/* The queues of no connector's: one of that name would share theirs. */
static bool is_name_taken(struct reader *reader, const struct config_item *item)
{
    static const char *const names[] = { "poison", "unreachable", "submission" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!bytes_equal_nocase(bytes_text(item->title), bytes_text(names[i])))
            continue;
        complaint_hint(
            complain(reader->complaints, item->where,
                "send connector \"%s\": a queue of relais itself is called so", item->title),
            "any other name");
        return true;
    }
    return false;
}

void read_send_connector(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct settings *settings = into;
    struct send_connector *connector;

    (void)option;
    if (!is_connector_name(reader, item) || is_name_taken(reader, item))
        return;
    settings->send =
        mem_grow(settings->send, (settings->send_count + 1) * sizeof *settings->send);
    connector = &settings->send[settings->send_count++];
    send_connector_init(connector, item->title);
    connector->source = item->where;
    options_read(reader, options, item, connector);
    check(reader, connector, item);
    connector->has_tls_faults = tls_has_faults(reader, item);
}
