/* relais explain: which connector, which right, which way, and why not the others. */
#include "ctl/link.h"
#include "ctl/print.h"
#include "ctl/tool.h"

#include "answer/explain_ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

struct listing {
    const struct tool *tool;
    char stage[20]; /* of the row before */
    bool any_no;    /* something was refused */
};

/* --- Rows -------------------------------------------------------------------------------- */

static const char *text_of(const struct ctl_object *row, const char *name)
{
    const char *text = ctl_text(row, name);
    return text ? text : "";
}

static void print_pair(const char *before, const char *text)
{
    if (!*text)
        return;
    printf("%s", before);
    print_clean(bytes_text(text));
}

/* A connector, or a way: the one that is taken stands out. */
static void print_choice(const struct ctl_object *row, bool is_yes)
{
    printf(" %s ", is_yes ? "->" : "  ");
    print_clean(bytes_text(*text_of(row, "about") ? text_of(row, "about") : "none"));
    print_pair(", queue ", is_yes ? text_of(row, "queue") : "");
    print_pair(": ", text_of(row, "why"));
    print_pair(" | ", text_of(row, "reply"));
    if (is_yes && *text_of(row, "status"))
        printf(" (%s, %lld messages)", text_of(row, "status"),
            (long long)ctl_number(row, "messages", 0));
    print_pair("; ", is_yes ? text_of(row, "error") : "");
}

/* How much there may be, and is. */
static void print_limit(const struct ctl_object *row)
{
    int64_t limit = ctl_number(row, "limit", 0), now = ctl_number(row, "now", -1);

    if (!limit)
        printf("    no limit on");
    else if (now < 0)
        printf("    at most %" PRId64, limit);
    else
        printf("    %" PRId64 " of %" PRId64, now, limit);
    print_pair(" ", text_of(row, "why"));
    print_pair(" | ", text_of(row, "reply"));
    print_pair(" | rule ", text_of(row, "rule"));
}

static void print_answer(const struct ctl_object *row)
{
    printf("    ");
    print_clean(bytes_text(text_of(row, "about")));
    print_pair(" | ", text_of(row, "reply"));
    print_pair(" | rule ", text_of(row, "rule"));
    print_pair(
        *text_of(row, "about") || *text_of(row, "reply") ? ": " : "", text_of(row, "why"));
}

static bool on_row(void *me, const struct ctl_object *row)
{
    struct listing *listing = me;
    const char *stage = text_of(row, "stage");
    bool is_yes = ctl_bool(row, "yes");
    bool is_choice = strcmp(stage, "connector") == 0 || strcmp(stage, "route") == 0;
    bool is_limit = strcmp(stage, "limits") == 0;

    listing->any_no |= !is_yes && (!is_choice || *text_of(row, "reply"));
    if (strcmp(stage, "connector") == 0 && !*text_of(row, "about"))
        listing->any_no = true; /* without a reply, too: nobody listens there */
    if (listing->tool->is_json) {
        print_json_row(row);
        return true;
    }
    printf("%-10s", strcmp(stage, listing->stage) == 0 && (is_choice || is_limit) ? "" : stage);
    snprintf(listing->stage, sizeof listing->stage, "%s", stage);
    if (is_choice)
        print_choice(row, is_yes);
    else if (is_limit)
        print_limit(row);
    else
        print_answer(row);
    putchar('\n');
    return true;
}

/* --- Without the daemon ------------------------------------------------------------------ */

static void on_finding(void *me, const struct finding *finding)
{
    struct ctl_object *row = explain_row(finding);

    on_row(me, row);
    ctl_free(row);
}

static int explain_from_file(
    struct tool *tool, bool is_down, const struct ctl_object *request, struct listing *listing)
{
    struct explain_request asked;
    char why[EXPLAIN_WHY_BYTES];
    const struct settings *settings;
    int code;

    settings = tool_settings_needed(tool, &code);
    if (!settings)
        return code;
    if (is_down && !tool->is_json)
        fputs("relais: the daemon is not running: this is what the configuration file says\n",
            stderr);
    if (!explain_read(settings, request, &asked, why))
        return tool_usage(tool, "%s", why);
    explain(settings, &asked.question, on_finding, listing);
    return EX_OK;
}

/* --- The command ------------------------------------------------------------------------- */

struct asked {
    const char *from, *via, *to, *helo, *user, *mail, *certificate;
    struct option_texts rcpt;
    uint64_t size;
    bool is_tls, is_partner, uses_file;
};

static struct ctl_object *request_of(const struct asked *asked)
{
    const struct {
        const char *name, *text;
    } texts[] = { { "from", asked->from }, { "via", asked->via }, { "to", asked->to },
        { "helo", asked->helo }, { "user", asked->user }, { "mail", asked->mail },
        { "certificate", asked->certificate } };
    struct ctl_object *request = link_request("explain");

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].text)
            ctl_set_text(request, texts[i].name, bytes_text(texts[i].text));
    }
    for (unsigned i = 0; i < asked->rcpt.count; i++)
        ctl_add_text(request, "rcpt", bytes_text(asked->rcpt.text[i]));
    ctl_set_bool(request, "tls", asked->is_tls);
    ctl_set_bool(request, "partner", asked->is_partner);
    ctl_set_number(request, "size", (int64_t)asked->size);
    return request;
}

/* Exit code: EX_NOPERM when something is refused, so that a script can ask. */
int cmd_explain(struct tool *tool, int argc, char **argv)
{
    struct asked asked = { .from = NULL };
    struct listing listing = { .tool = tool };
    struct link_reader reader = { on_row, &listing };
    const struct option options[] = {
        { "from-ip", 0, OPTION_TEXT, &asked.from, "ADDRESS", "of the client [127.0.0.1]" },
        { "via", 0, OPTION_TEXT, &asked.via, "ADDRESS",
            "of a balancer that hands it over by a PROXY header" },
        { "to", 0, OPTION_TEXT, &asked.to, "ADDR:PORT",
            "or :PORT, unix:PATH [the first binding's port]" },
        { "helo", 0, OPTION_TEXT, &asked.helo, "NAME", "what it says in EHLO" },
        { "user", 0, OPTION_TEXT, &asked.user, "NAME", "as if it had logged in" },
        { "tls", 0, OPTION_FLAG, &asked.is_tls, NULL, "as if it had started TLS" },
        { "cert", 0, OPTION_TEXT, &asked.certificate, "FINGERPRINT",
            "as if it had shown that client certificate; \"unknown\": one that nobody knows" },
        { "partner", 0, OPTION_FLAG, &asked.is_partner, NULL,
            "as if it had shown a client certificate that is known" },
        { "mail", 0, OPTION_TEXT, &asked.mail, "ADDRESS", "the sender; \"\" is the null one" },
        { "rcpt", 0, OPTION_TEXTS, &asked.rcpt, "ADDRESS", "a recipient; may be repeated" },
        { "size", 0, OPTION_SIZE, &asked.size, "SIZE", "of the message" },
        { "file", 0, OPTION_FLAG, &asked.uses_file, NULL,
            "by the configuration file, not by the daemon" },
    };
    struct ctl_object *request;
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (argc > 0)
        return tool_usage(tool, "'%.60s' is too much%s%.60s%s", argv[0],
            asked.uses_file ? ": --file takes no name; relais -c " : "",
            asked.uses_file ? argv[0] : "", asked.uses_file ? " explain --file does" : "");
    if (asked.rcpt.count && !asked.mail)
        return tool_usage(tool, "a recipient needs a sender: --mail");
    request = request_of(&asked);
    code = LINK_DOWN;
    if (!asked.uses_file) {
        struct ctl_object *sent = request_of(&asked);
        code = link_ask(tool, &sent, &reader, NULL);
    }
    if (code == LINK_DOWN)
        code = explain_from_file(tool, !asked.uses_file, request, &listing);
    ctl_free(request);
    return code == EX_OK && listing.any_no ? EX_NOPERM : code;
}
