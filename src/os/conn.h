/* A stream connection, TCP or UNIX socket, plain or TLS.  Belongs to one loop for life.
 *
 * Reading: the handler is given what is there and says how much it used; the rest is kept and
 * given again, together with what comes next, as long as reading is not paused.  Kept bytes
 * have a ceiling (CONN_KEPT_BYTES_MAX): there reading stops by itself until the handler uses
 * some. Writing: bytes are appended to `conn_out()`, and sent once a turn of the loop in one
 * system call. An idle plain connection holds no buffers. */
#ifndef OS_CONN_H
#define OS_CONN_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "os/address.h"
#include "os/loop.h"
#include "os/tls.h"

struct conn;

enum {
    CONN_KEPT_BYTES_MAX = 256 << 10,
    CONN_OUT_BYTES_MAX = 4 << 20,    /* ceiling of conn_out(); drivers stay far below */
    CONN_OUT_BYTES_HIGH = 256 << 10, /* above this a driver stops appending content */
};

struct conn_handler {
    /* conn_connect() ended: OK, or why not (then the handler calls conn_close()). */
    void (*on_connected)(void *me, enum err err);
    /* Returns how many bytes it used.  May pause, write or close in here. */
    size_t (*on_input)(void *me, struct bytes input);
    /* The output fell below CONN_OUT_BYTES_HIGH / 2 after it was above HIGH (and was sent, or
     * dropped because the connection failed: then on_end follows). */
    void (*on_room)(void *me);
    /* A handshake asked for by conn_start_tls() ended. */
    void (*on_tls)(void *me, enum err err);
    /* The other side closed (OK), or the connection failed.  Nothing comes after this but the
     * handler's own conn_close(), which it must still call. */
    void (*on_end)(void *me, enum err err);
};

/* Takes an accepted socket.  FD is closed with the connection, and on failure too. */
enum err conn_accept(struct loop *loop, int fd, const struct conn_handler *handler, void *me,
    struct conn **out) MUST_USE;

/* Begins to connect; on_connected says how it ended, never from inside this call.
 * SOURCE: the address to bind to, or NULL. */
enum err conn_connect(struct loop *loop, const struct endpoint *to, const struct ip *source,
    const struct conn_handler *handler, void *me, struct conn **out) MUST_USE;

/* Sends what is in the output as far as the kernel takes it without waiting, then closes, with
 * the TLS close notice.  No callback comes afterwards.  *conn is NULL then.  With LINGER the
 * rest of the output is still sent in the background (at most 5 s), unless very many are. */
void conn_close(struct conn **conn, bool linger);
/* How many connections of LOOP are closed and go on in the background. */
size_t conn_lingering_count(const struct loop *loop);

/* Where to append what is to be sent; sent before the loop sleeps.  Call conn_send() after. */
struct buf *conn_out(struct conn *conn);
void conn_send(struct conn *conn);
bool conn_out_is_high(const struct conn *conn);
/* All output is with the kernel. */
bool conn_out_is_empty(const struct conn *conn);
/* Sending failed: what is appended is dropped.  on_end tells, where reading is not paused. */
bool conn_is_broken(const struct conn *conn);
/* The other side has closed, and will not read either.  For who has paused for long, and hears of no
 * end: one system call. */
bool conn_has_hung_up(const struct conn *conn);

void conn_pause(struct conn *conn);  /* on_input is not called again before conn_resume() */
void conn_resume(struct conn *conn); /* kept bytes are given in the loop's next step */

/* Acknowledges what was received now, not 40 ms later.  For when more is expected and nothing is
 * to be sent: a peer that writes in small pieces under Nagle's rule waits for it.  One system
 * call; nothing on a UNIX socket. */
void conn_acknowledge(struct conn *conn);

/* Bytes received and not used yet: input behind STARTTLS (SM-3). */
size_t conn_kept_bytes(const struct conn *conn);

/* Starts TLS after the output is sent.  HOST: name for SNI, verification and session resumption
 * as a client; NULL as a server.  Kept input must be empty, and on_input must have used all
 * when it is called from there: bytes that came in the clear are never taken for TLS, so then
 * on_tls gets ERR_TLS.  on_tls is not called from inside this call. */
void conn_start_tls(struct conn *conn, struct tls_context *context, const char *host);
/* The same as a client that goes by TLSA records: DANE is borrowed for the call. */
void conn_start_tls_dane(struct conn *conn, struct tls_context *context, const char *host,
    const struct tls_dane *dane);
const struct tls_facts *conn_tls(const struct conn *conn);               /* NULL: plain */
void conn_tls_binding(const struct conn *conn, struct tls_binding *out); /* plain: n 0 */
const char *conn_tls_error(const struct conn *conn); /* after ERR_TLS; never NULL */

const struct endpoint *conn_peer(const struct conn *conn);
const struct endpoint *conn_local(const struct conn *conn);

/* Memory of ours for this connection now, TLS library's excluded. */
size_t conn_bytes(const struct conn *conn);

#endif
