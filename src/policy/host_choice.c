#include "policy/host_choice.h"

#include <assert.h>
#include <stdbool.h>

static uint32_t lowest_priority(const struct host_place *const *places, size_t count)
{
    uint32_t lowest = UINT32_MAX;

    for (size_t i = 0; i < count; i++) {
        if (places[i]->priority < lowest)
            lowest = places[i]->priority;
    }
    return lowest;
}

/* An entry counts once, by the first of its hosts. */
static bool is_first_of_entry(const struct host_place *const *places, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (places[i]->entry == places[at]->entry)
            return false;
    }
    return true;
}

/* Whether the host stands for an entry of that PRIORITY. */
static bool stands_for_entry(
    const struct host_place *const *places, size_t at, uint32_t priority)
{
    return places[at]->priority == priority && is_first_of_entry(places, at);
}

/* One of the lowest preference. */
static size_t choose_of_entry(
    const struct host_place *const *places, size_t count, uint32_t entry, uint64_t random)
{
    uint32_t best = UINT32_MAX;
    size_t equals = 0, skip;

    for (size_t i = 0; i < count; i++) {
        if (places[i]->entry != entry || places[i]->preference > best)
            continue;
        equals = places[i]->preference < best ? 1 : equals + 1;
        best = places[i]->preference;
    }
    assert(equals > 0);
    skip = random % equals;
    for (size_t i = 0;; i++) {
        assert(i < count);
        if (places[i]->entry == entry && places[i]->preference == best && skip-- == 0)
            return i;
    }
}

size_t host_choose(const struct host_place *const *places, size_t count, uint64_t random)
{
    uint32_t priority = lowest_priority(places, count);
    uint64_t weights = 0, at;
    size_t i;

    for (i = 0; i < count; i++) {
        if (stands_for_entry(places, i, priority))
            weights += places[i]->weight;
    }
    assert(weights > 0);
    at = random % weights;
    for (i = 0;; i++) {
        assert(i < count);
        if (!stands_for_entry(places, i, priority))
            continue;
        if (at < places[i]->weight)
            break;
        at -= places[i]->weight;
    }
    return choose_of_entry(places, count, places[i]->entry, random / weights);
}
