/* No mail goes to ourselves, also while addresses are known: that is 5 s at least, and what is
 * tried again here is so within milliseconds. */
#include "deliver_kit.h"

#include "report/report.h"

#include <stdio.h>

#define US "127.65.0.9"
#define OTHER "127.65.0.1"
#define DEAD "127.65.0.2"

enum { SOME = 4 };

struct wait {
    struct bench *bench;
    const char *name;
    unsigned count;
};

static bool are_settled(void *me)
{
    const struct wait *wait = me;
    return wait->bench->world.forgotten_count == wait->count;
}

/* Or mail went to somebody. */
static bool were_attempted(void *me)
{
    const struct wait *wait = me;
    return world_hop(&wait->bench->world, "out")->failure_count >= wait->count ||
           wait->bench->world.forgotten_count == 1;
}

/* Or WAIT's host, which is us, was connected to. */
static bool were_asked(void *me)
{
    const struct wait *wait = me;
    return bench_asked(wait->bench, wait->name) >= wait->count ||
           wait->bench->hosts[0].connection_count;
}

static bool is_held(void *me)
{
    const struct wait *wait = me;
    return bench_held(wait->bench, wait->name) > 0;
}

static bool is_connected(void *me)
{
    const struct smtp_host *host = me;
    return host->connection_count > 0;
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

static void until_attempted(struct bench *bench, unsigned count)
{
    world_until(
        &bench->world, were_attempted, &(struct wait){ .bench = bench, .count = count });
}

static void until_asked(struct bench *bench, const char *name, unsigned count)
{
    world_until(&bench->world, were_asked,
        &(struct wait){ .bench = bench, .name = name, .count = count });
}

static void until_held(struct bench *bench, const char *name)
{
    world_until(&bench->world, is_held, &(struct wait){ .bench = bench, .name = name });
}

static struct smtp_host *add_host(struct bench *bench, const char *ip)
{
    struct smtp_host *host = bench_host(bench, ip);

    smtp_host_listen(host);
    return host;
}

static bool is_told_of_us(struct bench *bench, const char *name)
{
    return strstr(bench_error(bench, "out", name), "451 4.4.6") &&
           strstr(bench_error(bench, "out", name), "is this node itself");
}

/* The only binding is at IP from now on, as after a reload, or as when an address moves. */
static void become(struct bench *bench, const char *ip)
{
    const struct settings *settings = bench->world.setup->settings;
    struct binding *binding = settings->receive[settings->receive_count - 1].bindings;

    assert_true(ip_parse(bytes_text(ip), &binding->ip));
}

/* It is alone, and found to be us at each attempt; when it is somebody else he gets the mail. */
static void test_a_named_host(void **state)
{
    struct bench bench;
    struct smtp_host *us, *other;

    (void)state;
    bench_open_to(&bench, US, "[us.example]");
    us = add_host(&bench, US);
    other = add_host(&bench, OTHER);
    bench_say(&bench, "us.example", US);
    send_mail(&bench, "a@d.example");
    until_attempted(&bench, SOME);
    assert_int_equal(us->connection_count, 0);
    assert_true(is_told_of_us(&bench, "us.example"));
    bench_say(&bench, "us.example", OTHER);
    until_settled(&bench, 1);
    assert_int_equal(us->connection_count, 0);
    assert_int_equal(other->mail_count, 1);
    bench_done(&bench);
}

/* The circuit breaker asks again and again, and does not bring it up. */
static void test_beside_a_healthy_host(void **state)
{
    struct bench bench;
    struct smtp_host *us, *other;
    unsigned sent = 0;

    (void)state;
    bench_open_to(&bench, US, "[us.example] [other.example]");
    us = add_host(&bench, US);
    other = add_host(&bench, OTHER);
    bench_say(&bench, "us.example", US);
    bench_say(&bench, "other.example", OTHER);
    do {
        send_mail(&bench, "a@d.example");
        until_settled(&bench, ++sent);
    } while (strcmp(bench_state(&bench, "out", "us.example"), "down") != 0);
    until_asked(&bench, "us.example", SOME);
    send_mail(&bench, "a@d.example");
    until_settled(&bench, ++sent);
    assert_int_equal(us->connection_count, 0);
    assert_true(is_told_of_us(&bench, "us.example"));
    assert_int_equal(other->mail_count, sent);
    bench_done(&bench);
}

static void test_a_literal_again(void **state)
{
    struct bench bench;
    struct smtp_host *us;

    (void)state;
    bench_open(&bench, US);
    us = add_host(&bench, US);
    for (unsigned sent = 1; sent <= SOME; sent++) {
        send_mail(&bench, "a@[" US "]");
        until_settled(&bench, sent);
    }
    assert_int_equal(us->connection_count, 0);
    bench_done(&bench);
}

/* The others get the mail; by MX they are who we are (RFC 5321, 5.1). */
static void test_one_address_of_several(void **state)
{
    static const struct {
        const char *name, *hosts;
        unsigned at_other;
    } cases[] = {
        { "a smart host", "[pair.example]", 3 },
        { "by MX", NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct bench bench;
        struct smtp_host *us, *other;

        bench_open_to(&bench, US, cases[i].hosts);
        us = add_host(&bench, US);
        other = add_host(&bench, OTHER);
        bench_say(&bench, "d.example", "10 pair.example 20 other.example");
        bench_say(&bench, "pair.example", US " " DEAD " " US " " OTHER);
        bench_say(&bench, "other.example", OTHER);
        for (unsigned sent = 1; sent <= 3; sent++) {
            send_mail(&bench, "a@d.example");
            until_settled(&bench, sent);
        }
        check(cases[i].name, us->connection_count == 0);
        check(cases[i].name, other->mail_count == cases[i].at_other);
        bench_done(&bench);
    }
}

/* A known address of a host is ours from now on, and then it is not. */
static void test_an_address_that_becomes_ours(void **state)
{
    struct bench bench;
    struct smtp_host *other;

    (void)state;
    bench_open_to(&bench, US, "[other.example]");
    other = add_host(&bench, OTHER);
    bench_say(&bench, "other.example", OTHER);
    send_mail(&bench, "a@d.example");
    until_settled(&bench, 1);
    become(&bench, OTHER);
    send_mail(&bench, "a@d.example");
    until_asked(&bench, "other.example", SOME);
    assert_int_equal(other->connection_count, 1);
    assert_true(is_told_of_us(&bench, "other.example"));
    become(&bench, US);
    until_settled(&bench, 2);
    assert_int_equal(other->mail_count, 2);
    bench_done(&bench);
}

/* It is the next one to be tried just then. */
static void test_a_further_address_that_becomes_ours(void **state)
{
    struct bench bench;
    struct smtp_host *dead, *other;

    (void)state;
    bench_open_to(&bench, US, "[pair.example]");
    dead = add_host(&bench, DEAD);
    dead->is_silent = true;
    other = add_host(&bench, OTHER);
    bench_say(&bench, "pair.example", DEAD " " OTHER);
    send_mail(&bench, "a@d.example");
    world_until(&bench.world, is_connected, dead);
    become(&bench, OTHER);
    smtp_host_refuse(dead);
    until_attempted(&bench, SOME);
    assert_int_equal(other->connection_count, 0);
    dead->is_silent = false;
    smtp_host_listen(dead);
    until_settled(&bench, 1);
    assert_int_equal(dead->mail_count, 1);
    bench_done(&bench);
}

static void begin_log(const struct bench *bench, char path[128])
{
    struct report_settings settings = { .target = 0, .connectivity_file = path };
    char why[256];

    snprintf(path, 128, "%s/connectivity", bench->world.folder);
    assert_int_equal(report_init(&settings, why), OK);
}

static unsigned count_lines(const char *path, const char *about)
{
    FILE *file = fopen(path, "re");
    unsigned count = 0;
    char line[1024];

    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        count += strstr(line, about) != NULL;
    fclose(file);
    return count;
}

/* A smart host by its MX is told to be us once, while its records are read again, and to be
 * somebody else when its addresses are. */
static void test_by_mx_told_once(void **state)
{
    struct bench bench;
    struct smtp_host *us, *other;
    char path[128];

    (void)state;
    bench_open_to(&bench, US, "pool.example lost.example");
    begin_log(&bench, path);
    us = add_host(&bench, US);
    other = add_host(&bench, OTHER);
    bench_say(&bench, "pool.example", "10 us.example");
    bench_say(&bench, "us.example", US);
    bench_say(
        &bench, "lost.example", ""); /* there are no hosts: they are asked about each time */
    send_mail(&bench, "a@d.example");
    until_attempted(&bench, SOME);
    assert_true(is_told_of_us(&bench, "pool.example"));
    bench_say(&bench, "us.example", DNS_HOLDS);
    until_held(&bench, "us.example");
    assert_true(is_told_of_us(&bench, "us.example"));
    assert_true(bench_asked(&bench, "pool.example") >= SOME);
    assert_int_equal(count_lines(path, "pool.example does not answer: 451 4.4.6"), 1);
    assert_int_equal(count_lines(path, "pool.example answers again"), 0);
    bench_say(&bench, "us.example", OTHER);
    until_settled(&bench, 1);
    assert_int_equal(count_lines(path, "pool.example answers again"), 1);
    assert_string_equal(bench_state(&bench, "out", "pool.example"), "");
    assert_int_equal(us->connection_count, 0);
    assert_int_equal(other->mail_count, 1);
    report_done();
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_named_host),
        cmocka_unit_test(test_beside_a_healthy_host),
        cmocka_unit_test(test_a_literal_again),
        cmocka_unit_test(test_one_address_of_several),
        cmocka_unit_test(test_an_address_that_becomes_ours),
        cmocka_unit_test(test_a_further_address_that_becomes_ours),
        cmocka_unit_test(test_by_mx_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
