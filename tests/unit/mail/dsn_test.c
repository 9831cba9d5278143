#include "kit.h"

#include "mail/dsn.h"

#include <stdio.h>
#include <stdlib.h>

static const struct mid own_mid = { { 0xAB, [15] = 1 } };

static const struct dsn_recipient failed = {
    .address = BYTES("nobody@example.net"),
    .orcpt = BYTES("rfc822;no+2Bbody@example.net"),
    .action = DSN_FAILED,
    .status = { 5, 1, 1 },
    .remote_host = BYTES("mx.example.net[192.0.2.1]:25"),
    .reply = BYTES("550 5.1.1 no such user"),
    .last_attempt = { 1790000001000 },
};

static struct dsn common(const struct dsn_recipient *recipients, size_t n)
{
    return (struct dsn){
        .mid = own_mid,
        .fqdn = BYTES("relay.example.com"),
        .to = BYTES("sender@example.com"),
        .envid = BYTES("QQ+2B314"),
        .arrived = { 1790000000000 },
        .now = { 1790000002000 },
        .original_message_id = BYTES("<1@example.com>"),
        .recipients = recipients,
        .recipient_count = n,
        .original_prepend = BYTES("Received: from x\r\n"),
        .original = BYTES("Subject: hi\r\n\r\nbody\r\n"),
    };
}

static char *format(const struct dsn *dsn)
{
    struct buf buf;
    buf_init(&buf, 1 << 20);
    assert_int_equal(dsn_format(dsn, &buf), OK);
    return buf_take_text(&buf);
}

#define B "--=_ab000000000000000000000000000001.0"

static void writes_a_failure(void **state)
{
    struct dsn dsn = common(&failed, 1);
    char *text = format(&dsn);

    (void)state;
    check_bytes("whole", bytes_text(text),
        BYTES("From: Mail Delivery System <MAILER-DAEMON@relay.example.com>\r\n"
              "To: <sender@example.com>\r\n"
              "Subject: Undeliverable mail returned to its sender\r\n"
              "Date: Mon, 21 Sep 2026 14:13:22 +0000\r\n"
              "Message-ID: <ab000000000000000000000000000001@relay.example.com>\r\n"
              "In-Reply-To: <1@example.com>\r\n"
              "References: <1@example.com>\r\n"
              "Auto-Submitted: auto-replied\r\n"
              "MIME-Version: 1.0\r\n"
              "Content-Type: multipart/report; report-type=delivery-status;\r\n"
              "\tboundary=\"=_ab000000000000000000000000000001.0\"\r\n"
              "\r\n"
              "This is a report in the format of RFC 3464.\r\n"
              "\r\n" B "\r\n"
              "Content-Type: text/plain; charset=us-ascii\r\n"
              "\r\n"
              "This is the mail system at relay.example.com.\r\n"
              "\r\n"
              "The message could not be delivered to the following recipients. It is not\r\n"
              "tried again for them.\r\n"
              "\r\n"
              "   nobody@example.net\r\n"
              "      The server mx.example.net[192.0.2.1]:25 said: 550 5.1.1 no such user\r\n"
              "\r\n" B "\r\n"
              "Content-Type: message/delivery-status\r\n"
              "\r\n"
              "Original-Envelope-Id: QQ+314\r\n"
              "Reporting-MTA: dns; relay.example.com\r\n"
              "Arrival-Date: Mon, 21 Sep 2026 14:13:20 +0000\r\n"
              "\r\n"
              "Original-Recipient: rfc822;no+body@example.net\r\n"
              "Final-Recipient: rfc822; nobody@example.net\r\n"
              "Action: failed\r\n"
              "Status: 5.1.1\r\n"
              "Remote-MTA: dns; mx.example.net\r\n"
              "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
              "Last-Attempt-Date: Mon, 21 Sep 2026 14:13:21 +0000\r\n"
              "\r\n" B "\r\n"
              "Content-Type: message/rfc822\r\n"
              "\r\n"
              "Received: from x\r\n"
              "Subject: hi\r\n"
              "\r\n"
              "body\r\n"
              "\r\n" B "--\r\n"));
    free(text);
}

/* Each fact stands in the text, or with a "!" before it does not. */
static void check_facts(const char *name, const struct dsn *dsn, const char *const *facts)
{
    char *text = format(dsn);

    for (; *facts; facts++) {
        bool is_absent = **facts == '!';
        if ((strstr(text, *facts + is_absent) == NULL) != is_absent)
            fail_msg("%s: %s in\n%s", name, *facts, text);
    }
    free(text);
}

static void says_each_kind(void **state)
{
    static const struct dsn_recipient all[] = {
        { .address = BYTES("f@x"), .action = DSN_FAILED },
        { .address = BYTES("y@x"),
            .action = DSN_DELAYED,
            .will_retry_until = { 1790000000000 } },
        { .address = BYTES("d@x"), .action = DSN_DELIVERED, .status = { 2, 1, 5 } },
        { .address = BYTES("r@x"), .action = DSN_RELAYED },
        { .address = BYTES("e@x"), .action = DSN_EXPANDED },
    };
    static const char *const facts[][8] = {
        { "Subject: Undeliverable", "Action: failed\r\nStatus: 5.0.0\r\n", "!Will-Retry",
            "!Remote-MTA", "!Diagnostic", NULL },
        { "Subject: Delayed", "Action: delayed\r\nStatus: 4.0.0\r\n",
            "Will-Retry-Until: Mon, 21 Sep 2026 14:13:20 +0000\r\n", "It is tried until Mon,",
            NULL },
        { "Subject: Mail was delivered\r\n", "Action: delivered\r\nStatus: 2.1.5\r\n", NULL },
        { "Subject: Mail was relayed\r\n", "Action: relayed\r\nStatus: 2.0.0\r\n", NULL },
        { "Subject: Mail was delivered to a list", "Action: expanded\r\nStatus: 2.0.0", NULL },
    };
    static const char *const together[] = { "Subject: Undeliverable", "Action: failed",
        "Action: delayed", "Action: delivered", "Action: relayed", "Action: expanded", NULL };
    struct dsn dsn;

    (void)state;
    for (size_t i = 0; i < CASES(all); i++) {
        dsn = common(&all[i], 1);
        check_facts(facts[i][0], &dsn, facts[i]);
    }
    dsn = common(all, CASES(all));
    check_facts("all in one", &dsn, together);
}

/* RFC 3464, 2.3.5: a domain or an address literal. */
static void names_the_remote_host(void **state)
{
    static const struct {
        const char *host, *facts[4];
    } cases[] = {
        { "mx.example.net", { "\r\nRemote-MTA: dns; mx.example.net\r\n" } },
        { "mx.example.net[2001:db8::1]:25", { "\r\nRemote-MTA: dns; mx.example.net\r\n" } },
        { "192.0.2.1[192.0.2.1]:25", { "\r\nRemote-MTA: dns; [192.0.2.1]\r\n",
                                         "The server 192.0.2.1[192.0.2.1]:25 said: 550 no" } },
        { "2001:DB8:0::1[2001:db8::1]:25", { "\r\nRemote-MTA: dns; [IPv6:2001:db8::1]\r\n" } },
        { "/run/dovecot/lmtp", { "!Remote-MTA", "!/run", "      The server said: 550 no" } },
        { "\xC3\xA4.example[192.0.2.1]:25", { "!Remote-MTA" } },
        { "two words[192.0.2.1]:25", { "!Remote-MTA" } },
        { "[192.0.2.1]:25", { "!Remote-MTA" } },
        { "", { "!Remote-MTA", "!The server", "      550 no" } },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct dsn_recipient recipient = { .address = BYTES("a@x"),
            .action = DSN_FAILED,
            .remote_host = bytes_text(cases[i].host),
            .reply = BYTES("550 no") };
        struct dsn dsn = common(&recipient, 1);
        check_facts(cases[i].host, &dsn, cases[i].facts);
    }
}

static void our_word_is_not_the_hosts(void **state)
{
    static const char *const facts[] = { "Remote-MTA: dns; mx.example.net\r\n", "!The server",
        "      550 5.1.1 no such user\r\n", NULL };
    struct dsn_recipient recipient = failed;
    struct dsn dsn = common(&recipient, 1);

    (void)state;
    recipient.is_own_reply = true;
    check_facts("ours", &dsn, facts);
}

static void chooses_the_types(void **state)
{
    static const struct dsn_recipient utf8 = {
        .address = BYTES("\xC3\xA4@x"), .orcpt = BYTES("utf-8;\\x{E4}@x"), .action = DSN_FAILED
    };
    static const char *const plain_headers[] = { "Content-Type: text/rfc822-headers\r\n\r\n",
        "Subject: hi\r\n\r\n", "!\r\nbody", NULL };
    static const char *const with_8bit[] = {
        "\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\nThis",
        "message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        "Content-Type: message/delivery-status\r\n\r\n", NULL
    };
    static const char *const global[] = {
        "text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        "message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        "message/global\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        "Final-Recipient: utf-8; \xC3\xA4@x\r\n", "Original-Recipient: utf-8;\\x{E4}@x\r\n",
        NULL
    };
    static const char *const global_headers[] = {
        "message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", "!\r\nbody", NULL
    };
    struct dsn dsn = common(&failed, 1);

    (void)state;
    dsn.headers_only = true;
    check_facts("headers", &dsn, plain_headers);
    dsn.headers_only = false;
    dsn.has_8bit = true;
    check_facts("8bit", &dsn, with_8bit);
    dsn = common(&utf8, 1);
    dsn.is_utf8 = dsn.has_8bit = true;
    check_facts("global", &dsn, global);
    dsn.headers_only = true;
    check_facts("global headers", &dsn, global_headers);
}

static void nothing_foreign_breaks_a_field(void **state)
{
    static const struct dsn_recipient evil = {
        .address = BYTES("\"a  b\"@x\r\nBcc: y"),
        .orcpt = BYTES("rfc822;a+0D+0ABcc:+20y"),
        .action = DSN_FAILED,
        .remote_host = BYTES("mx\r\nBcc: y"),
        .reply = BYTES("550 no\r\nBcc: y\r\n\r\n--=_ab\xC3\xA4"),
    };
    static const char *const facts[] = { "!\nBcc", "!\n--=_ab\xC3", "!\xC3",
        "Final-Recipient: rfc822; \"a  b\"@x??Bcc: y\r\n",
        "Original-Recipient: rfc822;a+0D+0ABcc:+20y\r\n", "Original-Envelope-Id: a+0Ab\r\n",
        "!References", NULL };
    struct dsn dsn = common(&evil, 1);

    (void)state;
    dsn.to = BYTES("a@b>\r\nBcc: y");
    dsn.envid = BYTES("a+0Ab");
    dsn.original_message_id = BYTES("<a@b>\r\nBcc: <y>");
    check_facts("evil", &dsn, facts);
}

static void the_boundary_is_not_in_the_original(void **state)
{
    static const char *const facts[] = { "boundary=\"=_ab000000000000000000000000000001.2\"",
        "\r\n\r\n--=_ab000000000000000000000000000001.2--\r\n", NULL };
    struct dsn dsn = common(&failed, 1);

    (void)state;
    dsn.original = BYTES("Subject: " B "\r\n\r\n--=_ab000000000000000000000000000001.1\r\n");
    check_facts("boundary", &dsn, facts);
}

static void no_line_of_ours_is_too_long(void **state)
{
    static uint8_t reply[5000];
    struct dsn_recipient recipient = failed;
    struct dsn dsn = common(&recipient, 1);
    struct buf buf;
    size_t column = 0;

    (void)state;
    memset(reply, 'r', sizeof reply);
    recipient.reply = bytes_of(reply, sizeof reply);
    buf_init(&buf, 1 << 20);
    assert_int_equal(dsn_format(&dsn, &buf), OK);
    for (size_t i = 0; i < buf.n; i++) {
        column = buf.at[i] == '\n' ? 0 : column + 1;
        assert_true(column <= 999); /* with its CR */
    }
    buf_done(&buf);
}

static void a_full_buffer_stays_as_it_was(void **state)
{
    struct dsn dsn = common(&failed, 1);
    char *whole = format(&dsn);
    size_t n = strlen(whole);

    (void)state;
    for (size_t bytes_max = 0; bytes_max < n; bytes_max += 7) {
        struct buf buf;
        buf_init(&buf, bytes_max);
        assert_int_equal(dsn_format(&dsn, &buf), ERR_LIMIT);
        assert_int_equal(buf.n, 0);
        buf_done(&buf);
    }
    free(whole);
}

static void its_id_is_made_of_what_it_is_about(void **state)
{
    static const uint32_t one[] = { 1 }, two[] = { 1, 2 }, other[] = { 2 };
    struct mid original = { { 7 } }, another = { { 8 } };
    struct mid mid = dsn_mid(original, one, 1, DSN_FAILED);
    char text[ID_TEXT_BYTES];

    (void)state;
    assert_true(mid_equal(mid, dsn_mid(original, one, 1, DSN_FAILED)));
    assert_false(mid_equal(mid, dsn_mid(original, other, 1, DSN_FAILED)));
    assert_false(mid_equal(mid, dsn_mid(original, two, 2, DSN_FAILED)));
    assert_false(mid_equal(mid, dsn_mid(original, one, 1, DSN_DELAYED)));
    assert_false(mid_equal(mid, dsn_mid(another, one, 1, DSN_FAILED)));
    mid_format(mid, text); /* nodes of different versions must agree: it never changes */
    assert_string_equal(text, "f86a89089d217276e24b02d6fe65565f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_failure),
        cmocka_unit_test(says_each_kind),
        cmocka_unit_test(names_the_remote_host),
        cmocka_unit_test(our_word_is_not_the_hosts),
        cmocka_unit_test(chooses_the_types),
        cmocka_unit_test(nothing_foreign_breaks_a_field),
        cmocka_unit_test(the_boundary_is_not_in_the_original),
        cmocka_unit_test(no_line_of_ours_is_too_long),
        cmocka_unit_test(a_full_buffer_stays_as_it_was),
        cmocka_unit_test(its_id_is_made_of_what_it_is_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
