/* Lines written part by part: a part that does not fit begins a new line.  For header fields
 * and for paragraphs.  Pure; any thread. */
#ifndef MAIL_FOLD_H
#define MAIL_FOLD_H

#include "base/buf.h"

struct fold {
    struct buf *out;
    const char *indent; /* what a new line begins with; a tab counts as eight columns */
    size_t column;
    size_t start; /* how much OUT had before */
    bool is_first;
    enum err err;
};

/* FIRST (a field's name and colon, a paragraph's indent) begins the line; the first part stands
 * right behind it when it ends with a space or a tab, else after a space. */
void fold_begin(struct fold *fold, struct buf *out, const char *first, const char *indent);

/* Adds a part that is not broken, as it is: the caller knows its bytes. */
void fold_part(struct fold *fold, struct bytes part);
void fold_printf(struct fold *fold, const char *format, ...)
    PRINTF(2, 3); /* 600 bytes at most */

/* Adds a text of anybody's word by word.  Words longer than a line may be are broken; control
 * bytes, and bytes above 127 unless they are good UTF-8 and IS_UTF8, become "?". */
void fold_words(struct fold *fold, struct bytes text, bool is_utf8);

/* The same for an address, whose spaces stand in quotes: it is not broken at them. */
void fold_address(struct fold *fold, struct bytes address, bool is_utf8);

/* Puts TEXT behind the last part without a space: one byte has room. */
void fold_mark(struct fold *fold, const char *text);

/* Ends the last line.  ERR_LIMIT: over OUT's ceiling; OUT is as it was before. */
enum err fold_end(struct fold *fold) MUST_USE;

#endif
