/* `message show`. */
#include "ctl/link.h"
#include "ctl/offline.h"
#include "ctl/print.h"
#include "ctl/tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>

/* --- Content ----------------------------------------------------------------------------- */

struct content {
    struct buf bytes;
    bool only_header; /* stop behind the empty line */
    enum err err;
};

/* Where the header ends, its empty line included; or all there is. */
static struct bytes header_of(struct bytes content)
{
    const uint8_t *end = content.n ? memmem(content.at, content.n, "\r\n\r\n", 4) : NULL;

    return end ? bytes_first(content, (size_t)(end - content.at) + 4) : content;
}

static bool on_chunk(void *me, const struct ctl_object *row)
{
    struct content *content = me;

    content->err = ctl_data(row, "data", &content->bytes);
    if (content->err != OK)
        return false;
    return !content->only_header || header_of(buf_bytes(&content->bytes)).n == content->bytes.n;
}

static int ask_content(struct tool *tool, const char *id, struct content *content)
{
    struct link_reader reader = { on_chunk, content };
    struct ctl_object *request = link_request("export");
    int code;

    ctl_set_text(request, "id", bytes_text(id));
    code = link_ask(tool, &request, &reader, NULL);
    if (code == EX_OK && content->err != OK)
        return tool_fail(tool, EX_PROTOCOL, "the daemon's answer: %s", err_text(content->err));
    return code;
}

/* --- Show -------------------------------------------------------------------------------- */

static void print_text(const struct ctl_object *row, const char *title, const char *name)
{
    const char *text = ctl_text(row, name);

    if (text && text[0])
        print_fact(title, "%s", text);
}

static void print_recipients(const struct ctl_object *row)
{
    for (size_t i = 0; i < ctl_list_count(row, "recipients"); i++) {
        struct ctl_object *recipient = ctl_list_object(row, "recipients", i);
        const char *address, *outcome, *queue, *error;
        if (!recipient)
            continue;
        address = ctl_text(recipient, "address");
        outcome = ctl_text(recipient, "outcome");
        queue = ctl_text(recipient, "queue");
        error = ctl_text(recipient, "last_error");
        print_fact(i ? "" : "to", "<%s> %s%s%s%s%s", address ? address : "?",
            outcome ? outcome : "?", queue ? ", queue " : "", queue ? queue : "",
            error ? ": " : "", error ? error : "");
        ctl_free(recipient);
    }
}

/* Who is to deliver it, and who else has it. */
static void print_standing(const struct ctl_object *row)
{
    size_t places = ctl_list_count(row, "copies_at");
    char text[1200] = "";
    size_t at = 0;

    if (ctl_text(row, "held_for") || ctl_text(row, "held_for_store")) {
        print_text(row, "held for", "held_for");
        print_text(row, "of its store", "held_for_store");
    }
    for (size_t i = 0; i < places && at < sizeof text; i++) {
        const char *place = ctl_list_text(row, "copies_at", i);
        at += (size_t)snprintf(
            text + at, sizeof text - at, "%s%s", i ? ", " : "", place ? place : "?");
    }
    if (places)
        print_fact("copies at", "%s", text);
    print_text(row, "one copy", "single");
    print_text(row, "taken over from", "taken_from");
    if (ctl_number(row, "generation", 0))
        print_fact("generation", "%" PRId64, ctl_number(row, "generation", 0));
}

static void print_envelope(const struct ctl_object *row)
{
    char age[PRINT_NUMBER_BYTES], size[PRINT_NUMBER_BYTES];
    const char *from = ctl_text(row, "from"), *arrived = ctl_text(row, "arrived");

    print_age(ctl_number(row, "age_s", -1), age);
    print_size((uint64_t)ctl_number(row, "size", 0), size);
    print_text(row, "id", "id");
    print_fact("from", "<%s>", from ? from : "");
    print_recipients(row);
    print_fact("arrived", "%s, %s ago", arrived ? arrived : "?", age);
    print_fact("size", "%s (%" PRId64 " bytes)", size, ctl_number(row, "size", 0));
    print_text(row, "status", "status");
    print_text(row, "queue", "queue");
    print_standing(row);
    if (ctl_number(row, "attempts", 0))
        print_fact("attempts", "%" PRId64, ctl_number(row, "attempts", 0));
    print_text(row, "last error", "last_error");
    if (ctl_bool(row, "unread"))
        print_fact("envelope", "not read, for relaisd crashed while it did");
    print_text(row, "connector", "connector");
    print_text(row, "client", "client_name");
    print_text(row, "client address", "client_ip");
    print_text(row, "user", "client_user");
    print_text(row, "session", "session");
    print_text(row, "message-id", "message_id");
    print_text(row, "envelope id", "envid");
}

static void show(const struct tool *tool, struct ctl_object *row, const struct content *content,
    bool wants_body)
{
    struct bytes all = buf_bytes(&content->bytes), header = header_of(all);

    if (tool->is_json) {
        ctl_set_text(row, "header", header);
        if (wants_body)
            ctl_set_text(row, "content", bytes_skip(all, header.n));
        print_json_row(row);
        return;
    }
    print_envelope(row);
    putchar('\n');
    print_clean(wants_body ? all : header);
}

/* Envelope and content, from the daemon or else from the spool. */
static int get(struct tool *tool, const char *id, struct mid mid, struct ctl_object **row,
    struct content *content)
{
    struct ctl_object *request = link_request("message");
    int code;

    ctl_set_text(request, "id", bytes_text(id));
    code = link_ask(tool, &request, NULL, row);
    if (code == EX_OK)
        code = ask_content(tool, id, content);
    if (code != LINK_DOWN)
        return code;
    offline_say(tool);
    ctl_free(*row);
    *row = NULL;
    buf_clear(&content->bytes);
    return offline_message(tool, mid, row, &content->bytes);
}

/* The command's OPTIONS, and one id.  False: *code is what to end with. */
static bool read_arguments(struct tool *tool, int *argc, char **argv,
    const struct option *options, size_t count, struct mid *mid, int *code)
{
    if (!tool_options(tool, argc, argv, options, count, code))
        return false;
    if (*argc == 1)
        return tool_mid(tool, argv[0], mid, code);
    *code = tool_usage(tool, "one message id is needed");
    return false;
}

int cmd_message_show(struct tool *tool, int argc, char **argv)
{
    bool wants_body = false;
    const struct option options[] = {
        { "body", 'b', OPTION_FLAG, &wants_body, NULL, "the body too" },
    };
    struct content content = { .err = OK };
    struct ctl_object *row = NULL;
    struct mid mid;
    int code;

    if (!read_arguments(tool, &argc, argv, options, OPTION_COUNT(options), &mid, &code))
        return code;
    content.only_header = !wants_body;
    buf_init(&content.bytes, OFFLINE_BYTES_MAX);
    code = get(tool, argv[0], mid, &row, &content);
    if (code == EX_OK && row)
        show(tool, row, &content, wants_body);
    ctl_free(row);
    buf_done(&content.bytes);
    return code;
}
