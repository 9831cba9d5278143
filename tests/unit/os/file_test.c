#include "kit.h"

#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[96], other[96], deep[160];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/relais-file-test-%d", (int)getpid());
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    snprintf(deep, sizeof deep, "%s/a/b/c", folder);
    return folder_make(folder, 0700) != OK;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static struct file new_file(void)
{
    struct file file = { -1 };

    assert_int_equal(file_open(path, FILE_READ | FILE_WRITE | FILE_CREATE, &file), OK);
    return file;
}

static void drop_file(struct file *file)
{
    file_close(file);
    assert_int_equal(file_remove(path), OK);
}

static void check_content(struct bytes want)
{
    struct buf content;

    buf_init(&content, 1 << 20);
    assert_int_equal(file_read_all(path, 1 << 20, &content), OK);
    check_bytes("content", buf_bytes(&content), want);
    buf_done(&content);
}

static void test_open(void **state)
{
    struct file file = { -1 };

    (void)state;
    assert_int_equal(file_open(path, FILE_READ, &file), ERR_NONE);
    assert_int_equal(file.fd, -1);
    file = new_file();
    file_close(&file);
    file_close(&file); /* a closed one too */
    assert_int_equal(file_open(path, FILE_WRITE | FILE_CREATE, &file), ERR_EXISTS);
    assert_int_equal(file_open(path, FILE_READ, &file), OK);
    assert_int_equal(file_write_at(file, BYTES("x"), 0), ERR_SYSTEM); /* EBADF */
    drop_file(&file);
}

static void test_read_and_write(void **state)
{
    struct file file = new_file();
    uint8_t at[16];
    uint64_t size;
    size_t got;
    struct iovec runs[] = { { (char[]){ "cd" }, 2 }, { NULL, 0 }, { (char[]){ "efg" }, 3 } };

    (void)state;
    assert_int_equal(file_write_at(file, BYTES("ab"), 0), OK);
    assert_int_equal(file_writev_at(file, runs, CASES(runs), 2), OK);
    assert_int_equal(file_write_at(file, BYTES_NONE, 99), OK);
    check_content(BYTES("abcdefg"));
    assert_int_equal(file_read_at(file, at, 3, 4), OK);
    assert_memory_equal(at, "efg", 3);
    assert_int_equal(file_read_at(file, at, 4, 4), ERR_NONE);
    assert_int_equal(file_read_some(file, at, sizeof at, 5, &got), OK);
    assert_int_equal(got, 2);
    assert_int_equal(file_read_some(file, at, sizeof at, 50, &got), OK);
    assert_int_equal(got, 0);
    assert_int_equal(file_truncate(file, 4), OK);
    check_content(BYTES("abcd"));
    assert_int_equal(file_sync_data(file), OK);
    assert_int_equal(file_sync(file), OK);
    assert_int_equal(file_allocate(file, 4096), OK);
    assert_int_equal(file_size(file, &size), OK);
    assert_int_equal(size, 4096);
    drop_file(&file);
}

static void test_many_runs(void **state)
{
    enum { RUNS = 3000 }; /* over IOV_MAX */
    static struct iovec runs[RUNS];
    static uint8_t bytes[RUNS * 3];
    struct file file = new_file();

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 256);
    for (size_t i = 0; i < RUNS; i++)
        runs[i] = (struct iovec){ bytes + 3 * i, 3 };
    assert_int_equal(file_writev_at(file, runs, RUNS, 0), OK);
    check_content(bytes_of(bytes, sizeof bytes));
    drop_file(&file);
}

static void test_read_all(void **state)
{
    struct file file = new_file();
    struct buf content;

    (void)state;
    buf_init(&content, 1 << 20);
    assert_int_equal(file_write_at(file, BYTES("0123456789"), 0), OK);
    assert_int_equal(file_read_all(path, 9, &content), ERR_LIMIT);
    assert_int_equal(content.n, 0);
    assert_int_equal(file_read_all(path, 10, &content), OK);
    assert_int_equal(content.n, 10);
    assert_int_equal(file_read_all("/proc/self/stat", 1 << 16, &content), OK); /* size 0 */
    assert_true(content.n > 20);
    assert_int_equal(file_read_all("/nonexistent", 10, &content), ERR_NONE);
    assert_int_equal(file_read_all(folder, 10, &content), ERR_SYSTEM); /* EISDIR */
    buf_done(&content);
    drop_file(&file);
}

static enum err count(const char *name, void *me)
{
    assert_true(strcmp(name, ".") && strcmp(name, ".."));
    return ++*(unsigned *)me == 2 ? ERR_LIMIT : OK;
}

static void test_folders(void **state)
{
    char part[170];
    unsigned seen = 0;
    uint64_t bytes;
    struct stat s;
    struct file file = new_file();

    (void)state;
    assert_int_equal(folder_make(deep, 0750), OK);
    assert_int_equal(folder_make(deep, 0750), OK); /* again */
    assert_int_equal(stat(deep, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0750);
    snprintf(part, sizeof part, "%s/x", path);
    assert_int_equal(folder_make(part, 0700), ERR_EXISTS); /* a file is in the way */
    assert_int_equal(folder_sync(deep), OK);
    assert_int_equal(folder_sync("/nonexistent"), ERR_NONE);
    assert_int_equal(folder_free_bytes(deep, &bytes), OK);
    assert_true(bytes > 0);
    assert_int_equal(folder_each(folder, count, &seen), ERR_LIMIT);
    assert_int_equal(seen, 2);
    assert_int_equal(folder_each("/nonexistent", count, &seen), ERR_NONE);
    for (char *end = deep + strlen(deep); end > deep + strlen(folder); end = strrchr(deep, '/'))
        *end = 0, rmdir(deep);
    drop_file(&file);
}

static void test_names(void **state)
{
    struct file file = new_file();

    (void)state;
    assert_int_equal(file_link(path, other), OK);
    assert_int_equal(file_link(path, other), ERR_EXISTS);
    assert_int_equal(file_remove(path), OK);
    assert_int_equal(file_remove(path), ERR_NONE);
    assert_int_equal(file_rename(other, path), OK);
    assert_int_equal(file_rename(other, path), ERR_NONE);
    drop_file(&file);
}

static void test_lock(void **state)
{
    struct file first, second = { -1 };

    (void)state;
    assert_int_equal(file_lock(path, &first), OK);
    assert_int_equal(file_lock(path, &second), ERR_BUSY);
    assert_int_equal(second.fd, -1);
    file_close(&first);
    assert_int_equal(file_lock(path, &second), OK);
    drop_file(&second);
}

/* --- Faults ------------------------------------------------------------------------------ */

struct faults {
    unsigned calls, fail_at; /* from 1; 0: none */
    size_t short_bytes;      /* 0: whole */
    size_t written;
    unsigned flushed;
    int fd;
};

static enum err before(void *me, const struct file_event *event, size_t *n_max)
{
    struct faults *faults = me;

    if (++faults->calls == faults->fail_at)
        return ERR_IO;
    if (event->call == FILE_CALL_WRITE && faults->short_bytes < *n_max && faults->short_bytes)
        *n_max = faults->short_bytes;
    return OK;
}

static void after(void *me, const struct file_event *event, enum err err)
{
    struct faults *faults = me;

    assert_int_equal(err, OK);
    if (event->call == FILE_CALL_OPEN) {
        assert_string_equal(event->path, path);
        faults->fd = event->fd;
    }
    if (event->call == FILE_CALL_WRITE) {
        assert_int_equal(event->fd, faults->fd);
        assert_int_equal(event->at, faults->written);
        faults->written += event->n;
    }
    if (event->call == FILE_CALL_SYNC || event->call == FILE_CALL_SYNC_FOLDER)
        faults->flushed++;
}

/* A file is written aside, flushed and put in its place. */
static enum err replace(void)
{
    struct file file = { -1 };
    struct iovec runs[] = { { (char[]){ "abc" }, 3 }, { (char[]){ "defg" }, 4 } };
    enum err err = file_open(path, FILE_READ | FILE_WRITE | FILE_CREATE, &file);

    if (err == OK)
        err = file_writev_at(file, runs, CASES(runs), 0);
    if (err == OK)
        err = file_sync_data(file);
    if (err == OK)
        err = file_rename(path, other);
    if (err == OK)
        err = folder_sync(folder);
    file_close(&file);
    return err;
}

/* The first call fails, then the second, until none does; with whole and with short writes. */
static void test_faults(void **state)
{
    (void)state;
    for (size_t short_bytes = 0; short_bytes <= 7; short_bytes++) {
        enum err err = ERR_IO;
        for (unsigned at = 1; err != OK; at++) {
            struct faults faults = { .fail_at = at, .short_bytes = short_bytes };
            struct file_faults hooks = { &faults, before, after };
            file_set_faults(&hooks);
            err = replace();
            file_set_faults(NULL);
            assert_true(err == OK || (err == ERR_IO && faults.calls == at));
            if (err == OK) {
                assert_int_equal(faults.written, 7);
                assert_int_equal(faults.flushed, 2);
            }
            unlink(path);
            unlink(other);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_read_and_write),
        cmocka_unit_test(test_many_runs),
        cmocka_unit_test(test_read_all),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
