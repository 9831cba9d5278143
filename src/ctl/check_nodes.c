#include "ctl/check_nodes.h"

#include "base/mem.h"
#include "os/dns.h"

#include <stdlib.h>

enum { TIMEOUT_MS = 5000 }; /* of each question; all are asked at once */

struct lookup {
    struct loop *loop;
    const struct settings *settings;
    struct complaints *complaints;
    size_t open_count;
};

struct question {
    struct lookup *lookup;
    const struct cluster_node *node;
};

static const char *why_not(const struct dns_result *result)
{
    if (result->answer == DNS_NO_NAME)
        return "there is no such name";
    return result->answer == DNS_NO_DATA || !result->why[0] ? "it has none" : result->why;
}

static void on_answer(void *me, const struct dns_result *result)
{
    struct question *question = me;
    struct lookup *lookup = question->lookup;

    if (result->answer != DNS_FOUND || !result->address_count)
        directory_complain_of_node(question->node, why_not(result), lookup->complaints);
    for (unsigned i = 0; result->answer == DNS_FOUND && i < result->address_count; i++)
        directory_check_node(
            lookup->settings, question->node, result->addresses[i], lookup->complaints);
    if (--lookup->open_count == 0)
        loop_stop(lookup->loop);
}

static bool is_named(const struct cluster_node *node)
{
    struct ip ip;

    return node->host && !ip_parse(bytes_text(node->host), &ip);
}

/* All nodes at once. */
static void ask(struct lookup *lookup, struct dns *dns)
{
    const struct settings *settings = lookup->settings;
    struct question *questions = mem_new((settings->node_count + 1) * sizeof *questions);

    for (size_t i = 0; i < settings->node_count; i++) {
        if (!is_named(&settings->nodes[i]))
            continue;
        questions[i] = (struct question){ lookup, &settings->nodes[i] };
        lookup->open_count++;
        (void)dns_addresses(dns, settings->nodes[i].host, on_answer, &questions[i]);
    }
    loop_run(lookup->loop);
    free(questions);
}

void check_named_nodes(const struct settings *settings, struct complaints *complaints)
{
    struct dns_settings how = {
        .servers = (const char *const *)settings->dns_servers,
        .server_count = settings->dns_server_count,
        .timeout_ms =
            settings->dns_timeout_ms < TIMEOUT_MS ? settings->dns_timeout_ms : TIMEOUT_MS,
        .hosts_file = "/etc/hosts",
        .trust_anchor_file = settings->dns_trust_anchor,
    };
    struct lookup lookup = { .settings = settings, .complaints = complaints };
    struct dns *dns;
    size_t named = 0;

    for (size_t i = 0; i < settings->node_count; i++)
        named += is_named(&settings->nodes[i]);
    if (!named || loop_new(&lookup.loop) != OK)
        return;
    if (dns_new(lookup.loop, &how, &dns) == OK) {
        ask(&lookup, dns);
        dns_free(dns);
    }
    loop_free(lookup.loop);
}
