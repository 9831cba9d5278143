#include "base/dn.h"

#include <ctype.h>

/* What others call an attribute, and what OpenSSL and RFC 4514 call it. */
static const struct {
    const char *other, *usual;
} names[] = { { "e", "emailaddress" }, { "s", "st" }, { "sn", "surname" }, { "g", "givenname" },
    { "gn", "givenname" }, { "oid.2.5.4.5", "serialnumber" }, { "2.5.4.5", "serialnumber" } };

static bool is_between(uint8_t c)
{
    return c == ',' || c == '+' || c == ';';
}

static void skip_blanks(struct bytes *rest)
{
    while (rest->n && (rest->at[0] == ' ' || rest->at[0] == '\t'))
        *rest = bytes_skip(*rest, 1);
}

static bool add_byte(struct dn *dn, uint8_t byte)
{
    if (dn->n == sizeof dn->text)
        return false;
    dn->text[dn->n++] = byte;
    return true;
}

static bool add_text(struct dn *dn, const char *text)
{
    while (*text) {
        if (!add_byte(dn, (uint8_t)*text++))
            return false;
    }
    return true;
}

/* "CN", with its equals sign. */
static bool take_type(struct bytes *rest, struct dn *dn, struct dn_part *part)
{
    size_t n = bytes_find(*rest, '=');
    struct bytes type;

    if (n == BYTES_NOT_FOUND)
        return false;
    type = bytes_trim(bytes_first(*rest, n));
    *rest = bytes_skip(*rest, n + 1);
    part->type_at = (uint16_t)dn->n;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (bytes_equal_nocase(type, bytes_text(names[i].other))) {
            part->type_n = (uint16_t)strlen(names[i].usual);
            return add_text(dn, names[i].usual);
        }
    }
    for (size_t i = 0; i < type.n; i++) {
        if (!isalnum(type.at[i]) && type.at[i] != '.' && type.at[i] != '-')
            return false;
        if (!add_byte(dn, ascii_lower(type.at[i])))
            return false;
    }
    part->type_n = (uint16_t)type.n;
    return type.n > 0;
}

static int hex_digit(uint8_t c)
{
    if (isdigit(c))
        return c - '0';
    return isxdigit(c) ? ascii_lower(c) - 'a' + 10 : -1;
}

/* What stands behind a backslash: two hex digits, or a byte that stands for itself. */
static bool take_escaped(struct bytes *rest, struct dn *dn)
{
    if (rest->n >= 2 && hex_digit(rest->at[0]) >= 0 && hex_digit(rest->at[1]) >= 0) {
        uint8_t byte = (uint8_t)(hex_digit(rest->at[0]) * 16 + hex_digit(rest->at[1]));
        *rest = bytes_skip(*rest, 2);
        return add_byte(dn, byte);
    }
    if (rest->n == 0 || !add_byte(dn, rest->at[0]))
        return false;
    *rest = bytes_skip(*rest, 1);
    return true;
}

static bool take_quoted(struct bytes *rest, struct dn *dn)
{
    *rest = bytes_skip(*rest, 1);
    while (rest->n) {
        uint8_t c = rest->at[0];
        *rest = bytes_skip(*rest, 1);
        if (c == '"') {
            skip_blanks(rest);
            return rest->n == 0 || is_between(rest->at[0]);
        }
        if (!(c == '\\' ? take_escaped(rest, dn) : add_byte(dn, c)))
            return false;
    }
    return false; /* the second quote is missing */
}

/* Up to the next comma.  Spaces at the end count when they are escaped. */
static bool take_plain(struct bytes *rest, struct dn *dn)
{
    size_t end = dn->n;

    while (rest->n && !is_between(rest->at[0])) {
        uint8_t c = rest->at[0];
        *rest = bytes_skip(*rest, 1);
        if (!(c == '\\' ? take_escaped(rest, dn) : add_byte(dn, c)))
            return false;
        if (c != ' ')
            end = dn->n;
    }
    dn->n = end;
    return true;
}

static bool take_part(struct bytes *rest, struct dn *dn)
{
    struct dn_part *part = &dn->parts[dn->count];

    if (dn->count == DN_PARTS_MAX || !take_type(rest, dn, part))
        return false;
    skip_blanks(rest);
    part->at = (uint16_t)dn->n;
    if (!(rest->n && rest->at[0] == '"' ? take_quoted(rest, dn) : take_plain(rest, dn)))
        return false;
    part->n = (uint16_t)(dn->n - part->at);
    dn->count++;
    return true;
}

bool dn_parse(struct bytes text, struct dn *out)
{
    struct bytes rest = text;

    skip_blanks(&rest);
    out->count = 0;
    out->n = 0;
    do {
        if (!take_part(&rest, out))
            return false;
        if (rest.n == 0)
            return true;
        rest = bytes_skip(rest, 1); /* the comma */
    } while (rest.n);
    return false; /* nothing behind it */
}

static bool parts_are_equal(const struct dn *a, size_t i, const struct dn *b, size_t k)
{
    const struct dn_part *x = &a->parts[i], *y = &b->parts[k];

    return bytes_equal(bytes_of(a->text + x->type_at, x->type_n),
               bytes_of(b->text + y->type_at, y->type_n)) &&
           bytes_equal_nocase(bytes_of(a->text + x->at, x->n), bytes_of(b->text + y->at, y->n));
}

bool dn_equal(const struct dn *a, const struct dn *b)
{
    bool is_same = true, is_opposite = true;

    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        is_same = is_same && parts_are_equal(a, i, b, i);
        is_opposite = is_opposite && parts_are_equal(a, i, b, b->count - 1 - i);
    }
    return is_same || is_opposite;
}
