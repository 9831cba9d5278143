/* The small file of what is known of stores: whose they are, how far they were heard, which are
 * retired (R14, R20).  A text, FOLDER/stores, replaced as a whole:
 *
 *     relais stores 1
 *     store 0c5e...32hex node=ex01.example.com position=81723 current
 *     store 77aa...32hex node=ex02.example.com position=5512 own went-back
 *     end 2 9f0c...16hex
 *
 * The last line counts the lines before it and has their hash: a file that lost a part is an
 * error at the start, never less knowledge than there was.
 *
 * Home loop; writing goes by a thread of the pool. */
#ifndef NODE_STORES_H
#define NODE_STORES_H

#include "node/ledger.h"
#include "os/loop.h"

/* --- The text ---------------------------------------------------------------------------- */

enum { STORES_BYTES_MAX = 1 << 20, STORES_WHY_BYTES = 512 };

enum err stores_format(
    const struct ledger_store *stores, uint32_t count, struct buf *out) MUST_USE;
/* *OUT is malloc'ed.  ERR_SYNTAX, ERR_CORRUPT: WHY has NAME, line and reason. */
enum err stores_parse(struct bytes text, const char *name, struct ledger_store **out,
    uint32_t *count, char why[STORES_WHY_BYTES]) MUST_USE;

/* Reads the file of FOLDER; blocks.  No file: no stores, OK. */
enum err stores_read(const char *folder, struct ledger_store **out, uint32_t *count,
    char why[STORES_WHY_BYTES]) MUST_USE;
/* Replaces it; durable when it returns OK, the old one or the new one when not; blocks. */
enum err stores_write(const char *folder, struct bytes text) MUST_USE;

/* --- Writing behind ---------------------------------------------------------------------- */

struct stores;

/* ON_WRITTEN: what stores_change() with this tag gave is durable.  Each tag comes once, in the
 * order given.  A write that fails is repeated, with what is known then. */
struct stores *stores_new(struct loop *home, const char *folder,
    void (*on_written)(void *me, uint64_t tag), void *me);
/* Changes that come while one is being written go together with the next. */
void stores_change(
    struct stores *stores, const struct ledger_store *list, uint32_t count, uint64_t tag);
bool stores_is_idle(const struct stores *stores); /* nothing is being written, or to be */
/* True while nothing is with the pool: then stores_free() may be called. */
bool stores_may_free(const struct stores *stores);
void stores_free(struct stores *stores); /* NULL too; what waits for a repetition is given up */

#endif
