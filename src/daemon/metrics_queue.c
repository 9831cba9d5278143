/* Queues: how many wait, how they stand, and how old the oldest of each is. */
#include "daemon/control_hop.h"
#include "daemon/metrics.h"

#include "base/mem.h"
#include "policy/priority.h"

#include <stdlib.h>

/* In one turn of the loop; the messages behind that are younger than these. */
enum { LOOKS_MAX = 200000 };

struct age {
    const struct hop *hop;
    int64_t oldest_ms; /* wall; INT64_MAX: none was seen */
};

struct ages {
    struct age *list; /* in the order of the pointers, and then of ages */
    size_t count, unseen;
};

static int by_hop(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct age *)a)->hop,
              y = (uintptr_t)((const struct age *)b)->hop;

    return x < y ? -1 : x > y;
}

static int by_age(const void *a, const void *b)
{
    int64_t x = ((const struct age *)a)->oldest_ms, y = ((const struct age *)b)->oldest_ms;

    return x < y ? -1 : x > y;
}

static void see(struct ages *ages, const struct message *message)
{
    for (const struct item *item = &message->first; item; item = item->next) {
        struct age wanted = { .hop = item->hop }, *found;
        if (item->state == ITEM_DONE || !item->hop)
            continue;
        found = bsearch(&wanted, ages->list, ages->count, sizeof *ages->list, by_hop);
        if (!found || found->oldest_ms != INT64_MAX)
            continue;
        found->oldest_ms = message->arrived.ms;
        ages->unseen--;
    }
}

/* The messages stand in the order they came, so the first that is met of a queue is its oldest. */
static void take_ages(const struct path *path, struct ages *ages)
{
    size_t looks = 0;

    ages->list = mem_new((path->queue.hops.count + 1) * sizeof *ages->list);
    list_each (node, &path->queue.all_hops) {
        const struct hop *hop = container_of(node, struct hop, in_hops);
        if (hop_item_count(hop))
            ages->list[ages->count++] = (struct age){ hop, INT64_MAX };
    }
    ages->unseen = ages->count;
    qsort(ages->list, ages->count, sizeof *ages->list, by_hop);
    list_each (node, &path->queue.in_order) {
        if (ages->unseen == 0 || looks++ == LOOKS_MAX)
            break;
        see(ages, container_of(node, struct message, in_queue));
    }
    qsort(ages->list, ages->count, sizeof *ages->list, by_age);
}

static double age_s(const struct path *path, int64_t oldest_ms)
{
    int64_t ms = oldest_ms == INT64_MAX ? 0 : loop_wall(path->home).ms - oldest_ms;

    return ms > 0 ? (double)ms / 1000 : 0;
}

static void each_oldest(struct metrics *metrics, const struct path *path)
{
    struct ages ages = { 0 };
    size_t shown;

    take_ages(path, &ages);
    shown = ages.count < METRICS_QUEUES_MAX ? ages.count : METRICS_QUEUES_MAX;
    metric_one(metrics, "relais_queue_oldest_seconds_max", "gauge",
        "Age of the oldest message of all queues.",
        ages.count ? age_s(path, ages.list[0].oldest_ms) : 0);
    metric_begin(metrics, "relais_queue_oldest_seconds", "gauge",
        "Age of the oldest message of a queue; of the 50 queues with the oldest.");
    for (size_t i = 0; i < shown; i++)
        metric_sample(metrics, (struct metric_label){ "queue", ages.list[i].hop->name },
            METRIC_NO_LABEL, age_s(path, ages.list[i].oldest_ms));
    metric_begin(metrics, "relais_queue_length", "gauge",
        "Items (the recipients of a message that go together) of these queues.");
    for (size_t i = 0; i < shown; i++)
        metric_sample(metrics, (struct metric_label){ "queue", ages.list[i].hop->name },
            METRIC_NO_LABEL, (double)hop_item_count(ages.list[i].hop));
    free(ages.list);
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

void metrics_queues(struct metrics *metrics, const struct path *path)
{
    metric_one(metrics, "relais_queue_messages", "gauge",
        "Messages that wait or are delivered.", (double)path->queue.messages.count);
    metric_one(metrics, "relais_poison_messages", "gauge",
        "Messages in the poison queue: relaisd crashed with them.",
        (double)path_poison_count(path));
    items_by_state(metrics, path);
    hops_by_status(metrics, path);
    each_oldest(metrics, path);
}
