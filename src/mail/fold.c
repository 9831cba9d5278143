#include "mail/fold.h"

#include "mail/text.h"

#include <stdio.h>

enum {
    COLUMNS_MAX = 76, /* RFC 5322, 2.1.1: 78; one is left for fold_mark() */
    TAB_COLUMNS = 8,
    PART_BYTES_MAX = 600,
    WORD_BYTES_MAX = 500, /* a line must stay below 998 whatever stands in it */
};

static void put(struct fold *fold, struct bytes bytes)
{
    if (fold->err == OK)
        fold->err = buf_add(fold->out, bytes);
    for (size_t i = 0; i < bytes.n; i++)
        fold->column += bytes.at[i] == '\t' ? TAB_COLUMNS : 1;
}

void fold_begin(struct fold *fold, struct buf *out, const char *first, const char *indent)
{
    *fold = (struct fold){ .out = out, .indent = indent, .start = out->n, .is_first = true };
    put(fold, bytes_text(first));
}

static bool wants_space(const struct fold *fold)
{
    uint8_t last;

    if (!fold->is_first)
        return true;
    if (fold->out->n == fold->start)
        return false;
    last = fold->out->at[fold->out->n - 1];
    return last != ' ' && last != '\t';
}

void fold_part(struct fold *fold, struct bytes part)
{
    bool space = wants_space(fold);

    /* The first part stays beside the field's name: an empty line there looks odd to many
     * parsers. */
    if (fold->is_first || fold->column + space + part.n <= COLUMNS_MAX) {
        put(fold, bytes_first(BYTES(" "), space));
    } else {
        put(fold, BYTES("\r\n"));
        fold->column = 0;
        put(fold, bytes_text(fold->indent));
    }
    fold->is_first = false;
    put(fold, part);
}

void fold_printf(struct fold *fold, const char *format, ...)
{
    char part[PART_BYTES_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(part, sizeof part, format, args);
    va_end(args);
    fold_part(fold, bytes_text(part));
}

/* Cleans TEXT and adds it in parts: at its blanks, if BREAKS, and where a word is too long. */
static void add_clean(struct fold *fold, struct bytes text, bool is_utf8, bool breaks)
{
    uint8_t word[WORD_BYTES_MAX + 4];
    size_t n = 0;

    while (text.n) {
        size_t step = is_utf8 || text.at[0] < 128 ? text_printable(text) : 0;
        bool is_blank = breaks && (text.at[0] == ' ' || text.at[0] == '\t');
        if (!is_blank && step > 0)
            memcpy(word + n, text.at, step);
        else if (!is_blank)
            word[n] = '?';
        step += step == 0;
        n += is_blank ? 0 : step;
        text = bytes_skip(text, step);
        if (n > 0 && (is_blank || text.n == 0 || n >= WORD_BYTES_MAX)) {
            fold_part(fold, bytes_of(word, n));
            n = 0;
        }
    }
}

void fold_words(struct fold *fold, struct bytes text, bool is_utf8)
{
    add_clean(fold, text, is_utf8, true);
}

void fold_address(struct fold *fold, struct bytes address, bool is_utf8)
{
    add_clean(fold, address, is_utf8, false);
}

void fold_mark(struct fold *fold, const char *text)
{
    put(fold, bytes_text(text));
}

enum err fold_end(struct fold *fold)
{
    put(fold, BYTES("\r\n"));
    if (fold->err != OK)
        fold->out->n = fold->start;
    return fold->err;
}
