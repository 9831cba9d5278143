#include "kit.h"

#include "base/time.h"

static void formats_dates(void **state)
{
    static const struct {
        const char *name;
        int64_t ms;
        const char *rfc5322, *iso;
    } cases[] = {
        { "the start", 0, "Thu, 01 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00.000Z" },
        { "a leap day", 1709210096007, "Thu, 29 Feb 2024 12:34:56 +0000",
            "2024-02-29T12:34:56.007Z" },
        { "the end of a century", 4107542399999, "Sun, 28 Feb 2100 23:59:59 +0000",
            "2100-02-28T23:59:59.999Z" },
        { "before the start", -1, "Wed, 31 Dec 1969 23:59:59 +0000",
            "1969-12-31T23:59:59.999Z" },
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        wall_format_rfc5322((struct wall){ cases[i].ms }, text);
        check_bytes(cases[i].name, bytes_text(text), bytes_text(cases[i].rfc5322));
        wall_format_iso((struct wall){ cases[i].ms }, text);
        check_bytes(cases[i].name, bytes_text(text), bytes_text(cases[i].iso));
    }
}

static void parses_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        { "30s", 30000 },
        { "5m", 300000 },
        { "2d", 172800000 },
        { "1h30m", 5400000 },
        { "250ms", 250 },
        { "0s", 0 },
        { "00:10:00", 600000 },
        { "2.00:00:00", 172800000 },
        { "1.12:00:01", 129601000 },
        { "30", -1 },
        { "", -1 },
        { "s", -1 },
        { "5 m", -1 },
        { "5min", -1 },
        { "1:2", -1 },
        { "24:00:00", -1 },
        { "99999999999d", -1 },
        { "-5s", -1 },
        { "10:00:00:00", -1 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        int64_t ms = -1;
        bool ok = duration_parse(bytes_text(cases[i].text), &ms);
        check(cases[i].text, ok == (cases[i].ms >= 0));
        check(cases[i].text, ms == cases[i].ms);
    }
}

static void formats_durations(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = { { 0, "0s" }, { 250, "250ms" }, { 90000, "1m30s" }, { 14400000, "4h" },
        { 172800000, "2d" }, { 90061000, "1d1h" } };
    char text[32];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        duration_format(cases[i].ms, text);
        check_bytes(cases[i].text, bytes_text(text), bytes_text(cases[i].text));
    }
}

static void reads_dates(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: none */
    } dates[] = {
        { "2026-11-21", "2026-11-21T00:00:00.000Z" },
        { "2026-11-21T17:59", "2026-11-21T17:59:00.000Z" },
        { "2026-11-21 17:59:07", "2026-11-21T17:59:07.000Z" },
        { "2026-11-21t17:59:07z", "2026-11-21T17:59:07.000Z" },
        { "1970-01-01", "1970-01-01T00:00:00.000Z" },
        { "2024-02-29", "2024-02-29T00:00:00.000Z" },
        { "2000-02-29", "2000-02-29T00:00:00.000Z" },
        { "2023-02-29", NULL },
        { "1900-02-29", NULL },
        { "2026-13-01", NULL },
        { "2026-00-01", NULL },
        { "2026-01-32", NULL },
        { "2026-1-1", NULL },
        { "2026-11-21T24:00", NULL },
        { "2026-11-21T12", NULL },
        { "2026-11-21T12:00:00x", NULL },
        { "2026-11-21Z", NULL },
        { "", NULL },
    };

    (void)state;
    for (size_t i = 0; i < CASES(dates); i++) {
        char got[DATE_ISO_BYTES] = "";
        struct wall wall;
        bool is_date = wall_parse_iso(bytes_text(dates[i].text), &wall);
        check(dates[i].text, is_date == (dates[i].want != NULL));
        if (is_date)
            wall_format_iso(wall, got);
        check_bytes(dates[i].text, bytes_text(got), bytes_text(dates[i].want));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_dates),
        cmocka_unit_test(formats_dates),
        cmocka_unit_test(parses_durations),
        cmocka_unit_test(formats_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
