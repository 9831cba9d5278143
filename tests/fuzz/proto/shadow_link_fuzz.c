/* Both engines, joined.  The input is a script: copies and asks, with values from its bytes.  Played
 * with whole pieces and outcomes at once, and with small pieces, little room and outcomes in an
 * order of chance, both sides must have done the same; and that is what the script says. */
#include "../../unit/proto/shadow_client_kit.h"
#include "../../unit/proto/shadow_server_kit.h"

enum { RECIPIENTS_MAX = 5 };

struct script {
    struct bytes rest;
};

static uint8_t take(struct script *script)
{
    uint8_t byte = script->rest.n ? script->rest.at[0] : 0;

    script->rest = bytes_skip(script->rest, script->rest.n > 0);
    return byte;
}

static struct bytes take_bytes(struct script *script)
{
    struct bytes bytes = bytes_first(script->rest, take(script) % 32);

    script->rest =
        bytes_skip(script->rest, bytes.n < script->rest.n ? bytes.n : script->rest.n);
    return bytes_first(bytes, script->rest.n ? bytes.n : 0);
}

static struct bytes take_address(struct script *script)
{
    static const struct bytes addresses[] = { BYTES("a@b.test"), BYTES("\"a b\"@c"),
        BYTES("postmaster"), BYTES("\xc3\xa4@\xc3\xb6.test"), BYTES("x@[192.0.2.1]") };

    return addresses[take(script) % (sizeof addresses / sizeof *addresses)];
}

static void take_copy(struct script *script, struct shadow_copy *copy,
    struct recipient recipients[RECIPIENTS_MAX])
{
    struct envelope *envelope = &copy->envelope;

    *copy = (struct shadow_copy){ .recipients = recipients };
    copy->mid.byte[0] = take(script);
    copy->generation = take(script);
    copy->from.byte[3] = take(script);
    copy->earlier_count = copy->from.byte[3] ? take(script) % (SHADOW_EARLIER_MAX + 1) : 0;
    for (uint8_t i = 0; i < copy->earlier_count; i++)
        copy->earlier[i].byte[i] = 1;
    envelope->sender = take(script) % 4 ? take_address(script) : BYTES_NONE;
    envelope->envid = take(script) % 2 ? BYTES("e+2B") : BYTES_NONE;
    envelope->auth = take(script) % 2 ? BYTES("<>") : BYTES_NONE;
    envelope->ret = (enum envelope_ret)(take(script) % 3);
    envelope->body = (enum body_type)(take(script) % 3);
    envelope->is_smtputf8 = take(script) % 2;
    envelope->priority = (int8_t)(take(script) % 19 - 9);
    envelope->crash_count = take(script);
    envelope->arrived.ms = take(script) * 1000003;
    envelope->session.n = take(script);
    envelope->connector = take_bytes(script);
    envelope->client_name = take_bytes(script);
    envelope->client_user = take_bytes(script);
    envelope->client_ip = take(script) % 2 ? BYTES("2001:db8::1") : BYTES_NONE;
    copy->recipient_count = 1 + take(script) % RECIPIENTS_MAX;
    for (uint32_t i = 0; i < copy->recipient_count; i++)
        recipients[i] = (struct recipient){ .address = take_address(script),
            .orcpt = take(script) % 2 ? BYTES("rfc822;a+2Bb@c") : BYTES_NONE,
            .notify = take(script) % 2 ? NOTIFY_NEVER : (uint8_t)(take(script) % 8 * 2) };
    copy->done = take(script) % 2 ? BYTES("1") : BYTES_NONE;
    copy->prepend_bytes = take(script) % 12;
}

static void take_ask(struct script *script, struct shadow_ask *ask)
{
    *ask = (struct shadow_ask){ .type = (enum shadow_ask_type)(take(script) % 3) };
    if (ask->type == SHADOW_ASK_AUDIT) {
        ask->mid_count = 1 + take(script) % SHADOW_AUDIT_MAX;
        ask->mids[0].byte[5] = take(script);
        return;
    }
    ask->count_max = 1 + take(script);
    ask->has_cursor = take(script) % 2;
    ask->cursor = ask->has_cursor ? 600 + take(script) % 100u : 0;
    if (ask->type == SHADOW_ASK_DISCARD)
        ask->wait_ms = take(script) * 7u;
    else
        ask->store.byte[7] = 1 + take(script) % 200;
}

/* --- The link ---------------------------------------------------------------------------- */

struct link {
    struct client_driver client;
    struct server_driver server;
    size_t to_server, to_client; /* how much of what each said has arrived */
    size_t step;
    struct bytes dice;
};

static unsigned roll(struct link *link)
{
    unsigned byte = link->dice.n ? link->dice.at[link->dice.n - 1] : 5;

    link->dice = bytes_first(link->dice, link->dice.n ? link->dice.n - 1 : 0);
    return byte;
}

/* The next piece from one to the other; those not taken stay.  The server alone may leave some. */
static bool move(struct link *link)
{
    struct bytes up = bytes_skip(buf_bytes(&link->client.said), link->to_server), down;
    size_t up_n = server_feed(&link->server, bytes_first(up, link->step)), down_n = 0;

    if (up_n == 0) /* a line may be longer than a step */
        up_n = server_feed(&link->server, up);
    link->to_server += up_n;
    down = bytes_skip(buf_bytes(&link->server.said), link->to_client);
    if (!link->client.is_closed)
        down_n = client_feed(&link->client, bytes_first(down, link->step));
    if (down_n == 0 && !link->client.is_closed)
        down_n = client_feed(&link->client, down);
    link->to_client += down_n;
    return up_n > 0 || down_n > 0;
}

static void release_one(struct link *link)
{
    server_release(&link->server, roll(link) % link->server.held_count);
    server_feed(&link->server, BYTES_NONE);
}

/* Until nothing moves any more. */
static void settle(struct link *link)
{
    for (;;) {
        if (link->server.held_count && roll(link) % 4 == 0)
            release_one(link);
        if (move(link))
            continue;
        if (!link->server.held_count)
            return;
        release_one(link);
    }
}

static void note_expected(struct client_driver *expected, uint64_t tag, struct mid mid)
{
    struct shadow_outcome outcome = outcome_of(mid);

    if (mid.byte[0] == 0xd0)
        outcome.fate = SHADOW_SETTLED;
    if (mid.byte[0] == 0xd1)
        outcome = outcome_refused(554, STATUS(5, 6, 0), "another envelope");
    if (outcome.fate == SHADOW_BUSY)
        outcome.verdict = verdict_of(450, STATUS(4, 5, 0), "in acceptance");
    client_note_outcome(expected, tag, &outcome);
}

static void offer(
    struct link *link, struct client_driver *expected, struct script *script, uint64_t tag)
{
    struct recipient recipients[RECIPIENTS_MAX];
    struct shadow_copy copy;
    char text[48];

    take_copy(script, &copy, recipients);
    copy.envelope.content_bytes = client_content(tag, text) - copy.prepend_bytes;
    assert(shadow_client_may_offer(link->client.client));
    client_offer(&link->client, tag, &copy);
    note_expected(expected, tag, copy.mid);
}

static void ask(struct link *link, struct client_driver *expected, struct script *script)
{
    struct shadow_item items[3];
    struct shadow_page page;
    struct shadow_ask ask;

    take_ask(script, &ask);
    if (!shadow_client_may_ask(link->client.client))
        settle(link);
    client_ask(&link->client, &ask);
    if (ask.cursor == 666) {
        record_note(&expected->done, "ASK REFUSED 501 5.5.4 never gave that cursor\n");
        return;
    }
    server_page(&ask, items, &page);
    client_note_page(expected, &page);
}

static void play(struct link *link, struct bytes in, struct client_driver *expected)
{
    struct script script = { in };

    server_open(&link->server);
    client_connect(&link->client);
    settle(link);
    assert(link->client.is_up);
    record_note(&expected->done, "UP ex01.test 2 81723\n");
    for (uint64_t tag = 1; script.rest.n;) {
        unsigned op = take(&script) % 4;

        if (op < 2)
            offer(link, expected, &script, tag++);
        else if (op == 2)
            ask(link, expected, &script);
        else
            move(link);
    }
    client_say(&link->client, SHADOW_CLIENT_QUIT);
    settle(link);
    record_note(&expected->done, "CLOSE\n");
    assert(link->client.is_closed && link->server.is_closed);
}

static void link_init(struct link *link, const struct shadow_server_config *server, size_t room)
{
    static const struct shadow_client_config client = { .fqdn = BYTES("ex02.test") };

    *link = (struct link){ .step = SIZE_MAX / 2 };
    client_driver_init(&link->client, &client, room);
    server_driver_init(&link->server, server, room);
    link->server.never_fails = true;
}

static void link_done(struct link *link)
{
    client_driver_done(&link->client);
    server_driver_done(&link->server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shadow_server_config config = { .fqdn = BYTES("ex01.test"), .in_flight_max = 3 };
    struct client_driver expected, again;
    struct link whole, split;
    struct bytes in;

    if (size < 2 || size > 4096)
        return 0;
    in = bytes_of(data + 2, size - 2);
    buf_init(&expected.done, 16 << 20);
    buf_init(&again.done, 16 << 20);
    link_init(&whole, &config, 1 << 16);
    link_init(&split, &config, 16 + data[1]);
    split.step = 1 + data[0];
    split.server.holds = true;
    split.dice = in;
    play(&whole, in, &expected);
    play(&split, in, &again);
    assert(bytes_equal(buf_bytes(&whole.client.done), buf_bytes(&expected.done)));
    assert(bytes_equal(buf_bytes(&split.client.done), buf_bytes(&expected.done)));
    assert(bytes_equal(buf_bytes(&whole.server.done), buf_bytes(&split.server.done)));
    assert(bytes_equal(buf_bytes(&whole.client.said), buf_bytes(&split.client.said)));
    assert(bytes_equal(buf_bytes(&whole.server.said), buf_bytes(&split.server.said)));
    buf_done(&expected.done);
    buf_done(&again.done);
    link_done(&whole);
    link_done(&split);
    return 0;
}
