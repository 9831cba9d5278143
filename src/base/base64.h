/* Base64 (RFC 4648, 4), with padding and without line breaks.  Plain values; any thread. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

/* Appends the text of BYTES.  ERR_LIMIT: over OUT's ceiling; nothing was added. */
enum err base64_encode(struct bytes bytes, struct buf *out) MUST_USE;

/* Appends the bytes of TEXT.  ERR_SYNTAX: not base64 in its one right form (a foreign byte,
 * padding missing or in the middle, bits set behind the last byte).  ERR_LIMIT: over OUT's
 * ceiling.  On failure nothing was added. */
enum err base64_decode(struct bytes text, struct buf *out) MUST_USE;

#endif
