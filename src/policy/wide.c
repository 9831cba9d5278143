#include "policy/wide.h"

#include <assert.h>

unsigned range_bits(struct ip_range range)
{
    uint8_t size[16];
    int borrow = 0;

    for (int i = 15; i >= 0; i--) { /* last - first */
        int digit = range.last.byte[i] - range.first.byte[i] - borrow;
        borrow = digit < 0;
        size[i] = (uint8_t)(digit & 0xff);
    }
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            if (size[i] & 0x80 >> bit)
                return 128 - (i * 8 + bit);
        }
    }
    return 0;
}

bool range_is_wide(struct ip_range range)
{
    return range_bits(range) >
           (ip_is_v4(range.first) && ip_is_v4(range.last) ? WIDE_V4_BITS : WIDE_V6_BITS);
}

/* IANA's registries of special-purpose addresses (RFC 6890), what of them is not global, and
 * multicast. */
static const char *const special[] = { "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10",
    "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
    "::/128", "::1/128", "100::/64", "2001:db8::/32", "fc00::/7", "fe80::/10", "ff00::/8" };

static struct ip_range range_of(const char *text)
{
    struct ip_range range;
    bool is_good = ip_range_parse(bytes_text(text), &range);

    assert(is_good);
    return range;
}

bool ip_find_special(struct ip ip, struct ip_range *out)
{
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        *out = range_of(special[i]);
        if (ip_range_has(*out, ip))
            return true;
    }
    return false;
}

bool ip_is_public(struct ip ip)
{
    struct ip_range range;

    return !ip_find_special(ip, &range);
}

/* From the first address on, each time to the end of the special range it is in. */
bool range_find_public(struct ip_range range, struct ip *out)
{
    static const char *const known[] = { "1.1.1.1", "2606:4700:4700::1111" };
    struct ip ip = range.first;
    struct ip_range room;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) { /* inside of what is for all */
        if (ip_parse(bytes_text(known[i]), out) && ip_range_has(range, *out))
            return true;
    }
    while (ip_find_special(ip, &room)) {
        if (!ip_next(room.last, &ip) || !ip_range_has(range, ip))
            return false;
    }
    *out = ip;
    return true;
}

/* --- Everybody --------------------------------------------------------------------------- */

/* IPv4 is counted by addresses, IPv6 by whole /32 networks: both are numbers of 32 bits. */
enum { V4_AT = 12, V6_AT = 0, EVERYBODY_V4 = 1 << 28, EVERYBODY_V6 = 1 << 20 };

static bool is_v4_range(struct ip_range range)
{
    return ip_is_v4(range.first) && ip_is_v4(range.last);
}

static uint64_t word(struct ip ip, unsigned at)
{
    return (uint64_t)ip.byte[at] << 24 | (uint64_t)ip.byte[at + 1] << 16 |
           (uint64_t)ip.byte[at + 2] << 8 | ip.byte[at + 3];
}

static bool is_filled(struct ip ip, uint8_t with)
{
    for (unsigned i = 4; i < 16; i++) {
        if (ip.byte[i] != with)
            return false;
    }
    return true;
}

static uint64_t count_all(struct ip_range range)
{
    uint64_t first, behind;

    if (is_v4_range(range))
        return word(range.last, V4_AT) - word(range.first, V4_AT) + 1;
    first = word(range.first, V6_AT) + !is_filled(range.first, 0);
    behind = word(range.last, V6_AT) + is_filled(range.last, 0xff);
    return behind > first ? behind - first : 0;
}

/* The special ranges stand apart from one another. */
static uint64_t count_public(struct ip_range range)
{
    uint64_t n = count_all(range);

    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        struct ip_range both = range_of(special[i]);
        if (!ip_range_overlaps(range, both))
            continue;
        if (ip_compare(both.first, range.first) < 0)
            both.first = range.first;
        if (ip_compare(both.last, range.last) > 0)
            both.last = range.last;
        n -= count_all(both);
    }
    return n;
}

static bool is_all_of_a_kind(struct ip_range range)
{
    return ip_range_contains(range, range_of("0.0.0.0/0")) ||
           ip_range_contains(range, range_of("::/0"));
}

bool receive_is_for_everybody(const struct receive_connector *connector)
{
    const struct range_node *nodes = connector->nodes;
    uint64_t v4 = 0, v6 = 0;

    for (size_t i = 0; i < connector->node_count; i++) {
        bool is_v4 = is_v4_range(nodes[i].range);
        uint32_t outer = nodes[i].outer;
        if (is_all_of_a_kind(nodes[i].range))
            return true;
        if (outer != RANGE_NODE_NONE && is_v4_range(nodes[outer].range) == is_v4)
            continue; /* counted with that one; by number IPv6 may be around IPv4 */
        *(is_v4 ? &v4 : &v6) += count_public(nodes[i].range);
    }
    return v4 >= EVERYBODY_V4 || v6 >= EVERYBODY_V6;
}
