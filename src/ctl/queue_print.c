#include "ctl/queue_print.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const char *or_dash(const char *text)
{
    return text && text[0] ? text : "-";
}

static void number_text(const struct ctl_object *row, const char *name, char out[32])
{
    int64_t number = ctl_number(row, name, -1);

    if (number < 0)
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, "%" PRId64, number);
}

/* --- Messages ---------------------------------------------------------------------------- */

static const struct print_column message_columns[] = { { "ID" }, { "AGE", true },
    { "SIZE", true }, { "FROM" }, { "TO" }, { "QUEUE" }, { "STATUS" }, { "NEXT", true },
    { "LAST ERROR" } };

static void format_to(const struct ctl_object *row, char *out, size_t room)
{
    size_t count = ctl_list_count(row, "to");
    const char *first = ctl_list_text(row, "to", 0);

    if (count > 1)
        snprintf(out, room, "%s (+%zu)", or_dash(first), count - 1);
    else
        snprintf(out, room, "%s", or_dash(first));
}

struct print_table *print_messages_new(void)
{
    return print_table_new(message_columns, COUNT(message_columns));
}

void print_message_row(struct print_table *table, const struct ctl_object *row)
{
    char age[PRINT_NUMBER_BYTES], size[PRINT_NUMBER_BYTES], next[PRINT_NUMBER_BYTES];
    char to[400], from[400];
    const char *sender = ctl_text(row, "from");

    print_age(ctl_number(row, "age_s", -1), age);
    print_age(ctl_number(row, "next_attempt_s", -1), next);
    print_size((uint64_t)ctl_number(row, "size", 0), size);
    format_to(row, to, sizeof to);
    snprintf(from, sizeof from, "%s", sender && sender[0] ? sender : "<>");
    print_table_row(
        table, (const char *[]){ ctl_text(row, "id"), age, size, from, to,
                   or_dash(ctl_text(row, "queue")), or_dash(ctl_text(row, "status")), next,
                   or_dash(ctl_text(row, "last_error")) });
}

enum { SLOW_BYTES = 600 };

/* --- Queues ------------------------------------------------------------------------------ */

static const struct print_column queue_columns[] = { { "IDENTITY" }, { "NAME" }, { "KIND" },
    { "STATUS" }, { "MESSAGES", true }, { "CONN", true }, { "OLDEST", true }, { "NEXT", true },
    { "CONNECTOR" }, { "LAST ERROR" } };

struct print_table *print_queues_new(void)
{
    return print_table_new(queue_columns, COUNT(queue_columns));
}

/* "mx.example.com is slow (2 connections, 30 a minute): 432 4.3.2 ..." of the first host that is
 * (SC-7). */
static const char *slow_host(const struct ctl_object *row, char out[SLOW_BYTES])
{
    for (size_t i = 0; i < ctl_list_count(row, "hosts"); i++) {
        struct ctl_object *host = ctl_list_object(row, "hosts", i);
        bool is_slow = host && strcmp(or_dash(ctl_text(host, "state")), "slow") == 0;
        int64_t connections = is_slow ? ctl_number(host, "connections_max", 0) : 0;
        int64_t rate = is_slow ? ctl_number(host, "per_minute_max", 0) : 0;
        char limit[80] = "";

        if (connections)
            snprintf(limit, sizeof limit, "%" PRId64 " connection%s%s", connections,
                connections == 1 ? "" : "s", rate ? ", " : "");
        if (rate)
            snprintf(limit + strlen(limit), sizeof limit - strlen(limit),
                "%" PRId64 " messages a minute", rate);
        if (is_slow)
            snprintf(out, SLOW_BYTES, "%.100s is slow (%s): %s",
                or_dash(ctl_text(host, "name")), limit, or_dash(ctl_text(host, "error")));
        ctl_free(host);
        if (is_slow)
            return out;
    }
    return NULL;
}

void print_queue(struct print_table *table, const struct ctl_object *row)
{
    const char *error = ctl_text(row, "last_error");
    char messages[32], connections[32], slow[SLOW_BYTES];
    char oldest[PRINT_NUMBER_BYTES], next[PRINT_NUMBER_BYTES];

    number_text(row, "messages", messages);
    number_text(row, "connections", connections);
    print_age(ctl_number(row, "oldest_s", -1), oldest);
    print_age(ctl_number(row, "next_attempt_s", -1), next);
    if (!error || !*error)
        error = slow_host(row, slow);
    print_table_row(table,
        (const char *[]){ or_dash(ctl_text(row, "identity")), or_dash(ctl_text(row, "name")),
            or_dash(ctl_text(row, "kind")), or_dash(ctl_text(row, "status")), messages,
            connections, oldest, next, or_dash(ctl_text(row, "connector")), or_dash(error) });
}

/* --- Ages -------------------------------------------------------------------------------- */

enum { AGE_COUNT = 10 };

static const struct print_column age_columns[] = { { "NEXT HOP" }, { "STATUS" },
    { "TOTAL", true }, { "OLDEST", true }, { "<5m", true }, { "<10m", true }, { "<20m", true },
    { "<40m", true }, { "<80m", true }, { "<3h", true }, { "<6h", true }, { "<11h", true },
    { "<22h", true }, { "more", true } };

struct age_row {
    char *name, *status;
    int64_t messages, oldest_s, ages[AGE_COUNT];
};

struct age_table {
    struct age_row *rows;
    size_t count, room;
};

struct age_table *age_table_new(void)
{
    return mem_new(sizeof(struct age_table));
}

void age_table_add(struct age_table *table, const struct ctl_object *row)
{
    struct age_row *to;

    if (table->count == table->room) {
        table->room = table->room ? 2 * table->room : 64;
        table->rows = mem_grow(table->rows, table->room * sizeof *table->rows);
    }
    to = &table->rows[table->count++];
    to->name = mem_text(or_dash(ctl_text(row, "name")));
    to->status = mem_text(or_dash(ctl_text(row, "status")));
    to->messages = ctl_number(row, "messages", 0);
    to->oldest_s = ctl_number(row, "oldest_s", 0);
    for (unsigned i = 0; i < AGE_COUNT; i++) {
        char name[8];
        snprintf(name, sizeof name, "age%u", i);
        to->ages[i] = ctl_number(row, name, 0);
    }
}

static int longest_first(const void *a, const void *b)
{
    const struct age_row *left = a, *right = b;

    if (left->messages != right->messages)
        return left->messages > right->messages ? -1 : 1;
    return strcmp(left->name, right->name);
}

static void print_age_row(struct print_table *to, const struct age_row *row)
{
    char numbers[AGE_COUNT + 1][24], oldest[PRINT_NUMBER_BYTES];
    const char *cells[AGE_COUNT + 4];

    print_age(row->oldest_s, oldest);
    snprintf(numbers[AGE_COUNT], 24, "%" PRId64, row->messages);
    cells[0] = row->name;
    cells[1] = row->status;
    cells[2] = numbers[AGE_COUNT];
    cells[3] = oldest;
    for (unsigned i = 0; i < AGE_COUNT; i++) {
        snprintf(numbers[i], 24, "%" PRId64, row->ages[i]);
        cells[4 + i] = numbers[i];
    }
    print_table_row(to, cells);
}

static void print_sums(struct print_table *to, const struct age_table *table)
{
    char name[] = "TOTAL", none[] = "";
    struct age_row sum = { .name = name, .status = none };

    for (size_t i = 0; i < table->count; i++) {
        const struct age_row *row = &table->rows[i];
        sum.messages += row->messages;
        if (row->oldest_s > sum.oldest_s)
            sum.oldest_s = row->oldest_s;
        for (unsigned age = 0; age < AGE_COUNT; age++)
            sum.ages[age] += row->ages[age];
    }
    print_age_row(to, &sum);
}

void age_table_end(struct age_table *table, uint64_t limit)
{
    struct print_table *to;

    if (!table)
        return;
    if (table->count) {
        to = print_table_new(age_columns, COUNT(age_columns));
        qsort(table->rows, table->count, sizeof *table->rows, longest_first);
        print_sums(to, table);
        for (size_t i = 0; i < table->count && (!limit || i < limit); i++)
            print_age_row(to, &table->rows[i]);
        print_table_end(to);
    }
    for (size_t i = 0; i < table->count; i++) {
        free(table->rows[i].name);
        free(table->rows[i].status);
    }
    free(table->rows);
    free(table);
}
