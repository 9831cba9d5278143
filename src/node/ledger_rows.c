/* The ledger's rows: what is kept of each message, where it is listed, and what is counted. */
#include "node/ledger_inside.h"

const struct row_more ledger_no_more = {
    .in_taken = { (struct list *)(uintptr_t)&ledger_no_more.in_taken,
        (struct list *)(uintptr_t)&ledger_no_more.in_taken },
    .copy_to = LEDGER_NO_PEER,
    .asker = LEDGER_NO_PEER,
};

struct row *ledger_row(const struct ledger *ledger, struct mid mid)
{
    struct mid_node *node = mid_table_find(&ledger->rows, mid);

    return node ? container_of(node, struct row, by_mid) : NULL;
}

struct row *ledger_add_row(struct ledger *ledger, struct mid mid, enum standing_role role)
{
    struct row *row = slab_take(&ledger->row_slab);

    row->by_mid.mid = mid;
    row->role = role;
    row->owner = ledger->own;
    row->from = NO_STORE;
    row->seq = ++ledger->seq;
    row->since_ms = ledger->now.ms;
    row->more = &ledger_no_more;
    list_init(&row->in_role);
    mid_table_add(&ledger->rows, &row->by_mid);
    ledger->role_count[role]++;
    return row;
}

/* --- More ---------------------------------------------------------------------------------- */

struct row_more *ledger_more(struct ledger *ledger, struct row *row)
{
    struct row_more *more;

    if (row->more != &ledger_no_more)
        return (struct row_more *)(uintptr_t)row->more; /* it is this row's own */
    more = slab_take(&ledger->more_slab);
    *more = ledger_no_more;
    more->row = row;
    list_init(&more->in_taken);
    row->more = more;
    return more;
}

static void drop_more(struct ledger *ledger, struct row *row)
{
    if (row->more != &ledger_no_more)
        slab_give(&ledger->more_slab, ledger_more(ledger, row));
    row->more = &ledger_no_more;
}

/* What it says is about acceptances, copies and answers under way, unless it is of these. */
static bool is_at_rest(const struct row *row)
{
    const struct row_more *more = row->more;

    if (row->role == STANDING_SETTLED || row->is_accepting || row->is_receiving ||
        row->answers_copy || more->copy_to != LEDGER_NO_PEER)
        return false;
    return !more->froms && !more->refusals && !more->unasked &&
           !list_is_linked(&more->in_taken);
}

void ledger_rest_row(struct ledger *ledger, struct row *row)
{
    if (is_at_rest(row))
        drop_more(ledger, row);
}

/* --- Counted ------------------------------------------------------------------------------- */

static bool is_missing_one(const struct row *row)
{
    return row->listed == LIST_SINGLE || row->listed == LIST_COPYING;
}

void ledger_set_single(struct ledger *ledger, struct row *row, enum standing_single single)
{
    if (is_missing_one(row)) {
        ledger->missing_by[row->single]--;
        ledger->missing_by[single]++;
    }
    row->single = single;
}

void ledger_set_role(struct ledger *ledger, struct row *row, enum standing_role role)
{
    ledger->role_count[row->role]--;
    row->role = role;
    ledger->role_count[role]++;
    row->since_ms = ledger->now.ms;
}

void ledger_set_kept(struct ledger *ledger, struct row *row, uint64_t kept)
{
    for (uint64_t gone = row->kept & ~kept; gone; gone &= gone - 1)
        ledger->stores[__builtin_ctzll(gone)].kept_count--;
    for (uint64_t come = kept & ~row->kept; come; come &= come - 1)
        ledger->stores[__builtin_ctzll(come)].kept_count++;
    row->kept = kept;
}

/* --- Listed -------------------------------------------------------------------------------- */

void ledger_list_row(struct ledger *ledger, struct row *row, enum row_list list)
{
    ledger_unlist_row(ledger, row);
    row->listed = list;
    ledger->list_count[list]++;
    if (is_missing_one(row))
        ledger->missing_by[row->single]++;
    if (list == LIST_HELD) {
        ledger->stores[row->owner].held_count++;
        list_add_last(&ledger->stores[row->owner].held, &row->in_role);
    } else {
        list_add_last(&ledger->lists[list], &row->in_role);
    }
}

void ledger_unlist_row(struct ledger *ledger, struct row *row)
{
    if (row->listed == LIST_NONE)
        return;
    if (row->listed == LIST_HELD) {
        ledger_audit_pass(ledger, row);
        ledger->stores[row->owner].held_count--;
    }
    if (is_missing_one(row))
        ledger->missing_by[row->single]--;
    ledger->list_count[row->listed]--;
    row->listed = LIST_NONE;
    list_remove(&row->in_role);
}

/* --- The end ------------------------------------------------------------------------------- */

void ledger_drop_row(struct ledger *ledger, struct row *row)
{
    ledger_end_claim(ledger, row);
    ledger_unlist_row(ledger, row);
    ledger_leave_taken(ledger, row);
    ledger_audit_forget(ledger, row);
    ledger_set_kept(ledger, row, 0);
    ledger->role_count[row->role]--;
    drop_more(ledger, row);
    mid_table_remove(&ledger->rows, &row->by_mid);
    slab_give(&ledger->row_slab, row);
}

void ledger_forget_row(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    ledger_answer_busy(row, actions);
    ledger_act(actions, LEDGER_FORGET, row);
    ledger_drop_row(ledger, row);
}

static void free_row(struct mid_node *node, void *me)
{
    struct ledger *ledger = me;
    struct row *row = container_of(node, struct row, by_mid);

    drop_more(ledger, row);
    slab_give(&ledger->row_slab, row);
}

void ledger_free_rows(struct ledger *ledger)
{
    mid_table_each(&ledger->rows, free_row, ledger);
    mid_table_done(&ledger->rows);
    slab_done(&ledger->row_slab);
    slab_done(&ledger->more_slab);
}
