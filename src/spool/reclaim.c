/* Space comes back: live records of the oldest segment are copied to the end of the log, so
 * that a few old messages do not keep gigabytes (argument 7 in log.c).
 *
 * A move goes home -> keeper (reads) -> home (still live?) -> commit thread (writes, flushes)
 * -> home (the entry has its new place); a message in chunks goes round once for each of them.
 * What comes home is collected by a timer, which also sets the pace: no message from these
 * threads is under way when the spool is closed. */
#include "spool/internal.h"

#include "base/hash.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

enum {
    TICK_IDLE_MS = 500,
    TICK_BUSY_MS = 10,
    MOVES_MAX = 256,
    BYTES_UNDER_WAY_MAX = 4 << 20, /* with TICK_BUSY_MS: some 100 MiB a second at the most */
    SLACK_SEGMENTS = 4,
    GAIN_SEGMENTS_MIN = 2,
};

static void to_keeper(struct spool *spool, struct move *move)
{
    pthread_mutex_lock(&spool->lock);
    move->next = spool->keeper.to_read;
    spool->keeper.to_read = move;
    locked_keeper_look(spool);
    pthread_mutex_unlock(&spool->lock);
}

void move_post(struct spool *spool, struct move *move)
{
    pthread_mutex_lock(&spool->lock);
    move->next = spool->reclaim.was_written;
    spool->reclaim.was_written = move;
    pthread_mutex_unlock(&spool->lock);
}

/* --- On the keeper's thread -------------------------------------------------------------- */

static enum err read_chunk(const struct source *source, struct move *move)
{
    struct record record;
    struct record_parts parts;
    struct chunk_place place;
    enum err err;

    record_split(&move->record, bytes_of(move->payload, move->record.payload_bytes), &parts);
    place = chunk_place_decode(parts.places, move->chunk_next);
    err = source_read(source, place.at, RECORD_HEADER_BYTES, &record, &move->chunk);
    if (err)
        return err;
    if (record.type != RECORD_CHUNK || record.payload_bytes != place.bytes)
        return ERR_CORRUPT;
    record_encode(&record, move->chunk);
    move->chunk_bytes = place.bytes;
    return OK;
}

void move_read(struct spool *spool, struct move *move)
{
    struct source source = source_of(spool);
    enum err err = OK;

    if (!move->payload) {
        err = source_read(&source, move->place.at, 0, &move->record, &move->payload);
        if (!err && (move->record.type != RECORD_MESSAGE ||
                        !mid_equal(move->record.mid, move->place.by_mid.mid)))
            err = ERR_CORRUPT;
    }
    if (!err && move->chunk_next < move->record.chunk_count)
        err = read_chunk(&source, move);
    move->err = err;
}

/* --- One move ---------------------------------------------------------------------------- */

static void move_free(struct spool *spool, struct move *move)
{
    spool->reclaim.move_count--;
    spool->reclaim.bytes_under_way -= entry_bytes(&move->place);
    list_remove(&move->node);
    free(move->payload);
    free(move->chunk);
    free(move->places);
    free(move->request.front);
    free(move);
}

/* The copy, as far as it is written, is no use to anybody. */
static void give_up(struct spool *spool, struct move *move)
{
    if (move->first)
        spool_unpin(spool, move->first);
    spool_unpin(spool, move->place.first);
    /* What cannot be read is not tried again: its reader will meet the same. */
    if (move->entry && move->err != ERR_CORRUPT)
        move->entry->is_moving = false;
    if (move->err == ERR_CORRUPT)
        atomic_fetch_add(&spool->damaged, 1);
    move_free(spool, move);
}

/* How the entry stands now, encoded.  Asked as late as this: what is said of it from here on
 * stands behind the copy in the queue, and so in the log. */
static size_t standing_now(
    struct spool *spool, const struct spool_entry *entry, uint8_t out[STANDING_BYTES_MAX])
{
    struct standing standing;

    if (!entry->has_standing)
        return 0;
    assert(spool->reclaim.get_standing);
    spool->reclaim.get_standing(spool->reclaim.me, entry, &standing);
    assert(!entry->is_word || standing.role == STANDING_SETTLED);
    return standing_encode(&standing, out);
}

static void send(struct spool *spool, struct move *move, uint8_t *front)
{
    struct record *record = &move->record;
    struct bytes payload = bytes_of(front + RECORD_HEADER_BYTES, record->payload_bytes);

    record->payload_hash = hash64(payload, spool->seed);
    record_encode(record, front);
    move->request.front = front;
    move->request.front_bytes = RECORD_HEADER_BYTES + payload.n;
    inbox_put(&spool->inbox, &move->request);
}

/* The word alone; content and envelope stay behind. */
static void send_word(struct spool *spool, struct move *move)
{
    uint8_t *front = mem_grow(NULL, WORD_BYTES_MAX);
    size_t bytes = standing_now(spool, move->entry, front + RECORD_HEADER_BYTES);

    move->record = (struct record){
        .type = RECORD_MESSAGE,
        .flags = RECORD_HAS_STANDING,
        .mid = move->entry->by_mid.mid,
        .payload_bytes = (uint32_t)bytes,
        .standing_bytes = (uint16_t)bytes,
    };
    send(spool, move, front);
}

static void start(struct spool *spool, struct spool_entry *entry)
{
    struct move *move = mem_new(sizeof *move);

    entry->is_moving = true;
    move->entry = entry;
    move->place = *entry;
    move->request.kind = REQUEST_MOVE;
    spool_pin(spool, entry->first); /* also when it is settled while it is read */
    list_add_last(&spool->reclaim.moves, &move->node);
    spool->reclaim.move_count++;
    spool->reclaim.bytes_under_way += entry_bytes(entry);
    if (entry->is_word)
        send_word(spool, move);
    else
        to_keeper(spool, move);
}

static void send_chunk(struct spool *spool, struct move *move)
{
    move->request.front = move->chunk;
    move->request.front_bytes = RECORD_HEADER_BYTES + (size_t)move->chunk_bytes;
    move->chunk = NULL;
    inbox_put(&spool->inbox, &move->request);
}

/* The envelope, the outcomes so far, how it stands, then what of the old payload is still
 * right. */
static void send_message(struct spool *spool, struct move *move)
{
    struct record *record = &move->record;
    struct record_parts parts;
    uint8_t standing[STANDING_BYTES_MAX], *front, *to;

    record_split(record, bytes_of(move->payload, record->payload_bytes), &parts);
    record->standing_bytes = (uint16_t)standing_now(spool, move->entry, standing);
    record->flags = RECORD_HAS_STATES | (record->standing_bytes ? RECORD_HAS_STANDING : 0);
    record->cause_count = 0; /* its outcomes are older than this: they are noted elsewhere */
    record->outcome = 0;
    record->payload_bytes =
        (uint32_t)(parts.envelope.n + record->recipient_count + record->standing_bytes +
                   parts.places.n + parts.content.n);
    front = mem_grow(NULL, RECORD_HEADER_BYTES + (size_t)record->payload_bytes);
    to = front + RECORD_HEADER_BYTES;
    if (parts.envelope.n)
        memcpy(to, parts.envelope.at, parts.envelope.n);
    to += parts.envelope.n;
    for (uint32_t i = 0; i < record->recipient_count; i++)
        *to++ = (uint8_t)spool_entry_outcome(move->entry, i);
    memcpy(to, standing, record->standing_bytes);
    to += record->standing_bytes;
    for (uint32_t i = 0; i < record->chunk_count; i++, to += RECORD_CHUNK_PLACE_BYTES)
        chunk_place_encode(move->places[i], to);
    if (parts.content.n)
        memcpy(to, parts.content.at, parts.content.n);
    send(spool, move, front);
    free(move->payload);
    move->payload = NULL;
}

static void on_read(struct spool *spool, struct move *move)
{
    if (move->entry && move->entry->is_word) /* since, and whatever became of the content */
        send_word(spool, move);
    else if (move->err || !move->entry)
        give_up(spool, move);
    else if (move->chunk)
        send_chunk(spool, move);
    else
        send_message(spool, move);
}

static void on_chunk_moved(struct spool *spool, struct move *move)
{
    free(move->request.front);
    move->request.front = NULL;
    if (!move->places)
        move->places = mem_new(move->record.chunk_count * sizeof *move->places);
    move->places[move->chunk_next++] =
        (struct chunk_place){ move->request.at, move->chunk_bytes };
    if (move->entry->is_word)
        send_word(spool, move);
    else
        to_keeper(spool, move);
}

/* The copy is flushed: it is the message now. */
static void on_moved(struct spool *spool, struct move *move)
{
    struct spool_entry *entry = move->entry;

    spool->reclaim.bytes_live -= entry_bytes(entry);
    entry->at = move->request.at;
    entry->first = move->first;
    entry->record_bytes = (uint32_t)record_bytes(&move->record);
    entry->content_bytes = move->record.content_bytes;
    entry->is_in_chunks = move->record.chunk_count > 0;
    entry->is_moving = false;
    spool->reclaim.bytes_live += entry_bytes(entry);
    list_remove(&entry->in_segment);
    list_add_last(&spool_segment(spool, entry->first)->entries, &entry->in_segment);
    spool_unpin(spool, move->place.first); /* the message's pin, */
    spool_unpin(spool, move->place.first); /* and the move's */
    atomic_fetch_add(&spool->messages_moved, 1);
    move_free(spool, move);
}

static void on_written(struct spool *spool, struct move *move)
{
    if (move->err || !move->entry)
        give_up(spool, move);
    else if (move->chunk_next < move->record.chunk_count)
        on_chunk_moved(spool, move);
    else
        on_moved(spool, move);
}

void reclaim_try_again(struct spool *spool, struct spool_entry *entry)
{
    list_each (node, &spool->reclaim.moves)
        if (container_of(node, struct move, node)->entry == entry)
            return; /* it looks by itself what the entry is by then */
    entry->is_moving = false;
    list_remove(&entry->in_segment);
    list_add_first(&spool_segment(spool, entry->first)->entries, &entry->in_segment);
}

void reclaim_follow(struct spool *spool, const struct spool_entry *from, struct spool_entry *to)
{
    list_each (node, &spool->reclaim.moves) {
        struct move *move = container_of(node, struct move, node);
        if (move->entry == from)
            move->entry = to;
    }
}

void reclaim_forget(struct spool *spool, struct spool_entry *entry)
{
    reclaim_follow(spool, entry, NULL);
}

/* --- The pace ---------------------------------------------------------------------------- */

static bool is_worth_it(struct spool *spool, uint64_t log_bytes)
{
    const struct reclaim *reclaim = &spool->reclaim;
    uint64_t segment_bytes = spool->settings.segment_bytes;

    if (log_bytes > 2 * reclaim->bytes_live + SLACK_SEGMENTS * segment_bytes)
        return true;
    if (!atomic_load(&spool->blocked) || atomic_load(&spool->ready_count) > PREPARED_MIN)
        return false;
    /* Tight: when something can be gained, and the copies leave room for outcomes. */
    return log_bytes > reclaim->bytes_live + GAIN_SEGMENTS_MIN * segment_bytes &&
           (atomic_load(&spool->ready_count) || atomic_load(&spool->room) > segment_bytes / 2);
}

/* The oldest segment, pinned; NULL: there is nothing in it to be moved. */
static struct segment *take_oldest(struct spool *spool, uint64_t *log_bytes)
{
    struct segment *oldest = NULL;

    pthread_mutex_lock(&spool->lock);
    *log_bytes = spool->segment_count * spool->settings.segment_bytes;
    if (spool->segment_count > 1 && atomic_load(&spool->segments[0]->live)) {
        oldest = spool->segments[0];
        atomic_fetch_add(&oldest->live, 1);
    }
    pthread_mutex_unlock(&spool->lock);
    return oldest;
}

static void start_from(struct spool *spool, struct segment *oldest)
{
    struct reclaim *reclaim = &spool->reclaim;
    struct list *node;

    while (reclaim->move_count < MOVES_MAX && reclaim->bytes_under_way < BYTES_UNDER_WAY_MAX &&
           (node = list_first(&oldest->entries))) {
        struct spool_entry *entry = container_of(node, struct spool_entry, in_segment);
        if (entry->is_moving)
            break; /* those that are started stand at the end */
        list_remove(node);
        list_add_last(&oldest->entries, node);
        start(spool, entry);
    }
}

static void start_some(struct spool *spool)
{
    uint64_t log_bytes;
    struct segment *oldest = take_oldest(spool, &log_bytes);

    if (!oldest)
        return;
    if (is_worth_it(spool, log_bytes))
        start_from(spool, oldest);
    spool_unpin(spool, oldest->base);
}

static struct move *take_all(struct spool *spool, struct move **list)
{
    struct move *moves;

    pthread_mutex_lock(&spool->lock);
    moves = *list;
    *list = NULL;
    pthread_mutex_unlock(&spool->lock);
    return moves;
}

static void on_tick(struct timer *timer)
{
    struct reclaim *reclaim = container_of(timer, struct reclaim, tick);
    struct spool *spool = container_of(reclaim, struct spool, reclaim);
    struct move *move, *next;

    for (move = take_all(spool, &reclaim->was_read); move; move = next) {
        next = move->next;
        on_read(spool, move);
    }
    for (move = take_all(spool, &reclaim->was_written); move; move = next) {
        next = move->next;
        on_written(spool, move);
    }
    start_some(spool);
    timer_start(timer, reclaim->move_count ? TICK_BUSY_MS : TICK_IDLE_MS);
}

void reclaim_start(struct spool *spool)
{
    timer_init(&spool->reclaim.tick, spool->home, on_tick);
    timer_start(&spool->reclaim.tick, TICK_IDLE_MS);
}

void reclaim_stop(struct spool *spool)
{
    list_each (node, &spool->reclaim.moves) {
        struct move *move = container_of(node, struct move, node);
        if (move->entry)
            move->entry->is_moving = false;
        move_free(spool, move);
    }
}
