/* Which messages the process died with, how often, and when that is enough (PM-2).  Pure.
 *
 * The list is a small file, and short: a crash adds one line at most.  What counts is what this
 * node saw and what came with the copy of a message (XCRASH), together. */
#ifndef POLICY_POISON_H
#define POLICY_POISON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "base/time.h"

enum { POISON_NOTES_MAX = 1000, POISON_WORD_BYTES = 32, POISON_WHY_BYTES = 200 };

struct poison_note {
    struct mid mid;
    uint32_t count;                 /* crashes of this node */
    uint32_t forgiven;              /* of those that came with the copy: they count no more */
    struct wall when;               /* the last one */
    char signal[POISON_WORD_BYTES]; /* "SIGSEGV" */
    char doing[POISON_WORD_BYTES];  /* "deliver" */
    bool is_here;                   /* not in the file: the message was met since the start */
};

struct poison_notes {
    struct poison_note *list; /* malloc */
    size_t count;
};

void poison_notes_done(struct poison_notes *notes);

/* NULL: none. */
struct poison_note *poison_find(const struct poison_notes *notes, struct mid mid);

/* It crashed: WHAT's count is left out.  The same crash (by its time) counts once.  At the ceiling
 * the oldest note goes. */
void poison_raise(struct poison_notes *notes, const struct poison_note *what);

/* By command it gets another chance; CARRIED crashes came with it. */
void poison_forgive(struct poison_notes *notes, struct mid mid, uint32_t carried);

/* Those whose message was not met are gone; returns how many. */
size_t poison_prune(struct poison_notes *notes);

/* How often a process died with it.  NOTE may be NULL. */
uint32_t poison_count(const struct poison_note *note, uint32_t carried);

/* THRESHOLD 0: never. */
static inline bool poison_is_reached(uint32_t threshold, uint32_t count)
{
    return threshold && count >= threshold;
}

/* "relaisd crashed 2 times with it, last at 2026-01-02T03:04:05Z by SIGSEGV, while: deliver" */
void poison_why(const struct poison_note *note, uint32_t count, char out[POISON_WHY_BYTES]);

/* One line each: MID COUNT FORGIVEN MILLISECONDS SIGNAL DOING.  What is no such line is left
 * out, and counted in *BAD: a damaged file must not keep the daemon from starting. */
enum err poison_format(const struct poison_notes *notes, struct buf *out) MUST_USE;
void poison_parse(struct bytes text, struct poison_notes *out, size_t *bad);

#endif
