/* A spool in a folder of its own, and a loop that runs until something has happened. */
#ifndef TESTS_SPOOL_KIT_H
#define TESTS_SPOOL_KIT_H

#include "kit.h"

#include "os/loop.h"
#include "spool/spool.h"

#include <stdlib.h>

enum { KEPT_MAX = 4096 };

/* A message as a queue would keep it. */
struct kept {
    struct spool_entry entry;
    bool is_live;
    struct spool_content *content;
    char envelope[64];
    struct standing standing; /* with entry.has_standing */
    uint64_t standing_at;     /* as found at opening */
};

struct bench {
    struct loop *loop;
    char folder[64];
    struct spool_settings settings;
    struct spool *spool;
    struct kept kept[KEPT_MAX];
    const struct standing *standing; /* what messages are committed with; NULL: nothing */
    unsigned found_count, damage_count;
    char damage[256]; /* the last one's why */
};

void bench_init(struct bench *bench);
void bench_done(struct bench *bench); /* removes the folder */
void bench_open(struct bench *bench);
enum err bench_try_open(struct bench *bench, char why[256]);
void bench_close(struct bench *bench); /* forgets what is kept, as the end of a process does */

/* Runs the loop until HAS_COME says so; fails after a minute. */
void bench_until(struct bench *bench, bool (*has_come)(void *me), void *me);

/* The bytes that message NUMBER has at AT: the same ones each time. */
uint8_t bench_byte(unsigned number, uint64_t at);
struct mid bench_mid(unsigned number);

/* A commit of message NUMBER of N bytes with so many recipients; waits for its end.  The
 * message is adopted when it is OK. */
enum err bench_commit(struct bench *bench, unsigned number, uint64_t n, uint32_t recipients);

/* The same without waiting: ask with bench_is_done(). */
struct bench_commit {
    struct spool_ticket ticket;
    struct bench *bench;
    unsigned number;
    bool is_done;
    struct standing standing;
};
void bench_begin(struct bench *bench, struct bench_commit *commit, unsigned number, uint64_t n,
    uint32_t recipients, const struct spool_cause *cause);

/* A standing that can be told from others. */
struct standing bench_standing(enum standing_role role, uint16_t generation);

/* Message NUMBER stands so from now on. */
struct bench_word {
    struct spool_word word;
    bool is_done;
};
void bench_stand(struct bench *bench, struct bench_word *word, unsigned number,
    enum standing_role role, uint16_t generation);
void bench_wait_word(struct bench *bench, struct bench_word *word);

/* All recipients delivered, and the message settled. */
void bench_settle(struct bench *bench, unsigned number);
enum err bench_flush(struct bench *bench);

/* A barrier that nobody waits for. */
struct bench_barrier {
    struct spool_barrier barrier;
    bool is_done;
};
void bench_flush_soon(struct bench *bench, struct bench_barrier *flushing);
/* Reads message NUMBER back and compares every byte. */
enum err bench_read(struct bench *bench, unsigned number);
unsigned bench_live_count(const struct bench *bench);

/* Copies the folder FROM, which is not in use, to TO. */
void folder_copy(const char *from, const char *to);

#endif
