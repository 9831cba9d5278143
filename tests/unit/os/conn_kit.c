#include "conn_kit.h"

#include <stdlib.h>

static void on_connected(void *me, enum err err)
{
    struct end *end = me;

    assert_int_equal(end->connected, ERR_COUNT);
    end->connected = err;
    if (end->on_up)
        end->on_up(end);
}

static size_t on_input(void *me, struct bytes input)
{
    struct end *end = me;
    size_t used = input.n;

    assert_true(input.n > 0);
    assert_int_equal(end->ended, ERR_COUNT);
    if (end->use_max && used > end->use_max)
        used = end->use_max;
    end->inputs++;
    assert_int_equal(buf_add(&end->got, bytes_first(input, used)), OK);
    if (end->on_got)
        end->on_got(end);
    return used;
}

static void on_room(void *me)
{
    struct end *end = me;

    end->rooms++;
    if (end->on_room)
        end->on_room(end);
}

static void on_tls(void *me, enum err err)
{
    struct end *end = me;

    assert_int_equal(end->tls, ERR_COUNT);
    end->tls = err;
    if (end->on_up)
        end->on_up(end);
}

static void on_end(void *me, enum err err)
{
    struct end *end = me;

    assert_int_equal(end->ended, ERR_COUNT);
    end->ended = err;
    if (end->on_ended)
        end->on_ended(end);
}

static const struct conn_handler handler = { on_connected, on_input, on_room, on_tls, on_end };

static void on_accept(
    void *me, int fd, const struct endpoint *peer, const struct endpoint *local)
{
    struct pair *pair = me;

    assert_int_equal(peer->is_unix, local->is_unix);
    assert_null(pair->server.conn);
    assert_int_equal(
        conn_accept(pair->loop, fd, &handler, &pair->server, &pair->server.conn), OK);
    if (pair->on_accepted)
        pair->on_accepted(&pair->server);
}

static void on_give_up(struct timer *timer)
{
    (void)timer;
    fail_msg("the test waits for something that does not come");
}

static void init_end(struct end *end, struct pair *pair)
{
    end->pair = pair;
    end->connected = end->tls = end->ended = ERR_COUNT;
    buf_init(&end->got, 64 << 20);
}

void pair_open(struct pair *pair, const struct endpoint *at)
{
    struct endpoint to;

    assert_int_equal(loop_new(&pair->loop), OK);
    init_end(&pair->client, pair);
    init_end(&pair->server, pair);
    timer_init(&pair->give_up, pair->loop, on_give_up);
    timer_start(&pair->give_up, 60000); /* a machine may be slow */
    assert_int_equal(listener_open(pair->loop, at, 0600, on_accept, pair, &pair->listener), OK);
    to = *listener_endpoint(pair->listener);
    assert_int_equal(
        conn_connect(pair->loop, &to, NULL, &handler, &pair->client, &pair->client.conn), OK);
}

struct endpoint loopback(uint16_t port)
{
    return (struct endpoint){ .ip = { { [10] = 0xff, 0xff, 127, 0, 0, 1 } }, .port = port };
}

void pair_open_tcp(struct pair *pair)
{
    struct endpoint at = loopback(0);

    pair_open(pair, &at);
}

void pair_run(struct pair *pair)
{
    loop_run(pair->loop);
}

void pair_stop(struct pair *pair)
{
    loop_stop(pair->loop);
}

void pair_close(struct pair *pair)
{
    conn_close(&pair->client.conn, false);
    conn_close(&pair->server.conn, false);
    listener_close(pair->listener);
    timer_stop(&pair->give_up);
    loop_free(pair->loop);
    buf_done(&pair->client.got);
    buf_done(&pair->server.got);
}

void end_say(struct end *end, const char *text)
{
    assert_int_equal(buf_add_text(conn_out(end->conn), text), OK);
    conn_send(end->conn);
}

void end_close(struct end *end)
{
    conn_close(&end->conn, true);
}
