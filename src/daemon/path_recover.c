/* From the spool back into the queue, at the start. */
#include "daemon/path_inside.h"

#include "os/clock.h"
#include "report/report.h"

#include <stdio.h>

enum { PROGRESS_STEP_PERCENT = 10 };

static void on_found(void *me, const struct spool_found *found)
{
    struct recovery *recovery = me;
    struct envelope envelope;
    struct message *message;

    if (envelope_decode(found->envelope, &envelope) != OK) {
        /* Its checksum holds, so a newer version wrote it: it stays in the spool, untouched. */
        report_notice(REPORT_ERROR, "spool: a message's envelope cannot be read: left alone");
        recovery->path->damage_count++;
        return;
    }
    message = message_new(
        found->mid, found->envelope, found->entry.recipient_count, envelope.arrived);
    message_rest(message); /* the log has the rest */
    message->entry = found->entry;
    list_init(&message->entry.in_segment);
    for (uint32_t i = 0; i < found->entry.recipient_count; i++) {
        enum spool_outcome outcome = spool_entry_outcome(&found->entry, i);
        message->pending_count -= !spool_is_pending(outcome);
        message->is_delay_told |= outcome == SPOOL_DELAYED;
    }
    list_add_last(&recovery->messages, &message->in_queue);
    recovery->count++;
}

static void on_damage(void *me, uint64_t at, const char *why)
{
    struct recovery *recovery = me;

    recovery->path->damage_count++;
    report(REPORT_SPOOL_DAMAGE, R_NUMBER("at", (int64_t)at), R_CHARS("reason", why));
}

static void on_progress(void *me, uint64_t done, uint64_t all)
{
    struct recovery *recovery = me;
    unsigned percent = all ? (unsigned)(done * 100 / all) : 100;

    if (percent < recovery->percent + PROGRESS_STEP_PERCENT)
        return;
    recovery->percent = percent;
    report(REPORT_SPOOL_RECOVERY, R_NUMBER("percent", percent),
        R_NUMBER("bytes", (int64_t)done), R_NUMBER("of", (int64_t)all));
}

enum err path_open_spool(struct path *path, const struct settings *settings,
    struct recovery *recovery, char why[512])
{
    struct spool_settings spool = {
        .folder = settings->spool_folder,
        .segment_bytes = settings->spool_segment_bytes,
        .bytes_max = settings->spool_bytes_max,
        .free_bytes_min = settings->spool_free_bytes_min,
        .memory_bytes_max = settings->spool_memory_bytes_max,
        .chunk_bytes = 256 << 10,
    };
    struct spool_visitor visitor = { recovery, on_found, on_damage, on_progress };

    return spool_open(&path->spool, path->home, &spool, &visitor, why);
}

void path_queue_recovered(struct path *path, struct recovery *recovery)
{
    struct moment before = clock_moment();

    list_each (node, &recovery->messages) {
        struct message *message = container_of(node, struct message, in_queue);
        list_remove(node);
        spool_adopt(path->spool, &message->entry);
        if (message->pending_count) {
            path_route_and_queue(path, message);
        } else { /* all outcomes were written, the end of the message was not */
            spool_settle(path->spool, &message->entry);
            message_free(message);
        }
    }
    report(REPORT_SPOOL_RECOVERED, R_NUMBER("messages", (int64_t)recovery->count),
        R_NUMBER("set-aside", (int64_t)path->damage_count),
        R_MS("routed-in", clock_moment().ms - before.ms));
}
