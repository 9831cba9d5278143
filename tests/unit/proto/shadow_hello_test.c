#include "shadow_kit.h"

#define NODE_A "NODE=ex01.example.com STORE=" STORE_A " POS=81723"

/* .again: what is written of it, where that is something else. */
static const struct {
    const char *name, *text;
    bool is_good;
    const char *again;
} commands[] = {
    { "one version", "1 " NODE_A, true, NULL },
    { "two versions", "1 2 " NODE_A, true, NULL },
    { "any order", "2 1 " NODE_A, true, "1 2 " NODE_A },
    { "one far away", "1 77 " NODE_A, true, "1 " NODE_A },
    { "retired", "1 " NODE_A " RETIRED=" STORE_B, true, NULL },
    { "two retired", "1 " NODE_A " RETIRED=" STORE_B "," STORE_A, true, NULL },
    { "small letters", "1 node=a.b store=" STORE_A " pos=0", true,
        "1 NODE=a.b STORE=" STORE_A " POS=0" },
    { "something later", "1 " NODE_A " LEASE=77", true, "1 " NODE_A },
    { "nothing", "", false, NULL },
    { "no version", NODE_A, false, NULL },
    { "version 0", "0 " NODE_A, false, NULL },
    { "no number", "one " NODE_A, false, NULL },
    { "version too late", "1 " NODE_A " 2", false, NULL },
    { "versions alone", "1 2", false, NULL },
    { "no node", "1 STORE=" STORE_A " POS=1", false, NULL },
    { "no store", "1 NODE=a.b POS=1", false, NULL },
    { "no position", "1 NODE=a.b STORE=" STORE_A, false, NULL },
    { "an empty node", "1 NODE= STORE=" STORE_A " POS=1", false, NULL },
    { "a bad node", "1 NODE=a_b STORE=" STORE_A " POS=1", false, NULL },
    { "a node beyond ASCII", "1 NODE=\xc3\xa4 STORE=" STORE_A " POS=1", false, NULL },
    { "a short store", "1 NODE=a.b STORE=0c5e POS=1", false, NULL },
    { "the store that is none", "1 NODE=a.b STORE=00000000000000000000000000000000 POS=1",
        false, NULL },
    { "a bad position", "1 NODE=a.b STORE=" STORE_A " POS=-1", false, NULL },
    { "a huge position", "1 NODE=a.b STORE=" STORE_A " POS=18446744073709551616", false, NULL },
    { "twice", "1 " NODE_A " POS=1", false, NULL },
    { "no retired", "1 " NODE_A " RETIRED=", false, NULL },
    { "a comma", "1 " NODE_A " RETIRED=" STORE_A ",", false, NULL },
    { "two spaces", "1  " NODE_A, false, NULL },
    { "a space at the end", "1 " NODE_A " ", false, NULL },
    { "a space before", " 1 " NODE_A, false, NULL },
    { "an answer's word", "1 " NODE_A " VERSION=1", false, NULL },
};

static void check_again(const char *name, const struct shadow_hello *hello, const char *want)
{
    struct buf out;

    buf_init(&out, 4096);
    check(name, shadow_add_hello_command(&out, hello) == OK);
    check(name, bytes_starts(buf_bytes(&out), BYTES("XSHADOW ")) && out.n >= 10);
    check_bytes(name, bytes_of(out.at + 8, out.n - 10), bytes_text(want));
    buf_done(&out);
}

static void reads_commands(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(commands); i++) {
        struct shadow_hello hello = { .position = 7 };
        bool is_good = shadow_parse_hello(bytes_text(commands[i].text), &hello);

        check(commands[i].name, is_good == commands[i].is_good);
        if (is_good)
            check_again(commands[i].name, &hello,
                commands[i].again ? commands[i].again : commands[i].text);
        else
            check(commands[i].name, hello.position == 7 && hello.versions == 0);
    }
}

static const struct {
    const char *name, *text;
    bool is_good;
} replies[] = {
    { "a good one", NODE_A " VERSION=1", true },
    { "with stores", NODE_A " VERSION=2 RETIRED=" STORE_B "," STORE_A, true },
    { "no version", NODE_A, false },
    { "two versions", NODE_A " VERSION=1 VERSION=2", false },
    { "versions as in the command", "1 " NODE_A, false },
    { "nothing", "", false },
};

static void reads_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(replies); i++) {
        struct shadow_hello hello;
        struct bytes text = bytes_text(replies[i].text);
        struct buf out;

        check(replies[i].name, shadow_parse_hello_reply(text, &hello) == replies[i].is_good);
        if (!replies[i].is_good)
            continue;
        buf_init(&out, 4096);
        check(replies[i].name, shadow_add_hello_reply(&out, &hello) == OK);
        check_bytes(replies[i].name, bytes_of(out.at + 10, out.n - 12), text);
        buf_done(&out);
    }
}

static void keeps_the_values(void **state)
{
    struct shadow_hello hello;

    (void)state;
    assert_true(shadow_parse_hello(BYTES("1 3 " NODE_A " RETIRED=" STORE_B), &hello));
    assert_int_equal(hello.versions, 1 << 1 | 1 << 3);
    check_bytes("node", hello.node.name, BYTES("ex01.example.com"));
    assert_memory_equal(hello.node.store.byte, store_of(STORE_A).byte, 16);
    assert_true(hello.position == 81723);
    assert_int_equal(hello.retired_count, 1);
    assert_memory_equal(hello.retired[0].byte, store_of(STORE_B).byte, 16);
}

static void has_ceilings(void **state)
{
    struct shadow_hello hello;
    struct buf text, out;

    (void)state;
    buf_init(&text, 4096);
    buf_init(&out, 100);
    assert_int_equal(buf_add(&text, BYTES("1 " NODE_A " RETIRED=" STORE_A)), OK);
    for (int n = 1; n < SHADOW_RETIRED_MAX; n++)
        assert_int_equal(buf_add(&text, BYTES("," STORE_B)), OK);
    assert_true(shadow_parse_hello(buf_bytes(&text), &hello));
    assert_int_equal(hello.retired_count, SHADOW_RETIRED_MAX);
    assert_int_equal(buf_add(&out, BYTES("before")), OK);
    assert_int_equal(shadow_add_hello_command(&out, &hello), ERR_LIMIT);
    check_bytes("nothing was added", buf_bytes(&out), BYTES("before"));
    assert_int_equal(buf_add(&text, BYTES("," STORE_B)), OK);
    assert_false(shadow_parse_hello(buf_bytes(&text), &hello));
    buf_done(&text);
    buf_done(&out);
}

/* None of the beginnings is good before POS has a digit. */
static void reads_no_beginning(void **state)
{
    const struct bytes whole = BYTES("1 2 " NODE_A);
    struct shadow_hello hello;

    (void)state;
    for (size_t n = 0; n < whole.n - 4; n++)
        assert_false(shadow_parse_hello(bytes_first(whole, n), &hello));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_commands),
        cmocka_unit_test(reads_replies),
        cmocka_unit_test(keeps_the_values),
        cmocka_unit_test(has_ceilings),
        cmocka_unit_test(reads_no_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
