#include "answer/explain.h"

#include "answer/answer.h"
#include "answer/explain_limits.h"
#include "mail/text.h"
#include "policy/balancer.h"
#include "policy/rights.h"
#include "policy/route.h"

#include <stdio.h>
#include <stdlib.h>

enum { OUT_BYTES_MAX = 64 << 10, LINE_BYTES = 1200, HOP_NAME_BYTES = 400 };

/* A dialogue with nobody at the other end. */
struct dialogue {
    const struct settings *settings;
    const struct explain_question *question;
    void (*each)(void *me, const struct finding *finding);
    void *me;
    const struct receive_connector *connector;
    struct client client;
    struct smtp_server engine;
    struct smtp_server_config config;
    char mechanisms[LOGIN_WORDS_BYTES];
    struct buf out;
    struct decision decision;              /* of the line that was said last */
    bool was_asked;                        /* policy was; else the engine answered by itself: */
    const char *own_rule;                  /* by which it refused; NULL: it did not */
    char sender[ADDRESS_BYTES_MAX + 1];    /* as it is after rewriting */
    char recipient[ADDRESS_BYTES_MAX + 1]; /* the last one that was asked about */
    struct resolved resolved;              /* what that is */
    const char *about;                     /* how it is named where that is told */
};

const char *explain_stage_name(enum explain_stage stage)
{
    static const char *const names[] = { [EXPLAIN_PROXY] = "proxy",
        [EXPLAIN_CONNECTOR] = "connector",
        [EXPLAIN_LIMITS] = "limits",
        [EXPLAIN_HELLO] = "hello",
        [EXPLAIN_RIGHTS] = "rights",
        [EXPLAIN_MAIL] = "mail",
        [EXPLAIN_RECIPIENT] = "recipient",
        [EXPLAIN_RESOLVED] = "resolved",
        [EXPLAIN_ROUTE] = "route" };

    return names[stage];
}

static void find(struct dialogue *dialogue, struct finding finding)
{
    finding.reply = finding.reply ? finding.reply : "";
    finding.rule = finding.rule ? finding.rule : "";
    finding.why = finding.why ? finding.why : "";
    finding.queue = finding.queue ? finding.queue : "";
    dialogue->each(dialogue->me, &finding);
}

/* --- The balancer ------------------------------------------------------------------------ */

/* False: the connection ends before a connector is chosen, or before its first command. */
static bool find_header(struct dialogue *dialogue)
{
    const struct explain_question *question = dialogue->question;
    const struct receive_connector *connector;
    struct arrival arrival = question->arrival;
    char about[IP_TEXT_BYTES], reply[VERDICT_TEXT_BYTES] = "";
    struct decision decision;
    bool is_yes;

    if (question->has_via)
        arrival.peer = question->via;
    else if (!balancer_listener(dialogue->settings, &arrival))
        return true; /* nothing to be said */
    connector = receive_choose(dialogue->settings, &arrival);
    is_yes = balancer_takes(dialogue->settings, &arrival, question->has_via,
        connector ? connector->name : "none", &decision);
    if (!is_yes)
        verdict_format(&decision.verdict, reply);
    ip_format(arrival.peer, about);
    find(dialogue, (struct finding){ .stage = EXPLAIN_PROXY,
                       .about = about,
                       .is_yes = is_yes,
                       .reply = reply,
                       .rule = decision.rule,
                       .why = decision.why });
    return is_yes;
}

/* --- The connector ----------------------------------------------------------------------- */

/* No connector takes the client: it is refused with a reply, or there is nobody to give one. */
static void find_nobody(struct dialogue *dialogue)
{
    const struct arrival *arrival = &dialogue->question->arrival;
    struct finding finding = { .stage = EXPLAIN_CONNECTOR, .about = "" };
    char place[ARRIVAL_TEXT_BYTES], why[RECEIVE_WHY_BYTES];
    bool has_port;

    if (receive_listens(dialogue->settings, arrival, &has_port)) {
        finding.reply = RECEIVE_NOBODY_REPLY;
        finding.rule = "no-connector";
        finding.why = "no connector takes this client";
    } else {
        arrival_format(arrival, place);
        if (!arrival->is_unix && !has_port) /* who said no address has not heard of one */
            snprintf(place, sizeof place, "port %u", arrival->port);
        snprintf(
            why, sizeof why, "nobody listens on %s: the connection itself is refused", place);
        finding.why = why;
    }
    find(dialogue, finding);
}

static void find_connectors(struct dialogue *dialogue)
{
    const struct settings *settings = dialogue->settings;
    const struct arrival *arrival = &dialogue->question->arrival;
    char why[RECEIVE_WHY_BYTES];

    dialogue->connector = receive_choose(settings, arrival);
    for (size_t i = 0; i < settings->receive_count; i++) {
        const struct receive_connector *connector = &settings->receive[i];
        receive_why(connector, dialogue->connector, arrival, why);
        find(dialogue, (struct finding){ .stage = EXPLAIN_CONNECTOR,
                           .about = connector->name,
                           .is_yes = connector == dialogue->connector,
                           .why = why });
    }
    if (!dialogue->connector)
        find_nobody(dialogue);
}

/* --- What the engine asks ---------------------------------------------------------------- */

static void answer_sender(struct dialogue *dialogue, const struct smtp_mail *mail)
{
    struct answer_mail answer;

    answer_mail(dialogue->settings, dialogue->connector, &dialogue->client, mail, &answer);
    dialogue->decision = answer.decision;
    snprintf(
        dialogue->sender, sizeof dialogue->sender, "%.*s", BYTES_ARGS(answer.mail.sender.text));
    if (answer.rewritten) {
        char *header =
            header_sender_rewritten(dialogue->settings, dialogue->connector, &mail->sender);
        snprintf(dialogue->decision.why, sizeof dialogue->decision.why, "as <%.80s>%s: %.100s",
            answer.rewritten, header ? ", in the header too" : "", answer.decision.why);
        free(header);
    }
    free(answer.rewritten);
}

static void answer_recipient(struct dialogue *dialogue, const struct address *recipient)
{
    snprintf(
        dialogue->recipient, sizeof dialogue->recipient, "%.*s", BYTES_ARGS(recipient->text));
    rights_decide_recipient(dialogue->settings, dialogue->connector, &dialogue->client,
        recipient, &dialogue->resolved, &dialogue->decision);
}

static struct smtp_server_event answer_action(
    struct dialogue *dialogue, const struct smtp_server_action *action)
{
    static const struct verdict yes = { .code = 250 };
    const struct verdict *verdict = &yes;

    switch (action->type) {
    case SMTP_SERVER_CHECK_MAIL:
        answer_sender(dialogue, action->mail);
        break;
    case SMTP_SERVER_CHECK_RCPT:
        answer_recipient(dialogue, &action->rcpt->address);
        break;
    case SMTP_SERVER_CHECK_HELLO:
        return (struct smtp_server_event){ .type = SMTP_SERVER_DECIDED, .verdict = &yes };
    case SMTP_SERVER_REJECTED:
        dialogue->own_rule = action->rule;
        return (struct smtp_server_event){ .type = SMTP_SERVER_INPUT };
    default:
        return (struct smtp_server_event){ .type = SMTP_SERVER_INPUT };
    }
    dialogue->was_asked = true;
    verdict = &dialogue->decision.verdict;
    return (struct smtp_server_event){ .type = SMTP_SERVER_DECIDED, .verdict = verdict };
}

static void step(struct dialogue *dialogue, struct smtp_server_event event)
{
    struct smtp_server_actions actions;

    for (;;) {
        bool is_asked = false;
        size_t used = smtp_server_step(&dialogue->engine, &event, &actions, &dialogue->out);
        struct bytes rest =
            event.type == SMTP_SERVER_INPUT ? bytes_skip(event.input, used) : BYTES_NONE;
        for (unsigned i = 0; i < actions.count; i++) {
            struct smtp_server_event answer = answer_action(dialogue, &actions.list[i]);
            if (answer.type != SMTP_SERVER_DECIDED)
                continue;
            event = answer;
            is_asked = true;
        }
        if (is_asked)
            continue;
        if (rest.n == 0 || used == 0)
            return;
        event = (struct smtp_server_event){ .type = SMTP_SERVER_INPUT, .input = rest };
    }
}

/* What is said last, without CRLF. */
static void last_reply(const struct dialogue *dialogue, char out[LINE_BYTES])
{
    struct bytes text = buf_bytes(&dialogue->out);
    size_t at;

    while (text.n && (text.at[text.n - 1] == '\n' || text.at[text.n - 1] == '\r'))
        text.n--;
    for (at = text.n; at && text.at[at - 1] != '\n'; at--)
        ;
    snprintf(out, LINE_BYTES, "%.*s", BYTES_ARGS(bytes_skip(text, at)));
}

/* Says a line, and what came of it.  False: it was refused. */
static bool say(
    struct dialogue *dialogue, enum explain_stage stage, const char *about, const char *line)
{
    char reply[LINE_BYTES];
    bool is_yes;

    dialogue->was_asked = false;
    dialogue->own_rule = NULL;
    buf_clear(&dialogue->out);
    step(dialogue,
        (struct smtp_server_event){ .type = SMTP_SERVER_INPUT, .input = bytes_text(line) });
    last_reply(dialogue, reply);
    is_yes = reply[0] == '2';
    find(dialogue,
        (struct finding){ .stage = stage,
            .about = about,
            .is_yes = is_yes,
            .reply = reply,
            .rule = dialogue->was_asked ? dialogue->decision.rule : dialogue->own_rule,
            .why = dialogue->was_asked ? dialogue->decision.why : "" });
    return is_yes;
}

/* --- The dialogue ------------------------------------------------------------------------ */

static void know_client(struct dialogue *dialogue)
{
    const struct explain_question *question = dialogue->question;

    dialogue->client = (struct client){
        .user = question->user,
        .account = question->user ? account_find(dialogue->settings, question->user) : NULL,
        .has_certificate = dialogue->connector->asks_client_certificate &&
                           (question->has_certificate || question->is_partner),
        .is_partner = question->is_partner ||
                      (question->fingerprint &&
                          client_is_listed(dialogue->connector, question->fingerprint)),
        .is_tls = question->is_tls || question->has_certificate || question->is_partner ||
                  dialogue->connector->tls == TLS_MODE_IMPLICIT,
    };
    client_know(dialogue->settings, dialogue->connector, &dialogue->client);
}

static bool say_hello(struct dialogue *dialogue)
{
    const char *name = dialogue->question->helo ? dialogue->question->helo : "client.invalid";
    struct login_means means = { .has_binding = dialogue->client.is_tls,
        .has_certificate = dialogue->client.is_partner };
    char line[LINE_BYTES];

    dialogue->config.is_tls = dialogue->client.is_tls;
    answer_offer_auth(&dialogue->config, dialogue->connector, &means, dialogue->mechanisms);
    smtp_server_init(&dialogue->engine, &dialogue->config);
    step(dialogue, (struct smtp_server_event){ .type = SMTP_SERVER_OPENED });
    if (*name == '\0' && dialogue->config.tolerates_no_helo)
        return true; /* "": it says none at all */
    snprintf(line, sizeof line, "EHLO%s%.1000s\r\n", *name ? " " : "", name);
    if (!say(dialogue, EXPLAIN_HELLO, name, line))
        return false;
    dialogue->engine.is_authenticated = dialogue->client.user != NULL;
    return true;
}

/* Behind the rights of who could not have logged in, or maybe not. */
static const char *remark_on_user(const struct dialogue *dialogue)
{
    const struct client *client = &dialogue->client;

    if (!client->user || !dialogue->question->knows_accounts)
        return "";
    if (client->account)
        return client->account->is_disabled ? "; his account is disabled: no login succeeds"
                                            : "";
    return dialogue->settings->pam_service || dialogue->settings->kerberos_keytab
               ? "; there is no account of that name here: only PAM or Kerberos may know him"
               : "; there is no account of that name: no login succeeds";
}

static void find_rights(struct dialogue *dialogue)
{
    char text[500] = "", room[100];
    size_t n = 0;

    for (unsigned i = 0; i < RIGHT_COUNT && n < sizeof text; i++) {
        enum right right = 1 << i;
        const char *source = client_right_source(
            dialogue->settings, dialogue->connector, &dialogue->client, right, room);
        if (source)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s (%s)", n ? ", " : "",
                right_name(right), source);
    }
    if (n < sizeof text)
        snprintf(text + n, sizeof text - n, "%s%s", n ? "" : "none", remark_on_user(dialogue));
    find(dialogue, (struct finding){ .stage = EXPLAIN_RIGHTS,
                       .about = dialogue->client.user ? dialogue->client.user : "",
                       .is_yes = true,
                       .why = text });
}

/* --- Where it goes ----------------------------------------------------------------------- */

/* A message's ways. */
struct ways {
    const struct dialogue *dialogue;
    const struct route_facts *facts;
    const struct send_connector *first, *taken; /* another one than the first: that rests */
};

static bool is_resting(void *me, const struct send_connector *connector)
{
    const struct ways *ways = me;
    const struct explain_question *question = ways->dialogue->question;
    char queue[HOP_NAME_BYTES];

    if (!question->is_resting)
        return false;
    route_hop_name(connector, ways->facts->domain, queue);
    return question->is_resting(question->resting_me, queue);
}

/* What a connector's being down, or up, has to do with it. */
static void say_failover(const struct ways *ways, const struct send_connector *connector,
    const struct send_connector *second, char out[ROUTE_WHY_BYTES])
{
    size_t n = strlen(out);

    if (ways->taken != ways->first) {
        if (connector == ways->first)
            snprintf(out, ROUTE_WHY_BYTES, "it is down, so -> %.64s", ways->taken->name);
        else if (connector == ways->taken)
            snprintf(out, ROUTE_WHY_BYTES, "it stands in for %.64s, which is down",
                ways->first->name);
    } else if (connector == ways->first && second && !ways->dialogue->question->is_resting) {
        snprintf(out + n, ROUTE_WHY_BYTES - n,
            "; whether it is up only the daemon knows: if not, %.64s stands in", second->name);
    }
}

static void find_ways(struct dialogue *dialogue, const struct ways *ways)
{
    const struct settings *settings = dialogue->settings;
    const struct send_connector *second = NULL;
    char queue[HOP_NAME_BYTES], why[ROUTE_WHY_BYTES];

    if (ways->first && ways->first->failover)
        second = route_choose(settings, ways->facts, ways->first);
    for (size_t i = 0; i < settings->send_count; i++) {
        const struct send_connector *connector = &settings->send[i];
        route_why(settings, connector, ways->first, ways->facts, why);
        say_failover(ways, connector, second, why);
        route_hop_name(connector, ways->facts->domain, queue);
        find(dialogue, (struct finding){ .stage = EXPLAIN_ROUTE,
                           .about = connector->name,
                           .is_yes = connector == ways->taken,
                           .why = why,
                           .queue = queue });
    }
}

static void find_route(struct dialogue *dialogue, struct bytes recipient)
{
    struct route_facts facts = {
        .size_bytes = dialogue->question->size_bytes,
        .sender = bytes_text(dialogue->sender),
        .receive_name = bytes_text(dialogue->connector->name),
    };
    struct ways ways = { .dialogue = dialogue, .facts = &facts };
    char domain[IDNA_BYTES_MAX];

    route_domain(dialogue->settings, recipient, domain);
    facts.domain = bytes_text(domain);
    ways.first = route_choose(dialogue->settings, &facts, NULL);
    ways.taken = route_choose_up(dialogue->settings, &facts, is_resting, &ways);
    find_ways(dialogue, &ways);
    if (!ways.taken)
        find(dialogue, (struct finding){ .stage = EXPLAIN_ROUTE,
                           .about = "",
                           .why = "no send connector takes it: it waits until one does",
                           .queue = "unreachable" });
}

static void find_resolved(void *me, struct bytes address)
{
    struct dialogue *dialogue = me;
    char text[ADDRESS_BYTES_MAX + 1];

    snprintf(text, sizeof text, "%.*s", BYTES_ARGS(address));
    find(dialogue,
        (struct finding){
            .stage = EXPLAIN_RESOLVED, .about = text, .is_yes = true, .why = dialogue->about });
    find_route(dialogue, address);
}

static void find_recipient(struct dialogue *dialogue, const char *recipient)
{
    unsigned flags = ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY | ADDRESS_POSTMASTER;
    struct address address;
    char line[LINE_BYTES], about[100 + ADDRESS_BYTES_MAX];

    snprintf(line, sizeof line, "RCPT TO:<%.1000s>\r\n", recipient);
    if (!say(dialogue, EXPLAIN_RECIPIENT, recipient, line))
        return;
    if (address_parse(bytes_text(dialogue->recipient), flags, &address) != ADDRESS_OK)
        return; /* not reached: the engine parsed it */
    if (dialogue->resolved.kind == RESOLVED_ITSELF) {
        find_route(dialogue, address.text);
        return;
    }
    snprintf(about, sizeof about, "%s <%.254s>",
        dialogue->resolved.alias ? "by the alias" : "by catch_all for", recipient);
    dialogue->about = about;
    resolved_each(dialogue->settings, &dialogue->resolved, &address, find_resolved, dialogue);
}

/* RFC 6531, 3.4: whom SMTPUTF8 is needed for; a client that has it says it then. */
static bool needs_utf8(const struct explain_question *question)
{
    bool needs = text_has_8bit(bytes_text(question->sender));

    for (size_t i = 0; i < question->recipient_count; i++)
        needs |= text_has_8bit(bytes_text(question->recipients[i]));
    return needs;
}

static void find_mail(struct dialogue *dialogue)
{
    const struct explain_question *question = dialogue->question;
    char line[LINE_BYTES], size[40] = "";

    if (question->size_bytes)
        snprintf(size, sizeof size, " SIZE=%llu", (unsigned long long)question->size_bytes);
    snprintf(line, sizeof line, "MAIL FROM:<%.1000s>%s%s\r\n", question->sender, size,
        needs_utf8(question) ? " SMTPUTF8" : "");
    if (!say(dialogue, EXPLAIN_MAIL, question->sender, line))
        return;
    for (size_t i = 0; i < question->recipient_count; i++)
        find_recipient(dialogue, question->recipients[i]);
}

void explain(const struct settings *settings, const struct explain_question *question,
    void (*each)(void *me, const struct finding *finding), void *me)
{
    struct dialogue dialogue = {
        .settings = settings, .question = question, .each = each, .me = me
    };
    char *banner;

    if (!find_header(&dialogue))
        return;
    find_connectors(&dialogue);
    if (!dialogue.connector || dialogue.connector->is_internal)
        return;
    know_client(&dialogue);
    explain_limits(settings, question, dialogue.connector, &dialogue.client, each, me);
    banner = answer_banner(settings, dialogue.connector);
    dialogue.config = answer_config(settings, dialogue.connector, &dialogue.client, banner);
    buf_init(&dialogue.out, OUT_BYTES_MAX);
    if (say_hello(&dialogue)) {
        find_rights(&dialogue);
        if (question->sender)
            find_mail(&dialogue);
    }
    smtp_server_done(&dialogue.engine);
    buf_done(&dialogue.out);
    free(banner);
}
