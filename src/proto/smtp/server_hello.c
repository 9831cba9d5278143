/* HELO and EHLO, and what is offered. */
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

/* RFC 9422.  A session's messages are counted over all its EHLOs, and so is MAILMAX. */
static enum err say_limits(const struct smtp_server *server, struct buf *out)
{
    uint32_t mails_max = server->config->mails_max;

    if (mails_max == 0)
        return buf_printf(
            out, "250-LIMITS RCPTMAX=%" PRIu32 "\r\n", mail_recipients_max(server));
    return buf_printf(out, "250-LIMITS RCPTMAX=%" PRIu32 " MAILMAX=%" PRIu32 "\r\n",
        mail_recipients_max(server), mails_max);
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
void hello_accepted(struct turn *turn, bool is_extended, const char *text)
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

/* Fit to be written into a header field and a log. */
static bool is_writable(struct bytes name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.at[i] <= ' ' || name.at[i] == 127)
            return false;
    return name.n <= HELLO_NAME_BYTES_MAX;
}

static bool is_in_brackets(struct bytes name)
{
    return name.n > 2 && name.at[0] == '[' && name.at[name.n - 1] == ']';
}

/* Digits and dots alone: an address that lacks its brackets. */
static bool is_bare_address(struct bytes name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.at[i] != '.' && (name.at[i] < '0' || name.at[i] > '9'))
            return false;
    return true;
}

/* Letters, digits, hyphens and dots; above ASCII is what clients of SMTPUTF8 may say. */
static bool is_domain(struct bytes name)
{
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = ascii_lower(name.at[i]);
        bool is_good =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c > 127;
        if (!is_good)
            return false;
    }
    return name.n > 0 && !is_bare_address(name);
}

/* RFC 5321, 4.1.3: a domain or an address literal.  Whose it is, is the driver's to judge. */
static bool is_hello_name(struct bytes name)
{
    return is_writable(name) && (is_in_brackets(name) || is_domain(name));
}

/* What it said instead of a name is told: by that its owner is found. */
static void refuse_hello(struct turn *turn, struct bytes args, bool is_extended)
{
    struct bytes reply = is_extended ? BYTES("501 5.5.4 Syntax: EHLO name\r\n")
                                     : BYTES("501 5.5.4 Syntax: HELO name\r\n");

    if (args.n && bytes_find(args, ' ') == BYTES_NOT_FOUND)
        reply =
            BYTES("501 5.5.2 Invalid name: neither a domain nor an address in brackets\r\n");
    turn_fault_as(turn, "syntax", reply, bytes_first(args, HELLO_NAME_BYTES_MAX));
}

static void check_hello(struct turn *turn, struct bytes args, bool is_extended)
{
    struct smtp_server *server = turn->server;
    struct smtp_server_action *action;

    if (!is_hello_name(args)) {
        struct bytes word = bytes_first(args, bytes_find(args, ' '));
        if (!server->config->tolerates_bad_helo || !is_writable(word)) {
            refuse_hello(turn, args, is_extended);
            return;
        }
        server->tolerated |= SMTP_TOLERATED_BAD_HELO;
        args = word; /* what stands behind it is no part of a name */
    }
    action = turn_act(turn, SMTP_SERVER_CHECK_HELLO);
    action->text = args;
    action->is_extended = is_extended;
    turn_decide(turn, is_extended ? DECIDING_EHLO : DECIDING_HELO);
}

void hello_helo(struct turn *turn, struct bytes args)
{
    check_hello(turn, args, false);
}

void hello_ehlo(struct turn *turn, struct bytes args)
{
    check_hello(turn, args, true);
}
