#include "mail/address.h"

#include "base/ip.h"
#include "mail/text.h"

enum { LABEL_BYTES_MAX = 63 }; /* RFC 1035, 2.3.4 */

static bool is_letter_or_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

/* atext: RFC 5322, 3.2.3, without the bytes above 127. */
static bool is_atom_byte(uint8_t c)
{
    return is_letter_or_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* How many bytes the atom at the start of TEXT takes; 0: none begins here. */
static size_t atom_length(struct bytes text)
{
    size_t n = 0;

    while (n < text.n) {
        size_t step = text.at[n] > 127 ? text_printable(bytes_skip(text, n))
                                       : (size_t)is_atom_byte(text.at[n]);
        if (step == 0)
            break;
        n += step;
    }
    return n;
}

/* Dot-string = Atom *("." Atom); 0: none begins here. */
static size_t dot_string_length(struct bytes text)
{
    size_t n = atom_length(text);

    while (n && n < text.n && text.at[n] == '.') {
        size_t atom = atom_length(bytes_skip(text, n + 1));
        if (atom == 0)
            return 0;
        n += 1 + atom;
    }
    return n;
}

/* A quoted string with both its quotes; 0: it is none, or has no end. */
static size_t quoted_length(struct bytes text)
{
    size_t n = 1;

    while (n < text.n && text.at[n] != '"') {
        size_t step;
        if (text.at[n] == '\\') { /* quoted-pairSMTP: any printable ASCII and the space */
            n++;
            if (n == text.n || text.at[n] > 126)
                return 0;
        }
        step = text_printable(bytes_skip(text, n));
        if (step == 0)
            return 0;
        n += step;
    }
    return n < text.n ? n + 1 : 0;
}

/* A label's bytes, hyphens not at its ends; 0: none begins here. */
static size_t label_length(struct bytes text)
{
    size_t n = 0;
    bool is_utf8 = false;

    while (n < text.n) {
        size_t step = 1;
        if (text.at[n] > 127) {
            step = text_printable(bytes_skip(text, n));
            is_utf8 = true;
        } else if (!is_letter_or_digit(text.at[n]) && text.at[n] != '-') {
            break;
        }
        if (step == 0)
            break;
        n += step;
    }
    if (n == 0 || text.at[0] == '-' || text.at[n - 1] == '-')
        return 0;
    /* The length of a label that is not ASCII yet is for IDNA to judge. */
    return n <= LABEL_BYTES_MAX || is_utf8 ? n : 0;
}

/* Domain = sub-domain *("." sub-domain); 0: none begins here. */
static size_t name_length(struct bytes text)
{
    size_t n = label_length(text);

    while (n && n < text.n && text.at[n] == '.') {
        size_t label = label_length(bytes_skip(text, n + 1));
        if (label == 0)
            return 0;
        n += 1 + label;
    }
    return n;
}

/* A literal with its brackets; General-address-literal is refused: no tag but IPv6 is
 * registered. */
static size_t literal_length(struct bytes text)
{
    size_t end = bytes_find(text, ']');
    struct bytes inside;
    struct ip ip;
    bool is_tagged;

    if (text.n == 0 || text.at[0] != '[' || end == BYTES_NOT_FOUND)
        return 0;
    inside = bytes_of(text.at + 1, end - 1);
    is_tagged = bytes_starts_nocase(inside, BYTES("IPv6:"));
    if (is_tagged)
        inside = bytes_skip(inside, 5);
    if (is_tagged != (bytes_find(inside, ':') != BYTES_NOT_FOUND))
        return 0;
    return ip_parse(inside, &ip) ? end + 1 : 0;
}

bool domain_is_name(struct bytes text)
{
    return text.n > 0 && text.n <= ADDRESS_DOMAIN_BYTES_MAX && name_length(text) == text.n;
}

bool domain_is_literal(struct bytes text)
{
    return text.n > 0 && literal_length(text) == text.n;
}

static struct bytes without_final_dot(struct bytes b)
{
    if (b.n > 1 && b.at[b.n - 1] == '.')
        b.n--;
    return b;
}

bool domain_equal(struct bytes a, struct bytes b)
{
    return bytes_equal_nocase(without_final_dot(a), without_final_dot(b));
}

/* How many bytes a source route takes with its colon: "@a,@b:".  0: it is malformed. */
static size_t route_length(struct bytes text)
{
    size_t n = 0;

    for (;;) {
        size_t domain;
        if (n == text.n || text.at[n] != '@')
            return 0;
        n++;
        domain = n < text.n && text.at[n] == '[' ? literal_length(bytes_skip(text, n))
                                                 : name_length(bytes_skip(text, n));
        if (domain == 0 || n + domain == text.n)
            return 0;
        n += domain;
        if (text.at[n] == ':')
            return n + 1;
        if (text.at[n] != ',')
            return 0;
        n++;
    }
}

/* Whether FLAGS let this local part stand without a domain. */
static bool may_stand_alone(struct bytes local, unsigned flags)
{
    if (flags & ADDRESS_LOCAL_ONLY)
        return true;
    return (flags & ADDRESS_POSTMASTER) && bytes_equal_nocase(local, BYTES("postmaster"));
}

static enum address_fault check_limits(const struct address *address, unsigned flags)
{
    if (address->local.n > ADDRESS_LOCAL_BYTES_MAX ||
        address->domain.n > ADDRESS_DOMAIN_BYTES_MAX || address->text.n > ADDRESS_BYTES_MAX)
        return ADDRESS_TOO_LONG;
    if (address->is_utf8 && !(flags & ADDRESS_UTF8))
        return ADDRESS_NOT_ASCII;
    return ADDRESS_OK;
}

/* Reads the mailbox at the start of TEXT, without looking at lengths and character sets. */
static bool read_mailbox(struct bytes text, unsigned flags, struct address *out)
{
    struct address a = { 0 };
    struct bytes rest;

    a.is_quoted = text.n > 0 && text.at[0] == '"';
    a.local = bytes_first(text, a.is_quoted ? quoted_length(text) : dot_string_length(text));
    if (a.local.n == 0)
        return false;
    rest = bytes_skip(text, a.local.n);
    if (rest.n > 0 && rest.at[0] == '@') {
        rest = bytes_skip(rest, 1);
        a.is_literal = rest.n > 0 && rest.at[0] == '[';
        a.domain = bytes_first(rest, a.is_literal ? literal_length(rest) : name_length(rest));
        if (a.domain.n == 0)
            return false;
    } else if (!may_stand_alone(a.local, flags)) {
        return false;
    }
    a.text = bytes_first(text, a.local.n + (a.domain.n ? 1 + a.domain.n : 0));
    a.is_utf8 = text_has_8bit(a.text);
    *out = a;
    return true;
}

/* "a@example.com" as the whole argument, or up to the first space behind it. */
static enum address_fault parse_bare(
    struct bytes text, unsigned flags, struct address *out, size_t *used)
{
    struct address address;
    enum address_fault fault;

    if (!read_mailbox(text, flags, &address))
        return ADDRESS_SYNTAX;
    if (address.text.n < text.n && text.at[address.text.n] != ' ')
        return ADDRESS_SYNTAX;
    fault = check_limits(&address, flags);
    if (fault != ADDRESS_OK)
        return fault;
    *out = address;
    *used = address.text.n;
    return ADDRESS_OK;
}

static enum address_fault parse_null(unsigned flags, struct address *out, size_t *used)
{
    if (!(flags & ADDRESS_NULL))
        return ADDRESS_SYNTAX;
    *out = (struct address){ 0 };
    *used = 2;
    return ADDRESS_OK;
}

enum address_fault address_parse_path(
    struct bytes text, unsigned flags, struct address *out, size_t *used)
{
    struct address address;
    enum address_fault fault;
    size_t at = 1;

    if (text.n == 0 || text.at[0] != '<')
        return flags & ADDRESS_NO_BRACKETS ? parse_bare(text, flags, out, used)
                                           : ADDRESS_SYNTAX;
    if (bytes_starts(text, BYTES("<>")))
        return parse_null(flags, out, used);
    if (text.n > 1 && text.at[1] == '@') {
        size_t route = route_length(bytes_skip(text, 1));
        if (route == 0)
            return ADDRESS_SYNTAX;
        at += route;
    }
    if (!read_mailbox(bytes_skip(text, at), flags, &address))
        return ADDRESS_SYNTAX;
    at += address.text.n;
    if (at == text.n || text.at[at] != '>')
        return ADDRESS_SYNTAX;
    fault = check_limits(&address, flags);
    if (fault != ADDRESS_OK)
        return fault;
    *out = address;
    *used = at + 1;
    return ADDRESS_OK;
}

enum address_fault address_parse(struct bytes text, unsigned flags, struct address *out)
{
    struct address address;
    enum address_fault fault;

    if (text.n == 0 && (flags & ADDRESS_NULL)) {
        *out = (struct address){ 0 };
        return ADDRESS_OK;
    }
    if (!read_mailbox(text, flags, &address) || address.text.n != text.n)
        return ADDRESS_SYNTAX;
    fault = check_limits(&address, flags);
    if (fault == ADDRESS_OK)
        *out = address;
    return fault;
}
