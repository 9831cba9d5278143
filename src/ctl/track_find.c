/* Two readings of the logs: the first (itself two, now and then) finds which messages are meant, the
 * second what is known of them and of the notifications that tell of them. */
#include "ctl/track.h"

#include "base/mem.h"
#include "policy/filter.h"
#include "proto/ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>

enum { CANDIDATES_MAX = 4 << 20, RELATIONS_MAX = 1 << 20 };

/* What a message must have shown, in whatever line. */
enum { HAS_LINE = 1, HAS_ID = 2, HAS_SENDER = 4, HAS_SUBJECT = 8 };

struct candidate {
    struct table_node by_mid;
    struct mid mid;
    size_t number;
    uint8_t has;
};

struct relation {
    struct mid notification, original;
};

struct search {
    const struct track_query *query;
    struct track *track;
    uint8_t wanted; /* what a message must have */
    struct table candidates;
    size_t number;
    struct relation *relations;
    size_t relation_count, relation_room;
};

/* --- Does a line fit? -------------------------------------------------------------------- */

static bool fits_pattern(const char *pattern, struct bytes text)
{
    struct pattern_subject subject;
    struct address address = { 0 };

    if (!bytes_equal(text, BYTES("<>")) && /* nobody: an address without parts */
        (text.n == 0 ||
            address_parse(text, ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY, &address) != ADDRESS_OK))
        return false;
    pattern_subject_init(&subject, &address);
    return pattern_fits(pattern, &subject);
}

static bool fits_recipient(const struct track_query *query, struct bytes list)
{
    struct bytes one;

    while (tracking_next_recipient(&list, &one)) {
        for (unsigned i = 0; i < query->recipient_count; i++) {
            if (fits_pattern(query->recipients[i], one))
                return true;
        }
    }
    return false;
}

/* Times of one form, in UTC all of them, compare as text. */
static bool fits_time(const struct track_query *query, struct bytes text)
{
    const char *time = (const char *)text.at;

    return (!query->since[0] || memcmp(time, query->since, DATE_ISO_BYTES - 1) >= 0) &&
           (!query->until[0] || memcmp(time, query->until, DATE_ISO_BYTES - 1) <= 0);
}

static bool fits_line(const struct track_query *query, const struct tracking_line *line)
{
    const struct bytes *column = line->column;

    if (query->event && !bytes_equal_nocase(column[TRACKING_EVENT], bytes_text(query->event)))
        return false;
    if (query->recipient_count && !fits_recipient(query, column[TRACKING_RECIPIENTS]) &&
        !fits_recipient(query, column[TRACKING_RELATED]))
        return false;
    return fits_time(query, column[TRACKING_TIME]);
}

static struct bytes without_brackets(struct bytes text)
{
    if (text.n >= 2 && text.at[0] == '<' && text.at[text.n - 1] == '>')
        return bytes_of(text.at + 1, text.n - 2);
    return text;
}

static bool fits_id(
    const struct track_query *query, const struct tracking_line *line, struct mid mid)
{
    if (query->has_mid)
        return mid_equal(mid, query->mid);
    return line->column[TRACKING_MESSAGE_ID].n &&
           bytes_equal(without_brackets(line->column[TRACKING_MESSAGE_ID]),
               without_brackets(bytes_text(query->message_id)));
}

static bool fits_subject(const char *wanted, struct bytes subject)
{
    char pattern[1000];

    if (!subject.n)
        return false;
    if (strpbrk(wanted, "*?"))
        return filter_like(bytes_text(wanted), subject);
    snprintf(pattern, sizeof pattern, "*%s*", wanted);
    return filter_like(bytes_text(pattern), subject);
}

static uint8_t wanted_of(const struct track_query *query)
{
    return (uint8_t)(HAS_LINE | (query->has_mid || query->message_id ? HAS_ID : 0) |
                     (query->sender[0] ? HAS_SENDER : 0) | (query->subject ? HAS_SUBJECT : 0));
}

static uint8_t shown_by(
    const struct search *search, const struct tracking_line *line, struct mid mid)
{
    const struct track_query *query = search->query;
    uint8_t shown = 0;

    if (search->wanted & HAS_ID && fits_id(query, line, mid))
        shown |= HAS_ID;
    if (search->wanted & HAS_SENDER &&
        fits_pattern(query->sender, line->column[TRACKING_SENDER]))
        shown |= HAS_SENDER;
    if (search->wanted & HAS_SUBJECT &&
        fits_subject(query->subject, line->column[TRACKING_SUBJECT]))
        shown |= HAS_SUBJECT;
    if (fits_line(query, line))
        shown |= HAS_LINE;
    return shown;
}

/* --- The first reading ------------------------------------------------------------------- */

static struct candidate *find_candidate(const struct search *search, struct mid mid)
{
    struct table_node *node = table_first(&search->candidates, mid_hash(mid));

    for (; node; node = table_next(node)) {
        struct candidate *found = container_of(node, struct candidate, by_mid);
        if (mid_equal(found->mid, mid))
            return found;
    }
    return NULL;
}

static struct candidate *add_candidate(struct search *search, struct mid mid)
{
    struct candidate *made;

    if (search->candidates.count == CANDIDATES_MAX) {
        search->track->is_cut = true;
        return NULL;
    }
    made = mem_new(sizeof *made);
    made->mid = mid;
    made->number = search->number++;
    table_add(&search->candidates, &made->by_mid, mid_hash(mid));
    return made;
}

static void note_relation(struct search *search, struct mid mid, struct bytes reference)
{
    struct mid original;

    if (!mid_parse(reference, &original) || search->relation_count == RELATIONS_MAX)
        return;
    if (search->relation_count == search->relation_room) {
        search->relation_room = search->relation_room ? search->relation_room * 2 : 64;
        search->relations =
            mem_grow(search->relations, search->relation_room * sizeof *search->relations);
    }
    search->relations[search->relation_count++] = (struct relation){ mid, original };
}

static void look(void *me, const struct tracking_line *line)
{
    struct search *search = me;
    struct candidate *found;
    struct mid mid;
    uint8_t shown;

    if (!mid_parse(line->column[TRACKING_MID], &mid))
        return;
    if (line->column[TRACKING_REFERENCE].n)
        note_relation(search, mid, line->column[TRACKING_REFERENCE]);
    shown = shown_by(search, line, mid);
    if (!shown)
        return;
    found = find_candidate(search, mid);
    /* RECEIVE has all that a message must have beside a line that fits; a message that did not show
     * any of that need not be remembered (but see looks_twice()). */
    if (!found && (shown != HAS_LINE || search->wanted == HAS_LINE))
        found = add_candidate(search, mid);
    if (found)
        found->has |= shown;
}

/* RECEIVE is written when 250 is said, and a message may be under way before: a line that fits may
 * stand in front of the only one with the subject. */
static bool looks_twice(const struct track_query *query)
{
    return query->subject && (query->event || query->recipient_count || query->until[0]);
}

static void look_all(struct search *search, struct track_log *log)
{
    track_log_each(log, look, search);
    if (!looks_twice(search->query))
        return;
    search->relation_count = 0;
    track_log_each(log, look, search);
}

/* --- Which ones are meant ---------------------------------------------------------------- */

struct track_message *track_message(const struct track *track, struct mid mid)
{
    struct table_node *node = table_first(&track->table, mid_hash(mid));

    for (; node; node = table_next(node)) {
        struct track_message *message = container_of(node, struct track_message, by_mid);
        if (mid_equal(message->mid, mid))
            return message;
    }
    return NULL;
}

static void add(struct track *track, struct mid mid, size_t number, bool is_related)
{
    struct track_message *message;

    if (track_message(track, mid))
        return;
    message = mem_new(sizeof *message);
    message->mid = mid;
    message->number = number;
    message->is_related = is_related;
    table_add(&track->table, &message->by_mid, mid_hash(mid));
    track->list = mem_grow(track->list, (track->count + 1) * sizeof(struct track_message *));
    track->list[track->count++] = message;
}

struct picking {
    const struct search *search;
    struct candidate **list;
    size_t count;
};

static void pick_one(struct table_node *node, void *me)
{
    struct picking *picking = me;
    struct candidate *one = container_of(node, struct candidate, by_mid);

    if ((one->has & picking->search->wanted) == picking->search->wanted)
        picking->list[picking->count++] = one;
}

static int by_number(const void *a, const void *b)
{
    size_t x = (*(struct candidate *const *)a)->number,
           y = (*(struct candidate *const *)b)->number;

    return x < y ? -1 : x > y;
}

static void pick(struct search *search)
{
    struct picking picking = { .search = search };
    size_t from = 0, limit = search->query->limit;

    picking.list = mem_new((search->candidates.count + 1) * sizeof *picking.list);
    table_each(&search->candidates, pick_one, &picking);
    qsort(picking.list, picking.count, sizeof *picking.list, by_number);
    if (limit && picking.count > limit) {
        from = picking.count - limit;
        search->track->is_cut = true;
    }
    for (size_t i = from; i < picking.count; i++)
        add(search->track, picking.list[i]->mid, picking.list[i]->number, false);
    free(picking.list);
}

/* Notifications of those, and what notifications among them tell of.  No notification tells of
 * another, so one step is enough. */
static void pick_relations(struct search *search)
{
    for (size_t i = 0; i < search->relation_count; i++) {
        const struct relation *relation = &search->relations[i];
        const struct track_message *original = track_message(search->track, relation->original);
        const struct track_message *notification =
            track_message(search->track, relation->notification);
        if (original && !original->is_related)
            add(search->track, relation->notification, SIZE_MAX, true);
        if (notification && !notification->is_related)
            add(search->track, relation->original, SIZE_MAX, true);
    }
}

/* --- The second reading ------------------------------------------------------------------ */

static struct track_event *event_of(const struct tracking_line *line, size_t number)
{
    struct track_event *event;
    size_t n = 0;

    for (unsigned i = 0; i < TRACKING_COLUMN_COUNT; i++)
        n += line->column[i].n;
    event = mem_new(sizeof *event + n);
    event->number = number;
    n = 0;
    for (unsigned i = 0; i < TRACKING_COLUMN_COUNT; i++) {
        struct bytes value = line->column[i];
        if (value.n)
            memcpy(event->bytes + n, value.at, value.n);
        event->line.column[i] = bytes_of(event->bytes + n, value.n);
        n += value.n;
    }
    return event;
}

static void keep(struct search *search, struct mid mid, const struct tracking_line *line)
{
    struct track_message *message = track_message(search->track, mid);

    if (!message || message->event_count == TRACK_EVENTS_MAX)
        return;
    if (message->event_count == 0)
        message->number = search->number;
    if (message->event_count == message->event_room) {
        message->event_room = message->event_room ? message->event_room * 2 : 4;
        message->events =
            mem_grow(message->events, message->event_room * sizeof(struct track_event *));
    }
    message->events[message->event_count++] = event_of(line, search->number++);
}

static void gather(void *me, const struct tracking_line *line)
{
    struct search *search = me;
    struct mid mid;

    if (mid_parse(line->column[TRACKING_MID], &mid))
        keep(search, mid, line);
    if (line->column[TRACKING_REFERENCE].n && mid_parse(line->column[TRACKING_REFERENCE], &mid))
        keep(search, mid, line);
}

/* Threads write for themselves, a turn of their loops at once: a SEND may stand before its RECEIVE,
 * and be a millisecond older.  What came first is known. */
static int rank(const struct track_event *event)
{
    struct bytes name = event->line.column[TRACKING_EVENT];

    return bytes_equal(name, BYTES("RECEIVE")) ? 0 : bytes_equal(name, BYTES("EXPAND")) ? 1 : 2;
}

static int compare_times(const struct track_event *a, const struct track_event *b)
{
    return memcmp(a->line.column[TRACKING_TIME].at, b->line.column[TRACKING_TIME].at,
        DATE_ISO_BYTES - 1); /* its form was checked by tracking_parse() */
}

static int by_time(const void *a, const void *b)
{
    const struct track_event *x = *(struct track_event *const *)a,
                             *y = *(struct track_event *const *)b;
    int order = rank(x) - rank(y);

    if (order == 0)
        order = compare_times(x, y);
    return order ? order : x->number < y->number ? -1 : x->number > y->number;
}

static int by_first_event(const void *a, const void *b)
{
    const struct track_message *x = *(struct track_message *const *)a,
                               *y = *(struct track_message *const *)b;
    int order =
        x->event_count && y->event_count ? compare_times(x->events[0], y->events[0]) : 0;

    return order ? order : x->number < y->number ? -1 : x->number > y->number;
}

static void put_in_order(struct track *track)
{
    for (size_t i = 0; i < track->count; i++)
        if (track->list[i]->event_count)
            qsort(track->list[i]->events, track->list[i]->event_count,
                sizeof(struct track_event *), by_time);
    qsort(track->list, track->count, sizeof(struct track_message *), by_first_event);
}

static void free_candidate(struct table_node *node, void *me)
{
    (void)me;
    free(container_of(node, struct candidate, by_mid));
}

void track_find(struct track_log *log, const struct track_query *query, struct track *out)
{
    struct search search = { .query = query, .track = out, .wanted = wanted_of(query) };

    *out = (struct track){ 0 };
    table_init(&out->table);
    table_init(&search.candidates);
    look_all(&search, log);
    pick(&search);
    pick_relations(&search);
    search.number = 0;
    if (out->count) {
        track_log_each(log, gather, &search);
        put_in_order(out);
    }
    table_each(&search.candidates, free_candidate, NULL);
    table_done(&search.candidates);
    free(search.relations);
}

void track_done(struct track *track)
{
    for (size_t i = 0; i < track->count; i++) {
        struct track_message *message = track->list[i];
        for (size_t e = 0; e < message->event_count; e++)
            free(message->events[e]);
        for (size_t q = 0; q < message->queued_count; q++)
            ctl_free(message->queued[q]);
        free(message->events);
        free(message->queued);
        free(message);
    }
    free(track->list);
    table_done(&track->table);
}
