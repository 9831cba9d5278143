/* A run of bytes that somebody else owns.  Plain values; any thread. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *at; /* may be NULL when n is 0 */
    size_t n;
};

#define BYTES(literal) ((struct bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })
#define BYTES_NONE ((struct bytes){ NULL, 0 })

/* For printf's "%.*s". */
#define BYTES_ARGS(b) (int)(b).n, (const char *)(b).at

static inline struct bytes bytes_of(const void *at, size_t n)
{
    return (struct bytes){ at, n };
}

static inline struct bytes bytes_text(const char *text)
{
    return (struct bytes){ (const uint8_t *)text, text ? strlen(text) : 0 };
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n) == 0);
}

/* What is left after the first N bytes; N is at most b.n. */
static inline struct bytes bytes_skip(struct bytes b, size_t n)
{
    return (struct bytes){ n ? b.at + n : b.at, b.n - n };
}

static inline struct bytes bytes_first(struct bytes b, size_t n)
{
    return (struct bytes){ b.at, n < b.n ? n : b.n };
}

#define BYTES_NOT_FOUND SIZE_MAX

/* Where BYTE first stands, or BYTES_NOT_FOUND. */
static inline size_t bytes_find(struct bytes b, uint8_t byte)
{
    const uint8_t *p = b.n ? memchr(b.at, byte, b.n) : NULL;
    return p ? (size_t)(p - b.at) : BYTES_NOT_FOUND;
}

static inline uint8_t ascii_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* ASCII letters compare without case, as SMTP verbs, domains and header names do. */
bool bytes_equal_nocase(struct bytes a, struct bytes b);
bool bytes_starts(struct bytes b, struct bytes with);
bool bytes_starts_nocase(struct bytes b, struct bytes with);
bool bytes_ends_nocase(struct bytes b, struct bytes with);

/* Without spaces and tabs at both ends. */
struct bytes bytes_trim(struct bytes b);

/* A decimal number, digits alone.  False when it is empty, has other bytes, or is over MAX. */
bool bytes_to_number(struct bytes b, uint64_t max, uint64_t *out);

/* A zero-ended copy; free().  Bytes after a NUL are kept but not seen by C functions. */
char *bytes_to_text(struct bytes b);

/* FNV-1a of the lower-cased bytes: for tables keyed by domain or name. */
uint64_t bytes_hash_nocase(struct bytes b);

#endif
