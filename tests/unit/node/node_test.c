#include "node_kit.h"

#include "os/file.h"
#include "report/report.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct world world;

static struct machine *const one = &world.machines[0], *const two = &world.machines[1];

static int begin(void **state)
{
    (void)state;
    world_init(&world, 2);
    machine_start(one);
    machine_start(two);
    world_until(&world, world_links_are_up, &world);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_done(&world);
    return 0;
}

static struct ledger_facts facts_of(struct machine *machine)
{
    struct node_facts facts;

    node_get_facts(machine->node, &facts);
    return facts.ledger;
}

/* Nobody has, owes or waits for anything. */
static bool is_empty(void *me)
{
    (void)me;
    for (unsigned i = 0; i < world.count; i++) {
        struct ledger_facts facts;
        if (!world.machines[i].node)
            continue;
        facts = facts_of(&world.machines[i]);
        if (facts.primary || facts.held || facts.words || facts.unclaimed)
            return false;
    }
    return true;
}

static struct letter *accept_one(
    struct machine *machine, unsigned number, size_t n, unsigned to)
{
    struct letter *letter = machine_accept(machine, number, n, to);

    world_until(&world, letter_is_answered, letter);
    return letter;
}

/* --- Two copies, then none ----------------------------------------------------------------- */

static void test_copy_and_discard(void **state)
{
    static const struct {
        const char *name;
        size_t n;
        unsigned recipients;
    } cases[] = {
        { "small", 300, 1 },
        { "empty", 0, 1 },
        { "many recipients", 2000, 300 },
        { "in one piece", 250000, 2 },
    };

    (void)state;
    for (unsigned i = 0; i < CASES(cases); i++) {
        struct letter *letter = accept_one(one, i + 1, cases[i].n, cases[i].recipients);
        check(cases[i].name, letter->verdict == LEDGER_REDUNDANT);
        check(cases[i].name, facts_of(two).held == 1);
        machine_check_content(&world, two, i + 1, cases[i].n, cases[i].recipients);
        letter_settle(letter);
        world_until(&world, is_empty, NULL);
        check(cases[i].name, node_find_entry(two->node, letter_mid(i + 1)) == NULL);
    }
}

/* Content that is not in memory: it is read from the spool, piece by piece. */
static void test_large(void **state)
{
    size_t n = 5 << 20;
    struct letter *letter;

    (void)state;
    letter = accept_one(one, 1, n, 3);
    assert_int_equal(letter->verdict, LEDGER_REDUNDANT);
    machine_check_content(&world, two, 1, n, 3);
    letter_settle(letter);
    world_until(&world, is_empty, NULL);
}

static bool are_answered(void *me)
{
    struct machine *machine = me;

    for (unsigned i = 0; i < machine->letter_count; i++)
        if (!machine->letters[i].is_answered)
            return false;
    return true;
}

static void test_many_in_flight(void **state)
{
    struct node_facts facts;

    (void)state;
    for (unsigned i = 1; i <= 500; i++) {
        machine_accept(one, 2 * i, 2000 + i, 1 + i % 3);
        if (i % 5 == 0) /* and some the other way */
            machine_accept(two, 2 * i + 1, 3000, 1);
    }
    world_until(&world, are_answered, one);
    world_until(&world, are_answered, two);
    for (unsigned i = 0; i < one->letter_count; i++)
        assert_int_equal(one->letters[i].verdict, LEDGER_REDUNDANT);
    node_get_facts(one->node, &facts);
    assert_int_equal(facts.copies_sent, 500);
    assert_int_equal(facts.copies_received, 100);
    for (unsigned i = 0; i < one->letter_count; i++)
        letter_settle(&one->letters[i]);
    for (unsigned i = 0; i < two->letter_count; i++)
        letter_settle(&two->letters[i]);
    world_until(&world, is_empty, NULL);
}

/* --- Partly done ---------------------------------------------------------------------------- */

static bool has_heard_of_part(void *me)
{
    const struct spool_entry *entry = node_find_entry(two->node, letter_mid(1));

    (void)me;
    return entry && spool_entry_outcome(entry, 1) == SPOOL_DELIVERED &&
           spool_entry_outcome(entry, 2) == SPOOL_DELIVERED;
}

static bool has_taken_one(void *machine)
{
    struct letter *letter = machine_letter(machine, 1);

    return letter && letter->is_taken;
}

static bool has_taken_all(void *machine)
{
    struct machine *taker = machine;
    unsigned count = 0;

    for (unsigned i = 0; i < taker->letter_count; i++)
        count += taker->letters[i].is_taken;
    return count == 20;
}

static void test_part_then_takeover(void **state)
{
    struct letter *letter;

    (void)state;
    letter = accept_one(one, 1, 1000, 4);
    letter_deliver(letter, 1);
    letter_deliver(letter, 2);
    node_partly(one->node, letter->mid);
    world_until(&world, has_heard_of_part, NULL);
    machine_stop(&world, one);
    world_until(&world, has_taken_one, two);
    letter = machine_letter(two, 1);
    assert_int_equal(letter->generation, 1);
    assert_string_equal(letter->from, "ex01.example.com");
    assert_int_equal(spool_entry_outcome(&letter->entry, 0), SPOOL_PENDING);
    assert_int_equal(spool_entry_outcome(&letter->entry, 1), SPOOL_DELIVERED);
    machine_check_content(&world, two, 1, 1000, 4);
    letter_settle(letter);
}

/* --- One is gone, and comes back -------------------------------------------------------------- */

static bool is_nothing_there(void *me)
{
    struct ledger_facts facts = facts_of(me);

    return facts.primary == 0 && facts.held == 0;
}

/* The taker delivers; who returns with its disk holds for it, delivers nothing, and forgets. */
static void test_return(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 20; i++)
        accept_one(one, i, 1000, 2);
    machine_stop(&world, one);
    world_until(&world, has_taken_all, two);
    for (unsigned i = 0; i < 10; i++)
        letter_settle(&two->letters[i]);
    machine_start(one);
    assert_int_equal(one->letter_count, 20);
    for (unsigned i = 0; i < 20; i++)
        assert_true(one->letters[i].is_held_back);
    world_until(&world, world_links_are_up, &world);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(one->letters[i].is_withdrawn);
        assert_false(one->letters[i].is_live);
    }
    for (unsigned i = 10; i < 20; i++)
        letter_settle(&two->letters[i]);
    world_until(&world, is_nothing_there, one);
    world_until(&world, is_empty, NULL);
}

/* Its disk is gone with it: what it had is taken over as soon as it says so. */
static void test_return_without_spool(void **state)
{
    (void)state;
    two->settings->transport.heartbeat_retry_count =
        1000; /* silence alone takes nothing over */
    world_done(&world);
    world_init(&world, 2);
    two->settings->transport.heartbeat_retry_count = 1000;
    machine_start(one);
    machine_start(two);
    world_until(&world, world_links_are_up, &world);
    for (unsigned i = 1; i <= 20; i++)
        accept_one(one, i, 1000, 2);
    machine_stop(&world, one);
    machine_lose_spool(one);
    assert_int_equal(two->letter_count, 0);
    machine_start(one);
    world_until(&world, has_taken_all, two);
    assert_int_equal(one->letter_count, 0);
}

/* A restart with both disks: the holder keeps its copies, who comes back delivers. */
static bool is_released(void *me)
{
    struct machine *machine = me;

    for (unsigned i = 0; i < machine->letter_count; i++)
        if (machine->letters[i].is_held_back)
            return false;
    return true;
}

static void test_both_return(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 20; i++)
        accept_one(one, i, 1000, 2);
    machine_stop(&world, one);
    machine_stop(&world, two);
    machine_start(two);
    assert_int_equal(facts_of(two).held, 20);
    machine_start(one);
    assert_int_equal(one->letter_count, 20);
    world_until(&world, world_links_are_up, &world);
    world_until(&world, is_released, one);
    for (unsigned i = 0; i < 20; i++)
        letter_settle(&one->letters[i]);
    world_until(&world, is_empty, NULL);
    assert_int_equal(two->letter_count, 0);
}

/* --- Without a holder ------------------------------------------------------------------------- */

static bool are_links_down(void *me)
{
    struct node_facts facts;

    node_get_facts(((struct machine *)me)->node, &facts);
    return facts.links_out == 0;
}

static bool is_redundant(void *me)
{
    return facts_of(me).single == 0;
}

static void test_alone_then_copied(void **state)
{
    struct letter *letter;

    (void)state;
    machine_stop(&world, two);
    world_until(&world, are_links_down, one);
    letter = accept_one(one, 1, 1000, 1);
    assert_int_equal(letter->verdict, LEDGER_SINGLE);
    assert_int_equal(letter->single, SINGLE_NO_NODE);
    one->settings->transport.rejects_on_shadow_failure = true;
    assert_true(machine_accept(one, 2, 1000, 1)->is_refused);
    one->settings->transport.rejects_on_shadow_failure = false;
    machine_start(two);
    world_until(&world, is_redundant, one); /* R8 */
    machine_check_content(&world, two, 1, 1000, 1);
    letter_settle(letter);
    world_until(&world, is_empty, NULL);
}

/* Its disk is full: refused, said so, and copied when there is room again. */
static void test_holder_is_full(void **state)
{
    unsigned redundant = 0, single = 0;

    (void)state;
    machine_stop(&world, two);
    two->settings->spool_bytes_max = 4 << 20;
    machine_start(two);
    world_until(&world, world_links_are_up, &world);
    for (unsigned i = 1; i <= 40; i++)
        machine_accept(one, i, 200000, 1);
    world_until(&world, are_answered, one);
    for (unsigned i = 0; i < 40; i++) {
        redundant += one->letters[i].verdict == LEDGER_REDUNDANT;
        single += one->letters[i].verdict == LEDGER_SINGLE;
    }
    assert_int_equal(redundant + single, 40);
    assert_true(redundant >= 5 && single >= 5);
    assert_int_equal(facts_of(two).held, redundant);
    for (unsigned i = 0; i < 30; i++)
        letter_settle(&one->letters[i]);
    world_until(&world, is_redundant, one); /* the last ten */
    for (unsigned i = 30; i < 40; i++)
        letter_settle(&one->letters[i]);
    world_until(&world, is_empty, NULL);
}

/* --- The link --------------------------------------------------------------------------------- */

/* Another key than the configured one: neither side gets anything from it. */
static void test_wrong_key(void **state)
{
    struct settings *settings = one->settings;
    char why[512];
    struct letter *letter;

    (void)state;
    settings->nodes[0].pin[0] ^= 1;
    assert_int_equal(node_change(one->node, settings, why), OK);
    world_until(&world, are_links_down, one);
    letter = accept_one(one, 1, 1000, 1);
    assert_int_equal(letter->verdict, LEDGER_SINGLE);
    settings->nodes[0].pin[0] ^= 1;
    assert_int_equal(node_change(one->node, settings, why), OK);
    world_until(&world, world_links_are_up, &world);
    world_until(&world, is_redundant, one);
}

static bool was_refused(void *before)
{
    return report_count(REPORT_LINK_REFUSED) > *(uint64_t *)before;
}

/* The right key under another name is refused at the introduction. */
static void test_wrong_name(void **state)
{
    uint64_t before = report_count(REPORT_LINK_REFUSED);
    char why[512];

    (void)state;
    two->settings->nodes[0].name[0] = 'x';
    assert_int_equal(node_change(two->node, two->settings, why), OK);
    world_until(&world, was_refused, &before);
    world_until(&world, are_links_down, one);
    two->settings->nodes[0].name[0] = 'e';
    assert_int_equal(node_change(two->node, two->settings, why), OK);
    world_until(&world, world_links_are_up, &world);
}

/* Switched off and on again while messages are there. */
static void test_off_and_on(void **state)
{
    struct letter *letter;
    char why[512];

    (void)state;
    letter = accept_one(one, 1, 1000, 1);
    one->settings->transport.shadow_is_enabled = false;
    assert_int_equal(node_change(one->node, one->settings, why), OK);
    assert_false(node_is_on(one->node));
    letter_settle(letter); /* what is owed is told all the same */
    world_until(&world, is_empty, NULL);
    one->settings->transport.shadow_is_enabled = true;
    assert_int_equal(node_change(one->node, one->settings, why), OK);
    assert_true(node_is_on(one->node));
    letter = accept_one(one, 2, 1000, 1);
    assert_int_equal(letter->verdict, LEDGER_REDUNDANT);
    letter_settle(letter);
    world_until(&world, is_empty, NULL);
}

/* Each name that a configuration ever had keeps its place: one too many is refused with its
 * line, and what was in force stays. */
static void test_more_names_than_places(void **state)
{
    struct cluster_node *other = &one->settings->nodes[0];
    char *name = other->name, strange[40], why[512] = "";

    (void)state;
    other->source = (struct source_line){ "relais.conf", 7 };
    other->name = strange;
    for (int i = 1; i < LEDGER_PEERS_MAX; i++) {
        snprintf(strange, sizeof strange, "left%02d.example.com", i);
        assert_int_equal(node_change(one->node, one->settings, why), OK);
    }
    snprintf(strange, sizeof strange, "one.more.example.com");
    assert_int_equal(node_change(one->node, one->settings, why), ERR_LIMIT);
    assert_non_null(strstr(why, "relais.conf:7: cluster_node \"one.more.example.com\" is one"));
    other->name = name; /* one that was there before is none too many */
    assert_int_equal(node_change(one->node, one->settings, why), OK);
    world_until(&world, world_links_are_up, &world);
}

/* Stopped in the middle of it all: each acceptance has its answer, and what was said to be on two
 * machines is. */
static void test_stop_under_load(void **state)
{
    unsigned redundant = 0;

    (void)state;
    for (unsigned i = 1; i <= 200; i++)
        machine_accept(one, i, 5000, 1);
    machine_stop(&world, two);
    world_until(&world, are_answered, one);
    for (unsigned i = 0; i < one->letter_count; i++)
        redundant += one->letters[i].verdict == LEDGER_REDUNDANT;
    machine_start(two);
    assert_true(facts_of(two).held >= redundant);
    world_until(&world, world_links_are_up, &world);
    world_until(&world, is_redundant, one);
    for (unsigned i = 0; i < one->letter_count; i++)
        letter_settle(&one->letters[i]);
    world_until(&world, is_empty, NULL);
}

/* --- A disk that fails -------------------------------------------------------------------------- */

/* With the spool's threads: nothing yet; the copy was written; it was flushed; so many flushes failed
 * since. */
enum { COPY_BYTES = 30000 };
enum { NOTHING_YET, WRITTEN, FLUSHED };
static atomic_int disk_of_two;

static bool is_of_two(const struct file_event *event)
{
    char name[64], path[256] = "";

    snprintf(name, sizeof name, "/proc/self/fd/%d", event->fd);
    return readlink(name, path, sizeof path - 1) > 0 && strstr(path, two->folder);
}

static enum err fail_after_the_copy(void *me, const struct file_event *event, size_t *n_max)
{
    (void)me;
    (void)n_max;
    if (event->fd < 0 || !is_of_two(event))
        return OK;
    if (event->call == FILE_CALL_WRITE && event->n > COPY_BYTES &&
        event->n < COPY_BYTES + 4000 && !atomic_load(&disk_of_two))
        atomic_store(&disk_of_two, WRITTEN);
    if (event->call != FILE_CALL_SYNC || !atomic_load(&disk_of_two))
        return OK;
    return atomic_fetch_add(&disk_of_two, 1) == WRITTEN ? OK : ERR_IO;
}

/* The copy is on its disk, and what is done of it does not get there. */
static bool is_stuck(void *me)
{
    (void)me;
    return node_find_entry(two->node, letter_mid(1)) && atomic_load(&disk_of_two) > FLUSHED + 1;
}

/* The node ends all the same: nobody hears its answer any more. */
static void test_stop_while_the_disk_fails(void **state)
{
    static const struct file_faults faults = { .before = fail_after_the_copy };
    struct letter *letter;

    (void)state;
    machine_stop(&world, two);
    letter = accept_one(one, 1, COPY_BYTES, 4);
    assert_int_equal(letter->verdict, LEDGER_SINGLE);
    letter_deliver(letter, 1);
    node_partly(one->node, letter->mid);
    machine_start(two);
    atomic_store(&disk_of_two, NOTHING_YET);
    file_set_faults(&faults);
    world_until(&world, is_stuck, NULL);
    assert_int_equal(facts_of(one).redundant, 0);
    machine_stop(&world, two);
    file_set_faults(NULL);
    machine_start(two);
    assert_int_equal(facts_of(two).held, 1); /* what the disk had is there */
    letter_settle(letter);
    world_until(&world, is_empty, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    /* Thousands of lines that nobody reads: but RELAIS_LOG=/dev/stderr shows them. */
    const char *file = getenv("RELAIS_LOG");
    struct report_settings log = { .target = 1, .log_file = file ? file : "/dev/null" };
    char why[256];
    const struct CMUnitTest tests[] = {
        TEST(test_copy_and_discard),
        TEST(test_large),
        TEST(test_many_in_flight),
        TEST(test_part_then_takeover),
        TEST(test_return),
        TEST(test_return_without_spool),
        TEST(test_both_return),
        TEST(test_alone_then_copied),
        TEST(test_holder_is_full),
        TEST(test_wrong_key),
        TEST(test_wrong_name),
        TEST(test_off_and_on),
        TEST(test_more_names_than_places),
        TEST(test_stop_under_load),
        TEST(test_stop_while_the_disk_fails),
    };

    if (report_init(&log, why) != OK)
        fprintf(stderr, "%s\n", why);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
