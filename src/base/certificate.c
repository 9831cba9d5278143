#include "base/certificate.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool certificate_is_meant(const struct certificate_choice *choice)
{
    return choice->certificate_file || certificate_is_chosen(choice);
}

bool certificate_is_chosen(const struct certificate_choice *choice)
{
    return choice->fingerprint || choice->issuer;
}

void certificate_choice_format(
    const struct certificate_choice *choice, char out[CERTIFICATE_TEXT_BYTES])
{
    if (choice->issuer)
        snprintf(out, CERTIFICATE_TEXT_BYTES, "issuer=%.500s subject=%.500s", choice->issuer,
            choice->subject);
    else
        snprintf(out, CERTIFICATE_TEXT_BYTES, "%s",
            choice->certificate_file ? choice->certificate_file
            : choice->fingerprint    ? choice->fingerprint
                                     : "");
}

bool fingerprint_parse(const char *text, const char *kind, char out[FINGERPRINT_BYTES])
{
    size_t n = strlen(kind), digits = 0, digits_max = strcmp(kind, "sha1:") == 0 ? 40 : 64;

    if (strncasecmp(text, kind, n) != 0)
        return false;
    memcpy(out, kind, n);
    for (text += n; *text; text++) {
        if (*text == ':' && digits % 2 == 0 && digits > 0 && digits < digits_max &&
            text[-1] != ':')
            continue;
        if (!isxdigit((unsigned char)*text) || digits == digits_max)
            return false;
        out[n + digits++] = (char)tolower((unsigned char)*text);
    }
    out[n + digits] = 0;
    return digits == digits_max;
}
