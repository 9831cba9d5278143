/* Connections counted under a connector's name, an address, or both. */
#include "flow/accept/inside.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

struct count {
    struct table_node node;
    uint32_t connections;
    struct ip ip;
    char name[];
};

static uint64_t hash_of(const char *name, struct ip ip)
{
    return bytes_hash_nocase(bytes_text(name)) * 31 +
           bytes_hash_nocase(bytes_of(ip.byte, sizeof ip.byte));
}

static struct count *find(const struct table *table, const char *name, struct ip ip)
{
    struct table_node *n = table_first(table, hash_of(name, ip));

    for (; n; n = table_next(n)) {
        struct count *count = container_of(n, struct count, node);
        if (ip_compare(count->ip, ip) == 0 && strcmp(count->name, name) == 0)
            return count;
    }
    return NULL;
}

uint32_t count_get(const struct table *table, const char *name, struct ip ip)
{
    const struct count *count = find(table, name, ip);

    return count ? count->connections : 0;
}

void count_add(struct table *table, const char *name, struct ip ip)
{
    struct count *count = find(table, name, ip);
    size_t name_bytes = strlen(name) + 1;

    if (!count) {
        count = mem_new(sizeof *count + name_bytes);
        count->ip = ip;
        memcpy(count->name, name, name_bytes);
        table_add(table, &count->node, hash_of(name, ip));
    }
    count->connections++;
}

void count_remove(struct table *table, const char *name, struct ip ip)
{
    struct count *count = find(table, name, ip);

    assert(count && count->connections > 0);
    if (--count->connections)
        return;
    table_remove(table, &count->node);
    free(count);
}
