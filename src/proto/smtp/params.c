#include "proto/smtp/params.h"

enum {
    ENVID_BYTES_MAX = 100, /* RFC 3461, 4.4 */
    ORCPT_BYTES_MAX = 500, /* RFC 3461, 4.2 */
    AUTH_BYTES_MAX = 500,  /* RFC 4954, 3 */
    SIZE_DIGITS_MAX = 20   /* RFC 1870, 5 */
};

/* One parameter as it stands. */
struct param {
    struct bytes name, value;
    bool has_value;
};

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

/* esmtp-keyword: a letter or digit, then hyphens too. */
static bool is_name(struct bytes name)
{
    if (name.n == 0 || !is_alnum(name.at[0]))
        return false;
    for (size_t i = 1; i < name.n; i++)
        if (!is_alnum(name.at[i]) && name.at[i] != '-')
            return false;
    return true;
}

/* esmtp-value, with RFC 6531's bytes above 127; whoever takes the value is stricter.  No space
 * is in it, since spaces cut it out. */
static bool is_value(struct bytes value)
{
    for (size_t i = 0; i < value.n; i++)
        if (value.at[i] <= ' ' || value.at[i] == '=' || value.at[i] == 127)
            return false;
    return value.n > 0;
}

/* RFC 3461, 4: printable, and "+" with two hexadecimal digits for the rest.  Digits a to f are
 * taken as well.  With ALLOWS_UTF8 bytes above 127 stand for themselves: RFC 6533, 3. */
static bool is_xtext(struct bytes text, bool allows_utf8)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.at[i];

        if (c <= ' ' || c == '=' || c == 127 || (c > 127 && !allows_utf8))
            return false;
        if (c != '+')
            continue;
        if (text.n - i < 3 || !is_hex(text.at[i + 1]) || !is_hex(text.at[i + 2]))
            return false;
        i += 2;
    }
    return text.n > 0;
}

/* Cuts the next parameter off *REST.  False: it is malformed. */
static bool take_param(struct bytes *rest, struct param *out)
{
    struct bytes text = bytes_first(*rest, bytes_find(*rest, ' '));
    size_t equals = bytes_find(text, '=');

    *rest = bytes_skip(*rest, text.n);
    out->name = bytes_first(text, equals);
    out->has_value = equals != BYTES_NOT_FOUND;
    out->value = out->has_value ? bytes_skip(text, equals + 1) : BYTES_NONE;
    return is_name(out->name) && (!out->has_value || is_value(out->value));
}

/* A parameter that we know: takes a value into OUT, a struct smtp_mail or smtp_rcpt. */
struct known {
    struct bytes name;
    bool wants_value;
    bool (*take)(struct bytes value, void *out);
};

static enum smtp_params read_params(
    struct bytes text, const struct known *known, size_t known_n, void *out)
{
    struct bytes rest = text;
    uint32_t seen = 0;
    struct param param;

    if (rest.n && rest.at[0] != ' ')
        return SMTP_PARAMS_SYNTAX;
    for (;;) {
        size_t i = 0;

        while (rest.n && rest.at[0] == ' ')
            rest = bytes_skip(rest, 1);
        if (rest.n == 0)
            return SMTP_PARAMS_OK;
        if (!take_param(&rest, &param))
            return SMTP_PARAMS_SYNTAX;
        while (i < known_n && !bytes_equal_nocase(param.name, known[i].name))
            i++;
        if (i == known_n)
            return SMTP_PARAMS_UNKNOWN;
        if (seen & 1u << i || param.has_value != known[i].wants_value ||
            !known[i].take(param.value, out))
            return SMTP_PARAMS_SYNTAX;
        seen |= 1u << i;
    }
}

/* A number too large for 64 bits is larger than any limit as well. */
static bool take_size(struct bytes value, void *out)
{
    struct smtp_mail *mail = out;

    if (value.n > SIZE_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < value.n; i++)
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
    if (!bytes_to_number(value, UINT64_MAX, &mail->size_bytes))
        mail->size_bytes = UINT64_MAX;
    return true;
}

static bool take_body(struct bytes value, void *out)
{
    struct smtp_mail *mail = out;

    if (bytes_equal_nocase(value, BYTES("7BIT")))
        mail->body = BODY_7BIT;
    else if (bytes_equal_nocase(value, BYTES("8BITMIME")))
        mail->body = BODY_8BITMIME;
    else if (bytes_equal_nocase(value, BYTES("BINARYMIME")))
        mail->body = BODY_BINARYMIME;
    else
        return false;
    return true;
}

static bool take_smtputf8(struct bytes value, void *out)
{
    struct smtp_mail *mail = out;

    (void)value;
    mail->is_smtputf8 = true;
    return true;
}

static bool take_ret(struct bytes value, void *out)
{
    struct smtp_mail *mail = out;

    if (bytes_equal_nocase(value, BYTES("FULL")))
        mail->ret = RET_FULL;
    else if (bytes_equal_nocase(value, BYTES("HDRS")))
        mail->ret = RET_HDRS;
    else
        return false;
    return true;
}

static bool take_envid(struct bytes value, void *out)
{
    struct smtp_mail *mail = out;

    mail->envid = value;
    return value.n <= ENVID_BYTES_MAX && is_xtext(value, false);
}

static bool take_auth(struct bytes value, void *out)
{
    struct smtp_mail *mail = out;

    mail->auth = value;
    return value.n <= AUTH_BYTES_MAX && is_xtext(value, false);
}

static bool take_priority(struct bytes value, void *out)
{
    struct smtp_mail *mail = out;
    bool is_negative = value.n && value.at[0] == '-';
    struct bytes digits = bytes_skip(value, is_negative);

    if (digits.n != 1 || digits.at[0] < '0' || digits.at[0] > '9')
        return false;
    if (is_negative && digits.at[0] == '0')
        return false;
    mail->priority = (int8_t)(is_negative ? '0' - digits.at[0] : digits.at[0] - '0');
    return true;
}

/* NEVER stands alone: RFC 3461, 4.1. */
static bool take_notify(struct bytes value, void *out)
{
    static const struct {
        struct bytes name;
        enum notify notify;
    } words[] = {
        { BYTES("NEVER"), NOTIFY_NEVER },
        { BYTES("SUCCESS"), NOTIFY_SUCCESS },
        { BYTES("FAILURE"), NOTIFY_FAILURE },
        { BYTES("DELAY"), NOTIFY_DELAY },
    };
    struct smtp_rcpt *rcpt = out;
    unsigned notify = 0;

    for (bool is_last = false; !is_last;) {
        struct bytes word = bytes_first(value, bytes_find(value, ','));
        size_t i = 0;

        is_last = word.n == value.n;
        value = bytes_skip(value, is_last ? word.n : word.n + 1);
        while (i < sizeof words / sizeof *words && !bytes_equal_nocase(word, words[i].name))
            i++;
        if (i == sizeof words / sizeof *words)
            return false;
        notify |= words[i].notify;
    }
    rcpt->notify = (uint8_t)notify;
    return !(notify & NOTIFY_NEVER) || notify == NOTIFY_NEVER;
}

static bool has_utf8(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.at[i] > 127)
            return true;
    return false;
}

static bool take_orcpt(struct bytes value, void *out)
{
    struct smtp_rcpt *rcpt = out;
    size_t semicolon = bytes_find(value, ';');
    struct bytes type = bytes_first(value, semicolon);

    rcpt->orcpt = value;
    return semicolon != BYTES_NOT_FOUND && value.n <= ORCPT_BYTES_MAX && is_name(type) &&
           is_xtext(bytes_skip(value, semicolon + 1), bytes_equal_nocase(type, BYTES("utf-8")));
}

enum smtp_params smtp_params_mail(struct bytes text, struct smtp_mail *out)
{
    static const struct known known[] = {
        { BYTES("SIZE"), true, take_size },
        { BYTES("BODY"), true, take_body },
        { BYTES("SMTPUTF8"), false, take_smtputf8 },
        { BYTES("RET"), true, take_ret },
        { BYTES("ENVID"), true, take_envid },
        { BYTES("AUTH"), true, take_auth },
        { BYTES("MT-PRIORITY"), true, take_priority },
    };
    return read_params(text, known, sizeof known / sizeof *known, out);
}

enum smtp_params smtp_params_rcpt(struct bytes text, bool is_smtputf8, struct smtp_rcpt *out)
{
    static const struct known known[] = {
        { BYTES("NOTIFY"), true, take_notify },
        { BYTES("ORCPT"), true, take_orcpt },
    };
    enum smtp_params got = read_params(text, known, sizeof known / sizeof *known, out);

    return got == SMTP_PARAMS_OK && !is_smtputf8 && has_utf8(out->orcpt) ? SMTP_PARAMS_SYNTAX
                                                                         : got;
}
