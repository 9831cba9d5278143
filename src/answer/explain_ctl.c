#include "answer/explain_ctl.h"

#include "policy/login.h"

#include <stdio.h>

/* The local address a client of that kind would reach: one that a binding of the port names, else
 * any. */
static struct ip local_of(const struct settings *settings, uint16_t port, struct ip peer)
{
    struct ip any = peer;

    for (size_t i = 0; i < settings->receive_count; i++) {
        const struct receive_connector *connector = &settings->receive[i];
        for (size_t k = 0; k < connector->binding_count; k++) {
            const struct binding *binding = &connector->bindings[k];
            if (!connector->enabled || binding->is_unix || binding->port != port)
                continue;
            if (!binding->is_any && !ip_is_unspecified(binding->ip) &&
                ip_is_v4(binding->ip) == ip_is_v4(peer))
                return binding->ip;
        }
    }
    return any;
}

/* Where clients connect to when nobody says: the first binding there is. */
static uint16_t first_port(const struct settings *settings)
{
    for (size_t i = 0; i < settings->receive_count; i++) {
        const struct receive_connector *connector = &settings->receive[i];
        if (!connector->enabled || connector->is_internal)
            continue;
        for (size_t k = 0; k < connector->binding_count; k++) {
            if (!connector->bindings[k].is_unix)
                return connector->bindings[k].port;
        }
    }
    return 25;
}

/* PEER: at the other end of the socket. */
static bool read_local(
    const struct settings *settings, const char *to, struct ip peer, struct arrival *out)
{
    const char *colon = strrchr(to, ':');
    struct bytes host;
    uint64_t port;

    if (strncmp(to, "unix:", 5) == 0) {
        out->is_unix = true;
        out->path = to + 5;
        return true;
    }
    if (!colon || !bytes_to_number(bytes_text(colon + 1), UINT16_MAX, &port) || port == 0)
        return false;
    out->port = (uint16_t)port;
    host = bytes_of(to, (size_t)(colon - to));
    if (host.n == 0) {
        out->local = local_of(settings, out->port, peer);
        return true;
    }
    if (host.n > 2 && host.at[0] == '[' && host.at[host.n - 1] == ']')
        host = bytes_of(host.at + 1, host.n - 2);
    return ip_parse(host, &out->local);
}

/* Any other word than a fingerprint could be one that is misspelt, and be taken for unknown. */
static bool read_certificate(
    const struct ctl_object *request, struct explain_request *out, char why[EXPLAIN_WHY_BYTES])
{
    const char *text = ctl_text(request, "certificate");

    if (!text)
        return true;
    out->question.has_certificate = true;
    if (strcmp(text, "unknown") == 0)
        return true;
    out->question.fingerprint = out->fingerprint;
    if (fingerprint_parse(text, "sha256:", out->fingerprint))
        return true;
    snprintf(why, EXPLAIN_WHY_BYTES,
        "'%.80s' is no fingerprint: \"sha256:\" and 64 hex digits, or \"unknown\"", text);
    return false;
}

_Static_assert((int)EXPLAIN_USER_BYTES == (int)LOGIN_NAME_BYTES, "the name of a user");

/* As a login would call him, who is counted and looked up by that name; by which mechanism he logs
 * in is not said: a principal of our realm without an account of that very name is one of Kerberos. */
static const char *read_user(
    const struct settings *settings, const char *text, char out[LOGIN_NAME_BYTES])
{
    if (!text)
        return NULL;
    login_user(settings, text, !account_find(settings, text), out);
    return out;
}

bool explain_read(const struct settings *settings, const struct ctl_object *request,
    struct explain_request *out, char why[EXPLAIN_WHY_BYTES])
{
    struct explain_question *question = &out->question;
    const char *from = ctl_text(request, "from"), *to = ctl_text(request, "to"),
               *via = ctl_text(request, "via");
    char port[8];

    *question = (struct explain_question){
        .helo = ctl_text(request, "helo"),
        .user = read_user(settings, ctl_text(request, "user"), out->user),
        .is_tls = ctl_bool(request, "tls"),
        .is_partner = ctl_bool(request, "partner"),
        .sender = ctl_text(request, "mail"),
        .size_bytes = (uint64_t)ctl_number(request, "size", 0),
        .recipients = out->recipients,
        .recipient_count = ctl_list_count(request, "rcpt"),
    };
    from = from ? from : "127.0.0.1";
    if (!to) {
        snprintf(port, sizeof port, ":%u", first_port(settings));
        to = port;
    }
    if (!ip_parse(bytes_text(from), &question->arrival.peer)) {
        snprintf(why, EXPLAIN_WHY_BYTES, "'%.80s' is no address of a client", from);
        return false;
    }
    question->has_via = via != NULL;
    question->via = question->arrival.peer;
    if (via && !ip_parse(bytes_text(via), &question->via)) {
        snprintf(why, EXPLAIN_WHY_BYTES, "'%.80s' is no address of a balancer", via);
        return false;
    }
    if (!read_local(settings, to, question->via, &question->arrival)) {
        snprintf(why, EXPLAIN_WHY_BYTES,
            "'%.80s' is no place to connect to: \":25\", \"192.0.2.1:25\" or \"unix:/path\"",
            to);
        return false;
    }
    if (question->recipient_count > EXPLAIN_RECIPIENTS_MAX) {
        snprintf(why, EXPLAIN_WHY_BYTES, "more than %d recipients", EXPLAIN_RECIPIENTS_MAX);
        return false;
    }
    for (size_t i = 0; i < question->recipient_count; i++)
        out->recipients[i] = ctl_list_text(request, "rcpt", i);
    return read_certificate(request, out, why);
}

struct ctl_object *explain_row(const struct finding *finding)
{
    struct ctl_object *row = ctl_new();

    ctl_set_text(row, "stage", bytes_text(explain_stage_name(finding->stage)));
    ctl_set_text(row, "about", bytes_text(finding->about));
    ctl_set_bool(row, "yes", finding->is_yes);
    if (*finding->reply)
        ctl_set_text(row, "reply", bytes_text(finding->reply));
    if (*finding->rule)
        ctl_set_text(row, "rule", bytes_text(finding->rule));
    if (*finding->why)
        ctl_set_text(row, "why", bytes_text(finding->why));
    if (*finding->queue)
        ctl_set_text(row, "queue", bytes_text(finding->queue));
    if (finding->stage == EXPLAIN_LIMITS && finding->limit)
        ctl_set_number(row, "limit", (int64_t)finding->limit);
    if (finding->stage == EXPLAIN_LIMITS && finding->now >= 0)
        ctl_set_number(row, "now", finding->now);
    return row;
}
