/* The sink: a small SMTP receiver for tests, demos and measuring.  One loop.
 *
 * It is no part of the promise: a 250 of the sink means that it was counted (and, where asked
 * for, written). */
#ifndef CTL_SINK_H
#define CTL_SINK_H

#include "mail/status.h"
#include "os/conn.h"
#include "os/listener.h"
#include "proto/smtp/server.h"

enum sink_stage {
    SINK_NEVER,
    SINK_AT_BANNER,
    SINK_AT_MAIL,
    SINK_AT_RCPT,
    SINK_AT_DATA, /* the command */
    SINK_AT_END,  /* the end of the content */
    SINK_STAGE_COUNT
};

struct sink_settings {
    struct endpoint listen;
    const char *store_folder; /* NULL: do not store */
    const char *append_file;  /* NULL: none */
    const char *header;       /* whose value is appended; without one the Message-ID */
    bool appends_trace;       /* behind it the newest Received's id, and when it came */
    struct verdict replies[SINK_STAGE_COUNT]; /* code 0: accept */
    uint64_t fail_percent;                    /* of messages, at random: 451 */
    unsigned drop_at, stall_at;               /* enum sink_stage */
    int64_t delay_ms;                         /* before the reply to the end of the content */
    uint64_t count;                           /* ends after so many; 0: never */
    uint64_t size_bytes_max;
    bool offers_tls, is_implicit_tls, syncs;
};

struct sink {
    const struct sink_settings *settings;
    struct loop *loop;
    struct listener *listener;
    struct tls_context *tls;
    struct smtp_server_config config;
    struct list sessions;
    struct sink_store *store;
    uint64_t session_count, sessions_all, messages, bytes, refused, recipients;
    uint64_t random; /* state of the generator */
    bool is_ending;
};

/* Takes FD, a new connection. */
void sink_session_start(struct sink *sink, int fd);
void sink_sessions_close(struct sink *sink); /* all, at once */

/* A message was stored: counts it, and ends the sink after the last. */
void sink_received(struct sink *sink, uint64_t bytes);
void sink_session_ended(struct sink *sink);

/* --- Storing ----------------------------------------------------------------------------- */

struct sink_store;

/* What is known of one message. */
struct sink_message {
    struct bytes helo, sender;
    struct bytes recipients; /* each ended by a line feed */
    struct bytes content;    /* or its first bytes, when sink_store_keeps() says so */
    const struct tls_facts *tls;
};

/* WHY: what could not be made or opened. */
enum err sink_store_open(
    const struct sink_settings *settings, struct sink_store **out, char why[256]) MUST_USE;
void sink_store_close(struct sink_store *store); /* NULL too */

/* How many bytes of content sink_store_write() wants to see. */
size_t sink_store_keeps(const struct sink_store *store);

/* Writes what was asked for before it returns.  An error: answer 451. */
enum err sink_store_write(
    struct sink_store *store, const struct sink_message *message) MUST_USE;

#endif
