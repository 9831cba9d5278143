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
        if (hop->connector) {
            connector = find_connector(path->routed_by->settings, hop->connector->name);
            if (!connector || !connector->enabled)
                continue;
        }
        deliver_forget(hop);
        queue_change_hop(hop, path->routed_by, connector);
    }
}

static void reroute_all(struct path *path)
{
    list_each (node, &path->queue.in_order)
        path_reroute(path, container_of(node, struct message, in_queue));
    queue_drop_empty_hops(&path->queue);
}

/* What was accepted while this node was alone is copied, too (R8). */
static void adopt_all(struct path *path)
{
    list_each (node, &path->queue.in_order)
        node_adopt(path->node, container_of(node, struct message, in_queue)->entry.mid);
}

enum err path_change(struct path *path, struct settings **settings, char why[512])
{
    struct setup *setup;
    enum err err = setup_new(settings, &setup, why);
    bool was_on = node_is_on(path->node);

    if (err != OK)
        return err;
    if (path->is_stopping) {
        snprintf(why, 512, "the daemon is stopping");
        setup_free(setup);
        return ERR_CLOSED;
    }
    err = node_change(path->node, setup->settings, why);
    if (err != OK) {
        setup_free(setup);
        return err;
    }
    setup_free(path->routed_by);
    path->routed_by = setup_hold(setup);
    path->router.setup = path->routed_by;
    setup_slot_change(&path->setup, &setup);
    certificates_watch(&path->certificates, path->routed_by);
    path->deliver.connections_max = path->routed_by->settings->deliveries_max;
    queue_set_expiry(&path->queue, path->routed_by->settings->expiry_ms,
        path->routed_by->settings->delay_notice_ms);
    accept_apply(&path->accept);
    change_hops(path);
    reroute_all(path);
    if (!was_on && node_is_on(path->node))
        adopt_all(path);
    return OK;
}
