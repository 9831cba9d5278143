#include "kit.h"

#include "mail/cause.h"

#include <stdlib.h>

#define HOST "mx.example.net[192.0.2.1]:25"

static const struct cause_case {
    const char *line, *host; /* NULL: it cannot be read */
    bool is_said;
    const char *reply;
} cases[] = {
    { HOST " said: 451 4.3.0 try later", HOST, true, "451 4.3.0 try later" },
    { HOST " said: 450 mailbox busy: 451 4.0.0 x", HOST, true,
        "450 mailbox busy: 451 4.0.0 x" },
    { HOST " said: 421 ", HOST, true, "421 " },
    { HOST " said: 550 5.1.1", HOST, true, "550 5.1.1 " },
    { HOST ": 451 4.4.1 connect: refused", HOST, false, "451 4.4.1 connect: refused" },
    { HOST " refused our user and password and said: 535 5.7.8 no", HOST, true,
        "535 5.7.8 no" },
    { "2001:db8::1[2001:db8::1]:25 said: 450 no", "2001:db8::1[2001:db8::1]:25", true,
        "450 no" },
    { "/run/lmtp: 451 4.4.1 connect: none", "/run/lmtp", false, "451 4.4.1 connect: none" },
    { "451 4.4.3 no address of x: 450 y", "", false, "451 4.4.3 no address of x: 450 y" },
    { HOST " said: 250 fine", NULL, false, NULL },
    { HOST " said: later", NULL, false, NULL },
    { HOST ": ", NULL, false, NULL },
    { "451", NULL, false, NULL },
    { "4x1 no", NULL, false, NULL },
    { "", NULL, false, NULL },
};

static void reads_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        const struct cause_case *c = &cases[i];
        char reply[VERDICT_TEXT_BYTES];
        struct cause cause;
        bool ok = cause_parse(bytes_text(c->line), &cause);

        check(c->line, ok == (c->host != NULL));
        if (!ok)
            continue;
        check_bytes(c->line, cause.host, bytes_text(c->host));
        check(c->line, cause.is_said == c->is_said);
        verdict_format(&cause.verdict, reply);
        check_bytes(c->line, bytes_text(reply), bytes_text(c->reply));
    }
}

/* Whatever is cut off, what is read lies in what is there. */
static void reads_cut_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        for (size_t n = 0; n <= strlen(cases[i].line); n++) {
            char *line = strndup(cases[i].line, n);
            struct cause cause;

            assert_non_null(line);
            if (cause_parse(bytes_of(line, n), &cause))
                check(cases[i].line, cause.host.n <= n && cause.verdict.code >= 400);
            free(line);
        }
    }
}

static void writes_what_it_reads(void **state)
{
    static const struct {
        const char *host, *word;
        struct status status;
        const char *line;
    } written[] = {
        { HOST, " said", { 4, 3, 0 }, HOST " said: 451 4.3.0 why" },
        { HOST, " said", { 0, 0, 0 }, HOST " said: 451 why" },
        { HOST, "", { 4, 4, 1 }, HOST ": 451 4.4.1 why" },
        { "", " said", { 4, 4, 3 }, "451 4.4.3 why" },
    };
    char line[CAUSE_BYTES], endless[2 * CAUSE_BYTES];
    struct cause cause;

    (void)state;
    for (size_t i = 0; i < CASES(written); i++) {
        cause_format(written[i].host, written[i].word, 451, written[i].status, "why", line);
        check_bytes(written[i].line, bytes_text(line), bytes_text(written[i].line));
        check(written[i].line, cause_parse(bytes_text(line), &cause));
        check_bytes(written[i].line, cause.host, bytes_text(written[i].host));
        check(written[i].line, cause.is_said == (*written[i].host && *written[i].word));
    }
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    cause_format(HOST, " said", 451, STATUS(4, 3, 0), endless, line);
    assert_int_equal(strlen(line), CAUSE_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_lines),
        cmocka_unit_test(reads_cut_lines),
        cmocka_unit_test(writes_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
