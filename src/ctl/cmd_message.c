/* `message show` and `message export`. */
#include "ctl/cmdlet.h"
#include "ctl/link.h"
#include "ctl/offline.h"
#include "ctl/print.h"
#include "ctl/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum { CONTENT_BYTES_MAX = 1 << 30 };

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

static bool parse_id(struct tool *tool, const char *text, struct mid *mid, int *code)
{
    if (mid_parse(bytes_text(text), mid))
        return true;
    *code = tool_usage(tool, "'%.60s' is not a message id: 32 hexadecimal digits", text);
    return false;
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
        return parse_id(tool, argv[0], mid, code);
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
    buf_init(&content.bytes, CONTENT_BYTES_MAX);
    code = get(tool, argv[0], mid, &row, &content);
    if (code == EX_OK && row)
        show(tool, row, &content, wants_body);
    ctl_free(row);
    buf_done(&content.bytes);
    return code;
}

/* --- Export ------------------------------------------------------------------------------ */

static int write_all(struct tool *tool, int fd, struct bytes bytes)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.at, bytes.n);
        if (n > 0)
            bytes = bytes_skip(bytes, (size_t)n);
        else if (n < 0 && errno != EINTR)
            return tool_fail(tool, EX_IOERR, "writing failed: %s", strerror(errno));
    }
    return EX_OK;
}

/* A file that is there already is not touched: it may be another message. */
static int write_out(struct tool *tool, const char *path, struct bytes bytes)
{
    int fd, code;

    if (!path || strcmp(path, "-") == 0)
        return write_all(tool, STDOUT_FILENO, bytes);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return tool_fail(tool, EX_CANTCREAT, "%s: %s", path, strerror(errno));
    code = write_all(tool, fd, bytes);
    if (close(fd) != 0 && code == EX_OK)
        code = tool_fail(tool, EX_IOERR, "%s: %s", path, strerror(errno));
    return code;
}

static int export_one(struct tool *tool, const char *id, struct mid mid, const char *path)
{
    struct content content = { .err = OK };
    struct ctl_object *row = NULL;
    int code;

    buf_init(&content.bytes, CONTENT_BYTES_MAX);
    code = ask_content(tool, id, &content);
    if (code == LINK_DOWN) {
        offline_say(tool);
        code = offline_message(tool, mid, &row, &content.bytes);
    }
    if (code == EX_OK)
        code = write_out(tool, path, buf_bytes(&content.bytes));
    ctl_free(row);
    buf_done(&content.bytes);
    return code;
}

/* The ids of those a filter fits, one behind the other. */
static bool on_id(void *me, const struct ctl_object *row)
{
    struct buf *ids = me;
    const char *id = ctl_text(row, "id");

    return id && strlen(id) + 1 == ID_TEXT_BYTES &&
           buf_add(ids, bytes_of(id, ID_TEXT_BYTES)) == OK;
}

static int ask_ids(struct tool *tool, const char *filter, struct buf *ids)
{
    struct link_reader reader = { on_id, ids };
    struct ctl_object *request = link_request("queue");
    int code;

    ctl_set_text(request, "filter", bytes_text(filter));
    ctl_set_number(request, "limit", -1);
    code = link_ask(tool, &request, &reader, NULL);
    return code == LINK_DOWN ? link_needed(tool) : code;
}

/* Each as FOLDER/ID.eml.  What leaves the queue meanwhile is told and passed over. */
static int export_filtered(struct tool *tool, const char *filter, const char *folder)
{
    struct buf ids;
    int code, worst = EX_OK;
    size_t count = 0;

    buf_init(&ids, CONTENT_BYTES_MAX);
    code = ask_ids(tool, filter, &ids);
    for (size_t at = 0; code == EX_OK && at < ids.n; at += ID_TEXT_BYTES) {
        const char *id = (const char *)ids.at + at;
        char path[4200];
        struct mid mid;
        if (!mid_parse(bytes_text(id), &mid))
            continue;
        snprintf(path, sizeof path, "%.4000s/%s.eml", folder, id);
        code = export_one(tool, id, mid, path);
        count += code == EX_OK;
        if (code == EX_NOINPUT)
            worst = code;
        if (code == EX_NOINPUT)
            code = EX_OK;
    }
    buf_done(&ids);
    if (code == EX_OK)
        printf("exported: %zu message%s\n", count, count == 1 ? "" : "s");
    return code == EX_OK ? worst : code;
}

int cmd_message_export(struct tool *tool, int argc, char **argv)
{
    const char *path = NULL, *filter = NULL;
    const struct option options[] = {
        { "output", 'o', OPTION_TEXT, &path, "FILE",
            "a new file [standard output]; with a filter a folder" },
        { "filter", 'f', OPTION_TEXT, &filter, "FILTER", "all it fits, each as ID.eml" },
    };
    struct mid mid;
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (filter && (argc || !path))
        return tool_usage(tool, "with a filter: --output FOLDER, and no id");
    if (filter)
        return export_filtered(tool, filter, path);
    if (argc != 1)
        return tool_usage(tool, "one message id is needed");
    if (!parse_id(tool, argv[0], &mid, &code))
        return code;
    return export_one(tool, argv[0], mid, path);
}

int cmd_export_message(struct tool *tool, int argc, char **argv)
{
    cmdlet_arguments(&argc, argv);
    return cmd_message_export(tool, argc, argv);
}
