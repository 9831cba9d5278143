#include "mail/cause.h"

#include <stdio.h>

void cause_format(const char *host, const char *word, unsigned code, struct status status,
    const char *text, char out[CAUSE_BYTES])
{
    char status_text[STATUS_TEXT_BYTES];

    status_format(status, status_text);
    snprintf(out, CAUSE_BYTES, "%s%s%s%u %s%s%s", host, *host ? word : "", *host ? ": " : "",
        code, status_text, *status_text ? " " : "", text);
}

/* "451 4.3.0 try later": not every host gives an enhanced code. */
static bool parse_reply(struct bytes text, struct verdict *out)
{
    struct status status = { 0 };
    uint64_t code;
    size_t used;

    if (text.n < 4 || text.at[3] != ' ' || !bytes_to_number(bytes_first(text, 3), 599, &code) ||
        code < 400)
        return false;
    text = bytes_skip(text, 4);
    if (status_parse(text, &status, &used)) {
        text = bytes_skip(text, used);
        if (text.n && text.at[0] == ' ')
            text = bytes_skip(text, 1);
    }
    *out = verdict_of((uint16_t)code, status, "%.*s", BYTES_ARGS(text));
    return true;
}

/* The first ": " with a code behind it is ours: what a host says comes later. */
bool cause_parse(struct bytes line, struct cause *out)
{
    struct cause cause = { .host = BYTES_NONE };
    bool found = parse_reply(line, &cause.verdict);

    for (size_t at = 0; !found && at + 2 < line.n; at++) {
        struct bytes who = bytes_first(line, at);
        if (line.at[at] != ':' || line.at[at + 1] != ' ' ||
            !parse_reply(bytes_skip(line, at + 2), &cause.verdict))
            continue;
        size_t end = bytes_find(who, ' ');
        cause.host = end == BYTES_NOT_FOUND ? who : bytes_first(who, end);
        cause.is_said = bytes_ends_nocase(who, BYTES(" said"));
        found = true;
    }
    if (found)
        *out = cause;
    return found;
}
