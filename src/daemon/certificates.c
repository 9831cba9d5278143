#include "daemon/certificates.h"

#include "base/mem.h"
#include "os/clock.h"
#include "os/file_watched.h"
#include "os/tls_folder.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY_MS = 2000, CHOOSE_EVERY_MS = 60 * 1000 };
enum { EXPIRY_EVERY_MS = 24 * 3600 * 1000, DAY_MS = 24 * 3600 * 1000 };

/* The files of one connector. */
struct certificates_entry {
    const struct receive_connector *receive; /* one of the two */
    const struct send_connector *send;
    struct watched_file *files;
    char **paths; /* of those files: what is chosen in the folder may become another file */
    size_t file_count;
    bool is_chosen;    /* in the folder, one of them at least */
    unsigned failures; /* of renewing since the files changed; 0: nothing is to be done */
    bool is_due;
};

/* --- What is watched --------------------------------------------------------------------- */

static void add_file(struct certificates_entry *entry, const char *path)
{
    size_t n = entry->file_count;

    if (!path)
        return;
    entry->files = mem_grow(entry->files, (n + 1) * sizeof *entry->files);
    entry->paths = mem_grow(entry->paths, (n + 1) * sizeof *entry->paths);
    entry->paths[n] = mem_text(path);
    entry->files[n] = (struct watched_file){ .path = entry->paths[n] };
    (void)watched_file_changed(&entry->files[n]); /* as it is now it has just been read */
    entry->file_count++;
}

static void free_files(struct certificates_entry *entry)
{
    for (size_t i = 0; i < entry->file_count; i++)
        free(entry->paths[i]);
    free(entry->paths);
    free(entry->files);
    entry->paths = NULL;
    entry->files = NULL;
    entry->file_count = 0;
}

/* What of the folder cannot be found now is looked for when the folder changes. */
static void add_choice(struct certificates_entry *entry, const struct settings *settings,
    const struct certificate_choice *choice)
{
    struct tls_files files = { NULL, NULL };
    char why[TLS_ERROR_BYTES];

    entry->is_chosen |= certificate_is_chosen(choice);
    if (certificate_is_meant(choice) &&
        tls_files_find(settings->certificate_folder, choice, clock_wall(), &files, why) == OK) {
        add_file(entry, files.certificate_file);
        add_file(entry, files.key_file);
        tls_files_done(&files);
    }
}

static void add_files(struct certificates_entry *entry, const struct settings *settings)
{
    const struct receive_connector *receive = entry->receive;

    if (receive) {
        for (size_t i = 0; i < receive->certificate_count; i++)
            add_choice(entry, settings, &receive->certificates[i].choice);
        if (receive->asks_client_certificate)
            add_file(entry, receive->client_ca_file);
    } else {
        add_choice(entry, settings, &entry->send->certificate);
        add_file(entry, entry->send->ca_file);
    }
}

static void watch(struct certificates *certificates, struct certificates_entry entry)
{
    add_files(&entry, certificates->setup->settings);
    if (entry.file_count == 0 && !entry.is_chosen)
        return;
    certificates->list =
        mem_grow(certificates->list, (certificates->count + 1) * sizeof *certificates->list);
    certificates->list[certificates->count++] = entry;
}

static void forget(struct certificates *certificates)
{
    for (size_t i = 0; i < certificates->count; i++)
        free_files(&certificates->list[i]);
    free(certificates->list);
    certificates->list = NULL;
    certificates->count = 0;
    setup_free(certificates->setup);
    certificates->setup = NULL;
}

/* --- Their ends -------------------------------------------------------------------------- */

/* Rounded down, so that "in 0 days" is today and -1 was yesterday. */
static int64_t days_between(struct wall from, struct wall to)
{
    int64_t ms = to.ms - from.ms;

    return ms >= 0 ? ms / DAY_MS : -((-ms + DAY_MS - 1) / DAY_MS);
}

/* Who is told of ends. */
struct visiting {
    const struct settings *settings;
    void (*visit)(void *me, const struct certificate_end *end);
    void *me;
};

/* What cannot be read any more is told when it is to be renewed. */
static void visit_choice(const struct visiting *visiting, const char *connector,
    const struct certificate_choice *choice)
{
    struct certificate_end end = { .connector = connector };
    struct wall now = clock_wall();
    struct tls_files files;
    char why[TLS_ERROR_BYTES];

    if (!certificate_is_meant(choice) ||
        tls_files_find(visiting->settings->certificate_folder, choice, now, &files, why) != OK)
        return;
    end.file = files.certificate_file;
    if (tls_certificate_look(end.file, "", &end.facts, why) == OK) {
        end.expiry = tls_expiry_of(&end.facts, now);
        end.days_left = days_between(now, end.facts.not_after);
        if (end.expiry != TLS_EXPIRY_FAR)
            visiting->visit(visiting->me, &end);
    }
    tls_files_done(&files);
}

void certificates_each_end(const struct settings *settings,
    void (*visit)(void *me, const struct certificate_end *end), void *me)
{
    const struct visiting visiting = { settings, visit, me };

    for (size_t i = 0; i < settings->receive_count; i++) {
        const struct receive_connector *connector = &settings->receive[i];
        for (size_t k = 0; k < connector->certificate_count; k++) {
            if (connector->enabled && connector->tls != TLS_MODE_OFF)
                visit_choice(&visiting, connector->name, &connector->certificates[k].choice);
        }
    }
    for (size_t i = 0; i < settings->send_count; i++) {
        if (settings->send[i].enabled)
            visit_choice(&visiting, settings->send[i].name, &settings->send[i].certificate);
    }
}

void certificate_end_format(const struct certificate_end *end, char out[700])
{
    char date[DATE_ISO_BYTES];
    long long days = (long long)end->days_left;

    wall_format_iso(end->facts.not_after, date);
    if (end->expiry == TLS_EXPIRY_OVER)
        snprintf(out, 700, "certificate %.400s of connector %s has expired on %.10s", end->file,
            end->connector, date);
    else
        snprintf(out, 700, "certificate %.400s of connector %s ends on %.10s, in %lld day%s",
            end->file, end->connector, date, days, days == 1 ? "" : "s");
}

static void report_end(void *me, const struct certificate_end *end)
{
    char date[DATE_ISO_BYTES];

    (void)me;
    wall_format_iso(end->facts.not_after, date);
    report(
        end->expiry == TLS_EXPIRY_OVER ? REPORT_CERTIFICATE_EXPIRED : REPORT_CERTIFICATE_ENDS,
        R_CHARS("connector", end->connector), R_CHARS("file", end->file),
        R_CHARS("subject", end->facts.subject), R_CHARS("ends", date),
        R_NUMBER("days", end->days_left));
}

/* --- Looking ----------------------------------------------------------------------------- */

static bool has_changed(struct certificates_entry *entry)
{
    bool any = false;

    for (size_t i = 0; i < entry->file_count; i++)
        any |= watched_file_changed(&entry->files[i]);
    return any;
}

/* A certificate and its key are two files, and who puts new ones there does it one after the
 * other: what does not fit now may fit at the next look, and only then it is complained of. */
static void renew(struct certificates *certificates, struct certificates_entry *entry)
{
    const char *name = entry->receive ? entry->receive->name : entry->send->name;
    char why[512] = "";
    enum err err = entry->receive
                       ? setup_renew_receive(certificates->setup, entry->receive, why)
                       : setup_renew_send(certificates->setup, entry->send, why);

    entry->is_due = err != OK;
    if (err == OK) {
        report(REPORT_CERTIFICATE_RENEWED, R_CHARS("connector", name),
            R_CHARS("file", entry->file_count ? entry->paths[0] : ""));
        certificates->expiry_due.ms = 0;
    } else if (++entry->failures == 2) {
        report(REPORT_CERTIFICATE_FAILED, R_CHARS("connector", name), R_CHARS("error", why),
            R_CHARS("text", "the one in use stays"));
    }
}

static bool has_same_files(
    const struct certificates_entry *a, const struct certificates_entry *b)
{
    if (a->file_count != b->file_count)
        return false;
    for (size_t i = 0; i < a->file_count; i++) {
        if (strcmp(a->paths[i], b->paths[i]) != 0)
            return false;
    }
    return true;
}

/* The folder has changed: another file may be the choice now. */
static void choose_again(struct certificates *certificates, struct certificates_entry *entry)
{
    struct certificates_entry now = { .receive = entry->receive, .send = entry->send };

    add_files(&now, certificates->setup->settings);
    if (has_same_files(&now, entry)) { /* each of them is watched */
        free_files(&now);
        return;
    }
    free_files(entry);
    entry->files = now.files;
    entry->paths = now.paths;
    entry->file_count = now.file_count;
    entry->is_due = true;
    entry->failures = 0;
}

/* A choice may become another one by what is in the folder, and as time goes by: a certificate
 * that was not valid yet, or one that has ended.  Looked at every minute for the latter. */
static void look_at_folder(struct certificates *certificates, int64_t now_ms)
{
    bool any_chosen = false;
    uint64_t state;

    for (size_t i = 0; i < certificates->count; i++)
        any_chosen |= certificates->list[i].is_chosen;
    if (!any_chosen)
        return;
    state = tls_folder_state(certificates->setup->settings->certificate_folder);
    if (state == certificates->folder_state && now_ms < certificates->choice_due.ms)
        return;
    certificates->folder_state = state;
    certificates->choice_due.ms = now_ms + CHOOSE_EVERY_MS;
    for (size_t i = 0; i < certificates->count; i++) {
        if (certificates->list[i].is_chosen)
            choose_again(certificates, &certificates->list[i]);
    }
}

static void on_timer(struct timer *timer)
{
    struct certificates *certificates = container_of(timer, struct certificates, timer);
    int64_t now_ms = loop_now(certificates->loop).ms;

    look_at_folder(certificates, now_ms);
    for (size_t i = 0; i < certificates->count; i++) {
        struct certificates_entry *entry = &certificates->list[i];
        if (has_changed(entry)) {
            entry->is_due = true;
            entry->failures = 0;
        }
        if (entry->is_due)
            renew(certificates, entry);
    }
    if (now_ms >= certificates->expiry_due.ms) {
        certificates_each_end(certificates->setup->settings, report_end, NULL);
        certificates->expiry_due.ms = now_ms + EXPIRY_EVERY_MS;
    }
    timer_start(timer, LOOK_EVERY_MS);
}

void certificates_init(struct certificates *certificates, struct loop *loop)
{
    *certificates = (struct certificates){ .loop = loop };
    timer_init(&certificates->timer, loop, on_timer);
}

void certificates_watch(struct certificates *certificates, struct setup *setup)
{
    const struct settings *settings = setup->settings;

    forget(certificates);
    certificates->setup = setup_hold(setup);
    for (size_t i = 0; i < settings->receive_count; i++) {
        if (settings->receive[i].enabled && settings->receive[i].tls != TLS_MODE_OFF)
            watch(
                certificates, (struct certificates_entry){ .receive = &settings->receive[i] });
    }
    for (size_t i = 0; i < settings->send_count; i++) {
        if (settings->send[i].enabled)
            watch(certificates, (struct certificates_entry){ .send = &settings->send[i] });
    }
    certificates->expiry_due.ms = 0;
    timer_start(&certificates->timer, 0);
}

void certificates_done(struct certificates *certificates)
{
    if (!certificates->loop)
        return;
    timer_stop(&certificates->timer);
    forget(certificates);
}
