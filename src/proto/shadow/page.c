/* The answers to XQDISCARD, XQTAKEN and XQAUDIT: a line for each item, then the last one. */
#include "proto/shadow/words.h"

#include <assert.h>

/* The words of an item, in the answers to these asks. */
static const struct {
    enum shadow_ask_type type;
    struct bytes text;
} item_words[SHADOW_WORD_COUNT] = {
    [SHADOW_DONE] = { SHADOW_ASK_DISCARD, BYTES("DONE") },
    [SHADOW_PART] = { SHADOW_ASK_DISCARD, BYTES("PART") },
    [SHADOW_STUCK] = { SHADOW_ASK_DISCARD, BYTES("STUCK") },
    [SHADOW_TAKEN] = { SHADOW_ASK_TAKEN, { 0 } }, /* the only one there: it has no word */
    [SHADOW_IS_PENDING] = { SHADOW_ASK_AUDIT, BYTES("PENDING") },
    [SHADOW_IS_SETTLED] = { SHADOW_ASK_AUDIT, BYTES("SETTLED") },
    [SHADOW_IS_UNKNOWN] = { SHADOW_ASK_AUDIT, BYTES("UNKNOWN") },
    [SHADOW_IS_YOURS] = { SHADOW_ASK_AUDIT, BYTES("YOURS") },
    [SHADOW_IS_MOVED] = { SHADOW_ASK_AUDIT, BYTES("MOVED") },
    [SHADOW_STRANGE] = { SHADOW_ASK_DISCARD, { 0 } },
};

/* A word of a later version looks like one of ours: letters, digits and hyphens. */
static bool is_word(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = ascii_lower(text.at[i]);

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return text.n > 0;
}

static enum shadow_word find_word(enum shadow_ask_type type, struct bytes text)
{
    for (unsigned i = 0; i < SHADOW_WORD_COUNT; i++)
        if (item_words[i].type == type && item_words[i].text.n &&
            bytes_equal_nocase(text, item_words[i].text))
            return (enum shadow_word)i;
    return SHADOW_STRANGE;
}

static bool read_taken(struct words *words, struct shadow_item *item)
{
    uint64_t generation;
    struct bytes word;

    item->word = SHADOW_TAKEN;
    if (!words_number(words, UINT16_MAX, &generation) || !words_node(words, &item->node))
        return false;
    item->generation = (uint16_t)generation;
    if (!words_take(words, &word))
        return true;
    item->is_firm = bytes_equal_nocase(word, BYTES("FIRM"));
    return item->is_firm && !words->is_open;
}

/* What stands behind the word. */
static bool read_rest(struct words *words, struct shadow_item *item)
{
    switch (item->word) {
    case SHADOW_PART:
        return words_take(words, &item->list) && item->list.n > 0 &&
               shadow_list_check(item->list, ENVELOPE_RECIPIENTS_MAX) && !words->is_open;
    case SHADOW_STUCK:
        return words_number(words, UINT64_MAX, &item->seconds) && !words->is_open;
    case SHADOW_IS_MOVED:
        return words_node(words, &item->node) && !words->is_open;
    case SHADOW_STRANGE:
        return true;
    default:
        return !words->is_open;
    }
}

bool shadow_parse_item(enum shadow_ask_type type, struct bytes text, struct shadow_item *out)
{
    struct words words = words_of(text);
    struct shadow_item item = { 0 };
    struct bytes word;

    if (!words_mid(&words, &item.mid))
        return false;
    if (type == SHADOW_ASK_TAKEN) {
        if (!read_taken(&words, &item))
            return false;
    } else {
        if (!words_take(&words, &word) || !is_word(word))
            return false;
        item.word = find_word(type, word);
        if (!read_rest(&words, &item))
            return false;
    }
    *out = item;
    return true;
}

/* "MORE" or "END"; "END" alone where there is no cursor. */
static bool read_end(struct words *words, struct shadow_page *page)
{
    struct bytes word;

    if (page->type != SHADOW_ASK_AUDIT && !words_number(words, UINT64_MAX, &page->cursor))
        return false;
    if (!words_take(words, &word))
        return false;
    page->has_more = page->type != SHADOW_ASK_AUDIT && bytes_equal_nocase(word, BYTES("MORE"));
    return page->has_more || bytes_equal_nocase(word, BYTES("END"));
}

bool shadow_parse_page_end(struct bytes text, struct shadow_page *out)
{
    struct words words = words_of(text);
    struct shadow_page page = *out;
    struct bytes word;

    page.retired_count = 0;
    if (!read_end(&words, &page) || !words_take(&words, &word) ||
        !bytes_starts_nocase(word, BYTES("POS=")) ||
        !bytes_to_number(bytes_skip(word, 4), UINT64_MAX, &page.position))
        return false;
    if (page.type != SHADOW_ASK_AUDIT && words_take(&words, &word) &&
        !(bytes_starts_nocase(word, BYTES("RETIRED=")) &&
            word_is_stores(bytes_skip(word, 8), page.retired, &page.retired_count)))
        return false;
    if (words.is_open)
        return false;
    *out = page;
    return true;
}

static void add_item(
    struct line *line, enum shadow_ask_type type, const struct shadow_item *item)
{
    assert(item->word < SHADOW_STRANGE && item_words[item->word].type == type);
    line_add(line, BYTES("250-"));
    line_hex(line, item->mid.byte);
    line_add(line, BYTES(" "));
    line_add(line, item_words[item->word].text);
    if (item->word == SHADOW_PART) {
        assert(item->list.n > 0 && item->list.n <= SHADOW_LIST_BYTES_MAX);
        line_add(line, BYTES(" "));
        line_add(line, item->list);
    } else if (item->word == SHADOW_STUCK) {
        line_add(line, BYTES(" "));
        line_number(line, item->seconds);
    } else if (item->word == SHADOW_IS_MOVED) {
        line_node(line, &item->node);
    } else if (item->word == SHADOW_TAKEN) {
        line_number(line, item->generation);
        line_node(line, &item->node);
        line_add(line, item->is_firm ? BYTES(" FIRM") : BYTES_NONE);
    }
    line_add(line, BYTES("\r\n"));
}

enum err shadow_add_page(struct buf *out, const struct shadow_page *page)
{
    struct line line = line_begin(out);

    assert(page->item_count <= SHADOW_PAGE_MAX);
    for (uint32_t i = 0; i < page->item_count; i++)
        add_item(&line, page->type, &page->items[i]);
    line_add(&line, BYTES("250 "));
    if (page->type != SHADOW_ASK_AUDIT) {
        line_number(&line, page->cursor);
        line_add(&line, page->has_more ? BYTES(" MORE") : BYTES(" END"));
    } else {
        line_add(&line, BYTES("END"));
    }
    line_add(&line, BYTES(" POS="));
    line_number(&line, page->position);
    if (page->retired_count && page->type != SHADOW_ASK_AUDIT) {
        line_add(&line, BYTES(" RETIRED="));
        line_stores(&line, page->retired, page->retired_count);
    }
    line_add(&line, BYTES("\r\n"));
    return line_end(&line);
}
