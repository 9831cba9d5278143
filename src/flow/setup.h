/* A settings snapshot together with what the machine must hold for it: TLS contexts.  Counted;
 * a session and a delivery keep the one they began with.
 *
 * `struct setup_slot` is where the present one is found.  Any thread. */
#ifndef FLOW_SETUP_H
#define FLOW_SETUP_H

#include "os/tls.h"
#include "policy/send_tls.h"

#include <pthread.h>
#include <stdatomic.h>

struct setup {
    atomic_uint holders;
    struct settings *settings;
    char *key_folder;                 /* NULL: none */
    pthread_mutex_t tls_lock;         /* around these pointers: they are renewed */
    struct tls_context **receive_tls; /* one a receive connector; NULL: TLS is off */
    /* One a send connector, the last the redirection, and level; NULL: that connector has no use for it. */
    struct tls_context *(*send_tls)[SEND_TLS_COUNT];
};

/* Takes SETTINGS, on failure too.  KEY_FOLDER (borrowed) keeps the self-signed certificates of
 * connectors that have no other; NULL, or where that fails, which is logged: they are made in memory.
 * WHY names the connector and the file. */
enum err setup_new(struct settings **settings, const char *key_folder, struct setup **out,
    char why[512]) MUST_USE;
/* Sessions that clients of BEFORE's receive connectors have are resumed by those of SETUP, which
 * comes in its place: os/tls.h, tls_context_keep_sessions(). */
void setup_keep_sessions(struct setup *setup, struct setup *before);
struct setup *setup_hold(struct setup *setup);
void setup_free(struct setup *setup); /* lets go; NULL too */

/* The context that belongs to one of this setup's connectors; tls_context_free() lets it go. */
struct tls_context *setup_hold_receive_tls(
    struct setup *setup, const struct receive_connector *connector);
/* LEVEL is one of the connector's, MAY or ENCRYPT where it has any but NONE.  Each level has
 * sessions of its own to resume, so that none gets by what it asks of a certificate. */
struct tls_context *setup_hold_send_tls(
    struct setup *setup, const struct send_connector *connector, enum send_tls level);

/* Makes a connector's contexts again, from files that have changed: handshakes go by them from
 * now on, nothing that stands is touched.  On failure the old ones stay; WHY names the connector
 * and the file. */
enum err setup_renew_receive(
    struct setup *setup, const struct receive_connector *connector, char why[512]) MUST_USE;
enum err setup_renew_send(
    struct setup *setup, const struct send_connector *connector, char why[512]) MUST_USE;

struct setup_slot {
    pthread_mutex_t lock; /* around "read the pointer and hold it", and its change */
    struct setup *current;
    atomic_uint_fast64_t revision; /* of the current one: a glance without the lock */
};

void setup_slot_init(struct setup_slot *slot, struct setup **setup); /* takes */
void setup_slot_done(struct setup_slot *slot);
void setup_slot_change(struct setup_slot *slot, struct setup **setup); /* takes */
struct setup *setup_slot_hold(struct setup_slot *slot);

#endif
