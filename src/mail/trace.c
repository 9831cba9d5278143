#include "mail/trace.h"

#include "mail/fold.h"
#include "mail/text.h"

enum { NAME_BYTES_MAX = 255 };

/* What a host's name or a TLS name may have; the rest could break the field or its comments. */
static bool is_name_byte(uint8_t c)
{
    return c > ' ' && c < 127 && !strchr("()<>\\\",;@", c);
}

/* Inside a comment, between quotes: spaces too. */
static bool is_comment_byte(uint8_t c)
{
    return c >= ' ' && c < 127 && !strchr("()\\\"", c);
}

struct clean {
    char text[NAME_BYTES_MAX + 1];
};

/* FROM without harmful bytes, cut to its room.  Bytes above 127 stay in a message whose header
 * is UTF-8, when they are good UTF-8. */
static struct clean clean(struct bytes from, bool (*is_good)(uint8_t c), bool is_utf8)
{
    struct clean to;
    size_t n = 0;

    while (from.n) {
        size_t step = is_utf8 || from.at[0] < 128 ? text_printable(from) : 0;
        bool keep = step > 1 || (step == 1 && is_good(from.at[0]));
        if (step == 0)
            step = 1;
        if (n + step > NAME_BYTES_MAX)
            break;
        if (keep)
            memcpy(to.text + n, from.at, step);
        else
            to.text[n] = '?'; /* then STEP is 1 */
        n += step;
        from = bytes_skip(from, step);
    }
    to.text[n] = 0;
    return to;
}

/* "([192.0.2.1])", "([IPv6:2001:db8::1])": RFC 5321, 4.4, TCP-info. */
static void add_from(struct fold *fold, const struct trace *trace)
{
    struct clean ip = clean(trace->client_ip, is_name_byte, false);
    struct clean name = clean(trace->client_name, is_name_byte, trace->is_utf8);
    const char *tag = strchr(ip.text, ':') ? "IPv6:" : "";

    if (name.text[0])
        fold_printf(fold, "from %s", name.text);
    else if (ip.text[0])
        fold_printf(fold, "from [%s%s]", tag, ip.text);
    else
        fold_printf(fold, "from localhost");
    if (ip.text[0])
        fold_printf(fold, "([%s%s])", tag, ip.text);
}

/* RFC 3848 and RFC 6531, 3.7.3.  After HELO there is no other word than SMTP. */
static void add_protocol(struct fold *fold, const struct trace *trace)
{
    if (trace->is_smtp)
        fold_printf(fold, "with SMTP");
    else
        fold_printf(fold, "with %s%s%s", trace->is_utf8 ? "UTF8SMTP" : "ESMTP",
            trace->tls_version.n ? "S" : "", trace->user.n ? "A" : "");
}

static void add_security(struct fold *fold, const struct trace *trace)
{
    if (trace->tls_version.n) {
        struct clean version = clean(trace->tls_version, is_name_byte, false);
        struct clean cipher = clean(trace->tls_cipher, is_name_byte, false);
        fold_printf(fold, "(using %s with cipher %s)", version.text, cipher.text);
    }
    if (trace->user.n)
        fold_printf(fold, "(authenticated)");
}

/* An address is said as it is or not at all. */
static bool is_sayable(struct bytes address, bool is_utf8)
{
    if (address.n == 0 || address.n > NAME_BYTES_MAX || (!is_utf8 && text_has_8bit(address)))
        return false;
    while (address.n) {
        size_t step = text_printable(address);
        if (step == 0)
            return false;
        address = bytes_skip(address, step);
    }
    return true;
}

enum err trace_received(const struct trace *trace, struct buf *out)
{
    struct fold fold;
    struct clean by = clean(trace->by, is_name_byte, trace->is_utf8);
    struct clean connector = clean(trace->connector, is_comment_byte, trace->is_utf8);
    char id[ID_TEXT_BYTES], date[DATE_RFC5322_BYTES];

    fold_begin(&fold, out, "Received:", "\t");
    add_from(&fold, trace);
    add_security(&fold, trace);
    fold_printf(&fold, "by %s", by.text);
    add_protocol(&fold, trace);
    mid_format(trace->mid, id);
    wall_format_rfc5322(trace->now, date);
    fold_printf(&fold, "id %s", id);
    if (connector.text[0])
        fold_printf(&fold, "(connector \"%s\")", connector.text);
    if (is_sayable(trace->only_recipient, trace->is_utf8))
        fold_printf(&fold, "for <%.*s>", BYTES_ARGS(trace->only_recipient));
    fold_mark(&fold, ";");
    fold_printf(&fold, "%s", date);
    return fold_end(&fold);
}

enum err trace_date(struct wall now, struct buf *out)
{
    char date[DATE_RFC5322_BYTES];

    wall_format_rfc5322(now, date);
    return buf_printf(out, "Date: %s\r\n", date);
}

enum err trace_from(struct bytes sender, bool is_utf8, struct buf *out)
{
    if (sender.n == 0 || !is_sayable(sender, is_utf8))
        return OK;
    return buf_printf(out, "From: <%.*s>\r\n", BYTES_ARGS(sender));
}

enum err trace_message_id(struct mid mid, struct bytes fqdn, struct buf *out)
{
    struct clean host = clean(fqdn, is_name_byte, false);
    char id[ID_TEXT_BYTES];

    mid_format(mid, id);
    return buf_printf(out, "Message-ID: <%s@%s>\r\n", id, host.text);
}

enum err trace_taken_over(
    struct bytes from, struct bytes by, uint16_t generation, struct wall now, struct buf *out)
{
    struct clean was = clean(from, is_name_byte, false), is = clean(by, is_name_byte, false);
    char date[DATE_RFC5322_BYTES];
    struct fold fold;

    wall_format_rfc5322(now, date);
    fold_begin(&fold, out, "X-Relais-Taken-Over:", "\t");
    fold_printf(&fold, "from %s", was.text[0] ? was.text : "unknown");
    fold_printf(&fold, "by %s", is.text);
    fold_mark(&fold, ";");
    fold_printf(&fold, "generation %u", generation);
    fold_mark(&fold, ";");
    fold_printf(&fold, "%s", date);
    return fold_end(&fold);
}

enum err trace_return_path(struct bytes sender, struct buf *out)
{
    if (!is_sayable(sender, true))
        sender = BYTES_NONE;
    return buf_printf(out, "Return-Path: <%.*s>\r\n", BYTES_ARGS(sender));
}
