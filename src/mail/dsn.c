#include "mail/dsn.h"

#include "base/hash.h"
#include "base/ip.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/fold.h"
#include "mail/scan.h"
#include "mail/text.h"
#include "mail/xtext.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* The notification's parts, and what keeps each of them harmless
 *
 * 1. Our header and the text for people: every foreign byte goes through fold_words(), so no
 *    line of it can begin with what somebody else chose.
 * 2. The machine's part: the same.  Values are ASCII, or UTF-8 in the types of RFC 6533.
 * 3. The original, as it was.  The boundary is made of our id; should it occur in the original,
 *    another one is taken. */
struct writer {
    const struct dsn *dsn;
    struct buf *out;
    enum err err; /* the first one; all writing stops then */
    char boundary[64];
};

static const struct kind {
    const char *action, *subject, *lead;
    struct status status; /* when the recipient has none */
} kinds[] = {
    [DSN_FAILED] = { "failed", "Undeliverable mail returned to its sender",
        "The message could not be delivered to the following recipients. "
        "It is not tried again for them.",
        { 5, 0, 0 } },
    [DSN_DELAYED] = { "delayed", "Delayed mail, still being tried",
        "The message has not been delivered to the following recipients yet. It is tried "
        "again; you do not need to send it again.",
        { 4, 0, 0 } },
    [DSN_DELIVERED] = { "delivered", "Mail was delivered",
        "The message was delivered to the following recipients.", { 2, 0, 0 } },
    [DSN_RELAYED] = { "relayed", "Mail was relayed",
        "The message was handed on for the following recipients to a server that does not "
        "report delivery. No further report may come.",
        { 2, 0, 0 } },
    [DSN_EXPANDED] = { "expanded", "Mail was delivered to a list",
        "The message was delivered to the following addresses and sent on by them to others. "
        "No further report may come.",
        { 2, 0, 0 } },
};

enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

/* --- Pieces ------------------------------------------------------------------------------ */

static void add(struct writer *writer, struct bytes bytes)
{
    if (writer->err == OK)
        writer->err = buf_add(writer->out, bytes);
}

static void add_text(struct writer *writer, const char *text)
{
    add(writer, bytes_text(text));
}

/* "NAME: PREFIXvalue", folded by FILL; "" as PREFIX where there is none. */
static void add_folded(struct writer *writer, const char *name, const char *prefix,
    struct bytes value, void (*fill)(struct fold *fold, struct bytes text, bool is_utf8))
{
    struct fold fold;

    if (writer->err != OK)
        return;
    fold_begin(&fold, writer->out, name, " ");
    fold_mark(&fold, ": ");
    fold_mark(&fold, prefix);
    fill(&fold, value, writer->dsn->is_utf8);
    writer->err = fold_end(&fold);
}

static void add_field(
    struct writer *writer, const char *name, const char *prefix, struct bytes value)
{
    add_folded(writer, name, prefix, value, fold_words);
}

static void add_address(
    struct writer *writer, const char *name, const char *prefix, struct bytes address)
{
    add_folded(writer, name, prefix, address, fold_address);
}

static void add_date(struct writer *writer, const char *name, struct wall wall)
{
    char date[DATE_RFC5322_BYTES];

    wall_format_rfc5322(wall, date);
    add_field(writer, name, "", bytes_text(date));
}

static void add_paragraph(struct writer *writer, const char *indent, struct bytes text)
{
    struct fold fold;

    if (writer->err != OK)
        return;
    fold_begin(&fold, writer->out, indent, indent);
    fold_words(&fold, text, writer->dsn->is_utf8);
    writer->err = fold_end(&fold);
}

static void add_boundary(struct writer *writer, const char *end)
{
    add_text(writer, "\r\n--");
    add_text(writer, writer->boundary);
    add_text(writer, end);
    add_text(writer, "\r\n");
}

static bool has_kind(const struct dsn *dsn, enum dsn_action action)
{
    for (size_t i = 0; i < dsn->recipient_count; i++) {
        if (dsn->recipients[i].action == action)
            return true;
    }
    return false;
}

/* A failure is what the sender must see first. */
static const struct kind *first_kind(const struct dsn *dsn)
{
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        if (has_kind(dsn, (enum dsn_action)kind))
            return &kinds[kind];
    }
    return &kinds[DSN_FAILED];
}

static bool contains(struct bytes where, const char *what)
{
    return where.n > 0 && memmem(where.at, where.n, what, strlen(what)) != NULL;
}

static void choose_boundary(struct writer *writer)
{
    const struct dsn *dsn = writer->dsn;
    char id[ID_TEXT_BYTES];
    unsigned count = 0;

    mid_format(dsn->mid, id);
    do
        snprintf(writer->boundary, sizeof writer->boundary, "=_%s.%u", id, count++);
    while (contains(dsn->original_prepend, writer->boundary) ||
           contains(dsn->original, writer->boundary));
}

/* --- Header and text --------------------------------------------------------------------- */

/* "<...>" without spaces, else nothing: it is copied from a header field of anybody's. */
static bool is_message_id(struct bytes id)
{
    if (id.n < 3 || id.n > SCAN_MESSAGE_ID_MAX || id.at[0] != '<' || id.at[id.n - 1] != '>')
        return false;
    for (size_t i = 1; i + 1 < id.n; i++) {
        if (id.at[i] <= ' ' || id.at[i] >= 127 || id.at[i] == '<' || id.at[i] == '>')
            return false;
    }
    return true;
}

static bool is_8bit(const struct dsn *dsn)
{
    return dsn->is_utf8 || dsn->has_8bit;
}

void dsn_message_id(struct mid mid, struct bytes fqdn, char out[DSN_MESSAGE_ID_BYTES])
{
    char id[ID_TEXT_BYTES];

    mid_format(mid, id);
    snprintf(out, DSN_MESSAGE_ID_BYTES, "<%s@%.*s>", id, BYTES_ARGS(bytes_first(fqdn, 255)));
}

static void add_header(struct writer *writer)
{
    const struct dsn *dsn = writer->dsn;
    char text[400], message_id[DSN_MESSAGE_ID_BYTES];

    snprintf(text, sizeof text, "Mail Delivery System <MAILER-DAEMON@%.*s>",
        BYTES_ARGS(bytes_first(dsn->fqdn, 255)));
    add_field(writer, "From", "", bytes_text(text));
    snprintf(text, sizeof text, "<%.*s>", BYTES_ARGS(bytes_first(dsn->to, 300)));
    add_address(writer, "To", "", bytes_text(text));
    add_field(writer, "Subject", "", bytes_text(first_kind(dsn)->subject));
    add_date(writer, "Date", dsn->now);
    dsn_message_id(dsn->mid, dsn->fqdn, message_id);
    add_field(writer, "Message-ID", "", bytes_text(message_id));
    if (is_message_id(dsn->original_message_id)) {
        add_field(writer, "In-Reply-To", "", dsn->original_message_id);
        add_field(writer, "References", "", dsn->original_message_id);
    }
    add_text(writer, "Auto-Submitted: auto-replied\r\n" /* RFC 3834, 5 */
                     "MIME-Version: 1.0\r\n"
                     "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                     "\tboundary=\"");
    add_text(writer, writer->boundary);
    add_text(writer, "\"\r\n");
    if (is_8bit(dsn))
        add_text(writer, "Content-Transfer-Encoding: 8bit\r\n");
    add_text(writer, "\r\nThis is a report in the format of RFC 3464.\r\n");
}

static bool is_path(struct bytes host)
{
    return host.n > 0 && host.at[0] == '/';
}

static void add_said(struct writer *writer, const struct dsn_recipient *recipient)
{
    struct buf said;

    if (recipient->reply.n == 0)
        return;
    buf_init(&said, recipient->remote_host.n + recipient->reply.n + 32);
    if (recipient->remote_host.n > 0 && !recipient->is_own_reply) {
        err_ignore(buf_add_text(&said, "The server ")); /* there is room for all of it */
        if (!is_path(recipient->remote_host)) {         /* ours are nobody's business */
            err_ignore(buf_add(&said, recipient->remote_host));
            err_ignore(buf_add_text(&said, " "));
        }
        err_ignore(buf_add_text(&said, "said: "));
    }
    err_ignore(buf_add(&said, recipient->reply));
    add_paragraph(writer, "      ", buf_bytes(&said));
    buf_done(&said);
}

static void add_text_of_recipient(struct writer *writer, const struct dsn_recipient *recipient)
{
    char text[64], date[DATE_RFC5322_BYTES];

    add_paragraph(writer, "   ", recipient->address);
    add_said(writer, recipient);
    if (recipient->action == DSN_DELAYED && recipient->will_retry_until.ms > 0) {
        wall_format_rfc5322(recipient->will_retry_until, date);
        snprintf(text, sizeof text, "It is tried until %s.", date);
        add_paragraph(writer, "      ", bytes_text(text));
    }
}

static void add_text_of_kind(struct writer *writer, enum dsn_action action)
{
    const struct dsn *dsn = writer->dsn;

    if (!has_kind(dsn, action))
        return;
    add_text(writer, "\r\n");
    add_paragraph(writer, "", bytes_text(kinds[action].lead));
    add_text(writer, "\r\n");
    for (size_t i = 0; i < dsn->recipient_count; i++) {
        if (dsn->recipients[i].action == action)
            add_text_of_recipient(writer, &dsn->recipients[i]);
    }
}

static void add_text_part(struct writer *writer)
{
    const struct dsn *dsn = writer->dsn;
    char text[400];

    add_boundary(writer, "");
    add_text(writer, dsn->is_utf8 ? "Content-Type: text/plain; charset=utf-8\r\n"
                                    "Content-Transfer-Encoding: 8bit\r\n\r\n"
                                  : "Content-Type: text/plain; charset=us-ascii\r\n\r\n");
    snprintf(text, sizeof text, "This is the mail system at %.*s.",
        BYTES_ARGS(bytes_first(dsn->fqdn, 255)));
    add_paragraph(writer, "", bytes_text(text));
    for (size_t kind = 0; kind < KIND_COUNT; kind++)
        add_text_of_kind(writer, (enum dsn_action)kind);
}

/* --- The machine's part: RFC 3464, 2 ----------------------------------------------------- */

/* "rfc822;a+2Bb@c" is said decoded (RFC 3461, 6.3).  A type of UTF-8 has an encoding of its own
 * (RFC 6533, 3), which its reader undoes. */
static void add_orcpt(struct writer *writer, struct bytes orcpt)
{
    uint8_t plain[XTEXT_BYTES_MAX];
    size_t n;

    if (orcpt.n == 0)
        return;
    if (!bytes_starts_nocase(orcpt, BYTES("utf-8;")) && xtext_decode(orcpt, plain, &n))
        orcpt = bytes_of(plain, n);
    add_address(writer, "Original-Recipient", "", orcpt);
}

static void add_envid(struct writer *writer, struct bytes envid)
{
    uint8_t plain[XTEXT_BYTES_MAX];
    size_t n;

    if (envid.n == 0)
        return;
    if (xtext_decode(envid, plain, &n))
        envid = bytes_of(plain, n);
    add_field(writer, "Original-Envelope-Id", "", envid);
}

/* A domain, or an address as RFC 5321, 4.1.3 writes it: nothing else has type dns (RFC 3464,
 * 2.3.5). */
static void add_remote_mta(struct writer *writer, struct bytes host)
{
    size_t end = bytes_find(host, '[');
    struct bytes name = end == BYTES_NOT_FOUND ? host : bytes_first(host, end);
    char literal[IP_TEXT_BYTES + sizeof "[IPv6:]"], address[IP_TEXT_BYTES];
    struct ip ip;

    if (ip_parse(name, &ip)) {
        ip_format(ip, address);
        snprintf(literal, sizeof literal, "[%s%s]", ip_is_v4(ip) ? "" : "IPv6:", address);
        add_field(writer, "Remote-MTA", "dns; ", bytes_text(literal));
    } else if (domain_is_name(name) && (writer->dsn->is_utf8 || !text_has_8bit(name))) {
        add_field(writer, "Remote-MTA", "dns; ", name);
    }
}

static void add_status_of_recipient(
    struct writer *writer, const struct dsn_recipient *recipient)
{
    const struct kind *kind = &kinds[recipient->action];
    const char *type = text_has_8bit(recipient->address) ? "utf-8; " : "rfc822; ";
    char status[STATUS_TEXT_BYTES];

    add_text(writer, "\r\n");
    add_orcpt(writer, recipient->orcpt);
    add_address(writer, "Final-Recipient", type, recipient->address);
    add_field(writer, "Action", "", bytes_text(kind->action));
    status_format(recipient->status.class ? recipient->status : kind->status, status);
    add_field(writer, "Status", "", bytes_text(status));
    add_remote_mta(writer, recipient->remote_host);
    if (recipient->reply.n > 0)
        add_field(writer, "Diagnostic-Code", "smtp; ", recipient->reply);
    if (recipient->last_attempt.ms > 0)
        add_date(writer, "Last-Attempt-Date", recipient->last_attempt);
    if (recipient->action == DSN_DELAYED && recipient->will_retry_until.ms > 0)
        add_date(writer, "Will-Retry-Until", recipient->will_retry_until);
}

static void add_status_part(struct writer *writer)
{
    const struct dsn *dsn = writer->dsn;

    add_boundary(writer, "");
    add_text(writer, dsn->is_utf8 ? "Content-Type: message/global-delivery-status\r\n"
                                    "Content-Transfer-Encoding: 8bit\r\n\r\n"
                                  : "Content-Type: message/delivery-status\r\n\r\n");
    add_envid(writer, dsn->envid);
    add_field(writer, "Reporting-MTA", "dns; ", dsn->fqdn);
    if (dsn->arrived.ms > 0)
        add_date(writer, "Arrival-Date", dsn->arrived);
    for (size_t i = 0; i < dsn->recipient_count; i++)
        add_status_of_recipient(writer, &dsn->recipients[i]);
}

/* --- The original ------------------------------------------------------------------------ */

static const char *original_type(const struct dsn *dsn)
{
    if (dsn->headers_only)
        return dsn->is_utf8 ? "message/global-headers" : "text/rfc822-headers";
    return dsn->is_utf8 ? "message/global" : "message/rfc822";
}

static struct bytes header_of(struct bytes content)
{
    struct scan scan;

    scan_init(&scan);
    scan_feed(&scan, content);
    scan_end(&scan);
    return bytes_first(content, scan.header_bytes);
}

static void add_original_part(struct writer *writer)
{
    const struct dsn *dsn = writer->dsn;

    add_boundary(writer, "");
    add_text(writer, "Content-Type: ");
    add_text(writer, original_type(dsn));
    if (is_8bit(dsn))
        add_text(writer, "\r\nContent-Transfer-Encoding: 8bit");
    add_text(writer, "\r\n\r\n");
    add(writer, dsn->original_prepend);
    add(writer, dsn->headers_only ? header_of(dsn->original) : dsn->original);
    add_boundary(writer, "--");
}

enum err dsn_format(const struct dsn *dsn, struct buf *out)
{
    struct writer writer = { .dsn = dsn, .out = out };
    size_t start = out->n;

    assert(dsn->recipient_count > 0);
    choose_boundary(&writer);
    add_header(&writer);
    add_text_part(&writer);
    add_status_part(&writer);
    add_original_part(&writer);
    if (writer.err != OK)
        out->n = start;
    return writer.err;
}

/* --- Its id ------------------------------------------------------------------------------ */

/* The hash of: the original's id, the kind (one byte), the recipients' numbers (four bytes
 * each, the lowest first). */
struct mid dsn_mid(struct mid original, const uint32_t *recipients, size_t recipient_count,
    enum dsn_action action)
{
    size_t n = sizeof original.byte + 1 + 4 * recipient_count;
    uint8_t *bytes = mem_new(n), *at = bytes;
    struct mid mid;

    memcpy(at, original.byte, sizeof original.byte);
    at += sizeof original.byte;
    *at++ = (uint8_t)action;
    for (size_t i = 0; i < recipient_count; i++) {
        for (unsigned shift = 0; shift < 32; shift += 8)
            *at++ = (uint8_t)(recipients[i] >> shift);
    }
    mid = hash_mid(bytes_of(bytes, n));
    free(bytes);
    return mid;
}
