/* How connections end: nothing that was said before is lost. */
#include "conn_kit.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MUCH_BYTES = 3 << 20 };

struct slow {
    struct pair pair;
    struct timer again;
};

static void stop(struct end *end)
{
    pair_stop(end->pair);
}

static void close_and_stop(struct end *end)
{
    end_close(end);
    pair_stop(end->pair);
}

static struct endpoint unix_socket(const char *name)
{
    struct endpoint at = { .is_unix = true };

    snprintf(at.path, sizeof at.path, "/tmp/relais-%s-test-%d", name, (int)getpid());
    return at;
}

static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

static void say_much(struct end *client)
{
    uint8_t *all = mem_new(MUCH_BYTES);

    for (size_t i = 0; i < MUCH_BYTES; i++)
        all[i] = byte_at(i);
    assert_int_equal(buf_add(conn_out(client->conn), bytes_of(all, MUCH_BYTES)), OK);
    conn_send(client->conn);
    free(all);
}

/* --- Our end ----------------------------------------------------------------------------- */

static void close_much(struct end *client)
{
    say_much(client);
    end_close(client);
    assert_null(client->conn);
}

static void linger(const struct endpoint *at)
{
    struct pair pair = { .client.on_up = close_much };

    pair_open(&pair, at);
    pair.server.on_ended = stop;
    pair_run(&pair);
    assert_int_equal(pair.server.ended, OK);
    assert_int_equal(pair.server.got.n, MUCH_BYTES);
    for (size_t i = 0; i < MUCH_BYTES; i++)
        assert_int_equal(pair.server.got.at[i], byte_at(i));
    pair_close(&pair);
}

/* The output of a connection that was closed comes whole.  A UNIX socket's buffer is small:
 * most of it is sent in the background. */
static void test_linger(void **state)
{
    struct endpoint tcp = loopback(0), local = unix_socket("linger");

    (void)state;
    linger(&tcp);
    linger(&local);
}

static void say_late(struct end *client)
{
    end_say(client, "MAIL and more that nobody reads\r\n");
}

static void turn_away(struct end *server)
{
    conn_pause(server->conn);
}

/* What the client said has left it: on the loopback it is at the server then. */
static bool is_said(struct slow *slow)
{
    struct pair *pair = &slow->pair;

    if (pair->server.conn && pair->client.connected == OK &&
        conn_out_is_empty(pair->client.conn))
        return true;
    timer_start(&slow->again, 1);
    return false;
}

static void answer_and_close(struct timer *timer)
{
    struct slow *slow = container_of(timer, struct slow, again);

    if (!is_said(slow))
        return;
    end_say(&slow->pair.server, "421 go away\r\n");
    end_close(&slow->pair.server);
}

/* Unread input must not make the kernel throw our last answer away with a reset. */
static void test_linger_unread(void **state)
{
    struct slow slow = { .pair = { .client.on_up = say_late, .on_accepted = turn_away } };

    (void)state;
    pair_open_tcp(&slow.pair);
    timer_init(&slow.again, slow.pair.loop, answer_and_close);
    timer_start(&slow.again, 1);
    slow.pair.client.on_ended = close_and_stop;
    pair_run(&slow.pair);
    check_bytes("answer", buf_bytes(&slow.pair.client.got), BYTES("421 go away\r\n"));
    assert_int_equal(slow.pair.client.ended, OK);
    pair_close(&slow.pair);
}

/* --- The other end ----------------------------------------------------------------------- */

/* The server has not read what came: closing resets, and the client hears of it. */
static void close_unread(struct timer *timer)
{
    struct slow *slow = container_of(timer, struct slow, again);

    if (is_said(slow))
        conn_close(&slow->pair.server.conn, false);
}

static void test_reset(void **state)
{
    struct slow slow = { .pair = { .client.on_up = say_late, .on_accepted = turn_away } };

    (void)state;
    pair_open_tcp(&slow.pair);
    timer_init(&slow.again, slow.pair.loop, close_unread);
    timer_start(&slow.again, 1);
    slow.pair.client.on_ended = close_and_stop;
    pair_run(&slow.pair);
    assert_int_equal(slow.pair.client.ended, ERR_CLOSED);
    pair_close(&slow.pair);
}

/* The client has more to say than the socket takes. */
static void refuse_choked(struct timer *timer)
{
    struct slow *slow = container_of(timer, struct slow, again);
    struct pair *pair = &slow->pair;

    if (!pair->server.conn || !conn_out_is_high(pair->client.conn)) {
        timer_start(timer, 1);
        return;
    }
    end_say(&pair->server, "421 go away\r\n");
    conn_close(&pair->server.conn, false);
}

/* A write that fails hides nothing of what the other side said before it went. */
static void test_write_fails(void **state)
{
    struct slow slow = { .pair = { .client.on_up = say_much, .on_accepted = turn_away } };
    struct endpoint at = unix_socket("choked");

    (void)state;
    pair_open(&slow.pair, &at);
    timer_init(&slow.again, slow.pair.loop, refuse_choked);
    timer_start(&slow.again, 1);
    slow.pair.client.on_ended = close_and_stop;
    pair_run(&slow.pair);
    check_bytes("answer", buf_bytes(&slow.pair.client.got), BYTES("421 go away\r\n"));
    assert_int_equal(slow.pair.client.ended, ERR_CLOSED);
    pair_close(&slow.pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linger),
        cmocka_unit_test(test_linger_unread),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_write_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
