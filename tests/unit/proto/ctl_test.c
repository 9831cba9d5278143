#include "kit.h"

#include "proto/ctl/ctl.h"

static void check_line(const char *name, const struct ctl_object *object, const char *want)
{
    struct buf out;

    buf_init(&out, 10000);
    assert_int_equal(ctl_format(object, &out), OK);
    check_bytes(name, buf_bytes(&out), bytes_text(want));
    buf_done(&out);
}

static void test_format(void **state)
{
    struct ctl_object *object = ctl_new(), *inner = ctl_new();

    (void)state;
    ctl_set_text(object, "command", BYTES("queue"));
    ctl_set_number(object, "limit", 100);
    ctl_set_bool(object, "all", true);
    ctl_set_real(object, "progress", 0.5);
    ctl_set_data(object, "data", BYTES("foob"));
    ctl_set_text(inner, "host", BYTES("a\"b\n"));
    ctl_set_object(object, "inner", &inner);
    assert_null(inner);
    ctl_add_text(object, "to", BYTES("x"));
    ctl_add_text(object, "to", BYTES("y"));
    inner = ctl_new();
    ctl_add_object(object, "rows", &inner);
    check_line("all kinds", object,
        "{\"command\":\"queue\",\"limit\":100,\"all\":true,\"progress\":0.5,"
        "\"data\":\"Zm9vYg==\",\"inner\":{\"host\":\"a\\\"b\\n\"},"
        "\"to\":[\"x\",\"y\"],\"rows\":[{}]}\n");
    ctl_free(object);
    ctl_free(NULL);
}

static void test_format_limit(void **state)
{
    struct ctl_object *object = ctl_new();
    struct buf out;

    (void)state;
    ctl_set_text(object, "a", BYTES("bcdefgh"));
    for (size_t max = 0; max < 16; max++) {
        buf_init(&out, max);
        assert_int_equal(ctl_format(object, &out), ERR_LIMIT);
        assert_int_equal(out.n, 0);
        buf_done(&out);
    }
    ctl_free(object);
}

static void test_text_is_cleaned(void **state)
{
    static const struct {
        const char *name;
        struct bytes in;
        const char *want;
    } cases[] = {
        { "UTF-8", BYTES("j\xc3\xbcrg"), "j\xc3\xbcrg" },
        { "Latin-1", BYTES("j\xfcrg"), "j\xef\xbf\xbdrg" },
        { "NUL", BYTES("a\0b"),
            "a\xef\xbf\xbd"
            "b" },
        { "cut character", BYTES("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd" },
        { "nothing", BYTES(""), "" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct ctl_object *object = ctl_new();
        ctl_set_text(object, "t", cases[i].in);
        check_bytes(
            cases[i].name, bytes_text(ctl_text(object, "t")), bytes_text(cases[i].want));
        ctl_free(object);
    }
}

static const char sample[] = "{\"t\":\"x\",\"n\":-7,\"r\":2.5,\"b\":true,\"o\":{\"k\":1},"
                             "\"l\":[\"a\",{\"k\":2}],\"d\":\"Zm8=\",\"bad\":\"Zm8\"}";

static void test_get(void **state)
{
    struct ctl_object *object, *inner;
    char why[160];
    struct buf data;

    (void)state;
    assert_int_equal(ctl_parse(bytes_text(sample), &object, why), OK);
    assert_string_equal(ctl_text(object, "t"), "x");
    assert_null(ctl_text(object, "n"));
    assert_null(ctl_text(object, "missing"));
    assert_int_equal(ctl_number(object, "n", 1), -7);
    assert_int_equal(ctl_number(object, "t", 1), 1);
    assert_true(ctl_real(object, "r", 0) > 2.4 && ctl_real(object, "n", 0) < -6.9);
    assert_true(ctl_bool(object, "b"));
    assert_false(ctl_bool(object, "n"));
    assert_int_equal(ctl_list_count(object, "l"), 2);
    assert_int_equal(ctl_list_count(object, "o"), 0);
    assert_string_equal(ctl_list_text(object, "l", 0), "a");
    assert_null(ctl_list_text(object, "l", 1));
    assert_null(ctl_list_object(object, "l", 0));
    assert_null(ctl_object(object, "l"));
    inner = ctl_list_object(object, "l", 1);
    buf_init(&data, 100);
    assert_int_equal(ctl_data(object, "d", &data), OK);
    check_bytes("data", buf_bytes(&data), BYTES("fo"));
    assert_int_equal(ctl_data(object, "bad", &data), ERR_SYNTAX);
    assert_int_equal(ctl_data(object, "none", &data), ERR_NONE);
    buf_done(&data);
    ctl_free(object);
    assert_int_equal(ctl_number(inner, "k", 0), 2); /* a view outlives what it looks into */
    ctl_free(inner);
}

static void sum(const char *name, int64_t number, void *me)
{
    (void)name;
    *(int64_t *)me += number;
}

static void test_each_number(void **state)
{
    struct ctl_object *object = ctl_new();
    int64_t total = 0;

    (void)state;
    ctl_set_number(object, "a", 1);
    ctl_set_text(object, "b", BYTES("x"));
    ctl_set_number(object, "c", 2);
    ctl_each_number(object, sum, &total);
    assert_int_equal(total, 3);
    ctl_free(object);
}

static void test_refused(void **state)
{
    static const char *const bad[] = { "", " ", "[]", "1", "null", "\"x\"", "{", "{}x",
        "{\"a\":1,\"a\":2}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}", "{'a':1}", "{\"a\":}" };
    char why[160];

    (void)state;
    for (size_t i = 0; i < CASES(bad); i++) {
        struct ctl_object *object = NULL;
        why[0] = 0;
        check(bad[i], ctl_parse(bytes_text(bad[i]), &object, why) == ERR_SYNTAX);
        check(bad[i], object == NULL && why[0] != 0);
    }
}

/* No shorter part of a good line is a good line. */
static void test_cut(void **state)
{
    char why[160];

    (void)state;
    for (size_t n = 0; n < sizeof sample - 1; n++) {
        struct ctl_object *object = NULL;
        assert_int_equal(ctl_parse(bytes_of(sample, n), &object, why), ERR_SYNTAX);
    }
}

static void test_deep(void **state)
{
    static char line[200000];
    struct ctl_object *object = NULL;
    char why[160];

    (void)state;
    memset(line, '[', sizeof line);
    memcpy(line, "{\"a\":", 5);
    assert_int_equal(ctl_parse(bytes_of(line, sizeof line), &object, why), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_format_limit),
        cmocka_unit_test(test_text_is_cleaned),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_each_number),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
