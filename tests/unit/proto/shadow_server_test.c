#include "shadow_kit.h"

#include "shadow_server_kit.h"

static const struct shadow_server_config config = {
    .fqdn = BYTES("ex01.test"),
    .size_bytes_max = 1000,
    .in_flight_max = 4,
};

#define BANNER "220 ex01.test ESMTP\r\n"
#define EHLO "EHLO ex02.test\r\n"
#define EHLO_SAID                                                                              \
    "250-ex01.test\r\n250-XSHADOW 1\r\n250-CHUNKING\r\n250-PIPELINING\r\n250-8BITMIME\r\n"     \
    "250-BINARYMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250-MT-PRIORITY\r\n"                         \
    "250-ENHANCEDSTATUSCODES\r\n250 SIZE 1000\r\n"
#define XSHADOW "XSHADOW 1 2 NODE=ex02.test STORE=" STORE_B " POS=5512\r\n"
#define XSHADOW_SAID                                                                           \
    "250 2.0.0 NODE=ex01.test STORE=0c5e0000000000000000000000000000 POS=81723 VERSION=1\r\n"
#define XSHADOW_DONE "HELLO ex02.test 6 5512\n"

#define UP EHLO XSHADOW
#define MAIL_OF(mid) "MAIL FROM:<a@b.test> SIZE=5 XMID=" mid " XSHADOW=COPY\r\n"
#define RCPT "RCPT TO:<c@d.test>\r\n"
#define BDAT "BDAT 5 LAST\r\nhello"
#define COPY_OF(mid) MAIL_OF(mid) RCPT BDAT
#define OK_MAIL "250 2.1.0 OK\r\n"
#define OK_RCPT "250 2.1.5 OK\r\n"
#define OK_REST "250 2.0.0 OK\r\n"
#define NOT_NOW "503 5.5.1 not now\r\n"
#define MALFORMED "501 5.5.4 malformed\r\n"
#define DURABLE(mid) "250 2.6.0 " mid " durable\r\n"

#define MID_D0 "d0000000000000000000000000000001"
#define MID_D1 "d1000000000000000000000000000001"
#define MID_E0 "e0000000000000000000000000000001"
#define MID_E1 "e1000000000000000000000000000001"
#define MID_E3 "e3000000000000000000000000000001"

/* What is read, what is said behind the banner, and what is done. */
static const struct {
    const char *name, *in, *said, *done;
} cases[] = {
    { "an introduction", UP, EHLO_SAID XSHADOW_SAID, XSHADOW_DONE },
    { "nothing before EHLO", XSHADOW MAIL_OF(MID_5F) "XQDISCARD 5\r\nHELP\r\nNOOP\r\n",
        NOT_NOW NOT_NOW NOT_NOW NOT_NOW OK_REST,
        "FAULT XSHADOW 1 2 NODE=ex02.test STORE=" STORE_B " POS=5512\n"
        "FAULT MAIL FROM:<a@b.test> SIZE=5 XMID=" MID_5F " XSHADOW=COPY\n"
        "FAULT XQDISCARD 5\nFAULT HELP\n" },
    { "nothing before XSHADOW", EHLO "RSET\r\nXQTAKEN 1 x\r\nBDAT 4 LAST\r\nQUITQUIT\r\n",
        EHLO_SAID NOT_NOW NOT_NOW NOT_NOW "221 2.0.0 bye\r\n",
        "FAULT RSET\nFAULT XQTAKEN 1 x\nFAULT BDAT\nCLOSE\n" },
    { "EHLO without a name", "EHLO\r\n", MALFORMED, "FAULT EHLO\n" },
    { "a node that is none", EHLO "XSHADOW 1 NODE=bad.test STORE=" STORE_B " POS=1\r\n" XSHADOW,
        EHLO_SAID "530 5.7.0 not a node of this organisation\r\n" XSHADOW_SAID,
        "HELLO bad.test 2 1\n" XSHADOW_DONE },
    { "another version", EHLO "XSHADOW 2 77 NODE=ex02.test STORE=" STORE_B " POS=1\r\n",
        EHLO_SAID "555 5.5.4 version not known, known: 1\r\n", "" },
    { "a bad introduction", EHLO "XSHADOW 1 NODE=ex02.test\r\n", EHLO_SAID MALFORMED,
        "FAULT XSHADOW 1 NODE=ex02.test\n" },
    { "a second introduction", UP XSHADOW, EHLO_SAID XSHADOW_SAID NOT_NOW,
        XSHADOW_DONE "FAULT XSHADOW 1 2 NODE=ex02.test STORE=" STORE_B " POS=5512\n" },
    { "a copy", UP COPY_OF(MID_5F), EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT DURABLE(MID_5F),
        XSHADOW_DONE "BEGIN 1\n" MAIL_OF(MID_5F) RCPT "END 1 hello\n" },
    { "EHLO again", UP MAIL_OF(MID_5F) EHLO COPY_OF(MID_60),
        EHLO_SAID XSHADOW_SAID OK_MAIL EHLO_SAID OK_MAIL OK_RCPT DURABLE(MID_60),
        XSHADOW_DONE "BEGIN 1\n" MAIL_OF(MID_60) RCPT "END 1 hello\n" },
    { "two copies", UP COPY_OF(MID_5F) COPY_OF(MID_60),
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT DURABLE(MID_5F) OK_MAIL OK_RCPT DURABLE(MID_60),
        XSHADOW_DONE "BEGIN 1\n" MAIL_OF(MID_5F) RCPT "END 1 hello\nBEGIN 2\n" MAIL_OF(MID_60)
            RCPT "END 2 hello\n" },
    { "chunks",
        UP MAIL_OF(MID_5F) RCPT RCPT "BDAT 2\r\nheBDAT 0\r\nBDAT 3\r\nlloBDAT 0 LAST\r\n",
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT OK_RCPT
        "250 2.0.0 2 octets\r\n250 2.0.0 0 octets\r\n250 2.0.0 3 octets\r\n" DURABLE(MID_5F),
        XSHADOW_DONE "BEGIN 1\n" MAIL_OF(MID_5F) RCPT RCPT "END 1 hello\n" },
    { "no content", UP MAIL_OF(MID_5F) RCPT "BDAT 0 LAST\r\n",
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT DURABLE(MID_5F),
        XSHADOW_DONE "BEGIN 1\n" MAIL_OF(MID_5F) RCPT "END 1 \n" },
    { "settled already", UP COPY_OF(MID_D0) COPY_OF(MID_5F),
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT "250 2.6.0 " MID_D0
                                               " settled\r\n" OK_MAIL OK_RCPT DURABLE(MID_5F),
        XSHADOW_DONE "BEGIN 1\n" MAIL_OF(MID_D0) RCPT "BEGIN 2\n" MAIL_OF(MID_5F) RCPT
        "END 2 hello\n" },
    { "refused before its content", UP COPY_OF(MID_D1),
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT "554 5.6.0 another envelope\r\n",
        XSHADOW_DONE "BEGIN 1\n" MAIL_OF(MID_D1) RCPT },
    { "busy, moved, full", UP COPY_OF(MID_E0) COPY_OF(MID_E1) COPY_OF(MID_E3),
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT
        "450 4.5.0 " MID_E0 " busy in acceptance\r\n" OK_MAIL OK_RCPT "250 2.6.0 " MID_E1
        " moved ex03.test 77000000000000000000000000000000\r\n" OK_MAIL OK_RCPT
        "452 4.3.1 full\r\n",
        XSHADOW_DONE "BEGIN 1\n" MAIL_OF(MID_E0) RCPT "END 1 hello\nBEGIN 2\n" MAIL_OF(MID_E1)
            RCPT "END 2 hello\nBEGIN 3\n" MAIL_OF(MID_E3) RCPT "END 3 hello\n" },
    { "given up inside", UP MAIL_OF(MID_5F) RCPT "BDAT 4\r\nBOOMBDAT 1 LAST\r\n!NOOP\r\n",
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT
        "250 2.0.0 4 octets\r\n452 4.3.1 gave up\r\n" OK_REST,
        XSHADOW_DONE "BEGIN 1\n" MAIL_OF(MID_5F) RCPT "LOST 1\n" },
    { "MAIL malformed", UP "MAIL FROM:<a@b> XSHADOW=COPY\r\n" RCPT RCPT BDAT "NOOP\r\n",
        EHLO_SAID XSHADOW_SAID MALFORMED NOT_NOW NOT_NOW NOT_NOW OK_REST,
        XSHADOW_DONE "FAULT MAIL FROM:<a@b> XSHADOW=COPY\n" },
    { "MAIL of a later version", UP "MAIL FROM:<> XMID=" MID_5F " XSHADOW=COPY XNEW=1\r\n" BDAT,
        EHLO_SAID XSHADOW_SAID "555 5.5.4 unknown parameter\r\n" NOT_NOW, XSHADOW_DONE },
    { "a hop", UP "MAIL FROM:<> XMID=" MID_5F " XSHADOW=HOP\r\n",
        EHLO_SAID XSHADOW_SAID "555 5.5.4 unknown parameter\r\n", XSHADOW_DONE },
    { "MAIL too large", UP "MAIL FROM:<> SIZE=1001 XMID=" MID_5F " XSHADOW=COPY\r\n" RCPT BDAT,
        EHLO_SAID XSHADOW_SAID "552 5.3.4 larger than is taken here\r\n" NOT_NOW NOT_NOW,
        XSHADOW_DONE },
    { "RCPT malformed", UP MAIL_OF(MID_5F) RCPT "RCPT TO:<x@>\r\nRCPT TO:x\r\n" BDAT "NOOP\r\n",
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT
        "501 5.5.4 a recipient was malformed\r\n501 5.5.4 a recipient was malformed\r\n"
        "501 5.5.4 a recipient was malformed\r\n" OK_REST,
        XSHADOW_DONE "FAULT RCPT TO:<x@>\n" },
    { "RCPT of a later version", UP MAIL_OF(MID_5F) "RCPT TO:<x@y> NEW=1\r\n" RCPT BDAT,
        EHLO_SAID XSHADOW_SAID OK_MAIL "555 5.5.4 unknown parameter\r\n" OK_RCPT
                                       "555 5.5.4 unknown parameter\r\n",
        XSHADOW_DONE },
    { "done of nobody", UP "MAIL FROM:<> XMID=" MID_5F " XSHADOW=COPY XDONE=1-2\r\n" RCPT BDAT,
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT "501 5.5.4 XDONE has no such recipients\r\n",
        XSHADOW_DONE },
    { "less than it should be",
        UP "MAIL FROM:<> SIZE=6 XMID=" MID_5F " XSHADOW=COPY XPREPEND=6\r\n" RCPT BDAT,
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT "501 5.5.4 less content than XPREPEND says\r\n",
        XSHADOW_DONE "BEGIN 1\nMAIL FROM:<> SIZE=6 XMID=" MID_5F
                     " XSHADOW=COPY XPREPEND=6\r\n" RCPT "ABANDON 1\n" },
    { "more than is taken", UP MAIL_OF(MID_5F) RCPT "BDAT 5\r\nhelloBDAT 996\r\n",
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT "250 2.0.0 5 octets\r\n",
        XSHADOW_DONE "BEGIN 1\n" MAIL_OF(MID_5F) RCPT "ABANDON 1\n" },
    { "MAIL twice", UP MAIL_OF(MID_5F) MAIL_OF(MID_60) RCPT BDAT,
        EHLO_SAID XSHADOW_SAID OK_MAIL NOT_NOW OK_RCPT DURABLE(MID_5F),
        XSHADOW_DONE "FAULT MAIL FROM:<a@b.test> SIZE=5 XMID=" MID_60
                     " XSHADOW=COPY\nBEGIN 1\n" MAIL_OF(MID_5F) RCPT "END 1 hello\n" },
    { "BDAT without RCPT", UP MAIL_OF(MID_5F) BDAT RCPT BDAT,
        EHLO_SAID XSHADOW_SAID OK_MAIL NOT_NOW OK_RCPT DURABLE(MID_5F),
        XSHADOW_DONE "FAULT BDAT\nBEGIN 1\n" MAIL_OF(MID_5F) RCPT "END 1 hello\n" },
    { "BDAT without MAIL", UP BDAT "NOOP\r\n", EHLO_SAID XSHADOW_SAID NOT_NOW OK_REST,
        XSHADOW_DONE "FAULT BDAT\n" },
    { "BDAT without a size", UP MAIL_OF(MID_5F) RCPT "BDAT x LAST\r\nNOOP\r\n",
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT "421 4.5.4 BDAT without a size: closing\r\n",
        XSHADOW_DONE "FAULT BDAT x LAST\nCLOSE\n" },
    { "RSET between chunks", UP MAIL_OF(MID_5F) RCPT "BDAT 2\r\nheRSET\r\nNOOP\r\n",
        EHLO_SAID XSHADOW_SAID OK_MAIL OK_RCPT "250 2.0.0 2 octets\r\n" OK_REST OK_REST,
        XSHADOW_DONE "BEGIN 1\n" MAIL_OF(MID_5F) RCPT "ABANDON 1\n" },
    { "asks",
        UP "XQDISCARD 500 1041 WAIT=0.5\r\nXQTAKEN 2 " STORE_A "\r\nXQAUDIT " MID_5F "\r\n",
        EHLO_SAID XSHADOW_SAID "250-00000000000000000000000000000000 DONE\r\n"
                               "250-01000000000000000000000000000000 PART 1-40,42\r\n"
                               "250-02000000000000000000000000000000 STUCK 640\r\n"
                               "250 1044 END POS=9\r\n"
                               "250-00000000000000000000000000000000 0 ex03.test "
                               "77000000000000000000000000000000\r\n"
                               "250-01000000000000000000000000000000 1 ex03.test "
                               "77000000000000000000000000000000 FIRM\r\n"
                               "250 3 END POS=9\r\n"
                               "250-00000000000000000000000000000000 PENDING\r\n"
                               "250 END POS=9\r\n",
        XSHADOW_DONE "ASK 0 500 1041 500 0\nASK 1 2 0 0 0\nASK 2 0 0 0 1\n" },
    { "an ask that is refused", UP "XQDISCARD 1 666\r\nXQDISCARD 1\r\n",
        EHLO_SAID XSHADOW_SAID "501 5.5.4 never gave that cursor\r\n"
                               "250-00000000000000000000000000000000 DONE\r\n"
                               "250 3 END POS=9\r\n",
        XSHADOW_DONE "ASK 0 1 666 0 0\nASK 0 1 0 0 0\n" },
    { "asks malformed", UP "XQDISCARD\r\nXQDISCARD x\r\nXQTAKEN 1\r\nXQAUDIT 1\r\nXQRECALL\r\n",
        EHLO_SAID XSHADOW_SAID MALFORMED MALFORMED MALFORMED MALFORMED
        "500 5.5.1 unknown command\r\n",
        XSHADOW_DONE "FAULT XQDISCARD\nFAULT XQDISCARD x\nFAULT XQTAKEN 1\nFAULT XQAUDIT 1\n"
                     "FAULT XQRECALL\n" },
    { "an ask within a copy", UP MAIL_OF(MID_5F) "XQDISCARD 1\r\n",
        EHLO_SAID XSHADOW_SAID OK_MAIL NOT_NOW, XSHADOW_DONE "FAULT XQDISCARD 1\n" },
    { "lines that are none", UP "NO\nOP\r\nNO\rOP\r\nNOOP\r\n",
        EHLO_SAID XSHADOW_SAID
        "500 5.5.2 bare CR, LF or NUL\r\n500 5.5.2 bare CR, LF or NUL\r\n" OK_REST,
        XSHADOW_DONE "FAULT NO\n\nFAULT NO\r\n" },
    { "small letters", "ehlo x\r\nnoop again\r\nquit\r\n",
        EHLO_SAID OK_REST "221 2.0.0 bye\r\n", "CLOSE\n" },
    { "QUIT with more", "QUIT now\r\n", MALFORMED, "FAULT QUIT now\n" },
};

static void check_case(size_t i, size_t step, size_t out_bytes_max)
{
    struct bytes in = bytes_text(cases[i].in), said;
    struct server_driver driver;

    server_driver_init(&driver, &config, out_bytes_max);
    driver.out_drained = out_bytes_max < 100 ? 7 : 0;
    server_open(&driver);
    server_play(&driver, in, step);
    said = buf_bytes(&driver.said);
    check(cases[i].name, bytes_starts(said, BYTES(BANNER)));
    check_bytes(cases[i].name, bytes_skip(said, strlen(BANNER)), bytes_text(cases[i].said));
    check_bytes(cases[i].name, buf_bytes(&driver.done), bytes_text(cases[i].done));
    server_driver_done(&driver);
}

static void plays_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check_case(i, SIZE_MAX / 2, 1 << 16);
}

/* A driver gives up when it has seen enough: that is not the same at all splits. */
static void plays_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        for (size_t step = 1; step < 40; step += 1 + step / 4)
            check_case(i, step, 1 << 16);
}

/* Little room in OUT, and a slow reader. */
static void plays_with_little_room(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check_case(i, 50, 30);
}

static void begin(struct server_driver *driver)
{
    server_driver_init(driver, &config, 1 << 16);
    server_open(driver);
    server_play(driver, BYTES(UP), 1000);
    buf_clear(&driver->said);
    buf_clear(&driver->done);
}

static void keeps_the_order_of_replies(void **state)
{
    /* Orders in which four outcomes are given: which of those held, each time. */
    static const unsigned orders[][4] = { { 0, 0, 0, 0 }, { 3, 2, 1, 0 }, { 1, 2, 1, 0 },
        { 2, 0, 1, 0 } };

    (void)state;
    for (size_t i = 0; i < CASES(orders); i++) {
        struct server_driver driver;

        begin(&driver);
        driver.holds = true;
        server_play(&driver,
            BYTES(COPY_OF(MID_5F) COPY_OF(MID_E0) "NOOP\r\n" COPY_OF(MID_E3) COPY_OF(MID_60)),
            11);
        check_bytes("before", buf_bytes(&driver.said), BYTES(OK_MAIL OK_RCPT));
        for (unsigned n = 0; n < 4; n++)
            server_release(&driver, orders[i][n]);
        server_drain(&driver);
        check_bytes("after", buf_bytes(&driver.said),
            BYTES(OK_MAIL OK_RCPT DURABLE(MID_5F) OK_MAIL OK_RCPT
                "450 4.5.0 " MID_E0 " busy in acceptance\r\n" OK_REST OK_MAIL OK_RCPT
                "452 4.3.1 full\r\n" OK_MAIL OK_RCPT DURABLE(MID_60)));
        server_driver_done(&driver);
    }
}

static void stops_at_the_ceiling(void **state)
{
    const struct bytes more = BYTES(COPY_OF(MID_60));
    struct server_driver driver;

    (void)state;
    begin(&driver);
    driver.holds = true;
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            server_play(&driver, BYTES(COPY_OF(MID_5F)), 1000), strlen(COPY_OF(MID_5F)));
    assert_false(shadow_server_wants_input(driver.server));
    assert_int_equal(server_play(&driver, more, 1000), 0);
    server_release(&driver, 3);
    assert_false(shadow_server_wants_input(driver.server));
    server_release(&driver, 0);
    assert_true(shadow_server_wants_input(driver.server));
    assert_int_equal(server_play(&driver, more, 1000), more.n);
    server_driver_done(&driver);
}

/* Who says NOOP for ever behind a copy that waits is not read for ever. */
static void stops_when_much_waits(void **state)
{
    struct server_driver driver;
    int n = 0;

    (void)state;
    begin(&driver);
    driver.holds = true;
    server_play(&driver, BYTES(COPY_OF(MID_5F)), 1000);
    while (shadow_server_wants_input(driver.server)) {
        server_play(&driver, BYTES("NOOP\r\n"), 1000);
        n++;
    }
    assert_true(n > 1000 && n < 100000);
    server_release(&driver, 0);
    server_feed(&driver, BYTES_NONE); /* OUT has less room than there is to say */
    assert_true(shadow_server_wants_input(driver.server));
    assert_int_equal(
        driver.said.n, strlen(OK_MAIL OK_RCPT DURABLE(MID_5F)) + (size_t)n * strlen(OK_REST));
    server_driver_done(&driver);
}

static void quits_behind_its_copies(void **state)
{
    struct server_driver driver;

    (void)state;
    begin(&driver);
    driver.holds = true;
    server_play(&driver, BYTES(COPY_OF(MID_5F) "QUIT\r\nNOOP\r\n"), 1000);
    assert_false(driver.is_closed);
    server_release(&driver, 0);
    server_drain(&driver);
    assert_true(driver.is_closed);
    assert_true(
        bytes_ends_nocase(buf_bytes(&driver.said), BYTES(DURABLE(MID_5F) "221 2.0.0 bye\r\n")));
    server_driver_done(&driver);
}

static void closes_after_too_many_faults(void **state)
{
    struct server_driver driver;

    (void)state;
    begin(&driver);
    server_play(&driver, BYTES(MAIL_OF(MID_5F) RCPT "BDAT 1\r\nx"), 1000);
    buf_clear(&driver.said);
    for (int i = 0; i < SHADOW_SERVER_ERRORS_MAX; i++)
        server_play(&driver, BYTES("HELP\r\n"), 1000);
    assert_false(driver.is_closed);
    server_play(&driver, BYTES("HELP\r\nNOOP\r\n"), 1000);
    assert_true(driver.is_closed);
    assert_int_equal(driver.tag, 0); /* it was abandoned */
    check("abandoned", memmem(driver.done.at, driver.done.n, "ABANDON 1\nCLOSE\n", 16));
    assert_true(
        bytes_ends_nocase(buf_bytes(&driver.said), BYTES("421 4.7.0 too many errors\r\n")));
    server_driver_done(&driver);
}

static void stops(void **state)
{
    struct verdict verdict = verdict_of(421, STATUS(4, 3, 2), "shutting down");
    struct shadow_server_event event = { .type = SHADOW_SERVER_STOPPED, .verdict = &verdict };
    struct server_driver driver;

    (void)state;
    begin(&driver);
    driver.holds = true;
    server_play(&driver, BYTES(COPY_OF(MID_5F) MAIL_OF(MID_60) RCPT "BDAT 2\r\nxx"), 1000);
    buf_clear(&driver.done);
    server_post(&driver, &event);
    server_drain(&driver);
    check_bytes("done", buf_bytes(&driver.done), BYTES("ABANDON 2\nCLOSE\n"));
    check_bytes(
        "said", buf_bytes(&driver.said), BYTES(OK_MAIL OK_RCPT "421 4.3.2 shutting down\r\n"));
    server_release(&driver, 0); /* too late, and no harm */
    assert_false(shadow_server_wants_input(driver.server));
    server_driver_done(&driver);
}

static void takes_many_recipients(void **state)
{
    struct server_driver driver;
    struct buf in;

    (void)state;
    begin(&driver);
    driver.never_fails = true;
    buf_init(&in, 16 << 20);
    assert_int_equal(buf_add(&in, BYTES(MAIL_OF(MID_5F))), OK);
    for (int i = 0; i < ENVELOPE_RECIPIENTS_MAX; i++)
        assert_int_equal(buf_printf(&in, "RCPT TO:<c%d@d.test>\r\n", i), OK);
    server_play(&driver, buf_bytes(&in), 1 << 16);
    server_play(&driver, BYTES(BDAT), 1000);
    assert_true(bytes_ends_nocase(buf_bytes(&driver.said), BYTES(DURABLE(MID_5F))));
    buf_clear(&driver.said);
    server_play(&driver, buf_bytes(&in), 1 << 16);
    server_play(&driver, BYTES(RCPT BDAT), 1000);
    assert_true(bytes_ends_nocase(buf_bytes(&driver.said),
        BYTES("552 5.5.3 too many recipients\r\n552 5.5.3 too many recipients\r\n")));
    buf_done(&in);
    server_driver_done(&driver);
}

static void refuses_a_long_line(void **state)
{
    static uint8_t line[SHADOW_LINE_BYTES_MAX + 10];
    struct server_driver driver;

    (void)state;
    begin(&driver);
    memset(line, 'x', sizeof line);
    memcpy(line, "NOOP ", 5);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    server_play(&driver, bytes_of(line, sizeof line), 5000);
    check_bytes("long", buf_bytes(&driver.said), BYTES("500 5.5.6 line too long\r\n"));
    server_play(&driver, BYTES("NOOP\r\n"), 1000);
    assert_true(bytes_ends_nocase(buf_bytes(&driver.said), BYTES("\r\n" OK_REST)));
    server_driver_done(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plays_whole),
        cmocka_unit_test(plays_in_pieces),
        cmocka_unit_test(plays_with_little_room),
        cmocka_unit_test(keeps_the_order_of_replies),
        cmocka_unit_test(stops_at_the_ceiling),
        cmocka_unit_test(stops_when_much_waits),
        cmocka_unit_test(quits_behind_its_copies),
        cmocka_unit_test(closes_after_too_many_faults),
        cmocka_unit_test(stops),
        cmocka_unit_test(takes_many_recipients),
        cmocka_unit_test(refuses_a_long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
