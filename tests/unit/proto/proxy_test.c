/* PROXY headers: good ones and bad ones, cut at every byte, and what stands behind them. */
#include "kit.h"

#include "proto/proxy/proxy.h"

#include <stdio.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* Version 2, a stream over IPv4 from 192.0.2.7:51234 to 192.0.2.1:25. */
#define V4 "\xc0\x00\x02\x07\xc0\x00\x02\x01\xc8\x22\x00\x19"
#define V6                                                                                     \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"                                               \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                                               \
    "\xc8\x22\x00\x19"
#define NIL20 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define NIL108 NIL20 NIL20 NIL20 NIL20 NIL20 "\0\0\0\0\0\0\0\0"

static const struct proxy_case {
    const char *name;
    struct bytes header;
    const char *want; /* "IP 192.0.2.7:51234 192.0.2.1:25", or what is wrong */
} cases[] = {
    { "1, IPv4", BYTES("PROXY TCP4 192.0.2.7 192.0.2.1 51234 25\r\n"),
        "IP 192.0.2.7:51234 192.0.2.1:25" },
    { "1, IPv6", BYTES("PROXY TCP6 2001:db8::7 2001:db8::1 51234 25\r\n"),
        "IP 2001:db8::7:51234 2001:db8::1:25" },
    { "1, IPv4 as IPv6", BYTES("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 0 65535\r\n"),
        "IP 192.0.2.7:0 192.0.2.1:65535" },
    { "1, nothing is known", BYTES("PROXY UNKNOWN\r\n"), "OWN" },
    { "1, nothing is known, at the longest",
        BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
        "OWN" },
    { "1, a byte longer",
        BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 655350\r"),
        "a PROXY header that is too long" },
    { "1, LF alone", BYTES("PROXY TCP4 192.0.2.7 192.0.2.1 51234 25\n"),
        "a PROXY header that does not end with CRLF" },
    { "1, a kind that is none", BYTES("PROXY TCP5 192.0.2.7 192.0.2.1 51234 25\r\n"),
        "a PROXY header with a family of addresses that is not known" },
    { "1, in small letters", BYTES("p"), "no PROXY header" },
    { "1, nothing in it", BYTES("PROXY \r\n"),
        "a PROXY header with a family of addresses that is not known" },
    { "1, IPv6 as IPv4", BYTES("PROXY TCP4 2001:db8::7 2001:db8::1 51234 25\r\n"),
        "a PROXY header with addresses or ports that are none" },
    { "1, IPv4 in IPv6's place", BYTES("PROXY TCP6 192.0.2.7 192.0.2.1 51234 25\r\n"),
        "a PROXY header with addresses or ports that are none" },
    { "1, a name", BYTES("PROXY TCP4 client.test 192.0.2.1 51234 25\r\n"),
        "a PROXY header with addresses or ports that are none" },
    { "1, zero in front", BYTES("PROXY TCP4 192.0.2.7 192.0.2.1 51234 025\r\n"),
        "a PROXY header with addresses or ports that are none" },
    { "1, no such port", BYTES("PROXY TCP4 192.0.2.7 192.0.2.1 65536 25\r\n"),
        "a PROXY header with addresses or ports that are none" },
    { "1, two blanks", BYTES("PROXY TCP4 192.0.2.7  192.0.2.1 51234 25\r\n"),
        "a PROXY header with addresses or ports that are none" },
    { "1, a port too few", BYTES("PROXY TCP4 192.0.2.7 192.0.2.1 51234\r\n"),
        "a PROXY header with addresses or ports that are none" },
    { "1, a word too many", BYTES("PROXY TCP4 192.0.2.7 192.0.2.1 51234 25 x\r\n"),
        "a PROXY header with addresses or ports that are none" },
    { "1, a blank too many", BYTES("PROXY TCP4 192.0.2.7 192.0.2.1 51234 25 \r\n"),
        "a PROXY header with addresses or ports that are none" },
    { "SMTP", BYTES("E"), "no PROXY header" },
    { "another word", BYTES("PROM"), "no PROXY header" },
    { "TLS", BYTES("\x16"), "no PROXY header" },
    { "an empty line, then SMTP", BYTES("\r\nE"), "no PROXY header" },
    { "2, IPv4", BYTES(SIGNATURE "\x21\x11\x00\x0c" V4), "IP 192.0.2.7:51234 192.0.2.1:25" },
    { "2, IPv6", BYTES(SIGNATURE "\x21\x21\x00\x24" V6),
        "IP 2001:db8::7:51234 2001:db8::1:25" },
    { "2, a UNIX socket", BYTES(SIGNATURE "\x21\x31\x00\xd8" NIL108 NIL108), "UNIX" },
    { "2, LOCAL", BYTES(SIGNATURE "\x20\x00\x00\x00"), "OWN" },
    { "2, LOCAL with addresses", BYTES(SIGNATURE "\x20\x11\x00\x0c" V4), "OWN" },
    { "2, LOCAL with half an address", BYTES(SIGNATURE "\x20\x11\x00\x02\xc0\x00"), "OWN" },
    { "2, LOCAL with what is no TLV", BYTES(SIGNATURE "\x20\x00\x00\x02\xff\xff"), "OWN" },
    { "2, nothing is known", BYTES(SIGNATURE "\x21\x00\x00\x00"), "OWN" },
    { "2, TLVs", BYTES(SIGNATURE "\x21\x11\x00\x15" V4 "\x04\x00\x00\xea\x00\x03xyz"),
        "IP 192.0.2.7:51234 192.0.2.1:25" },
    { "2, a checksum", BYTES(SIGNATURE "\x21\x11\x00\x13" V4 "\x03\x00\x04\x58\xc8\x04\x68"),
        "IP 192.0.2.7:51234 192.0.2.1:25" },
    { "2, a checksum of something else",
        BYTES(SIGNATURE "\x21\x11\x00\x13" V4 "\x03\x00\x04\x00\x00\x00\x01"),
        "a PROXY header with a checksum that is wrong" },
    { "2, a checksum that is none",
        BYTES(SIGNATURE "\x21\x11\x00\x11" V4 "\x03\x00\x02\x00\x00"),
        "a PROXY header with a checksum that is wrong" },
    { "2, LOCAL, a wrong checksum",
        BYTES(SIGNATURE "\x20\x00\x00\x07\x03\x00\x04\x00\x00\x00\x00"),
        "a PROXY header with a checksum that is wrong" },
    { "2, half a TLV", BYTES(SIGNATURE "\x21\x11\x00\x0e" V4 "\x04\x00"),
        "a PROXY header with a value that goes beyond its end" },
    { "2, a TLV too long", BYTES(SIGNATURE "\x21\x11\x00\x10" V4 "\x04\x00\x02\x00"),
        "a PROXY header with a value that goes beyond its end" },
    { "2, half an address", BYTES(SIGNATURE "\x21\x11\x00\x02\xc0\x00"),
        "a PROXY header that is too short for its addresses" },
    { "2, IPv6 as IPv4 is long", BYTES(SIGNATURE "\x21\x21\x00\x0c" V4),
        "a PROXY header that is too short for its addresses" },
    { "2, a datagram", BYTES(SIGNATURE "\x21\x12\x00\x0c" V4),
        "a PROXY header of something that is no TCP connection" },
    { "2, version 1 in bytes", BYTES(SIGNATURE "\x11\x11\x00\x0c"),
        "a PROXY header of a version that is not known" },
    { "2, another command", BYTES(SIGNATURE "\x22\x11\x00\x0c"),
        "a PROXY header with a command that is not known" },
    { "2, another family", BYTES(SIGNATURE "\x21\x41\x00\x0c"),
        "a PROXY header with a family of addresses that is not known" },
    { "2, longer than we read", BYTES(SIGNATURE "\x21\x11\x0f\xf1"),
        "a PROXY header that is too long" },
};

static void describe(const struct proxy_header *header, char out[200])
{
    static const char *const kinds[] = { "OWN", "IP", "UNIX" };
    char source[IP_TEXT_BYTES], destination[IP_TEXT_BYTES];

    ip_format(header->source, source);
    ip_format(header->destination, destination);
    if (header->kind == PROXY_IP)
        snprintf(out, 200, "IP %s:%u %s:%u", source, header->source_port, destination,
            header->destination_port);
    else
        snprintf(out, 200, "%s", kinds[header->kind]);
}

/* INPUT in pieces of STEP bytes, the first of them CUT long; how much of it was taken. */
static size_t play(struct bytes input, size_t cut, size_t step, char out[200])
{
    struct proxy_reader reader = { 0 };
    struct proxy_header header = { 0 };
    enum proxy_progress progress = PROXY_MORE;
    const char *why = "";
    size_t at = 0;

    while (at < input.n && progress == PROXY_MORE) {
        size_t used;
        struct bytes part = bytes_first(bytes_skip(input, at), at == 0 ? cut : step);
        progress = proxy_read(&reader, part, &used, &header, &why);
        assert_true(used <= part.n && (progress != PROXY_MORE || used == part.n));
        at += used;
    }
    if (progress == PROXY_DONE)
        describe(&header, out);
    else
        snprintf(out, 200, "%s", progress == PROXY_BAD ? why : "more");
    return at;
}

static void cut_anywhere_it_is_the_same(void **state)
{
    char got[200];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct bytes header = cases[i].header;
        for (size_t cut = 1; cut <= header.n; cut++) {
            size_t used = play(header, cut, header.n, got);
            if (strcmp(got, cases[i].want) != 0 || used != header.n)
                fail_msg("%s, cut at %zu: \"%s\" after %zu", cases[i].name, cut, got, used);
        }
        play(header, 1, 1, got);
        check(cases[i].name, strcmp(got, cases[i].want) == 0);
        if (header.n > 1)
            play(bytes_first(header, header.n - 1), header.n, 1, got);
        check(cases[i].name, header.n == 1 || strcmp(got, "more") == 0);
    }
}

static void what_stands_behind_is_left(void **state)
{
    uint8_t room[4000];
    char got[200];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct bytes header = cases[i].header;
        memcpy(room, header.at, header.n);
        memcpy(room + header.n, "EHLO x\r\n", 8);
        for (size_t cut = 1; cut <= header.n + 8; cut++) {
            size_t used = play(bytes_of(room, header.n + 8), cut, 8, got);
            check(cases[i].name, used == header.n && strcmp(got, cases[i].want) == 0);
        }
    }
}

static void as_long_as_we_read(void **state)
{
    static uint8_t header[PROXY_BYTES_MAX];
    char got[200];

    (void)state;
    memcpy(header, SIGNATURE "\x21\x11\x0f\xf0" V4 "\xea\x0f\xe1", 12 + 4 + 12 + 3);
    assert_int_equal(play(bytes_of(header, sizeof header), 1, 100, got), sizeof header);
    assert_string_equal(got, "IP 192.0.2.7:51234 192.0.2.1:25");
}

static void how_it_looks(void **state)
{
    static const struct {
        const char *name;
        struct bytes input;
        enum proxy_look want;
    } looks[] = {
        { "nothing", BYTES(""), PROXY_LOOKS_OTHER },
        { "P", BYTES("P"), PROXY_LOOKS_BEGUN },
        { "PROXY", BYTES("PROXY"), PROXY_LOOKS_BEGUN },
        { "version 1", BYTES("PROXY TCP4"), PROXY_LOOKS_SO },
        { "version 2", BYTES(SIGNATURE "\x21"), PROXY_LOOKS_SO },
        { "half of version 2", BYTES("\r\n\r\n"), PROXY_LOOKS_BEGUN },
        { "SMTP", BYTES("EHLO PROXY"), PROXY_LOOKS_OTHER },
        { "another word", BYTES("PROXYLESS"), PROXY_LOOKS_OTHER },
        { "an empty line first", BYTES("\r\nEHLO x\r\n"), PROXY_LOOKS_OTHER },
        { "QUIT", BYTES("QUIT\r\n"), PROXY_LOOKS_OTHER },
    };

    (void)state;
    for (size_t i = 0; i < CASES(looks); i++)
        check(looks[i].name, proxy_look(looks[i].input) == looks[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_anywhere_it_is_the_same),
        cmocka_unit_test(what_stands_behind_is_left),
        cmocka_unit_test(as_long_as_we_read),
        cmocka_unit_test(how_it_looks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
