#include "mail/sender_fields.h"

#include "mail/mailboxes.h"

#include <stdlib.h>

enum { LINE_BYTES_MAX = 998 }; /* without CRLF: RFC 5322, 2.1.1 */

enum state {
    LINE_START, /* the next byte is the first of a header line */
    NAME,       /* of a field that is not looked at */
    NAME_SPACE, /* between the name and its colon: obsolete, but seen */
    VALUE,
    HELD_NAME, /* as NAME ..., of what is or may become a field of ours; all of it is held */
    HELD_SPACE,
    HELD_VALUE,
    HELD_START, /* the next byte says whether that field goes on */
    BODY,
};

static const char *const names[] = { "from", "sender", "reply-to" };
enum { NAME_COUNT = sizeof names / sizeof *names };

void sender_fields_init(struct sender_fields *fields,
    char *(*rename)(void *me, const struct address *address), void *me)
{
    *fields = (struct sender_fields){ .rename = rename, .me = me };
    buf_init(&fields->held, SENDER_FIELD_BYTES_MAX);
    buf_init(&fields->field, 4 * SENDER_FIELD_BYTES_MAX);
}

void sender_fields_done(struct sender_fields *fields)
{
    buf_done(&fields->held);
    buf_done(&fields->field);
}

/* --- One field --------------------------------------------------------------------------- */

/* A field that is written again. */
struct renaming {
    struct sender_fields *fields;
    struct bytes value;
    size_t done; /* bytes of the value that are written */
    bool folds;  /* each new address begins a line of its own */
    uint32_t count;
    enum err err;
};

static void add(struct renaming *renaming, struct bytes bytes)
{
    if (renaming->err == OK)
        renaming->err = buf_add(&renaming->fields->field, bytes);
}

static void add_up_to(struct renaming *renaming, size_t at)
{
    add(renaming, bytes_of(renaming->value.at + renaming->done, at - renaming->done));
    renaming->done = at;
}

/* A line of spaces alone would end the header for some who read it. */
static bool may_fold(const struct buf *field)
{
    for (size_t n = field->n; n > 0; n--) {
        uint8_t c = field->at[n - 1];
        if (c == '\n')
            return false;
        if (c != ' ' && c != '\t')
            return true;
    }
    return false;
}

static void on_mailbox(void *me, const struct mailbox_place *place)
{
    struct renaming *renaming = me;
    struct address address;
    char *name;

    if (address_parse(bytes_of(renaming->value.at + place->at, place->n), ADDRESS_UTF8,
            &address) != ADDRESS_OK)
        return;
    name = renaming->fields->rename(renaming->fields->me, &address);
    if (!name)
        return;
    add_up_to(renaming, place->start);
    if (renaming->folds && may_fold(&renaming->fields->field))
        add(renaming, BYTES("\r\n\t"));
    add_up_to(renaming, place->at);
    add(renaming, bytes_text(name));
    renaming->done = place->at + place->n;
    renaming->count++;
    free(name);
}

static bool has_long_line(struct bytes text)
{
    while (text.n) {
        size_t lf = bytes_find(text, '\n'), n = lf == BYTES_NOT_FOUND ? text.n : lf;
        if (n > LINE_BYTES_MAX + 1) /* with its CR */
            return true;
        text = bytes_skip(text, lf == BYTES_NOT_FOUND ? text.n : lf + 1);
    }
    return false;
}

/* False: it stays as it is. */
static bool rename_all(struct sender_fields *fields, bool folds)
{
    struct bytes held = buf_bytes(&fields->held);
    size_t colon = bytes_find(held, ':');
    struct renaming renaming = {
        .fields = fields, .value = bytes_skip(held, colon + 1), .folds = folds
    };

    buf_clear(&fields->field);
    add(&renaming, bytes_first(held, colon + 1));
    mailboxes_each(renaming.value, on_mailbox, &renaming);
    add_up_to(&renaming, renaming.value.n);
    if (renaming.err != OK || renaming.count == 0 || has_long_line(buf_bytes(&fields->field)))
        return false;
    fields->count += renaming.count;
    return true;
}

/* What is held, as it goes on. */
static struct bytes give(struct sender_fields *fields, bool is_field)
{
    fields->is_given = true;
    if (is_field && (rename_all(fields, false) || rename_all(fields, true)))
        return buf_bytes(&fields->field);
    return buf_bytes(&fields->held);
}

/* --- The header -------------------------------------------------------------------------- */

static bool is_name_byte(uint8_t c)
{
    return c > ' ' && c < 127 && c != ':';
}

/* NAME begins one of ours, or IS_WHOLE is one. */
static bool is_ours(struct bytes name, bool is_whole)
{
    for (size_t i = 0; i < NAME_COUNT; i++) {
        struct bytes ours = bytes_text(names[i]);
        if (is_whole ? bytes_equal_nocase(ours, name) : bytes_starts_nocase(ours, name))
            return true;
    }
    return false;
}

/* The state that C, the first byte of a line, leads to. */
static enum state begin_line(const struct sender_fields *fields, uint8_t c)
{
    if (c == ' ' || c == '\t')
        return fields->has_field ? VALUE : BODY;
    if (is_ours(bytes_of(&c, 1), false))
        return HELD_NAME;
    return is_name_byte(c) ? NAME : BODY;
}

/* The state behind C, which ends a name. */
static enum state end_name(uint8_t c, enum state value, enum state space)
{
    if (c == ':')
        return value;
    return c == ' ' || c == '\t' ? space : BODY;
}

/* How much of CONTENT, which is not held, goes on in one run. */
static size_t run_length(struct sender_fields *fields, struct bytes content)
{
    size_t n = 0;

    while (n < content.n) {
        uint8_t c = content.at[n];
        size_t lf;
        switch ((enum state)fields->state) {
        case LINE_START:
            fields->state = begin_line(fields, c);
            break;
        case NAME:
            if (!is_name_byte(c))
                fields->state = end_name(c, VALUE, NAME_SPACE);
            n++;
            break;
        case NAME_SPACE:
            fields->state = end_name(c, VALUE, NAME_SPACE);
            n++;
            break;
        case VALUE:
            fields->has_field = true;
            lf = bytes_find(bytes_skip(content, n), '\n');
            if (lf == BYTES_NOT_FOUND)
                return content.n;
            fields->state = LINE_START;
            n += lf + 1;
            break;
        case BODY:
            return content.n;
        case HELD_NAME:
        case HELD_SPACE:
        case HELD_VALUE:
        case HELD_START:
            return n;
        }
    }
    return n;
}

/* The state behind C, which is held if that is a held one. */
static enum state step_held(struct sender_fields *fields, uint8_t c)
{
    struct bytes name = buf_bytes(&fields->held);
    uint8_t next[16];

    if (fields->state == HELD_SPACE)
        return end_name(c, HELD_VALUE, HELD_SPACE);
    if (!is_name_byte(c))
        return is_ours(name, true) ? end_name(c, HELD_VALUE, HELD_SPACE) : NAME;
    if (name.n + 1 > sizeof next)
        return NAME;
    if (name.n)
        memcpy(next, name.at, name.n);
    next[name.n] = c;
    return is_ours(bytes_of(next, name.n + 1), false) ? HELD_NAME : NAME;
}

/* The part of CONTENT that goes on with the field, to the end of a line at most. */
static struct bytes line_of(struct bytes content)
{
    size_t lf = bytes_find(content, '\n');

    return lf == BYTES_NOT_FOUND ? content : bytes_first(content, lf + 1);
}

/* Takes what it can of CONTENT to what is held.  True: that is to be given back; *is_field: and
 * is a whole field. */
static bool hold(struct sender_fields *fields, struct bytes *content, bool *is_field)
{
    struct bytes more = bytes_first(*content, 1);
    uint8_t c = content->at[0];

    *is_field = false;
    if (fields->state == HELD_START && c != ' ' && c != '\t') {
        fields->state = LINE_START;
        *is_field = fields->has_field = true;
        return true;
    }
    if (fields->state == HELD_NAME || fields->state == HELD_SPACE) {
        fields->state = step_held(fields, c);
        if (fields->state < HELD_NAME || fields->state == BODY)
            return true;
    } else {
        more = line_of(*content);
        fields->state = more.at[more.n - 1] == '\n' ? HELD_START : HELD_VALUE;
    }
    if (buf_add(&fields->held, more) != OK) { /* a field too long to be one of those */
        fields->state = VALUE;
        return true;
    }
    *content = bytes_skip(*content, more.n);
    return false;
}

bool sender_fields_next(struct sender_fields *fields, struct bytes *content, struct bytes *run)
{
    if (fields->is_given) {
        buf_clear(&fields->held);
        fields->is_given = false;
    }
    while (content->n) {
        size_t n = run_length(fields, *content);
        bool is_field;

        if (n) {
            *run = bytes_first(*content, n);
            *content = bytes_skip(*content, n);
            return true;
        }
        if (hold(fields, content, &is_field) && fields->held.n) {
            *run = give(fields, is_field);
            return true;
        }
    }
    return false;
}

struct bytes sender_fields_end(struct sender_fields *fields)
{
    bool is_field = fields->state == HELD_VALUE || fields->state == HELD_START;

    if (fields->is_given || fields->held.n == 0)
        return BYTES_NONE;
    return give(fields, is_field);
}
