/* What the home loop knows and says of messages that are committed. */
#include "spool/internal.h"

#include "base/hash.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

static bool has_many(const struct spool_entry *entry)
{
    return entry->recipient_count > sizeof entry->outcome.few;
}

enum spool_outcome spool_entry_outcome(const struct spool_entry *entry, uint32_t recipient)
{
    assert(recipient < entry->recipient_count);
    return has_many(entry) ? entry->outcome.many[recipient] : entry->outcome.few[recipient];
}

uint64_t entry_bytes(const struct spool_entry *entry)
{
    if (entry->is_word)
        return WORD_BYTES_MAX;
    return entry->record_bytes + (entry->is_in_chunks ? entry->content_bytes : 0);
}

void spool_adopt(struct spool *spool, struct spool_entry *entry)
{
    list_init(&entry->in_segment);
    list_add_last(&spool_segment(spool, entry->first)->entries, &entry->in_segment);
    spool->reclaim.messages_live++;
    spool->reclaim.bytes_live += entry_bytes(entry);
}

void spool_move_entry(struct spool *spool, struct spool_entry *from, struct spool_entry *to)
{
    *to = *from;
    list_insert_before(&from->in_segment, &to->in_segment);
    list_remove(&from->in_segment);
    if (to->is_moving)
        reclaim_follow(spool, from, to);
    *from = (struct spool_entry){ .by_mid = from->by_mid };
    list_init(&from->in_segment);
}

/* A record of its own, whose payload has room for COUNT numbers. */
static struct note *note_new(const struct spool_entry *entry, struct record *record)
{
    struct note *note = mem_new(sizeof *note + RECORD_HEADER_BYTES + record->payload_bytes);

    record->mid = entry->by_mid.mid;
    note->request.kind = REQUEST_NOTE;
    note->request.front = note->front;
    note->request.front_bytes = RECORD_HEADER_BYTES + record->payload_bytes;
    return note;
}

static void put_note(struct spool *spool, struct note *note, struct record *record)
{
    struct bytes payload = bytes_of(note->front + RECORD_HEADER_BYTES, record->payload_bytes);

    record->payload_hash = hash64(payload, spool->seed);
    record_encode(record, note->front);
    inbox_put(&spool->inbox, &note->request);
}

void spool_note(struct spool *spool, struct spool_entry *entry, const uint32_t *recipients,
    uint32_t recipient_count, enum spool_outcome outcome)
{
    uint8_t *outcomes = has_many(entry) ? entry->outcome.many : entry->outcome.few;
    struct record record = {
        .type = RECORD_OUTCOME,
        .outcome = (uint8_t)outcome,
        .recipient_count = recipient_count,
        .payload_bytes = 4 * recipient_count,
    };
    struct note *note = note_new(entry, &record);

    for (uint32_t i = 0; i < recipient_count; i++) {
        assert(recipients[i] < entry->recipient_count);
        outcome_set(&outcomes[recipients[i]], (uint8_t)outcome);
        record_put_number(note->front + RECORD_HEADER_BYTES + 4 * (size_t)i, recipients[i]);
    }
    put_note(spool, note, &record);
}

/* Those that stand at FROM stand at TO from now on. */
static void turn(struct spool *spool, struct spool_entry *entry, enum spool_outcome from,
    enum spool_outcome to)
{
    uint32_t *recipients = mem_new(entry->recipient_count * sizeof *recipients), count = 0;

    for (uint32_t i = 0; i < entry->recipient_count; i++) {
        if (spool_entry_outcome(entry, i) == from)
            recipients[count++] = i;
    }
    if (count)
        spool_note(spool, entry, recipients, count, to);
    if (count && from == SPOOL_SUSPENDED_DELAYED)
        spool_note(spool, entry, recipients, count, SPOOL_DELAYED);
    free(recipients);
}

void spool_suspend(struct spool *spool, struct spool_entry *entry, bool suspended)
{
    if (suspended) {
        turn(spool, entry, SPOOL_PENDING, SPOOL_SUSPENDED);
        turn(spool, entry, SPOOL_RESUMED, SPOOL_SUSPENDED);
        turn(spool, entry, SPOOL_DELAYED, SPOOL_SUSPENDED_DELAYED);
    } else {
        turn(spool, entry, SPOOL_SUSPENDED, SPOOL_RESUMED);
        turn(spool, entry, SPOOL_SUSPENDED_DELAYED, SPOOL_RESUMED);
    }
}

/* --- Who has it -------------------------------------------------------------------------- */

static void on_stood(struct loop_post *post)
{
    struct spool_word *word = container_of(post, struct spool_word, post);

    word->done(word);
}

/* What it takes to copy the entry forward changes with what it is. */
static void set_standing(struct spool *spool, struct spool_entry *entry, bool is_word)
{
    assert(is_word || !entry->is_word); /* its content may be gone */
    spool->reclaim.bytes_live -= entry_bytes(entry);
    entry->has_standing = true;
    entry->is_word = is_word;
    spool->reclaim.bytes_live += entry_bytes(entry);
    if (is_word && entry->is_moving)
        reclaim_try_again(spool, entry);
}

void spool_stand(struct spool *spool, struct spool_entry *entry,
    const struct standing *standing, struct spool_word *word)
{
    uint8_t *payload = word->front + RECORD_HEADER_BYTES;
    size_t bytes = standing_encode(standing, payload);
    struct record record = {
        .type = RECORD_STANDING,
        .mid = entry->by_mid.mid,
        .payload_bytes = (uint32_t)bytes,
        .payload_hash = hash64(bytes_of(payload, bytes), spool->seed),
    };

    record_encode(&record, word->front);
    word->request = (struct spool_request){
        .kind = REQUEST_WORD, .front = word->front, .front_bytes = RECORD_HEADER_BYTES + bytes
    };
    word->home = spool->home;
    word->post.run = on_stood;
    set_standing(spool, entry, standing->role == STANDING_SETTLED);
    inbox_put(&spool->inbox, &word->request);
}

/* --- The end ----------------------------------------------------------------------------- */

static void forget(struct spool *spool, struct spool_entry *entry)
{
    if (entry->is_moving)
        reclaim_forget(spool, entry);
    list_remove(&entry->in_segment);
    spool->reclaim.messages_live--;
    spool->reclaim.bytes_live -= entry_bytes(entry);
    if (has_many(entry)) {
        free(entry->outcome.many);
        entry->outcome.many = NULL;
    }
}

void spool_settle(struct spool *spool, struct spool_entry *entry)
{
    struct record record = { .type = RECORD_SETTLE };
    struct note *note = note_new(entry, &record);

    put_note(spool, note, &record);
    forget(spool, entry);
    spool_unpin(spool, entry->first);
}

void spool_leave(struct spool *spool, struct spool_entry *entry)
{
    forget(spool, entry); /* its segment stays pinned, and so in the log */
}

static void on_flushed(struct loop_post *post)
{
    struct spool_barrier *barrier = container_of(post, struct spool_barrier, post);

    barrier->done(barrier);
}

static void put_barrier(struct spool *spool, struct spool_barrier *barrier, bool is_patient)
{
    barrier->is_patient = is_patient;
    barrier->home = spool->home;
    barrier->post.run = on_flushed;
    barrier->request = (struct spool_request){ .kind = REQUEST_BARRIER };
    inbox_put(&spool->inbox, &barrier->request);
}

void spool_flush(struct spool *spool, struct spool_barrier *barrier)
{
    put_barrier(spool, barrier, false);
}

void spool_flush_soon(struct spool *spool, struct spool_barrier *barrier)
{
    put_barrier(spool, barrier, true);
}
