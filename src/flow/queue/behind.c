/* Who goes before a message that its host told to slow down (SC-7).
 *
 * Was that about all, about one sender, or about one recipient?  Only others can tell
 * (policy/blame.h), so a few of other senders to other recipients go first: it is known soon, and
 * nobody waits behind a sender who has had his share of the hour.  They need not stand next:
 * thousands of his messages may, and those of others come in behind these.  Those that were not
 * tried yet are better: a few that were told so, too, would go before one another for ever. */
#include "flow/queue/internal.h"

enum { OTHERS = 2, NEAR = 1000 };

/* What a host counts by. */
struct kin {
    struct bytes sender, recipient; /* the first recipient: mostly there is one */
};

static struct kin kin_of(const struct item *item)
{
    struct bytes encoded = message_envelope(item_message(item));
    struct kin kin = { .sender = envelope_sender(encoded) };
    uint32_t wanted = item_recipient(item, 0);
    struct envelope_cursor cursor;
    struct recipient recipient;

    envelope_recipients(encoded, &cursor);
    for (uint32_t i = 0; envelope_next_recipient(&cursor, &recipient); i++) {
        if (i < wanted)
            continue;
        kin.recipient = recipient.address;
        break;
    }
    return kin;
}

static void move_before(struct list *at, struct list *node)
{
    list_remove(node);
    list_insert_before(at, node);
}

/* Who may pass, the best first. */
enum wanted {
    WANT_NEW_OTHERS, /* not tried yet, of another sender to another recipient */
    WANT_OTHERS,
    WANT_NEW, /* not tried yet, of another sender or to another recipient */
    WANT_END,
};

struct search {
    struct list *at; /* what lets others pass */
    struct kin kin;
    enum wanted wanted;
    unsigned found;
};

static bool is_wanted(const struct search *search, const struct item *item)
{
    bool is_his, is_to_him;
    struct kin other;

    if (search->wanted != WANT_OTHERS && item->attempt_count)
        return false;
    other = kin_of(item);
    is_his = bytes_equal_nocase(other.sender, search->kin.sender);
    is_to_him = bytes_equal_nocase(other.recipient, search->kin.recipient);
    return search->wanted == WANT_NEW ? !is_his || !is_to_him : !is_his && !is_to_him;
}

static void look_at(struct search *search, struct list *node)
{
    if (!is_wanted(search, container_of(node, struct item, in_hop)))
        return;
    move_before(search->at, node);
    search->found++;
}

/* Of READY from NEXT on: those near it, then those near the end. */
static void move_others(struct search *search, struct list *ready, struct list *next)
{
    struct list *last, *stop, *node;

    for (int i = 0; i < NEAR && next != ready && search->found < OTHERS; i++) {
        node = next;
        next = next->next;
        look_at(search, node);
    }
    stop = next->prev; /* as far as that went */
    last = ready->prev;
    for (int i = 0; i < NEAR && last != stop && search->found < OTHERS; i++) {
        node = last;
        last = last->prev;
        look_at(search, node);
    }
}

/* Of its priority, else some that would wait for all of this priority. */
static void move_wanted(struct search *search, struct item *item)
{
    struct list *all = item->hop->ready;
    unsigned priority = item_message(item)->priority;

    move_others(search, &all[priority], item->in_hop.next);
    for (unsigned i = priority + 1; i < PRIORITY_COUNT && !search->found; i++)
        move_others(search, &all[i], all[i].next);
}

void queue_let_others_pass(struct item *item)
{
    struct list *all = item->hop->ready;
    unsigned priority = item_message(item)->priority;
    struct search search = { .at = &item->in_hop };

    if (item->state != ITEM_READY)
        return; /* suspended meanwhile */
    search.kin = kin_of(item);
    for (; search.wanted < WANT_END && !search.found; search.wanted++)
        move_wanted(&search, item);
    if (search.found)
        return;
    for (int i = 0; i < OTHERS && item->in_hop.next != &all[priority]; i++)
        move_before(&item->in_hop, item->in_hop.next);
}
