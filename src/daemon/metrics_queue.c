/* Queues: how many wait, how they stand, and how old the oldest of each is. */
#include "daemon/control_hop.h"
#include "daemon/metrics.h"

#include "base/mem.h"
#include "policy/priority.h"

#include <stdlib.h>

/* A queue, and when what waits there longest came (wall). */
struct age {
    const struct hop *hop;
    int64_t oldest_ms;
};

static int by_age(const void *a, const void *b)
{
    int64_t x = ((const struct age *)a)->oldest_ms, y = ((const struct age *)b)->oldest_ms;

    return x < y ? -1 : x > y;
}

/* The queues with something in them, the oldest first; free().  One that was filled behind the
 * count's back is left to the next time. */
static struct age *take_ages(
    const struct path *path, const struct hop_tallies *waiting, size_t *count)
{
    struct age *ages = mem_new((path->queue.hops.count + 1) * sizeof *ages);

    *count = 0;
    list_each (node, &path->queue.all_hops) {
        const struct hop *hop = container_of(node, struct hop, in_hops);
        const struct hop_tally *tally =
            hop_item_count(hop) ? hop_tallies_find(waiting, hop->number) : NULL;
        if (tally)
            ages[(*count)++] = (struct age){ hop, tally->oldest_ms };
    }
    qsort(ages, *count, sizeof *ages, by_age);
    return ages;
}

static double age_s(const struct path *path, int64_t oldest_ms)
{
    int64_t ms = loop_wall(path->home).ms - oldest_ms;

    return ms > 0 ? (double)ms / 1000 : 0;
}

static void each_oldest(
    struct metrics *metrics, const struct path *path, const struct hop_tallies *waiting)
{
    size_t count, shown;
    struct age *ages = take_ages(path, waiting, &count);

    shown = count < METRICS_QUEUES_MAX ? count : METRICS_QUEUES_MAX;
    metric_one(metrics, "relais_queue_oldest_seconds_max", "gauge",
        "Age of the oldest message of all queues.", count ? age_s(path, ages[0].oldest_ms) : 0);
    metric_begin(metrics, "relais_queue_oldest_seconds", "gauge",
        "Age of the oldest message of a queue; of the 50 queues with the oldest.");
    for (size_t i = 0; i < shown; i++)
        metric_sample(metrics, (struct metric_label){ "queue", ages[i].hop->name },
            METRIC_NO_LABEL, age_s(path, ages[i].oldest_ms));
    metric_begin(metrics, "relais_queue_length", "gauge",
        "Items (the recipients of a message that go together) of these queues.");
    for (size_t i = 0; i < shown; i++)
        metric_sample(metrics, (struct metric_label){ "queue", ages[i].hop->name },
            METRIC_NO_LABEL, (double)hop_item_count(ages[i].hop));
    free(ages);
}

static void items_by_state(struct metrics *metrics, const struct path *path)
{
    uint64_t ready = 0, waiting = 0, aside = 0, delivering = 0, suspended = 0;

    list_each (node, &path->queue.all_hops) {
        const struct hop *hop = container_of(node, struct hop, in_hops);
        ready += hop->ready_count;
        waiting += hop->waiting_count;
        aside += hop->aside_count;
        delivering += hop->delivering_count;
        suspended += hop->item_suspended_count;
    }
    metric_begin(metrics, "relais_queue_items", "gauge",
        "Items of all queues: ready to go, waiting after a refusal, aside while nodes are "
        "asked, "
        "being delivered, suspended.");
#define STATE(text, count)                                                                     \
    metric_sample(                                                                             \
        metrics, (struct metric_label){ "state", text }, METRIC_NO_LABEL, (double)(count))
    STATE("ready", ready);
    STATE("waiting", waiting);
    STATE("aside", aside);
    STATE("delivering", delivering);
    STATE("suspended", suspended);
#undef STATE
}

static void hops_by_status(struct metrics *metrics, const struct path *path)
{
    static const char *const names[] = { "active", "connecting", "ready", "retry", "suspended",
        "unreachable" };
    enum { COUNT = sizeof names / sizeof *names };
    uint64_t counts[COUNT] = { 0 };

    list_each (node, &path->queue.all_hops) {
        const char *status = control_hop_status(container_of(node, struct hop, in_hops));
        for (size_t i = 0; i < COUNT; i++)
            counts[i] += strcmp(names[i], status) == 0;
    }
    metric_begin(
        metrics, "relais_queues", "gauge", "Queues, by how they stand (relais queues).");
    for (size_t i = 0; i < COUNT; i++)
        metric_sample(metrics, (struct metric_label){ "status", names[i] }, METRIC_NO_LABEL,
            (double)counts[i]);
}

void metrics_queues(
    struct metrics *metrics, const struct path *path, const struct hop_tallies *waiting)
{
    metric_one(metrics, "relais_queue_messages", "gauge",
        "Messages that wait or are delivered.", (double)path->queue.messages.count);
    metric_one(metrics, "relais_poison_messages", "gauge",
        "Messages in the poison queue: relaisd crashed with them.",
        (double)path_poison_count(path));
    items_by_state(metrics, path);
    hops_by_status(metrics, path);
    each_oldest(metrics, path, waiting);
}
