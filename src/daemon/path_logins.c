/* Who logged in outlives the process (PE-7): written now and then, and at the end.  And the
 * threads that look at passwords. */
#include "base/mem.h"
#include "daemon/path_inside.h"
#include "directory/accounts.h"
#include "os/file.h"
#include "os/sasl.h"
#include "os/workers.h"
#include "report/logins.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>

enum { WRITE_EVERY_MS = 60 * 1000, WORKER_COUNT = 4, WAITING_MAX = 1000, FOLDER_MODE = 0750 };

static void on_run(struct loop_work *work)
{
    struct path *path = container_of(work, struct path, logins_write);

    path->logins_err = logins_save(path->logins);
}

static void complain(enum err err)
{
    if (err != OK)
        report_notice(REPORT_WARNING, "the logins cannot be written: %s", err_text(err));
}

static void on_done(struct loop_work *work)
{
    struct path *path = container_of(work, struct path, logins_write);

    complain(path->logins_err);
    path->is_writing_logins = false;
    if (!path->is_stopping)
        timer_start(&path->logins_due, WRITE_EVERY_MS);
}

static void on_due(struct timer *timer)
{
    struct path *path = container_of(timer, struct path, logins_due);

    path->is_writing_logins = true;
    path->logins_write = (struct loop_work){ .run = on_run, .done = on_done };
    loop_work(path->home, &path->logins_write);
}

static bool offers_scram(const struct settings *settings)
{
    unsigned mechanisms = 0;

    for (size_t i = 0; i < settings->receive_count; i++)
        mechanisms |= settings->receive[i].mechanisms;
    return mechanisms & (AUTH_SCRAM_SHA_256 | AUTH_SCRAM_SHA_256_PLUS);
}

/* The key that the accounts' file has for this: nodes that share the file share it. */
static bool use_salt_key(const struct settings *settings)
{
    uint8_t key[ACCOUNT_SALT_KEY_BYTES];
    bool is_there = false;
    struct buf text;

    buf_init(&text, ACCOUNT_FILE_BYTES_MAX);
    if (file_read_all(settings->account_file, ACCOUNT_FILE_BYTES_MAX, &text) == OK) {
        is_there = accounts_find_salt_key(buf_bytes(&text), key);
        explicit_bzero(text.at, text.n);
    }
    buf_done(&text);
    if (is_there)
        sasl_use_secret(key);
    return is_there;
}

static void keep_secret(const struct settings *settings)
{
    size_t n = strlen(settings->state_folder) + sizeof "/salt-secret";
    char *file = mem_new(n);
    enum err err = folder_make(settings->state_folder, FOLDER_MODE);

    snprintf(file, n, "%s/salt-secret", settings->state_folder);
    if (err == OK)
        err = sasl_keep_secret(file);
    if (err != OK)
        report_notice(REPORT_WARNING, "%s: %s: a restart tells unknown users from known ones",
            file, err_text(err));
    free(file);
}

enum err path_open_logins(struct path *path, const struct settings *settings)
{
    size_t n = strlen(settings->state_folder) + sizeof "/logins";
    char *file = mem_new(n);

    snprintf(file, n, "%s/logins", settings->state_folder);
    path->logins = logins_new(file);
    if (offers_scram(settings) && !use_salt_key(settings))
        keep_secret(settings);
    free(file);
    timer_init(&path->logins_due, path->home, on_due);
    timer_start(&path->logins_due, WRITE_EVERY_MS);
    return workers_new(WORKER_COUNT, WAITING_MAX, &path->workers);
}

/* The loops have ended; what a worker still does is waited for. */
void path_end_workers(struct path *path)
{
    workers_free(path->workers);
    path->workers = NULL;
}

/* No session is left that could note anything. */
void path_close_logins(struct path *path)
{
    timer_stop(&path->logins_due);
    if (path->is_writing_logins)
        return; /* over the deadline, by a thread that goes with the process */
    complain(logins_save(path->logins));
    logins_free(path->logins);
}
