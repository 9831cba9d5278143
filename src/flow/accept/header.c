/* Connections from balancers: the PROXY header is read before anything else, here on the home loop.
 * What stands behind it stays in the socket for whoever serves the client. */
#include "flow/accept/inside.h"

#include "base/mem.h"
#include "os/peek.h"
#include "proto/proxy/proxy.h"
#include "report/report.h"

#include <stdlib.h>
#include <unistd.h>

/* One that may have a header, and may be a client that waits for a banner: for how long it is waited
 * before it is taken for that. */
enum { SILENCE_MS = 1000 };

struct header_wait {
    struct list in_accept;
    struct accept *accept;
    int fd;
    struct arrival arrival; /* as the socket has it */
    bool may_lack_it;       /* and nothing has come yet */
    int64_t timeout_ms;
    struct loop_watch *watch; /* NULL: not yet */
    struct timer timer;
    struct proxy_reader reader;
};

/* Gives back the descriptor. */
static int let_go(struct header_wait *wait)
{
    int fd = wait->fd;

    loop_watch_free(wait->watch);
    timer_stop(&wait->timer);
    list_remove(&wait->in_accept);
    wait->accept->waiting_count--;
    count_remove(&wait->accept->balancers, "", wait->arrival.peer);
    free(wait);
    return fd;
}

static void refuse(struct header_wait *wait, const char *what)
{
    struct accept *accept = wait->accept;
    struct arrival arrival = wait->arrival;
    struct setup *setup = setup_slot_hold(accept->setup);
    struct decision decision;

    balancer_refuse_bad(setup->settings, &arrival, what, &decision);
    setup_free(setup);
    accept_refuse(accept, let_go(wait), &arrival, NULL, &decision);
}

/* By the settings of now: while it was waited for, the peer may have been struck off the list. */
static void admit(struct header_wait *wait, struct arrival client, bool has_header)
{
    struct accept *accept = wait->accept;
    struct arrival arrival = wait->arrival;
    struct setup *setup = setup_slot_hold(accept->setup);
    struct endpoint local = { .ip = arrival.local, .port = arrival.port };
    char where[ENDPOINT_TEXT_BYTES];
    struct decision decision;
    int fd = let_go(wait);

    endpoint_format(&local, where);
    if (balancer_takes(setup->settings, &arrival, has_header, where, &decision)) {
        accept_admit(accept, fd, &client, setup);
        return;
    }
    accept_refuse(accept, fd, &arrival, NULL, &decision);
    setup_free(setup);
}

/* In version 1 HAProxy names its own socket in health checks, where version 2 has LOCAL. */
static bool is_own(const struct arrival *arrival, const struct proxy_header *header)
{
    return header->kind == PROXY_OWN ||
           (header->kind == PROXY_IP && ip_compare(header->source, arrival->peer) == 0 &&
               header->source_port == arrival->peer_port);
}

static void on_header(struct header_wait *wait, const struct proxy_header *header)
{
    struct arrival client = wait->arrival;

    client.balanced.is_probe = is_own(&client, header);
    if (header->kind == PROXY_IP && !client.balanced.is_probe) {
        client.balanced = (struct balanced){ .has_client = true,
            .balancer = client.peer,
            .balancer_port = client.peer_port,
            .destination = header->destination,
            .destination_port = header->destination_port };
        client.peer = header->source;
        client.peer_port = header->source_port;
    }
    admit(wait, client, true);
}

/* Closed without a byte is how balancers look whether we are there: nothing to be said. */
static void on_closed(struct header_wait *wait)
{
    if (wait->reader.n)
        refuse(wait, "a connection closed within its PROXY header");
    else
        close(let_go(wait));
}

/* What is there; true: more of it is needed.  Else the wait is over, and WAIT gone. */
static bool read_header(struct header_wait *wait)
{
    uint8_t bytes[PROXY_BYTES_MAX];
    struct proxy_header header;
    const char *why;
    size_t used;
    ssize_t got = socket_peek(wait->fd, bytes, sizeof bytes);

    if (got < 0)
        return true;
    if (got == 0) {
        on_closed(wait);
        return false;
    }
    if (wait->may_lack_it && proxy_look(bytes_of(bytes, (size_t)got)) == PROXY_LOOKS_OTHER) {
        admit(wait, wait->arrival, false);
        return false;
    }
    if (wait->may_lack_it && wait->watch) /* from here on it has as long as the others */
        timer_start(&wait->timer, wait->timeout_ms);
    wait->may_lack_it = false;
    switch (proxy_read(&wait->reader, bytes_of(bytes, (size_t)got), &used, &header, &why)) {
    case PROXY_MORE:
        socket_skip(wait->fd, used);
        return true;
    case PROXY_BAD:
        refuse(wait, why);
        return false;
    case PROXY_DONE:
        break;
    }
    socket_skip(wait->fd, used);
    on_header(wait, &header);
    return false;
}

static void on_ready(void *me)
{
    read_header(me);
}

static void on_timeout(struct timer *timer)
{
    struct header_wait *wait = container_of(timer, struct header_wait, timer);

    if (wait->may_lack_it)
        admit(wait, wait->arrival, false);
    else
        refuse(wait, wait->reader.n ? "a PROXY header that does not end in time"
                                    : "no PROXY header in time");
}

void header_expect(struct accept *accept, int fd, const struct arrival *arrival,
    const struct settings *settings, bool may_lack_it)
{
    struct header_wait *wait = mem_new(sizeof *wait);

    wait->accept = accept;
    wait->fd = fd;
    wait->arrival = *arrival;
    wait->may_lack_it = may_lack_it;
    wait->timeout_ms = balancer_listener(settings, arrival)->proxy_timeout_ms;
    timer_init(&wait->timer, accept->loop, on_timeout);
    list_init(&wait->in_accept);
    list_add_last(&accept->waiting, &wait->in_accept);
    accept->waiting_count++;
    count_add(&accept->balancers, "", arrival->peer);
    if (!read_header(wait)) /* balancers send it at once: most of them end here */
        return;
    if (loop_watch_new(accept->loop, fd, on_ready, wait, &wait->watch) != OK) {
        close(let_go(wait));
        return;
    }
    timer_start(&wait->timer, wait->may_lack_it ? SILENCE_MS : wait->timeout_ms);
}

void header_stop(struct accept *accept)
{
    list_each (node, &accept->waiting)
        close(let_go(container_of(node, struct header_wait, in_accept)));
}
