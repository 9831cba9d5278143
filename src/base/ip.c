#include "base/ip.h"

#include <arpa/inet.h>
#include <stdio.h>

/* Ranges and the two kinds of addresses
 *
 * 1. The IPv4 block ::ffff:0:0/96 lies inside ::/0 by number, but a range of IPv6 never means
 *    IPv4 addresses.  So a range belongs to a kind: IPv4 when both ends do, else IPv6; and
 *    only ranges of the address's own kind have it.
 * 2. "*" alone is of both kinds: it is the range from :: to the very last address.
 * 3. So that "::/0" differs from "*", it ends one address earlier.  The one left out,
 *    ffff:...:ffff, is a multicast address, which no peer can have. */
enum kind { KIND_4, KIND_6, KIND_ALL };

static const struct ip first_of_all = { { 0 } };
static const struct ip last_of_all = { { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255 } };
static const struct ip last_of_v6 = { { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 254 } };
static const uint8_t v4_prefix[12] = { [10] = 255, [11] = 255 };

enum { V4_PREFIX_BITS = 96, IP_BITS = 128 };

bool ip_parse(struct bytes text, struct ip *out)
{
    char zero_ended[IP_TEXT_BYTES];
    struct ip ip;

    if (text.n == 0 || text.n >= sizeof zero_ended || memchr(text.at, 0, text.n))
        return false;
    memcpy(zero_ended, text.at, text.n);
    zero_ended[text.n] = 0;
    if (inet_pton(AF_INET6, zero_ended, ip.byte) == 1) {
        *out = ip;
        return true;
    }
    if (inet_pton(AF_INET, zero_ended, ip.byte + sizeof v4_prefix) != 1)
        return false;
    memcpy(ip.byte, v4_prefix, sizeof v4_prefix);
    *out = ip;
    return true;
}

void ip_format(struct ip ip, char out[IP_TEXT_BYTES])
{
    if (ip_is_v4(ip))
        inet_ntop(AF_INET, ip.byte + sizeof v4_prefix, out, IP_TEXT_BYTES);
    else
        inet_ntop(AF_INET6, ip.byte, out, IP_TEXT_BYTES);
}

bool ip_is_v4(struct ip ip)
{
    return memcmp(ip.byte, v4_prefix, sizeof v4_prefix) == 0;
}

bool ip_is_loopback(struct ip ip)
{
    static const struct ip v6 = { { [15] = 1 } };
    return ip_is_v4(ip) ? ip.byte[12] == 127 : ip_compare(ip, v6) == 0;
}

bool ip_next(struct ip ip, struct ip *out)
{
    for (int i = 15; i >= 0; i--) {
        if (++ip.byte[i]) {
            *out = ip;
            return true;
        }
    }
    return false;
}

bool ip_is_unspecified(struct ip ip)
{
    static const struct ip v6;
    static const struct ip v4 = { { [10] = 0xff, [11] = 0xff } };

    return ip_compare(ip, v6) == 0 || ip_compare(ip, v4) == 0;
}

int ip_compare(struct ip a, struct ip b)
{
    return memcmp(a.byte, b.byte, sizeof a.byte);
}

struct ip ip_network(struct ip ip, unsigned bits)
{
    for (unsigned i = 0; i < sizeof ip.byte && !ip_is_v4(ip); i++) {
        unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
        if (kept < 8)
            ip.byte[i] &= (uint8_t) ~(255 >> kept);
    }
    return ip;
}

static enum kind kind_of(struct ip_range range)
{
    if (ip_is_v4(range.first) && ip_is_v4(range.last))
        return KIND_4;
    if (ip_compare(range.first, first_of_all) == 0 && ip_compare(range.last, last_of_all) == 0)
        return KIND_ALL;
    return KIND_6;
}

/* The last address that has the same first BITS bits as FIRST. */
static struct ip last_of_prefix(struct ip first, unsigned bits)
{
    struct ip last = first;

    for (unsigned i = 0; i < sizeof last.byte; i++) {
        unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
        if (kept < 8)
            last.byte[i] |= (uint8_t)(255 >> kept);
    }
    return last;
}

static bool has_bits_behind(struct ip ip, unsigned bits)
{
    for (unsigned i = 0; i < sizeof ip.byte; i++) {
        unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
        if (kept < 8 && (ip.byte[i] & (255 >> kept)))
            return true;
    }
    return false;
}

static bool parse_prefix(struct bytes text, size_t slash, struct ip_range *out)
{
    struct ip_range range;
    uint64_t bits;
    bool is_v4_text = bytes_find(bytes_first(text, slash), ':') == BYTES_NOT_FOUND;

    if (!ip_parse(bytes_first(text, slash), &range.first))
        return false;
    if (!bytes_to_number(bytes_skip(text, slash + 1),
            is_v4_text ? IP_BITS - V4_PREFIX_BITS : IP_BITS, &bits))
        return false;
    if (is_v4_text)
        bits += V4_PREFIX_BITS;
    if (has_bits_behind(range.first, (unsigned)bits))
        return false;
    range.last = last_of_prefix(range.first, (unsigned)bits);
    *out = range;
    return true;
}

static bool parse_ends(struct bytes text, size_t dash, struct ip_range *out)
{
    struct ip_range range;

    if (!ip_parse(bytes_trim(bytes_first(text, dash)), &range.first) ||
        !ip_parse(bytes_trim(bytes_skip(text, dash + 1)), &range.last))
        return false;
    if (ip_is_v4(range.first) != ip_is_v4(range.last) ||
        ip_compare(range.first, range.last) > 0)
        return false;
    *out = range;
    return true;
}

bool ip_range_parse(struct bytes text, struct ip_range *out)
{
    struct ip_range range;
    size_t slash = bytes_find(text, '/'), dash = bytes_find(text, '-');
    bool ok;

    if (bytes_equal(text, BYTES("*"))) {
        *out = (struct ip_range){ first_of_all, last_of_all };
        return true;
    }
    if (slash != BYTES_NOT_FOUND) {
        ok = parse_prefix(text, slash, &range);
    } else if (dash != BYTES_NOT_FOUND) {
        ok = parse_ends(text, dash, &range);
    } else {
        ok = ip_parse(text, &range.first);
        range.last = range.first;
    }
    if (!ok)
        return false;
    if (kind_of(range) == KIND_ALL)
        range.last = last_of_v6; /* see 3 above */
    *out = range;
    return true;
}

/* How many bits the range is a prefix of; -1: it is no prefix. */
static int prefix_bits(struct ip_range range)
{
    for (int bits = 0; bits <= IP_BITS; bits++) {
        if (!has_bits_behind(range.first, (unsigned)bits) &&
            ip_compare(last_of_prefix(range.first, (unsigned)bits), range.last) == 0)
            return bits;
    }
    return -1;
}

void ip_range_format(struct ip_range range, char out[IP_RANGE_TEXT_BYTES])
{
    char first[IP_TEXT_BYTES], last[IP_TEXT_BYTES];
    int bits;

    if (kind_of(range) == KIND_ALL) {
        snprintf(out, IP_RANGE_TEXT_BYTES, "*");
        return;
    }
    if (ip_compare(range.first, first_of_all) == 0 && ip_compare(range.last, last_of_v6) == 0)
        range.last = last_of_all;
    ip_format(range.first, first);
    ip_format(range.last, last);
    bits = prefix_bits(range);
    if (bits == IP_BITS)
        snprintf(out, IP_RANGE_TEXT_BYTES, "%s", first);
    else if (bits >= 0)
        snprintf(out, IP_RANGE_TEXT_BYTES, "%s/%d", first,
            kind_of(range) == KIND_4 ? bits - V4_PREFIX_BITS : bits);
    else
        snprintf(out, IP_RANGE_TEXT_BYTES, "%s-%s", first, last);
}

bool ip_range_has(struct ip_range range, struct ip ip)
{
    return ip_range_contains(range, (struct ip_range){ ip, ip });
}

bool ip_range_contains(struct ip_range outer, struct ip_range inner)
{
    enum kind kind = kind_of(outer);

    if (kind != KIND_ALL && kind != kind_of(inner))
        return false;
    return ip_compare(outer.first, inner.first) <= 0 && ip_compare(inner.last, outer.last) <= 0;
}

bool ip_range_overlaps(struct ip_range a, struct ip_range b)
{
    enum kind kind_a = kind_of(a), kind_b = kind_of(b);

    if (kind_a != KIND_ALL && kind_b != KIND_ALL && kind_a != kind_b)
        return false;
    return ip_compare(a.first, b.last) <= 0 && ip_compare(b.first, a.last) <= 0;
}

bool ip_range_equal(struct ip_range a, struct ip_range b)
{
    return ip_compare(a.first, b.first) == 0 && ip_compare(a.last, b.last) == 0;
}
