/* The words of a configuration file: inside of directory/.  Main loop's thread.
 *
 *     # to the end of the line, as is // at the start of a word, and / * between these * /
 *     word          anything but blanks and the signs { } [ ] ( ) = , ; # " '
 *     "text"        \" and \\ stand for " and \; ends on its line
 *     'text'        as it stands; ends on its line
 *
 * A ";" is a blank: people end lines with it out of habit. */
#ifndef DIRECTORY_TOKEN_H
#define DIRECTORY_TOKEN_H

#include "directory/complain.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_TEXT, /* quoted */
    TOKEN_ASSIGN,
    TOKEN_APPEND, /* += */
    TOKEN_OPEN,   /* { */
    TOKEN_CLOSE,
    TOKEN_OPEN_LIST, /* [ */
    TOKEN_CLOSE_LIST,
    TOKEN_OPEN_PAREN,
    TOKEN_CLOSE_PAREN,
    TOKEN_COMMA,
};

struct token {
    enum token_kind kind;
    char *text; /* of words and texts; free() */
    int line;
};

struct tokens {
    struct bytes text; /* borrowed */
    const char *file;  /* borrowed: for complaints */
    struct complaints *complaints;
    size_t at;
    int line;
    int complained_line; /* one complaint a line about bytes that do not belong */
};

void tokens_init(
    struct tokens *tokens, struct bytes text, const char *file, struct complaints *complaints);

/* The next one; its text is the caller's.  What is wrong in a token is complained of here. */
struct token token_take(struct tokens *tokens);

/* How a token is named to the user: "'='", "the end of the file"; into OUT. */
void token_describe(const struct token *token, char out[64]);

#endif
