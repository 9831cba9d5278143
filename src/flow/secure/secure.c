#include "flow/secure.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

/* --- The answer -------------------------------------------------------------------------- */

static struct verdict verdict_of_error(enum err err)
{
    if (err == ERR_SPACE)
        return verdict_of(452, STATUS(4, 3, 1), "Insufficient system storage");
    if (err == ERR_LIMIT)
        return verdict_of(552, STATUS(5, 3, 4), "Too many recipients for one message");
    return verdict_of(451, STATUS(4, 3, 0), "Message could not be stored: %s", err_text(err));
}

/* On the loop of who waits, and the one place that says 250.  SECURING may be gone after it. */
static void answer(struct securing *securing)
{
    struct verdict verdict;

    switch (securing->end) {
    case SECURING_SAFE:
        verdict = (struct verdict){ .code = 250, .status = STATUS(2, 0, 0) };
        memcpy(verdict.text, "queued as ", 10);
        mid_format(securing->mid, verdict.text + 10);
        break;
    case SECURING_NOT_REDUNDANT:
        verdict = verdict_of(451, STATUS(4, 4, 0), "Message failed to be made redundant");
        break;
    default:
        verdict = verdict_of_error(securing->ticket.err);
        break;
    }
    spool_abandon(&securing->writer); /* refused before it was committed */
    securing->on_done(securing, &verdict);
}

static void on_answer(struct loop_post *post)
{
    answer(container_of(post, struct securing, post));
}

/* Home loop.  Never inside the call that led here, which is often a delivery's; SECURING belongs
 * to the loop of who waits from here on. */
static void end(struct securing *securing, enum securing_end how)
{
    securing->end = how;
    securing->post.run = on_answer;
    loop_post(securing->loop, &securing->post);
}

/* --- 250 when it is delivered (SH-4) ------------------------------------------------------ */

static void stop_waiting(struct securing *securing)
{
    table_remove(&securing->secure->delayed, &securing->by_mid);
    timer_stop(&securing->delay);
    end(securing, SECURING_SAFE);
}

static void on_delay_over(struct timer *timer)
{
    stop_waiting(container_of(timer, struct securing, delay));
}

/* Before the message is handed on: its delivery may be over within that call. */
static void wait_for_delivery(struct securing *securing)
{
    struct secure *secure = securing->secure;

    if (secure->is_stopping) {
        end(securing, SECURING_SAFE);
        return;
    }
    table_add(&secure->delayed, &securing->by_mid, mid_hash(securing->mid));
    timer_init(&securing->delay, secure->home, on_delay_over);
    timer_start(&securing->delay, securing->delay_ms);
}

void secure_delivered(struct secure *secure, struct mid mid)
{
    struct table_node *next;

    if (secure->delayed.count == 0)
        return;
    for (struct table_node *n = table_first(&secure->delayed, mid_hash(mid)); n; n = next) {
        struct securing *securing = container_of(n, struct securing, by_mid);
        next = table_next(n);
        if (mid_equal(securing->mid, mid))
            stop_waiting(securing);
    }
}

static void stop_one(struct table_node *node, void *me)
{
    (void)me;
    stop_waiting(container_of(node, struct securing, by_mid));
}

void secure_stop(struct secure *secure)
{
    secure->is_stopping = true;
    table_each(&secure->delayed, stop_one, NULL);
}

/* --- The commit -------------------------------------------------------------------------- */

static void commit(struct securing *securing, struct loop *loop,
    const struct standing *standing, const struct spool_cause *cause,
    void (*on_done)(struct spool_ticket *ticket))
{
    struct message *message = securing->message;

    securing->ticket = (struct spool_ticket){ .loop = loop, .on_done = on_done };
    spool_commit(&securing->writer, message->entry.by_mid.mid, message_envelope(message),
        message->pending_count, cause, standing, &securing->ticket);
}

/* The ticket says that it is in the log. */
static void take_ticket(struct securing *securing)
{
    struct message *message = securing->message;

    message->entry = securing->ticket.entry;
    list_init(&message->entry.in_segment);
    message->has.content = securing->ticket.content;
}

static void drop_message(struct securing *securing)
{
    message_free(securing->message);
    securing->message = NULL;
}

/* Home loop; the entry is adopted. */
static void hand_on(struct secure *secure, struct message *message)
{
    secure->on_message(secure->me, message);
}

/* --- Alone: this disk is all there is ----------------------------------------------------- */

/* Carries a safe message to the home loop; who waited for it goes on meanwhile. */
struct handover {
    struct loop_post post;
    struct secure *secure;
    struct message *message;
};

static void on_handover(struct loop_post *post)
{
    struct handover *handover = container_of(post, struct handover, post);

    spool_adopt(handover->secure->spool, &handover->message->entry);
    hand_on(handover->secure, handover->message);
    free(handover);
}

static void hand_over(struct secure *secure, struct loop *from, struct message *message)
{
    struct handover *handover;

    if (from == secure->home) {
        spool_adopt(secure->spool, &message->entry);
        hand_on(secure, message);
        return;
    }
    handover = mem_new(sizeof *handover);
    *handover =
        (struct handover){ .post.run = on_handover, .secure = secure, .message = message };
    loop_post(secure->home, &handover->post);
}

/* To the path first; SECURING waits at the home loop until that has delivered it. */
static void on_delay_at_home(struct loop_post *post)
{
    struct securing *securing = container_of(post, struct securing, post);
    struct message *message = securing->message;
    struct secure *secure = securing->secure;

    securing->message = NULL;
    spool_adopt(secure->spool, &message->entry);
    wait_for_delivery(securing);
    hand_on(secure, message);
}

static void on_alone_stored(struct spool_ticket *ticket)
{
    struct securing *securing = container_of(ticket, struct securing, ticket);
    struct message *message = securing->message;
    struct secure *secure = securing->secure;
    struct loop *loop = securing->loop;

    if (ticket->err) {
        drop_message(securing);
        securing->end = SECURING_NOT_STORED;
        answer(securing);
        return;
    }
    take_ticket(securing);
    if (securing->failure == SHADOW_FAILURE_DELAY) {
        securing->post.run = on_delay_at_home;
        if (loop == secure->home)
            on_delay_at_home(&securing->post);
        else
            loop_post(secure->home, &securing->post);
        return;
    }
    securing->message = NULL;
    securing->end = SECURING_SAFE;
    /* SECURING may be gone once it has its answer.  From another loop the message is on its way first:
     * who has heard of it asks the home loop, and finds it queued. */
    if (loop != secure->home)
        hand_over(secure, loop, message);
    answer(securing);
    if (loop == secure->home)
        hand_over(secure, loop, message);
}

/* --- With other nodes: home loop ----------------------------------------------------------- */

static void on_verdict(struct node_acceptance *acceptance, enum ledger_verdict verdict,
    enum standing_single single)
{
    struct securing *securing = container_of(acceptance, struct securing, acceptance);
    struct message *message = securing->message;
    struct secure *secure = securing->secure;

    (void)single; /* the node has recorded and counted it */
    spool_content_free(acceptance->content);
    acceptance->content = NULL;
    if (verdict == LEDGER_REJECT || verdict == LEDGER_OTHER) { /* its entry is the node's */
        drop_message(securing);
        end(securing, verdict == LEDGER_OTHER ? SECURING_SAFE : SECURING_NOT_REDUNDANT);
        return;
    }
    securing->message = NULL;
    if (verdict == LEDGER_DELAY)
        wait_for_delivery(securing);
    else
        end(securing, SECURING_SAFE); /* SECURING may be gone now */
    hand_on(secure, message);
}

static void on_copied_stored(struct spool_ticket *ticket)
{
    struct securing *securing = container_of(ticket, struct securing, ticket);
    struct node_acceptance *acceptance = &securing->acceptance;
    struct node *node = securing->secure->node;

    if (ticket->err) {
        node_committed(node, acceptance, NULL);
        spool_content_free(acceptance->content);
        acceptance->content = NULL;
        drop_message(securing);
        end(securing, SECURING_NOT_STORED);
        return;
    }
    take_ticket(securing);
    spool_adopt(securing->secure->spool, &securing->message->entry);
    node_committed(node, acceptance, &securing->message->entry);
}

/* The copy goes out while the commit waits for the disk (R1).  It has the longer way, so it is
 * handed to the kernel first: on few processors the commit thread, once it is woken, takes this
 * one's.  The node orders the copy in a step of this turn, ours comes behind that, and its flush
 * behind the link's. */
static void on_copies_ordered(struct loop_step *step)
{
    struct secure *secure = container_of(step, struct secure, copies_ordered);

    loop_flush_ask(secure->home, &secure->copies_out);
}

static void on_copies_out(struct loop_flush *flush)
{
    struct secure *secure = container_of(flush, struct secure, copies_out);

    list_each (at, &secure->to_commit) {
        struct securing *securing = container_of(at, struct securing, in_secure);
        list_remove(at);
        commit(securing, secure->home, &securing->standing, NULL, on_copied_stored);
    }
}

static void store_and_copy(struct securing *securing, const struct spool_cause *cause)
{
    struct secure *secure = securing->secure;
    struct message *message = securing->message;

    securing->acceptance = (struct node_acceptance){
        .by_mid.mid = securing->mid,
        .envelope = message_envelope(message),
        .recipient_count = message->pending_count,
        .content = securing->acceptance.content,
        .failure = securing->failure,
        .on_done = on_verdict,
    };
    if (!node_accept(secure->node, &securing->acceptance, &securing->standing)) {
        spool_content_free(securing->acceptance.content);
        securing->acceptance.content = NULL;
        drop_message(securing);
        end(securing, SECURING_NOT_REDUNDANT);
        return;
    }
    if (cause) { /* the caller's, for this call */
        commit(securing, secure->home, &securing->standing, cause, on_copied_stored);
        return;
    }
    list_add_last(&secure->to_commit, &securing->in_secure);
    loop_step_ask(secure->home, &secure->copies_ordered);
}

static void on_store_at_home(struct loop_post *post)
{
    store_and_copy(container_of(post, struct securing, post), NULL);
}

/* ------------------------------------------------------------------------------------------ */

void secure_store(struct secure *secure, struct loop *loop, struct spool_writer **writer,
    struct message **message, const struct spool_cause *cause, struct securing *securing)
{
    assert(!cause || loop == secure->home);
    securing->secure = secure;
    securing->loop = loop;
    securing->writer = *writer;
    securing->message = *message;
    securing->mid = securing->message->entry.by_mid.mid;
    *writer = NULL;
    *message = NULL;
    if (!secure->node || !node_is_on(secure->node)) {
        commit(securing, loop, NULL, cause, on_alone_stored);
        return;
    }
    /* The writer's loop lets go of it by this: the commit is another's. */
    securing->acceptance.content = spool_writer_content(securing->writer);
    if (loop == secure->home) {
        store_and_copy(securing, cause);
    } else {
        securing->post.run = on_store_at_home;
        loop_post(secure->home, &securing->post);
    }
}

void secure_init(struct secure *secure, struct spool *spool, struct loop *home)
{
    *secure = (struct secure){ .spool = spool, .home = home };
    table_init(&secure->delayed);
    list_init(&secure->to_commit);
    loop_step_init(&secure->copies_ordered, on_copies_ordered);
    loop_flush_init(&secure->copies_out, on_copies_out);
}

void secure_done(struct secure *secure)
{
    loop_step_cancel(&secure->copies_ordered);
    loop_flush_cancel(&secure->copies_out);
    table_done(&secure->delayed);
}
