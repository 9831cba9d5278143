#include "daemon/control_internal.h"

#include "base/mem.h"
#include "os/listener.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { ANSWER_BYTES_MAX = 256 << 20, REQUEST_BYTES_MAX = 64 << 10, SOCKET_MODE = 0660 };

static const struct command {
    const char *name;
    command_function *run;
} commands[] = {
    { "status", command_status },
    { "queues", command_queues },
    { "queue", command_queue },
    { "message", command_message },
    { "export", command_export },
    { "retry", command_retry },
    { "remove", command_remove },
    { "redirect", command_redirect },
    { "suspend", command_suspend },
    { "resume", command_resume },
    { "retry-queue", command_retry_queue },
    { "suspend-queue", command_suspend_queue },
    { "resume-queue", command_resume_queue },
    { "ages", command_ages },
    { "trace", command_trace },
    { "explain", command_explain },
    { "shadow", command_shadow },
    { "logins", command_logins },
    { "reload", command_reload },
    { "stop", command_stop },
    { "get-transport-config", command_get_transport },
    { "set-transport-config", command_set_transport },
    { "devices", command_devices },
    { "track", command_track },
    { "sync-logs", command_sync_logs },
    { "metrics", command_metrics },
    { "tls-counts", command_tls_counts },
    { "weak-tls", command_weak_tls },
    { "address-list", command_address_list },
    { "get-receive-connector", command_get_receive },
    { "get-send-connector", command_get_send },
    { "get-accepted-domain", command_get_domain },
};

/* --- Answers ----------------------------------------------------------------------------- */

/* Until the output is high, which on_room() tells the end of, or all is out. */
static void pump(struct client *client)
{
    if (client_is_gone(client)) {
        control_out_drop(&client->out);
        return;
    }
    while (!control_out_is_empty(&client->out) && !conn_out_is_high(client->conn)) {
        struct bytes piece = control_out_next(&client->out, CONN_OUT_BYTES_HIGH);
        if (buf_add(conn_out(client->conn), piece) != OK)
            return; /* not reached: it is below a quarter of its ceiling */
        control_out_sent(&client->out, piece.n);
        conn_send(client->conn);
    }
}

void client_row(struct client *client, struct ctl_object **row)
{
    control_out_row(&client->out, row);
    pump(client);
}

void client_end(struct client *client, struct ctl_object **end)
{
    control_out_end(&client->out, end);
    pump(client);
}

bool client_is_gone(const struct client *client)
{
    return !client->conn || conn_is_broken(client->conn);
}

bool client_has_left(const struct client *client)
{
    return client_is_gone(client) || conn_has_hung_up(client->conn);
}

bool client_must_wait(struct client *client, void (*on_room)(void *me), void *me)
{
    assert(client->is_busy && !client->on_room);
    if (control_out_is_empty(&client->out))
        return false;
    client->on_room = on_room;
    client->on_room_me = me;
    return true;
}

static void tell_room(struct client *client)
{
    void (*on_room)(void *me) = client->on_room;

    client->on_room = NULL;
    if (on_room)
        on_room(client->on_room_me); /* the client may be gone then */
}

void client_ok(struct client *client)
{
    struct ctl_object *end = ctl_new();

    ctl_set_bool(end, "ok", true);
    client_end(client, &end);
}

void client_count(struct client *client, const char *name, int64_t count)
{
    struct ctl_object *end = ctl_new();

    ctl_set_bool(end, "ok", true);
    ctl_set_number(end, name, count);
    client_end(client, &end);
}

void client_error(struct client *client, int code, const char *format, ...)
{
    struct ctl_object *end = ctl_new();
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ctl_set_bool(end, "ok", false);
    ctl_set_text(end, "error", bytes_text(text));
    ctl_set_number(end, "code", code);
    client_end(client, &end);
}

/* --- Commands ---------------------------------------------------------------------------- */

static void run_line(struct client *client, struct bytes line)
{
    struct ctl_object *request;
    char why[160];
    const char *name;

    if (ctl_parse(line, &request, why) != OK) {
        client_error(client, EX_DATAERR, "not a request: %s", why);
        return;
    }
    name = ctl_text(request, "command");
    for (size_t i = 0; name && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            commands[i].run(client, request);
            ctl_free(request);
            return;
        }
    }
    client_error(client, EX_USAGE, "unknown command '%s'", name ? name : "");
    ctl_free(request);
}

/* --- The socket -------------------------------------------------------------------------- */

static void client_forget(struct client *client)
{
    control_out_done(&client->out);
    free(client);
}

static void client_free(struct client *client)
{
    if (client->conn)
        conn_close(&client->conn, true);
    control_out_drop(&client->out);
    list_remove(&client->in_control);
    if (client->is_busy)
        tell_room(client); /* client_end_work() frees it */
    else
        client_forget(client);
}

void client_begin_work(struct client *client)
{
    client->is_busy = true;
}

void client_end_work(struct client *client)
{
    client->is_busy = false;
    if (!client->conn)
        client_forget(client);
    else if (control_out_is_empty(&client->out))
        conn_resume(client->conn); /* else on_room() does */
}

/* The next line of INPUT, taken; false: it is not whole, or goes on being passed over. */
static bool take_line(
    struct client *client, struct bytes input, size_t *used, struct bytes *out)
{
    struct bytes rest = bytes_skip(input, *used);
    size_t n = bytes_find(rest, '\n');
    bool is_whole = n != BYTES_NOT_FOUND, was_skipping = client->is_skipping;

    *out = bytes_first(rest, is_whole ? n : rest.n);
    client->is_skipping = !is_whole && (was_skipping || rest.n > REQUEST_BYTES_MAX);
    if (is_whole || client->is_skipping)
        *used += out->n + is_whole;
    if (was_skipping || out->n <= REQUEST_BYTES_MAX)
        return is_whole && !was_skipping;
    client_error(client, EX_DATAERR, "the request has more than %d bytes", REQUEST_BYTES_MAX);
    return false;
}

/* A client that does not read what it is told is not listened to either. */
static bool takes_requests(const struct client *client)
{
    return !client->is_busy && control_out_is_empty(&client->out);
}

static size_t on_input(void *me, struct bytes input)
{
    struct client *client = me;
    size_t used = 0, before = SIZE_MAX;

    while (used != before && takes_requests(client)) {
        struct bytes line;
        before = used;
        if (take_line(client, input, &used, &line))
            run_line(client, line);
    }
    if (!takes_requests(client))
        conn_pause(client->conn);
    return used;
}

static void on_room(void *me)
{
    struct client *client = me;

    pump(client);
    if (!control_out_is_empty(&client->out))
        return;
    if (client->is_busy)
        tell_room(client);
    else
        conn_resume(client->conn);
}

static void on_end(void *me, enum err err)
{
    err_ignore(err);
    client_free(me);
}

static const struct conn_handler handler = {
    .on_input = on_input, .on_room = on_room, .on_end = on_end
};

static void on_accept(
    void *me, int fd, const struct endpoint *peer, const struct endpoint *local)
{
    struct control *control = me;
    struct client *client = mem_new(sizeof *client);

    (void)peer;
    (void)local;
    client->control = control;
    control_out_init(&client->out, ANSWER_BYTES_MAX);
    list_init(&client->in_control);
    list_add_last(&control->clients, &client->in_control);
    if (conn_accept(control->path->home, fd, &handler, client, &client->conn) != OK)
        client_free(client);
}

enum err control_open(struct path *path, const char *socket_name,
    struct ctl_object *(*reload)(void *me), void (*stop)(void *me), void *me,
    struct control **out)
{
    struct control *control = mem_new(sizeof *control);
    struct endpoint endpoint = { .is_unix = true };
    enum err err;

    control->path = path;
    control->reload = reload;
    control->stop = stop;
    control->me = me;
    control->started = loop_now(path->home);
    list_init(&control->clients);
    traces_init(&control->traces, path->home);
    snprintf(endpoint.path, sizeof endpoint.path, "%s", socket_name);
    err = listener_open(
        path->home, &endpoint, SOCKET_MODE, on_accept, control, &control->listener);
    if (err != OK) {
        free(control);
        return err;
    }
    *out = control;
    return OK;
}

void control_close(struct control *control)
{
    if (!control)
        return;
    listener_close(control->listener);
    list_each (node, &control->clients)
        client_free(container_of(node, struct client, in_control));
    traces_done(&control->traces);
    free(control);
}
