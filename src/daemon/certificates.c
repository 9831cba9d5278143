#include "daemon/certificates.h"

#include "base/mem.h"
#include "os/clock.h"
#include "os/file_watched.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOOK_EVERY_MS = 2000, EXPIRY_EVERY_MS = 24 * 3600 * 1000, DAY_MS = 24 * 3600 * 1000 };

/* The files of one connector. */
struct certificates_entry {
    const struct receive_connector *receive; /* one of the two */
    const struct send_connector *send;
    struct watched_file *files;
    size_t file_count;
    unsigned failures; /* of renewing since the files changed; 0: nothing is to be done */
    bool is_due;
};

/* --- What is watched --------------------------------------------------------------------- */

static void add_file(struct certificates_entry *entry, const char *path)
{
    struct watched_file *file;

    if (!path)
        return;
    entry->files = mem_grow(entry->files, (entry->file_count + 1) * sizeof *entry->files);
    file = &entry->files[entry->file_count++];
    *file = (struct watched_file){ .path = path };
    (void)watched_file_changed(file); /* as it is now it has just been read */
}

/* Takes the entry if it has files. */
static void keep(struct certificates *certificates, const struct certificates_entry *entry)
{
    if (entry->file_count == 0)
        return;
    certificates->list =
        mem_grow(certificates->list, (certificates->count + 1) * sizeof *certificates->list);
    certificates->list[certificates->count++] = *entry;
}

static void watch_receive(
    struct certificates *certificates, const struct receive_connector *connector)
{
    struct certificates_entry entry = { .receive = connector };

    if (!connector->enabled || connector->tls == TLS_MODE_OFF)
        return;
    for (size_t i = 0; i < connector->certificate_count; i++) {
        add_file(&entry, connector->certificates[i].certificate_file);
        add_file(&entry, connector->certificates[i].key_file);
    }
    if (connector->asks_client_certificate)
        add_file(&entry, connector->client_ca_file);
    keep(certificates, &entry);
}

static void watch_send(
    struct certificates *certificates, const struct send_connector *connector)
{
    struct certificates_entry entry = { .send = connector };

    if (!connector->enabled)
        return;
    add_file(&entry, connector->certificate_file);
    add_file(&entry, connector->key_file);
    add_file(&entry, connector->ca_file);
    keep(certificates, &entry);
}

static void forget(struct certificates *certificates)
{
    for (size_t i = 0; i < certificates->count; i++)
        free(certificates->list[i].files);
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

static void visit_file(const char *connector, const char *file,
    void (*visit)(void *me, const struct certificate_end *end), void *me)
{
    struct certificate_end end = { .connector = connector, .file = file };
    struct wall now = clock_wall();
    char why[TLS_ERROR_BYTES];

    if (!file || tls_certificate_look(file, "", &end.facts, why) != OK)
        return; /* what cannot be read any more is told when it is to be renewed */
    end.expiry = tls_expiry_of(&end.facts, now);
    end.days_left = days_between(now, end.facts.not_after);
    if (end.expiry != TLS_EXPIRY_FAR)
        visit(me, &end);
}

void certificates_each_end(const struct settings *settings,
    void (*visit)(void *me, const struct certificate_end *end), void *me)
{
    for (size_t i = 0; i < settings->receive_count; i++) {
        const struct receive_connector *connector = &settings->receive[i];
        for (size_t k = 0; k < connector->certificate_count; k++) {
            if (connector->enabled && connector->tls != TLS_MODE_OFF)
                visit_file(
                    connector->name, connector->certificates[k].certificate_file, visit, me);
        }
    }
    for (size_t i = 0; i < settings->send_count; i++) {
        if (settings->send[i].enabled)
            visit_file(settings->send[i].name, settings->send[i].certificate_file, visit, me);
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
            R_CHARS("file", entry->files[0].path));
        certificates->expiry_due.ms = 0;
    } else if (++entry->failures == 2) {
        report(REPORT_CERTIFICATE_FAILED, R_CHARS("connector", name), R_CHARS("error", why),
            R_CHARS("text", "the one in use stays"));
    }
}

static void on_timer(struct timer *timer)
{
    struct certificates *certificates = container_of(timer, struct certificates, timer);
    int64_t now_ms = loop_now(certificates->loop).ms;

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
    for (size_t i = 0; i < settings->receive_count; i++)
        watch_receive(certificates, &settings->receive[i]);
    for (size_t i = 0; i < settings->send_count; i++)
        watch_send(certificates, &settings->send[i]);
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
