#include "policy/decision.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

PRINTF(4, 0)
static void fill(struct decision *out, const char *rule, const struct verdict *verdict,
    const char *why_format, va_list arguments)
{
    out->verdict = *verdict;
    out->rule = rule;
    vsnprintf(out->why, sizeof out->why, why_format, arguments);
}

void decide(
    struct decision *out, const char *rule, struct verdict verdict, const char *why_format, ...)
{
    va_list arguments;

    va_start(arguments, why_format);
    fill(out, rule, &verdict, why_format, arguments);
    va_end(arguments);
}

/* The text in front is cut rather than what it ends with. */
static void add_rule(struct verdict *verdict, const char *rule, const char *connector)
{
    char tag[120];
    size_t n = strlen(verdict->text), room;

    snprintf(tag, sizeof tag, " [%.40s@%.64s]", rule, connector);
    room = sizeof verdict->text - 1 - strlen(tag);
    if (n > room)
        n = room;
    memcpy(verdict->text + n, tag, strlen(tag) + 1);
}

void decide_refusal(struct decision *out, const char *rule, const char *connector,
    struct verdict verdict, const char *why_format, ...)
{
    va_list arguments;

    add_rule(&verdict, rule, connector);
    va_start(arguments, why_format);
    fill(out, rule, &verdict, why_format, arguments);
    va_end(arguments);
}
