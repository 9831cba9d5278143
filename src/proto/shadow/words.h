/* Inside proto/shadow: a line as words with one space between them, read and written.  Pure.
 * Nobody else includes this. */
#ifndef PROTO_SHADOW_WORDS_H
#define PROTO_SHADOW_WORDS_H

#include "proto/shadow/shadow.h"

/* --- Reading ----------------------------------------------------------------------------- */

struct words {
    struct bytes rest;
    bool is_open; /* one more word is due: an empty one too, which nobody takes for good */
};

struct words words_of(struct bytes text);
/* The next word; false at the end.  Two spaces, or one at an end, make an empty word. */
bool words_take(struct words *words, struct bytes *out);
/* The next word as ...; false at the end too, and when it is none. */
bool words_number(struct words *words, uint64_t max, uint64_t *out);
bool words_mid(struct words *words, struct mid *out);
bool words_store(struct words *words, struct store_id *out);
bool words_node(struct words *words, struct shadow_node *out); /* "name store" */

/* The same of a whole text. */
bool word_is_store(
    struct bytes word, struct store_id *out); /* not the zero one, which is none */
bool word_is_name(struct bytes word);         /* a node's */
/* "store,store": 1 to SHADOW_RETIRED_MAX of them. */
bool word_is_stores(
    struct bytes word, struct store_id stores[SHADOW_RETIRED_MAX], uint32_t *count);
/* "NAME=value": both not empty. */
bool word_is_param(struct bytes word, struct bytes *name, struct bytes *value);

/* "+2B" and the like become bytes at TO, which has room for TEXT.n; any byte may come out. */
bool word_is_xtext(struct bytes text, uint8_t *to, struct bytes *out);

/* --- Writing ----------------------------------------------------------------------------- */

/* One or more lines at the end of OUT; what does not fit takes all of it back. */
struct line {
    struct buf *out;
    size_t start; /* OUT's length before it */
    enum err err;
};

struct line line_begin(struct buf *out);
void line_add(struct line *line, struct bytes bytes);
void line_number(struct line *line, uint64_t number);
void line_hex(struct line *line, const uint8_t id[16]);
void line_xtext(struct line *line, struct bytes bytes);
void line_node(struct line *line, const struct shadow_node *node); /* " name store" */
void line_stores(struct line *line, const struct store_id *stores, uint32_t count);
enum err line_end(struct line *line) MUST_USE; /* what stands there, without CRLF of its own */

#endif
