#include "kit.h"

#include "mail/trace.h"

#include <stdio.h>
#include <stdlib.h>

static struct trace common(void)
{
    return (struct trace){
        .client_name = BYTES("printer.example.com"),
        .client_ip = BYTES("192.0.2.1"),
        .by = BYTES("relay.example.com"),
        .connector = BYTES("Default Frontend"),
        .mid = { { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc,
            0xdd, 0xee, 0xff } },
        .only_recipient = BYTES("a@example.net"),
        .now = { 1790000000000 },
    };
}

static struct buf received(const struct trace *trace)
{
    struct buf buf;
    buf_init(&buf, 4000);
    assert_int_equal(trace_received(trace, &buf), OK);
    return buf;
}

static void check_received(const char *name, const struct trace *trace, const char *want)
{
    struct buf buf = received(trace);
    check_bytes(name, buf_bytes(&buf), bytes_text(want));
    buf_done(&buf);
}

static void writes_received(void **state)
{
    struct trace trace = common();

    (void)state;
    check_received("plain", &trace,
        "Received: from printer.example.com ([192.0.2.1]) by relay.example.com\r\n"
        "\twith ESMTP id 00112233445566778899aabbccddeeff\r\n"
        "\t(connector \"Default Frontend\") for <a@example.net>;\r\n"
        "\tMon, 21 Sep 2026 14:13:20 +0000\r\n");

    trace.tls_version = BYTES("TLSv1.3");
    trace.tls_cipher = BYTES("TLS_AES_256_GCM_SHA384");
    trace.user = BYTES("secret-name");
    trace.client_ip = BYTES("2001:db8::1");
    trace.only_recipient = BYTES_NONE;
    check_received("TLS and AUTH", &trace,
        "Received: from printer.example.com ([IPv6:2001:db8::1])\r\n"
        "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384) (authenticated)\r\n"
        "\tby relay.example.com with ESMTPSA\r\n"
        "\tid 00112233445566778899aabbccddeeff (connector \"Default Frontend\");\r\n"
        "\tMon, 21 Sep 2026 14:13:20 +0000\r\n");

    trace = common();
    trace.client_name = trace.connector = trace.only_recipient = BYTES_NONE;
    trace.is_smtp = true;
    check_received("no name, HELO", &trace,
        "Received: from [192.0.2.1] ([192.0.2.1]) by relay.example.com with SMTP\r\n"
        "\tid 00112233445566778899aabbccddeeff; Mon, 21 Sep 2026 14:13:20 +0000\r\n");

    trace.client_ip = BYTES_NONE;
    check_received("a UNIX socket", &trace,
        "Received: from localhost by relay.example.com with SMTP\r\n"
        "\tid 00112233445566778899aabbccddeeff; Mon, 21 Sep 2026 14:13:20 +0000\r\n");
}

static void says_how_it_came(void **state)
{
    static const struct {
        const char *with;
        bool is_smtp, is_utf8, has_tls, has_auth;
    } cases[] = {
        { " with SMTP", true, false, false, false },
        { " with SMTP", true, false, true, false },
        { " with ESMTP", false, false, false, false },
        { " with ESMTPS", false, false, true, false },
        { " with ESMTPA", false, false, false, true },
        { " with ESMTPSA", false, false, true, true },
        { " with UTF8SMTP", false, true, false, false },
        { " with UTF8SMTPS", false, true, true, false },
        { " with UTF8SMTPA", false, true, false, true },
        { " with UTF8SMTPSA", false, true, true, true },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct trace trace = { .by = BYTES("b"), .client_name = BYTES("c") };
        struct buf buf;
        char *text, want[64];
        trace.is_smtp = cases[i].is_smtp;
        trace.is_utf8 = cases[i].is_utf8;
        trace.tls_version = cases[i].has_tls ? BYTES("TLSv1.3") : BYTES_NONE;
        trace.user = cases[i].has_auth ? BYTES("u") : BYTES_NONE;
        buf = received(&trace);
        text = buf_take_text(&buf);
        snprintf(want, sizeof want, "%s id ", cases[i].with);
        for (char *c = text; *c; c++) { /* where it was folded does not matter here */
            if (c[0] == '\r' && c[1] == '\n' && c[2] == '\t')
                memmove(c, c + 2, strlen(c + 2) + 1), *c = ' ';
        }
        check(cases[i].with, strstr(text, want) != NULL);
        free(text);
    }
}

/* Whatever a client says, the field stays one field: every line but the first begins with a
 * tab, comments close, and nothing but ASCII stands in it. */
static void a_client_cannot_break_the_field(void **state)
{
    uint8_t all[512];
    struct trace trace = common();
    struct bytes *inputs[] = { &trace.client_name, &trace.client_ip, &trace.connector,
        &trace.only_recipient, &trace.tls_version, &trace.tls_cipher };

    (void)state;
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    for (size_t start = 0; start < 256; start++) {
        struct buf buf;
        for (size_t i = 0; i < CASES(inputs); i++)
            *inputs[i] = bytes_of(all + start, 40 + 30 * i);
        buf = received(&trace);
        for (size_t i = 0, open = 0; i < buf.n; i++) {
            uint8_t c = buf.at[i];
            open = open + (c == '(') - (c == ')');
            assert_true(open <= 1);
            assert_true((c >= ' ' && c < 127) || strchr("\r\n\t", c));
            if (c == '\n' && i + 1 < buf.n)
                assert_int_equal(buf.at[i + 1], '\t');
            if (c == '\r')
                assert_int_equal(buf.at[i + 1], '\n');
        }
        buf_done(&buf);
    }
}

static void replaces_what_would_break_it(void **state)
{
    struct trace trace = common();

    (void)state;
    trace.client_name = BYTES("a\r\nBcc: b");
    trace.connector = BYTES("x\") evil (\"\xC3\xA4");
    trace.only_recipient = BYTES("\xC3\xA4@b");
    check_received("injection", &trace,
        "Received: from a??Bcc:?b ([192.0.2.1]) by relay.example.com with ESMTP\r\n"
        "\tid 00112233445566778899aabbccddeeff (connector \"x?? evil ????\");\r\n"
        "\tMon, 21 Sep 2026 14:13:20 +0000\r\n");
    trace.is_utf8 = true;
    trace.client_name = BYTES("\xC3\xA4\xC3.example");
    trace.connector = BYTES_NONE;
    check_received("UTF-8 where it may stand", &trace,
        "Received: from \xC3\xA4?.example ([192.0.2.1]) by relay.example.com with UTF8SMTP\r\n"
        "\tid 00112233445566778899aabbccddeeff for <\xC3\xA4@b>;\r\n"
        "\tMon, 21 Sep 2026 14:13:20 +0000\r\n");
}

static void folds_below_78_columns(void **state)
{
    static uint8_t name[64];

    (void)state;
    memset(name, 'n', sizeof name);
    for (size_t n = 1; n < 60; n++) {
        struct trace trace = common();
        struct buf buf;
        size_t column = 0;
        trace.client_name = trace.by = trace.only_recipient = bytes_of(name, n);
        trace.connector = bytes_of(name, n / 2);
        buf = received(&trace);
        for (size_t i = 0; i < buf.n; i++) {
            column = buf.at[i] == '\n' ? 0 : column + 1;
            assert_true(column <= 78); /* with its CR */
        }
        buf_done(&buf);
    }
}

static void writes_the_other_fields(void **state)
{
    struct trace trace = common();
    struct buf buf;

    (void)state;
    buf_init(&buf, 1000);
    assert_int_equal(trace_date(trace.now, &buf), OK);
    assert_int_equal(trace_message_id(trace.mid, trace.by, &buf), OK);
    assert_int_equal(trace_from(BYTES("a@b"), false, &buf), OK);
    assert_int_equal(trace_from(BYTES("\303\274@b"), true, &buf), OK);
    assert_int_equal(trace_from(BYTES("\303\274@b"), false, &buf), OK);
    assert_int_equal(trace_from(BYTES_NONE, true, &buf), OK);
    assert_int_equal(trace_from(BYTES("a\r\nb"), true, &buf), OK);
    assert_int_equal(trace_return_path(BYTES("a@b"), &buf), OK);
    assert_int_equal(trace_return_path(BYTES_NONE, &buf), OK);
    assert_int_equal(trace_return_path(BYTES("a\r\nb"), &buf), OK);
    check_bytes("fields", buf_bytes(&buf),
        BYTES("Date: Mon, 21 Sep 2026 14:13:20 +0000\r\n"
              "Message-ID: <00112233445566778899aabbccddeeff@relay.example.com>\r\n"
              "From: <a@b>\r\n"
              "From: <\303\274@b>\r\n"
              "Return-Path: <a@b>\r\n"
              "Return-Path: <>\r\n"
              "Return-Path: <>\r\n"));
    buf_done(&buf);
}

static const struct taken_case {
    const char *name, *from;
    uint16_t generation;
    const char *text;
} taken_cases[] = {
    { "short", "ex01", 1,
        "X-Relais-Taken-Over: from ex01 by relay.example.com; generation 1;\r\n"
        "\tMon, 21 Sep 2026 14:13:20 +0000\r\n" },
    { "long names", "ex01.mail.north.example.com", 65535,
        "X-Relais-Taken-Over: from ex01.mail.north.example.com by relay.example.com;\r\n"
        "\tgeneration 65535; Mon, 21 Sep 2026 14:13:20 +0000\r\n" },
    { "nobody knows whose it was", "", 2,
        "X-Relais-Taken-Over: from unknown by relay.example.com; generation 2;\r\n"
        "\tMon, 21 Sep 2026 14:13:20 +0000\r\n" },
    { "bytes that would break it", "a\r\nb;c", 0,
        "X-Relais-Taken-Over: from a??b?c by relay.example.com; generation 0;\r\n"
        "\tMon, 21 Sep 2026 14:13:20 +0000\r\n" },
};

static void writes_taken_over(void **state)
{
    struct trace trace = common();

    (void)state;
    for (size_t i = 0; i < CASES(taken_cases); i++) {
        const struct taken_case *c = &taken_cases[i];
        struct buf buf;
        buf_init(&buf, 1000);
        check(c->name, trace_taken_over(bytes_text(c->from), trace.by, c->generation, trace.now,
                           &buf) == OK);
        check_bytes(c->name, buf_bytes(&buf), bytes_text(c->text));
        buf_done(&buf);
    }
}

static void a_full_buffer_stays_as_it_was(void **state)
{
    struct trace trace = common();

    (void)state;
    for (size_t bytes_max = 0; bytes_max < 100; bytes_max++) {
        struct buf buf;
        buf_init(&buf, bytes_max);
        assert_int_equal(trace_received(&trace, &buf), ERR_LIMIT);
        assert_int_equal(buf.n, 0);
        buf_done(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_received),
        cmocka_unit_test(says_how_it_came),
        cmocka_unit_test(a_client_cannot_break_the_field),
        cmocka_unit_test(replaces_what_would_break_it),
        cmocka_unit_test(folds_below_78_columns),
        cmocka_unit_test(writes_the_other_fields),
        cmocka_unit_test(writes_taken_over),
        cmocka_unit_test(a_full_buffer_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
