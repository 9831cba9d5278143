#include "kit.h"

#include "proto/smtp/reply.h"

static void reads_reply_lines(void **state)
{
    static const struct {
        struct bytes line;
        bool ok;
        uint16_t code;
        bool is_last;
        struct bytes text;
    } cases[] = {
        { BYTES("250 OK"), true, 250, true, BYTES("OK") },
        { BYTES("250-SIZE 1000"), true, 250, false, BYTES("SIZE 1000") },
        { BYTES("250"), true, 250, true, BYTES("") },
        { BYTES("250 "), true, 250, true, BYTES("") },
        { BYTES("250-"), true, 250, false, BYTES("") },
        { BYTES("354 go ahead"), true, 354, true, BYTES("go ahead") },
        { BYTES("571 5.7.1 no"), true, 571, true, BYTES("5.7.1 no") },
        { BYTES("550  two"), true, 550, true, BYTES(" two") },
        { BYTES(""), false },
        { BYTES("25"), false },
        { BYTES("2500"), false },
        { BYTES("150 no"), false },
        { BYTES("650 no"), false },
        { BYTES("2x0 no"), false },
        { BYTES("25x no"), false },
        { BYTES("250\tOK"), false },
        { BYTES(" 250 OK"), false },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        const char *name = (const char *)cases[i].line.at;
        uint16_t code = 0;
        bool is_last = false;
        struct bytes text = BYTES_NONE;

        check(
            name, smtp_reply_parse_line(cases[i].line, &code, &is_last, &text) == cases[i].ok);
        check(name, code == cases[i].code);
        check(name, is_last == cases[i].is_last);
        check_bytes(name, text, cases[i].text);
    }
}

static void writes_reply_lines(void **state)
{
    static const struct {
        uint16_t code;
        struct status status;
        const char *text;
        struct bytes want;
    } cases[] = {
        { 250, { 2, 6, 0 }, "stored", BYTES("250 2.6.0 stored\r\n") },
        { 220, { 0, 0, 0 }, "mx.example.com", BYTES("220 mx.example.com\r\n") },
        { 550, { 5, 7, 54 }, "no", BYTES("550 5.7.54 no\r\n") },
        { 550, { 5, 1, 1 }, "a\r\n250 b\x7f\t", BYTES("550 5.1.1 a??250 b??\r\n") },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct buf out;

        buf_init(&out, 1000);
        assert_int_equal(
            smtp_reply_add(&out, cases[i].code, cases[i].status, cases[i].text), OK);
        check_bytes(cases[i].text, buf_bytes(&out), cases[i].want);
        buf_done(&out);
    }
}

static void a_reply_line_has_its_limit(void **state)
{
    char text[1000];
    struct buf out;

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    buf_init(&out, 600);
    assert_int_equal(smtp_reply_add(&out, 250, STATUS(2, 0, 0), text), OK);
    assert_int_equal(out.n, 512);
    check_bytes("end", bytes_skip(buf_bytes(&out), 509), BYTES("x\r\n"));
    assert_int_equal(smtp_reply_add(&out, 250, STATUS(2, 0, 0), text), ERR_LIMIT);
    assert_int_equal(out.n, 512);
    buf_done(&out);
}

static void gathers_lines(void **state)
{
    static const struct {
        uint16_t code;
        const char *lines[3];
        const char *want;
        struct status status;
    } cases[] = {
        { 550, { "5.1.1 no such user" }, "no such user", { 5, 1, 1 } },
        { 550, { "5.1.1" }, "", { 5, 1, 1 } },
        { 550, { "" }, "", { 0, 0, 0 } },
        { 550, { "no\tway\x01" }, "no?way?", { 0, 0, 0 } },
        { 550, { "2.1.1 odd" }, "2.1.1 odd", { 0, 0, 0 } },
        { 550, { "5.1.1x odd" }, "5.1.1x odd", { 0, 0, 0 } },
        { 550, { "5.7.1 a", "5.7.1 b", "c" }, "a / b / c", { 5, 7, 1 } },
        { 421, { "a", "4.3.2 b" }, "a / b", { 4, 3, 2 } },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct smtp_reply reply;

        smtp_reply_begin(&reply, cases[i].code, bytes_text(cases[i].lines[0]));
        for (size_t j = 1; j < 3 && cases[i].lines[j]; j++)
            smtp_reply_continue(&reply, bytes_text(cases[i].lines[j]));
        assert_int_equal(reply.code, cases[i].code);
        assert_string_equal(reply.text, cases[i].want);
        assert_int_equal(reply.status.class, cases[i].status.class);
        assert_int_equal(reply.status.subject, cases[i].status.subject);
        assert_int_equal(reply.status.detail, cases[i].status.detail);
    }
}

static void a_long_text_is_cut(void **state)
{
    struct smtp_reply reply;

    (void)state;
    smtp_reply_begin(&reply, 250, BYTES("x"));
    for (int i = 0; i < 300; i++)
        smtp_reply_continue(&reply, BYTES("yz"));
    assert_int_equal(strlen(reply.text), SMTP_REPLY_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_reply_lines),
        cmocka_unit_test(writes_reply_lines),
        cmocka_unit_test(gathers_lines),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(a_reply_line_has_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
