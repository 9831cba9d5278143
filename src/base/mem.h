/* Memory for plain things.  Any thread.
 *
 * These never return NULL: when the machine has no memory left the process ends with a message
 * (docs/decisions/0005-out-of-memory.md).  Nothing acknowledged is lost by that; what a peer
 * can make us hold has a ceiling long before. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_new(size_t bytes) __attribute__((malloc, returns_nonnull));     /* zeroed; free() */
void *mem_grow(void *old, size_t bytes) __attribute__((returns_nonnull)); /* as realloc */
void *mem_copy(const void *from, size_t bytes) __attribute__((malloc, returns_nonnull));
/* ALIGNMENT: a power of two.  Not zeroed; free(). */
void *mem_aligned(size_t alignment, size_t bytes) __attribute__((malloc, returns_nonnull));
char *mem_text(const char *text) __attribute__((malloc, returns_nonnull));

#endif
