#include "policy/decision.h"

#include <stdarg.h>
#include <stdio.h>

void decide(
    struct decision *out, const char *rule, struct verdict verdict, const char *why_format, ...)
{
    va_list arguments;

    out->verdict = verdict;
    out->rule = rule;
    va_start(arguments, why_format);
    vsnprintf(out->why, sizeof out->why, why_format, arguments);
    va_end(arguments);
}
