/* Records as bytes, and what a scan makes of them: whole, cut, damaged. */
#include "kit.h"

#include "base/hash.h"
#include "spool/internal.h"

#include <stdio.h>
#include <stdlib.h>

static const struct store_id store = { { 1, 2, 3, 4 } };

static struct record message(uint8_t number, uint32_t bytes)
{
    return (struct record){ .type = RECORD_MESSAGE,
        .mid = { { number } },
        .payload_bytes = bytes,
        .envelope_bytes = bytes / 3,
        .content_bytes = bytes - bytes / 3,
        .recipient_count = 2 };
}

static void decodes_what_it_encodes(void **state)
{
    const uint64_t seed = record_seed(store);
    struct record record = message(7, 100), got;
    uint8_t bytes[RECORD_HEADER_BYTES], again[RECORD_HEADER_BYTES];

    (void)state;
    record.payload_hash = 12345;
    record_encode(&record, bytes);
    record_stamp(bytes, 4096, 4000, seed);
    assert_true(record_decode(bytes, 4096, seed, &got));
    record_encode(&got, again);
    record_stamp(again, got.at, got.durable, seed);
    assert_memory_equal(bytes, again, sizeof bytes);
    assert_int_equal(record_bytes(&got), 192);
    assert_false(record_decode(bytes, 4104, seed, &got)); /* it stands elsewhere */
    assert_false(record_decode(bytes, 4096, seed + 1, &got));
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= 1;
        assert_false(record_decode(bytes, 4096, seed, &got));
        bytes[i] ^= 1;
    }
}

/* Whoever knows the store's seed can make the checksum right. */
static void compares_lengths(void **state)
{
    static const struct {
        const char *name;
        struct record record;
        bool is_good;
    } cases[] = {
        { "a message",
            { RECORD_MESSAGE, .payload_bytes = 9, .envelope_bytes = 4, .content_bytes = 5 },
            true },
        { "payload too short",
            { RECORD_MESSAGE, .payload_bytes = 8, .envelope_bytes = 4, .content_bytes = 5 },
            false },
        { "payload too long",
            { RECORD_MESSAGE, .payload_bytes = 10, .envelope_bytes = 4, .content_bytes = 5 },
            false },
        { "content of 4 GiB",
            { RECORD_MESSAGE, .payload_bytes = 4, .envelope_bytes = 4,
                .content_bytes = 1ull << 32 },
            false },
        { "a sum that wraps",
            { RECORD_MESSAGE, .payload_bytes = 3, .envelope_bytes = 4,
                .content_bytes = UINT64_MAX },
            false },
        { "4 GiB in chunks",
            { RECORD_MESSAGE, .payload_bytes = 20, .envelope_bytes = 4, .chunk_count = 1,
                .content_bytes = 1ull << 32 },
            true },
        { "a place too few",
            { RECORD_MESSAGE, .payload_bytes = 20, .envelope_bytes = 4, .chunk_count = 2 },
            false },
        { "an outcome", { RECORD_OUTCOME, .payload_bytes = 8, .recipient_count = 2 }, true },
        { "an outcome cut", { RECORD_OUTCOME, .payload_bytes = 7, .recipient_count = 2 },
            false },
        { "with a standing",
            { RECORD_MESSAGE, RECORD_HAS_STANDING, .payload_bytes = 49, .envelope_bytes = 4,
                .standing_bytes = 40, .content_bytes = 5 },
            true },
        { "a standing that is not in the payload",
            { RECORD_MESSAGE, RECORD_HAS_STANDING, .payload_bytes = 9, .envelope_bytes = 4,
                .standing_bytes = 40, .content_bytes = 5 },
            false },
        { "a standing of no bytes",
            { RECORD_MESSAGE, RECORD_HAS_STANDING, .payload_bytes = 9, .envelope_bytes = 4,
                .content_bytes = 5 },
            false },
        { "a standing and no flag",
            { RECORD_MESSAGE, .payload_bytes = 49, .envelope_bytes = 4, .standing_bytes = 40,
                .content_bytes = 5 },
            false },
        { "a word", { RECORD_STANDING, .payload_bytes = 40 }, true },
        { "a settle", { RECORD_SETTLE }, true },
        { "a settle with a payload", { RECORD_SETTLE, .payload_bytes = 1 }, false },
        { "a later version's", { 31, .payload_bytes = 3 }, true },
    };
    const uint64_t seed = record_seed(store);
    uint8_t bytes[RECORD_HEADER_BYTES];
    struct record got;

    (void)state;
    for (unsigned i = 0; i < CASES(cases); i++) {
        record_encode(&cases[i].record, bytes);
        record_stamp(bytes, 4096, 4000, seed);
        check(cases[i].name, record_decode(bytes, 4096, seed, &got) == cases[i].is_good);
    }
}

static void heads_hold(void **state)
{
    struct segment_head head = { store, 8192, 2, 4096, 8000, 7000 }, got;
    struct store_head file = { STORE_VERSION, store, 1 << 20, { { 9, 8 } } }, got_file;
    uint8_t bytes[SEGMENT_HEAD_BYTES], small[STORE_BYTES];

    (void)state;
    segment_head_encode(&head, bytes);
    assert_true(segment_head_decode(bytes, store, 8192, &got));
    assert_memory_equal(&head, &got, sizeof head);
    assert_false(segment_head_decode(bytes, store, 4096, &got));
    assert_false(segment_head_decode(bytes, (struct store_id){ { 9 } }, 8192, &got));
    for (size_t i = 0; i < 88; i++) {
        bytes[i] ^= 0x80;
        assert_false(segment_head_decode(bytes, store, 8192, &got));
        bytes[i] ^= 0x80;
    }
    head.previous_end = head.base + 1; /* ends behind its own beginning */
    segment_head_encode(&head, bytes);
    assert_false(segment_head_decode(bytes, store, 8192, &got));
    assert_int_equal(got.previous_end, 8000); /* left alone */
    store_head_encode(&file, small);
    assert_true(store_head_decode(bytes_of(small, sizeof small), &got_file));
    assert_memory_equal(file.id.byte, got_file.id.byte, sizeof file.id.byte);
    assert_memory_equal(store_told(&got_file).byte, file.told.byte, sizeof file.told.byte);
    got_file.told = (struct store_id){ { 0 } };
    assert_memory_equal(store_told(&got_file).byte, file.id.byte, sizeof file.id.byte);
    for (size_t i = 0; i < sizeof small; i++) {
        assert_false(store_head_decode(bytes_of(small, i), &got_file));
        small[i] ^= 0x80;
        assert_false(store_head_decode(bytes_of(small, sizeof small), &got_file));
        small[i] ^= 0x80;
    }
}

/* --- Scans -------------------------------------------------------------------------------- */

enum { BASE = 4096, RECORDS = 5, LOG_BYTES = 4096 };

struct heard {
    char found[32]; /* a letter each */
    unsigned damage_count;
};

static void on_message(void *me, const struct spool_found *found)
{
    struct heard *heard = me;
    size_t n = strlen(heard->found);

    assert_true(n + 1 < sizeof heard->found);
    heard->found[n] = (char)('a' + found->mid.byte[0]);
    if (found->entry.recipient_count > sizeof found->entry.outcome.few)
        free(found->entry.outcome.many);
}

static void on_damage(void *me, uint64_t at, const char *why)
{
    (void)at;
    (void)why;
    ((struct heard *)me)->damage_count++;
}

static size_t add(
    uint8_t *log, size_t at, const struct record *what, uint8_t fill, uint64_t durable)
{
    struct record record = *what;
    uint64_t seed = record_seed(store);

    memset(log + at + RECORD_HEADER_BYTES, fill, record.payload_bytes);
    record.payload_hash =
        hash64(bytes_of(log + at + RECORD_HEADER_BYTES, record.payload_bytes), seed);
    record_encode(&record, log + at);
    record_stamp(log + at, BASE + at, durable, seed);
    return at + record_bytes(&record);
}

/* Messages a to e; the mark of each is where it begins (all before is flushed) or BASE. */
static size_t build(uint8_t log[LOG_BYTES], size_t at[RECORDS + 1], bool has_marks)
{
    memset(log, 0, LOG_BYTES);
    at[0] = 0;
    for (uint8_t i = 0; i < RECORDS; i++) {
        struct record record = message(i, 40 + 30 * i);
        at[i + 1] = add(log, at[i], &record, i, has_marks ? BASE + at[i] : BASE);
    }
    return at[RECORDS];
}

static struct heard scan(const uint8_t *log, size_t n, uint64_t sure)
{
    struct heard heard = { "", 0 };
    const struct spool_visitor visitor = { &heard, on_message, on_damage, NULL, NULL };
    struct scan *s = scan_new(store, &visitor);

    scan_bytes(s, bytes_of(log, n), BASE, sure);
    scan_tell(s);
    scan_free(s);
    return heard;
}

static void is_cut_at_every_byte(void **state)
{
    uint8_t log[LOG_BYTES];
    size_t at[RECORDS + 1], end;

    (void)state;
    end = build(log, at, true);
    for (size_t n = 0; n <= end; n++) {
        struct heard heard = scan(log, n, SCAN_SURE_BY_MARKS);
        size_t whole = 0;
        while (whole < RECORDS && at[whole + 1] <= n)
            whole++;
        assert_int_equal(strlen(heard.found), whole);
        assert_int_equal(heard.damage_count, 0);
    }
}

/* A byte of one record is wrong: the others are found.  It is damage when a later mark, or the
 * next segment's head, says that it was flushed. */
static void sets_one_record_aside(void **state)
{
    static const struct {
        const char *name;
        bool has_marks;
        uint64_t sure;
        unsigned victim, damage_count;
    } cases[] = {
        { "flushed, by marks", true, SCAN_SURE_BY_MARKS, 1, 1 },
        { "the last one is torn", true, SCAN_SURE_BY_MARKS, 4, 0 },
        { "no mark tells", false, SCAN_SURE_BY_MARKS, 1, 0 },
        { "flushed, by the next head", false, UINT64_MAX - 1, 1, 1 },
        { "torn and known, by the next head", true, BASE, 1, 0 },
    };
    uint8_t log[LOG_BYTES];
    size_t at[RECORDS + 1], end;

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        end = build(log, at, cases[i].has_marks);
        for (size_t k = at[cases[i].victim]; k < at[cases[i].victim + 1]; k++) {
            struct record record;
            struct heard heard;
            record_decode(log + at[cases[i].victim], BASE + at[cases[i].victim],
                record_seed(store), &record);
            if (k - at[cases[i].victim] >= RECORD_HEADER_BYTES + record.payload_bytes)
                break; /* nothing relies on what fills up */
            log[k] ^= 4;
            heard = scan(log, end, cases[i].sure);
            check(cases[i].name, strlen(heard.found) == RECORDS - 1);
            check(cases[i].name, !strchr(heard.found, 'a' + (int)cases[i].victim));
            check(cases[i].name, heard.damage_count == cases[i].damage_count);
            log[k] ^= 4;
        }
    }
}

/* The copy counts, with outcomes of both; what is settled is gone, whichever place it had. */
static void follows_a_message(void **state)
{
    uint8_t log[LOG_BYTES];
    struct record first = message(0, 60), copy = message(0, 62), other = message(1, 30),
                  settle = { .type = RECORD_SETTLE, .mid = { { 0 } } };
    size_t n;

    (void)state;
    copy.flags = RECORD_HAS_STATES;
    copy.payload_bytes = copy.envelope_bytes + (uint32_t)copy.content_bytes + 2;
    n = add(log, 0, &first, 0, BASE);
    n = add(log, n, &other, 0, BASE);
    assert_string_equal(scan(log, n, SCAN_SURE_BY_MARKS).found, "ab");
    n = add(log, n, &copy, 0, BASE);
    assert_string_equal(scan(log, n, SCAN_SURE_BY_MARKS).found, "ba");
    n = add(log, n, &settle, 0, BASE);
    assert_string_equal(scan(log, n, SCAN_SURE_BY_MARKS).found, "b");
    n = add(log, n, &settle, 0, BASE);
    assert_string_equal(scan(log, n, SCAN_SURE_BY_MARKS).found, "b");
    n = add(log, n, &first, 0, BASE);
    assert_string_equal(scan(log, n, SCAN_SURE_BY_MARKS).found, "ba");
}

/* --- Standings ----------------------------------------------------------------------------- */

struct stood {
    unsigned count, damage_count;
    struct spool_found last;
};

static void on_stood(void *me, const struct spool_found *found)
{
    struct stood *stood = me;

    stood->count++;
    stood->last = *found;
}

static void on_stood_damage(void *me, uint64_t at, const char *why)
{
    (void)at;
    assert_non_null(strstr(why, "does not know"));
    ((struct stood *)me)->damage_count++;
}

static size_t add_bytes(uint8_t *log, size_t at, struct record record, struct bytes payload)
{
    const uint64_t seed = record_seed(store);

    memcpy(log + at + RECORD_HEADER_BYTES, payload.at, payload.n);
    record.payload_bytes = (uint32_t)payload.n;
    record.payload_hash = hash64(payload, seed);
    record_encode(&record, log + at);
    record_stamp(log + at, BASE + at, BASE, seed);
    return at + record_bytes(&record);
}

/* A message of mid 1 with a standing; the word alone when it is SETTLED. */
static size_t add_message(uint8_t *log, size_t at, enum standing_role role)
{
    struct standing standing = { .role = (uint8_t)role, .generation = 1 };
    uint8_t payload[STANDING_BYTES_MAX + 7] = { 'e', 'n', 'v' };
    size_t front = role == STANDING_SETTLED ? 0 : 3, n;
    struct record record = { .type = RECORD_MESSAGE,
        .flags = RECORD_HAS_STANDING,
        .mid = { { 1 } },
        .envelope_bytes = (uint32_t)front };

    n = standing_encode(&standing, payload + front);
    record.standing_bytes = (uint16_t)n;
    n += front;
    if (front) {
        memcpy(payload + n, "body", 4);
        record.content_bytes = 4;
        n += 4;
    }
    return add_bytes(log, at, record, bytes_of(payload, n));
}

static size_t add_word(uint8_t *log, size_t at, enum standing_role role, uint8_t flags)
{
    struct standing standing = { .role = (uint8_t)role, .generation = 2 };
    uint8_t payload[STANDING_BYTES_MAX];
    size_t n = standing_encode(&standing, payload);

    payload[3] = flags;
    return add_bytes(log, at, (struct record){ .type = RECORD_STANDING, .mid = { { 1 } } },
        bytes_of(payload, n));
}

/* m: the message as primary; M: a copy of it, held; W: its word alone; h, s: it is held,
 * settled; ?: something of a later version; x: the end. */
static size_t add_step(uint8_t *log, size_t at, char step)
{
    switch (step) {
    case 'm':
        return add_message(log, at, STANDING_PRIMARY);
    case 'M':
        return add_message(log, at, STANDING_HELD);
    case 'W':
        return add_message(log, at, STANDING_SETTLED);
    case 'h':
        return add_word(log, at, STANDING_HELD, 0);
    case 's':
        return add_word(log, at, STANDING_SETTLED, 0);
    case '?':
        return add_word(log, at, STANDING_HELD, 1);
    default:
        return add_bytes(
            log, at, (struct record){ .type = RECORD_SETTLE, .mid = { { 1 } } }, BYTES(""));
    }
}

static void follows_standings(void **state)
{
    static const struct {
        const char *steps;
        int role;          /* -1: nothing is found */
        uint8_t said_by;   /* the step whose record says so */
        size_t envelope_n; /* of the message's own record */
        unsigned damage_count;
    } cases[] = {
        { "m", STANDING_PRIMARY, 0, 3, 0 },
        { "mh", STANDING_HELD, 1, 3, 0 },
        { "mhs", STANDING_SETTLED, 2, 3, 0 },
        { "mhM", STANDING_HELD, 2, 3, 0 },
        { "mMs", STANDING_SETTLED, 2, 3, 0 },
        { "msW", STANDING_SETTLED, 2, 0, 0 },
        { "msWs", STANDING_SETTLED, 3, 0, 0 },
        { "msWx", -1, 0, 0, 0 },
        { "msx", -1, 0, 0, 0 },
        { "mxs", -1, 0, 0, 0 },
        { "sm", STANDING_PRIMARY, 1, 3, 0 },
        { "m?", STANDING_ASIDE, 1, 3, 1 },
        { "m?h", STANDING_HELD, 2, 3, 1 },
        { "m?x", -1, 0, 0, 1 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        uint8_t log[LOG_BYTES] = { 0 };
        struct stood stood = { 0 };
        const struct spool_visitor visitor = { &stood, on_stood, on_stood_damage, NULL, NULL };
        struct scan *s = scan_new(store, &visitor);
        size_t n = 0, at[8];
        for (size_t k = 0; cases[i].steps[k]; k++) {
            at[k] = n;
            n = add_step(log, n, cases[i].steps[k]);
        }
        scan_bytes(s, bytes_of(log, n), BASE, SCAN_SURE_BY_MARKS);
        scan_tell(s);
        scan_free(s);
        check(cases[i].steps, stood.damage_count == cases[i].damage_count);
        check(cases[i].steps, stood.count == (cases[i].role >= 0));
        if (cases[i].role < 0)
            continue;
        check(cases[i].steps, stood.last.has_standing);
        check(cases[i].steps, stood.last.standing.role == cases[i].role);
        check(cases[i].steps, stood.last.standing_at == BASE + at[cases[i].said_by]);
        check(cases[i].steps, stood.last.entry.is_word == (cases[i].role == STANDING_SETTLED));
        check(cases[i].steps, stood.last.envelope.n == cases[i].envelope_n);
    }
}

/* A chunk of it is missing: what is over needs none. */
static void a_word_needs_no_content(void **state)
{
    uint8_t log[LOG_BYTES] = { 0 }, payload[STANDING_BYTES_MAX + RECORD_CHUNK_PLACE_BYTES];
    struct standing standing = { .role = STANDING_PRIMARY };
    struct record record = { .type = RECORD_MESSAGE,
        .flags = RECORD_HAS_STANDING,
        .mid = { { 1 } },
        .chunk_count = 1,
        .content_bytes = 100 };
    size_t n = standing_encode(&standing, payload);

    (void)state;
    record.standing_bytes = (uint16_t)n;
    chunk_place_encode((struct chunk_place){ BASE, 100 }, payload + n);
    for (unsigned is_word = 0; is_word < 2; is_word++) {
        struct stood stood = { 0 };
        const struct spool_visitor visitor = { &stood, on_stood, NULL, NULL, NULL };
        struct scan *s = scan_new(store, &visitor);
        size_t end =
            add_bytes(log, 192, record, bytes_of(payload, n + RECORD_CHUNK_PLACE_BYTES));
        if (is_word)
            end = add_word(log, end, STANDING_SETTLED, 0);
        scan_bytes(s, bytes_of(log, end), BASE, SCAN_SURE_BY_MARKS);
        scan_tell(s);
        scan_free(s);
        assert_int_equal(stood.count, is_word);
    }
}

/* Bytes of another place in the log, or of another store, are nothing. */
static void knows_leftovers(void **state)
{
    uint8_t log[LOG_BYTES];
    size_t at[RECORDS + 1], end;
    struct heard heard;

    (void)state;
    end = build(log, at, false);
    memmove(log + 8, log, end);
    memset(log, 0, 8);
    heard = scan(log, end + 8, SCAN_SURE_BY_MARKS);
    assert_string_equal(heard.found, "");
    assert_int_equal(heard.damage_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_what_it_encodes),
        cmocka_unit_test(compares_lengths),
        cmocka_unit_test(heads_hold),
        cmocka_unit_test(is_cut_at_every_byte),
        cmocka_unit_test(sets_one_record_aside),
        cmocka_unit_test(follows_a_message),
        cmocka_unit_test(follows_standings),
        cmocka_unit_test(a_word_needs_no_content),
        cmocka_unit_test(knows_leftovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
