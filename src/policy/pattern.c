#include "policy/pattern.h"

#include "policy/domain.h"

/* --- Normal form ------------------------------------------------------------------------- */

/* "[IPv6:2001:DB8:0::1]" and "[ipv6:2001:db8::1]" are one address: "[2001:db8::1]". */
static struct bytes literal_normal(struct bytes literal, char room[IDNA_BYTES_MAX])
{
    struct bytes inside = bytes_of(literal.at + 1, literal.n - 2);
    char text[IP_TEXT_BYTES];
    struct ip ip;
    size_t n;

    if (bytes_starts_nocase(inside, BYTES("IPv6:")))
        inside = bytes_skip(inside, 5);
    if (!ip_parse(inside, &ip))
        return domain_normal(literal, room);
    ip_format(ip, text);
    n = strlen(text);
    room[0] = '[';
    memcpy(room + 1, text, n);
    memcpy(room + 1 + n, "]", 2);
    return bytes_of(room, n + 2);
}

void pattern_subject_init(struct pattern_subject *subject, const struct address *address)
{
    subject->local =
        local_normal(bytes_first(address->local, ADDRESS_LOCAL_BYTES_MAX), subject->local_room);
    subject->domain = address->is_literal
                          ? literal_normal(address->domain, subject->domain_room)
                          : domain_normal(address->domain, subject->domain_room);
}

/* --- Reading ----------------------------------------------------------------------------- */

/* Where the domain's "@" stands; a quoted local part may have others before it. */
static size_t find_at(struct bytes text)
{
    for (size_t i = text.n; i > 0; i--) {
        if (text.at[i - 1] == '@')
            return i - 1;
    }
    return BYTES_NOT_FOUND;
}

/* "*" is an ordinary letter of local parts to the parser of addresses. */
static bool local_is_good(struct bytes local)
{
    struct address address;

    return address_parse(local, ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY, &address) == ADDRESS_OK &&
           address.domain.n == 0 && !bytes_equal(local, BYTES("\"\""));
}

/* The end of a pattern; false: it is no domain. */
static bool parse_domain(struct bytes domain, char out[IDNA_BYTES_MAX])
{
    size_t star = 0;

    if (domain_is_literal(domain)) {
        literal_normal(domain, out);
        return true;
    }
    if (bytes_equal(domain, BYTES("*"))) {
        memcpy(out, "*", 2);
        return true;
    }
    if (bytes_starts(domain, BYTES("*.")))
        star = 2;
    if (idna_to_ascii(bytes_skip(domain, star), out) != OK || strlen(out) + star > 253)
        return false;
    memmove(out + star, out, strlen(out) + 1);
    memcpy(out, "*.", star);
    return true;
}

bool pattern_parse(struct bytes text, char out[PATTERN_BYTES_MAX])
{
    size_t at = find_at(text);
    struct bytes local = bytes_first(text, at);
    char room[ADDRESS_LOCAL_BYTES_MAX], domain[IDNA_BYTES_MAX];

    if (bytes_equal(text, BYTES("*")) || bytes_equal(text, BYTES("<>"))) {
        memcpy(out, text.at, text.n);
        out[text.n] = '\0';
        return true;
    }
    if (at == BYTES_NOT_FOUND || (local.n && !local_is_good(local)) ||
        !parse_domain(bytes_skip(text, at + 1), domain))
        return false;
    local = local_normal(local, room);
    if (bytes_equal(local, BYTES("*")))
        local = BYTES_NONE; /* "*@example.com" is "@example.com" */
    if (local.n)
        memcpy(out, local.at, local.n);
    out[local.n] = '@';
    memcpy(out + local.n + 1, domain, strlen(domain) + 1);
    return true;
}

/* --- Fitting ----------------------------------------------------------------------------- */

/* "*" stands for any run of bytes.  Each star but the last is settled for good by the first
 * place where what follows it fits, so this is never worse than one length times the other. */
static bool glob_fits(struct bytes pattern, struct bytes text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, after = 0;

    while (t < text.n) {
        if (p < pattern.n && pattern.at[p] == '*') {
            star = ++p;
            after = t;
        } else if (p < pattern.n && pattern.at[p] == text.at[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star;
            t = ++after;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.at[p] == '*')
        p++;
    return p == pattern.n;
}

bool pattern_fits(const char *pattern, const struct pattern_subject *subject)
{
    struct bytes text = bytes_text(pattern);
    size_t at;

    if (bytes_equal(text, BYTES("*")))
        return true;
    if (bytes_equal(text, BYTES("<>")))
        return subject->local.n == 0 && subject->domain.n == 0;
    at = find_at(text);
    if (subject->domain.n == 0 || at == BYTES_NOT_FOUND)
        return false;
    if (at && !glob_fits(bytes_first(text, at), subject->local))
        return false;
    return domain_fit(pattern + at + 1, subject->domain) > 0;
}

size_t patterns_find_at(const struct address_patterns *patterns,
    const struct pattern_subject *subject, pattern_counts *counts, const void *me)
{
    if (patterns->index)
        return pattern_index_find(patterns->index, patterns->list, subject, counts, me);
    for (size_t i = 0; i < patterns->count; i++) {
        if ((!counts || counts(me, i)) && pattern_fits(patterns->list[i], subject))
            return i;
    }
    return SIZE_MAX;
}

const char *patterns_find(
    const struct address_patterns *patterns, const struct pattern_subject *subject)
{
    size_t at = patterns_find_at(patterns, subject, NULL, NULL);

    return at == SIZE_MAX ? NULL : patterns->list[at];
}
