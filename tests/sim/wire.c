/* Frames: what is said on a link, as the bytes that proto/shadow writes and reads.  How many
 * bytes arrive at a time is no matter here; the engines have their own tests for that. */
#include "sim.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

enum { FRAME_BYTES_MAX = 1 << 20 };

/* Takes OUT's bytes. */
static struct frame *frame_of(enum frame_kind kind, struct buf *out)
{
    struct frame *frame = mem_new(sizeof *frame + out->n);

    frame->kind = kind;
    frame->n = out->n;
    frame->bytes = (uint8_t *)(frame + 1);
    if (out->n)
        memcpy(frame->bytes, out->at, out->n);
    buf_done(out);
    return frame;
}

static struct buf begin(void)
{
    struct buf out;

    buf_init(&out, FRAME_BYTES_MAX);
    return out;
}

/* The next line without its CRLF; false at the end. */
static bool next_line(struct bytes *rest, struct bytes *line)
{
    size_t n = bytes_find(*rest, '\r');

    if (n == BYTES_NOT_FOUND)
        return false;
    assert(n + 1 < rest->n && rest->at[n + 1] == '\n');
    *line = bytes_first(*rest, n);
    *rest = bytes_skip(*rest, n + 2);
    return true;
}

static struct bytes bytes_in(const struct frame *frame)
{
    return bytes_of(frame->bytes, frame->n);
}

static struct bytes only_line(const struct frame *frame)
{
    struct bytes rest = bytes_in(frame), line = BYTES_NONE;
    bool has_line = next_line(&rest, &line);

    assert(has_line && rest.n == 0);
    return line;
}

static bool take(struct bytes *text, struct bytes start)
{
    if (!bytes_starts(*text, start))
        return false;
    *text = bytes_skip(*text, start.n);
    return true;
}

/* --- Introductions ----------------------------------------------------------------------- */

struct frame *frame_plain(enum frame_kind kind)
{
    struct buf out = begin();

    return frame_of(kind, &out);
}

struct frame *frame_hello(const struct shadow_hello *hello, bool is_reply)
{
    struct buf out = begin();
    enum err err =
        is_reply ? shadow_add_hello_reply(&out, hello) : shadow_add_hello_command(&out, hello);

    assert(!err);
    return frame_of(is_reply ? FRAME_WELCOME : FRAME_HELLO, &out);
}

bool frame_read_hello(const struct frame *frame, struct shadow_hello *out)
{
    struct bytes text = only_line(frame);

    if (frame->kind == FRAME_WELCOME)
        return take(&text, BYTES("250 2.0.0 ")) && shadow_parse_hello_reply(text, out);
    return take(&text, BYTES("XSHADOW ")) && shadow_parse_hello(text, out);
}

struct frame *frame_verdict(enum frame_kind kind, const struct verdict *verdict)
{
    struct buf out = begin();
    enum err err = shadow_add_refusal(&out, verdict);

    assert(!err);
    return frame_of(kind, &out);
}

static uint16_t code_of(struct bytes *text)
{
    uint64_t code = 0;
    bool is_good = bytes_to_number(bytes_first(*text, 3), 999, &code);

    assert(is_good && text->n > 4);
    *text = bytes_skip(*text, 4);
    return (uint16_t)code;
}

struct verdict frame_read_verdict(const struct frame *frame)
{
    struct bytes text = only_line(frame);
    uint16_t code = code_of(&text);

    return shadow_parse_refusal(code, text);
}

/* --- Asks -------------------------------------------------------------------------------- */

struct frame *frame_ask(const struct shadow_ask *ask)
{
    struct buf out = begin();
    enum err err = shadow_add_ask(&out, ask);
    struct frame *frame;

    assert(!err);
    frame = frame_of(FRAME_ASK, &out);
    frame->ask_type = ask->type;
    return frame;
}

bool frame_read_ask(const struct frame *frame, struct shadow_ask *out)
{
    static const struct bytes verbs[] = { BYTES("XQDISCARD "), BYTES("XQTAKEN "),
        BYTES("XQAUDIT ") };
    struct bytes text = only_line(frame);

    for (unsigned i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (take(&text, verbs[i]))
            return shadow_parse_ask((enum shadow_ask_type)i, text, out);
    return false;
}

bool frame_read_page(
    const struct frame *frame, struct shadow_item *items, struct shadow_page *out)
{
    struct bytes rest = bytes_in(frame), line;
    enum shadow_ask_type type = (enum shadow_ask_type)frame->ask_type;
    uint32_t count = 0;

    *out = (struct shadow_page){ .type = type };
    while (next_line(&rest, &line)) {
        if (!take(&line, BYTES("250-")))
            break;
        if (!shadow_parse_item(type, line, &items[count++]))
            return false;
    }
    if (!take(&line, BYTES("250 ")) || rest.n || !shadow_parse_page_end(line, out))
        return false;
    out->items = items;
    out->item_count = count;
    return true;
}

/* --- Copies ------------------------------------------------------------------------------ */

static bool is_in(const void *me, uint32_t recipient)
{
    return (*(const uint32_t *)me & 1U << recipient) != 0;
}

/* The list of a PART item; false: there is none any more. */
static bool fill_list(const struct host *host, struct shadow_item *item, struct buf *list)
{
    const struct message *message = message_find(host->world, item->mid);
    const struct entry *entry = &host->entry[message->number];
    uint32_t bits = entry_done(entry);
    enum err err;

    if (item->word != SHADOW_PART)
        return true;
    if (!entry->is_here || !bits)
        return false;
    err = shadow_list_add(list, message->recipient_count, is_in, &bits);
    assert(!err);
    item->list = buf_bytes(list);
    return true;
}

struct frame *frame_page(const struct host *host, const struct shadow_page *page)
{
    struct buf out = begin(), *lists = mem_new((page->item_count + 1) * sizeof *lists);
    struct shadow_item *items = mem_new((page->item_count + 1) * sizeof *items);
    struct shadow_page filled = *page;
    struct frame *frame;
    enum err err;

    filled.items = items;
    filled.item_count = 0;
    for (uint32_t i = 0; i < page->item_count; i++) {
        items[filled.item_count] = page->items[i];
        lists[i] = begin();
        if (fill_list(host, &items[filled.item_count], &lists[i]))
            filled.item_count++;
    }
    err = shadow_add_page(&out, &filled);
    assert(!err);
    frame = frame_of(FRAME_PAGE, &out);
    frame->ask_type = page->type;
    for (uint32_t i = 0; i < page->item_count; i++)
        buf_done(&lists[i]);
    free(lists);
    free(items);
    return frame;
}

static uint32_t bits_of(struct bytes list)
{
    struct shadow_list_cursor cursor = { list };
    uint32_t bits = 0, first, last;

    while (shadow_list_next(&cursor, &first, &last))
        for (uint32_t i = first; i <= last && i < SIM_RECIPIENTS_MAX; i++)
            bits |= 1U << i;
    return bits;
}

struct frame *frame_copy(
    const struct host *host, const struct message *message, const struct standing *standing)
{
    struct recipient recipients[SIM_RECIPIENTS_MAX];
    uint32_t bits = entry_done(&host->entry[message->number]);
    struct buf out = begin(), done = begin();
    enum err err = shadow_list_add(&done, message->recipient_count, is_in, &bits);
    struct shadow_copy copy = {
        .mid = message->mid,
        .envelope = message_envelope(message, recipients),
        .recipients = recipients,
        .recipient_count = message->recipient_count,
        .done = buf_bytes(&done),
    };
    struct frame *frame;

    assert(!err);
    ledger_set_lineage(&copy, standing);
    err = shadow_add_copy(&out, &copy);
    assert(!err);
    buf_done(&done);
    frame = frame_of(FRAME_COPY, &out);
    frame->message = message->number;
    return frame;
}

bool frame_read_copy(const struct frame *frame, struct shadow_copy *out, uint32_t *done)
{
    struct bytes rest = bytes_in(frame), line;
    struct recipient recipient;
    uint8_t *scratch = mem_new(frame->n + 1);
    bool is_good = next_line(&rest, &line) && take(&line, BYTES("MAIL ")) &&
                   shadow_parse_mail(line, scratch, out) == SHADOW_PARAMS_OK;

    out->recipient_count = 0;
    while (is_good && next_line(&rest, &line)) {
        is_good = take(&line, BYTES("RCPT ")) &&
                  shadow_parse_rcpt(line, &recipient) == SHADOW_PARAMS_OK;
        out->recipient_count++;
    }
    *done = is_good ? bits_of(out->done) : 0;
    free(scratch);
    return is_good && rest.n == 0;
}

struct frame *frame_outcome(const struct shadow_outcome *outcome, struct mid mid)
{
    struct buf out = begin();
    enum err err = shadow_add_outcome(&out, mid, outcome);

    assert(!err);
    return frame_of(FRAME_OUTCOME, &out);
}

bool frame_read_outcome(const struct frame *frame, struct mid mid, struct shadow_outcome *out)
{
    struct bytes text = only_line(frame);
    uint16_t code = code_of(&text);

    return shadow_parse_outcome(code, text, mid, out);
}
