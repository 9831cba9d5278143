/* From the spool back into the queue, at the start. */
#include "daemon/path_inside.h"

#include "base/mem.h"
#include "os/clock.h"
#include "report/report.h"

#include <assert.h>
#include <stdlib.h>

enum { PROGRESS_STEP_PERCENT = 10 };

/* What other nodes may have too: the node is asked about it once it stands. */
struct found {
    struct list in_recovery;
    struct message *message; /* of a primary, with its entry and whole envelope; else NULL */
    struct spool_found found;
    uint8_t *envelope; /* where there is no message */
};

static struct message *make_message(struct recovery *recovery, const struct spool_found *found)
{
    struct spool_entry entry = found->entry;
    struct message *message = path_is_feared(recovery->path, found->mid)
                                  ? path_make_unread(recovery->path, &entry)
                                  : path_make_message(&entry, found->envelope);

    if (!message) {
        /* Its checksum holds, so a newer version wrote it: it stays in the spool, untouched. */
        report_notice(REPORT_ERROR, "spool: a message's envelope cannot be read: left alone");
        recovery->path->damage_count++;
        return NULL;
    }
    message->entry = entry;
    list_init(&message->entry.in_segment);
    recovery->count++;
    return message;
}

static void keep(struct recovery *recovery, const struct spool_found *found)
{
    struct found *kept = mem_new(sizeof *kept);

    kept->found = *found;
    if (found->standing.role == STANDING_PRIMARY) {
        kept->message = make_message(recovery, found);
        if (!kept->message) {
            free(kept);
            return;
        }
    } else {
        kept->envelope = mem_copy(found->envelope.at, found->envelope.n);
        kept->found.envelope.at = kept->envelope;
    }
    list_add_last(&recovery->found, &kept->in_recovery);
}

static void see(struct recovery *recovery, const struct spool_found *found)
{
    struct message *message;

    path_meet_poison(recovery->path, found->mid);
    if (found->has_standing) {
        keep(recovery, found);
        return;
    }
    message = make_message(recovery, found);
    if (!message)
        return;
    message_rest(message); /* the log has the rest */
    list_add_last(&recovery->messages, &message->in_queue);
}

static void on_found(void *me, const struct spool_found *found)
{
    struct crash_work before = crash_begin(found->mid, PATH_RECOVERING);

    see(me, found);
    crash_end(before);
}

static bool is_feared(void *me, struct mid mid)
{
    const struct recovery *recovery = me;

    return path_is_feared(recovery->path, mid);
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
    struct spool_visitor visitor = { recovery, on_found, on_damage, on_progress, is_feared };

    return spool_open(&path->spool, path->home, &spool, &visitor, why);
}

/* A message without a standing was accepted while this node was alone. */
static void queue_alone(struct path *path, struct message *message)
{
    struct spool_found found = {
        .mid = message->entry.by_mid.mid,
        .envelope = message_envelope(message),
        .entry = message->entry,
    };

    struct crash_work before = crash_begin(message->entry.by_mid.mid, PATH_RECOVERING);

    list_remove(&message->in_queue);
    spool_adopt(path->spool, &message->entry);
    message->is_held_back = node_recover(path->node, &found) == NODE_HELD_BACK;
    path_judge_poison(path, message);
    path_begin(path, message);
    crash_end(before);
}

static void queue_found(struct path *path, struct found *kept)
{
    struct crash_work before = crash_begin(kept->found.mid, PATH_RECOVERING);
    struct message *message = kept->message;
    enum node_found answer;

    list_remove(&kept->in_recovery);
    if (message && !message->is_unread)
        kept->found.envelope = message_envelope(message);
    answer = node_recover(path->node, &kept->found);
    assert(message || answer == NODE_TAKEN); /* a primary's alone may be the path's */
    if (answer == NODE_TAKEN) {
        message_free(message);
    } else {
        spool_adopt(path->spool, &message->entry);
        path_mark_takeover(path, message, &kept->found.standing);
        message_rest(message);
        message->is_held_back = answer == NODE_HELD_BACK;
        path_judge_poison(path, message);
        path_begin(path, message);
    }
    free(kept->envelope);
    free(kept);
    crash_end(before);
}

void path_queue_recovered(struct path *path, struct recovery *recovery)
{
    struct moment before = clock_moment();

    list_each (node, &recovery->messages)
        queue_alone(path, container_of(node, struct message, in_queue));
    list_each (node, &recovery->found)
        queue_found(path, container_of(node, struct found, in_recovery));
    report(REPORT_SPOOL_RECOVERED, R_NUMBER("messages", (int64_t)recovery->count),
        R_NUMBER("set-aside", (int64_t)path->damage_count),
        R_MS("routed-in", clock_moment().ms - before.ms));
}
