/* `test-open-relay`: whether strangers may send to strangers (AD-5).
 *
 * First every receive connector is asked about, with addresses of strangers in its ranges: by the
 * daemon's own `explain`, which is the code that live sessions run.  Then every open port is tried by
 * SMTP from here, up to RCPT: what it says must be what explain says for this host's address.
 *
 *     closed    no stranger's mail to strangers is taken
 *     relays    it is, from ranges that somebody wrote down for that: a right says so
 *     unsure    a port could not be tried
 *     OPEN      it is, from the whole Internet or a wide part of it, or without a right */
#include "ctl/link.h"
#include "ctl/open_relay.h"
#include "ctl/print.h"
#include "ctl/tool.h"

#include "answer/explain_ctl.h"
#include "base/mem.h"
#include "policy/balancer.h"
#include "policy/client.h"
#include "policy/limits.h"
#include "policy/rights.h"
#include "policy/wide.h"

#include <assert.h>
#include <stdlib.h>
#include <sysexits.h>

enum { RANGES_MAX = 200, EXIT_OPEN = 1, ANSWER_MS = 30000 };
enum judgement { CLOSED, RELAYS, UNSURE, OPEN };

void open_relay_tricks(const char *ours, struct open_relay_trick out[OPEN_RELAY_TRICKS])
{
    static const struct {
        const char *what, *before, *behind; /* OURS between them, when BEHIND is there */
        bool is_ours;
    } tricks[OPEN_RELAY_TRICKS] = {
        { "a foreign address", "victim@" OPEN_RELAY_FOREIGN, NULL, false },
        { "a foreign address with a dot", "victim@" OPEN_RELAY_FOREIGN ".", NULL, false },
        { "an address literal", "victim@[198.51.100.25]", NULL, false },
        { "a source route", "@", ":victim@" OPEN_RELAY_FOREIGN, false },
        { "an at sign behind ours", "victim@", "@" OPEN_RELAY_FOREIGN, false },
        { "percent", "victim%" OPEN_RELAY_FOREIGN "@", "", true },
        { "exclamation mark", OPEN_RELAY_FOREIGN "!victim@", "", true },
        { "a quoted address", "\"victim@" OPEN_RELAY_FOREIGN "\"@", "", true },
        { "quoted percent", "\"victim%" OPEN_RELAY_FOREIGN "\"@", "", true },
        { "two at signs", "victim@" OPEN_RELAY_FOREIGN "@", "", true },
    };

    for (unsigned i = 0; i < OPEN_RELAY_TRICKS; i++) {
        out[i].what = tricks[i].what;
        out[i].is_ours = tricks[i].is_ours;
        snprintf(out[i].path, sizeof out[i].path, "%s%s%s", tricks[i].before,
            tricks[i].behind ? ours : "", tricks[i].behind ? tricks[i].behind : "");
    }
}

void open_relay_senders(const char *ours, char own[OPEN_RELAY_PATH_BYTES], const char *out[4])
{
    snprintf(own, OPEN_RELAY_PATH_BYTES, "postmaster@%s", ours);
    out[0] = OPEN_RELAY_SENDER;
    out[1] = "";
    out[2] = own;
    out[3] = NULL;
}

/* --- Asking ------------------------------------------------------------------------------ */

struct test {
    struct tool *tool;
    const struct settings *settings;
    struct open_relay_trick tricks[OPEN_RELAY_TRICKS];
    const char *ours;
    char via[IP_TEXT_BYTES]; /* the balancer that clients come through; "": by themselves */
    bool uses_file;          /* the daemon is down */
    int failed;              /* an exit code: asking did not work */
    enum judgement worst;
};

/* What explain says of one client and sender. */
struct answer {
    const struct test *test;
    char connector[80];
    bool accepted[OPEN_RELAY_TRICKS];
    bool has_none[OPEN_RELAY_TRICKS]; /* its session, or its message, was full before */
    char rule[40], why[300];          /* of the first that was accepted and is foreign */
    bool is_open;
};

static void on_recipient(struct answer *answer, const struct ctl_object *row)
{
    const struct open_relay_trick *tricks = answer->test->tricks;
    const char *about = ctl_text(row, "about"), *reply = ctl_text(row, "reply");

    for (unsigned i = 0; about && i < OPEN_RELAY_TRICKS; i++) {
        if (strcmp(tricks[i].path, about) != 0)
            continue;
        answer->accepted[i] = ctl_bool(row, "yes");
        answer->has_none[i] = !answer->accepted[i] && (!reply || reply[0] != '5');
        if (!answer->accepted[i] || tricks[i].is_ours || answer->is_open)
            continue;
        answer->is_open = true;
        snprintf(answer->rule, sizeof answer->rule, "%s",
            ctl_text(row, "rule") ? ctl_text(row, "rule") : "");
        snprintf(answer->why, sizeof answer->why, "%s",
            ctl_text(row, "why") ? ctl_text(row, "why") : "");
    }
}

static bool on_row(void *me, const struct ctl_object *row)
{
    struct answer *answer = me;
    const char *stage = ctl_text(row, "stage");

    if (stage && strcmp(stage, "connector") == 0 && ctl_bool(row, "yes"))
        snprintf(answer->connector, sizeof answer->connector, "%s", ctl_text(row, "about"));
    if (stage && strcmp(stage, "recipient") == 0)
        on_recipient(answer, row);
    return true;
}

static void on_finding(void *me, const struct finding *finding)
{
    struct ctl_object *row = explain_row(finding);

    on_row(me, row);
    ctl_free(row);
}

static int ask_file(
    const struct test *test, const struct ctl_object *request, struct answer *out)
{
    struct explain_request asked;
    char why[EXPLAIN_WHY_BYTES];

    if (!explain_read(test->settings, request, &asked, why))
        return tool_fail(test->tool, EX_SOFTWARE, "%s", why);
    explain(test->settings, &asked.question, on_finding, out);
    return EX_OK;
}

static struct ctl_object *question(
    const struct test *test, const char *from, const char *to, const char *sender, bool is_tls)
{
    struct ctl_object *request = link_request("explain");

    ctl_set_text(request, "from", bytes_text(from));
    if (test->via[0])
        ctl_set_text(request, "via", bytes_text(test->via));
    ctl_set_text(request, "to", bytes_text(to));
    ctl_set_text(request, "helo", BYTES(OPEN_RELAY_FOREIGN));
    ctl_set_text(request, "mail", bytes_text(sender));
    ctl_set_bool(request, "tls", is_tls);
    for (unsigned i = 0; i < OPEN_RELAY_TRICKS; i++)
        ctl_add_text(request, "rcpt", bytes_text(test->tricks[i].path));
    return request;
}

static bool ask(struct test *test, const char *from, const char *to, const char *sender,
    bool is_tls, struct answer *out)
{
    struct link_reader reader = { on_row, out };
    struct ctl_object *request = question(test, from, to, sender, is_tls);
    int code = LINK_DOWN;

    *out = (struct answer){ .test = test };
    if (!test->uses_file) {
        struct ctl_object *sent = question(test, from, to, sender, is_tls);
        code = link_ask(test->tool, &sent, &reader, NULL);
        if (code == LINK_DOWN) {
            test->uses_file = true;
            fputs("relais test-open-relay: the daemon is not running: this is what the "
                  "configuration file says\n",
                stderr);
        }
    }
    if (code == LINK_DOWN)
        code = ask_file(test, request, out);
    ctl_free(request);
    if (code != EX_OK && !test->failed)
        test->failed = code;
    return code == EX_OK;
}

/* --- Saying ------------------------------------------------------------------------------ */

static void say(struct test *test, enum judgement judgement, const char *connector,
    const char *about, const char *text)
{
    static const char *const words[] = { "closed", "relays", "unsure", "OPEN" };

    if (judgement > test->worst)
        test->worst = judgement;
    if (test->tool->is_json) {
        struct ctl_object *row = ctl_new();
        ctl_set_text(row, "judgement", bytes_text(words[judgement]));
        ctl_set_text(row, "connector", bytes_text(connector));
        ctl_set_text(row, "about", bytes_text(about));
        ctl_set_text(row, "text", bytes_text(text));
        print_json_row(row);
        ctl_free(row);
        return;
    }
    printf("%-6s  ", words[judgement]);
    print_clean(bytes_text(connector));
    printf(" (");
    print_clean(bytes_text(about));
    printf("): ");
    print_clean(bytes_text(text));
    putchar('\n');
}

/* --- Connectors -------------------------------------------------------------------------- */

static void endpoint_text(struct ip ip, uint16_t port, char out[80])
{
    char text[IP_TEXT_BYTES];

    ip_format(ip, text);
    snprintf(out, 80, ip_is_v4(ip) ? "%s:%u" : "[%s]:%u", text, port);
}

/* Where clients cannot come by themselves, they come through the first of the balancers. */
static void find_balancer(
    struct test *test, const struct open_relay_client *client, uint16_t port)
{
    struct arrival arrival = { .local = client->local, .peer = client->ip, .port = port };
    const struct listener_options *listener = balancer_listener(test->settings, &arrival);
    struct decision decision;

    test->via[0] = 0;
    if (listener && listener->balancer_count &&
        !balancer_takes(test->settings, &arrival, false, "", &decision))
        ip_format(listener->balancers[0].first, test->via);
}

/* A client of RANGE that CONNECTOR takes, by the first of its ports that he can come to. */
static bool find_client(const struct test *test, const struct receive_connector *connector,
    struct ip_range range, struct open_relay_client *client, uint16_t *port)
{
    for (size_t i = 0; i < connector->binding_count; i++) {
        const struct binding *binding = &connector->bindings[i];
        *port = binding->port;
        if (!binding->is_unix &&
            open_relay_find_client(test->settings, connector, binding, range, client))
            return true;
    }
    return false;
}

/* What strangers can do who are CLIENT, the one of RANGE that was found. */
static enum judgement judge_client(struct test *test, const struct receive_connector *connector,
    struct ip_range range, const struct open_relay_client *client, uint16_t port,
    struct answer *out)
{
    char from[IP_TEXT_BYTES], to[80], own[OPEN_RELAY_PATH_BYTES];
    const char *senders[4];
    bool is_explicit;

    ip_format(client->ip, from);
    endpoint_text(client->local, port, to);
    find_balancer(test, client, port);
    open_relay_senders(test->ours, own, senders);
    for (unsigned s = 0; senders[s]; s++) {
        if (!ask(test, from, to, senders[s], connector->tls != TLS_MODE_OFF, out))
            return CLOSED;
        if (out->is_open && strcmp(out->connector, connector->name) == 0)
            break;
    }
    if (!out->is_open || strcmp(out->connector, connector->name) != 0)
        return CLOSED;
    is_explicit = strcmp(out->rule, right_name(RIGHT_ANY_RECIPIENT)) == 0;
    return !is_explicit || (client->is_public && range_is_wide(range)) ? OPEN : RELAYS;
}

static void say_open(struct test *test, enum judgement judgement,
    const struct receive_connector *connector, struct ip_range range,
    const struct answer *answer)
{
    char about[IP_RANGE_TEXT_BYTES], text[700];

    ip_range_format(range, about);
    snprintf(text, sizeof text, "strangers' mail to strangers is taken: rule %s%s%s (%s:%d)",
        answer->rule, answer->why[0] ? ", " : "", answer->why, connector->source.file,
        connector->source.line);
    say(test, judgement, connector->name, about, text);
}

/* The widest first: where there are more than are tried, those are what strangers are in. */
static int compare_ranges(const void *a, const void *b)
{
    const struct ip_range *one = a, *other = b;
    unsigned one_bits = range_bits(*one), other_bits = range_bits(*other);

    return one_bits != other_bits ? (one_bits > other_bits ? -1 : 1)
                                  : ip_compare(one->first, other->first);
}

/* Ranges that narrower ones of other connectors have all of are nobody's, and count as tried. */
static void test_connector(struct test *test, const struct receive_connector *connector)
{
    size_t all = connector->range_count, count = all < RANGES_MAX ? all : RANGES_MAX;
    struct ip_range *ranges = mem_copy(connector->ranges, all * sizeof *ranges);
    bool any = false;
    char text[100];

    qsort(ranges, all, sizeof *ranges, compare_ranges);
    for (size_t i = 0; i < count && !test->failed; i++) {
        struct open_relay_client client;
        struct answer answer;
        enum judgement judgement;
        uint16_t port;
        if (!find_client(test, connector, ranges[i], &client, &port))
            continue;
        judgement = judge_client(test, connector, ranges[i], &client, port, &answer);
        any |= judgement != CLOSED;
        if (judgement != CLOSED)
            say_open(test, judgement, connector, ranges[i], &answer);
    }
    free(ranges);
    if (any || test->failed)
        return;
    snprintf(text, sizeof text, "%zu of %zu ranges tried, %d tricks each", count, all,
        OPEN_RELAY_TRICKS);
    say(test, CLOSED, connector->name, "all ranges", text);
}

static bool has_tcp(const struct receive_connector *connector)
{
    for (size_t i = 0; i < connector->binding_count; i++) {
        if (!connector->bindings[i].is_unix)
            return true;
    }
    return false;
}

/* --- Live -------------------------------------------------------------------------------- */

/* Where explain and the wire do not agree; NULL: they do. */
static const struct open_relay_trick *find_difference(struct test *test, const char *to,
    const struct open_relay_live *live, struct answer *answer)
{
    char own[OPEN_RELAY_PATH_BYTES];
    const char *senders[4];
    struct answer open = { .is_open = false };

    open_relay_senders(test->ours, own, senders);
    for (unsigned s = 0; senders[s]; s++) {
        if (!ask(test, live->client, to, senders[s], live->is_tls, answer))
            return NULL;
        for (unsigned t = 0; t < OPEN_RELAY_TRICKS; t++) {
            if (live->fate[s][t] != OPEN_RELAY_NO_ANSWER && !answer->has_none[t] &&
                answer->accepted[t] != (live->fate[s][t] == OPEN_RELAY_ACCEPTED))
                return &test->tricks[t];
        }
        if (answer->is_open)
            open = *answer;
    }
    if (open.is_open)
        *answer = open;
    return NULL;
}

static bool is_bound_to(const struct receive_connector *connector, uint16_t port)
{
    for (size_t i = 0; i < connector->binding_count; i++) {
        if (!connector->bindings[i].is_unix && connector->bindings[i].port == port)
            return connector->enabled && !connector->is_internal;
    }
    return false;
}

/* Half of what the connector takes from one source: others here go on with their work. */
static unsigned connections_to(const struct receive_connector *connector)
{
    struct limits_connections facts = { .of_source = 0 };

    while (
        facts.of_source < 2 * OPEN_RELAY_LANES_MAX && !limits_of_connection(connector, &facts))
        facts.of_source++;
    return facts.of_source > 1 ? facts.of_source / 2 : 1;
}

/* Who waits for a refusal in a tarpit is told how long that may take. */
static void say_pace(const char *to, int64_t tarpit_ms, unsigned at_once)
{
    unsigned tricks = 3 * OPEN_RELAY_TRICKS, rounds = (tricks + at_once - 1) / at_once;
    char each[32], all[32];

    assert(at_once);
    duration_format(tarpit_ms, each);
    duration_format((rounds + 1) * tarpit_ms, all);
    fprintf(stderr,
        "relais test-open-relay: %s: refusals wait %s in the tarpit: this may take %s\n", to,
        each, all);
}

/* By the strictest of the connectors that may be there. */
static struct open_relay_pace pace_of(const struct test *test, const char *to, uint16_t port)
{
    struct open_relay_pace pace = { .at_once = OPEN_RELAY_LANES_MAX };
    int64_t tarpit_ms = 0;

    for (size_t i = 0; i < test->settings->receive_count; i++) {
        const struct receive_connector *connector = &test->settings->receive[i];
        unsigned count;
        if (!is_bound_to(connector, port))
            continue;
        count = connections_to(connector);
        if (count < pace.at_once)
            pace.at_once = count;
        if (connector->tarpit_ms > tarpit_ms)
            tarpit_ms = connector->tarpit_ms;
    }
    pace.answer_ms = ANSWER_MS + tarpit_ms;
    if (tarpit_ms)
        say_pace(to, tarpit_ms, pace.at_once);
    return pace;
}

/* What is said of a pass that found nothing open. */
static void say_closed(struct test *test, const struct open_relay_live *live,
    const char *connector, const char *about)
{
    bool any_answer = false, any_sender = false;
    char text[400];

    for (unsigned s = 0; s < 3; s++) {
        any_sender |= !live->is_sender_refused[s];
        for (unsigned t = 0; t < OPEN_RELAY_TRICKS; t++)
            any_answer |= live->fate[s][t] != OPEN_RELAY_NO_ANSWER;
    }
    if (!any_answer)
        snprintf(text, sizeof text, "not tried: no answer to RCPT");
    else if (!any_sender)
        snprintf(text, sizeof text, "no sender is taken: %s", live->remark);
    else
        snprintf(text, sizeof text, "%d tricks refused, or taken as mailboxes of ours",
            OPEN_RELAY_TRICKS);
    say(test, any_answer ? CLOSED : UNSURE, connector, about, text);
}

static void say_not_tried(struct test *test, const struct open_relay_live *live, const char *to)
{
    char about[200], text[400];

    snprintf(about, sizeof about, "live at %s%s", to, live->is_tls ? ", by TLS" : "");
    snprintf(text, sizeof text, "%s%s", live->is_refused ? "" : "not tried: ", live->remark);
    say(test, live->is_refused ? CLOSED : UNSURE, "-", about, text);
}

static void try_live(struct test *test, const char *host, uint16_t port)
{
    struct open_relay_target target = { test->settings, host, port, test->ours, test->tricks,
        { 0, 0 } };
    const struct open_relay_trick *different;
    struct open_relay_live live;
    struct answer answer = { .is_open = false };
    char about[400], to[120], text[900];

    snprintf(to, sizeof to, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    target.pace = pace_of(test, to, port);
    if (!open_relay_try(&target, &live)) {
        say_not_tried(test, &live, to);
        return;
    }
    test->via[0] = 0;
    different = find_difference(test, to, &live, &answer);
    snprintf(about, sizeof about, "live at %s from %s%s", to, live.client,
        live.is_tls ? ", by TLS" : "");
    if (test->failed)
        return;
    if (different) {
        snprintf(text, sizeof text, "%s, <%s>, is not answered as explain says",
            different->what, different->path);
        say(test, OPEN, answer.connector, about, text);
    } else if (answer.is_open) {
        snprintf(text, sizeof text, "this host may send to strangers: rule %s", answer.rule);
        say(test, RELAYS, answer.connector, about, text);
    } else {
        say_closed(test, &live, answer.connector, about);
    }
}

/* Each port once, whichever connectors share it. */
static bool was_tried(const struct test *test, size_t connector, size_t binding)
{
    const struct binding *wanted = &test->settings->receive[connector].bindings[binding];

    for (size_t i = 0; i <= connector; i++) {
        const struct receive_connector *other = &test->settings->receive[i];
        size_t end = i == connector ? binding : other->binding_count;
        for (size_t b = 0; b < end; b++) {
            const struct binding *tried = &other->bindings[b];
            if (other->enabled && !other->is_internal && !tried->is_unix &&
                tried->port == wanted->port && tried->is_any == wanted->is_any &&
                ip_compare(tried->ip, wanted->ip) == 0)
                return true;
        }
    }
    return false;
}

static void try_connector_live(struct test *test, size_t at)
{
    const struct receive_connector *connector = &test->settings->receive[at];

    for (size_t i = 0; i < connector->binding_count && !test->failed; i++) {
        const struct binding *binding = &connector->bindings[i];
        static const struct ip none;
        char host[IP_TEXT_BYTES] = "127.0.0.1";
        struct ip any_v4;
        if (binding->is_unix || was_tried(test, at, i))
            continue;
        if (!binding->is_any && ip_parse(BYTES("0.0.0.0"), &any_v4) &&
            ip_compare(binding->ip, any_v4) != 0)
            ip_format(binding->ip, host);
        if (!binding->is_any && ip_compare(binding->ip, none) == 0)
            snprintf(host, sizeof host, "::1");
        try_live(test, host, binding->port);
    }
}

/* ------------------------------------------------------------------------------------------ */

/* A domain that is ours by name: what tricks hide behind. */
static const char *domain_of_ours(const struct settings *settings)
{
    for (size_t i = 0; i < settings->domain_count; i++) {
        if (settings->domains[i].pattern[0] != '*')
            return settings->domains[i].pattern;
    }
    return settings->fqdn;
}

/* A domain "*" makes everything ours. */
static void test_domains(struct test *test)
{
    const struct accepted_domain *domain =
        accepted_domain_find(test->settings, BYTES(OPEN_RELAY_FOREIGN));
    char text[500];

    if (!domain)
        return;
    snprintf(text, sizeof text, "takes every domain there is (%s:%d)", domain->source.file,
        domain->source.line);
    say(test, OPEN, "-", "accepted_domain \"*\"", text);
}

static int run(struct test *test, bool is_live)
{
    const struct settings *settings = test->settings;

    test->ours = domain_of_ours(settings);
    open_relay_tricks(test->ours, test->tricks);
    test_domains(test);
    for (size_t i = 0; i < settings->receive_count && !test->failed; i++) {
        const struct receive_connector *connector = &settings->receive[i];
        if (connector->enabled && !connector->is_internal && has_tcp(connector))
            test_connector(test, connector);
    }
    for (size_t i = 0; is_live && i < settings->receive_count && !test->failed; i++) {
        if (settings->receive[i].enabled && !settings->receive[i].is_internal &&
            !test->uses_file)
            try_connector_live(test, i);
    }
    if (test->failed)
        return test->failed;
    return test->worst == OPEN ? EXIT_OPEN : test->worst == UNSURE ? EX_TEMPFAIL : EX_OK;
}

int cmd_test_open_relay(struct tool *tool, int argc, char **argv)
{
    struct test test = { .tool = tool };
    bool no_live = false;
    const struct option options[] = {
        { "no-live", 0, OPTION_FLAG, &no_live, NULL, "does not connect to the ports" },
    };
    int code;

    if (!tool_options_only(tool, argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    test.settings = tool_settings_needed(tool, &code);
    return test.settings ? run(&test, !no_live) : code;
}
