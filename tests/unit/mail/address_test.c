#include "kit.h"

#include "mail/address.h"

#define A8 "aaaaaaaa"
#define A63 A8 A8 A8 A8 A8 A8 A8 "aaaaaaa"
#define A64 A8 A8 A8 A8 A8 A8 A8 A8

struct path_case {
    const char *name, *text;
    unsigned flags;
    enum address_fault fault;
    const char *address, *local, *domain;
    size_t rest; /* bytes behind the path */
};

static const struct path_case paths[] = {
    { "plain", "<a@example.com>", 0, ADDRESS_OK, "a@example.com", "a", "example.com", 0 },
    { "parameters follow", "<a@b.c> SIZE=1", 0, ADDRESS_OK, "a@b.c", "a", "b.c", 7 },
    { "dots", "<a.b.c@x>", 0, ADDRESS_OK, "a.b.c@x", "a.b.c", "x", 0 },
    { "every atom byte", "<!#$%&'*+-/=?^_`{|}~@x>", 0, ADDRESS_OK, "!#$%&'*+-/=?^_`{|}~@x",
        "!#$%&'*+-/=?^_`{|}~", "x", 0 },
    { "quoted", "<\"a b\"@x>", 0, ADDRESS_OK, "\"a b\"@x", "\"a b\"", "x", 0 },
    { "quoted pair", "<\"a\\\"\\\\>@\"@x>", 0, ADDRESS_OK, "\"a\\\"\\\\>@\"@x",
        "\"a\\\"\\\\>@\"", "x", 0 },
    { "quoted and empty", "<\"\"@x>", 0, ADDRESS_OK, "\"\"@x", "\"\"", "x", 0 },
    { "literal 4", "<a@[192.0.2.1]>", 0, ADDRESS_OK, "a@[192.0.2.1]", "a", "[192.0.2.1]", 0 },
    { "literal 6", "<a@[ipv6:2001:db8::1]>", 0, ADDRESS_OK, "a@[ipv6:2001:db8::1]", "a",
        "[ipv6:2001:db8::1]", 0 },
    { "literal 6 with a 4 inside", "<a@[IPv6:::ffff:192.0.2.1]>", 0, ADDRESS_OK,
        "a@[IPv6:::ffff:192.0.2.1]", "a", "[IPv6:::ffff:192.0.2.1]", 0 },
    { "source route", "<@a.b,@[192.0.2.1],@c:d@e.f>", 0, ADDRESS_OK, "d@e.f", "d", "e.f", 0 },
    { "null", "<>", ADDRESS_NULL, ADDRESS_OK, "", "", "", 0 },
    { "null with a parameter", "<> BODY=7BIT", ADDRESS_NULL, ADDRESS_OK, "", "", "", 10 },
    { "postmaster", "<PostMaster>", ADDRESS_POSTMASTER, ADDRESS_OK, "PostMaster", "PostMaster",
        "", 0 },
    { "local only", "<root>", ADDRESS_LOCAL_ONLY, ADDRESS_OK, "root", "root", "", 0 },
    { "no brackets", "a@x", ADDRESS_NO_BRACKETS, ADDRESS_OK, "a@x", "a", "x", 0 },
    { "no brackets, parameters", "a@x SIZE=1", ADDRESS_NO_BRACKETS, ADDRESS_OK, "a@x", "a", "x",
        7 },
    { "utf-8", "<\xC3\xA4.b@\xC3\xBC.example>", ADDRESS_UTF8, ADDRESS_OK,
        "\xC3\xA4.b@\xC3\xBC.example", "\xC3\xA4.b", "\xC3\xBC.example", 0 },
    { "utf-8 quoted", "<\"\xF0\x9F\x93\xA7 x\"@y>", ADDRESS_UTF8, ADDRESS_OK,
        "\"\xF0\x9F\x93\xA7 x\"@y", "\"\xF0\x9F\x93\xA7 x\"", "y", 0 },
    { "digits and hyphens", "<a@1-2.3--4>", 0, ADDRESS_OK, "a@1-2.3--4", "a", "1-2.3--4", 0 },
    { "longest local part", "<" A64 "@x>", 0, ADDRESS_OK, A64 "@x", A64, "x", 0 },
    { "longest label", "<a@" A63 ".x>", 0, ADDRESS_OK, "a@" A63 ".x", "a", A63 ".x", 0 },
    { "longest path", "<" A64 "@" A63 "." A63 "." A8 A8 A8 A8 A8 A8 A8 "aaaaa>", 0, ADDRESS_OK,
        A64 "@" A63 "." A63 "." A8 A8 A8 A8 A8 A8 A8 "aaaaa", A64,
        A63 "." A63 "." A8 A8 A8 A8 A8 A8 A8 "aaaaa", 0 },

    { "one byte too long", "<" A64 "@" A63 "." A63 "." A8 A8 A8 A8 A8 A8 A8 "aaaaaa>", 0,
        ADDRESS_TOO_LONG, NULL, NULL, NULL, 0 },
    { "local part too long", "<" A64 "a@x>", 0, ADDRESS_TOO_LONG, NULL, NULL, NULL, 0 },
    { "label too long", "<a@" A64 ">", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "utf-8 without the flag", "<\xC3\xA4@x>", 0, ADDRESS_NOT_ASCII, NULL, NULL, NULL, 0 },
    { "utf-8 domain without the flag", "<a@\xC3\xA4>", 0, ADDRESS_NOT_ASCII, NULL, NULL, NULL,
        0 },
    { "bad utf-8", "<\xC3@x>", ADDRESS_UTF8, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "overlong", "<\xC0\xAF@x>", ADDRESS_UTF8, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "overlong of three", "<\xE0\x80\xAF@x>", ADDRESS_UTF8, ADDRESS_SYNTAX, NULL, NULL, NULL,
        0 },
    { "surrogate", "<\xED\xA0\x80@x>", ADDRESS_UTF8, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "over the range", "<\xF4\x90\x80\x80@x>", ADDRESS_UTF8, ADDRESS_SYNTAX, NULL, NULL, NULL,
        0 },
    { "C1 control", "<\xC2\x85@x>", ADDRESS_UTF8, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "null without the flag", "<>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "postmaster without the flag", "<postmaster>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "not postmaster", "<root>", ADDRESS_POSTMASTER, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "no brackets without the flag", "a@x", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "half a bracket", "a@x>", ADDRESS_NO_BRACKETS, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "two at signs", "<a@b@c>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "first a dot", "<.a@x>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "last a dot", "<a.@x>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "two dots", "<a..b@x>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "space", "<a b@x>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "comment", "<a(b)@x>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "quoted then more", "<\"a\"b@x>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "tab in quotes", "<\"a\tb\"@x>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "line end in quotes", "<\"a\r\nb\"@x>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "quoted pair of utf-8", "<\"\\\xC3\xA4\"@x>", ADDRESS_UTF8, ADDRESS_SYNTAX, NULL, NULL,
        NULL, 0 },
    { "no domain", "<a@>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "no local part", "<@x>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "underscore", "<a@b_c>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "first a hyphen", "<a@-b>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "last a hyphen", "<a@b->", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "final dot", "<a@b.>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "literal 6 without tag", "<a@[2001:db8::1]>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "literal 4 with tag", "<a@[IPv6:192.0.2.1]>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "general literal", "<a@[x:y]>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "literal without end", "<a@[192.0.2.1>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "literal then more", "<a@[192.0.2.1].b>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "route without colon", "<@a,@b>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "route with a space", "<@a, @b:c@d>", 0, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "spaces inside", "< a@b >", ADDRESS_NO_BRACKETS, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
    { "nothing", "", ADDRESS_NULL | ADDRESS_NO_BRACKETS, ADDRESS_SYNTAX, NULL, NULL, NULL, 0 },
};

static void check_parts(const struct path_case *c, const struct address *address)
{
    check_bytes(c->name, address->text, bytes_text(c->address));
    check_bytes(c->name, address->local, bytes_text(c->local));
    check_bytes(c->name, address->domain, bytes_text(c->domain));
    check(c->name, address->is_quoted == (c->local[0] == '"'));
    check(c->name, address->is_literal == (c->domain[0] == '['));
}

static void reads_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(paths); i++) {
        const struct path_case *c = &paths[i];
        struct address address;
        size_t used = 0;
        enum address_fault fault =
            address_parse_path(bytes_text(c->text), c->flags, &address, &used);
        if (fault != c->fault)
            fail_msg("%s: fault %d, want %d", c->name, fault, c->fault);
        if (fault != ADDRESS_OK)
            continue;
        check(c->name, used == strlen(c->text) - c->rest);
        check_parts(c, &address);
    }
}

/* Each good path, cut at every byte before its end, is refused and reads nothing outside (the
 * copy is as short as the text, for the address sanitizer). */
static void half_a_path_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(paths); i++) {
        const struct path_case *c = &paths[i];
        size_t n = strlen(c->text) - c->rest;
        if (c->fault != ADDRESS_OK || c->text[0] != '<')
            continue;
        for (size_t cut = 0; cut < n; cut++) {
            struct address address;
            size_t used;
            uint8_t *copy = memcpy(test_malloc(cut + !cut), c->text, cut);
            check(c->name, address_parse_path(bytes_of(copy, cut), c->flags, &address, &used) !=
                               ADDRESS_OK);
            test_free(copy);
        }
    }
}

static void refuses_control_bytes(void **state)
{
    (void)state;
    for (int c = 0; c < 33; c++) {
        char text[] = "<a?b@x.y>", domain[] = "<a@x?y>";
        struct address address;
        size_t used;
        text[2] = domain[4] = (char)(c == 32 ? 127 : c);
        assert_int_equal(address_parse_path(bytes_of(text, 9), ADDRESS_UTF8, &address, &used),
            ADDRESS_SYNTAX);
        assert_int_equal(address_parse_path(bytes_of(domain, 7), ADDRESS_UTF8, &address, &used),
            ADDRESS_SYNTAX);
    }
}

static void reads_bare_addresses(void **state)
{
    static const struct {
        const char *text;
        unsigned flags;
        enum address_fault fault;
    } cases[] = {
        { "a@example.com", 0, ADDRESS_OK },
        { "\"a b\"@[192.0.2.1]", 0, ADDRESS_OK },
        { "root", ADDRESS_LOCAL_ONLY, ADDRESS_OK },
        { "", ADDRESS_NULL, ADDRESS_OK },
        { "root", 0, ADDRESS_SYNTAX },
        { "", 0, ADDRESS_SYNTAX },
        { "<a@b>", 0, ADDRESS_SYNTAX },
        { "a@b ", 0, ADDRESS_SYNTAX },
        { "a@b,c@d", 0, ADDRESS_SYNTAX },
        { "a@b>", 0, ADDRESS_SYNTAX },
        { "@a:b@c", 0, ADDRESS_SYNTAX },
        { "\xC3\xA4@x", 0, ADDRESS_NOT_ASCII },
        { "\xC3\xA4@x", ADDRESS_UTF8, ADDRESS_OK },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct address address;
        enum address_fault fault =
            address_parse(bytes_text(cases[i].text), cases[i].flags, &address);
        check(cases[i].text, fault == cases[i].fault);
        if (fault == ADDRESS_OK)
            check_bytes(cases[i].text, address.text, bytes_text(cases[i].text));
    }
}

static void knows_domains(void **state)
{
    (void)state;
    assert_true(domain_is_name(BYTES("mail-1.example.com")));
    assert_true(domain_is_name(BYTES("b\xC3\xBC"
                                     "cher.example")));
    assert_false(domain_is_name(BYTES("a_b")));
    assert_false(domain_is_name(BYTES("")));
    assert_false(domain_is_name(BYTES("a..b")));
    assert_false(domain_is_name(BYTES("a.b.")));
    assert_false(domain_is_name(BYTES("[192.0.2.1]")));
    assert_true(domain_is_literal(BYTES("[192.0.2.1]")));
    assert_true(domain_is_literal(BYTES("[IPv6:::1]")));
    assert_false(domain_is_literal(BYTES("192.0.2.1")));
    assert_false(domain_is_literal(BYTES("[]")));
    assert_false(domain_is_literal(BYTES("")));
    assert_true(domain_equal(BYTES("Example.COM."), BYTES("example.com")));
    assert_false(domain_equal(BYTES("example.com"), BYTES("example.co")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_paths),
        cmocka_unit_test(half_a_path_is_none),
        cmocka_unit_test(refuses_control_bytes),
        cmocka_unit_test(reads_bare_addresses),
        cmocka_unit_test(knows_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
