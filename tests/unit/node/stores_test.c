#include "kit.h"

#include "base/mem.h"
#include "node/stores.h"
#include "os/clock.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct ledger_store two[] = {
    { .id = { { 1, 2, 3 } },
        .node = "ex01.example.com",
        .is_current = true,
        .position = 81723 },
    { .id = { { 0xff } },
        .node = "ex02",
        .is_own = true,
        .went_back = true,
        .is_retired = true,
        .position = UINT64_MAX },
};
static const struct ledger_store one[] = {
    { .id = { { 9 } }, .node = "ex09", .is_current = true, .is_own = true, .position = 1 },
};

static bool same(const struct ledger_store *a, const struct ledger_store *b)
{
    return memcmp(&a->id, &b->id, sizeof a->id) == 0 && strcmp(a->node, b->node) == 0 &&
           a->is_current == b->is_current && a->is_retired == b->is_retired &&
           a->is_own == b->is_own && a->went_back == b->went_back && a->position == b->position;
}

static void format(const struct ledger_store *stores, uint32_t count, struct buf *out)
{
    buf_init(out, STORES_BYTES_MAX);
    assert_int_equal(stores_format(stores, count, out), OK);
}

/* --- The text ---------------------------------------------------------------------------- */

static void test_round(void **state)
{
    char why[STORES_WHY_BYTES];
    struct ledger_store *list;
    struct buf text;
    uint32_t count;

    (void)state;
    format(two, 2, &text);
    assert_int_equal(stores_parse(buf_bytes(&text), "stores", &list, &count, why), OK);
    assert_int_equal(count, 2);
    assert_true(same(&list[0], &two[0]) && same(&list[1], &two[1]));
    free(list);
    buf_done(&text);
    format(NULL, 0, &text);
    assert_int_equal(stores_parse(buf_bytes(&text), "stores", &list, &count, why), OK);
    assert_int_equal(count, 0);
    free(list);
    buf_done(&text);
}

/* A file cut anywhere, or with any byte changed, is never taken for less knowledge. */
static void test_damage(void **state)
{
    char why[STORES_WHY_BYTES];
    struct ledger_store *list;
    struct buf text;
    uint32_t count;

    (void)state;
    format(two, 2, &text);
    for (size_t n = 0; n < text.n; n++) {
        struct bytes cut = bytes_first(buf_bytes(&text), n);
        assert_int_not_equal(stores_parse(cut, "stores", &list, &count, why), OK);
        assert_memory_equal(why, "stores:", 7);
    }
    for (size_t n = 0; n < text.n; n++) {
        text.at[n] ^= 1;
        assert_int_not_equal(stores_parse(buf_bytes(&text), "stores", &list, &count, why), OK);
        text.at[n] ^= 1;
    }
    buf_done(&text);
}

#define ID "0102030405060708090a0b0c0d0e0f10"

static void test_bad_lines(void **state)
{
    static const struct {
        const char *name, *text, *why;
    } cases[] = {
        { "empty", "", "stores:1: no file" },
        { "another version", "relais stores 2\nend 0 x\n", "stores:1: no file" },
        { "no end", "relais stores 1\n", "stores:2: the line that ends" },
        { "another word", "relais stores 1\nshop x\n", "stores:2: \"store\" or" },
        { "a short id", "relais stores 1\nstore 01 node=a position=1\n",
            "stores:2: a store has" },
        { "no node", "relais stores 1\nstore " ID " node= position=1\n",
            "stores:2: node=NAME" },
        { "no number", "relais stores 1\nstore " ID " node=a position=x\n",
            "stores:2: position=" },
        { "an unknown flag", "relais stores 1\nstore " ID " node=a position=1 new\n",
            "stores:2: an unknown" },
        { "a flag twice", "relais stores 1\nstore " ID " node=a position=1 own own\n",
            "stores:2: an unknown" },
        { "a wrong hash", "relais stores 1\nstore " ID " node=a position=1\nend 1 00\n",
            "stores:3: the checksum" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char why[STORES_WHY_BYTES] = "";
        struct ledger_store *list;
        uint32_t count;
        enum err err = stores_parse(bytes_text(cases[i].text), "stores", &list, &count, why);
        check(cases[i].name, err != OK);
        if (strncmp(why, cases[i].why, strlen(cases[i].why)) != 0)
            fail_msg("%s: %s", cases[i].name, why);
    }
}

/* --- The file ---------------------------------------------------------------------------- */

static int calls, fail_from, fail_until;

static enum err before(void *me, const struct file_event *event, size_t *n_max)
{
    int call = calls++;

    (void)me;
    (void)event;
    (void)n_max;
    return call >= fail_from && call < fail_until ? ERR_IO : OK;
}

static const struct file_faults faults = { .before = before };

static void make_folder(char folder[64])
{
    snprintf(folder, 64, "/tmp/relais-stores-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static void remove_folder(const char *folder)
{
    char path[128];

    snprintf(path, sizeof path, "%s/stores", folder);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/stores.new", folder);
    (void)unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

static const struct ledger_store *read_back(const char *folder)
{
    char why[STORES_WHY_BYTES];
    struct ledger_store *list;
    const struct ledger_store *found = NULL;
    uint32_t count;

    if (stores_read(folder, &list, &count, why) != OK)
        fail_msg("%s", why);
    if (count == 2 && same(&list[0], &two[0]) && same(&list[1], &two[1]))
        found = two;
    if (count == 1 && same(&list[0], &one[0]))
        found = one;
    free(list);
    return found;
}

/* Each call fails, alone or with all behind it, as a crash does: the file is the old or the new
 * one, the new one when the call said so, and the next write goes well. */
static void test_each_step_fails(void **state)
{
    char folder[64];
    struct buf old, fresh;
    int step = 0, step_count = 1;

    (void)state;
    make_folder(folder);
    format(two, 2, &old);
    format(one, 1, &fresh);
    for (; step < step_count * 2; step++) {
        enum err err;
        assert_int_equal(stores_write(folder, buf_bytes(&old)), OK);
        assert_ptr_equal(read_back(folder), two);
        calls = 0;
        fail_from = step / 2;
        fail_until = step % 2 ? fail_from + 1 : 1000;
        file_set_faults(&faults);
        err = stores_write(folder, buf_bytes(&fresh));
        file_set_faults(NULL);
        if (calls > step_count)
            step_count = calls;
        assert_non_null(read_back(folder));
        if (err == OK)
            assert_ptr_equal(read_back(folder), one);
    }
    assert_true(step > 10);
    buf_done(&old);
    buf_done(&fresh);
    remove_folder(folder);
}

static void test_no_file(void **state)
{
    char folder[64], why[STORES_WHY_BYTES];
    struct ledger_store *list;
    uint32_t count;

    (void)state;
    make_folder(folder);
    assert_int_equal(stores_read(folder, &list, &count, why), OK);
    assert_int_equal(count, 0);
    remove_folder(folder);
}

/* --- Behind ------------------------------------------------------------------------------ */

struct behind {
    struct loop *loop;
    uint64_t last;
    unsigned count;
    struct timer limit;
};

static void on_written(void *me, uint64_t tag)
{
    struct behind *behind = me;

    assert_int_equal(tag, behind->last + 1);
    behind->last = tag;
    if (++behind->count == 20)
        loop_stop(behind->loop);
}

static void on_limit(struct timer *timer)
{
    (void)timer;
    fail_msg("it does not come");
}

/* Twenty changes in a row are a few writes; each is answered, in order, though the first write
 * fails. */
static void test_behind(void **state)
{
    struct behind behind = { .last = 0 };
    struct stores *stores;
    char folder[64];

    (void)state;
    make_folder(folder);
    assert_int_equal(loop_new(&behind.loop), OK);
    timer_init(&behind.limit, behind.loop, on_limit);
    timer_start(&behind.limit, 60000);
    stores = stores_new(behind.loop, folder, on_written, &behind);
    assert_true(stores_is_idle(stores));
    calls = 0;
    fail_from = 0;
    fail_until = 3;
    file_set_faults(&faults);
    for (uint64_t tag = 1; tag < 20; tag++)
        stores_change(stores, two, 2, tag);
    stores_change(stores, one, 1, 20);
    loop_run(behind.loop);
    file_set_faults(NULL);
    assert_true(stores_is_idle(stores));
    assert_true(calls < 40);
    assert_ptr_equal(read_back(folder), one);
    stores_free(stores);
    timer_stop(&behind.limit);
    loop_free(behind.loop);
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_each_step_fails),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
