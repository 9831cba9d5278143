/* Mail addresses as SMTP writes them: RFC 5321 4.1.2 and 4.1.3, RFC 6531 3.3.  Pure; any
 * thread.
 *
 * This is the one address parser: MAIL and RCPT, header fields, the configuration and the tool
 * all come here.  A parsed address borrows its bytes from the text it was parsed from. */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include "base/bytes.h"
#include "base/err.h"

enum {
    ADDRESS_LOCAL_BYTES_MAX = 64,   /* RFC 5321, 4.5.3.1.1 */
    ADDRESS_DOMAIN_BYTES_MAX = 255, /* RFC 5321, 4.5.3.1.2 */
    ADDRESS_BYTES_MAX = 254,        /* a path is 256 with its brackets: 4.5.3.1.3 */
};

struct address {
    struct bytes text;   /* as written, without brackets and source route: what is sent on */
    struct bytes local;  /* as written, quotes and all; empty for the null sender */
    struct bytes domain; /* as written: a name, or a literal with its brackets; may be empty */
    bool is_quoted;      /* the local part is a quoted string */
    bool is_literal;     /* the domain is an address literal */
    bool is_utf8;        /* a byte above 127 stands in it: needs SMTPUTF8 */
};

enum address_flags {
    ADDRESS_UTF8 = 1 << 0,        /* bytes above 127 may stand in it (SMTPUTF8 was given) */
    ADDRESS_NULL = 1 << 1,        /* "<>" is welcome: MAIL FROM */
    ADDRESS_POSTMASTER = 1 << 2,  /* "<postmaster>" without a domain is: RCPT TO (4.1.1.3) */
    ADDRESS_NO_BRACKETS = 1 << 3, /* tolerance: "a@example.com" without brackets */
    ADDRESS_LOCAL_ONLY = 1 << 4,  /* a local part without a domain is welcome: aliases, tool */
};

enum address_fault {
    ADDRESS_OK,
    ADDRESS_SYNTAX,    /* 501 5.1.3 (recipient), 5.1.7 (sender) */
    ADDRESS_TOO_LONG,  /* local part, domain or path over its limit: 501 5.1.3 / 5.1.7 */
    ADDRESS_NOT_ASCII, /* bytes above 127 without SMTPUTF8: 553 5.6.7 */
};

/* Parses a path "<...>" at the start of TEXT.  Source routes ("<@a,@b:c@d>") are read and
 * dropped. On ADDRESS_OK, *USED is how many bytes of TEXT the path took (its closing bracket
 * included). */
enum address_fault address_parse_path(
    struct bytes text, unsigned flags, struct address *out, size_t *used) MUST_USE;

/* Parses a whole TEXT as a bare "local@domain" (no brackets), as configuration and tools give.
 */
enum address_fault address_parse(
    struct bytes text, unsigned flags, struct address *out) MUST_USE;

/* A host name or address literal as EHLO and address spaces have it. */
bool domain_is_name(struct bytes text); /* letters, digits, hyphens, dots; UTF-8 labels too */
bool domain_is_literal(struct bytes text); /* "[192.0.2.1]", "[IPv6:2001:db8::1]" */

/* Domains compare without case, and without a final dot. */
bool domain_equal(struct bytes a, struct bytes b);

#endif
