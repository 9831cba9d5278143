/* Where the generator sends to and the sink listens, as given on the command line. */
#ifndef CTL_TARGET_H
#define CTL_TARGET_H

#include "mail/status.h"
#include "os/address.h"

/* "192.0.2.1:25", "[2001:db8::1]:25", "localhost:25", "unix:/run/x".  No other names: the
 * measuring would measure the resolver. */
bool target_parse(const char *text, struct endpoint *out);

/* "451 4.3.0 try later", or "451 try later": code, status and text of a final reply. */
bool reply_parse(const char *text, struct verdict *out);

#endif
