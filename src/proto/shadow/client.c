#include "proto/shadow/client.h"

#include "base/mem.h"
#include "proto/shadow/client_engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    /* An envelope as it travels, and an ask. */
    UNSENT_BYTES_MAX = 2 * ENVELOPE_BYTES_MAX + ENVELOPE_RECIPIENTS_MAX * 128,
    PAGE_BYTES_MAX = 128 << 20,
    ACTIONS_MAX = 4096, /* input stops there; LOST goes beyond */
    ARENA_BYTES_MAX = (DIAL_COPIES_MAX + ACTIONS_MAX + 16) * 1024,
};

/* All that this engine speaks, as bits. */
#define VERSIONS (2u * (1u << SHADOW_VERSION_MAX) - (1u << SHADOW_VERSION_MIN))

_Static_assert(sizeof(struct shadow_outcome) + SHADOW_NODE_BYTES_MAX < 1024,
    "the arena has room for each action of a step");
_Static_assert(
    (uint64_t)SHADOW_PAGE_MAX *SHADOW_LINE_BYTES_MAX <= PAGE_BYTES_MAX, "a page always fits");

struct shadow_client *shadow_client_new(const struct shadow_client_config *config)
{
    struct shadow_client *client = mem_new(sizeof *client);

    client->config = config;
    buf_init(&client->unsent, UNSENT_BYTES_MAX);
    arena_init(&client->page_arena, PAGE_BYTES_MAX);
    arena_init(&client->arena, ARENA_BYTES_MAX);
    return client;
}

void shadow_client_free(struct shadow_client *client)
{
    if (!client)
        return;
    while (client->count)
        dial_drop_head(client);
    free(client->ring);
    free(client->items);
    free(client->actions.list);
    buf_done(&client->unsent);
    arena_done(&client->page_arena);
    arena_done(&client->arena);
    free(client);
}

bool shadow_client_is_up(const struct shadow_client *client)
{
    return client->state == DIAL_UP;
}

bool shadow_client_may_offer(const struct shadow_client *client)
{
    return client->state == DIAL_UP && !client->is_sending && !client->wants_quit &&
           client->copies < DIAL_COPIES_MAX;
}

bool shadow_client_may_ask(const struct shadow_client *client)
{
    return client->state == DIAL_UP && !client->is_sending && !client->wants_quit &&
           !client->is_asking;
}

uint32_t shadow_client_in_flight(const struct shadow_client *client)
{
    return client->copies;
}

void dial_enter(struct shadow_client *client, enum dial_state to)
{
    assert(to == DIAL_CLOSED ? client->state != DIAL_CLOSED : to == client->state + 1);
    client->state = to;
}

struct shadow_client_action *dial_act(
    struct shadow_client *client, enum shadow_client_action_type type)
{
    struct shadow_client_actions *actions = &client->actions;
    struct shadow_client_action *action;

    if (actions->count == actions->room) {
        actions->room = actions->room ? 2 * actions->room : 16;
        actions->list = mem_grow(actions->list, actions->room * sizeof *actions->list);
    }
    action = &actions->list[actions->count++];
    *action = (struct shadow_client_action){ .type = type };
    return action;
}

/* --- The ring ---------------------------------------------------------------------------- */

static struct dial_entry *entry_at(struct shadow_client *client, uint32_t i)
{
    return &client->ring[(client->first + i) % client->room];
}

/* Twice the room, with the first entry at its start. */
static void grow_ring(struct shadow_client *client)
{
    uint32_t room = client->room ? 2 * client->room : 16;
    struct dial_entry *ring = mem_new(room * sizeof *ring);

    for (uint32_t i = 0; i < client->count; i++)
        ring[i] = *entry_at(client, i);
    free(client->ring);
    client->ring = ring;
    client->room = room;
    client->first = 0;
}

static struct dial_entry *new_entry(struct shadow_client *client, enum dial_next next)
{
    struct dial_entry *entry;

    if (client->count == client->room)
        grow_ring(client);
    entry = entry_at(client, client->count++);
    *entry = (struct dial_entry){ .next = next };
    return entry;
}

struct dial_entry *dial_head(struct shadow_client *client)
{
    return client->count ? entry_at(client, 0) : NULL;
}

void dial_drop_head(struct shadow_client *client)
{
    struct dial_entry *entry = entry_at(client, 0);

    if (entry->next == DIAL_AT_ASK)
        client->is_asking = false;
    else
        client->copies--;
    free(entry->refusal);
    client->first = (client->first + 1) % client->room;
    client->count--;
}

/* --- Outcomes and the end ---------------------------------------------------------------- */

static const struct shadow_outcome lost = { .fate = SHADOW_LOST };
static const struct shadow_outcome durable = { .fate = SHADOW_DURABLE };

/* A copy of OUTCOME that lives as long as the actions; the usual ones cost nothing. */
static const struct shadow_outcome *keep(
    struct shadow_client *client, const struct shadow_outcome *outcome)
{
    struct shadow_outcome *kept;
    bool has_room = true;

    if (outcome->fate == SHADOW_DURABLE)
        return &durable;
    if (outcome->fate == SHADOW_LOST)
        return &lost;
    kept = arena_take(&client->arena, sizeof *kept);
    assert(kept);
    *kept = *outcome;
    if (outcome->fate == SHADOW_MOVED)
        has_room = arena_copy(&client->arena, outcome->node.name, &kept->node.name);
    assert(has_room);
    return kept;
}

static void act_outcome(
    struct shadow_client *client, uint64_t tag, const struct shadow_outcome *outcome)
{
    struct shadow_client_action *action = dial_act(client, SHADOW_CLIENT_OUTCOME);

    action->tag = tag;
    action->outcome = keep(client, outcome);
}

void dial_outcome(struct shadow_client *client, const struct shadow_outcome *outcome)
{
    struct dial_entry *entry = dial_head(client);
    struct shadow_outcome refused = { .fate = SHADOW_REFUSED };

    assert(entry && entry->next != DIAL_AT_ASK);
    if (entry->refusal) { /* said earlier, and nothing said later undoes it */
        refused.verdict = *entry->refusal;
        outcome = &refused;
    }
    act_outcome(client, entry->tag, outcome ? outcome : &lost);
    dial_drop_head(client);
}

void dial_end(struct shadow_client *client)
{
    struct dial_entry *entry;

    while ((entry = dial_head(client)) != NULL) {
        if (entry->next == DIAL_AT_ASK)
            dial_drop_head(client);
        else
            dial_outcome(client, NULL);
    }
    client->is_sending = false;
    dial_enter(client, DIAL_CLOSED);
    dial_act(client, SHADOW_CLIENT_CLOSE);
}

void dial_fault(struct shadow_client *client, const char *why, struct bytes line)
{
    enum { TEXT_BYTES = 256 };
    char *text = arena_take(&client->arena, TEXT_BYTES);

    assert(text);
    snprintf(text, TEXT_BYTES, "%s: \"%.*s\"", why, line.n > 180 ? 180 : (int)line.n,
        line.n ? (const char *)line.at : "");
    for (char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    dial_act(client, SHADOW_CLIENT_FAULT)->text = bytes_text(text);
    dial_end(client);
}

/* --- What is written --------------------------------------------------------------------- */

void dial_send(struct shadow_client *client, struct bytes lines)
{
    enum err err = OK;

    if (client->unsent.n || buf_add(client->out, lines) != OK)
        err = buf_add(&client->unsent, lines);
    assert(err == OK); /* one copy or one ask is written at a time */
}

static void flush(struct shadow_client *client)
{
    struct buf *unsent = &client->unsent, *out = client->out;
    struct bytes part = bytes_first(buf_bytes(unsent), out->bytes_max - out->n);
    enum err err;

    if (part.n == 0)
        return;
    err = buf_add(out, part);
    assert(err == OK);
    buf_drop(unsent, part.n);
    if (unsent->n == 0)
        buf_release(unsent);
}

void dial_introduce(struct shadow_client *client)
{
    struct buf line;
    enum err err;

    buf_init(&line, 4096);
    err = shadow_add_hello_command(&line, &client->ours);
    assert(err == OK);
    dial_send(client, buf_bytes(&line));
    buf_done(&line);
}

/* MAIL and every RCPT.  False: more than any link can carry. */
static bool write_copy(struct shadow_client *client, const struct shadow_copy *copy)
{
    if (client->unsent.n == 0 && shadow_add_copy(client->out, copy) == OK)
        return true;
    return shadow_add_copy(&client->unsent, copy) == OK;
}

static void on_copy(struct shadow_client *client, const struct shadow_client_event *event)
{
    static const struct shadow_outcome too_large = { .fate = SHADOW_REFUSED,
        .verdict = { 500, { 5, 5, 6 }, "the envelope is too large for the link" } };
    const struct shadow_copy *copy = event->copy;
    struct dial_entry *entry;
    char text[48];

    assert(shadow_client_may_offer(client) && copy->recipient_count > 0);
    if (!write_copy(client, copy)) {
        act_outcome(client, event->tag, &too_large);
        return;
    }
    snprintf(text, sizeof text, "BDAT %llu LAST\r\n", (unsigned long long)event->content_bytes);
    dial_send(client, bytes_text(text));
    entry = new_entry(client, DIAL_AT_MAIL);
    entry->tag = event->tag;
    entry->mid = copy->mid;
    entry->rcpts = copy->recipient_count;
    client->copies++;
    client->is_sending = true;
    client->is_content_asked = false;
}

static void on_ask(struct shadow_client *client, const struct shadow_ask *ask)
{
    enum err err = ERR_LIMIT;

    assert(shadow_client_may_ask(client));
    if (client->unsent.n == 0)
        err = shadow_add_ask(client->out, ask);
    if (err != OK)
        err = shadow_add_ask(&client->unsent, ask);
    assert(err == OK);
    client->ask = ask->type;
    client->is_asking = true;
    new_entry(client, DIAL_AT_ASK);
}

/* QUIT goes out behind the content that is on its way; replies owed are waited for. */
static void write_quit(struct shadow_client *client)
{
    if (!client->wants_quit || client->state != DIAL_UP || client->is_sending)
        return;
    dial_send(client, BYTES("QUIT\r\n"));
    dial_enter(client, DIAL_QUITTING);
}

static void on_content_sent(struct shadow_client *client)
{
    assert(client->is_sending && client->is_content_asked);
    entry_at(client, client->count - 1)->is_sent = true;
    client->is_sending = false;
}

static void on_connected(struct shadow_client *client, const struct shadow_hello *hello)
{
    dial_enter(client, DIAL_BANNER);
    assert(hello->node.name.n <= SHADOW_NODE_BYTES_MAX);
    client->ours = *hello;
    if (client->ours.versions == 0)
        client->ours.versions = VERSIONS;
    memcpy(client->name, hello->node.name.at, hello->node.name.n);
    client->ours.node.name.at = (const uint8_t *)client->name;
}

static void on_quit(struct shadow_client *client)
{
    client->wants_quit = true;
    if (client->state < DIAL_UP)
        dial_end(client);
}

static size_t on_input(struct shadow_client *client, struct bytes in)
{
    size_t at = 0, used = 0;

    while (client->state != DIAL_CLOSED && client->actions.count < ACTIONS_MAX &&
           dial_read(client, bytes_skip(in, at), &used))
        at += used;
    return client->state == DIAL_CLOSED ? in.n : at;
}

static size_t on_event(struct shadow_client *client, const struct shadow_client_event *event)
{
    switch (event->type) {
    case SHADOW_CLIENT_CONNECTED:
        on_connected(client, event->hello);
        break;
    case SHADOW_CLIENT_INPUT:
        return on_input(client, event->input);
    case SHADOW_CLIENT_COPY:
        on_copy(client, event);
        break;
    case SHADOW_CLIENT_CONTENT_SENT:
        on_content_sent(client);
        break;
    case SHADOW_CLIENT_ASK:
        on_ask(client, event->ask);
        break;
    case SHADOW_CLIENT_QUIT:
        on_quit(client);
        break;
    case SHADOW_CLIENT_LOST:
        dial_end(client);
        break;
    }
    return 0;
}

/* What comes after the end comes too late; a copy offered then was never sent. */
static size_t after_end(struct shadow_client *client, const struct shadow_client_event *event)
{
    if (event->type == SHADOW_CLIENT_COPY)
        act_outcome(client, event->tag, &lost);
    return event->type == SHADOW_CLIENT_INPUT ? event->input.n : 0;
}

size_t shadow_client_step(struct shadow_client *client, const struct shadow_client_event *event,
    struct shadow_client_actions *actions, struct buf *out)
{
    size_t used;

    client->actions.count = 0;
    client->out = out;
    arena_clear(&client->arena);
    flush(client);
    used = client->state == DIAL_CLOSED ? after_end(client, event) : on_event(client, event);
    write_quit(client);
    if (client->is_sending && !client->is_content_asked && client->unsent.n == 0) {
        client->is_content_asked = true;
        dial_act(client, SHADOW_CLIENT_SEND_CONTENT)->tag =
            entry_at(client, client->count - 1)->tag;
    }
    client->out = NULL;
    *actions = client->actions;
    return used;
}
