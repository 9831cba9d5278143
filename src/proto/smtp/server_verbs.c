#include "proto/smtp/params.h"
#include "proto/smtp/server_turn.h"

#include <assert.h>
#include <inttypes.h>

enum { HELLO_NAME_BYTES_MAX = 255 };

/* The extensions that every client gets; SIZE ends the list. */
static const char extensions[] = "250-PIPELINING\r\n"
                                 "250-8BITMIME\r\n"
                                 "250-SMTPUTF8\r\n"
                                 "250-CHUNKING\r\n"
                                 "250-BINARYMIME\r\n"
                                 "250-DSN\r\n"
                                 "250-ENHANCEDSTATUSCODES\r\n"
                                 "250-MT-PRIORITY MIXER\r\n"; /* RFC 6710, 9.2 */

static uint32_t recipients_max(const struct smtp_server *server)
{
    uint32_t max = server->config->recipients_max;

    return max && max < ENVELOPE_RECIPIENTS_MAX ? max : ENVELOPE_RECIPIENTS_MAX;
}

/* RFC 9422.  A session's messages are counted over all its EHLOs, and so is MAILMAX. */
static enum err say_limits(const struct smtp_server *server, struct buf *out)
{
    uint32_t mails_max = server->config->mails_max;

    if (mails_max == 0)
        return buf_printf(out, "250-LIMITS RCPTMAX=%" PRIu32 "\r\n", recipients_max(server));
    return buf_printf(out, "250-LIMITS RCPTMAX=%" PRIu32 " MAILMAX=%" PRIu32 "\r\n",
        recipients_max(server), mails_max);
}

static bool offers_auth(const struct smtp_server *server)
{
    const struct smtp_server_config *config = server->config;

    return config->auth_mechanisms.n && !server->is_authenticated &&
           (server->is_tls || config->offers_auth_plain_text);
}

static void say_ehlo(struct turn *turn, const char *text)
{
    const struct smtp_server *server = turn->server;
    const struct smtp_server_config *config = server->config;
    enum err err;

    turn_reply(turn, BYTES("250-"));
    turn_reply(turn, config->fqdn);
    turn_accept(turn, text[0] ? BYTES(" ") : BYTES(""), text, "");
    turn_reply(turn, BYTES(extensions));
    err = say_limits(server, turn->out);
    assert(err == OK);
    if (config->offers_starttls && !server->is_tls)
        turn_reply(turn, BYTES("250-STARTTLS\r\n"));
    if (offers_auth(server)) {
        turn_reply(turn, BYTES("250-AUTH "));
        turn_reply(turn, config->auth_mechanisms);
        turn_reply(turn, BYTES("\r\n"));
    }
    err = buf_printf(turn->out, "250 SIZE %" PRIu64 "\r\n", config->size_bytes_max);
    assert(err == OK);
}

/* A second EHLO does what RSET does: RFC 5321, 4.1.4. */
void verbs_hello_accepted(struct turn *turn, bool is_extended, const char *text)
{
    struct smtp_server *server = turn->server;

    turn_clear(turn);
    server->has_hello = true;
    server->is_extended = is_extended;
    server->was_refused = false;
    turn_enter(turn, SMTP_SERVER_READY);
    if (is_extended) {
        say_ehlo(turn, text);
        return;
    }
    turn_reply(turn, BYTES("250 "));
    turn_reply(turn, turn->server->config->fqdn);
    turn_accept(turn, text[0] ? BYTES(" ") : BYTES(""), text, "");
}

/* The name is for the driver to judge (RFC 5321, 4.1.4); here it must only be fit to be written
 * into a header field and a log. */
static bool is_hello_name(struct bytes name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.at[i] <= ' ' || name.at[i] == 127)
            return false;
    return name.n > 0 && name.n <= HELLO_NAME_BYTES_MAX;
}

static void check_hello(struct turn *turn, struct bytes args, bool is_extended)
{
    struct smtp_server_action *action;

    if (!is_hello_name(args)) {
        turn_fault(turn, is_extended ? BYTES("501 5.5.4 Syntax: EHLO name\r\n")
                                     : BYTES("501 5.5.4 Syntax: HELO name\r\n"));
        return;
    }
    action = turn_act(turn, SMTP_SERVER_CHECK_HELLO);
    action->text = args;
    action->is_extended = is_extended;
    turn_decide(turn, is_extended ? DECIDING_EHLO : DECIDING_HELO);
}

static void on_helo(struct turn *turn, struct bytes args)
{
    check_hello(turn, args, false);
}

static void on_ehlo(struct turn *turn, struct bytes args)
{
    check_hello(turn, args, true);
}

/* Takes the path off *ARGS. */
static enum address_fault take_path(const struct smtp_server_config *config, struct bytes *args,
    unsigned flags, struct address *out)
{
    enum address_fault fault;
    size_t used;

    while (config->tolerates_path_spaces && args->n && args->at[0] == ' ')
        *args = bytes_skip(*args, 1);
    if (config->tolerates_no_brackets)
        flags |= ADDRESS_NO_BRACKETS;
    fault = address_parse_path(*args, flags, out, &used);
    if (fault == ADDRESS_OK)
        *args = bytes_skip(*args, used);
    return fault;
}

static const struct bytes params_syntax = BYTES("501 5.5.4 Malformed parameter\r\n");
static const struct bytes params_unknown = BYTES("555 5.5.4 Unknown parameter\r\n");
static const struct bytes not_ascii = BYTES("553 5.6.7 The address needs SMTPUTF8\r\n");

/* The reply to a fault; empty: there is none, and server->mail is filled. */
static struct bytes parse_mail(struct smtp_server *server, struct bytes args)
{
    struct smtp_mail *mail = &server->mail;

    *mail = (struct smtp_mail){ 0 };
    if (!bytes_starts_nocase(args, BYTES("FROM:")))
        return BYTES("501 5.5.4 Syntax: MAIL FROM:<address>\r\n");
    args = bytes_skip(args, 5);
    switch (take_path(server->config, &args, ADDRESS_UTF8 | ADDRESS_NULL, &mail->sender)) {
    case ADDRESS_OK:
        break;
    case ADDRESS_SYNTAX:
        return BYTES("501 5.1.7 Bad sender address\r\n");
    case ADDRESS_TOO_LONG:
        return BYTES("501 5.1.7 Sender address too long\r\n");
    case ADDRESS_NOT_ASCII:
        return not_ascii;
    }
    switch (smtp_params_mail(args, mail)) {
    case SMTP_PARAMS_OK:
        break;
    case SMTP_PARAMS_SYNTAX:
        return params_syntax;
    case SMTP_PARAMS_UNKNOWN:
        return params_unknown;
    }
    return mail->sender.is_utf8 && !mail->is_smtputf8 ? not_ascii : BYTES_NONE;
}

/* The refusal that the session's state calls for; NULL: none. */
static const struct verdict *refusal_of_mail(const struct smtp_server *server)
{
    static const struct verdict needs_tls = { 530, { 5, 7, 0 },
        "Must issue a STARTTLS command first" };
    static const struct verdict needs_auth = { 530, { 5, 7, 0 }, "Authentication required" };
    static const struct verdict no_more = { 421, { 4, 7, 0 },
        "Too many messages in this session" };
    const struct smtp_server_config *config = server->config;

    if (config->requires_tls && !server->is_tls)
        return &needs_tls;
    if (config->requires_auth && !server->is_authenticated)
        return &needs_auth;
    if (config->mails_max && server->mail_count >= config->mails_max)
        return &no_more;
    return NULL;
}

static void on_mail(struct turn *turn, struct bytes args)
{
    static const struct verdict too_large = { 552, { 5, 3, 4 },
        "Message size exceeds the limit" };
    struct smtp_server *server = turn->server;
    const struct verdict *refusal = refusal_of_mail(server);
    struct bytes fault;

    server->was_refused = true; /* until it is accepted */
    if (refusal) {
        turn_refuse(turn, refusal);
        return;
    }
    fault = parse_mail(server, args);
    if (fault.n) {
        turn_fault(turn, fault);
        return;
    }
    if (server->config->size_bytes_max &&
        server->mail.size_bytes > server->config->size_bytes_max) {
        turn_refuse(turn, &too_large);
        return;
    }
    turn_act(turn, SMTP_SERVER_CHECK_MAIL)->mail = &server->mail;
    turn_decide(turn, DECIDING_MAIL);
}

/* As parse_mail(), for server->rcpt. */
static struct bytes parse_rcpt(struct smtp_server *server, struct bytes args)
{
    struct smtp_rcpt *rcpt = &server->rcpt;
    unsigned flags = ADDRESS_POSTMASTER | (server->is_smtputf8 ? ADDRESS_UTF8 : 0);

    *rcpt = (struct smtp_rcpt){ 0 };
    if (!bytes_starts_nocase(args, BYTES("TO:")))
        return BYTES("501 5.5.4 Syntax: RCPT TO:<address>\r\n");
    args = bytes_skip(args, 3);
    switch (take_path(server->config, &args, flags, &rcpt->address)) {
    case ADDRESS_OK:
        break;
    case ADDRESS_SYNTAX:
        return BYTES("501 5.1.3 Bad recipient address\r\n");
    case ADDRESS_TOO_LONG:
        return BYTES("501 5.1.3 Recipient address too long\r\n");
    case ADDRESS_NOT_ASCII:
        return not_ascii;
    }
    switch (smtp_params_rcpt(args, server->is_smtputf8, rcpt)) {
    case SMTP_PARAMS_OK:
        break;
    case SMTP_PARAMS_SYNTAX:
        return params_syntax;
    case SMTP_PARAMS_UNKNOWN:
        return params_unknown;
    }
    return BYTES_NONE;
}

static void on_rcpt(struct turn *turn, struct bytes args)
{
    struct smtp_server *server = turn->server;
    struct bytes fault = parse_rcpt(server, args);

    if (fault.n) {
        turn_fault(turn, fault);
        return;
    }
    if (server->recipient_count >= recipients_max(server)) {
        /* 452 lets the client send the rest with another message: RFC 5321, 4.5.3.1.10. */
        turn_reply(turn, BYTES("452 4.5.3 too many recipients\r\n"));
        return;
    }
    turn_act(turn, SMTP_SERVER_CHECK_RCPT)->rcpt = &server->rcpt;
    turn_decide(turn, DECIDING_RCPT);
}

static void on_rset(struct turn *turn, struct bytes args)
{
    struct smtp_server *server = turn->server;

    if (args.n) {
        turn_fault(turn, BYTES("501 5.5.4 Syntax: RSET\r\n"));
        return;
    }
    turn_clear(turn);
    server->was_refused = false;
    if (is_in(server, IN(MAIL) | IN(RCPT) | IN(BDAT)))
        turn_enter(turn, SMTP_SERVER_READY);
    turn_reply(turn, BYTES("250 2.0.0 Reset\r\n"));
}

static void on_noop(struct turn *turn, struct bytes args)
{
    (void)args;
    turn_reply(turn, BYTES("250 2.0.0 OK\r\n"));
}

static void on_quit(struct turn *turn, struct bytes args)
{
    (void)args; /* whoever adds something still wants to go */
    turn_reply(turn, BYTES("221 2.0.0 Bye\r\n"));
    turn_close(turn);
}

static void on_vrfy(struct turn *turn, struct bytes args)
{
    if (args.n)
        turn_reply(turn, BYTES("252 2.1.5 Cannot verify, but will accept and try\r\n"));
    else
        turn_fault(turn, BYTES("501 5.5.4 Syntax: VRFY address\r\n"));
}

static void on_expn(struct turn *turn, struct bytes args)
{
    (void)args;
    turn_fault(turn, BYTES("502 5.5.1 EXPN is not done here\r\n"));
}

static void on_help(struct turn *turn, struct bytes args)
{
    (void)args;
    turn_reply(turn, BYTES("214-2.0.0 HELO EHLO MAIL RCPT DATA BDAT RSET NOOP QUIT\r\n"
                           "214 2.0.0 VRFY HELP STARTTLS AUTH\r\n"));
}

static void on_starttls(struct turn *turn, struct bytes args)
{
    struct smtp_server *server = turn->server;

    if (args.n) {
        turn_fault(turn, BYTES("501 5.5.4 Syntax: STARTTLS\r\n"));
    } else if (server->is_tls) {
        turn_fault(turn, BYTES("503 5.5.1 TLS is on already\r\n"));
    } else if (!server->config->offers_starttls) {
        turn_fault(turn, BYTES("502 5.5.1 STARTTLS is not offered\r\n"));
    } else {
        turn_reply(turn, BYTES("220 2.0.0 Ready to start TLS\r\n"));
        turn_act(turn, SMTP_SERVER_START_TLS);
        turn_enter(turn, SMTP_SERVER_STARTING_TLS);
    }
}

#define IN_COMMANDS (IN(HELLO) | IN(READY) | IN(MAIL) | IN(RCPT) | IN(BDAT))

/* Which states take a verb.  Elsewhere it is answered 503 (RFC 5321, 4.1.4).  DATA and BDAT
 * look themselves: what follows them depends on the state. */
static const struct verb {
    struct bytes name;
    unsigned states;
    void (*on)(struct turn *turn, struct bytes args);
} verbs[] = {
    { BYTES("RCPT"), IN(MAIL) | IN(RCPT), on_rcpt },
    { BYTES("MAIL"), IN(READY), on_mail },
    { BYTES("DATA"), IN(MAIL) | IN(RCPT), content_data },
    { BYTES("BDAT"), IN_COMMANDS, content_bdat },
    { BYTES("EHLO"), IN_COMMANDS, on_ehlo },
    { BYTES("HELO"), IN_COMMANDS, on_helo },
    { BYTES("RSET"), IN_COMMANDS, on_rset },
    { BYTES("NOOP"), IN_COMMANDS, on_noop },
    { BYTES("QUIT"), IN_COMMANDS, on_quit },
    { BYTES("VRFY"), IN_COMMANDS, on_vrfy },
    { BYTES("EXPN"), IN_COMMANDS, on_expn },
    { BYTES("HELP"), IN_COMMANDS, on_help },
    { BYTES("STARTTLS"), IN(HELLO) | IN(READY), on_starttls },
    { BYTES("AUTH"), IN(READY), auth_begin },
};

static const struct verb *find_verb(struct bytes name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (bytes_equal_nocase(name, verbs[i].name))
            return &verbs[i];
    return NULL;
}

/* A client that pipelines sends RCPT and DATA before it hears that MAIL was refused: RFC 2920,
 * 3.1.  That is no fault. */
static void refuse_order(struct turn *turn)
{
    struct smtp_server *server = turn->server;
    struct bytes reply = BYTES("503 5.5.1 Not during a transaction\r\n");

    if (server->state == SMTP_SERVER_HELLO)
        reply = BYTES("503 5.5.1 Send EHLO or HELO first\r\n");
    else if (server->state == SMTP_SERVER_READY)
        reply = BYTES("503 5.5.1 Send MAIL first\r\n");
    if (server->was_refused)
        turn_reply(turn, reply);
    else
        turn_fault(turn, reply);
}

/* What the protocol log may see of LINE: of AUTH the mechanism; of an unknown verb nothing
 * while it may be a password that was sent behind a refused AUTH. */
static struct bytes masked(
    const struct smtp_server *server, struct bytes line, const struct verb *verb)
{
    if (!verb && server->hides_unknown)
        return BYTES("(not shown)");
    if (bytes_starts_nocase(line, BYTES("AUTH"))) {
        size_t end = 4;
        if (verb)
            for (end = 5; end < line.n && line.at[end] != ' ' && line.at[end] != '\t';)
                end++;
        return bytes_first(line, end);
    }
    return line;
}

void verbs_line(struct turn *turn, struct bytes line)
{
    struct smtp_server *server = turn->server;
    struct bytes text = bytes_trim(line);
    struct bytes name = bytes_first(text, bytes_find(text, ' '));
    const struct verb *verb = find_verb(name);

    if (server->config->logs_lines)
        turn_act(turn, SMTP_SERVER_LINE)->text = masked(server, text, verb);
    if (!verb) {
        turn_fault(turn, BYTES("500 5.5.1 Command not recognised\r\n"));
        return;
    }
    server->hides_unknown = verb->on == auth_begin;
    if (!is_in(server, verb->states))
        refuse_order(turn);
    else
        verb->on(turn, bytes_trim(bytes_skip(text, name.n)));
}
