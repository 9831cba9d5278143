/* Reading lines of the message tracking log. */
#include "report/tracking.h"

/* --- A comma-separated line (RFC 4180, without line feeds in values) ---------------------- */

/* A value in quotes, the first of which stands at the start of *LINE; ROOM gets it when a quote in
 * it is doubled. */
static struct bytes quoted(struct bytes *line, uint8_t **room)
{
    struct bytes rest = bytes_skip(*line, 1), value = { rest.at, 0 };
    uint8_t *copy = NULL;

    for (;;) {
        size_t n = bytes_find(rest, '"');
        struct bytes run = bytes_first(rest, n);
        if (copy)
            memcpy(copy + value.n, run.at, run.n);
        value.n += run.n;
        rest = bytes_skip(rest, run.n);
        if (rest.n < 2 || rest.at[1] != '"') {
            *line = bytes_skip(rest, rest.n ? 1 : 0);
            break;
        }
        if (!copy) {
            copy = *room;
            memcpy(copy, value.at, value.n);
        }
        copy[value.n++] = '"';
        value.at = copy;
        rest = bytes_skip(rest, 2);
    }
    if (copy)
        *room += value.n;
    return value;
}

/* Takes one value and the comma behind it off *LINE; false: there is none left. */
static bool next_value(struct bytes *line, uint8_t **room, struct bytes *out)
{
    size_t n;

    if (!line->at)
        return false;
    if (line->n && line->at[0] == '"') {
        *out = quoted(line, room);
        n = bytes_find(*line, ','); /* at once, in a line of ours */
    } else {
        n = bytes_find(*line, ',');
        *out = bytes_first(*line, n);
    }
    *line = n == BYTES_NOT_FOUND ? BYTES_NONE : bytes_skip(*line, n + 1);
    return true;
}

static enum tracking_column column_called(struct bytes name)
{
    for (unsigned i = 0; i < TRACKING_COLUMN_COUNT; i++) {
        if (bytes_equal_nocase(name, bytes_text(tracking_column_name(i))))
            return i;
    }
    return TRACKING_COLUMN_COUNT;
}

static void read_layout(struct bytes names, struct tracking_layout *layout)
{
    size_t n;

    layout->count = 0;
    do {
        n = bytes_find(names, ',');
        layout->column[layout->count++] =
            (uint8_t)column_called(bytes_trim(bytes_first(names, n)));
        names = n == BYTES_NOT_FOUND ? BYTES_NONE : bytes_skip(names, n + 1);
    } while (names.n && layout->count < sizeof layout->column);
}

static bool is_time(struct bytes text)
{
    const struct bytes shape = BYTES("dddd-dd-ddTdd:dd:dd.dddZ");

    if (text.n != shape.n)
        return false;
    for (size_t i = 0; i < shape.n; i++) {
        if (shape.at[i] == 'd' ? text.at[i] < '0' || text.at[i] > '9'
                               : text.at[i] != shape.at[i])
            return false;
    }
    return true;
}

static bool is_line(const struct tracking_line *line)
{
    return is_time(line->column[TRACKING_TIME]) && line->column[TRACKING_EVENT].n;
}

static bool read_values(struct bytes line, const struct tracking_layout *layout, uint8_t *room,
    struct tracking_line *out)
{
    struct bytes value;

    for (unsigned i = 0; next_value(&line, &room, &value); i++) {
        unsigned column =
            layout->count ? (i < layout->count ? layout->column[i] : TRACKING_COLUMN_COUNT) : i;
        if (column < TRACKING_COLUMN_COUNT)
            out->column[column] = value;
    }
    return is_line(out);
}

/* --- A line of JSON: texts alone, as tracking_json() writes them --------------------------- */

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four digits of U+XXXX as UTF-8; surrogates are not written by us: U+FFFD. */
static bool put_unicode(struct bytes digits, uint8_t **at)
{
    unsigned code = 0;

    if (digits.n < 4)
        return false;
    for (unsigned i = 0; i < 4; i++) {
        int d = digit(digits.at[i]);
        if (d < 0)
            return false;
        code = code << 4 | (unsigned)d;
    }
    if (code >= 0xd800 && code < 0xe000)
        code = 0xfffd;
    if (code < 0x80) {
        *(*at)++ = (uint8_t)code;
    } else if (code < 0x800) {
        *(*at)++ = (uint8_t)(0xc0 | code >> 6);
        *(*at)++ = (uint8_t)(0x80 | (code & 0x3f));
    } else {
        *(*at)++ = (uint8_t)(0xe0 | code >> 12);
        *(*at)++ = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        *(*at)++ = (uint8_t)(0x80 | (code & 0x3f));
    }
    return true;
}

/* What a backslash at the start of *REST stands for; it never grows. */
static bool put_escape(struct bytes *rest, uint8_t **at)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *letter;

    if (rest->n < 2)
        return false;
    if (rest->at[1] == 'u') {
        if (!put_unicode(bytes_skip(*rest, 2), at))
            return false;
        *rest = bytes_skip(*rest, 6);
        return true;
    }
    letter = memchr(letters, rest->at[1], sizeof letters - 1);
    if (!letter)
        return false;
    *(*at)++ = (uint8_t)meant[letter - letters];
    *rest = bytes_skip(*rest, 2);
    return true;
}

static bool json_text(struct bytes *rest, uint8_t **room, struct bytes *out)
{
    uint8_t *from = *room;

    if (rest->n == 0 || rest->at[0] != '"')
        return false;
    *rest = bytes_skip(*rest, 1);
    while (rest->n && rest->at[0] != '"') {
        if (rest->at[0] == '\\') {
            if (!put_escape(rest, room))
                return false;
        } else {
            *(*room)++ = rest->at[0];
            *rest = bytes_skip(*rest, 1);
        }
    }
    if (rest->n == 0)
        return false;
    *rest = bytes_skip(*rest, 1);
    *out = bytes_of(from, (size_t)(*room - from));
    return true;
}

static bool take(struct bytes *rest, char c)
{
    if (rest->n == 0 || rest->at[0] != (uint8_t)c)
        return false;
    *rest = bytes_skip(*rest, 1);
    return true;
}

static bool read_json(struct bytes line, uint8_t *room, struct tracking_line *out)
{
    struct bytes name, value;

    if (!take(&line, '{'))
        return false;
    do {
        enum tracking_column column;
        if (!json_text(&line, &room, &name) || !take(&line, ':') ||
            !json_text(&line, &room, &value))
            return false;
        column = column_called(name);
        if (column < TRACKING_COLUMN_COUNT)
            out->column[column] = value;
    } while (take(&line, ','));
    return take(&line, '}') && line.n == 0 && is_line(out);
}

/* ------------------------------------------------------------------------------------------ */

enum tracking_kind tracking_parse(
    struct bytes line, struct tracking_layout *layout, uint8_t *room, struct tracking_line *out)
{
    bool is_good;

    while (line.n && (line.at[line.n - 1] == '\n' || line.at[line.n - 1] == '\r'))
        line.n--;
    if (bytes_starts(line, BYTES("#Fields:"))) {
        read_layout(bytes_skip(line, sizeof "#Fields:" - 1), layout);
        return TRACKING_LAYOUT;
    }
    *out = (struct tracking_line){ 0 };
    if (line.n == 0 || line.at[0] == '#')
        return TRACKING_OTHER;
    is_good =
        line.at[0] == '{' ? read_json(line, room, out) : read_values(line, layout, room, out);
    return is_good ? TRACKING_LINE : TRACKING_OTHER;
}

/* A ";" inside of a quoted local part is no end. */
bool tracking_next_recipient(struct bytes *list, struct bytes *out)
{
    bool is_quoted = false;
    size_t n = 0;

    if (list->n == 0)
        return false;
    for (; n < list->n && (is_quoted || list->at[n] != ';'); n++) {
        if (list->at[n] == '"')
            is_quoted = !is_quoted;
        else if (list->at[n] == '\\' && is_quoted && n + 1 < list->n)
            n++;
    }
    *out = bytes_first(*list, n);
    *list = bytes_skip(*list, n < list->n ? n + 1 : n);
    return true;
}
