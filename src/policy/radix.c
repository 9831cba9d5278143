#include "policy/radix.h"

#include "base/mem.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

/* How it is laid out
 *
 * 1. A branch stands for a run of the sorted addresses, all that begin with the same bits; the
 *    next six bits say which of 64 slots an address is in.
 * 2. Only slots that have addresses have an entry: those of a branch lie one behind the other, and
 *    the number of lower slots with entries tells which one it is.
 * 3. An entry's run begins where that of the entry before it ends.  It is a branch in turn, or it
 *    is so short (or so much the same) that it is halved.
 * 4. A path that does not fork takes no branch (path compression).  An address that leaves it
 *    midway is in front of the whole run, or behind it. */
enum { SLOT_BITS = 6, SLOTS = 64, RUN_MAX = 8, IP_BITS = 128, WORD_BITS = 64 };

struct key {
    uint64_t high, low;
};

struct branch {
    struct key first;    /* of the run: its first `bits` bits are those of all */
    uint64_t slots;      /* those with an entry */
    uint64_t forks;      /* those whose run has a branch of its own */
    uint32_t begin, end; /* the run: numbers of nodes */
    uint32_t ends;       /* number of the first entry: where the run of that slot ends */
    uint32_t branches;   /* number of the first of the branches below it */
    uint32_t bits;
    bool is_single; /* each run is of one node, so no entry is needed to know where it ends */
};

struct radix {
    const struct range_node *nodes;
    size_t node_count;
    struct branch *branches; /* none, or the first is around all nodes */
    uint32_t *ends;
    size_t branch_count, branch_room, end_count, end_room;
};

static struct key key_of(struct ip ip)
{
    struct key key;

    memcpy(&key.high, ip.byte, sizeof key.high);
    memcpy(&key.low, ip.byte + sizeof key.high, sizeof key.low);
    return (struct key){ be64toh(key.high), be64toh(key.low) };
}

static struct key key_at(const struct radix *radix, size_t number)
{
    return key_of(radix->nodes[number].range.first);
}

static bool is_before(struct key a, struct key b)
{
    return a.high < b.high || (a.high == b.high && a.low < b.low);
}

/* How many of the first bits are the same. */
static uint32_t common_bits(struct key a, struct key b)
{
    if (a.high != b.high)
        return (uint32_t)__builtin_clzll(a.high ^ b.high);
    if (a.low != b.low)
        return WORD_BITS + (uint32_t)__builtin_clzll(a.low ^ b.low);
    return IP_BITS;
}

/* Those behind the last bit count as zeros. */
static unsigned slot_of(struct key key, uint32_t bits)
{
    if (bits >= WORD_BITS)
        return (unsigned)(key.low << (bits - WORD_BITS) >> (WORD_BITS - SLOT_BITS));
    if (bits > 0)
        key.high = key.high << bits | key.low >> (WORD_BITS - bits);
    return (unsigned)(key.high >> (WORD_BITS - SLOT_BITS));
}

static uint32_t count_below(uint64_t set, uint64_t slot)
{
    return (uint32_t)__builtin_popcountll(set & (slot - 1));
}

/* Where the run of a branch's entry begins, and the one before it ends. */
static uint32_t run_begin(
    const struct radix *radix, const struct branch *branch, uint32_t entry)
{
    if (branch->is_single || entry == 0)
        return branch->begin + entry;
    return radix->ends[branch->ends + entry - 1];
}

/* --- Making ------------------------------------------------------------------------------ */

static uint32_t add_branches(struct radix *radix, uint32_t count)
{
    size_t at = radix->branch_count;

    radix->branch_count += count;
    while (radix->branch_count > radix->branch_room) {
        radix->branch_room = radix->branch_room ? 2 * radix->branch_room : 1;
        radix->branches =
            mem_grow(radix->branches, radix->branch_room * sizeof *radix->branches);
    }
    return (uint32_t)at;
}

static void add_end(struct radix *radix, uint32_t end)
{
    if (radix->end_count == radix->end_room) {
        radix->end_room = radix->end_room ? 2 * radix->end_room : SLOTS;
        radix->ends = mem_grow(radix->ends, radix->end_room * sizeof *radix->ends);
    }
    radix->ends[radix->end_count++] = end;
}

static bool forks(const struct radix *radix, uint32_t begin, uint32_t end)
{
    return end - begin > RUN_MAX &&
           common_bits(key_at(radix, begin), key_at(radix, end - 1)) < IP_BITS;
}

/* Its slots and their runs, which are not gone into yet. */
static void add_slots(struct radix *radix, struct branch *branch)
{
    unsigned slot = slot_of(branch->first, branch->bits), next;
    uint32_t begin = branch->begin;

    branch->ends = (uint32_t)radix->end_count;
    for (uint32_t i = branch->begin + 1; i <= branch->end; i++) {
        next = i < branch->end ? slot_of(key_at(radix, i), branch->bits) : SLOTS;
        if (next == slot)
            continue;
        branch->slots |= (uint64_t)1 << slot;
        if (forks(radix, begin, i))
            branch->forks |= (uint64_t)1 << slot;
        add_end(radix, i);
        begin = i;
        slot = next;
    }
    branch->is_single = radix->end_count - branch->ends == branch->end - branch->begin;
    if (branch->is_single)
        radix->end_count = branch->ends;
}

/* Makes branch number AT.  What is below it is six bits deeper at the least, so this calls itself
 * 22 times at the most. */
static void build(struct radix *radix, uint32_t at, uint32_t begin, uint32_t end)
{
    struct branch branch = { .first = key_at(radix, begin), .begin = begin, .end = end };
    uint32_t below, entry = 0;

    branch.bits = common_bits(branch.first, key_at(radix, end - 1));
    add_slots(radix, &branch);
    branch.branches = below = add_branches(radix, (uint32_t)__builtin_popcountll(branch.forks));
    radix->branches[at] = branch;
    for (uint64_t rest = branch.slots; rest; rest &= rest - 1) {
        uint64_t slot = rest & -rest;
        uint32_t run_end = run_begin(radix, &branch, ++entry);

        if (branch.forks & slot)
            build(radix, below++, begin, run_end);
        begin = run_end;
    }
}

struct radix *radix_new(const struct range_node *nodes, size_t count)
{
    struct radix *radix = mem_new(sizeof *radix);

    assert(count < UINT32_MAX);
    radix->nodes = nodes;
    radix->node_count = count;
    for (size_t i = 1; i < count; i++)
        assert(!is_before(key_at(radix, i), key_at(radix, i - 1)));
    if (count && forks(radix, 0, (uint32_t)count))
        build(radix, add_branches(radix, 1), 0, (uint32_t)count);
    return radix;
}

void radix_free(struct radix *radix)
{
    if (!radix)
        return;
    free(radix->branches);
    free(radix->ends);
    free(radix);
}

/* --- Finding ----------------------------------------------------------------------------- */

/* How many nodes begin at or before KEY: some of those from BEGIN to END, and all before. */
static uint32_t count_in_run(
    const struct radix *radix, uint32_t begin, uint32_t end, struct key key)
{
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (is_before(key, key_at(radix, middle)))
            end = middle;
        else
            begin = middle + 1;
    }
    return begin;
}

static uint32_t count_before(const struct radix *radix, struct key key)
{
    uint32_t begin = 0, end = (uint32_t)radix->node_count;

    for (const struct branch *branch = radix->branches; branch;) {
        uint64_t slot;
        uint32_t entry;

        if (common_bits(key, branch->first) < branch->bits)
            return is_before(key, branch->first) ? branch->begin : branch->end;
        slot = (uint64_t)1 << slot_of(key, branch->bits);
        entry = count_below(branch->slots, slot);
        begin = run_begin(radix, branch, entry);
        if (!(branch->slots & slot))
            return begin; /* between two slots that have some */
        end = run_begin(radix, branch, entry + 1);
        branch = branch->forks & slot
                     ? &radix->branches[branch->branches + count_below(branch->forks, slot)]
                     : NULL;
    }
    return count_in_run(radix, begin, end, key);
}

size_t radix_find(const struct radix *radix, struct ip ip)
{
    uint32_t count = count_before(radix, key_of(ip));

    return count ? count - 1 : RADIX_NONE;
}
