/* Replies.  They come in the order of the commands; one that cannot be the answer to what is next
 * ends the link, since nothing behind it can be believed either. */
#include "proto/shadow/client_engine.h"

#include "base/mem.h"
#include "proto/smtp/line.h"
#include "proto/smtp/reply.h"

#include <assert.h>

enum { EHLO_LINES_MAX = 100 };

/* A line of a reply. */
struct reply_line {
    uint16_t code;
    bool is_first, is_last;
    struct bytes text, line; /* `line` as it was read, code and all */
};

static bool is_refusal(uint16_t code)
{
    return code >= 400;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* "2.0.0 " at the start. */
static struct bytes without_status(struct bytes text)
{
    struct status status;
    size_t used;

    if (text.n == 0 || !is_digit(text.at[0]) || !status_parse(text, &status, &used) ||
        used == text.n)
        return text;
    return bytes_skip(text, used + 1);
}

/* --- The beginning ----------------------------------------------------------------------- */

static void turn_away(struct shadow_client *client)
{
    struct verdict *verdict = arena_take(&client->arena, sizeof *verdict);

    assert(verdict);
    *verdict = client->refusal;
    dial_act(client, SHADOW_CLIENT_TURNED_AWAY)->verdict = verdict;
    dial_end(client);
}

static void on_banner(struct shadow_client *client, const struct reply_line *reply)
{
    if (reply->code != 220) {
        dial_fault(client, "no banner", reply->line);
        return;
    }
    if (!reply->is_last)
        return;
    dial_enter(client, DIAL_HELLO);
    dial_send(client, BYTES("EHLO "));
    dial_send(client, client->config->fqdn);
    dial_send(client, BYTES("\r\n"));
}

static void on_ehlo(struct shadow_client *client, const struct reply_line *reply)
{
    struct bytes word = bytes_first(reply->text, bytes_find(reply->text, ' '));

    if (reply->code != 250 || client->reply_lines > EHLO_LINES_MAX) {
        dial_fault(client, "no answer to EHLO", reply->line);
        return;
    }
    if (!reply->is_first) { /* the first line has its name */
        client->has_xshadow |= bytes_equal_nocase(word, BYTES("XSHADOW"));
        client->has_chunking |= bytes_equal_nocase(word, BYTES("CHUNKING"));
    }
    if (!reply->is_last)
        return;
    if (!client->has_xshadow || !client->has_chunking) {
        dial_fault(client, "it offers no XSHADOW", reply->line);
        return;
    }
    dial_enter(client, DIAL_INTRODUCING);
    dial_introduce(client);
}

static void on_introduced(struct shadow_client *client, const struct reply_line *reply)
{
    struct bytes kept;
    bool has_room = arena_copy(&client->arena, without_status(reply->text), &kept);

    assert(has_room);
    if (reply->code != 250 || !reply->is_last ||
        !shadow_parse_hello_reply(kept, &client->theirs) ||
        (client->theirs.versions & client->ours.versions) == 0) {
        dial_fault(client, "no answer to XSHADOW", reply->line);
        return;
    }
    dial_enter(client, DIAL_UP);
    dial_act(client, SHADOW_CLIENT_UP)->hello = &client->theirs;
}

/* --- Copies ------------------------------------------------------------------------------ */

/* The first refusal of a copy is its outcome. */
static void note_refusal(struct shadow_client *client, struct dial_entry *entry)
{
    if (is_refusal(client->reply_code) && !entry->refusal)
        entry->refusal = mem_copy(&client->refusal, sizeof client->refusal);
}

static void on_content_reply(
    struct shadow_client *client, struct dial_entry *entry, const struct reply_line *reply)
{
    struct shadow_outcome outcome = { .fate = SHADOW_REFUSED, .verdict = client->refusal };

    if (!entry->is_sent) {
        dial_fault(client, "a reply before its content", reply->line);
    } else if (is_refusal(reply->code) && !reply->is_first) {
        dial_outcome(client, &outcome); /* of several lines: the first one counts */
    } else if (!shadow_parse_outcome(reply->code, reply->text, entry->mid, &outcome)) {
        dial_fault(client, "no outcome of a copy", reply->line);
    } else {
        dial_outcome(client, &outcome);
    }
}

static void on_copy_reply(
    struct shadow_client *client, struct dial_entry *entry, const struct reply_line *reply)
{
    if (!is_refusal(reply->code) &&
        (reply->code != 250 || !reply->is_first || !reply->is_last)) {
        dial_fault(client, "no reply to a copy", reply->line);
        return;
    }
    if (!reply->is_last)
        return;
    if (entry->next == DIAL_AT_CONTENT) {
        on_content_reply(client, entry, reply);
        return;
    }
    note_refusal(client, entry);
    if (entry->next == DIAL_AT_RCPT)
        entry->rcpts--;
    entry->next = entry->rcpts ? DIAL_AT_RCPT : DIAL_AT_CONTENT;
}

/* --- Asks -------------------------------------------------------------------------------- */

static void begin_page(struct shadow_client *client)
{
    arena_clear(&client->page_arena);
    client->page = (struct shadow_page){ .type = client->ask };
}

/* False: malformed, or more than a page may have. */
static bool read_item(struct shadow_client *client, struct bytes text)
{
    struct shadow_page *page = &client->page;
    struct bytes kept;

    if (page->item_count == SHADOW_PAGE_MAX || !arena_copy(&client->page_arena, text, &kept))
        return false;
    if (page->item_count == client->item_room) {
        client->item_room = client->item_room ? 2 * client->item_room : 16;
        client->items = mem_grow(client->items, client->item_room * sizeof *client->items);
    }
    if (!shadow_parse_item(page->type, kept, &client->items[page->item_count]))
        return false;
    page->item_count++;
    return true;
}

static void refuse_ask(struct shadow_client *client)
{
    struct verdict *verdict = arena_take(&client->arena, sizeof *verdict);

    assert(verdict);
    *verdict = client->refusal;
    dial_drop_head(client);
    dial_act(client, SHADOW_CLIENT_ASK_REFUSED)->verdict = verdict;
}

static void on_ask_reply(struct shadow_client *client, const struct reply_line *reply)
{
    if (is_refusal(reply->code)) {
        if (reply->is_last)
            refuse_ask(client);
        return;
    }
    if (reply->is_first)
        begin_page(client);
    if (reply->code != 250 || (!reply->is_last && !read_item(client, reply->text)) ||
        (reply->is_last && !shadow_parse_page_end(reply->text, &client->page))) {
        dial_fault(client, "no answer to an ask", reply->line);
        return;
    }
    if (!reply->is_last)
        return;
    client->page.items = client->items;
    dial_drop_head(client);
    dial_act(client, SHADOW_CLIENT_PAGE)->page = &client->page;
}

/* --- All of them ------------------------------------------------------------------------- */

static void on_reply_up(struct shadow_client *client, const struct reply_line *reply)
{
    struct dial_entry *entry = dial_head(client);

    if (entry && entry->next == DIAL_AT_ASK)
        on_ask_reply(client, reply);
    else if (entry)
        on_copy_reply(client, entry, reply);
    else if (client->state == DIAL_QUITTING) /* 221, or whatever: we leave */
        dial_end(client);
    else
        dial_fault(client, "a reply too many", reply->line);
}

static void on_reply_early(struct shadow_client *client, const struct reply_line *reply)
{
    if (is_refusal(reply->code)) {
        if (reply->is_last)
            turn_away(client);
    } else if (client->state == DIAL_BANNER) {
        on_banner(client, reply);
    } else if (client->state == DIAL_HELLO) {
        on_ehlo(client, reply);
    } else {
        on_introduced(client, reply);
    }
}

static void on_reply_line(struct shadow_client *client, const struct reply_line *reply)
{
    if (reply->is_first && is_refusal(reply->code))
        client->refusal = shadow_parse_refusal(reply->code, reply->text);
    if (client->state < DIAL_UP)
        on_reply_early(client, reply);
    else if (reply->code == 421) /* it ends the link, whatever it stands for */
        dial_end(client);
    else
        on_reply_up(client, reply);
}

static void on_line(struct shadow_client *client, struct bytes line)
{
    struct reply_line reply = { .line = line, .is_first = client->reply_lines == 0 };

    if (!smtp_reply_parse_line(line, &reply.code, &reply.is_last, &reply.text) ||
        (!reply.is_first && reply.code != client->reply_code)) {
        dial_fault(client, "no reply", line);
        return;
    }
    client->reply_code = reply.code;
    client->reply_lines++;
    on_reply_line(client, &reply);
    if (reply.is_last)
        client->reply_lines = 0;
}

bool dial_read(struct shadow_client *client, struct bytes in, size_t *used)
{
    struct bytes line;
    enum smtp_line got = smtp_line_cut(in, SHADOW_LINE_BYTES_MAX, false, &line, used);

    if (got == SMTP_LINE_MORE)
        return false;
    if (client->state == DIAL_CONNECTING || got != SMTP_LINE_DONE)
        dial_fault(client, "no line", bytes_first(in, *used));
    else
        on_line(client, line);
    return true;
}
