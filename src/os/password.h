/* Passwords as they are kept: hashes of crypt(5).  Any thread; hashing takes some 50 ms. */
#ifndef OS_PASSWORD_H
#define OS_PASSWORD_H

#include "base/err.h"

#include <stdbool.h>

enum { PASSWORD_HASH_BYTES = 384 }; /* the longest that crypt(5) makes, and its zero byte */

/* A new yescrypt hash with a salt of its own.  ERR_LIMIT: the password is too long; ERR_SYSTEM:
 * the library has no yescrypt, or no random bytes. */
enum err password_hash(const char *password, char out[PASSWORD_HASH_BYTES]) MUST_USE;

/* Whether HASH is of a method that the library knows, and not one of the old weak ones. */
bool password_hash_is_good(const char *hash);

/* HASH NULL: there is no such user; it takes as long as if there were one, and is false. */
bool password_is_right(const char *password, const char *hash);

#endif
