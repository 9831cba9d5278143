#include "ctl/offline.h"
#include "ctl/print.h"
#include "ctl/tool.h"

#include <inttypes.h>
#include <sysexits.h>

struct report {
    const struct tool *tool;
    uint64_t messages, copies, words, bytes, damages;
};

static void on_message(void *me, const struct spool_found *found)
{
    struct report *report = me;

    switch (offline_role(found)) {
    case STANDING_PRIMARY:
        report->messages++;
        break;
    case STANDING_SETTLED:
        report->words++;
        return;
    default:
        report->copies++;
    }
    report->bytes += found->entry.content_bytes;
}

static void on_damage(void *me, uint64_t at, const char *why)
{
    struct report *report = me;
    struct ctl_object *row;

    report->damages++;
    if (!report->tool->is_json) {
        printf("at byte %" PRIu64 ": %s\n", at, why);
        return;
    }
    row = ctl_new();
    ctl_set_number(row, "at", (int64_t)at);
    ctl_set_text(row, "damage", bytes_text(why));
    print_json_row(row);
    ctl_free(row);
}

static void print_sum(const struct report *report)
{
    struct ctl_object *row;
    char bytes[PRINT_NUMBER_BYTES];

    print_size(report->bytes, bytes);
    if (!report->tool->is_json) {
        printf("%" PRIu64 " messages", report->messages);
        if (report->copies)
            printf(", %" PRIu64 " copies of other nodes'", report->copies);
        printf(", %s; %" PRIu64 " damaged record%s\n", bytes, report->damages,
            report->damages == 1 ? "" : "s");
        return;
    }
    row = ctl_new();
    ctl_set_number(row, "messages", (int64_t)report->messages);
    ctl_set_number(row, "copies", (int64_t)report->copies);
    ctl_set_number(row, "words", (int64_t)report->words);
    ctl_set_number(row, "bytes", (int64_t)report->bytes);
    ctl_set_number(row, "damaged", (int64_t)report->damages);
    print_json_row(row);
    ctl_free(row);
}

int cmd_spool_check(struct tool *tool, int argc, char **argv)
{
    struct report report = { .tool = tool };
    struct offline_reader reader = { on_message, on_damage, &report, NULL };
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc > 1)
        return tool_usage(tool, "one folder at a time");
    reader.folder = argc ? argv[0] : NULL;
    code = offline_scan(tool, &reader);
    if (code != EX_OK)
        return code;
    print_sum(&report);
    return report.damages ? EX_DATAERR : EX_OK;
}
