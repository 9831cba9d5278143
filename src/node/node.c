/* The node's beginning, its settings and its end. */
#include "node/inside.h"

#include "base/mem.h"
#include "report/report.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LOOK_MS = 1000,
    STOP_MS_MAX = 5000, /* a disk that fails does not keep the process from ending */
};

/* --- Settings ------------------------------------------------------------------------------ */

static struct ledger_settings rules_of(const struct settings *settings)
{
    const struct transport_settings *transport = &settings->transport;

    return (struct ledger_settings){
        .is_enabled = transport->shadow_is_enabled,
        .heartbeat_frequency_ms = transport->heartbeat_frequency_ms,
        .heartbeat_timeout_ms = transport->heartbeat_timeout_ms,
        .heartbeat_retry_count = transport->heartbeat_retry_count,
        .resubmit_ms = transport->resubmit_ms,
        .auto_discard_ms = transport->auto_discard_ms,
        .fence_wait_ms = transport->fence_wait_ms,
        .audit_after_ms = transport->audit_after_ms,
        .unclaimed_hold_ms = transport->unclaimed_hold_ms,
        .attempts_local_max = transport->retries_local,
        .attempts_remote_max = transport->retries_remote,
        .copy_timeout_ms = transport->copy_timeout_ms,
        .accept_timeout_ms = transport->accept_timeout_ms,
        .preference = transport->preference,
        .recopy_in_flight_max = RECOPY_IN_FLIGHT_MAX,
    };
}

/* The key, the certificate and the pins as one text: what the TLS context is made from. */
static char *describe_keys(const struct settings *settings)
{
    struct buf text;
    enum err err;

    buf_init(&text, 1 << 20);
    err = buf_printf(
        &text, "%s\n%s\n", settings->cluster_certificate_file, settings->cluster_key_file);
    for (size_t i = 0; err == OK && i < settings->node_count; i++) {
        char hex[2 * TLS_PIN_BYTES + 1];
        hex_format(bytes_of(settings->nodes[i].pin, TLS_PIN_BYTES), hex);
        err = buf_printf(&text, "%s\n", hex);
    }
    if (err != OK)
        abort(); /* nodes are counted: far below the ceiling */
    return buf_take_text(&text);
}

static enum err make_context(
    const struct settings *settings, struct tls_context **out, char why[512])
{
    struct tls_pin *pins = mem_new(settings->node_count * sizeof *pins);
    char reason[TLS_ERROR_BYTES];
    enum err err;

    for (size_t i = 0; i < settings->node_count; i++)
        memcpy(pins[i].byte, settings->nodes[i].pin, TLS_PIN_BYTES);
    err = tls_node_context(settings->cluster_certificate_file, settings->cluster_key_file, pins,
        settings->node_count, out, reason);
    free(pins);
    if (err != OK)
        snprintf(why, 512, "%s", reason);
    return err;
}

/* Links that are up stay: their keys were right, and a node whose key changed is cut off. */
static enum err change_keys(struct node *node, const struct settings *settings, char why[512])
{
    struct tls_context *context;
    char *keys;
    enum err err;

    if (settings->node_count == 0)
        return OK;
    keys = describe_keys(settings);
    if (node->tls && strcmp(keys, node->key_files) == 0) {
        free(keys);
        return OK;
    }
    err = make_context(settings, &context, why);
    if (err != OK) {
        free(keys);
        return err;
    }
    tls_context_free(node->tls);
    free(node->key_files);
    node->tls = context;
    node->key_files = keys;
    return OK;
}

enum err node_change(struct node *node, const struct settings *settings, char why[512])
{
    struct ledger_settings rules = rules_of(settings);
    enum err err = peers_check(node, settings, why);

    if (err == OK)
        err = change_keys(node, settings, why);
    if (err == OK)
        err = peers_change(node, settings, why);
    if (err != OK)
        return err;
    node->heartbeat_timeout_ms = rules.heartbeat_timeout_ms;
    node->copy_timeout_ms = rules.copy_timeout_ms;
    atomic_store(&node->is_on, rules.is_enabled && settings->node_count > 0);
    ledger_set_settings(node->ledger, &rules, &node->actions);
    node_did(node);
    peers_start(node); /* switched off or not: what is held and owed is spoken about */
    return OK;
}

bool node_is_on(const struct node *node)
{
    return atomic_load(&node->is_on);
}

/* --- Stopping ---------------------------------------------------------------------------------- */

/* Words and flushes wait as long as the disk fails: they are not waited for without end. */
static bool is_at_rest(const struct node *node)
{
    bool is_written = !node->words && !node->flushes;

    return !node->commits && !node->reads && stores_may_free(node->stores) &&
           node->actions_at == node->actions.count &&
           (is_written || !timer_is_running(&node->stop_limit));
}

static void stop_links(struct node *node)
{
    node->are_links_stopped = true;
    timer_start(&node->stop_limit, STOP_MS_MAX);
    timer_stop(&node->due); /* nobody is found silent by who has closed his own links */
    timer_stop(&node->look);
    links_in_cut(node, LEDGER_NO_PEER);
    peers_stop(node);
}

/* Acceptances under way still have their copies answered; then the links go, then what the
 * spool has of ours ends.  Looked at again behind everything that may be the last. */
static void on_stop(struct loop_step *step)
{
    struct node *node = container_of(step, struct node, stop);
    void (*on_stopped)(void *me) = node->on_stopped;

    if (!on_stopped || node->acceptances.count)
        return;
    if (!node->are_links_stopped)
        stop_links(node);
    if (!is_at_rest(node))
        return;
    timer_stop(&node->stop_limit);
    node->on_stopped = NULL;
    on_stopped(node->on_stopped_me);
}

static void on_stop_limit(struct timer *timer)
{
    node_look_stopped(container_of(timer, struct node, stop_limit));
}

void node_look_stopped(struct node *node)
{
    if (node->on_stopped)
        loop_step_ask(node->home, &node->stop);
}

void node_stop(struct node *node, void (*on_stopped)(void *me), void *me)
{
    node->is_stopping = true;
    node->on_stopped = on_stopped;
    node->on_stopped_me = me;
    node_look_stopped(node);
}

/* --- Beginning and end ----------------------------------------------------------------------- */

static void on_stores(void *me, uint64_t tag)
{
    struct node *node = me;

    ledger_on_stores(node->ledger, node_now(node), tag, &node->actions);
    node_did(node);
    node_look_stopped(node);
}

/* When a record is copied forward.  What the path has alone still has no row.  Nor has what the
 * ledger has forgotten just now, whose entry goes in the loop's next step: a copy held must not
 * become a message to be delivered, should we die in between. */
static void get_standing(void *me, const struct spool_entry *entry, struct standing *out)
{
    struct node *node = me;

    if (ledger_standing(node->ledger, entry->by_mid.mid, out))
        return;
    *out = (struct standing){
        .role = STANDING_PRIMARY, .single = SINGLE_ALONE, .owner = spool_store_id(node->spool)
    };
    if (keep_find(node, entry->by_mid.mid)) {
        out->role = STANDING_SETTLED;
        out->single = SINGLE_NOT;
    }
}

static void on_look(struct timer *timer)
{
    struct node *node = container_of(timer, struct node, look);

    node_try_renewal(node);
    alarms_look(node);
    timer_start(&node->look, LOOK_MS);
}

static struct node *make(const struct node_config *config)
{
    struct node *node = mem_new(sizeof *node);

    node->home = config->home;
    node->spool = config->spool;
    node->path = config->path;
    node->name = mem_text(config->settings->fqdn);
    mid_table_init(&node->keeps);
    slab_init(&node->keep_slab, sizeof(struct keep));
    mid_table_init(&node->acceptances);
    table_init(&node->copies_in);
    list_init(&node->links_in);
    node->alarms.no_right_since_ms = -1;
    node_step_init(node);
    loop_step_init(&node->stop, on_stop);
    timer_init(&node->look, node->home, on_look);
    timer_init(&node->stop_limit, node->home, on_stop_limit);
    return node;
}

enum err node_new(const struct node_config *config, struct node **out, char why[512])
{
    const struct settings *settings = config->settings;
    struct ledger_settings rules = rules_of(settings);
    struct ledger_store *stores;
    struct node *node;
    uint32_t count;
    enum err err = stores_read(settings->spool_folder, &stores, &count, why);

    if (err != OK)
        return err;
    node = make(config);
    node->ledger = ledger_new(bytes_text(node->name), spool_store_id(node->spool),
        spool_position(node->spool), spool_was_damaged(node->spool), stores, count, &rules);
    free(stores);
    node->stores = stores_new(node->home, settings->spool_folder, on_stores, node);
    err = node_change(node, settings, why);
    if (err != OK) {
        node_free(node);
        return err;
    }
    spool_set_standings(node->spool, get_standing, node);
    *out = node;
    return OK;
}

static void leave_one(struct mid_node *at, void *me)
{
    struct node *node = me;
    struct keep *keep = container_of(at, struct keep, entry.by_mid);

    spool_leave(node->spool, &keep->entry);
    keep_free(node, keep);
}

void node_free(struct node *node)
{
    if (!node)
        return;
    assert(!node->commits && !node->reads);
    node->are_links_stopped = true;
    peers_free(node);
    links_in_cut(node, LEDGER_NO_PEER);
    copies_in_free(node);
    timer_stop(&node->look);
    timer_stop(&node->stop_limit);
    loop_step_cancel(&node->stop);
    node_step_done(node);
    mid_table_each(&node->keeps, leave_one, node);
    mid_table_done(&node->keeps);
    slab_done(&node->keep_slab);
    mid_table_done(&node->acceptances);
    words_free(node);
    stores_free(node->stores);
    ledger_free(node->ledger);
    tls_context_free(node->tls);
    free(node->key_files);
    free(node->name);
    free(node);
}

void node_start(struct node *node)
{
    ledger_start(node->ledger, node_now(node), &node->actions);
    node->is_started = true;
    node_did(node);
    peers_start(node);
    timer_start(&node->look, LOOK_MS);
}

void node_open_link(struct node *node, int fd)
{
    link_in_open(node, fd);
}
