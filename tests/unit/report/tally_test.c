#include "kit.h"

#include "report/tally.h"

#include <stdio.h>

static char rows[4000];

static void add_row(void *me, const struct tally_row *row)
{
    size_t n = strlen(rows);

    (void)me;
    snprintf(rows + n, sizeof rows - n, "%s/%s %llu %llu;", row->first, row->second,
        (unsigned long long)row->count, (unsigned long long)row->amount);
}

static void check_rows(enum tally_kind kind, const char *want)
{
    rows[0] = 0;
    tally_each(kind, add_row, NULL);
    check_bytes("rows", bytes_text(rows), bytes_text(want));
}

#define EVENT(event, ...)                                                                      \
    tally_event(event, (const struct report_field[]){ __VA_ARGS__ },                           \
        sizeof((const struct report_field[]){ __VA_ARGS__ }) / sizeof(struct report_field))

static int begin(void **state)
{
    (void)state;
    tally_clear();
    return 0;
}

static void test_events(void **state)
{
    (void)state;
    EVENT(REPORT_CONNECT, R_CHARS("connector", "In"));
    EVENT(REPORT_RECEIVED, R_CHARS("connector", "In"), R_NUMBER("size", 10),
        R_TRACKED_CHARS("tls", "TLSv1.3"));
    EVENT(REPORT_RECEIVED, R_CHARS("connector", "In"), R_NUMBER("size", 5),
        R_TRACKED_CHARS("tls", ""));
    EVENT(REPORT_RECEIVED, R_CHARS("connector", "In"), R_NUMBER("size", 7));
    EVENT(REPORT_REJECT, R_CHARS("connector", "In"), R_CHARS("rule", "relay"));
    EVENT(REPORT_LOGIN, R_CHARS("connector", "In"));
    EVENT(REPORT_LOGIN_FAILED, R_CHARS("connector", "In"));
    EVENT(REPORT_HOP_UP, R_CHARS("connector", "In"));
    check_rows(TALLY_CONNECTIONS, "In/ 1 0;");
    check_rows(TALLY_RECEIVED, "In/TLSv1.3 1 10;In/none 2 12;");
    check_rows(TALLY_REFUSED, "In/relay 1 0;");
    check_rows(TALLY_LOGINS, "In/failed 1 0;In/ok 1 0;");
}

static void test_deliveries(void **state)
{
    (void)state;
    EVENT(REPORT_DELIVERY, R_CHARS("connector", "Out"), R_CHARS("queue", "a"),
        R_CHARS("tls", "may TLSv1.2 CIPHER not-verified"), R_CHARS("status", "sent"),
        R_TRACKED_CHARS("source", "SMTP"), R_TRACKED_NUMBER("size", 9));
    EVENT(REPORT_DELIVERY, R_CHARS("connector", "Out"), R_CHARS("queue", "a"),
        R_CHARS("tls", "none"), R_CHARS("status", "deferred"),
        R_TRACKED_CHARS("source", "SMTP"));
    EVENT(REPORT_DELIVERY, R_CHARS("connector", "Home"), R_CHARS("queue", "b"),
        R_CHARS("tls", "none"), R_CHARS("status", "sent"),
        R_TRACKED_CHARS("source", "MAILDIR"));
    check_rows(TALLY_ATTEMPTS, "Home/sent 1 0;Out/deferred 1 0;Out/sent 1 0;");
    check_rows(TALLY_SENT, "a/TLSv1.2 1 9;");
}

static void count_row(void *me, const struct tally_row *row)
{
    uint64_t *sums = me;

    sums[0]++;
    sums[1] += row->count;
}

static void test_bounded(void **state)
{
    uint64_t sums[2] = { 0 };
    char name[400];

    (void)state;
    for (int i = 0; i < TALLY_ROWS_MAX + 100; i++) {
        snprintf(name, sizeof name, "%0300d", i); /* cut: the same at its start */
        EVENT(REPORT_CONNECT, R_CHARS("connector", name));
        snprintf(name, sizeof name, "%d", i);
        EVENT(REPORT_CONNECT, R_CHARS("connector", name));
    }
    tally_each(TALLY_CONNECTIONS, count_row, sums);
    assert_true(sums[0] <= TALLY_ROWS_MAX + 1);
    assert_int_equal(sums[1], 2 * (TALLY_ROWS_MAX + 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_events, begin),
        cmocka_unit_test_setup(test_deliveries, begin),
        cmocka_unit_test_setup(test_bounded, begin),
    };

    return cmocka_run_group_tests_name("report_tally", tests, NULL, NULL);
}
