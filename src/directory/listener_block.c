/* listener "*:25" { ... }: what stands before a binding, and which connectors that concerns. */
#include "directory/option.h"

#include "base/mem.h"
#include "policy/balancer.h"

#include <stddef.h>
#include <stdlib.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND };

static const struct choice proxy_modes[] = {
    { "listed", PROXY_MODE_LISTED },
    { "optional", PROXY_MODE_OPTIONAL },
    { "required", PROXY_MODE_REQUIRED },
    { NULL, 0 },
};

static void read_balancers(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct listener_options *listener = into;

    (void)option;
    read_ranges(reader, item, &listener->balancers, &listener->balancer_count);
}

#define AT(member) offsetof(struct listener_options, member)

static const struct option options[] = {
    { "proxy", CONFIG_VALUE, read_choice, AT(proxy), .choices = proxy_modes },
    { "proxy_from", CONFIG_LIST, read_balancers },
    { "proxy_timeout", CONFIG_VALUE, read_duration, AT(proxy_timeout_ms), 100, 5 * MINUTE },
    { NULL },
};

static bool read_title(
    struct reader *reader, const struct config_item *item, struct binding *out)
{
    struct binding binding = { 0 };
    const char *title = item->title ? item->title : "";

    if (binding_parse(title, &binding) && !binding.is_unix) {
        *out = binding;
        return true;
    }
    complaint_hint(complain(reader->complaints, item->where,
                       binding.is_unix ? "a listener block is for TCP, not for '%.120s'"
                                       : "'%.120s' is no binding",
                       title),
        "listener \"192.0.2.1:25\" { ... }, \"[2001:db8::1]:25\" or \"*:25\"");
    binding_done(&binding);
    return false;
}

/* proxy_from = {}, and nothing added to it. */
static bool is_list_empty(const struct config_item *listener)
{
    const struct config_item *item = listener->first;

    while (item && (strcmp(item->name, "proxy_from") != 0 || item->value_count == 0))
        item = item->next;
    return !item;
}

void read_listener(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct settings *settings = into;
    struct listener_options listener = { .source = item->where,
        .proxy_timeout_ms = 10 * SECOND };

    (void)option;
    options_read(reader, options, item, &listener);
    if (reader->is_whole && !config_find(item, "proxy_from"))
        complaint_hint(complain(reader->complaints, item->where,
                           "the listener has no proxy_from: it would take no PROXY header"),
            "proxy_from = { \"192.0.2.5\" }");
    else if (config_find(item, "proxy_from") && is_list_empty(item))
        complain_warning(reader->complaints, item->where,
            "proxy_from of the listener is empty: it takes no PROXY header");
    if (!read_title(reader, item, &listener.binding)) {
        free(listener.balancers);
        return;
    }
    settings->listeners = mem_grow(
        settings->listeners, (settings->listener_count + 1) * sizeof *settings->listeners);
    settings->listeners[settings->listener_count++] = listener;
}

/* --- Together with the connectors -------------------------------------------------------- */

static bool is_same(const struct binding *a, const struct binding *b)
{
    return a->port == b->port && a->is_any == b->is_any && ip_compare(a->ip, b->ip) == 0;
}

static void check_twins(struct reader *reader)
{
    const struct settings *s = reader->settings;
    char text[BINDING_TEXT_BYTES];

    for (size_t b = 1; b < s->listener_count; b++) {
        for (size_t a = 0; a < b; a++) {
            if (!is_same(&s->listeners[a].binding, &s->listeners[b].binding))
                continue;
            binding_format(&s->listeners[b].binding, text);
            complain_of_twin(
                reader, "listeners", text, s->listeners[a].source, s->listeners[b].source);
        }
    }
}

/* Whether all its clients are balancers. */
static bool is_for_balancers(
    const struct receive_connector *connector, const struct listener_options *listener)
{
    for (size_t i = 0; i < connector->range_count; i++) {
        bool is_inside = false;
        for (size_t k = 0; k < listener->balancer_count; k++)
            is_inside |= ip_range_contains(listener->balancers[k], connector->ranges[i]);
        if (!is_inside)
            return false;
    }
    return true;
}

/* Links between nodes come from their own addresses. */
static void complain_of_internal(struct reader *reader, const struct listener_options *listener,
    const struct receive_connector *connector)
{
    char text[BINDING_TEXT_BYTES];

    binding_format(&listener->binding, text);
    complaint_hint(complain(reader->complaints, listener->source,
                       "listener \"%s\" is in front of the internal connector \"%s\"", text,
                       connector->name),
        "the other nodes come without a balancer: give their connector a port of its own");
}

/* One connector for the balancer itself is for health checks, or a slip of who thinks of sockets:
 * with no other, no client gets in. */
static void check_listener(struct reader *reader, const struct listener_options *listener)
{
    const struct settings *s = reader->settings;
    const struct receive_connector *of_balancers = NULL;
    char text[BINDING_TEXT_BYTES];
    bool any = false, any_for_clients = false;

    for (size_t i = 0; i < s->receive_count; i++) {
        const struct receive_connector *connector = &s->receive[i];
        if (!balancer_concerns(listener, connector))
            continue;
        any = true;
        if (connector->is_internal)
            complain_of_internal(reader, listener, connector);
        else if (!is_for_balancers(connector, listener))
            any_for_clients = true;
        else if (!of_balancers)
            of_balancers = connector;
    }
    binding_format(&listener->binding, text);
    if (!any && reader->is_whole)
        complaint_hint(complain(reader->complaints, listener->source,
                           "no enabled receive connector listens on \"%s\"", text),
            "it is a binding of a receive connector: bindings = { \"%s\" }", text);
    if (of_balancers && !any_for_clients)
        complaint_hint(complain_warning(reader->complaints, of_balancers->source,
                           "receive connector \"%s\" takes the balancers of listener \"%s\" "
                           "and nobody else",
                           of_balancers->name, text),
            "remote_ranges are of the true clients there, as the PROXY header names them");
}

static bool is_for_all(const struct listener_options *listener)
{
    struct ip_range v4, v6;

    if (!ip_range_parse(BYTES("0.0.0.0/0"), &v4) || !ip_range_parse(BYTES("::/0"), &v6))
        return false;
    for (size_t i = 0; i < listener->balancer_count; i++) {
        if (ip_range_contains(listener->balancers[i], v4) ||
            ip_range_contains(listener->balancers[i], v6))
            return true;
    }
    return false;
}

void check_listeners(struct reader *reader)
{
    const struct settings *s = reader->settings;

    check_twins(reader);
    for (size_t i = 0; i < s->listener_count; i++) {
        check_listener(reader, &s->listeners[i]);
        if (is_for_all(&s->listeners[i]))
            complaint_hint(complain_warning(reader->complaints, s->listeners[i].source,
                               "everybody may say by a PROXY header that he is somebody else"),
                "proxy_from = the addresses of the balancers alone");
    }
}
