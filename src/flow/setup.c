#include "flow/setup.h"

#include "base/mem.h"

#include <stdlib.h>

enum err setup_new(
    struct settings **settings, const char *key_folder, struct setup **out, char why[512])
{
    struct setup *setup = mem_new(sizeof *setup);
    enum err err = OK;

    atomic_init(&setup->holders, 1);
    pthread_mutex_init(&setup->tls_lock, NULL);
    setup->settings = *settings;
    *settings = NULL;
    setup->key_folder = key_folder ? mem_text(key_folder) : NULL;
    setup->receive_tls = mem_new(setup->settings->receive_count * sizeof *setup->receive_tls);
    setup->send_tls = mem_new((setup->settings->send_count + 1) * sizeof *setup->send_tls);
    for (size_t i = 0; i < setup->settings->receive_count && err == OK; i++)
        err = setup_renew_receive(setup, &setup->settings->receive[i], why);
    for (size_t i = 0; i < setup->settings->send_count && err == OK; i++)
        err = setup_renew_send(setup, &setup->settings->send[i], why);
    if (err == OK)
        err = setup_renew_send(setup, &setup->settings->redirection, why);
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
    for (size_t i = 0; i <= setup->settings->send_count; i++) {
        for (size_t level = 0; level < SEND_TLS_COUNT; level++)
            tls_context_free(setup->send_tls[i][level]);
    }
    pthread_mutex_destroy(&setup->tls_lock);
    free(setup->receive_tls);
    free(setup->send_tls);
    free(setup->key_folder);
    settings_free(setup->settings);
    free(setup);
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
