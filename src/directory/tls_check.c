/* What stands in the files of certificates: whether they can be used, how long, for whom. */
#include "directory/tls_options.h"

#include "base/mem.h"
#include "os/clock.h"
#include "os/tls_folder.h"

#include <stdlib.h>

static void check_end(struct reader *reader, struct source_line where, const char *file,
    const struct tls_certificate_facts *facts)
{
    char date[DATE_ISO_BYTES];
    enum tls_expiry expiry = tls_expiry_of(facts, clock_wall());

    wall_format_iso(facts->not_after, date);
    if (expiry == TLS_EXPIRY_OVER)
        complaint_hint(complain_warning(reader->complaints, where,
                           "the certificate \"%.200s\" has expired on %.10s", file, date),
            "a new one is taken as soon as it is in the file");
    else if (expiry != TLS_EXPIRY_FAR)
        complain_warning(
            reader->complaints, where, "the certificate \"%.200s\" ends on %.10s", file, date);
}

static void check_names(struct reader *reader, const struct receive_connector *connector,
    const struct tls_files *files)
{
    const char *fqdn = connector->fqdn ? connector->fqdn : reader->settings->fqdn;
    bool any_fits = false;

    for (size_t i = 0; i < connector->certificate_count; i++) {
        struct tls_certificate_facts facts;
        char why[TLS_ERROR_BYTES];
        if (tls_certificate_look(files[i].certificate_file, fqdn, &facts, why) != OK)
            return; /* it could be used a moment ago */
        check_end(reader, connector->certificates[i].source, files[i].certificate_file, &facts);
        any_fits |= facts.fits;
    }
    if (!any_fits)
        complaint_hint(complain_warning(reader->complaints, connector->certificates[0].source,
                           "the certificate is not for \"%.200s\", as the connector calls "
                           "itself",
                           fqdn),
            "clients that verify it will not send; fqdn = ... names another");
}

static bool is_all_meant(const struct receive_connector *connector)
{
    for (size_t i = 0; i < connector->certificate_count; i++) {
        if (!certificate_is_meant(&connector->certificates[i].choice))
            return false;
    }
    return connector->certificate_count > 0;
}

/* False: it was complained of. */
static bool find_files(struct reader *reader, struct source_line where,
    const struct certificate_choice *choice, struct tls_files *out)
{
    const char *folder = reader->settings->certificate_folder;
    char why[TLS_ERROR_BYTES];

    if (tls_files_find(folder, choice, clock_wall(), out, why) == OK)
        return true;
    complaint_hint(
        complain(reader->complaints, where, "the certificate cannot be chosen: %s", why),
        "relais certificate list shows all that is in %.200s, and what cannot be used", folder);
    return false;
}

static void check_context(struct reader *reader, const struct receive_connector *connector,
    const struct tls_files *files)
{
    struct tls_certificate_files *pairs = mem_new(connector->certificate_count * sizeof *pairs);
    struct tls_server_settings settings = { .certificate_count = connector->certificate_count,
        .certificates = pairs,
        .version_min = connector->tls_version_min,
        .asks_client = connector->asks_client_certificate,
        .client_ca_file = connector->client_ca_file };
    struct tls_context *context;
    char why[TLS_ERROR_BYTES];

    for (size_t i = 0; i < connector->certificate_count; i++)
        pairs[i] =
            (struct tls_certificate_files){ files[i].certificate_file, files[i].key_file };
    if (tls_server_context(&settings, &context, why) == OK) {
        tls_context_free(context);
        if (!reader->complaints->error_count) /* the name may be what is wrong */
            check_names(reader, connector, files);
    } else {
        complain(reader->complaints, connector->certificates[0].source,
            "receive connector \"%s\" cannot use its certificate: %s", connector->name, why);
    }
    free(pairs);
}

static void check_receive(struct reader *reader, const struct receive_connector *connector)
{
    struct tls_files *files;
    size_t count = 0;

    if (connector->tls == TLS_MODE_OFF || !is_all_meant(connector))
        return;
    files = mem_new(connector->certificate_count * sizeof *files);
    while (count < connector->certificate_count &&
           find_files(reader, connector->certificates[count].source,
               &connector->certificates[count].choice, &files[count]))
        count++;
    if (count == connector->certificate_count)
        check_context(reader, connector, files);
    for (size_t i = 0; i < count; i++)
        tls_files_done(&files[i]);
    free(files);
}

static void check_send_files(struct reader *reader, const struct send_connector *connector,
    const struct tls_files *files)
{
    struct tls_client_settings settings = { .ca_file = connector->ca_file,
        .certificate_file = files->certificate_file,
        .key_file = files->key_file,
        .version_min = connector->tls_version_min };
    struct tls_certificate_facts facts;
    struct tls_context *context;
    char why[TLS_ERROR_BYTES];

    if (tls_client_context(&settings, &context, why) != OK) {
        complain(reader->complaints, connector->source,
            "send connector \"%s\" cannot use its certificate or authorities: %s",
            connector->name, why);
        return;
    }
    tls_context_free(context);
    if (files->certificate_file &&
        tls_certificate_look(files->certificate_file, "", &facts, why) == OK)
        check_end(reader, connector->source, files->certificate_file, &facts);
}

static void check_send(struct reader *reader, const struct send_connector *connector)
{
    bool is_meant = certificate_is_meant(&connector->certificate);
    struct tls_files files = { NULL, NULL };

    if (!is_meant && !connector->ca_file)
        return;
    if (!is_meant || find_files(reader, connector->source, &connector->certificate, &files))
        check_send_files(reader, connector, &files);
    tls_files_done(&files);
}

/* Beside what else is wrong, but for that: a file that is not there was complained of already. */
void check_certificates(struct reader *reader)
{
    const struct settings *s = reader->settings;

    if (!reader->is_whole)
        return;
    for (size_t i = 0; i < s->receive_count; i++) {
        if (s->receive[i].enabled && !s->receive[i].has_tls_faults)
            check_receive(reader, &s->receive[i]);
    }
    for (size_t i = 0; i < s->send_count; i++) {
        if (s->send[i].enabled && !s->send[i].has_tls_faults)
            check_send(reader, &s->send[i]);
    }
}
