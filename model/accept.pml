/* accept.pml: from the client's last byte to 250, and until a second node has the message.
 *
 * Rules: R1 (commit and copy in parallel, a further node is durable before it is sent to), R2 (no
 * copy goes because of its age), R5(a), R8, R11 (PENDING, UNKNOWN, unclaimed).  Stories 4 and 26.
 * Promises: S1, S4, S5.
 *
 * Bounds: one message; primary P, holders S and T; two crashes, one disk lost, two losses on the
 * wire (a copy, or its answer).  All steps of a node in any order with those of the others.
 * Left out: delivery (takeover.pml, discard.pml), silence (takeover.pml), two takers (claims.pml).
 * A step that changes the disk is durable when it ends; a crash before it is a crash before the
 * flush. */

#define P 0
#define S 1
#define T 2

mtype = { NONE, COPYING, REDUNDANT, SINGLE, HELD, UNCLAIMED, PRIMARY, COPY, ANSWER };

/* P. */
bool p_up = true, p_is_new_store = false;
bool begun = false;
mtype row = NONE;       /* in memory */
bool committed = false; /* on the disk */
byte possible = 0;      /* on the disk: possible holders, as bits */
byte tried = 0;         /* in memory: asked during the acceptance */
byte known = 0;         /* in memory: has it durably */

/* S and T: on the disk. */
mtype copy[3] = NONE;
bool up[3] = true;
/* Between P and each. */
mtype wire[3] = NONE;

/* The client, and what was done to all. */
bool said_250 = false, said_single = false;
byte crashes = 2, disks = 1, losses = 2;
bool faults_over = false;

#define BIT(h) (1 << (h))
#define SAFE(h) (copy[h] == HELD || copy[h] == PRIMARY)

/* S1: one disk lost at most, so what was acknowledged with two copies is somewhere. */
#define S1 (!said_250 || said_single || committed || SAFE(S) || SAFE(T))

inline send(h)
{
    tried = tried | BIT(h);
    wire[h] = COPY;
}

inline say_250(how)
{
    said_250 = true;
    row = how;
    /* S5: it is on two disks now, or one was lost meanwhile, or it says that it is not. */
    assert(how == SINGLE || disks == 0 || (committed && (SAFE(S) || SAFE(T))));
}

active proctype primary()
{
    byte h;
end:
    do
    :: atomic { p_up && !begun ->
        begun = true; row = COPYING;
        if :: h = S :: h = T fi;
        send(h) }
    :: atomic { p_up && row == COPYING && !committed ->
        committed = true; possible = tried }
    /* The first did not take it: the other one, durably named before. */
    :: atomic { p_up && row == COPYING && committed && known == 0 && tried == BIT(S) && wire[S] == NONE ->
        possible = possible | BIT(T); send(T) }
    :: atomic { p_up && row == COPYING && committed && known == 0 && tried == BIT(T) && wire[T] == NONE ->
        possible = possible | BIT(S); send(S) }
#ifdef BROKEN_EARLY_250
    :: atomic { p_up && row == COPYING && committed -> say_250(REDUNDANT) }
#endif
    :: atomic { p_up && row == COPYING && committed && known != 0 -> say_250(REDUNDANT) }
    /* None took it: shadow_failure decides. */
    :: atomic { p_up && row == COPYING && committed && known == 0 && tried == BIT(S) + BIT(T) &&
                wire[S] == NONE && wire[T] == NONE ->
        if
        :: said_single = true; say_250(SINGLE)
        :: row = NONE; committed = false /* rejected */
        fi }
    :: atomic { p_up && wire[S] == ANSWER ->
        wire[S] = NONE;
        if :: row != NONE -> known = known | BIT(S) :: else fi;
        if :: row == SINGLE -> row = REDUNDANT :: else fi }
    :: atomic { p_up && wire[T] == ANSWER ->
        wire[T] = NONE;
        if :: row != NONE -> known = known | BIT(T) :: else fi;
        if :: row == SINGLE -> row = REDUNDANT :: else fi }
#ifndef BROKEN_NEVER_AGAIN
    :: atomic { p_up && row == SINGLE && wire[S] == NONE && wire[T] == NONE && (up[S] || up[T]) ->
        if :: up[S] -> h = S :: up[T] -> h = T fi;
        possible = possible | BIT(h); send(h) }
#endif
    :: atomic { !p_up ->
        p_up = true;
        if :: committed -> row = SINGLE /* until it is known to be at another */ :: else fi }
    od
}

proctype holder(byte h)
{
end:
    do
    :: atomic { up[h] && wire[h] == COPY ->
        wire[h] = ANSWER;
        if :: copy[h] == PRIMARY :: else -> copy[h] = HELD fi }
    /* Its copy is asked about; PENDING and P's other states change nothing here. */
    :: atomic { up[h] && p_up && !p_is_new_store && copy[h] == HELD && row == NONE && !committed ->
        copy[h] = UNCLAIMED }
#ifdef BROKEN_ACCEPTING_UNKNOWN
    :: atomic { up[h] && p_up && !p_is_new_store && copy[h] == HELD && row == COPYING && !committed ->
        copy[h] = UNCLAIMED }
#endif
    :: atomic { up[h] && copy[h] == UNCLAIMED && wire[h] == NONE -> copy[h] = NONE }
    /* R5(a). */
    :: atomic { up[h] && p_up && p_is_new_store && copy[h] == HELD -> copy[h] = PRIMARY }
#ifdef BROKEN_DROPS_OLD_COPIES
    :: atomic { up[h] && copy[h] == HELD && row != COPYING -> copy[h] = NONE }
#endif
    :: atomic { !up[h] -> up[h] = true }
    od
}

inline break_link(h)
{
    if
    :: wire[h] == ANSWER -> wire[h] = NONE
    :: wire[h] == COPY -> skip /* read to its end: bytes in the other's socket stay there */
    :: wire[h] == COPY -> wire[h] = NONE
    :: else
    fi
}

active proctype faults()
{
    byte h;
    do
    :: atomic { losses > 0 && (wire[S] != NONE || wire[T] != NONE) ->
        losses--;
        if :: wire[S] != NONE -> h = S :: wire[T] != NONE -> h = T fi;
        wire[h] = NONE }
    :: atomic { crashes > 0 && p_up ->
        crashes--; p_up = false; row = NONE; known = 0; tried = 0;
        break_link(S); break_link(T);
        if
        :: disks > 0 -> disks--; committed = false; possible = 0; p_is_new_store = true
        :: skip
        fi }
    :: atomic { crashes > 0 && (up[S] || up[T]) ->
        if :: up[S] -> h = S :: up[T] -> h = T fi;
        crashes--; up[h] = false; wire[h] = NONE;
        if
        :: disks > 0 ->
            disks--; copy[h] = NONE;
            /* P hears another store id: the holder is lost. */
            known = known & ~BIT(h);
            if :: row == REDUNDANT && known == 0 -> row = SINGLE :: else fi
        :: skip
        fi }
    :: faults_over = true -> break
    od
}

active proctype watch()
{
end:
    do
    :: atomic { !S1 -> assert(false) }
    /* S4, S5: nothing moves any more. */
    :: atomic { timeout && faults_over ->
        assert(row != COPYING && copy[S] != UNCLAIMED && copy[T] != UNCLAIMED);
        assert(wire[S] == NONE && wire[T] == NONE);
        assert(!said_250 || p_is_new_store ||
               (committed && row == REDUNDANT && (copy[S] == HELD || copy[T] == HELD)));
        break }
    od
}

init
{
    atomic { run holder(S); run holder(T) }
}
