/* What the spool does by itself: commits and flushes a second, and how long an opening takes.
 *
 *     spool_bench FOLDER [MESSAGES]      makes a spool in FOLDER, which must not be there */
#include "base/mem.h"
#include "os/clock.h"
#include "os/file.h"
#include "spool/spool.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUN_MS = 3000, WRITERS_MAX = 1000 };

struct bench {
    struct loop *loop;
    struct spool *spool;
    struct spool_settings settings;
    uint8_t body[10240];
    size_t body_bytes;
    bool is_settling; /* each message at once; else they stay */
    uint64_t left;    /* to be begun */
    unsigned running;
    struct timer end;
    uint64_t found;
};

struct writer {
    struct bench *bench;
    struct spool_ticket ticket;
    struct spool_entry entry; /* of a message that is settled at once */
};

static void begin(struct writer *writer);

/* Those that stay need their entries for as long as the spool is open. */
static void keep(struct bench *bench, const struct spool_entry *entry)
{
    spool_adopt(bench->spool, mem_copy(entry, sizeof *entry));
}

static void on_done(struct spool_ticket *ticket)
{
    static const uint32_t first[] = { 0 };
    struct writer *writer = container_of(ticket, struct writer, ticket);
    struct bench *bench = writer->bench;

    if (ticket->err) {
        fprintf(stderr, "commit: %s\n", err_text(ticket->err));
        exit(1);
    }
    spool_content_free(ticket->content);
    if (bench->is_settling) {
        writer->entry = ticket->entry;
        spool_adopt(bench->spool, &writer->entry);
        spool_note(bench->spool, &writer->entry, first, 1, SPOOL_DELIVERED);
        spool_settle(bench->spool, &writer->entry);
    } else {
        keep(bench, &ticket->entry);
    }
    begin(writer);
}

static void begin(struct writer *writer)
{
    struct bench *bench = writer->bench;
    struct spool_writer *body;
    uint8_t envelope[150] = { 0 };

    if (!bench->left) {
        if (--bench->running == 0)
            loop_stop(bench->loop);
        return;
    }
    bench->left--;
    writer->ticket = (struct spool_ticket){ .on_done = on_done };
    body = spool_writer_new(bench->spool, bench->loop, 1 << 30, NULL, NULL);
    if (spool_append(body, bytes_of(bench->body, bench->body_bytes)))
        exit(1);
    spool_commit(&body, random_mid(), bytes_of(envelope, sizeof envelope), 1, NULL, NULL,
        &writer->ticket);
}

static void on_end(struct timer *timer)
{
    container_of(timer, struct bench, end)->left = 0;
}

/* MESSAGES of BYTES by so many writers; 0: for RUN_MS. */
static void run(struct bench *bench, unsigned writers, size_t bytes, uint64_t messages)
{
    struct writer *all = mem_new(writers * sizeof *all);
    struct spool_facts before, after;
    int64_t start, took_ms;

    bench->body_bytes = bytes;
    bench->left = messages ? messages : UINT64_MAX;
    bench->running = writers;
    spool_get_facts(bench->spool, &before);
    start = clock_moment().ms;
    if (!messages)
        timer_start(&bench->end, RUN_MS);
    for (unsigned i = 0; i < writers; i++) {
        all[i].bench = bench;
        begin(&all[i]);
    }
    loop_run(bench->loop);
    took_ms = clock_moment().ms - start;
    spool_get_facts(bench->spool, &after);
    printf(
        "%4u writers %6zu bytes: %8.0f commits/s %7.0f flushes/s %6.1f a flush %6.0f us each\n",
        writers, bytes, (double)(after.commits - before.commits) * 1000 / (double)took_ms,
        (double)(after.flushes - before.flushes) * 1000 / (double)took_ms,
        (double)(after.commits - before.commits) / (double)(after.flushes - before.flushes),
        (double)(after.flush_us_total - before.flush_us_total) /
            (double)(after.flushes - before.flushes));
    fflush(stdout);
    free(all);
}

static void on_message(void *me, const struct spool_found *found)
{
    struct bench *bench = me;

    (void)found;
    bench->found++;
}

static void open_it(struct bench *bench)
{
    const struct spool_visitor visitor = { bench, on_message, NULL, NULL };
    char why[256];
    int64_t start = clock_moment().ms;

    bench->found = 0;
    if (spool_open(&bench->spool, bench->loop, &bench->settings, &visitor, why)) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    printf("opened in %lld ms, %llu messages found\n", (long long)(clock_moment().ms - start),
        (unsigned long long)bench->found);
}

int main(int argc, char **argv)
{
    static const unsigned writers[] = { 1, 20, 100 };
    static const size_t sizes[] = { 1024, 10240 };
    static struct bench bench;
    uint64_t messages = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;

    if (argc < 2 || loop_new(&bench.loop)) {
        fprintf(stderr, "usage: spool_bench FOLDER [MESSAGES]\n");
        return 1;
    }
    bench.settings.folder = argv[1];
    timer_init(&bench.end, bench.loop, on_end);
    open_it(&bench);
    bench.is_settling = true;
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 3; k++)
            run(&bench, writers[k], sizes[i], 0);
    bench.is_settling = false;
    if (messages)
        run(&bench, WRITERS_MAX, 1024, messages);
    spool_close(bench.spool);
    open_it(&bench);
    spool_close(bench.spool);
    return 0;
}
