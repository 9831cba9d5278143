/* What a session leaves behind: its place in the rates, and in the table of devices. */
#include "flow/session/internal.h"

#include "base/weak_tls.h"

enum { NOTE_EVERY_MS = 60 * 1000 };

_Static_assert((int)DEVICE_BARE_LF == (int)SMTP_TOLERATED_BARE_LF &&
                   (int)DEVICE_PATH_SPACES == (int)SMTP_TOLERATED_PATH_SPACES &&
                   (int)DEVICE_NO_BRACKETS == (int)SMTP_TOLERATED_NO_BRACKETS &&
                   (int)DEVICE_BAD_HELO == (int)SMTP_TOLERATED_BAD_HELO &&
                   (int)DEVICE_NO_HELO == (int)SMTP_TOLERATED_NO_HELO,
    "the engine and the table speak of the same tolerances");

void session_would_refuse(struct session *session, const char *stage, enum limit limit)
{
    struct decision decision;

    limit_refuse(session->connector, limit, &decision);
    report(REPORT_WOULD_REFUSE, R_SESSION(session->protocol.id),
        R_CHARS("connector", session->connector->name),
        R_CHARS("client", session->protocol.peer), R_CHARS("stage", stage),
        R_CHARS("limit", limit_name(limit)), R_NUMBER("code", decision.verdict.code),
        R_CHARS("text", decision.verdict.text));
}

bool session_takes_rate(struct session *session, uint32_t per_minute)
{
    struct rates_who who;

    rates_who(session->connector->name, session->client.user,
        limits_source(session->setup->settings, session->arrival.peer), &who);
    return rates_take(session->house->rates, &who, per_minute, loop_now(session->house->loop));
}

static unsigned needs_of(const struct session *session)
{
    unsigned needs = session->engine.tolerated;
    const char *tls = session->tls_version;

    if (tls_weakness(bytes_text(tls), BYTES_NONE))
        needs |= DEVICE_OLD_TLS;
    else if (tls_weakness(bytes_text(tls), bytes_text(session->tls_cipher)))
        needs |= DEVICE_WEAK_CIPHER;
    if (session->client.user && !tls[0])
        needs |= DEVICE_AUTH_CLEAR;
    return needs;
}

static void note(struct session *session)
{
    struct device_seen seen = {
        .ip = session->arrival.peer,
        .is_unix = session->arrival.is_unix,
        .connector = session->connector->name,
        .helo = session->client_name,
        .tls = session->tls_version,
        .cipher = session->tls_cipher,
        .user = session->client.user,
        .needs = needs_of(session),
        .messages = session->unnoted.messages,
        .bytes = session->unnoted.bytes,
        .sessions = !session->has_been_noted,
        .now = loop_wall(session->house->loop),
    };

    session->unnoted.messages = session->unnoted.bytes = 0;
    session->unnoted.last = loop_now(session->house->loop);
    session->has_been_noted = true;
    devices_note(session->house->devices, &seen);
}

/* A session may last for days. */
void session_count_message(struct session *session, uint64_t bytes)
{
    session->unnoted.messages++;
    session->unnoted.bytes += bytes;
    if (loop_now(session->house->loop).ms - session->unnoted.last.ms >= NOTE_EVERY_MS)
        note(session);
}

/* Whoever only looked in is not one of those who use the relay. */
void session_note_device(struct session *session)
{
    if (session->unnoted.messages || session->engine.tolerated)
        note(session);
}
