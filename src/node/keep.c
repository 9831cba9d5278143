/* Where entries are, and what is written about them. */
#include "base/mem.h"
#include "node/inside.h"

#include <assert.h>
#include <stdlib.h>

/* --- Who has it -------------------------------------------------------------------------- */

struct keep *keep_find(const struct node *node, struct mid mid)
{
    struct mid_node *at = mid_table_find(&node->keeps, mid);

    return at ? container_of(at, struct keep, entry.by_mid) : NULL;
}

struct node_acceptance *acceptance_of(const struct node *node, struct mid mid)
{
    struct mid_node *at = mid_table_find(&node->acceptances, mid);

    return at ? container_of(at, struct node_acceptance, by_mid) : NULL;
}

struct spool_entry *entry_of(const struct node *node, struct mid mid)
{
    struct keep *keep = keep_find(node, mid);
    struct node_acceptance *acceptance;

    if (keep)
        return &keep->entry;
    acceptance = acceptance_of(node, mid);
    if (acceptance)
        return acceptance->entry;
    return node->path.entry_of(node->path.me, mid);
}

struct keep *keep_take(struct node *node, struct spool_entry *from)
{
    struct keep *keep = slab_take(&node->keep_slab);

    assert(!keep_find(node, from->by_mid.mid));
    list_init(&keep->entry.in_segment);
    spool_move_entry(node->spool, from, &keep->entry);
    mid_table_add(&node->keeps, &keep->entry.by_mid);
    return keep;
}

void keep_free(struct node *node, struct keep *keep)
{
    mid_table_remove(&node->keeps, &keep->entry.by_mid);
    slab_give(&node->keep_slab, keep);
}

/* --- Outcomes ---------------------------------------------------------------------------- */

static bool is_done(const void *me, uint32_t recipient)
{
    return !spool_is_pending(spool_entry_outcome(me, recipient));
}

uint32_t entry_done_count(const struct spool_entry *entry)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < entry->recipient_count; i++)
        count += is_done(entry, i);
    return count;
}

void entry_list_done(const struct spool_entry *entry, struct buf *out)
{
    /* A list too long for a line says less than is done, which is safe: whoever takes over
     * delivers to the rest once more. */
    err_ignore(shadow_list_add(out, entry->recipient_count, is_done, entry));
}

void entry_note_list(struct node *node, struct spool_entry *entry, struct bytes list)
{
    struct shadow_list_cursor cursor = { list };
    uint32_t *recipients = mem_new(entry->recipient_count * sizeof *recipients);
    uint32_t first, last, count = 0;

    while (shadow_list_next(&cursor, &first, &last))
        for (uint32_t i = first; i <= last; i++)
            if (!is_done(entry, i))
                recipients[count++] = i;
    if (count)
        spool_note(node->spool, entry, recipients, count, SPOOL_DELIVERED);
    free(recipients);
}

/* --- Standings --------------------------------------------------------------------------- */

struct word {
    struct spool_word word;
    struct word *next; /* unused */
    struct node *node;
    struct mid mid;
    uint64_t tag;
};

static void on_stood(struct spool_word *spool_word)
{
    struct word *word = container_of(spool_word, struct word, word);
    struct node *node = word->node;

    node->words--;
    ledger_on_stood(
        node->ledger, node_now(node), word->mid, word->tag, spool_word->at, &node->actions);
    word->next = node->free_words;
    node->free_words = word;
    node_did(node);
    node_look_stopped(node);
}

static struct word *new_word(struct node *node)
{
    struct word *word = node->free_words;

    if (!word)
        return mem_new(sizeof *word);
    node->free_words = word->next;
    return word;
}

void keep_stand(
    struct node *node, struct mid mid, uint64_t tag, const struct standing *standing)
{
    struct spool_entry *entry = entry_of(node, mid);
    struct word *word = new_word(node);

    assert(entry); /* the ledger has a row for what is here, and asks after its commit */
    word->node = node;
    word->mid = mid;
    word->tag = tag;
    word->word.done = on_stood;
    node->words++;
    spool_stand(node->spool, entry, standing, &word->word);
}

void words_free(struct node *node)
{
    while (node->free_words) {
        struct word *word = node->free_words;
        node->free_words = word->next;
        free(word);
    }
}

/* --- Flushes ----------------------------------------------------------------------------- */

enum { FLUSH_AGAIN_MS = 200 };

struct flush {
    struct spool_barrier barrier;
    struct timer again;
    struct node *node;
    uint64_t tag;
};

static void on_flushed(struct spool_barrier *barrier)
{
    struct flush *flush = container_of(barrier, struct flush, barrier);
    struct node *node = flush->node;

    if (barrier->err != OK) { /* the disk fails: noted still, so ask again */
        timer_start(&flush->again, FLUSH_AGAIN_MS);
        return;
    }
    node->flushes--;
    ledger_on_flushed(node->ledger, node_now(node), flush->tag, &node->actions);
    free(flush);
    node_did(node);
    node_look_stopped(node);
}

static void on_again(struct timer *timer)
{
    struct flush *flush = container_of(timer, struct flush, again);

    spool_flush(flush->node->spool, &flush->barrier);
}

void keep_flush(struct node *node, uint64_t tag, bool is_patient)
{
    struct flush *flush = mem_new(sizeof *flush);

    flush->node = node;
    flush->tag = tag;
    flush->barrier.done = on_flushed;
    timer_init(&flush->again, node->home, on_again);
    node->flushes++;
    if (is_patient && !node->are_links_stopped)
        spool_flush_soon(node->spool, &flush->barrier);
    else
        spool_flush(node->spool, &flush->barrier);
}
