/* xtext: RFC 3461, 4, for ENVID, ORCPT and AUTH.  Pure; any thread. */
#ifndef MAIL_XTEXT_H
#define MAIL_XTEXT_H

#include "base/bytes.h"

enum { XTEXT_BYTES_MAX = 500 }; /* RFC 3461, 4.2; ENVID has 100: 4.4 */

/* Printable ASCII without "=", and "+" only before two upper-case hexadecimal digits. */
bool xtext_is_valid(struct bytes text);

/* Writes what TEXT stands for, *N bytes.  False: it is not valid, is longer than
 * XTEXT_BYTES_MAX, or stands for something that is not printable ASCII and so has no place in a
 * header field. */
bool xtext_decode(struct bytes text, uint8_t out[XTEXT_BYTES_MAX], size_t *n);

#endif
