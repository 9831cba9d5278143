#include "ctl/target.h"

static bool parse_port(struct bytes text, uint16_t *out)
{
    uint64_t port;

    if (!bytes_to_number(text, 65535, &port))
        return false;
    *out = (uint16_t)port;
    return true;
}

static bool parse_host(struct bytes text, struct ip *out)
{
    if (bytes_equal_nocase(text, BYTES("localhost")))
        text = BYTES("127.0.0.1");
    if (text.n > 2 && text.at[0] == '[' && text.at[text.n - 1] == ']')
        text = bytes_of(text.at + 1, text.n - 2);
    return ip_parse(text, out);
}

bool target_parse(const char *text, struct endpoint *out)
{
    struct endpoint made = { 0 };
    struct bytes bytes = bytes_text(text);
    size_t colon = bytes.n;

    if (bytes_starts(bytes, BYTES("unix:"))) {
        bytes = bytes_skip(bytes, 5);
        if (bytes.n == 0 || bytes.n >= sizeof made.path)
            return false;
        made.is_unix = true;
        memcpy(made.path, bytes.at, bytes.n);
        *out = made;
        return true;
    }
    while (colon && bytes.at[colon - 1] != ':')
        colon--;
    if (colon < 2 || !parse_host(bytes_first(bytes, colon - 1), &made.ip) ||
        !parse_port(bytes_skip(bytes, colon), &made.port))
        return false;
    *out = made;
    return true;
}

bool reply_parse(const char *text, struct verdict *out)
{
    struct bytes rest = bytes_text(text);
    struct status status = { 0 };
    uint64_t code;
    size_t used = 0;

    if (rest.n < 3 || !bytes_to_number(bytes_first(rest, 3), 599, &code) || code < 200 ||
        code / 100 == 3 || (rest.n > 3 && rest.at[3] != ' '))
        return false;
    rest = bytes_trim(bytes_skip(rest, 3));
    if (status_parse(rest, &status, &used))
        rest = bytes_trim(bytes_skip(rest, used));
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.at[i] < 0x20 || rest.at[i] > 0x7e)
            return false;
    }
    *out = verdict_of((uint16_t)code, status, "%.*s", BYTES_ARGS(rest));
    return true;
}
