#include "shadow_kit.h"

#define MAIL "FROM:<a@example.com> SIZE=10312 XMID=" MID_5F " XSHADOW=COPY"

static const struct {
    const char *name, *text;
    enum shadow_params want;
    const char *again; /* where it is not the same */
} mails[] = {
    { "the least", MAIL, SHADOW_PARAMS_OK, NULL },
    { "the null sender", "FROM:<> SIZE=0 XMID=" MID_5F " XSHADOW=COPY", SHADOW_PARAMS_OK,
        NULL },
    { "no size", "FROM:<a@b> XMID=" MID_5F " XSHADOW=COPY", SHADOW_PARAMS_OK,
        "FROM:<a@b> SIZE=0 XMID=" MID_5F " XSHADOW=COPY" },
    { "all of SMTP's",
        MAIL " BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e+2B AUTH=<> MT-PRIORITY=-9",
        SHADOW_PARAMS_OK, NULL },
    { "all of ours",
        MAIL " XGEN=1 XFROM=" STORE_A " XCRASH=2 XDONE=1-40,42 XARRIVED=1790000000000 "
             "XPREPEND=312 XSESSION=00000000000000ff XCONNECTOR=Default+20Frontend XHELO=a+2Bb "
             "XADDR=2001:db8::1 XLOGIN=j+3Dd+C3+A4",
        SHADOW_PARAMS_OK, NULL },
    { "any order", "FROM:<a@b> XSHADOW=COPY XMID=" MID_5F " XCRASH=0 SIZE=1", SHADOW_PARAMS_OK,
        "FROM:<a@b> SIZE=1 XMID=" MID_5F " XSHADOW=COPY" },
    { "small letters", "from:<a@b> size=1 xmid=" MID_5F " xshadow=copy", SHADOW_PARAMS_OK,
        "FROM:<a@b> SIZE=1 XMID=" MID_5F " XSHADOW=COPY" },
    { "a quoted sender", "FROM:<\"a b\"@c> SIZE=1 XMID=" MID_5F " XSHADOW=COPY",
        SHADOW_PARAMS_OK, NULL },
    { "UTF-8 in it", "FROM:<\xc3\xa4@c> SIZE=1 XMID=" MID_5F " XSHADOW=COPY", SHADOW_PARAMS_OK,
        NULL },
    { "a sender without domain", "FROM:<root> SIZE=1 XMID=" MID_5F " XSHADOW=COPY",
        SHADOW_PARAMS_OK, NULL },
    { "no mid", "FROM:<a@b> SIZE=1 XSHADOW=COPY", SHADOW_PARAMS_SYNTAX, NULL },
    { "no XSHADOW", "FROM:<a@b> SIZE=1 XMID=" MID_5F, SHADOW_PARAMS_SYNTAX, NULL },
    { "no parameter", "FROM:<a@b>", SHADOW_PARAMS_SYNTAX, NULL },
    { "no path", "SIZE=1 XMID=" MID_5F " XSHADOW=COPY", SHADOW_PARAMS_SYNTAX, NULL },
    { "no brackets", "FROM:a@b SIZE=1 XMID=" MID_5F " XSHADOW=COPY", SHADOW_PARAMS_SYNTAX,
        NULL },
    { "a bad path", "FROM:<a@> XMID=" MID_5F " XSHADOW=COPY", SHADOW_PARAMS_SYNTAX, NULL },
    { "no space behind it", "FROM:<a@b>XMID=" MID_5F " XSHADOW=COPY", SHADOW_PARAMS_SYNTAX,
        NULL },
    { "nothing", "", SHADOW_PARAMS_SYNTAX, NULL },
    { "a hop", "FROM:<a@b> XMID=" MID_5F " XSHADOW=HOP", SHADOW_PARAMS_UNKNOWN, NULL },
    { "a short mid", "FROM:<a@b> XMID=5f XSHADOW=COPY", SHADOW_PARAMS_SYNTAX, NULL },
    { "an empty mid", "FROM:<a@b> XMID= XSHADOW=COPY", SHADOW_PARAMS_SYNTAX, NULL },
    { "a mid that is no value", "FROM:<a@b> XMID XSHADOW=COPY", SHADOW_PARAMS_SYNTAX, NULL },
    { "twice", MAIL " XSHADOW=COPY", SHADOW_PARAMS_SYNTAX, NULL },
    { "size twice", MAIL " SIZE=1", SHADOW_PARAMS_SYNTAX, NULL },
    { "SMTPUTF8 twice", MAIL " SMTPUTF8 SMTPUTF8", SHADOW_PARAMS_SYNTAX, NULL },
    { "an unknown one", MAIL " XLEASE=1", SHADOW_PARAMS_UNKNOWN, NULL },
    { "an unknown word", MAIL " X-LEASE", SHADOW_PARAMS_UNKNOWN, NULL },
    { "one that is none", MAIL " X_Y=1", SHADOW_PARAMS_SYNTAX, NULL },
    { "one without a name", MAIL " =1", SHADOW_PARAMS_SYNTAX, NULL },
    { "two spaces", MAIL "  XGEN=1", SHADOW_PARAMS_SYNTAX, NULL },
    { "a space at the end", MAIL " ", SHADOW_PARAMS_SYNTAX, NULL },
    { "a bad body", MAIL " BODY=9BIT", SHADOW_PARAMS_SYNTAX, NULL },
    { "a bad generation", MAIL " XGEN=65536", SHADOW_PARAMS_SYNTAX, NULL },
    { "taken over twice", MAIL " XGEN=2 XFROM=" STORE_A "," STORE_A, SHADOW_PARAMS_OK, NULL },
    { "taken over too often",
        MAIL " XFROM=" STORE_A "," STORE_A "," STORE_A "," STORE_A "," STORE_A,
        SHADOW_PARAMS_SYNTAX, NULL },
    { "an empty store", MAIL " XFROM=" STORE_A ",", SHADOW_PARAMS_SYNTAX, NULL },
    { "a bad store", MAIL " XFROM=1", SHADOW_PARAMS_SYNTAX, NULL },
    { "the store that is none", MAIL " XFROM=00000000000000000000000000000000",
        SHADOW_PARAMS_SYNTAX, NULL },
    { "a bad crash count", MAIL " XCRASH=256", SHADOW_PARAMS_SYNTAX, NULL },
    { "a bad list", MAIL " XDONE=2,1", SHADOW_PARAMS_SYNTAX, NULL },
    { "an empty list", MAIL " XDONE=", SHADOW_PARAMS_SYNTAX, NULL },
    { "a bad time", MAIL " XARRIVED=-1", SHADOW_PARAMS_SYNTAX, NULL },
    { "more before than there is", MAIL " XPREPEND=10313", SHADOW_PARAMS_SYNTAX, NULL },
    { "a bad session", MAIL " XSESSION=ff", SHADOW_PARAMS_SYNTAX, NULL },
    { "bad xtext", MAIL " XHELO=a+2", SHADOW_PARAMS_SYNTAX, NULL },
    { "xtext of small letters", MAIL " XHELO=a+2b", SHADOW_PARAMS_SYNTAX, NULL },
    { "xtext with an equals sign", MAIL " XLOGIN=a=b", SHADOW_PARAMS_SYNTAX, NULL },
    { "xtext beyond ASCII", MAIL " XCONNECTOR=\xc3\xa4", SHADOW_PARAMS_SYNTAX, NULL },
    { "a bad address", MAIL " XADDR=192.0.2", SHADOW_PARAMS_SYNTAX, NULL },
};

static void check_again(const char *name, const struct shadow_copy *copy, const char *want)
{
    struct buf out;

    buf_init(&out, 1 << 17);
    check(name, shadow_add_copy(&out, copy) == OK);
    check(name, bytes_starts(buf_bytes(&out), BYTES("MAIL ")));
    check_bytes(name, bytes_of(out.at + 5, out.n - 7), bytes_text(want));
    buf_done(&out);
}

static void reads_mail(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(mails); i++) {
        struct bytes text = bytes_text(mails[i].text);
        struct shadow_copy copy = { .prepend_bytes = 77 };
        uint8_t scratch[2000];
        enum shadow_params got = shadow_parse_mail(text, scratch, &copy);

        check(mails[i].name, got == mails[i].want);
        if (got == SHADOW_PARAMS_OK)
            check_again(mails[i].name, &copy, mails[i].again ? mails[i].again : mails[i].text);
        else
            check(mails[i].name, copy.prepend_bytes == 77);
    }
}

/* Nothing is read behind the end, and no scratch is used beyond it. */
static void reads_every_beginning(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(mails); i++) {
        struct bytes text = bytes_text(mails[i].text);

        for (size_t n = 0; n < text.n; n++) {
            struct shadow_copy copy;
            uint8_t *scratch = test_malloc(n + 1), *line = test_malloc(n + 1);

            memcpy(line, text.at, n);
            if (shadow_parse_mail(bytes_of(line, n), scratch, &copy) == SHADOW_PARAMS_OK)
                check(mails[i].name, n > 60);
            test_free(scratch);
            test_free(line);
        }
    }
}

static const struct {
    const char *text;
    enum shadow_params want;
    const char *again;
} rcpts[] = {
    { "TO:<b@example.com>", SHADOW_PARAMS_OK, NULL },
    { "TO:<b@example.com> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2Bb@c", SHADOW_PARAMS_OK,
        NULL },
    { "TO:<b@example.com> NOTIFY=NEVER", SHADOW_PARAMS_OK, NULL },
    { "TO:<b@c> NOTIFY=SUCCESS ORCPT=rfc822;b@c XEXPANDED", SHADOW_PARAMS_OK, NULL },
    { "TO:<b@c> XEXPANDED", SHADOW_PARAMS_OK, NULL },
    { "TO:<b@c> XEXPANDED XEXPANDED", SHADOW_PARAMS_UNKNOWN, NULL },
    { "TO:<b@c> XEXPANDED NOTIFY=NEVER", SHADOW_PARAMS_UNKNOWN, NULL },
    { "TO:<b@c>XEXPANDED", SHADOW_PARAMS_SYNTAX, NULL },
    { "to:<postmaster>", SHADOW_PARAMS_OK, "TO:<postmaster>" },
    { "TO:<b@[192.0.2.1]>", SHADOW_PARAMS_OK, NULL },
    { "TO:<\"b b\"@c>", SHADOW_PARAMS_OK, NULL },
    { "TO:<\xc3\xa4@\xc3\xa4.example> ORCPT=utf-8;\xc3\xa4@c", SHADOW_PARAMS_OK, NULL },
    { "TO:<@x,@y:b@c>", SHADOW_PARAMS_OK, "TO:<b@c>" },
    { "TO:<>", SHADOW_PARAMS_SYNTAX, NULL },
    { "TO:<b@>", SHADOW_PARAMS_SYNTAX, NULL },
    { "TO:b@c", SHADOW_PARAMS_SYNTAX, NULL },
    { "TO:<b@c>NOTIFY=NEVER", SHADOW_PARAMS_SYNTAX, NULL },
    { "TO:<b@c> NOTIFY=NEVER,DELAY", SHADOW_PARAMS_SYNTAX, NULL },
    { "TO:<b@c> ORCPT=b@c", SHADOW_PARAMS_SYNTAX, NULL },
    { "TO:<b@c> XDONE", SHADOW_PARAMS_UNKNOWN, NULL },
    { "FROM:<b@c>", SHADOW_PARAMS_SYNTAX, NULL },
    { "", SHADOW_PARAMS_SYNTAX, NULL },
};

static void reads_rcpt(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(rcpts); i++) {
        struct recipient recipient;
        struct shadow_copy copy = { .recipients = &recipient, .recipient_count = 1 };
        const char *again = rcpts[i].again ? rcpts[i].again : rcpts[i].text;
        struct bytes behind;
        struct buf out;

        check(rcpts[i].text,
            shadow_parse_rcpt(bytes_text(rcpts[i].text), &recipient) == rcpts[i].want);
        if (rcpts[i].want != SHADOW_PARAMS_OK)
            continue;
        buf_init(&out, 1000);
        check(rcpts[i].text, shadow_add_copy(&out, &copy) == OK);
        behind = bytes_skip(buf_bytes(&out), bytes_find(buf_bytes(&out), '\n') + 1);
        check(rcpts[i].text, bytes_starts(behind, BYTES("RCPT ")));
        check_bytes(rcpts[i].text, bytes_of(behind.at + 5, behind.n - 7), bytes_text(again));
        buf_done(&out);
    }
}

static void keeps_the_values(void **state)
{
    struct shadow_copy copy;
    uint8_t scratch[1000];

    (void)state;
    assert_int_equal(shadow_parse_mail(BYTES("FROM:<a@b> XMID=" MID_5F " XSHADOW=COPY SIZE=100 "
                                             "XPREPEND=30 XGEN=3 XSESSION=0102030405060708 "
                                             "XHELO=a+20b XLOGIN=u XADDR=192.0.2.1"),
                         scratch, &copy),
        SHADOW_PARAMS_OK);
    assert_true(mid_equal(copy.mid, mid_of(MID_5F)));
    assert_int_equal(copy.generation, 3);
    assert_int_equal(copy.prepend_bytes, 30);
    assert_true(copy.envelope.content_bytes == 70);
    assert_true(copy.envelope.session.n == 0x0102030405060708);
    check_bytes("helo", copy.envelope.client_name, BYTES("a b"));
    check_bytes("login", copy.envelope.client_user, BYTES("u"));
    check_bytes("address", copy.envelope.client_ip, BYTES("192.0.2.1"));
}

/* Every byte that a client may have given comes over. */
static void carries_every_byte(void **state)
{
    struct shadow_copy copy = { .mid = mid_of(MID_5F) }, again;
    uint8_t name[256], scratch[2000];
    struct buf out;

    (void)state;
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = (uint8_t)i;
    copy.envelope.client_name = copy.envelope.connector = bytes_of(name, sizeof name);
    buf_init(&out, 4096);
    assert_int_equal(shadow_add_copy(&out, &copy), OK);
    assert_int_equal(
        shadow_parse_mail(bytes_of(out.at + 5, out.n - 7), scratch, &again), SHADOW_PARAMS_OK);
    check_bytes("name", again.envelope.client_name, bytes_of(name, sizeof name));
    check_bytes("connector", again.envelope.connector, bytes_of(name, sizeof name));
    buf_done(&out);
}

static void refuses_what_fits_no_line(void **state)
{
    static const uint8_t name[SHADOW_LINE_BYTES_MAX / 3];
    struct shadow_copy copy = { .envelope.client_name = bytes_of(name, sizeof name) };
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 20);
    assert_int_equal(shadow_add_copy(&out, &copy), ERR_LIMIT);
    assert_int_equal(out.n, 0);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_mail),
        cmocka_unit_test(reads_every_beginning),
        cmocka_unit_test(reads_rcpt),
        cmocka_unit_test(keeps_the_values),
        cmocka_unit_test(carries_every_byte),
        cmocka_unit_test(refuses_what_fits_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
