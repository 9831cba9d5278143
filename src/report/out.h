/* A file that lines are appended to, rotated by size.  Any thread: callers hold a lock. */
#ifndef REPORT_OUT_H
#define REPORT_OUT_H

#include "base/bytes.h"
#include "base/err.h"

struct out {
    int fd; /* -1: closed */
    bool is_borrowed;
    bool is_torn; /* the last line was cut in the middle */
    char *path;
    const char *header; /* written at the start of each new file; NULL: none */
    uint64_t bytes;
    uint64_t bytes_max; /* 0: never rotated, as what is no file of ours */
    unsigned files_max; /* old ones kept: path.1 is the youngest */
    uint64_t lost;      /* lines that could not be written since the last that could */
};

#define OUT_CLOSED ((struct out){ .fd = -1 })

/* Opens PATH for appending; it and its folder are made when missing (0640, 0750).  WHY: the path and the reason. */
enum err out_open(const char *path, const char *header, uint64_t bytes_max, unsigned files_max,
    struct out *out, char why[256]) MUST_USE;
void out_stderr(struct out *out);
void out_close(struct out *out); /* a closed one too */

/* Appends LINES, or as many as there is room for; a line that is cut is lost, and the next one
 * begins a line of its own.  Returns how many lines were lost before, the first time that writing
 * works again; else 0. */
uint64_t out_write(struct out *out, struct bytes lines);

/* The same from a signal's handler: nothing is rotated or counted. */
void out_write_raw(const struct out *out, struct bytes lines);

#endif
