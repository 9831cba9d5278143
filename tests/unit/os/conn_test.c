#include "conn_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void stop(struct end *end)
{
    pair_stop(end->pair);
}

static void close_and_stop(struct end *end)
{
    end_close(end);
    pair_stop(end->pair);
}

/* --- A dialogue -------------------------------------------------------------------------- */

static void greet(struct end *server)
{
    end_say(server, "220 hello\r\n");
}

static void say_quit(struct end *client)
{
    check_bytes("greeting", buf_bytes(&client->got), BYTES("220 hello\r\n"));
    end_say(client, "QUIT\r\n");
}

static void say_bye(struct end *server)
{
    check_bytes("command", buf_bytes(&server->got), BYTES("QUIT\r\n"));
    end_say(server, "221 bye\r\n");
    end_close(server);
}

/* The client reads the greeting, then the end. */
static void on_client_got(struct end *client)
{
    if (client->inputs == 1)
        say_quit(client);
}

static void dialogue(const struct endpoint *at)
{
    struct pair pair = { .on_accepted = greet };

    pair_open(&pair, at);
    pair.client.on_got = on_client_got;
    pair.server.on_got = say_bye;
    pair.client.on_ended = close_and_stop;
    pair_run(&pair);
    assert_int_equal(pair.client.connected, OK);
    assert_int_equal(pair.client.ended, OK);
    check_bytes("all", buf_bytes(&pair.client.got), BYTES("220 hello\r\n221 bye\r\n"));
    pair_close(&pair);
}

static void test_tcp(void **state)
{
    struct endpoint at = loopback(0);

    (void)state;
    dialogue(&at);
}

static void test_unix(void **state)
{
    struct endpoint at = { .is_unix = true };
    struct stat s;

    (void)state;
    snprintf(at.path, sizeof at.path, "/tmp/relais-conn-test-%d", (int)getpid());
    dialogue(&at);
    assert_int_equal(stat(at.path, &s), -1); /* the listener took its file away */
}

/* --- Listening --------------------------------------------------------------------------- */

static void no_accept(
    void *me, int fd, const struct endpoint *peer, const struct endpoint *local)
{
    (void)me, (void)peer, (void)local;
    close(fd);
}

static void count_accept(
    void *me, int fd, const struct endpoint *peer, const struct endpoint *local)
{
    unsigned *count = me;

    (void)peer, (void)local;
    (*count)++;
    close(fd);
}

static void test_listen_busy(void **state)
{
    struct loop *loop;
    struct listener *first, *second = NULL;
    struct endpoint at = loopback(0);

    (void)state;
    assert_int_equal(loop_new(&loop), OK);
    assert_int_equal(listener_open(loop, &at, 0, no_accept, NULL, &first), OK);
    at = *listener_endpoint(first);
    assert_true(at.port > 0);
    assert_int_equal(listener_open(loop, &at, 0, no_accept, NULL, &second), ERR_BUSY);
    assert_null(second);
    listener_close(first);
    loop_free(loop);
}

/* From a single address to all of them, while there are clients: nobody is turned away, and nobody
 * else gets in. */
static void test_listen_shared(void **state)
{
    struct loop *loop;
    struct listener *single, *all, *other = NULL;
    struct endpoint at = loopback(0), wide;
    unsigned accepted = 0;
    struct sockaddr_storage to;
    socklen_t n;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(loop_new(&loop), OK);
    assert_int_equal(listener_open(loop, &at, 0, count_accept, &accepted, &single), OK);
    at = *listener_endpoint(single);
    wide = (struct endpoint){ .port = at.port };
    assert_true(ip_parse(BYTES("0.0.0.0"), &wide.ip));
    assert_int_equal(listener_open(loop, &wide, 0, no_accept, NULL, &other), ERR_BUSY);
    assert_int_equal(listener_open_shared(loop, &wide, no_accept, NULL, &other), ERR_BUSY);
    listener_share(single, true);
    assert_int_equal(listener_open_shared(loop, &wide, no_accept, NULL, &all), OK);
    listener_share(single, false);
    listener_share(all, false);
    assert_int_equal(listener_open(loop, &at, 0, no_accept, NULL, &other), ERR_BUSY);
    assert_int_equal(listener_open(loop, &wide, 0, no_accept, NULL, &other), ERR_BUSY);
    n = endpoint_to_sockaddr(&at, &to);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, n), 0);
    listener_drain(single); /* who had called a single address is its own */
    assert_int_equal(accepted, 1);
    listener_close(single);
    listener_close(all);
    close(fd);
    loop_free(loop);
}

static void test_listen_unix(void **state)
{
    struct loop *loop;
    struct listener *first, *second;
    struct endpoint at = { .is_unix = true };
    struct sockaddr_storage to;
    struct stat s;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t n;

    (void)state;
    snprintf(at.path, sizeof at.path, "/tmp/relais-listen-test-%d", (int)getpid());
    n = endpoint_to_sockaddr(&at, &to);
    assert_int_equal(bind(fd, (struct sockaddr *)&to, n), 0);
    close(fd); /* a stale file is left */
    assert_int_equal(loop_new(&loop), OK);
    assert_int_equal(listener_open(loop, &at, 0620, no_accept, NULL, &first), OK);
    assert_int_equal(stat(at.path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0620);
    assert_int_equal(listener_open(loop, &at, 0620, no_accept, NULL, &second), ERR_BUSY);
    listener_close(first);
    assert_int_equal(stat(at.path, &s), -1);
    loop_free(loop);
}

/* --- Connecting -------------------------------------------------------------------------- */

static void ignore_connected(void *me, enum err err)
{
    (void)me;
    assert_int_equal(err, OK);
}

static void refused(void *me, enum err err)
{
    struct end *end = me;

    end->connected = err;
    conn_close(&end->conn, false);
    loop_stop(end->pair->loop);
}

static void test_connect_fails(void **state)
{
    static const struct conn_handler handler = { .on_connected = refused };
    struct endpoint gone = { .is_unix = true, .path = "/nonexistent/socket" };
    struct endpoint nobody = loopback(0);
    struct pair pair = { .client.pair = &pair };
    struct listener *listener;
    struct end *end = &pair.client;

    (void)state;
    assert_int_equal(loop_new(&pair.loop), OK);
    assert_int_equal(conn_connect(pair.loop, &gone, NULL, &handler, end, &end->conn), OK);
    loop_run(pair.loop);
    assert_int_equal(end->connected, ERR_NONE);

    assert_int_equal(listener_open(pair.loop, &nobody, 0, no_accept, NULL, &listener), OK);
    nobody = *listener_endpoint(listener);
    listener_close(listener); /* a port that nobody listens at */
    assert_int_equal(conn_connect(pair.loop, &nobody, NULL, &handler, end, &end->conn), OK);
    loop_run(pair.loop);
    assert_int_equal(end->connected, ERR_REFUSED);
    loop_free(pair.loop);
}

static void see_source(struct end *server)
{
    const struct ip source = { { [10] = 0xff, 0xff, 127, 0, 0, 2 } };

    assert_int_equal(ip_compare(conn_peer(server->conn)->ip, source), 0);
    pair_stop(server->pair);
}

static void test_source(void **state)
{
    static const struct conn_handler quiet = { .on_connected = ignore_connected };
    const struct ip ours = { { [10] = 0xff, 0xff, 127, 0, 0, 2 } };
    const struct ip other_family = { { [15] = 1 } };
    const struct ip nobodys = { { [10] = 0xff, 0xff, 192, 0, 2, 1 } };
    struct pair pair = { .on_accepted = NULL };
    struct conn *conn = NULL;
    struct endpoint to;

    (void)state;
    pair_open_tcp(&pair);
    to = *listener_endpoint(pair.listener);
    pair.on_accepted = stop;
    pair_run(&pair); /* the one without a source is out of the way */
    conn_close(&pair.server.conn, false);
    pair.on_accepted = see_source;
    assert_int_equal(conn_connect(pair.loop, &to, &ours, &quiet, NULL, &conn), OK);
    pair_run(&pair);
    conn_close(&conn, false);
    assert_int_equal(
        conn_connect(pair.loop, &to, &other_family, &quiet, NULL, &conn), ERR_UNREACHABLE);
    assert_int_equal(
        conn_connect(pair.loop, &to, &nobodys, &quiet, NULL, &conn), ERR_UNREACHABLE);
    assert_null(conn);
    pair_close(&pair);
}

/* --- Kept input -------------------------------------------------------------------------- */

static void say_ten(struct end *client)
{
    end_say(client, "0123456789");
}

/* Uses four bytes, then pauses and goes on by a timer. */
struct slow {
    struct pair pair;
    struct timer again;
};

static void on_again(struct timer *timer)
{
    struct slow *slow = container_of(timer, struct slow, again);

    conn_resume(slow->pair.server.conn);
}

static void take_slowly(struct end *server)
{
    struct slow *slow = container_of(server->pair, struct slow, pair);

    conn_pause(server->conn);
    timer_start(&slow->again, 1);
}

static void say_ten_and_close(struct end *client)
{
    say_ten(client);
    end_close(client);
}

/* The end comes after the kept bytes, although it came while reading was paused. */
static void test_pause(void **state)
{
    struct slow slow = { .pair.client.on_up = say_ten_and_close };

    (void)state;
    pair_open_tcp(&slow.pair);
    timer_init(&slow.again, slow.pair.loop, on_again);
    slow.pair.server.use_max = 4;
    slow.pair.server.on_got = take_slowly;
    slow.pair.server.on_ended = close_and_stop;
    pair_run(&slow.pair);
    check_bytes("all", buf_bytes(&slow.pair.server.got), BYTES("0123456789"));
    assert_int_equal(slow.pair.server.inputs, 3);
    assert_int_equal(slow.pair.server.ended, OK);
    timer_stop(&slow.again);
    pair_close(&slow.pair);
}

struct flushed {
    struct pair pair;
    struct loop_flush flush;
};

static void on_flush(struct loop_flush *flush)
{
    conn_resume(container_of(flush, struct flushed, flush)->pair.server.conn);
}

static void take_at_flush(struct end *server)
{
    struct flushed *flushed = container_of(server->pair, struct flushed, pair);

    conn_pause(server->conn);
    loop_flush_ask(server->pair->loop, &flushed->flush);
}

/* Likewise when the end is met between the call to resume and the step that gives the kept bytes. */
static void test_resume_before_the_end(void **state)
{
    struct flushed flushed = { .pair.client.on_up = say_ten_and_close };

    (void)state;
    pair_open_tcp(&flushed.pair);
    loop_flush_init(&flushed.flush, on_flush);
    flushed.pair.server.use_max = 4;
    flushed.pair.server.on_got = take_at_flush;
    flushed.pair.server.on_ended = close_and_stop;
    pair_run(&flushed.pair);
    check_bytes("all", buf_bytes(&flushed.pair.server.got), BYTES("0123456789"));
    assert_int_equal(flushed.pair.server.ended, OK);
    loop_flush_cancel(&flushed.flush);
    pair_close(&flushed.pair);
}

static void pause_and_resume(struct end *server)
{
    conn_pause(server->conn);
    conn_resume(server->conn);
    if (server->got.n == 10)
        pair_stop(server->pair);
}

/* Resumed inside on_input, the rest is given again without new bytes. */
static void test_resume_inside(void **state)
{
    struct pair pair = { .client.on_up = say_ten, .server.use_max = 3 };

    (void)state;
    pair_open_tcp(&pair);
    pair.server.on_got = pause_and_resume;
    pair_run(&pair);
    check_bytes("all", buf_bytes(&pair.server.got), BYTES("0123456789"));
    pair_close(&pair);
}

/* --- Much -------------------------------------------------------------------------------- */

enum { MUCH_BYTES = 8 << 20 };

struct much {
    struct pair pair;
    size_t said;
    bool was_high;
};

static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

static void say_much(struct end *client)
{
    struct much *much = container_of(client->pair, struct much, pair);
    uint8_t part[1000];

    while (much->said < MUCH_BYTES && !conn_out_is_high(client->conn)) {
        size_t n =
            sizeof part < MUCH_BYTES - much->said ? sizeof part : MUCH_BYTES - much->said;
        for (size_t i = 0; i < n; i++)
            part[i] = byte_at(much->said + i);
        assert_int_equal(buf_add(conn_out(client->conn), bytes_of(part, n)), OK);
        much->said += n;
    }
    much->was_high |= conn_out_is_high(client->conn);
    conn_send(client->conn);
}

/* What it left must come again, even when nothing new comes. */
static void take_much(struct end *server)
{
    conn_pause(server->conn);
    conn_resume(server->conn);
    if (server->got.n == MUCH_BYTES)
        pair_stop(server->pair);
}

static void check_much(const struct end *server)
{
    assert_int_equal(server->got.n, MUCH_BYTES);
    for (size_t i = 0; i < MUCH_BYTES; i++) {
        if (server->got.at[i] != byte_at(i))
            fail_msg("byte %zu is wrong", i);
    }
}

static void test_much(void **state)
{
    struct much much = { .pair.client = { .on_up = say_much, .on_room = say_much } };

    (void)state;
    pair_open_tcp(&much.pair);
    much.pair.server.on_got = take_much;
    much.pair.server.use_max = 50021; /* some is always left */
    pair_run(&much.pair);
    check_much(&much.pair.server);
    assert_true(much.was_high);
    assert_true(much.pair.client.rooms > 0);
    assert_true(conn_out_is_empty(much.pair.client.conn));
    pair_close(&much.pair);
}

/* A handler that uses nothing: reading stops at the ceiling, and goes on when it resumes. */
static size_t use_none(void *me, struct bytes input)
{
    struct much *much = me;

    assert_true(input.n <= CONN_KEPT_BYTES_MAX);
    if (input.n == CONN_KEPT_BYTES_MAX)
        loop_stop(much->pair.loop);
    return 0;
}

static void accept_useless(
    void *me, int fd, const struct endpoint *peer, const struct endpoint *local)
{
    static const struct conn_handler handler = { .on_input = use_none };
    struct much *much = me;

    (void)peer, (void)local;
    assert_int_equal(
        conn_accept(much->pair.loop, fd, &handler, much, &much->pair.server.conn), OK);
}

static void say_much_when_connected(void *me, enum err err)
{
    assert_int_equal(err, OK);
    say_much(me);
}

static void test_kept_ceiling(void **state)
{
    static const struct conn_handler talker = { .on_connected = say_much_when_connected };
    struct much much = { .said = 0 };
    struct pair *pair = &much.pair;
    struct endpoint at = loopback(0);

    (void)state;
    pair->client.pair = pair;
    assert_int_equal(loop_new(&pair->loop), OK);
    assert_int_equal(
        listener_open(pair->loop, &at, 0, accept_useless, &much, &pair->listener), OK);
    at = *listener_endpoint(pair->listener);
    assert_int_equal(
        conn_connect(pair->loop, &at, NULL, &talker, &pair->client, &pair->client.conn), OK);
    loop_run(pair->loop);
    assert_int_equal(conn_kept_bytes(pair->server.conn), CONN_KEPT_BYTES_MAX);
    conn_resume(pair->server.conn); /* is offered once more */
    loop_run(pair->loop);
    assert_int_equal(conn_kept_bytes(pair->server.conn), CONN_KEPT_BYTES_MAX);
    conn_close(&pair->client.conn, true); /* its rest waits in the background, and is cut off */
    conn_close(&pair->server.conn, false);
    listener_close(pair->listener);
    loop_free(pair->loop);
}

/* --- Memory ------------------------------------------------------------------------------ */

static void test_idle_bytes(void **state)
{
    struct pair pair = { .client.on_up = say_ten };

    (void)state;
    pair_open_tcp(&pair);
    pair.server.on_got = stop;
    pair_run(&pair);
    assert_in_range(conn_bytes(pair.server.conn), 1, 700);
    assert_in_range(conn_bytes(pair.client.conn), 1, 700 + 256);
    pair_close(&pair);
}

/* Stops the loop once the server's end holds no buffer, which the sweep of idle connections
 * sees to. */
static void on_look(struct timer *timer)
{
    struct slow *slow = container_of(timer, struct slow, again);

    if (conn_bytes(slow->pair.server.conn) < 700)
        pair_stop(&slow->pair);
    else
        timer_start(timer, 10);
}

static void say_few(struct end *server)
{
    end_say(server, "250 ok\r\n");
}

static void test_idle_sweep(void **state)
{
    struct slow slow = { .pair.client.on_up = say_ten };

    (void)state;
    pair_open_tcp(&slow.pair);
    timer_init(&slow.again, slow.pair.loop, on_look);
    slow.pair.server.on_got = say_few;
    slow.pair.client.on_got = stop;
    pair_run(&slow.pair);
    assert_in_range(conn_bytes(slow.pair.server.conn), 700, 8192); /* kept for the next */
    timer_start(&slow.again, 10);
    pair_run(&slow.pair);
    pair_close(&slow.pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_listen_busy),
        cmocka_unit_test(test_listen_shared),
        cmocka_unit_test(test_listen_unix),
        cmocka_unit_test(test_connect_fails),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_resume_before_the_end),
        cmocka_unit_test(test_resume_inside),
        cmocka_unit_test(test_much),
        cmocka_unit_test(test_kept_ceiling),
        cmocka_unit_test(test_idle_bytes),
        cmocka_unit_test(test_idle_sweep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
