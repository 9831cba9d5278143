#include "kit.h"

#include "base/buf.h"
#include "base/id.h"
#include "base/table.h"

static void reads_numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        bool ok;
        uint64_t value;
    } cases[] = {
        { "0", 10, true, 0 },
        { "10", 10, true, 10 },
        { "11", 10, false, 0 },
        { "", 10, false, 0 },
        { "1x", 10, false, 0 },
        { "9", 5, false, 0 },
        { "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        uint64_t value = 0;
        bool ok = bytes_to_number(bytes_text(cases[i].text), cases[i].max, &value);
        check(cases[i].text, ok == cases[i].ok);
        check(cases[i].text, value == cases[i].value);
    }
}

static void a_buffer_keeps_its_ceiling(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 10);
    assert_int_equal(buf_add(&buf, BYTES("12345678")), OK);
    assert_int_equal(buf_add(&buf, BYTES("90x")), ERR_LIMIT);
    assert_int_equal(buf_add(&buf, BYTES("90")), OK);
    buf_drop(&buf, 3);
    check_bytes("dropped", buf_bytes(&buf), BYTES("4567890"));
    assert_null(buf_room(&buf, 4));
    assert_int_equal(buf_printf(&buf, "%d", 123), OK);
    check_bytes("printed", buf_bytes(&buf), BYTES("4567890123"));
    buf_done(&buf);
}

static void ids_survive_their_text(void **state)
{
    struct mid mid, again;
    char text[ID_TEXT_BYTES];

    (void)state;
    for (int i = 0; i < 16; i++)
        mid.byte[i] = (uint8_t)(i * 17);
    mid_format(mid, text);
    assert_string_equal(text, "00112233445566778899aabbccddeeff");
    assert_true(mid_parse(bytes_text(text), &again));
    assert_true(mid_equal(mid, again));
    assert_false(mid_parse(BYTES("00112233445566778899aabbccddeef"), &again));
    assert_false(mid_parse(BYTES("00112233445566778899aabbccddeefg"), &again));
}

static void count_node(struct table_node *node, void *me)
{
    (void)node;
    (*(size_t *)me)++;
}

static void a_table_finds_what_it_holds(void **state)
{
    struct table table;
    static struct table_node nodes[1000];
    size_t seen = 0;

    (void)state;
    table_init(&table);
    assert_null(table_first(&table, 7));
    for (size_t i = 0; i < 1000; i++)
        table_add(&table, &nodes[i], i / 2); /* two of each hash */
    for (size_t i = 0; i < 1000; i += 2)
        table_remove(&table, &nodes[i]);
    for (size_t i = 0; i < 500; i++) {
        struct table_node *node = table_first(&table, i);
        assert_ptr_equal(node, &nodes[2 * i + 1]);
        assert_null(table_next(node));
    }
    table_each(&table, count_node, &seen);
    assert_int_equal(seen, 500);
    table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(a_buffer_keeps_its_ceiling),
        cmocka_unit_test(ids_survive_their_text),
        cmocka_unit_test(a_table_finds_what_it_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
