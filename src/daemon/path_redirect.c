/* Queued mail leaves by another host, instead of by its route (QU-5).
 *
 * It stands in a queue "redirect/[HOST]:PORT" then, and is delivered from there like any other: by
 * SMTP to that host, and to no MX of it, as a send connector with the defaults does (STARTTLS if it
 * is offered, no password).  That lasts until it is delivered, until it is undone, and at the longest
 * until a restart; new settings change nothing of it.  What the host refuses for good goes back to
 * its route: nothing bounces because an administrator mistook the host. */
#include "daemon/path_inside.h"

#include "base/mem.h"
#include "mail/address.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>

enum { SMTP_PORT = 25, REDIRECT_NAME_BYTES = PATH_TARGET_BYTES + 16 };

/* --- Whereto ----------------------------------------------------------------------------- */

static bool is_ip(struct bytes text)
{
    struct ip ip;

    return ip_parse(text, &ip);
}

/* Cuts ":PORT" off the end of what is no bare address. */
static bool cut_port(struct bytes *text, uint64_t *port)
{
    size_t at = text->n;

    *port = SMTP_PORT;
    while (at > 0 && text->at[at - 1] >= '0' && text->at[at - 1] <= '9')
        at--;
    if (at == 0 || text->at[at - 1] != ':' || is_ip(*text))
        return true;
    if (!bytes_to_number(bytes_skip(*text, at), UINT16_MAX, port) || *port == 0)
        return false;
    *text = bytes_first(*text, at - 1);
    return true;
}

static const char *node_host(const struct settings *settings, struct bytes name)
{
    for (size_t i = 0; i < settings->node_count; i++)
        if (bytes_equal_nocase(bytes_text(settings->nodes[i].name), name))
            return settings->nodes[i].host;
    return NULL;
}

bool path_redirect_target(const struct path *path, const char *to, char out[PATH_TARGET_BYTES])
{
    struct bytes host = bytes_text(to);
    const char *node;
    uint64_t port;

    if (!cut_port(&host, &port))
        return false;
    if (host.n > 2 && host.at[0] == '[' && host.at[host.n - 1] == ']')
        host = bytes_of(host.at + 1, host.n - 2);
    node = node_host(path->routed_by->settings, host);
    if (node)
        host = bytes_text(node);
    if (host.n == 0 || host.n > 255 || (!is_ip(host) && !domain_is_name(host)))
        return false;
    snprintf(out, PATH_TARGET_BYTES, "[%.*s]:%u", BYTES_ARGS(host), (unsigned)port);
    return true;
}

/* --- There and back ---------------------------------------------------------------------- */

static struct hop *redirect_hop(struct path *path, const char *target)
{
    char name[REDIRECT_NAME_BYTES];

    snprintf(name, sizeof name, "redirect/%s", target);
    return queue_hop(
        &path->queue, name, target, path->routed_by, &path->routed_by->settings->redirection);
}

static void tell(const struct message *message, const struct item *item, const char *to)
{
    report(REPORT_REDIRECT, R_MID(message->entry.by_mid.mid), R_CHARS("queue", item->hop->name),
        R_CHARS("to", to), R_NUMBER("nrcpt", item->recipient_count));
}

bool path_redirect(struct path *path, struct message *message, const char *target,
    bool (*wants)(void *me, const struct item *item), void *me)
{
    bool any = false;

    if (message->is_poison || !path_has_right(path, message))
        return false;
    for (struct item *item = &message->first; item; item = item->next) {
        struct hop *hop;
        if (!item_is_queued(item) || !wants(me, item))
            continue;
        hop = redirect_hop(path, target);
        if (hop != item->hop)
            tell(message, item, target);
        item->is_unpinned = false;
        queue_move_item(&path->queue, item, hop);
        any = true;
    }
    return any;
}

bool path_undo_redirect(struct path *path, struct message *message,
    bool (*wants)(void *me, const struct item *item), void *me)
{
    bool any = false;

    for (struct item *item = &message->first; item; item = item->next) {
        if (!item_is_queued(item) || !hop_is_redirection(item->hop) || !wants(me, item))
            continue;
        tell(message, item, "its route");
        item->is_unpinned = any = true;
    }
    if (!any)
        return false;
    /* While another item of it is being delivered: when that has ended.  Until then the queue
     * starts nothing of what is unpinned. */
    if (!path_reroute(path, message))
        message->revision--;
    return true;
}

/* --- It is refused there ----------------------------------------------------------------- */

void path_finish_redirected(struct path *path, struct item *item, const struct result *results,
    const struct attempt *attempt)
{
    uint32_t count = item->recipient_count, refused = 0;
    struct result *kept = mem_copy(results, count * sizeof *results);

    for (uint32_t i = 0; i < count; i++) {
        if (kept[i].fate != FATE_FAILED)
            continue;
        kept[i].fate = FATE_DEFERRED;
        refused++;
    }
    if (refused) {
        tell(item_message(item), item, "its route, for it was refused there");
        item->is_unpinned = true;
        item_message(item)
            ->revision--; /* it is routed anew as soon as nothing of it is under way */
    }
    discard_item(&path->discard, item, kept, attempt);
    free(kept);
}

/* --- New settings ------------------------------------------------------------------------ */

static int by_recipient(const void *a, const void *b)
{
    const struct route_pin *one = a, *other = b;

    return one->recipient < other->recipient ? -1 : one->recipient > other->recipient;
}

static bool is_pinned(const struct item *item)
{
    return item->recipient_count && hop_is_redirection(item->hop) && !item->is_unpinned;
}

void path_pins(const struct message *message, struct route_pins *pins)
{
    uint32_t count = 0;

    for (const struct item *item = &message->first; item; item = item->next)
        count += is_pinned(item) ? item->recipient_count : 0;
    *pins = (struct route_pins){ count ? mem_new(count * sizeof *pins->list) : NULL, 0 };
    for (const struct item *item = &message->first; item; item = item->next) {
        for (uint32_t i = 0; is_pinned(item) && i < item->recipient_count; i++)
            pins->list[pins->count++] =
                (struct route_pin){ item_recipient(item, i), item->hop };
    }
    if (count)
        qsort(pins->list, count, sizeof *pins->list, by_recipient);
}
