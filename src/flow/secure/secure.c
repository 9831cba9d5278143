#include "flow/secure.h"

#include "base/mem.h"

#include <stdlib.h>

/* Carries a safe message to the home loop. */
struct handover {
    struct loop_post post;
    struct secure *secure;
    struct message *message;
};

static void on_handover(struct loop_post *post)
{
    struct handover *handover = container_of(post, struct handover, post);

    handover->secure->on_message(handover->secure->me, handover->message);
    free(handover);
}

static void hand_over(struct secure *secure, struct loop *from, struct message *message)
{
    struct handover *handover;

    if (from == secure->home) {
        secure->on_message(secure->me, message);
        return;
    }
    handover = mem_new(sizeof *handover);
    *handover =
        (struct handover){ .post.run = on_handover, .secure = secure, .message = message };
    loop_post(secure->home, &handover->post);
}

static struct verdict verdict_of_failure(enum err err)
{
    if (err == ERR_SPACE)
        return verdict_of(452, STATUS(4, 3, 1), "Insufficient system storage");
    if (err == ERR_LIMIT)
        return verdict_of(552, STATUS(5, 3, 4), "Too many recipients for one message");
    return verdict_of(451, STATUS(4, 3, 0), "Message could not be stored: %s", err_text(err));
}

/* The one place that knows a message is safe. */
static void on_durable(struct securing *securing)
{
    struct message *message = securing->message;
    struct secure *secure = securing->secure;
    struct loop *loop = securing->ticket.loop;
    struct verdict verdict = { .code = 250, .status = STATUS(2, 0, 0) };

    memcpy(verdict.text, "queued as ", 10);
    mid_format(message->entry.mid, verdict.text + 10);
    securing->message = NULL;
    securing->on_done(securing, &verdict); /* SECURING may be gone now */
    hand_over(secure, loop, message);
}

static void on_ticket(struct spool_ticket *ticket)
{
    struct securing *securing = container_of(ticket, struct securing, ticket);
    struct verdict verdict;

    if (ticket->err == OK) {
        securing->message->entry = ticket->entry;
        list_init(&securing->message->entry.in_segment);
        securing->message->content = ticket->content;
        on_durable(securing);
        return;
    }
    spool_content_free(ticket->content);
    message_free(securing->message);
    securing->message = NULL;
    verdict = verdict_of_failure(ticket->err);
    securing->on_done(securing, &verdict);
}

void secure_store(struct secure *secure, struct loop *loop, struct spool_writer **writer,
    struct message **message, const struct spool_cause *cause, struct securing *securing)
{
    securing->secure = secure;
    securing->message = *message;
    securing->ticket =
        (struct spool_ticket){ .loop = loop, .spool = secure->spool, .on_done = on_ticket };
    *message = NULL;
    spool_commit(writer, securing->message->entry.mid, message_envelope(securing->message),
        securing->message->pending_count, cause, NULL, &securing->ticket);
}
