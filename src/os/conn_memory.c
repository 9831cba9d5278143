/* What the connections of a loop share, and when they give memory back: an empty buffer that is
 * large goes at once, a small one when the connection was not used for IDLE_MS.  So an idle
 * connection has none, and a busy one does not allocate for each message. */
#include "base/mem.h"
#include "os/conn_inside.h"

#include <stdlib.h>

static bool give_back(struct buf *buf, size_t room_max)
{
    if (buf->n == 0 && buf->room > room_max)
        buf_release(buf);
    return buf->room > 0;
}

/* Gives back empty buffers larger than ROOM_MAX; true when it still has one. */
static bool has_room(struct conn *conn, size_t room_max)
{
    bool has = give_back(&conn->in, room_max);

    has |= give_back(&conn->out, room_max);
    if (conn->tls)
        has |= give_back(&conn->tls->wire, room_max);
    return has;
}

void conn_was_used(struct conn *conn)
{
    struct loop_conns *conns = conn->loop->conns;

    conn->was_used = true;
    if (!has_room(conn, IDLE_ROOM_BYTES) || list_is_linked(&conn->warm))
        return;
    if (conn->state == CONN_CLOSED)
        return;
    list_add_last(&conns->warm, &conn->warm);
    if (!timer_is_running(&conns->sweep))
        timer_start(&conns->sweep, IDLE_MS);
}

static void on_sweep(struct timer *timer)
{
    struct loop_conns *conns = container_of(timer, struct loop_conns, sweep);

    list_each (node, &conns->warm) {
        struct conn *conn = container_of(node, struct conn, warm);
        if (!conn->was_used && !has_room(conn, 0))
            list_remove(node);
        conn->was_used = false;
    }
    if (!list_is_empty(&conns->warm))
        timer_start(timer, IDLE_MS);
}

void conns_new(struct loop *loop)
{
    struct loop_conns *conns = mem_new(sizeof *conns);

    loop->conns = conns;
    conns->wire = mem_new(READ_BYTES);
    buf_init(&conns->input, KEPT_COPY_BYTES + READ_BYTES + (48 << 10));
    list_init(&conns->warm);
    timer_init(&conns->sweep, loop, on_sweep);
}

void conns_free(struct loop *loop)
{
    buf_done(&loop->conns->input);
    free(loop->conns->wire);
    free(loop->conns);
}
