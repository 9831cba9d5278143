/* Trace and missing header fields (RFC 5321, 4.4; RFC 6409, 8).  Pure; any thread. */
#ifndef MAIL_TRACE_H
#define MAIL_TRACE_H

#include "base/buf.h"
#include "base/id.h"
#include "base/time.h"

struct trace {
    struct bytes client_name; /* as given in HELO or EHLO */
    struct bytes client_ip;   /* "192.0.2.1", "2001:db8::1"; empty for a UNIX socket */
    struct bytes by;          /* our FQDN */
    struct bytes connector;
    struct bytes tls_version; /* "TLSv1.3"; empty: plain */
    struct bytes tls_cipher;
    struct bytes user; /* authenticated as; said as "authenticated", the name itself is not */
    bool is_smtp;      /* HELO was used: "SMTP", not "ESMTP" (RFC 3848) */
    bool is_utf8;      /* "UTF8SMTP.." (RFC 6531, 3.7.3) */
    struct mid mid;
    struct bytes only_recipient; /* "for <...>" when there is just one; else empty */
    struct wall now;
};

/* One Received field, folded, with its CRLF.  Bytes a client could use to break the field are
 * replaced by "?". */
enum err trace_received(const struct trace *trace, struct buf *out) MUST_USE;

enum err trace_date(struct wall now, struct buf *out) MUST_USE;
enum err trace_message_id(struct mid mid, struct bytes fqdn, struct buf *out) MUST_USE;

/* "From: <SENDER>", for who gave none; nothing for the null sender, and for one that is not ASCII
 * unless IS_UTF8. */
enum err trace_from(struct bytes sender, bool is_utf8, struct buf *out) MUST_USE;

/* "X-Relais-Taken-Over: from ... by ...; generation N; date": node BY delivers it in the place of
 * node FROM, which may have delivered it too. */
enum err trace_taken_over(struct bytes from, struct bytes by, uint16_t generation,
    struct wall now, struct buf *out) MUST_USE;

/* "Return-Path: <...>", for final delivery (RFC 5321, 4.4). */
enum err trace_return_path(struct bytes sender, struct buf *out) MUST_USE;

#endif
