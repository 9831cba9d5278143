/* Stories of three nodes: two holders, two claims, and what is known by hearsay. */
#include "world.h"

static void test_three_nodes(void **state)
{
    struct world *world = *state;
    int holder;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    holder = has(world, 1, 1) == 'H' ? 1 : 2;
    assert_int_equal(has(world, holder, 1), 'H');
    stop(world, 0);
    pass(world, 6000);
    assert_int_equal(has(world, holder, 1), 'P');
    assert_int_equal(has(world, 3 - holder, 1), 'H'); /* R9 */
    stop(world, holder);
    pass(world, 6000);
    assert_int_equal(has(world, 3 - holder, 1), 'P');
    start(world, 0, false);
    pass(world, 3000);
    assert_int_equal(has(world, 0, 1), 'H');
    start(world, holder, false);
    pass(world, 3000);
    assert_int_equal(has(world, holder, 1), 'H');
    settle(world, 3 - holder, 1);
    pass(world, 70000);
    check_all(world, 1, "---");
}

/* Both had a copy; the one that yields asks at once, so that the other knows of it. */
static void test_two_holders_take_over(void **state)
{
    struct world *world = *state;
    int first, second, loser;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    first = has(world, 1, 1) == 'H' ? 1 : 2;
    second = 3 - first;
    stop(world, first);
    pass(world, 6000);
    assert_int_equal(has(world, second, 1), 'H'); /* R8 */
    start(world, first, false);
    pass(world, 1000);
    assert_int_equal(has(world, first, 1), 'H');
    world->settings.preference = SHADOW_REMOTE_ONLY; /* no copy goes from one to the other */
    for (int i = 1; i < 3; i++)
        ledger_set_settings(
            world->machine[i].ledger, &world->settings, &world->machine[i].actions);
    stop(world, 0);
    pass(world, 6000);
    loser = has(world, 1, 1) == 'H' ? 1 : 2;
    assert_int_equal(has(world, loser, 1), 'H');
    assert_int_equal(has(world, 3 - loser, 1), 'P');
    settle(world, 3 - loser, 1);
    assert_int_equal(has(world, loser, 1), 'S'); /* for the first primary to hear */
}

static void set_wire(struct world *world, int a, int b, bool is_there)
{
    world->wire[a][b] = world->wire[b][a] = is_there;
    if (!is_there)
        cut(world, a, b);
}

/* Both claimed it from a third node, which holds it for the one that died with its claim, and hears
 * no notice of the other: that one has not waited, and its end is remembered. */
static void test_two_claims(void **state)
{
    struct world *world = *state;
    int taker, other;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    taker = has(world, 1, 1) == 'H' ? 1 : 2;
    other = 3 - taker;
    stop(world, 0);
    pass(world, 6000);
    assert_int_equal(has(world, taker, 1), 'P');
    assert_int_equal(has(world, other, 1), 'H');
    stop(world, taker);
    start(world, 0, false);
    pass(world, 1500);
    assert_int_equal(has(world, 0, 1), 'H');
    set_wire(world, 0, other, false);
    set_wire(world, taker, other, false);
    pass(world, 2000);
    assert_int_equal(has(world, 0, 1), 'p');
    assert_int_equal(has(world, other, 1), 'p');
    start(world, taker, false);
    pass(world, 300);
    assert_int_equal(has(world, taker, 1), 'H');
    stop(world, 0);
    world->wire[taker][other] = true; /* it asks, and nothing is copied to it */
    pass(world, 1500);
    assert_int_equal(has(world, other, 1), 'P');
    settle(world, other, 1);
    set_wire(world, 0, other, true);
    start(world, 0, false);
    pass(world, 5000);
    check_all(world, 1, other == 2 ? "-S-" : "--S"); /* for node 0, should it ask again */
}

/* Who holds it for a taker by hearsay, and takes it over in its turn, has an answer for the first
 * primary. */
static void test_taken_from_hearsay(void **state)
{
    struct world *world = *state;
    struct machine image;
    struct store_id first = world->machine[0].store;
    const struct standing *standing;
    int taker, other;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    taker = has(world, 1, 1) == 'H' ? 1 : 2;
    other = 3 - taker;
    image = world->machine[taker];
    stop(world, 0);
    pass(world, 6000);
    assert_int_equal(has(world, taker, 1), 'P');
    assert_int_equal(has(world, other, 1), 'H');
    world->settings.preference = SHADOW_REMOTE_ONLY; /* no copy says whom it was taken from */
    ledger_set_settings(
        world->machine[other].ledger, &world->settings, &world->machine[other].actions);
    go_back(world, taker, &image);
    pass(world, 5000);
    assert_int_equal(has(world, taker, 1), 'H');
    assert_int_equal(has(world, other, 1), 'P');
    standing = &row_of(&world->machine[taker], mid_of(1))->standing;
    assert_true(standing->earlier_count > 0);
    assert_memory_equal(&standing->earlier[0], &first, sizeof first);
}

/* One holder is away while the other takes over from a primary that comes back damaged (and, if
 * IS_LOST, without the message), and delivers. */
static int taken_over_while_away(struct world *world, bool is_lost)
{
    int away, other;

    take_in(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    away = has(world, 1, 1) == 'H' ? 1 : 2;
    other = 3 - away;
    stop(world, away);
    pass(world, 6000);
    assert_int_equal(has(world, other, 1), 'H');
    stop(world, 0);
    if (is_lost)
        row_of(&world->machine[0], mid_of(1))->is_there = false;
    start(world, 0, true);
    pass(world, 3000);
    assert_int_equal(has(world, other, 1), 'P');
    settle(world, other, 1);
    pass(world, 3000);
    assert_int_equal(has(world, away, 1), 'H');
    return away;
}

static void check_over(struct world *world)
{
    for (int i = 0; i < 3; i++)
        assert_true(has(world, i, 1) == '-' || has(world, i, 1) == 'S');
}

/* It comes back under another store: its copy is for a store that is gone, and still somebody
 * knows that it is over. */
static void test_holder_comes_back_damaged(void **state)
{
    struct world *world = *state;
    int away = taken_over_while_away(world, false);

    start(world, away, true);
    pass(world, 5000);
    check_over(world);
}

/* The damage took the message itself, and with it the list of its holders. */
static void test_holder_that_nobody_knows(void **state)
{
    struct world *world = *state;
    int away = taken_over_while_away(world, true);

    start(world, away, false);
    pass(world, 5000);
    check_over(world);
}

enum { QUEUE = 60 }; /* one row hears of a lost store each 100 ms */

/* Messages 1 to COUNT; which of the other two has the copies. */
static int fill_queue(struct world *world, uint8_t count)
{
    int holder;

    for (uint8_t n = 1; n <= count; n++)
        take_in(world, 0, n, SHADOW_FAILURE_ACCEPT);
    holder = has(world, 1, 1) == 'H' ? 1 : 2;
    assert_int_equal(has(world, holder, count), 'H');
    return holder;
}

/* It is silent until the first row hears of that. */
static int lose_holder_of_queue(struct world *world)
{
    int holder = fill_queue(world, QUEUE);

    stop(world, holder);
    for (int ms = 0; !world->machine[0].events[LEDGER_SINGLE_MADE]; ms += 100) {
        assert_true(ms < 10000);
        pass(world, 100);
    }
    return holder;
}

/* It is back with the same store before all have heard of its loss: it has what it had, and what
 * it is given is not lost with the next store. */
static void test_lost_and_back_before_the_next(void **state)
{
    struct world *world = *state;
    struct machine *own = &world->machine[0];
    int holder = lose_holder_of_queue(world);
    uint64_t single;

    start(world, holder, false);
    pass(world, 300);
    single = own->events[LEDGER_SINGLE_MADE];
    assert_in_range(single, 1, QUEUE / 2);
    assert_int_equal(own->events[LEDGER_COPIED_AGAIN], single);
    stop(world, 3 - holder);
    pass(world, 15000);
    assert_int_equal(own->events[LEDGER_PEER_GONE], 2);
    assert_int_equal(own->events[LEDGER_SINGLE_MADE], single);
    for (uint8_t n = 1; n <= QUEUE; n++)
        assert_int_equal(has(world, holder, n), 'H');
    stop(world, holder); /* now it is the only one, and lost for all of them */
    pass(world, 15000);
    assert_int_equal(own->events[LEDGER_SINGLE_MADE], single + QUEUE);
}

/* What is still heard of one that is no longer of this cluster ends nothing. */
static void check_hears_of_it(struct world *world, bool is_evicted)
{
    struct machine *own = &world->machine[0];
    struct shadow_outcome busy = { .fate = SHADOW_BUSY };
    struct ledger_peer_config other = { BYTES_NONE, false };
    int holder = fill_queue(world, 20);

    if (is_evicted) {
        assert_int_equal(
            ledger_evict(own->ledger, world->now, own->peer_of[holder], true, &own->actions),
            LEDGER_ORDERED);
    } else {
        other.name = bytes_text(holder == 1 ? "c.example" : "b.example");
        ledger_set_peers(own->ledger, &other, 1, &own->actions);
    }
    ledger_on_outcome(
        own->ledger, world->now, own->peer_of[holder], mid_of(1), &busy, &own->actions);
    set_wire(world, 0, holder, false);
    pass(world, 2500); /* before it is silent for so long that it is lost once more */
    assert_int_equal(own->events[LEDGER_SINGLE_MADE], 20);
}

static void test_evicted_and_heard(void **state)
{
    check_hears_of_it(*state, true);
}

static void test_taken_out_and_heard(void **state)
{
    check_hears_of_it(*state, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        story(test_three_nodes, three_nodes),
        story(test_two_holders_take_over, three_nodes),
        story(test_two_claims, three_nodes),
        story(test_taken_from_hearsay, three_nodes),
        story(test_holder_comes_back_damaged, three_nodes),
        story(test_holder_that_nobody_knows, three_nodes),
        story(test_lost_and_back_before_the_next, three_nodes),
        story(test_evicted_and_heard, three_nodes),
        story(test_taken_out_and_heard, three_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
