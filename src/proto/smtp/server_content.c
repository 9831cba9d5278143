/* DATA and BDAT: RFC 5321 4.1.1.4, RFC 3030.
 *
 * Content that is refused is still read to its end, since the client sends it whatever we say;
 * it is scanned on, so that the answer does not depend on how the input was split.  The driver
 * is told to abandon it when the first fault is seen.
 *
 * A chunk that comes out of order is read and thrown away too: what stands in it must never be
 * taken for commands. */
#include "proto/smtp/server_turn.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

static const struct smtp_own_refusal too_large = { "size",
    BYTES("552 5.3.4 Message size exceeds the limit\r\n") };
static const struct smtp_own_refusal bare = { "bare-line-end",
    BYTES("550 5.6.11 Bare CR or LF in the message\r\n") };
static const struct smtp_own_refusal nul = { "nul", BYTES("550 5.6.0 NUL in the message\r\n") };
static const struct smtp_own_refusal no_recipients = { "no-recipients",
    BYTES("554 5.5.1 No valid recipients\r\n") };
static const struct smtp_own_refusal no_mail = { "sequence",
    BYTES("503 5.5.1 Send MAIL first\r\n") };

/* From here on content is thrown away. */
static void give_up(struct turn *turn)
{
    turn_forget(turn);
    turn->server->is_failed = true;
}

/* As give_up(), with the driver's answer; the first one stays. */
static void fail(struct turn *turn, const struct verdict *verdict)
{
    struct smtp_server *server = turn->server;

    give_up(turn);
    if (!server->failure && !server->own_failure)
        server->failure = mem_copy(verdict, sizeof *verdict);
}

static void fail_too_large(struct turn *turn)
{
    struct smtp_server *server = turn->server;

    give_up(turn);
    if (!server->failure && !server->own_failure)
        server->own_failure = &too_large;
}

static bool is_too_large(const struct smtp_server *server, uint64_t bytes)
{
    uint64_t max = server->config->size_bytes_max;

    return max && (bytes > max || server->body_bytes > max - bytes);
}

/* Why we refuse the content so far; NULL: it is good, or the driver has refused it. */
static const struct smtp_own_refusal *own_refusal(const struct smtp_server *server)
{
    if (server->failure)
        return NULL;
    if (server->own_failure)
        return server->own_failure;
    if (server->unstuff.saw_bare && !server->unstuff.normalise_bare)
        return &bare;
    if (server->unstuff.saw_nul)
        return &nul;
    return is_too_large(server, 0) ? &too_large : NULL;
}

static bool is_refused(const struct smtp_server *server)
{
    return server->failure || own_refusal(server);
}

/* A run of content, or what the scanner learnt without one. */
static void take_run(struct turn *turn, struct bytes run)
{
    struct smtp_server *server = turn->server;

    server->body_bytes += run.n;
    if (server->unstuff.saw_bare && server->unstuff.normalise_bare)
        server->tolerated |= SMTP_TOLERATED_BARE_LF;
    if (server->is_failed)
        return;
    if (is_refused(server))
        give_up(turn);
    else if (run.n)
        turn_act(turn, SMTP_SERVER_BODY)->text = run;
}

static void start(struct smtp_server *server, bool is_bdat)
{
    server->is_bdat = is_bdat;
    server->body_bytes = 0;
    smtp_unstuff_init(&server->unstuff, server->config->tolerates_bare_lf);
    server->unstuff.is_counted = is_bdat;
}

/* The message's last byte was read. */
static void end_message(struct turn *turn)
{
    struct smtp_server *server = turn->server;
    const struct smtp_own_refusal *why = own_refusal(server);
    struct verdict verdict;

    if (!is_refused(server)) {
        turn_act(turn, SMTP_SERVER_BODY_END);
        server->has_body = server->has_mail = false; /* the path has it now */
        turn_enter(turn, SMTP_SERVER_COMMITTING);
        return;
    }
    if (!why)
        verdict = *server->failure;
    turn_clear(turn);
    server->was_refused = true;
    turn_enter(turn, SMTP_SERVER_READY);
    if (why)
        turn_reject(turn, why->rule, why->reply, BYTES_NONE);
    else
        turn_refuse(turn, &verdict);
}

void content_data(struct turn *turn, struct bytes args)
{
    struct smtp_server *server = turn->server;

    if (args.n) {
        turn_fault(turn, BYTES("501 5.5.4 Syntax: DATA\r\n"));
    } else if (server->state == SMTP_SERVER_MAIL) {
        turn_reject(turn, no_recipients.rule, no_recipients.reply, BYTES_NONE);
    } else if (server->body == BODY_BINARYMIME) {
        turn_fault(turn, BYTES("503 5.5.1 BINARYMIME needs BDAT\r\n")); /* RFC 3030, 3 */
    } else {
        start(server, false);
        turn_act(turn, SMTP_SERVER_BODY_BEGIN);
        turn_decide(turn, DECIDING_BODY);
    }
}

bool content_read_data(struct turn *turn, struct bytes in, size_t *used)
{
    struct smtp_server *server = turn->server;
    struct bytes run = BYTES_NONE;
    enum smtp_unstuff_step step = smtp_unstuff_step(&server->unstuff, in, &run, used);

    take_run(turn, step == SMTP_UNSTUFF_CONTENT ? run : BYTES_NONE);
    if (step == SMTP_UNSTUFF_END)
        end_message(turn);
    return step != SMTP_UNSTUFF_MORE;
}

/* A chunk that belongs to no message, or to one that is over, has been thrown away. */
static void end_stray_chunk(struct turn *turn)
{
    struct smtp_server *server = turn->server;
    const struct smtp_own_refusal *why = server->own_failure;

    server->own_failure = NULL;
    server->is_failed = false;
    turn_enter(turn, server->resume);
    if (why == &no_recipients)
        turn_reject(turn, why->rule, why->reply, BYTES_NONE);
    else if (server->was_refused) /* pipelined behind a refused MAIL: no fault */
        turn_reply(turn, why->reply);
    else
        turn_fault_as(turn, why->rule, why->reply, BYTES_NONE);
}

static void end_chunk(struct turn *turn)
{
    struct smtp_server *server = turn->server;
    struct bytes run;

    if (!server->is_bdat) {
        end_stray_chunk(turn);
        return;
    }
    if (server->is_bdat_last && server->body != BODY_BINARYMIME) {
        smtp_unstuff_finish(&server->unstuff, &run);
        take_run(turn, run);
    }
    if (server->is_bdat_last || is_refused(server))
        end_message(turn);
    else
        turn_reply(turn, BYTES("250 2.0.0 Chunk received\r\n"));
}

bool content_read_chunk(struct turn *turn, struct bytes in, size_t *used)
{
    struct smtp_server *server = turn->server;
    struct bytes piece = bytes_first(
        in, server->chunk_bytes_left < in.n ? (size_t)server->chunk_bytes_left : in.n);
    struct bytes run = piece;

    assert(server->chunk_bytes_left > 0);
    if (piece.n == 0)
        return false;
    *used = piece.n;
    if (server->is_bdat && server->body != BODY_BINARYMIME &&
        smtp_unstuff_step(&server->unstuff, piece, &run, used) != SMTP_UNSTUFF_CONTENT)
        run = BYTES_NONE;
    server->chunk_bytes_left -= *used;
    if (server->is_bdat)
        take_run(turn, run);
    if (server->chunk_bytes_left == 0)
        end_chunk(turn);
    return true;
}

/* The bytes of the chunk come now; none of them may be the last already. */
static void enter_chunk(struct turn *turn)
{
    struct smtp_server *server = turn->server;

    if (server->state != SMTP_SERVER_BDAT)
        turn_enter(turn, SMTP_SERVER_BDAT);
    if (server->chunk_bytes_left == 0)
        end_chunk(turn);
}

static void throw_chunk_away(struct turn *turn, const struct smtp_own_refusal *why)
{
    struct smtp_server *server = turn->server;

    server->resume = server->state;
    server->is_failed = true;
    server->own_failure = why;
    enter_chunk(turn);
}

static bool parse_chunk(struct bytes args, uint64_t *bytes, bool *is_last)
{
    struct bytes size = bytes_first(args, bytes_find(args, ' '));
    struct bytes rest = bytes_trim(bytes_skip(args, size.n));

    *is_last = bytes_equal_nocase(rest, BYTES("LAST"));
    return bytes_to_number(size, UINT64_MAX, bytes) && (*is_last || rest.n == 0);
}

void content_bdat(struct turn *turn, struct bytes args)
{
    struct smtp_server *server = turn->server;

    if (!parse_chunk(args, &server->chunk_bytes_left, &server->is_bdat_last)) {
        /* Where the chunk ends is not known, and its bytes are not commands. */
        turn_fault(turn, BYTES("501 5.5.4 Syntax: BDAT size [LAST]; closing\r\n"));
        if (server->state != SMTP_SERVER_CLOSED)
            turn_close(turn);
    } else if (server->state == SMTP_SERVER_MAIL) {
        throw_chunk_away(turn, &no_recipients);
    } else if (server->state == SMTP_SERVER_RCPT) {
        start(server, true);
        turn_act(turn, SMTP_SERVER_BODY_BEGIN);
        turn_decide(turn, DECIDING_BODY);
    } else if (server->state == SMTP_SERVER_BDAT) {
        if (!server->is_failed && is_too_large(server, server->chunk_bytes_left))
            fail_too_large(turn);
        enter_chunk(turn);
    } else {
        throw_chunk_away(turn, &no_mail);
    }
}

static void bdat_decided(struct turn *turn, const struct verdict *verdict)
{
    struct smtp_server *server = turn->server;

    server->has_body = verdict_is_ok(verdict);
    if (!server->has_body)
        fail(turn, verdict);
    else if (is_too_large(server, server->chunk_bytes_left))
        fail_too_large(turn);
    enter_chunk(turn);
}

void content_decided(struct turn *turn, const struct verdict *verdict)
{
    struct smtp_server *server = turn->server;

    if (server->is_bdat) {
        bdat_decided(turn, verdict);
    } else if (verdict_is_ok(verdict)) {
        server->has_body = true;
        turn_enter(turn, SMTP_SERVER_DATA);
        turn_reply(turn, BYTES("354 End data with <CR><LF>.<CR><LF>\r\n"));
    } else {
        turn_clear(turn);
        server->was_refused = true;
        turn_enter(turn, SMTP_SERVER_READY);
        turn_refuse(turn, verdict);
    }
}

/* The driver has forgotten it already: nothing is left to be told. */
void content_failed(struct turn *turn, const struct verdict *verdict)
{
    struct smtp_server *server = turn->server;

    assert(!verdict_is_ok(verdict));
    if (!server->has_body)
        return;
    server->has_body = server->has_mail = false;
    fail(turn, verdict);
}
