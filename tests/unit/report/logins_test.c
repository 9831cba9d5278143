#include "kit.h"

#include "report/logins.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOUR_MS = 60 * 60 * 1000 };

static char folder[] = "/tmp/relais-logins-XXXXXX";
static char file[64];

static struct ip ip_number(unsigned n)
{
    char text[IP_TEXT_BYTES];
    struct ip ip;

    snprintf(text, sizeof text, "192.0.2.%u", n);
    check(text, ip_parse(bytes_text(text), &ip));
    return ip;
}

/* What was seen, as text: "NAME COUNT of the day/all, latest". */
static void note_facts(void *me, const struct login_facts *facts)
{
    char *out = me, ip[IP_TEXT_BYTES];

    ip_format(facts->addresses[0].ip, ip);
    snprintf(out + strlen(out), 200, "%s %u %zu/%zu %s;", facts->name, (unsigned)facts->count,
        facts->day_count, facts->address_count, ip);
}

static void check_facts(struct logins *logins, const char *name, const char *want)
{
    char got[400] = "";

    logins_each(logins, name, note_facts, got);
    assert_string_equal(got, want);
}

static size_t login(struct logins *logins, unsigned address, int64_t hours)
{
    return logins_note(
        logins, "scanner", ip_number(address), (struct wall){ (hours + 1000) * HOUR_MS }, 2);
}

/* Three addresses within a day are one too many, and that is said once a day. */
static void test_spread(void **state)
{
    struct logins *logins = logins_new(file);

    (void)state;
    check("first", login(logins, 1, 0) == 0);
    check("the same", login(logins, 1, 1) == 0);
    check("second", login(logins, 2, 2) == 0);
    check("third", login(logins, 3, 3) == 3);
    check("said", login(logins, 4, 4) == 0);
    check_facts(logins, "scanner", "scanner 5 4/4 192.0.2.4;");
    check("two days later", login(logins, 1, 60) == 0);
    check_facts(logins, "Scanner", "scanner 6 1/4 192.0.2.1;");
    check_facts(logins, "nobody", "");
    check("never", logins_note(logins, "a", ip_number(1), (struct wall){ 1 }, 0) == 0);
    logins_free(logins);
}

static void test_bounds(void **state)
{
    struct logins *logins = logins_new(file);
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        login(logins, i, i);
    check_facts(logins, "scanner", "scanner 100 24/32 192.0.2.99;");
    for (int i = 0; i < LOGINS_ACCOUNTS_MAX; i++) {
        snprintf(name, sizeof name, "user%d", i);
        logins_note(
            logins, name, ip_number(1), (struct wall){ (2000 + i) * (int64_t)HOUR_MS }, 0);
    }
    check_facts(logins, "scanner", ""); /* it was seen first */
    check_facts(logins, "user0", "user0 1 1/1 192.0.2.1;");
    logins_free(logins);
}

static void test_file(void **state)
{
    struct logins *logins = logins_new(file);

    (void)state;
    check("nothing to write", logins_save(logins) == OK && access(file, F_OK) != 0);
    login(logins, 1, 0);
    login(logins, 2, 1);
    check("written", logins_save(logins) == OK && access(file, F_OK) == 0);
    logins_free(logins);
    logins = logins_new(file);
    check_facts(logins, NULL, "scanner 2 2/2 192.0.2.2;");
    logins_free(logins);
}

/* A damaged line is passed over, wherever it is cut. */
static void test_damage(void **state)
{
    static const char good[] = "scanner 2 3603600000 192.0.2.2=3603600000-3603600000\n";

    (void)state;
    for (size_t n = 0; n < sizeof good; n++) {
        FILE *out = fopen(file, "w");
        struct logins *logins;
        check(
            "open", out && fprintf(out, "x y z\n\n%.*s\nb 1 5 ::1=2-3 ?\n", (int)n, good) > 0);
        check("close", fclose(out) == 0);
        logins = logins_new(file);
        check_facts(logins, "b", "b 1 1/1 ::1;");
        logins_free(logins);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_damage),
    };
    int failed;

    if (!mkdtemp(folder))
        return 1;
    snprintf(file, sizeof file, "%s/logins", folder);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(file);
    rmdir(folder);
    return failed;
}
