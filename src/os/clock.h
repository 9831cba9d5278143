/* The clocks and the random source.  Any thread. */
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

#include "base/id.h"
#include "base/time.h"

struct wall clock_wall(void);
int64_t clock_us(void); /* to measure with: monotonic, in microseconds, from some start */
struct moment clock_moment(void); /* CLOCK_BOOTTIME: goes on while the machine sleeps */

void random_fill(void *at, size_t n);
struct mid random_mid(void);
struct session_id random_session_id(
    void); /* random start, then counted: unique in the process */

#endif
