#include "shadow_kit.h"

#include "shadow_client_kit.h"

static const struct shadow_client_config config = { .fqdn = BYTES("ex02.test") };

#define BANNER "220 ex01.test ESMTP\r\n"
#define EHLO_REPLY "250-ex01.test\r\n250-XSHADOW 1\r\n250-CHUNKING\r\n250 SIZE\r\n"
#define NODE "NODE=ex01.test STORE=" STORE_A " POS=81723 VERSION=1"
#define UP_DONE "UP ex01.test 2 81723\n"
#define UP BANNER EHLO_REPLY "250 2.0.0 " NODE "\r\n"
#define EHLO_SAID "EHLO ex02.test\r\n"
#define XSHADOW_SAID                                                                           \
    "XSHADOW 1 NODE=ex02.test STORE=77aa0000000000000000000000000000 POS=5512\r\n"

#define OK_MAIL "250 2.1.0 OK\r\n"
#define OK_RCPT "250 2.1.5 OK\r\n"
#define DURABLE "250 2.6.0 " MID_5F " durable\r\n"

/* The beginning: what comes, what is said, what is done. */
static const struct {
    const char *name, *in, *said, *done;
} beginnings[] = {
    { "up", UP, EHLO_SAID XSHADOW_SAID, UP_DONE },
    { "banner of two lines", "220-a\r\n220 b\r\n", EHLO_SAID, "" },
    { "no status", BANNER EHLO_REPLY "250 " NODE "\r\n", EHLO_SAID XSHADOW_SAID, UP_DONE },
    { "refused at the banner", "554 5.7.1 go away\r\n", "",
        "TURNED AWAY 554 5.7.1 go away\nCLOSE\n" },
    { "refused in two lines", "554-5.7.1 go away\r\n554 now\r\n", "",
        "TURNED AWAY 554 5.7.1 go away\nCLOSE\n" },
    { "421 at the banner", "421 4.3.2 later\r\n", "", "TURNED AWAY 421 4.3.2 later\nCLOSE\n" },
    { "refused at EHLO", BANNER "502 no\r\n", EHLO_SAID, "TURNED AWAY 502 no\nCLOSE\n" },
    { "refused at XSHADOW", BANNER EHLO_REPLY "554 5.7.0 store went back, heard 5600\r\n",
        EHLO_SAID XSHADOW_SAID, "TURNED AWAY 554 5.7.0 store went back, heard 5600\nCLOSE\n" },
    { "no banner", "250 hello\r\n", "", "FAULT no banner: \"250 hello\"\nCLOSE\n" },
    { "no XSHADOW", BANNER "250-ex01\r\n250 CHUNKING\r\n", EHLO_SAID,
        "FAULT it offers no XSHADOW: \"250 CHUNKING\"\nCLOSE\n" },
    { "no CHUNKING", BANNER "250-ex01\r\n250 XSHADOW 1\r\n", EHLO_SAID,
        "FAULT it offers no XSHADOW: \"250 XSHADOW 1\"\nCLOSE\n" },
    { "its name is no word", BANNER "250-CHUNKING\r\n250 XSHADOW 1\r\n", EHLO_SAID,
        "FAULT it offers no XSHADOW: \"250 XSHADOW 1\"\nCLOSE\n" },
    { "354 to EHLO", BANNER "354 go\r\n", EHLO_SAID,
        "FAULT no answer to EHLO: \"354 go\"\nCLOSE\n" },
    { "no node", BANNER EHLO_REPLY "250 2.0.0 welcome\r\n", EHLO_SAID XSHADOW_SAID,
        "FAULT no answer to XSHADOW: \"250 2.0.0 welcome\"\nCLOSE\n" },
    { "a version we did not offer",
        BANNER EHLO_REPLY "250 2.0.0 NODE=a STORE=" STORE_A " POS=1 VERSION=2\r\n",
        EHLO_SAID XSHADOW_SAID,
        "FAULT no answer to XSHADOW: \"250 2.0.0 NODE=a STORE=" STORE_A
        " POS=1 VERSION=2\"\nCLOSE\n" },
    { "a reply too many", UP "250 more\r\n", EHLO_SAID XSHADOW_SAID,
        UP_DONE "FAULT a reply too many: \"250 more\"\nCLOSE\n" },
    { "421", UP "421 4.3.2 bye\r\n", EHLO_SAID XSHADOW_SAID, UP_DONE "CLOSE\n" },
    { "no reply", UP "hello\r\n", EHLO_SAID XSHADOW_SAID,
        UP_DONE "FAULT no reply: \"hello\"\nCLOSE\n" },
    { "two codes", BANNER "250-a\r\n251 b\r\n", EHLO_SAID,
        "FAULT no reply: \"251 b\"\nCLOSE\n" },
    { "a bare LF", BANNER "250-a\n250 b\r\n", EHLO_SAID, "FAULT no line: \"250-a?\"\nCLOSE\n" },
};

static void begins(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(beginnings); i++)
        for (size_t step = 1; step < 200; step += 1 + step / 3) {
            struct client_driver driver;

            client_driver_init(&driver, &config, 1 << 16);
            client_connect(&driver);
            client_play(&driver, bytes_text(beginnings[i].in), step);
            check_bytes(
                beginnings[i].name, buf_bytes(&driver.said), bytes_text(beginnings[i].said));
            check_bytes(
                beginnings[i].name, buf_bytes(&driver.done), bytes_text(beginnings[i].done));
            check(beginnings[i].name, shadow_client_may_offer(driver.client) ==
                                          (strcmp(beginnings[i].done, UP_DONE) == 0));
            client_driver_done(&driver);
        }
}

static void begin_with(struct client_driver *driver, size_t out_bytes_max)
{
    client_driver_init(driver, &config, out_bytes_max);
    client_connect(driver);
    client_play(driver, BYTES(UP), 1000);
    buf_clear(&driver->said);
    buf_clear(&driver->done);
}

static void begin(struct client_driver *driver)
{
    begin_with(driver, 1 << 16);
}

static const struct recipient two[] = { { .address = BYTES("c@d.test") },
    { .address = BYTES("e@f.test"), .notify = NOTIFY_NEVER } };

static struct shadow_copy copy_of(const char *mid)
{
    return (struct shadow_copy){ .mid = mid_of(mid),
        .envelope = { .sender = BYTES("a@b.test"), .content_bytes = 13 },
        .recipients = two,
        .recipient_count = 2 };
}

static void offer(struct client_driver *driver, uint64_t tag)
{
    struct shadow_copy copy = copy_of(MID_5F);

    client_offer(driver, tag, &copy);
}

#define COPY_SAID(tag)                                                                         \
    "MAIL FROM:<a@b.test> SIZE=13 XMID=" MID_5F " XSHADOW=COPY\r\nRCPT TO:<c@d.test>\r\n"      \
    "RCPT TO:<e@f.test> NOTIFY=NEVER\r\nBDAT 13 LAST\r\ncontent of " tag "."

/* Replies to one copy, tag 1, and what is done. */
static const struct {
    const char *name, *in, *done;
} outcomes[] = {
    { "durable", OK_MAIL OK_RCPT OK_RCPT DURABLE, "OUTCOME 1 durable\n" },
    { "not yet", OK_MAIL OK_RCPT OK_RCPT, "" },
    { "settled", OK_MAIL OK_RCPT OK_RCPT "250 2.6.0 " MID_5F " settled\r\n",
        "OUTCOME 1 settled\n" },
    { "moved", OK_MAIL OK_RCPT OK_RCPT "250 2.6.0 " MID_5F " moved ex03.test " STORE_A "\r\n",
        "OUTCOME 1 moved ex03.test\n" },
    { "busy", OK_MAIL OK_RCPT OK_RCPT "450 4.5.0 " MID_5F " busy accepting\r\n",
        "OUTCOME 1 busy 450 4.5.0 accepting\n" },
    { "refused", OK_MAIL OK_RCPT OK_RCPT "554 5.6.0 another envelope\r\n",
        "OUTCOME 1 refused 554 5.6.0 another envelope\n" },
    { "refused in lines", OK_MAIL OK_RCPT OK_RCPT "554-5.6.0 another\r\n554 envelope\r\n",
        "OUTCOME 1 refused 554 5.6.0 another\n" },
    { "refused at MAIL", "452 4.3.1 full\r\n503 5.5.1 no\r\n503 5.5.1 no\r\n503 5.5.1 no\r\n",
        "OUTCOME 1 refused 452 4.3.1 full\n" },
    { "refused at RCPT", OK_MAIL OK_RCPT "501 5.1.3 bad\r\n501 5.5.4 again\r\n",
        "OUTCOME 1 refused 501 5.1.3 bad\n" },
    { "refused at RCPT and yet durable", OK_MAIL "501 5.1.3 bad\r\n" OK_RCPT DURABLE,
        "OUTCOME 1 refused 501 5.1.3 bad\n" },
    { "another mid", OK_MAIL OK_RCPT OK_RCPT "250 2.6.0 " MID_60 " durable\r\n",
        "FAULT no outcome of a copy: \"250 2.6.0 " MID_60
        " durable\"\nOUTCOME 1 lost\nCLOSE\n" },
    { "354", OK_MAIL OK_RCPT OK_RCPT "354 go\r\n",
        "FAULT no reply to a copy: \"354 go\"\nOUTCOME 1 lost\nCLOSE\n" },
    { "two lines", OK_MAIL "250-2.1.5\r\n",
        "FAULT no reply to a copy: \"250-2.1.5\"\nOUTCOME 1 lost\nCLOSE\n" },
    { "421 in its place", OK_MAIL OK_RCPT OK_RCPT "421 4.3.2 bye\r\n",
        "OUTCOME 1 lost\nCLOSE\n" },
    { "421 behind a refusal", OK_MAIL "501 5.1.3 bad\r\n421 4.3.2 bye\r\n",
        "OUTCOME 1 refused 501 5.1.3 bad\nCLOSE\n" },
    { "one too many", OK_MAIL OK_RCPT OK_RCPT DURABLE DURABLE,
        "OUTCOME 1 durable\nFAULT a reply too many: \"250 2.6.0 " MID_5F
        " durable\"\nCLOSE\n" },
};

static void tells_outcomes(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(outcomes); i++)
        for (size_t step = 1; step < 300; step += 1 + step / 3) {
            struct client_driver driver;

            begin(&driver);
            offer(&driver, 1);
            check_bytes(outcomes[i].name, buf_bytes(&driver.said), BYTES(COPY_SAID("1")));
            assert_int_equal(shadow_client_in_flight(driver.client), 1);
            client_play(&driver, bytes_text(outcomes[i].in), step);
            check_bytes(
                outcomes[i].name, buf_bytes(&driver.done), bytes_text(outcomes[i].done));
            client_driver_done(&driver);
        }
}

static void has_many_in_flight(void **state)
{
    struct client_driver driver;
    struct buf want;

    (void)state;
    begin(&driver);
    buf_init(&want, 1 << 20);
    for (uint64_t tag = 1; tag <= 100; tag++)
        offer(&driver, tag % 10);
    assert_int_equal(shadow_client_in_flight(driver.client), 100);
    for (uint64_t tag = 1; tag <= 100; tag++) {
        client_play(&driver, BYTES(OK_MAIL OK_RCPT OK_RCPT DURABLE), 1000);
        assert_int_equal(buf_printf(&want, "OUTCOME %d durable\n", (int)tag % 10), OK);
    }
    check_bytes("in order", buf_bytes(&driver.done), buf_bytes(&want));
    assert_int_equal(shadow_client_in_flight(driver.client), 0);
    buf_done(&want);
    client_driver_done(&driver);
}

static void loses_what_is_under_way(void **state)
{
    struct client_driver driver;

    (void)state;
    begin(&driver);
    offer(&driver, 1);
    offer(&driver, 2);
    offer(&driver, 3);
    client_play(&driver, BYTES(OK_MAIL OK_RCPT OK_RCPT DURABLE OK_MAIL), 1000);
    client_say(&driver, SHADOW_CLIENT_LOST);
    check_bytes("lost", buf_bytes(&driver.done),
        BYTES("OUTCOME 1 durable\nOUTCOME 2 lost\nOUTCOME 3 lost\nCLOSE\n"));
    assert_int_equal(shadow_client_in_flight(driver.client), 0);
    assert_false(shadow_client_may_offer(driver.client));
    client_driver_done(&driver);
}

static void waits_for_its_content(void **state)
{
    struct client_driver driver;

    (void)state;
    begin(&driver);
    driver.keeps_content = true;
    offer(&driver, 1);
    assert_true(driver.has_content);
    assert_false(shadow_client_may_offer(driver.client));
    assert_false(shadow_client_may_ask(driver.client));
    client_play(&driver, BYTES(OK_MAIL OK_RCPT), 1000);
    client_say(&driver, SHADOW_CLIENT_QUIT);
    client_send_content(&driver);
    client_feed(&driver, BYTES_NONE);
    check_bytes("QUIT behind it", buf_bytes(&driver.said), BYTES(COPY_SAID("1") "QUIT\r\n"));
    client_play(&driver, BYTES(OK_RCPT DURABLE "221 2.0.0 bye\r\n"), 1000);
    check_bytes("outcome", buf_bytes(&driver.done), BYTES("OUTCOME 1 durable\nCLOSE\n"));
    client_driver_done(&driver);
}

static void believes_no_early_outcome(void **state)
{
    struct client_driver driver;

    (void)state;
    begin(&driver);
    driver.keeps_content = true;
    offer(&driver, 1);
    client_play(&driver, BYTES(OK_MAIL OK_RCPT OK_RCPT DURABLE), 1000);
    check_bytes("early", buf_bytes(&driver.done),
        BYTES("FAULT a reply before its content: \"250 2.6.0 " MID_5F
              " durable\"\nOUTCOME 1 lost\nCLOSE\n"));
    client_driver_done(&driver);
}

/* MAIL and RCPT go out in small pieces; the content is asked for when they are gone. */
static void writes_with_little_room(void **state)
{
    (void)state;
    for (size_t room = 14; room < 300; room += 7) {
        struct client_driver driver;

        begin_with(&driver, room);
        driver.out_drained = 5;
        offer(&driver, 1);
        offer(&driver, 2);
        client_feed(&driver, BYTES_NONE);
        check_bytes("pieces", buf_bytes(&driver.said), BYTES(COPY_SAID("1") COPY_SAID("2")));
        client_driver_done(&driver);
    }
}

#define ITEMS "250-" MID_5F " DONE\r\n250-" MID_60 " PART 1-40,42\r\n"

static const struct {
    const char *name, *in, *done;
} pages[] = {
    { "nothing", "250 1041 END POS=81790\r\n", "PAGE 0 strange\n250 1041 END POS=81790\r\n" },
    { "two items", ITEMS "250 1043 MORE POS=9 RETIRED=" STORE_A "\r\n",
        "PAGE 0 strange\n" ITEMS "250 1043 MORE POS=9 RETIRED=" STORE_A "\r\n" },
    { "a strange one", "250-" MID_5F " NEWS 1\r\n250 3 END POS=9\r\n",
        "PAGE 1 strange\n250 3 END POS=9\r\n" },
    { "refused", "501 5.5.4 never gave that cursor\r\n",
        "ASK REFUSED 501 5.5.4 never gave that cursor\n" },
    { "refused in lines", "450-4.3.2 not yet\r\n450 recovering\r\n",
        "ASK REFUSED 450 4.3.2 not yet\n" },
    { "refused inside", ITEMS "450 4.3.2 not yet\r\n",
        "FAULT no reply: \"450 4.3.2 not yet\"\nCLOSE\n" },
    { "no item", "250-hello\r\n", "FAULT no answer to an ask: \"250-hello\"\nCLOSE\n" },
    { "no end", ITEMS "250 OK\r\n", "FAULT no answer to an ask: \"250 OK\"\nCLOSE\n" },
    { "354", "354 go\r\n", "FAULT no answer to an ask: \"354 go\"\nCLOSE\n" },
    { "421", "421 4.3.2 bye\r\n", "CLOSE\n" },
};

static void tells_pages(void **state)
{
    static const struct shadow_ask ask = { .type = SHADOW_ASK_DISCARD,
        .count_max = 500,
        .has_cursor = true,
        .cursor = 1041,
        .wait_ms = 10000 };

    (void)state;
    for (size_t i = 0; i < CASES(pages); i++)
        for (size_t step = 1; step < 300; step += 1 + step / 3) {
            struct client_driver driver;

            begin(&driver);
            client_ask(&driver, &ask);
            check_bytes(
                "said", buf_bytes(&driver.said), BYTES("XQDISCARD 500 1041 WAIT=10\r\n"));
            assert_false(shadow_client_may_ask(driver.client));
            assert_true(shadow_client_may_offer(driver.client));
            client_play(&driver, bytes_text(pages[i].in), step);
            check_bytes(pages[i].name, buf_bytes(&driver.done), bytes_text(pages[i].done));
            check(pages[i].name, driver.is_closed || shadow_client_may_ask(driver.client));
            client_driver_done(&driver);
        }
}

static void mixes_asks_and_copies(void **state)
{
    static const struct shadow_ask ask = { .type = SHADOW_ASK_AUDIT, .mid_count = 1 };
    struct client_driver driver;

    (void)state;
    begin(&driver);
    offer(&driver, 1);
    client_ask(&driver, &ask);
    offer(&driver, 2);
    client_play(&driver,
        BYTES(OK_MAIL OK_RCPT OK_RCPT DURABLE
            "250-" MID_5F " YOURS\r\n250 END POS=1\r\n" OK_MAIL OK_RCPT OK_RCPT DURABLE),
        3);
    check_bytes("mixed", buf_bytes(&driver.done),
        BYTES("OUTCOME 1 durable\nPAGE 0 strange\n250-" MID_5F
              " YOURS\r\n250 END POS=1\r\nOUTCOME 2 durable\n"));
    client_driver_done(&driver);
}

static void takes_no_page_too_long(void **state)
{
    static const struct shadow_ask ask = { .type = SHADOW_ASK_DISCARD, .count_max = 1000 };

    (void)state;
    for (int more = 0; more < 2; more++) {
        struct client_driver driver;

        begin(&driver);
        client_ask(&driver, &ask);
        for (int i = 0; i < SHADOW_PAGE_MAX + more; i++)
            client_play(&driver, BYTES("250-" MID_5F " DONE\r\n"), 1000);
        client_play(&driver, BYTES("250 1 END POS=1\r\n"), 1000);
        assert_int_equal(driver.is_closed, more);
        client_driver_done(&driver);
    }
}

static void refuses_what_fits_no_line(void **state)
{
    static const uint8_t name[SHADOW_LINE_BYTES_MAX / 3];
    struct shadow_copy copy = copy_of(MID_5F);
    struct client_driver driver;

    (void)state;
    begin(&driver);
    copy.envelope.client_name = bytes_of(name, sizeof name);
    client_offer(&driver, 1, &copy);
    check_bytes("refused", buf_bytes(&driver.done),
        BYTES("OUTCOME 1 refused 500 5.5.6 the envelope is too large for the link\n"));
    assert_int_equal(driver.said.n, 0);
    assert_true(shadow_client_may_offer(driver.client));
    client_driver_done(&driver);
}

static void quits_at_any_time(void **state)
{
    static const struct bytes up = BYTES(UP);

    (void)state;
    for (size_t n = 0; n < up.n; n++) {
        struct client_driver driver;

        client_driver_init(&driver, &config, 1 << 16);
        client_connect(&driver);
        client_play(&driver, bytes_first(up, n), 1000);
        client_say(&driver, SHADOW_CLIENT_QUIT);
        check_bytes("quit", buf_bytes(&driver.done), BYTES("CLOSE\n"));
        client_play(&driver, up, 1000);
        check_bytes("nothing more", buf_bytes(&driver.done), BYTES("CLOSE\n"));
        client_driver_done(&driver);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins),
        cmocka_unit_test(tells_outcomes),
        cmocka_unit_test(has_many_in_flight),
        cmocka_unit_test(loses_what_is_under_way),
        cmocka_unit_test(waits_for_its_content),
        cmocka_unit_test(believes_no_early_outcome),
        cmocka_unit_test(writes_with_little_room),
        cmocka_unit_test(tells_pages),
        cmocka_unit_test(mixes_asks_and_copies),
        cmocka_unit_test(takes_no_page_too_long),
        cmocka_unit_test(refuses_what_fits_no_line),
        cmocka_unit_test(quits_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
