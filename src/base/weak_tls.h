/* What is weak about a TLS connection that came to be all the same.  Pure; any thread. */
#ifndef BASE_WEAK_TLS_H
#define BASE_WEAK_TLS_H

#include "base/bytes.h"

/* VERSION and CIPHER as OpenSSL calls them: "TLSv1.2", "ECDHE-RSA-AES128-SHA".  A literal: the
 * first reason; NULL: nothing is weak, or there was no TLS (VERSION is empty). */
const char *tls_weakness(struct bytes version, struct bytes cipher);

#endif
