/* A connection's TLS: between the wire, which conn_read.c and conn_write.c know, and the bytes
 * of the handler. */
#include "base/mem.h"
#include "os/conn.h"
#include "os/conn_inside.h"

#include <assert.h>
#include <stdlib.h>

/* All of the output may be encrypted at once (conn_tls_finish), and each record adds some. */
enum { WIRE_BYTES_MAX = CONN_OUT_BYTES_MAX + CONN_OUT_BYTES_MAX / 4 };

static void send_wire(struct conn *conn)
{
    if (conn->tls->wire.n)
        loop_flush_ask(conn->loop, &conn->flush);
}

bool conn_tls_is_up(const struct conn *conn)
{
    return conn->tls && conn->tls->stream && tls_stream_is_up(conn->tls->stream);
}

void conn_tls_fail(struct conn *conn, enum err err)
{
    conn->tls_err = (uint8_t)err;
    conn_ask_step(conn);
}

static void start(struct conn *conn, struct tls_context *context, const char *host,
    const struct tls_dane *dane)
{
    struct conn_tls *tls = mem_new(sizeof *tls);
    enum err err = tls_stream_new(context, !host, host, &tls->stream);

    assert(!conn->tls && conn->state == CONN_OPEN);
    if (err == OK && dane)
        err = tls_stream_use_dane(tls->stream, dane);
    conn->tls = tls;
    /* What is still to be sent in the clear goes first, as it is. */
    tls->wire = conn->out;
    tls->wire.bytes_max = WIRE_BYTES_MAX;
    tls->wire_sent = conn->out_sent;
    buf_init(&conn->out, CONN_OUT_BYTES_MAX);
    conn->out_sent = 0;
    if (err == OK && !conn->is_offering && conn->in.n)
        err = ERR_TLS; /* see check_starting_tls() */
    if (err == OK)
        err = tls_stream_read(tls->stream, BYTES_NONE, &tls->wire, &conn->in);
    if (err != OK)
        conn_tls_fail(conn, err);
    send_wire(conn);
}

void conn_start_tls(struct conn *conn, struct tls_context *context, const char *host)
{
    start(conn, context, host, NULL);
}

void conn_start_tls_dane(struct conn *conn, struct tls_context *context, const char *host,
    const struct tls_dane *dane)
{
    start(conn, context, host, dane);
}

void conn_tls_input(struct conn *conn, struct bytes wire, struct buf *plain)
{
    struct conn_tls *tls = conn->tls;
    enum err err = tls_stream_read(tls->stream, wire, &tls->wire, plain);

    send_wire(conn);
    if (!tls->is_told && tls_stream_is_up(tls->stream)) {
        tls->is_told = true;
        conn->handler->on_tls(conn->me, OK);
        if (conn_is_let_go(conn))
            return;
        if (conn->out.n) /* what was written before the handshake ended */
            loop_flush_ask(conn->loop, &conn->flush);
    }
    if (err != OK) {
        conn->is_eof = true;
        conn->end_err = (uint8_t)(err == ERR_CLOSED ? OK : err);
    }
}

void conn_tls_encrypt(struct conn *conn, size_t wire_bytes_max)
{
    struct conn_tls *tls = conn->tls;

    while (conn_tls_is_up(conn) && conn->out_sent < conn->out.n &&
           tls->wire.n - tls->wire_sent < wire_bytes_max) {
        struct bytes plain = bytes_skip(buf_bytes(&conn->out), conn->out_sent);
        enum err err;
        plain = bytes_first(plain, wire_bytes_max);
        err = tls_stream_write(tls->stream, plain, &tls->wire);
        if (err != OK) {
            conn->is_broken = true;
            conn_tls_fail(conn, err);
            return;
        }
        conn->out_sent += plain.n;
    }
    if (conn->out_sent == conn->out.n || conn->out_sent > conn->out.n / 2) {
        buf_drop(&conn->out, conn->out_sent);
        conn->out_sent = 0;
    }
}

void conn_tls_finish(struct conn *conn)
{
    if (!conn_tls_is_up(conn))
        return;
    conn_tls_encrypt(conn, CONN_OUT_BYTES_MAX);
    tls_stream_close(conn->tls->stream, &conn->tls->wire);
}

void conn_tls_free(struct conn *conn)
{
    if (!conn->tls)
        return;
    tls_stream_free(conn->tls->stream);
    buf_done(&conn->tls->wire);
    free(conn->tls);
    conn->tls = NULL;
}

const struct tls_facts *conn_tls(const struct conn *conn)
{
    return conn_tls_is_up(conn) ? tls_stream_facts(conn->tls->stream) : NULL;
}

void conn_tls_binding(const struct conn *conn, struct tls_binding *out)
{
    *out = (struct tls_binding){ 0 };
    if (conn_tls_is_up(conn))
        tls_stream_binding(conn->tls->stream, out);
}

const char *conn_tls_error(const struct conn *conn)
{
    const char *text =
        conn->tls && conn->tls->stream ? tls_stream_error(conn->tls->stream) : "";

    return *text ? text : "bytes in the clear came after the start of TLS was agreed on";
}
