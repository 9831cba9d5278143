/* takeover.pml: two nodes; the primary falls silent, the holder takes over, the primary returns.
 *
 * Rules: R1 (taken over during acceptance), R5 (silence is asks that failed; another store at once),
 * R6 (who returns asks first, messages in acceptance included, and drops nothing), R8, R9, R11
 * (YOURS, UNKNOWN).  Stories 5, 6, 22, 26.  Promises: S1, S2 (duplicates named D1, D3, D4), S4, S5.
 *
 * Bounds: one message; two crashes, of which one may lose the disk; the link cut once, for any time;
 * one node frozen once, for any time; one copy whose answer is lost.  The next hop may be closed for
 * ever.  A question and its answer are one step (claims.pml has them apart), and so are a notice,
 * its drop and its confirmation (discard.pml). */

#define P 0
#define OTHER(n) (1 - (n))

mtype = { NONE, COPYING, PRIMARY, HELD, SETTLED, UNCLAIMED };

/* On the disk. */
mtype role[2] = NONE;
bool committed = false; /* of P's COPYING */
byte store_of[2];       /* 0 and 1; 2 and 3 after a new disk */
byte generation[2] = 0, owner[2] = 0, from[2] = 9;
/* Of a taker: what it has taken, told until it is confirmed or long past. */
bool has_taken[2] = false;

/* In memory. */
bool up[2] = true, frozen[2] = false;
bool has_woken[2] = false; /* was frozen; its connections may be dead, it has not tried yet */
bool is_asking[2] = false; /* the fence */
bool is_claiming[2] = false;
bool redundant[2] = false;
bool half[2] = false; /* the last byte is out, the outcome not on the disk */
bool cut = false;
bool begun = false, acked = false, acked_single = false, blocked = false;

/* For the promises alone. */
byte delivered = 0;
bool redo[2] = false;        /* D1: it crashed between */
bool is_fair[2] = false;     /* it took over from one it could not reach */
bool by_fence_wait[2] = false; /* D4 */
byte crashes = 2, disks = 1, cuts = 1, freezes = 1, losses = 1;
bool faults_over = false;

#define RUNS(n) (up[n] && !frozen[n])
#define CONTACT (!cut && RUNS(0) && RUNS(1) && !has_woken[0] && !has_woken[1])
#define REACHES(n) (!cut && RUNS(OTHER(n)) && !has_woken[OTHER(n)])
#define IS_NEW(n) (store_of[n] >= 2)
#define KEPT(n) (role[n] == PRIMARY || role[n] == HELD || (role[n] == COPYING && committed))
#define S1 (!acked || acked_single || delivered > 0 || KEPT(0) || KEPT(1))

/* Rules, unless switched off. */
#ifdef BROKEN_FENCE_SKIPS_ACCEPTING
#define FENCES_ACCEPTING false
#else
#define FENCES_ACCEPTING true
#endif
#ifdef BROKEN_NEVER_AGAIN
#define COPIES_AGAIN false
#else
#define COPIES_AGAIN true
#endif
#ifdef BROKEN_SILENCE_BY_CLOCK
#define SILENT_BY_CLOCK(n) has_woken[n]
#else
#define SILENT_BY_CLOCK(n) false
#endif

inline hold_for_other(n)
{
    role[n] = HELD; owner[n] = store_of[OTHER(n)]; redundant[n] = false
}

/* o gets n's copy: what o says to it. */
inline offer_copy(n, o)
{
    if
    :: role[o] == SETTLED -> role[n] = NONE
    :: role[o] == PRIMARY && generation[o] > generation[n] ->
        if :: role[n] == COPYING && committed -> acked = true :: else fi;
        hold_for_other(n); generation[n] = generation[o]
    :: role[o] == PRIMARY && generation[o] <= generation[n] && !half[o] ->
        role[o] = HELD; owner[o] = store_of[n]; generation[o] = generation[n]; redundant[n] = true
    :: role[o] == NONE || role[o] == UNCLAIMED || role[o] == HELD ->
        role[o] = HELD; owner[o] = store_of[n]; generation[o] = generation[n];
        if :: redundant[n] = true :: losses > 0 -> losses--; fi
    :: else
    fi
}

inline deliver(n)
{
    if
    :: delivered == 0
    :: else ->
        if
        :: redo[n] -> redo[n] = false                       /* D1: it died after the last byte */
        :: !redo[n] && is_fair[n] -> is_fair[n] = false     /* D1, D3: unheard, and out of reach */
        :: !redo[n] && !is_fair[n] && !(CONTACT)            /* D3: out of contact as we speak */
        :: !redo[n] && !is_fair[n] && by_fence_wait[n]      /* D4 */
        :: else -> assert(false)
        fi
    fi;
    if :: delivered < 4 -> delivered++ :: else fi;
    half[n] = true
}

inline take_over(n)
{
    is_claiming[n] = true;
    is_fair[n] = !REACHES(n) || owner[n] != store_of[OTHER(n)]
}

/* Both have a new connection to one they were out of contact with. */
inline meet()
{
#ifndef BROKEN_NO_FENCE
    is_asking[0] = true; is_asking[1] = true;
#endif
    by_fence_wait[0] = false; by_fence_wait[1] = false;
    /* What the other had may be gone. */
    if :: IS_NEW(0) && role[0] == NONE -> redundant[1] = false :: else fi;
    if :: IS_NEW(1) && role[1] == NONE -> redundant[0] = false :: else fi
}

proctype node(byte n)
{
end:
    do
    /* --- Acceptance. */
    :: atomic { RUNS(n) && n == P && !begun && !IS_NEW(P) -> begun = true; role[n] = COPYING }
    :: atomic { RUNS(n) && role[n] == COPYING && !committed -> committed = true }
    :: atomic { RUNS(n) && role[n] == COPYING && committed && (redundant[n] || !CONTACT) &&
                (!is_asking[n] || !FENCES_ACCEPTING) ->
        acked = true; acked_single = !redundant[n]; role[n] = PRIMARY }

    /* --- Copies: in acceptance, after a take-over, and again (R8). */
    :: atomic { RUNS(n) && CONTACT && !is_asking[n] && !redundant[n] && !half[n] && !is_claiming[OTHER(n)] &&
                (role[n] == COPYING || (role[n] == PRIMARY && (generation[n] > 0 || COPIES_AGAIN))) ->
        offer_copy(n, OTHER(n)) }

    /* --- Take-over. */
    :: atomic { RUNS(n) && role[n] == HELD && !is_claiming[n] && (
                (!REACHES(n) && !has_woken[n]) || SILENT_BY_CLOCK(n) ||
                (CONTACT && owner[n] != store_of[OTHER(n)])) ->
        take_over(n) }
    :: atomic { RUNS(n) && is_claiming[n] ->
        is_claiming[n] = false; role[n] = PRIMARY; from[n] = owner[n]; generation[n]++;
        has_taken[n] = true; redundant[n] = false }

    /* --- The fence. */
    :: atomic { RUNS(n) && is_asking[n] && CONTACT && !IS_NEW(OTHER(n)) && !is_claiming[OTHER(n)] && !half[n] ->
        is_asking[n] = false;
        if
        :: has_taken[OTHER(n)] && from[OTHER(n)] == store_of[n] && generation[OTHER(n)] > generation[n] &&
           (role[n] == PRIMARY || (role[n] == COPYING && FENCES_ACCEPTING)) ->
            if :: role[n] == COPYING && committed -> acked = true :: else fi;
            hold_for_other(n); generation[n] = generation[OTHER(n)];
#ifdef BROKEN_FENCE_DROPS
            role[n] = NONE
#endif
        :: else
        fi }
    /* fence_wait: no answer, or one of a store that has forgotten. */
    :: atomic { RUNS(n) && is_asking[n] && (!CONTACT || IS_NEW(OTHER(n))) && !has_woken[n] ->
        is_asking[n] = false; by_fence_wait[n] = true }
    /* Who has slept finds its connections dead. */
    :: atomic { RUNS(n) && has_woken[n] -> has_woken[n] = false; if :: !cut -> meet() :: else fi }

    /* --- Delivery.  A taker copies first, if it can (R9). */
    :: atomic { RUNS(n) && role[n] == PRIMARY && !half[n] && !blocked && !is_asking[n] &&
                (generation[n] == 0 || redundant[n] || !CONTACT) ->
        deliver(n) }
    :: atomic { RUNS(n) && half[n] -> half[n] = false; role[n] = SETTLED }
    /* The notice: acts on what is held for this store, else it is confirmed and ignored. */
    :: atomic { RUNS(n) && role[n] == SETTLED && CONTACT && !is_claiming[OTHER(n)] && !is_asking[OTHER(n)] ->
        if
        :: role[OTHER(n)] == HELD && owner[OTHER(n)] == store_of[n] -> role[OTHER(n)] = NONE
        :: else
        fi;
        role[n] = NONE }

    /* --- Audit. */
    :: atomic { RUNS(n) && role[n] == HELD && !is_claiming[n] && CONTACT && owner[n] == store_of[OTHER(n)] &&
                !is_claiming[OTHER(n)] &&
                (role[OTHER(n)] == NONE || role[OTHER(n)] == UNCLAIMED) ->
        role[n] = UNCLAIMED }
    :: atomic { RUNS(n) && role[n] == HELD && !is_claiming[n] && CONTACT && owner[n] == store_of[OTHER(n)] &&
                role[OTHER(n)] == HELD && owner[OTHER(n)] == store_of[n] && !is_claiming[OTHER(n)] &&
                store_of[n] < store_of[OTHER(n)] ->
        take_over(n) }
    :: atomic { RUNS(n) && role[n] == UNCLAIMED -> role[n] = NONE }

    /* --- After a crash. */
    :: atomic { !up[n] ->
        up[n] = true;
        if :: !cut -> meet() :: else -> is_asking[n] = true fi }
    od
}

inline crash(n)
{
    up[n] = false; frozen[n] = false; has_woken[n] = false;
    is_claiming[n] = false; is_asking[n] = false; redundant[n] = false;
    by_fence_wait[n] = false;
    if :: half[n] -> half[n] = false; redo[n] = true :: else fi;
    if
    :: role[n] == COPYING && !committed -> role[n] = NONE
    :: role[n] == COPYING && committed -> role[n] = PRIMARY
    :: else
    fi;
    if
    :: disks > 0 && !IS_NEW(n) ->
        disks--; role[n] = NONE; store_of[n] = n + 2; has_taken[n] = false;
        generation[n] = 0; from[n] = 9; redo[n] = false
    :: skip
    fi
}

active proctype faults()
{
    do
    :: atomic { crashes > 0 && up[0] -> crashes--; crash(0) }
    :: atomic { crashes > 0 && up[1] -> crashes--; crash(1) }
    :: atomic { cuts > 0 && !cut -> cuts--; cut = true }
    :: atomic { cut -> cut = false; if :: RUNS(0) && RUNS(1) -> meet() :: else fi }
    :: atomic { freezes > 0 && RUNS(0) -> freezes--; frozen[0] = true }
    :: atomic { freezes > 0 && RUNS(1) -> freezes--; frozen[1] = true }
    :: atomic { frozen[0] -> frozen[0] = false; has_woken[0] = true }
    :: atomic { frozen[1] -> frozen[1] = false; has_woken[1] = true }
    :: atomic { !blocked && delivered == 0 && !half[0] && !half[1] -> blocked = true }
    :: atomic { !cut && !frozen[0] && !frozen[1] -> faults_over = true; break }
    od
}

active proctype watch()
{
end:
    do
    :: atomic { !S1 -> assert(false) }
    /* S4, S5: nothing moves any more. */
    :: atomic { timeout && faults_over ->
        assert(!is_asking[0] && !is_asking[1] && !is_claiming[0] && !is_claiming[1]);
        assert(role[0] != COPYING && role[0] != SETTLED && role[0] != UNCLAIMED);
        assert(role[1] != COPYING && role[1] != SETTLED && role[1] != UNCLAIMED);
        assert(blocked || (role[0] == NONE && role[1] == NONE));
        assert(!acked || acked_single || blocked || delivered > 0);
        assert(!blocked || (role[0] == NONE && role[1] == NONE && (!acked || acked_single)) ||
               (role[0] == PRIMARY && role[1] == HELD && owner[1] == store_of[0] && redundant[0]) ||
               (role[1] == PRIMARY && role[0] == HELD && owner[0] == store_of[1] && redundant[1]));
        break }
    od
}

init
{
    atomic { store_of[0] = 0; store_of[1] = 1; run node(0); run node(1) }
}
