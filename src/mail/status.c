#include "mail/status.h"

#include <stdarg.h>
#include <stdio.h>

enum { PART_MAX = 999 };

void status_format(struct status status, char out[STATUS_TEXT_BYTES])
{
    if (status.class == 0)
        out[0] = 0;
    else
        snprintf(out, STATUS_TEXT_BYTES, "%u.%u.%u", status.class % 10u,
            status.subject % (PART_MAX + 1u), status.detail % (PART_MAX + 1u));
}

/* Reads one to three digits at *AT and moves it behind them. */
static bool read_part(struct bytes text, size_t *at, uint16_t *out)
{
    unsigned value = 0;
    size_t i = *at;

    for (; i < text.n && i < *at + 3 && text.at[i] >= '0' && text.at[i] <= '9'; i++)
        value = value * 10 + (text.at[i] - '0');
    if (i == *at)
        return false;
    *at = i;
    *out = (uint16_t)value;
    return true;
}

static bool read_dot(struct bytes text, size_t *at)
{
    if (*at == text.n || text.at[*at] != '.')
        return false;
    ++*at;
    return true;
}

bool status_parse(struct bytes text, struct status *out, size_t *used)
{
    struct status status = { 0 };
    size_t at = 1;

    if (text.n == 0 || (text.at[0] != '2' && text.at[0] != '4' && text.at[0] != '5'))
        return false;
    status.class = text.at[0] - '0';
    if (!read_dot(text, &at) || !read_part(text, &at, &status.subject) ||
        !read_dot(text, &at) || !read_part(text, &at, &status.detail))
        return false;
    /* "5.1.1.3" and "4.2.2beta" are other things: an address, a version. */
    if (at < text.n && text.at[at] != ' ' && text.at[at] != '\t' && text.at[at] != '\r' &&
        text.at[at] != '\n')
        return false;
    *out = status;
    *used = at;
    return true;
}

struct verdict verdict_of(uint16_t code, struct status status, const char *format, ...)
{
    struct verdict verdict = { .code = code, .status = status };
    va_list args;

    va_start(args, format);
    vsnprintf(verdict.text, sizeof verdict.text, format, args);
    va_end(args);
    for (char *c = verdict.text; *c; c++) {
        if (*c < ' ' || *c > '~') /* a client's bytes must not end our line */
            *c = '?';
    }
    return verdict;
}

struct status verdict_status(const struct verdict *verdict)
{
    if (verdict->status.class)
        return verdict->status;
    return STATUS((uint8_t)(verdict->code / 100), 0, 0);
}

void verdict_format(const struct verdict *verdict, char out[VERDICT_TEXT_BYTES])
{
    char status[STATUS_TEXT_BYTES];

    status_format(verdict->status, status);
    snprintf(out, VERDICT_TEXT_BYTES, "%u %s%s%s", verdict->code, status, *status ? " " : "",
        verdict->text);
}
