/* devices: who uses this node, and what he could not have done without. */
#include "daemon/control_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static void add_needs(const struct device *device, struct ctl_object *row)
{
    struct ctl_object *times = ctl_new();

    for (size_t i = 0; i < DEVICE_NEED_COUNT; i++) {
        const char *name = device_need_name((enum device_need)(1u << i));
        if (!device->needed[i].ms)
            continue;
        ctl_add_text(row, "needs", bytes_text(name));
        ctl_set_number(times, name, device->needed[i].ms);
    }
    ctl_set_object(row, "needed_at_ms", &times);
}

static struct ctl_object *row_of(const struct device *device, int64_t now_ms)
{
    struct ctl_object *row = ctl_new();
    char ip[IP_TEXT_BYTES] = "unix";

    if (!device->is_unix)
        ip_format(device->ip, ip);
    ctl_set_text(row, "address", bytes_text(ip));
    ctl_set_text(row, "connector", bytes_text(device->connector));
    for (size_t i = 0; i < DEVICE_HELOS && device->helo[i][0]; i++)
        ctl_add_text(row, "helo", bytes_text(device->helo[i]));
    ctl_set_number(row, "sessions", (int64_t)device->sessions);
    ctl_set_number(row, "messages", (int64_t)device->messages);
    ctl_set_number(row, "bytes", (int64_t)device->bytes);
    ctl_set_number(row, "first_ms", device->first.ms);
    ctl_set_number(row, "last_ms", device->last.ms);
    ctl_set_number(row, "last_seen_s", (now_ms - device->last.ms) / 1000);
    ctl_set_text(row, "tls", bytes_text(device->tls));
    ctl_set_text(row, "cipher", bytes_text(device->cipher));
    if (device->user[0]) {
        ctl_set_text(row, "user", bytes_text(device->user));
        ctl_set_number(row, "last_login_ms", device->last_login.ms);
    }
    add_needs(device, row);
    return row;
}

static bool needs_any(const struct device *device)
{
    for (size_t i = 0; i < DEVICE_NEED_COUNT; i++) {
        if (device->needed[i].ms)
            return true;
    }
    return false;
}

/* A connector that is gone may have devices yet. */
static bool is_known(const struct settings *settings, const struct device *list, size_t count,
    const char *connector)
{
    for (size_t i = 0; i < settings->receive_count; i++) {
        if (strcasecmp(settings->receive[i].name, connector) == 0)
            return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(list[i].connector, connector) == 0)
            return true;
    }
    return false;
}

static void refuse_connector(
    struct client *client, const struct settings *settings, const char *connector)
{
    char known[400] = "";
    size_t n = 0;

    for (size_t i = 0; i < settings->receive_count && n < sizeof known; i++)
        n += (size_t)snprintf(
            known + n, sizeof known - n, "%s\"%s\"", n ? ", " : "", settings->receive[i].name);
    client_error(client, EX_NOINPUT, "there is no receive connector \"%.64s\"; there are: %s",
        connector, known);
}

/* "connector": of that one alone; "odd": who needs something alone. */
void command_devices(struct client *client, const struct ctl_object *request)
{
    struct path *path = client->control->path;
    const struct settings *settings = path->routed_by->settings;
    const char *connector = ctl_text(request, "connector");
    int64_t now_ms = loop_wall(path->home).ms;
    size_t count;
    struct device *list = devices_list(&path->devices, &count);

    if (connector && !is_known(settings, list, count, connector)) {
        refuse_connector(client, settings, connector);
        free(list);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct ctl_object *row;
        if ((connector && strcasecmp(list[i].connector, connector) != 0) ||
            (ctl_bool(request, "odd") && !needs_any(&list[i])))
            continue;
        row = row_of(&list[i], now_ms);
        client_row(client, &row);
    }
    free(list);
    client_ok(client);
}
