/* discard.pml: outcomes, notices, cursors; and what is delivered again when the primary dies.
 *
 * Rules: R2 (a notice acts on what it finds), R3 (outcome first, PART), R4 (only flushed notices are
 * told, cursors are log positions, only flushed drops are confirmed, a notice that finds no copy is
 * remembered), R5(b) at the end.  Stories 11, 12, 18, 19, 20.  Promises: S2 (only D1), S3, S4.
 *
 * Bounds: primary P, holder S; message 0 with two recipients (one done at once, the other
 * deferred), message 1 with one, whose copy S is slow to read: P found another holder meanwhile; P
 * crashes twice, S twice, two asks or answers are lost; P may die for good at any time.
 * Left out: P's coming back after a take-over (takeover.pml), audits (accept.pml, return.pml). */

/* What P writes to its log.  DONE_0 covers both recipients of message 0. */
#define PART_0 1
#define DONE_0 2
#define DONE_1 4
#define ENTRIES 3

/* P: the log is the truth; crashes cut it back to what is flushed. */
bool p_up = true, p_is_dead = false;
byte log[ENTRIES + 1] = 0; /* position 1.. */
byte written = 0, flushed = 0;
byte confirmed = 0; /* in memory: notices up to here are forgotten */

/* S: on the disk, and in memory. */
bool s_up = true;
byte disk_copies = 1, memory_copies = 1; /* bit 0: message 0 */
bool disk_part = false, memory_part = false;
byte applied = 0; /* in memory: cursor of the last page */
byte may_confirm = 0;
bool remembered = false; /* in memory: a notice for message 1 found no copy */
bool late = true;        /* message 1 is in the socket */

chan asks = [1] of { byte };
chan pages = [1] of { byte, byte }; /* what is told, and the cursor */

/* How often each recipient got it; and by P when no outcome survived. */
byte got[3] = 0;
bool half[3] = false;
byte crashes_p = 2, crashes_s = 2, losses = 2;
bool faults_over = false;

byte i, told, cursor;

inline sum_log(limit_low, limit_high)
{
    told = 0; i = limit_low + 1;
    do
    :: i <= limit_high -> told = told | log[i]; i++
    :: else -> break
    od
}

inline append(entry)
{
    written++; log[written] = entry
}

#ifdef BROKEN_TELLS_UNFLUSHED
#define TELLABLE written
#else
#define TELLABLE flushed
#endif

/* Is there something to ask for, or to confirm?  (One ask is always open: WAIT.) */
#define WANTS_ASK (TELLABLE > confirmed || may_confirm > confirmed)

inline has(entry, limit)
{
    sum_log(0, limit)
}

active proctype primary()
{
end:
    do
    /* Recipient 0 of message 0; the other one is deferred. */
    :: atomic { p_up && written < ENTRIES ->
        has(PART_0, written);
        if
        :: !(told & PART_0) && !(told & DONE_0) -> assert(got[0] == 0 || half[0]); got[0]++; append(PART_0)
        :: (told & PART_0) && !(told & DONE_0) -> assert(got[1] == 0 || half[1]); got[1]++; append(DONE_0)
        :: !(told & DONE_1) -> assert(got[2] == 0 || half[2]); got[2]++; append(DONE_1)
        fi; told = 0; i = 0 }
    :: atomic { p_up && flushed < written -> flushed = written }
    :: atomic { p_up && asks?[cursor] && len(pages) == 0 ->
        asks?cursor;
        if
        :: cursor > TELLABLE -> cursor = 0 /* 501: nothing is forgotten */
        :: cursor <= TELLABLE && cursor > confirmed -> confirmed = cursor
        :: else
        fi;
        sum_log(confirmed, TELLABLE);
#ifdef BROKEN_NO_PART
        told = told & ~PART_0;
#endif
        pages!told, TELLABLE;
        told = 0; i = 0; cursor = 0 }
    :: atomic { !p_up && !p_is_dead -> p_up = true }
    od
}

/* S3: the outcome is on P's disk. */
inline drop(message, entry)
{
    memory_copies = memory_copies & ~(1 << message);
    sum_log(0, flushed);
    assert(told & entry)
}

active proctype holder()
{
    byte words;
end:
    do
    :: atomic { s_up && !p_is_dead && len(asks) == 0 && len(pages) == 0 && WANTS_ASK -> asks!may_confirm }
    :: atomic { s_up && !p_is_dead && pages?[words, cursor] ->
        pages?words, cursor;
        if :: words & PART_0 -> memory_part = true :: else fi;
        if :: (words & DONE_0) && (memory_copies & 1) -> drop(0, DONE_0) :: else fi;
        if
        :: (words & DONE_1) && (memory_copies & 2) -> drop(1, DONE_1)
#ifndef BROKEN_FORGETS_NOTICES
        :: (words & DONE_1) && (memory_copies & 2) == 0 -> remembered = true
#endif
        :: else
        fi;
        applied = cursor;
#ifdef BROKEN_CONFIRMS_UNFLUSHED
        may_confirm = applied;
#endif
        words = 0; cursor = 0; told = 0; i = 0 }
    /* One flush: the disk is what the memory is. */
    :: atomic { s_up && (may_confirm != applied || disk_copies != memory_copies || disk_part != memory_part) ->
        disk_copies = memory_copies; disk_part = memory_part;
        may_confirm = applied }
    /* The late copy: durable at once, or answered `settled`. */
    :: atomic { s_up && late ->
        late = false;
        if
        :: remembered
        :: else -> memory_copies = memory_copies | 2; disk_copies = disk_copies | 2
        fi }
    :: atomic { !s_up ->
        s_up = true; memory_copies = disk_copies; memory_part = disk_part }
    od
}

/* D1 is all there may be: P's outcome was lost with it, or its notice was still owed. */
inline deliver_again(recipient, entry)
{
    sum_log(confirmed, flushed);
    assert(got[recipient] == 0 || half[recipient] || (told & entry));
    got[recipient]++
}

active proctype take_over()
{
end:
    atomic { p_is_dead && s_up ->
        if :: (memory_copies & 1) && !memory_part -> deliver_again(0, PART_0 + DONE_0) :: else fi;
        if :: (memory_copies & 1) -> deliver_again(1, DONE_0) :: else fi;
        /* Message 1 was at another holder too; that is claims.pml's. */
        if :: (memory_copies & 2) -> deliver_again(2, DONE_1) :: else fi;
        memory_copies = 0; disk_copies = 0;
        told = 0; i = 0 }
}

inline p_crash()
{
    p_up = false; confirmed = 0;
    do
    :: written > flushed ->
        if
        :: log[written] == PART_0 -> half[0] = true
        :: log[written] == DONE_0 -> half[1] = true
        :: log[written] == DONE_1 -> half[2] = true
        fi;
        log[written] = 0; written--
    :: else -> break
    od;
    lose_wires()
}

inline lose_wires()
{
    if :: asks?[_] -> asks?_ :: else fi;
    if :: pages?[_, _] -> pages?_, _ :: else fi
}

active proctype faults()
{
    byte kept;
    do
    :: atomic { losses > 0 && (len(asks) > 0 || len(pages) > 0) -> losses--; lose_wires() }
    :: atomic { crashes_p > 0 && p_up -> crashes_p--; p_crash() }
    :: atomic { crashes_s > 0 && s_up ->
        crashes_s--; s_up = false; lose_wires();
        applied = 0; may_confirm = 0; remembered = false; late = false }
    /* For good: what it had forgotten it had forgotten. */
    :: atomic { p_up -> kept = confirmed; p_crash(); confirmed = kept; p_is_dead = true; break }
    :: faults_over = true -> break
    od
}

active proctype watch()
{
end:
    /* S4: all is delivered, nothing is kept, nothing is owed. */
    atomic { timeout && faults_over ->
        assert(got[0] > 0 && got[1] > 0 && got[2] > 0);
        assert(disk_copies == 0 && !late && confirmed == flushed && flushed == ENTRIES) }
}
