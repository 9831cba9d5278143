/* Any bytes as the records of a segment.  The first byte chooses: as they are, or with the
 * checksums made right wherever a record's mark stands, so that what is behind them is reached.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "spool/internal.h"

#include <stdlib.h>

enum { BASE = 4096 };

static const struct store_id store = { { 's', 'e', 'e', 'd' } };

static void on_message(void *me, const struct spool_found *found)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < found->envelope.n; i++)
        sum ^= found->envelope.at[i]; /* all of it is there */
    for (uint32_t i = 0; i < found->entry.recipient_count; i++)
        sum ^= (uint8_t)spool_entry_outcome(&found->entry, i);
    sum ^= found->standing.role;
    *(uint8_t *)me = sum;
    if (found->entry.recipient_count > sizeof found->entry.outcome.few)
        free(found->entry.outcome.many);
}

/* Checksums for what may be a record at AT; how many bytes it takes. */
static size_t make_right(uint8_t *log, size_t n, size_t at)
{
    const uint64_t seed = record_seed(store);
    uint64_t durable;
    struct record record;

    memcpy(&durable, log + at + 16, sizeof durable);
    record_stamp(log + at, BASE + at, durable, seed);
    if (!record_decode(log + at, BASE + at, seed, &record) || record_bytes(&record) > n - at)
        return RECORD_ALIGN;
    record_set_payload_hash(
        log + at, hash64(bytes_of(log + at + RECORD_HEADER_BYTES, record.payload_bytes), seed));
    record_stamp(log + at, BASE + at, durable, seed);
    return record_bytes(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t sum = 0, *log;
    const struct spool_visitor visitor = { &sum, on_message, NULL, NULL, NULL };
    struct scan *scan;

    if (!size)
        return 0;
    log = mem_copy(data + 1, size - 1);
    for (size_t at = 0; data[0] & 1 && at + RECORD_HEADER_BYTES < size;)
        at += make_right(log, size - 1, at);
    scan = scan_new(store, &visitor);
    scan_bytes(scan, bytes_of(log, size - 1), BASE, data[0] & 2 ? BASE : SCAN_SURE_BY_MARKS);
    scan_tell(scan);
    scan_free(scan);
    free(log);
    return 0;
}
