/* usage: sim [--seed N] [--from A --count N] [--nodes 2|3] [--profile NAME] [--broken RULE]
 *            [--trace] [--frames] [--message M] [--stop-at-first] [--quiet] [--find] [--list]
 *
 * Runs seeds; prints each that breaks a promise, and the story of its message; "ok" for each
 * hundred that do not.  --broken switches a rule off (--list names them).  --find: stops at the
 * first seed that breaks a promise with the rule off and none with it on; that is a success. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bit;
} rules[] = {
    { "audit-takes-over", BROKEN_AUDIT_TAKES_OVER },
    { "keeps-store", BROKEN_KEEPS_STORE },
    { "accepting-unknown", BROKEN_ACCEPTING_UNKNOWN },
    { "fence-skips-accepting", BROKEN_FENCE_SKIPS_ACCEPTING },
    { "fence-drops", BROKEN_FENCE_DROPS },
    { "taker-asks-nobody", BROKEN_TAKER_ASKS_NOBODY },
    { "no-fence", BROKEN_NO_FENCE },
    { "no-part", BROKEN_NO_PART },
    { "tells-unflushed", BROKEN_TELLS_UNFLUSHED },
    { "confirms-unflushed", BROKEN_CONFIRMS_UNFLUSHED },
    { "forgets-notices", BROKEN_FORGETS_NOTICES },
    { "notice-of-any", BROKEN_NOTICE_OF_ANY },
    { "silence-by-clock", BROKEN_SILENCE_BY_CLOCK },
    { "retired-returns", BROKEN_RETIRED_RETURNS },
    { "never-again", BROKEN_NEVER_AGAIN },
    { "early-250", BROKEN_EARLY_250 },
    { "drops-old-copies", BROKEN_DROPS_OLD_COPIES },
};

enum { RULE_COUNT = sizeof rules / sizeof *rules };

struct arguments {
    struct options options;
    uint64_t from, count;
    bool finds, is_quiet, stops;
    const char *rule;
};

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "sim: %s %s\n", what, name);
    exit(2);
}

static uint32_t rule_of(const char *name)
{
    for (unsigned i = 0; i < RULE_COUNT; i++)
        if (strcmp(rules[i].name, name) == 0)
            return rules[i].bit;
    fail("no such rule:", name);
    return 0;
}

static void list(void)
{
    for (unsigned i = 0; i < RULE_COUNT; i++)
        puts(rules[i].name);
    exit(0);
}

/* Options with a value. */
static bool take_value(struct arguments *out, const char *name, const char *value)
{
    uint64_t number = value ? strtoull(value, NULL, 10) : 0;

    if (strcmp(name, "--seed") == 0) {
        out->from = number;
        out->count = 1;
    } else if (strcmp(name, "--from") == 0) {
        out->from = number;
    } else if (strcmp(name, "--count") == 0) {
        out->count = number;
    } else if (strcmp(name, "--nodes") == 0) {
        out->options.nodes = (unsigned)number;
    } else if (strcmp(name, "--message") == 0) {
        out->options.trace_message = (int)number;
    } else if (strcmp(name, "--broken") == 0) {
        out->rule = value ? value : "";
        out->options.broken |= rule_of(out->rule);
    } else if (strcmp(name, "--profile") == 0) {
        out->options.faults = fault_profile(value ? value : "");
        if (!out->options.faults)
            fail("no such profile:", value ? value : "");
    } else {
        return false;
    }
    if (!value)
        fail("a value is missing for", name);
    return true;
}

static void take_flag(struct arguments *out, const char *name)
{
    if (strcmp(name, "--trace") == 0)
        out->options.has_trace = true;
    else if (strcmp(name, "--frames") == 0)
        out->options.has_trace = out->options.has_frames = true;
    else if (strcmp(name, "--find") == 0)
        out->finds = true;
    else if (strcmp(name, "--stop-at-first") == 0)
        out->stops = true;
    else if (strcmp(name, "--quiet") == 0)
        out->is_quiet = true;
    else if (strcmp(name, "--list") == 0)
        list();
    else
        fail("unknown option:", name);
}

static void print_tally(const struct tally *tally)
{
    printf("%llu seeds, %llu messages, %llu acknowledged, %llu refused, %llu deliveries\n"
           "twice: D1 %llu, D3 %llu, D4 %llu, D6 %llu, a disk that went back %llu\n"
           "set aside %llu; gone with the only disk %llu, with a disk that went back %llu; "
           "%llu events\n",
        (unsigned long long)tally->seeds, (unsigned long long)tally->messages,
        (unsigned long long)tally->acknowledged, (unsigned long long)tally->refused,
        (unsigned long long)tally->deliveries, (unsigned long long)tally->d1,
        (unsigned long long)tally->d3, (unsigned long long)tally->d4,
        (unsigned long long)tally->d6, (unsigned long long)tally->back,
        (unsigned long long)tally->aside, (unsigned long long)tally->lost,
        (unsigned long long)tally->rolled_back, (unsigned long long)tally->events);
}

/* The story of the message it was about, by running the seed again. */
static void tell(uint64_t seed, const struct arguments *arguments, int message)
{
    struct options options = arguments->options;
    struct tally tally = { 0 };
    char why[256];

    options.has_trace = true;
    options.trace_message = message >= 0 ? message : SIM_MESSAGES_MAX;
    world_run(seed, &options, &tally, why, &message);
}

static bool run(uint64_t seed, const struct arguments *arguments, struct tally *tally)
{
    char why[256];
    int message;

    if (world_run(seed, &arguments->options, tally, why, &message))
        return true;
    if (!arguments->options.has_trace && !arguments->is_quiet && !arguments->finds)
        tell(seed, arguments, message);
    printf("seed %llu%s: m%d: %s\n", (unsigned long long)seed,
        arguments->options.nodes == 2   ? " --nodes 2"
        : arguments->options.nodes == 3 ? " --nodes 3"
                                        : "",
        message, why);
    fflush(stdout);
    return false;
}

/* Seeds of a hundred, or what is left; false: stop. */
static bool run_some(const struct arguments *arguments, uint64_t from, uint64_t count,
    struct tally *tally, uint64_t *failed)
{
    uint64_t before = *failed;

    for (uint64_t seed = from; seed < from + count; seed++) {
        if (run(seed, arguments, tally))
            continue;
        ++*failed;
        if (arguments->stops)
            return false;
    }
    if (*failed == before)
        printf("ok seeds %llu to %llu\n", (unsigned long long)from,
            (unsigned long long)(from + count - 1));
    fflush(stdout);
    return true;
}

/* The first seed that only the missing rule breaks. */
static int find(const struct arguments *arguments, struct tally *tally)
{
    struct arguments whole = *arguments;

    whole.options.broken = 0;
    whole.is_quiet = true;
    for (uint64_t i = 0; i < arguments->count; i++) {
        struct tally none = { 0 };
        if (run(arguments->from + i, arguments, tally) ||
            !run(arguments->from + i, &whole, &none))
            continue;
        printf("ok %s: found after %llu seeds\n", arguments->rule, (unsigned long long)i + 1);
        return 0;
    }
    printf("FAILED %s: not found in %llu seeds\n", arguments->rule,
        (unsigned long long)arguments->count);
    return 1;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .options = { .trace_message = -1 }, .from = 1, .count = 100
    };
    struct tally tally = { 0 };
    uint64_t failed = 0;

    for (int i = 1; i < argc; i++) {
        if (take_value(&arguments, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
            i++;
        else
            take_flag(&arguments, argv[i]);
    }
    if (arguments.finds)
        return find(&arguments, &tally);
    for (uint64_t i = 0; i < arguments.count; i += 100) {
        uint64_t left = arguments.count - i;
        if (!run_some(&arguments, arguments.from + i, left < 100 ? left : 100, &tally, &failed))
            break;
    }
    print_tally(&tally);
    printf("%llu of %llu seeds failed\n", (unsigned long long)failed,
        (unsigned long long)tally.seeds);
    return failed != 0;
}
