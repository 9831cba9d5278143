/* Where settings come from: a file now; etcd later.  Main loop's thread; reading blocks. */
#ifndef DIRECTORY_DIRECTORY_H
#define DIRECTORY_DIRECTORY_H

#include "base/buf.h"
#include "base/err.h"
#include "policy/settings.h"

/* One mistake, or warning, in a configuration. */
struct complaint {
    struct source_line where; /* line 0: about the whole file */
    bool is_warning;
    char text[400]; /* what is wrong */
    char hint[400]; /* what would be right; may be empty */
};

/* Zeroed before the first use.  In the order of files and lines. */
struct complaints {
    struct complaint *list;
    size_t count, room, error_count;
    char **files; /* the names that `where` points to */
    size_t file_count;
};
enum { COMPLAINTS_MAX = 1000 }; /* more are counted, not kept */
void complaints_done(struct complaints *complaints);

/* Reads FILE (and what it includes).  All mistakes are found, not the first alone.
 * ERR_SYNTAX: there are mistakes; *out is untouched.  ERR_NONE: no such file; ERR_DENIED.
 * On success there may be warnings.  *out is to be given back by settings_free(). */
enum err directory_read_file(
    const char *file, struct settings **out, struct complaints *complaints) MUST_USE;

/* What is to be said of NODE, whose address is a name, now that it is known to be IP; the settings
 * are those that were read.  Warnings only. */
void directory_check_node(const struct settings *settings, const struct cluster_node *node,
    struct ip ip, struct complaints *complaints);
/* Nothing can be said, since its name has no address now; WHY is a sentence's rest. */
void directory_complain_of_node(
    const struct cluster_node *node, const char *why, struct complaints *complaints);

/* A file as it would be: to check a change before it is made. */
struct directory_change {
    const char
        *file; /* as the path it is read by: the configuration's folder, and the include */
    struct bytes text;
    bool is_gone;  /* no such file */
    bool was_read; /* set: the configuration does include it, or looks for it */
};
/* What of the settings the tool goes by, each by itself; the rest is no use without being whole. */
enum directory_place {
    DIRECTORY_CONTROL_SOCKET = 1,
    DIRECTORY_SPOOL_FOLDER = 2,
    DIRECTORY_STATE_FOLDER = 4,
    DIRECTORY_POISON = 8,        /* poison_threshold */
    DIRECTORY_TRACKING_LOG = 16, /* its file, and how many of them */
    DIRECTORY_REST = 32,
};
/* A file with mistakes, as far as it could be read: the places that are not UNSURE are as the file
 * has them. */
struct directory_partial {
    struct settings *settings; /* settings_free() */
    unsigned unsure;           /* enum directory_place, or-ed */
};
/* The settings that count only when the daemon starts, as it started with them. */
struct directory_start;
struct directory_start *directory_start_new(struct settings *settings); /* unchanged */
void directory_start_free(struct directory_start *start);

struct directory_query {
    const char *file;
    struct directory_change *change; /* may be NULL */
    bool may_lack_key;               /* `relais cluster init` is about to make it */
    bool skips_accounts;             /* `relais user` is about to mend them */
    bool needs_accounts; /* the daemon: without them a disabled user of PAM would be none */
    struct directory_partial *partial; /* set with ERR_SYNTAX; NULL: not wanted */
    /* Those stay as they are, with a warning where the file has others; NULL: all are the file's. */
    const struct directory_start *start;
};
enum err directory_read(const struct directory_query *query, struct settings **out,
    struct complaints *complaints) MUST_USE;

/* The same from bytes: for tests and fuzzers.  NAME is what complaints call it; included files
 * are read from its folder. */
enum err directory_read_text(struct bytes text, const char *name, struct settings **out,
    struct complaints *complaints) MUST_USE;

/* --- The transport configuration (SHADOW.md 6) -------------------------------------------
 *
 * What was changed at run time stands in transport.conf in the state folder, and wins over the
 * configuration file. */

enum transport_kind { TRANSPORT_FLAG, TRANSPORT_COUNT, TRANSPORT_TIME, TRANSPORT_CHOICE };
struct transport_fact {
    const char *name;   /* "ShadowHeartbeatRetryCount" */
    const char *option; /* "shadow_heartbeat_retry_count" */
    enum transport_kind kind;
    int64_t number; /* of a flag, a count, or a time in ms */
    char value[40]; /* "True", "8", "00:10:00", "PreferRemote" */
};
/* The parameter of that number, from 0.  False: there are no more. */
bool directory_transport_get(
    const struct transport_settings *transport, size_t i, struct transport_fact *out);

/* Calls SAY for each parameter that is not the same in both. */
void directory_transport_compare(const struct transport_settings *before,
    const struct transport_settings *after,
    void (*say)(void *me, const char *name, const char *old_value, const char *new_value),
    void *me);

/* A parameter by either name, with or without hyphens and in any case, and its value as it was
 * typed; "default" takes back what was set at run time. */
struct transport_word {
    const char *name, *value;
};
/* The path of transport.conf; free() it. */
char *directory_transport_file(const struct settings *settings);
/* Appends what transport.conf FILE would be with WORDS.  The values are checked by
 * directory_read(), with this text as its change.  ERR_SYNTAX and others: WHY is a sentence. */
enum err directory_transport_edit(const char *file, const struct transport_word *words,
    size_t count, struct buf *out, char why[512]) MUST_USE;

/* Whether the configuration is without mistakes when TEXT is FILE, which it reads: transport.conf,
 * or that of an address list.  WHY: the first mistake, as a sentence. */
enum err directory_transport_check(
    const char *config_file, const char *file, struct bytes text, char why[512]) MUST_USE;

/* --- Address lists (RC-5) ----------------------------------------------------------------- */

/* A range to be put into the file of a list, or taken out of it. */
struct address_change {
    const struct address_list *list; /* of the settings in force */
    const char *range;               /* as it was typed */
    const char *comment;             /* behind it; NULL: none */
    bool is_removal;
};
/* Appends what the file would be.  ERR_SYNTAX: it is there already, or is not, or is no range, or
 * the list has no file; and others: WHY is a sentence. */
enum err directory_address_edit(
    const struct address_change *change, struct buf *out, char why[512]) MUST_USE;
/* The list of that name; NULL: there is none, and WHY says so. */
const struct address_list *directory_address_list(
    const struct settings *settings, const char *name, char why[512]);

/* --- Complaints ------------------------------------------------------------------------- */

/* "relais.conf:12: error: unknown option 'foo'\n    hint: did you mean 'for'?" */
void complaint_format(const struct complaint *complaint, char out[1000]);

/* The same for a log, on one line: "...; hint: did you mean 'for'?" */
void complaint_format_line(const struct complaint *complaint, char out[1000]);

#endif
