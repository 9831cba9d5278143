/* `relais certificate list`: what is in the folder of certificates, and who shows it. */
#include "base/certificate.h"
#include "ctl/print.h"
#include "ctl/tool.h"
#include "os/clock.h"
#include "os/tls_folder.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

struct listing {
    const struct settings *settings;
    struct tls_folder folder;
    struct wall now;
};

/* --- Who shows it ------------------------------------------------------------------------ */

/* By its path, or because it is the one that is chosen now. */
static bool shows(const struct listing *listing, const struct certificate_choice *choice,
    const struct tls_folder_entry *entry)
{
    if (choice->certificate_file)
        return strcmp(choice->certificate_file, entry->certificate_file) == 0;
    return certificate_is_chosen(choice) &&
           tls_folder_choose(&listing->folder, choice, listing->now) == entry;
}

static bool receive_shows(const struct listing *listing,
    const struct receive_connector *connector, const struct tls_folder_entry *entry)
{
    bool any = false;

    for (size_t i = 0; i < connector->certificate_count; i++)
        any |= shows(listing, &connector->certificates[i].choice, entry);
    return any && connector->enabled && connector->tls != TLS_MODE_OFF;
}

static void add_connectors(
    const struct listing *listing, const struct tls_folder_entry *entry, struct ctl_object *row)
{
    const struct settings *settings = listing->settings;

    for (size_t i = 0; i < settings->receive_count; i++) {
        if (receive_shows(listing, &settings->receive[i], entry))
            ctl_add_text(row, "connectors", bytes_text(settings->receive[i].name));
    }
    for (size_t i = 0; i < settings->send_count; i++) {
        if (settings->send[i].enabled && shows(listing, &settings->send[i].certificate, entry))
            ctl_add_text(row, "connectors", bytes_text(settings->send[i].name));
    }
}

/* --- Rows -------------------------------------------------------------------------------- */

static const char *status_of(const struct tls_folder_entry *entry, struct wall now)
{
    if (entry->why[0])
        return "unusable";
    if (now.ms < entry->facts.not_before.ms)
        return "not yet";
    return now.ms < entry->facts.not_after.ms ? "valid" : "over";
}

static struct ctl_object *row_of(
    const struct listing *listing, const struct tls_folder_entry *entry)
{
    struct ctl_object *row = ctl_new();
    char date[DATE_ISO_BYTES];

    ctl_set_text(row, "file", bytes_text(entry->certificate_file));
    ctl_set_text(row, "status", bytes_text(status_of(entry, listing->now)));
    if (entry->why[0])
        ctl_set_text(row, "error", bytes_text(entry->why));
    if (!entry->subject)
        return row;
    ctl_set_text(row, "subject", bytes_text(entry->subject));
    ctl_set_text(row, "issuer", bytes_text(entry->issuer));
    ctl_set_text(row, "names", bytes_text(entry->names));
    ctl_set_text(row, "fingerprint", bytes_text(entry->facts.fingerprint));
    ctl_set_text(row, "thumbprint", bytes_text(entry->sha1));
    wall_format_iso(entry->facts.not_before, date);
    ctl_set_text(row, "begins", bytes_text(date));
    wall_format_iso(entry->facts.not_after, date);
    ctl_set_text(row, "ends", bytes_text(date));
    add_connectors(listing, entry, row);
    return row;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* One certificate is too much for a line: a line, and what stands behind it as facts. */
static void print_one(const struct tls_folder_entry *entry, const struct ctl_object *row)
{
    const char *name;

    printf("%s\n", file_name(entry->certificate_file));
    print_fact("  status", "%s", ctl_text(row, "status"));
    if (entry->why[0])
        print_fact("  error", "%s", entry->why);
    if (!entry->subject)
        return;
    print_fact("  subject", "%s", entry->subject);
    print_fact("  issuer", "%s", entry->issuer);
    print_fact("  names", "%s", entry->names);
    print_fact("  valid", "%.10s to %.10s", ctl_text(row, "begins"), ctl_text(row, "ends"));
    print_fact("  fingerprint", "%s", entry->facts.fingerprint);
    print_fact("  thumbprint", "%s", entry->sha1);
    for (size_t i = 0; (name = ctl_list_text(row, "connectors", i)); i++)
        print_fact("  shown by", "%s", name);
}

static void print_all(const struct tool *tool, const struct listing *listing)
{
    for (size_t i = 0; i < listing->folder.count; i++) {
        struct ctl_object *row = row_of(listing, &listing->folder.list[i]);
        if (tool->is_json)
            print_json_row(row);
        else
            print_one(&listing->folder.list[i], row);
        ctl_free(row);
    }
    if (listing->folder.count == 0 && !tool->is_json)
        printf("No certificate in %s.\n", listing->settings->certificate_folder);
}

int cmd_certificate_list(struct tool *tool, int argc, char **argv)
{
    struct listing listing = { .now = clock_wall() };
    char why[TLS_ERROR_BYTES];
    enum err err;
    int code;

    if (!tool_options_only(tool, argc, argv, NULL, 0, &code))
        return code;
    listing.settings = tool_settings_needed(tool, &code);
    if (!listing.settings)
        return code;
    err = tls_folder_read(listing.settings->certificate_folder, &listing.folder, why);
    if (err != OK)
        return tool_fail(tool, tool_code(err),
            "%s; certificate_folder = \"...\" in the configuration says which folder", why);
    print_all(tool, &listing);
    tls_folder_done(&listing.folder);
    return EX_OK;
}
