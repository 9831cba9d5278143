/* XQDISCARD, XQTAKEN, XQAUDIT: the questions.  Their answers are in page.c. */
#include "proto/shadow/words.h"

#include <assert.h>

enum { WAIT_DIGITS_MAX = 3 };

/* "10", "0.25": seconds, with up to three decimals. */
static bool read_wait(struct bytes text, uint32_t *wait_ms)
{
    size_t dot = bytes_find(text, '.');
    struct bytes decimals = dot == BYTES_NOT_FOUND ? BYTES("0") : bytes_skip(text, dot + 1);
    uint64_t seconds, part;

    if (decimals.n > WAIT_DIGITS_MAX ||
        !bytes_to_number(bytes_first(text, dot), SHADOW_WAIT_MS_MAX / 1000, &seconds) ||
        !bytes_to_number(decimals, 999, &part))
        return false;
    for (size_t n = decimals.n; n < WAIT_DIGITS_MAX; n++)
        part *= 10;
    *wait_ms = (uint32_t)(seconds * 1000 + part);
    return *wait_ms <= SHADOW_WAIT_MS_MAX;
}

static bool read_count(struct words *words, struct shadow_ask *ask)
{
    uint64_t count;

    if (!words_number(words, SHADOW_PAGE_MAX, &count) || count == 0)
        return false;
    ask->count_max = (uint32_t)count;
    return true;
}

static bool read_discard(struct words *words, struct shadow_ask *ask)
{
    struct bytes word;

    if (!read_count(words, ask))
        return false;
    while (words_take(words, &word)) {
        if (bytes_starts_nocase(word, BYTES("WAIT=")))
            return read_wait(bytes_skip(word, 5), &ask->wait_ms) && !words->is_open;
        if (ask->has_cursor || !bytes_to_number(word, UINT64_MAX, &ask->cursor))
            return false;
        ask->has_cursor = true;
    }
    return true;
}

static bool read_taken(struct words *words, struct shadow_ask *ask)
{
    if (!read_count(words, ask) || !words_store(words, &ask->store))
        return false;
    if (!words->is_open)
        return true;
    ask->has_cursor = true;
    return words_number(words, UINT64_MAX, &ask->cursor) && !words->is_open;
}

static bool read_audit(struct words *words, struct shadow_ask *ask)
{
    while (words->is_open) {
        if (ask->mid_count == SHADOW_AUDIT_MAX || !words_mid(words, &ask->mids[ask->mid_count]))
            return false;
        ask->mid_count++;
    }
    return ask->mid_count > 0;
}

bool shadow_parse_ask(enum shadow_ask_type type, struct bytes args, struct shadow_ask *out)
{
    static bool (*const readers[])(struct words *, struct shadow_ask *) = {
        [SHADOW_ASK_DISCARD] = read_discard,
        [SHADOW_ASK_TAKEN] = read_taken,
        [SHADOW_ASK_AUDIT] = read_audit,
    };
    struct words words = words_of(args);
    struct shadow_ask ask = { .type = type };

    if (!readers[type](&words, &ask))
        return false;
    *out = ask;
    return true;
}

static void add_wait(struct line *line, uint32_t wait_ms)
{
    char decimals[] = { '.', (char)('0' + wait_ms / 100 % 10), (char)('0' + wait_ms / 10 % 10),
        (char)('0' + wait_ms % 10) };
    size_t n = wait_ms % 10 ? 4 : wait_ms % 100 ? 3 : wait_ms % 1000 ? 2 : 0;

    assert(wait_ms <= SHADOW_WAIT_MS_MAX);
    if (wait_ms == 0)
        return;
    line_add(line, BYTES(" WAIT="));
    line_number(line, wait_ms / 1000);
    line_add(line, bytes_of(decimals, n));
}

static void add_count(struct line *line, const struct shadow_ask *ask)
{
    assert(ask->count_max > 0 && ask->count_max <= SHADOW_PAGE_MAX);
    line_number(line, ask->count_max);
}

static void add_cursor(struct line *line, const struct shadow_ask *ask)
{
    if (!ask->has_cursor)
        return;
    line_add(line, BYTES(" "));
    line_number(line, ask->cursor);
}

enum err shadow_add_ask(struct buf *out, const struct shadow_ask *ask)
{
    struct line line = line_begin(out);

    switch (ask->type) {
    case SHADOW_ASK_DISCARD:
        line_add(&line, BYTES("XQDISCARD "));
        add_count(&line, ask);
        add_cursor(&line, ask);
        add_wait(&line, ask->wait_ms);
        break;
    case SHADOW_ASK_TAKEN:
        line_add(&line, BYTES("XQTAKEN "));
        add_count(&line, ask);
        line_add(&line, BYTES(" "));
        line_hex(&line, ask->store.byte);
        add_cursor(&line, ask);
        break;
    case SHADOW_ASK_AUDIT:
        assert(ask->mid_count > 0 && ask->mid_count <= SHADOW_AUDIT_MAX);
        line_add(&line, BYTES("XQAUDIT"));
        for (uint32_t i = 0; i < ask->mid_count; i++) {
            line_add(&line, BYTES(" "));
            line_hex(&line, ask->mids[i].byte);
        }
        break;
    }
    line_add(&line, BYTES("\r\n"));
    return line_end(&line);
}
