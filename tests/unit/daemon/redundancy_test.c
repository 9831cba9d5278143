/* What the administrator is told: verdict, reasons, alarms. */
#include "kit.h"

#include "daemon/redundancy.h"

#include <stdio.h>

enum { NOW = 10000000 };

struct peer {
    const char *name;
    enum ledger_peer_state state;
    int64_t ago_ms;        /* -1: never */
    int64_t unanswered_ms; /* 0: asks are answered */
};

struct scene {
    const char *name;
    bool is_disabled;
    uint32_t node_count;
    struct peer peers[3];
    uint64_t single;
    int64_t oldest_ago_ms;
    enum standing_single reason;
    bool is_redundant;
    const char *why;
};

static const struct scene scenes[] = {
    { "alone", false, 0, { { NULL } }, 0, 0, SINGLE_NOT, false,
        "single node: messages are on this disk alone" },
    { "switched off", true, 1, { { "ex02", LEDGER_LIVE, 100 } }, 0, 0, SINGLE_NOT, false,
        "switched off (ShadowRedundancyEnabled): messages are on this disk alone" },
    { "good", false, 1, { { "ex02", LEDGER_LIVE, 100 } }, 0, 0, SINGLE_NOT, true,
        "every message is on two nodes" },
    { "good, one of two is down", false, 2,
        { { "ex02", LEDGER_LIVE, 100 }, { "ex03", LEDGER_SILENT, 75000 } }, 0, 0, SINGLE_NOT,
        true, "every message is on two nodes; ex03 silent for 1m15s" },
    { "silent, none waits", false, 1, { { "ex02", LEDGER_SILENT, 9900 } }, 0, 0, SINGLE_NOT,
        false, "no other node takes copies: ex02 silent for 9.9 s" },
    { "one answer is late", false, 1, { { "ex02", LEDGER_SILENT, 999 } }, 0, 0, SINGLE_NOT,
        true, "every message is on two nodes" },
    { "silent for a second", false, 1, { { "ex02", LEDGER_SILENT, 1000 } }, 0, 0, SINGLE_NOT,
        false, "no other node takes copies: ex02 silent for 1.0 s" },
    { "one ask failed", false, 1, { { "ex02", LEDGER_UNREACHABLE, 10, 990 } }, 0, 0, SINGLE_NOT,
        true, "every message is on two nodes" },
    { "heard, and not reached", false, 1, { { "ex02", LEDGER_UNREACHABLE, 10, 75000 } }, 0, 0,
        SINGLE_NOT, false,
        "no other node takes copies: ex02 cannot be reached for 1m15s, yet is heard (0.0 s "
        "ago)" },
    { "never there", false, 1, { { "ex02", LEDGER_JOINING, -1 } }, 0, 0, SINGLE_NOT, false,
        "no other node takes copies: ex02 never answered" },
    { "three with one copy", false, 1, { { "ex02", LEDGER_SILENT, 75400 } }, 3, 120000,
        SINGLE_NO_NODE, false, "3 messages have one copy, oldest 2m: ex02 silent for 1m15s" },
    { "one with one copy, two are down", false, 2,
        { { "ex02", LEDGER_GONE, 3600000 }, { "ex03", LEDGER_RETIRED, 5 } }, 1, 400,
        SINGLE_LOST, false,
        "1 message has one copy, oldest 0.4 s: ex02 gone, silent for 1h, ex03 is retired" },
    { "all are there again", false, 1, { { "ex02", LEDGER_LIVE, 10 } }, 2, 11000, SINGLE_FAILED,
        false,
        "2 messages have one copy, oldest 11s: "
        "the nodes asked did not take a copy in time; being copied again" },
    { "back, and asked", false, 1, { { "ex02", LEDGER_FENCED, 10 } }, 1, 1000, SINGLE_LOST,
        false,
        "1 message has one copy, oldest 1.0 s: ex02 is back and being asked what it has "
        "taken" },
};

struct set {
    struct ledger_facts facts;
    struct ledger_peer_facts peers[3];
    struct redundancy what;
};

static void make(const struct scene *scene, struct set *set)
{
    *set = (struct set){ .facts = { .single = scene->single, .single_oldest_ms = -1 } };
    if (scene->single) {
        set->facts.single_oldest_ms = NOW - scene->oldest_ago_ms;
        set->facts.single_by[scene->reason] = scene->single;
    }
    set->facts.has_right = true;
    set->what = (struct redundancy){ .is_enabled = !scene->is_disabled,
        .node_count = scene->node_count,
        .facts = &set->facts,
        .peers = set->peers,
        .now = { NOW } };
    for (; set->what.peer_count < 3 && scene->peers[set->what.peer_count].name;
         set->what.peer_count++) {
        const struct peer *peer = &scene->peers[set->what.peer_count];
        struct ledger_peer_facts *facts = &set->peers[set->what.peer_count];
        snprintf(facts->node, sizeof facts->node, "%s", peer->name);
        facts->state = peer->state;
        facts->is_configured = true;
        facts->contact_ms = peer->ago_ms < 0 ? -1 : NOW - peer->ago_ms;
        facts->unanswered_ms = peer->unanswered_ms ? NOW - peer->unanswered_ms : -1;
    }
}

static void judges(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(scenes); i++) {
        char why[REDUNDANCY_TEXT_BYTES];
        struct set set;
        make(&scenes[i], &set);
        check(scenes[i].name, redundancy_judge(&set.what, why) == scenes[i].is_redundant);
        check_bytes(scenes[i].name, bytes_text(why), bytes_text(scenes[i].why));
    }
}

/* Names as long as they may be, and as many nodes: cut, never written over the end. */
static void cuts_long_names(void **state)
{
    struct ledger_peer_facts peers[LEDGER_PEERS_MAX] = { 0 };
    struct ledger_facts facts = { .single = 1, .single_oldest_ms = 0 };
    struct redundancy what = { .is_enabled = true,
        .node_count = LEDGER_PEERS_MAX,
        .facts = &facts,
        .peers = peers,
        .peer_count = LEDGER_PEERS_MAX,
        .now = { NOW } };
    char why[REDUNDANCY_TEXT_BYTES];

    (void)state;
    for (int i = 0; i < LEDGER_PEERS_MAX; i++) {
        memset(peers[i].node, 'x', SHADOW_NODE_BYTES_MAX);
        peers[i].state = LEDGER_SILENT;
        peers[i].is_configured = true;
    }
    assert_false(redundancy_judge(&what, why));
    assert_true(strlen(why) < sizeof why);
}

static void add_line(void *me, const char *text)
{
    strcat(me, text);
    strcat(me, "\n");
}

static void raises_alarms(void **state)
{
    struct scene scene = { "", false, 1, { { "ex02", LEDGER_LIVE, 100 } } };
    char text[2000] = "";
    struct set set;

    (void)state;
    make(&scene, &set);
    redundancy_each_alarm(&set.what, add_line, text);
    assert_string_equal(text, "");

    /* One copy for a minute and no longer is no alarm yet. */
    set.facts.single = 2;
    set.facts.single_oldest_ms = NOW - 59999;
    redundancy_each_alarm(&set.what, add_line, text);
    assert_string_equal(text, "");

    set.facts.single_oldest_ms = NOW - 60000;
    set.facts.aside = 1;
    set.facts.unclaimed = 7;
    set.facts.has_right = false;
    set.facts.counts[LEDGER_AUDIT_DIFFERENCE] = 3;
    set.facts.counts[LEDGER_PEER_WENT_BACK] = 1;
    set.facts.counts[LEDGER_OWN_STORE_NEW] = 1;
    set.peers[0].state = LEDGER_SILENT;
    set.peers[0].contact_ms = NOW - 1100;
    redundancy_each_alarm(&set.what, add_line, text);
    assert_string_equal(text,
        "one copy for too long: 2 messages, oldest 1m\n"
        "set aside: 1 message (relais shadow list --aside)\n"
        "unclaimed: 7 copies (relais shadow list --unclaimed)\n"
        "ex02 silent for 1.1 s\n"
        "audits found differences since the start: 3\n"
        "a node's store went back since the start: 1\n"
        "this node had to begin a new store since the start\n"
        "no right to deliver yet: other nodes are being asked what they took\n");

    set.what.node_count = 0; /* perhaps because the other one has left */
    set.peers[0].is_configured = false;
    set.peers[0].held = 1;
    text[0] = 0;
    redundancy_each_alarm(&set.what, add_line, text);
    assert_string_equal(text,
        "1 copy held for ex02, which is no longer configured: relais shadow evict ex02\n");

    set.peers[0].held = 0; /* a single node has no such alarms */
    text[0] = 0;
    redundancy_each_alarm(&set.what, add_line, text);
    assert_string_equal(text, "");
}

/* A value for each of them, and no two the same. */
static void names_are_there(void **state)
{
    (void)state;
    for (int i = 0; i < LEDGER_EVENT_COUNT; i++) {
        assert_non_null(redundancy_event_name((enum ledger_event)i));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(redundancy_event_name((enum ledger_event)i),
                redundancy_event_name((enum ledger_event)k));
    }
    for (int i = 0; i < SINGLE_COUNT; i++) {
        assert_non_null(redundancy_single_name((enum standing_single)i));
        assert_non_null(redundancy_single_reason((enum standing_single)i));
    }
    for (int i = 0; i < STANDING_ROLE_COUNT; i++)
        assert_non_null(redundancy_role_name((enum standing_role)i));
    for (int i = 0; i <= LEDGER_RETIRED; i++)
        assert_non_null(redundancy_state_name((enum ledger_peer_state)i));
}

static void finds_latencies(void **state)
{
    uint64_t none[24] = { 0 }, one[24] = { [4] = 1 },
             mixed[24] = { [0] = 50, [5] = 49, [9] = 1 };

    (void)state;
    assert_int_equal(redundancy_latency_us(none, 24, 0.5), 0);
    assert_int_equal(redundancy_latency_us(one, 24, 1), 1024);
    assert_int_equal(redundancy_latency_us(one, 24, 0.5), 768);
    assert_int_equal(redundancy_latency_us(mixed, 24, 0.5), 64);
    assert_int_equal(redundancy_latency_us(mixed, 24, 0.99), 2048);
    assert_int_equal(redundancy_latency_us(mixed, 24, 1), 32768);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges),
        cmocka_unit_test(cuts_long_names),
        cmocka_unit_test(raises_alarms),
        cmocka_unit_test(names_are_there),
        cmocka_unit_test(finds_latencies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
