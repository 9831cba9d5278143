#include "kit.h"

#include "ctl/load.h"

static struct load_settings settings_of(uint64_t size)
{
    return (struct load_settings){ .messages = 3,
        .size_bytes = size,
        .recipient_count = 3,
        .from = "a@example.com",
        .rcpt = "b@example.com",
        .id_prefix = "t" };
}

static void read_content(
    const struct load_work *work, const struct load_content *content, struct buf *out)
{
    for (;;) {
        struct bytes run = load_content_at(work, content, out->n);
        if (run.n == 0)
            break;
        assert_int_equal(buf_add(out, run), OK);
    }
}

/* Of the size asked for, whatever the number; every CR with its LF; no dot begins a line. */
static void test_content(void **state)
{
    (void)state;
    for (uint64_t size = 1; size < 700; size++) {
        struct load_settings settings = settings_of(size);
        struct load_work work;
        struct load_content content;
        struct buf out;
        char why[256];
        assert_int_equal(load_work_init(&work, &settings, why), OK);
        load_content_make(&work, size * 7919, &content);
        buf_init(&out, 10000);
        read_content(&work, &content, &out);
        assert_int_equal(out.n, load_content_bytes(&content));
        if (size > content.head_n + 3)
            assert_int_equal(out.n, size);
        assert_memory_equal(out.at + out.n - 2, "\r\n", 2);
        for (size_t i = 0; i < out.n; i++) {
            if (out.at[i] == '\r')
                assert_true(i + 1 < out.n && out.at[i + 1] == '\n');
            if (out.at[i] == '\n')
                assert_true(i > 0 && out.at[i - 1] == '\r');
            if (out.at[i] == '.')
                assert_true(i > 0 && out.at[i - 1] != '\n');
        }
        buf_done(&out);
        load_work_done(&work);
    }
}

static void test_recipients(void **state)
{
    struct load_settings settings = settings_of(1000);
    struct load_work work;
    char why[256];

    (void)state;
    assert_int_equal(load_work_init(&work, &settings, why), OK);
    check_bytes("first", work.recipients[0].address, BYTES("b-1@example.com"));
    check_bytes("last", work.recipients[2].address, BYTES("b-3@example.com"));
    load_work_done(&work);
}

static void test_numbers(void **state)
{
    struct load_settings settings = settings_of(1000);
    struct load_work work;
    uint64_t number[3], again;
    char why[256];

    (void)state;
    settings.retries = true;
    assert_int_equal(load_work_init(&work, &settings, why), OK);
    for (int i = 0; i < 3; i++)
        assert_true(load_work_take(&work, &number[i]));
    assert_false(load_work_take(&work, &again));
    assert_false(load_work_is_given_out(&work)); /* one may come back */
    load_work_end(&work, number[0], 250);
    load_work_end(&work, number[1], 451);
    load_work_end(&work, number[2], 550);
    assert_true(load_work_take(&work, &again));
    assert_int_equal(again, number[1]);
    load_work_return(&work, again);
    assert_true(load_work_take(&work, &again));
    load_work_end(&work, again, 0);
    assert_true(load_work_take(&work, &again));
    load_work_end(&work, again, 250);
    assert_true(load_work_is_given_out(&work));
    assert_int_equal(work.acked, 2);
    assert_int_equal(work.refused, 1);
    assert_int_equal(work.tried_again, 2);
    load_work_done(&work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_recipients),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
