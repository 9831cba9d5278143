/* The reply to a copy's last chunk: what became of it. */
#include "proto/shadow/words.h"

#include <assert.h>

/* Takes "2.6.0 " off the start of TEXT; class 0 when it is not there, or is of another class
 * than CODE (RFC 2034, 4). */
static struct status take_status(uint16_t code, struct bytes *text)
{
    struct status status;
    size_t used;

    if (!status_parse(*text, &status, &used) || status.class != code / 100 ||
        (used < text->n && text->at[used] != ' '))
        return STATUS(0, 0, 0);
    *text = bytes_skip(*text, used < text->n ? used + 1 : used);
    return status;
}

/* Somebody else's bytes must not end our line. */
static char printable(uint8_t c)
{
    return c < ' ' || c > '~' ? '?' : (char)c;
}

static struct verdict verdict_from(uint16_t code, struct status status, struct bytes text)
{
    struct verdict verdict = { .code = code, .status = status };

    text = bytes_first(text, sizeof verdict.text - 1);
    for (size_t i = 0; i < text.n; i++)
        verdict.text[i] = printable(text.at[i]);
    return verdict;
}

struct verdict shadow_parse_refusal(uint16_t code, struct bytes text)
{
    struct status status = take_status(code, &text);

    return verdict_from(code, status, text);
}

static bool read_good(struct words *words, struct mid mid, struct shadow_outcome *out)
{
    struct mid got;
    struct bytes word;

    if (!words_mid(words, &got) || !mid_equal(got, mid) || !words_take(words, &word))
        return false;
    if (bytes_equal_nocase(word, BYTES("durable")))
        out->fate = SHADOW_DURABLE;
    else if (bytes_equal_nocase(word, BYTES("settled")))
        out->fate = SHADOW_SETTLED;
    else if (bytes_equal_nocase(word, BYTES("moved")) && words_node(words, &out->node))
        out->fate = SHADOW_MOVED;
    else
        return false;
    return !words->is_open;
}

/* "mid busy" at the start of TEXT: what stands behind it is for people. */
static bool is_busy(struct bytes text, struct mid mid, struct bytes *behind)
{
    struct words words = words_of(text);
    struct mid got;
    struct bytes word;

    if (!words_mid(&words, &got) || !mid_equal(got, mid) || !words_take(&words, &word) ||
        !bytes_equal_nocase(word, BYTES("busy")))
        return false;
    *behind = words.rest;
    return true;
}

bool shadow_parse_outcome(
    uint16_t code, struct bytes text, struct mid mid, struct shadow_outcome *out)
{
    struct shadow_outcome outcome = { .fate = SHADOW_REFUSED };
    struct words words;

    if (code == 250) {
        take_status(code, &text);
        words = words_of(text);
        if (!read_good(&words, mid, &outcome))
            return false;
    } else if (code >= 400 && code < 600) {
        struct status status = take_status(code, &text);

        if (code == 450 && is_busy(text, mid, &text))
            outcome.fate = SHADOW_BUSY;
        outcome.verdict = verdict_from(code, status, text);
    } else {
        return false;
    }
    *out = outcome;
    return true;
}

static void add_text(struct line *line, const char *text)
{
    for (; *text; text++) {
        char c = printable((uint8_t)*text);

        line_add(line, bytes_of(&c, 1));
    }
}

static void add_busy(struct line *line, struct mid mid, const char *text)
{
    line_add(line, BYTES("450 4.5.0 "));
    line_hex(line, mid.byte);
    line_add(line, BYTES(" busy"));
    if (*text)
        line_add(line, BYTES(" "));
    add_text(line, text);
}

enum err shadow_add_refusal(struct buf *out, const struct verdict *verdict)
{
    struct line line = line_begin(out);
    struct status enhanced = verdict_status(verdict);
    char status[STATUS_TEXT_BYTES];

    assert(verdict->code >= 400 && verdict->code < 600);
    enhanced.class = (uint8_t)(verdict->code / 100); /* the classes agree: RFC 2034, 4 */
    line_number(&line, verdict->code);
    line_add(&line, BYTES(" "));
    status_format(enhanced, status);
    line_add(&line, bytes_text(status));
    if (verdict->text[0])
        line_add(&line, BYTES(" "));
    add_text(&line, verdict->text);
    line_add(&line, BYTES("\r\n"));
    return line_end(&line);
}

enum err shadow_add_outcome(
    struct buf *out, struct mid mid, const struct shadow_outcome *outcome)
{
    struct line line = line_begin(out);

    assert(outcome->fate != SHADOW_LOST);
    if (outcome->fate == SHADOW_REFUSED)
        return shadow_add_refusal(out, &outcome->verdict);
    if (outcome->fate == SHADOW_BUSY) {
        add_busy(&line, mid, outcome->verdict.text);
    } else {
        line_add(&line, BYTES("250 2.6.0 "));
        line_hex(&line, mid.byte);
        if (outcome->fate == SHADOW_DURABLE)
            line_add(&line, BYTES(" durable"));
        else if (outcome->fate == SHADOW_SETTLED)
            line_add(&line, BYTES(" settled"));
        else
            line_add(&line, BYTES(" moved"));
    }
    if (outcome->fate == SHADOW_MOVED)
        line_node(&line, &outcome->node);
    line_add(&line, BYTES("\r\n"));
    return line_end(&line);
}
