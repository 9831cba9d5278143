/* Options of the tool's commands: a table, read from the command line and printed as help.
 *
 * `--name VALUE`, `--name=VALUE`, `-n VALUE`, `-nVALUE`; options and arguments in any order;
 * `--` ends the options.  One thread. */
#ifndef CTL_ARGUMENTS_H
#define CTL_ARGUMENTS_H

#include "base/bytes.h"

enum option_kind {
    OPTION_FLAG,     /* bool: true when given */
    OPTION_TEXT,     /* const char *: borrowed from the command line */
    OPTION_TEXTS,    /* struct option_texts: may be given several times */
    OPTION_NUMBER,   /* uint64_t, up to max */
    OPTION_SIZE,     /* uint64_t bytes: "10k", "25M" */
    OPTION_DURATION, /* int64_t ms: "5s"; a bare number is milliseconds */
    OPTION_YES_NO,   /* bool: yes or no */
    OPTION_CHOICE,   /* unsigned: the number of the word in choices, NULL-ended */
};

enum { OPTION_TEXTS_MAX = 16 };

struct option_texts {
    const char *text[OPTION_TEXTS_MAX];
    unsigned count;
};

struct option {
    const char *name; /* without hyphens */
    char letter;      /* 0: none */
    enum option_kind kind;
    void *at;          /* where the value goes; keeps its default when not given */
    const char *value; /* "FILE", for the help; NULL for flags */
    const char *help;
    uint64_t max; /* of a number or size; 0: none */
    const char *const *choices;
};

struct option_set {
    const struct option *list;
    size_t count;
};

enum { OPTION_WHY_BYTES = 200 };

/* Reads the options of SETS out of ARGV (*argc of them).  What is no option is moved to the
 * front, *argc says how many.  With STOPS_AT_ARGUMENT the first such ends the reading, and it
 * and all behind it stay.  False: WHY says what is wrong. */
bool arguments_read(int *argc, char **argv, const struct option_set *sets, size_t set_count,
    bool stops_at_argument, char why[OPTION_WHY_BYTES]);

/* "10k", "25M", "1G" or bytes; 1k is 1024.  False: not such a text, or over MAX. */
bool arguments_size(const char *text, uint64_t max, uint64_t *out);

/* Two columns: the option, and what it does. */
void arguments_print(struct option_set set);

#endif
