/* The other nodes: where they are, both links to each, and connecting again.
 *
 * A node has two links of ours: one for copies (and questions), one for the ask that is always
 * open.  They are up together or not at all: when one is lost, so is the other. */
#include "node/inside.h"

#include "base/mem.h"
#include "report/report.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAUSE_MS_FIRST = 1000 };

struct peer *peer_at(const struct node *node, uint8_t index)
{
    return index < LEDGER_PEERS_MAX ? node->peers[index] : NULL;
}

const char *peer_name(const struct node *node, uint8_t index)
{
    return index < ledger_peer_count(node->ledger) ? ledger_peer_name(node->ledger, index) : "";
}

const char *node_link_error(const struct node *node, uint8_t peer)
{
    return peer < LEDGER_PEERS_MAX && node->peers[peer] ? node->peers[peer]->down_why : "";
}

uint8_t peer_of_pin(const struct node *node, const struct tls_pin *pin)
{
    for (uint8_t i = 0; i < LEDGER_PEERS_MAX; i++)
        if (node->peers[i] && memcmp(&node->peers[i]->pin, pin, sizeof *pin) == 0)
            return i;
    return LEDGER_NO_PEER;
}

/* --- Connecting -------------------------------------------------------------------------- */

static void open_links(struct peer *peer)
{
    char why[200];

    for (unsigned role = 0; role < LINK_ROLES; role++) {
        peer->links[role] = link_client_open(peer, role, why);
        if (!peer->links[role]) {
            peer_lose(peer, why);
            return;
        }
    }
}

static void on_addresses(void *me, const struct dns_result *result)
{
    struct peer *peer = me;

    peer->query = NULL;
    if (result->answer != DNS_FOUND || result->address_count == 0) {
        char why[200];
        snprintf(why, sizeof why, "its host has no address: %s", result->why);
        peer_lose(peer, why);
        return;
    }
    peer->at.ip = result->addresses[0];
    open_links(peer);
}

static void connect_to(struct peer *peer)
{
    assert(!peer->is_connecting);
    peer->is_connecting = true;
    if (peer->is_name)
        peer->query = dns_addresses(peer->node->dns, peer->host, on_addresses, peer);
    else
        open_links(peer);
}

static bool may_connect(const struct peer *peer)
{
    const struct node *node = peer->node;

    return node->is_started && !node->are_links_stopped;
}

static void on_again(struct timer *timer)
{
    struct peer *peer = container_of(timer, struct peer, again);

    if (may_connect(peer) && !peer->is_connecting)
        connect_to(peer);
}

/* At once after a loss; then, and after a link that did not last, after a second, two, four ...
 * up to an ask's own time. */
static void connect_again(struct peer *peer, bool was_up)
{
    int64_t longest_ms = peer->node->heartbeat_timeout_ms;
    int64_t lasted_ms = loop_now(peer->node->home).ms - peer->up_since.ms;

    if (was_up && lasted_ms >= PAUSE_MS_FIRST)
        peer->pause_ms = 0;
    else if (peer->pause_ms == 0)
        peer->pause_ms = PAUSE_MS_FIRST;
    else
        peer->pause_ms *= 2;
    if (peer->pause_ms > longest_ms)
        peer->pause_ms = longest_ms;
    if (may_connect(peer))
        timer_start(&peer->again, peer->pause_ms);
}

/* Until our ask is open it tells nobody what it has delivered. */
void peer_is_there(struct node *node, uint8_t index)
{
    struct peer *peer = peer_at(node, index);

    if (!peer || peer->is_connecting || !may_connect(peer))
        return;
    peer->pause_ms = 0;
    timer_start(&peer->again, 0);
}

/* --- Up and down ------------------------------------------------------------------------- */

static void tell_down(struct peer *peer, const char *why)
{
    snprintf(peer->down_why, sizeof peer->down_why, "%s", why);
    if (peer->is_down_told)
        return;
    peer->is_down_told = true;
    report_notice(REPORT_WARNING, "no link to node %s: %s", peer->name, why);
}

void peer_lose(struct peer *peer, const char *why)
{
    struct node *node = peer->node;
    bool was_up = peer->is_up;

    if (!peer->is_connecting)
        return;
    peer->is_connecting = peer->is_up = false;
    if (peer->query)
        dns_cancel(peer->query);
    peer->query = NULL;
    for (unsigned role = 0; role < LINK_ROLES; role++) {
        struct link *link = peer->links[role];
        peer->links[role] = NULL;
        link_client_free(link);
    }
    peer->early = NULL;
    copies_lose(peer);
    if (node->are_links_stopped)
        return; /* our own end says nothing about others */
    node_drop_asks(node, peer->index);
    ledger_on_down(node->ledger, node_now(node), peer->index, &node->actions);
    node_did(node);
    tell_down(peer, why);
    connect_again(peer, was_up);
}

bool peer_link_up(struct peer *peer, struct link *link)
{
    struct node *node = peer->node;
    const struct shadow_ask *early = peer->early;
    bool is_welcome;

    for (unsigned role = 0; role < LINK_ROLES; role++)
        if (!peer->links[role] || !peer->links[role]->is_up)
            return true;
    is_welcome = ledger_on_up(
        node->ledger, node_now(node), peer->index, &link->hello, link->heard, &node->actions);
    node_did(node);
    if (!is_welcome)
        return false;
    peer->is_up = true;
    peer->up_since = loop_now(node->home);
    if (peer->is_down_told)
        report_notice(REPORT_INFO, "links to node %s are up again", peer->name);
    peer->is_down_told = false;
    peer->down_why[0] = 0;
    peer->early = NULL;
    if (early)
        link_client_ask_soon(peer->links[LINK_ASK], early);
    return true;
}

void peer_cut(struct node *node, uint8_t index)
{
    struct peer *peer = peer_at(node, index);

    links_in_cut(node, index);
    if (peer)
        peer_lose(peer, "cut off");
}

void peer_ask(struct node *node, uint8_t index, const struct shadow_ask *ask)
{
    struct peer *peer = peer_at(node, index);
    bool is_discard = ask->type == SHADOW_ASK_DISCARD;

    if (peer && peer->is_up) {
        link_client_ask(peer->links[is_discard ? LINK_ASK : LINK_COPY], ask);
        return;
    }
    if (!is_discard)
        return; /* the link went down in this turn, and ledger_on_down() has told */
    if (node->are_links_stopped)
        return;
    if (!peer) {
        ledger_on_ask_failed(node->ledger, node_now(node), index, &node->actions);
        node_did(node);
        return;
    }
    peer->early = ask; /* the ledger does not wait for ever */
}

/* --- Configuration ----------------------------------------------------------------------- */

static struct peer *new_peer(struct node *node, const struct cluster_node *config)
{
    struct peer *peer = mem_new(sizeof *peer);

    peer->node = node;
    peer->name = mem_text(config->name);
    list_init(&peer->ready);
    list_init(&peer->waiting);
    list_init(&peer->begun);
    timer_init(&peer->again, node->home, on_again);
    return peer;
}

static void free_peer(struct peer *peer)
{
    peer_lose(peer, "not a node of ours any more");
    timer_stop(&peer->again);
    free(peer->name);
    free(peer->host);
    free(peer);
}

static void set_address(struct peer *peer, const struct cluster_node *config)
{
    free(peer->host);
    peer->host = mem_text(config->host);
    peer->at = (struct endpoint){ .port = config->port };
    peer->is_name = !ip_parse(bytes_text(peer->host), &peer->at.ip);
    memcpy(peer->pin.byte, config->pin, sizeof peer->pin.byte);
}

static bool is_as_before(const struct peer *peer, const struct cluster_node *config)
{
    return strcmp(peer->host, config->host) == 0 && peer->at.port == config->port &&
           memcmp(peer->pin.byte, config->pin, sizeof peer->pin.byte) == 0;
}

static void change_peer(struct node *node, const struct cluster_node *config)
{
    uint8_t index = ledger_find_peer(node->ledger, bytes_text(config->name));

    if (index == LEDGER_NO_PEER)
        return; /* see peers_check() */
    if (!node->peers[index]) {
        node->peers[index] = new_peer(node, config);
        node->peers[index]->index = index;
    } else if (!is_as_before(node->peers[index], config)) {
        peer_cut(node, index);
    } else {
        return;
    }
    set_address(node->peers[index], config);
    node->peers[index]->pause_ms = 0;
    if (may_connect(node->peers[index]))
        timer_start(&node->peers[index]->again, 0);
}

static bool is_named(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->node_count; i++)
        if (strcmp(settings->nodes[i].name, name) == 0)
            return true;
    return false;
}

static void drop_others(struct node *node, const struct settings *settings)
{
    for (uint8_t i = 0; i < LEDGER_PEERS_MAX; i++) {
        struct peer *peer = node->peers[i];
        if (!peer || is_named(settings, peer->name))
            continue;
        links_in_cut(node, i);
        alarms_forget_peer(node, i);
        node->peers[i] = NULL;
        free_peer(peer);
    }
}

static bool is_remote(const char *ours, const char *theirs)
{
    return ours && theirs && strcmp(ours, theirs) != 0;
}

static void tell_ledger(struct node *node, const struct settings *settings)
{
    struct ledger_peer_config configs[LEDGER_PEERS_MAX];
    uint32_t count = 0;

    for (size_t i = 0; i < settings->node_count && count < LEDGER_PEERS_MAX; i++)
        configs[count++] = (struct ledger_peer_config){
            .name = bytes_text(settings->nodes[i].name),
            .is_remote = is_remote(settings->site, settings->nodes[i].site),
        };
    ledger_set_peers(node->ledger, configs, count, &node->actions);
    node_did(node);
}

/* Asked of the network each time a link is made: a name may have another address then. */
static enum err need_dns(struct node *node, const struct settings *settings)
{
    struct dns_settings dns = {
        .servers = (const char *const *)settings->dns_servers,
        .server_count = settings->dns_server_count,
        .timeout_ms = settings->dns_timeout_ms,
        .hosts_file = "/etc/hosts",
    };
    struct ip ip;

    for (size_t i = 0; i < settings->node_count && !node->dns; i++)
        if (!ip_parse(bytes_text(settings->nodes[i].host), &ip)) {
            enum err err = dns_new(node->home, &dns, &node->dns);
            if (err != OK)
                return err;
        }
    return OK;
}

enum err peers_check(const struct node *node, const struct settings *settings, char why[512])
{
    uint32_t room = LEDGER_PEERS_MAX - ledger_peer_count(node->ledger);

    for (size_t i = 0; i < settings->node_count; i++) {
        const struct cluster_node *config = &settings->nodes[i];
        if (ledger_find_peer(node->ledger, bytes_text(config->name)) != LEDGER_NO_PEER)
            continue;
        if (room-- > 0)
            continue;
        snprintf(why, 512,
            "%.200s:%d: cluster_node \"%.100s\" is one too many: with those that have left, "
            "this process knows %d others at the most; restart the daemon",
            config->source.file ? config->source.file : "", config->source.line, config->name,
            LEDGER_PEERS_MAX);
        return ERR_LIMIT;
    }
    return OK;
}

enum err peers_change(struct node *node, const struct settings *settings, char why[512])
{
    enum err err = need_dns(node, settings);

    if (err != OK) {
        snprintf(why, 512, "names of nodes cannot be looked up: %s", err_text(err));
        return err;
    }
    drop_others(node, settings);
    tell_ledger(node, settings);
    for (size_t i = 0; i < settings->node_count; i++)
        change_peer(node, &settings->nodes[i]);
    return OK;
}

void peers_start(struct node *node)
{
    for (uint8_t i = 0; i < LEDGER_PEERS_MAX; i++) {
        struct peer *peer = node->peers[i];
        if (peer && may_connect(peer) && !peer->is_connecting)
            timer_start(&peer->again, 0);
    }
}

void peers_stop(struct node *node)
{
    for (uint8_t i = 0; i < LEDGER_PEERS_MAX; i++) {
        struct peer *peer = node->peers[i];
        if (!peer)
            continue;
        timer_stop(&peer->again);
        peer_lose(peer, "stopped");
    }
}

void peers_free(struct node *node)
{
    for (uint8_t i = 0; i < LEDGER_PEERS_MAX; i++) {
        if (node->peers[i])
            free_peer(node->peers[i]);
        node->peers[i] = NULL;
    }
    dns_free(node->dns);
}
