/* What may stand in addresses and header fields.  Pure; any thread. */
#ifndef MAIL_TEXT_H
#define MAIL_TEXT_H

#include "base/bytes.h"

/* How many bytes the character at the start of TEXT takes: 1 to 4; 0 when TEXT is empty, is not
 * well-formed UTF-8 there, or has a control character (C0, DEL, C1) there. */
size_t text_printable(struct bytes text);

/* Some byte is above 127. */
bool text_has_8bit(struct bytes text);

#endif
