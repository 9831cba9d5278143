/* A driver for the server engine that decides by what it reads, and keeps two records: what was
 * said, and what was done.  However the input is split, both must come out the same.
 *
 *     a name or address with "refused"    550 5.7.1 no        with "closing"   421 4.3.2 bye
 *     a sender "full@..."                 BODY_BEGIN gets 452 4.3.1 full
 *     content with "BOOM"                 BODY_FAILED 451 4.3.0 boom
 *     content with "UNWANTED"             REFUSED 554 5.7.1 unwanted
 *     AUTH                                PLAIN asks once, LOGIN twice; "secret" is right */
#ifndef SMTP_SERVER_KIT_H
#define SMTP_SERVER_KIT_H

#include "proto/smtp/server.h"

#include "record_kit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct driver {
    struct smtp_server server;
    struct buf said, out, done, body;
    struct buf rejected; /* "MAIL size a@b 552\n" of what the engine refused by itself */
    bool is_closed, is_full;
    bool never_fails; /* "BOOM" is like other words: when a driver gives up is not the same at
                         all splits */
    bool is_failed, is_told; /* BODY_FAILED is to be given, was given */
    unsigned auth_left;
    struct verdict verdict;
};

static inline void driver_init(struct driver *driver, const struct smtp_server_config *config)
{
    memset(driver, 0, sizeof *driver);
    smtp_server_init(&driver->server, config);
    buf_init(&driver->said, 1 << 20);
    buf_init(&driver->out, SMTP_SERVER_LINE_BYTES_MAX + 64); /* little more than it asks for */
    buf_init(&driver->done, 1 << 20);
    buf_init(&driver->body, 1 << 20);
    buf_init(&driver->rejected, 1 << 20);
}

static inline void driver_done(struct driver *driver)
{
    smtp_server_done(&driver->server);
    buf_done(&driver->said);
    buf_done(&driver->out);
    buf_done(&driver->done);
    buf_done(&driver->body);
    buf_done(&driver->rejected);
}

static inline void note_bytes(struct driver *driver, struct bytes bytes)
{
    enum err err = buf_add(&driver->done, bytes);
    assert(err == OK);
}

static inline bool has(struct bytes in, const char *text)
{
    return in.at && in.n && memmem(in.at, in.n, text, strlen(text));
}

static inline struct verdict say(uint16_t code, struct status status, const char *text)
{
    struct verdict verdict = { code, status, "" };
    snprintf(verdict.text, sizeof verdict.text, "%s", text);
    return verdict;
}

static inline struct verdict judge(struct bytes text)
{
    if (has(text, "refused"))
        return say(550, STATUS(5, 7, 1), "no");
    if (has(text, "closing"))
        return say(421, STATUS(4, 3, 2), "bye");
    return say(250, STATUS(2, 0, 0), has(text, "hello") ? "hello there" : "");
}

static inline void note_mail(struct driver *driver, const struct smtp_mail *mail)
{
    static const char *const bodies[] = { "", " 8bit", " binary" };

    record_note(
        &driver->done, "MAIL <%.*s>%s", BYTES_ARGS(mail->sender.text), bodies[mail->body]);
    if (mail->size_bytes)
        record_note(&driver->done, " size=%llu", (unsigned long long)mail->size_bytes);
    if (mail->is_smtputf8)
        record_note(&driver->done, " utf8");
    if (mail->ret)
        record_note(&driver->done, " ret=%s", mail->ret == RET_FULL ? "full" : "hdrs");
    if (mail->envid.n)
        record_note(&driver->done, " envid=%.*s", BYTES_ARGS(mail->envid));
    if (mail->auth.n)
        record_note(&driver->done, " auth=%.*s", BYTES_ARGS(mail->auth));
    if (mail->priority)
        record_note(&driver->done, " priority=%d", mail->priority);
    record_note(&driver->done, "\n");
}

static inline void note_rcpt(struct driver *driver, const struct smtp_rcpt *rcpt)
{
    record_note(&driver->done, "RCPT <%.*s>", BYTES_ARGS(rcpt->address.text));
    if (rcpt->notify)
        record_note(&driver->done, " notify=%d", rcpt->notify);
    if (rcpt->orcpt.n)
        record_note(&driver->done, " orcpt=%.*s", BYTES_ARGS(rcpt->orcpt));
    record_note(&driver->done, "\n");
}

/* Gives one event and collects what was said.  The actions are in ACTIONS, to be done. */
static inline size_t give(struct driver *driver, enum smtp_server_event_type type,
    struct bytes input, struct smtp_server_actions *actions)
{
    struct smtp_server_event event = { type, input, &driver->verdict };
    uint32_t refusals = driver->server.refusal_count;
    size_t used = smtp_server_step(&driver->server, &event, actions, &driver->out);
    enum err err = buf_add(&driver->said, buf_bytes(&driver->out));

    assert(err == OK && used <= input.n && driver->server.refusal_count - refusals <= 1);
    buf_clear(&driver->out);
    return used;
}

/* The next event that the driver owes the engine after ACTION; false: none. */
static inline bool answer_auth(struct driver *driver, struct bytes response, bool is_first,
    enum smtp_server_event_type *type, struct bytes *input)
{
    if (driver->auth_left) {
        *input = is_first ? BYTES("Username:") : BYTES("Password:");
        *type = SMTP_SERVER_AUTH_CHALLENGE;
        driver->auth_left--;
        return true;
    }
    driver->verdict = has(response, "secret") ? say(235, STATUS(2, 7, 0), "")
                                              : say(535, STATUS(5, 7, 8), "wrong");
    *type = SMTP_SERVER_AUTH_DONE;
    return true;
}

static inline bool do_body(struct driver *driver, const struct smtp_server_action *action,
    enum smtp_server_event_type *type)
{
    enum err err;

    if (action->type == SMTP_SERVER_BODY) {
        err = buf_add(&driver->body, action->text);
        assert(err == OK && !driver->is_told && action->text.n > 0);
        driver->is_failed = !driver->never_fails && has(buf_bytes(&driver->body), "BOOM");
        driver->verdict = say(451, STATUS(4, 3, 0), "boom");
        *type = SMTP_SERVER_BODY_FAILED;
        return driver->is_failed;
    }
    assert(!driver->is_told);
    if (action->type == SMTP_SERVER_BODY_ABANDON) {
        record_note(&driver->done, "ABANDON\n");
        buf_clear(&driver->body);
        return false;
    }
    *type = SMTP_SERVER_REFUSED;
    if (driver->is_failed)
        return true;
    record_note(&driver->done, "STORE ");
    note_bytes(driver, buf_bytes(&driver->body));
    record_note(&driver->done, "\n");
    driver->verdict = has(buf_bytes(&driver->body), "UNWANTED")
                          ? say(554, STATUS(5, 7, 1), "unwanted")
                          : say(250, STATUS(2, 0, 0), "id");
    if (verdict_is_ok(&driver->verdict))
        *type = SMTP_SERVER_STORED;
    buf_clear(&driver->body);
    return true;
}

static inline bool do_check(struct driver *driver, const struct smtp_server_action *action,
    enum smtp_server_event_type *type)
{
    *type = SMTP_SERVER_DECIDED;
    if (action->type == SMTP_SERVER_CHECK_HELLO) {
        record_note(&driver->done, "%s %.*s\n", action->is_extended ? "EHLO" : "HELO",
            BYTES_ARGS(action->text));
        driver->verdict = judge(action->text);
    } else if (action->type == SMTP_SERVER_CHECK_MAIL) {
        note_mail(driver, action->mail);
        driver->verdict = judge(action->mail->sender.text);
        driver->is_full = has(action->mail->sender.text, "full@");
    } else if (action->type == SMTP_SERVER_CHECK_RCPT) {
        note_rcpt(driver, action->rcpt);
        driver->verdict = judge(action->rcpt->address.text);
    } else {
        record_note(&driver->done, "BEGIN\n");
        buf_clear(&driver->body);
        driver->is_failed = driver->is_told = false;
        driver->verdict =
            driver->is_full ? say(452, STATUS(4, 3, 1), "full") : judge(BYTES_NONE);
    }
    return true;
}

static inline bool do_auth(struct driver *driver, const struct smtp_server_action *action,
    enum smtp_server_event_type *type, struct bytes *input)
{
    if (action->type == SMTP_SERVER_AUTH_BEGIN) {
        bool is_login = bytes_equal_nocase(action->text, BYTES("LOGIN"));

        record_note(&driver->done, "AUTH %.*s", BYTES_ARGS(action->text));
        if (action->has_more) {
            record_note(&driver->done, " [");
            note_bytes(driver, action->more);
            record_note(&driver->done, "]");
        }
        record_note(&driver->done, "\n");
        driver->auth_left = is_login + !action->has_more;
        return answer_auth(driver, action->more, !action->has_more, type, input);
    }
    if (action->type == SMTP_SERVER_AUTH_RESPONSE) {
        record_note(&driver->done, "RESPONSE [%.*s]\n", BYTES_ARGS(action->text));
        return answer_auth(driver, action->text, false, type, input);
    }
    record_note(&driver->done, "CANCEL\n");
    return false;
}

/* True: EVENT is what the engine must be given next. */
static inline bool do_action(struct driver *driver, const struct smtp_server_action *action,
    enum smtp_server_event_type *type, struct bytes *input)
{
    *input = BYTES_NONE;
    switch (action->type) {
    case SMTP_SERVER_CHECK_HELLO:
    case SMTP_SERVER_CHECK_MAIL:
    case SMTP_SERVER_CHECK_RCPT:
    case SMTP_SERVER_BODY_BEGIN:
        return do_check(driver, action, type);
    case SMTP_SERVER_BODY:
    case SMTP_SERVER_BODY_END:
    case SMTP_SERVER_BODY_ABANDON:
        return do_body(driver, action, type);
    case SMTP_SERVER_AUTH_BEGIN:
    case SMTP_SERVER_AUTH_RESPONSE:
    case SMTP_SERVER_AUTH_CANCEL:
        return do_auth(driver, action, type, input);
    case SMTP_SERVER_RESET:
        record_note(&driver->done, "RESET\n");
        return false;
    case SMTP_SERVER_START_TLS:
        record_note(&driver->done, "TLS\n");
        *type = SMTP_SERVER_TLS_STARTED;
        return true;
    case SMTP_SERVER_LINE:
        record_note(&driver->done, "LINE %.*s\n", BYTES_ARGS(action->text));
        return false;
    case SMTP_SERVER_PROTOCOL_ERROR:
        record_note(&driver->done, "ERROR\n");
        return false;
    case SMTP_SERVER_REJECTED:
        record_note(&driver->rejected, "%s %s %.*s %.*s\n", action->command, action->rule,
            BYTES_ARGS(action->more), BYTES_ARGS(bytes_first(action->text, 3)));
        return false;
    case SMTP_SERVER_CLOSE:
        record_note(&driver->done, "CLOSE\n");
        driver->is_closed = true;
        return false;
    }
    return false;
}

/* Gives an event and all that follow from it. */
static inline size_t run_event(
    struct driver *driver, enum smtp_server_event_type type, struct bytes input)
{
    size_t used = 0;
    bool is_first = true;

    for (bool owes = true; owes; is_first = false) {
        struct smtp_server_actions actions;
        size_t n = give(driver, type, input, &actions);

        if (is_first)
            used = n;
        driver->is_told = driver->is_failed;
        owes = false;
        for (unsigned i = 0; i < actions.count; i++)
            owes |= do_action(driver, &actions.list[i], &type, &input);
    }
    return used;
}

/* Offers IN, of which CUT bytes arrive at first and then STEP at a time. */
static inline void run_input(struct driver *driver, struct bytes in, size_t cut, size_t step)
{
    size_t at = 0, end = cut < in.n ? cut : in.n;

    while (!driver->is_closed) {
        size_t done_n = driver->done.n, said_n = driver->said.n;
        /* A copy of its own size, so that a read past its end is seen. */
        size_t n = end - at;
        uint8_t *copy = malloc(n ? n : 1);
        size_t used;

        memcpy(copy, in.at + at, n);
        used = run_event(driver, SMTP_SERVER_INPUT, bytes_of(copy, n));
        free(copy);
        at += used;
        if (used || driver->done.n != done_n || driver->said.n != said_n)
            continue;
        if (end == in.n)
            break;
        end = end + step < in.n ? end + step : in.n;
    }
}

#endif
