#include "proto/shadow/words.h"

#include "mail/address.h"
#include "mail/text.h"
#include "mail/xtext.h"

#include <assert.h>

/* --- Reading ----------------------------------------------------------------------------- */

struct words words_of(struct bytes text)
{
    return (struct words){ text, text.n > 0 };
}

bool words_take(struct words *words, struct bytes *out)
{
    if (!words->is_open)
        return false;
    *out = bytes_first(words->rest, bytes_find(words->rest, ' '));
    words->is_open = out->n < words->rest.n;
    words->rest = bytes_skip(words->rest, out->n + words->is_open);
    return true;
}

bool words_number(struct words *words, uint64_t max, uint64_t *out)
{
    struct bytes word;

    return words_take(words, &word) && bytes_to_number(word, max, out);
}

bool words_mid(struct words *words, struct mid *out)
{
    struct bytes word;

    return words_take(words, &word) && mid_parse(word, out);
}

bool words_store(struct words *words, struct store_id *out)
{
    struct bytes word;

    return words_take(words, &word) && word_is_store(word, out);
}

bool words_node(struct words *words, struct shadow_node *out)
{
    return words_take(words, &out->name) && word_is_name(out->name) &&
           words_store(words, &out->store);
}

bool word_is_store(struct bytes word, struct store_id *out)
{
    static const struct store_id none;

    return hex_parse(word, out->byte, sizeof out->byte) && memcmp(out, &none, sizeof none) != 0;
}

bool word_is_name(struct bytes word)
{
    return word.n <= SHADOW_NODE_BYTES_MAX && domain_is_name(word) && !text_has_8bit(word);
}

bool word_is_stores(
    struct bytes word, struct store_id stores[SHADOW_RETIRED_MAX], uint32_t *count)
{
    uint32_t n = 0;

    for (bool is_last = false; !is_last;) {
        struct bytes one = bytes_first(word, bytes_find(word, ','));

        is_last = one.n == word.n;
        word = bytes_skip(word, is_last ? one.n : one.n + 1);
        if (n == SHADOW_RETIRED_MAX || !word_is_store(one, &stores[n]))
            return false;
        n++;
    }
    *count = n;
    return true;
}

bool word_is_param(struct bytes word, struct bytes *name, struct bytes *value)
{
    size_t equals = bytes_find(word, '=');

    if (equals == BYTES_NOT_FOUND)
        return false;
    *name = bytes_first(word, equals);
    *value = bytes_skip(word, equals + 1);
    return name->n > 0 && value->n > 0;
}

static uint8_t hex_digit(uint8_t c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

bool word_is_xtext(struct bytes text, uint8_t *to, struct bytes *out)
{
    size_t n = 0;

    if (text.n == 0 || !xtext_is_valid(text))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.at[i] == '+') {
            to[n++] = (uint8_t)(hex_digit(text.at[i + 1]) << 4 | hex_digit(text.at[i + 2]));
            i += 2;
        } else {
            to[n++] = text.at[i];
        }
    }
    *out = bytes_of(to, n);
    return true;
}

/* --- Writing ----------------------------------------------------------------------------- */

struct line line_begin(struct buf *out)
{
    return (struct line){ .out = out, .start = out->n };
}

void line_add(struct line *line, struct bytes bytes)
{
    if (line->err == OK)
        line->err = buf_add(line->out, bytes);
}

void line_number(struct line *line, uint64_t number)
{
    uint8_t digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number);
    line_add(line, bytes_of(digits + at, sizeof digits - at));
}

void line_hex(struct line *line, const uint8_t id[16])
{
    char text[ID_TEXT_BYTES];

    hex_format(bytes_of(id, 16), text);
    line_add(line, bytes_of(text, sizeof text - 1));
}

void line_xtext(struct line *line, struct bytes bytes)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < bytes.n; i++) {
        uint8_t c = bytes.at[i];

        if (c > ' ' && c < 127 && c != '+' && c != '=')
            line_add(line, bytes_of(&c, 1));
        else
            line_add(line, bytes_of((char[]){ '+', digits[c >> 4], digits[c & 15] }, 3));
    }
}

void line_node(struct line *line, const struct shadow_node *node)
{
    assert(node->name.n > 0 && node->name.n <= SHADOW_NODE_BYTES_MAX);
    line_add(line, BYTES(" "));
    line_add(line, node->name);
    line_add(line, BYTES(" "));
    line_hex(line, node->store.byte);
}

void line_stores(struct line *line, const struct store_id *stores, uint32_t count)
{
    assert(count <= SHADOW_RETIRED_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            line_add(line, BYTES(","));
        line_hex(line, stores[i].byte);
    }
}

enum err line_end(struct line *line)
{
    if (line->err != OK)
        line->out->n = line->start;
    return line->err;
}
