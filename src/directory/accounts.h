/* The file of accounts (PE-6): who may log in.  Written by `relais user`, read with the settings.
 * Plain values; any thread; the readers block.
 *
 *     # comment
 *     # salt-key: BASE64
 *     NAME [hash=CRYPT] [scram=VERIFIER] [disabled] [address=PATTERN]...
 *
 * One account a line, the words with blanks between them.  A NAME has no case; without hash= the
 * password is known elsewhere (PAM, Kerberos). */
#ifndef DIRECTORY_ACCOUNTS_H
#define DIRECTORY_ACCOUNTS_H

#include "base/buf.h"
#include "base/err.h"
#include "policy/pattern.h"
#include "policy/settings.h"

enum {
    ACCOUNT_NAME_BYTES_MAX = 128,
    ACCOUNT_LINE_BYTES_MAX = 64 << 10,
    ACCOUNT_ADDRESSES_MAX = 256,
    ACCOUNT_FILE_BYTES_MAX = 64 << 20,
    ACCOUNT_FILE_MODE = 0600,
};

/* Whether TEXT can be the name of an account; OUT: in normal form. */
bool account_name_parse(struct bytes text, char out[ACCOUNT_NAME_BYTES_MAX + 1]);

/* Whether TEXT is an address, or a pattern of addresses, that a line of the file can have: one
 * that is the same without quotes.  OUT: in normal form (policy/pattern.h). */
bool account_address_parse(struct bytes text, char out[PATTERN_BYTES_MAX]);

/* Reads one line; account_done() gives OUT back.  ERR_NONE: it is empty, or a comment.
 * ERR_SYNTAX: WHY says what is wrong. */
enum err account_parse(struct bytes line, struct account *out, char why[200]) MUST_USE;
void account_done(struct account *account);
/* Appends the line, LF and all. */
enum err account_format(const struct account *account, struct buf *out) MUST_USE;

/* Appends the text of a file in which ACCOUNT stands in the place of the one of that name, or at
 * the end; NULL: the one called NAME is taken out.  All other lines stay as they are. */
enum err accounts_edit(struct bytes text, const char *name, const struct account *account,
    struct buf *out) MUST_USE;

/* The account of that name in a file's text, its last line wins.  ERR_NONE, ERR_SYNTAX. */
enum err accounts_find(
    struct bytes text, const char *name, struct account *out, char why[200]) MUST_USE;

/* A line that stands in the file as a comment and goes with it from node to node: what the salts of
 * unknown names are made of, so that all nodes give such a name the same one.  False: there is
 * none. */
enum { ACCOUNT_SALT_KEY_BYTES = 16 };
bool accounts_find_salt_key(struct bytes text, uint8_t out[ACCOUNT_SALT_KEY_BYTES]);
enum err accounts_add_salt_key(
    const uint8_t key[ACCOUNT_SALT_KEY_BYTES], struct buf *out) MUST_USE;

/* The first line of TEXT, without its end; *TEXT is what is behind it. */
struct bytes accounts_next_line(struct bytes *text);

#endif
