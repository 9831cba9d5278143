/* A message's content on its way into the spool: what is taken out of its header, what is called
 * differently there, and what it must not be. */
#include "flow/session/internal.h"

#include "base/mem.h"

static void decide_header(
    struct receipt *receipt, struct session *session, struct decision *decision)
{
    const struct scan *scan = &receipt->scan;
    const struct receive_connector *connector = session->connector;
    struct limits_header facts = {
        .received = scan->received_count,
        .received_own = scan->own_count,
        .bytes = scan->header_ended ? scan->header_bytes : scan->bytes,
    };
    unsigned passed = limits_of_header(connector, &facts), unsaid;
    enum limit limit;

    if (!passed)
        return;
    unsaid = passed & connector->report_only & ~receipt->reported;
    receipt->reported |= unsaid;
    while (limit_next(&unsaid, &limit))
        session_would_refuse(session, "DATA", limit);
    limits_decide(connector, passed, decision);
}

static void note_last_two(struct receipt *receipt, struct bytes content)
{
    if (content.n >= 2) {
        memcpy(receipt->last_two, content.at + content.n - 2, 2);
    } else if (content.n == 1) {
        receipt->last_two[0] = receipt->last_two[1];
        receipt->last_two[1] = content.at[0];
    }
}

static void decide_failure(
    enum err err, const struct receive_connector *connector, struct decision *decision)
{
    if (err == ERR_LIMIT)
        limit_refuse(connector, LIMIT_MESSAGE_SIZE, decision);
    else if (err == ERR_SPACE)
        decide(decision, "storage",
            verdict_of(452, STATUS(4, 3, 1), "Insufficient system storage"), "no room");
    else
        decide(decision, "storage",
            verdict_of(451, STATUS(4, 3, 0), "Message could not be stored: %s", err_text(err)),
            "%s", err_text(err));
}

/* Content that is kept. */
static void append(struct receipt *receipt, struct session *session, struct bytes content,
    struct decision *decision)
{
    bool was_in_header = !receipt->scan.header_ended;
    enum err err;

    scan_feed(&receipt->scan, content);
    note_last_two(receipt, content);
    err = spool_append(receipt->writer, content);
    if (err != OK)
        decide_failure(err, session->connector, decision);
    else if (was_in_header)
        decide_header(receipt, session, decision);
}

/* Content that no field was taken out of. */
static void add_run(struct receipt *receipt, struct session *session, struct bytes content,
    struct decision *decision)
{
    struct bytes run;

    if (!receipt->renames) {
        append(receipt, session, content, decision);
        return;
    }
    while (decision_is_yes(decision) && sender_fields_next(receipt->renames, &content, &run))
        append(receipt, session, run, decision);
}

void receipt_add(struct receipt *receipt, struct session *session, struct bytes content,
    struct decision *decision)
{
    struct bytes run;

    while (decision_is_yes(decision) && strip_next(&receipt->strip, &content, &run))
        add_run(receipt, session, run, decision);
}

void receipt_end(struct receipt *receipt, struct session *session, struct decision *decision)
{
    struct bytes held = strip_end(&receipt->strip);

    if (held.n)
        add_run(receipt, session, held, decision);
    if (!receipt->renames || !decision_is_yes(decision))
        return;
    held = sender_fields_end(receipt->renames);
    if (held.n)
        append(receipt, session, held, decision);
}

static char *rename_sender(void *me, const struct address *address)
{
    struct session *session = me;

    return header_sender_rewritten(session->setup->settings, session->connector, address);
}

void receipt_rename_senders(struct receipt *receipt, struct session *session)
{
    if (!rewrites_header(session->setup->settings, session->connector))
        return;
    receipt->renames = mem_new(sizeof *receipt->renames);
    sender_fields_init(receipt->renames, rename_sender, session);
}
