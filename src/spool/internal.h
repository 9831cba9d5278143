/* The spool's inside: who has what, thread by thread. */
#ifndef SPOOL_INTERNAL_H
#define SPOOL_INTERNAL_H

#include "os/file.h"
#include "spool/content.h"
#include "spool/inbox.h"
#include "spool/record.h"
#include "spool/spool.h"

enum {
    SEGMENT_BYTES_MIN = 1 << 20,
    SEGMENT_BYTES_MAX = 1 << 30,
    SEGMENT_NAME_BYTES = 21,   /* 16 hexadecimal digits, ".seg", zero byte */
    CHUNK_BYTES_SHORT = 16384, /* the size of chunks while memory is short */
    CHUNKS_IN_FLIGHT_MAX = 4,
    PREPARED_MIN = 2, /* the next one, and the reserve */
    PREPARED_MAX = 4,
};

/* --- Segments (segment.c) ---------------------------------------------------------------- */

/* A file of the log.  `live` counts what needs it: messages and open writers whose first record
 * lies here, and reads under way.  Segments go strictly oldest first, so one that is needed
 * keeps all behind it. */
struct segment {
    struct file file;
    uint64_t base;
    atomic_uint_fast64_t live;
    struct list entries; /* home loop: the adopted messages whose first record lies here */
    bool is_failed;      /* a write or flush failed: never written again */
    bool is_damaged;     /* kept for the administrator rather than written again */
};

struct segment *segment_new(struct file file, uint64_t base); /* takes FILE */
void segment_free(struct segment *segment);                   /* closes it; NULL too */
void segment_name(uint64_t base, char out[SEGMENT_NAME_BYTES]);
bool segment_name_parse(const char *name, uint64_t *base);
char *path_of(const char *folder, const char *name); /* free() */
char *segment_path(const char *folder, uint64_t base);

/* --- The log (log.c): the commit thread's ------------------------------------------------ */

enum { RUNS_MAX = 1000 };

struct log {
    struct segment *segment; /* NULL: the last one failed; the next request opens another */
    uint64_t at;             /* where the next record goes */
    uint64_t durable;        /* all below is flushed, or void */
    uint64_t sure;           /* for the first segment's head: see record.h */

    struct iovec runs[RUNS_MAX]; /* gathered for one write, */
    size_t run_count;
    uint64_t runs_at; /* which begins here */
    uint8_t head[SEGMENT_HEAD_BYTES];

    struct line todo;              /* taken from the queue */
    struct line gathered;          /* in `runs` */
    struct line written;           /* but not flushed */
    struct line held;              /* outcomes that no segment had room for */
    struct spool_request *placing; /* the one that is being given a place */
    bool wants_flush;
    int64_t flush_due_ms; /* for what is written and nobody waits for; 0: nothing is */
    enum err held_err;    /* why there was none */
    int64_t held_due_ms;  /* when the held ones are tried again */

    uint32_t failures;   /* of segments: a writer with chunks from before one is lost */
    bool is_tried;       /* the present segment has had a good flush */
    int64_t retry_at_ms; /* no new segment before */
};

/* --- The keeper (keeper.c): a thread of its own ------------------------------------------ */

struct keeper {
    pthread_t thread;
    pthread_cond_t wake;     /* with spool->lock */
    pthread_cond_t has_more; /* a prepared segment, or the news that there will be none */
    atomic_bool must_stop;
    /* Under spool->lock. */
    bool must_look;     /* something may be freed, made or read */
    enum err block_err; /* not OK: no further file may be or could be made, and why */
    char why[128];
    struct segment
        *prepared[PREPARED_MAX + 1]; /* in the order of their bases, all above the log's */
    uint32_t prepared_count;
    uint32_t prepared_wanted; /* grows when the commit thread had to wait */
    uint64_t base_next;       /* never given before */
    struct move *to_read;     /* records to be read for moving */
    /* The keeper's. */
    bool folder_is_dirty; /* a name's change is not known to be durable */
};

/* --- Moving live records forward (reclaim.c): home loop ---------------------------------- */

struct reclaim {
    struct timer tick;
    struct list moves; /* under way */
    uint32_t move_count;
    uint64_t bytes_under_way;
    struct move *was_read;              /* by the keeper; under spool->lock */
    struct move *was_written;           /* by the commit thread; likewise */
    uint64_t messages_live, bytes_live; /* adopted */
    void (*get_standing)(void *me, const struct spool_entry *entry, struct standing *out);
    void *me;
};

struct spool {
    char *folder;
    struct spool_settings settings;
    struct loop *home;
    struct store_id store; /* what the log's checksums start from: for ever */
    struct store_id told;  /* home loop: this store's name among nodes */
    uint32_t damage;       /* digest of what was set aside at this opening; 0: nothing was */
    uint32_t known_damage; /* what it was when the store got its name */
    uint64_t seed;
    struct file lock_file;
    struct meter *meter;
    uint32_t reads_open; /* home loop: spool_read() without its DONE */
    bool is_closed;      /* the last of these frees it */

    pthread_mutex_t lock;
    struct segment **segments; /* in order; the last is the log's; under `lock` */
    uint32_t segment_count, segment_room;

    struct inbox inbox;
    pthread_t commit_thread;
    bool has_threads;
    struct log log;
    struct keeper keeper;
    struct reclaim reclaim;

    /* Any thread. */
    atomic_uint_fast64_t position; /* durable */
    atomic_uint_fast64_t room;     /* left in the log's segment */
    atomic_uint ready_count;       /* prepared segments */
    atomic_int blocked; /* enum err: why there will be no more than these; OK: there will */
    atomic_bool is_low; /* the file system is below free_bytes_min */
    atomic_bool takes_copies; /* one for another node was seen: such ones have a margin */
    atomic_bool is_unhealthy; /* no segment can be written */
    atomic_bool must_stop;
    struct spool_request stop; /* wakes the commit thread for it */
    atomic_uint_fast64_t commits, flushes, flush_errors, bytes_written, messages_moved, damaged,
        flush_us;
};

/* The segment POSITION lies in; it stays while something of it is live.  Takes the lock. */
struct segment *spool_segment(struct spool *spool, uint64_t position);
/* One thing less needs the segment POSITION lies in; wakes the keeper when that can go. */
void spool_unpin(struct spool *spool, uint64_t position);
void spool_pin(struct spool *spool, uint64_t position);
/* Its threads are over, and nothing of it is open. */
void spool_free(struct spool *spool);
void spool_add_segment(struct spool *spool, struct segment *segment); /* takes the lock */

/* For whom room is wanted.  When no more segments can be made, the last prepared one is left to
 * what frees room, and the one before it to copies for other nodes (R12 of the shadow contract),
 * once there are such. */
enum claim { CLAIM_RELIEF, CLAIM_COPY, CLAIM_CLIENT };

/* So many prepared segments are left alone then. */
static inline uint32_t spool_kept(const struct spool *spool, enum claim claim)
{
    if (claim == CLAIM_CLIENT)
        return atomic_load_explicit(&spool->takes_copies, memory_order_relaxed) ? 2 : 1;
    return claim == CLAIM_COPY ? 1 : 0;
}

/* May a record of BYTES still be taken?  ERR_SPACE; ERR_IO: no segments can be made.  Any
 * thread. */
enum err spool_fits(struct spool *spool, uint64_t bytes, enum claim claim) MUST_USE;

/* Copies come here: a segment more is kept ready.  Any thread. */
void spool_expect_copies(struct spool *spool);

/* --- Requests ---------------------------------------------------------------------------- */

enum request_kind {
    REQUEST_MESSAGE, /* a spool_ticket */
    REQUEST_CHUNK,
    REQUEST_NOTE, /* an outcome or the end of a message */
    REQUEST_MOVE, /* a chunk or message copied forward */
    REQUEST_WORD, /* a spool_word */
    REQUEST_BARRIER,
    REQUEST_ABANDON, /* a writer with chunks */
    REQUEST_WAKE,    /* nothing: the thread is to look around */
};

struct note {
    struct spool_request request;
    uint8_t front[];
};

struct chunk {
    struct spool_request request;
    struct loop_post post;
    struct spool_writer *writer;
    enum err err;
    uint8_t front[RECORD_HEADER_BYTES];
};

struct spool_writer {
    atomic_uint refs; /* the session's, or the request's that took it; one for each chunk */
    struct spool *spool;
    struct loop *loop; /* where its chunks are answered, also after another loop has it */
    struct spool_request abandon;
    atomic_bool is_copy; /* for another node */
    atomic_uint chunks_in_flight;
    atomic_int err; /* enum err: the first one */

    /* The loop's, then that of whoever commits or abandons it. */
    struct spool_content *content; /* being filled */
    uint64_t bytes, bytes_max;
    uint64_t bytes_in_chunks;
    uint32_t chunk_count;
    void (*on_room)(void *me); /* NULL once nothing more is added */
    void *me;

    /* The commit thread's. */
    struct chunk_place *places;
    uint32_t place_count, place_room;
    uint32_t failures; /* log.failures when the first chunk was placed */
    enum err lost;     /* of a chunk: there is no committing any more */
};

void writer_let_go(struct spool_writer *writer);

/* Any thread: what is the commit thread's of these is given back, and their loop hears of it.
 */
void ticket_answer(struct spool_ticket *ticket, enum err err);
void chunk_answer(struct chunk *chunk, enum err err);

/* A message being copied forward: one record after the other. */
struct move {
    struct spool_request request;
    struct list node; /* reclaim.moves */
    struct move *next;
    struct spool_entry *entry; /* NULL: settled meanwhile */
    struct spool_entry place;  /* where it lies now */
    enum err err;
    struct record record; /* the message's, from the disk */
    uint8_t *payload;     /* of it */
    uint32_t chunk_next;  /* the chunk that is being copied; chunk_count: the message itself */
    uint8_t *chunk;       /* header and bytes of that chunk */
    uint32_t chunk_bytes; /* of its content */
    struct chunk_place *places; /* of the copies */
    uint64_t first;             /* position of the first copied record; 0: none yet */
    uint32_t failures;          /* log.failures then */
};

enum { WORD_BYTES_MAX = RECORD_HEADER_BYTES + STANDING_BYTES_MAX };

/* In the log, were it copied forward now. */
uint64_t entry_bytes(const struct spool_entry *entry);
/* Reads what the move needs next.  The keeper's. */
void move_read(struct spool *spool, struct move *move);
/* It is written and flushed, or not (move->err).  The commit thread's. */
void move_post(struct spool *spool, struct move *move);
void reclaim_start(struct spool *spool);
void reclaim_stop(struct spool *spool);
void reclaim_forget(struct spool *spool, struct spool_entry *entry); /* it is settled */
/* It is a word now: what could not be read needs not be. */
void reclaim_try_again(struct spool *spool, struct spool_entry *entry);
void reclaim_follow(
    struct spool *spool, const struct spool_entry *from, struct spool_entry *to);

/* Commit thread: the log (log.c), and its groups (group.c). */
enum { LOG_RETRY_MS = 1000 }; /* between new segments while they fail */

void *log_main(void *spool);
/* Opens the first segment behind what was found; before the threads run. */
enum err log_start(struct spool *spool, uint64_t valid_end, uint64_t sure) MUST_USE;

int64_t log_now_ms(void);
void log_add_run(struct log *log, const uint8_t *at, size_t n);
/* What is written is flushed by then, with others or for itself. */
void log_flush_within(struct log *log, int64_t ms);
/* Not OK: the segment has failed, and what was unflushed in it has its answer; outcomes, and
 * log.placing, stand in `todo` again. */
enum err log_write_out(struct spool *spool) MUST_USE;
enum err log_flush(struct spool *spool) MUST_USE;
/* Leaves the present segment, flushed, for a new one. */
enum err log_change(struct spool *spool, enum claim claim) MUST_USE;
/* REQUEST has no place, or lost it; outcomes and words are kept in AGAIN. */
void log_refuse(
    struct spool *spool, struct spool_request *request, enum err err, struct line *again);

/* Keeper. */
void *keeper_main(void *spool);
/* Any thread: there is something to do.  With spool->lock held. */
void locked_keeper_look(struct spool *spool);
void keeper_stop(struct spool *spool);
void keeper_add_unused(struct spool *spool, uint64_t base); /* a file with nothing in it */
/* At opening: makes one segment ready, so that the log can begin. */
enum err keeper_start(struct spool *spool) MUST_USE;
/* The next segment, if CLAIM may have it.  Waits while more are being made; ERR_SPACE, ERR_IO:
 * there are none. */
enum err keeper_take(struct spool *spool, enum claim claim, struct segment **out) MUST_USE;

/* --- The store file (store.c) ------------------------------------------------------------ */

enum err store_read(const char *folder, struct store_head *out, char why[256]) MUST_USE;
/* In the place of the one that is there, if there is one; durable. */
enum err store_write(const char *folder, const struct store_head *head) MUST_USE;
/* There is one, in the present format. */
enum err store_ensure(const char *folder, uint64_t segment_bytes, char why[256]) MUST_USE;

/* --- Recovery (recover.c) ---------------------------------------------------------------- */

/* What a scan of the log's bytes has found so far; no file is touched. */
struct scan;
struct scan *scan_new(struct store_id store, const struct spool_visitor *visitor);
void scan_free(struct scan *scan); /* NULL too */

/* The records in BYTES, the first of which has position AT.  A hole in them that begins at SURE
 * or above is a torn write; SCAN_SURE_BY_MARKS: the marks in later records say which are. */
#define SCAN_SURE_BY_MARKS UINT64_MAX
void scan_bytes(struct scan *scan, struct bytes bytes, uint64_t at, uint64_t sure);

/* No valid record from FROM to TO. */
void scan_hole(struct scan *scan, uint64_t from, uint64_t to, uint64_t sure);

struct scan_sum {
    uint64_t record_count;
    uint64_t end;  /* behind the last record; 0: none */
    uint64_t torn; /* where the first torn write in front of END begins; UINT64_MAX: none */
};
struct scan_sum scan_sum(const struct scan *scan);

/* Tells the visitor of all damage, then of all live messages. */
void scan_tell(struct scan *scan);
void scan_tell_damage(struct scan *scan, uint64_t at, const char *why);

struct recovered {
    struct store_head store;
    struct segment **segments; /* those with something in them, in order */
    uint32_t segment_count;
    uint64_t *unused; /* bases of files with nothing in them, behind those */
    uint32_t unused_count;
    uint64_t base_next; /* above all names */
    uint64_t valid_end; /* behind the last record */
    uint64_t sure;      /* below it no hole is a torn write */
    struct scan *scan;  /* for scan_tell() */
};

/* Reads the whole log.  MODE: how its files are opened. */
enum err recover(const char *folder, unsigned mode, const struct spool_visitor *visitor,
    struct recovered *out, char why[256]) MUST_USE;
void recovered_done(struct recovered *recovered); /* the segments may be taken: NULL */

/* --- Reading records (read.c) ------------------------------------------------------------ */

/* Where records are read from: an open spool, or a folder. */
struct source {
    struct spool *spool; /* NULL: FOLDER */
    const char *folder;
    uint64_t seed, segment_bytes;
};

struct source source_of(struct spool *spool);
/* The record at AT, checked; its payload begins at *payload + ROOM; malloc.  ERR_CORRUPT,
 * ERR_IO. */
enum err source_read(const struct source *source, uint64_t at, size_t room,
    struct record *record, uint8_t **payload) MUST_USE;

/* What is told late does not undo an end; and what is told of a delay, which may be told twice,
 * no suspension. */
static inline void outcome_set(uint8_t *at, uint8_t outcome)
{
    if (outcome == SPOOL_DELAYED && spool_is_suspended(*at))
        *at = SPOOL_SUSPENDED_DELAYED;
    else if (!spool_is_pending(outcome) || spool_is_pending(*at))
        *at = outcome;
}

#endif
