#include "kit.h"

#include "proto/smtp/params.h"

static const struct {
    const char *text;
    enum smtp_params want;
} mail_cases[] = {
    { "", SMTP_PARAMS_OK },
    { "  ", SMTP_PARAMS_OK },
    { " SIZE=1", SMTP_PARAMS_OK },
    { " size=18446744073709551615", SMTP_PARAMS_OK },
    { " SIZE=99999999999999999999", SMTP_PARAMS_OK },
    { " SIZE=100000000000000000000", SMTP_PARAMS_SYNTAX },
    { " SIZE", SMTP_PARAMS_SYNTAX },
    { " SIZE=", SMTP_PARAMS_SYNTAX },
    { " SIZE=-1", SMTP_PARAMS_SYNTAX },
    { " SIZE=1=2", SMTP_PARAMS_SYNTAX },
    { " SIZE=1 SIZE=1", SMTP_PARAMS_SYNTAX },
    { " BODY=7bit", SMTP_PARAMS_OK },
    { " BODY=8BITMIME", SMTP_PARAMS_OK },
    { " BODY=BINARYMIME", SMTP_PARAMS_OK },
    { " BODY=9BIT", SMTP_PARAMS_SYNTAX },
    { " SMTPUTF8", SMTP_PARAMS_OK },
    { " SMTPUTF8=1", SMTP_PARAMS_SYNTAX },
    { " RET=FULL", SMTP_PARAMS_OK },
    { " RET=HEAD", SMTP_PARAMS_SYNTAX },
    { " ENVID=a+2Bb+3D", SMTP_PARAMS_OK },
    { " ENVID=a+2", SMTP_PARAMS_SYNTAX },
    { " ENVID=a+zz", SMTP_PARAMS_SYNTAX },
    { " ENVID=\xc3\xa4", SMTP_PARAMS_SYNTAX },
    { " AUTH=<>", SMTP_PARAMS_OK },
    { " AUTH=a+40b", SMTP_PARAMS_OK },
    { " MT-PRIORITY=0", SMTP_PARAMS_OK },
    { " MT-PRIORITY=-9", SMTP_PARAMS_OK },
    { " MT-PRIORITY=9", SMTP_PARAMS_OK },
    { " MT-PRIORITY=10", SMTP_PARAMS_SYNTAX },
    { " MT-PRIORITY=-0", SMTP_PARAMS_SYNTAX },
    { " MT-PRIORITY=+1", SMTP_PARAMS_SYNTAX },
    { " MT-PRIORITY=-", SMTP_PARAMS_SYNTAX },
    { " NOTIFY=NEVER", SMTP_PARAMS_UNKNOWN },
    { " X-FOO", SMTP_PARAMS_UNKNOWN },
    { " =x", SMTP_PARAMS_SYNTAX },
    { " -X=y", SMTP_PARAMS_SYNTAX },
    { " X_Y=z", SMTP_PARAMS_SYNTAX },
    { "SIZE=1", SMTP_PARAMS_SYNTAX },
    { "\tSIZE=1", SMTP_PARAMS_SYNTAX },
    { " SIZE=1\tRET=FULL", SMTP_PARAMS_SYNTAX },
    { " X-FOO SIZE=x", SMTP_PARAMS_UNKNOWN },
    { " SIZE=x X-FOO", SMTP_PARAMS_SYNTAX },
};

static void reads_mail(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(mail_cases); i++) {
        struct smtp_mail mail = { 0 };
        enum smtp_params got = smtp_params_mail(bytes_text(mail_cases[i].text), &mail);
        check(mail_cases[i].text, got == mail_cases[i].want);
    }
}

static const struct {
    const char *text;
    enum smtp_params want, want_utf8; /* without and with SMTPUTF8 */
    uint8_t notify;
} rcpt_cases[] = {
    { "", SMTP_PARAMS_OK, SMTP_PARAMS_OK, 0 },
    { " NOTIFY=never", SMTP_PARAMS_OK, SMTP_PARAMS_OK, NOTIFY_NEVER },
    { " NOTIFY=SUCCESS,FAILURE,DELAY", SMTP_PARAMS_OK, SMTP_PARAMS_OK, 14 },
    { " NOTIFY=FAILURE,FAILURE", SMTP_PARAMS_OK, SMTP_PARAMS_OK, NOTIFY_FAILURE },
    { " NOTIFY=FAILURE,NEVER", SMTP_PARAMS_SYNTAX, SMTP_PARAMS_SYNTAX, 5 },
    { " NOTIFY=FAILURE,", SMTP_PARAMS_SYNTAX, SMTP_PARAMS_SYNTAX, 0 },
    { " NOTIFY=,FAILURE", SMTP_PARAMS_SYNTAX, SMTP_PARAMS_SYNTAX, 0 },
    { " NOTIFY=ALWAYS", SMTP_PARAMS_SYNTAX, SMTP_PARAMS_SYNTAX, 0 },
    { " ORCPT=rfc822;a+40b", SMTP_PARAMS_OK, SMTP_PARAMS_OK, 0 },
    { " ORCPT=rfc822;", SMTP_PARAMS_SYNTAX, SMTP_PARAMS_SYNTAX, 0 },
    { " ORCPT=;a", SMTP_PARAMS_SYNTAX, SMTP_PARAMS_SYNTAX, 0 },
    { " ORCPT=a@b", SMTP_PARAMS_SYNTAX, SMTP_PARAMS_SYNTAX, 0 },
    { " ORCPT=utf-8;\\x{E4}@b", SMTP_PARAMS_OK, SMTP_PARAMS_OK, 0 },
    { " ORCPT=utf-8;\xc3\xa4@b", SMTP_PARAMS_SYNTAX, SMTP_PARAMS_OK, 0 },
    { " ORCPT=rfc822;\xc3\xa4@b", SMTP_PARAMS_SYNTAX, SMTP_PARAMS_SYNTAX, 0 },
    { " SIZE=1", SMTP_PARAMS_UNKNOWN, SMTP_PARAMS_UNKNOWN, 0 },
};

static void reads_rcpt(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(rcpt_cases); i++) {
        const char *name = rcpt_cases[i].text;
        struct smtp_rcpt rcpt = { 0 }, utf8 = { 0 };

        check(name, smtp_params_rcpt(bytes_text(name), false, &rcpt) == rcpt_cases[i].want);
        check(name, smtp_params_rcpt(bytes_text(name), true, &utf8) == rcpt_cases[i].want_utf8);
        if (rcpt_cases[i].want == SMTP_PARAMS_OK)
            check(name, rcpt.notify == rcpt_cases[i].notify);
    }
}

static void keeps_the_values(void **state)
{
    struct smtp_mail mail = { 0 };
    struct smtp_rcpt rcpt = { 0 };

    (void)state;
    assert_int_equal(smtp_params_mail(BYTES(" SIZE=99999999999999999999 ENVID=e AUTH=a "
                                            "MT-PRIORITY=-9 RET=HDRS BODY=BINARYMIME"),
                         &mail),
        SMTP_PARAMS_OK);
    assert_true(mail.size_bytes == UINT64_MAX); /* over any limit */
    check_bytes("envid", mail.envid, BYTES("e"));
    check_bytes("auth", mail.auth, BYTES("a"));
    assert_int_equal(mail.priority, -9);
    assert_int_equal(mail.ret, RET_HDRS);
    assert_int_equal(mail.body, BODY_BINARYMIME);
    assert_int_equal(
        smtp_params_rcpt(BYTES(" ORCPT=rfc822;a+2Bb@c"), false, &rcpt), SMTP_PARAMS_OK);
    check_bytes("orcpt", rcpt.orcpt, BYTES("rfc822;a+2Bb@c"));
}

static void keeps_the_lengths(void **state)
{
    char text[600];
    struct smtp_mail mail;

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, " ENVID=", 7);
    assert_int_equal(smtp_params_mail(bytes_of(text, 107), &mail), SMTP_PARAMS_OK);
    assert_int_equal(smtp_params_mail(bytes_of(text, 108), &mail), SMTP_PARAMS_SYNTAX);
    memcpy(text, " AUTH=x", 7);
    assert_int_equal(smtp_params_mail(bytes_of(text, 506), &mail), SMTP_PARAMS_OK);
    assert_int_equal(smtp_params_mail(bytes_of(text, 507), &mail), SMTP_PARAMS_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_mail),
        cmocka_unit_test(reads_rcpt),
        cmocka_unit_test(keeps_the_values),
        cmocka_unit_test(keeps_the_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
