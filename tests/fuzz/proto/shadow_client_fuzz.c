/* The asking engine under any server.  The first byte chooses what is asked and offered before the
 * replies come, and whether the link is up already; the second how they are split.  Whole and
 * split must come out the same, and each copy has one outcome. */
#include "../../unit/proto/shadow_client_kit.h"

static const struct bytes introduction = BYTES(
    "220 ex01.test\r\n250-ex01.test\r\n250-XSHADOW 1\r\n250 CHUNKING\r\n"
    "250 2.0.0 NODE=ex01.test STORE=0c5e0000000000000000000000000001 POS=1 VERSION=1\r\n");

static const struct shadow_client_config config = { .fqdn = BYTES("ex02.test") };

static void offer(struct client_driver *driver, uint64_t tag)
{
    static const struct recipient recipients[] = { { .address = BYTES("c@d.test") },
        { .address = BYTES("e@f.test") } };
    struct shadow_copy copy = {
        .mid = { { 0x5f } }, .recipients = recipients, .recipient_count = 1 + tag % 2
    };

    if (shadow_client_may_offer(driver->client))
        client_offer(driver, tag, &copy);
}

static void ask(struct client_driver *driver, unsigned type)
{
    struct shadow_ask ask = {
        .type = (enum shadow_ask_type)(type % 3), .count_max = 500, .mid_count = 1
    };

    if (shadow_client_may_ask(driver->client))
        client_ask(driver, &ask);
}

/* What is under way before the replies come. */
static void order(struct client_driver *driver, uint8_t flags)
{
    for (unsigned i = 0; i < (flags >> 1 & 3u); i++)
        offer(driver, i + 1);
    if (flags & 8)
        ask(driver, flags >> 4);
    if (flags & 64)
        offer(driver, 9);
    if (flags & 128)
        client_say(driver, SHADOW_CLIENT_QUIT);
}

static void play(struct client_driver *driver, uint8_t flags, struct bytes in, size_t step)
{
    client_driver_init(driver, &config, 1 << 16);
    client_connect(driver);
    if (flags & 1) {
        client_play(driver, introduction, 1000);
        order(driver, flags);
    }
    client_play(driver, in, step);
    if (!driver->is_closed)
        client_say(driver, SHADOW_CLIENT_LOST);
    assert(driver->is_closed && shadow_client_in_flight(driver->client) == 0);
}

/* Lines that begin with WORD. */
static unsigned count(struct bytes text, struct bytes word)
{
    unsigned n = 0;

    while (text.n) {
        n += bytes_starts(text, word);
        text = bytes_skip(text, bytes_find(text, '\n') + 1);
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_driver whole, split;
    struct bytes in;

    if (size < 2 || size > 16384)
        return 0;
    in = bytes_of(data + 2, size - 2);
    play(&whole, data[0], in, in.n ? in.n : 1);
    play(&split, data[0], in, 1 + data[1]);
    assert(bytes_equal(buf_bytes(&whole.done), buf_bytes(&split.done)));
    assert(bytes_equal(buf_bytes(&whole.said), buf_bytes(&split.said)));
    if (data[0] & 1)
        assert(count(buf_bytes(&whole.done), BYTES("OUTCOME ")) ==
               (data[0] >> 1 & 3u) + (data[0] & 64 ? 1 : 0));
    client_driver_done(&whole);
    client_driver_done(&split);
    return 0;
}
