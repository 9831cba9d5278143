#include "ctl/tool.h"

#include <sysexits.h>

const struct command tool_commands[] = {
    { "check", "[-c FILE]", "Reads the configuration and tells every mistake in it",
        cmd_check },
    { "status", "", "What the daemon is doing, and whether it is well", cmd_status },
    { "queue", "[--filter FILTER] [--limit N] [--by-age] [QUEUE]",
        "The messages that wait to be delivered", cmd_queue },
    { "queues", "[--filter FILTER]", "The queues: one for each next hop", cmd_queues },
    { "message show", "[--body] ID", "Envelope, recipients and header of a message",
        cmd_message_show },
    { "message export", "[-o FILE] ID | -o FOLDER --filter FILTER",
        "The message as a file, as it will be sent on", cmd_message_export },
    { "retry", "ID... | QUEUE | --filter FILTER | --all",
        "Tries now what waits for its next attempt", cmd_retry },
    { "suspend", "ID... | QUEUE | --filter FILTER | --all",
        "Starts nothing of it until resumed", cmd_suspend },
    { "resume", "ID... | QUEUE | --filter FILTER | --all", "Lets it go on", cmd_resume },
    { "remove", "[--ndr] ID... | --queue QUEUE | --filter FILTER | --all",
        "Takes messages out of the queue, for good", cmd_remove },
    { "redirect", "--to HOST[:PORT] ID... | --queue QUEUE | --filter FILTER | --all",
        "Has what is queued leave by another host, now", cmd_redirect },
    { "get-queue", "[-Identity QUEUE | -Filter FILTER]", "As relais queues", cmd_get_queue },
    { "get-queue-digest", "", "As relais queue --by-age", cmd_get_queue_digest },
    { "get-message", "[-Identity ID | -Queue QUEUE | -Filter FILTER]",
        "As relais queue, or message show", cmd_get_message },
    { "retry-queue", "-Identity QUEUE | -Filter FILTER", "As relais retry", cmd_retry_queue },
    { "suspend-queue", "-Identity QUEUE | -Filter FILTER", "As relais suspend",
        cmd_suspend_queue },
    { "resume-queue", "-Identity QUEUE | -Filter FILTER", "As relais resume",
        cmd_resume_queue },
    { "retry-message", "-Identity ID | -Filter FILTER", "As relais retry", cmd_retry_message },
    { "suspend-message", "-Identity ID | -Filter FILTER", "As relais suspend",
        cmd_suspend_message },
    { "resume-message", "-Identity ID | -Filter FILTER", "As relais resume",
        cmd_resume_message },
    { "remove-message", "[-WithNDR $false] -Identity ID | -Filter FILTER",
        "As relais remove --ndr", cmd_remove_message },
    { "redirect-message", "[-Server NODE] -Target HOST [-Identity ID | -Filter FILTER]",
        "As relais redirect", cmd_redirect_message },
    { "export-message", "[-Path FILE] -Identity ID", "As relais message export",
        cmd_export_message },
    { "spool check", "[FOLDER]", "Reads the whole spool and tells what is damaged",
        cmd_spool_check },
    { "shadow status", "", "Whether every message is on two nodes, and what the others do",
        cmd_shadow_status },
    { "shadow list", "[--held NODE | --unclaimed | --aside | --single]",
        "Copies held for other nodes, and messages with one copy", cmd_shadow_list },
    { "shadow audit", "[NODE]", "Asks a node what became of the copies held for it",
        cmd_shadow_audit },
    { "shadow takeover", "[--force] NODE", "Delivers what is held for a node that is lost",
        cmd_shadow_takeover },
    { "shadow evict", "[--force] NODE", "The same, and that node's store may never come back",
        cmd_shadow_evict },
    { "shadow resume", "ID...", "Has a copy delivered that is set aside or unclaimed",
        cmd_shadow_resume },
    { "shadow drop", "ID...", "Drops such a copy, for good", cmd_shadow_drop },
    { "cluster init", "[--name NAME] [--address HOST:PORT]",
        "Makes this node's key, and tells what to type on the others", cmd_cluster_init },
    { "cluster join", "[--site SITE] [--replace] NAME HOST:PORT PIN",
        "Adds another node to this one's configuration", cmd_cluster_join },
    { "cluster leave", "NAME", "Takes another node out of it", cmd_cluster_leave },
    { "cluster show", "", "This node and the others, with their pins", cmd_cluster_show },
    { "connector list", "", "The receive connectors and the send connectors",
        cmd_connector_list },
    { "connector show", "NAME", "All settings of one, and what each group may do there",
        cmd_connector_show },
    { "get-receive-connector", "[NAME]", "The receive connectors, or all of one",
        cmd_get_receive },
    { "get-send-connector", "[NAME]", "The send connectors, or all of one", cmd_get_send },
    { "get-accepted-domain", "[DOMAIN]", "The domains that mail is accepted for",
        cmd_get_domain },
    { "certificate list", "", "What is in the folder of certificates, and who shows it",
        cmd_certificate_list },
    { "get-certificate", "", "As relais certificate list", cmd_certificate_list },
    { "get-transport-config", "", "What shadow redundancy goes by", cmd_get_transport },
    { "set-transport-config", "-NAME VALUE...", "Changes that, now and for good",
        cmd_set_transport },
    { "user list", "", "Who may log in, and who did, when and from where", cmd_user_list },
    { "user add", "[--address PATTERN]... [--password-file FILE] NAME",
        "A new account; its password is asked for", cmd_user_add },
    { "user passwd", "[--password-file FILE] NAME", "Gives an account another password",
        cmd_user_passwd },
    { "user addresses", "[--address PATTERN]... NAME",
        "Sets the addresses that an account may send as", cmd_user_addresses },
    { "user disable", "NAME", "Lets nobody log in by that account for now", cmd_user_disable },
    { "user enable", "NAME", "Lets its user log in again", cmd_user_enable },
    { "user remove", "NAME", "Takes an account away, for good", cmd_user_remove },
    { "devices", "[--connector NAME] [--odd]",
        "Who uses the relay, and which tolerances he still needs", cmd_devices },
    { "address-list show", "[NAME]", "The lists of addresses, or what is in one",
        cmd_address_show },
    { "address-list add", "[--comment TEXT] NAME RANGE",
        "Puts a range into a list, now and for good", cmd_address_add },
    { "address-list remove", "NAME RANGE", "Takes it out", cmd_address_remove },
    { "explain", "[--from-ip ADDRESS] [--to ADDR:PORT] [OPTIONS]",
        "Which connector, right and way a client's mail would get, and why", cmd_explain },
    { "track", "[ID] [--sender P] [--recipient P] [--since TIME] [OPTIONS]",
        "Where is my mail: what became of messages, and what is still queued", cmd_track },
    { "get-message-tracking-log",
        "[-Sender P] [-Recipients P] [-MessageId ID] [-EventId EVENT]", "As relais track",
        cmd_get_tracking },
    { "metrics", "", "What the node counts, as text for Prometheus", cmd_metrics },
    { "report clients", "", "Who still uses the relay: names, volume, last seen",
        cmd_report_clients },
    { "report unprotected", "", "Mail that came or went without TLS", cmd_report_unprotected },
    { "report tls", "", "Clients and next hops with weak TLS, and passwords in clear",
        cmd_report_tls },
    { "report ranges", "", "Receive connectors that take clients from wide ranges",
        cmd_report_ranges },
    { "test-open-relay", "[--no-live]", "Proves that strangers cannot send to strangers",
        cmd_test_open_relay },
    { "trace", "ID", "What happened in a session, or to a message", cmd_trace },
    { "reload", "", "Has the daemon read its configuration again", cmd_reload },
    { "stop", "", "Ends the daemon in good order", cmd_stop },
    { "sink", "[--listen ADDR:PORT] [OPTIONS]", "A small SMTP receiver for tests and demos",
        cmd_sink },
    { "load", "--to ADDR:PORT [OPTIONS]", "A load generator: rate and latency of a receiver",
        cmd_load },
    { "help", "[COMMAND]", "This list, or what a command takes", cmd_help },
    { NULL, NULL, NULL, NULL },
};

static int list_all(void)
{
    puts("usage: relais [-c FILE] COMMAND [OPTIONS]\n");
    for (const struct command *c = tool_commands; c->name; c++)
        printf("  %-20s %s\n", c->name, c->summary);
    puts("\nMore: relais help COMMAND, and the manual page relais(1).");
    return EX_OK;
}

/* The commands whose first word NAME is, such as `message`; false: there are none. */
static bool list_group(const char *name)
{
    size_t n = strlen(name);
    bool any = false;

    for (const struct command *c = tool_commands; c->name; c++) {
        if (strncmp(c->name, name, n) == 0 && c->name[n] == ' ') {
            printf("  %-20s %s\n", c->name, c->summary);
            any = true;
        }
    }
    return any;
}

int cmd_help(struct tool *tool, int argc, char **argv)
{
    char name[64];
    char flag[] = "--help", *only[] = { flag };

    if (argc == 0 || argv[0][0] == '-')
        return list_all();
    snprintf(
        name, sizeof name, "%s%s%s", argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
    for (const struct command *c = tool_commands; c->name; c++) {
        if (strcmp(c->name, name) == 0 && c->run != cmd_help) {
            tool->command = c;
            return c->run(tool, 1, only);
        }
    }
    if (strcmp(name, "help") == 0)
        return list_all();
    return list_group(name) ? EX_OK : tool_unknown_command(tool, argc, argv);
}
