/* The table of devices: what is noted, its ceiling, and its lines.  And the rates. */
#include "kit.h"

#include "flow/devices.h"
#include "flow/rates.h"

#include <stdio.h>
#include <stdlib.h>

static struct ip ip_of(const char *text)
{
    struct ip ip;

    check(text, ip_parse(bytes_text(text), &ip));
    return ip;
}

static void note(struct devices *devices, const char *ip, const char *connector,
    const char *helo, unsigned needs, int64_t at)
{
    struct device_seen seen = { .ip = ip_of(ip),
        .connector = connector,
        .helo = helo,
        .needs = needs,
        .sessions = 1,
        .messages = 2,
        .bytes = 300,
        .now = { at } };

    devices_note(devices, &seen);
}

static void sessions_add_up(void **state)
{
    struct devices devices;
    struct device *list;
    size_t count;

    (void)state;
    devices_init(&devices);
    note(&devices, "10.0.0.1", "Scanners", "one", DEVICE_BARE_LF, 1000);
    note(&devices, "10.0.0.2", "Scanners", NULL, 0, 2000);
    note(&devices, "10.0.0.1", "Storage", "one", 0, 3000);
    for (int i = 0; i < 3; i++)
        note(&devices, "10.0.0.1", "Scanners", i == 1 ? "one" : "two words,", DEVICE_NO_HELO,
            4000 + i);
    list = devices_list(&devices, &count);
    assert_int_equal(count, 3);
    assert_string_equal(list[0].connector, "Scanners");
    assert_int_equal(list[0].sessions, 4);
    assert_int_equal(list[0].messages, 8);
    assert_int_equal(list[0].bytes, 1200);
    assert_int_equal(list[0].first.ms, 1000);
    assert_int_equal(list[0].last.ms, 4002);
    assert_string_equal(list[0].helo[0], "two?words?");
    assert_string_equal(list[0].helo[1], "one");
    assert_string_equal(list[0].helo[2], "");
    assert_int_equal(list[0].needed[0].ms, 1000);
    assert_int_equal(list[0].needed[4].ms, 4002);
    assert_int_equal(list[0].needed[1].ms, 0);
    assert_string_equal(list[1].connector, "Storage");
    assert_string_equal(list[2].helo[0], "");
    free(list);
    devices_done(&devices);
}

static void the_oldest_goes_first(void **state)
{
    struct devices devices;
    struct device *list;
    size_t count;

    (void)state;
    devices_init(&devices);
    for (int i = 0; i < DEVICES_MAX + 10; i++) {
        char ip[20];
        snprintf(ip, sizeof ip, "10.1.%d.%d", i / 250, i % 250);
        note(&devices, ip, "In", NULL, 0, i);
        note(&devices, "10.0.0.1", "In", NULL, 0, i); /* comes all the time */
    }
    list = devices_list(&devices, &count);
    assert_int_equal(count, DEVICES_MAX);
    assert_int_equal(list[0].sessions, DEVICES_MAX + 10);
    assert_int_equal(list[count - 1].last.ms, 11);
    free(list);
    devices_done(&devices);
}

static void lines_come_back(void **state)
{
    struct devices devices, again;
    struct device *list;
    struct buf text, second;
    size_t count;

    (void)state;
    devices_init(&devices);
    devices_init(&again);
    note(&devices, "10.0.0.1", "Odd printers", "x_y", DEVICE_BAD_HELO | DEVICE_OLD_TLS, 5);
    note(&devices, "2001:db8::1", "In", NULL, 0, 6);
    devices_note(&devices, &(struct device_seen){ .is_unix = true,
                               .connector = "Local",
                               .helo = "a",
                               .user = "me and you",
                               .tls = "TLSv1.3",
                               .now = { 7 } });
    buf_init(&text, 1 << 20);
    buf_init(&second, 1 << 20);
    list = devices_list(&devices, &count);
    assert_int_equal(devices_format(list, count, &text), OK);
    free(list);
    assert_int_equal(devices_parse(&again, buf_bytes(&text)), 0);
    list = devices_list(&again, &count);
    assert_int_equal(count, 3);
    assert_true(list[0].is_unix);
    assert_string_equal(list[0].user, "me?and?you");
    assert_int_equal(devices_format(list, count, &second), OK);
    check_bytes("the same again", buf_bytes(&second), buf_bytes(&text));
    free(list);
    assert_int_equal(devices_parse(&again, buf_bytes(&text)), 3); /* all are there */
    devices_done(&again);
    /* Cut at every byte: what is whole is read, and nothing else. */
    for (size_t cut = 0; cut < text.n; cut++) {
        devices_init(&again);
        check("at most the last line is bad",
            devices_parse(&again, bytes_first(buf_bytes(&text), cut)) <= 1);
        devices_done(&again);
    }
    buf_done(&text);
    buf_done(&second);
    devices_done(&devices);
}

static void bad_lines_are_passed_over(void **state)
{
    static const char *const bad[] = {
        "x\n",
        "10.0.0.300\tIn\t1\t2\t3\t4\t5\t-\t-\t0\t0,0,0,0,0,0,0\t-\n",
        "10.0.0.1\tIn\t1\t2\t3\t4\t5\t-\t-\t0\t0,0,0,0,0,0\t-\n",
        "10.0.0.1\tIn\t1\t2\t3\t4\t5\t-\t-\t0\t0,0,0,0,0,0,0,0,0\t-\n",
        "10.0.0.1\tIn\t1\t2\t3\t4\t-5\t-\t-\t0\t0,0,0,0,0,0,0\t-\n",
        "10.0.0.1\tIn\t1\t2\t3\t4\t5\t-\t-\t0\t0,0,0,0,0,0,0\ta,b,c,d\n",
        "10.0.0.1\tIn\t1\t2\t3\t4\t5\ta tls that is too long\t-\t0\t0,0,0,0,0,0,0\t-\n",
        "10.0.0.1\tIn\t1\t2\t3\t4\t5\t-\t-\t0\t0,0,0,0,0,0,0\t-\tmore\tmore\n",
        "10.0.0.1\t\t1\t2\t3\t4\t5\t-\t-\t0\t0,0,0,0,0,0,0\t-\n",
    };
    struct devices devices;

    (void)state;
    devices_init(&devices);
    for (size_t i = 0; i < CASES(bad); i++)
        check(bad[i], devices_parse(&devices, bytes_text(bad[i])) == 1);
    check("none", devices.table.count == 0);
    devices_done(&devices);
}

static void lines_of_an_older_version_are_read(void **state)
{
    struct devices devices;

    (void)state;
    devices_init(&devices);
    check("no cipher", devices_parse(&devices,
                           BYTES("10.0.0.1\tIn\t1\t2\t3\t4\t5\tTLSv1\t-\t0\t0,0,0,0,0,9,8\t-\n"
                                 "10.0.0.2\tIn\t1\t2\t3\t4\t5\tTLSv1.2\t-\t0\t0,0,0,0,0,0,0,7"
                                 "\t-\tAES128-SHA\n")) == 0);
    check("two", devices.table.count == 2);
    devices_done(&devices);
}

static struct rates_who sender(const char *connector, const char *user, uint32_t address)
{
    struct rates_who who;
    struct ip ip = { 0 };

    memcpy(ip.byte, &address, sizeof address);
    rates_who(connector, user, ip, &who);
    return who;
}

static void rates_are_told_apart_and_bounded(void **state)
{
    const struct rates_who others[] = { sender("out", NULL, 7), sender("in", NULL, 8),
        sender("in", "", 7), sender("in", "ann", 7), sender("i", "nann", 7) };
    struct rates_who who = sender("in", NULL, 7);
    struct moment now = { 60000 };
    struct rates rates;

    (void)state;
    rates_init(&rates);
    assert_int_equal(rates_count(&rates, &who, now), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(rates_take(&rates, &who, 3, now));
        assert_int_equal(rates_count(&rates, &who, now), i + 1);
    }
    assert_false(rates_take(&rates, &who, 3, now));
    assert_int_equal(rates_count(&rates, &who, now), 3);
    for (size_t i = 0; i < CASES(others); i++) {
        assert_int_equal(rates_count(&rates, &others[i], now), 0);
        assert_true(rates_take(&rates, &others[i], 1, now));
    }
    assert_int_equal(
        rates_count(&rates, &who, (struct moment){ 150000 }), 1); /* the half of 3 */
    for (uint32_t i = 0; i < 3 * RATES_SOURCES_MAX; i++) { /* more than there is room for */
        who = sender("many", NULL, i);
        assert_true(rates_take(&rates, &who, 1, now));
    }
    rates_done(&rates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_add_up),
        cmocka_unit_test(the_oldest_goes_first),
        cmocka_unit_test(lines_come_back),
        cmocka_unit_test(bad_lines_are_passed_over),
        cmocka_unit_test(lines_of_an_older_version_are_read),
        cmocka_unit_test(rates_are_told_apart_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
