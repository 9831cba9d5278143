#include "world.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[NODES] = { "a.example", "b.example", "c.example" };

struct mid mid_of(uint8_t n)
{
    struct mid mid = { { n } };
    return mid;
}

struct disk_row *row_of(struct machine *machine, struct mid mid)
{
    for (int i = 0; i < ROWS; i++)
        if (machine->rows[i].is_there && mid_equal(machine->rows[i].mid, mid))
            return &machine->rows[i];
    return NULL;
}

static struct disk_row *write_row(
    struct machine *machine, struct mid mid, const struct standing *standing)
{
    struct disk_row *row = row_of(machine, mid);

    for (int i = 0; !row && i < ROWS; i++)
        if (!machine->rows[i].is_there)
            row = &machine->rows[i];
    assert_non_null(row);
    row->is_there = true;
    row->mid = mid;
    row->standing = *standing;
    row->at = machine->position += 100;
    ledger_set_position(machine->ledger, machine->position);
    return row;
}

static struct store_id new_store(struct world *world)
{
    struct store_id id = { { 1, ++world->next_store } };
    return id;
}

/* --- Links --------------------------------------------------------------------------------- */

void cut(struct world *world, int a, int b)
{
    struct machine *one = &world->machine[a], *two = &world->machine[b];

    if (world->link[a][b] && one->ledger)
        ledger_on_down(one->ledger, world->now, one->peer_of[b], &one->actions);
    if (world->link[b][a] && two->ledger)
        ledger_on_down(two->ledger, world->now, two->peer_of[a], &two->actions);
    world->link[a][b] = world->link[b][a] = false;
}

static void call(struct world *world, int a, int b)
{
    struct machine *one = &world->machine[a], *two = &world->machine[b];
    struct shadow_hello mine, theirs;
    struct verdict refusal;
    struct ledger_heard heard = ledger_heard(one->ledger, one->peer_of[b]);
    struct ledger_heard heard_there = ledger_heard(two->ledger, two->peer_of[a]);

    ledger_get_hello(one->ledger, one->peer_of[b], &mine);
    if (!ledger_on_introduced(two->ledger, world->now, two->peer_of[a], &mine, heard_there,
            &theirs, &refusal, &two->actions)) {
        ledger_on_turned_away(
            one->ledger, world->now, one->peer_of[b], &refusal, &one->actions);
        return;
    }
    world->link[a][b] =
        ledger_on_up(one->ledger, world->now, one->peer_of[b], &theirs, heard, &one->actions);
}

static void connect_all(struct world *world)
{
    for (int a = 0; a < world->count; a++)
        for (int b = 0; b < world->count; b++)
            if (a != b && !world->link[a][b] && world->wire[a][b] &&
                !world->machine[a].is_off && !world->machine[b].is_off) {
                call(world, a, b);
                run(world);
            }
}

/* --- Actions ------------------------------------------------------------------------------- */

static int world_number(const struct world *world, int node, uint8_t peer)
{
    for (int i = 0; i < world->count; i++)
        if (i != node && world->machine[node].peer_of[i] == peer)
            return i;
    return -1;
}

static void copy_outcome(
    struct world *world, int to, int from, struct mid mid, const struct shadow_outcome *outcome)
{
    struct machine *machine = &world->machine[to];

    if (machine->ledger)
        ledger_on_outcome(machine->ledger, world->now, machine->peer_of[from], mid, outcome,
            &machine->actions);
}

static void do_copy(struct world *world, int node, const struct ledger_action *action)
{
    int to = world_number(world, node, action->peer);
    struct machine *there = &world->machine[to];
    struct shadow_outcome outcome = { .fate = SHADOW_LOST };
    struct standing standing;
    uint64_t tag = ++world->tag;
    uint8_t peer = there->peer_of[node];

    if (!world->link[node][to]) {
        copy_outcome(world, node, to, action->mid, &outcome);
        return;
    }
    there->copies_seen++;
    if (there->refuses_for_good) {
        outcome = (struct shadow_outcome){ SHADOW_REFUSED,
            .verdict = { 554, { 5, 6, 0 }, "another envelope" } };
        copy_outcome(world, node, to, action->mid, &outcome);
        return;
    }
    if (there->refuses_copies) {
        outcome =
            (struct shadow_outcome){ SHADOW_REFUSED, .verdict = { 452, { 4, 3, 1 }, "full" } };
        copy_outcome(world, node, to, action->mid, &outcome);
        return;
    }
    world->tags[tag % 4096] = (struct answer_to){ node, action->mid, false };
    switch (ledger_on_copy(there->ledger, world->now, peer, action->mid, &action->standing,
        true, tag, &standing, &outcome, &there->actions)) {
    case LEDGER_TAKE:
        write_row(there, action->mid, &standing);
        ledger_on_copy_stored(
            there->ledger, world->now, peer, action->mid, tag, true, &there->actions);
        break;
    case LEDGER_ANSWERED:
        copy_outcome(world, node, to, action->mid, &outcome);
        break;
    case LEDGER_ONLY_STAND:
        break;
    }
}

static void do_ask(struct world *world, int node, const struct ledger_action *action)
{
    int to = world_number(world, node, action->peer);
    struct machine *there = &world->machine[to];
    struct shadow_ask ask = *action->ask;
    uint64_t tag = ++world->tag;

    if (!world->link[node][to]) {
        ledger_on_ask_failed(world->machine[node].ledger, world->now, action->peer,
            &world->machine[node].actions);
        return;
    }
    world->tags[tag % 4096] = (struct answer_to){ node, { { 0 } }, true };
    ledger_on_ask(there->ledger, world->now, there->peer_of[node], tag, &ask, &there->actions);
}

static void do_renew(struct world *world, int node)
{
    struct machine *machine = &world->machine[node];

    machine->store = new_store(world);
    ledger_on_renewed(machine->ledger, world->now, machine->store, &machine->actions);
}

static void do_stores(struct world *world, int node, uint64_t tag)
{
    struct machine *machine = &world->machine[node];
    uint32_t count;
    const struct ledger_store *stores = ledger_stores(machine->ledger, &count);

    assert_true(count <= STORES);
    memcpy(machine->stores, stores, count * sizeof *stores);
    machine->store_count = count;
    ledger_on_stores(machine->ledger, world->now, tag, &machine->actions);
}

static void do_answer(struct world *world, int node, const struct ledger_action *action)
{
    struct answer_to to = world->tags[action->tag % 4096];
    struct machine *asker = &world->machine[to.node];

    assert_int_equal(action->answer.refusal.code, 0);
    if (world->link[to.node][node] && asker->ledger)
        ledger_on_page(asker->ledger, world->now, asker->peer_of[node], action->answer.page,
            &asker->actions);
    ledger_page_free(action->answer.page);
}

/* One that is known by its copies alone is no machine of this world, and has no links. */
static void do_cut(struct world *world, int node, const struct ledger_action *action)
{
    int to = world_number(world, node, action->peer);

    if (to >= 0)
        cut(world, node, to);
}

static void do_action(struct world *world, int node, const struct ledger_action *action)
{
    struct machine *machine = &world->machine[node];
    struct disk_row *row = row_of(machine, action->mid);
    struct shadow_outcome outcome = { .fate = action->held.fate };

    switch (action->type) {
    case LEDGER_STAND:
        assert_non_null(row);
        row = write_row(machine, action->mid, &action->standing);
        ledger_on_stood(
            machine->ledger, world->now, action->mid, action->tag, row->at, &machine->actions);
        break;
    case LEDGER_FORGET:
        assert_non_null(row);
        row->is_there = false;
        break;
    case LEDGER_NOTE:
        row->has_part = true;
        break;
    case LEDGER_FLUSH:
        ledger_on_flushed(machine->ledger, world->now, action->tag, &machine->actions);
        break;
    case LEDGER_STORES:
        do_stores(world, node, action->tag);
        break;
    case LEDGER_RENEW:
        do_renew(world, node);
        break;
    case LEDGER_ACCEPTED:
        machine->verdict = action->verdict;
        machine->has_verdict = true;
        row->is_deliverable = action->verdict <= LEDGER_DELAY;
        break;
    case LEDGER_DELIVER:
        assert_non_null(row);
        row->is_deliverable = true;
        break;
    case LEDGER_WITHDRAW:
        if (row)
            row->is_deliverable = false;
        break;
    case LEDGER_COPY:
        do_copy(world, node, action);
        break;
    case LEDGER_ASK:
        do_ask(world, node, action);
        break;
    case LEDGER_ANSWER:
        do_answer(world, node, action);
        break;
    case LEDGER_HELD:
        copy_outcome(world, world->tags[action->tag % 4096].node, node, action->mid, &outcome);
        break;
    case LEDGER_CUT:
        do_cut(world, node, action);
        break;
    case LEDGER_EVENT:
        machine->events[action->event]++;
        break;
    case LEDGER_COPY_CANCEL:
    case LEDGER_ACTION_COUNT:
        break;
    }
}

/* What a node that died, or a story that ended, does no more. */
static void drop(const struct ledger_action *action)
{
    if (action->type == LEDGER_ANSWER)
        ledger_page_free(action->answer.page);
}

/* Until no node has anything to do at this time. */
void run(struct world *world)
{
    bool any = true;

    for (int rounds = 0; any; rounds++) {
        assert_true(rounds < 100000); /* endless traffic */
        any = false;
        for (int i = 0; i < world->count; i++) {
            struct machine *machine = &world->machine[i];
            struct ledger_actions actions = machine->actions;
            machine->actions = (struct ledger_actions){ 0 };
            for (unsigned n = 0; n < actions.count; n++) {
                any = true;
                if (machine->ledger)
                    do_action(world, i, &actions.list[n]);
                else
                    drop(&actions.list[n]);
            }
            free(actions.list);
        }
    }
}

void pass(struct world *world, int64_t ms)
{
    for (int64_t end = world->now.ms + ms; world->now.ms < end;) {
        world->now.ms += 100;
        for (int i = 0; i < world->count; i++) {
            struct machine *machine = &world->machine[i];
            if (!machine->is_off)
                ledger_on_time(machine->ledger, world->now, &machine->actions);
        }
        run(world);
        connect_all(world);
    }
}

/* --- Machines ------------------------------------------------------------------------------ */

void start(struct world *world, int node, bool was_damaged)
{
    struct machine *machine = &world->machine[node];
    struct ledger_peer_config peers[NODES];
    uint32_t count = 0;

    machine->is_off = false;
    machine->ledger = ledger_new(bytes_text(names[node]), machine->store, machine->position,
        was_damaged, machine->stores, machine->store_count, &world->settings);
    for (int i = 0; i < world->count; i++)
        if (i != node && !machine->is_alone)
            peers[count++] = (struct ledger_peer_config){ bytes_text(names[i]), false };
    ledger_set_peers(machine->ledger, peers, count, &machine->actions);
    for (int i = 0; i < world->count; i++)
        machine->peer_of[i] = ledger_find_peer(machine->ledger, bytes_text(names[i]));
    for (int i = 0; i < ROWS; i++)
        if (machine->rows[i].is_there)
            machine->rows[i].is_deliverable =
                ledger_recover(machine->ledger, machine->rows[i].mid,
                    &machine->rows[i].standing, machine->rows[i].at, false, false);
    ledger_start(machine->ledger, world->now, &machine->actions);
    run(world);
}

void stop(struct world *world, int node)
{
    struct machine *machine = &world->machine[node];

    for (int i = 0; i < world->count; i++)
        if (i != node)
            cut(world, node, i);
    ledger_free(machine->ledger);
    machine->ledger = NULL;
    machine->is_off = true;
    run(world);
}

void lose_disk(struct world *world, int node)
{
    struct machine *machine = &world->machine[node];

    memset(machine->rows, 0, sizeof machine->rows);
    machine->store = new_store(world);
    machine->store_count = 0;
    machine->position = 100;
}

static struct world *world_new(int count)
{
    struct world *world = mem_new(sizeof *world);

    world->count = count;
    world->now.ms = 1000000;
    world->settings = (struct ledger_settings){
        .is_enabled = true,
        .heartbeat_frequency_ms = 1000,
        .heartbeat_timeout_ms = 1000,
        .heartbeat_retry_count = 3,
        .auto_discard_ms = 1000000,
        .fence_wait_ms = 10000,
        .audit_after_ms = 60000,
        .unclaimed_hold_ms = 100000,
        .attempts_local_max = 2,
        .attempts_remote_max = 4,
        .copy_timeout_ms = 1000,
        .accept_timeout_ms = 4000,
        .recopy_in_flight_max = 8,
        .rows_max = 1,
    };
    for (int a = 0; a < count; a++) {
        world->machine[a].store = new_store(world);
        world->machine[a].position = 1000;
        for (int b = 0; b < count; b++)
            world->wire[a][b] = a != b;
    }
    for (int i = 0; i < count; i++)
        world->machine[i].is_off = true;
    for (int i = 0; i < count; i++)
        start(world, i, false);
    connect_all(world);
    pass(world, 300);
    return world;
}

static void world_free(struct world *world)
{
    for (int i = 0; i < world->count; i++) {
        ledger_free(world->machine[i].ledger);
        for (unsigned n = 0; n < world->machine[i].actions.count; n++)
            drop(&world->machine[i].actions.list[n]);
        free(world->machine[i].actions.list);
    }
    free(world);
}

void go_back(struct world *world, int node, const struct machine *image)
{
    struct machine *machine = &world->machine[node];

    stop(world, node);
    memcpy(machine->rows, image->rows, sizeof image->rows);
    memcpy(machine->stores, image->stores, sizeof image->stores);
    machine->store_count = image->store_count;
    machine->store = image->store;
    machine->position = image->position;
    start(world, node, false);
}

bool take_in(struct world *world, int node, uint8_t n, enum shadow_failure failure)
{
    struct machine *machine = &world->machine[node];
    struct standing standing;

    machine->has_verdict = false;
    if (!ledger_accept(
            machine->ledger, world->now, mid_of(n), failure, &standing, &machine->actions))
        return false;
    write_row(machine, mid_of(n), &standing);
    ledger_on_committed(machine->ledger, world->now, mid_of(n), true, &machine->actions);
    run(world);
    return true;
}

void settle(struct world *world, int node, uint8_t n)
{
    struct machine *machine = &world->machine[node];

    row_of(machine, mid_of(n))->is_deliverable = false;
    ledger_on_settled(machine->ledger, world->now, mid_of(n), &machine->actions);
    run(world);
    pass(world, 300);
}

char has(struct world *world, int node, uint8_t n)
{
    struct disk_row *row = row_of(&world->machine[node], mid_of(n));

    if (!row)
        return '-';
    if (row->standing.role == STANDING_PRIMARY)
        return row->is_deliverable ? 'P' : 'p';
    return "PHUSA"[row->standing.role];
}

void check_all(struct world *world, uint8_t n, const char *want)
{
    char got[NODES + 1] = "";

    for (int i = 0; i < world->count; i++)
        got[i] = has(world, i, n);
    assert_string_equal(got, want);
}

static int begin(void **state, int nodes)
{
    *state = world_new(nodes);
    return 0;
}

int two_nodes(void **state)
{
    return begin(state, 2);
}

int three_nodes(void **state)
{
    return begin(state, 3);
}

int nodes_end(void **state)
{
    world_free(*state);
    return 0;
}
