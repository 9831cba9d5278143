#include "shadow_kit.h"

#define DISCARD SHADOW_ASK_DISCARD
#define TAKEN SHADOW_ASK_TAKEN
#define AUDIT SHADOW_ASK_AUDIT

static const struct {
    enum shadow_ask_type type;
    const char *text;
    bool is_good;
    enum shadow_word word;
} items[] = {
    { DISCARD, MID_5F " DONE", true, SHADOW_DONE },
    { DISCARD, MID_5F " done", true, SHADOW_DONE },
    { DISCARD, MID_5F " PART 1-40,42", true, SHADOW_PART },
    { DISCARD, MID_5F " STUCK 640", true, SHADOW_STUCK },
    { DISCARD, MID_5F " NEWS of 2 later", true, SHADOW_STRANGE },
    { DISCARD, MID_5F " PENDING", true, SHADOW_STRANGE },
    { DISCARD, MID_5F " DONE 1", false, 0 },
    { DISCARD, MID_5F " PART", false, 0 },
    { DISCARD, MID_5F " PART ", false, 0 },
    { DISCARD, MID_5F " PART 2,1", false, 0 },
    { DISCARD, MID_5F " PART 50001", false, 0 },
    { DISCARD, MID_5F " PART 1 2", false, 0 },
    { DISCARD, MID_5F " STUCK", false, 0 },
    { DISCARD, MID_5F " STUCK x", false, 0 },
    { DISCARD, MID_5F " STUCK 1 2", false, 0 },
    { DISCARD, MID_5F " D\x01NE", false, 0 },
    { DISCARD, MID_5F " ", false, 0 },
    { DISCARD, MID_5F, false, 0 },
    { DISCARD, "5f DONE", false, 0 },
    { DISCARD, "DONE", false, 0 },
    { DISCARD, "", false, 0 },
    { TAKEN, MID_5F " 1 ex02.example.com " STORE_B, true, SHADOW_TAKEN },
    { TAKEN, MID_5F " 65535 ex02 " STORE_B " FIRM", true, SHADOW_TAKEN },
    { TAKEN, MID_5F " 65536 ex02 " STORE_B, false, 0 },
    { TAKEN, MID_5F " 1 ex02 " STORE_B " SOFT", false, 0 },
    { TAKEN, MID_5F " 1 ex02 " STORE_B " FIRM 2", false, 0 },
    { TAKEN, MID_5F " 1 ex02", false, 0 },
    { TAKEN, MID_5F " 1 " STORE_B, false, 0 },
    { TAKEN, MID_5F " DONE", false, 0 },
    { AUDIT, MID_5F " PENDING", true, SHADOW_IS_PENDING },
    { AUDIT, MID_5F " SETTLED", true, SHADOW_IS_SETTLED },
    { AUDIT, MID_5F " UNKNOWN", true, SHADOW_IS_UNKNOWN },
    { AUDIT, MID_5F " YOURS", true, SHADOW_IS_YOURS },
    { AUDIT, MID_5F " MOVED ex03 " STORE_A, true, SHADOW_IS_MOVED },
    { AUDIT, MID_5F " DONE", true, SHADOW_STRANGE },
    { AUDIT, MID_5F " MOVED ex03", false, 0 },
    { AUDIT, MID_5F " MOVED ex03 " STORE_A " 1", false, 0 },
    { AUDIT, MID_5F " PENDING 1", false, 0 },
};

/* An answer of this one item. */
static void write_page(
    struct buf *out, enum shadow_ask_type type, const struct shadow_item *item)
{
    struct shadow_page page = { .type = type, .item_count = 1, .items = item, .cursor = 3 };

    buf_init(out, 1 << 17);
    assert_int_equal(shadow_add_page(out, &page), OK);
}

static void reads_items(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(items); i++) {
        struct bytes text = bytes_text(items[i].text);
        struct shadow_item item;
        struct buf out;

        check(items[i].text, shadow_parse_item(items[i].type, text, &item) == items[i].is_good);
        if (!items[i].is_good)
            continue;
        check(items[i].text, item.word == items[i].word);
        check(items[i].text, mid_equal(item.mid, mid_of(MID_5F)));
        if (item.word == SHADOW_STRANGE)
            continue;
        write_page(&out, items[i].type, &item);
        check(items[i].text, bytes_equal_nocase(bytes_of(out.at + 4, text.n), text));
        check(items[i].text, out.at[4 + text.n] == '\r');
        buf_done(&out);
    }
}

static const struct {
    enum shadow_ask_type type;
    const char *text;
    bool is_good;
} ends[] = {
    { DISCARD, "1043 MORE POS=81790", true },
    { DISCARD, "1043 END POS=81790", true },
    { DISCARD, "1043 END POS=81790 RETIRED=" STORE_A "," STORE_B, true },
    { DISCARD, "END POS=81790", false },
    { DISCARD, "1043 LATER POS=81790", false },
    { DISCARD, "1043 END", false },
    { DISCARD, "1043 END POS=", false },
    { DISCARD, "1043 END POS=1 RETIRED=", false },
    { DISCARD, "1043 END POS=1 X", false },
    { DISCARD, "1043 END POS=1 RETIRED=" STORE_A " X", false },
    { DISCARD, "1043  END POS=1", false },
    { DISCARD, "", false },
    { TAKEN, "1043 MORE POS=1", true },
    { TAKEN, "1043 END POS=1 RETIRED=" STORE_A, true },
    { AUDIT, "END POS=1", true },
    { AUDIT, "MORE POS=1", false },
    { AUDIT, "1 END POS=1", false },
    { AUDIT, "END POS=1 RETIRED=" STORE_A, false },
};

static void reads_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(ends); i++) {
        struct bytes text = bytes_text(ends[i].text);
        struct shadow_page page = { .type = ends[i].type };
        struct buf out;

        check(ends[i].text, shadow_parse_page_end(text, &page) == ends[i].is_good);
        if (!ends[i].is_good)
            continue;
        buf_init(&out, 4096);
        check(ends[i].text, shadow_add_page(&out, &page) == OK);
        check_bytes(ends[i].text, bytes_of(out.at + 4, out.n - 6), text);
        buf_done(&out);
    }
}

static void keeps_the_values(void **state)
{
    struct shadow_page page = { .type = SHADOW_ASK_DISCARD, .item_count = 5 };
    struct shadow_item item;

    (void)state;
    assert_true(shadow_parse_page_end(BYTES("1043 MORE POS=9 RETIRED=" STORE_B), &page));
    assert_int_equal(page.item_count, 5);
    assert_true(page.cursor == 1043 && page.has_more && page.position == 9);
    assert_int_equal(page.retired_count, 1);
    assert_true(shadow_parse_item(
        SHADOW_ASK_TAKEN, BYTES(MID_5F " 7 ex02.example.com " STORE_B " FIRM"), &item));
    assert_int_equal(item.generation, 7);
    assert_true(item.is_firm);
    check_bytes("node", item.node.name, BYTES("ex02.example.com"));
    assert_memory_equal(item.node.store.byte, store_of(STORE_B).byte, 16);
    assert_true(shadow_parse_item(SHADOW_ASK_DISCARD, BYTES(MID_5F " PART 1-40,42"), &item));
    check_bytes("list", item.list, BYTES("1-40,42"));
}

static void writes_a_whole_page(void **state)
{
    const struct shadow_item list[] = {
        { .mid = mid_of(MID_5F), .word = SHADOW_DONE },
        { .mid = mid_of(MID_60), .word = SHADOW_PART, .list = BYTES("1-40,42") },
        { .mid = mid_of(MID_5F), .word = SHADOW_STUCK, .seconds = 640 },
    };
    const struct shadow_page page = { .type = SHADOW_ASK_DISCARD,
        .item_count = 3,
        .items = list,
        .cursor = 1043,
        .has_more = true,
        .position = 81790 };
    const struct bytes want = BYTES("250-" MID_5F " DONE\r\n250-" MID_60 " PART 1-40,42\r\n"
                                    "250-" MID_5F " STUCK 640\r\n250 1043 MORE POS=81790\r\n");
    struct buf out;

    (void)state;
    for (size_t max = 0; max <= want.n; max++) {
        buf_init(&out, max);
        assert_int_equal(shadow_add_page(&out, &page), max < want.n ? ERR_LIMIT : OK);
        check_bytes("page", buf_bytes(&out), max < want.n ? BYTES_NONE : want);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_items),
        cmocka_unit_test(reads_ends),
        cmocka_unit_test(keeps_the_values),
        cmocka_unit_test(writes_a_whole_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
