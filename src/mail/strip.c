#include "mail/strip.h"

enum state {
    LINE_START, /* the next byte is the first of a header line; or `held` has those before it */
    NAME,
    NAME_SPACE, /* between the name and its colon: obsolete, but seen */
    VALUE,
    DROP,       /* in a field that is taken out */
    DROP_START, /* the next byte says whether that field goes on */
    BODY,
};

static const char prefix[STRIP_HELD_BYTES] = { 'x', '-', 'r', 'e', 'l', 'a', 'i', 's', '-' };

void strip_init(struct strip *strip, bool strips)
{
    *strip = (struct strip){ .state = strips ? LINE_START : BODY };
}

/* How many bytes of TEXT go on with the prefix from its byte FROM. */
static size_t match(struct bytes text, size_t from)
{
    size_t n = 0;

    while (n < text.n && from + n < sizeof prefix &&
           ascii_lower(text.at[n]) == (uint8_t)prefix[from + n])
        n++;
    return n;
}

static bool is_name_byte(uint8_t c)
{
    return c > ' ' && c < 127 && c != ':';
}

static void begin_drop(struct strip *strip)
{
    strip->state = DROP;
    strip->held_n = 0;
    strip->count++;
}

/* What a line begins with that is not ours. */
static void begin_line(struct strip *strip, uint8_t c)
{
    if (c == ' ' || c == '\t')
        strip->state = strip->has_field ? VALUE : BODY;
    else
        strip->state = is_name_byte(c) ? NAME : BODY;
}

/* The name in `held` goes on in CONTENT.  True: it is not ours, and is to be kept. */
static bool go_on_with_held(struct strip *strip, struct bytes *content)
{
    size_t n = match(*content, strip->held_n);

    if (strip->held_n + n == sizeof prefix) {
        begin_drop(strip);
    } else if (n == content->n) {
        memcpy(strip->held + strip->held_n, content->at, n);
        strip->held_n = (uint8_t)(strip->held_n + n);
    } else {
        strip->state = NAME; /* all that is held are bytes of a name */
        return true;
    }
    *content = bytes_skip(*content, n);
    return false;
}

/* Each of these looks at bytes that are kept, and says how many. */
static size_t on_name(struct strip *strip, struct bytes content)
{
    size_t n = 0;

    while (n < content.n && is_name_byte(content.at[n]))
        n++;
    if (n == content.n)
        return n;
    if (content.at[n] == ':')
        strip->state = VALUE;
    else
        strip->state = content.at[n] == ' ' || content.at[n] == '\t' ? NAME_SPACE : BODY;
    return n + 1;
}

static size_t on_name_space(struct strip *strip, uint8_t c)
{
    if (c == ':')
        strip->state = VALUE;
    else if (c != ' ' && c != '\t')
        strip->state = BODY;
    return 1;
}

static size_t on_value(struct strip *strip, struct bytes content)
{
    size_t lf = bytes_find(content, '\n');

    strip->has_field = true;
    if (lf == BYTES_NOT_FOUND)
        return content.n;
    strip->state = LINE_START;
    return lf + 1;
}

/* Whether CONTENT begins, or might begin, with a field that is ours. */
static bool starts_ours(struct strip *strip, struct bytes content)
{
    size_t n = match(content, 0);

    if (n == sizeof prefix || n == content.n)
        return true;
    begin_line(strip, content.at[0]);
    return false;
}

/* How much of CONTENT is kept in one run. */
static size_t run_length(struct strip *strip, struct bytes content)
{
    size_t n = 0;

    while (n < content.n) {
        struct bytes rest = bytes_skip(content, n);
        switch ((enum state)strip->state) {
        case LINE_START:
            if (starts_ours(strip, rest))
                return n;
            break;
        case NAME:
            n += on_name(strip, rest);
            break;
        case NAME_SPACE:
            n += on_name_space(strip, rest.at[0]);
            break;
        case VALUE:
            n += on_value(strip, rest);
            break;
        case DROP:
        case DROP_START:
            return n;
        case BODY:
            return content.n;
        }
    }
    return n;
}

/* A field that is taken out, as far as it goes. */
static void drop(struct strip *strip, struct bytes *content)
{
    while (content->n && (strip->state == DROP || strip->state == DROP_START)) {
        uint8_t c = content->at[0];
        size_t lf;

        if (strip->state == DROP_START && c != ' ' && c != '\t') {
            strip->state = LINE_START;
            return;
        }
        lf = bytes_find(*content, '\n');
        strip->state = lf == BYTES_NOT_FOUND ? DROP : DROP_START;
        *content = bytes_skip(*content, lf == BYTES_NOT_FOUND ? content->n : lf + 1);
    }
}

bool strip_next(struct strip *strip, struct bytes *content, struct bytes *run)
{
    while (content->n) {
        size_t n;

        if (strip->held_n && go_on_with_held(strip, content)) {
            *run = strip_end(strip);
            return true;
        }
        drop(strip, content);
        n = run_length(strip, *content);
        if (n) {
            *run = bytes_first(*content, n);
            *content = bytes_skip(*content, n);
            return true;
        }
        if (content->n) /* it begins like ours, or to its end might */
            (void)go_on_with_held(strip, content);
    }
    return false;
}

struct bytes strip_end(struct strip *strip)
{
    struct bytes held = bytes_of(strip->held, strip->held_n);

    strip->held_n = 0;
    return held;
}
