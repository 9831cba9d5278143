/* A log's files, read a line at a time. */
#include "folder.h"
#include "kit.h"

#include "os/file.h"
#include "report/line.h"
#include "report/log_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
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

/* --- Files that cannot be read ------------------------------------------------------------ */

enum { MANY = 60, DESCRIPTORS = 45 };

static void put_numbered(unsigned first, unsigned last)
{
    char name[20], line[20];

    for (unsigned n = first; n <= last; n++) {
        snprintf(name, sizeof name, n ? "log.%u" : "log", n);
        snprintf(line, sizeof line, "%u\n", n);
        put(name, bytes_text(line));
    }
}

static void wanted_lines(unsigned from, unsigned to, char *out)
{
    for (unsigned n = from; n-- > to;)
        out += sprintf(out, "+%u|", n);
}

static void check_missing(const struct log_files *files, const char *name, int failure)
{
    int found;
    const char *missing = log_files_missing(files, &found);

    assert_int_equal(found, failure);
    if (name)
        assert_string_equal(missing, path_of(name));
    else
        assert_null(missing);
}

/* There may be far more of them than a process may have descriptors. */
static void many_files(void **state)
{
    struct rlimit before, few;
    struct log_files *files;
    char want[1000];

    (void)state;
    put_numbered(0, MANY);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = DESCRIPTORS;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    files = log_files_open(path, MANY);
    wanted_lines(MANY + 1, 0, want);
    check_lines("all", files, 1000, want);
    check_lines("again", files, 1000, want);
    check_missing(files, NULL, 0);
    log_files_close(files);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void rotate(unsigned last)
{
    char from[20], to[20];

    for (unsigned n = last; n > 0; n--) {
        snprintf(from, sizeof from, n > 1 ? "log.%u" : "log", n - 1);
        snprintf(to, sizeof to, "log.%u", n);
        assert_int_equal(file_rename(path_of(from), path_of(to)), OK);
    }
    put("log", BYTES("new\n"));
}

/* The oldest are removed while they are read, the youngest stand somewhere else. */
static void many_are_rotated(void **state)
{
    struct log_files *files;
    char want[1000];

    (void)state;
    put_numbered(0, MANY);
    files = log_files_open(path, MANY);
    rotate(MANY);
    rotate(MANY);
    wanted_lines(MANY + 1, 0, want);
    check_lines("after two", files, 1000, want);
    rotate(MANY);
    check_lines("after three", files, 1000, want);
    check_missing(files, NULL, 0);
    log_files_close(files);
}

/* One in the middle cannot be opened: the others are read, and it is told which. */
static void one_that_cannot_be_opened(void **state)
{
    struct log_files *files;

    (void)state;
    put_numbered(0, 3);
    assert_int_equal(file_remove(path_of("log.2")), OK);
    assert_int_equal(symlink("log.2", path_of("log.2")), 0);
    files = log_files_open(path, 3);
    check_missing(files, "log.2", ELOOP);
    check_lines("the others", files, 100, "+3|+1|+0|");
    log_files_close(files);
    assert_int_equal(file_remove(path_of("log.2")), OK);
}

/* That is one of the youngest, met when its turn comes. */
static void one_that_is_gone(void **state)
{
    struct log_files *files;
    char want[1000];

    (void)state;
    put_numbered(0, MANY);
    files = log_files_open(path, MANY);
    check_missing(files, NULL, 0);
    assert_int_equal(file_remove(path), OK);
    wanted_lines(MANY + 1, 1, want);
    check_lines("the others", files, 1000, want);
    check_missing(files, "log", ENOENT);
    log_files_close(files);
}

static void none_there(void **state)
{
    const char *names[] = { "/dev/null/log", path_of("nowhere") };
    const int failures[] = { ENOTDIR, ENOENT };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct log_files *files = log_files_open(names[i], 3);
        int failure;
        assert_string_equal(log_files_missing(files, &failure), names[i]);
        assert_int_equal(failure, failures[i]);
        check_lines("none", files, 100, "");
        log_files_close(files);
    }
    log_files_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_first),
        cmocka_unit_test(rotated_meanwhile),
        cmocka_unit_test(the_same_twice),
        cmocka_unit_test(lines_that_are_none),
        cmocka_unit_test(many_files),
        cmocka_unit_test(many_are_rotated),
        cmocka_unit_test(one_that_cannot_be_opened),
        cmocka_unit_test(one_that_is_gone),
        cmocka_unit_test(none_there),
    };
    return cmocka_run_group_tests(tests, setup, scratch_remove);
}
