#include "policy/duplicates.h"

#include "base/mem.h"
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIST_MAX = 6, SEED = 7 };

struct row {
    const char *address, *orcpt;
    uint8_t notify;
    bool is_expanded;
};

static void one_mailbox_is_one_recipient(void **state)
{
    enum { S = NOTIFY_SUCCESS, F = NOTIFY_FAILURE, D = NOTIFY_DELAY, NEVER = NOTIFY_NEVER };
    static const struct {
        const char *name;
        struct row given[LIST_MAX], want[LIST_MAX];
    } cases[] = {
        { "alone", { { "a@x.example" } }, { { "a@x.example" } } },
        { "others", { { "a@x.example" }, { "b@x.example" }, { "a@y.example" } },
            { { "a@x.example" }, { "b@x.example" }, { "a@y.example" } } },
        { "twice, in any case", { { "A@x.example" }, { "b@x.example" }, { "a@X.Example" } },
            { { "A@x.example" }, { "b@x.example" } } },
        { "without a domain", { { "Postmaster" }, { "postmaster@home.example" } },
            { { "Postmaster" } } },
        { "A-labels", { { "a@b\303\274cher.example" }, { "a@xn--bcher-kva.example" } },
            { { "a@b\303\274cher.example" } } },
        { "\"@\" in a local part", { { "\"a@x.example\"@y.example" }, { "a@x.example" } },
            { { "\"a@x.example\"@y.example" }, { "a@x.example" } } },
        { "quotes that nobody needs",
            { { "a@x.example" }, { "\"A\"@x.example" }, { "\"\\a\"@x.example" } },
            { { "a@x.example" } } },
        { "five times",
            { { "a@x.example" }, { "a@x.example" }, { "b@x.example" }, { "a@x.example" },
                { "a@x.example" }, { "a@x.example" } },
            { { "a@x.example" }, { "b@x.example" } } },
        { "the first ORCPT", { { "a@x.example", "one", S }, { "a@x.example", "two", S } },
            { { "a@x.example", "one", S } } },
        { "what all want", { { "a@x.example", "one", S }, { "a@x.example", "two", F } },
            { { "a@x.example", "one", S | F } } },
        { "NEVER asks for nothing",
            { { "a@x.example", "one", NEVER }, { "a@x.example", "two", S } },
            { { "a@x.example", "two", S } } },
        { "NEVER takes nothing",
            { { "a@x.example", "one", S }, { "a@x.example", "two", NEVER } },
            { { "a@x.example", "one", S } } },
        { "NEVER by all", { { "a@x.example", "", NEVER }, { "a@x.example", "", NEVER } },
            { { "a@x.example", "", NEVER } } },
        { "nothing said", { { "a@x.example" }, { "a@x.example", "", S } },
            { { "a@x.example", "", S | F | D } } },
        { "an alias is not its mailbox",
            { { "a@x.example", "o", S, true }, { "a@x.example", "o", F },
                { "A@x.example", "p", S, true } },
            { { "a@x.example", "o", S, true }, { "a@x.example", "o", F } } },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct recipient list[LIST_MAX];
        uint32_t count = 0, want = 0;

        for (; count < LIST_MAX && cases[i].given[count].address; count++) {
            const struct row *row = &cases[i].given[count];
            list[count] = (struct recipient){ bytes_text(row->address), bytes_text(row->orcpt),
                row->notify, row->is_expanded };
        }
        count = recipients_merge(list, count, BYTES("home.example"), SEED);
        for (; want < LIST_MAX && cases[i].want[want].address; want++) {
            const struct row *row = &cases[i].want[want];
            check(cases[i].name, want < count);
            check_bytes(cases[i].name, list[want].address, bytes_text(row->address));
            check_bytes(cases[i].name, list[want].orcpt, bytes_text(row->orcpt));
            check(cases[i].name, list[want].notify == row->notify);
            check(cases[i].name, list[want].is_expanded == row->is_expanded);
        }
        check(cases[i].name, want == count);
    }
}

/* The most a message can have, half of them twice. */
static void thousands_are_told_apart(void **state)
{
    enum { COUNT = ENVELOPE_RECIPIENTS_MAX, TEXT = 40 };
    char *texts = mem_new(COUNT * TEXT);
    struct recipient *list = mem_new(COUNT * sizeof *list);

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t n = i % (COUNT / 2);
        snprintf(texts + i * TEXT, TEXT, "%s%u@d%u.example", i < COUNT / 2 ? "user" : "USER", n,
            n % 7);
        list[i] = (struct recipient){ .address = bytes_text(texts + i * TEXT) };
    }
    check("half", recipients_merge(list, COUNT, BYTES("home.example"), SEED) == COUNT / 2);
    for (uint32_t i = 0; i < COUNT / 2; i++)
        check("in order", bytes_equal(list[i].address, bytes_text(texts + i * TEXT)));
    free(list);
    free(texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_mailbox_is_one_recipient),
        cmocka_unit_test(thousands_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
