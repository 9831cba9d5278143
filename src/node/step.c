/* What the ledger wants is done here: in order, in a step of the loop of its own. */
#include "node/inside.h"

#include "base/mem.h"
#include "report/report.h"

#include <assert.h>
#include <stdlib.h>

/* A list of recipients is a link's until its next event, and the action may be done after that:
 * it is copied right behind the call, and freed when the action is done.  Pages are ours. */

static void own(struct ledger_action *action)
{
    if (action->type == LEDGER_NOTE)
        action->list = bytes_of(mem_copy(action->list.at, action->list.n), action->list.n);
}

static void disown(const struct ledger_action *action)
{
    if (action->type == LEDGER_ANSWER)
        ledger_page_free(action->answer.page);
    if (action->type == LEDGER_NOTE)
        free((void *)(uintptr_t)action->list.at);
}

void node_did(struct node *node)
{
    struct ledger_actions *actions = &node->actions;

    for (; node->actions_owned < actions->count; node->actions_owned++)
        own(&actions->list[node->actions_owned]);
    loop_step_ask(node->home, &node->step);
}

struct moment node_now(struct node *node)
{
    ledger_set_position(node->ledger, spool_position(node->spool));
    return loop_now(node->home);
}

/* --- The store ------------------------------------------------------------------------------ */

/* A word gives up the content: while the path still has the message, withdrawn, a delivery under
 * way may read it.  Then it is written when the message is given back. */
static void stand(struct node *node, const struct ledger_action *action)
{
    bool is_path_s = !keep_find(node, action->mid) && !acceptance_of(node, action->mid);
    struct late_word *late;

    if (action->standing.role != STANDING_SETTLED || !is_path_s) {
        keep_stand(node, action->mid, action->tag, &action->standing);
        return;
    }
    late = mem_new(sizeof *late);
    late->mid = action->mid;
    late->tag = action->tag;
    late->standing = action->standing;
    list_init(&late->in_node);
    list_add_last(&node->late_words, &late->in_node);
}

void node_write_late(struct node *node, struct mid mid)
{
    list_each (at, &node->late_words) {
        struct late_word *late = container_of(at, struct late_word, in_node);
        if (!mid_equal(late->mid, mid))
            continue;
        keep_stand(node, mid, late->tag, &late->standing);
        list_remove(at);
        free(late);
    }
}

/* The path has it still when it is withdrawn while deliveries of it are under way: then it is
 * settled when it is given back. */
static void forget(struct node *node, struct mid mid)
{
    struct node_acceptance *acceptance = acceptance_of(node, mid);
    struct keep *keep = keep_find(node, mid);

    if (!keep && acceptance && acceptance->entry) {
        keep = keep_take(node, acceptance->entry);
        acceptance->entry = NULL;
    }
    if (!keep)
        return;
    spool_settle(node->spool, &keep->entry);
    keep_free(node, keep);
}

static void note(struct node *node, const struct ledger_action *action)
{
    struct spool_entry *entry = entry_of(node, action->mid);

    if (!entry)
        return; /* settled in the same turn */
    if (!shadow_list_check(action->list, entry->recipient_count)) {
        /* Nothing is noted: all of them would get it, perhaps twice; nobody goes without. */
        report(REPORT_LINK_FAULT, R_CHARS("node", peer_name(node, action->peer)),
            R_MID(action->mid), R_CHARS("text", "a list of recipients that are not there"));
        return;
    }
    entry_note_list(node, entry, action->list);
}

static void write_stores(struct node *node, uint64_t tag)
{
    uint32_t count;
    const struct ledger_store *list = ledger_stores(node->ledger, &count);

    stores_change(node->stores, list, count, tag);
}

static void renew(struct node *node)
{
    enum err err = spool_renew_store(node->spool);

    if (err != OK) {
        if (!node->wants_renewal)
            report_notice(REPORT_ERROR, "spool: a new store cannot be begun, tried again: %s",
                err_text(err));
        node->wants_renewal = true; /* at the next look */
        return;
    }
    node->wants_renewal = false;
    ledger_on_renewed(
        node->ledger, node_now(node), spool_store_id(node->spool), &node->actions);
    node_did(node);
}

void node_try_renewal(struct node *node)
{
    if (node->wants_renewal)
        renew(node);
}

/* --- The path -------------------------------------------------------------------------------- */

static void end_acceptance(struct node *node, const struct ledger_action *action)
{
    struct node_acceptance *acceptance = acceptance_of(node, action->mid);
    enum ledger_verdict verdict = action->verdict;

    if (!acceptance)
        return;
    mid_table_remove(&node->acceptances, &acceptance->by_mid);
    if ((verdict == LEDGER_REJECT || verdict == LEDGER_OTHER) && acceptance->entry) {
        struct keep *keep = keep_take(node, acceptance->entry);
        keep->has_digest =
            digest_of(acceptance->envelope, keep->entry.content_bytes, &keep->digest);
        acceptance->entry = NULL;
    }
    acceptance->on_done(acceptance, verdict, action->single); /* it may be gone now */
    node_look_stopped(node);
}

const char *node_of_store(const struct node *node, struct store_id store)
{
    uint32_t count;
    const struct ledger_store *list = ledger_stores(node->ledger, &count);

    for (uint32_t i = 0; i < count; i++)
        if (memcmp(&list[i].id, &store, sizeof store) == 0)
            return list[i].node;
    return "";
}

static void deliver(struct node *node, const struct ledger_action *action)
{
    struct keep *keep = keep_find(node, action->mid);

    if (!keep) {
        node->path.release(node->path.me, action->mid);
        return;
    }
    node->path.take(node->path.me, &keep->entry, action->standing.generation,
        node_of_store(node, action->standing.from));
    keep_free(node, keep);
}

static void withdraw(struct node *node, struct mid mid)
{
    if (!keep_find(node, mid))
        node->path.withdraw(node->path.me, mid);
}

/* --- Links ----------------------------------------------------------------------------------- */

static bool fill_list(struct node *node, struct shadow_item *item, struct buf *lists)
{
    struct spool_entry *entry = entry_of(node, item->mid);

    if (!entry)
        return false;
    buf_clear(lists);
    entry_list_done(entry, lists);
    item->list = bytes_of(mem_copy(lists->at, lists->n), lists->n);
    return lists->n > 0;
}

/* The lists of PART say what is done by now.  One that has none any more is left out: it was
 * settled meanwhile, and DONE is said of it soon. */
static void fill_lists(struct node *node, struct shadow_page *page, struct shadow_item *items)
{
    struct buf lists;
    uint32_t kept = 0;

    buf_init(&lists, SHADOW_LIST_BYTES_MAX);
    for (uint32_t i = 0; i < page->item_count; i++)
        if (items[i].word != SHADOW_PART || fill_list(node, &items[i], &lists))
            items[kept++] = items[i];
    page->item_count = kept;
    buf_done(&lists);
}

static void answer(struct node *node, const struct ledger_action *action)
{
    struct shadow_page *page = (struct shadow_page *)(uintptr_t)action->answer.page;
    struct shadow_item *items = page ? (struct shadow_item *)(uintptr_t)page->items : NULL;

    if (page)
        fill_lists(node, page, items);
    link_in_answer(node, action->tag, page, &action->answer.refusal);
    for (uint32_t i = 0; page && i < page->item_count; i++)
        if (items[i].word == SHADOW_PART)
            free((void *)(uintptr_t)items[i].list.at);
}

/* --- In order -------------------------------------------------------------------------------- */

static void do_store(struct node *node, const struct ledger_action *action)
{
    switch (action->type) {
    case LEDGER_STAND:
        stand(node, action);
        return;
    case LEDGER_FORGET:
        forget(node, action->mid);
        return;
    case LEDGER_NOTE:
        note(node, action);
        return;
    case LEDGER_FLUSH:
        keep_flush(node, action->tag, action->is_patient);
        return;
    case LEDGER_STORES:
        write_stores(node, action->tag);
        return;
    default:
        renew(node);
        return;
    }
}

static void do_link(struct node *node, const struct ledger_action *action)
{
    switch (action->type) {
    case LEDGER_COPY:
        copy_order(node, action->peer, action->mid, &action->standing);
        return;
    case LEDGER_COPY_CANCEL:
        copy_cancel(node, action->peer, action->mid);
        return;
    case LEDGER_ASK:
        if (action->ask)
            peer_ask(node, action->peer, action->ask);
        return;
    case LEDGER_ANSWER:
        answer(node, action);
        return;
    case LEDGER_HELD:
        copy_in_held(node, action);
        return;
    default:
        peer_cut(node, action->peer);
        return;
    }
}

static void do_action(struct node *node, const struct ledger_action *action)
{
    switch (action->type) {
    case LEDGER_STAND:
    case LEDGER_FORGET:
    case LEDGER_NOTE:
    case LEDGER_FLUSH:
    case LEDGER_STORES:
    case LEDGER_RENEW:
        do_store(node, action);
        return;
    case LEDGER_ACCEPTED:
        end_acceptance(node, action);
        return;
    case LEDGER_DELIVER:
        deliver(node, action);
        return;
    case LEDGER_WITHDRAW:
        withdraw(node, action->mid);
        return;
    case LEDGER_EVENT:
        tell_event(node, action);
        return;
    default:
        do_link(node, action);
        return;
    }
}

static void set_timer(struct node *node)
{
    int64_t after_ms = ledger_due(node->ledger).ms - loop_now(node->home).ms;

    timer_start(&node->due, after_ms > 0 ? after_ms : 0);
}

/* New actions may come behind while these are done, and the list may move. */
static void on_step(struct loop_step *step)
{
    struct node *node = container_of(step, struct node, step);

    while (node->actions_at < node->actions.count) {
        struct ledger_action action = node->actions.list[node->actions_at++];
        do_action(node, &action);
        disown(&action);
    }
    node->actions.count = node->actions_at = node->actions_owned = 0;
    if (node->is_started && !node->are_links_stopped)
        set_timer(node);
    node_look_stopped(node);
}

void node_drop_asks(struct node *node, uint8_t peer)
{
    for (unsigned i = node->actions_at; i < node->actions.count; i++) {
        struct ledger_action *action = &node->actions.list[i];
        if (action->type == LEDGER_ASK && action->peer == peer)
            action->ask = NULL;
    }
}

static void on_due(struct timer *timer)
{
    struct node *node = container_of(timer, struct node, due);

    ledger_on_time(node->ledger, node_now(node), &node->actions);
    node_did(node);
}

void node_step_init(struct node *node)
{
    list_init(&node->late_words);
    loop_step_init(&node->step, on_step);
    timer_init(&node->due, node->home, on_due);
}

void node_step_done(struct node *node)
{
    loop_step_cancel(&node->step);
    timer_stop(&node->due);
    for (; node->actions_at < node->actions_owned; node->actions_at++)
        disown(&node->actions.list[node->actions_at]);
    free(node->actions.list);
    list_each (at, &node->late_words) {
        list_remove(at);
        free(container_of(at, struct late_word, in_node));
    }
}
