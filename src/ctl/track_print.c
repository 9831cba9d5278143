#include "ctl/track.h"

#include "ctl/print.h"

#include <stdio.h>

static struct bytes column(const struct track_event *event, enum tracking_column which)
{
    return event->line.column[which];
}

/* The first that any line has: not every line has the sender, or the size. */
static struct bytes known(const struct track_message *message, enum tracking_column which)
{
    for (size_t i = 0; i < message->event_count; i++) {
        struct bytes mid = column(message->events[i], TRACKING_MID), value;
        struct mid parsed;
        value = column(message->events[i], which);
        /* The line of a notification about it is another message's. */
        if (value.n && mid_parse(mid, &parsed) && mid_equal(parsed, message->mid))
            return value;
    }
    return BYTES_NONE;
}

static void pair(const char *before, struct bytes text, const char *behind)
{
    if (!text.n)
        return;
    fputs(before, stdout);
    print_clean(text);
    fputs(behind, stdout);
}

/* Many stay one line each. */
static void print_list(struct bytes list)
{
    struct bytes one;
    bool is_next = false;

    while (tracking_next_recipient(&list, &one)) {
        pair(is_next ? ", " : "", one, "");
        is_next = true;
    }
}

static void print_host(const char *before, struct bytes name, struct bytes ip)
{
    if (!name.n && !ip.n)
        return;
    fputs(before, stdout);
    print_clean(name.n ? name : ip);
    if (name.n && ip.n && !bytes_equal(name, ip))
        pair(" [", ip, "]");
}

static void print_receive(const struct track_event *event)
{
    fputs("for ", stdout);
    print_list(column(event, TRACKING_RECIPIENTS));
    pair("; by connector ", column(event, TRACKING_CONNECTOR), "");
    print_host(
        ", from ", column(event, TRACKING_CLIENT_HOSTNAME), column(event, TRACKING_CLIENT_IP));
    pair(", user ", column(event, TRACKING_USER), "");
    pair(", ", column(event, TRACKING_INFO), "");
    pair(", session ", column(event, TRACKING_SESSION), "");
}

static void print_attempt(const struct track_event *event)
{
    print_list(column(event, TRACKING_RECIPIENTS));
    pair("; by connector ", column(event, TRACKING_CONNECTOR), "");
    print_host(
        ", to ", column(event, TRACKING_SERVER_HOSTNAME), column(event, TRACKING_SERVER_IP));
    if (!bytes_equal(column(event, TRACKING_INFO), BYTES("none")))
        pair(", ", column(event, TRACKING_INFO), "");
    pair(": ", column(event, TRACKING_STATUS), "");
}

static void print_notification(const struct track_event *event, struct mid of)
{
    char id[ID_TEXT_BYTES];
    bool is_original;

    mid_format(of, id);
    is_original = bytes_equal(column(event, TRACKING_REFERENCE), bytes_text(id));
    pair("", column(event, TRACKING_INFO), " told to ");
    print_list(column(event, TRACKING_RECIPIENTS));
    if (is_original)
        pair(" by message ", column(event, TRACKING_MID), "");
    else
        pair("; about message ", column(event, TRACKING_REFERENCE), "");
}

static void print_taken(const struct track_event *event)
{
    pair("from node ", column(event, TRACKING_NODE), "; for ");
    print_list(column(event, TRACKING_RECIPIENTS));
}

static void print_event(const struct track_message *message, const struct track_event *event)
{
    struct bytes time = column(event, TRACKING_TIME), name = column(event, TRACKING_EVENT);

    fputs("  ", stdout);
    print_clean(bytes_first(time, 10));
    pair(" ", bytes_skip(time, 11), "  ");
    print_clean(name);
    printf("%*s", name.n < 9 ? (int)(9 - name.n) + 1 : 1, "");
    if (bytes_equal(name, BYTES("RECEIVE"))) {
        print_receive(event);
    } else if (bytes_equal(name, BYTES("EXPAND"))) {
        pair("", column(event, TRACKING_RELATED), " stands for ");
        print_list(column(event, TRACKING_RECIPIENTS));
    } else if (bytes_equal(name, BYTES("DSN"))) {
        print_notification(event, message->mid);
    } else if (bytes_equal(name, BYTES("RESUBMIT")) && column(event, TRACKING_RECIPIENTS).n) {
        print_taken(event);
    } else if (column(event, TRACKING_RECIPIENTS).n) {
        print_attempt(event);
    } else {
        pair("node ", column(event, TRACKING_NODE), " ");
        pair("", column(event, TRACKING_INFO), "");
    }
    putchar('\n');
}

/* --- What is still queued ---------------------------------------------------------------- */

static void print_queued(const struct ctl_object *row)
{
    char until[PRINT_NUMBER_BYTES];
    const char *error = ctl_text(row, "last_error"), *queue = ctl_text(row, "queue");
    const char *status = ctl_text(row, "status");
    int64_t next_s = ctl_number(row, "next_attempt_s", -1);

    fputs("  now: ", stdout);
    for (size_t i = 0; i < ctl_list_count(row, "to"); i++)
        pair(i ? ", " : "", bytes_text(ctl_list_text(row, "to", i)), "");
    pair("; in queue ", bytes_text(queue), "");
    pair(": ", bytes_text(status), "");
    if (next_s >= 0) {
        print_age(next_s, until);
        printf(", next try in %s", until);
    }
    pair("; ", bytes_text(error), "");
    putchar('\n');
}

/* What it is, in a line; none where no line of the log has any of it. */
static void print_head(const struct track_message *message)
{
    const struct {
        const char *before;
        struct bytes text;
        const char *behind;
    } parts[] = { { "from ", known(message, TRACKING_SENDER), "" },
        { "", known(message, TRACKING_BYTES), " bytes" },
        { "subject: ", known(message, TRACKING_SUBJECT), "" } };
    bool any = false;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!parts[i].text.n)
            continue;
        fputs(any ? ", " : "  ", stdout);
        pair(parts[i].before, parts[i].text, parts[i].behind);
        any = true;
    }
    if (any)
        putchar('\n');
}

void track_print(const struct track_message *message)
{
    char id[ID_TEXT_BYTES];

    mid_format(message->mid, id);
    printf("%s", id);
    pair("  ", known(message, TRACKING_MESSAGE_ID), "");
    putchar('\n');
    print_head(message);
    for (size_t i = 0; i < message->event_count; i++)
        print_event(message, message->events[i]);
    for (size_t i = 0; i < message->queued_count; i++)
        print_queued(message->queued[i]);
    if (message->is_asked && message->queued_count == 0)
        puts("  now: nothing of it is queued here");
    putchar('\n');
}

/* --- JSON -------------------------------------------------------------------------------- */

static struct ctl_object *json_event(const struct track_event *event)
{
    struct ctl_object *object = ctl_new();

    for (unsigned i = 0; i < TRACKING_COLUMN_COUNT; i++) {
        struct bytes value = event->line.column[i], one;
        if (!value.n)
            continue;
        if (i != TRACKING_RECIPIENTS) {
            ctl_set_text(object, tracking_column_name(i), value);
            continue;
        }
        while (tracking_next_recipient(&value, &one))
            ctl_add_text(object, tracking_column_name(i), one);
    }
    return object;
}

void track_print_json(const struct track_message *message)
{
    struct ctl_object *object = ctl_new();
    char id[ID_TEXT_BYTES];

    mid_format(message->mid, id);
    ctl_set_text(object, "id", bytes_text(id));
    ctl_set_text(object, "message_id", known(message, TRACKING_MESSAGE_ID));
    ctl_set_text(object, "from", known(message, TRACKING_SENDER));
    ctl_set_text(object, "subject", known(message, TRACKING_SUBJECT));
    ctl_set_bool(object, "is_related", message->is_related);
    ctl_set_bool(object, "queue_is_known", message->is_asked);
    for (size_t i = 0; i < message->event_count; i++) {
        struct ctl_object *event = json_event(message->events[i]);
        ctl_add_object(object, "events", &event);
    }
    for (size_t i = 0; i < message->queued_count; i++)
        ctl_add_object(object, "queued", &message->queued[i]);
    print_json_row(object);
    ctl_free(object);
}
