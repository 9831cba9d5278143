#include "flow/devices.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const need_names[DEVICE_NEED_COUNT] = { "bare-lf", "path-spaces",
    "no-brackets", "bad-helo", "no-helo", "old-tls", "auth-without-tls", "weak-cipher" };

const char *device_need_name(enum device_need need)
{
    for (size_t i = 0; i < DEVICE_NEED_COUNT; i++) {
        if (need == 1u << i)
            return need_names[i];
    }
    return "";
}

void devices_init(struct devices *devices)
{
    pthread_mutex_init(&devices->lock, NULL);
    table_init(&devices->table);
    list_init(&devices->order);
    devices->changes = 0;
}

void devices_done(struct devices *devices)
{
    list_each (node, &devices->order)
        free(container_of(node, struct device, in_order));
    table_done(&devices->table);
    pthread_mutex_destroy(&devices->lock);
}

/* --- Finding and making ------------------------------------------------------------------ */

static uint64_t hash_of(struct ip ip, const char *connector)
{
    return bytes_hash_nocase(bytes_of(ip.byte, sizeof ip.byte)) * 31 +
           bytes_hash_nocase(bytes_text(connector));
}

static struct device *find(
    const struct devices *devices, struct ip ip, bool is_unix, const char *connector)
{
    struct table_node *node = table_first(&devices->table, hash_of(ip, connector));

    for (; node; node = table_next(node)) {
        struct device *device = container_of(node, struct device, in_table);
        if (device->is_unix == is_unix && ip_compare(device->ip, ip) == 0 &&
            strcmp(device->connector, connector) == 0)
            return device;
    }
    return NULL;
}

static void forget_oldest(struct devices *devices)
{
    struct device *device = container_of(list_first(&devices->order), struct device, in_order);

    table_remove(&devices->table, &device->in_table);
    list_remove(&device->in_order);
    free(device);
}

static void add(struct devices *devices, struct device *device)
{
    if (devices->table.count == DEVICES_MAX)
        forget_oldest(devices);
    table_add(&devices->table, &device->in_table, hash_of(device->ip, device->connector));
    list_init(&device->in_order);
    list_add_last(&devices->order, &device->in_order);
}

bool devices_put(struct devices *devices, struct device *device)
{
    bool is_new;

    pthread_mutex_lock(&devices->lock);
    is_new = !find(devices, device->ip, device->is_unix, device->connector);
    if (is_new)
        add(devices, device);
    pthread_mutex_unlock(&devices->lock);
    return is_new;
}

/* --- Noting ------------------------------------------------------------------------------ */

/* What peers say stands in a file of lines and on terminals. */
static void put_clean(char *to, size_t room, const char *from)
{
    size_t n = 0;

    for (; from && *from && n + 1 < room; from++)
        to[n++] = (unsigned char)*from <= ' ' || *from == 127 || *from == ',' ? '?' : *from;
    to[n] = '\0';
}

/* The last one comes first; another place of the same name closes up. */
static void note_helo(struct device *device, const char *said)
{
    char helo[DEVICE_NAME_BYTES];
    size_t at = 0;

    put_clean(helo, sizeof helo, said);
    if (!helo[0])
        return;
    while (at < DEVICE_HELOS - 1 && strcmp(device->helo[at], helo) != 0)
        at++;
    memmove(device->helo[1], device->helo[0], at * sizeof helo);
    memcpy(device->helo[0], helo, sizeof helo);
}

static void note(struct device *device, const struct device_seen *seen)
{
    device->sessions += seen->sessions;
    device->messages += seen->messages;
    device->bytes += seen->bytes;
    device->last = seen->now;
    note_helo(device, seen->helo);
    put_clean(device->tls, sizeof device->tls, seen->tls);
    put_clean(device->cipher, sizeof device->cipher, seen->cipher);
    if (seen->user) {
        put_clean(device->user, sizeof device->user, seen->user);
        device->last_login = seen->now;
    }
    for (size_t i = 0; i < DEVICE_NEED_COUNT; i++) {
        if (seen->needs & 1u << i)
            device->needed[i] = seen->now;
    }
}

void devices_note(struct devices *devices, const struct device_seen *seen)
{
    struct device *device;

    pthread_mutex_lock(&devices->lock);
    device = find(devices, seen->ip, seen->is_unix, seen->connector);
    if (!device) {
        device = mem_new(sizeof *device);
        device->ip = seen->ip;
        device->is_unix = seen->is_unix;
        device->first = seen->now;
        snprintf(device->connector, sizeof device->connector, "%s", seen->connector);
        add(devices, device);
    } else {
        list_remove(&device->in_order);
        list_add_last(&devices->order, &device->in_order);
    }
    note(device, seen);
    devices->changes++;
    pthread_mutex_unlock(&devices->lock);
}

struct device *devices_list(struct devices *devices, size_t *count)
{
    struct device *list;
    size_t n = 0;

    pthread_mutex_lock(&devices->lock);
    list = mem_new((devices->table.count + 1) * sizeof *list);
    for (struct list *at = devices->order.prev; at != &devices->order; at = at->prev)
        list[n++] = *container_of(at, struct device, in_order);
    pthread_mutex_unlock(&devices->lock);
    *count = n;
    return list;
}

uint64_t devices_changes(struct devices *devices)
{
    uint64_t changes;

    pthread_mutex_lock(&devices->lock);
    changes = devices->changes;
    pthread_mutex_unlock(&devices->lock);
    return changes;
}
