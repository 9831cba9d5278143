/* A file that is replaced is the old one or the new one, whatever fails. */
#include "kit.h"

#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/relais-replace-XXXXXX", path[96], beside[96];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/f.conf", folder);
    snprintf(beside, sizeof beside, "%s/.f.conf.new", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static bool has(struct bytes want)
{
    struct buf content;
    bool is_same;

    buf_init(&content, 1000);
    is_same =
        file_read_all(path, 1000, &content) == OK && bytes_equal(buf_bytes(&content), want);
    buf_done(&content);
    return is_same;
}

static unsigned mode_of(void)
{
    struct stat about;

    assert_int_equal(stat(path, &about), 0);
    return about.st_mode & 07777;
}

static void test_looks(void **state)
{
    struct stat about;

    (void)state;
    assert_int_equal(file_replace(path, BYTES("one"), 0640), OK);
    assert_true(has(BYTES("one")));
    assert_int_equal(mode_of(), 0640);
    assert_int_equal(chmod(path, 0604), 0);
    assert_int_equal(file_replace(path, BYTES(""), 0640), OK);
    assert_true(has(BYTES("")));
    assert_int_equal(mode_of(), 0604); /* it keeps its own */
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 1, 2), 0);
        assert_int_equal(file_replace(path, BYTES("two"), 0640), OK);
        assert_int_equal(stat(path, &about), 0);
        assert_true(about.st_uid == 1 && about.st_gid == 2);
        assert_int_equal(chown(folder, 3, 4), 0);
        assert_int_equal(file_own(path), OK);
        assert_int_equal(stat(path, &about), 0);
        assert_true(about.st_uid == 3 && about.st_gid == 4);
        assert_int_equal(file_remove(path), OK);
        assert_int_equal(file_replace(path, BYTES("new"), 0600), OK);
        assert_int_equal(stat(path, &about), 0);
        assert_true(about.st_uid == 3 && about.st_gid == 4);
        assert_int_equal(chown(folder, 0, 0), 0);
    }
    assert_int_equal(file_remove(path), OK);
    assert_int_equal(file_replace("/nonexistent/x", BYTES("x"), 0600), ERR_NONE);
}

static int calls_left;

static enum err fail_one(void *me, const struct file_event *event, size_t *n_max)
{
    (void)me, (void)event, (void)n_max;
    return --calls_left == 0 ? ERR_IO : OK;
}

/* Fails the first call, then the second, until none fails. */
static void test_faults(void **state)
{
    const struct file_faults faults = { .before = fail_one };
    enum err err = ERR_IO;

    (void)state;
    for (int at = 1; err != OK; at++) {
        assert_int_equal(file_replace(path, BYTES("old"), 0600), OK);
        calls_left = at;
        file_set_faults(&faults);
        err = file_replace(path, BYTES("new and longer"), 0600);
        file_set_faults(NULL);
        assert_true(has(BYTES("old")) || has(BYTES("new and longer")));
        assert_true(err == OK ? has(BYTES("new and longer")) : at < 20);
        if (err != OK && access(beside, F_OK) == 0) /* removing it was what failed */
            assert_int_equal(file_remove(beside), OK);
        assert_int_equal(file_remove(path), OK);
    }
}

/* What a killed one has left is in nobody's way. */
static void test_leftover(void **state)
{
    struct file file;

    (void)state;
    assert_int_equal(file_open(beside, FILE_WRITE | FILE_CREATE, &file), OK);
    assert_int_equal(file_write_at(file, BYTES("half of something longer"), 0), OK);
    file_close(&file);
    assert_int_equal(file_replace(path, BYTES("whole"), 0600), OK);
    assert_true(has(BYTES("whole")));
    assert_int_not_equal(access(beside, F_OK), 0);
    assert_int_equal(file_remove(path), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_looks),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_leftover),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
