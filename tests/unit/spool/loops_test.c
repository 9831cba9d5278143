/* A message is received on one loop and committed on another, while its chunks are still being
 * answered on the first. */
#include "spool_kit.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MESSAGES = 60, BODY_BYTES = 400000 };

/* The network's side. */
struct network {
    struct bench *bench;
    struct loop *loop;
    pthread_t thread;
    atomic_uint room_count;
};

struct transfer {
    struct loop_post post;
    struct network *network;
    struct bench *bench;
    struct spool_writer *writer;
    unsigned number;
    struct spool_ticket ticket;
    bool is_done, is_abandoned;
};

static size_t bytes_of_number(unsigned number)
{
    return number % 3 == 0 ? 1000 : number * 7919 % BODY_BYTES;
}

static void on_committed(struct spool_ticket *ticket)
{
    struct transfer *transfer = container_of(ticket, struct transfer, ticket);
    struct kept *kept = &transfer->bench->kept[transfer->number];

    assert_int_equal(ticket->err, OK);
    *kept =
        (struct kept){ .entry = ticket->entry, .is_live = true, .content = ticket->content };
    spool_adopt(transfer->bench->spool, &kept->entry);
    transfer->is_done = true;
}

static void commit(struct loop_post *post)
{
    struct transfer *transfer = container_of(post, struct transfer, post);

    if (transfer->number % 7 == 5) {
        spool_abandon(&transfer->writer);
        transfer->is_done = transfer->is_abandoned = true;
        return;
    }
    transfer->ticket =
        (struct spool_ticket){ .loop = transfer->bench->loop, .on_done = on_committed };
    spool_commit(&transfer->writer, bench_mid(transfer->number), BYTES("from afar"), 1, NULL,
        NULL, &transfer->ticket);
}

static void on_room(void *me)
{
    atomic_fetch_add(&((struct network *)me)->room_count, 1);
}

static void receive(struct loop_post *post)
{
    struct transfer *transfer = container_of(post, struct transfer, post);
    struct network *network = transfer->network;
    size_t n = bytes_of_number(transfer->number);
    uint8_t *body = mem_new(BODY_BYTES);

    for (size_t i = 0; i < n; i++)
        body[i] = bench_byte(transfer->number, i);
    transfer->writer =
        spool_writer_new(transfer->bench->spool, network->loop, BODY_BYTES, on_room, network);
    assert_int_equal(spool_append(transfer->writer, bytes_of(body, n)), OK);
    free(body);
    spool_content_free(spool_writer_content(transfer->writer)); /* no ON_ROOM from here on */
    post->run = commit;
    loop_post(transfer->bench->loop, post);
}

static void *network_main(void *me)
{
    loop_run(((struct network *)me)->loop);
    return NULL;
}

static bool is_done(void *me)
{
    return ((struct transfer *)me)->is_done;
}

static void ask(struct network *network, struct transfer *transfer, unsigned number)
{
    *transfer = (struct transfer){
        .network = network, .bench = network->bench, .number = number, .post.run = receive
    };
    loop_post(network->loop, &transfer->post);
}

static void commits_on_another_loop(void **state)
{
    static struct bench bench;
    static struct transfer transfer[MESSAGES];
    struct network network = { .bench = &bench };
    unsigned count = 0;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    assert_int_equal(loop_new(&network.loop), OK);
    assert_int_equal(pthread_create(&network.thread, NULL, network_main, &network), 0);
    for (unsigned i = 0; i < MESSAGES; i++)
        ask(&network, &transfer[i], i);
    for (unsigned i = 0; i < MESSAGES; i++)
        bench_until(&bench, is_done, &transfer[i]);
    loop_stop(network.loop);
    pthread_join(network.thread, NULL);
    assert_int_equal(atomic_load(&network.room_count), 0);
    for (unsigned i = 0; i < MESSAGES; i++)
        if (!transfer[i].is_abandoned) {
            assert_int_equal(bench_read(&bench, i), OK);
            count++;
        }
    bench_close(&bench);
    bench_open(&bench);
    assert_int_equal(bench.found_count, count);
    bench_done(&bench);
    loop_free(network.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_on_another_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
