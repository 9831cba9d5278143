#include "ctl/link.h"
#include "ctl/offline.h"
#include "ctl/print.h"
#include "ctl/shadow_print.h"
#include "ctl/tool.h"

#include "mail/envelope.h"
#include "os/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>

/* --- The daemon's answer ----------------------------------------------------------------- */

static void print_spool(const struct ctl_object *status)
{
    struct ctl_object *spool = ctl_object(status, "spool");
    char bytes[PRINT_NUMBER_BYTES], memory[PRINT_NUMBER_BYTES];

    if (!spool)
        return;
    print_size((uint64_t)ctl_number(spool, "bytes_live", 0), bytes);
    print_size((uint64_t)ctl_number(spool, "memory_bytes", 0), memory);
    print_fact("spool", "%" PRId64 " messages, %s; %" PRId64 " segments, %" PRId64 " spare",
        ctl_number(spool, "messages_live", 0), bytes, ctl_number(spool, "segments", 0),
        ctl_number(spool, "segments_spare", 0));
    print_fact("", "%" PRId64 " commits by %" PRId64 " flushes, %s of content in memory",
        ctl_number(spool, "commits", 0), ctl_number(spool, "flushes", 0), memory);
    if (ctl_bool(spool, "is_full") || ctl_bool(spool, "is_unhealthy"))
        print_fact("", "%s: %s", ctl_bool(spool, "is_full") ? "FULL" : "UNHEALTHY",
            ctl_text(spool, "why") ? ctl_text(spool, "why") : "no reason given");
    ctl_free(spool);
}

static void print_bindings(const struct ctl_object *status)
{
    for (size_t i = 0; i < ctl_list_count(status, "bindings"); i++) {
        struct ctl_object *binding = ctl_list_object(status, "bindings", i);
        const char *error, *connector, *address;
        if (!binding)
            continue;
        error = ctl_text(binding, "error");
        connector = ctl_text(binding, "connector");
        address = ctl_text(binding, "address");
        print_fact(i ? "" : "listens", "%s (%s)%s%s", address ? address : "?",
            connector ? connector : "?", ctl_bool(binding, "open") ? "" : " NOT OPEN: ",
            ctl_bool(binding, "open") ? ""
            : error                   ? error
                                      : "?");
        ctl_free(binding);
    }
}

static void print_certificates(const struct ctl_object *status)
{
    for (size_t i = 0; i < ctl_list_count(status, "certificates"); i++) {
        struct ctl_object *certificate = ctl_list_object(status, "certificates", i);
        const char *text = certificate ? ctl_text(certificate, "text") : NULL;
        if (text && !ctl_bool(certificate, "alarm")) /* alarms stand above */
            print_fact("warning", "%s", text);
        ctl_free(certificate);
    }
}

static void print_counter(const char *name, int64_t number, void *me)
{
    (void)me;
    if (number)
        printf("  %-20s %" PRId64 "\n", name, number);
}

static const char *text_of(const struct ctl_object *status, const char *name)
{
    const char *text = ctl_text(status, name);

    return text ? text : "?";
}

static void print_status(const struct ctl_object *status)
{
    struct ctl_object *counters = ctl_object(status, "counters");
    char up[PRINT_NUMBER_BYTES], verdict[512];

    print_age(ctl_number(status, "uptime_s", -1), up);
    print_fact("relaisd", "%s, process %" PRId64 ", up %s", text_of(status, "version"),
        ctl_number(status, "pid", 0), up);
    print_fact("node", "%s (%s)", text_of(status, "node"), text_of(status, "fqdn"));
    print_fact("health", "%s", ctl_bool(status, "healthy") ? "good" : "NOT GOOD");
    shadow_verdict(status, verdict);
    print_fact("redundancy", "%s", verdict);
    for (size_t i = 0; i < ctl_list_count(status, "alarms"); i++)
        print_fact(i ? "" : "ALARM", "%s", ctl_list_text(status, "alarms", i));
    print_fact("configuration", "%s, revision %" PRId64, text_of(status, "config_file"),
        ctl_number(status, "revision", 0));
    print_fact("now", "%" PRId64 " sessions, %" PRId64 " messages in %" PRId64 " queues",
        ctl_number(status, "sessions", 0), ctl_number(status, "messages", 0),
        ctl_number(status, "queues", 0));
    print_spool(status);
    print_bindings(status);
    print_certificates(status);
    if (counters) {
        puts("since the start");
        ctl_each_number(counters, print_counter, NULL);
    }
    ctl_free(counters);
}

/* --- Without the daemon ------------------------------------------------------------------ */

struct summary {
    uint64_t messages, copies, bytes, damages;
    int64_t oldest_ms; /* 0: none */
};

static void on_message(void *me, const struct spool_found *found)
{
    struct summary *summary = me;
    struct envelope envelope;

    if (offline_role(found) == STANDING_SETTLED)
        return;
    if (offline_role(found) != STANDING_PRIMARY) {
        summary->copies++;
        return;
    }
    summary->messages++;
    summary->bytes += found->entry.content_bytes;
    if (envelope_decode(found->envelope, &envelope) == OK &&
        (summary->oldest_ms == 0 || envelope.arrived.ms < summary->oldest_ms))
        summary->oldest_ms = envelope.arrived.ms;
}

static void on_damage(void *me, uint64_t at, const char *why)
{
    struct summary *summary = me;

    (void)at;
    (void)why;
    summary->damages++;
}

static void print_summary_json(const struct summary *summary, int64_t age_s)
{
    struct ctl_object *row = ctl_new();

    ctl_set_bool(row, "running", false);
    ctl_set_number(row, "messages", (int64_t)summary->messages);
    ctl_set_number(row, "copies", (int64_t)summary->copies);
    ctl_set_number(row, "bytes", (int64_t)summary->bytes);
    ctl_set_number(row, "oldest_s", age_s);
    ctl_set_number(row, "damaged", (int64_t)summary->damages);
    print_json_row(row);
    ctl_free(row);
}

static int status_offline(struct tool *tool)
{
    struct summary summary = { 0 };
    struct offline_reader reader = { on_message, on_damage, &summary, NULL };
    char bytes[PRINT_NUMBER_BYTES], age[PRINT_NUMBER_BYTES];
    int64_t age_s;
    int code;

    offline_say(tool);
    code = offline_scan(tool, &reader);
    if (code != EX_OK)
        return code;
    age_s = summary.oldest_ms ? (clock_wall().ms - summary.oldest_ms) / 1000 : -1;
    print_size(summary.bytes, bytes);
    print_age(age_s, age);
    if (tool->is_json) {
        print_summary_json(&summary, age_s);
    } else {
        print_fact("relaisd", "not running");
        print_fact(
            "spool", "%" PRIu64 " messages, %s, oldest %s", summary.messages, bytes, age);
        if (summary.copies)
            print_fact("copies", "%" PRIu64 " held for other nodes", summary.copies);
        if (summary.damages)
            print_fact(
                "damaged", "%" PRIu64 " records (see: relais spool check)", summary.damages);
    }
    return EX_UNAVAILABLE; /* what was asked for, the daemon, is not well */
}

int cmd_status(struct tool *tool, int argc, char **argv)
{
    struct ctl_object *request;
    int code;

    if (!tool_options_only(tool, argc, argv, NULL, 0, &code))
        return code;
    request = link_request("status");
    return link_show(tool, &request, print_status, status_offline);
}
