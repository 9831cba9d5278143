/* Looks at a message's content while it streams in.  Pure; one thread per scanner.
 *
 * Fed with the content in any split, unstuffed, lines ended by CRLF; says what the path must
 * know: which header fields are there, how often it was relayed, whether a line begins with a
 * dot. */
#ifndef MAIL_SCAN_H
#define MAIL_SCAN_H

#include "base/bytes.h"

enum {
    SCAN_MESSAGE_ID_MAX = 250,
    SCAN_SUBJECT_MAX = 120,
    SCAN_NAME_MAX = 32,
    SCAN_PRIORITY_MAX = 15
};

struct scan {
    struct bytes own; /* whose Received fields are counted by themselves; set it after
                         scan_init(), borrowed; empty: nobody's */
    /* What was seen. */
    bool has_date, has_message_id, has_from;
    bool has_dot_line, has_8bit, has_utf8_header, has_nul;
    bool header_ended;       /* the empty line was seen (or a line that is no field) */
    uint16_t received_count; /* Received fields */
    uint16_t own_count;      /* of those: written by `own` */
    uint16_t delivered_to_count;
    /* Up to and with the empty line; up to the line that is no field, where none was. */
    uint64_t header_bytes;
    uint64_t bytes;
    uint32_t line_bytes_longest;              /* without CRLF */
    char message_id[SCAN_MESSAGE_ID_MAX + 1]; /* the field's value, cut to its room */
    char subject[SCAN_SUBJECT_MAX + 1];       /* raw, first line, cut to its room */
    /* What X-Priority, Importance (RFC 2156) or Priority says, the first that says anything but
     * "normal": 4, 0 or -4, the levels that RFC 6710, B has for them. */
    int8_t priority;

    /* Where the scanner stands; its own business. */
    uint8_t state, field;
    bool after_cr;
    uint32_t line_bytes;
    uint8_t name_n;
    char name[SCAN_NAME_MAX];
    uint16_t value_n;
    char priority_text[SCAN_PRIORITY_MAX + 1];
    /* In a Received field: */
    uint8_t depth;   /* of comments */
    uint8_t word_at; /* bytes of the word so far */
    bool is_by, is_own, is_after_by;
};

void scan_init(struct scan *scan);
void scan_feed(struct scan *scan, struct bytes content);
void scan_end(struct scan *scan); /* content without an empty line has ended its header here */

#endif
