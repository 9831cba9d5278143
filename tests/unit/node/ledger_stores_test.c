/* Stories of stores: lost, damaged, replaced, evicted, and images that went back. */
#include "world.h"

static void test_primary_loses_its_disk(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    lose_disk(world, 0);
    start(world, 0, false);
    pass(world, 500); /* another store id: at once */
    assert_int_equal(has(world, 1, 1), 'P');
    pass(world, 2000);
    check_all(world, 1, "HP"); /* and copied again */
    settle(world, 1, 1);
    check_all(world, 1, "SS"); /* should the old store come back after all */
    pass(world, 1200000);
    check_all(world, 1, "--");
}

static void test_holder_loses_its_disk(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 1);
    lose_disk(world, 1);
    start(world, 1, false);
    pass(world, 2000);
    check_all(world, 1, "PH");
}

static void test_went_back(void **state)
{
    struct world *world = *state;
    struct machine image;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    image = world->machine[0];
    take_in(world, 0, 2, SHADOW_FAILURE_ACCEPT);
    settle(world, 0, 1);
    pass(world, 3000);
    stop(world, 0);
    memcpy(world->machine[0].rows, image.rows, sizeof image.rows);
    world->machine[0].position = image.position;
    start(world, 0, false);
    pass(world, 3000);
    assert_int_equal(world->machine[0].events[LEDGER_OWN_STORE_NEW], 1);
    assert_int_equal(has(world, 0, 1), 'A'); /* long delivered: for the administrator */
    assert_int_equal(has(world, 1, 2), 'P'); /* the holder has it and delivers */
    pass(world, 3000);
    assert_int_equal(has(world, 0, 2), 'H');
}

/* It writes more, before anybody hears of it, than it had lost, and starts once more. */
static void test_went_back_and_grew(void **state)
{
    struct world *world = *state;
    struct machine image;
    uint64_t position;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    image = world->machine[0];
    settle(world, 0, 1);
    pass(world, 3000);
    position = world->machine[0].position;
    go_back(world, 0, &image);
    for (uint8_t n = 2; n < 10; n++)
        take_in(world, 0, n, SHADOW_FAILURE_ACCEPT);
    assert_true(world->machine[0].position > position);
    stop(world, 0);
    start(world, 0, false);
    pass(world, 3000);
    assert_int_equal(world->machine[0].events[LEDGER_OWN_STORE_NEW], 1);
    assert_int_equal(has(world, 0, 1), 'A');
}

/* What it alone had may be long delivered; and so may what it alone had from an earlier life. */
static void test_went_back_alone(void **state)
{
    struct world *world = *state;
    struct machine image;

    stop(world, 1);
    pass(world, 5000);
    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    start(world, 0, true);
    pass(world, 1000);
    take_in(world, 0, 2, SHADOW_FAILURE_ACCEPT);
    image = world->machine[0];
    assert_int_equal(has(world, 0, 1), 'p'); /* still of the damaged store */
    start(world, 1, false);
    pass(world, 3000);
    settle(world, 0, 1);
    settle(world, 0, 2);
    pass(world, 3000);
    go_back(world, 0, &image);
    pass(world, 3000);
    check_all(world, 1, "A-");
    check_all(world, 2, "A-");
}

/* A claim that is found at a start may have been taken from this node in its turn. */
static void test_found_claim_waits(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    pass(world, 5000);
    check_all(world, 1, "PP");
    stop(world, 1);
    start(world, 1, false);
    pass(world, 5000);
    assert_int_equal(has(world, 1, 1), 'p');
    start(world, 0, false);
    pass(world, 3000);
    check_all(world, 1, "HP");
    stop(world, 0);
    stop(world, 1);
    start(world, 1, false);
    pass(world, 11000);
    assert_int_equal(has(world, 1, 1), 'P');
    assert_int_equal(world->machine[1].events[LEDGER_D4], 1);
}

/* Two links begin before the other node is heard; the first one tells of its new store.  What was
 * heard of the old one says nothing about that. */
static void test_new_store_on_two_links(void **state)
{
    struct world *world = *state;
    struct machine *b = &world->machine[1];
    struct ledger_heard heard = ledger_heard(b->ledger, b->peer_of[0]);
    struct shadow_hello hello, answer;
    struct verdict refusal;

    assert_true(heard.position > 200);
    stop(world, 0);
    lose_disk(world, 0);
    start(world, 0, false);
    ledger_get_hello(world->machine[0].ledger, world->machine[0].peer_of[1], &hello);
    assert_true(hello.position < heard.position);
    for (int link = 0; link < 2; link++)
        assert_true(ledger_on_introduced(b->ledger, world->now, b->peer_of[0], &hello, heard,
            &answer, &refusal, &b->actions));
    run(world);
}

static void test_damaged(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 1);
    pass(world, 4000);
    take_in(world, 0, 2, SHADOW_FAILURE_ACCEPT); /* alone */
    stop(world, 0);
    start(world, 1, false);
    start(world, 0, true);
    pass(world, 4000);
    check_all(world, 1, "HP");
    check_all(world, 2, "PH");
}

static void test_orders_about_nobody(void **state)
{
    struct world *world = *state;
    struct ledger *ledger = world->machine[0].ledger;
    struct ledger_actions *actions = &world->machine[0].actions;

    for (unsigned number = 1; number <= LEDGER_NO_PEER; number++) {
        assert_int_equal(ledger_take_over(ledger, world->now, (uint8_t)number, true, actions),
            LEDGER_NO_SUCH_NODE);
        assert_int_equal(ledger_evict(ledger, world->now, (uint8_t)number, true, actions),
            LEDGER_NO_SUCH_NODE);
        ledger_audit(ledger, world->now, (uint8_t)number, actions); /* does nothing */
    }
}

static void test_evicted_and_back(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    assert_int_equal(ledger_evict(world->machine[1].ledger, world->now,
                         world->machine[1].peer_of[0], false, &world->machine[1].actions),
        LEDGER_NOT_SILENT);
    stop(world, 0);
    pass(world, 4000);
    assert_int_equal(ledger_evict(world->machine[1].ledger, world->now,
                         world->machine[1].peer_of[0], false, &world->machine[1].actions),
        LEDGER_ORDERED);
    run(world);
    settle(world, 1, 1);
    check_all(world, 1, "PS"); /* a retired store may come back */
    start(world, 0, false);
    pass(world, 4000);
    assert_int_equal(has(world, 0, 1), '-'); /* it heard that this one is over, */
    for (int i = 0; i < 2; i++)              /* which was delivered once */
        assert_int_equal(world->machine[i].events[LEDGER_D1] +
                             world->machine[i].events[LEDGER_D3] +
                             world->machine[i].events[LEDGER_D4],
            0);
    take_in(world, 0, 2, SHADOW_FAILURE_REJECT); /* it is a node again */
    check_all(world, 2, "PH");
}

/* What is held for one that is no longer configured is taken over by order alone. */
static void copies_of_one_that_left(struct world *world)
{
    struct machine *machine = &world->machine[1];
    struct ledger_peer_facts facts;

    pass(world, 10000);
    assert_int_equal(has(world, 1, 1), 'H');
    assert_int_equal(ledger_peer_count(machine->ledger), 1);
    ledger_get_peer(machine->ledger, 0, &facts);
    assert_string_equal(facts.node, "a.example");
    assert_false(facts.is_configured);
    assert_int_equal(facts.held, 1);
    assert_int_equal(ledger_evict(machine->ledger, world->now, 0, false, &machine->actions),
        LEDGER_NOT_SILENT);
    assert_int_equal(
        ledger_evict(machine->ledger, world->now, 0, true, &machine->actions), LEDGER_ORDERED);
    run(world);
    pass(world, 1000);
    assert_int_equal(has(world, 1, 1), 'P');
}

static void test_left_with_copies(void **state)
{
    struct world *world = *state;
    struct machine *machine = &world->machine[1];

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    machine->is_alone = true;
    ledger_set_peers(machine->ledger, NULL, 0, &machine->actions);
    copies_of_one_that_left(world);
}

static void test_left_while_it_was_down(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    world->machine[1].is_alone = true;
    stop(world, 1);
    start(world, 1, false);
    copies_of_one_that_left(world);
}

/* It died with the copy before its file said whose store that was of. */
static void test_a_store_that_nobody_knows(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    stop(world, 1);
    world->machine[1].store_count = 0;
    lose_disk(world, 0);
    start(world, 1, false);
    pass(world, 5000);
    check_all(world, 1, "-H");
    start(world, 0, false);
    pass(world, 5000);
    check_all(world, 1, "HP");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story(test_primary_loses_its_disk, two_nodes),
        story(test_holder_loses_its_disk, two_nodes),
        story(test_went_back, two_nodes),
        story(test_went_back_and_grew, two_nodes),
        story(test_went_back_alone, two_nodes),
        story(test_found_claim_waits, two_nodes),
        story(test_new_store_on_two_links, two_nodes),
        story(test_damaged, two_nodes),
        story(test_orders_about_nobody, two_nodes),
        story(test_evicted_and_back, two_nodes),
        story(test_left_with_copies, two_nodes),
        story(test_left_while_it_was_down, two_nodes),
        story(test_a_store_that_nobody_knows, two_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
