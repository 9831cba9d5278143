#include "report/tally.h"

#include "base/mem.h"
#include "base/table.h"
#include "base/weak_tls.h"
#include "report/events.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct row {
    struct table_node in_table;
    enum tally_kind kind;
    uint64_t count, amount;
    char first[TALLY_LABEL_BYTES], second[TALLY_LABEL_BYTES];
};

/* A few additions a message, behind a lock that is never held for long. */
static struct {
    pthread_mutex_t lock;
    struct table table;
    size_t counts[TALLY_KIND_COUNT];
} tally = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void lock(void)
{
    int failed = pthread_mutex_lock(&tally.lock);

    assert(failed == 0);
    (void)failed;
}

static uint64_t hash_of(enum tally_kind kind, struct bytes first, struct bytes second)
{
    return bytes_hash_nocase(first) * 31 + bytes_hash_nocase(second) * 7 + (uint64_t)kind;
}

static struct row *find(
    uint64_t hash, enum tally_kind kind, struct bytes first, struct bytes second)
{
    struct table_node *node = table_first(&tally.table, hash);

    for (; node; node = table_next(node)) {
        struct row *row = container_of(node, struct row, in_table);
        if (row->kind == kind && bytes_equal(bytes_text(row->first), first) &&
            bytes_equal(bytes_text(row->second), second))
            return row;
    }
    return NULL;
}

static struct row *find_or_make(enum tally_kind kind, struct bytes first, struct bytes second)
{
    uint64_t hash = hash_of(kind, first, second);
    struct row *row = find(hash, kind, first, second);

    if (row)
        return row;
    if (tally.counts[kind] >= TALLY_ROWS_MAX) {
        first = BYTES("other");
        hash = hash_of(kind, first, second);
        row = find(hash, kind, first, second);
        if (row)
            return row;
    }
    row = mem_new(sizeof *row);
    row->kind = kind;
    if (first.n)
        memcpy(row->first, first.at, first.n);
    if (second.n)
        memcpy(row->second, second.at, second.n);
    table_add(&tally.table, &row->in_table, hash);
    tally.counts[kind]++;
    return row;
}

static void add(enum tally_kind kind, struct bytes first, struct bytes second, int64_t amount)
{
    struct row *row;

    first = bytes_first(first, TALLY_LABEL_BYTES - 1);
    second = bytes_first(second, TALLY_LABEL_BYTES - 1);
    lock();
    row = find_or_make(kind, first, second);
    row->count++;
    row->amount += amount > 0 ? (uint64_t)amount : 0;
    pthread_mutex_unlock(&tally.lock);
}

/* --- What an event counts for ------------------------------------------------------------ */

struct event {
    const struct report_field *fields;
    unsigned count;
};

static struct bytes text(const struct event *event, const char *name)
{
    const struct report_field *field = event_field(event->fields, event->count, name);

    return field && field->kind == REPORT_TEXT && field->text.n ? field->text : BYTES("none");
}

static int64_t number(const struct event *event, const char *name)
{
    const struct report_field *field = event_field(event->fields, event->count, name);

    return field && field->kind == REPORT_NUMBER ? field->number : 0;
}

/* The first word of REST, which goes on behind it. */
static struct bytes take_word(struct bytes *rest)
{
    struct bytes word = bytes_first(*rest, bytes_find(*rest, ' '));

    *rest = bytes_skip(*rest, word.n < rest->n ? word.n + 1 : word.n);
    return word;
}

/* TLS is "verify TLSv1.3 CIPHER verified", or "none". */
static void count_sent(struct bytes queue, struct bytes tls, int64_t size)
{
    struct bytes rest = tls, level = take_word(&rest), both = rest;
    struct bytes version = take_word(&rest), cipher = take_word(&rest);

    add(TALLY_SENT, queue, version.n ? version : level, size);
    both.n = version.n + cipher.n + (cipher.n > 0);
    if (tls_weakness(version, cipher))
        add(TALLY_WEAK, queue, both, size);
}

static void on_delivery(const struct event *event)
{
    struct bytes status = text(event, "status"), source = text(event, "source");

    add(TALLY_ATTEMPTS, text(event, "connector"), status, 0);
    if (bytes_equal(status, BYTES("sent")) && !bytes_equal(source, BYTES("MAILDIR")))
        count_sent(text(event, "queue"), text(event, "tls"), number(event, "size"));
}

void tally_event(
    enum report_event event, const struct report_field *fields, unsigned field_count)
{
    const struct event what = { fields, field_count };
    struct bytes connector;

    if (event != REPORT_CONNECT && event != REPORT_RECEIVED && event != REPORT_DELIVERY &&
        event != REPORT_REJECT && event != REPORT_LOGIN && event != REPORT_LOGIN_FAILED)
        return;
    connector = text(&what, "connector");
    if (event == REPORT_CONNECT)
        add(TALLY_CONNECTIONS, connector, BYTES_NONE, 0);
    else if (event == REPORT_RECEIVED)
        add(TALLY_RECEIVED, connector, text(&what, "tls"), number(&what, "size"));
    else if (event == REPORT_REJECT)
        add(TALLY_REFUSED, connector, text(&what, "rule"), 0);
    else if (event == REPORT_DELIVERY)
        on_delivery(&what);
    else
        add(TALLY_LOGINS, connector, event == REPORT_LOGIN ? BYTES("ok") : BYTES("failed"), 0);
}

/* --- Reading ----------------------------------------------------------------------------- */

struct reading {
    enum tally_kind kind;
    const struct row **rows;
    size_t count;
};

static void take(struct table_node *node, void *me)
{
    struct reading *reading = me;
    const struct row *row = container_of(node, struct row, in_table);

    if (row->kind == reading->kind)
        reading->rows[reading->count++] = row;
}

static int by_labels(const void *a, const void *b)
{
    const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;
    int order = strcmp(x->first, y->first);

    return order ? order : strcmp(x->second, y->second);
}

void tally_each(
    enum tally_kind kind, void (*visit)(void *me, const struct tally_row *row), void *me)
{
    struct reading reading = { .kind = kind };

    lock();
    reading.rows = mem_new((tally.table.count + 1) * sizeof(struct row *));
    table_each(&tally.table, take, &reading);
    qsort(reading.rows, reading.count, sizeof(struct row *), by_labels);
    for (size_t i = 0; i < reading.count; i++) {
        const struct row *row = reading.rows[i];
        visit(
            me, &(struct tally_row){ kind, row->first, row->second, row->count, row->amount });
    }
    pthread_mutex_unlock(&tally.lock);
    free(reading.rows);
}

static void drop(struct table_node *node, void *me)
{
    (void)me;
    table_remove(&tally.table, node);
    free(container_of(node, struct row, in_table));
}

void tally_clear(void)
{
    lock();
    table_each(&tally.table, drop, NULL);
    table_done(&tally.table);
    table_init(&tally.table);
    memset(tally.counts, 0, sizeof tally.counts);
    pthread_mutex_unlock(&tally.lock);
}
