/* Version 2, in bytes:
 *
 *      0  signature, 12
 *     12  version (2) << 4 | command: 0 LOCAL, 1 PROXY
 *     13  family << 4 | transport: 0 unspecified, 1 IPv4, 2 IPv6, 3 UNIX; 1 stream, 2 datagram
 *     14  length of what follows, 2, as all numbers with its high byte first
 *     16  addresses: source, destination; then the ports of both
 *         TLVs: type, length (2), value
 *
 * Where the balancer speaks for itself, or of an address that is not said, all behind the head is
 * passed over, but a checksum that can be found holds there, too. */
#include "proto/proxy/inside.h"

enum { LOCAL = 0, PROXY = 1 };
enum { FAMILY_NONE, FAMILY_V4, FAMILY_V6, FAMILY_UNIX, FAMILY_COUNT };
enum { TRANSPORT_NONE, TRANSPORT_STREAM };
enum { TLV_CRC32C = 0x03, TLV_HEAD_BYTES = 3, CRC_BYTES = 4 };

static const uint8_t address_bytes[FAMILY_COUNT] = { 0, 4 + 4 + 2 + 2, 16 + 16 + 2 + 2,
    108 + 108 };

static uint16_t number_at(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

size_t proxy_binary_length(const uint8_t *head, const char **why)
{
    size_t length = PROXY_HEAD_BYTES + (size_t)number_at(head + 14);

    if (head[12] >> 4 != 2)
        *why = "a PROXY header of a version that is not known";
    else if ((head[12] & 15) > PROXY)
        *why = "a PROXY header with a command that is not known";
    else if (head[13] >> 4 >= FAMILY_COUNT)
        *why = "a PROXY header with a family of addresses that is not known";
    else if (length > PROXY_BYTES_MAX)
        *why = "a PROXY header that is too long";
    else
        return length;
    return 0;
}

/* CRC-32C (RFC 3720, B.4), a bit at a time: headers are short, and few have a checksum. */
static uint32_t crc32c(uint32_t crc, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        crc ^= bytes.at[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return crc;
}

/* It is of the header with zeroes in its own place. */
static bool is_checksum_good(struct bytes header, size_t at)
{
    const uint8_t *sum = header.at + at;
    uint32_t want = (uint32_t)number_at(sum) << 16 | number_at(sum + 2), got = UINT32_MAX;

    got = crc32c(got, bytes_first(header, at));
    got = crc32c(got, BYTES("\0\0\0\0"));
    got = crc32c(got, bytes_skip(header, at + CRC_BYTES));
    return ~got == want;
}

/* From AT to the end.  Only where IS_STRICT must what stands there be TLVs. */
static bool check_values(struct bytes header, size_t at, bool is_strict, const char **why)
{
    while (at < header.n) {
        size_t left = header.n - at, n;

        n = left < TLV_HEAD_BYTES ? left : number_at(header.at + at + 1);
        if (left < TLV_HEAD_BYTES || n > left - TLV_HEAD_BYTES) {
            *why = "a PROXY header with a value that goes beyond its end";
            return !is_strict;
        }
        at += TLV_HEAD_BYTES;
        if (header.at[at - TLV_HEAD_BYTES] == TLV_CRC32C &&
            (n != CRC_BYTES || !is_checksum_good(header, at))) {
            *why = "a PROXY header with a checksum that is wrong";
            return false;
        }
        at += n;
    }
    return true;
}

static struct ip ip_v4(const uint8_t *at)
{
    struct ip ip = { { [10] = 0xff, [11] = 0xff } };

    memcpy(ip.byte + 12, at, 4);
    return ip;
}

static void read_v4(const uint8_t *at, struct proxy_header *out)
{
    out->source = ip_v4(at);
    out->destination = ip_v4(at + 4);
    out->source_port = number_at(at + 8);
    out->destination_port = number_at(at + 10);
}

static void read_v6(const uint8_t *at, struct proxy_header *out)
{
    memcpy(out->source.byte, at, sizeof out->source);
    memcpy(out->destination.byte, at + 16, sizeof out->destination);
    out->source_port = number_at(at + 32);
    out->destination_port = number_at(at + 34);
}

bool proxy_binary_parse(struct bytes header, struct proxy_header *out, const char **why)
{
    unsigned command = header.at[12] & 15, family = header.at[13] >> 4,
             transport = header.at[13] & 15;
    size_t addresses_end = PROXY_HEAD_BYTES + (size_t)address_bytes[family];
    bool is_own = command == LOCAL || family == FAMILY_NONE || transport == TRANSPORT_NONE;
    struct proxy_header made = { .kind = PROXY_OWN, .version = 2 };

    if (!is_own && transport != TRANSPORT_STREAM) {
        *why = "a PROXY header of something that is no TCP connection";
        return false;
    }
    if (!is_own && header.n < addresses_end) {
        *why = "a PROXY header that is too short for its addresses";
        return false;
    }
    if (!check_values(header, addresses_end, !is_own, why))
        return false;
    if (!is_own)
        made.kind = family == FAMILY_UNIX ? PROXY_UNIX : PROXY_IP;
    if (made.kind == PROXY_IP && family == FAMILY_V4)
        read_v4(header.at + PROXY_HEAD_BYTES, &made);
    else if (made.kind == PROXY_IP)
        read_v6(header.at + PROXY_HEAD_BYTES, &made);
    *out = made;
    return true;
}
