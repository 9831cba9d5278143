#include "policy/filter.h"

#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum kind { TEXT, WORD, NUMBER, SIZE, TIME, AGE };

enum op { EQ, NE, GT, GE, LT, LE, LIKE };

struct term {
    enum filter_field field;
    enum kind kind;
    enum op op;
    uint32_t text_at, text_n; /* in filter->texts */
    int64_t number;
};

struct filter {
    unsigned term_count;
    struct term terms[FILTER_TERMS_MAX];
    uint32_t texts_n;
    uint8_t texts[]; /* as many as the filter's text had */
};

static const char *const message_statuses[] = { "active", "ready", "retry", "suspended",
    "fenced", "unreachable", NULL };
static const char *const queue_statuses[] = { "active", "connecting", "ready", "retry",
    "suspended", "unreachable", NULL };
static const char *const priorities[] = { "high", "normal", "low", NULL };
static const char *const kinds[] = { "smarthost", "mx", "lmtp", "maildir", "unreachable",
    "poison", NULL };

/* A field's name in the tongue of cmdlets, and the short one. */
static const struct field {
    const char *name, *native;
    enum filter_field field;
    unsigned over; /* enum filter_over */
    enum kind kind;
    const char *const *words; /* of a WORD */
} fields[] = {
    { "Identity", "id", FILTER_IDENTITY, FILTER_MESSAGES | FILTER_QUEUES, TEXT, NULL },
    { "FromAddress", "from", FILTER_FROM, FILTER_MESSAGES, TEXT, NULL },
    { "Recipient", "to", FILTER_RECIPIENT, FILTER_MESSAGES, TEXT, NULL },
    { "Size", "size", FILTER_SIZE, FILTER_MESSAGES, SIZE, NULL },
    { "DateReceived", "received", FILTER_RECEIVED, FILTER_MESSAGES, TIME, NULL },
    { "Age", "age", FILTER_AGE, FILTER_MESSAGES, AGE, NULL },
    { "LastError", "error", FILTER_ERROR, FILTER_MESSAGES | FILTER_QUEUES, TEXT, NULL },
    { "Queue", "queue", FILTER_QUEUE, FILTER_MESSAGES | FILTER_QUEUES, TEXT, NULL },
    { "NextHopDomain", "domain", FILTER_DOMAIN, FILTER_MESSAGES | FILTER_QUEUES, TEXT, NULL },
    { "Status", "status", FILTER_STATUS, FILTER_MESSAGES, WORD, message_statuses },
    { "Status", "status", FILTER_STATUS, FILTER_QUEUES, WORD, queue_statuses },
    { "RetryCount", "retries", FILTER_RETRIES, FILTER_MESSAGES | FILTER_QUEUES, NUMBER, NULL },
    { "SourceIP", "ip", FILTER_IP, FILTER_MESSAGES, TEXT, NULL },
    { "Priority", "priority", FILTER_PRIORITY, FILTER_MESSAGES, WORD, priorities },
    { "MessageCount", "messages", FILTER_COUNT, FILTER_QUEUES, NUMBER, NULL },
    { "NextHopConnector", "connector", FILTER_CONNECTOR, FILTER_QUEUES, TEXT, NULL },
    { "DeliveryType", "kind", FILTER_KIND, FILTER_QUEUES, WORD, kinds },
};

static const struct {
    const char *text;
    enum op op;
} operators[] = { { "-eq", EQ }, { "-ne", NE }, { "-gt", GT }, { "-ge", GE }, { "-lt", LT },
    { "-le", LE }, { "-like", LIKE }, { "=", EQ }, { "==", EQ }, { "!=", NE }, { "<>", NE },
    { ">", GT }, { ">=", GE }, { "<", LT }, { "<=", LE }, { "~", LIKE }, { "like", LIKE } };

/* --- Words ------------------------------------------------------------------------------- */

struct reader {
    struct bytes all;
    size_t at;
    enum filter_over over;
    struct filter *filter;
    char *why;
};

static enum err PRINTF(3, 4) complain(struct reader *reader, size_t at, const char *format, ...)
{
    int n = snprintf(reader->why, FILTER_WHY_BYTES, "at character %zu: ", at + 1);
    va_list args;

    va_start(args, format);
    vsnprintf(reader->why + n, FILTER_WHY_BYTES - (size_t)n, format, args);
    va_end(args);
    return ERR_SYNTAX;
}

static void skip_spaces(struct reader *reader)
{
    while (reader->at < reader->all.n &&
           (reader->all.at[reader->at] == ' ' || reader->all.at[reader->at] == '\t'))
        reader->at++;
}

static bool is_sign(uint8_t c)
{
    return c == '=' || c == '!' || c == '<' || c == '>' || c == '~';
}

/* A run of signs, or of anything else up to a space or a sign: operators of the short tongue
 * need no spaces around. */
static struct bytes take_word(struct reader *reader)
{
    size_t from = reader->at;
    bool signs;

    if (from == reader->all.n)
        return BYTES_NONE;
    signs = is_sign(reader->all.at[from]);
    while (reader->at < reader->all.n && reader->all.at[reader->at] != ' ' &&
           reader->all.at[reader->at] != '\t' && is_sign(reader->all.at[reader->at]) == signs)
        reader->at++;
    return bytes_first(bytes_skip(reader->all, from), reader->at - from);
}

/* --- Values ------------------------------------------------------------------------------ */

/* Copies a value to the filter's texts: quoted (a doubled quote is one), or up to a space. */
static enum err take_value(struct reader *reader, struct term *term)
{
    struct filter *filter = reader->filter;
    size_t from = reader->at;
    uint8_t quote = 0;

    term->text_at = filter->texts_n;
    if (from == reader->all.n)
        return complain(reader, from, "a value is missing");
    if (reader->all.at[from] == '\'' || reader->all.at[from] == '"')
        quote = reader->all.at[reader->at++];
    for (;; reader->at++) {
        bool is_over = reader->at == reader->all.n;
        uint8_t c = is_over ? 0 : reader->all.at[reader->at];
        if (is_over && quote)
            return complain(reader, from, "the quote that opens here is not closed");
        if (is_over || (!quote && (c == ' ' || c == '\t')))
            break;
        if (quote && c == quote) {
            reader->at++;
            if (reader->at == reader->all.n || reader->all.at[reader->at] != quote)
                break;
        }
        filter->texts[filter->texts_n++] = c;
    }
    term->text_n = filter->texts_n - term->text_at;
    return OK;
}

static struct bytes text_of(const struct filter *filter, const struct term *term)
{
    return bytes_of(filter->texts + term->text_at, term->text_n);
}

/* "10KB", "10k", "2 MB", "512 B". */
static bool read_size(struct bytes text, int64_t *out)
{
    static const char units[] = "kmgt";
    uint64_t number;
    size_t n = text.n;
    unsigned shift = 0;

    if (n && ascii_lower(text.at[n - 1]) == 'b')
        n--;
    if (n) {
        const char *unit = strchr(units, ascii_lower(text.at[n - 1]));
        if (unit && *unit) {
            shift = 10 * (unsigned)(unit - units + 1);
            n--;
        }
    }
    if (!bytes_to_number(bytes_trim(bytes_first(text, n)), INT64_MAX >> shift, &number))
        return false;
    *out = (int64_t)(number << shift);
    return true;
}

static bool is_one_of(const char *const *words, struct bytes text)
{
    for (; *words; words++) {
        if (bytes_equal_nocase(bytes_text(*words), text))
            return true;
    }
    return false;
}

/* "a, b, c" */
static void list_words(const char *const *words, char *out, size_t room)
{
    size_t at = 0;

    out[0] = 0;
    for (; *words && at < room; words++)
        at += (size_t)snprintf(out + at, room - at, "%s%s", at ? ", " : "", *words);
}

static enum err check_value(
    struct reader *reader, struct term *term, const struct field *field, size_t at)
{
    struct bytes text = text_of(reader->filter, term);
    char known[160];
    struct wall wall;
    uint64_t number;

    switch (term->kind) {
    case TEXT:
        return OK;
    case WORD:
        list_words(field->words, known, sizeof known);
        if (term->op != LIKE && !is_one_of(field->words, text))
            return complain(reader, at, "%s is one of %s", field->name, known);
        return OK;
    case NUMBER:
        if (!bytes_to_number(text, INT64_MAX, &number))
            return complain(reader, at, "%s is a number", field->name);
        term->number = (int64_t)number;
        return OK;
    case SIZE:
        if (!read_size(text, &term->number))
            return complain(reader, at, "%s is a size, as 4096, 10KB or 2MB", field->name);
        return OK;
    case TIME:
        if (!wall_parse_iso(text, &wall))
            return complain(reader, at, "%s is a time, as 2026-11-21 or 2026-11-21T17:30 (UTC)",
                field->name);
        term->number = wall.ms;
        return OK;
    case AGE:
        if (!duration_parse(text, &term->number))
            return complain(reader, at, "%s is a duration, as 90s or 2h", field->name);
        return OK;
    }
    return OK;
}

/* --- Terms ------------------------------------------------------------------------------- */

static const struct field *find_field(enum filter_over over, struct bytes name)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if ((fields[i].over & over) &&
            (bytes_equal_nocase(name, bytes_text(fields[i].name)) ||
                bytes_equal_nocase(name, bytes_text(fields[i].native))))
            return &fields[i];
    }
    return NULL;
}

static enum err take_field(struct reader *reader, const struct field **out)
{
    char known[300] = "";
    size_t at = reader->at, n = 0;
    struct bytes word = take_word(reader);

    *out = find_field(reader->over, word);
    if (*out)
        return OK;
    for (size_t i = 0; i < sizeof fields / sizeof *fields && n < sizeof known; i++) {
        if (fields[i].over & reader->over)
            n += (size_t)snprintf(
                known + n, sizeof known - n, "%s%s", n ? ", " : "", fields[i].name);
    }
    if (word.n == 0)
        return complain(reader, at, "a field is missing: %s", known);
    return complain(reader, at, "'%.*s' is no field; there are %s",
        word.n > 40 ? 40 : (int)word.n, (const char *)word.at, known);
}

static bool takes(enum kind kind, enum op op)
{
    if (op == EQ || op == NE)
        return true;
    return (op == LIKE) == (kind == TEXT || kind == WORD);
}

static enum err take_operator(
    struct reader *reader, const struct field *field, struct term *term)
{
    bool is_text = field->kind == TEXT || field->kind == WORD;
    size_t at = reader->at;
    struct bytes word = take_word(reader);

    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!bytes_equal_nocase(word, bytes_text(operators[i].text)))
            continue;
        term->op = operators[i].op;
        if (takes(field->kind, term->op))
            return OK;
        break;
    }
    return complain(reader, at, "behind %s comes %s", field->name,
        is_text ? "-eq, -ne or -like (=, != or ~)"
                : "-eq, -ne, -gt, -ge, -lt or -le (=, !=, >, >=, <, <=)");
}

static enum err take_term(struct reader *reader)
{
    struct filter *filter = reader->filter;
    struct term *term = &filter->terms[filter->term_count];
    const struct field *field;
    size_t at;
    enum err err;

    if (filter->term_count == FILTER_TERMS_MAX)
        return complain(reader, reader->at, "at most %d terms", FILTER_TERMS_MAX);
    err = take_field(reader, &field);
    if (err != OK)
        return err;
    term->field = field->field;
    term->kind = field->kind;
    skip_spaces(reader);
    err = take_operator(reader, field, term);
    if (err != OK)
        return err;
    skip_spaces(reader);
    at = reader->at;
    err = take_value(reader, term);
    if (err == OK)
        err = check_value(reader, term, field, at);
    if (err == OK)
        filter->term_count++;
    return err;
}

static enum err take_and(struct reader *reader)
{
    size_t at = reader->at;
    struct bytes word = take_word(reader);

    if (bytes_equal_nocase(word, BYTES("-and")) || bytes_equal_nocase(word, BYTES("and")))
        return OK;
    if (bytes_equal_nocase(word, BYTES("-or")) || bytes_equal_nocase(word, BYTES("or")))
        return complain(reader, at, "terms are joined by -and alone: give a command for each");
    return complain(reader, at, "-and was expected here");
}

static enum err read_all(struct reader *reader)
{
    enum err err;

    skip_spaces(reader);
    if (reader->at == reader->all.n)
        return complain(reader, reader->at, "the filter is empty");
    for (;;) {
        err = take_term(reader);
        if (err != OK)
            return err;
        skip_spaces(reader);
        if (reader->at == reader->all.n)
            return OK;
        err = take_and(reader);
        if (err != OK)
            return err;
        skip_spaces(reader);
    }
}

/* PowerShell's { } around it are no part of it. */
static struct bytes without_braces(struct bytes text)
{
    struct bytes inside = bytes_trim(text);

    if (inside.n >= 2 && inside.at[0] == '{' && inside.at[inside.n - 1] == '}')
        return bytes_first(bytes_skip(inside, 1), inside.n - 2);
    return text;
}

/* What it costs to find the values of a field: numbers stand in the message, a word is looked up
 * by them, sender and address are decoded, and a message may have many recipients. */
static unsigned cost_of(const struct term *term)
{
    if (term->field == FILTER_RECIPIENT)
        return 3;
    if (term->field == FILTER_FROM || term->field == FILTER_IP)
        return 2;
    return term->kind == TEXT || term->kind == WORD;
}

/* All must hold, so the cheapest is asked first, and mostly alone. */
static void sort_terms(struct filter *filter)
{
    for (unsigned i = 1; i < filter->term_count; i++) {
        struct term term = filter->terms[i];
        unsigned at = i;
        for (; at && cost_of(&filter->terms[at - 1]) > cost_of(&term); at--)
            filter->terms[at] = filter->terms[at - 1];
        filter->terms[at] = term;
    }
}

enum err filter_parse(
    struct bytes text, enum filter_over over, struct filter **out, char why[FILTER_WHY_BYTES])
{
    struct reader reader = { .all = without_braces(text), .over = over, .why = why };
    enum err err;

    if (text.n > FILTER_BYTES_MAX) {
        snprintf(why, FILTER_WHY_BYTES, "the filter is longer than %d bytes", FILTER_BYTES_MAX);
        return ERR_SYNTAX;
    }
    reader.filter = mem_new(sizeof *reader.filter + text.n);
    err = read_all(&reader);
    if (err != OK) {
        free(reader.filter);
        return err;
    }
    sort_terms(reader.filter);
    *out = reader.filter;
    return OK;
}

/* --- Fitting ----------------------------------------------------------------------------- */

bool filter_like(struct bytes pattern, struct bytes text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, star_t = 0;

    while (t < text.n) {
        uint8_t c = p < pattern.n ? pattern.at[p] : 0;
        if (p < pattern.n && c == '*') {
            star = p++; /* it takes nothing first, and a byte more each time the rest fails */
            star_t = t;
        } else if (p < pattern.n && (c == '?' || ascii_lower(c) == ascii_lower(text.at[t]))) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++star_t;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.at[p] == '*')
        p++;
    return p == pattern.n;
}

static bool holds_number(enum op op, int64_t value, int64_t number)
{
    switch (op) {
    case EQ:
    case NE:
        return value == number;
    case GT:
        return value > number;
    case GE:
        return value >= number;
    case LT:
        return value < number;
    case LE:
        return value <= number;
    case LIKE:
        break;
    }
    return false;
}

/* For NE: whether it is equal. */
static bool holds(
    const struct filter *filter, const struct term *term, const struct filter_value *value)
{
    if (term->kind != TEXT && term->kind != WORD)
        return holds_number(term->op, value->number, term->number);
    if (term->op == LIKE)
        return filter_like(text_of(filter, term), value->text);
    return bytes_equal_nocase(text_of(filter, term), value->text);
}

static bool fits(
    const struct filter *filter, const struct term *term, filter_get *get, void *me)
{
    struct filter_value value = { BYTES_NONE, 0 };

    for (unsigned at = 0; get(me, term->field, at, &value); at++) {
        if (holds(filter, term, &value))
            return term->op != NE;
    }
    return term->op == NE;
}

bool filter_fits_part(const struct filter *filter, uint32_t asked, filter_get *get, void *me)
{
    for (unsigned i = 0; i < filter->term_count; i++) {
        const struct term *term = &filter->terms[i];
        if ((asked >> term->field & 1) && !fits(filter, term, get, me))
            return false;
    }
    return true;
}

bool filter_fits(const struct filter *filter, filter_get *get, void *me)
{
    return filter_fits_part(filter, UINT32_MAX, get, me);
}
