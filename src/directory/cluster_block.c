/* cluster_node "name" { ... }, and whether the nodes, the keys and the internal connector make
 * a cluster together. */
#include "directory/option.h"

#include "base/mem.h"
#include "mail/address.h"
#include "os/tls.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NODES_MAX = 15 }; /* besides this one: each has a bit in what goes over the link */

bool host_port_parse(const char *text, char **host, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    struct bytes name;
    struct ip ip;
    uint64_t number;

    if (!colon || !bytes_to_number(bytes_text(colon + 1), UINT16_MAX, &number) || number == 0)
        return false;
    name = bytes_of(text, (size_t)(colon - text));
    if (name.n > 2 && name.at[0] == '[' && name.at[name.n - 1] == ']') {
        name = bytes_of(name.at + 1, name.n - 2);
        if (!ip_parse(name, &ip))
            return false;
    } else if (bytes_find(name, ':') != BYTES_NOT_FOUND || /* which colon begins the port? */
               (!ip_parse(name, &ip) && !domain_is_name(name))) {
        return false;
    }
    *host = bytes_to_text(name);
    *port = (uint16_t)number;
    return true;
}

static void read_address(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct cluster_node *node = into;

    if (!host_port_parse(item->values[0].text, &node->host, &node->port))
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%s' cannot be '%.120s'", option->name, item->values[0].text),
            "host and port of the node's internal connector: \"192.0.2.2:2525\", "
            "\"[2001:db8::2]:2525\" or \"ex02.example.com:2525\"");
}

static void read_pin(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct cluster_node *node = into;
    struct tls_pin pin;

    if (tls_pin_parse(bytes_text(item->values[0].text), &pin))
        memcpy(node->pin, pin.byte, sizeof node->pin);
    else
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%s' cannot be '%.80s'", option->name, item->values[0].text),
            "\"sha256:\" and 44 characters, as `relais cluster show` prints it on that node");
}

#define AT(member) offsetof(struct cluster_node, member)

static const struct option options[] = {
    { "address", CONFIG_VALUE, read_address },
    { "pin", CONFIG_VALUE, read_pin },
    { "site", CONFIG_VALUE, read_text, AT(site) },
    { NULL },
};

static bool has_good_name(struct reader *reader, const struct config_item *item)
{
    if (item->title && domain_is_name(bytes_text(item->title)))
        return true;
    complaint_hint(complain(reader->complaints, item->where, "'%.80s' is no name of a node",
                       item->title ? item->title : ""),
        "the fqdn that the other node calls itself: cluster_node \"ex02.example.com\" { ... }");
    return false;
}

void read_cluster_node(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    static const char *const needed[] = { "address", "pin" };
    struct settings *settings = into;
    struct cluster_node *node;

    (void)option;
    if (!has_good_name(reader, item))
        return;
    if (settings->node_count == NODES_MAX) {
        complain(reader->complaints, item->where,
            "a cluster has this node and %d others at the most", NODES_MAX);
        return;
    }
    settings->nodes =
        mem_grow(settings->nodes, (settings->node_count + 1) * sizeof *settings->nodes);
    node = &settings->nodes[settings->node_count++];
    *node = (struct cluster_node){ .name = mem_text(item->title), .source = item->where };
    options_read(reader, options, item, node);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (reader->is_whole && !config_find(item, needed[i]))
            complaint_hint(complain(reader->complaints, item->where,
                               "cluster_node \"%s\" has no %s", item->title, needed[i]),
                "`relais cluster init` prints the line to type here: relais cluster join ...");
    }
}

/* --- All together ------------------------------------------------------------------------ */

static bool has_pin(const struct cluster_node *node)
{
    static const uint8_t none[sizeof node->pin];

    return memcmp(node->pin, none, sizeof none) != 0;
}

static void check_nodes(struct reader *reader)
{
    const struct settings *s = reader->settings;

    for (size_t i = 0; i < s->node_count; i++) {
        const struct cluster_node *node = &s->nodes[i];
        if (strcasecmp(node->name, s->fqdn) == 0)
            complaint_hint(complain(reader->complaints, node->source,
                               "cluster_node \"%s\" is this node itself", node->name),
                "its own name is its fqdn; only the others stand here");
        for (size_t k = 0; k < i; k++) {
            if (strcasecmp(node->name, s->nodes[k].name) == 0)
                complain_of_twin(
                    reader, "cluster nodes", node->name, s->nodes[k].source, node->source);
            else if (has_pin(node) && memcmp(node->pin, s->nodes[k].pin, sizeof node->pin) == 0)
                complaint_hint(complain(reader->complaints, node->source,
                                   "cluster nodes \"%s\" and \"%s\" have the same pin",
                                   s->nodes[k].name, node->name),
                    "a key is one node's alone; the other one is on line %d of %.200s",
                    s->nodes[k].source.line, s->nodes[k].source.file);
        }
    }
}

/* A key that was copied with the machine: the other node would take us for itself. */
static void check_own_pin(struct reader *reader)
{
    const struct settings *s = reader->settings;
    char why[TLS_ERROR_BYTES];
    struct tls_pin own;

    if (tls_pin_of_file(s->cluster_certificate_file, &own, why) != OK)
        return; /* it is complained of where it is missing */
    for (size_t i = 0; i < s->node_count; i++) {
        if (memcmp(s->nodes[i].pin, own.byte, sizeof own.byte) == 0)
            complaint_hint(
                complain(reader->complaints, s->nodes[i].source,
                    "cluster_node \"%s\" has the pin of this node", s->nodes[i].name),
                "each node has a key of its own: was %.200s copied from the other one?",
                s->cluster_key_file);
    }
}

static void check_key(struct reader *reader, struct source_line where, const char *option,
    const char *file, const struct config_item *cluster)
{
    const struct config_item *item = cluster ? config_find(cluster, option) : NULL;

    if (access(file, R_OK) == 0)
        return;
    complaint_hint(complain(reader->complaints, item ? item->where : where,
                       "cannot read this node's %s \"%.200s\"", option, file),
        access(file, F_OK) == 0 ? "the file is there, but not for this user"
                                : "`relais cluster init` makes it");
}

static const struct receive_connector *find_internal(const struct settings *s)
{
    for (size_t i = 0; i < s->receive_count; i++) {
        if (s->receive[i].is_internal && s->receive[i].enabled)
            return &s->receive[i];
    }
    return NULL;
}

void check_cluster(struct reader *reader, const struct config_item *root)
{
    const struct settings *s = reader->settings;
    const struct receive_connector *internal = find_internal(s);
    const struct config_item *cluster = config_find(root, "cluster");
    struct source_line where;

    if (!s->node_count)
        return;
    where = s->nodes[0].source;
    check_nodes(reader);
    if (!internal && reader->is_whole)
        complaint_hint(complain(reader->complaints, where,
                           "there are other nodes, but no internal connector for them"),
            "receive_connector \"Internal\" { role = internal bindings = { \"*:2525\" } }");
    if (reader->may_lack_key)
        return;
    check_key(reader, where, "key", s->cluster_key_file, cluster);
    check_key(reader, where, "certificate", s->cluster_certificate_file, cluster);
    check_own_pin(reader);
}
