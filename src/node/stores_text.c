/* The text of the file of stores: written and read.  Pure. */
#include "base/hash.h"
#include "base/mem.h"
#include "node/stores.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD "relais stores 1\n"

enum { WORDS_MAX = 12 };

static const struct {
    const char *word;
    size_t at;
} flags[] = {
    { "current", offsetof(struct ledger_store, is_current) },
    { "own", offsetof(struct ledger_store, is_own) },
    { "retired", offsetof(struct ledger_store, is_retired) },
    { "went-back", offsetof(struct ledger_store, went_back) },
};

enum { FLAG_COUNT = sizeof flags / sizeof *flags };

/* --- Writing ----------------------------------------------------------------------------- */

static enum err add_store(const struct ledger_store *store, struct buf *out)
{
    char id[ID_TEXT_BYTES];
    enum err err;

    store_id_format(store->id, id);
    err =
        buf_printf(out, "store %s node=%s position=%" PRIu64, id, store->node, store->position);
    for (unsigned i = 0; err == OK && i < FLAG_COUNT; i++)
        if (*(const bool *)((const char *)store + flags[i].at))
            err = buf_printf(out, " %s", flags[i].word);
    return err == OK ? buf_add_text(out, "\n") : err;
}

enum err stores_format(const struct ledger_store *stores, uint32_t count, struct buf *out)
{
    enum err err = buf_add_text(out, HEAD);

    for (uint32_t i = 0; err == OK && i < count; i++)
        err = add_store(&stores[i], out);
    if (err == OK)
        err = buf_printf(
            out, "end %" PRIu32 " %016" PRIx64 "\n", count, hash64(buf_bytes(out), 0));
    return err;
}

/* --- Reading ----------------------------------------------------------------------------- */

struct reader {
    struct bytes rest;
    struct bytes words[WORDS_MAX]; /* of the present line */
    unsigned word_count, line;
    const char *name;
    char *why;
};

static enum err fault(struct reader *reader, enum err err, const char *reason)
{
    snprintf(reader->why, STORES_WHY_BYTES, "%s:%u: %s", reader->name, reader->line, reason);
    return err;
}

/* The next line, cut at its spaces; false: there is no whole one. */
static bool next_line(struct reader *reader)
{
    size_t n = bytes_find(reader->rest, '\n');
    struct bytes line;

    reader->line++;
    reader->word_count = 0;
    if (n == BYTES_NOT_FOUND)
        return false;
    line = bytes_first(reader->rest, n);
    reader->rest = bytes_skip(reader->rest, n + 1);
    while (line.n && reader->word_count < WORDS_MAX) {
        size_t end = bytes_find(line, ' ');
        struct bytes word = bytes_first(line, end);
        reader->words[reader->word_count++] = word;
        line = bytes_skip(line, end == BYTES_NOT_FOUND ? line.n : end + 1);
    }
    return line.n == 0;
}

static bool is_word(const struct reader *reader, unsigned at, const char *word)
{
    return at < reader->word_count && bytes_equal(reader->words[at], bytes_text(word));
}

/* What stands behind NAME (which ends with "="). */
static bool value_of(
    const struct reader *reader, unsigned at, const char *name, struct bytes *out)
{
    struct bytes wanted = bytes_text(name);

    if (at >= reader->word_count || !bytes_starts(reader->words[at], wanted))
        return false;
    *out = bytes_skip(reader->words[at], wanted.n);
    return true;
}

static bool parse_flag(struct bytes word, struct ledger_store *out)
{
    for (unsigned i = 0; i < FLAG_COUNT; i++) {
        bool *flag = (bool *)((char *)out + flags[i].at);
        if (bytes_equal(word, bytes_text(flags[i].word)) && !*flag) {
            *flag = true;
            return true;
        }
    }
    return false;
}

static enum err parse_store(struct reader *reader, struct ledger_store *out)
{
    struct bytes node, position;

    memset(out, 0, sizeof *out);
    if (reader->word_count < 4 ||
        !hex_parse(reader->words[1], out->id.byte, sizeof out->id.byte))
        return fault(reader, ERR_SYNTAX, "a store has 32 hexadecimal digits");
    if (!value_of(reader, 2, "node=", &node) || node.n == 0 || node.n >= sizeof out->node)
        return fault(reader, ERR_SYNTAX, "node=NAME is expected");
    memcpy(out->node, node.at, node.n);
    if (!value_of(reader, 3, "position=", &position) ||
        !bytes_to_number(position, UINT64_MAX, &out->position))
        return fault(reader, ERR_SYNTAX, "position=NUMBER is expected");
    for (unsigned i = 4; i < reader->word_count; i++)
        if (!parse_flag(reader->words[i], out))
            return fault(reader, ERR_SYNTAX, "an unknown word, or one twice");
    return OK;
}

/* "end COUNT HASH", and nothing behind it. */
static enum err check_end(struct reader *reader, struct bytes before, uint32_t count)
{
    char want[32];

    snprintf(want, sizeof want, "%016" PRIx64, hash64(before, 0));
    if (!is_word(reader, 2, want) || reader->word_count != 3)
        return fault(reader, ERR_CORRUPT, "the checksum does not hold: the file is damaged");
    snprintf(want, sizeof want, "%" PRIu32, count);
    if (!is_word(reader, 1, want) || reader->rest.n)
        return fault(reader, ERR_CORRUPT, "lines are missing, or too many");
    return OK;
}

static enum err parse_lines(
    struct reader *reader, struct bytes text, struct ledger_store **list, uint32_t *count)
{
    uint32_t room = 0;
    enum err err = OK;

    while (err == OK) {
        struct bytes before = bytes_first(text, text.n - reader->rest.n);
        if (!next_line(reader))
            return fault(reader, ERR_CORRUPT, "the line that ends the file is missing");
        if (is_word(reader, 0, "end"))
            return check_end(reader, before, *count);
        if (!is_word(reader, 0, "store"))
            return fault(reader, ERR_SYNTAX, "\"store\" or \"end\" is expected");
        if (*count == room) {
            room = room ? room * 2 : 8;
            *list = mem_grow(*list, room * sizeof **list);
        }
        err = parse_store(reader, &(*list)[*count]);
        *count += err == OK;
    }
    return err;
}

enum err stores_parse(struct bytes text, const char *name, struct ledger_store **out,
    uint32_t *count, char why[STORES_WHY_BYTES])
{
    struct reader reader = { .rest = text, .name = name, .why = why };
    struct ledger_store *list = NULL;
    uint32_t n = 0;
    enum err err;

    if (!bytes_starts(text, bytes_text(HEAD))) {
        reader.line = 1;
        return fault(&reader, ERR_CORRUPT, "no file of stores that this version can read");
    }
    (void)next_line(&reader);
    err = parse_lines(&reader, text, &list, &n);
    if (err != OK) {
        free(list);
        return err;
    }
    *out = list;
    *count = n;
    return OK;
}
