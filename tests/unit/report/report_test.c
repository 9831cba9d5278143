#include "folder.h"
#include "kit.h"

#include "os/file.h"
#include "os/loop.h"
#include "report/report.h"
#include "report/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

static void init(const char *name, const char *protocol, bool is_json, uint64_t bytes_max)
{
    struct report_settings settings = { .target = 1,
        .log_file = path_of(name),
        .protocol_file = protocol ? path_of(protocol) : NULL,
        .is_json = is_json,
        .bytes_max = bytes_max,
        .files_max = 2 };
    char why[256];

    assert_int_equal(report_init(&settings, why), OK);
}

static bool has(const char *name, const char *text)
{
    struct buf buf;
    bool found = false;

    buf_init(&buf, 1 << 20);
    if (file_read_all(path_of(name), 1 << 20, &buf) == OK)
        found = buf.n && memmem(buf.at, buf.n, text, strlen(text));
    buf_done(&buf);
    return found;
}

/* A line is in the file once report() returned, when the thread has no loop. */
static void test_at_once(void **state)
{
    struct report_session session = { .connector = "C" };
    uint64_t before = report_count(REPORT_HOP_UP);

    (void)state;
    init("log", "protocol", false, 0);
    report(REPORT_HOP_UP, R_CHARS("queue", "example.com"));
    assert_true(has("log", "hop_up queue=example.com\n"));
    assert_int_equal(report_count(REPORT_HOP_UP), before + 1);
    report_protocol(&session, '+', BYTES(""));
    report_protocol(&session, '<', BYTES("QUIT"));
    assert_int_equal(session.sequence, 2);
    assert_true(has("protocol", "#Fields: date-time,"));
    assert_true(has("protocol", ",C,0000000000000000,1,,,<,QUIT\n"));
    report_done();
}

static void test_json_and_change(void **state)
{
    (void)state;
    init("first", NULL, false, 0);
    init("second", NULL, true, 0);
    report_notice(REPORT_WARNING, "%d pigs", 3);
    assert_false(has("first", "pigs"));
    assert_true(
        has("second", "\"level\":\"warning\",\"event\":\"notice\",\"text\":\"3 pigs\"}\n"));
    report_done();
}

static void test_rotation(void **state)
{
    (void)state;
    init("big", NULL, false, 150);
    for (int i = 1; i <= 12; i++)
        report_notice(REPORT_INFO, "number %03d", i);
    report_done();
    /* Lines of about 67 bytes: two a file, and two old files. */
    assert_true(has("big", "number 012"));
    assert_true(has("big.1", "number 010"));
    assert_true(has("big.2", "number 008"));
    assert_false(has("big.3", "number"));
}

static void test_reopen(void **state)
{
    (void)state;
    init("moved", NULL, false, 0);
    report_notice(REPORT_INFO, "before");
    assert_int_equal(file_rename(path_of("moved"), path_of("moved.old")), OK);
    init("moved", NULL, false, 0);
    report_notice(REPORT_INFO, "after");
    assert_true(has("moved.old", "before") && !has("moved.old", "after"));
    assert_true(has("moved", "after"));
    report_done();
}

static void test_cannot_open(void **state)
{
    struct report_settings settings = { .target = 1, .log_file = path_of("kept/log") };
    char why[256] = "";

    (void)state;
    init("kept", NULL, false, 0);
    assert_int_equal(report_init(&settings, why), ERR_NONE);
    assert_non_null(strstr(why, "kept/log: "));
    report_notice(REPORT_INFO, "still here");
    assert_true(has("kept", "still here"));
    report_done();
}

/* On a loop's thread lines wait for the end of the turn; a warning takes them along. */
struct turn {
    struct timer first, second;
    struct loop *loop;
};

static void on_first(struct timer *timer)
{
    report(REPORT_HOP_UP, R_CHARS("queue", "one"));
    assert_false(has("turns", "queue=one"));
    report(REPORT_TAKEOVER, R_CHARS("node", "two"));
    assert_true(has("turns", "queue=one"));
    assert_true(has("turns", "warning: takeover node=two"));
    report(REPORT_HOP_UP, R_CHARS("queue", "three"));
    assert_false(has("turns", "queue=three"));
    timer_start(&container_of(timer, struct turn, first)->second, 1);
}

static void on_second(struct timer *timer)
{
    writer_sync(); /* not this turn's: it is handed over at its end */
    assert_true(has("turns", "queue=three"));
    report(REPORT_HOP_UP, R_CHARS("queue", "four"));
    writer_sync();
    assert_false(has("turns", "queue=four"));
    report_sync();
    assert_true(has("turns", "queue=four"));
    report(REPORT_HOP_UP, R_CHARS("queue", "five"));
    loop_stop(container_of(timer, struct turn, second)->loop);
}

static void test_turns(void **state)
{
    struct turn turn = { 0 };
    uint64_t before = report_count(REPORT_HOP_UP);

    (void)state;
    assert_int_equal(loop_new(&turn.loop), OK);
    report_thread_init(turn.loop);
    init("turns", NULL, false, 0);
    timer_init(&turn.first, turn.loop, on_first);
    timer_init(&turn.second, turn.loop, on_second);
    timer_start(&turn.first, 0);
    loop_run(turn.loop);
    assert_int_equal(report_count(REPORT_HOP_UP), before + 4);
    report_thread_done();
    assert_true(has("turns", "queue=five"));
    assert_int_equal(report_count(REPORT_HOP_UP), before + 4);
    report_done();
    loop_free(turn.loop);
}

/* --- Syslog: these stand in the place of the C library's ---------------------------------- */

static struct {
    const char *program;
    char last[400]; /* "PROGRAM LEVEL LINE" */
} said;

void openlog(const char *program, int options, int facility)
{
    assert_int_equal(facility, LOG_MAIL);
    assert_true(options & LOG_PID);
    said.program = program;
}

void syslog(int level, const char *format, ...)
{
    char line[300];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    snprintf(said.last, sizeof said.last, "%s %d %s", said.program, level, line);
}

void closelog(void)
{
}

static void deliver(const char *source, bool is_json, const char *want)
{
    struct report_settings settings = { .target = 2, .is_json = is_json };
    char why[256];

    assert_int_equal(report_init(&settings, why), OK);
    report(REPORT_DELIVERY, R_ADDRESS("to", BYTES("a@b")), R_CHARS("status", "sent"),
        R_TRACKED_CHARS("source", source));
    assert_string_equal(said.last, want);
    report(REPORT_HOP_DOWN, R_CHARS("queue", "q"));
    assert_memory_equal(said.last, "relais 4 ", 9);
    report_done();
}

/* Log analysers look for who delivered in the name in front of the line. */
static void test_syslog(void **state)
{
    (void)state;
    deliver("SMTP", false, "relais/smtp 6 to=<a@b>, status=sent");
    deliver("MAILDIR", false, "relais/local 6 to=<a@b>, status=sent");
    deliver("SMTP", true,
        "relais 6 "
        "{\"level\":\"info\",\"event\":\"delivery\",\"to\":\"a@b\",\"status\":\"sent\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_json_and_change),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_cannot_open),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_syslog),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
