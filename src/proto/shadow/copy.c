/* MAIL and RCPT of a copy: the envelope as parameters.  Those of SMTP are read where SMTP's are
 * read (proto/smtp/params.h); ours begin with X. */
#include "proto/shadow/words.h"

#include "base/ip.h"
#include "mail/address.h"
#include "proto/smtp/params.h"

/* A MAIL command that is being read. */
struct mail {
    struct shadow_copy copy;
    struct smtp_mail smtp;
    uint8_t *scratch; /* the next free byte */
    bool has_size;
};

static enum shadow_params good_if(bool is_good)
{
    return is_good ? SHADOW_PARAMS_OK : SHADOW_PARAMS_SYNTAX;
}

/* --- One function for each parameter of ours ------------------------------------------------ */

static enum shadow_params take_mid(struct mail *mail, struct bytes value)
{
    return good_if(mid_parse(value, &mail->copy.mid));
}

/* HOP is a word of a later version. */
static enum shadow_params take_shadow(struct mail *mail, struct bytes value)
{
    (void)mail;
    return bytes_equal_nocase(value, BYTES("COPY")) ? SHADOW_PARAMS_OK : SHADOW_PARAMS_UNKNOWN;
}

static enum shadow_params take_generation(struct mail *mail, struct bytes value)
{
    uint64_t number = 0;
    bool is_good = bytes_to_number(value, UINT16_MAX, &number);

    mail->copy.generation = (uint16_t)number;
    return good_if(is_good);
}

static enum shadow_params take_from(struct mail *mail, struct bytes value)
{
    struct store_id stores[SHADOW_RETIRED_MAX];
    struct shadow_copy *copy = &mail->copy;
    uint32_t count = 0;

    if (!word_is_stores(value, stores, &count) || count > 1 + SHADOW_EARLIER_MAX)
        return SHADOW_PARAMS_SYNTAX;
    copy->from = stores[0];
    copy->earlier_count = (uint8_t)(count - 1);
    memcpy(copy->earlier, stores + 1, copy->earlier_count * sizeof *stores);
    return SHADOW_PARAMS_OK;
}

static enum shadow_params take_crash(struct mail *mail, struct bytes value)
{
    uint64_t number = 0;
    bool is_good = bytes_to_number(value, UINT8_MAX, &number);

    mail->copy.envelope.crash_count = (uint8_t)number;
    return good_if(is_good);
}

static enum shadow_params take_done(struct mail *mail, struct bytes value)
{
    mail->copy.done = value;
    return good_if(value.n > 0 && shadow_list_check(value, ENVELOPE_RECIPIENTS_MAX));
}

static enum shadow_params take_arrived(struct mail *mail, struct bytes value)
{
    uint64_t number = 0;
    bool is_good = bytes_to_number(value, INT64_MAX, &number);

    mail->copy.envelope.arrived.ms = (int64_t)number;
    return good_if(is_good);
}

static enum shadow_params take_prepend(struct mail *mail, struct bytes value)
{
    uint64_t number = 0;
    bool is_good = bytes_to_number(value, UINT32_MAX, &number);

    mail->copy.prepend_bytes = (uint32_t)number;
    return good_if(is_good);
}

static enum shadow_params take_session(struct mail *mail, struct bytes value)
{
    uint8_t bytes[8];
    uint64_t number = 0;

    if (!hex_parse(value, bytes, sizeof bytes))
        return SHADOW_PARAMS_SYNTAX;
    for (size_t i = 0; i < sizeof bytes; i++)
        number = number << 8 | bytes[i];
    mail->copy.envelope.session.n = number;
    return SHADOW_PARAMS_OK;
}

/* Decodes into the scratch, which is as long as all values together. */
static enum shadow_params take_xtext(struct mail *mail, struct bytes value, struct bytes *out)
{
    if (!word_is_xtext(value, mail->scratch, out))
        return SHADOW_PARAMS_SYNTAX;
    mail->scratch += out->n;
    return SHADOW_PARAMS_OK;
}

static enum shadow_params take_connector(struct mail *mail, struct bytes value)
{
    return take_xtext(mail, value, &mail->copy.envelope.connector);
}

static enum shadow_params take_helo(struct mail *mail, struct bytes value)
{
    return take_xtext(mail, value, &mail->copy.envelope.client_name);
}

static enum shadow_params take_login(struct mail *mail, struct bytes value)
{
    return take_xtext(mail, value, &mail->copy.envelope.client_user);
}

static enum shadow_params take_address(struct mail *mail, struct bytes value)
{
    struct ip ip;

    mail->copy.envelope.client_ip = value;
    return good_if(ip_parse(value, &ip));
}

/* --- Reading ----------------------------------------------------------------------------- */

/* Without a function: SMTP's own, read by smtp_params_mail(). */
static const struct {
    struct bytes name;
    enum shadow_params (*take)(struct mail *mail, struct bytes value);
} known[] = {
    { BYTES("SIZE"), NULL },
    { BYTES("XMID"), take_mid },
    { BYTES("XSHADOW"), take_shadow },
    { BYTES("BODY"), NULL },
    { BYTES("SMTPUTF8"), NULL },
    { BYTES("RET"), NULL },
    { BYTES("ENVID"), NULL },
    { BYTES("AUTH"), NULL },
    { BYTES("MT-PRIORITY"), NULL },
    { BYTES("XGEN"), take_generation },
    { BYTES("XFROM"), take_from },
    { BYTES("XCRASH"), take_crash },
    { BYTES("XDONE"), take_done },
    { BYTES("XARRIVED"), take_arrived },
    { BYTES("XPREPEND"), take_prepend },
    { BYTES("XSESSION"), take_session },
    { BYTES("XCONNECTOR"), take_connector },
    { BYTES("XHELO"), take_helo },
    { BYTES("XADDR"), take_address },
    { BYTES("XLOGIN"), take_login },
};

enum {
    KNOWN_COUNT = sizeof known / sizeof *known,
    SEEN_SIZE = 1,
    SEEN_MID = 2,
    SEEN_SHADOW = 4
};

_Static_assert(KNOWN_COUNT <= 32, "`seen` has a bit for each");

static enum shadow_params of_smtp(enum smtp_params got)
{
    static const enum shadow_params same[] = {
        [SMTP_PARAMS_OK] = SHADOW_PARAMS_OK,
        [SMTP_PARAMS_SYNTAX] = SHADOW_PARAMS_SYNTAX,
        [SMTP_PARAMS_UNKNOWN] = SHADOW_PARAMS_UNKNOWN,
    };
    return same[got];
}

/* WORD is a parameter; a space stands before it. */
static enum shadow_params read_param(struct mail *mail, struct bytes word, uint32_t *seen)
{
    size_t equals = bytes_find(word, '=');
    struct bytes name = bytes_first(word, equals);
    unsigned i = 0;

    if (name.n == 0)
        return SHADOW_PARAMS_SYNTAX;
    while (i < KNOWN_COUNT && !bytes_equal_nocase(name, known[i].name))
        i++;
    if (i == KNOWN_COUNT) /* SMTP's reader tells a malformed one from one that is not known */
        return of_smtp(smtp_params_mail(bytes_of(word.at - 1, word.n + 1), &mail->smtp));
    if (*seen & 1u << i)
        return SHADOW_PARAMS_SYNTAX;
    *seen |= 1u << i;
    if (!known[i].take)
        return of_smtp(smtp_params_mail(bytes_of(word.at - 1, word.n + 1), &mail->smtp));
    return equals == BYTES_NOT_FOUND ? SHADOW_PARAMS_SYNTAX
                                     : known[i].take(mail, bytes_skip(word, equals + 1));
}

/* What SMTP's own parameters say, as an envelope has it. */
static enum shadow_params fill_envelope(struct mail *mail, uint32_t seen)
{
    struct envelope *envelope = &mail->copy.envelope;
    const struct smtp_mail *smtp = &mail->smtp;

    if ((seen & (SEEN_MID | SEEN_SHADOW)) != (SEEN_MID | SEEN_SHADOW))
        return SHADOW_PARAMS_SYNTAX;
    if (seen & SEEN_SIZE) {
        if (smtp->size_bytes < mail->copy.prepend_bytes)
            return SHADOW_PARAMS_SYNTAX;
        envelope->content_bytes = smtp->size_bytes - mail->copy.prepend_bytes;
    }
    envelope->envid = smtp->envid;
    envelope->auth = smtp->auth;
    envelope->ret = smtp->ret;
    envelope->body = smtp->body;
    envelope->is_smtputf8 = smtp->is_smtputf8;
    envelope->priority = smtp->priority;
    return SHADOW_PARAMS_OK;
}

/* Takes "FROM:<path>" or "TO:<path>" off *ARGS; parameters with their space are left.  Whatever
 * this product's own sessions and programs may have put into an envelope is taken. */
static bool take_path(
    struct bytes *args, struct bytes before, unsigned flags, struct bytes *address)
{
    struct address read;
    size_t used;

    if (!bytes_starts_nocase(*args, before))
        return false;
    *args = bytes_skip(*args, before.n);
    if (address_parse_path(*args, flags | ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY, &read, &used) !=
        ADDRESS_OK)
        return false;
    *args = bytes_skip(*args, used);
    *address = read.text;
    return args->n == 0 || args->at[0] == ' ';
}

enum shadow_params shadow_parse_mail(
    struct bytes args, uint8_t *scratch, struct shadow_copy *out)
{
    struct mail mail = { .scratch = scratch };
    enum shadow_params got = SHADOW_PARAMS_OK;
    struct words words;
    struct bytes word;
    uint32_t seen = 0;

    if (!take_path(&args, BYTES("FROM:"), ADDRESS_NULL, &mail.copy.envelope.sender))
        return SHADOW_PARAMS_SYNTAX;
    if (args.n == 0)
        return SHADOW_PARAMS_SYNTAX; /* a copy has a name */
    words = words_of(bytes_skip(args, 1));
    while (got == SHADOW_PARAMS_OK && words_take(&words, &word))
        got = read_param(&mail, word, &seen);
    if (got == SHADOW_PARAMS_OK)
        got = fill_envelope(&mail, seen);
    if (got == SHADOW_PARAMS_OK)
        *out = mail.copy;
    return got;
}

/* The recipient stood for those behind it (mail/envelope.h); the last parameter. */
static const struct bytes expanded = BYTES(" XEXPANDED");

enum shadow_params shadow_parse_rcpt(struct bytes args, struct recipient *out)
{
    struct recipient recipient = { .notify = 0 };
    struct smtp_rcpt rcpt = { 0 };
    enum shadow_params got;

    if (!take_path(&args, BYTES("TO:"), ADDRESS_POSTMASTER, &recipient.address))
        return SHADOW_PARAMS_SYNTAX;
    recipient.is_expanded = bytes_ends_nocase(args, expanded);
    if (recipient.is_expanded)
        args = bytes_first(args, args.n - expanded.n);
    got = of_smtp(smtp_params_rcpt(args, true, &rcpt));
    if (got != SHADOW_PARAMS_OK)
        return got;
    recipient.notify = rcpt.notify;
    recipient.orcpt = rcpt.orcpt;
    *out = recipient;
    return SHADOW_PARAMS_OK;
}

/* --- Writing ----------------------------------------------------------------------------- */

static void add_text(struct line *line, struct bytes before, struct bytes value)
{
    if (value.n == 0)
        return;
    line_add(line, before);
    line_add(line, value);
}

static void add_xtext(struct line *line, struct bytes before, struct bytes value)
{
    if (value.n == 0)
        return;
    line_add(line, before);
    line_xtext(line, value);
}

static void add_number(struct line *line, struct bytes before, uint64_t number)
{
    if (number == 0)
        return;
    line_add(line, before);
    line_number(line, number);
}

static void add_smtp_params(struct line *line, const struct envelope *envelope)
{
    static const struct bytes bodies[] = {
        [BODY_7BIT] = BYTES(""),
        [BODY_8BITMIME] = BYTES(" BODY=8BITMIME"),
        [BODY_BINARYMIME] = BYTES(" BODY=BINARYMIME"),
    };
    static const struct bytes rets[] = {
        [RET_NONE] = BYTES(""),
        [RET_FULL] = BYTES(" RET=FULL"),
        [RET_HDRS] = BYTES(" RET=HDRS"),
    };

    line_add(line, bodies[envelope->body]);
    line_add(line, envelope->is_smtputf8 ? BYTES(" SMTPUTF8") : BYTES(""));
    line_add(line, rets[envelope->ret]);
    add_text(line, BYTES(" ENVID="), envelope->envid);
    add_text(line, BYTES(" AUTH="), envelope->auth);
    if (envelope->priority < 0)
        add_number(line, BYTES(" MT-PRIORITY=-"), (uint64_t)-envelope->priority);
    else
        add_number(line, BYTES(" MT-PRIORITY="), (uint64_t)envelope->priority);
}

static void add_session(struct line *line, struct session_id session)
{
    char text[SESSION_ID_TEXT_BYTES];

    if (session.n == 0)
        return;
    session_id_format(session, text);
    add_text(line, BYTES(" XSESSION="), bytes_text(text));
}

static void add_own_params(struct line *line, const struct shadow_copy *copy)
{
    static const struct store_id none;
    const struct envelope *envelope = &copy->envelope;

    add_number(line, BYTES(" XGEN="), copy->generation);
    if (memcmp(&copy->from, &none, sizeof none) != 0) {
        line_add(line, BYTES(" XFROM="));
        line_hex(line, copy->from.byte);
        for (uint8_t i = 0; i < copy->earlier_count; i++) {
            line_add(line, BYTES(","));
            line_hex(line, copy->earlier[i].byte);
        }
    }
    add_number(line, BYTES(" XCRASH="), envelope->crash_count);
    add_text(line, BYTES(" XDONE="), copy->done);
    if (envelope->arrived.ms > 0)
        add_number(line, BYTES(" XARRIVED="), (uint64_t)envelope->arrived.ms);
    add_number(line, BYTES(" XPREPEND="), copy->prepend_bytes);
    add_session(line, envelope->session);
    add_xtext(line, BYTES(" XCONNECTOR="), envelope->connector);
    add_xtext(line, BYTES(" XHELO="), envelope->client_name);
    add_text(line, BYTES(" XADDR="), envelope->client_ip);
    add_xtext(line, BYTES(" XLOGIN="), envelope->client_user);
}

static void add_mail(struct line *line, const struct shadow_copy *copy)
{
    line_add(line, BYTES("MAIL FROM:<"));
    line_add(line, copy->envelope.sender);
    line_add(line, BYTES("> SIZE="));
    line_number(line, copy->envelope.content_bytes + copy->prepend_bytes);
    line_add(line, BYTES(" XMID="));
    line_hex(line, copy->mid.byte);
    line_add(line, BYTES(" XSHADOW=COPY"));
    add_smtp_params(line, &copy->envelope);
    add_own_params(line, copy);
    line_add(line, BYTES("\r\n"));
    if (line->err == OK && line->out->n - line->start > SHADOW_LINE_BYTES_MAX)
        line->err = ERR_LIMIT;
}

static void add_notify(struct line *line, unsigned notify)
{
    static const struct {
        enum notify notify;
        struct bytes name;
    } names[] = {
        { NOTIFY_NEVER, BYTES("NEVER") },
        { NOTIFY_SUCCESS, BYTES("SUCCESS") },
        { NOTIFY_FAILURE, BYTES("FAILURE") },
        { NOTIFY_DELAY, BYTES("DELAY") },
    };
    bool is_first = true;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (notify & names[i].notify) {
            line_add(line, is_first ? BYTES(" NOTIFY=") : BYTES(","));
            line_add(line, names[i].name);
            is_first = false;
        }
}

enum err shadow_add_copy(struct buf *out, const struct shadow_copy *copy)
{
    struct line line = line_begin(out);

    add_mail(&line, copy);
    for (uint32_t i = 0; i < copy->recipient_count; i++) {
        const struct recipient *recipient = &copy->recipients[i];

        line_add(&line, BYTES("RCPT TO:<"));
        line_add(&line, recipient->address);
        line_add(&line, BYTES(">"));
        add_notify(&line, recipient->notify);
        add_text(&line, BYTES(" ORCPT="), recipient->orcpt);
        if (recipient->is_expanded)
            line_add(&line, expanded);
        line_add(&line, BYTES("\r\n"));
    }
    return line_end(&line);
}
