/* A driver for the asking engine of the peer link: it keeps what was written and what was done, and
 * hands over a content of its own for each copy: "content of TAG.". */
#ifndef SHADOW_CLIENT_KIT_H
#define SHADOW_CLIENT_KIT_H

#include "proto/shadow/client.h"

#include "record_kit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct client_driver {
    struct shadow_client *client;
    struct buf said, out, done;
    size_t out_drained;                   /* OUT loses so much after each step; 0: all of it */
    bool is_closed, is_up, keeps_content; /* the test hands it over itself */
    bool has_content;                     /* SEND_CONTENT was given: its tag */
    uint64_t content_tag;
};

static inline void client_driver_init(struct client_driver *driver,
    const struct shadow_client_config *config, size_t out_bytes_max)
{
    memset(driver, 0, sizeof *driver);
    driver->client = shadow_client_new(config);
    buf_init(&driver->said, 64 << 20);
    buf_init(&driver->out, out_bytes_max);
    buf_init(&driver->done, 64 << 20);
}

static inline void client_driver_done(struct client_driver *driver)
{
    shadow_client_free(driver->client);
    buf_done(&driver->said);
    buf_done(&driver->out);
    buf_done(&driver->done);
}

static inline size_t client_content(uint64_t tag, char text[48])
{
    return (size_t)snprintf(text, 48, "content of %llu.", (unsigned long long)tag);
}

static inline void client_note_outcome(
    struct client_driver *driver, uint64_t tag, const struct shadow_outcome *outcome)
{
    static const char *const fates[] = { "durable", "settled", "moved", "busy", "refused",
        "lost" };
    char text[VERDICT_TEXT_BYTES] = "";

    if (outcome->fate == SHADOW_MOVED)
        snprintf(text, sizeof text, "%.*s", BYTES_ARGS(outcome->node.name));
    else if (outcome->fate == SHADOW_BUSY || outcome->fate == SHADOW_REFUSED)
        verdict_format(&outcome->verdict, text);
    record_note(&driver->done, "OUTCOME %llu %s%s%s\n", (unsigned long long)tag,
        fates[outcome->fate], text[0] ? " " : "", text);
}

static inline void client_note_page(
    struct client_driver *driver, const struct shadow_page *page)
{
    struct buf text;
    enum err err;
    uint32_t n = 0;
    struct shadow_page known = *page;
    struct shadow_item *items = malloc((page->item_count + 1) * sizeof *items);

    for (uint32_t i = 0; i < page->item_count; i++)
        if (page->items[i].word != SHADOW_STRANGE)
            items[n++] = page->items[i];
    known.items = items;
    known.item_count = n;
    buf_init(&text, 128 << 20);
    err = shadow_add_page(&text, &known);
    assert(err == OK);
    record_note(&driver->done, "PAGE %u strange\n", page->item_count - n);
    err = buf_add(&driver->done, buf_bytes(&text));
    assert(err == OK);
    buf_done(&text);
    free(items);
}

static inline void client_act(
    struct client_driver *driver, const struct shadow_client_action *action)
{
    char text[VERDICT_TEXT_BYTES];

    assert(!driver->is_closed);
    switch (action->type) {
    case SHADOW_CLIENT_UP:
        driver->is_up = true;
        record_note(&driver->done, "UP %.*s %u %llu\n", BYTES_ARGS(action->hello->node.name),
            action->hello->versions, (unsigned long long)action->hello->position);
        break;
    case SHADOW_CLIENT_TURNED_AWAY:
        verdict_format(action->verdict, text);
        record_note(&driver->done, "TURNED AWAY %s\n", text);
        break;
    case SHADOW_CLIENT_SEND_CONTENT:
        assert(!driver->has_content);
        driver->has_content = true;
        driver->content_tag = action->tag;
        break;
    case SHADOW_CLIENT_OUTCOME:
        client_note_outcome(driver, action->tag, action->outcome);
        break;
    case SHADOW_CLIENT_PAGE:
        client_note_page(driver, action->page);
        break;
    case SHADOW_CLIENT_ASK_REFUSED:
        verdict_format(action->verdict, text);
        record_note(&driver->done, "ASK REFUSED %s\n", text);
        break;
    case SHADOW_CLIENT_FAULT:
        record_note(&driver->done, "FAULT %.*s\n", BYTES_ARGS(action->text));
        break;
    case SHADOW_CLIENT_CLOSE:
        record_note(&driver->done, "CLOSE\n");
        driver->is_closed = true;
        driver->has_content = false;
        break;
    }
}

/* Takes what is written out of OUT: all, or so much as the link carries. */
static inline bool client_drain(struct client_driver *driver)
{
    return record_drain(&driver->out, driver->out_drained, &driver->said);
}

static inline size_t client_post(
    struct client_driver *driver, const struct shadow_client_event *event)
{
    struct shadow_client_actions actions;
    size_t used = shadow_client_step(driver->client, event, &actions, &driver->out);

    assert(used <= event->input.n);
    for (unsigned i = 0; i < actions.count; i++)
        client_act(driver, &actions.list[i]);
    return used;
}

/* Hands over the content that was asked for. */
static inline void client_send_content(struct client_driver *driver)
{
    struct shadow_client_event event = { .type = SHADOW_CLIENT_CONTENT_SENT };
    char text[48];
    size_t n = client_content(driver->content_tag, text);

    assert(driver->has_content);
    driver->has_content = false;
    while (buf_add(&driver->out, bytes_of(text, n)) != OK)
        client_drain(driver);
    client_post(driver, &event);
}

/* One round: reads what it can of IN, writes what it has to. */
static inline size_t client_feed(struct client_driver *driver, struct bytes in)
{
    size_t at = 0;

    for (;;) {
        struct bytes rest = bytes_skip(in, at);
        uint8_t *exact = malloc(rest.n + 1);
        struct shadow_client_event event = { .type = SHADOW_CLIENT_INPUT };
        size_t used;

        memcpy(exact, rest.n ? rest.at : (const uint8_t *)"", rest.n);
        event.input = bytes_of(exact, rest.n);
        used = client_post(driver, &event);
        free(exact);
        at += used;
        if (driver->has_content && !driver->keeps_content && !driver->is_closed)
            client_send_content(driver);
        if (!client_drain(driver) && !used)
            return at;
    }
}

static inline void client_play(struct client_driver *driver, struct bytes in, size_t step)
{
    size_t at = 0;

    for (size_t end = 0; end < in.n && !driver->is_closed;) {
        end = end + step < in.n ? end + step : in.n;
        at += client_feed(driver, bytes_skip(bytes_first(in, end), at));
    }
}

static inline void client_connect(struct client_driver *driver)
{
    static const struct shadow_hello hello = {
        .node = { BYTES("ex02.test"), { { 0x77, 0xaa } } }, .position = 5512
    };
    struct shadow_client_event event = { .type = SHADOW_CLIENT_CONNECTED, .hello = &hello };

    client_post(driver, &event);
    client_feed(driver, BYTES_NONE);
}

/* COPY, with the length of its content. */
static inline void client_offer(
    struct client_driver *driver, uint64_t tag, const struct shadow_copy *copy)
{
    char text[48];
    struct shadow_client_event event = { .type = SHADOW_CLIENT_COPY,
        .tag = tag,
        .copy = copy,
        .content_bytes = client_content(tag, text) };

    client_post(driver, &event);
    client_feed(driver, BYTES_NONE);
}

static inline void client_ask(struct client_driver *driver, const struct shadow_ask *ask)
{
    struct shadow_client_event event = { .type = SHADOW_CLIENT_ASK, .ask = ask };

    client_post(driver, &event);
    client_feed(driver, BYTES_NONE);
}

static inline void client_say(struct client_driver *driver, enum shadow_client_event_type type)
{
    struct shadow_client_event event = { .type = type };

    client_post(driver, &event);
    client_feed(driver, BYTES_NONE);
}

#endif
