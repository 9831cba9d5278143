/* What the kernel answers, in our words.  Any thread. */
#ifndef OS_ERRNO_H
#define OS_ERRNO_H

#include "base/err.h"

/* CODE is an errno (positive); 0 is OK, and what has no word of ours is ERR_SYSTEM. */
enum err err_of_errno(int code);

#endif
