/* Who logged in when, and from where (PE-7): a bounded table, kept in a file.  Any thread.
 *
 *     NAME COUNT LAST ADDRESS=FIRST-LAST...       times in ms since 1970
 */
#ifndef REPORT_LOGINS_H
#define REPORT_LOGINS_H

#include "base/err.h"
#include "base/ip.h"
#include "base/time.h"

#include <stddef.h>

enum {
    LOGINS_ACCOUNTS_MAX = 20000, /* then those go that were not seen for longest */
    LOGINS_ADDRESSES_MAX = 32,   /* of one account; the same */
    LOGINS_FILE_MODE = 0640,
};

struct login_address {
    struct ip ip;
    struct wall first, last;
};

struct login_facts {
    const char *name;
    uint64_t count; /* logins that were right */
    struct wall last;
    const struct login_address *addresses; /* the latest first */
    size_t address_count;
    size_t day_count; /* addresses of the last day before `last` */
};

struct logins;

/* Reads FILE (copied); one that is not there, or damaged, is an empty table. */
struct logins *logins_new(const char *file);
void logins_free(struct logins *logins); /* NULL too; saves nothing */

/* A login that was right.  Returns the addresses of the last day when they are more than MAX and
 * that was not said for a day (then it is to be warned of), else 0.  MAX 0: never. */
size_t logins_note(
    struct logins *logins, const char *name, struct ip from, struct wall now, uint32_t max);

/* Writes the file, if there is anything new; blocks. */
enum err logins_save(struct logins *logins) MUST_USE;

/* The facts are valid during the call of VISIT.  One name, or all (NULL) in no order. */
void logins_each(struct logins *logins, const char *name,
    void (*visit)(void *me, const struct login_facts *facts), void *me);

#endif
