/* The parameters behind the path in MAIL and RCPT: RFC 5321 4.1.2 and the extensions' own
 * (1870, 6152, 3030, 6531, 3461, 4954, 6710).  Pure; any thread. */
#ifndef PROTO_SMTP_PARAMS_H
#define PROTO_SMTP_PARAMS_H

#include "proto/smtp/server.h"

enum smtp_params {
    SMTP_PARAMS_OK,
    SMTP_PARAMS_SYNTAX,  /* malformed, a value that is none, or given twice: 501 5.5.4 */
    SMTP_PARAMS_UNKNOWN, /* 555 5.5.4 */
};

/* Reads TEXT, what stands behind the path: empty, or a space and parameters.  The first fault
 * from the left is the answer; *OUT is then half filled. */
enum smtp_params smtp_params_mail(struct bytes text, struct smtp_mail *out) MUST_USE;

/* IS_SMTPUTF8: this transaction's MAIL had SMTPUTF8, so ORCPT=utf-8; may have its bytes. */
enum smtp_params smtp_params_rcpt(
    struct bytes text, bool is_smtputf8, struct smtp_rcpt *out) MUST_USE;

#endif
