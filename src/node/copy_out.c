/* Copies we send: where their content comes from, and what is said of them. */
#include "node/inside.h"

#include "base/mem.h"
#include "os/clock.h"
#include "os/crash.h"

#include <assert.h>
#include <stdlib.h>

enum { READING_MAX = 4 }; /* copies of one peer read ahead from the disk */

static void look_peer(struct peer *peer);

/* --- Beginning and end --------------------------------------------------------------------- */

static void free_now(struct copy_out *copy)
{
    spool_content_free(copy->content);
    free(copy->piece);
    free(copy->envelope);
    free(copy);
}

static void copy_free(struct copy_out *copy)
{
    list_remove(&copy->in_peer);
    copy->peer->reading -= copy->is_reading && !copy->is_begun;
    if (copy->is_reading)
        copy->is_abandoned = true; /* the read frees it */
    else
        free_now(copy);
}

static void count_latency(struct node *node, int64_t us)
{
    unsigned bucket = 0;

    for (uint64_t n = us < 0 ? 0 : (uint64_t)us / 64; n && bucket < LATENCY_BUCKETS - 1;
         n >>= 1)
        bucket++;
    node->latency[bucket]++;
}

/* A message that was settled while its content was being sent from the disk. */
static void settle_late(struct node *node, struct mid mid)
{
    struct keep *keep = keep_find(node, mid);

    if (!keep || !keep->is_settling || copy_holds(node, mid))
        return;
    keep->is_settling = false;
    ledger_on_settled(node->ledger, node_now(node), mid, &node->actions);
    node_did(node);
}

void copy_answer(struct copy_out *copy, const struct shadow_outcome *outcome)
{
    struct peer *peer = copy->peer;
    struct node *node = peer->node;
    struct mid mid = copy->mid;

    if (outcome->fate == SHADOW_DURABLE)
        count_latency(node, clock_us() - copy->ordered_us);
    copy_free(copy);
    if (node->are_links_stopped)
        return; /* it may be there, as its record says */
    ledger_on_outcome(node->ledger, node_now(node), peer->index, mid, outcome, &node->actions);
    node_did(node);
    settle_late(node, mid);
}

static void lose_list(struct list *list)
{
    static const struct shadow_outcome lost = { .fate = SHADOW_LOST };

    list_each (at, list)
        copy_answer(container_of(at, struct copy_out, in_peer), &lost);
}

void copies_lose(struct peer *peer)
{
    lose_list(&peer->begun);
    lose_list(&peer->ready);
    lose_list(&peer->waiting);
}

/* --- From the disk ------------------------------------------------------------------------- */

static void on_read(struct spool_read *read);

/* False: the message is not there any more. */
static bool read_piece(struct copy_out *copy, uint64_t from)
{
    struct node *node = copy->peer->node;
    struct spool_entry *entry = entry_of(node, copy->mid);
    struct crash_work before;

    if (!entry)
        return false;
    before = crash_begin(copy->mid, NODE_COPYING); /* when it is read, too: by loop_work() */
    copy->content_bytes = entry->content_bytes;
    copy->is_reading = true;
    copy->read.done = on_read;
    copy->read.wants_envelope = !copy->envelope;
    node->reads++;
    spool_read(node->spool, entry, from, CONTENT_PIECE_BYTES, &copy->read);
    crash_end(before);
    return true;
}

static void take_piece(struct copy_out *copy, const struct spool_read *read)
{
    free(copy->piece);
    copy->piece = read->at;
    copy->piece_n = read->n;
    copy->piece_from = read->from;
    if (read->envelope) {
        copy->envelope = read->envelope;
        copy->envelope_n = read->envelope_n;
    }
}

static bool is_good(const struct copy_out *copy, const struct spool_read *read)
{
    return read->err == OK && (read->n || copy->content_bytes == 0) &&
           (read->envelope || copy->envelope);
}

/* Not begun: it is ready now, or cannot be sent.  As a copy that was lost: nothing better is
 * known of a message that cannot be read. */
static void on_read_ahead(struct copy_out *copy, bool is_ok)
{
    static const struct shadow_outcome lost = { .fate = SHADOW_LOST };
    struct peer *peer = copy->peer;

    peer->reading--;
    if (is_ok) {
        list_remove(&copy->in_peer);
        list_add_last(&peer->ready, &copy->in_peer);
    } else {
        copy_answer(copy, &lost);
    }
    look_peer(peer);
}

static void on_read(struct spool_read *read)
{
    struct copy_out *copy = container_of(read, struct copy_out, read);
    struct peer *peer = copy->peer; /* may be gone when it is abandoned */
    bool is_ok = is_good(copy, read);

    copy->is_reading = false;
    copy->node->reads--;
    if (copy->is_abandoned || !is_ok) {
        free(read->at);
        free(read->envelope);
    }
    if (copy->is_abandoned) {
        node_look_stopped(copy->node);
        free_now(copy);
        return;
    }
    if (is_ok)
        take_piece(copy, read);
    copy->is_broken = !is_ok;
    if (copy->is_begun)
        link_client_serve(peer->links[LINK_COPY]);
    else
        on_read_ahead(copy, is_ok);
}

/* --- Orders -------------------------------------------------------------------------------- */

static bool is_in_memory(const struct copy_out *copy)
{
    return copy->envelope && copy->content;
}

/* Starts reads for those that wait, as many as may; what is ready goes out. */
static void look_peer(struct peer *peer)
{
    list_each (at, &peer->waiting) {
        struct copy_out *copy = container_of(at, struct copy_out, in_peer);
        if (peer->reading == READING_MAX)
            break;
        if (!copy->is_reading && read_piece(copy, 0))
            peer->reading++;
    }
    if (peer->is_up && !list_is_empty(&peer->ready))
        link_client_serve(peer->links[LINK_COPY]);
}

void copies_look(struct node *node)
{
    for (uint8_t i = 0; i < LEDGER_PEERS_MAX; i++)
        if (node->peers[i] && !list_is_empty(&node->peers[i]->waiting))
            look_peer(node->peers[i]);
}

static struct copy_out *copy_new(struct peer *peer, struct mid mid)
{
    struct copy_out *copy = mem_new(sizeof *copy);
    struct node_acceptance *acceptance = acceptance_of(peer->node, mid);

    copy->peer = peer;
    copy->node = peer->node;
    copy->mid = mid;
    copy->ordered_us = clock_us();
    if (!acceptance || !acceptance->content)
        return copy;
    copy->content = spool_content_hold(acceptance->content);
    copy->content_bytes = spool_content_bytes(copy->content);
    copy->envelope = mem_copy(acceptance->envelope.at, acceptance->envelope.n);
    copy->envelope_n = acceptance->envelope.n;
    return copy;
}

static bool may_copy(const struct node *node, struct mid mid)
{
    return !node->path.may_copy || node->path.may_copy(node->path.me, mid);
}

void copy_order(
    struct node *node, uint8_t index, struct mid mid, const struct standing *standing)
{
    struct peer *peer = peer_at(node, index);
    struct copy_out *copy;

    if (!peer || !peer->is_up || !may_copy(node, mid)) { /* went down in this turn, or poison */
        ledger_on_outcome(node->ledger, node_now(node), index, mid,
            &(struct shadow_outcome){ .fate = SHADOW_LOST }, &node->actions);
        node_did(node);
        return;
    }
    copy = copy_new(peer, mid);
    copy->standing = *standing;
    list_init(&copy->in_peer);
    list_add_last(is_in_memory(copy) ? &peer->ready : &peer->waiting, &copy->in_peer);
    look_peer(peer);
}

static struct copy_out *find(struct list *list, struct mid mid)
{
    list_each (at, list) {
        struct copy_out *copy = container_of(at, struct copy_out, in_peer);
        if (mid_equal(copy->mid, mid))
            return copy;
    }
    return NULL;
}

/* One that is begun goes on: its content must not break off in the middle. */
void copy_cancel(struct node *node, uint8_t index, struct mid mid)
{
    struct peer *peer = peer_at(node, index);
    struct copy_out *copy;

    if (!peer)
        return;
    copy = find(&peer->ready, mid);
    if (!copy)
        copy = find(&peer->waiting, mid);
    if (copy)
        copy_free(copy);
}

/* --- On the link --------------------------------------------------------------------------- */

struct copy_out *copy_next(struct peer *peer)
{
    struct list *at = list_first(&peer->ready);

    return at ? container_of(at, struct copy_out, in_peer) : NULL;
}

static uint8_t crash_count(const struct node *node, struct mid mid, uint8_t carried)
{
    return node->path.crash_count ? node->path.crash_count(node->path.me, mid, carried)
                                  : carried;
}

static struct recipient *list_recipients(struct bytes encoded, size_t count)
{
    struct recipient *recipients = mem_new(count * sizeof *recipients);
    struct envelope_cursor cursor;
    size_t at = 0;

    envelope_recipients(encoded, &cursor);
    while (at < count && envelope_next_recipient(&cursor, &recipients[at]))
        at++;
    assert(at == count);
    return recipients;
}

void copy_offer(struct copy_out *copy, struct link *link)
{
    struct node *node = copy->node;
    struct bytes encoded = bytes_of(copy->envelope, copy->envelope_n);
    const struct spool_entry *entry = entry_of(node, copy->mid);
    struct crash_work before = crash_begin(copy->mid, NODE_COPYING);
    struct shadow_copy offer = { .mid = copy->mid };
    struct recipient *recipients;
    struct buf done;

    if (envelope_decode(encoded, &offer.envelope) != OK)
        abort(); /* it was decoded when the message came in, and its checksum holds */
    offer.envelope.crash_count = crash_count(node, copy->mid, offer.envelope.crash_count);
    ledger_set_lineage(&offer, &copy->standing);
    buf_init(&done, SHADOW_LIST_BYTES_MAX);
    if (entry)
        entry_list_done(entry, &done);
    recipients = list_recipients(encoded, offer.envelope.recipient_count);
    offer.recipients = recipients;
    offer.recipient_count = (uint32_t)offer.envelope.recipient_count;
    offer.prepend_bytes = (uint32_t)offer.envelope.prepend.n;
    offer.done = buf_bytes(&done);
    copy->prepend = offer.envelope.prepend;
    list_remove(&copy->in_peer);
    list_add_last(&link->peer->begun, &copy->in_peer);
    copy->is_begun = true;
    node->copies_sent++;
    node->bytes_sent += copy->prepend.n + copy->content_bytes;
    link_client_run(link, &(struct shadow_client_event){ .type = SHADOW_CLIENT_COPY,
                              .copy = &offer,
                              .tag = (uint64_t)(uintptr_t)copy,
                              .content_bytes = copy->prepend.n + copy->content_bytes });
    free(recipients); /* COPY itself may be gone, too */
    buf_done(&done);
    crash_end(before);
}

/* What comes next, as far as it is in memory; empty: it must be read (or all is out). */
static struct bytes next_run(const struct copy_out *copy)
{
    uint64_t at = copy->done;

    if (at < copy->prepend.n)
        return bytes_skip(copy->prepend, (size_t)at);
    at -= copy->prepend.n;
    if (copy->content)
        return spool_content_at(copy->content, at);
    if (copy->piece && at >= copy->piece_from && at < copy->piece_from + copy->piece_n)
        return bytes_of(copy->piece + (at - copy->piece_from),
            (size_t)(copy->piece_from + copy->piece_n - at));
    return BYTES_NONE;
}

static bool pump(struct copy_out *copy, struct link *link)
{
    uint64_t all = copy->prepend.n + copy->content_bytes;

    while (copy->done < all) {
        struct bytes run;
        if (copy->is_broken)
            return false;
        if (conn_out_is_high(link->conn) || copy->is_reading)
            return true;
        run = bytes_first(next_run(copy), CONTENT_PIECE_BYTES);
        if (run.n == 0)
            return read_piece(copy, copy->done - copy->prepend.n);
        if (buf_add(conn_out(link->conn), run) != OK)
            abort(); /* it was below HIGH, a run is bounded, the ceiling is far above both */
        copy->done += run.n;
    }
    copy->is_all_out = true;
    spool_content_free(copy->content);
    copy->content = NULL;
    settle_late(copy->node, copy->mid);
    return true;
}

bool copy_pump(struct copy_out *copy, struct link *link)
{
    struct crash_work before = crash_begin(copy->mid, NODE_COPYING);
    bool can_go_on = pump(copy, link);

    crash_end(before);
    return can_go_on;
}

bool copy_holds(const struct node *node, struct mid mid)
{
    for (uint8_t i = 0; i < LEDGER_PEERS_MAX; i++) {
        const struct peer *peer = node->peers[i];
        const struct link *link = peer ? peer->links[LINK_COPY] : NULL;
        const struct copy_out *copy = link ? link->streaming : NULL;
        if (copy && mid_equal(copy->mid, mid) && !copy->content && !copy->is_all_out)
            return true;
    }
    return false;
}
