/* `relais status`, reload and stop. */
#include "daemon/control_internal.h"

#include "report/logins.h"
#include "report/report.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

static struct ctl_object *spool_object(struct spool *spool)
{
    struct ctl_object *object = ctl_new();
    char id[ID_TEXT_BYTES];
    struct spool_facts facts;

    spool_get_facts(spool, &facts);
    store_id_format(spool_store_id(spool), id);
    ctl_set_text(object, "store_id", bytes_text(id));
    ctl_set_number(object, "position", (int64_t)facts.position);
    ctl_set_number(object, "messages_live", (int64_t)facts.messages_live);
    ctl_set_number(object, "bytes_live", (int64_t)facts.bytes_live);
    ctl_set_number(object, "segments", (int64_t)facts.segments);
    ctl_set_number(object, "segments_spare", (int64_t)facts.segments_spare);
    ctl_set_number(object, "segment_bytes", (int64_t)facts.segment_bytes);
    ctl_set_number(object, "memory_bytes", (int64_t)facts.content_memory_bytes);
    ctl_set_number(object, "commits", (int64_t)facts.commits);
    ctl_set_number(object, "flushes", (int64_t)facts.flushes);
    ctl_set_number(object, "flush_errors", (int64_t)facts.flush_errors);
    ctl_set_number(object, "flush_us_total", (int64_t)facts.flush_us_total);
    ctl_set_number(object, "bytes_written", (int64_t)facts.bytes_written);
    ctl_set_number(object, "messages_moved", (int64_t)facts.messages_moved);
    ctl_set_number(object, "damaged", (int64_t)facts.damaged);
    ctl_set_bool(object, "is_full", facts.is_full);
    ctl_set_bool(object, "is_unhealthy", facts.is_unhealthy);
    ctl_set_text(object, "why", bytes_text(facts.why));
    return object;
}

static bool add_bindings(const struct accept *accept, struct ctl_object *status)
{
    bool all_open = true;

    list_each (node, &accept->bindings) {
        const struct accept_binding *binding =
            container_of(node, struct accept_binding, in_accept);
        struct ctl_object *object = ctl_new();
        char text[ENDPOINT_TEXT_BYTES], names[ACCEPT_NAMES_BYTES];
        bool is_open = accept_binding_is_open(binding);
        endpoint_format(&binding->endpoint, text);
        accept_binding_names(binding, names);
        ctl_set_text(object, "connector", bytes_text(names));
        for (size_t i = 0; i < binding->connector_count; i++)
            ctl_add_text(object, "connectors", bytes_text(binding->connectors[i]));
        ctl_set_text(object, "address", bytes_text(text));
        ctl_set_bool(object, "open", is_open);
        ctl_set_text(object, "error", bytes_text(binding->error));
        all_open &= is_open;
        ctl_add_object(status, "bindings", &object);
    }
    return all_open;
}

/* Those that end soon are listed, those that do within days are alarms. */
static void add_certificate(void *me, const struct certificate_end *end)
{
    struct ctl_object *status = me, *object = ctl_new();
    char date[DATE_ISO_BYTES], text[700];

    wall_format_iso(end->facts.not_after, date);
    ctl_set_text(object, "connector", bytes_text(end->connector));
    ctl_set_text(object, "file", bytes_text(end->file));
    ctl_set_text(object, "subject", bytes_text(end->facts.subject));
    ctl_set_text(object, "ends", bytes_text(date));
    ctl_set_number(object, "days", end->days_left);
    ctl_set_bool(object, "expired", end->expiry == TLS_EXPIRY_OVER);
    certificate_end_format(end, text);
    ctl_set_text(object, "text", bytes_text(text));
    ctl_set_bool(object, "alarm", end->expiry != TLS_EXPIRY_MONTH);
    ctl_add_object(status, "certificates", &object);
    if (end->expiry != TLS_EXPIRY_MONTH)
        ctl_add_text(status, "alarms", bytes_text(text));
}

/* They wait for the administrator, however long. */
static void add_poison(const struct path *path, struct ctl_object *status)
{
    size_t count = path_poison_count(path);
    char text[120];

    ctl_set_number(status, "poison", (int64_t)count);
    if (!count)
        return;
    snprintf(text, sizeof text,
        "%zu message%s in the poison queue (crashed relaisd): relais queue poison", count,
        count == 1 ? "" : "s");
    ctl_add_text(status, "alarms", bytes_text(text));
}

void command_status(struct client *client, const struct ctl_object *request)
{
    struct path *path = client->control->path;
    const struct settings *settings = path->routed_by->settings;
    struct ctl_object *end = ctl_new(), *spool, *counters = ctl_new();
    struct spool_facts facts;
    bool is_healthy;

    (void)request;
    spool_get_facts(path->spool, &facts);
    spool = spool_object(path->spool);
    is_healthy = add_bindings(&path->accept, end) && !facts.is_full && !facts.is_unhealthy;
    for (int i = 0; i < REPORT_EVENT_COUNT; i++)
        ctl_set_number(
            counters, report_event_name((enum report_event)i), (int64_t)report_count(i));
    ctl_set_bool(end, "ok", true);
    ctl_set_text(end, "version", BYTES(RELAIS_VERSION));
    ctl_set_text(end, "node", bytes_text(settings->node));
    ctl_set_text(end, "fqdn", bytes_text(settings->fqdn));
    ctl_set_number(end, "pid", getpid());
    ctl_set_number(
        end, "uptime_s", (loop_now(path->home).ms - client->control->started.ms) / 1000);
    shadow_add_verdict(path, end);
    certificates_each_end(settings, add_certificate, end);
    add_poison(path, end);
    ctl_set_bool(end, "healthy", is_healthy);
    ctl_set_number(end, "revision", (int64_t)settings->revision);
    ctl_set_text(end, "config_file", bytes_text(settings->file));
    ctl_set_number(end, "sessions", path_session_count(path));
    ctl_set_number(end, "messages", (int64_t)path->queue.messages.count);
    ctl_set_number(end, "queues", (int64_t)path->queue.hops.count);
    ctl_set_number(end, "set_aside", (int64_t)path->damage_count);
    ctl_set_object(end, "spool", &spool);
    ctl_set_object(end, "counters", &counters);
    client_end(client, &end);
}

void command_reload(struct client *client, const struct ctl_object *request)
{
    struct ctl_object *end = client->control->reload(client->control->me);

    (void)request;
    client_end(client, &end);
}

/* Has its file say what is known until now; `relais user list` reads that. */
void command_logins(struct client *client, const struct ctl_object *request)
{
    enum err err = logins_save(client->control->path->logins);

    (void)request;
    if (err == OK)
        client_ok(client);
    else
        client_error(client, EX_IOERR, "the logins cannot be written: %s", err_text(err));
}

void command_stop(struct client *client, const struct ctl_object *request)
{
    (void)request;
    client_ok(client);
    client->control->stop(client->control->me);
}
