/* Who uses the relay, and which tolerances he still needs (PE-10, OP-10): a table of this node,
 * with a ceiling.  Any thread; one lock, taken once a session.
 *
 * It is kept in the state folder, as lines of text (devices_text.c). */
#ifndef FLOW_DEVICES_H
#define FLOW_DEVICES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/table.h"
#include "base/time.h"

#include <pthread.h>

/* What a client could not have done without.  The first five are enum tolerance. */
enum device_need {
    DEVICE_BARE_LF = 1 << 0,
    DEVICE_PATH_SPACES = 1 << 1,
    DEVICE_NO_BRACKETS = 1 << 2,
    DEVICE_BAD_HELO = 1 << 3,
    DEVICE_NO_HELO = 1 << 4,
    DEVICE_OLD_TLS = 1 << 5,     /* below 1.2 */
    DEVICE_AUTH_CLEAR = 1 << 6,  /* a password without TLS */
    DEVICE_WEAK_CIPHER = 1 << 7, /* base/weak_tls.h; with a version that is not old */
};
enum { DEVICE_NEED_COUNT = 8 };
const char *device_need_name(enum device_need need); /* "bare-lf" */

enum {
    DEVICES_MAX = 10000, /* the one that was away for longest goes first */
    DEVICE_NAME_BYTES = 64,
    DEVICE_HELOS = 3, /* different ones that are kept, the last first */
    DEVICE_CONNECTOR_BYTES = 65,
    DEVICE_TLS_BYTES = 12,
    DEVICE_CIPHER_BYTES = 48,
};

/* One address at one connector. */
struct device {
    struct table_node in_table;
    struct list in_order; /* the last seen is the last */
    struct ip ip;
    bool is_unix; /* by a UNIX socket: no address */
    char connector[DEVICE_CONNECTOR_BYTES];
    char helo[DEVICE_HELOS][DEVICE_NAME_BYTES];
    char tls[DEVICE_TLS_BYTES]; /* the last time; "": none */
    char cipher[DEVICE_CIPHER_BYTES];
    char user[DEVICE_NAME_BYTES]; /* who logged in last; "": nobody ever */
    uint64_t sessions, messages, bytes;
    struct wall first, last, last_login;
    struct wall needed[DEVICE_NEED_COUNT]; /* the last time each was; 0: never */
};

/* What is to be added: of a session, or of a part of a long one.  Texts are borrowed; NULL is
 * none. */
struct device_seen {
    struct ip ip;
    bool is_unix;
    const char *connector, *helo, *tls, *cipher, *user;
    unsigned needs; /* enum device_need */
    uint64_t sessions, messages, bytes;
    struct wall now;
};

struct devices {
    pthread_mutex_t lock;
    struct table table;
    struct list order;
    uint64_t changes; /* since the start */
};

void devices_init(struct devices *devices);
void devices_done(struct devices *devices);
void devices_note(struct devices *devices, const struct device_seen *seen);

/* A copy of all, the last seen first; free() it.  The links in it mean nothing. */
struct device *devices_list(struct devices *devices, size_t *count);
uint64_t devices_changes(struct devices *devices);

/* Takes DEVICE, unless there is one of that address and connector. */
bool devices_put(struct devices *devices, struct device *device) MUST_USE;

/* As the file has them, and back.  A line that is none is passed over and counted; a device that
 * is there already stays as it is. */
enum err devices_format(const struct device *list, size_t count, struct buf *out) MUST_USE;
size_t devices_parse(struct devices *devices, struct bytes text);

#endif
