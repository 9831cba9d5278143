#include "daemon/control_pick.h"

#include "base/mem.h"
#include "os/clock.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sysexits.h>

/* A turn's share: the clock is looked at now and then. */
enum { STRETCH = 256, STEP_MS = 3, NOTICES_MAX = 200, PAUSE_MS = 5 };
#define NO_HOP UINT32_MAX /* nothing is in that queue */
enum { ROWS_DEFAULT = 1000, ROWS_MAX = 100000 };

/* --- What a filter asks ------------------------------------------------------------------ */

const char *pick_item_status(const struct item *item)
{
    switch (item->state) {
    case ITEM_READY:
        return item->hop->connector ? (item->hop->is_down ? "retry" : "ready") : "unreachable";
    case ITEM_WAITING:
        return "retry";
    case ITEM_ASIDE:
        return item->is_unpinned ? "ready" : "fenced";
    case ITEM_SUSPENDED:
        return "suspended";
    case ITEM_DELIVERING:
        return "active";
    default:
        return "done";
    }
}

const char *pick_item_error(const struct item *item)
{
    const char *error = item_error(item);

    if (error)
        return error;
    return item->hop && item->hop->is_suspended ? "the queue is suspended" : "";
}

static bool get_recipient(struct pick_subject *subject, unsigned at, struct filter_value *out)
{
    struct recipient recipient;

    if (at == 0 || at != subject->next_at) {
        envelope_recipients(message_envelope(subject->message), &subject->cursor);
        subject->next = 0;
        subject->next_at = 0;
    }
    while (subject->next_at <= at && subject->next_at < subject->item->recipient_count) {
        uint32_t wanted = item_recipient(subject->item, subject->next_at);
        while (subject->next <= wanted) {
            if (!envelope_next_recipient(&subject->cursor, &recipient))
                return false;
            subject->next++;
        }
        out->text = recipient.address;
        if (subject->next_at++ == at)
            return true;
    }
    return false;
}

static bool get_queue(struct pick_subject *subject, unsigned at, struct filter_value *out)
{
    const struct hop *hop = subject->item->hop;

    switch (at) {
    case 0:
        out->text = bytes_text(hop->name);
        return true;
    case 1:
        if (!subject->with_node)
            return false;
        snprintf(subject->text, sizeof subject->text, "%s\\%u",
            subject->path->routed_by->settings->node, hop->number);
        break;
    case 2:
        snprintf(subject->text, sizeof subject->text, "%s\\%.300s",
            subject->path->routed_by->settings->node, hop->name);
        break;
    default:
        return false;
    }
    out->text = bytes_text(subject->text);
    return true;
}

static bool get_text(
    struct pick_subject *subject, enum filter_field field, struct filter_value *out)
{
    const struct message *message = subject->message;
    const struct item *item = subject->item;

    switch (field) {
    case FILTER_IDENTITY:
        mid_format(message->entry.by_mid.mid, subject->text);
        out->text = bytes_text(subject->text);
        return true;
    case FILTER_ERROR:
        out->text = bytes_text(pick_item_error(item));
        return true;
    case FILTER_DOMAIN:
        out->text = bytes_text(item->hop->domain[0] ? item->hop->domain : item->hop->name);
        return true;
    case FILTER_STATUS:
        out->text = bytes_text(pick_item_status(item));
        return true;
    case FILTER_FROM:
        out->text = envelope_sender(message_envelope(message));
        return true;
    case FILTER_PRIORITY:
        out->text = bytes_text(priority_name((enum priority)message->priority));
        return true;
    default:
        break;
    }
    if (!subject->is_decoded &&
        envelope_decode(message_envelope(message), &subject->envelope) != OK)
        return false;
    subject->is_decoded = true;
    out->text = subject->envelope.client_ip;
    return true;
}

bool pick_get(void *me, enum filter_field field, unsigned at, struct filter_value *out)
{
    struct pick_subject *subject = me;
    const struct message *message = subject->message;

    if (field == FILTER_RECIPIENT)
        return get_recipient(subject, at, out);
    if (field == FILTER_QUEUE)
        return get_queue(subject, at, out);
    if (at)
        return false;
    switch (field) {
    case FILTER_SIZE:
        out->number = (int64_t)message->entry.content_bytes;
        return true;
    case FILTER_RECEIVED:
        out->number = message->arrived.ms;
        return true;
    case FILTER_AGE:
        out->number = loop_wall(subject->path->home).ms - message->arrived.ms;
        return true;
    case FILTER_RETRIES:
        out->number = subject->item->attempt_count;
        return true;
    default:
        return get_text(subject, field, out);
    }
}

/* What never changes of a next hop: with 2,000 of them most messages are told apart by it. */
enum { HOP_FIELDS = 1 << FILTER_QUEUE | 1 << FILTER_DOMAIN };

static bool hop_fits(struct pick *pick, struct pick_subject *subject)
{
    uint32_t number = subject->item->hop->number;
    struct pick_hop *known = &pick->hops[number % PICK_HOPS];

    if (known->number != number) {
        known->number = number;
        known->fits = filter_fits_part(pick->filter, HOP_FIELDS, pick_get, subject);
    }
    return known->fits;
}

bool pick_fits(struct pick *pick, const struct message *message, const struct item *item)
{
    struct pick_subject subject;

    if (item->state == ITEM_DONE || !item->hop || item->recipient_count == 0)
        return false;
    if (pick->verb->is_of_redirected && !hop_is_redirection(item->hop))
        return false;
    if (pick->hop_number && item->hop->number != pick->hop_number)
        return false;
    if (!pick->filter)
        return true;
    subject.path = pick->client->control->path;
    subject.message = message;
    subject.item = item;
    subject.is_decoded = false;
    subject.with_node = pick->with_node;
    return hop_fits(pick, &subject) &&
           filter_fits_part(pick->filter, ~(uint32_t)HOP_FIELDS, pick_get, &subject);
}

static const struct item *first_fitting(struct pick *pick, const struct message *message)
{
    for (const struct item *item = &message->first; item; item = item->next) {
        if (pick_fits(pick, message, item))
            return item;
    }
    return NULL;
}

/* --- The end ----------------------------------------------------------------------------- */

static void pick_free(struct pick *pick)
{
    queue_walk_end(&pick->walk);
    loop_step_cancel(&pick->step);
    timer_stop(&pick->pause);
    free(pick->filter);
    free(pick);
}

static void answer(struct pick *pick)
{
    struct client *client = pick->client;
    const struct path *path = client->control->path;
    struct ctl_object *end = ctl_new();

    ctl_set_bool(end, "ok", true);
    ctl_set_number(end, "messages", (int64_t)path->queue.messages.count);
    ctl_set_number(end, "held", copy_count_held(path));
    if (pick->verb->act || pick->filter)
        ctl_set_number(end, "matched", pick->matched);
    if (pick->ends_at_miss)
        ctl_set_bool(end, "missed", pick->has_missed);
    if (pick->poison)
        ctl_set_number(end, "poison", pick->poison);
    if (pick->verb->act && !pick->is_what_if) {
        ctl_set_number(end, pick->verb->done, pick->done);
        ctl_set_number(end, "busy", pick->busy);
    }
    client_end(client, &end);
    pick_free(pick);
    client_end_work(client);
}

static void on_flushed(struct spool_barrier *barrier)
{
    struct pick *pick = container_of(barrier, struct pick, barrier);
    struct client *client = pick->client;

    if (barrier->err == OK) {
        answer(pick);
        return;
    }
    client_error(client, EX_IOERR,
        "%s, but the spool could not write it yet (%s): a restart now may forget it",
        pick->verb->done, err_text(barrier->err));
    pick_free(pick);
    client_end_work(client);
}

static void finish(struct pick *pick)
{
    bool has_changed = pick->verb->act && !pick->is_what_if;

    if (has_changed)
        report(
            REPORT_ADMIN, R_CHARS("command", pick->command), R_NUMBER("messages", pick->done));
    if (has_changed && pick->verb->is_flushed && pick->done) {
        pick->barrier.done = on_flushed;
        spool_flush(pick->client->control->path->spool, &pick->barrier);
        return;
    }
    answer(pick);
}

/* --- The way ----------------------------------------------------------------------------- */

static void list_one(struct pick *pick, const struct message *message, const struct item *item)
{
    struct ctl_object *row;

    if (pick->rows == pick->limit)
        return;
    pick->rows++;
    row = ctl_new();
    message_add_row(pick->client->control->path, message, item, row);
    client_row(pick->client, &row);
}

static void look_at(struct pick *pick, struct message *message)
{
    const struct item *item = first_fitting(pick, message);

    if (!item) {
        pick->has_missed = true;
        return;
    }
    if (pick->verb->is_not_of_poison && message->is_poison) {
        pick->poison++;
        return;
    }
    pick->matched++;
    if (!pick->verb->act || pick->is_what_if)
        list_one(pick, message, item);
    else if (pick->verb->act(pick, message))
        pick->done++;
    else
        pick->busy++;
}

/* A list without a filter ends with its last row; what is filtered is counted to its end. */
static bool is_enough(const struct pick *pick)
{
    bool is_plain = !pick->verb->act && !pick->filter && !pick->hop_number;

    return client_is_gone(pick->client) || (is_plain && pick->rows == pick->limit) ||
           (pick->ends_at_miss && pick->has_missed);
}

/* Each notification takes memory until it is in the spool. */
static bool must_pause(const struct pick *pick)
{
    return pick->with_notice && !pick->is_what_if &&
           pick->client->control->path->discard.notice_count >= NOTICES_MAX;
}

static void on_room(void *me)
{
    struct pick *pick = me;

    loop_step_ask(pick->client->control->path->home, &pick->step);
}

static void go_on(struct pick *pick)
{
    struct path *path = pick->client->control->path;
    int64_t until = clock_moment().ms + STEP_MS;

    do {
        for (int i = 0; i < STRETCH; i++) {
            struct message *message;
            if (must_pause(pick)) {
                timer_start(&pick->pause, PAUSE_MS);
                return;
            }
            if (client_must_wait(pick->client, on_room, pick))
                return;
            message = is_enough(pick) ? NULL : queue_walk_next(&path->queue, &pick->walk);
            if (!message) {
                finish(pick);
                return;
            }
            look_at(pick, message);
        }
    } while (clock_moment().ms < until);
    loop_step_ask(path->home, &pick->step);
}

static void on_step(struct loop_step *step)
{
    go_on(container_of(step, struct pick, step));
}

static void on_pause(struct timer *timer)
{
    go_on(container_of(timer, struct pick, pause));
}

/* --- The beginning ----------------------------------------------------------------------- */

/* That queue is there though nothing is in it. */
static bool is_poison_name(const char *queue)
{
    const char *slash = strrchr(queue, '\\');

    return strcasecmp(slash ? slash + 1 : queue, HOP_POISON) == 0;
}

/* What REQUEST picks; false: it makes no sense, and the client was told. */
static bool take_choice(struct pick *pick, const struct ctl_object *request)
{
    const char *queue = ctl_text(request, "queue"), *filter = ctl_text(request, "filter");
    int64_t limit = ctl_number(request, "limit", ROWS_DEFAULT);
    char why[FILTER_WHY_BYTES];
    struct hop *hop;

    pick->limit = limit < 0 || limit > ROWS_MAX ? ROWS_MAX : limit;
    pick->is_what_if = ctl_bool(request, "what_if");
    pick->ends_at_miss = pick->is_what_if && ctl_bool(request, "until_miss");
    pick->with_notice = ctl_bool(request, "ndr");
    if (ctl_text(request, "to") && !path_redirect_target(pick->client->control->path,
                                       ctl_text(request, "to"), pick->target)) {
        client_error(pick->client, EX_USAGE, "'%.255s' is no host", ctl_text(request, "to"));
        return false;
    }
    if (queue) {
        hop = queue_find_hop(&pick->client->control->path->queue, bytes_text(queue));
        if (!hop && !is_poison_name(queue)) {
            client_error(pick->client, EX_NOINPUT, "no queue '%s'", queue);
            return false;
        }
        pick->hop_number = hop ? hop->number : NO_HOP;
    }
    pick->with_node = filter && strchr(filter, '\\');
    if (filter && filter_parse(bytes_text(filter), FILTER_MESSAGES, &pick->filter, why) != OK) {
        client_error(pick->client, EX_USAGE, "the filter: %s", why);
        return false;
    }
    return true;
}

static struct pick *pick_new(
    struct client *client, const char *command, const struct pick_verb *verb)
{
    struct path *path = client->control->path;
    struct pick *pick = mem_new(sizeof *pick);

    pick->client = client;
    pick->verb = verb;
    pick->command = command;
    loop_step_init(&pick->step, on_step);
    timer_init(&pick->pause, path->home, on_pause);
    queue_walk_begin(&path->queue, &pick->walk);
    return pick;
}

void pick_one(struct client *client, struct message *message, const char *command,
    const struct pick_verb *verb, const char *target)
{
    struct pick *pick = pick_new(client, command, verb);

    if (target)
        snprintf(pick->target, sizeof pick->target, "%s", target);
    client_begin_work(client);
    pick->matched = 1;
    if (verb->act(pick, message))
        pick->done = 1;
    else
        pick->busy = 1;
    finish(pick);
}

void pick_run(struct client *client, const struct ctl_object *request, const char *command,
    const struct pick_verb *verb)
{
    struct pick *pick = pick_new(client, command, verb);

    if (!take_choice(pick, request)) {
        pick_free(pick);
        return;
    }
    client_begin_work(client);
    go_on(pick);
}
