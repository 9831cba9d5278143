/* The answering engine under any client.  The first byte chooses how much may be in flight, whether
 * the link is introduced already, and the room in OUT; the second how the input is split.  Every
 * input is played whole and split, which must come out the same, and once with outcomes in an
 * order of chance, a slow reader, copies given up and the link stopped. */
#include "../../unit/proto/shadow_server_kit.h"

static const struct bytes introduction =
    BYTES("EHLO ex02.test\r\n"
          "XSHADOW 1 NODE=ex02.test STORE=77aa0000000000000000000000000002 POS=5512\r\n");

static struct shadow_server_config config_of(uint8_t flags)
{
    return (struct shadow_server_config){
        .fqdn = BYTES("ex01.test"),
        .size_bytes_max = flags & 1 ? 300 : 0,
        .in_flight_max = 1 + (flags >> 1 & 3),
    };
}

/* What was said is whole reply lines of printable bytes. */
static void check_replies(struct bytes said)
{
    while (said.n) {
        size_t lf = bytes_find(said, '\n');

        assert(lf != BYTES_NOT_FOUND && lf > 4 && said.at[lf - 1] == '\r');
        assert(said.at[0] >= '2' && said.at[0] <= '5');
        assert(said.at[3] == ' ' || said.at[3] == '-');
        for (size_t i = 0; i + 1 < lf; i++)
            assert(said.at[i] >= ' ' && said.at[i] < 127);
        said = bytes_skip(said, lf + 1);
    }
}

static void begin(struct server_driver *driver, const struct shadow_server_config *config,
    uint8_t flags, size_t out_bytes_max)
{
    server_driver_init(driver, config, out_bytes_max);
    driver->never_fails = true;
    server_open(driver);
    if (flags & 8)
        server_play(driver, introduction, 1000);
}

static void compare(
    const struct shadow_server_config *config, uint8_t flags, struct bytes in, size_t step)
{
    struct server_driver whole, split;

    begin(&whole, config, flags, 1 << 16);
    server_play(&whole, in, in.n ? in.n : 1);
    check_replies(buf_bytes(&whole.said));
    begin(&split, config, flags, 1 << 16);
    server_play(&split, in, step);
    assert(bytes_equal(buf_bytes(&whole.said), buf_bytes(&split.said)));
    assert(bytes_equal(buf_bytes(&whole.done), buf_bytes(&split.done)));
    server_driver_done(&whole);
    server_driver_done(&split);
}

static void give_up(struct server_driver *driver)
{
    struct shadow_outcome full = outcome_refused(452, STATUS(4, 3, 1), "gave up");
    struct shadow_server_event event = {
        .type = SHADOW_SERVER_COPY_LOST, .tag = driver->tag, .outcome = &full
    };

    driver->tag = 0;
    server_post(driver, &event);
}

static void stop(struct server_driver *driver)
{
    struct verdict verdict = verdict_of(421, STATUS(4, 3, 2), "stopped");
    struct shadow_server_event event = { .type = SHADOW_SERVER_STOPPED, .verdict = &verdict };

    server_post(driver, &event);
}

/* The dice are the input's bytes, from the end. */
static void by_chance(
    const struct shadow_server_config *config, uint8_t flags, struct bytes in, size_t step)
{
    struct server_driver driver;
    size_t at = 0, dice = in.n;

    begin(&driver, config, flags, 64 + (flags & 0xf0) * 16);
    driver.holds = true;
    driver.out_drained = flags & 0x10 ? 9 : 0;
    for (size_t end = 0; end < in.n && !driver.is_closed;) {
        unsigned roll = in.at[--dice % in.n];

        end = end + step < in.n ? end + step : in.n;
        at += server_feed(&driver, bytes_skip(bytes_first(in, end), at));
        if (roll % 4 == 0 && driver.held_count)
            server_release(&driver, roll / 4 % driver.held_count);
        if (roll % 16 == 1 && driver.tag)
            give_up(&driver);
        if (roll == 2)
            stop(&driver);
    }
    while (driver.held_count) /* some of them too late */
        server_release(&driver, driver.held_count - 1);
    server_feed(&driver, bytes_skip(in, at));
    while (driver.held_count)
        server_release(&driver, 0);
    server_feed(&driver, BYTES_NONE);
    assert(driver.is_closed || driver.out.n == 0);
    server_driver_done(&driver);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shadow_server_config config;
    struct bytes in;

    if (size < 2 || size > 8192)
        return 0;
    config = config_of(data[0]);
    in = bytes_of(data + 2, size - 2);
    compare(&config, data[0], in, 1 + data[1] % 64);
    by_chance(&config, data[0], in, 1 + data[1] / 4);
    return 0;
}
