/* Internationalised domain names by libidn2 (RFC 5890..5892, UTS 46 non-transitional).
 * Pure; any thread. */
#ifndef MAIL_IDNA_H
#define MAIL_IDNA_H

#include "base/bytes.h"
#include "base/err.h"

enum { IDNA_BYTES_MAX = 256 };

/* The A-label form, lower case, without a final dot, zero-ended.  Plain ASCII names come back
 * lower-cased.  ERR_SYNTAX: no valid name. */
enum err idna_to_ascii(struct bytes domain, char out[IDNA_BYTES_MAX]) MUST_USE;

#endif
