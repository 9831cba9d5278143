/* What the path calls: recovery, acceptance, the ends of messages. */
#include "node/inside.h"

#include "base/mem.h"

enum { LATE_MS_MAX = 1000 };

/* --- Recovery -------------------------------------------------------------------------------- */

static bool is_ours_to_deliver(const struct spool_found *found, bool is_done)
{
    if (is_done)
        return false;
    return !found->has_standing || found->standing.role == STANDING_PRIMARY;
}

static void keep_found(struct node *node, const struct spool_found *found)
{
    struct spool_entry entry = found->entry;
    struct keep *keep;

    list_init(&entry.in_segment);
    spool_adopt(node->spool, &entry);
    keep = keep_take(node, &entry);
    if (found->envelope.n)
        keep->has_digest = digest_of(found->envelope, keep->entry.content_bytes, &keep->digest);
}

enum node_found node_recover(struct node *node, const struct spool_found *found)
{
    uint32_t done = entry_done_count(&found->entry);
    bool is_done = done == found->entry.recipient_count;
    bool may_go;

    if (!found->has_standing && is_done)
        return NODE_FREE; /* accepted alone, and over */
    may_go =
        ledger_recover(node->ledger, found->mid, found->has_standing ? &found->standing : NULL,
            found->standing_at, done && !is_done, is_done);
    if (is_ours_to_deliver(found, is_done))
        return may_go ? NODE_FREE : NODE_HELD_BACK;
    keep_found(node, found);
    return NODE_TAKEN;
}

/* --- Acceptance ------------------------------------------------------------------------------ */

bool node_accept(
    struct node *node, struct node_acceptance *acceptance, struct standing *standing)
{
    bool is_welcome;

    acceptance->entry = NULL;
    mid_table_add(&node->acceptances, &acceptance->by_mid);
    is_welcome = ledger_accept(node->ledger, node_now(node), acceptance->by_mid.mid,
        acceptance->failure, standing, &node->actions);
    node_did(node);
    if (!is_welcome)
        mid_table_remove(&node->acceptances, &acceptance->by_mid);
    return is_welcome;
}

void node_committed(
    struct node *node, struct node_acceptance *acceptance, struct spool_entry *entry)
{
    acceptance->entry = entry;
    if (!entry)
        mid_table_remove(&node->acceptances, &acceptance->by_mid);
    ledger_on_committed(
        node->ledger, node_now(node), acceptance->by_mid.mid, entry != NULL, &node->actions);
    node_did(node);
    if (entry && !acceptance->content)
        copies_look(node);
    node_look_stopped(node);
}

/* --- The path -------------------------------------------------------------------------------- */

static bool has_row(const struct node *node, struct mid mid)
{
    struct standing standing;

    return ledger_standing(node->ledger, mid, &standing);
}

void node_settled(struct node *node, struct spool_entry *entry)
{
    struct mid mid = entry->by_mid.mid;
    struct keep *keep;

    if (!has_row(node, mid)) { /* accepted alone, or given back after its end */
        spool_settle(node->spool, entry);
        return;
    }
    keep = keep_take(node, entry);
    node_write_late(node, mid);
    keep->is_settling = copy_holds(node, mid);
    if (keep->is_settling)
        return; /* its content is still being sent: settle_late() */
    ledger_on_settled(node->ledger, node_now(node), mid, &node->actions);
    node_did(node);
}

void node_partly(struct node *node, struct mid mid)
{
    if (!has_row(node, mid))
        return;
    ledger_on_partly(node->ledger, mid, &node->actions);
    node_did(node);
}

/* This process stood still, and the ledger is not told yet: sockets come before timers.  What it
 * will ask about must not be started in between. */
static bool is_late(const struct node *node)
{
    int64_t late_ms = loop_now(node->home).ms - ledger_due(node->ledger).ms;
    int64_t most_ms = node->heartbeat_timeout_ms / 2;

    return node_is_on(node) && late_ms >= (most_ms < LATE_MS_MAX ? most_ms : LATE_MS_MAX);
}

bool node_may_deliver(const struct node *node, struct mid mid)
{
    return !is_late(node) && ledger_may_deliver(node->ledger, mid);
}

void node_give_back(struct node *node, struct spool_entry *entry)
{
    struct mid mid = entry->by_mid.mid;

    if (!has_row(node, mid)) { /* its new primary is done with it already */
        spool_settle(node->spool, entry);
        return;
    }
    keep_take(node, entry);
    node_write_late(node, mid);
}

void node_adopt(struct node *node, struct mid mid)
{
    if (has_row(node, mid))
        return;
    ledger_adopt(node->ledger, node_now(node), mid, &node->actions);
    node_did(node);
}
