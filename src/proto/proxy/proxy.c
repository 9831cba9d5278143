/* Reading a header whatever way it comes in, and version 1:
 *
 *     PROXY TCP4 192.0.2.7 192.0.2.1 51234 25 CRLF
 *     PROXY TCP6 2001:db8::7 2001:db8::1 51234 25 CRLF
 *     PROXY UNKNOWN, anything, CRLF
 */
#include "proto/proxy/inside.h"

#include <assert.h>

static bool is_begun(struct bytes input, struct bytes signature)
{
    return input.n && bytes_starts(signature, bytes_first(input, signature.n));
}

enum proxy_look proxy_look(struct bytes input)
{
    bool is_line = is_begun(input, PROXY_LINE_SIGNATURE);

    if (!is_line && !is_begun(input, PROXY_SIGNATURE))
        return PROXY_LOOKS_OTHER;
    return input.n < (is_line ? PROXY_LINE_SIGNATURE.n : PROXY_SIGNATURE.n) ? PROXY_LOOKS_BEGUN
                                                                            : PROXY_LOOKS_SO;
}

/* --- Version 1 --------------------------------------------------------------------------- */

/* What is in front of the next space, or all of it; *REST is what is behind. */
static struct bytes take_word(struct bytes *rest)
{
    struct bytes word = bytes_first(*rest, bytes_find(*rest, ' '));

    *rest = bytes_skip(*rest, word.n < rest->n ? word.n + 1 : word.n);
    return word;
}

/* IPv4 in another form (as ::ffff:192.0.2.7) may come as IPv6, never the other way round. */
static bool take_ip(struct bytes *rest, bool is_v6, struct ip *out)
{
    struct bytes word = take_word(rest);

    return (bytes_find(word, ':') != BYTES_NOT_FOUND) == is_v6 && ip_parse(word, out);
}

static bool take_port(struct bytes *rest, uint16_t *out)
{
    struct bytes word = take_word(rest);
    uint64_t port;

    if (!bytes_to_number(word, UINT16_MAX, &port) || (word.n > 1 && word.at[0] == '0'))
        return false;
    *out = (uint16_t)port;
    return true;
}

/* LINE is without its CRLF. */
static bool parse_line(struct bytes line, struct proxy_header *out, const char **why)
{
    struct proxy_header made = { .kind = PROXY_OWN, .version = 1 };
    struct bytes rest = bytes_skip(line, PROXY_LINE_SIGNATURE.n), family = take_word(&rest);
    bool is_v6 = bytes_equal(family, BYTES("TCP6"));

    if (!bytes_equal(family, BYTES("UNKNOWN"))) {
        if (!is_v6 && !bytes_equal(family, BYTES("TCP4"))) {
            *why = "a PROXY header with a family of addresses that is not known";
            return false;
        }
        made.kind = PROXY_IP;
        if (!take_ip(&rest, is_v6, &made.source) || !take_ip(&rest, is_v6, &made.destination) ||
            !take_port(&rest, &made.source_port) || !take_port(&rest, &made.destination_port) ||
            line.at[line.n - 1] == ' ' || rest.n) {
            *why = "a PROXY header with addresses or ports that are none";
            return false;
        }
    }
    *out = made;
    return true;
}

static enum proxy_progress read_line(
    const struct proxy_reader *reader, struct proxy_header *out, const char **why)
{
    struct bytes line = bytes_of(reader->bytes, reader->n);
    uint8_t last = line.at[line.n - 1];

    if (last == '\n') {
        if (line.at[line.n - 2] != '\r') {
            *why = "a PROXY header that does not end with CRLF";
            return PROXY_BAD;
        }
        return parse_line(bytes_first(line, line.n - 2), out, why) ? PROXY_DONE : PROXY_BAD;
    }
    if (line.n < PROXY_LINE_BYTES_MAX)
        return PROXY_MORE;
    *why = "a PROXY header that is too long";
    return PROXY_BAD;
}

/* --- Both -------------------------------------------------------------------------------- */

static bool is_line(const struct proxy_reader *reader)
{
    return reader->bytes[0] == PROXY_LINE_SIGNATURE.at[0];
}

/* How many bytes may be taken without going beyond the end. */
static size_t wanted(const struct proxy_reader *reader)
{
    const char *why;

    if (reader->n < PROXY_HEAD_BYTES || is_line(reader))
        return 1;
    return proxy_binary_length(reader->bytes, &why) - reader->n;
}

static enum proxy_progress read_binary(
    const struct proxy_reader *reader, struct proxy_header *out, const char **why)
{
    size_t length;

    if (reader->n < PROXY_HEAD_BYTES)
        return PROXY_MORE;
    length = proxy_binary_length(reader->bytes, why);
    if (length == 0)
        return PROXY_BAD;
    if (reader->n < length)
        return PROXY_MORE;
    return proxy_binary_parse(bytes_of(reader->bytes, length), out, why) ? PROXY_DONE
                                                                         : PROXY_BAD;
}

static enum proxy_progress look_at(
    const struct proxy_reader *reader, struct proxy_header *out, const char **why)
{
    switch (proxy_look(bytes_of(reader->bytes, reader->n))) {
    case PROXY_LOOKS_OTHER:
        *why = "no PROXY header";
        return PROXY_BAD;
    case PROXY_LOOKS_BEGUN:
        return PROXY_MORE;
    case PROXY_LOOKS_SO:
        break;
    }
    return is_line(reader) ? read_line(reader, out, why) : read_binary(reader, out, why);
}

enum proxy_progress proxy_read(struct proxy_reader *reader, struct bytes input, size_t *used,
    struct proxy_header *out, const char **why)
{
    *used = 0;
    while (*used < input.n) {
        struct bytes part = bytes_first(bytes_skip(input, *used), wanted(reader));
        enum proxy_progress progress;

        assert(part.n <= sizeof reader->bytes - reader->n);
        memcpy(reader->bytes + reader->n, part.at, part.n);
        reader->n += part.n;
        *used += part.n;
        progress = look_at(reader, out, why);
        if (progress != PROXY_MORE)
            return progress;
    }
    return PROXY_MORE;
}
