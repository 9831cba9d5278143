#include "mail/scan.h"

#include "base/err.h"

/* Lines, 8-bit bytes and NULs are looked for in passes of their own, each as fast as memory
 * allows; the header is read by a small machine until it ends.  A line ends at its LF here, so
 * that a bare LF in binary content makes more lines and never fewer: has_dot_line may then say
 * too much, which costs time, and never too little, which would cost the message. */
enum state {
    LINE_START, /* the next byte is the first of a header line */
    EMPTY_CR,   /* CR was that byte */
    NAME,
    NAME_SPACE, /* between the name and its colon: obsolete, but seen */
    VALUE,
};

enum field {
    FIELD_NONE,
    FIELD_OTHER,
    DATE,
    MESSAGE_ID,
    FROM,
    RECEIVED,
    DELIVERED_TO,
    SUBJECT,
    PRIORITY
};

static const struct {
    struct bytes name;
    enum field field;
} fields[] = {
    { { (const uint8_t *)"date", 4 }, DATE },
    { { (const uint8_t *)"message-id", 10 }, MESSAGE_ID },
    { { (const uint8_t *)"from", 4 }, FROM },
    { { (const uint8_t *)"received", 8 }, RECEIVED },
    { { (const uint8_t *)"delivered-to", 12 }, DELIVERED_TO },
    { { (const uint8_t *)"subject", 7 }, SUBJECT },
    { { (const uint8_t *)"x-priority", 10 }, PRIORITY },
    { { (const uint8_t *)"importance", 10 }, PRIORITY },
    { { (const uint8_t *)"priority", 8 }, PRIORITY },
};

void scan_init(struct scan *scan)
{
    *scan = (struct scan){ 0 };
}

/* --- Lines and bytes --------------------------------------------------------------------- */

static void note_line(struct scan *scan, uint64_t bytes)
{
    if (bytes > scan->line_bytes_longest)
        scan->line_bytes_longest = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

static void feed_lines(struct scan *scan, struct bytes content)
{
    const uint8_t *at = content.at, *end = content.at + content.n;

    while (at < end) {
        const uint8_t *lf = memchr(at, '\n', (size_t)(end - at));
        const uint8_t *stop = lf ? lf : end;
        uint64_t line_bytes = scan->line_bytes + (uint64_t)(stop - at);
        bool after_cr = stop > at ? stop[-1] == '\r' : scan->after_cr;

        if (scan->line_bytes == 0 && *at == '.')
            scan->has_dot_line = true;
        if (lf)
            note_line(scan, line_bytes - after_cr);
        scan->after_cr = !lf && after_cr;
        scan->line_bytes = lf ? 0 : line_bytes < UINT32_MAX ? (uint32_t)line_bytes : UINT32_MAX;
        at = stop + 1;
    }
}

static bool has_8bit(struct bytes content)
{
    enum { STEP = 64 };
    const uint8_t *at = content.at, *end = content.at + content.n;

    for (; end - at >= STEP; at += STEP) {
        uint64_t word[STEP / sizeof(uint64_t)], all = 0;
        memcpy(word, at, STEP);
        for (size_t i = 0; i < STEP / sizeof(uint64_t); i++)
            all |= word[i];
        if (all & 0x8080808080808080u)
            return true;
    }
    for (; at < end; at++) {
        if (*at & 0x80)
            return true;
    }
    return false;
}

/* --- The header -------------------------------------------------------------------------- */

static enum field field_of(struct bytes name)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (bytes_equal_nocase(name, fields[i].name))
            return fields[i].field;
    }
    return FIELD_OTHER;
}

static void count_up(uint16_t *count)
{
    if (*count < UINT16_MAX)
        ++*count;
}

/* The colon behind a name was read. */
static void begin_field(struct scan *scan)
{
    enum field field = field_of(bytes_of(scan->name, scan->name_n));

    /* Of a field that stands there twice the first is kept. */
    if ((field == MESSAGE_ID && scan->has_message_id) ||
        (field == SUBJECT && scan->subject[0]) || (field == PRIORITY && scan->priority))
        field = FIELD_OTHER;
    scan->has_date |= field == DATE;
    scan->has_message_id |= field == MESSAGE_ID;
    scan->has_from |= field == FROM;
    if (field == RECEIVED)
        count_up(&scan->received_count);
    if (field == DELIVERED_TO)
        count_up(&scan->delivered_to_count);
    scan->field = (uint8_t)field;
    scan->value_n = 0;
    scan->depth = scan->word_at = 0;
    scan->is_after_by = false;
    scan->state = VALUE;
}

static void end_word(struct scan *scan)
{
    if (scan->word_at == 0)
        return;
    if (scan->is_after_by && scan->is_own && scan->word_at == scan->own.n)
        count_up(&scan->own_count);
    scan->is_after_by = scan->is_by && scan->word_at == 2;
    scan->word_at = 0;
}

static void add_to_word(struct scan *scan, uint8_t c)
{
    size_t at = scan->word_at;

    if (at == 0)
        scan->is_by = scan->is_own = true;
    scan->is_by = scan->is_by && at < 2 && ascii_lower(c) == (uint8_t) "by"[at];
    scan->is_own =
        scan->is_own && at < scan->own.n && ascii_lower(c) == ascii_lower(scan->own.at[at]);
    if (scan->word_at < UINT8_MAX)
        scan->word_at++;
}

/* Looks for "by OWN" outside of comments (RFC 5321, 4.4); PART has no LF. */
static void look_for_own(struct scan *scan, struct bytes part)
{
    for (size_t i = 0; i < part.n; i++) {
        uint8_t c = part.at[i];
        if (c <= ' ' || c == ';' || c == '(' || c == ')' || scan->depth)
            end_word(scan);
        else
            add_to_word(scan, c);
        if (c == '(' && scan->depth < UINT8_MAX)
            scan->depth++;
        else if (c == ')' && scan->depth)
            scan->depth--;
    }
}

/* Where the value of this field is kept; NULL: nowhere. */
static char *value_room(struct scan *scan, size_t *bytes_max)
{
    switch (scan->field) {
    case MESSAGE_ID:
        *bytes_max = SCAN_MESSAGE_ID_MAX;
        return scan->message_id;
    case SUBJECT:
        *bytes_max = SCAN_SUBJECT_MAX;
        return scan->subject;
    case PRIORITY:
        *bytes_max = SCAN_PRIORITY_MAX;
        return scan->priority_text;
    default:
        return NULL;
    }
}

/* "1 (Highest)", "high", "non-urgent" ...: its first word. */
static int8_t priority_of(const char *text)
{
    static const struct {
        const char *word;
        int8_t priority;
    } words[] = { { "1", 4 }, { "2", 4 }, { "high", 4 }, { "urgent", 4 }, { "4", -4 },
        { "5", -4 }, { "low", -4 }, { "non-urgent", -4 } };
    struct bytes word = bytes_of(text, strcspn(text, " (;"));

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (bytes_equal_nocase(word, bytes_text(words[i].word)))
            return words[i].priority;
    }
    return 0;
}

static void end_field(struct scan *scan)
{
    size_t bytes_max;
    char *room = value_room(scan, &bytes_max);

    while (room && scan->value_n && room[scan->value_n - 1] == ' ')
        room[--scan->value_n] = 0;
    if (scan->field == PRIORITY && scan->value_n)
        scan->priority = priority_of(scan->priority_text);
}

/* Keeps a part of a value, its folding undone; PART has no LF.  Bytes that would harm a log
 * line become "?". */
static void keep_value(struct scan *scan, struct bytes part)
{
    size_t bytes_max;
    char *room = value_room(scan, &bytes_max);

    for (size_t i = 0; room && i < part.n && scan->value_n < bytes_max; i++) {
        uint8_t c = part.at[i];
        if (c == '\r' || ((c == ' ' || c == '\t') && scan->value_n == 0))
            continue;
        if (c == '\t')
            c = ' ';
        else if (c < ' ' || c == 127)
            c = '?';
        room[scan->value_n++] = (char)c;
        room[scan->value_n] = 0;
    }
}

/* The header ends before the line that was begun: it is no field. */
static void end_header(struct scan *scan)
{
    scan->header_ended = true;
}

/* Each of these takes bytes off CONTENT and says how many; 0 is an answer when the state or
 * header_ended changed. */
static size_t on_line_start(struct scan *scan, uint8_t c)
{
    if (c == ' ' || c == '\t') {
        if (scan->field == FIELD_NONE)
            end_header(scan);                          /* nothing to go on with */
        if (scan->field == SUBJECT && scan->value_n) { /* its first line is all we keep */
            end_field(scan);
            scan->field = FIELD_OTHER;
        }
        scan->state = VALUE;
        return 0;
    }
    end_field(scan);
    scan->name_n = 0;
    scan->state = c == '\r' ? EMPTY_CR : NAME;
    return c == '\r';
}

static size_t on_name(struct scan *scan, struct bytes content)
{
    size_t n = 0;

    while (
        n < content.n && content.at[n] > ' ' && content.at[n] < 127 && content.at[n] != ':') {
        if (scan->name_n < SCAN_NAME_MAX)
            scan->name[scan->name_n++] = (char)content.at[n];
        n++;
    }
    if (n == content.n)
        return n;
    if (scan->name_n && (content.at[n] == ' ' || content.at[n] == '\t'))
        scan->state = NAME_SPACE;
    else if (scan->name_n && content.at[n] == ':')
        begin_field(scan);
    else
        end_header(scan);
    return n + 1;
}

static size_t on_name_space(struct scan *scan, uint8_t c)
{
    if (c == ':')
        begin_field(scan);
    else if (c != ' ' && c != '\t')
        end_header(scan);
    return 1;
}

static size_t on_value(struct scan *scan, struct bytes content, uint64_t at)
{
    size_t lf = bytes_find(content, '\n');
    struct bytes part = bytes_first(content, lf);

    keep_value(scan, part);
    if (scan->field == RECEIVED && scan->own.n)
        look_for_own(scan, part);
    if (!scan->has_utf8_header && has_8bit(part))
        scan->has_utf8_header = true;
    if (lf == BYTES_NOT_FOUND)
        return content.n;
    scan->state = LINE_START;
    scan->header_bytes = at + lf + 1;
    return lf + 1;
}

/* AT is the content's place in the message. */
static size_t step_header(struct scan *scan, struct bytes content, uint64_t at)
{
    switch ((enum state)scan->state) {
    case LINE_START:
        if (content.at[0] != '\n')
            return on_line_start(scan, content.at[0]);
        end_field(scan);
        scan->header_bytes = at + 1;
        end_header(scan);
        return 1;
    case EMPTY_CR:
        if (content.at[0] == '\n')
            scan->header_bytes = at + 1;
        end_header(scan);
        return 1;
    case NAME:
        return on_name(scan, content);
    case NAME_SPACE:
        return on_name_space(scan, content.at[0]);
    case VALUE:
        return on_value(scan, content, at);
    }
    return content.n;
}

void scan_feed(struct scan *scan, struct bytes content)
{
    size_t done = 0;

    if (content.n == 0)
        return;
    while (!scan->header_ended && done < content.n)
        done += step_header(scan, bytes_skip(content, done), scan->bytes + done);
    feed_lines(scan, content);
    if (!scan->has_8bit)
        scan->has_8bit = has_8bit(content);
    if (!scan->has_nul)
        scan->has_nul = bytes_find(content, 0) != BYTES_NOT_FOUND;
    scan->bytes += content.n;
}

void scan_end(struct scan *scan)
{
    note_line(scan, scan->line_bytes);
    if (scan->header_ended)
        return;
    end_field(scan);
    if (scan->state == VALUE)
        scan->header_bytes = scan->bytes;
    end_header(scan);
}
