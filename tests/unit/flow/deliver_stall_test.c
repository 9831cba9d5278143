/* Mail that waits for a lookup, or while a probe is under way, is tried again by itself. */
#include "deliver_kit.h"

#define US "127.61.0.9"

struct wait {
    struct bench *bench;
    const char *hop, *name, *state;
    unsigned count;
};

static bool are_settled(void *me)
{
    const struct wait *wait = me;
    return wait->bench->world.forgotten_count == wait->count;
}

static bool is_held(void *me)
{
    const struct wait *wait = me;
    return bench_held(wait->bench, wait->name) > 0;
}

static bool is_in_state(void *me)
{
    const struct wait *wait = me;
    return strcmp(bench_state(wait->bench, wait->hop, wait->name), wait->state) == 0;
}

/* From the null sender, whom nobody is told of. */
static void send_mail(struct bench *bench, const char *recipient)
{
    world_send(&bench->world, &(struct world_mail){ "", { recipient } });
}

/* Until COUNT messages came to an end. */
static void until_settled(struct bench *bench, unsigned count)
{
    world_until(&bench->world, are_settled, &(struct wait){ .bench = bench, .count = count });
}

static void until_held(struct bench *bench, const char *name)
{
    world_until(&bench->world, is_held, &(struct wait){ .bench = bench, .name = name });
}

static void until_state(
    struct bench *bench, const char *hop, const char *name, const char *state)
{
    world_until(&bench->world, is_in_state, &(struct wait){ bench, hop, name, state, 0 });
}

/* "us", which had no address so far, is probed, and nobody answers about it yet, while mail asks
 * for the addresses of "spare".  Then it turns out to be ourselves: "spare", which comes behind
 * us, is not asked about any more. */
static void test_a_probe_finds_us(void **state)
{
    struct bench bench;
    struct smtp_host *better, *spare;

    (void)state;
    bench_open(&bench, US);
    better = bench_host(&bench, "127.61.0.1");
    spare = bench_host(&bench, "127.61.0.2");
    smtp_host_listen(spare);
    bench_say(&bench, "d.example", "10 better.example 20 us.example 30 spare.example");
    bench_say(&bench, "better.example", "127.61.0.1");
    bench_say(&bench, "us.example", "");
    bench_say(&bench, "spare.example", "");
    send_mail(&bench, "a@d.example"); /* fails at all three of them, then at none */
    until_state(&bench, "out/d.example", "spare.example", "down");
    smtp_host_listen(better);
    until_settled(&bench, 1);
    bench_say(&bench, "us.example", DNS_HOLDS); /* for the circuit breaker: there is no mail */
    until_held(&bench, "us.example");
    smtp_host_refuse(better);
    send_mail(&bench, "a@d.example");
    until_state(&bench, "out/d.example", "better.example", "down");
    bench_say(&bench, "spare.example", DNS_HOLDS); /* for mail: nobody who is up carries any */
    until_held(&bench, "spare.example");
    smtp_host_listen(better);
    bench_say(&bench, "us.example", US);
    until_settled(&bench, 2);
    assert_int_equal(better->mail_count, 2);
    assert_int_equal(spare->connection_count, 0);
    bench_done(&bench);
}

static bool is_connected(void *me)
{
    const struct smtp_host *host = me;
    return host->connection_count > 0;
}

/* A mail for "better", which has no address, and "spare", which takes it. */
static struct smtp_host *send_past_better(struct bench *bench)
{
    struct smtp_host *spare = bench_host(bench, "127.61.0.2");

    smtp_host_listen(spare);
    bench_say(bench, "d.example", DNS_HOLDS);
    bench_say(bench, "better.example", DNS_HOLDS);
    bench_say(bench, "spare.example", "127.61.0.2");
    send_mail(bench, "a@d.example");
    bench_say(bench, "d.example", "10 better.example 20 spare.example");
    until_held(bench, "better.example");
    bench_say(bench, "better.example", "");
    until_settled(bench, 1);
    assert_int_equal(spare->mail_count, 1);
    return spare;
}

/* "better" is probed, and stays so; "spare" fails, and comes back. */
static void test_a_probe_without_end(void **state)
{
    static const struct {
        const char *name, *says;
    } cases[] = {
        { "nobody answers about its name", DNS_HOLDS },
        { "it does not greet", "127.61.0.1" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct smtp_host *better, *spare;
        struct bench bench;

        print_message("%s\n", cases[i].name);
        bench_open(&bench, US);
        better = bench_host(&bench, "127.61.0.1");
        better->is_silent = true;
        smtp_host_listen(better);
        spare = send_past_better(&bench);
        bench_say(&bench, "better.example", cases[i].says);
        if (strcmp(cases[i].says, DNS_HOLDS) == 0)
            until_held(&bench, "better.example");
        else
            world_until(&bench.world, is_connected, better);
        smtp_host_refuse(spare);
        send_mail(&bench, "a@d.example");
        until_state(&bench, "out/d.example", "spare.example", "down");
        smtp_host_listen(spare);
        until_settled(&bench, 2);
        assert_int_equal(spare->mail_count, 2);
        bench_done(&bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_probe_finds_us),
        cmocka_unit_test(test_a_probe_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
