/* MAIL, RCPT and BDAT: a copy, all of it or nothing.
 *
 * Its sender writes all of a copy before it reads a reply.  So whatever is refused, the rest is
 * read and dropped, and a chunk's bytes are never taken for commands. */
#include "proto/shadow/server_turn.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

static const struct verdict too_large = { 552, { 5, 3, 4 }, "larger than is taken here" };
static const struct verdict bad_recipient = { 501, { 5, 5, 4 }, "a recipient was malformed" };
static const struct verdict too_many = { 552, { 5, 5, 3 }, "too many recipients" };
static const struct verdict bad_done = { 501, { 5, 5, 4 }, "XDONE has no such recipients" };
static const struct verdict too_short = { 501, { 5, 5, 4 }, "less content than XPREPEND says" };
static const struct verdict unknown = { 555, { 5, 5, 4 }, "unknown parameter" };

void serve_transaction_done(struct serve_transaction *now)
{
    arena_done(&now->arena);
    free(now->recipients);
    buf_done(&now->refusal);
}

static void abandon(struct turn *turn)
{
    struct serve_transaction *now = &turn->server->now;

    if (now->has_copy)
        serve_act(turn, SHADOW_SERVER_COPY_ABANDON)->tag = now->tag;
    now->has_copy = false;
}

/* Nothing is left of it but whether the last one was refused.  The memory of a large one is given
 * back. */
static void forget(struct serve_transaction *now)
{
    enum { RECIPIENTS_KEPT = 1024 };

    arena_clear(&now->arena);
    if (now->recipient_room > RECIPIENTS_KEPT) {
        free(now->recipients);
        now->recipients = NULL;
        now->recipient_room = 0;
    }
    now->copy = (struct shadow_copy){ 0 };
    now->has_copy = now->is_refused = now->is_stray = now->is_last = false;
    now->chunk_bytes = now->chunk_bytes_left = now->body_bytes = 0;
}

void serve_clear(struct turn *turn)
{
    abandon(turn);
    forget(&turn->server->now);
    turn->server->now.was_refused = false;
}

/* From here on the content is dropped; the first reason is the answer. */
static void refuse_with(struct turn *turn, const struct shadow_outcome *outcome)
{
    struct serve_transaction *now = &turn->server->now;
    enum err err;

    abandon(turn);
    if (now->is_refused)
        return;
    now->is_refused = true;
    buf_clear(&now->refusal);
    err = shadow_add_outcome(&now->refusal, now->copy.mid, outcome);
    assert(err == OK);
}

static void refuse(struct turn *turn, const struct verdict *verdict)
{
    const struct shadow_outcome outcome = { .fate = SHADOW_REFUSED, .verdict = *verdict };

    refuse_with(turn, &outcome);
}

static bool is_too_large(const struct shadow_server *server, uint64_t more)
{
    uint64_t max = server->config->size_bytes_max;

    return max && (more > max || server->now.body_bytes > max - more);
}

/* --- MAIL and RCPT ----------------------------------------------------------------------- */

static enum shadow_params read_mail(struct serve_transaction *now, struct bytes args)
{
    struct bytes kept;
    uint8_t *scratch;
    bool has_room = arena_copy(&now->arena, args, &kept);

    scratch = arena_take(&now->arena, args.n);
    assert(has_room && scratch); /* a line is far below the ceiling */
    return shadow_parse_mail(kept, scratch, &now->copy);
}

void serve_mail(struct turn *turn, struct bytes line, struct bytes args)
{
    struct shadow_server *server = turn->server;
    struct serve_transaction *now = &server->now;
    enum shadow_params got;

    serve_clear(turn);
    now->was_refused = true;
    got = read_mail(now, args);
    if (got == SHADOW_PARAMS_SYNTAX) {
        serve_fault(turn, line, BYTES("501 5.5.4 malformed\r\n"));
    } else if (got == SHADOW_PARAMS_UNKNOWN) {
        serve_refuse(turn, &unknown);
    } else if (is_too_large(
                   server, now->copy.envelope.content_bytes + now->copy.prepend_bytes)) {
        serve_refuse(turn, &too_large);
    } else {
        now->was_refused = false;
        serve_enter(turn, SERVE_MAIL);
        serve_say(turn, BYTES("250 2.1.0 OK\r\n"));
    }
}

/* Room for one more; NULL: the envelope is full. */
static struct recipient *new_recipient(struct serve_transaction *now)
{
    enum { RECIPIENTS_FIRST = 16 };
    uint32_t count = now->copy.recipient_count;

    if (count == ENVELOPE_RECIPIENTS_MAX)
        return NULL;
    if (count == now->recipient_room) {
        now->recipient_room = count ? 2 * count : RECIPIENTS_FIRST;
        now->recipients =
            mem_grow(now->recipients, now->recipient_room * sizeof *now->recipients);
    }
    return &now->recipients[count];
}

static void refuse_recipient(struct turn *turn, struct bytes line, enum shadow_params why)
{
    bool is_first = !turn->server->now.is_refused;

    if (why == SHADOW_PARAMS_UNKNOWN) {
        refuse(turn, &unknown);
        serve_refuse(turn, &unknown);
        return;
    }
    refuse(turn, &bad_recipient);
    if (!is_first || serve_count_fault(turn, line)) /* one copy is one fault */
        serve_refuse(turn, &bad_recipient);
}

void serve_rcpt(struct turn *turn, struct bytes line, struct bytes args)
{
    struct serve_transaction *now = &turn->server->now;
    struct recipient *recipient = new_recipient(now);
    struct bytes kept;
    enum shadow_params got;

    serve_enter(turn, SERVE_RCPT);
    if (!recipient || !arena_copy(&now->arena, args, &kept)) {
        refuse(turn, &too_many);
        serve_refuse(turn, &too_many);
        return;
    }
    got = shadow_parse_rcpt(kept, recipient);
    if (got != SHADOW_PARAMS_OK) {
        refuse_recipient(turn, line, got);
        return;
    }
    now->copy.recipient_count++;
    serve_say(turn, BYTES("250 2.1.5 OK\r\n"));
}

/* --- BDAT -------------------------------------------------------------------------------- */

static bool parse_chunk(struct bytes args, uint64_t *bytes, bool *is_last)
{
    struct bytes size = bytes_first(args, bytes_find(args, ' '));
    struct bytes rest = bytes_skip(args, size.n);

    *is_last = bytes_equal_nocase(rest, BYTES(" LAST"));
    return bytes_to_number(size, UINT64_MAX, bytes) && (*is_last || rest.n == 0);
}

/* The chunk belonged to no transaction. */
static void end_stray(struct turn *turn)
{
    static const struct bytes reply = BYTES("503 5.5.1 not now\r\n");
    struct shadow_server *server = turn->server;

    server->now.is_stray = false;
    serve_enter(turn, server->resume);
    if (server->now.was_refused)
        serve_say(turn, reply);
    else
        serve_fault(turn, BYTES("BDAT"), reply);
}

static void end_copy(struct turn *turn)
{
    struct serve_transaction *now = &turn->server->now;

    if (now->has_copy && now->body_bytes < now->copy.prepend_bytes)
        refuse(turn, &too_short);
    serve_enter(turn, SERVE_READY);
    if (now->has_copy) {
        serve_act(turn, SHADOW_SERVER_COPY_END)->tag = now->tag;
        serve_wait(turn);
        now->has_copy = false;
    } else {
        serve_say(turn, buf_bytes(&now->refusal));
    }
    forget(now);
}

static void end_chunk(struct turn *turn)
{
    struct serve_transaction *now = &turn->server->now;
    struct buf *line;
    enum err err;

    if (now->is_stray) {
        end_stray(turn);
    } else if (now->is_last) {
        end_copy(turn);
    } else {
        line = serve_line(turn);
        err =
            buf_printf(line, "250 2.0.0 %llu octets\r\n", (unsigned long long)now->chunk_bytes);
        assert(err == OK);
        serve_say(turn, buf_bytes(line));
    }
}

/* The chunk's bytes come now; it may have none. */
static void enter_chunk(struct turn *turn)
{
    struct serve_transaction *now = &turn->server->now;

    serve_enter(turn, SERVE_BDAT);
    if (is_too_large(turn->server, now->chunk_bytes_left) && !now->is_stray)
        refuse(turn, &too_large);
    if (now->chunk_bytes_left == 0)
        end_chunk(turn);
}

/* All recipients are known. */
static void begin(struct turn *turn)
{
    struct shadow_server *server = turn->server;
    struct serve_transaction *now = &server->now;
    struct shadow_server_action *action;

    if (!shadow_list_check(now->copy.done, now->copy.recipient_count))
        refuse(turn, &bad_done);
    if (is_too_large(server, now->chunk_bytes_left))
        refuse(turn, &too_large);
    if (now->is_refused) {
        enter_chunk(turn);
        return;
    }
    now->tag = ++server->tag;
    now->copy.recipients = now->recipients;
    serve_enter(turn, SERVE_DECIDING);
    action = serve_act(turn, SHADOW_SERVER_COPY_BEGIN);
    action->tag = now->tag;
    action->copy = &now->copy;
}

void serve_bdat(struct turn *turn, struct bytes line, struct bytes args)
{
    static const struct verdict closing = { 421, { 5, 5, 4 }, "BDAT without a size: closing" };
    struct shadow_server *server = turn->server;
    struct serve_transaction *now = &server->now;

    if (!parse_chunk(args, &now->chunk_bytes, &now->is_last)) {
        /* Where the chunk ends is not known, and its bytes are not commands. */
        if (serve_count_fault(turn, line))
            serve_refuse(turn, &closing);
        return;
    }
    now->chunk_bytes_left = now->chunk_bytes;
    if (server->state == SERVE_RCPT) {
        begin(turn);
        return;
    }
    now->is_stray = server->state != SERVE_BDAT;
    server->resume = server->state;
    enter_chunk(turn);
}

void serve_decided(struct turn *turn, const struct shadow_outcome *outcome)
{
    assert(turn->server->state == SERVE_DECIDING);
    if (outcome)
        refuse_with(turn, outcome);
    else
        turn->server->now.has_copy = true;
    enter_chunk(turn);
}

void serve_copy_lost(struct turn *turn, uint64_t tag, const struct shadow_outcome *outcome)
{
    struct serve_transaction *now = &turn->server->now;

    if (now->has_copy && now->tag == tag) {
        now->has_copy = false;
        refuse_with(turn, outcome);
    } else if (serve_is_waiting(turn->server, tag)) {
        serve_outcome(turn, tag, outcome); /* its end was read in the same step */
    }
}

bool serve_chunk(struct turn *turn, struct bytes in, size_t *used)
{
    struct serve_transaction *now = &turn->server->now;
    struct shadow_server_action *action;
    size_t n = now->chunk_bytes_left < in.n ? (size_t)now->chunk_bytes_left : in.n;

    if (n == 0)
        return false;
    *used = n;
    now->chunk_bytes_left -= n;
    if (!now->is_stray)
        now->body_bytes += n;
    if (now->has_copy) {
        action = serve_act(turn, SHADOW_SERVER_COPY_BODY);
        action->tag = now->tag;
        action->text = bytes_first(in, n);
    }
    if (now->chunk_bytes_left == 0)
        end_chunk(turn);
    return true;
}
