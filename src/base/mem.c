#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *at)
{
    if (!at) {
        fputs("relais: out of memory\n", stderr);
        abort();
    }
    return at;
}

void *mem_new(size_t bytes)
{
    return checked(calloc(1, bytes ? bytes : 1));
}

void *mem_grow(void *old, size_t bytes)
{
    return checked(realloc(old, bytes ? bytes : 1));
}

void *mem_copy(const void *from, size_t bytes)
{
    void *to = checked(malloc(bytes ? bytes : 1));
    if (bytes)
        memcpy(to, from, bytes);
    return to;
}

void *mem_aligned(size_t alignment, size_t bytes)
{
    void *at;

    return checked(posix_memalign(&at, alignment, bytes) == 0 ? at : NULL);
}

char *mem_text(const char *text)
{
    return mem_copy(text, strlen(text) + 1);
}
