#include "base/time.h"

#include <stdio.h>

struct civil {
    int year, month, day, weekday; /* month from 1; weekday 0 is Sunday */
    int hour, minute, second, ms;
};

/* Days since 1970 to a date of the Gregorian calendar, without the C library's time zone. */
static struct civil civil_of(struct wall wall)
{
    int64_t seconds = wall.ms / 1000, ms = wall.ms % 1000;
    int64_t days, of_day, era, day_of_era, year_of_era, day_of_year, month;
    struct civil c;

    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    days = seconds / 86400;
    of_day = seconds % 86400;
    if (of_day < 0) {
        of_day += 86400;
        days--;
    }
    c.weekday = (int)(((days + 4) % 7 + 7) % 7);
    days += 719468; /* from 0000-03-01, so that a leap day ends its year */
    era = (days >= 0 ? days : days - 146096) / 146097;
    day_of_era = days - era * 146097;
    year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    month = (5 * day_of_year + 2) / 153;
    c.day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    c.month = (int)(month < 10 ? month + 3 : month - 9);
    c.year = (int)(year_of_era + era * 400 + (c.month <= 2));
    c.hour = (int)(of_day / 3600);
    c.minute = (int)(of_day / 60 % 60);
    c.second = (int)(of_day % 60);
    c.ms = (int)ms;
    return c;
}

/* Digits of a fixed width and what must follow them; false: they do not. */
static bool take_digits(struct bytes *rest, size_t width, uint64_t max, int64_t *out)
{
    uint64_t number;

    if (rest->n < width || !bytes_to_number(bytes_first(*rest, width), max, &number))
        return false;
    *rest = bytes_skip(*rest, width);
    *out = (int64_t)number;
    return true;
}

static bool take_byte(struct bytes *rest, uint8_t byte)
{
    if (rest->n == 0 || ascii_lower(rest->at[0]) != byte)
        return false;
    *rest = bytes_skip(*rest, 1);
    return true;
}

/* The inverse of civil_of(): false when there is no such day. */
static bool days_to(int64_t year, int64_t month, int64_t day, int64_t *out)
{
    int64_t y = month <= 2 ? year - 1 : year; /* a leap day ends its year */
    int64_t days = 365 * y + y / 4 - y / 100 + y / 400 +
                   (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1 - 719468;
    struct civil back = civil_of((struct wall){ days * 86400000 });

    *out = days;
    return back.year == year && back.month == month && back.day == day;
}

bool wall_parse_iso(struct bytes text, struct wall *out)
{
    int64_t year, month, day, hour = 0, minute = 0, second = 0, days;

    if (!take_digits(&text, 4, 9999, &year) || !take_byte(&text, '-') ||
        !take_digits(&text, 2, 12, &month) || !take_byte(&text, '-') ||
        !take_digits(&text, 2, 31, &day) || !days_to(year, month, day, &days))
        return false;
    if (take_byte(&text, 't') || take_byte(&text, ' ')) {
        if (!take_digits(&text, 2, 23, &hour) || !take_byte(&text, ':') ||
            !take_digits(&text, 2, 59, &minute))
            return false;
        if (take_byte(&text, ':') && !take_digits(&text, 2, 59, &second))
            return false;
        take_byte(&text, 'z');
    }
    if (text.n)
        return false;
    out->ms = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000;
    return true;
}

void wall_format_rfc5322(struct wall wall, char out[DATE_RFC5322_BYTES])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct civil c = civil_of(wall);

    snprintf(out, DATE_RFC5322_BYTES, "%.3s, %02d %.3s %04d %02d:%02d:%02d +0000",
        days + 3 * c.weekday, c.day % 100, months + 3 * (c.month - 1), c.year % 10000, c.hour,
        c.minute, c.second);
}

void wall_format_iso(struct wall wall, char out[DATE_ISO_BYTES])
{
    struct civil c = civil_of(wall);

    snprintf(out, DATE_ISO_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", c.year % 10000,
        c.month % 100, c.day % 100, c.hour % 100, c.minute % 100, c.second % 100, c.ms % 1000);
}

static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {
    { "ms", 1 }, /* before "m", which it begins with */
    { "d", 86400000 },
    { "h", 3600000 },
    { "m", 60000 },
    { "s", 1000 },
};
enum { UNIT_COUNT = sizeof units / sizeof *units };

static const struct unit *unit_at(struct bytes text)
{
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (bytes_starts(text, bytes_text(units[i].name)))
            return &units[i];
    }
    return NULL;
}

static bool take_number(struct bytes *text, int64_t *out)
{
    size_t n = 0;
    uint64_t value;

    while (n < text->n && text->at[n] >= '0' && text->at[n] <= '9')
        n++;
    if (!bytes_to_number(bytes_first(*text, n), 1000000000, &value))
        return false;
    *text = bytes_skip(*text, n);
    *out = (int64_t)value;
    return true;
}

/* hh:mm:ss, or d.hh:mm:ss. */
static bool parse_clock(struct bytes text, int64_t *out_ms)
{
    int64_t days = 0, part[3];
    size_t dot = bytes_find(text, '.');

    if (dot != BYTES_NOT_FOUND) {
        if (!take_number(&text, &days) || text.n == 0 || text.at[0] != '.')
            return false;
        text = bytes_skip(text, 1);
    }
    for (int i = 0; i < 3; i++) {
        if (!take_number(&text, &part[i]))
            return false;
        if (i < 2) {
            if (text.n == 0 || text.at[0] != ':')
                return false;
            text = bytes_skip(text, 1);
        }
    }
    if (text.n || part[0] > 23 || part[1] > 59 || part[2] > 59 || days > 100000)
        return false;
    *out_ms = (((days * 24 + part[0]) * 60 + part[1]) * 60 + part[2]) * 1000;
    return true;
}

bool duration_parse(struct bytes text, int64_t *out_ms)
{
    int64_t total = 0, number;

    if (bytes_find(text, ':') != BYTES_NOT_FOUND)
        return parse_clock(text, out_ms);
    if (text.n == 0)
        return false;
    while (text.n) {
        const struct unit *unit;
        if (!take_number(&text, &number))
            return false;
        unit = unit_at(text);
        if (!unit || number > INT64_MAX / 4 / unit->ms)
            return false;
        total += number * unit->ms;
        if (total > INT64_MAX / 4)
            return false;
        text = bytes_skip(text, strlen(unit->name));
    }
    *out_ms = total;
    return true;
}

void duration_format(int64_t ms, char out[32])
{
    static const struct unit order[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
        { "s", 1000 }, { "ms", 1 } };
    int at = 0, parts = 0;

    if (ms <= 0) {
        snprintf(out, 32, "0s");
        return;
    }
    for (size_t i = 0; i < UNIT_COUNT && parts < 2; i++) {
        int64_t count = ms / order[i].ms;
        if (count == 0)
            continue;
        at += snprintf(out + at, 32 - (size_t)at, "%lld%s", (long long)count, order[i].name);
        ms -= count * order[i].ms;
        parts++;
    }
}
