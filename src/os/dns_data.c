#include "os/dns_data.h"

#include "base/mem.h"
#include "os/clock.h"

#include <stdlib.h>

enum { LABEL_BYTES_MAX = 63, NAME_BYTES_MAX = 253, KIND_MAX = DNS_HOSTS_MAX / 2 };

static bool is_label_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool is_name(const char *name, size_t n)
{
    size_t label = 0;

    if (n == 0 || n > NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        label = name[i] == '.' ? 0 : label + 1;
        if (label > LABEL_BYTES_MAX || (label > 0 && !is_label_byte((uint8_t)name[i])))
            return false;
        if (label == 0 && (i == 0 || name[i - 1] == '.'))
            return false;
    }
    return label > 0;
}

bool dns_name_read(const char *name, char out[DNS_NAME_BYTES])
{
    char lower[DNS_NAME_BYTES];
    size_t n = strlen(name);

    if (n > 1 && name[n - 1] == '.')
        n--;
    if (n > NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        lower[i] = (char)ascii_lower((uint8_t)name[i]);
    if (!is_name(lower, n))
        return false;
    memcpy(out, lower, n);
    out[n] = 0;
    return true;
}

void dns_add_address(struct dns_result *result, struct bytes rdata)
{
    enum { V4_BYTES = 4, V6_BYTES = 16, V4_AT = 12 };
    struct ip ip = { { [10] = 255, [11] = 255 } };
    unsigned same_kind = 0;

    if (rdata.n == V4_BYTES)
        memcpy(ip.byte + V4_AT, rdata.at, V4_BYTES);
    else if (rdata.n == V6_BYTES)
        memcpy(ip.byte, rdata.at, V6_BYTES);
    else
        return;
    for (unsigned i = 0; i < result->address_count; i++)
        same_kind += ip_is_v4(result->addresses[i]) == ip_is_v4(ip);
    if (same_kind < KIND_MAX)
        result->addresses[result->address_count++] = ip;
}

/* Reads an uncompressed name that takes all of WIRE; the root's is "". */
static bool read_wire_name(struct bytes wire, char out[DNS_NAME_BYTES])
{
    char text[DNS_NAME_BYTES];
    size_t n = 0;

    while (wire.n && wire.at[0]) {
        size_t label = wire.at[0];
        if (label > LABEL_BYTES_MAX || label >= wire.n || n + label + 1 > NAME_BYTES_MAX + 1)
            return false;
        /* A dot or a NUL inside a label would make it another name. */
        if (memchr(wire.at + 1, '.', label) || memchr(wire.at + 1, 0, label))
            return false;
        memcpy(text + n, wire.at + 1, label);
        text[n + label] = '.';
        n += label + 1;
        wire = bytes_skip(wire, label + 1);
    }
    if (wire.n != 1)
        return false;
    text[n] = 0;
    out[0] = 0;
    return n == 0 || dns_name_read(text, out);
}

/* Where a host of this preference may be put; NULL: the others are all better. */
static struct dns_host *host_room(struct dns_result *result, uint16_t preference)
{
    struct dns_host *worst = result->hosts;

    if (result->host_count < DNS_HOSTS_MAX)
        return &result->hosts[result->host_count++];
    for (unsigned i = 1; i < DNS_HOSTS_MAX; i++) {
        if (result->hosts[i].preference > worst->preference)
            worst = &result->hosts[i];
    }
    return worst->preference > preference ? worst : NULL;
}

void dns_add_mx(struct dns_result *result, struct bytes rdata)
{
    char name[DNS_NAME_BYTES];
    struct dns_host *host;
    uint16_t preference;

    if (rdata.n < 3 || !read_wire_name(bytes_skip(rdata, 2), name))
        return;
    preference = (uint16_t)(rdata.at[0] << 8 | rdata.at[1]);
    if (name[0] == 0) {
        result->is_null_mx = true;
        return;
    }
    host = host_room(result, preference);
    if (!host)
        return;
    host->preference = preference;
    memcpy(host->name, name, sizeof name);
}

void dns_add_tlsa(struct dns_result *result, struct bytes rdata)
{
    enum { FIXED_BYTES = 3 };
    struct tlsa *tlsa;

    if (rdata.n < FIXED_BYTES || result->tlsa_count == DNS_TLSA_MAX)
        return;
    result->tlsa = mem_grow(result->tlsa, (result->tlsa_count + 1) * sizeof *result->tlsa);
    tlsa = &result->tlsa[result->tlsa_count++];
    *tlsa = (struct tlsa){ rdata.at[0], rdata.at[1], rdata.at[2], BYTES_NONE };
    rdata = bytes_skip(rdata, FIXED_BYTES);
    tlsa->data = bytes_of(mem_copy(rdata.at, rdata.n), rdata.n);
}

void dns_free_tlsa(struct dns_result *result)
{
    for (unsigned i = 0; i < result->tlsa_count; i++)
        free((void *)(uintptr_t)result->tlsa[i].data.at);
    free(result->tlsa);
    result->tlsa = NULL;
    result->tlsa_count = 0;
}

static void swap_hosts(struct dns_host *a, struct dns_host *b)
{
    struct dns_host c = *a;
    *a = *b;
    *b = c;
}

static void shuffle_hosts(struct dns_result *result)
{
    uint32_t dice[DNS_HOSTS_MAX];

    random_fill(dice, sizeof dice);
    for (unsigned i = result->host_count; i > 1; i--)
        swap_hosts(&result->hosts[i - 1], &result->hosts[dice[i - 1] % i]);
}

static void sort_hosts(struct dns_result *result)
{
    for (unsigned i = 1; i < result->host_count; i++) {
        for (unsigned j = i;
             j > 0 && result->hosts[j - 1].preference > result->hosts[j].preference; j--)
            swap_hosts(&result->hosts[j - 1], &result->hosts[j]);
    }
}

static void sort_addresses(struct dns_result *result)
{
    struct ip sorted[DNS_HOSTS_MAX];
    unsigned n = 0;

    for (int v4 = 0; v4 < 2; v4++) {
        for (unsigned i = 0; i < result->address_count; i++) {
            if (ip_is_v4(result->addresses[i]) == (v4 == 1))
                sorted[n++] = result->addresses[i];
        }
    }
    memcpy(result->addresses, sorted, n * sizeof *sorted);
}

void dns_put_in_order(struct dns_result *result)
{
    sort_addresses(result);
    shuffle_hosts(result);
    sort_hosts(result);
    if (result->host_count > 0)
        result->is_null_mx = false;
}
