/* What changes messages: retry, remove, suspend, resume.  One by its id, or those that are
 * picked. */
#include "daemon/control_pick.h"

#include "report/report.h"

#include <sysexits.h>

static bool retry(struct pick *pick, struct message *message)
{
    queue_retry_message(&pick->client->control->path->queue, message);
    return true;
}

static bool suspend(struct pick *pick, struct message *message)
{
    return path_suspend(pick->client->control->path, message, true);
}

static bool resume(struct pick *pick, struct message *message)
{
    return path_suspend(pick->client->control->path, message, false);
}

static void report_removal(const struct message *message, bool with_notice)
{
    report(REPORT_ADMIN, R_MID(message->entry.by_mid.mid), R_CHARS("command", "remove"),
        R_CHARS("ndr", with_notice ? "yes" : "no"));
}

/* Other recipients of it, which the filter does not fit, stay. */
static bool is_picked(void *me, const struct item *item)
{
    return pick_fits(me, item_message(item), item);
}

static bool remove_one(struct pick *pick, struct message *message)
{
    report_removal(message, pick->with_notice);
    return path_remove(
        pick->client->control->path, message, is_picked, pick, pick->with_notice);
}

static const struct pick_verb retrying = { .done = "retried", .act = retry };
static const struct pick_verb removing = { .done = "removed", .act = remove_one };
static const struct pick_verb suspending = {
    .done = "suspended", .act = suspend, .is_flushed = true
};
static const struct pick_verb resuming = {
    .done = "resumed", .act = resume, .is_flushed = true
};

static bool redirect(struct pick *pick, struct message *message)
{
    return path_redirect(pick->client->control->path, message, pick->target, is_picked, pick);
}

static bool undo_redirect(struct pick *pick, struct message *message)
{
    return path_undo_redirect(pick->client->control->path, message, is_picked, pick);
}

static const struct pick_verb redirecting = {
    .done = "redirected", .act = redirect, .is_not_of_poison = true
};
static const struct pick_verb undoing_redirect = {
    .done = "undone", .act = undo_redirect, .is_of_redirected = true
};

/* --- One --------------------------------------------------------------------------------- */

static bool is_any(void *me, const struct item *item)
{
    (void)me;
    (void)item;
    return true;
}

/* One message becomes a filter on its id: all the rest is the same.  NULL: it is not there, and
 * the client was told. */
static struct message *wanted_message(struct client *client, const struct ctl_object *request)
{
    struct message *message;
    struct mid mid;

    if (!control_wanted_mid(client, request, &mid))
        return NULL;
    message = queue_find(&client->control->path->queue, mid);
    if (!message)
        copy_refuse(client, mid, ctl_text(request, "id"));
    return message;
}

static void remove_by_id(struct client *client, const struct ctl_object *request)
{
    struct message *message = wanted_message(client, request);
    bool with_notice = ctl_bool(request, "ndr");

    if (!message)
        return;
    if (message->is_unread && with_notice) {
        client_error(client, EX_DATAERR,
            "its envelope was not read, so nobody knows its sender: remove it without a "
            "notification, or resume it");
        return;
    }
    report_removal(message, with_notice);
    if (path_remove(client->control->path, message, is_any, NULL, with_notice))
        client_count(client, "removed", 1);
    else
        client_error(client, EX_TEMPFAIL,
            "the message is being delivered just now, or other nodes are asked about it");
}

static void say_what_if(struct client *client, struct message *message)
{
    struct ctl_object *row;

    if (!message)
        return;
    row = ctl_new();
    message_add_row(client->control->path, message, message_item_to_show(message), row);
    client_row(client, &row);
    client_count(client, "matched", 1);
}

/* --- Commands ---------------------------------------------------------------------------- */

/* Without a word of what is meant nothing is changed. */
static bool says_which(
    struct client *client, const struct ctl_object *request, const char *verb)
{
    if (ctl_text(request, "queue") || ctl_text(request, "filter") || ctl_bool(request, "all"))
        return true;
    client_error(client, EX_USAGE, "%s what?  Name a queue, a message or a filter", verb);
    return false;
}

void command_retry(struct client *client, const struct ctl_object *request)
{
    struct message *message;

    if (ctl_text(request, "id") && ctl_bool(request, "what_if")) {
        say_what_if(client, wanted_message(client, request));
    } else if (ctl_text(request, "id")) {
        message = wanted_message(client, request);
        if (!message)
            return;
        report(REPORT_ADMIN, R_MID(message->entry.by_mid.mid), R_CHARS("command", "retry"));
        queue_retry_message(&client->control->path->queue, message);
        client_count(client, "retried", 1);
    } else if (ctl_text(request, "filter")) {
        pick_run(client, request, "retry", &retrying);
    } else {
        command_retry_queue(client, request);
    }
}

void command_remove(struct client *client, const struct ctl_object *request)
{
    if (ctl_text(request, "id") && ctl_bool(request, "what_if"))
        say_what_if(client, wanted_message(client, request));
    else if (ctl_text(request, "id"))
        remove_by_id(client, request);
    else if (says_which(client, request, "remove"))
        pick_run(client, request, "remove", &removing);
}

/* A message by its id is picked as one: the answer waits for the flush like any other. */
static void suspend_or_resume(struct client *client, const struct ctl_object *request,
    const char *command, const struct pick_verb *verb)
{
    struct message *message;

    if (ctl_text(request, "id") && ctl_bool(request, "what_if")) {
        say_what_if(client, wanted_message(client, request));
    } else if (ctl_text(request, "id")) {
        message = wanted_message(client, request);
        if (message)
            pick_one(client, message, command, verb, NULL);
    } else if (says_which(client, request, command)) {
        pick_run(client, request, command, verb);
    }
}

void command_suspend(struct client *client, const struct ctl_object *request)
{
    suspend_or_resume(client, request, "suspend", &suspending);
}

void command_resume(struct client *client, const struct ctl_object *request)
{
    suspend_or_resume(client, request, "resume", &resuming);
}

/* "server" is who is asked, for those who tell more than one: it must be this node. */
static bool is_this_node(const struct client *client, const char *name)
{
    const struct settings *settings = client->control->path->routed_by->settings;

    return bytes_equal_nocase(bytes_text(name), bytes_text(settings->node)) ||
           bytes_equal_nocase(bytes_text(name), bytes_text(settings->fqdn));
}

static bool is_redirected(const struct message *message)
{
    for (const struct item *item = &message->first; item; item = item->next)
        if (item->state != ITEM_DONE && hop_is_redirection(item->hop))
            return true;
    return false;
}

/* NULL: VERB has no sense for it, now or later, and the client was told. */
static struct message *message_for(
    struct client *client, const struct ctl_object *request, const struct pick_verb *verb)
{
    struct message *message = wanted_message(client, request);

    if (message && verb->is_not_of_poison && message->is_poison)
        client_error(client, EX_DATAERR,
            "it is poison, and leaves by no host: remove it, or resume it first");
    else if (message && verb->is_of_redirected && !is_redirected(message))
        client_error(client, EX_NOINPUT, "it is not redirected");
    else
        return message;
    return NULL;
}

void command_redirect(struct client *client, const struct ctl_object *request)
{
    const char *to = ctl_text(request, "to"), *server = ctl_text(request, "server");
    bool undoes = ctl_bool(request, "undo");
    const struct pick_verb *verb = undoes ? &undoing_redirect : &redirecting;
    char target[PATH_TARGET_BYTES];
    struct message *message;

    if (server && !is_this_node(client, server)) {
        client_error(client, EX_USAGE, "this is %s: '%.255s' is to be told there",
            client->control->path->routed_by->settings->node, server);
    } else if (!undoes && !(to && path_redirect_target(client->control->path, to, target))) {
        client_error(client, EX_USAGE, "to whom?  '%.255s' is no host", to ? to : "");
    } else if (ctl_text(request, "id") && ctl_bool(request, "what_if")) {
        say_what_if(client, message_for(client, request, verb));
    } else if (ctl_text(request, "id")) {
        message = message_for(client, request, verb);
        if (message)
            pick_one(client, message, "redirect", verb, undoes ? NULL : target);
    } else if (undoes || says_which(client, request, "redirect")) {
        pick_run(client, request, "redirect", verb);
    }
}
