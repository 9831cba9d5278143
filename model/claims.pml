/* claims.pml: three nodes; two have a copy of the same message, and both may take it over.
 *
 * Rules: R2 and R4 (a notice acts only for its own store), R5, R6 (takers ask as well; generation, then
 * who is firm, then the smaller store id; firm before not firm; who is asked while it asks, asks again; what
 * was taken over stays known until the store it was taken from has heard; a new store is no answer),
 * R8, R9.  Stories 7, 21, 30.  Promises: S1, S2 (D1, D3, D4), S4, S5.
 *
 * Bounds: one message, first at A, copies at B or C or both; one crash, which may lose the disk (CRASHES,
 * DISKS); or, with CUTS=1 CRASHES=0, the link A-B cut once (C sees both).  The next hop of A and that of B
 * may be closed for ever.  A question and its answer are two steps: the answer is as old as the
 * wire is long.  A copy, a notice, and their answers are one step (accept.pml, discard.pml); the last
 * byte and its outcome too (takeover.pml).
 *
 * Beyond the bounds: with a third fault in the seconds in which two takers ask one another, a claim that
 * is past its questions can miss one of a higher generation.  CRASHES=2 shows how. */

#define NODES 3
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef DISKS
#define DISKS 1
#endif
#ifndef CUTS
#define CUTS 0
#endif

mtype = { NONE, PRIMARY, HELD, SETTLED };

/* On the disk. */
mtype role[NODES] = NONE;
byte store_of[NODES]; /* 0..2; 3..5 with a new disk: never smaller than another's first */
byte generation[NODES] = 0, owner[NODES] = 0;
byte from[NODES] = 0;  /* stores it was taken over from, here or by the owner, as bits: told until
                        * they have heard of it */

/* In memory. */
bool up[NODES] = true;
byte need[NODES] = 0;  /* who is still to be asked, as bits */
byte dunno[NODES] = 0; /* of these: has a new store, and knows of nothing */
bool firm[NODES] = false;
byte kept[NODES] = 0;  /* of a primary: who has it durably, as bits */
byte owed[NODES] = 0;  /* possible holders to be told, as bits; on the disk */
/* Answers on the wire, to n from o: asked and answered, not read yet. */
bool is_out[9] = false;
bool says[9] = false;  /* has a claim: */
byte says_generation[9] = 0, says_store[9] = 0;
bool says_firm[9] = false;
bool blocked[NODES] = false;
bool cut = false;      /* A from B */

/* For the promises. */
byte delivered_by = 0;  /* as bits */
byte taken_from[NODES] = 0; /* whose deliveries a taker could not have heard of, as bits */
bool by_fence_wait[NODES] = false;
byte crashes = CRASHES, disks = DISKS, cuts = CUTS, cut_takeovers = 1;
bool faults_over = false, run_began = false;
bool is_split = false; /* one took over from another that lives */

#define BIT(n) (1 << (n))
#define NODE(store) ((store) % 3)
#define IS_NEW(n) (store_of[n] >= 3)
#define CONTACT(n, o) (up[n] && up[o] && !(cut && (n) + (o) == 1))
#define NEXT(n) (((n) + 1) % 3)
#define LAST(n) (((n) + 2) % 3)
#define AT(n, o) ((n) * 3 + (o))
#define KEPT(n) (role[n] == PRIMARY || role[n] == HELD)
#define S1 (delivered_by != 0 || KEPT(0) || KEPT(1) || KEPT(2))
#define OTHERS(n) (7 - BIT(n))

inline hold_for(who, store, g)
{
    printf("%d holds for store %d, generation %d\n", who, store, g);
    role[who] = HELD; owner[who] = store; generation[who] = g;
    firm[who] = false; need[who] = 0; dunno[who] = 0; by_fence_wait[who] = false; kept[who] = 0; owed[who] = 0
}

/* What was taken over stays known here, whatever becomes of the message. */
inline learn_from(by, other)
{
#ifdef BROKEN_ONE_FROM
    from[by] = from[other]
#else
    from[by] = from[by] | (from[other] & ~BIT(store_of[by]))
#endif
}

/* It is done elsewhere. */
inline is_over(who)
{
    hold_for(who, owner[who], generation[who]);
    if
#ifndef BROKEN_ONE_FROM
    :: from[who] != 0 -> role[who] = SETTLED; firm[who] = true
#endif
    :: else -> role[who] = NONE; from[who] = 0
    fi
}

/* n offers its message to o. */
inline offer(n, o)
{
    printf("%d offers it to %d\n", n, o);
    owed[n] = owed[n] | BIT(o);
    if
    :: role[o] == NONE || (role[o] == HELD && generation[o] <= generation[n]) ->
        hold_for(o, store_of[n], generation[n]);
        learn_from(o, n);
        taken_from[o] = taken_from[o] | taken_from[n];
        kept[n] = kept[n] | BIT(o)
    :: role[o] == PRIMARY && (generation[o] < generation[n] || (generation[o] == generation[n] && !firm[o])) ->
        hold_for(o, store_of[n], generation[n]);
        learn_from(o, n);
        kept[n] = kept[n] | BIT(o)
    /* Moved: another has the better claim. */
    :: role[o] == HELD && generation[o] > generation[n] -> hold_for(n, owner[o], generation[o]); learn_from(n, o)
    :: role[o] == PRIMARY && generation[o] >= generation[n] -> hold_for(n, store_of[o], generation[o]); from[n] = from[o]
    :: role[o] == SETTLED -> hold_for(n, owner[o], generation[o]); is_over(n)
    fi
}

/* May n ask o what was taken? */
#define CAN_ASK(n, o) (up[n] && role[n] == PRIMARY && ((need[n] & ~dunno[n]) & BIT(o)) && \
    CONTACT(n, o) && !is_out[AT(n, o)])
/* o does not answer, or has a new store: what it took before it has forgotten. */
#define IS_MUTE(n, o) (!(need[n] & BIT(o)) || !CONTACT(n, o) || (dunno[n] & BIT(o)))

inline forget_answer(by, other)
{
    is_out[AT(by, other)] = false; says[AT(by, other)] = false; says_firm[AT(by, other)] = false;
    says_generation[AT(by, other)] = 0; says_store[AT(by, other)] = 0
}

/* o's answer, from its disk: of what was taken from n's store, or from the store n took it from. */
inline ask(n, o)
{
    printf("%d asks %d\n", n, o);
    is_out[AT(n, o)] = true;
    if
    :: role[o] != NONE && (from[o] & (BIT(store_of[n]) | from[n])) ->
        says[AT(n, o)] = true;
        says_generation[AT(n, o)] = generation[o];
        says_store[AT(n, o)] = (role[o] == PRIMARY -> store_of[o] : owner[o]);
        says_firm[AT(n, o)] = (role[o] != PRIMARY || firm[o])
    :: else
    fi;
#ifndef BROKEN_ASKED_DOES_NOT_ASK_AGAIN
    /* A taker asks while we ask: it may have claimed since it answered us. */
    if
    :: role[o] == PRIMARY && (from[o] & (from[n] | BIT(store_of[n]))) && !firm[o] -> need[o] = need[o] | BIT(n);
        forget_answer(o, n)
    :: else
    fi
#endif
}

/* Is the claim in o's answer the better one? */
#define BY_ID(n, o) (says_firm[AT(n, o)] == firm[n] && says_store[AT(n, o)] < store_of[n])
#define BY_FIRM(n, o) (says_firm[AT(n, o)] && !firm[n])
#ifdef BROKEN_GENERATION_FIRST
#define IS_STRONGER(n, o) (says_generation[AT(n, o)] > generation[n] || \
    (says_generation[AT(n, o)] == generation[n] && (BY_FIRM(n, o) || BY_ID(n, o))))
#else
/* A firm claim may have been delivered: a taker that is not firm yields to it. */
#define IS_STRONGER(n, o) ((BY_FIRM(n, o) && from[n] != 0) || says_generation[AT(n, o)] > generation[n] || \
    (says_generation[AT(n, o)] == generation[n] && (BY_FIRM(n, o) || BY_ID(n, o))))
#endif

inline read_answer(n, o)
{
    printf("%d reads %d's answer: %d, generation %d, store %d, firm %d\n", n, o, says[AT(n, o)], says_generation[AT(n, o)],
        says_store[AT(n, o)], says_firm[AT(n, o)]);
    if
    :: role[n] != PRIMARY || !(need[n] & BIT(o))
    :: role[n] == PRIMARY && (need[n] & BIT(o)) && !says[AT(n, o)] ->
        if
        :: IS_NEW(o) -> dunno[n] = dunno[n] | BIT(o)
        :: else -> need[n] = need[n] & ~BIT(o)
        fi
    :: role[n] == PRIMARY && (need[n] & BIT(o)) && says[AT(n, o)] ->
        if
        :: says_store[AT(n, o)] != store_of[n] && IS_STRONGER(n, o) ->
            hold_for(n, says_store[AT(n, o)], says_generation[AT(n, o)])
        :: else -> need[n] = need[n] & ~BIT(o)
        fi
    fi;
    forget_answer(n, o)
}

/* Duplicates have names. */
inline deliver(n)
{
    printf("%d delivers\n", n);
    if
    :: (delivered_by & ~taken_from[n]) == 0 /* none, or D1 or D3: unheard when it was taken over */
    :: by_fence_wait[n]                     /* D4 */
    :: !by_fence_wait[n] && (delivered_by & ~taken_from[n]) != 0 ->
        /* D3: those who delivered are out of contact with this node as we speak. */
        if
        :: is_split && n < 2 /* D3: A and B did not see one another, and have not met since */
        :: ((delivered_by & BIT(NEXT(n))) == 0 || !CONTACT(n, NEXT(n))) &&
           ((delivered_by & BIT(LAST(n))) == 0 || !CONTACT(n, LAST(n)))
        :: else -> assert(false)
        fi
    fi;
    delivered_by = delivered_by | BIT(n);
    role[n] = SETTLED; owner[n] = store_of[n]; firm[n] = true; kept[n] = 0
}

inline tell(n, o)
{
    printf("%d tells %d that it is done\n", n, o);
    owed[n] = owed[n] & ~BIT(o);
    if
    :: role[o] == HELD && owner[o] == store_of[n] -> is_over(o)
#ifdef BROKEN_NOTICE_OF_ANY
    :: role[o] == HELD && owner[o] != store_of[n] -> is_over(o)
#endif
    :: else
    fi
}

/* Silent to n: for the take-over time.  Or another store: at once. */
#define IS_LOST(n, o, store) (!up[o] || (CONTACT(n, o) && store_of[o] != (store)) || \
    (up[o] && !CONTACT(n, o) && cut_takeovers > 0))

/* An audit gets through, and its primary has not another store. */
#define KNOWS_OWNER(n) (up[n] && role[n] == HELD && CONTACT(n, NODE(owner[n])) && \
    store_of[NODE(owner[n])] == owner[n])

#ifdef BROKEN_ONE_FROM
#define TAKES_FROM(n) from[n] = BIT(owner[n])
#else
#define TAKES_FROM(n) from[n] = from[n] | BIT(owner[n])
#endif

inline take_over(n)
{
    printf("%d takes over from store %d\n", n, owner[n]);
    taken_from[n] = taken_from[n] | BIT(NODE(owner[n]));
    role[n] = PRIMARY; generation[n]++; TAKES_FROM(n); firm[n] = false; kept[n] = 0; owed[n] = 0;
    by_fence_wait[n] = false; dunno[n] = 0;
#ifndef BROKEN_TAKER_ASKS_NOBODY
    need[n] = OTHERS(n) & ~BIT(NODE(owner[n]));
#endif
    forget_answer(n, NEXT(n)); forget_answer(n, LAST(n))
}

/* n is again in contact with o. */
inline meet(n, o)
{
    if :: role[n] == PRIMARY -> need[n] = need[n] | BIT(o) :: else fi;
    if :: role[o] == PRIMARY -> need[o] = need[o] | BIT(n) :: else fi;
    forget_answer(n, o); forget_answer(o, n);
    dunno[n] = dunno[n] & ~BIT(o); dunno[o] = dunno[o] & ~BIT(n);
    if :: IS_NEW(n) && role[n] == NONE -> kept[o] = kept[o] & ~BIT(n) :: else fi;
    if :: IS_NEW(o) && role[o] == NONE -> kept[n] = kept[n] & ~BIT(o) :: else fi
}

proctype node(byte n)
{
    byte o;
end:
    do
    /* --- Take-over. */
    :: atomic { up[n] && role[n] == HELD && IS_LOST(n, NODE(owner[n]), owner[n]) ->
        if :: up[NODE(owner[n])] && !CONTACT(n, NODE(owner[n])) -> cut_takeovers--; is_split = true :: else fi;
        take_over(n) }
    /* --- Questions. */
    :: atomic { CAN_ASK(n, NEXT(n)) -> o = NEXT(n); ask(n, o); o = 0 }
    :: atomic { CAN_ASK(n, LAST(n)) -> o = LAST(n); ask(n, o); o = 0 }
    :: atomic { up[n] && is_out[AT(n, NEXT(n))] -> o = NEXT(n); read_answer(n, o); o = 0 }
    :: atomic { up[n] && is_out[AT(n, LAST(n))] -> o = LAST(n); read_answer(n, o); o = 0 }
    /* fence_wait.  Who answers is waited for. */
    :: atomic { up[n] && role[n] == PRIMARY && need[n] != 0 && IS_MUTE(n, NEXT(n)) && IS_MUTE(n, LAST(n)) ->
        printf("%d waits for no answer any more\n", n);
        need[n] = 0; dunno[n] = 0; by_fence_wait[n] = true }
    :: atomic { up[n] && role[n] == PRIMARY && need[n] == 0 && !firm[n] -> firm[n] = true; printf("%d is firm\n", n) }
    /* --- Copies (R8, R9).  The holder that is out of contact counts as lost. */
    :: atomic { up[n] && role[n] == PRIMARY && firm[n] && need[n] == 0 && CONTACT(n, NEXT(n)) &&
                !((kept[n] & BIT(NEXT(n))) || ((kept[n] & BIT(LAST(n))) && CONTACT(n, LAST(n)))) ->
        o = NEXT(n); offer(n, o); o = 0 }
    :: atomic { up[n] && role[n] == PRIMARY && firm[n] && need[n] == 0 && CONTACT(n, LAST(n)) &&
                !((kept[n] & BIT(LAST(n))) || ((kept[n] & BIT(NEXT(n))) && CONTACT(n, NEXT(n)))) ->
        o = LAST(n); offer(n, o); o = 0 }
    /* --- Delivery. */
    :: atomic { up[n] && role[n] == PRIMARY && firm[n] && need[n] == 0 && !blocked[n] &&
                (generation[n] == 0 || kept[n] != 0 || (!CONTACT(n, NEXT(n)) && !CONTACT(n, LAST(n)))) ->
        deliver(n) }
    :: atomic { role[n] == SETTLED && (owed[n] & BIT(NEXT(n))) && CONTACT(n, NEXT(n)) -> o = NEXT(n); tell(n, o); o = 0 }
    :: atomic { role[n] == SETTLED && (owed[n] & BIT(LAST(n))) && CONTACT(n, LAST(n)) -> o = LAST(n); tell(n, o); o = 0 }
    /* Audit.  Its primary is another's holder now: hold it for that one; or it knows nothing of it;
     * or each holds for the other. */
    :: atomic { KNOWS_OWNER(n) && role[NODE(owner[n])] == HELD && NODE(owner[NODE(owner[n])]) != n ->
        o = NODE(owner[n]);
        printf("%d holds for store %d now\n", n, owner[o]);
        owner[n] = owner[o]; generation[n] = generation[o]; learn_from(n, o); o = 0 }
    :: atomic { KNOWS_OWNER(n) && role[NODE(owner[n])] == HELD && owner[NODE(owner[n])] == store_of[n] &&
                store_of[n] < owner[n] ->
        take_over(n) }
    :: atomic { KNOWS_OWNER(n) && (role[NODE(owner[n])] == NONE || role[NODE(owner[n])] == SETTLED) ->
        printf("%d drops what its primary does not know\n", n);
        is_over(n) }
    :: atomic { !up[n] ->
        printf("%d starts\n", n);
        up[n] = true;
        if :: role[n] == PRIMARY -> need[n] = OTHERS(n) :: else fi;
        if :: CONTACT(n, NEXT(n)) -> o = NEXT(n); meet(n, o) :: else fi;
        if :: CONTACT(n, LAST(n)) -> o = LAST(n); meet(n, o) :: else fi;
        o = 0 }
    od
}

inline crash(n)
{
    printf("%d crashes\n", n);
    up[n] = false; need[n] = 0; dunno[n] = 0; firm[n] = (role[n] == SETTLED); by_fence_wait[n] = false; kept[n] = 0;
    forget_answer(n, NEXT(n)); forget_answer(n, LAST(n));
    forget_answer(NEXT(n), n); forget_answer(LAST(n), n);
    if
    :: disks > 0 ->
        printf("%d loses its disk\n", n);
        disks--; store_of[n] = n + 3; role[n] = NONE; from[n] = 0; generation[n] = 0; owed[n] = 0; firm[n] = false;
        taken_from[n] = 0; owner[n] = 0
    :: skip
    fi
}

proctype faults()
{
    do
    :: atomic { crashes > 0 && up[0] -> crashes--; crash(0) }
    :: atomic { crashes > 0 && up[1] -> crashes--; crash(1) }
    :: atomic { crashes > 0 && up[2] -> crashes--; crash(2) }
    :: atomic { cuts > 0 && !cut -> cuts--; cut = true; printf("cut\n"); forget_answer(0, 1); forget_answer(1, 0) }
    :: atomic { cut -> cut = false; printf("healed\n"); is_split = false; if :: CONTACT(0, 1) -> meet(0, 1) :: else fi }
    :: atomic { !cut -> faults_over = true; break }
    od
}

active proctype watch()
{
    byte n = 0, o;
end:
    do
    :: atomic { !S1 && run_began -> assert(false) }
    :: atomic { timeout && faults_over ->
        do
        :: n < NODES ->
            assert(up[n] && need[n] == 0);
            assert(role[n] != PRIMARY || blocked[n]);
            /* S5: a second node has it.  (Not if all it waits for is to hear that another delivered it.) */
            assert(role[n] != PRIMARY || (delivered_by != 0 && generation[n] == 0) ||
                   (role[NEXT(n)] == HELD && owner[NEXT(n)] == store_of[n]) ||
                   (role[LAST(n)] == HELD && owner[LAST(n)] == store_of[n]));
            /* S4: no copy without its primary. */
            assert(role[n] != HELD || role[NODE(owner[n])] == PRIMARY);
            n++
        :: else -> break
        od;
        assert(delivered_by != 0 || role[0] == PRIMARY || role[1] == PRIMARY || role[2] == PRIMARY);
        break }
    od
}

init
{
    atomic {
        store_of[0] = 0; store_of[1] = 1; store_of[2] = 2;
        role[0] = PRIMARY; firm[0] = true;
        if
        :: role[1] = HELD; kept[0] = 2
        :: role[2] = HELD; kept[0] = 4
        :: role[1] = HELD; role[2] = HELD; kept[0] = 6
        fi;
        owed[0] = kept[0];
        if :: blocked[0] = true :: skip fi;
        if :: blocked[1] = true :: skip fi;
        run_began = true;
        run node(0); run node(1); run node(2); run faults()
    }
}
