#include "policy/blame.h"

enum {
    FORGET_MS = 3600000, /* a limit of so many an hour is over then */
    PAUSE_MS_MIN = 1000, /* what comes sooner was under way, or another connection's */
    ALONE_MAX = 4,       /* told so often in a row, after 1, 2 and 4 s, it waits like others */
};

static uint64_t key_of(struct bytes address, uint64_t kind)
{
    uint64_t key = bytes_hash_nocase(address) ^ kind;

    return key ? key : 1;
}

uint64_t blame_sender(struct bytes address)
{
    return key_of(address, UINT64_C(0x9E3779B97F4A7C15));
}

uint64_t blame_recipient(struct bytes address)
{
    return key_of(address, 0);
}

/* --- Suspects ------------------------------------------------------------------------------ */

static struct blame_suspect *find(struct blame *blame, uint64_t key, int64_t now_ms)
{
    for (unsigned i = 0; key && i < BLAME_SUSPECTS; i++) {
        struct blame_suspect *suspect = &blame->suspects[i];
        if (suspect->key == key && now_ms - suspect->sign_ms < FORGET_MS)
            return suspect;
    }
    return NULL;
}

static bool is_passed(struct blame *blame, uint64_t key, int64_t now_ms)
{
    struct blame_suspect *suspect = find(blame, key, now_ms);

    if (!suspect || !suspect->is_passed)
        return false;
    suspect->sign_ms = now_ms;
    return true;
}

/* The place of KEY: its own, a free one, or that of the oldest sign. */
static struct blame_suspect *place_of(struct blame *blame, uint64_t key)
{
    struct blame_suspect *oldest = &blame->suspects[0], *unused = NULL;

    for (unsigned i = 0; i < BLAME_SUSPECTS; i++) {
        struct blame_suspect *suspect = &blame->suspects[i];
        if (suspect->key == key)
            return suspect;
        if (!suspect->key)
            unused = suspect;
        if (suspect->sign_ms < oldest->sign_ms)
            oldest = suspect;
    }
    return unused ? unused : oldest;
}

static void suspect(struct blame *blame, uint64_t key, int64_t now_ms)
{
    struct blame_suspect *place;

    if (!key)
        return;
    place = place_of(blame, key);
    blame->suspect_count += place->key == 0;
    *place = (struct blame_suspect){ .key = key, .sign_ms = now_ms };
}

void blame_accepted(struct blame *blame, uint64_t sender, uint64_t recipient)
{
    blame->last_count = 0;
    for (unsigned i = 0; blame->suspect_count && i < BLAME_SUSPECTS; i++) {
        struct blame_suspect *suspect = &blame->suspects[i];
        if (!suspect->key)
            continue;
        suspect->is_passed = true;
        if (suspect->key != sender && suspect->key != recipient)
            continue;
        *suspect = (struct blame_suspect){ .key = 0 };
        blame->suspect_count--;
    }
}

/* --- Signs --------------------------------------------------------------------------------- */

/* What this sign has in common with all since the host became slow. */
static void note_common(struct blame *blame, const struct blame_who *who, bool is_slow)
{
    uint64_t sender = who ? who->sender : 0, recipient = who ? who->recipient : 0;

    if (!is_slow || blame->sender != sender)
        blame->sender = is_slow ? 0 : sender;
    if (!is_slow || blame->recipient != recipient)
        blame->recipient = is_slow ? 0 : recipient;
}

static void suspect_both(struct blame *blame, const struct blame_who *who, int64_t now_ms)
{
    suspect(blame, who->sender, now_ms);
    suspect(blame, who->recipient, now_ms);
}

/* Nobody else has been tried: whatever it is about, this one is not tried for ever. */
static enum blame_verdict of_same(struct blame *blame, int64_t now_ms)
{
    if (now_ms - blame->last_ms >= PAUSE_MS_MIN)
        blame->last_count++;
    blame->last_ms = now_ms;
    if (blame->last_count == 1)
        return BLAME_ALL; /* of its further recipients, or on another connection */
    return blame->last_count >= ALONE_MAX ? BLAME_ONE : BLAME_AGAIN;
}

/* It is not known to be about one. */
static enum blame_verdict of_all(
    struct blame *blame, const struct blame_who *who, bool is_slow, int64_t now_ms)
{
    note_common(blame, who, is_slow);
    if (!who) {
        blame->last_count = 0;
        return BLAME_ALL;
    }
    suspect_both(blame, who, now_ms);
    if (blame->last_count && mid_equal(blame->last, who->message))
        return of_same(blame, now_ms);
    blame->last = who->message;
    blame->last_ms = now_ms;
    blame->last_count = 1;
    return BLAME_ALL;
}

enum blame_verdict blame_sign(
    struct blame *blame, const struct blame_who *who, bool is_slow, int64_t now_ms)
{
    bool is_of_sender = who && is_passed(blame, who->sender, now_ms);
    bool is_of_recipient = who && is_passed(blame, who->recipient, now_ms);

    if (!is_of_sender && !is_of_recipient)
        return of_all(blame, who, is_slow, now_ms);
    if (is_slow && ((is_of_sender && blame->sender == who->sender) ||
                       (is_of_recipient && blame->recipient == who->recipient)))
        return BLAME_ONE_ONLY;
    return BLAME_ONE;
}
