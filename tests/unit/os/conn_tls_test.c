#include "conn_kit.h"

#include "base/mem.h"
#include "os/tls.h"

#include <pthread.h>
#include <stdlib.h>

static struct tls_context *server_context, *client_context;

static int make_contexts(void **state)
{
    static const struct tls_client_settings settings = { .version_min = TLS_1_2 };
    char why[TLS_ERROR_BYTES];

    (void)state;
    assert_int_equal(tls_self_signed_context("mx.example", &server_context, why), OK);
    assert_int_equal(tls_client_context(&settings, &client_context, why), OK);
    return 0;
}

static int free_contexts(void **state)
{
    (void)state;
    tls_context_free(server_context);
    tls_context_free(client_context);
    return 0;
}

static void stop(struct end *end)
{
    pair_stop(end->pair);
}

static void close_and_stop(struct end *end)
{
    end_close(end);
    pair_stop(end->pair);
}

/* --- STARTTLS ---------------------------------------------------------------------------- */

static void ask_starttls(struct end *client)
{
    if (client->tls == ERR_COUNT) {
        end_say(client, "STARTTLS\r\n");
    } else {
        assert_int_equal(client->tls, OK);
        assert_non_null(conn_tls(client->conn));
        end_say(client, "EHLO me\r\n");
    }
}

static void client_got(struct end *client)
{
    if (bytes_equal(buf_bytes(&client->got), BYTES("220 go\r\n"))) {
        assert_null(conn_tls(client->conn));
        conn_start_tls(client->conn, client_context, "mx.example");
    }
}

static void server_got(struct end *server)
{
    if (bytes_equal(buf_bytes(&server->got), BYTES("STARTTLS\r\n"))) {
        end_say(server, "220 go\r\n"); /* goes out in the clear */
        conn_start_tls(server->conn, server_context, NULL);
    } else {
        end_say(server, "250 mx.example\r\n");
        end_close(server);
    }
}

static void test_starttls(void **state)
{
    struct pair pair = { .client = { .on_up = ask_starttls } };

    (void)state;
    pair_open_tcp(&pair);
    pair.client.on_got = client_got;
    pair.server.on_got = server_got;
    pair.client.on_ended = close_and_stop;
    pair_run(&pair);
    assert_int_equal(pair.server.tls, OK);
    assert_int_equal(pair.client.ended, OK);
    check_bytes("client", buf_bytes(&pair.client.got), BYTES("220 go\r\n250 mx.example\r\n"));
    check_bytes("server", buf_bytes(&pair.server.got), BYTES("STARTTLS\r\nEHLO me\r\n"));
    pair_close(&pair);
}

/* --- Input in the clear behind STARTTLS (SM-3) ------------------------------------------- */

static void ask_and_inject(struct end *client)
{
    end_say(client, "STARTTLS\r\nRSET\r\n");
}

static void start_behind_back(struct end *server)
{
    conn_start_tls(server->conn, server_context, NULL);
}

static void test_injection(void **state)
{
    struct pair pair = { .client = { .on_up = ask_and_inject } };

    (void)state;
    pair_open_tcp(&pair);
    pair.server.use_max = 10;
    pair.server.on_got = start_behind_back;
    pair.server.on_up = close_and_stop;
    pair_run(&pair);
    assert_int_equal(pair.server.tls, ERR_TLS);
    assert_int_equal(pair.server.inputs, 1);
    pair_close(&pair);
}

/* --- Wrong bytes, and none --------------------------------------------------------------- */

static void start_at_once(struct end *server)
{
    conn_start_tls(server->conn, server_context, NULL);
}

static void say_plain(struct end *client)
{
    end_say(client, "EHLO me\r\n");
}

static void check_error_and_stop(struct end *server)
{
    assert_int_equal(server->tls, ERR_TLS);
    assert_true(*conn_tls_error(server->conn));
    close_and_stop(server);
}

static void test_no_tls(void **state)
{
    struct pair pair = { .client = { .on_up = say_plain }, .on_accepted = start_at_once };

    (void)state;
    pair_open_tcp(&pair);
    pair.server.on_up = check_error_and_stop;
    pair_run(&pair);
    pair_close(&pair);
}

static void close_at_once(struct end *client)
{
    conn_close(&client->conn, false);
}

static void test_close_before_handshake(void **state)
{
    struct pair pair = { .client = { .on_up = close_at_once }, .on_accepted = start_at_once };

    (void)state;
    pair_open_tcp(&pair);
    pair.server.on_up = close_and_stop;
    pair_run(&pair);
    assert_int_equal(pair.server.tls, ERR_CLOSED);
    assert_int_equal(pair.server.ended, ERR_COUNT); /* told once */
    pair_close(&pair);
}

/* The client begins a handshake, and is gone after its first flight. */
static void start_and_leave(struct end *client)
{
    if (client->tls != ERR_COUNT)
        return;
    conn_start_tls(client->conn, client_context, "mx.example");
    conn_close(&client->conn, true);
}

static void test_close_in_handshake(void **state)
{
    struct pair pair = { .client = { .on_up = start_and_leave }, .on_accepted = start_at_once };

    (void)state;
    pair_open_tcp(&pair);
    pair.server.on_up = close_and_stop;
    pair_run(&pair);
    assert_int_not_equal(pair.server.tls, OK);
    assert_int_not_equal(pair.server.tls, ERR_COUNT);
    pair_close(&pair);
}

/* --- Much -------------------------------------------------------------------------------- */

enum { MUCH_BYTES = 6 << 20 };

struct much {
    struct pair pair;
    size_t said;
};

static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

static void say_much(struct end *client)
{
    struct much *much = container_of(client->pair, struct much, pair);
    uint8_t part[4099];

    while (much->said < MUCH_BYTES && !conn_out_is_high(client->conn)) {
        size_t n =
            sizeof part < MUCH_BYTES - much->said ? sizeof part : MUCH_BYTES - much->said;
        for (size_t i = 0; i < n; i++)
            part[i] = byte_at(much->said + i);
        assert_int_equal(buf_add(conn_out(client->conn), bytes_of(part, n)), OK);
        much->said += n;
    }
    conn_send(client->conn);
    if (much->said == MUCH_BYTES)
        end_close(client);
}

static void start_or_say(struct end *client)
{
    if (client->tls == ERR_COUNT)
        conn_start_tls(client->conn, client_context, "much.example");
    else
        say_much(client);
}

static void check_much(const struct end *server)
{
    assert_int_equal(server->got.n, MUCH_BYTES);
    for (size_t i = 0; i < MUCH_BYTES; i++) {
        if (server->got.at[i] != byte_at(i))
            fail_msg("byte %zu is wrong", i);
    }
}

/* Content that is closed with a rest unsent comes whole, close notice included. */
static void test_much(void **state)
{
    struct much much = { .pair = { .client = { .on_up = start_or_say, .on_room = say_much },
                             .on_accepted = start_at_once } };

    (void)state;
    pair_open_tcp(&much.pair);
    much.pair.server.use_max = 30011;
    much.pair.server.on_ended = close_and_stop;
    pair_run(&much.pair);
    assert_int_equal(much.pair.server.ended, OK);
    /* What the handler did not use was offered a last time with what came last. */
    assert_true(much.pair.server.got.n > MUCH_BYTES / 2);
    pair_close(&much.pair);
}

static void test_much_whole(void **state)
{
    struct much much = { .pair = { .client = { .on_up = start_or_say, .on_room = say_much },
                             .on_accepted = start_at_once } };

    (void)state;
    pair_open_tcp(&much.pair);
    much.pair.server.on_ended = close_and_stop;
    pair_run(&much.pair);
    assert_int_equal(much.pair.server.ended, OK);
    check_much(&much.pair.server);
    pair_close(&much.pair);
}

/* --- Resumption -------------------------------------------------------------------------- */

static void start_or_hear(struct end *client)
{
    if (client->tls == ERR_COUNT)
        conn_start_tls(client->conn, client_context, "resumed.example");
}

static void bye(struct end *server)
{
    assert_int_equal(server->tls, OK);
    end_say(server, "220 hello\r\n");
    end_close(server);
}

static void test_resumption(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct pair pair = { .client = { .on_up = start_or_hear },
            .on_accepted = start_at_once };
        pair_open_tcp(&pair);
        pair.server.on_up = bye;
        pair.client.on_ended = stop;
        pair_run(&pair);
        check_bytes("greeting", buf_bytes(&pair.client.got), BYTES("220 hello\r\n"));
        assert_int_equal(conn_tls(pair.client.conn)->is_resumed, i == 1);
        pair_close(&pair);
    }
}

/* --- Threads ----------------------------------------------------------------------------- */

/* A loop of its own; the contexts and their sessions are everybody's. */
static void *run_pairs(void *me)
{
    (void)me;
    for (int i = 0; i < 8; i++) {
        struct pair pair = { .client = { .on_up = start_or_hear },
            .on_accepted = start_at_once };
        pair_open_tcp(&pair);
        pair.server.on_up = bye;
        pair.client.on_ended = stop;
        pair_run(&pair);
        check_bytes("greeting", buf_bytes(&pair.client.got), BYTES("220 hello\r\n"));
        pair_close(&pair);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_pairs, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starttls),
        cmocka_unit_test(test_injection),
        cmocka_unit_test(test_no_tls),
        cmocka_unit_test(test_close_before_handshake),
        cmocka_unit_test(test_close_in_handshake),
        cmocka_unit_test(test_much),
        cmocka_unit_test(test_much_whole),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, make_contexts, free_contexts);
}
