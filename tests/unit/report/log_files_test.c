/* A log's files, read a line at a time. */
#include "folder.h"
#include "kit.h"

#include "os/file.h"
#include "report/line.h"
#include "report/log_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[200];

static int setup(void **state)
{
    if (scratch_make(state) != 0)
        return -1;
    snprintf(path, sizeof path, "%s", path_of("log"));
    return 0;
}

static void put(const char *name, struct bytes text)
{
    assert_int_equal(file_replace(path_of(name), text, 0600), OK);
}

/* The lines as they come: "+" in front of the first of a file, "|" behind each. */
struct gathered {
    struct buf text;
    unsigned left;
};

static bool gather(void *me, struct bytes line, bool is_first)
{
    struct gathered *gathered = me;

    assert_int_equal(buf_add_text(&gathered->text, is_first ? "+" : ""), OK);
    assert_int_equal(buf_add(&gathered->text, line), OK);
    assert_int_equal(buf_add_text(&gathered->text, "|"), OK);
    return --gathered->left > 0;
}

static void check_lines(
    const char *name, struct log_files *files, unsigned count, const char *want)
{
    struct gathered gathered = { .left = count };

    buf_init(&gathered.text, 1 << 20);
    log_files_each(files, gather, &gathered);
    check_bytes(name, buf_bytes(&gathered.text), bytes_text(want));
    buf_done(&gathered.text);
}

static void the_oldest_first(void **state)
{
    struct log_files *files;

    (void)state;
    put("log", BYTES("five\nsix\n"));
    put("log.1", BYTES("three\nfour\n"));
    put("log.2", BYTES("one\ntwo\n"));
    put("log.3", BYTES("zero\n"));
    files = log_files_open(path, 2);
    assert_non_null(files);
    check_lines("all", files, 100, "+one|two|+three|four|+five|six|");
    check_lines("again, and not all", files, 3, "+one|two|+three|");
    log_files_close(files);
}

/* What is rotated while it is read is read all the same, and once. */
static void rotated_meanwhile(void **state)
{
    struct log_files *files;

    (void)state;
    put("log", BYTES("three\n"));
    put("log.1", BYTES("two\n"));
    put("log.2", BYTES("one\n"));
    files = log_files_open(path, 2);
    assert_int_equal(file_rename(path_of("log.1"), path_of("log.2")), OK);
    assert_int_equal(file_rename(path, path_of("log.1")), OK);
    put("log", BYTES("four\n"));
    check_lines("rotated", files, 100, "+one|+two|+three|");
    log_files_close(files);
}

/* One stands under two names, as in the midst of a rotation. */
static void the_same_twice(void **state)
{
    struct log_files *files;

    (void)state;
    put("log", BYTES("two\n"));
    assert_int_equal(file_remove(path_of("log.1")), OK);
    assert_int_equal(link(path, path_of("log.1")), 0);
    put("log.2", BYTES("one\n"));
    files = log_files_open(path, 2);
    check_lines("twice", files, 100, "+one|+two|");
    log_files_close(files);
}

static void lines_that_are_none(void **state)
{
    struct log_files *files;
    struct buf text;

    (void)state;
    buf_init(&text, 8 << 20);
    assert_int_equal(buf_add_text(&text, "one\n\n"), OK);
    for (unsigned i = 0; i < 3 << 20; i++)
        assert_int_equal(buf_add_text(&text, "x"), OK);
    assert_int_equal(buf_add_text(&text, " end of it\ntwo\nbeing writ"), OK);
    put("log", buf_bytes(&text));
    buf_done(&text);
    files = log_files_open(path, 0);
    check_lines("all", files, 100, "+one||two|");
    log_files_close(files);
}

static void none_there(void **state)
{
    (void)state;
    errno = 0;
    assert_null(log_files_open("/dev/null/log", 3));
    assert_int_equal(errno, ENOTDIR);
    log_files_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_first),
        cmocka_unit_test(rotated_meanwhile),
        cmocka_unit_test(the_same_twice),
        cmocka_unit_test(lines_that_are_none),
        cmocka_unit_test(none_there),
    };
    return cmocka_run_group_tests(tests, setup, scratch_remove);
}
