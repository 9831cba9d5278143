/* Copies we receive: into the spool, with their standing, and then the answer.
 *
 * The ledger is asked when all of the content is there: nothing is promised before, and what is
 * here under this mid may have changed while the content came.  A refusal that is known before
 * (no room) is kept until then: the content is on its way already. */
#include "node/inside.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

enum { PREPEND_BYTES_MAX = 1 << 20 };

/* --- Beginning and end ------------------------------------------------------------------- */

static void keep_envelope(struct copy_in *copy, const struct shadow_copy *told)
{
    struct envelope envelope = told->envelope;

    envelope.recipients = told->recipients;
    envelope.recipient_count = told->recipient_count;
    envelope.prepend = BYTES_NONE;
    buf_init(&copy->envelope, ENVELOPE_BYTES_MAX);
    if (envelope_encode(&envelope, &copy->envelope) != OK) {
        copy->is_failed = true;
        copy->outcome.verdict = verdict_of(552, STATUS(5, 5, 3), "Too many recipients");
    }
}

static struct verdict verdict_of_failure(enum err err)
{
    if (err == ERR_SPACE)
        return verdict_of(452, STATUS(4, 3, 1), "Insufficient system storage");
    if (err == ERR_LIMIT)
        return verdict_of(552, STATUS(5, 3, 4), "Message size exceeds fixed maximum");
    return verdict_of(451, STATUS(4, 3, 0), "Copy could not be stored: %s", err_text(err));
}

struct copy_in *copy_in_new(struct link_in *link, const struct shadow_copy *told,
    uint64_t engine_tag, struct verdict *refusal)
{
    struct node *node = link->node;
    struct copy_in *copy;
    char why[128];
    enum err err = node->are_links_stopped ? ERR_BUSY
                                           : spool_has_room_for_copy(node->spool,
                                                 told->envelope.content_bytes, why);

    if (err != OK) {
        *refusal = verdict_of_failure(err);
        return NULL;
    }
    copy = mem_new(sizeof *copy);
    copy->node = node;
    copy->link = link;
    copy->tag = ++node->last_tag;
    copy->engine_tag = engine_tag;
    copy->peer = link->peer;
    copy->mid = told->mid;
    copy->offered = ledger_lineage(told);
    copy->outcome.fate = SHADOW_REFUSED;
    copy->prepend_left = told->prepend_bytes;
    if (told->done.n)
        copy->done = bytes_of(mem_copy(told->done.at, told->done.n), told->done.n);
    buf_init(&copy->prepend, PREPEND_BYTES_MAX);
    scan_init(&copy->scan);
    keep_envelope(copy, told);
    list_init(&copy->in_link);
    copy->writer = spool_writer_new(node->spool, node->home, UINT64_MAX, link_in_on_room, link);
    spool_writer_set_copy(copy->writer);
    table_add(&node->copies_in, &copy->by_tag, copy->tag);
    return copy;
}

void copy_in_free(struct copy_in *copy)
{
    table_remove(&copy->node->copies_in, &copy->by_tag);
    list_remove(&copy->in_link);
    spool_abandon(&copy->writer);
    buf_done(&copy->envelope);
    buf_done(&copy->prepend);
    free((void *)(uintptr_t)copy->done.at);
    free(copy);
}

void copy_in_abandon(struct copy_in *copy)
{
    if (copy)
        copy_in_free(copy);
}

static void answer(struct copy_in *copy)
{
    struct link_in *link = copy->link;

    if (!link) {
        copy_in_free(copy);
        return;
    }
    list_remove(&copy->in_link);
    list_add_last(&link->answered, &copy->in_link);
    link_in_serve(link);
}

static void refuse(struct copy_in *copy, struct verdict verdict)
{
    copy->outcome = (struct shadow_outcome){ .fate = SHADOW_REFUSED, .verdict = verdict };
    answer(copy);
}

/* The ledger does not know of these copies, or answers nobody. */
void copies_in_detach(struct link_in *link)
{
    list_each (at, &link->answered)
        copy_in_free(container_of(at, struct copy_in, in_link));
    list_each (at, &link->copies) {
        list_remove(at);
        container_of(at, struct copy_in, in_link)->link = NULL;
    }
}

static void free_one(struct table_node *at, void *me)
{
    (void)me;
    copy_in_free(container_of(at, struct copy_in, by_tag));
}

void copies_in_free(struct node *node)
{
    table_each(&node->copies_in, free_one, NULL);
    table_done(&node->copies_in);
}

/* --- Its content ------------------------------------------------------------------------- */

bool copy_in_is_full(const struct copy_in *copy)
{
    return !copy->is_failed && copy->writer && spool_writer_is_full(copy->writer);
}

static void fail(struct copy_in *copy, enum err err)
{
    copy->is_failed = true;
    copy->outcome.verdict = verdict_of_failure(err);
    spool_abandon(&copy->writer);
}

static void note_last_two(struct copy_in *copy, struct bytes content)
{
    if (content.n >= 2) {
        memcpy(copy->last_two, content.at + content.n - 2, 2);
    } else if (content.n == 1) {
        copy->last_two[0] = copy->last_two[1];
        copy->last_two[1] = content.at[0];
    }
}

void copy_in_add(struct copy_in *copy, struct bytes content)
{
    struct bytes ours = bytes_first(content, copy->prepend_left);
    enum err err = OK;

    copy->node->bytes_received += content.n;
    if (copy->is_failed)
        return;
    copy->prepend_left -= (uint32_t)ours.n;
    err = buf_add(&copy->prepend, ours);
    content = bytes_skip(content, ours.n);
    if (err == OK && content.n) {
        scan_feed(&copy->scan, content);
        note_last_two(copy, content);
        err = spool_append(copy->writer, content);
    }
    if (err != OK)
        fail(copy, err);
}

/* --- Its envelope ------------------------------------------------------------------------ */

static void see_content(const struct copy_in *copy, struct envelope *envelope)
{
    const struct scan *scan = &copy->scan;
    bool ends_with_crlf = scan->bytes == 0 || memcmp(copy->last_two, "\r\n", 2) == 0;

    envelope->prepend = buf_bytes(&copy->prepend);
    envelope->content_bytes = scan->bytes;
    envelope->has_dot_line = scan->has_dot_line || !ends_with_crlf; /* as flow/session does */
    envelope->has_8bit = scan->has_8bit;
    envelope->has_utf8_header = scan->has_utf8_header;
    envelope->hop_count = scan->received_count > 255 ? 255 : (uint8_t)scan->received_count;
    envelope->message_id = bytes_text(scan->message_id);
}

/* The envelope as it was told, with what the content showed.  False: over its ceiling. */
static bool complete_envelope(struct copy_in *copy)
{
    struct bytes told = buf_bytes(&copy->envelope);
    struct envelope_cursor cursor;
    struct envelope envelope;
    struct recipient *recipients;
    struct buf complete;
    enum err err;

    scan_end(&copy->scan);
    if (envelope_decode(told, &envelope) != OK)
        abort(); /* we wrote it */
    recipients = mem_new(envelope.recipient_count * sizeof *recipients);
    envelope_recipients(told, &cursor);
    for (size_t i = 0; i < envelope.recipient_count; i++)
        if (!envelope_next_recipient(&cursor, &recipients[i]))
            abort();
    see_content(copy, &envelope);
    envelope.recipients = recipients;
    buf_init(&complete, ENVELOPE_BYTES_MAX);
    err = envelope_encode(&envelope, &complete);
    free(recipients);
    buf_done(&copy->envelope);
    copy->envelope = complete;
    return err == OK && digest_of(buf_bytes(&copy->envelope), copy->scan.bytes, &copy->digest);
}

/* --- Into the spool ---------------------------------------------------------------------- */

static void tell_stored(struct copy_in *copy, bool is_ok)
{
    struct node *node = copy->node;

    ledger_on_copy_stored(
        node->ledger, node_now(node), copy->peer, copy->mid, copy->tag, is_ok, &node->actions);
    node_did(node);
}

static void end_commit(struct copy_in *copy)
{
    struct node *node = copy->node;

    node->commits--;
    tell_stored(copy, true); /* LEDGER_HELD follows */
    node_look_stopped(node);
}

/* What is done already must be as durable as the copy: it would be delivered again after a
 * take-over by a node that was started again in between. */
static void on_done_flushed(struct spool_barrier *barrier)
{
    struct copy_in *copy = container_of(barrier, struct copy_in, barrier);

    /* With the links gone nobody hears the answer any more: it ends as if we had died here, and a
     * disk that fails does not keep the process from ending. */
    if (barrier->err == OK || copy->node->are_links_stopped)
        end_commit(copy);
    else
        timer_start(&copy->again, 200);
}

static void on_again(struct timer *timer)
{
    struct copy_in *copy = container_of(timer, struct copy_in, again);

    spool_flush(copy->node->spool, &copy->barrier);
}

static void note_done(struct copy_in *copy, struct spool_entry *entry)
{
    struct node *node = copy->node;

    if (copy->done.n == 0 || !shadow_list_check(copy->done, entry->recipient_count)) {
        end_commit(copy);
        return;
    }
    entry_note_list(node, entry, copy->done);
    timer_init(&copy->again, node->home, on_again);
    copy->barrier.done = on_done_flushed;
    spool_flush(node->spool, &copy->barrier);
}

static void on_committed(struct spool_ticket *ticket)
{
    struct copy_in *copy = container_of(ticket, struct copy_in, ticket);
    struct node *node = copy->node;
    struct keep *keep;

    if (ticket->err != OK) {
        node->commits--;
        tell_stored(copy, false);
        refuse(copy, verdict_of_failure(ticket->err));
        node_look_stopped(node);
        return;
    }
    spool_content_free(ticket->content); /* it is read again only after a take-over */
    node->copies_received++;
    list_init(&ticket->entry.in_segment);
    spool_adopt(node->spool, &ticket->entry);
    keep = keep_take(node, &ticket->entry);
    keep->digest = copy->digest;
    keep->has_digest = true;
    note_done(copy, &keep->entry);
}

static void commit(struct copy_in *copy)
{
    struct node *node = copy->node;
    struct envelope envelope;

    if (entry_of(node, copy->mid)) {
        /* Withdrawn and forgotten, but a delivery of it has not ended yet. */
        tell_stored(copy, false);
        copy->outcome = (struct shadow_outcome){ .fate = SHADOW_BUSY,
            .verdict = verdict_of(450, STATUS(4, 5, 0), "busy") };
        answer(copy);
        return;
    }
    if (envelope_decode(buf_bytes(&copy->envelope), &envelope) != OK)
        abort(); /* we wrote it */
    copy->ticket.on_done = on_committed;
    copy->ticket.loop = node->home;
    copy->ticket.spool = node->spool;
    node->commits++;
    spool_commit(&copy->writer, copy->mid, buf_bytes(&copy->envelope),
        (uint32_t)envelope.recipient_count, NULL, &copy->standing, &copy->ticket);
}

/* --- The decision ------------------------------------------------------------------------ */

/* The message is here already: what its primary says is done is noted, in front of the standing
 * that the ledger has written then. */
static void note_here(struct copy_in *copy)
{
    struct spool_entry *entry = entry_of(copy->node, copy->mid);

    if (entry && copy->done.n && shadow_list_check(copy->done, entry->recipient_count))
        entry_note_list(copy->node, entry, copy->done);
}

static void decide(struct copy_in *copy, bool is_same)
{
    struct node *node = copy->node;
    enum ledger_offer offer;

    offer = ledger_on_copy(node->ledger, node_now(node), copy->peer, copy->mid, &copy->offered,
        is_same, copy->tag, &copy->standing, &copy->outcome, &node->actions);
    node_did(node);
    switch (offer) {
    case LEDGER_TAKE:
        commit(copy);
        return;
    case LEDGER_ANSWERED:
        if (copy->outcome.fate == SHADOW_DURABLE)
            note_here(copy);
        answer(copy);
        return;
    case LEDGER_ONLY_STAND: /* LEDGER_HELD follows */
        note_here(copy);
        spool_abandon(&copy->writer);
        return;
    }
}

static void on_read(struct spool_read *read)
{
    struct copy_in *copy = container_of(read, struct copy_in, read);
    struct node *node = copy->node;
    bool has_envelope = read->err == OK && read->envelope;
    struct bytes envelope = bytes_of(read->envelope, read->envelope_n);
    uint64_t digest = 0;

    node->commits--;
    if (!has_envelope && entry_of(node, copy->mid))
        refuse(copy, verdict_of(451, STATUS(4, 3, 0), "what is here cannot be read"));
    else if (has_envelope && digest_of(envelope, copy->here_bytes, &digest))
        decide(copy, digest == copy->digest);
    else
        decide(copy, true); /* it is gone meanwhile */
    free(read->at);
    free(read->envelope);
    node_look_stopped(node);
}

/* Of a message that the path has: its envelope is on the disk at least. */
static void read_digest(struct copy_in *copy, struct spool_entry *entry)
{
    copy->read.done = on_read;
    copy->read.wants_envelope = true;
    copy->here_bytes = entry->content_bytes;
    copy->node->commits++;
    spool_read(copy->node->spool, entry, 0, 1, &copy->read);
}

/* Compares with what is here under this mid, if anything is (R15). */
static void compare(struct copy_in *copy)
{
    struct node *node = copy->node;
    struct keep *keep = keep_find(node, copy->mid);
    struct node_acceptance *acceptance = acceptance_of(node, copy->mid);
    struct spool_entry *entry = entry_of(node, copy->mid);
    uint64_t digest;

    if (keep) /* one that is over has no envelope any more: its answer is "settled" */
        decide(copy, !keep->has_digest || keep->digest == copy->digest);
    else if (acceptance)
        decide(copy,
            !acceptance->content || (digest_of(acceptance->envelope,
                                         spool_content_bytes(acceptance->content), &digest) &&
                                        digest == copy->digest));
    else if (entry)
        read_digest(copy, entry);
    else
        decide(copy, true);
}

void copy_in_end(struct copy_in *copy)
{
    list_add_last(&copy->link->copies, &copy->in_link);
    if (!copy->is_failed && (copy->prepend_left || !complete_envelope(copy))) {
        copy->is_failed = true;
        copy->outcome.verdict =
            verdict_of(554, STATUS(5, 6, 0), "its header fields are longer than it is");
    }
    if (copy->is_failed) {
        answer(copy);
        return;
    }
    spool_content_free(
        spool_writer_content(copy->writer)); /* the link may go: no ON_ROOM now */
    compare(copy);
}

/* --- The answer -------------------------------------------------------------------------- */

static struct copy_in *find(const struct node *node, uint64_t tag)
{
    struct table_node *at = table_first(&node->copies_in, tag);

    return at ? container_of(at, struct copy_in, by_tag) : NULL;
}

void copy_in_held(struct node *node, const struct ledger_action *action)
{
    struct copy_in *copy = find(node, action->tag);
    uint8_t by = action->held.node;

    if (!copy)
        return;
    copy->outcome = (struct shadow_outcome){ .fate = action->held.fate,
        .node = { .store = action->held.store },
        .verdict = action->held.refusal };
    copy->outcome.node.name =
        bytes_text(by == LEDGER_NO_PEER ? node->name : peer_name(node, by));
    answer(copy);
}
