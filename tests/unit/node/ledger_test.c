/* The rules as small stories: copies, their ends, and nodes that die and return. */
#include "world.h"

static void test_copied_delivered_discarded(void **state)
{
    struct world *world = *state;

    assert_true(take_in(world, 0, 1, SHADOW_FAILURE_REJECT));
    assert_int_equal(world->machine[0].verdict, LEDGER_REDUNDANT);
    check_all(world, 1, "PH");
    for (int i = 0; i < 2; i++) /* each was said to live once */
        assert_int_equal(world->machine[i].events[LEDGER_PEER_LIVE], 1);
    settle(world, 0, 1);
    check_all(world, 1, "--");
}

/* It was sent twice, because no answer came in time; the first one arrives last. */
static void test_a_copy_comes_after_its_notice(void **state)
{
    struct world *world = *state;
    struct machine *b = &world->machine[1];
    struct shadow_outcome outcome;
    struct standing offered = { 0 }, standing;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    settle(world, 0, 1);
    check_all(world, 1, "--");
    assert_int_equal(ledger_on_copy(b->ledger, world->now, b->peer_of[0], mid_of(1), &offered,
                         true, 4000, &standing, &outcome, &b->actions),
        LEDGER_ANSWERED);
    assert_int_equal(outcome.fate, SHADOW_SETTLED);
}

static void test_nobody_to_hold_it(void **state)
{
    struct world *world = *state;

    stop(world, 1);
    assert_false(take_in(world, 0, 1, SHADOW_FAILURE_REJECT));
    check_all(world, 1, "--");
    assert_true(take_in(world, 0, 2, SHADOW_FAILURE_ACCEPT));
    assert_int_equal(world->machine[0].verdict, LEDGER_SINGLE);
    assert_true(take_in(world, 0, 3, SHADOW_FAILURE_DELAY));
    assert_int_equal(world->machine[0].verdict, LEDGER_DELAY);
    check_all(world, 2, "P-");
    start(world, 1, false); /* R8: as soon as a node can take it */
    pass(world, 2000);
    check_all(world, 2, "PH");
    check_all(world, 3, "PH");
}

static void test_holder_refuses(void **state)
{
    struct world *world = *state;

    world->machine[1].refuses_copies = true;
    assert_true(take_in(world, 0, 1, SHADOW_FAILURE_REJECT));
    pass(world, 5000);
    assert_true(world->machine[0].has_verdict);
    assert_int_equal(world->machine[0].verdict, LEDGER_REJECT);
    pass(world, 2000);
    check_all(world, 1, "--");
}

static unsigned count_actions(
    const struct machine *machine, enum ledger_action_type type, enum ledger_event event)
{
    unsigned count = 0;

    for (unsigned i = 0; i < machine->actions.count; i++) {
        const struct ledger_action *action = &machine->actions.list[i];
        count += action->type == type && (type != LEDGER_EVENT || action->event == event);
    }
    return count;
}

/* The first is tried at a second node, whose place is not durable yet: the time of the one behind
 * it runs out all the same.  (Nothing is done here of what is ordered.) */
static void test_a_late_copy_behind_one_that_waits(void **state)
{
    struct world *world = *state;
    struct machine *machine = &world->machine[0];
    const struct shadow_outcome refused = { SHADOW_REFUSED,
        .verdict = { 452, { 4, 3, 1 }, "full" } };
    struct standing standing;
    uint8_t to;

    for (uint8_t n = 1; n <= 2; n++) {
        world->now.ms += 10;
        assert_true(ledger_accept(machine->ledger, world->now, mid_of(n), SHADOW_FAILURE_ACCEPT,
            &standing, &machine->actions));
        ledger_on_committed(machine->ledger, world->now, mid_of(n), true, &machine->actions);
    }
    assert_int_equal(count_actions(machine, LEDGER_COPY, 0), 2);
    to = machine->actions.list[0].peer;
    world->now.ms += 500;
    ledger_on_outcome(machine->ledger, world->now, to, mid_of(1), &refused, &machine->actions);
    assert_int_equal(count_actions(machine, LEDGER_STAND, 0), 1);
    assert_int_equal(count_actions(machine, LEDGER_EVENT, LEDGER_HAREDIRECTFAIL), 1);
    world->now.ms += 500;
    ledger_on_time(machine->ledger, world->now, &machine->actions);
    assert_int_equal(count_actions(machine, LEDGER_EVENT, LEDGER_HAREDIRECTFAIL), 2);
}

static void test_primary_dies_and_returns(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    take_in(world, 0, 2, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    pass(world, 2000);
    check_all(world, 1, "PH"); /* its disk still says so */
    pass(world, 2000);
    assert_int_equal(has(world, 1, 1), 'P');
    settle(world, 1, 1);
    assert_int_equal(has(world, 1, 1), 'S'); /* taken: kept until its first primary knows */
    start(world, 0, false);
    assert_int_equal(has(world, 0, 1), 'p'); /* before it has asked */
    pass(world, 2000);
    check_all(world, 2, "HP"); /* what the other has taken it holds for that one */
    settle(world, 1, 2);
    check_all(world, 2, "--");
    pass(world, 2000);
    check_all(world, 1, "--");
}

/* The other was told what it holds; that it may go is told too, with no copy of ours on its way. */
static void test_settled_before_it_is_copied_again(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    pass(world, 4000);
    world->settings.recopy_in_flight_max = 0;
    ledger_set_settings(world->machine[1].ledger, &world->settings, &world->machine[1].actions);
    start(world, 0, false);
    pass(world, 2000);
    check_all(world, 1, "HP");
    settle(world, 1, 1);
    check_all(world, 1, "--");
}

static void test_both_die_and_return(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    take_in(world, 1, 2, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    stop(world, 1);
    start(world, 0, false);
    start(world, 1, false);
    pass(world, 20000);
    check_all(world, 1, "PH");
    check_all(world, 2, "HP");
    settle(world, 0, 1);
    settle(world, 1, 2);
    check_all(world, 1, "--");
    check_all(world, 2, "--");
}

static void test_a_fence_ends(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 1);
    stop(world, 0);
    start(world, 0, false);
    pass(world, 5000);
    check_all(world, 1, "pH");
    pass(world, 6000);
    check_all(world, 1, "PH");
    assert_int_equal(world->machine[0].events[LEDGER_D4], 1);
}

static void test_unclaimed(void **state)
{
    struct world *world = *state;
    struct standing standing;

    /* The primary dies between the copy and its own commit. */
    ledger_accept(world->machine[0].ledger, world->now, mid_of(1), SHADOW_FAILURE_ACCEPT,
        &standing, &world->machine[0].actions);
    run(world);
    check_all(world, 1, "-H");
    stop(world, 0);
    start(world, 0, false);
    pass(world, 2000);
    check_all(world, 1, "-U");
    pass(world, 110000);
    check_all(world, 1, "--");
}

static void test_link_cut(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    world->wire[0][1] = world->wire[1][0] = false;
    cut(world, 0, 1);
    run(world);
    pass(world, 1000);
    world->wire[0][1] = world->wire[1][0] = true;
    pass(world, 1000);
    check_all(world, 1, "PH"); /* short: nothing happened */
    world->wire[0][1] = world->wire[1][0] = false;
    cut(world, 0, 1);
    run(world);
    pass(world, 5000);
    check_all(world, 1, "PP"); /* D3: two live nodes out of contact for so long */
    world->wire[0][1] = world->wire[1][0] = true;
    pass(world, 1000);
    check_all(world, 1, "HP");
}

/* The asks of a node that has just started fail quickly; that alone is no silence. */
static void test_silent_since_the_start(void **state)
{
    struct world *world = *state;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    stop(world, 1);
    start(world, 1, false);
    pass(world, 2800);
    assert_int_equal(has(world, 1, 1), 'H');
    pass(world, 1000);
    assert_int_equal(has(world, 1, 1), 'P');
}

static enum ledger_peer_state state_of(struct world *world, int node, int other)
{
    struct ledger_peer_facts facts;

    ledger_get_peer(world->machine[node].ledger, world->machine[node].peer_of[other], &facts);
    return facts.state;
}

/* One way is cut: it is heard, so nothing is taken over from it; and that it cannot be reached is
 * said once, not with each ask that fails and each that comes. */
static void test_heard_and_not_reached(void **state)
{
    struct world *world = *state;
    const uint64_t *events = world->machine[0].events;
    uint64_t live = events[LEDGER_PEER_LIVE];

    take_in(world, 1, 1, SHADOW_FAILURE_ACCEPT);
    world->wire[0][1] = false;
    cut(world, 0, 1);
    pass(world, 30000);
    check_all(world, 1, "HP");
    assert_int_equal(state_of(world, 0, 1), LEDGER_UNREACHABLE);
    assert_int_equal(state_of(world, 1, 0), LEDGER_LIVE);
    assert_int_equal(events[LEDGER_PEER_SILENT], 1);
    assert_int_equal(events[LEDGER_PEER_LIVE], live);

    world->wire[0][1] = true;
    pass(world, 2000);
    assert_int_equal(state_of(world, 0, 1), LEDGER_LIVE);
    assert_int_equal(events[LEDGER_PEER_SILENT], 1);
    assert_int_equal(events[LEDGER_PEER_LIVE], live + 1);

    world->wire[0][1] = world->wire[1][0] = false; /* nor is it heard now */
    cut(world, 0, 1);
    pass(world, 2000);
    assert_int_equal(state_of(world, 0, 1), LEDGER_SILENT);
    assert_int_equal(events[LEDGER_PEER_SILENT], 2);
}

/* It is asked again and again, but not without a pause. */
static void test_never_answered(void **state)
{
    struct world *world = *state;

    stop(world, 1);
    stop(world, 0);
    lose_disk(world, 0); /* it does not know the other one any more */
    start(world, 0, false);
    pass(world, 20000);
    assert_true(ledger_due(world->machine[0].ledger).ms > world->now.ms);
}

/* All of its content goes over the link each time: rarely, then, and not in a circle.  Others have
 * their turn all the same. */
static void test_refused_for_good(void **state)
{
    struct world *world = *state;

    world->machine[1].refuses_for_good = true;
    for (uint8_t n = 1; n <= 20; n++)
        assert_true(take_in(world, 0, n, SHADOW_FAILURE_ACCEPT));
    pass(world, 60000);
    assert_in_range(world->machine[1].copies_seen, 20 * 5, 20 * 20);
    world->machine[1].refuses_for_good = false;
    assert_true(take_in(world, 0, 30, SHADOW_FAILURE_ACCEPT));
    check_all(world, 30, "PH");
    pass(world, 60000);
    for (uint8_t n = 1; n <= 20; n++)
        check_all(world, n, "PH");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story(test_copied_delivered_discarded, two_nodes),
        story(test_a_copy_comes_after_its_notice, two_nodes),
        story(test_nobody_to_hold_it, two_nodes),
        story(test_holder_refuses, two_nodes),
        story(test_a_late_copy_behind_one_that_waits, three_nodes),
        story(test_primary_dies_and_returns, two_nodes),
        story(test_settled_before_it_is_copied_again, two_nodes),
        story(test_both_die_and_return, two_nodes),
        story(test_a_fence_ends, two_nodes),
        story(test_unclaimed, two_nodes),
        story(test_link_cut, two_nodes),
        story(test_silent_since_the_start, two_nodes),
        story(test_heard_and_not_reached, two_nodes),
        story(test_never_answered, two_nodes),
        story(test_refused_for_good, two_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
