#include "base/mem.h"
#include "ctl/sink.h"
#include "os/clock.h"
#include "os/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    HEADER_BYTES_MAX = 64 << 10,
    TRACE_BYTES_MAX = 2000, /* where the newest Received stands */
    LINE_PART_BYTES_MAX = 1000,
    LINE_BYTES_MAX = 2 * LINE_PART_BYTES_MAX + 100,
};

struct sink_store {
    const struct sink_settings *settings;
    int append_fd; /* -1: none */
    uint64_t number;
    char *tmp; /* FOLDER/.tmp-PID */
};

static enum err open_append(const char *path, int *out, char why[256])
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    if (fd < 0) {
        snprintf(why, 256, "%.200s: cannot be opened for appending", path);
        return ERR_DENIED;
    }
    *out = fd;
    return OK;
}

enum err sink_store_open(
    const struct sink_settings *settings, struct sink_store **out, char why[256])
{
    struct sink_store *store = mem_new(sizeof *store);
    enum err err = OK;
    struct buf tmp;

    *store = (struct sink_store){ .settings = settings, .append_fd = -1 };
    if (settings->append_file)
        err = open_append(settings->append_file, &store->append_fd, why);
    if (err == OK && settings->store_folder) {
        err = folder_make(settings->store_folder, 0755);
        if (err != OK)
            snprintf(why, 256, "%.200s: %s", settings->store_folder, err_text(err));
        buf_init(&tmp, 8192);
        if (err == OK)
            err = buf_printf(&tmp, "%s/.tmp-%ld", settings->store_folder, (long)getpid());
        store->tmp = buf_take_text(&tmp);
    }
    if (err != OK) {
        sink_store_close(store);
        return err;
    }
    *out = store;
    return OK;
}

void sink_store_close(struct sink_store *store)
{
    if (!store)
        return;
    if (store->append_fd >= 0)
        close(store->append_fd);
    free(store->tmp);
    free(store);
}

size_t sink_store_keeps(const struct sink_store *store)
{
    if (store->settings->store_folder)
        return SIZE_MAX;
    return store->append_fd >= 0 ? HEADER_BYTES_MAX : 0;
}

/* --- A file for each message ------------------------------------------------------------- */

/* Writes BYTES to a file of its own that nobody sees half-written. */
static enum err write_file(struct sink_store *store, struct bytes bytes, const char *path)
{
    struct file file;
    enum err err = file_open(store->tmp, FILE_READ | FILE_WRITE | FILE_CREATE, &file);

    if (err == ERR_EXISTS && file_remove(store->tmp) == OK) /* of a killed one with our id */
        err = file_open(store->tmp, FILE_READ | FILE_WRITE | FILE_CREATE, &file);
    if (err != OK)
        return err;
    err = file_write_at(file, bytes, 0);
    if (err == OK && store->settings->syncs)
        err = file_sync_data(file);
    file_close(&file);
    if (err == OK)
        err = file_link(store->tmp, path); /* unlike a rename it never replaces a file */
    err_ignore(file_remove(store->tmp));
    return err;
}

static enum err format_env(const struct sink_message *message, struct buf *out)
{
    struct bytes rest = message->recipients;
    enum err err = buf_printf(out, "helo=%.*s\nfrom=<%.*s>\n", BYTES_ARGS(message->helo),
        BYTES_ARGS(message->sender));

    while (err == OK && rest.n) {
        size_t n = bytes_find(rest, '\n');
        err = buf_printf(out, "to=<%.*s>\n", (int)n, (const char *)rest.at);
        rest = bytes_skip(rest, n + 1);
    }
    if (err == OK && message->tls)
        err = buf_printf(out, "tls=%s %s\n", message->tls->version, message->tls->cipher);
    if (err == OK)
        err = buf_printf(out, "size=%zu\n", message->content.n);
    return err;
}

/* NUMBER.eml has the content, byte for byte; NUMBER.env, which is there before it, the
 * envelope.  Numbers go on behind those that are there already. */
static enum err write_pair(struct sink_store *store, const struct sink_message *message)
{
    char path[8192];
    struct buf env;
    enum err err;

    buf_init(&env, 64 << 20);
    err = format_env(message, &env);
    while (err == OK) {
        snprintf(path, sizeof path, "%s/%08llu.env", store->settings->store_folder,
            (unsigned long long)++store->number);
        err = write_file(store, buf_bytes(&env), path);
        if (err != ERR_EXISTS)
            break;
        err = OK;
    }
    buf_done(&env);
    if (err != OK)
        return err;
    snprintf(path, sizeof path, "%s/%08llu.eml", store->settings->store_folder,
        (unsigned long long)store->number);
    err = write_file(store, message->content, path);
    return err == OK && store->settings->syncs ? folder_sync(store->settings->store_folder)
                                               : err;
}

/* --- A line for each message ------------------------------------------------------------- */

/* The value of the header field NAME; empty when there is none. */
static struct bytes find_field(struct bytes content, struct bytes name)
{
    while (content.n && content.at[0] != '\r' && content.at[0] != '\n') {
        size_t n = bytes_find(content, '\n');
        struct bytes line = bytes_first(content, n);
        if (line.n > name.n && line.at[name.n] == ':' && bytes_starts_nocase(line, name)) {
            line = bytes_skip(line, name.n + 1);
            if (line.n && line.at[line.n - 1] == '\r')
                line.n--;
            return bytes_trim(line);
        }
        if (n == BYTES_NOT_FOUND)
            break;
        content = bytes_skip(content, n + 1);
    }
    return BYTES_NONE;
}

/* The word behind "id" in the header's first lines: the relay that sent this names itself
 * there, perhaps on a folded line.  "-" when there is none. */
static struct bytes find_trace_id(struct bytes content)
{
    struct bytes head = bytes_first(content, TRACE_BYTES_MAX);

    for (size_t at = 0; at + 4 < head.n; at++) {
        const uint8_t *p = head.at + at;
        if ((p[0] == ' ' || p[0] == '\t') && p[1] == 'i' && p[2] == 'd' && p[3] == ' ') {
            struct bytes id = bytes_skip(head, at + 4);
            size_t n = 0;
            while (n < id.n && id.at[n] > ' ' && id.at[n] != ';')
                n++;
            return bytes_first(id, n);
        }
    }
    return BYTES("-");
}

static size_t format_line(
    const struct sink_store *store, const struct sink_message *message, char *out, size_t room)
{
    struct bytes name = find_field(message->content, bytes_text(store->settings->header));
    struct bytes id = find_trace_id(message->content);
    int n;

    if (name.n == 0)
        name = find_field(message->content, BYTES("Message-ID"));
    if (name.n == 0)
        name = BYTES("-");
    name = bytes_first(name, LINE_PART_BYTES_MAX);
    id = bytes_first(id, LINE_PART_BYTES_MAX);
    if (store->settings->appends_trace)
        n = snprintf(out, room, "%.*s %.*s %.3f\n", BYTES_ARGS(name), BYTES_ARGS(id),
            (double)clock_wall().ms / 1000);
    else
        n = snprintf(out, room, "%.*s\n", BYTES_ARGS(name));
    return (size_t)n;
}

/* One write(2) for each line: what is in the file was received, whatever happens to us. */
static enum err append_line(struct sink_store *store, const struct sink_message *message)
{
    char line[LINE_BYTES_MAX];
    size_t n = format_line(store, message, line, sizeof line);

    if (write(store->append_fd, line, n) != (ssize_t)n)
        return ERR_IO;
    return store->settings->syncs && fdatasync(store->append_fd) != 0 ? ERR_IO : OK;
}

enum err sink_store_write(struct sink_store *store, const struct sink_message *message)
{
    enum err err = OK;

    if (store->settings->store_folder)
        err = write_pair(store, message);
    if (err == OK && store->append_fd >= 0)
        err = append_line(store, message);
    return err;
}
