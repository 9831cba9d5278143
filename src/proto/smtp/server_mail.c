/* MAIL and RCPT: their paths, parameters and limits. */
#include "proto/smtp/params.h"
#include "proto/smtp/server_turn.h"

uint32_t mail_recipients_max(const struct smtp_server *server)
{
    uint32_t max = server->config->recipients_max;

    return max && max < ENVELOPE_RECIPIENTS_MAX ? max : ENVELOPE_RECIPIENTS_MAX;
}

/* Takes the path off *ARGS. */
static enum address_fault take_path(
    struct smtp_server *server, struct bytes *args, unsigned flags, struct address *out)
{
    const struct smtp_server_config *config = server->config;
    enum address_fault fault;
    unsigned tolerated = 0;
    size_t used;

    while (config->tolerates_path_spaces && args->n && args->at[0] == ' ') {
        *args = bytes_skip(*args, 1);
        tolerated |= SMTP_TOLERATED_PATH_SPACES;
    }
    if (config->tolerates_no_brackets && args->n && args->at[0] != '<') {
        flags |= ADDRESS_NO_BRACKETS;
        tolerated |= SMTP_TOLERATED_NO_BRACKETS;
    }
    fault = address_parse_path(*args, flags, out, &used);
    if (fault != ADDRESS_OK)
        return fault;
    *args = bytes_skip(*args, used);
    server->tolerated |= (uint8_t)tolerated;
    return ADDRESS_OK;
}

/* What many a device does wrong is told apart from an address that is none. */
static bool lacks_bracket(struct bytes args)
{
    return args.n == 0 || args.at[0] != '<';
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
    switch (take_path(server, &args, ADDRESS_UTF8 | ADDRESS_NULL, &mail->sender)) {
    case ADDRESS_OK:
        break;
    case ADDRESS_SYNTAX:
        return lacks_bracket(args) ? BYTES("501 5.5.2 Syntax: MAIL FROM:<address>\r\n")
                                   : BYTES("501 5.1.7 Bad sender address\r\n");
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
static const struct smtp_own_refusal *refusal_of_mail(const struct smtp_server *server)
{
    static const struct smtp_own_refusal needs_tls = { "tls",
        BYTES("530 5.7.0 Must issue a STARTTLS command first\r\n") };
    static const struct smtp_own_refusal needs_auth = { "authentication",
        BYTES("530 5.7.0 Authentication required\r\n") };
    static const struct smtp_own_refusal no_more = { "messages",
        BYTES("421 4.7.0 Too many messages in this session\r\n") };
    const struct smtp_server_config *config = server->config;

    if (config->requires_tls && !server->is_tls)
        return &needs_tls;
    if (config->requires_auth && !server->is_authenticated)
        return &needs_auth;
    if (config->mails_max && server->mail_count >= config->mails_max)
        return &no_more;
    return NULL;
}

void mail_mail(struct turn *turn, struct bytes args)
{
    struct smtp_server *server = turn->server;
    const struct smtp_own_refusal *refusal = refusal_of_mail(server);
    struct bytes fault;

    server->was_refused = true; /* until it is accepted */
    if (refusal) {
        turn_reject(turn, refusal->rule, refusal->reply, BYTES_NONE);
        return;
    }
    fault = parse_mail(server, args);
    if (fault.n) {
        turn_fault(turn, fault);
        return;
    }
    if (server->config->size_bytes_max &&
        server->mail.size_bytes > server->config->size_bytes_max) {
        turn_reject(turn, "size", BYTES("552 5.3.4 Message size exceeds the limit\r\n"),
            server->mail.sender.text);
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
    switch (take_path(server, &args, flags, &rcpt->address)) {
    case ADDRESS_OK:
        break;
    case ADDRESS_SYNTAX:
        return lacks_bracket(args) ? BYTES("501 5.5.2 Syntax: RCPT TO:<address>\r\n")
                                   : BYTES("501 5.1.3 Bad recipient address\r\n");
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

void mail_rcpt(struct turn *turn, struct bytes args)
{
    struct smtp_server *server = turn->server;
    struct bytes fault = parse_rcpt(server, args);

    if (fault.n) {
        turn_fault(turn, fault);
        return;
    }
    if (server->recipient_count >= mail_recipients_max(server)) {
        /* 452 lets the client send the rest with another message: RFC 5321, 4.5.3.1.10.  A
         * list of thousands is told of once. */
        static const struct bytes full = BYTES("452 4.5.3 too many recipients\r\n");
        if (server->said_full)
            turn_reply(turn, full);
        else
            turn_reject(turn, "recipients", full, server->rcpt.address.text);
        server->said_full = true;
        return;
    }
    turn_act(turn, SMTP_SERVER_CHECK_RCPT)->rcpt = &server->rcpt;
    turn_decide(turn, DECIDING_RCPT);
}

void mail_accepted(struct turn *turn, const char *text)
{
    struct smtp_server *server = turn->server;

    server->was_refused = false;
    server->has_mail = true;
    server->mail_count++;
    server->body = server->mail.body;
    server->is_smtputf8 = server->mail.is_smtputf8;
    turn_enter(turn, SMTP_SERVER_MAIL);
    turn_accept(turn, BYTES("250 2.1.0 "), text, "Sender OK");
}

void mail_rcpt_accepted(struct turn *turn, const char *text)
{
    turn->server->recipient_count++;
    turn_enter(turn, SMTP_SERVER_RCPT);
    turn_accept(turn, BYTES("250 2.1.5 "), text, "Recipient OK");
}
