/* Filters over messages and queues. */
#include "kit.h"

#include "policy/filter.h"

#include <stdlib.h>

/* A message to hold filters against. */
static bool get(void *me, enum filter_field field, unsigned at, struct filter_value *out)
{
    static const char *const recipients[] = { "bob@example.net", "Carol@Example.org" };

    (void)me;
    if (at >= (field == FILTER_RECIPIENT ? 2 : 1))
        return false;
    switch (field) {
    case FILTER_IDENTITY:
        out->text = BYTES("00112233445566778899aabbccddeeff");
        return true;
    case FILTER_FROM:
        out->text = BYTES("alice@example.com");
        return true;
    case FILTER_RECIPIENT:
        out->text = bytes_text(recipients[at]);
        return true;
    case FILTER_SIZE:
        out->number = 10240;
        return true;
    case FILTER_RECEIVED:
        out->number = INT64_C(1795262400000); /* 2026-11-21T12:00Z */
        return true;
    case FILTER_AGE:
        out->number = 7200000;
        return true;
    case FILTER_ERROR:
        out->text = BYTES("mx.example.net said: 451 4.7.1 it's greylisted");
        return true;
    case FILTER_STATUS:
        out->text = BYTES("retry");
        return true;
    case FILTER_RETRIES:
        out->number = 3;
        return true;
    case FILTER_PRIORITY:
        out->text = BYTES("high");
        return true;
    default:
        return false; /* it has none */
    }
}

static void fits_or_not(void **state)
{
    static const struct {
        const char *filter;
        bool fits;
    } cases[] = {
        { "FromAddress -eq 'alice@example.com'", true },
        { "fromaddress -EQ ALICE@EXAMPLE.COM", true },
        { "FromAddress -ne 'alice@example.com'", false },
        { "FromAddress -like '*@example.com'", true },
        { "FromAddress -like 'a?ice@*'", true },
        { "FromAddress -like '*@example.co'", false },
        { "FromAddress -like '*'", true },
        { "from ~ *@example.com", true },
        { "from~*@example.com", true },
        { "from=alice@example.com and to = bob@example.net", true },
        { "from = alice@example.com and to = dave@example.net", false },
        { "FromAddress -like '*@example.com' -and Status -eq 'Retry'", true },
        { "Recipient -eq carol@example.org", true },
        { "Recipient -eq dave@example.org", false },
        { "Recipient -ne carol@example.org", false },
        { "Recipient -ne dave@example.org", true },
        { "Size -eq 10KB", true },
        { "size = 10k", true },
        { "size == 10240", true },
        { "Size -gt 10KB", false },
        { "Size -ge 10KB", true },
        { "Size -lt 1MB", true },
        { "Size -le 10239", false },
        { "size<1m", true },
        { "size >= 1 ", true },
        { "Size -ne 5", true },
        { "DateReceived -gt 2026-11-21", true },
        { "DateReceived -lt '2026-11-21 12:00'", false },
        { "DateReceived -le 2026-11-21T12:00:00Z", true },
        { "received >= 2026-11-22", false },
        { "age >= 2h", true },
        { "age > 2h", false },
        { "age<1d and age>90m", true },
        { "LastError -like '*451 4.7.1*'", true },
        { "LastError -like '*it''s*'", true },
        { "error ~ \"*it's*\"", true },
        { "RetryCount -eq 3", true },
        { "retries != 3", false },
        { "Priority -eq High", true },
        { "priority = low", false },
        { "Status -like 'r*'", true },
        { "Queue -eq x", false },
        { "Queue -ne x", true },
        { "{Status -eq 'Retry'}", true },
        { "  status = retry  ", true },
        { "FromAddress -eq ''", false },
        { "FromAddress -like '*a*e*@*e*.*m*'", true },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char why[FILTER_WHY_BYTES];
        struct filter *filter;
        if (filter_parse(bytes_text(cases[i].filter), FILTER_MESSAGES, &filter, why) != OK)
            fail_msg("%s: %s", cases[i].filter, why);
        check(cases[i].filter, filter_fits(filter, get, NULL) == cases[i].fits);
        free(filter);
    }
}

static void mistakes_are_told(void **state)
{
    static const struct {
        enum filter_over over;
        const char *filter, *at, *says;
    } cases[] = {
        { FILTER_MESSAGES, "", "character 1:", "empty" },
        { FILTER_MESSAGES, "  {} ", "character 1:", "empty" },
        { FILTER_MESSAGES, "Sender -eq x",
            "character 1:", "'Sender' is no field; there are Identity, FromAddress" },
        { FILTER_MESSAGES, "MessageCount -eq 1", "character 1:", "no field" },
        { FILTER_QUEUES, "FromAddress -eq x", "character 1:", "MessageCount" },
        { FILTER_MESSAGES, "Size -like 1*", "character 6:", "behind Size comes -eq, -ne, -gt" },
        { FILTER_MESSAGES, "FromAddress -gt a", "character 13:", "-like" },
        { FILTER_MESSAGES, "FromAddress", "character 12:", "behind FromAddress" },
        { FILTER_MESSAGES, "FromAddress a", "character 13:", "behind FromAddress" },
        { FILTER_MESSAGES, "FromAddress -eq", "character 16:", "a value is missing" },
        { FILTER_MESSAGES, "FromAddress -eq 'a", "character 17:", "not closed" },
        { FILTER_MESSAGES, "Size -gt big", "character 10:", "a size" },
        { FILTER_MESSAGES, "Size -gt 99999999999999999999", "character 10:", "a size" },
        { FILTER_MESSAGES, "Size -gt 99999999999T", "character 10:", "a size" },
        { FILTER_MESSAGES, "age > 2", "character 7:", "a duration" },
        { FILTER_MESSAGES, "DateReceived -gt yesterday", "character 18:", "2026-11-21" },
        { FILTER_MESSAGES, "DateReceived -gt 2026-02-30", "character 18:", "2026-11-21" },
        { FILTER_MESSAGES, "RetryCount -gt -1", "character 16:", "a number" },
        { FILTER_MESSAGES, "Status -eq Waiting",
            "character 12:", "one of active, ready, retry, suspended" },
        { FILTER_QUEUES, "Status -eq fenced", "character 12:", "connecting" },
        { FILTER_MESSAGES, "size=1 or size=2", "character 8:", "a command for each" },
        { FILTER_MESSAGES, "size=1 size=2", "character 8:", "-and was expected" },
        { FILTER_MESSAGES, "size=1 and ", "character 12:", "a field is missing" },
        { FILTER_MESSAGES,
            "age>1s and age>1s and age>1s and age>1s and age>1s and age>1s and age>1s and "
            "age>1s and "
            "age>1s and age>1s and age>1s and age>1s and age>1s and age>1s and age>1s and "
            "age>1s and "
            "age>1s",
            "character 177:", "at most 16 terms" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char why[FILTER_WHY_BYTES] = "";
        struct filter *filter;
        if (filter_parse(bytes_text(cases[i].filter), cases[i].over, &filter, why) == OK)
            fail_msg("%s: was taken", cases[i].filter);
        if (!strstr(why, cases[i].at) || !strstr(why, cases[i].says))
            fail_msg("%s: %s", cases[i].filter, why);
    }
}

/* Notes which fields are asked about, in that order. */
struct asked {
    enum filter_field fields[8];
    unsigned count;
};

static bool get_noting(void *me, enum filter_field field, unsigned at, struct filter_value *out)
{
    struct asked *asked = me;

    if (at == 0)
        asked->fields[asked->count++] = field;
    return get(NULL, field, at, out);
}

/* However the terms stand: a recipient is looked for only when all else holds. */
static void the_cheapest_is_asked_first(void **state)
{
    struct asked all = { .count = 0 }, some = { .count = 0 }, none = { .count = 0 };
    char why[FILTER_WHY_BYTES];
    struct filter *filter;

    (void)state;
    assert_int_equal(filter_parse(BYTES("to = bob@example.net and from ~ * and status = retry "
                                        "and size > 1 and age > 1s"),
                         FILTER_MESSAGES, &filter, why),
        OK);
    assert_true(filter_fits(filter, get_noting, &all));
    assert_int_equal(all.count, 5);
    assert_int_equal(all.fields[0], FILTER_SIZE);
    assert_int_equal(all.fields[1], FILTER_AGE);
    assert_int_equal(all.fields[2], FILTER_STATUS);
    assert_int_equal(all.fields[3], FILTER_FROM);
    assert_int_equal(all.fields[4], FILTER_RECIPIENT);
    assert_true(filter_fits_part(
        filter, 1 << FILTER_AGE | 1 << FILTER_STATUS | 1 << FILTER_IP, get_noting, &some));
    assert_int_equal(some.count, 2);
    assert_true(filter_fits_part(filter, 1 << FILTER_QUEUE, get_noting, &none));
    assert_int_equal(none.count, 0);
    free(filter);
}

/* A part that does not hold, and one that does. */
static void parts_agree_with_the_whole(void **state)
{
    char why[FILTER_WHY_BYTES];
    struct filter *filter;

    (void)state;
    assert_int_equal(
        filter_parse(BYTES("size > 1 and status = ready"), FILTER_MESSAGES, &filter, why), OK);
    assert_true(filter_fits_part(filter, ~(1u << FILTER_STATUS), get, NULL));
    assert_false(filter_fits_part(filter, 1 << FILTER_STATUS, get, NULL));
    assert_false(filter_fits(filter, get, NULL));
    free(filter);
}

/* Cut anywhere it is refused with a reason, or is a filter too; it never reads on. */
static void any_cut_is_safe(void **state)
{
    static const char whole[] = "FromAddress -like '*@exa''mple.com' -and Size -gt 10KB -and "
                                "age>=2h and received<2026-11-21";

    (void)state;
    for (size_t n = 0; n < sizeof whole; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        char why[FILTER_WHY_BYTES] = "";
        struct filter *filter = NULL;
        memcpy(exact, whole, n);
        if (filter_parse(bytes_of(exact, n), FILTER_MESSAGES, &filter, why) == OK)
            free(filter);
        else
            check(whole, why[0] != 0);
        free(exact);
    }
}

static void too_long(void **state)
{
    static char text[FILTER_BYTES_MAX + 2];
    char why[FILTER_WHY_BYTES];
    struct filter *filter;

    (void)state;
    memset(text, 'a', FILTER_BYTES_MAX + 1);
    memcpy(text, "from=", 5);
    assert_int_equal(filter_parse(bytes_text(text), FILTER_MESSAGES, &filter, why), ERR_SYNTAX);
    text[FILTER_BYTES_MAX] = 0;
    assert_int_equal(filter_parse(bytes_text(text), FILTER_MESSAGES, &filter, why), OK);
    free(filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fits_or_not),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(the_cheapest_is_asked_first),
        cmocka_unit_test(parts_agree_with_the_whole),
        cmocka_unit_test(any_cut_is_safe),
        cmocka_unit_test(too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
