#include "base/certificate.h"

#include <stdio.h>

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
