#include "kit.h"

#include "ctl/arguments.h"

static struct values {
    bool flag, yes;
    const char *text;
    struct option_texts texts;
    uint64_t number, size;
    int64_t duration;
    unsigned choice;
} values;

static const char *const words[] = { "red", "green", NULL };
static const struct option table[] = {
    { "flag", 'f', OPTION_FLAG, &values.flag, NULL, "" },
    { "text", 't', OPTION_TEXT, &values.text, "TEXT", "" },
    { "texts", 0, OPTION_TEXTS, &values.texts, "TEXT", "" },
    { "number", 'n', OPTION_NUMBER, &values.number, "N", "", .max = 100 },
    { "size", 0, OPTION_SIZE, &values.size, "SIZE", "" },
    { "duration", 0, OPTION_DURATION, &values.duration, "TIME", "" },
    { "yes", 0, OPTION_YES_NO, &values.yes, "yes|no", "" },
    { "choice", 0, OPTION_CHOICE, &values.choice, "COLOUR", "", .choices = words },
};

static bool read_words(const char *const *given, int *argc, const char **left, const char **why)
{
    static char text[OPTION_WHY_BYTES];
    static char copies[16][64];
    static char *argv[16];
    struct option_set set = { table, CASES(table) };
    bool good;

    values = (struct values){ 0 };
    for (*argc = 0; given[*argc]; (*argc)++) {
        strcpy(copies[*argc], given[*argc]);
        argv[*argc] = copies[*argc];
    }
    good = arguments_read(argc, argv, &set, 1, false, text);
    *left = *argc ? argv[0] : NULL;
    *why = text;
    return good;
}

static void test_good(void **state)
{
    static const char *const given[] = { "one", "--flag", "-tx", "--number=7", "--size", "10k",
        "--duration", "1m", "--yes", "on", "--choice", "green", "--texts", "a", "--texts=b",
        NULL };
    const char *left, *why;
    int argc;

    (void)state;
    assert_true(read_words(given, &argc, &left, &why));
    assert_int_equal(argc, 1);
    assert_string_equal(left, "one");
    assert_true(values.flag && values.yes);
    assert_string_equal(values.text, "x");
    assert_int_equal(values.number, 7);
    assert_int_equal(values.size, 10240);
    assert_int_equal(values.duration, 60000);
    assert_int_equal(values.choice, 1);
    assert_int_equal(values.texts.count, 2);
}

static void test_end_of_options(void **state)
{
    static const char *const given[] = { "--", "--flag", "-", NULL };
    const char *left, *why;
    int argc;

    (void)state;
    assert_true(read_words(given, &argc, &left, &why));
    assert_int_equal(argc, 2);
    assert_string_equal(left, "--flag");
    assert_false(values.flag);
}

static void test_mistakes(void **state)
{
    static const struct {
        const char *given[3], *why;
    } cases[] = {
        { { "--nope" }, "unknown option '--nope'" },
        { { "-x" }, "unknown option '-x'" },
        { { "--flag=1" }, "option --flag takes no value" },
        { { "--number" }, "option --number needs N" },
        { { "--number", "101" }, "option --number: '101' is not a number up to 100" },
        { { "--number", "-1" }, "option --number: '-1' is not a number up to 100" },
        { { "--size", "1x" }, "option --size: '1x' is not a size like 10k or 25M" },
        { { "--duration", "1x" },
            "option --duration: '1x' is not a time like 500ms, 5s or 1h" },
        { { "--yes", "maybe" }, "option --yes: 'maybe' is not yes or no" },
        { { "--choice", "blue" }, "option --choice: 'blue' is not one of red, green" },
        { { "--flags" }, "unknown option '--flags'; did you mean --flag?" },
        { { "-Nummber=3" }, "unknown option '-Nummber=3'; did you mean --number?" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        const char *left, *why;
        int argc;
        check(cases[i].why, !read_words(cases[i].given, &argc, &left, &why));
        check_bytes("why", bytes_text(why), bytes_text(cases[i].why));
    }
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        bool is_good;
        uint64_t want;
    } cases[] = { { "0", true, 0 }, { "512", true, 512 }, { "1K", true, 1024 },
        { "25M", true, 25 << 20 }, { "2GB", true, (uint64_t)2 << 30 },
        { "16777215t", true, (uint64_t)16777215 << 40 }, { "16777216t", false, 0 },
        { "", false, 0 }, { "k", false, 0 }, { "B", false, 0 }, { "1.5M", false, 0 },
        { "-1", false, 0 }, { "1kk", false, 0 } };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        uint64_t got = 0;
        check(cases[i].text, arguments_size(cases[i].text, 0, &got) == cases[i].is_good);
        check(cases[i].text, got == cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_end_of_options),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
