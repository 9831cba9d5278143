/* A disk that is full, and has room again. */
#include "folder.h"
#include "kit.h"

#include "os/file.h"
#include "report/out.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[200];

static int setup(void **state)
{
    signal(SIGXFSZ, SIG_IGN);
    if (scratch_make(state) != 0)
        return -1;
    snprintf(path, sizeof path, "%s", path_of("log"));
    return 0;
}

/* Files may have so many bytes; a write beyond that is cut, as on a full disk. */
static void let_files_be(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void check_file(const char *name, struct bytes want)
{
    struct buf text;

    buf_init(&text, 4096);
    assert_int_equal(file_read_all(path_of(name), 4096, &text), OK);
    check_bytes(name, buf_bytes(&text), want);
    buf_done(&text);
}

static void a_line_that_was_cut_is_a_line_of_its_own(void **state)
{
    struct out out;
    char why[256];

    (void)state;
    assert_int_equal(out_open(path, NULL, 0, 0, &out, why), OK);
    let_files_be(13);
    check("nothing lost before", out_write(&out, BYTES("one 1\ntwo 2\nthree\nfour\n")) == 0);
    check("full", out_write(&out, BYTES("five\n")) == 0);
    let_files_be(RLIM_INFINITY);
    check("three, four and five", out_write(&out, BYTES("six\n")) == 3);
    check("told once", out_write(&out, BYTES("seven\n")) == 0);
    out_close(&out);
    check_file("log", BYTES("one 1\ntwo 2\nt\nsix\nseven\n"));
}

static void cut_between_lines(void **state)
{
    struct out out;
    char why[256];

    (void)state;
    assert_int_equal(file_remove(path), OK);
    assert_int_equal(out_open(path, NULL, 0, 0, &out, why), OK);
    let_files_be(12);
    check("cut", out_write(&out, BYTES("one 1\ntwo 2\nthree\n")) == 0);
    let_files_be(RLIM_INFINITY);
    check("one", out_write(&out, BYTES("four\n")) == 1);
    out_close(&out);
    check_file("log", BYTES("one 1\ntwo 2\nfour\n"));
}

/* Were the old ones moved each time, they would be gone soon. */
static void without_a_new_file_none_is_moved(void **state)
{
    struct out out;
    char why[256], next[80];

    (void)state;
    assert_int_equal(file_remove(path), OK);
    assert_int_equal(out_open(path, NULL, 8, 2, &out, why), OK);
    for (unsigned i = 0; i < 2; i++)
        check("rotates", out_write(&out, i ? BYTES("second\n") : BYTES("first\n")) == 0);
    snprintf(next, sizeof next, "%s.next", path);
    assert_int_equal(folder_make(next, 0700), OK);
    for (unsigned i = 0; i < 5; i++)
        check("goes on", out_write(&out, BYTES("more\n")) == 0);
    check_file("log", BYTES("second\nmore\nmore\nmore\nmore\nmore\n"));
    check_file("log.1", BYTES("first\n"));
    assert_int_equal(rmdir(next), 0);
    check("rotates again", out_write(&out, BYTES("last\n")) == 0);
    out_close(&out);
    check_file("log", BYTES("last\n"));
    check_file("log.2", BYTES("first\n"));
}

/* The one who was writing has ended, or the file is opened anew: the next line is its own. */
static void a_line_that_others_left_is_ended(void **state)
{
    static const struct {
        const char *name;
        struct bytes before, want;
    } cases[] = {
        { "whole", BYTES("one\n"), BYTES("one\ntwo\n") },
        { "cut", BYTES("one\ntw"), BYTES("one\ntw\ntwo\n") },
        { "empty", BYTES(""), BYTES("two\n") },
    };
    char why[256];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct out out;
        assert_int_equal(file_replace(path, cases[i].before, 0600), OK);
        assert_int_equal(out_open(path, NULL, 0, 0, &out, why), OK);
        check(cases[i].name, out_write(&out, BYTES("two\n")) == 0);
        out_close(&out);
        check_file("log", cases[i].want);
    }
}

/* Moved away, /dev/stdout would be a plain file from then on, for all. */
static void only_files_are_rotated(void **state)
{
    struct out out;
    struct stat facts;
    char why[256], buffer[80], old[80];
    int stderr_before = dup(STDERR_FILENO), reader;

    (void)state;
    snprintf(old, sizeof old, "%s.1", path_of("pipe"));
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    reader = open(path_of("pipe"), O_RDONLY | O_NONBLOCK);
    assert_int_equal(out_open(path_of("pipe"), "head\n", 8, 2, &out, why), OK);
    for (unsigned i = 0; i < 5; i++)
        check("written", out_write(&out, BYTES("a line\n")) == 0);
    out_close(&out);
    check("a pipe still", stat(path_of("pipe"), &facts) == 0 && S_ISFIFO(facts.st_mode));
    check("not moved", stat(old, &facts) != 0);
    assert_int_equal(read(reader, buffer, sizeof buffer), 5 + 5 * 7);
    close(reader);

    /* As with `relaisd 2>file`, and /dev/stderr. */
    assert_int_equal(file_replace(path_of("standard"), BYTES("first\n"), 0600), OK);
    assert_int_equal(symlink(path_of("standard"), path_of("link")), 0);
    reader = open(path_of("standard"), O_RDWR);
    assert_int_equal(dup2(reader, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(out_open(path_of("link"), NULL, 8, 2, &out, why), OK);
    check("more", out_write(&out, BYTES("second\n")) == 0);
    out_close(&out);
    assert_int_equal(dup2(stderr_before, STDERR_FILENO), STDERR_FILENO);
    close(stderr_before);
    close(reader);
    check("a link still", lstat(path_of("link"), &facts) == 0 && S_ISLNK(facts.st_mode));
    check_file("standard", BYTES("first\nsecond\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_that_was_cut_is_a_line_of_its_own),
        cmocka_unit_test(cut_between_lines),
        cmocka_unit_test(without_a_new_file_none_is_moved),
        cmocka_unit_test(a_line_that_others_left_is_ended),
        cmocka_unit_test(only_files_are_rotated),
    };
    return cmocka_run_group_tests(tests, setup, scratch_remove);
}
