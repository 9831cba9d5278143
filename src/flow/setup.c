#include "flow/setup.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static enum err make_receive_tls(const struct settings *settings,
    const struct receive_connector *connector, struct tls_context **out, char why[512])
{
    struct tls_certificate_files *files =
        mem_new((connector->certificate_count + 1) * sizeof *files);
    struct tls_server_settings tls = {
        .certificates = files,
        .certificate_count = connector->certificate_count,
        .fqdn = connector->fqdn ? connector->fqdn : settings->fqdn,
        .version_min = connector->tls_version_min,
        .asks_client = connector->asks_client_certificate,
        .client_ca_file = connector->client_ca_file,
        .client_fingerprints = (const char *const *)connector->client_fingerprints,
        .client_fingerprint_count = connector->client_fingerprint_count,
    };
    char reason[TLS_ERROR_BYTES] = "";
    enum err err = OK;

    for (size_t i = 0; i < connector->certificate_count; i++)
        files[i] = (struct tls_certificate_files){ connector->certificates[i].certificate_file,
            connector->certificates[i].key_file };
    if (connector->tls != TLS_MODE_OFF && connector->enabled)
        err = tls_server_context(&tls, out, reason);
    free(files);
    if (err != OK)
        snprintf(why, 512, "receive_connector \"%s\": %s", connector->name, reason);
    return err;
}

static enum err make_send_tls(
    const struct send_connector *connector, struct tls_context **out, char why[512])
{
    char reason[TLS_ERROR_BYTES] = "";
    struct tls_client_settings tls = {

        .certificate_file = connector->certificate_file,
        .key_file = connector->key_file,
        .version_min = connector->tls_version_min,
    };
    enum err err;

    if (!connector->enabled || (connector->tls == SEND_TLS_NONE && !connector->is_implicit_tls))
        return OK;
    err = tls_client_context(&tls, out, reason);
    if (err != OK)
        snprintf(why, 512, "send_connector \"%s\": %s", connector->name, reason);
    return err;
}

enum err setup_new(struct settings **settings, struct setup **out, char why[512])
{
    struct setup *setup = mem_new(sizeof *setup);
    enum err err = OK;

    atomic_init(&setup->holders, 1);
    setup->settings = *settings;
    *settings = NULL;
    setup->receive_tls = mem_new(setup->settings->receive_count * sizeof *setup->receive_tls);
    setup->send_tls = mem_new(setup->settings->send_count * sizeof *setup->send_tls);
    for (size_t i = 0; i < setup->settings->receive_count && err == OK; i++)
        err = make_receive_tls(
            setup->settings, &setup->settings->receive[i], &setup->receive_tls[i], why);
    for (size_t i = 0; i < setup->settings->send_count && err == OK; i++)
        err = make_send_tls(&setup->settings->send[i], &setup->send_tls[i], why);
    if (err != OK) {
        setup_free(setup);
        return err;
    }
    *out = setup;
    return OK;
}

struct setup *setup_hold(struct setup *setup)
{
    atomic_fetch_add_explicit(&setup->holders, 1, memory_order_relaxed);
    return setup;
}

void setup_free(struct setup *setup)
{
    if (!setup || atomic_fetch_sub_explicit(&setup->holders, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < setup->settings->receive_count; i++)
        tls_context_free(setup->receive_tls[i]);
    for (size_t i = 0; i < setup->settings->send_count; i++)
        tls_context_free(setup->send_tls[i]);
    free(setup->receive_tls);
    free(setup->send_tls);
    settings_free(setup->settings);
    free(setup);
}

struct tls_context *setup_receive_tls(
    const struct setup *setup, const struct receive_connector *connector)
{
    return setup->receive_tls[connector - setup->settings->receive];
}

struct tls_context *setup_send_tls(
    const struct setup *setup, const struct send_connector *connector)
{
    return setup->send_tls[connector - setup->settings->send];
}

void setup_slot_init(struct setup_slot *slot, struct setup **setup)
{
    pthread_mutex_init(&slot->lock, NULL);
    slot->current = *setup;
    atomic_init(&slot->revision, (*setup)->settings->revision);
    *setup = NULL;
}

void setup_slot_done(struct setup_slot *slot)
{
    setup_free(slot->current);
    slot->current = NULL;
    pthread_mutex_destroy(&slot->lock);
}

void setup_slot_change(struct setup_slot *slot, struct setup **setup)
{
    struct setup *old;

    pthread_mutex_lock(&slot->lock);
    old = slot->current;
    slot->current = *setup;
    atomic_store(&slot->revision, (*setup)->settings->revision);
    pthread_mutex_unlock(&slot->lock);
    *setup = NULL;
    setup_free(old);
}

struct setup *setup_slot_hold(struct setup_slot *slot)
{
    struct setup *setup;

    pthread_mutex_lock(&slot->lock);
    setup = setup_hold(slot->current);
    pthread_mutex_unlock(&slot->lock);
    return setup;
}
