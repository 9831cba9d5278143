/* A message that kills: loaded before relaisd, lets it crash when it copies or searches bytes that
 * hold a text, as a mistake in our own code would.
 *
 *     DIE_OF=X-Kill: DIE_IN=memcpy DIE_BY=SEGV DIE_WHILE=/x/armed
 *
 * Nothing happens unless the file DIE_WHILE is there.  DIE_IN is memcpy or memchr, DIE_BY is SEGV
 * (by a bad address), ABRT (by abort()) or STACK (all of it is used up). */
#undef _FILE_OFFSET_BITS

#include <alloca.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *mark, *place, *way, *armed;
static size_t mark_n;

static __attribute__((constructor)) void start(void)
{
    mark = getenv("DIE_OF");
    place = getenv("DIE_IN");
    way = getenv("DIE_BY");
    armed = getenv("DIE_WHILE");
    mark_n = mark && place && armed ? strlen(mark) : 0;
}

static void use_up_the_stack(void)
{
    for (;;) {
        volatile char *room = alloca(4096);
        room[0] = 1;
    }
}

static void die(void)
{
    volatile int *volatile nowhere = NULL;

    if (way && strcmp(way, "ABRT") == 0)
        abort();
    if (way && strcmp(way, "STACK") == 0)
        use_up_the_stack();
    *nowhere = 0;
}

static void look(const char *name, const void *at, size_t n)
{
    if (mark_n == 0 || n < mark_n || strcmp(place, name) != 0 || !memmem(at, n, mark, mark_n))
        return;
    if (syscall(SYS_access, armed, F_OK) == 0)
        die();
}

/* Else the loop would be made a call of itself. */
__attribute__((optimize("no-tree-loop-distribute-patterns"))) void *memcpy(
    void *restrict to, const void *restrict from, size_t n)
{
    const char *in = from;
    char *out = to;

    look("memcpy", from, n);
    while (n--)
        *out++ = *in++;
    return to;
}

void *memchr(const void *at, int c, size_t n)
{
    const unsigned char *byte = at;

    look("memchr", at, n);
    for (; n; n--, byte++)
        if (*byte == (unsigned char)c)
            return (void *)(size_t)byte;
    return NULL;
}
