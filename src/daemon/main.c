/* relaisd: the daemon.  Reads the settings, joins the path, waits for signals. */
#include "daemon/control.h"
#include "daemon/notify.h"
#include "daemon/path.h"
#include "daemon/picture.h"
#include "directory/directory.h"
#include "os/file.h"
#include "os/sasl.h"
#include "proto/ctl/ctl.h"
#include "report/report.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

static const char default_file[] = "/etc/relais/relais.conf";

struct daemon {
    const char *file;
    struct loop *home;
    struct path path;
    struct control *control;
    struct directory_start *started_with; /* NULL: it is about to start */
    uint64_t revision;
};

static const char usage[] =
    "usage: relaisd [-c FILE] [-t]\n"
    "  -c, --config FILE   settings (default /etc/relais/relais.conf)\n"
    "  -t, --test          read the settings, say what is wrong with them, and end\n"
    "  -h, --help          this text\n"
    "      --version       the version\n"
    "See relaisd(8).\n";

/* --- Settings ---------------------------------------------------------------------------- */

static void print_complaints(const struct complaints *complaints)
{
    char text[1000];

    for (size_t i = 0; i < complaints->count; i++) {
        complaint_format(&complaints->list[i], text);
        fprintf(stderr, "%s\n", text);
    }
}

static enum err read_settings(
    struct daemon *daemon, struct settings **out, struct complaints *complaints)
{
    struct directory_query query = {
        .file = daemon->file, .start = daemon->started_with, .needs_accounts = true
    };
    enum err err = directory_read(&query, out, complaints);

    if (err == OK)
        (*out)->revision = ++daemon->revision;
    return err;
}

static enum err start_report(const struct settings *settings, char why[256])
{
    struct report_settings report_settings = {
        .target = (int)settings->log_target,
        .log_file = settings->log_file,
        .protocol_file = settings->protocol_log_file,
        .tracking_file = settings->tracking_log_file,
        .connectivity_file = settings->connectivity_log_file,
        .tracks_subjects = settings->logs_subjects,
        .is_json = settings->logs_json,
        .bytes_max = settings->log_bytes_max,
        .files_max = settings->log_files_max,
    };

    return report_init(&report_settings, why);
}

/* The folder of the control socket, where a package has not made it. */
static void make_socket_folder(const struct settings *settings)
{
    err_ignore(folder_make_for(settings->control_socket, 0750)); /* who opens it says why not */
}

/* --- Reload ------------------------------------------------------------------------------ */

/* For whoever asked, and for the log. */
static void add_complaint(
    struct ctl_object *end, enum report_level level, const char *what, const char *more)
{
    char text[1100];

    snprintf(text, sizeof text, "%s%s", what, more);
    report_notice(level, "%s", text);
    ctl_add_text(end, "complaints", bytes_text(text));
}

static void add_complaints(const struct complaints *complaints, struct ctl_object *end)
{
    char text[1000];

    for (size_t i = 0; i < complaints->count; i++) {
        const struct complaint *complaint = &complaints->list[i];
        complaint_format_line(complaint, text);
        report_notice(complaint->is_warning ? REPORT_WARNING : REPORT_ERROR, "%s", text);
        complaint_format(complaint, text);
        ctl_add_text(end, "complaints", bytes_text(text));
    }
}

static struct ctl_object *refuse_reload(struct ctl_object *end, const char *why)
{
    report(REPORT_RELOAD_FAILED, R_CHARS("error", why));
    ctl_set_bool(end, "ok", false);
    ctl_set_number(end, "code", EX_CONFIG);
    ctl_set_text(end, "error", bytes_text(why));
    return end;
}

static void add_warning(void *me, const char *text)
{
    add_complaint(me, REPORT_WARNING, "warning: ", text);
}

/* A bad file never replaces good settings: everything is made before anything is changed. */
static struct ctl_object *reload(void *me)
{
    struct daemon *daemon = me;
    struct complaints complaints = { NULL };
    struct ctl_object *end = ctl_new();
    struct settings *settings;
    struct picture picture;
    char why[512] = "";
    enum err err;

    /* With this line the log's disk shows whether it hangs, before its files are opened. */
    report_notice(REPORT_INFO, "reading %s again", daemon->file);
    err = read_settings(daemon, &settings, &complaints);
    add_complaints(&complaints, end);
    complaints_done(&complaints);
    if (err != OK) {
        snprintf(why, sizeof why, "%s: %s; the settings in force stay", daemon->file,
            err == ERR_SYNTAX ? "has mistakes" : err_text(err));
        return refuse_reload(end, why);
    }
    if (path_change(&daemon->path, &settings, why) != OK)
        return refuse_reload(end, why);
    if (start_report(daemon->path.routed_by->settings, why) != OK)
        add_complaint(end, REPORT_ERROR, why, "; the logs go on as before");
    report(REPORT_RELOADED, R_CHARS("file", daemon->file),
        R_NUMBER("revision", (int64_t)daemon->revision));
    picture_take(&daemon->path, &picture);
    redundancy_each_that_left(&picture.what, add_warning, end);
    ctl_set_bool(end, "ok", true);
    ctl_set_number(end, "revision", (int64_t)daemon->revision);
    return end;
}

/* --- Signals ----------------------------------------------------------------------------- */

static void stop(void *me)
{
    struct daemon *daemon = me;

    notify_state("STOPPING=1");
    path_stop(&daemon->path);
}

static void on_signal(int signum, void *me)
{
    if (signum == SIGHUP) {
        notify_state("RELOADING=1");
        ctl_free(reload(me));
        notify_state("READY=1");
    } else {
        stop(me);
    }
}

static enum err watch_signals(struct daemon *daemon)
{
    static const int signals[] = { SIGHUP, SIGTERM, SIGINT };

    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        enum err err = loop_signal(daemon->home, signals[i], on_signal, daemon);
        if (err != OK)
            return err;
    }
    return OK;
}

/* A connection is a descriptor: as many as the system allows. */
static void raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit); /* as it was, when refused */
}

/* --- The run ----------------------------------------------------------------------------- */

static int fail(int code, const char *what, const char *why)
{
    report_notice(REPORT_ERROR, "%s: %s", what, why);
    fprintf(stderr, "relaisd: %s: %s\n", what, why);
    report_done();
    return code;
}

static int run(struct daemon *daemon, struct settings **settings)
{
    char why[512] = "";
    const struct settings *now;

    raise_limits();
    daemon->started_with = directory_start_new(*settings);
    sasl_use_keytab((*settings)->kerberos_keytab);
    make_socket_folder(*settings);
    if (start_report(*settings, why) != OK) {
        fprintf(stderr, "relaisd: %s\n", why);
        return EX_CANTCREAT;
    }
    if (loop_new(&daemon->home) != OK || watch_signals(daemon) != OK)
        return fail(EX_OSERR, "event loop", "cannot be made");
    report_thread_init(daemon->home);
    report_watch_crashes();
    if (path_open(&daemon->path, daemon->home, settings, why) != OK)
        return fail(EX_CANTCREAT, "cannot start", why);
    now = daemon->path.routed_by->settings;
    if (control_open(
            &daemon->path, now->control_socket, reload, stop, daemon, &daemon->control) != OK)
        return fail(EX_CANTCREAT, "control socket", now->control_socket);
    report(REPORT_STARTED, R_CHARS("version", RELAIS_VERSION), R_CHARS("node", now->node),
        R_CHARS("config", daemon->file));
    if (now->node_count == 0) /* else the node knows better */
        report(REPORT_NOT_REDUNDANT,
            R_CHARS("text", "single node: accepted messages are on this disk alone"));
    notify_state("READY=1");
    loop_run(daemon->home);
    control_close(daemon->control);
    path_close(&daemon->path);
    report(REPORT_STOPPED);
    report_thread_done();
    report_done();
    return EX_OK;
}

static int start(struct daemon *daemon, bool test_only)
{
    struct complaints complaints = { NULL };
    struct settings *settings;
    enum err err = read_settings(daemon, &settings, &complaints);
    int code;

    print_complaints(&complaints);
    complaints_done(&complaints);
    if (err != OK) {
        if (err != ERR_SYNTAX)
            fprintf(stderr, "relaisd: %s: %s\n", daemon->file, err_text(err));
        return EX_CONFIG;
    }
    if (test_only) {
        settings_free(settings);
        return EX_OK;
    }
    code = run(daemon, &settings);
    directory_start_free(daemon->started_with);
    return code;
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "config", required_argument, NULL, 'c' },
        { "test", no_argument, NULL, 't' }, { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 } };
    static struct daemon daemon = { .file = default_file };
    bool test_only = false;
    int option;

    while ((option = getopt_long(argc, argv, "c:th", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            daemon.file = optarg;
            break;
        case 't':
            test_only = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return EX_OK;
        case 'v':
            puts("relaisd " RELAIS_VERSION);
            return EX_OK;
        default:
            fputs(usage, stderr);
            return EX_USAGE;
        }
    }
    if (optind != argc) {
        fputs(usage, stderr);
        return EX_USAGE;
    }
    return start(&daemon, test_only);
}
