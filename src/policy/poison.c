#include "policy/poison.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- The list ---------------------------------------------------------------------------- */

void poison_notes_done(struct poison_notes *notes)
{
    free(notes->list);
    *notes = (struct poison_notes){ NULL, 0 };
}

struct poison_note *poison_find(const struct poison_notes *notes, struct mid mid)
{
    for (size_t i = 0; i < notes->count; i++)
        if (mid_equal(notes->list[i].mid, mid))
            return &notes->list[i];
    return NULL;
}

static void take_away(struct poison_notes *notes, struct poison_note *note)
{
    size_t at = (size_t)(note - notes->list);

    memmove(note, note + 1, (notes->count - at - 1) * sizeof *note);
    notes->count--;
}

static struct poison_note *add(struct poison_notes *notes, struct mid mid)
{
    struct poison_note *oldest = notes->list;

    for (size_t i = 1; notes->count == POISON_NOTES_MAX && i < notes->count; i++)
        if (notes->list[i].when.ms < oldest->when.ms)
            oldest = &notes->list[i];
    if (notes->count == POISON_NOTES_MAX)
        take_away(notes, oldest);
    notes->list = mem_grow(notes->list, (notes->count + 1) * sizeof *notes->list);
    notes->list[notes->count] = (struct poison_note){ .mid = mid };
    return &notes->list[notes->count++];
}

void poison_raise(struct poison_notes *notes, const struct poison_note *what)
{
    struct poison_note *note = poison_find(notes, what->mid);

    if (!note)
        note = add(notes, what->mid);
    else if (note->count && note->when.ms == what->when.ms)
        return;
    if (note->count < UINT8_MAX)
        note->count++;
    note->when = what->when;
    memcpy(note->signal, what->signal, sizeof note->signal);
    memcpy(note->doing, what->doing, sizeof note->doing);
}

void poison_forgive(struct poison_notes *notes, struct mid mid, uint32_t carried)
{
    struct poison_note *note = poison_find(notes, mid);

    if (note && carried == 0) {
        take_away(notes, note);
        return;
    }
    if (carried == 0)
        return;
    if (!note)
        note = add(notes, mid);
    note->count = 0;
    note->forgiven = carried;
    note->is_here = true;
}

size_t poison_prune(struct poison_notes *notes)
{
    size_t kept = 0, before = notes->count;

    for (size_t i = 0; i < before; i++)
        if (notes->list[i].is_here)
            notes->list[kept++] = notes->list[i];
    notes->count = kept;
    return before - kept;
}

uint32_t poison_count(const struct poison_note *note, uint32_t carried)
{
    if (!note)
        return carried;
    return note->count + (carried > note->forgiven ? carried - note->forgiven : 0);
}

void poison_why(const struct poison_note *note, uint32_t count, char out[POISON_WHY_BYTES])
{
    char date[DATE_ISO_BYTES];

    if (!note || note->count == 0) {
        snprintf(out, POISON_WHY_BYTES, "other nodes crashed %u times with it", count);
        return;
    }
    wall_format_iso(note->when, date);
    snprintf(out, POISON_WHY_BYTES,
        "relaisd crashed %u time%s with it, last at %s by %s, while: %s", count,
        count == 1 ? "" : "s", date, note->signal, note->doing);
}

/* --- The file ---------------------------------------------------------------------------- */

static const char *word_or_dash(const char *word)
{
    return *word ? word : "-";
}

enum err poison_format(const struct poison_notes *notes, struct buf *out)
{
    enum err err = OK;

    for (size_t i = 0; err == OK && i < notes->count; i++) {
        const struct poison_note *note = &notes->list[i];
        char id[ID_TEXT_BYTES];
        mid_format(note->mid, id);
        err = buf_printf(out, "%s %u %u %lld %s %s\n", id, note->count, note->forgiven,
            (long long)note->when.ms, word_or_dash(note->signal), word_or_dash(note->doing));
    }
    return err;
}

static struct bytes take_word(struct bytes *line)
{
    size_t end = bytes_find(*line, ' ');
    struct bytes word = bytes_first(*line, end);

    *line = bytes_skip(*line, end == BYTES_NOT_FOUND ? line->n : end + 1);
    return word;
}

static bool take_number(struct bytes *line, uint64_t max, uint64_t *out)
{
    struct bytes word = take_word(line);
    uint64_t number = 0;

    if (word.n == 0 || word.n > 18)
        return false;
    for (size_t i = 0; i < word.n; i++) {
        if (word.at[i] < '0' || word.at[i] > '9')
            return false;
        number = 10 * number + (word.at[i] - '0');
    }
    *out = number;
    return number <= max;
}

static bool take_text(struct bytes *line, char out[POISON_WORD_BYTES])
{
    struct bytes word = take_word(line);

    if (word.n == 0 || word.n >= POISON_WORD_BYTES)
        return false;
    memcpy(out, word.at, word.n);
    out[word.n] = '\0';
    return true;
}

static bool parse_line(struct bytes line, struct poison_note *out)
{
    uint64_t count, forgiven, when;

    if (!mid_parse(take_word(&line), &out->mid) || !take_number(&line, UINT8_MAX, &count) ||
        !take_number(&line, UINT8_MAX, &forgiven) || !take_number(&line, INT64_MAX, &when) ||
        !take_text(&line, out->signal) || !take_text(&line, out->doing))
        return false;
    out->count = (uint32_t)count;
    out->forgiven = (uint32_t)forgiven;
    out->when.ms = (int64_t)when;
    return line.n == 0;
}

void poison_parse(struct bytes text, struct poison_notes *out, size_t *bad)
{
    *out = (struct poison_notes){ NULL, 0 };
    *bad = 0;
    while (text.n) {
        size_t end = bytes_find(text, '\n');
        struct poison_note note = { .count = 0 };
        if (parse_line(bytes_first(text, end), &note) && !poison_find(out, note.mid))
            *add(out, note.mid) = note;
        else
            ++*bad;
        text = bytes_skip(text, end == BYTES_NOT_FOUND ? text.n : end + 1);
    }
}
