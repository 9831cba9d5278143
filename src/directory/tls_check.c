/* What stands in the files of certificates: whether they can be used, how long, for whom. */
#include "directory/tls_options.h"

#include "base/mem.h"
#include "os/clock.h"
#include "os/tls.h"

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

static void check_names(struct reader *reader, const struct receive_connector *connector)
{
    const char *fqdn = connector->fqdn ? connector->fqdn : reader->settings->fqdn;
    bool any_fits = false;

    for (size_t i = 0; i < connector->certificate_count; i++) {
        const struct certificate *certificate = &connector->certificates[i];
        struct tls_certificate_facts facts;
        char why[TLS_ERROR_BYTES];
        if (tls_certificate_look(certificate->certificate_file, fqdn, &facts, why) != OK)
            return; /* it could be used a moment ago */
        check_end(reader, certificate->source, certificate->certificate_file, &facts);
        any_fits |= facts.fits;
    }
    if (!any_fits)
        complaint_hint(complain_warning(reader->complaints, connector->certificates[0].source,
                           "the certificate is not for \"%.200s\", as the connector calls "
                           "itself",
                           fqdn),
            "clients that verify it will not send; fqdn = ... names another");
}

static bool has_all_files(const struct receive_connector *connector)
{
    for (size_t i = 0; i < connector->certificate_count; i++) {
        if (!connector->certificates[i].certificate_file)
            return false;
    }
    return connector->certificate_count > 0;
}

static void check_receive(struct reader *reader, const struct receive_connector *connector)
{
    struct tls_certificate_files *files;
    struct tls_server_settings settings = { .certificate_count = connector->certificate_count,
        .version_min = connector->tls_version_min,
        .asks_client = connector->asks_client_certificate,
        .client_ca_file = connector->client_ca_file };
    struct tls_context *context;
    char why[TLS_ERROR_BYTES];
    bool is_good;

    if (connector->tls == TLS_MODE_OFF || !has_all_files(connector))
        return;
    files = mem_new(connector->certificate_count * sizeof *files);
    for (size_t i = 0; i < connector->certificate_count; i++)
        files[i] = (struct tls_certificate_files){ connector->certificates[i].certificate_file,
            connector->certificates[i].key_file };
    settings.certificates = files;
    is_good = tls_server_context(&settings, &context, why) == OK;
    free(files);
    if (is_good) {
        tls_context_free(context);
        check_names(reader, connector);
    } else {
        complain(reader->complaints, connector->certificates[0].source,
            "receive connector \"%s\" cannot use its certificate: %s", connector->name, why);
    }
}

static void check_send(struct reader *reader, const struct send_connector *connector)
{
    struct tls_client_settings settings = { .ca_file = connector->ca_file,
        .certificate_file = connector->certificate_file,
        .key_file = connector->key_file,
        .version_min = connector->tls_version_min };
    struct tls_certificate_facts facts;
    struct tls_context *context;
    char why[TLS_ERROR_BYTES];

    if (!connector->certificate_file && !connector->ca_file)
        return;
    if (tls_client_context(&settings, &context, why) != OK) {
        complain(reader->complaints, connector->source,
            "send connector \"%s\" cannot use its certificate or authorities: %s",
            connector->name, why);
        return;
    }
    tls_context_free(context);
    if (connector->certificate_file &&
        tls_certificate_look(connector->certificate_file, "", &facts, why) == OK)
        check_end(reader, connector->source, connector->certificate_file, &facts);
}

/* Only once nothing else is wrong: a file that is not there was complained of already. */
void check_certificates(struct reader *reader)
{
    const struct settings *s = reader->settings;

    if (reader->complaints->error_count)
        return;
    for (size_t i = 0; i < s->receive_count; i++) {
        if (s->receive[i].enabled)
            check_receive(reader, &s->receive[i]);
    }
    for (size_t i = 0; i < s->send_count; i++) {
        if (s->send[i].enabled)
            check_send(reader, &s->send[i]);
    }
}
