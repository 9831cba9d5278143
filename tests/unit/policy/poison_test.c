/* Counting crashes: the list, its file, the threshold. */
#include "kit.h"

#include "policy/poison.h"

#include <stdio.h>

static struct mid mid_of(uint16_t number)
{
    struct mid mid = { { 0 } };

    mid.byte[0] = (uint8_t)number;
    mid.byte[1] = (uint8_t)(number >> 8);
    return mid;
}

static void crash(struct poison_notes *notes, uint16_t number, int64_t when_ms)
{
    struct poison_note note = { .mid = mid_of(number), .when.ms = when_ms };

    strcpy(note.signal, "SIGSEGV");
    strcpy(note.doing, "deliver");
    poison_raise(notes, &note);
}

static uint32_t count_of(const struct poison_notes *notes, uint16_t number, uint32_t carried)
{
    return poison_count(poison_find(notes, mid_of(number)), carried);
}

static void crashes_are_counted_once_each(void **state)
{
    struct poison_notes notes = { NULL, 0 };

    (void)state;
    assert_int_equal(count_of(&notes, 1, 0), 0);
    crash(&notes, 1, 1000);
    crash(&notes, 1, 1000); /* the same one: a process was killed before it could forget it */
    crash(&notes, 2, 1000);
    assert_int_equal(count_of(&notes, 1, 0), 1);
    crash(&notes, 1, 2000);
    assert_int_equal(count_of(&notes, 1, 0), 2);
    assert_int_equal(count_of(&notes, 1, 3), 5); /* those of other nodes, too */
    assert_int_equal(count_of(&notes, 2, 0), 1);
    assert_int_equal(count_of(&notes, 3, 0), 0);
    for (int i = 0; i < 1000; i++)
        crash(&notes, 1, 3000 + i);
    assert_int_equal(count_of(&notes, 1, 0), 255);
    poison_notes_done(&notes);
}

static void what_is_forgiven_counts_from_zero(void **state)
{
    struct poison_notes notes = { NULL, 0 };

    (void)state;
    crash(&notes, 1, 1000);
    crash(&notes, 2, 1000);
    poison_forgive(&notes, mid_of(1), 0);
    assert_int_equal(notes.count, 1);
    assert_int_equal(count_of(&notes, 1, 0), 0);
    poison_forgive(&notes, mid_of(2), 2); /* its copy will always say 2 */
    assert_int_equal(count_of(&notes, 2, 2), 0);
    assert_int_equal(count_of(&notes, 2, 3), 1);
    crash(&notes, 2, 1000); /* the old crash is over */
    assert_int_equal(count_of(&notes, 2, 2), 1);
    poison_forgive(&notes, mid_of(3), 4);
    assert_int_equal(count_of(&notes, 3, 4), 0);
    poison_forgive(&notes, mid_of(9), 0); /* nothing to forgive */
    assert_int_equal(notes.count, 2);
    poison_notes_done(&notes);
}

static void thresholds(void **state)
{
    static const struct {
        const char *name;
        uint32_t threshold, count;
        bool want;
    } cases[] = {
        { "not yet", 2, 1, false },
        { "now", 2, 2, true },
        { "above", 2, 3, true },
        { "at once", 1, 1, true },
        { "never", 0, 255, false },
        { "none", 1, 0, false },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check(cases[i].name,
            poison_is_reached(cases[i].threshold, cases[i].count) == cases[i].want);
}

static void the_oldest_goes_at_the_ceiling(void **state)
{
    struct poison_notes notes = { NULL, 0 };

    (void)state;
    for (int i = 0; i < POISON_NOTES_MAX; i++)
        crash(&notes, (uint16_t)i, i == 7 ? 1 : 1000 + i);
    crash(&notes, 60000, 5000);
    assert_int_equal(notes.count, POISON_NOTES_MAX);
    assert_null(poison_find(&notes, mid_of(7)));
    assert_non_null(poison_find(&notes, mid_of(60000)));
    poison_notes_done(&notes);
}

static void what_was_not_met_is_pruned(void **state)
{
    struct poison_notes notes = { NULL, 0 };

    (void)state;
    for (uint16_t i = 0; i < 5; i++)
        crash(&notes, i, 1000 + i);
    poison_find(&notes, mid_of(1))->is_here = true;
    poison_find(&notes, mid_of(4))->is_here = true;
    assert_int_equal(poison_prune(&notes), 3);
    assert_int_equal(notes.count, 2);
    assert_non_null(poison_find(&notes, mid_of(4)));
    assert_int_equal(poison_prune(&notes), 0);
    poison_notes_done(&notes);
}

static void it_says_why(void **state)
{
    struct poison_notes notes = { NULL, 0 };
    char why[POISON_WHY_BYTES];

    (void)state;
    crash(&notes, 1, 1000);
    poison_why(poison_find(&notes, mid_of(1)), 2, why);
    assert_string_equal(why, "relaisd crashed 2 times with it, last at "
                             "1970-01-01T00:00:01.000Z by SIGSEGV, while: deliver");
    poison_why(NULL, 3, why);
    assert_string_equal(why, "other nodes crashed 3 times with it");
    poison_notes_done(&notes);
}

/* --- The file ---------------------------------------------------------------------------- */

#define ID "0100000000000000000000000000000"

static void the_file_comes_back(void **state)
{
    struct poison_notes notes = { NULL, 0 }, again;
    struct buf text, same;
    size_t bad;

    (void)state;
    crash(&notes, 1, 1000);
    crash(&notes, 1, 1767323045678);
    crash(&notes, 2, 0);
    poison_forgive(&notes, mid_of(3), 4);
    buf_init(&text, 1 << 20);
    buf_init(&same, 1 << 20);
    assert_int_equal(poison_format(&notes, &text), OK);
    check_bytes("as it stands", buf_bytes(&text),
        BYTES("01000000000000000000000000000000 2 0 1767323045678 SIGSEGV deliver\n"
              "02000000000000000000000000000000 1 0 0 SIGSEGV deliver\n"
              "03000000000000000000000000000000 0 4 0 - -\n"));
    poison_parse(buf_bytes(&text), &again, &bad);
    assert_int_equal(bad, 0);
    assert_int_equal(poison_format(&again, &same), OK);
    check_bytes("the same", buf_bytes(&same), buf_bytes(&text));
    poison_notes_done(&again);
    for (size_t n = 0; n < text.n; n++) { /* cut anywhere: whole lines stay */
        size_t lines = 0;
        for (size_t i = 0; i < n; i++)
            lines += text.at[i] == '\n';
        poison_parse(bytes_first(buf_bytes(&text), n), &again, &bad);
        check("cut", again.count + bad >= lines && again.count <= lines + 1);
        poison_notes_done(&again);
    }
    buf_done(&text);
    buf_done(&same);
    poison_notes_done(&notes);
}

static void what_is_no_line_is_left_out(void **state)
{
    static const struct {
        const char *name, *line;
    } cases[] = {
        { "empty", "" },
        { "no id", "x 1 0 1 SIGSEGV deliver" },
        { "id alone", ID "0" },
        { "count too large", ID "0 256 0 1 SIGSEGV deliver" },
        { "no number", ID "0 1x 0 1 SIGSEGV deliver" },
        { "negative", ID "0 -1 0 1 SIGSEGV deliver" },
        { "long number", ID "0 1 0 1111111111111111111111 SIGSEGV deliver" },
        { "a word is missing", ID "0 1 0 1 SIGSEGV" },
        { "a word is too long", ID "0 1 0 1 SIGSEGV ddddddddddddddddddddddddddddddddddddd" },
        { "one too many", ID "0 1 0 1 SIGSEGV deliver more" },
        { "twice", ID "9 1 0 1 SIGSEGV deliver" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct poison_notes notes;
        char text[300];
        size_t bad;
        snprintf(text, sizeof text, ID "9 1 0 1 SIGBUS route\n%s\n" ID "a 2 0 1 SIGBUS route\n",
            cases[i].line);
        poison_parse(bytes_text(text), &notes, &bad);
        check(cases[i].name, bad == 1 && notes.count == 2 && notes.list[1].count == 2);
        poison_notes_done(&notes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crashes_are_counted_once_each),
        cmocka_unit_test(what_is_forgiven_counts_from_zero),
        cmocka_unit_test(thresholds),
        cmocka_unit_test(the_oldest_goes_at_the_ceiling),
        cmocka_unit_test(what_was_not_met_is_pruned),
        cmocka_unit_test(it_says_why),
        cmocka_unit_test(the_file_comes_back),
        cmocka_unit_test(what_is_no_line_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
