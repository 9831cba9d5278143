/* Reading the spool itself, for when the daemon is down.  Blocking; changes nothing. */
#ifndef CTL_OFFLINE_H
#define CTL_OFFLINE_H

#include "ctl/tool.h"
#include "proto/ctl/ctl.h"
#include "spool/spool.h"

struct offline_reader {
    /* A live message; FOUND is borrowed.  NULL: not wanted. */
    void (*on_message)(void *me, const struct spool_found *found);
    void (*on_damage)(void *me, uint64_t at, const char *why);
    void *me;
    const char *folder; /* NULL: the configured spool */
};

/* Reads the whole spool, with progress on a terminal.  Returns EX_OK or the exit code after an
 * error that has been printed. */
int offline_scan(struct tool *tool, const struct offline_reader *reader);

/* Says on stderr, once, that the spool is read because the daemon is down. */
void offline_say(struct tool *tool);

/* What this node was to do with it.  Without a standing: to deliver it. */
enum standing_role offline_role(const struct spool_found *found);

/* A message of the spool, or a copy, as the daemon's row for it: id, role, from, to (the
 * pending ones), size, arrived, age_s, status.  With ALL the other fields of the envelope and
 * all recipients. */
struct ctl_object *offline_row(const struct spool_found *found, bool all);

/* Whether the message would stand in the poison queue; then ROW says so, and why. */
bool offline_add_poison(
    struct tool *tool, const struct spool_found *found, struct ctl_object *row);
void offline_done(struct tool *tool); /* what the calls above keep in it */

/* Of a message's content, with room for what goes before it: size_max goes to 2 GiB. */
#define OFFLINE_BYTES_MAX ((size_t)UINT32_MAX)

/* Finds one message and reads its content, with what goes before it.  *ROW: as above, with
 * all; to be given back by ctl_free().  EX_NOINPUT, printed: there is none. */
int offline_message(
    struct tool *tool, struct mid mid, struct ctl_object **row, struct buf *content);

#endif
