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

int main(void)
{
    const struct CMUnitTest tests[] = {
        story(test_three_nodes, three_nodes),
        story(test_two_holders_take_over, three_nodes),
        story(test_two_claims, three_nodes),
        story(test_taken_from_hearsay, three_nodes),
        story(test_holder_comes_back_damaged, three_nodes),
        story(test_holder_that_nobody_knows, three_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
