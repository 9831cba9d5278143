/* New settings: sockets, hops, and the routes of what is queued. */
#include "daemon/path_inside.h"

#include <stdio.h>

static const struct send_connector *find_connector(
    const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->send_count; i++) {
        if (strcmp(settings->send[i].name, name) == 0)
            return &settings->send[i];
    }
    return NULL;
}

/* Hops whose connector is still there go on with it; those whose is not keep the old one until
 * what is under way has ended. */
static void change_hops(struct path *path)
{
    list_each (node, &path->queue.all_hops) {
        struct hop *hop = container_of(node, struct hop, in_hops);
        const struct send_connector *connector = NULL;
        if (hop_is_redirection(hop)) {
            connector = &path->routed_by->settings->redirection;
        } else if (hop->connector) {
            connector = find_connector(path->routed_by->settings, hop->connector->name);
            if (!connector || !connector->enabled)
                continue;
        }
        deliver_forget(hop);
        queue_change_hop(hop, path->routed_by, connector);
    }
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool asks_the_same(const struct settings *a, const struct settings *b)
{
    if (a->dns_server_count != b->dns_server_count || a->dns_timeout_ms != b->dns_timeout_ms ||
        !is_same(a->dns_trust_anchor, b->dns_trust_anchor))
        return false;
    for (size_t i = 0; i < a->dns_server_count; i++) {
        if (!is_same(a->dns_servers[i], b->dns_servers[i]))
            return false;
    }
    return true;
}

/* From the settings in force, or back. */
static enum err change_dns(
    struct path *path, const struct settings *from, const struct settings *to, char why[512])
{
    struct dns_settings dns = path_dns_settings(to);
    enum err err = asks_the_same(from, to) ? OK : dns_change(path->dns, &dns);

    if (err != OK)
        snprintf(why, 512, "cannot use the new DNS settings: %s", err_text(err));
    return err;
}

enum err path_change(struct path *path, struct settings **settings, char why[512])
{
    struct setup *setup;
    enum err err = setup_new(settings, (*settings)->state_folder, &setup, why);
    bool was_on = node_is_on(path->node);

    if (err != OK)
        return err;
    if (path->is_stopping) {
        snprintf(why, 512, "the daemon is stopping");
        setup_free(setup);
        return ERR_CLOSED;
    }
    err = change_dns(path, path->routed_by->settings, setup->settings, why);
    if (err != OK) {
        setup_free(setup);
        return err;
    }
    err = node_change(path->node, setup->settings, why);
    if (err != OK) {
        char other[512];
        err_ignore(change_dns(path, setup->settings, path->routed_by->settings, other));
        setup_free(setup);
        return err;
    }
    setup_keep_sessions(setup, path->routed_by);
    setup_free(path->routed_by);
    path->routed_by = setup_hold(setup);
    path->router.setup = path->routed_by;
    setup_slot_change(&path->setup, &setup);
    certificates_watch(&path->certificates, path->routed_by);
    path->deliver.connections_max = path->routed_by->settings->deliveries_max;
    path->poison.threshold = path->routed_by->settings->poison_threshold;
    queue_set_expiry(&path->queue, path->routed_by->settings->expiry_ms,
        path->routed_by->settings->delay_notice_ms);
    accept_apply(&path->accept);
    change_hops(path);
    path->rerouting.is_adopting |= !was_on && node_is_on(path->node);
    path_reroute_all(path);
    return OK;
}
