#include "mail/idna.h"

#include "mail/text.h"

#include <idn2.h>
#include <stdlib.h>

enum {
    LABEL_BYTES_MAX = 63,
    NAME_BYTES_MAX = 253
}; /* RFC 1035, 2.3.4, without the root's dot */

/* Letters, digits, hyphens; underscores too, since hosts of private networks have them. */
static bool is_label_byte(uint8_t c)
{
    uint8_t lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool is_label(struct bytes label)
{
    if (label.n == 0 || label.n > LABEL_BYTES_MAX)
        return false;
    if (label.at[0] == '-' || label.at[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++) {
        if (!is_label_byte(label.at[i]))
            return false;
    }
    return true;
}

static enum err copy_ascii(struct bytes name, char out[IDNA_BYTES_MAX])
{
    struct bytes rest = name;

    if (name.n == 0 || name.n > NAME_BYTES_MAX)
        return ERR_SYNTAX;
    for (;;) {
        size_t dot = bytes_find(rest, '.');
        if (!is_label(bytes_first(rest, dot)))
            return ERR_SYNTAX;
        if (dot == BYTES_NOT_FOUND)
            break;
        rest = bytes_skip(rest, dot + 1);
    }
    for (size_t i = 0; i < name.n; i++)
        out[i] = (char)ascii_lower(name.at[i]);
    out[name.n] = 0;
    return OK;
}

/* libidn2 2.3 leaves out what STD3 does not allow instead of refusing it (a space, say), so its
 * flag for that is not used: the ASCII bytes are checked here before, and those it makes of
 * full-width ones in copy_ascii() behind. */
static bool has_good_ascii(struct bytes name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (name.at[i] < 128 && name.at[i] != '.' && !is_label_byte(name.at[i]))
            return false;
    }
    return true;
}

static enum err convert(struct bytes name, char out[IDNA_BYTES_MAX])
{
    enum { FLAGS = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL };
    char utf8[4 * IDNA_BYTES_MAX], *ascii = NULL;
    enum err err;
    int rc;

    if (name.n >= sizeof utf8 || !has_good_ascii(name))
        return ERR_SYNTAX;
    memcpy(utf8, name.at, name.n);
    utf8[name.n] = 0;
    rc = idn2_to_ascii_8z(utf8, &ascii, FLAGS);
    if (rc == IDN2_MALLOC)
        abort(); /* base/mem.h: without memory the process ends */
    if (rc != IDN2_OK)
        return ERR_SYNTAX;
    err = copy_ascii(bytes_text(ascii), out);
    idn2_free(ascii);
    return err;
}

enum err idna_to_ascii(struct bytes domain, char out[IDNA_BYTES_MAX])
{
    if (domain.n > 1 && domain.at[domain.n - 1] == '.')
        domain.n--;
    return text_has_8bit(domain) ? convert(domain, out) : copy_ascii(domain, out);
}
