/* What the administrator decides about a message that nobody delivers by itself: one set aside
 * (R14, R20), or a copy that its primary does not know (R11). */
#include "node/ledger_inside.h"

static struct row *find_stranded(struct ledger *ledger, struct mid mid)
{
    struct row *row = ledger_row(ledger, mid);

    if (!row || (row->role != STANDING_ASIDE && row->role != STANDING_UNCLAIMED))
        return NULL;
    return row;
}

/* One generation more: whoever else holds a copy of it holds it for this node from now on. */
bool ledger_resume(
    struct ledger *ledger, struct moment now, struct mid mid, struct ledger_actions *actions)
{
    struct row *row = find_stranded(ledger, mid);
    struct ledger_action *action;

    ledger_enter(ledger, now);
    if (!row)
        return false;
    ledger_unlist_row(ledger, row);
    ledger_set_role(ledger, row, STANDING_PRIMARY);
    row->owner = ledger->own;
    row->generation++;
    ledger_set_kept(ledger, row, 0);
    ledger_end_claim(ledger, row);
    row->is_waiting = row->is_claimed = false;
    ledger_stand(ledger, row, actions);
    action = ledger_act(actions, LEDGER_DELIVER, row);
    ledger_fill_standing(ledger, row, &action->standing);
    ledger_row_is_single(ledger, row, SINGLE_LOST, actions);
    return true;
}

bool ledger_drop(
    struct ledger *ledger, struct moment now, struct mid mid, struct ledger_actions *actions)
{
    struct row *row = find_stranded(ledger, mid);

    ledger_enter(ledger, now);
    if (!row)
        return false;
    ledger_forget_row(ledger, row, actions);
    return true;
}
