/* Two ends of a connection on one loop, which write down what happens to them. */
#ifndef TESTS_OS_CONN_KIT_H
#define TESTS_OS_CONN_KIT_H

#include "kit.h"

#include "base/buf.h"
#include "os/conn.h"
#include "os/listener.h"
#include "os/loop.h"

/* One end.  The hooks are the test's and may be NULL. */
struct end {
    struct pair *pair;
    struct conn *conn;
    struct buf got;
    enum err connected, tls, ended; /* ERR_COUNT: not yet */
    unsigned inputs, rooms;
    size_t use_max; /* uses so many bytes of an input at most; 0: all */
    void (*on_got)(struct end *end);
    void (*on_up)(struct end *end); /* connected, or TLS is up */
    void (*on_ended)(struct end *end);
    void (*on_room)(struct end *end);
};

struct pair {
    struct loop *loop;
    struct listener *listener;
    struct end client, server;
    void (*on_accepted)(struct end *server);
    struct timer give_up;
};

/* Listens and connects; runs nothing yet. */
void pair_open(struct pair *pair, const struct endpoint *at);
void pair_open_tcp(struct pair *pair);
void pair_run(struct pair *pair);  /* until pair_stop(); fails when that takes a minute */
void pair_stop(struct pair *pair); /* in a hook */
void pair_close(struct pair *pair);

void end_say(struct end *end, const char *text);
void end_close(struct end *end);
struct endpoint loopback(uint16_t port);

#endif
