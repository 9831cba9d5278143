/* return.pml: a primary comes back as less than it was: gone back, damaged, retired, or after long.
 *
 * Rules: R5(a), R11 (UNKNOWN is not delivered), R14 (a store vouches for itself), R20 (retired), R4
 * (auto_discard).  Stories 1, 2, 3, 25.  Promises: S1, S2 (no duplicate at all here), S4.
 *
 * Bounds: P and its holder S, one message, accepted with a copy or without.  One of: an old image of
 * P's disk is put back; P's record is damaged; S evicts P and later forgets what it took; S is off for
 * longer than auto_discard.  P is down meanwhile (or S, in the last); what was delivered was
 * delivered with its outcome durable and told, so no duplicate has an excuse.
 * Left out: silence and links (takeover.pml); a store that goes back by less than its holder has heard
 * of, which nothing can find. */

mtype = { NONE, PRIMARY, HELD, SETTLED, UNCLAIMED, ASIDE };

/* P's disk.  A position counts what was ever made durable. */
mtype p_role = NONE;
byte p_store = 0, p_position = 0;
bool p_up = true, p_copied = false; /* it had a possible holder */
bool p_fenced = false;              /* it has asked S what was taken */
bool has_restarted = false;

/* An old image of it. */
bool has_image = false;
mtype image_role = NONE;
byte image_position = 0;
bool image_copied = false;

/* S's disk. */
bool s_up = true;
mtype s_role = NONE;
byte s_owner = 0, s_heard_store = 0, s_heard_position = 0;
bool s_has_taken = false;   /* from store 0 */
bool s_knows_retired = false;

bool acked = false, in_contact = false;
byte delivered = 0;
/* One of these happens. */
bool may_go_back = false, may_damage = false, may_evict = false, may_be_long_off = false;
bool set_aside = false; /* for the administrator: not lost, not delivered */
bool was_alone = false; /* accepted with one copy: may be lost with its disk */

#define CONTACT (p_up && s_up)
#ifdef BROKEN_KEEPS_STORE
#define VOUCHES false
#else
#define VOUCHES true
#endif
#ifdef BROKEN_RETIRED_RETURNS
#define TURNS_AWAY false
#else
#define TURNS_AWAY true
#endif

inline deliver()
{
    assert(delivered == 0);
    delivered++
}

/* What R14 and R20 make of P's rows when it begins a new store.  S has asked or is to ask: what had a
 * possible holder is S's to take over. */
inline begin_new_store(went_back)
{
    p_store = 1; p_position = 0;
    if
    :: p_role == PRIMARY && p_copied -> p_role = HELD
    :: p_role == PRIMARY && !p_copied && went_back -> p_role = ASIDE; set_aside = true
    :: else
    fi
}

active proctype primary()
{
end:
    do
    :: atomic { p_up && p_store == 0 && p_position == 0 ->
        p_position = 1 }
    /* Accepted: with a copy (S is there), or alone. */
    :: atomic { p_up && p_position == 1 && p_role == NONE && !acked ->
        p_role = PRIMARY; p_position = 2; acked = true;
        if
        :: s_up && in_contact -> p_copied = true; s_role = HELD; s_owner = p_store
        :: !s_up || !in_contact -> p_copied = false; was_alone = true
        fi }
    :: atomic { p_up && p_role == PRIMARY && (p_fenced || !has_restarted) -> deliver(); p_role = SETTLED; p_position++ }
    /* The notice, and its confirmation. */
    :: atomic { CONTACT && in_contact && p_role == SETTLED ->
        if :: s_role == HELD && s_owner == p_store -> s_role = NONE :: else fi;
        p_role = NONE }
    /* auto_discard: nobody asked for it. */
    :: atomic { p_up && p_role == SETTLED && !s_up && may_be_long_off -> p_role = NONE }
    /* Introduction: S hears of the store and the position. */
    :: atomic { CONTACT && !in_contact ->
        if
        :: TURNS_AWAY && s_knows_retired && p_store == 0 -> begin_new_store(true)  /* 554 store retired */
        :: VOUCHES && p_store == 0 && p_position < s_heard_position -> begin_new_store(true)  /* 554 store went back */
        :: else -> in_contact = true
        fi }
    /* The fence: what has S taken?  Its list may be gone. */
    :: atomic { CONTACT && in_contact && !p_fenced ->
        p_fenced = true;
        if :: p_role == PRIMARY && s_has_taken -> p_role = HELD :: else fi }
    /* What it holds for S goes when S has settled, or does not know it (after unclaimed_hold). */
    :: atomic { CONTACT && in_contact && p_role == HELD && s_role == NONE -> p_role = NONE }
    :: atomic { !p_up && !may_go_back && !may_damage && !may_evict -> p_up = true }
    od
}

active proctype holder()
{
end:
    do
    :: atomic { CONTACT && in_contact && s_heard_store == p_store && s_heard_position < p_position ->
        s_heard_position = p_position }
    :: atomic { CONTACT && in_contact && s_heard_store != p_store -> s_heard_store = p_store; s_heard_position = p_position }
    /* R5(a): another store. */
    :: atomic { CONTACT && in_contact && s_role == HELD && s_owner != p_store -> s_role = PRIMARY; s_has_taken = true }
    :: atomic { s_up && s_role == PRIMARY -> deliver(); s_role = SETTLED }
    :: atomic { s_up && s_role == SETTLED -> s_role = NONE }
    /* Audit. */
    :: atomic { CONTACT && in_contact && s_role == HELD && s_owner == p_store && p_role == NONE ->
#ifdef BROKEN_AUDIT_TAKES_OVER
        s_role = PRIMARY; s_has_taken = true
#else
        s_role = UNCLAIMED
#endif
        }
    :: atomic { s_up && s_role == UNCLAIMED -> s_role = NONE }
    :: atomic { !s_up -> s_up = true }
    od
}

inline p_stops()
{
    p_up = false; in_contact = false; p_fenced = false; has_restarted = true
}

active proctype world()
{
    if
    :: may_go_back = true
    :: may_damage = true
    :: may_evict = true
    :: may_be_long_off = true
    fi;
    do
    :: atomic { may_go_back && p_up && !has_image ->
        has_image = true; image_role = p_role; image_position = p_position; image_copied = p_copied }
    :: atomic { may_go_back && p_up && has_image && p_position > image_position && p_role != SETTLED &&
                s_heard_store == p_store && s_heard_position == p_position ->
        p_stops(); p_role = image_role; p_position = image_position; p_copied = image_copied;
        may_go_back = false; break }
    /* Recovery sets the record aside. */
    :: atomic { may_damage && p_up && p_role == PRIMARY && p_copied ->
        p_stops(); p_role = NONE;
        if :: VOUCHES -> begin_new_store(false) :: else fi;
        may_damage = false; break }
    /* P is dead; S evicts it: takes over, and the taken list goes in time. */
    :: atomic { may_evict && p_up && s_up && p_role != SETTLED ->
        p_stops();
        s_knows_retired = true;
        if :: s_role == HELD -> s_role = PRIMARY; s_has_taken = true :: else fi }
    :: atomic { may_evict && !p_up && s_knows_retired && s_role == NONE -> s_has_taken = false; may_evict = false; break }
    :: atomic { may_be_long_off && s_up && in_contact -> s_up = false; in_contact = false; p_fenced = false; break }
    :: atomic { p_up -> may_go_back = false; may_damage = false; may_evict = false; break }
    od
}

active proctype watch()
{
end:
    atomic { timeout ->
        /* S1: delivered, or given to the administrator; S4: nothing else is left. */
        assert(!acked || delivered == 1 || set_aside || was_alone);
        assert(p_role == NONE || p_role == ASIDE);
        assert(s_role == NONE) }
}
