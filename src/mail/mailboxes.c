#include "mail/mailboxes.h"

#define NOWHERE SIZE_MAX

/* A mailbox as far as it was read. */
struct reading {
    struct bytes value;
    size_t at;
    size_t word_at, word_end; /* the last word: bytes without space or comment between */
    size_t word_count;
    bool is_in_word, has_brackets;
    void (*visit)(void *me, const struct mailbox_place *place);
    void *me;
};

static void begin_mailbox(struct reading *reading)
{
    reading->word_count = 0;
    reading->is_in_word = reading->has_brackets = false;
}

/* One word alone is the address; what stands beside brackets is a name. */
static void end_mailbox(struct reading *reading)
{
    if (!reading->has_brackets && reading->word_count == 1)
        reading->visit(
            reading->me, &(struct mailbox_place){ reading->word_at,
                             reading->word_end - reading->word_at, reading->word_at });
    begin_mailbox(reading);
}

/* Where what begins at AT with FIRST, and ends with LAST, has ended; NOWHERE: it does not.
 * Comments nest; a backslash takes the next byte's meaning. */
static size_t behind(struct bytes value, size_t at, uint8_t first, uint8_t last)
{
    size_t depth = 0;

    for (; at < value.n; at++) {
        uint8_t c = value.at[at];
        if (c == '\\') {
            at++;
        } else if (c == last && (first != last || depth)) {
            if (--depth == 0)
                return at + 1;
        } else if (c == first && (depth == 0 || first == '(')) {
            depth++;
        }
    }
    return NOWHERE;
}

/* The ">" of brackets at AT, quotes in them skipped. */
static size_t find_bracket(struct bytes value, size_t at)
{
    while (at < value.n && value.at[at] != '>')
        at = value.at[at] == '"' ? behind(value, at, '"', '"') : at + 1;
    return at < value.n ? at : NOWHERE;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void take_brackets(struct reading *reading)
{
    size_t start = reading->at, end = find_bracket(reading->value, start), at = start + 1;

    if (end == NOWHERE) {
        reading->at = NOWHERE;
        return;
    }
    reading->at = end + 1;
    while (at < end && is_blank(reading->value.at[at]))
        at++;
    while (end > at && is_blank(reading->value.at[end - 1]))
        end--;
    if (!reading->has_brackets)
        reading->visit(reading->me, &(struct mailbox_place){ at, end - at, start });
    reading->has_brackets = true;
    reading->is_in_word = false;
}

static void add_to_word(struct reading *reading, size_t end)
{
    if (!reading->is_in_word) {
        reading->word_at = reading->at;
        reading->word_count++;
    }
    reading->is_in_word = true;
    reading->word_end = reading->at = end;
}

static void take(struct reading *reading)
{
    struct bytes value = reading->value;
    size_t at = reading->at, end;
    uint8_t c = value.at[at];

    if (c == '<') {
        take_brackets(reading);
    } else if (c == '(') {
        reading->is_in_word = false;
        reading->at = behind(value, at, '(', ')');
    } else if (c == '"' || c == '[') {
        end = behind(value, at, c, c == '"' ? '"' : ']');
        if (end == NOWHERE)
            reading->at = NOWHERE;
        else
            add_to_word(reading, end);
    } else if (c == ',' || c == ';') {
        end_mailbox(reading);
        reading->at++;
    } else if (c == ':') { /* the words before are a group's name */
        begin_mailbox(reading);
        reading->at++;
    } else if (is_blank(c)) {
        reading->is_in_word = false;
        reading->at++;
    } else {
        add_to_word(reading, at + 1);
    }
}

void mailboxes_each(
    struct bytes value, void (*visit)(void *me, const struct mailbox_place *place), void *me)
{
    struct reading reading = { .value = value, .visit = visit, .me = me };

    while (reading.at < value.n)
        take(&reading);
    if (reading.at != NOWHERE)
        end_mailbox(&reading);
}
