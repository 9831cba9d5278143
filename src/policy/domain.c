#include "policy/domain.h"

static bool is_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.at[i] > 127)
            return false;
    }
    return true;
}

/* Nearly all domains are ASCII, and each recipient asks: those do without the library. */
struct bytes domain_normal(struct bytes domain, char room[IDNA_BYTES_MAX])
{
    size_t n = 0;

    if (!is_ascii(domain) && idna_to_ascii(domain, room) == OK)
        return bytes_text(room);
    while (n < domain.n && n < IDNA_BYTES_MAX - 1) {
        room[n] = (char)ascii_lower(domain.at[n]);
        n++;
    }
    if (n > 1 && room[n - 1] == '.')
        n--;
    room[n] = '\0';
    return bytes_of(room, n);
}

struct bytes local_normal(struct bytes local, char *room)
{
    bool is_quoted = local.n >= 2 && local.at[0] == '"';
    size_t n = 0;

    if (is_quoted)
        local = bytes_of(local.at + 1, local.n - 2);
    for (size_t i = 0; i < local.n; i++) {
        if (is_quoted && local.at[i] == '\\' && i + 1 < local.n)
            i++;
        room[n++] = (char)ascii_lower(local.at[i]);
    }
    return bytes_of(room, n);
}

struct bytes mailbox_key(struct bytes local, struct bytes domain, char room[MAILBOX_KEY_BYTES])
{
    char domain_room[IDNA_BYTES_MAX];
    size_t n;

    local = bytes_first(local, ADDRESS_LOCAL_BYTES_MAX);
    if (bytes_find(local, '@') == BYTES_NOT_FOUND)
        n = local_normal(local, room).n;
    else /* in quotes: without them it might be another's whole address */
        for (n = 0; n < local.n; n++)
            room[n] = (char)ascii_lower(local.at[n]);
    if (domain.n) {
        domain = domain_normal(domain, domain_room);
        room[n++] = '@';
        memcpy(room + n, domain.at, domain.n);
        n += domain.n;
    }
    return bytes_of(room, n);
}

uint32_t domain_fit(const char *pattern, struct bytes domain)
{
    struct bytes p = bytes_text(pattern);

    if (bytes_equal_nocase(p, domain))
        return DOMAIN_FIT_EXACT;
    if (p.n == 1 && p.at[0] == '*')
        return DOMAIN_FIT_ALL;
    if (!bytes_starts(p, BYTES("*.")) || (domain.n && domain.at[0] == '['))
        return 0;
    p = bytes_skip(p, 1);
    return domain.n > p.n && bytes_ends_nocase(domain, p) ? (uint32_t)(DOMAIN_FIT_ALL + p.n)
                                                          : 0;
}
