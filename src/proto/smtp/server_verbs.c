/* A command line: its verb, the order that verbs come in, and the small ones. */
#include "proto/smtp/server_turn.h"

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
    { BYTES("RCPT"), IN(MAIL) | IN(RCPT), mail_rcpt },
    { BYTES("MAIL"), IN(READY), mail_mail },
    { BYTES("DATA"), IN(MAIL) | IN(RCPT), content_data },
    { BYTES("BDAT"), IN_COMMANDS, content_bdat },
    { BYTES("EHLO"), IN_COMMANDS, hello_ehlo },
    { BYTES("HELO"), IN_COMMANDS, hello_helo },
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

/* A device that says MAIL at once, where that is tolerated. */
static void skip_hello(struct turn *turn, const struct verb *verb)
{
    struct smtp_server *server = turn->server;

    if (server->state != SMTP_SERVER_HELLO || verb->on != mail_mail ||
        !server->config->tolerates_no_helo)
        return;
    server->tolerated |= SMTP_TOLERATED_NO_HELO;
    turn_enter(turn, SMTP_SERVER_READY);
}

void verbs_line(struct turn *turn, struct bytes line)
{
    struct smtp_server *server = turn->server;
    struct bytes text = bytes_trim(line);
    struct bytes name = bytes_first(text, bytes_find(text, ' '));
    const struct verb *verb = find_verb(name);

    if (server->config->logs_lines)
        turn_act(turn, SMTP_SERVER_LINE)->text = masked(server, text, verb);
    server->command = verb ? (const char *)verb->name.at : "COMMAND";
    if (!verb) {
        turn_fault(turn, BYTES("500 5.5.1 Command not recognised\r\n"));
        return;
    }
    server->hides_unknown = verb->on == auth_begin;
    skip_hello(turn, verb);
    if (!is_in(server, verb->states))
        refuse_order(turn);
    else
        verb->on(turn, bytes_trim(bytes_skip(text, name.n)));
}
