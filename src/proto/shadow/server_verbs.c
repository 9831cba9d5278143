/* Commands, and the states that take them.  Before the introduction all but EHLO, NOOP and QUIT
 * is 503: a stranger learns nothing here. */
#include "proto/shadow/server_turn.h"

#include <assert.h>

#define INTRODUCED (IN(READY) | IN(MAIL) | IN(RCPT) | IN(BDAT))

static const struct bytes out_of_order = BYTES("503 5.5.1 not now\r\n");
static const struct bytes syntax = BYTES("501 5.5.4 malformed\r\n");

/* LINE is all of the command, ARGS what stands behind the verb and one space. */
struct verb {
    struct bytes name;
    unsigned states;
    void (*on)(struct turn *turn, struct bytes line, struct bytes args);
};

static void must(enum err err)
{
    assert(err == OK); /* serve_line() has a ceiling far above any reply */
}

static void add_versions(struct buf *line)
{
    for (unsigned version = SHADOW_VERSION_MIN; version <= SHADOW_VERSION_MAX; version++)
        must(buf_printf(line, " %u", version));
}

static void on_ehlo(struct turn *turn, struct bytes line, struct bytes args)
{
    struct shadow_server *server = turn->server;
    const struct shadow_server_config *config = server->config;
    struct buf *reply;

    if (args.n == 0) {
        serve_fault(turn, line, syntax);
        return;
    }
    serve_clear(turn); /* as RSET: RFC 5321, 4.1.4 */
    serve_enter(turn, server->is_introduced ? SERVE_READY : SERVE_STRANGER);
    reply = serve_line(turn);
    must(buf_add_text(reply, "250-"));
    must(buf_add(reply, config->fqdn));
    must(buf_add_text(reply, "\r\n250-XSHADOW"));
    add_versions(reply);
    must(buf_add_text(reply,
        "\r\n250-CHUNKING\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-BINARYMIME\r\n"
        "250-SMTPUTF8\r\n250-DSN\r\n250-MT-PRIORITY\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE"));
    if (config->size_bytes_max)
        must(buf_printf(reply, " %llu", (unsigned long long)config->size_bytes_max));
    must(buf_add_text(reply, "\r\n"));
    serve_say(turn, buf_bytes(reply));
}

static void refuse_versions(struct turn *turn)
{
    struct buf *reply = serve_line(turn);

    must(buf_add_text(reply, "555 5.5.4 version not known, known:"));
    add_versions(reply);
    must(buf_add_text(reply, "\r\n"));
    serve_say(turn, buf_bytes(reply));
}

/* The highest version that both speak; 0: none. */
static uint32_t common_version(uint32_t theirs)
{
    for (unsigned version = SHADOW_VERSION_MAX; version >= SHADOW_VERSION_MIN; version--)
        if (theirs & 1u << version)
            return 1u << version;
    return 0;
}

static void on_xshadow(struct turn *turn, struct bytes line, struct bytes args)
{
    struct shadow_server *server = turn->server;
    struct bytes kept;
    bool has_room;

    serve_clear(turn);
    has_room = arena_copy(&server->now.arena, args, &kept);
    assert(has_room);
    if (!shadow_parse_hello(kept, &server->hello)) {
        serve_fault(turn, line, syntax);
        return;
    }
    server->versions = common_version(server->hello.versions);
    if (!server->versions) {
        refuse_versions(turn);
        return;
    }
    serve_enter(turn, SERVE_INTRODUCING);
    serve_act(turn, SHADOW_SERVER_HELLO)->hello = &server->hello;
}

static void ask(
    struct turn *turn, enum shadow_ask_type type, struct bytes line, struct bytes args)
{
    struct shadow_server *server = turn->server;

    if (!shadow_parse_ask(type, args, &server->ask)) {
        serve_fault(turn, line, syntax);
        return;
    }
    serve_enter(turn, SERVE_ASKED);
    serve_act(turn, SHADOW_SERVER_ASK)->ask = &server->ask;
}

static void on_discard(struct turn *turn, struct bytes line, struct bytes args)
{
    ask(turn, SHADOW_ASK_DISCARD, line, args);
}

static void on_taken(struct turn *turn, struct bytes line, struct bytes args)
{
    ask(turn, SHADOW_ASK_TAKEN, line, args);
}

static void on_audit(struct turn *turn, struct bytes line, struct bytes args)
{
    ask(turn, SHADOW_ASK_AUDIT, line, args);
}

static void on_rset(struct turn *turn, struct bytes line, struct bytes args)
{
    if (args.n) {
        serve_fault(turn, line, syntax);
        return;
    }
    serve_clear(turn);
    serve_enter(turn, SERVE_READY);
    serve_say(turn, BYTES("250 2.0.0 OK\r\n"));
}

static void on_noop(struct turn *turn, struct bytes line, struct bytes args)
{
    (void)line, (void)args; /* RFC 5321, 4.1.1.9: its argument means nothing */
    serve_say(turn, BYTES("250 2.0.0 OK\r\n"));
}

static void on_quit(struct turn *turn, struct bytes line, struct bytes args)
{
    if (args.n) {
        serve_fault(turn, line, syntax);
        return;
    }
    serve_clear(turn);
    serve_enter(turn, SERVE_QUITTING);
    serve_say(turn, BYTES("221 2.0.0 bye\r\n"));
}

/* BDAT is taken anywhere: its bytes are to be thrown away where they belong to nothing. */
static const struct verb verbs[] = {
    { BYTES("RCPT"), IN(MAIL) | IN(RCPT), serve_rcpt },
    { BYTES("MAIL"), IN(READY), serve_mail },
    { BYTES("BDAT"), IN(HELLO) | IN(STRANGER) | INTRODUCED, serve_bdat },
    { BYTES("XQDISCARD"), IN(READY), on_discard },
    { BYTES("XQTAKEN"), IN(READY), on_taken },
    { BYTES("XQAUDIT"), IN(READY), on_audit },
    { BYTES("NOOP"), IN(HELLO) | IN(STRANGER) | INTRODUCED, on_noop },
    { BYTES("RSET"), INTRODUCED, on_rset },
    { BYTES("EHLO"), IN(HELLO) | IN(STRANGER) | INTRODUCED, on_ehlo },
    { BYTES("XSHADOW"), IN(STRANGER), on_xshadow },
    { BYTES("QUIT"), IN(HELLO) | IN(STRANGER) | INTRODUCED, on_quit },
};

static const struct verb *find_verb(struct bytes name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (bytes_equal_nocase(name, verbs[i].name))
            return &verbs[i];
    return NULL;
}

void serve_command(struct turn *turn, struct bytes line)
{
    struct shadow_server *server = turn->server;
    struct bytes name = bytes_first(line, bytes_find(line, ' '));
    const struct verb *verb = find_verb(name);

    if (verb && serve_is_in(server, verb->states))
        verb->on(turn, line, bytes_skip(line, name.n + (name.n < line.n)));
    else if (server->now.was_refused && verb && verb->on == serve_rcpt)
        serve_say(turn, out_of_order); /* sent before the refusal of MAIL could be read */
    else if (verb || !server->is_introduced)
        serve_fault(turn, line, out_of_order);
    else
        serve_fault(turn, line, BYTES("500 5.5.1 unknown command\r\n"));
}
