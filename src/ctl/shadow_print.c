#include "ctl/shadow_print.h"

#include "ctl/print.h"

#include <inttypes.h>
#include <stdio.h>

/* --- Words ------------------------------------------------------------------------------- */

void shadow_verdict(const struct ctl_object *status, char out[512])
{
    const char *why = ctl_text(status, "redundancy_reason");

    snprintf(out, 512, "%s%s%s", ctl_bool(status, "redundant") ? "redundant" : "NOT redundant",
        why ? ": " : "", why ? why : "");
}

void shadow_span(int64_t ms, char out[24])
{
    if (ms >= 0 && ms < 10000)
        snprintf(out, 24, "%.1fs", (double)ms / 1000);
    else
        print_age(ms < 0 ? -1 : ms / 1000, out);
}

static const char *text_of(const struct ctl_object *object, const char *name)
{
    const char *text = ctl_text(object, name);

    return text && text[0] ? text : "-";
}

static int64_t count_of(const struct ctl_object *object, const char *name)
{
    return object ? ctl_number(object, name, 0) : 0;
}

/* --- The other nodes --------------------------------------------------------------------- */

static const struct print_column columns[] = { { "NODE" }, { "STATE" }, { "LINK" },
    { "HEARD", true }, { "FAILED", true }, { "COPIES THERE", true }, { "HELD FOR IT", true },
    { "OLDEST", true }, { "OWED", true }, { "LAG", true }, { "STORE" } };
enum { COLUMNS = sizeof columns / sizeof *columns, CELL_BYTES = 32 };

static void count_cell(const struct ctl_object *node, const char *name, char out[CELL_BYTES])
{
    snprintf(out, CELL_BYTES, "%" PRId64, ctl_number(node, name, 0));
}

static void print_node(struct print_table *table, const struct ctl_object *node)
{
    char heard[24], failed[CELL_BYTES], there[CELL_BYTES], held[CELL_BYTES], oldest[24];
    char owed[CELL_BYTES], lag[24], store[9];

    shadow_span(ctl_number(node, "contact_ms", -1), heard);
    shadow_span(ctl_number(node, "held_oldest_ms", -1), oldest);
    shadow_span(ctl_number(node, "lag_ms", -1), lag);
    count_cell(node, "failures", failed);
    count_cell(node, "copies_there", there);
    count_cell(node, "held", held);
    count_cell(node, "owed", owed);
    snprintf(store, sizeof store, "%s", text_of(node, "store")); /* enough to tell two apart */
    print_table_row(table, (const char *[]){ text_of(node, "node"), text_of(node, "state"),
                               ctl_bool(node, "up") ? "up" : "down", heard, failed, there, held,
                               oldest, owed, lag, store });
}

static void print_link_error(const struct ctl_object *status, size_t at)
{
    struct ctl_object *node = ctl_list_object(status, "nodes", at);
    const char *why = node ? ctl_text(node, "link_error") : NULL;

    if (why)
        printf("no link to %s: %s\n", text_of(node, "node"), why);
    ctl_free(node);
}

static void print_nodes(const struct ctl_object *status)
{
    size_t count = ctl_list_count(status, "nodes");
    struct print_table *table;

    if (count == 0)
        return;
    table = print_table_new(columns, COLUMNS);
    for (size_t i = 0; i < count; i++) {
        struct ctl_object *node = ctl_list_object(status, "nodes", i);
        if (node)
            print_node(table, node);
        ctl_free(node);
    }
    print_table_end(table);
    for (size_t i = 0; i < count; i++)
        print_link_error(status, i);
    putchar('\n');
}

/* --- This node --------------------------------------------------------------------------- */

static void print_single(const struct ctl_object *status)
{
    static const struct {
        const char *name, *text;
    } reasons[] = { { "no-node", "no other node could be asked" },
        { "failed", "not taken in time" }, { "alone", "this node was alone" },
        { "lost", "the other copy was lost" } };
    struct ctl_object *by = ctl_object(status, "single_by");
    char oldest[24];

    shadow_span(ctl_number(status, "single_oldest_ms", -1), oldest);
    print_fact("one copy", "%" PRId64 ", oldest %s", count_of(status, "single"), oldest);
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (count_of(by, reasons[i].name))
            print_fact("", "%" PRId64 ": %s", count_of(by, reasons[i].name), reasons[i].text);
    }
    ctl_free(by);
}

static void print_copying(const struct ctl_object *status)
{
    char sent[PRINT_NUMBER_BYTES], received[PRINT_NUMBER_BYTES];

    print_size((uint64_t)count_of(status, "bytes_sent"), sent);
    print_size((uint64_t)count_of(status, "bytes_received"), received);
    print_fact("copies sent",
        "%" PRId64 " (%s), %" PRId64 " under way; received %" PRId64 " (%s)",
        count_of(status, "copies_sent"), sent, count_of(status, "copies_in_flight"),
        count_of(status, "copies_received"), received);
    if (count_of(status, "copies_sent"))
        print_fact("a copy takes", "%.1f ms (p50), %.1f ms (p99)",
            (double)count_of(status, "copy_us_p50") / 1000,
            (double)count_of(status, "copy_us_p99") / 1000);
}

static void print_twice(const struct ctl_object *status)
{
    struct ctl_object *twice = ctl_object(status, "maybe_twice");

    print_fact("maybe twice",
        "D1 %" PRId64 ", D2 %" PRId64 ", D3 %" PRId64 ", D4 %" PRId64 ", D6 %" PRId64
        " since the start",
        count_of(twice, "d1"), count_of(twice, "d2"), count_of(twice, "d3"),
        count_of(twice, "d4"), count_of(twice, "d6"));
    ctl_free(twice);
}

static void print_messages(const struct ctl_object *status)
{
    int64_t alone = count_of(status, "alone");

    print_fact("messages", "%" PRId64 " to deliver, %" PRId64 " of them on two nodes",
        count_of(status, "primary") + alone, count_of(status, "on_two_nodes"));
    if (alone)
        print_fact(
            "", "%" PRId64 " taken without shadow redundancy: on this disk alone", alone);
    if (count_of(status, "single"))
        print_single(status);
}

static void print_here(const struct ctl_object *status)
{
    print_fact("this node", "%s, store %.8s, position %" PRId64, text_of(status, "node"),
        text_of(status, "store"), count_of(status, "position"));
    print_fact("right to deliver", "%s",
        ctl_bool(status, "right_to_deliver") ? "yes"
                                             : "NOT YET: other nodes are asked what they took");
    print_messages(status);
    print_fact("copies held", "%" PRId64 " for other nodes", count_of(status, "held"));
    if (count_of(status, "unclaimed") || count_of(status, "aside"))
        print_fact("", "%" PRId64 " unclaimed, %" PRId64 " set aside (relais shadow list)",
            count_of(status, "unclaimed"), count_of(status, "aside"));
    print_copying(status);
    print_twice(status);
}

static void print_event(const char *name, int64_t number, void *me)
{
    bool *any = me;

    if (number == 0)
        return;
    if (!*any)
        puts("since the start");
    *any = true;
    printf("  %-20s %" PRId64 "\n", name, number);
}

void shadow_print_status(const struct ctl_object *status)
{
    struct ctl_object *events = ctl_object(status, "events");
    bool any = false;
    char verdict[512];

    shadow_verdict(status, verdict);
    print_clean(bytes_text(verdict));
    puts("\n");
    print_nodes(status);
    print_here(status);
    for (size_t i = 0; i < ctl_list_count(status, "alarms"); i++)
        print_fact(i ? "" : "ALARM", "%s", ctl_list_text(status, "alarms", i));
    if (events)
        ctl_each_number(events, print_event, &any);
    ctl_free(events);
}
