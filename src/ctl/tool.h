/* The tool `relais`: what its commands share.  One thread, blocking; the generator and the sink
 * run loops of their own. */
#ifndef CTL_TOOL_H
#define CTL_TOOL_H

#include "base/err.h"
#include "base/id.h"
#include "ctl/arguments.h"
#include "directory/directory.h"

#include <stdio.h>

struct tool;

struct command {
    const char *name;      /* "queue", or two words: "message show" */
    const char *arguments; /* "ID [--header]", for the usage line; may be "" */
    const char *summary;   /* one line, no full stop */
    int (*run)(struct tool *tool, int argc, char **argv); /* returns the exit code */
};

struct tool {
    const struct command *command; /* the one that runs */
    const char *config_file, *socket, *spool_folder;
    bool is_json, wants_help;
    struct settings *settings; /* read when first asked for */
    enum err settings_err;     /* why they are not the file's: ERR_SYNTAX, ERR_NONE ... */
    unsigned unsure;           /* enum directory_place: what of them may not be gone by */
    bool has_told;             /* that they are not whole */
    struct complaints complaints;
    struct poison_notes *poison; /* likewise, by offline_add_poison() */
};

/* The table of commands, ended by one without a name. */
extern const struct command tool_commands[];

/* Runs the command that ARGV names; returns the exit code (sysexits.h). */
int tool_run(int argc, char **argv);

/* Reads the command's OPTIONS and the common ones out of ARGV.  False: *exit_code is what to
 * end with; a mistake, with the usage, or the help that was asked for has been printed. */
bool tool_options(struct tool *tool, int *argc, char **argv, const struct option *options,
    size_t count, int *exit_code);

/* The same where nothing but options may be given. */
bool tool_options_only(struct tool *tool, int argc, char **argv, const struct option *options,
    size_t count, int *exit_code);

/* Prints "relais COMMAND: TEXT" and the usage on stderr; returns EX_USAGE. */
int tool_usage(const struct tool *tool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same of a command that there is not, which begins at ARGV, with what may have been meant. */
int tool_unknown_command(const struct tool *tool, int argc, char **argv);

/* A message id.  False: TEXT is none, which was said, and *exit_code is what to end with. */
bool tool_mid(struct tool *tool, const char *text, struct mid *out, int *exit_code);

/* Prints "relais COMMAND: TEXT" on stderr; returns CODE. */
int tool_fail(const struct tool *tool, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The settings, for who goes by nothing of them but PLACES (enum directory_place, or-ed).  That the
 * file has mistakes is said once, in a line; NULL: it does not tell PLACES, which has been said, and
 * *code is what to end with. */
const struct settings *tool_settings(struct tool *tool, unsigned places, int *code);
/* Whether it would be NULL; says nothing. */
bool tool_knows(struct tool *tool, unsigned places);
/* All of them, without a mistake; NULL: likewise, and the mistakes have been printed.  The key may
 * be missing. */
const struct settings *tool_settings_needed(struct tool *tool, int *code);
/* NULL: likewise. */
const char *tool_socket(struct tool *tool, int *code);
const char *tool_spool_folder(struct tool *tool, int *code);
void tool_done(struct tool *tool);

/* Prints the complaints on stderr. */
void tool_print_complaints(const struct complaints *complaints);

/* The exit code for an error of the machine: EX_NOPERM, EX_IOERR ... */
int tool_code(enum err err);

#define OPTION_COUNT(table) (sizeof(table) / sizeof *(table))

int cmd_check(struct tool *tool, int argc, char **argv);
int cmd_status(struct tool *tool, int argc, char **argv);
int cmd_queue(struct tool *tool, int argc, char **argv);
int cmd_queues(struct tool *tool, int argc, char **argv);
int cmd_message_show(struct tool *tool, int argc, char **argv);
int cmd_message_export(struct tool *tool, int argc, char **argv);
int cmd_retry(struct tool *tool, int argc, char **argv);
int cmd_remove(struct tool *tool, int argc, char **argv);
int cmd_redirect(struct tool *tool, int argc, char **argv);
int cmd_redirect_message(struct tool *tool, int argc, char **argv);
int cmd_suspend(struct tool *tool, int argc, char **argv);
int cmd_resume(struct tool *tool, int argc, char **argv);
int cmd_get_queue(struct tool *tool, int argc, char **argv);
int cmd_get_queue_digest(struct tool *tool, int argc, char **argv);
int cmd_get_message(struct tool *tool, int argc, char **argv);
int cmd_retry_queue(struct tool *tool, int argc, char **argv);
int cmd_suspend_queue(struct tool *tool, int argc, char **argv);
int cmd_resume_queue(struct tool *tool, int argc, char **argv);
int cmd_retry_message(struct tool *tool, int argc, char **argv);
int cmd_remove_message(struct tool *tool, int argc, char **argv);
int cmd_suspend_message(struct tool *tool, int argc, char **argv);
int cmd_resume_message(struct tool *tool, int argc, char **argv);
int cmd_export_message(struct tool *tool, int argc, char **argv);
int cmd_spool_check(struct tool *tool, int argc, char **argv);
int cmd_shadow_status(struct tool *tool, int argc, char **argv);
int cmd_shadow_list(struct tool *tool, int argc, char **argv);
int cmd_shadow_audit(struct tool *tool, int argc, char **argv);
int cmd_shadow_takeover(struct tool *tool, int argc, char **argv);
int cmd_shadow_evict(struct tool *tool, int argc, char **argv);
int cmd_shadow_resume(struct tool *tool, int argc, char **argv);
int cmd_shadow_drop(struct tool *tool, int argc, char **argv);
int cmd_devices(struct tool *tool, int argc, char **argv);
int cmd_address_show(struct tool *tool, int argc, char **argv);
int cmd_address_add(struct tool *tool, int argc, char **argv);
int cmd_address_remove(struct tool *tool, int argc, char **argv);
int cmd_explain(struct tool *tool, int argc, char **argv);
int cmd_trace(struct tool *tool, int argc, char **argv);
int cmd_metrics(struct tool *tool, int argc, char **argv);
int cmd_report_clients(struct tool *tool, int argc, char **argv);
int cmd_report_unprotected(struct tool *tool, int argc, char **argv);
int cmd_report_tls(struct tool *tool, int argc, char **argv);
int cmd_report_ranges(struct tool *tool, int argc, char **argv);
int cmd_test_open_relay(struct tool *tool, int argc, char **argv);
int cmd_track(struct tool *tool, int argc, char **argv);
int cmd_get_tracking(struct tool *tool, int argc, char **argv);
int cmd_reload(struct tool *tool, int argc, char **argv);
int cmd_stop(struct tool *tool, int argc, char **argv);
int cmd_sink(struct tool *tool, int argc, char **argv);
int cmd_load(struct tool *tool, int argc, char **argv);
int cmd_cluster_init(struct tool *tool, int argc, char **argv);
int cmd_cluster_join(struct tool *tool, int argc, char **argv);
int cmd_cluster_leave(struct tool *tool, int argc, char **argv);
int cmd_cluster_show(struct tool *tool, int argc, char **argv);
int cmd_get_transport(struct tool *tool, int argc, char **argv);
int cmd_set_transport(struct tool *tool, int argc, char **argv);
int cmd_user_list(struct tool *tool, int argc, char **argv);
int cmd_user_add(struct tool *tool, int argc, char **argv);
int cmd_user_passwd(struct tool *tool, int argc, char **argv);
int cmd_user_addresses(struct tool *tool, int argc, char **argv);
int cmd_user_disable(struct tool *tool, int argc, char **argv);
int cmd_user_enable(struct tool *tool, int argc, char **argv);
int cmd_user_remove(struct tool *tool, int argc, char **argv);
int cmd_get_receive(struct tool *tool, int argc, char **argv);
int cmd_get_send(struct tool *tool, int argc, char **argv);
int cmd_get_domain(struct tool *tool, int argc, char **argv);
int cmd_certificate_list(struct tool *tool, int argc, char **argv);
int cmd_connector_list(struct tool *tool, int argc, char **argv);
int cmd_connector_show(struct tool *tool, int argc, char **argv);
int cmd_help(struct tool *tool, int argc, char **argv);

#endif
