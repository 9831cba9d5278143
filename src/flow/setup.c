#include "flow/setup.h"

#include "base/mem.h"

#include <assert.h>
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

static enum err make_level(const struct send_connector *connector, enum send_tls level,
    struct tls_context **out, char why[512])
{
    char reason[TLS_ERROR_BYTES] = "";
    struct tls_client_settings tls = {
        .ca_file = level == SEND_TLS_VERIFY ? connector->ca_file : NULL,
        .certificate_file = connector->certificate_file,
        .key_file = connector->key_file,
        .verifies = level == SEND_TLS_VERIFY,
        .uses_dane = level == SEND_TLS_DANE,
        .version_min = connector->tls_version_min,
    };
    enum err err;

    if (level == SEND_TLS_SECURE) {
        tls.fingerprints = (const char *const *)connector->tls_fingerprints;
        tls.fingerprint_count = connector->tls_fingerprint_count;
    }
    err = tls_client_context(&tls, out, reason);
    if (err != OK)
        snprintf(why, 512, "send_connector \"%s\": %s", connector->name, reason);
    return err;
}

static enum err make_send_tls(const struct send_connector *connector,
    struct tls_context *out[SEND_TLS_COUNT], char why[512])
{
    bool is_needed[SEND_TLS_COUNT] = { false };
    enum err err = OK;

    if (!connector->enabled)
        return OK;
    for (unsigned level = SEND_TLS_MAY; level < SEND_TLS_COUNT; level++) {
        if (!has_level(connector, level))
            continue;
        is_needed[context_of(level)] = true;
        is_needed[SEND_TLS_ENCRYPT] = true; /* DANE without records */
    }
    for (unsigned level = 0; level < SEND_TLS_COUNT && err == OK; level++) {
        if (is_needed[level])
            err = make_level(connector, level, &out[level], why);
    }
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
        err = make_send_tls(&setup->settings->send[i], setup->send_tls[i], why);
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
    for (size_t i = 0; i < setup->settings->send_count; i++) {
        for (size_t level = 0; level < SEND_TLS_COUNT; level++)
            tls_context_free(setup->send_tls[i][level]);
    }
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
    const struct setup *setup, const struct send_connector *connector, enum send_tls level)
{
    struct tls_context *context =
        setup->send_tls[connector - setup->settings->send][context_of(level)];

    assert(context);
    return context;
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
