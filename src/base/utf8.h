/* UTF-8 (RFC 3629) as it comes from outside.  Plain values; any thread. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/bytes.h"

/* How many bytes the well-formed character at the start of TEXT has: 1 to 4; 0 when there is
 * none (a stray or missing byte, an overlong form, a surrogate, beyond U+10FFFF, no text). */
size_t utf8_first(struct bytes text);

#endif
