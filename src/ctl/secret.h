/* A password from the administrator: never from the command line, which others can see. */
#ifndef CTL_SECRET_H
#define CTL_SECRET_H

#include "base/err.h"

enum { SECRET_BYTES = 512 };

/* The first line of FILE; FILE NULL: asked for twice without echo, or, where the standard input
 * is no terminal, its first line.  ERR_NONE: there is none, or the two differ; ERR_LIMIT: it is
 * too long; ERR_SYNTAX: it has a control byte; others: of the file.  Wipe OUT when done. */
enum err secret_read(const char *file, char out[SECRET_BYTES]) MUST_USE;

#endif
