/* `track`, in the other tongue get-message-tracking-log: where is my mail. */
#include "ctl/cmdlet.h"
#include "ctl/link.h"
#include "ctl/print.h"
#include "ctl/track.h"

#include "base/mem.h"
#include "os/clock.h"
#include "os/errno.h"

#include <stdlib.h>
#include <sysexits.h>

enum { LIMIT = 100, DAY_MS = 24 * 60 * 60 * 1000 };

/* --- What is asked for ------------------------------------------------------------------- */

/* "10:05" or "10:05:30", of this day or, when that is still to come, of the last. */
static bool parse_clock(const char *text, struct wall now, struct wall *out)
{
    char iso[40], today[DATE_ISO_BYTES];

    wall_format_iso(now, today);
    snprintf(iso, sizeof iso, "%.10sT%.20s", today, text);
    if (!wall_parse_iso(bytes_text(iso), out))
        return false;
    if (out->ms > now.ms)
        out->ms -= DAY_MS;
    return true;
}

/* A time of day, a date with a time or without, or how long ago; all in UTC, as the log has it. */
static bool parse_time(const char *text, struct wall now, struct wall *out)
{
    int64_t ago_ms;

    if (wall_parse_iso(bytes_text(text), out) || parse_clock(text, now, out))
        return true;
    if (!duration_parse(bytes_text(text), &ago_ms))
        return false;
    out->ms = now.ms - ago_ms;
    return true;
}

struct words {
    const char *id, *sender, *subject, *since, *until, *event;
    struct option_texts recipients;
    uint64_t limit;
};

static bool read_time(
    const struct tool *tool, const char *name, const char *text, char out[DATE_ISO_BYTES])
{
    struct wall time;

    if (!text)
        return true;
    if (parse_time(text, clock_wall(), &time)) {
        wall_format_iso(time, out);
        return true;
    }
    tool_usage(tool,
        "--%s: '%.60s' is no time: \"10:05\", \"2h\" (ago), \"2026-11-22\" or "
        "\"2026-11-22T10:05\", in UTC",
        name, text);
    return false;
}

static bool read_pattern(
    const struct tool *tool, const char *name, const char *text, char out[PATTERN_BYTES_MAX])
{
    if (!text || pattern_parse(bytes_text(text), out))
        return true;
    tool_usage(tool, "--%s: '%.100s' is no address and no pattern, as \"*@example.com\" is one",
        name, text);
    return false;
}

static bool read_event(const struct tool *tool, const char *text)
{
    char known[300] = "";
    size_t n = 0;

    for (const char *const *id = tracking_event_ids; *id; id++) {
        if (!text || bytes_equal_nocase(bytes_text(text), bytes_text(*id)))
            return true;
        if (n < sizeof known)
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", *id);
    }
    tool_usage(tool, "--event: '%.60s' is no event; there are: %s", text, known);
    return false;
}

/* False: a mistake, which has been said. */
static bool read_words(
    const struct tool *tool, const struct words *words, struct track_query *query)
{
    if (words->id) {
        query->has_mid = mid_parse(bytes_text(words->id), &query->mid);
        query->message_id = words->id;
    }
    query->subject = words->subject;
    query->event = words->event;
    query->limit = words->limit;
    for (unsigned i = 0; i < words->recipients.count; i++) {
        if (!read_pattern(tool, "recipient", words->recipients.text[i], query->recipients[i]))
            return false;
        query->recipient_count++;
    }
    return read_event(tool, words->event) &&
           read_pattern(tool, "sender", words->sender, query->sender) &&
           read_time(tool, "since", words->since, query->since) &&
           read_time(tool, "until", words->until, query->until);
}

/* --- What is still queued ---------------------------------------------------------------- */

static bool on_row(void *me, const struct ctl_object *row)
{
    const struct track *track = me;
    struct track_message *message;
    struct ctl_object *copy;
    struct buf line;
    struct mid mid;
    char why[160];

    if (!mid_parse(bytes_text(ctl_text(row, "id")), &mid))
        return true;
    message = track_message(track, mid);
    if (!message)
        return true;
    buf_init(&line, CTL_LINE_BYTES_MAX);
    if (ctl_format(row, &line) == OK && ctl_parse(buf_bytes(&line), &copy, why) == OK) {
        message->queued = mem_grow(
            message->queued, (message->queued_count + 1) * sizeof(struct ctl_object *));
        message->queued[message->queued_count++] = copy;
    }
    buf_done(&line);
    return true;
}

enum { IDS_AT_ONCE = 1000 };

/* What has happened is in the tracking log, unless its disk hangs, which is said.  False: the daemon
 * is down, or does not say; then there is nothing to wait for. */
static bool sync_logs(struct tool *tool)
{
    struct ctl_object *request = link_request("sync-logs"), *answer;

    if (link_ask(tool, &request, NULL, &answer) != EX_OK)
        return false;
    if (!ctl_bool(answer, "written"))
        fputs("relais track: the disk of the logs hangs: what happened last is not in them\n",
            stderr);
    ctl_free(answer);
    return true;
}

/* False: as above. */
static bool ask_daemon(struct tool *tool, const struct track *track)
{
    struct link_reader reader = { on_row, (void *)(uintptr_t)track };

    for (size_t at = 0; at < track->count;) {
        struct ctl_object *request = link_request("track");
        size_t end = at + IDS_AT_ONCE < track->count ? at + IDS_AT_ONCE : track->count;
        for (size_t i = at; i < end; i++) {
            char id[ID_TEXT_BYTES];
            mid_format(track->list[i]->mid, id);
            ctl_add_text(request, "ids", bytes_text(id));
        }
        if (link_ask(tool, &request, &reader, NULL) != EX_OK)
            return false;
        for (; at < end; at++)
            track->list[at]->is_asked = true;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------ */

/* Of what the logs say, that nothing was found, or only a part perhaps. */
static int end(const struct tool *tool, const struct track *track, const struct track_log *log)
{
    int failure;
    const char *missing = track_log_missing(log, &failure);

    if (track->count && missing)
        fprintf(stderr, "relais track: %s: %s; what it says is not known\n", missing,
            strerror(failure));
    if (track->count)
        return EX_OK;
    if (missing)
        return tool_fail(tool, tool_code(err_of_errno(failure)),
            "%s: %s; no such message was found", missing, strerror(failure));
    return tool_fail(tool, EX_NOINPUT, "no such message is in the logs");
}

static int show(
    struct tool *tool, struct track *track, const struct track_log *log, bool has_daemon)
{
    bool is_known = has_daemon && ask_daemon(tool, track);

    for (size_t i = 0; i < track->count; i++)
        (tool->is_json ? track_print_json : track_print)(track->list[i]);
    if (!is_known && track->count)
        fputs("relais track: relaisd does not answer: what is still queued is not known\n",
            stderr);
    if (track->is_cut)
        fputs("relais track: there are more; these are the latest (see --limit)\n", stderr);
    return end(tool, track, log);
}

static int find(struct tool *tool, const struct track_query *query)
{
    const struct settings *settings;
    struct track_log *log;
    struct track track;
    bool has_daemon;
    int code;

    settings = tool_settings(tool, DIRECTORY_TRACKING_LOG, &code);
    if (!settings)
        return code;
    if (!settings->tracking_log_file)
        return tool_fail(
            tool, EX_CONFIG, "there is no tracking log: log { tracking_file = off }");
    has_daemon = sync_logs(tool);
    log = track_log_open(settings->tracking_log_file, settings->log_files_max);
    track_find(log, query, &track);
    if (query->subject && track.count == 0 && !settings->logs_subjects)
        fputs("relais track: subjects are not logged: log { log_subjects = yes }\n", stderr);
    code = show(tool, &track, log, has_daemon);
    track_done(&track);
    track_log_close(log);
    return code;
}

int cmd_track(struct tool *tool, int argc, char **argv)
{
    struct words words = { .limit = LIMIT };
    struct track_query query = { 0 };
    const struct option options[] = {
        { "id", 0, OPTION_TEXT, &words.id, "ID", "a message's id here, or its Message-ID" },
        { "sender", 0, OPTION_TEXT, &words.sender, "PATTERN",
            "an address, \"@domain\", \"<>\" ..." },
        { "recipient", 0, OPTION_TEXTS, &words.recipients, "PATTERN",
            "the same; may be given several times: one of them" },
        { "subject", 0, OPTION_TEXT, &words.subject, "TEXT",
            "a part of it, or with \"*\" the whole; only if subjects are logged" },
        { "since", 0, OPTION_TEXT, &words.since, "TIME",
            "\"10:05\", \"2h\" (ago), \"2026-11-22\"; in UTC" },
        { "until", 0, OPTION_TEXT, &words.until, "TIME", "the same" },
        { "event", 0, OPTION_TEXT, &words.event, "EVENT",
            "RECEIVE, SEND, DELIVER, DEFER, FAIL, DSN ..." },
        { "limit", 'n', OPTION_NUMBER, &words.limit, "N", "the latest N messages; 0: all [100]",
            .max = 10000000 },
    };
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (argc > 1 || (argc && words.id))
        return tool_usage(tool, "unexpected '%.60s'", argv[argc - 1]);
    if (argc)
        words.id = argv[0];
    return read_words(tool, &words, &query) ? find(tool, &query) : EX_USAGE;
}

int cmd_get_tracking(struct tool *tool, int argc, char **argv)
{
    cmdlet_arguments(&argc, argv);
    return cmd_track(tool, argc, argv);
}
