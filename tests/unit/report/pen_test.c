#include "kit.h"

#include "report/pen.h"

enum { LONG = 27 }; /* three times eight bytes and some more */

static struct bytes write_text(char *out, size_t room, struct bytes text, enum pen_style style)
{
    struct pen pen = { out, out + room };

    pen_text(&pen, text, style, 0);
    return bytes_of(out, (size_t)(pen.at - out));
}

/* Eight bytes are looked at together: each byte, wherever it stands, must be written as it is
 * when it is written alone. */
static void test_each_byte_at_each_place(void **state)
{
    (void)state;
    for (unsigned style = 0; style < PEN_STYLE_COUNT; style++) {
        for (unsigned c = 0; c < 256; c++) {
            for (size_t at = 0; at < LONG; at++) {
                char text[LONG], whole[LONG + 16], alone[LONG + 16];
                size_t n = 0;
                memset(text, 'x', sizeof text);
                text[at] = (char)c;
                for (size_t i = 0; i < LONG; i++)
                    n +=
                        write_text(alone + n, sizeof alone - n, bytes_of(text + i, 1), style).n;
                check_bytes("each byte",
                    write_text(whole, sizeof whole, bytes_of(text, LONG), style),
                    bytes_of(alone, n));
            }
        }
    }
}

/* Cut at every length, it is the start of what is written when there is room. */
static void test_cut(void **state)
{
    struct bytes text = BYTES("a line, \"quoted\" <and> \\ \x01 \xc3\xa9 \xff it goes on");
    char whole[200], part[200];

    (void)state;
    for (unsigned style = 0; style < PEN_STYLE_COUNT; style++) {
        struct bytes all = write_text(whole, sizeof whole, text, style);
        for (size_t room = 0; room <= all.n; room++) {
            struct bytes cut = write_text(part, room, text, style);
            assert_true(cut.n <= room && cut.n + 8 > room);
            check_bytes("cut", cut, bytes_first(all, cut.n));
        }
    }
}

static const struct {
    const char *name;
    struct bytes text, column;
} columns[] = {
    { "nothing", BYTES(""), BYTES("") },
    { "a word", BYTES("word"), BYTES("word") },
    { "more than eight bytes", BYTES("from@example.com"), BYTES("from@example.com") },
    { "a comma", BYTES("a,b"), BYTES("\"a,b\"") },
    { "a comma among the first eight", BYTES("abc,defghijk"), BYTES("\"abc,defghijk\"") },
    { "a comma behind them", BYTES("abcdefghij,k"), BYTES("\"abcdefghij,k\"") },
    { "a quote", BYTES("say \"hi\" to me"), BYTES("\"say \"\"hi\"\" to me\"") },
    { "a control byte", BYTES("abcdefgh\nij"), BYTES("abcdefgh\\x0aij") },
    { "letters of other scripts", BYTES("j\xc3\xb6rg@example"), BYTES("j\xc3\xb6rg@example") },
};

static void test_columns(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(columns); i++) {
        char out[100];
        struct pen pen = { out, out + sizeof out };
        pen_csv(&pen, columns[i].text, 10);
        check_bytes(columns[i].name, bytes_of(out, (size_t)(pen.at - out)), columns[i].column);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_byte_at_each_place),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
