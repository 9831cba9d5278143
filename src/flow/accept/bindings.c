/* The sockets: the union of the bindings of the enabled connectors (RC-2).
 *
 * 1. The kernel gives a port to one socket on all addresses of a kind or to sockets on single
 *    ones, not to both, so a single address needs no socket while one on all addresses is open:
 *    connections come in there, and the connector is chosen by the address the client has called.
 * 2. A socket on all addresses that cannot be opened keeps nobody else out: the single ones
 *    beside it get sockets of their own, and keep them when the other is opened after all.
 * 3. When one on all addresses comes or goes at a reload, the new sockets are opened first, beside
 *    the old (listener_share()), then the old one gives out what waits in it, and is closed: there
 *    is no moment at which a client is turned away.  Where the kernel refuses to, the old one is
 *    closed first. */
#include "flow/accept/inside.h"

#include "base/mem.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>

enum { TRY_AGAIN_MS = 5000, UNIX_MODE = 0666 };

/* --- What is asked for ------------------------------------------------------------------- */

/* All addresses of a kind. */
static struct ip wide_ip(bool is_v4)
{
    struct ip ip = { { 0 } };

    if (is_v4)
        ip.byte[10] = ip.byte[11] = 0xff; /* as base/ip.h keeps IPv4 */
    return ip;
}

static bool is_wide(const struct endpoint *endpoint)
{
    return !endpoint->is_unix && ip_compare(endpoint->ip, wide_ip(ip_is_v4(endpoint->ip))) == 0;
}

static bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    if (a->is_unix != b->is_unix)
        return false;
    if (a->is_unix)
        return strcmp(a->path, b->path) == 0;
    return a->port == b->port && ip_compare(a->ip, b->ip) == 0;
}

static struct accept_binding *find_binding(
    const struct accept *accept, const struct endpoint *endpoint)
{
    list_each (node, &accept->bindings) {
        struct accept_binding *binding = container_of(node, struct accept_binding, in_accept);
        if (endpoint_equal(&binding->endpoint, endpoint))
            return binding;
    }
    return NULL;
}

static void forget_connectors(struct accept_binding *binding)
{
    while (binding->connector_count)
        free(binding->connectors[--binding->connector_count]);
    free(binding->connectors);
    binding->connectors = NULL;
}

static void want_endpoint(
    struct accept *accept, const struct endpoint *endpoint, const char *connector)
{
    struct accept_binding *binding = find_binding(accept, endpoint);

    if (!binding) {
        binding = mem_new(sizeof *binding);
        binding->accept = accept;
        binding->endpoint = *endpoint;
        list_add_last(&accept->bindings, &binding->in_accept);
    }
    binding->is_wanted = true;
    binding->connectors = mem_grow(
        binding->connectors, (binding->connector_count + 1) * sizeof *binding->connectors);
    binding->connectors[binding->connector_count++] = mem_text(connector);
}

static void want_binding(
    struct accept *accept, const struct binding *binding, const char *connector)
{
    struct endpoint endpoint = { .is_unix = binding->is_unix, .port = binding->port };

    if (binding->is_unix) {
        snprintf(endpoint.path, sizeof endpoint.path, "%s", binding->path);
    } else if (binding->is_any) {
        endpoint.ip = wide_ip(true);
        want_endpoint(accept, &endpoint, connector);
        if (!listener_has_ipv6()) /* then IPv4 is all there is */
            return;
        endpoint.ip = wide_ip(false);
    } else {
        endpoint.ip = binding->ip;
    }
    want_endpoint(accept, &endpoint, connector);
}

static void want_bindings(struct accept *accept, const struct settings *settings)
{
    list_each (node, &accept->bindings) {
        struct accept_binding *binding = container_of(node, struct accept_binding, in_accept);
        binding->is_wanted = false;
        forget_connectors(binding);
    }
    for (size_t i = 0; i < settings->receive_count; i++) {
        const struct receive_connector *connector = &settings->receive[i];
        for (size_t j = 0; connector->enabled && j < connector->binding_count; j++)
            want_binding(accept, &connector->bindings[j], connector->name);
    }
}

/* --- What is there ----------------------------------------------------------------------- */

/* Has all addresses, and so those of BINDING, by the present settings. */
static bool is_covered(const struct accept_binding *binding)
{
    struct endpoint endpoint = { .port = binding->endpoint.port };
    const struct accept_binding *wide;

    if (binding->endpoint.is_unix || is_wide(&binding->endpoint))
        return false;
    endpoint.ip = wide_ip(ip_is_v4(binding->endpoint.ip));
    wide = find_binding(binding->accept, &endpoint);
    return wide && wide->is_wanted && wide->listener;
}

bool accept_binding_is_open(const struct accept_binding *binding)
{
    return binding->listener || is_covered(binding);
}

void accept_binding_names(const struct accept_binding *binding, char out[ACCEPT_NAMES_BYTES])
{
    size_t n = 0;

    out[0] = 0;
    for (size_t i = 0; i < binding->connector_count; i++) {
        const char *name = binding->connectors[i];
        if (n + strlen(name) + sizeof ", , ..." > ACCEPT_NAMES_BYTES) {
            snprintf(out + n, ACCEPT_NAMES_BYTES - n, ", ...");
            return;
        }
        n += (size_t)snprintf(out + n, ACCEPT_NAMES_BYTES - n, "%s%s", i ? ", " : "", name);
    }
}

/* The kernel lets only one of the two have the port. */
static bool excludes(const struct accept_binding *a, const struct accept_binding *b)
{
    const struct endpoint *one = &a->endpoint, *other = &b->endpoint;

    return !one->is_unix && !other->is_unix && one->port == other->port &&
           ip_is_v4(one->ip) == ip_is_v4(other->ip) && is_wide(one) != is_wide(other);
}

/* --- Opening ----------------------------------------------------------------------------- */

static void on_accept(
    void *me, int fd, const struct endpoint *peer, const struct endpoint *local)
{
    struct accept_binding *binding = me;
    struct arrival arrival = {
        .is_unix = local->is_unix,
        .path = local->is_unix ? binding->endpoint.path : NULL,
        .local = local->ip,
        .peer = peer->ip,
        .port = local->port,
        .peer_port = peer->port,
    };

    accept_begin(binding->accept, fd, &arrival);
}

/* Those that have the port and exclude BINDING.  Returns how many they are. */
static size_t share_others(const struct accept_binding *binding, bool is_shared)
{
    size_t count = 0;

    list_each (node, &binding->accept->bindings) {
        struct accept_binding *other = container_of(node, struct accept_binding, in_accept);
        if (!other->listener || !excludes(binding, other))
            continue;
        listener_share(other->listener, is_shared);
        count++;
    }
    return count;
}

static enum err open_listener(struct accept_binding *binding)
{
    struct loop *loop = binding->accept->loop;
    enum err err = listener_open(
        loop, &binding->endpoint, UNIX_MODE, on_accept, binding, &binding->listener);

    if (err != ERR_BUSY)
        return err;
    if (share_others(binding, true))
        err = listener_open_shared(
            loop, &binding->endpoint, on_accept, binding, &binding->listener);
    share_others(binding, false);
    if (err == OK)
        listener_share(binding->listener, false);
    return err;
}

static void report_binding(
    enum report_event event, const struct accept_binding *binding, const char *error)
{
    char names[ACCEPT_NAMES_BYTES], text[ENDPOINT_TEXT_BYTES];
    struct report_field fields[3];

    accept_binding_names(binding, names);
    endpoint_format(&binding->endpoint, text);
    fields[0] = R_CHARS("connector", names);
    fields[1] = R_CHARS("address", text);
    fields[2] = R_CHARS("error", error ? error : "");
    report_fields(event, fields, error ? 3 : 2);
}

static const char *error_text(const struct accept_binding *binding, enum err err)
{
    if (err != ERR_UNREACHABLE) /* of a socket that only listens: EADDRNOTAVAIL */
        return err_text(err);
    return ip_is_v4(binding->endpoint.ip) || listener_has_ipv6()
               ? "this machine has no such address"
               : "this system has no IPv6";
}

/* A failure is told, and tried again, when IS_LAST. */
static void open_binding(struct accept_binding *binding, bool is_last)
{
    struct timer *again = &binding->accept->again;
    enum err err = open_listener(binding);

    if (err == OK) {
        binding->error[0] = 0;
        report_binding(REPORT_BINDING_OPEN, binding, NULL);
    } else if (is_last) {
        bool failed_before = binding->error[0];
        snprintf(binding->error, sizeof binding->error, "%s", error_text(binding, err));
        if (!failed_before) /* loud once, not every few seconds */
            report_binding(REPORT_BINDING_FAILED, binding, binding->error);
        if (!timer_is_running(again))
            timer_start(again, TRY_AGAIN_MS);
    }
}

static void open_those(struct accept *accept, bool is_wide_turn, bool is_last)
{
    list_each (node, &accept->bindings) {
        struct accept_binding *binding = container_of(node, struct accept_binding, in_accept);
        if (!binding->is_wanted || is_wide(&binding->endpoint) != is_wide_turn)
            continue;
        if (!accept_binding_is_open(binding))
            open_binding(binding, is_last);
        else if (!binding->listener)
            binding->error[0] = 0; /* covered by now */
    }
}

static void open_missing(struct accept *accept, bool is_last)
{
    open_those(accept, true, is_last); /* first: they cover others */
    open_those(accept, false, is_last);
}

/* --- Closing ----------------------------------------------------------------------------- */

static void close_binding(struct accept_binding *binding)
{
    listener_close(binding->listener);
    list_remove(&binding->in_accept);
    forget_connectors(binding);
    free(binding);
}

/* Whether another socket has some of its addresses from now on. */
static bool is_replaced(const struct accept_binding *binding)
{
    list_each (node, &binding->accept->bindings) {
        const struct accept_binding *other =
            container_of(node, struct accept_binding, in_accept);
        if (other->is_wanted && other->listener && excludes(binding, other))
            return true;
    }
    return false;
}

static void close_unwanted(struct accept *accept)
{
    list_each (node, &accept->bindings) {
        struct accept_binding *binding = container_of(node, struct accept_binding, in_accept);
        if (binding->is_wanted)
            continue;
        if (binding->listener && is_replaced(binding))
            listener_drain(binding->listener);
        close_binding(binding);
    }
}

/* --- For the others ---------------------------------------------------------------------- */

void accept_apply(struct accept *accept)
{
    struct setup *setup = setup_slot_hold(accept->setup);

    accept->has_told_probe = false;
    want_bindings(accept, setup->settings);
    setup_free(setup);
    open_missing(accept, false);
    close_unwanted(accept);
    open_missing(accept, true); /* those that were in the way are gone */
}

static void on_again(struct timer *timer)
{
    open_missing(container_of(timer, struct accept, again), true);
}

void bindings_init(struct accept *accept)
{
    list_init(&accept->bindings);
    timer_init(&accept->again, accept->loop, on_again);
}

void bindings_stop(struct accept *accept)
{
    timer_stop(&accept->again);
    list_each (node, &accept->bindings)
        close_binding(container_of(node, struct accept_binding, in_accept));
}
