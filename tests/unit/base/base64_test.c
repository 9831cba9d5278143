#include "kit.h"

#include "base/base64.h"

static const struct {
    const char *name;
    struct bytes bytes, text;
} cases[] = {
    /* RFC 4648, 10 */
    { "nothing", BYTES(""), BYTES("") },
    { "one", BYTES("f"), BYTES("Zg==") },
    { "two", BYTES("fo"), BYTES("Zm8=") },
    { "three", BYTES("foo"), BYTES("Zm9v") },
    { "six", BYTES("foobar"), BYTES("Zm9vYmFy") },
    { "all digits' ends", BYTES("\x00\xff\xfb\xef\xbe"), BYTES("AP/7774=") },
};

static void test_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct buf text, bytes;
        buf_init(&text, 100);
        buf_init(&bytes, 100);
        assert_int_equal(base64_encode(cases[i].bytes, &text), OK);
        check_bytes(cases[i].name, buf_bytes(&text), cases[i].text);
        assert_int_equal(base64_decode(cases[i].text, &bytes), OK);
        check_bytes(cases[i].name, buf_bytes(&bytes), cases[i].bytes);
        buf_done(&text);
        buf_done(&bytes);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = { "Z", "Zg", "Zg=", "Zg==Zg==", "=",
        "====", "Z===", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", "Zm9-" };
    struct buf out;

    (void)state;
    buf_init(&out, 100);
    for (size_t i = 0; i < CASES(bad); i++) {
        check(bad[i], base64_decode(bytes_text(bad[i]), &out) == ERR_SYNTAX);
        check(bad[i], out.n == 0);
    }
    buf_done(&out);
    buf_init(&out, 3);
    assert_int_equal(base64_encode(BYTES("f"), &out), ERR_LIMIT);
    assert_int_equal(base64_decode(BYTES("Zm9vYmFy"), &out), ERR_LIMIT);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
