/* The spool: what survives a crash.  One sequential log of segments; many waiting sessions
 * share one flush.  The format and the crash argument stand at the top of log.c and in
 * docs/formats/spool.md.
 *
 * Threads.  The spool has a home loop: entries, outcomes, reclaim and reading belong to it.
 * Writers belong to the loop they were made for; spool_commit() may be called on any loop and
 * answers there.  One commit thread of the spool writes and flushes; one keeper thread prepares
 * segments ahead.  What the spool knows of a message's content and envelope is their lengths
 * and checksums: it decodes neither. */
#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/id.h"
#include "base/list.h"
#include "base/mid_table.h"
#include "os/loop.h"
#include "spool/standing.h"

#include <stdatomic.h>

/* --- Content in memory ------------------------------------------------------------------- */

/* A message's content in memory: blocks, counted, unchanged once committed.  Any thread. */
struct spool_content;

struct spool_content *spool_content_hold(struct spool_content *content);
void spool_content_free(struct spool_content *content); /* lets go; NULL too */
uint64_t spool_content_bytes(const struct spool_content *content);
/* The longest run from byte AT on; empty at the end. */
struct bytes spool_content_at(const struct spool_content *content, uint64_t at);

/* --- Entries: the durable state of a message --------------------------------------------- */

enum spool_outcome {
    SPOOL_PENDING = 0, /* to be delivered: not written, it is what an absent outcome means */
    SPOOL_DELIVERED,
    SPOOL_FAILED,            /* its notification, if one is owed, is committed */
    SPOOL_REMOVED,           /* by the administrator */
    SPOOL_RELAYED_AWAY,      /* kept for later: handed to a redundant hop */
    SPOOL_DELAYED,           /* pending still; the notice of the delay is committed */
    SPOOL_SUSPENDED,         /* pending still, but not to be tried until it is resumed */
    SPOOL_SUSPENDED_DELAYED, /* both */
    SPOOL_RESUMED,           /* pending, and it was suspended once */
};

/* An outcome that leaves something to be done.  A final one never goes back to it. */
static inline bool spool_is_pending(enum spool_outcome outcome)
{
    return outcome == SPOOL_PENDING || (outcome >= SPOOL_DELAYED && outcome <= SPOOL_RESUMED);
}

static inline bool spool_is_suspended(enum spool_outcome outcome)
{
    return outcome == SPOOL_SUSPENDED || outcome == SPOOL_SUSPENDED_DELAYED;
}

/* The sender was told of the delay. */
static inline bool spool_is_delay_told(enum spool_outcome outcome)
{
    return outcome == SPOOL_DELAYED || outcome == SPOOL_SUSPENDED_DELAYED;
}

/* Embedded in the queue's message.  Home loop.  Where the message lies, and what became of each
 * recipient as far as it is written. */
struct spool_entry {
    struct list in_segment; /* the spool's own */
    /* Its mid; and a place in whatever table of his whoever has the entry keeps it in. */
    struct mid_node by_mid;
    uint64_t at;    /* position of the commit record in the log */
    uint64_t first; /* of the message's first record: AT, or its first chunk */
    uint64_t content_bytes;
    uint32_t record_bytes; /* of that record, content in it included */
    uint32_t recipient_count : 28;
    bool
        has_standing : 1; /* asked for when the record is copied forward: spool_set_standings() */
    bool is_word : 1;     /* SETTLED: content and envelope are not needed any more; a small
                            * record stands for it when it is copied forward */
    bool is_in_chunks : 1; /* the content lies in chunk records; the commit record lists them */
    bool is_moving : 1;    /* the spool is copying it forward */
    union {                /* enum spool_outcome for each recipient */
        uint8_t few[8];
        uint8_t *many; /* more than 8: malloc */
    } outcome;
};

enum spool_outcome spool_entry_outcome(const struct spool_entry *entry, uint32_t recipient);

/* --- Opening ----------------------------------------------------------------------------- */

struct spool;

/* 0 is the default; what makes no sense is moved to the nearest that does. */
struct spool_settings {
    const char *folder;
    uint64_t segment_bytes;  /* 64 MiB; 1 MiB to 1 GiB; fixed once the folder is made */
    uint64_t bytes_max;      /* of the whole log; 0: as the disk allows; at least 4 segments */
    uint64_t free_bytes_min; /* of the file system: below it is "full" */
    uint64_t memory_bytes_max; /* 256 MiB; content in memory of all messages: above it is read
                                * from disk */
    uint32_t chunk_bytes; /* 256 KiB; a larger message is streamed in chunks of this size */
};

/* What was found in the log at opening, in the order of the log.  ENVELOPE is borrowed. */
struct spool_found {
    struct mid mid;
    struct bytes envelope; /* empty when standing.role is SETTLED and it was copied forward, or
                            * when it is feared */
    struct spool_entry
        entry; /* to be copied into the caller's, which is then given to spool_adopt() */
    bool has_standing;
    struct standing standing;
    uint64_t standing_at; /* position of the record that said so last: a notice's cursor */
};

struct spool_visitor {
    void *me;
    /* A live message.  Takes found->entry.outcome.many. */
    void (*on_message)(void *me, const struct spool_found *found);
    /* Something is set aside: where, and why.  Never fatal. */
    void (*on_damage)(void *me, uint64_t at, const char *why);
    void (*on_progress)(void *me, uint64_t bytes_done, uint64_t bytes_all); /* now and then */
    /* The process died of this message's envelope before: it is found with an empty one, and not
     * a byte of it is looked at.  NULL: all are read. */
    bool (*is_feared)(void *me, struct mid mid);
};

/* Opens, or creates, the spool in settings.folder; takes its lock.  Recovers: calls VISITOR on
 * this thread before it returns.  ERR_BUSY: another process has it.  ERR_SPACE, ERR_IO,
 * ERR_DENIED, ERR_CORRUPT (a newer format): WHY has the file and the reason. */
enum err spool_open(struct spool **out, struct loop *home,
    const struct spool_settings *settings, const struct spool_visitor *visitor,
    char why[256]) MUST_USE;

/* Writes what waits, flushes, stops the threads.  No writer or commit is open; the memory goes
 * when no read is any more.  A word that is under way is written if the disk takes it; whether DONE
 * is called, once the loop runs again, is open. */
void spool_close(struct spool *spool);

/* Reads the log of a spool without its lock and without changing it: for the tool, when the
 * daemon is down (or beside it: what is being written just then may be missing). */
enum err spool_scan(
    const char *folder, const struct spool_visitor *visitor, char why[256]) MUST_USE;

/* The store this spool is now, as other nodes know it.  Home loop. */
struct store_id spool_store_id(const struct spool *spool);
uint64_t spool_position(const struct spool *spool); /* durable so far; any thread */
/* Something was set aside at this opening beyond an unflushed tail, and the store has not been
 * renewed since: the spool cannot vouch for itself (R14).  Damage stays in the log for a while;
 * what was there at the last spool_renew_store() counts no more. */
bool spool_was_damaged(const struct spool *spool);

/* The spool becomes another store: a new random id for other nodes; its messages stay.  Durable
 * when it returns (blocks; home loop, rare).  ERR_IO, ERR_SPACE: it is the old one still. */
enum err spool_renew_store(struct spool *spool) MUST_USE;

/* GET is asked, on the home loop, for the present standing of an entry with has_standing (the
 * one that was adopted, where it stands now) when its record is copied forward: what the last
 * spool_stand() said, or what is about to be said.  To be set before the loop runs, if there is
 * any such entry. */
void spool_set_standings(struct spool *spool,
    void (*get)(void *me, const struct spool_entry *entry, struct standing *out), void *me);

/* --- Receiving --------------------------------------------------------------------------- */

struct spool_writer;

/* Can BYTES more be taken now?  ERR_SPACE: disk full, WHY says what is missing (452 4.3.1).
 * ERR_IO: no segment can be written (451 4.3.0).  Any thread; cheap. */
enum err spool_has_room(struct spool *spool, uint64_t bytes, char why[128]) MUST_USE;
/* Likewise for a copy that is to be held for another node.  Such ones are refused a segment
 * later than all others (R12). */
enum err spool_has_room_for_copy(struct spool *spool, uint64_t bytes, char why[128]) MUST_USE;

/* A message to be received on LOOP.  ON_ROOM is called there after spool_writer_is_full() was
 * true and no longer is. */
struct spool_writer *spool_writer_new(struct spool *spool, struct loop *loop,
    uint64_t size_bytes_max, void (*on_room)(void *me), void *me);

/* What is received is a copy that is to be held for another node: it may have the room that is
 * kept for such ones.  To be called before the first byte; spool_commit() with STANDING_HELD
 * does it by itself, for what is not in chunks by then. */
void spool_writer_set_copy(struct spool_writer *writer);

/* Adds BODY (borrowed).  Nothing is durable yet.  Beyond chunk_bytes (sooner when memory is
 * short) chunks go to the disk in the background. ERR_LIMIT: over size_bytes_max: answer 552.
 * ERR_SPACE, ERR_IO: this message is lost: answer 452 or 451.  After an error only
 * spool_abandon() is left. */
enum err spool_append(struct spool_writer *writer, struct bytes body) MUST_USE;

/* The content so far, held for the caller (spool_content_free()); NULL when part of it went to
 * the disk already (read it from the spool after the commit), or is lost.  The writer gets no
 * more after this but spool_commit() or spool_abandon(), and ON_ROOM is not called any more. */
struct spool_content *spool_writer_content(struct spool_writer *writer);

/* Too much waits for the disk: stop reading until ON_ROOM. */
bool spool_writer_is_full(const struct spool_writer *writer);
uint64_t spool_writer_bytes(const struct spool_writer *writer);
void spool_abandon(struct spool_writer **writer); /* NULL too; never waits */

/* Outcomes of another message that become true with a commit, in one record: a notification and
 * what it is about (R3 of the shadow contract). */
struct spool_cause {
    struct mid mid;
    const uint32_t *recipients;
    uint32_t recipient_count;
    enum spool_outcome outcome;
};

/* What stands in line for the commit thread.  All of it is the spool's own. */
struct spool_request {
    struct spool_request *next;
    uint8_t kind;
    uint8_t *front; /* the record's header and what stands before its content */
    size_t front_bytes;
    struct spool_content *content; /* in the record; NULL: none */
    uint64_t at;                   /* its position, once it has one */
};

/* Embedded by the caller.  The commit thread owns it from spool_commit() to ON_DONE. */
struct spool_ticket {
    struct loop_post post;        /* the spool's own, */
    struct spool_request request; /* as is this, */
    struct spool *spool;          /* this, */
    struct spool_writer *writer;  /* and this */
    struct loop *loop; /* set by the caller: ON_DONE is called there; NULL: the writer's */
    /* Set before ON_DONE. */
    enum err err; /* OK: durable.  ERR_SPACE, ERR_IO: it does not exist (answer 452, 451).
                   * ERR_LIMIT: an envelope that no segment has room for, or over a
                   * million recipients (552) */
    struct spool_entry entry;      /* to be copied into the message, then spool_adopt() */
    struct spool_content *content; /* in memory still, or NULL; the callee's to free */
    void (*on_done)(struct spool_ticket *ticket);
};

/* Makes the message exist: envelope and content, durable with the next flush.  Takes the
 * writer.  ENVELOPE is copied.  CAUSE is borrowed for the call; NULL for none.  What CAUSE says
 * is durable with the message; its entry hears of it by spool_note(), after ON_DONE.  STANDING
 * is borrowed for the call; NULL: the message is this node's alone.
 *
 * Any loop, if the writer's own does not touch the writer any more: it has handed it over by
 * loop_post() and, when ON_ROOM is not NULL, has called spool_writer_content() before. */
void spool_commit(struct spool_writer **writer, struct mid mid, struct bytes envelope,
    uint32_t recipient_count, const struct spool_cause *cause, const struct standing *standing,
    struct spool_ticket *ticket);

/* --- Home loop: after the commit --------------------------------------------------------- */

/* ENTRY, copied from a ticket or from spool_found, stands now where it will stay.  Each
 * committed message must be adopted, even to be settled at once. */
void spool_adopt(struct spool *spool, struct spool_entry *entry);

/* Notes outcomes; written soon, with no flush of their own. */
void spool_note(struct spool *spool, struct spool_entry *entry, const uint32_t *recipients,
    uint32_t recipient_count, enum spool_outcome outcome);

/* All pending recipients are suspended from now on, or none is any more.  Likewise: a flush of
 * the caller's makes it last. */
void spool_suspend(struct spool *spool, struct spool_entry *entry, bool suspended);

/* ENTRY moves in memory: *TO takes the place of *FROM, which is forgotten. */
void spool_move_entry(struct spool *spool, struct spool_entry *from, struct spool_entry *to);

/* Embedded by the caller; the spool's from spool_stand() to DONE. */
struct spool_word {
    struct loop_post post;                      /* the spool's own, */
    struct spool_request request;               /* as is this */
    uint8_t front[88 + STANDING_BYTES_MAX + 8]; /* and this */
    struct loop *home;
    uint64_t at; /* set before DONE: the position of its record; no other word has it */
    void (*done)(struct spool_word *word);
};

/* Writes that ENTRY stands so from now on.  DONE, on the home loop and in the order of the log,
 * once that record and all that was noted before it are durable: with the next group, at the
 * latest after some 20 ms.  While the disk fails it waits, and is written again.  With
 * standing.role SETTLED, content and envelope are given up: nothing of them is read again. */
void spool_stand(struct spool *spool, struct spool_entry *entry,
    const struct standing *standing, struct spool_word *word);

/* No recipient is pending and no word is owed: the message, or copy, is over.  ENTRY is
 * forgotten (its memory is the caller's). */
void spool_settle(struct spool *spool, struct spool_entry *entry);

/* At the end of the program: the message stays in the log, ENTRY is forgotten. */
void spool_leave(struct spool *spool, struct spool_entry *entry);

/* Calls DONE on the home loop once everything noted so far is durable. */
struct spool_barrier {
    struct loop_post post;        /* the spool's own, */
    struct spool_request request; /* as are these */
    struct loop *home;
    bool is_patient; /* the spool's own */
    enum err err;    /* ERR_IO, ERR_SPACE: not now; it is still noted, and tried again */
    void (*done)(struct spool_barrier *barrier);
};
void spool_flush(struct spool *spool, struct spool_barrier *barrier);

/* The same for what nobody waits for: with the next group that is flushed anyway, or after some
 * milliseconds.  So no commit stands behind a flush that only confirms something. */
void spool_flush_soon(struct spool *spool, struct spool_barrier *barrier);

/* --- Reading ----------------------------------------------------------------------------- */

/* Embedded by the caller.  Reads on a thread of the pool; DONE on the home loop.  The entry may
 * be settled, and its memory gone, meanwhile: its place in the log stays until DONE. */
struct spool_read {
    struct loop_work work; /* the spool's own */
    struct spool *spool;
    uint64_t from; /* first byte of the content */
    size_t bytes_max;
    bool wants_envelope;      /* set by the caller */
    struct spool_entry place; /* the spool's own */
    /* Set before DONE. */
    enum err err;      /* ERR_CORRUPT: the record is set aside; ERR_IO */
    uint8_t *at;       /* malloc, the callee's */
    size_t n;          /* less than asked for only at the end */
    uint8_t *envelope; /* malloc, the callee's; NULL unless wanted */
    size_t envelope_n;
    void (*done)(struct spool_read *read);
};
void spool_read(struct spool *spool, struct spool_entry *entry, uint64_t from, size_t bytes_max,
    struct spool_read *read);
uint32_t spool_open_reads(const struct spool *spool); /* without their DONE; home loop */

/* For the tool: envelope and content of one message of a scanned spool, blocking.  The buffers
 * get the bytes. */
enum err spool_read_offline(const char *folder, const struct spool_entry *entry,
    struct buf *envelope, struct buf *content) MUST_USE;

/* --- Looking inside ---------------------------------------------------------------------- */

struct spool_facts {
    uint64_t messages_live, bytes_live;
    uint64_t segments, segments_spare, segment_bytes;
    uint64_t position;
    uint64_t content_memory_bytes;
    uint64_t commits, flushes, flush_errors, bytes_written, messages_moved, damaged;
    uint64_t flush_us_total;
    bool is_full; /* for a message of chunk_bytes */
    bool is_unhealthy;
    char why[128]; /* of full or unhealthy */
};
void spool_get_facts(struct spool *spool, struct spool_facts *out); /* home loop */

#endif
