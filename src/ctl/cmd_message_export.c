/* `message export`: into a file, or many of them.
 *
 * What comes from the daemon is written as it comes, so a message of any size takes no more memory than
 * a piece.  A file is there only as a whole: of an export that fails it is removed again. */
#include "ctl/cmdlet.h"
#include "ctl/link.h"
#include "ctl/offline.h"
#include "ctl/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sysexits.h>
#include <unistd.h>

enum { PIECE_BYTES_MAX = 1 << 20, IDS_BYTES_MAX = 64 << 20 };

/* --- Where it goes ----------------------------------------------------------------------- */

struct target {
    struct tool *tool;
    const char *path; /* NULL: standard output */
    int fd;           /* -1: not open yet */
    int code;         /* EX_OK, or what has been said of it */
    struct buf piece;
};

/* A file that is there already is not touched: it may be another message. */
static bool open_target(struct target *target)
{
    if (target->fd >= 0)
        return true;
    if (!target->path) {
        target->fd = STDOUT_FILENO;
        return true;
    }
    target->fd = open(target->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (target->fd < 0)
        target->code =
            tool_fail(target->tool, EX_CANTCREAT, "%s: %s", target->path, strerror(errno));
    return target->fd >= 0;
}

static bool write_all(struct target *target, struct bytes bytes)
{
    while (bytes.n) {
        ssize_t n = write(target->fd, bytes.at, bytes.n);
        if (n > 0) {
            bytes = bytes_skip(bytes, (size_t)n);
        } else if (n < 0 && errno != EINTR) {
            target->code =
                tool_fail(target->tool, EX_IOERR, "writing failed: %s", strerror(errno));
            return false;
        }
    }
    return true;
}

/* CODE: how the asking ended.  Returns how all of it did. */
static int close_target(struct target *target, int code)
{
    if (target->code != EX_OK)
        code = target->code;
    if (code == EX_OK && !open_target(target)) /* of no bytes at all */
        code = target->code;
    if (target->path && target->fd >= 0) {
        if (close(target->fd) != 0 && code == EX_OK)
            code = tool_fail(target->tool, EX_IOERR, "%s: %s", target->path, strerror(errno));
        if (code != EX_OK)
            unlink(target->path);
    }
    buf_done(&target->piece);
    return code;
}

/* --- One message ------------------------------------------------------------------------- */

static bool on_piece(void *me, const struct ctl_object *row)
{
    struct target *target = me;
    enum err err;

    buf_clear(&target->piece);
    err = ctl_data(row, "data", &target->piece);
    if (err != OK)
        target->code =
            tool_fail(target->tool, EX_PROTOCOL, "the daemon's answer: %s", err_text(err));
    return err == OK && open_target(target) && write_all(target, buf_bytes(&target->piece));
}

static int from_spool(struct target *target, struct mid mid)
{
    struct ctl_object *row = NULL;
    struct buf content;
    int code;

    buf_init(&content, OFFLINE_BYTES_MAX);
    offline_say(target->tool);
    code = offline_message(target->tool, mid, &row, &content);
    if (code == EX_OK && open_target(target))
        write_all(target, buf_bytes(&content));
    ctl_free(row);
    buf_done(&content);
    return code;
}

static int export_one(struct tool *tool, const char *id, struct mid mid, const char *path)
{
    struct target target = { .tool = tool, .path = path, .fd = -1 };
    struct link_reader reader = { on_piece, &target };
    struct ctl_object *request = link_request("export");
    int code;

    buf_init(&target.piece, PIECE_BYTES_MAX);
    ctl_set_text(request, "id", bytes_text(id));
    code = link_ask(tool, &request, &reader, NULL);
    if (code == LINK_DOWN)
        code = from_spool(&target, mid);
    return close_target(&target, code);
}

/* --- Those a filter fits ----------------------------------------------------------------- */

/* Their ids, one behind the other. */
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
    struct ctl_object *request = link_request("queue"), *answer = NULL;
    int code;

    ctl_set_text(request, "filter", bytes_text(filter));
    ctl_set_number(request, "limit", -1);
    code = link_ask(tool, &request, &reader, &answer);
    if (answer && (uint64_t)ctl_number(answer, "matched", 0) > ids->n / ID_TEXT_BYTES)
        fprintf(stderr, "the first %zu of %" PRId64 "\n", ids->n / ID_TEXT_BYTES,
            ctl_number(answer, "matched", 0));
    ctl_free(answer);
    return code == LINK_DOWN ? link_needed(tool) : code;
}

/* Each as FOLDER/ID.eml.  What leaves the queue meanwhile is told and passed over. */
static int export_filtered(struct tool *tool, const char *filter, const char *folder)
{
    struct buf ids;
    int code, worst = EX_OK;
    size_t count = 0;

    buf_init(&ids, IDS_BYTES_MAX);
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
    if (!tool_mid(tool, argv[0], &mid, &code))
        return code;
    return export_one(tool, argv[0], mid, path && strcmp(path, "-") == 0 ? NULL : path);
}

int cmd_export_message(struct tool *tool, int argc, char **argv)
{
    cmdlet_arguments(&argc, argv);
    return cmd_message_export(tool, argc, argv);
}
