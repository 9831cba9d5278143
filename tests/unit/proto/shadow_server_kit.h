/* A driver for the answering engine of the peer link that decides by what it reads, and keeps two
 * records: what was said, and what was done.
 *
 *     a node "bad..."                refused: 530
 *     a copy whose mid begins with   d0  settled, decided before its content
 *                                    d1  554, likewise
 *                                    e0  busy, e1 moved, e2 settled, e3 452
 *     content with "BOOM"            given up: 452
 *     an ask with cursor 666         refused: 501
 *
 * Outcomes are given at once, or, with `holds`, when the test says so. */
#ifndef SHADOW_SERVER_KIT_H
#define SHADOW_SERVER_KIT_H

#include "proto/shadow/server.h"

#include "record_kit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { HELD_MAX = 64 };

struct held {
    uint64_t tag;
    struct mid mid;
};

struct server_driver {
    struct shadow_server *server;
    struct buf said, out, done, body;
    size_t out_drained; /* OUT loses so much after each step; 0: all of it */
    bool is_closed, holds, never_fails;
    uint64_t tag; /* of the copy that is coming in; 0: none */
    struct mid mid;
    struct held held[HELD_MAX];
    unsigned held_count;
    unsigned depth; /* of answers within actions */
};

static inline void server_driver_init(struct server_driver *driver,
    const struct shadow_server_config *config, size_t out_bytes_max)
{
    memset(driver, 0, sizeof *driver);
    driver->server = shadow_server_new(config);
    buf_init(&driver->said, 16 << 20);
    buf_init(&driver->out, out_bytes_max);
    buf_init(&driver->done, 16 << 20);
    buf_init(&driver->body, 16 << 20);
}

static inline void server_driver_done(struct server_driver *driver)
{
    shadow_server_free(driver->server);
    buf_done(&driver->said);
    buf_done(&driver->out);
    buf_done(&driver->done);
    buf_done(&driver->body);
}

static inline struct shadow_hello server_hello(void)
{
    return (struct shadow_hello){ .node = { BYTES("ex01.test"), { { 0x0c, 0x5e } } },
        .position = 81723 };
}

static inline struct shadow_outcome outcome_refused(
    uint16_t code, struct status status, const char *text)
{
    return (struct shadow_outcome){ .fate = SHADOW_REFUSED,
        .verdict = verdict_of(code, status, "%s", text) };
}

/* What becomes of a copy whose content was taken. */
static inline struct shadow_outcome outcome_of(struct mid mid)
{
    switch (mid.byte[0]) {
    case 0xe0:
        return (struct shadow_outcome){ .fate = SHADOW_BUSY, .verdict.text = "in acceptance" };
    case 0xe1:
        return (struct shadow_outcome){ .fate = SHADOW_MOVED,
            .node = { BYTES("ex03.test"), { { 0x77 } } } };
    case 0xe2:
        return (struct shadow_outcome){ .fate = SHADOW_SETTLED };
    case 0xe3:
        return outcome_refused(452, STATUS(4, 3, 1), "full");
    default:
        return (struct shadow_outcome){ .fate = SHADOW_DURABLE };
    }
}

static inline size_t server_post(
    struct server_driver *driver, const struct shadow_server_event *event);

static inline void server_post_outcome(struct server_driver *driver, struct held held)
{
    struct shadow_outcome outcome = outcome_of(held.mid);
    struct shadow_server_event event = {
        .type = SHADOW_SERVER_OUTCOME, .tag = held.tag, .outcome = &outcome
    };

    server_post(driver, &event);
}

/* Gives the I-th of the outcomes that are held. */
static inline void server_release(struct server_driver *driver, unsigned i)
{
    struct held held = driver->held[i];

    assert(i < driver->held_count);
    driver->held[i] = driver->held[--driver->held_count];
    server_post_outcome(driver, held);
}

static inline void server_on_hello(
    struct server_driver *driver, const struct shadow_hello *hello)
{
    struct shadow_hello ours = server_hello();
    struct verdict no = verdict_of(530, STATUS(5, 7, 0), "not a node of this organisation");
    struct shadow_server_event event = { .type = SHADOW_SERVER_WELCOME, .hello = &ours };

    record_note(&driver->done, "HELLO %.*s %u %llu\n", BYTES_ARGS(hello->node.name),
        hello->versions, (unsigned long long)hello->position);
    if (bytes_starts(hello->node.name, BYTES("bad"))) {
        event.type = SHADOW_SERVER_REFUSE;
        event.verdict = &no;
    }
    server_post(driver, &event);
}

static inline void server_note_copy(
    struct server_driver *driver, const struct shadow_copy *copy, uint64_t tag)
{
    struct buf text;
    enum err err;

    assert(copy->recipient_count > 0);
    buf_init(&text, 64 << 20);
    err = shadow_add_copy(&text, copy);
    assert(err == OK);
    record_note(&driver->done, "BEGIN %llu\n", (unsigned long long)tag);
    err = buf_add(&driver->done, buf_bytes(&text));
    assert(err == OK);
    buf_done(&text);
}

static inline void server_on_copy(
    struct server_driver *driver, const struct shadow_copy *copy, uint64_t tag)
{
    struct shadow_outcome settled = { .fate = SHADOW_SETTLED },
                          refused = outcome_refused(554, STATUS(5, 6, 0), "another envelope");
    struct shadow_server_event event = { .type = SHADOW_SERVER_DECIDED };

    assert(driver->tag == 0 && tag != 0);
    server_note_copy(driver, copy, tag);
    driver->mid = copy->mid;
    if (copy->mid.byte[0] == 0xd0)
        event.outcome = &settled;
    else if (copy->mid.byte[0] == 0xd1)
        event.outcome = &refused;
    else
        driver->tag = tag;
    buf_clear(&driver->body);
    server_post(driver, &event);
}

static inline void server_on_body(struct server_driver *driver, struct bytes text)
{
    struct shadow_outcome full = outcome_refused(452, STATUS(4, 3, 1), "gave up");
    struct shadow_server_event event = {
        .type = SHADOW_SERVER_COPY_LOST, .tag = driver->tag, .outcome = &full
    };
    enum err err = buf_add(&driver->body, text);

    assert(err == OK && text.n > 0);
    if (driver->never_fails || !memmem(driver->body.at, driver->body.n, "BOOM", 4))
        return;
    record_note(&driver->done, "LOST %llu\n", (unsigned long long)driver->tag);
    driver->tag = 0;
    server_post(driver, &event);
}

static inline void server_on_end(struct server_driver *driver)
{
    struct held held = { driver->tag, driver->mid };

    record_note(&driver->done, "END %llu %.*s\n", (unsigned long long)driver->tag,
        BYTES_ARGS(buf_bytes(&driver->body)));
    driver->tag = 0;
    assert(driver->held_count < HELD_MAX);
    driver->held[driver->held_count++] = held;
}

/* As many items as were asked for, up to three; of every word there is. */
static inline void server_page(
    const struct shadow_ask *ask, struct shadow_item items[3], struct shadow_page *page)
{
    static const enum shadow_word words[] = { [SHADOW_ASK_DISCARD] = SHADOW_DONE,
        [SHADOW_ASK_TAKEN] = SHADOW_TAKEN,
        [SHADOW_ASK_AUDIT] = SHADOW_IS_PENDING };

    *page = (struct shadow_page){ .type = ask->type,
        .items = items,
        .cursor = ask->type == SHADOW_ASK_AUDIT ? 0 : ask->cursor + 3,
        .position = 9 };
    page->item_count = ask->type == SHADOW_ASK_AUDIT ? ask->mid_count : ask->count_max;
    page->item_count = page->item_count < 3 ? page->item_count : 3;
    for (uint32_t i = 0; i < page->item_count; i++)
        items[i] = (struct shadow_item){ .mid = { { (uint8_t)i } },
            .word = ask->type == SHADOW_ASK_TAKEN ? SHADOW_TAKEN : words[ask->type] + i,
            .generation = (uint16_t)i,
            .is_firm = i == 1,
            .seconds = 640,
            .list = BYTES("1-40,42"),
            .node = { BYTES("ex03.test"), { { 0x77 } } } };
}

static inline void server_on_ask(struct server_driver *driver, const struct shadow_ask *ask)
{
    struct verdict no = verdict_of(501, STATUS(5, 5, 4), "never gave that cursor");
    struct shadow_item items[3];
    struct shadow_page page;
    struct shadow_server_event event = { .type = SHADOW_SERVER_PAGE, .page = &page };

    record_note(&driver->done, "ASK %d %u %llu %u %u\n", ask->type, ask->count_max,
        (unsigned long long)ask->cursor, ask->wait_ms, ask->mid_count);
    server_page(ask, items, &page);
    if (ask->cursor == 666) {
        event.type = SHADOW_SERVER_REFUSE;
        event.verdict = &no;
    }
    server_post(driver, &event);
}

static inline void server_act(
    struct server_driver *driver, const struct shadow_server_action *action)
{
    assert(!driver->is_closed);
    switch (action->type) {
    case SHADOW_SERVER_HELLO:
        server_on_hello(driver, action->hello);
        break;
    case SHADOW_SERVER_COPY_BEGIN:
        server_on_copy(driver, action->copy, action->tag);
        break;
    case SHADOW_SERVER_COPY_BODY:
        if (driver->tag) /* else it was given up, in an action before */
            server_on_body(driver, action->text);
        break;
    case SHADOW_SERVER_COPY_END:
        if (driver->tag) {
            assert(action->tag == driver->tag);
            server_on_end(driver);
        }
        break;
    case SHADOW_SERVER_COPY_ABANDON:
        if (!driver->tag)
            break;
        assert(action->tag == driver->tag);
        record_note(&driver->done, "ABANDON %llu\n", (unsigned long long)driver->tag);
        driver->tag = 0;
        break;
    case SHADOW_SERVER_ASK:
        server_on_ask(driver, action->ask);
        break;
    case SHADOW_SERVER_FAULT:
        record_note(&driver->done, "FAULT %.*s\n", BYTES_ARGS(action->text));
        break;
    case SHADOW_SERVER_CLOSE:
        assert(driver->tag == 0);
        record_note(&driver->done, "CLOSE\n");
        driver->is_closed = true;
        break;
    }
}

/* Takes what is said out of OUT: all, or so much as the other side reads. */
static inline bool server_drain(struct server_driver *driver)
{
    return record_drain(
        &driver->out, driver->is_closed ? 0 : driver->out_drained, &driver->said);
}

static inline size_t server_post(
    struct server_driver *driver, const struct shadow_server_event *event)
{
    struct shadow_server_actions actions;
    size_t used = shadow_server_step(driver->server, event, &actions, &driver->out);

    assert(used <= event->input.n && actions.count <= SHADOW_SERVER_ACTIONS_MAX);
    driver->depth++;
    for (unsigned i = 0; i < actions.count; i++)
        server_act(driver, &actions.list[i]);
    driver->depth--;
    while (driver->depth == 0 && !driver->holds && driver->held_count)
        server_release(driver, 0);
    return used | (actions.count ? (size_t)1 << 40 : 0);
}

/* Feeds what the engine takes of IN; returns how much that was. */
static inline size_t server_feed(struct server_driver *driver, struct bytes in)
{
    size_t at = 0;

    for (;;) {
        /* A copy that ends when the buffer does: reading too far is seen by the sanitizer. */
        struct bytes rest = bytes_skip(in, at);
        uint8_t *exact = malloc(rest.n + 1);
        struct shadow_server_event event = { .type = SHADOW_SERVER_INPUT };
        size_t got;

        memcpy(exact, rest.n ? rest.at : (const uint8_t *)"", rest.n);
        event.input = bytes_of(exact, rest.n);
        got = server_post(driver, &event);
        free(exact);
        at += got & (((size_t)1 << 40) - 1);
        if (driver->is_closed || (!server_drain(driver) && !got))
            break;
    }
    server_drain(driver);
    return at;
}

/* IN comes in pieces of STEP bytes. */
static inline size_t server_play(struct server_driver *driver, struct bytes in, size_t step)
{
    size_t at = 0;

    for (size_t end = 0; end < in.n && !driver->is_closed;) {
        end = end + step < in.n ? end + step : in.n;
        at += server_feed(driver, bytes_skip(bytes_first(in, end), at));
    }
    return at;
}

static inline void server_open(struct server_driver *driver)
{
    struct shadow_server_event event = { .type = SHADOW_SERVER_OPENED };

    server_post(driver, &event);
    server_drain(driver);
}

#endif
