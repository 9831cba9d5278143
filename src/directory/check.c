/* What no single block of a configuration shows. */
#include "directory/option.h"
#include "directory/tls_options.h"

#include "base/mem.h"
#include "policy/client.h"
#include "policy/receive.h"
#include "policy/self.h"
#include "policy/wide.h"

#include <stdlib.h>

void complain_of_twin(struct reader *reader, const char *kind, const char *name,
    struct source_line first, struct source_line second)
{
    complaint_hint(complain(reader->complaints, second, "there are two %s \"%s\"", kind, name),
        "the other one is on line %d of %.200s", first.line, first.file);
}

static void check_names(struct reader *reader)
{
    const struct settings *s = reader->settings;

    for (size_t i = 0; i < s->receive_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcasecmp(s->receive[i].name, s->receive[k].name) == 0)
                complain_of_twin(reader, "receive connectors", s->receive[i].name,
                    s->receive[k].source, s->receive[i].source);
        }
    }
    for (size_t i = 0; i < s->send_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcasecmp(s->send[i].name, s->send[k].name) == 0)
                complain_of_twin(reader, "send connectors", s->send[i].name, s->send[k].source,
                    s->send[i].source);
        }
    }
}

/* By a sorted list of pointers, since there may be thousands. */
static int compare_domains(const void *a, const void *b)
{
    const struct accepted_domain *const *one = a, *const *other = b;
    int order = strcmp((*one)->pattern, (*other)->pattern);

    return order ? order : *one < *other ? -1 : 1;
}

static void check_domains(struct reader *reader)
{
    const struct settings *s = reader->settings;
    const struct accepted_domain **sorted = mem_new((s->domain_count + 1) * sizeof *sorted);

    for (size_t i = 0; i < s->domain_count; i++)
        sorted[i] = &s->domains[i];
    qsort(sorted, s->domain_count, sizeof *sorted, compare_domains);
    for (size_t i = 1; i < s->domain_count; i++) {
        if (strcmp(sorted[i - 1]->pattern, sorted[i]->pattern) == 0)
            complain_of_twin(reader, "accepted domains", sorted[i]->pattern,
                sorted[i - 1]->source, sorted[i]->source);
    }
    free(sorted);
}

static void check_default_domain(struct reader *reader)
{
    const struct settings *s = reader->settings;
    const struct accepted_domain *first = NULL;

    for (size_t i = 0; i < s->domain_count; i++) {
        if (!s->domains[i].is_default)
            continue;
        if (first)
            complaint_hint(complain(reader->complaints, s->domains[i].source,
                               "there are two default domains"),
                "the other one is \"%s\" on line %d of %.200s", first->pattern,
                first->source.line, first->source.file);
        first = first ? first : &s->domains[i];
    }
}

/* Whether RECEIVE's strangers are everybody, and may send to all domains that are ours. */
static bool takes_everybody(
    const struct settings *settings, const struct receive_connector *receive)
{
    const struct client stranger = { .user = NULL };

    return receive->enabled && !receive->is_internal && !receive->requires_auth &&
           !receive->requires_client_certificate && !receive->recipients_allowed.count &&
           client_rights(settings, receive, &stranger) & RIGHT_SUBMIT &&
           receive_is_for_everybody(receive);
}

/* AD-5: from Internet to Internet nobody comes without a right, and none is needed where every
 * domain is ours.  With a list of recipients only those are. */
static void guard_against_domain_of_all(struct reader *reader)
{
    const struct settings *s = reader->settings;
    const struct accepted_domain *all = NULL;

    for (size_t i = 0; i < s->domain_count; i++) {
        if (strcmp(s->domains[i].pattern, "*") == 0)
            all = &s->domains[i];
    }
    for (size_t i = 0; all && !all->recipients && i < reader->receive_item_count; i++) {
        if (!takes_everybody(s, &s->receive[i]) ||
            open_relay_is_meant(reader->receive_items[i]))
            continue;
        complaint_hint(
            complain(reader->complaints, all->source,
                "accepted_domain \"*\" makes receive connector \"%s\" an open relay: everybody "
                "may send to everybody",
                s->receive[i].name),
            "name the domains that are yours; clients that may send to all others have "
            "allow = { any-recipient } on a connector of their own; or write "
            "open_relay_i_mean_it = true in \"%s\"",
            s->receive[i].name);
    }
}

/* A name that no connector has is a slip of the pen: what is for it alone would never apply. */
static void check_came_by(
    struct reader *reader, const struct name_list *came_by, struct source_line where)
{
    const struct settings *s = reader->settings;

    for (size_t i = 0; i < came_by->count; i++) {
        bool is_known = false;
        for (size_t c = 0; c < s->receive_count; c++)
            is_known |= strcasecmp(s->receive[c].name, came_by->list[i]) == 0;
        if (!is_known)
            complain(reader->complaints, where, "there is no receive connector \"%.64s\"",
                came_by->list[i]);
    }
}

static bool is_node(const struct settings *s, const char *name)
{
    if (strcasecmp(name, s->node) == 0 || strcasecmp(name, s->fqdn) == 0)
        return true;
    for (size_t i = 0; i < s->node_count; i++) {
        if (strcasecmp(name, s->nodes[i].name) == 0)
            return true;
    }
    return false;
}

/* A node may join later, so this is no mistake yet. */
static void check_source_nodes(struct reader *reader, const struct send_connector *connector)
{
    for (size_t i = 0; i < connector->source_nodes.count; i++) {
        if (is_node(reader->settings, connector->source_nodes.list[i]))
            continue;
        complaint_hint(
            complain_warning(reader->complaints, connector->source,
                "send connector \"%s\" is for the node \"%.64s\", which is not known",
                connector->name, connector->source_nodes.list[i]),
            "this node is \"%s\"; others have a block cluster_node", reader->settings->node);
    }
}

static void check_connectors_named(struct reader *reader)
{
    const struct settings *s = reader->settings;

    for (size_t i = 0; i < s->rewrite_count; i++)
        check_came_by(reader, &s->rewrites[i].came_by, s->rewrites[i].source);
    for (size_t i = 0; i < s->send_count; i++)
        check_came_by(reader, &s->send[i].came_by, s->send[i].source);
    for (size_t i = 0; i < s->send_count; i++)
        check_source_nodes(reader, &s->send[i]);
}

/* Where a connector's block writes the range that is disputed: joined ranges stand on several
 * lines, of which the first is shown. */
static struct source_line range_line(const struct config_item *block, struct ip_range disputed)
{
    for (const struct config_item *item = block->first; item; item = item->next) {
        if (strcmp(item->name, "remote_ranges") != 0)
            continue;
        for (size_t i = 0; i < item->value_count; i++) {
            struct ip_range range;
            if (ip_range_parse(bytes_text(item->values[i].text), &range) &&
                ip_range_contains(disputed, range))
                return value_line(item, i);
        }
    }
    return block->where;
}

static void complain_of_dispute(
    struct reader *reader, size_t a, size_t b, const struct receive_dispute *dispute)
{
    const struct receive_connector *one = &reader->settings->receive[a];
    const struct receive_connector *other = &reader->settings->receive[b];
    struct source_line one_line = one->source, other_line = other->source;
    struct complaint *complaint;
    char why[512];

    if (!dispute->is_unix) {
        one_line = range_line(reader->receive_items[a], dispute->a);
        other_line = range_line(reader->receive_items[b], dispute->b);
    }
    receive_dispute_format(one, other, dispute, why);
    complaint = complain(reader->complaints, other_line, "%.390s", why);
    complaint_hint(complaint, "the other one is on line %d of %.200s; %s", one_line.line,
        one_line.file,
        dispute->is_unix ? "give each its own socket"
                         : "give each client to one of them, or let one range contain the "
                           "other: the smaller one wins");
}

static void check_disputes(struct reader *reader)
{
    const struct settings *s = reader->settings;
    struct receive_dispute dispute;

    for (size_t b = 1; b < s->receive_count; b++) {
        for (size_t a = 0; a < b; a++) {
            if (receive_disputes(&s->receive[a], &s->receive[b], &dispute))
                complain_of_dispute(reader, a, b, &dispute);
        }
    }
}

/* Two bindings of one connector that overlap: one of them is for nothing, and a mistake. */
static bool has_overlapping_bindings(const struct receive_connector *connector)
{
    for (size_t b = 1; b < connector->binding_count; b++) {
        for (size_t a = 0; a < b; a++) {
            if (binding_overlaps(&connector->bindings[a], &connector->bindings[b]))
                return true;
        }
    }
    return false;
}

static void check_bindings(struct reader *reader)
{
    for (size_t i = 0; i < reader->settings->receive_count; i++) {
        const struct receive_connector *connector = &reader->settings->receive[i];

        if (has_overlapping_bindings(connector))
            complaint_hint(
                complain(reader->complaints, connector->source,
                    "receive connector \"%s\" has the same binding twice", connector->name),
                "\"*:25\" is all addresses of both kinds, \"0.0.0.0:25\" all of IPv4");
    }
}

/* Whether RANGE is that of everybody, which says nothing about a node. */
static bool is_for_all(struct ip_range range)
{
    struct ip_range v4, v6;

    return ip_range_parse(BYTES("0.0.0.0/0"), &v4) && ip_range_parse(BYTES("::/0"), &v6) &&
           (ip_range_contains(range, v4) || ip_range_contains(range, v6));
}

/* RC-9: harmless, for nodes are known by their keys; but who wrote the range may think
 * otherwise. */
static void warn_of_node(struct complaints *complaints,
    const struct receive_connector *connector, const struct cluster_node *node, struct ip ip)
{
    const struct ip_range *range;
    char text[IP_RANGE_TEXT_BYTES], address[IP_TEXT_BYTES];

    if (!connector->enabled || connector->is_internal)
        return;
    range = receive_range_find(connector, ip);
    if (!range || is_for_all(*range))
        return;
    ip_range_format(*range, text);
    ip_format(ip, address);
    complaint_hint(complain_warning(complaints, connector->source,
                       "the range %s of receive connector \"%s\" has node \"%s\" in it", text,
                       connector->name, node->name),
        "nodes are known by their keys on the internal connector, so this neither lets them in "
        "nor keeps them out; two ranges instead, one that ends before %s and one that begins "
        "behind it, are not warned of",
        address);
}

void directory_check_node(const struct settings *settings, const struct cluster_node *node,
    struct ip ip, struct complaints *complaints)
{
    for (size_t i = 0; i < settings->receive_count; i++)
        warn_of_node(complaints, &settings->receive[i], node, ip);
    complaints_sort(complaints);
}

void directory_complain_of_node(
    const struct cluster_node *node, const char *why, struct complaints *complaints)
{
    complaint_hint(complain_warning(complaints, node->source,
                       "the address of node \"%s\", %.200s, was not found: %.100s", node->name,
                       node->host, why),
        "there is no copy of a message on a node that is not found; nor is it known whether a "
        "receive connector's range has it");
    complaints_sort(complaints);
}

/* Those given by name are for who has the time to look them up: directory_check_node(). */
static void check_nodes_and_ranges(struct reader *reader)
{
    const struct settings *s = reader->settings;
    struct ip ip;

    for (size_t k = 0; k < s->node_count; k++) {
        for (size_t i = 0; i < s->receive_count; i++) {
            if (s->nodes[k].host && ip_parse(bytes_text(s->nodes[k].host), &ip))
                warn_of_node(reader->complaints, &s->receive[i], &s->nodes[k], ip);
        }
    }
}

/* What would come back at once is never sent there. */
static void warn_of_loop(struct reader *reader, const struct send_connector *connector)
{
    for (size_t i = 0; i < connector->host_count; i++) {
        const struct smart_host *host = &connector->hosts[i];
        struct ip ip;

        if (host->is_unix || !ip_parse(bytes_text(host->host), &ip) ||
            self_at(reader->settings, ip, host->port) != SELF_SURELY)
            continue;
        complaint_hint(
            complain_warning(reader->complaints, connector->source,
                "%.64s, port %u, of send connector \"%.64s\" is a binding of this node: no "
                "mail is given to it",
                host->host, host->port, connector->name),
            "mail would come back; another host, or another port of this machine");
    }
}

static void check_loops(struct reader *reader)
{
    for (size_t i = 0; i < reader->settings->send_count; i++) {
        if (reader->settings->send[i].enabled)
            warn_of_loop(reader, &reader->settings->send[i]);
    }
}

static void check_ways_out(struct reader *reader, const struct config_item *root)
{
    if (reader->settings->send_count == 0 && reader->is_whole)
        complaint_hint(complain_warning(reader->complaints, root->where,
                           "there is no send connector: mail is accepted and kept, and goes "
                           "nowhere"),
            "send_connector \"Out\" { address_spaces = { \"*\" } smart_hosts = { "
            "\"[mail.example.com]:25\" } }");
}

void check_settings(struct reader *reader, const struct config_item *root)
{
    check_names(reader);
    check_domains(reader);
    check_groups(reader);
    guard_against_domain_of_all(reader);
    check_default_domain(reader);
    check_connectors_named(reader);
    check_aliases(reader);
    check_bindings(reader);
    check_disputes(reader);
    check_listeners(reader);
    check_nodes_and_ranges(reader);
    check_loops(reader);
    check_ways_out(reader, root);
    check_tls(reader);
    check_cluster(reader, root);
    check_transport(reader, root);
}
