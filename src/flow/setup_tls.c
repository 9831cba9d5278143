/* The TLS contexts of a setup.  Made with it, and again when the files they are made of have
 * changed: whoever shakes hands with an old one goes on with it. */
#include "flow/setup.h"

#include "base/mem.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/tls_folder.h"
#include "report/report.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOLDER_MODE = 0750 };

/* --- Receive connectors ------------------------------------------------------------------ */

/* The files that its certificates stand for now.  On failure *count says how many there are. */
static enum err find_files(const struct settings *settings,
    const struct receive_connector *connector, struct tls_files *files, size_t *count,
    char why[TLS_ERROR_BYTES])
{
    enum err err = OK;

    for (*count = 0; *count < connector->certificate_count; ++*count) {
        err = tls_files_find(settings->certificate_folder,
            &connector->certificates[*count].choice, clock_wall(), &files[*count], why);
        if (err != OK)
            break;
    }
    return err;
}

/* The self-signed certificate of a connector without another one: decision 12. */
struct kept {
    char *file, *rsa_file; /* NULL: none */
};

/* NULL: it cannot be kept. */
static char *keep(const char *folder, const char *fqdn, bool is_rsa)
{
    size_t n = strlen(folder) + strlen(fqdn) + sizeof "/self-signed--rsa.pem";
    char *file = mem_new(n);
    char damage[TLS_ERROR_BYTES] = "", why[TLS_ERROR_BYTES] = "";
    enum err err = folder_make(folder, FOLDER_MODE);

    snprintf(file, n, "%s/self-signed-%s%s.pem", folder, fqdn, is_rsa ? "-rsa" : "");
    if (err == OK)
        err = tls_keep_self_signed(fqdn, is_rsa, file, damage, why);
    else
        snprintf(why, sizeof why, "%.200s: %s", folder, err_text(err));
    if (damage[0])
        report_notice(REPORT_WARNING,
            "the self-signed certificate of %s could not be used, and is another one now: %s",
            fqdn, damage);
    if (err == OK)
        return file;
    report_notice(REPORT_WARNING,
        "the self-signed certificate of %s cannot be kept, and will be another one after the "
        "next "
        "start or reload: %s",
        fqdn, why);
    free(file);
    return NULL;
}

static struct kept keep_self_signed(
    const struct setup *setup, const struct receive_connector *connector, const char *fqdn)
{
    struct kept kept = { NULL, NULL };

    if (connector->certificate_count || !setup->key_folder || strchr(fqdn, '/'))
        return kept;
    kept.file = keep(setup->key_folder, fqdn, false);
    if (kept.file && connector->tls_version_min < TLS_1_2)
        kept.rsa_file = keep(setup->key_folder, fqdn, true);
    return kept;
}

static enum err make_context(const struct setup *setup,
    const struct receive_connector *connector, const struct tls_files *files,
    struct tls_context **out, char why[TLS_ERROR_BYTES])
{
    const char *fqdn = connector->fqdn ? connector->fqdn : setup->settings->fqdn;
    struct tls_certificate_files *pairs =
        mem_new((connector->certificate_count + 1) * sizeof *pairs);
    struct kept kept = keep_self_signed(setup, connector, fqdn);
    struct tls_server_settings tls = {
        .certificates = pairs,
        .certificate_count = connector->certificate_count,
        .kept_file = kept.file,
        .kept_rsa_file = kept.rsa_file,
        .fqdn = fqdn,
        .version_min = connector->tls_version_min,
        .asks_client = connector->asks_client_certificate,
        .client_ca_file = connector->client_ca_file,
        .client_fingerprints = (const char *const *)connector->client_fingerprints,
        .client_fingerprint_count = connector->client_fingerprint_count,
    };
    enum err err;

    for (size_t i = 0; i < connector->certificate_count; i++)
        pairs[i] =
            (struct tls_certificate_files){ files[i].certificate_file, files[i].key_file };
    err = tls_server_context(&tls, out, why);
    free(kept.file);
    free(kept.rsa_file);
    free(pairs);
    return err;
}

static enum err make_receive_tls(const struct setup *setup,
    const struct receive_connector *connector, struct tls_context **out, char why[512])
{
    struct tls_files *files = mem_new((connector->certificate_count + 1) * sizeof *files);
    char reason[TLS_ERROR_BYTES] = "";
    size_t count = 0;
    enum err err = OK;

    if (connector->tls != TLS_MODE_OFF && connector->enabled) {
        err = find_files(setup->settings, connector, files, &count, reason);
        if (err == OK)
            err = make_context(setup, connector, files, out, reason);
    }
    for (size_t i = 0; i < count; i++)
        tls_files_done(&files[i]);
    free(files);
    if (err != OK)
        snprintf(why, 512, "receive_connector \"%s\": %s", connector->name, reason);
    return err;
}

/* --- Send connectors -------------------------------------------------------------------- */

static bool has_level(const struct send_connector *connector, enum send_tls level)
{
    bool has = connector->tls == level;

    for (size_t i = 0; i < connector->tls_policy_count; i++)
        has |= connector->tls_policies[i].tls == level;
    return has;
}

/* Those that verify nothing share one context; so do both kinds of DANE. */
static enum send_tls context_of(enum send_tls level)
{
    if (level == SEND_TLS_MAY)
        return SEND_TLS_ENCRYPT;
    return level == SEND_TLS_DANE_ONLY ? SEND_TLS_DANE : level;
}

static enum err make_level(const struct send_connector *connector,
    const struct tls_files *files, enum send_tls level, struct tls_context **out, char why[512])
{
    char reason[TLS_ERROR_BYTES] = "";
    struct tls_client_settings tls = {
        .ca_file = level == SEND_TLS_VERIFY ? connector->ca_file : NULL,
        .certificate_file = files->certificate_file,
        .key_file = files->key_file,
        .verifies = level == SEND_TLS_VERIFY,
        .uses_dane = level == SEND_TLS_DANE,
        .version_min = connector->tls_version_min,
    };
    enum err err;

    if (level == SEND_TLS_SECURE) {
        assert(connector->tls_fingerprint_count); /* else any certificate would do */
        tls.fingerprints = (const char *const *)connector->tls_fingerprints;
        tls.fingerprint_count = connector->tls_fingerprint_count;
    }
    err = tls_client_context(&tls, out, reason);
    if (err != OK)
        snprintf(why, 512, "send_connector \"%s\": %s", connector->name, reason);
    return err;
}

static enum err make_levels(const struct send_connector *connector,
    const struct tls_files *files, struct tls_context *out[SEND_TLS_COUNT], char why[512])
{
    bool is_needed[SEND_TLS_COUNT] = { false };
    enum err err = OK;

    for (unsigned level = SEND_TLS_MAY; level < SEND_TLS_COUNT; level++) {
        if (!has_level(connector, level))
            continue;
        is_needed[context_of(level)] = true;
        is_needed[SEND_TLS_ENCRYPT] = true; /* DANE without records */
    }
    for (unsigned level = 0; level < SEND_TLS_COUNT && err == OK; level++) {
        if (is_needed[level])
            err = make_level(connector, files, level, &out[level], why);
    }
    return err;
}

static enum err make_send_tls(const struct settings *settings,
    const struct send_connector *connector, struct tls_context *out[SEND_TLS_COUNT],
    char why[512])
{
    struct tls_files files = { NULL, NULL };
    char reason[TLS_ERROR_BYTES];
    enum err err = OK;

    if (!connector->enabled)
        return OK;
    if (certificate_is_meant(&connector->certificate))
        err = tls_files_find(settings->certificate_folder, &connector->certificate,
            clock_wall(), &files, reason);
    if (err != OK) {
        snprintf(why, 512, "send_connector \"%s\": %s", connector->name, reason);
        return err;
    }
    err = make_levels(connector, &files, out, why);
    tls_files_done(&files);
    return err;
}

/* --- Their places ------------------------------------------------------------------------ */

static void swap(struct setup *setup, struct tls_context **place, struct tls_context *context)
{
    struct tls_context *old;

    pthread_mutex_lock(&setup->tls_lock);
    old = *place;
    *place = context;
    pthread_mutex_unlock(&setup->tls_lock);
    tls_context_free(old);
}

static struct tls_context *hold(struct setup *setup, struct tls_context **place)
{
    struct tls_context *context;

    pthread_mutex_lock(&setup->tls_lock);
    assert(*place);
    context = tls_context_hold(*place);
    pthread_mutex_unlock(&setup->tls_lock);
    return context;
}

static size_t send_place(const struct setup *setup, const struct send_connector *connector)
{
    const struct settings *settings = setup->settings;

    return connector->is_redirection ? settings->send_count
                                     : (size_t)(connector - settings->send);
}

enum err setup_renew_receive(
    struct setup *setup, const struct receive_connector *connector, char why[512])
{
    struct tls_context *context = NULL;
    enum err err = make_receive_tls(setup, connector, &context, why);

    if (err == OK)
        swap(setup, &setup->receive_tls[connector - setup->settings->receive], context);
    return err;
}

enum err setup_renew_send(
    struct setup *setup, const struct send_connector *connector, char why[512])
{
    struct tls_context **places = setup->send_tls[send_place(setup, connector)];
    struct tls_context *contexts[SEND_TLS_COUNT] = { NULL };
    enum err err = make_send_tls(setup->settings, connector, contexts, why);

    for (size_t level = 0; level < SEND_TLS_COUNT; level++) {
        if (err == OK)
            swap(setup, &places[level], contexts[level]);
        else
            tls_context_free(contexts[level]);
    }
    return err;
}

struct tls_context *setup_hold_receive_tls(
    struct setup *setup, const struct receive_connector *connector)
{
    return hold(setup, &setup->receive_tls[connector - setup->settings->receive]);
}

struct tls_context *setup_hold_send_tls(
    struct setup *setup, const struct send_connector *connector, enum send_tls level)
{
    return hold(setup, &setup->send_tls[send_place(setup, connector)][context_of(level)]);
}

/* --- Sessions of TLS ------------------------------------------------------------------------ */

static struct tls_context *find(struct setup *setup, const char *name)
{
    struct tls_context *context = NULL;

    pthread_mutex_lock(&setup->tls_lock);
    for (size_t i = 0; i < setup->settings->receive_count && !context; i++) {
        if (setup->receive_tls[i] && strcmp(setup->settings->receive[i].name, name) == 0)
            context = tls_context_hold(setup->receive_tls[i]);
    }
    pthread_mutex_unlock(&setup->tls_lock);
    return context;
}

void setup_keep_sessions(struct setup *setup, struct setup *before)
{
    for (size_t i = 0; i < setup->settings->receive_count; i++) {
        struct tls_context *old =
            setup->receive_tls[i] ? find(before, setup->settings->receive[i].name) : NULL;
        if (old)
            (void)tls_context_keep_sessions(setup->receive_tls[i], old);
        tls_context_free(old);
    }
}
