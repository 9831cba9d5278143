/* Mail for a simulated host that says "slow down": to some, to all, or at random. */
#include "kit.h"

#include "policy/slow_down.h"

#include <stdio.h>

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    START = 1000 * MINUTE,
    MAILS = 1000,
    CONNECTIONS = 4,
    STEP_MS = 5,
    LATENCY_MS = 20,
    RETRY_MS = 5 * MINUTE,
    NONE = -1,
};

struct mail {
    uint32_t sender,
        recipient; /* those below the world's limited_count are over their limits */
    bool is_tried;
    int64_t due_ms; /* of the next attempt, when it was refused */
};

/* How the host is, and what is sent. */
struct world {
    const char *name;
    uint32_t limited_count;    /* of senders, or of recipients */
    bool is_by_sender;         /* these are senders */
    uint32_t limited_permille; /* so much of the mail is theirs */
    uint32_t per_minute_max;   /* of all mail, in each minute of its clock; 0: none */
    uint32_t refused_permille; /* of all mail, at random */
    uint32_t sender_count;     /* of the others; 0: each mail has its own */
    bool is_connections;       /* the words it has for it */
    bool is_blind;             /* as if each sign was about all */
};

struct run {
    const struct world *world;
    struct pace pace;
    struct blame blame;
    struct mail mails[MAILS];
    int queue[MAILS]; /* the first one goes next */
    int queue_n;
    int under_way[CONNECTIONS]; /* a mail, or NONE */
    int64_t done_ms[CONNECTIONS];
    uint32_t seed, used, accepted, refused;
    int64_t minute, step_ms, slow_ms; /* SLOW_MS: when it got less for the first time */
    int64_t others_ms;                /* the last one who is not limited was taken */
};

static bool is_limited(const struct world *world, const struct mail *mail)
{
    return (world->is_by_sender ? mail->sender : mail->recipient) < world->limited_count;
}

static void fill(struct run *run, const struct world *world)
{
    *run = (struct run){ .world = world, .seed = 7, .step_ms = START };
    for (int i = 0; i < CONNECTIONS; i++)
        run->under_way[i] = NONE;
    for (int i = 0; i < MAILS; i++) {
        struct mail *mail = &run->mails[i];
        bool is_theirs = random_below(&run->seed, 1000) < world->limited_permille;
        uint32_t one =
            world->limited_count ? random_below(&run->seed, world->limited_count) : 0;
        mail->sender = (uint32_t)(1000 + i);
        mail->recipient = (uint32_t)(2000 + i);
        if (world->sender_count)
            mail->sender = 1000 + random_below(&run->seed, world->sender_count);
        if (is_theirs && world->is_by_sender)
            mail->sender = one;
        if (is_theirs && !world->is_by_sender)
            mail->recipient = one;
        run->queue[run->queue_n++] = i;
    }
}

/* --- The queue, as flow/queue/behind.c has it ------------------------------------------------ */

static void insert(struct run *run, int at, int mail)
{
    memmove(&run->queue[at + 1], &run->queue[at], (size_t)(run->queue_n - at) * sizeof(int));
    run->queue[at] = mail;
    run->queue_n++;
}

static int take_out(struct run *run, int at)
{
    int mail = run->queue[at];

    run->queue_n--;
    memmove(&run->queue[at], &run->queue[at + 1], (size_t)(run->queue_n - at) * sizeof(int));
    return mail;
}

/* LEVEL 0: not tried, of another to another; 1: of another to another; 2: not tried. */
static bool may_pass(const struct mail *other, const struct mail *his, int level)
{
    bool is_kin = other->sender == his->sender || other->recipient == his->recipient;

    return !(level != 1 && other->is_tried) && !(level != 2 && is_kin);
}

static void put_behind(struct run *run, int mail)
{
    int found = 0;

    insert(run, 0, mail);
    for (int level = 0; level < 3 && !found; level++) {
        for (int i = found + 1; i < run->queue_n && found < 2; i++) {
            if (may_pass(&run->mails[run->queue[i]], &run->mails[mail], level))
                insert(run, found++, take_out(run, i));
        }
    }
    for (int i = 0; !found && i < 2 && i + 1 < run->queue_n; i++)
        insert(run, i, take_out(run, i + 1));
}

static void bring_back_deferred(struct run *run, int64_t now)
{
    for (int i = 0; i < MAILS; i++) {
        struct mail *mail = &run->mails[i];
        if (!mail->due_ms || mail->due_ms > now)
            continue;
        mail->due_ms = 0;
        insert(run, run->queue_n, i);
    }
}

/* --- The host -------------------------------------------------------------------------------- */

static bool takes(struct run *run, const struct mail *mail, int64_t now)
{
    const struct world *world = run->world;

    if (now / MINUTE != run->minute)
        run->used = 0;
    run->minute = now / MINUTE;
    if (is_limited(world, mail) || random_below(&run->seed, 1000) < world->refused_permille)
        return false;
    return !world->per_minute_max || run->used++ < world->per_minute_max;
}

static struct blame_who who_of(const struct run *run, int mail)
{
    char text[16];
    struct blame_who who = { .message.byte = { (uint8_t)(mail >> 8), (uint8_t)mail, 1 } };

    snprintf(text, sizeof text, "%u", run->mails[mail].sender);
    who.sender = blame_sender(bytes_text(text));
    snprintf(text, sizeof text, "%u", run->mails[mail].recipient);
    who.recipient = blame_recipient(bytes_text(text));
    return who;
}

static uint32_t open_count(const struct run *run)
{
    uint32_t count = 0;

    for (int i = 0; i < CONNECTIONS; i++)
        count += run->under_way[i] != NONE;
    return count;
}

static void on_answer(struct run *run, int mail, uint32_t open, int64_t now)
{
    struct blame_who who = who_of(run, mail);
    struct slow_down did;

    if (takes(run, &run->mails[mail], now)) {
        run->accepted++;
        run->others_ms = now;
        pace_accepted(&run->pace, now);
        blame_accepted(&run->blame, who.sender, who.recipient);
        return;
    }
    run->refused++;
    run->mails[mail].is_tried = true;
    did = slow_down(&run->pace, &run->blame,
        run->world->is_connections ? PACE_SIGN_CONNECTIONS : PACE_SIGN_RATE,
        run->world->is_blind ? NULL : &who, open, false, now);
    if (did.gets_less && !run->slow_ms)
        run->slow_ms = now;
    if (did.is_one)
        run->mails[mail].due_ms = now + RETRY_MS;
    else
        put_behind(run, mail);
}

static void turn(struct run *run, int connection, int64_t now)
{
    int *under_way = &run->under_way[connection];
    uint32_t open = open_count(run);

    if (*under_way != NONE && now >= run->done_ms[connection]) {
        on_answer(run, *under_way, open, now);
        *under_way = NONE;
        open--;
    }
    if (*under_way != NONE || !run->queue_n || pace_wait_ms(&run->pace, now) ||
        !pace_may_connect(&run->pace, open))
        return;
    pace_take(&run->pace, now);
    *under_way = take_out(run, 0);
    run->done_ms[connection] = now + LATENCY_MS;
}

static void live(struct run *run, const struct world *world, int64_t ms)
{
    fill(run, world);
    for (int64_t now = START; now < START + ms; now += STEP_MS) {
        if (now % SECOND == 0)
            bring_back_deferred(run, now);
        if (now - run->step_ms >= PACE_STEP_MS) {
            pace_step(&run->pace, now);
            run->step_ms = now;
        }
        for (int i = 0; i < CONNECTIONS; i++)
            turn(run, i, now);
    }
}

/* --- What becomes of it ---------------------------------------------------------------------- */

static uint32_t count_others(const struct run *run)
{
    uint32_t count = 0;

    for (int i = 0; i < MAILS; i++)
        count += !is_limited(run->world, &run->mails[i]);
    return count;
}

/* Some senders or recipients have had their share, and are 30 % of the mail: all others' goes on.
 * At full rate it takes 5 s. */
static void test_some_are_limited(void **state)
{
    static const struct {
        struct world world;
        int64_t seconds_max;
        bool is_too_many; /* more than there is room for */
    } cases[] = {
        { { "one recipient", .limited_count = 1 }, 10 },
        { { "5 recipients", .limited_count = 5 }, 15 },
        { { "20 recipients", .limited_count = 20 }, 15 },
        { { "one sender", .limited_count = 1, .is_by_sender = true }, 10 },
        { { "5 senders", .limited_count = 5, .is_by_sender = true }, 15 },
        { { "20 senders", .limited_count = 20, .is_by_sender = true }, 15 },
        { { "20 recipients, from 3", .limited_count = 20, .sender_count = 3 }, 15 },
        { { "20 recipients, from one", .limited_count = 20, .sender_count = 1 }, 15 },
        { { "as too many connections", .limited_count = 20, .is_connections = true }, 15 },
        { { "200 recipients", .limited_count = 200 }, 75, true },
        { { "200 senders", .limited_count = 200, .is_by_sender = true }, 75, true },
    };
    static struct run run;

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct world world = cases[i].world;
        uint32_t others;
        world.limited_permille = 300;
        live(&run, &world, 75 * SECOND);
        others = count_others(&run);
        check(world.name, run.others_ms - START <= cases[i].seconds_max * SECOND);
        check(world.name, run.refused <= 2 * (MAILS - others) + 50);
        if (cases[i].is_too_many) {
            check(world.name, run.accepted >= others * 8 / 10); /* slower, not stopped */
            continue;
        }
        check(world.name, run.accepted == others);
        check(world.name, !pace_is_slow(&run.pace));
    }
}

/* The host means all: it is slowed at once, and asked about as often as if that were known. */
static void test_all_are_limited(void **state)
{
    static const struct world worlds[] = {
        { "nothing is taken", .refused_permille = 1000 },
        { "nothing of one", .refused_permille = 1000, .sender_count = 1 },
        { "nothing of three", .refused_permille = 1000, .sender_count = 3 },
        { "10 a minute", .per_minute_max = 10 },
        { "10 a minute of one", .per_minute_max = 10, .sender_count = 1 },
        { "10 a minute of three", .per_minute_max = 10, .sender_count = 3 },
        { "30 a minute", .per_minute_max = 30 },
        { "30 a minute of one", .per_minute_max = 30, .sender_count = 1 },
    };
    static struct run run;

    (void)state;
    for (size_t i = 0; i < CASES(worlds); i++) {
        struct world blind = worlds[i];
        uint32_t refused_blind, accepted_blind;
        blind.is_blind = true;
        live(&run, &blind, 20 * MINUTE);
        refused_blind = run.refused;
        accepted_blind = run.accepted;
        live(&run, &worlds[i], 20 * MINUTE);
        check(worlds[i].name, run.slow_ms && run.slow_ms - START < 3 * SECOND);
        check(worlds[i].name, run.refused <= refused_blind * 3 / 2);
        check(worlds[i].name, run.accepted >= accepted_blind);
    }
}

/* It refuses anybody's at random: at full rate that would be thousands a minute. */
static void test_random_ones_are_refused(void **state)
{
    static const struct world worlds[] = {
        { "half", .refused_permille = 500 },
        { "half of one", .refused_permille = 500, .sender_count = 1 },
        { "half of three", .refused_permille = 500, .sender_count = 3 },
        { "a fifth", .refused_permille = 200 },
        { "nine tenths", .refused_permille = 900 },
    };
    static struct run run;

    (void)state;
    for (size_t i = 0; i < CASES(worlds); i++) {
        live(&run, &worlds[i], 20 * MINUTE);
        check(worlds[i].name, run.slow_ms && run.slow_ms - START < 20 * SECOND);
        check(worlds[i].name, run.refused <= 20 * 60);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_some_are_limited),
        cmocka_unit_test(test_all_are_limited),
        cmocka_unit_test(test_random_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
