/* `relais get-receive-connector`, get-send-connector and get-accepted-domain, and the same by
 * `relais connector list` and `connector show`: the settings that are in force. */
#include "ctl/link.h"
#include "ctl/print.h"
#include "ctl/tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>

enum { CELL_BYTES = 200, LINE_BYTES = 160 };

/* --- All of one -------------------------------------------------------------------------- */

enum member_kind { TEXT, NUMBER, SIZE, FLAG, LIST };

/* In the order of printing; what a row has not is passed over. */
static const struct member {
    const char *name;
    enum member_kind kind;
} members[] = {
    { "name", TEXT },
    { "enabled", FLAG },
    { "comment", TEXT },
    { "type", TEXT },
    { "default", FLAG },
    { "recipients", TEXT },
    { "catch_all", TEXT },
    { "role", TEXT },
    { "bindings", LIST },
    { "proxy", LIST },
    { "remote_ranges", LIST },
    { "address_spaces", LIST },
    { "delivery", TEXT },
    { "maildir", TEXT },
    { "senders", LIST },
    { "receive_connectors", LIST },
    { "source_nodes", LIST },
    { "fqdn", TEXT },
    { "banner", TEXT },
    { "source_address", TEXT },
    { "permission_groups", LIST },
    { "allow", LIST },
    { "allow_senders", LIST },
    { "refuse_senders", LIST },
    { "allow_recipients", LIST },
    { "refuse_recipients", LIST },
    { "tls", TEXT },
    { "tls_policy", LIST },
    { "implicit_tls", FLAG },
    { "tls_min", TEXT },
    { "certificate", LIST }, /* of a receive connector */
    { "certificate", TEXT }, /* of a send connector */
    { "tls_fingerprints", LIST },
    { "ca_file", TEXT },
    { "client_certificate", TEXT },
    { "client_ca", TEXT },
    { "client_fingerprints", LIST },
    { "auth", LIST },
    { "require_auth", FLAG },
    { "auth_without_tls", FLAG },
    { "user", TEXT },
    { "connections_max", NUMBER },
    { "connections_per_source", NUMBER },
    { "source_share_percent", NUMBER },
    { "connections", NUMBER },
    { "messages_per_connection", NUMBER },
    { "messages_per_minute", NUMBER },
    { "messages_max", NUMBER },
    { "recipients_max", NUMBER },
    { "recipients_per_message", NUMBER },
    { "errors_max", NUMBER },
    { "logins_max", NUMBER },
    { "hops_max", NUMBER },
    { "local_hops_max", NUMBER },
    { "size_max", SIZE },
    { "header_size_max", SIZE },
    { "failover", FLAG },
    { "chunking", FLAG },
    { "pipelining", FLAG },
    { "connect_timeout", TEXT },
    { "greeting_timeout", TEXT },
    { "command_timeout", TEXT },
    { "data_timeout", TEXT },
    { "end_timeout", TEXT },
    { "idle_timeout", TEXT },
    { "session_timeout", TEXT },
    { "tarpit", TEXT },
    { "message_retry", TEXT },
    { "retry", LIST },
    { "report_only", LIST },
    { "tolerate", LIST },
    { "shadow_failure", TEXT },
    { "max_acknowledgement_delay", TEXT },
    { "add_missing_headers", FLAG },
    { "protocol_log", FLAG },
    { "source", TEXT },
};

static void print_name(const char *name)
{
    printf("%-26s : ", name);
}

/* One a line where they are long: ranges, patterns. */
static void print_list(const struct ctl_object *row, const char *name)
{
    size_t count = ctl_list_count(row, name), column = 0;

    for (size_t i = 0; i < count; i++) {
        const char *text = ctl_list_text(row, name, i);
        size_t n = text ? strlen(text) : 0;

        if (column && column + n > LINE_BYTES / 2) {
            printf(",\n%29s", "");
            column = 0;
        }
        printf("%s", column ? ", " : "");
        print_clean(bytes_text(text ? text : "?"));
        column += n + 2;
    }
    putchar('\n');
}

static void print_member(const struct ctl_object *row, const struct member *member)
{
    const char *text = ctl_text(row, member->name);
    int64_t number = ctl_number(row, member->name, -1);
    char size[PRINT_NUMBER_BYTES];

    if (member->kind == LIST && ctl_list_count(row, member->name)) {
        print_name(member->name);
        print_list(row, member->name);
    } else if (member->kind == TEXT && text) {
        print_name(member->name);
        print_clean(bytes_text(text));
        putchar('\n');
    } else if (member->kind == NUMBER && number >= 0) {
        print_name(member->name);
        if (number)
            printf("%" PRId64 "\n", number);
        else
            puts("unlimited");
    } else if (member->kind == SIZE && number >= 0) {
        print_name(member->name);
        print_size((uint64_t)number, size);
        printf("%s\n", number ? size : "unlimited");
    }
}

static void print_flag(const struct ctl_object *row, const char *name)
{
    if (!ctl_has(row, name))
        return;
    print_name(name);
    puts(ctl_bool(row, name) ? "yes" : "no");
}

/* What each group may do there in all: PE-2. */
static void print_rights(const struct ctl_object *row)
{
    for (size_t i = 0; i < ctl_list_count(row, "effective_rights"); i++) {
        struct ctl_object *group = ctl_list_object(row, "effective_rights", i);
        const char *name = group ? ctl_text(group, "group") : NULL;

        if (name) {
            printf("%-12s%-14.40s : ", i ? "" : "rights of", name);
            print_list(group, "rights");
        }
        if (name && ctl_list_count(group, "by_allow")) {
            print_name("      by allow");
            print_list(group, "by_allow");
        }
        ctl_free(group);
    }
}

static void print_hosts(const struct ctl_object *row)
{
    for (size_t i = 0; i < ctl_list_count(row, "hosts"); i++) {
        struct ctl_object *host = ctl_list_object(row, "hosts", i);
        int64_t port = host ? ctl_number(host, "port", 0) : 0;

        if (!host)
            continue;
        print_name(i ? "" : "hosts");
        print_clean(bytes_text(ctl_text(host, "host")));
        if (port)
            printf(", port %" PRId64, port);
        printf(", priority %" PRId64 ", weight %" PRId64 "%s\n",
            ctl_number(host, "priority", 0), ctl_number(host, "weight", 0),
            ctl_bool(host, "uses_mx") ? ", by its MX" : "");
        ctl_free(host);
    }
}

static void print_all(const struct ctl_object *row)
{
    int64_t ranges = ctl_number(row, "remote_range_count", 0);

    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (members[i].kind == FLAG)
            print_flag(row, members[i].name);
        else
            print_member(row, &members[i]);
        if (strcmp(members[i].name, "allow") == 0)
            print_rights(row);
        if (strcmp(members[i].name, "delivery") == 0)
            print_hosts(row);
        if (strcmp(members[i].name, "remote_ranges") == 0 &&
            (size_t)ranges > ctl_list_count(row, "remote_ranges")) {
            print_name("");
            printf("and more: %" PRId64 " in all\n", ranges);
        }
    }
}

/* --- A table of many --------------------------------------------------------------------- */

struct column {
    const char *title, *member;
};
enum { COLUMNS_MAX = 6 };

struct kind {
    const char *command;
    struct column columns[COLUMNS_MAX]; /* the first is the name; ended by NULL */
};

static const struct kind receive_kind = { "get-receive-connector",
    { { "RECEIVE CONNECTOR", "name" }, { "ENABLED", "enabled" }, { "BINDINGS", "bindings" },
        { "RANGES", "remote_ranges" }, { "GROUPS", "permission_groups" },
        { "ALLOW", "allow" } } };
static const struct kind send_kind = { "get-send-connector",
    { { "SEND CONNECTOR", "name" }, { "ENABLED", "enabled" }, { "SPACES", "address_spaces" },
        { "DELIVERY", "delivery" }, { "TLS", "tls" } } };
static const struct kind domain_kind = { "get-accepted-domain",
    { { "ACCEPTED DOMAIN", "name" }, { "TYPE", "type" }, { "DEFAULT", "default" },
        { "CATCH-ALL", "catch_all" } } };

struct listing {
    const struct kind *kind;
    bool is_json, is_whole;
    size_t rows;
    struct print_table *table;                /* NULL before the first row */
    struct print_column columns[COLUMNS_MAX]; /* what the table goes by */
};

/* A list is cut to its first ones. */
static void fill_cell(const struct ctl_object *row, const char *name, char cell[CELL_BYTES])
{
    enum { SHOWN = 3 };
    size_t count = ctl_list_count(row, name), n = 0;
    const char *text = ctl_text(row, name);

    cell[0] = '\0';
    if (text)
        snprintf(cell, CELL_BYTES, "%s", text);
    else if (ctl_has(row, name) && !count)
        snprintf(cell, CELL_BYTES, "%s", ctl_bool(row, name) ? "yes" : "no");
    for (size_t i = 0; i < count && i < SHOWN && n < CELL_BYTES; i++)
        n += (size_t)snprintf(
            cell + n, CELL_BYTES - n, "%s%.50s", i ? "," : "", ctl_list_text(row, name, i));
    if (count > SHOWN && n < CELL_BYTES)
        snprintf(cell + n, CELL_BYTES - n, " and %zu more", count - SHOWN);
}

static unsigned column_count(const struct kind *kind)
{
    unsigned n = 0;

    while (n < COLUMNS_MAX && kind->columns[n].title)
        n++;
    return n;
}

static void begin_table(struct listing *listing)
{
    unsigned count = column_count(listing->kind);

    for (unsigned i = 0; i < count; i++)
        listing->columns[i].title = listing->kind->columns[i].title;
    listing->table = print_table_new(listing->columns, count);
}

static void print_row(struct listing *listing, const struct ctl_object *row)
{
    char room[COLUMNS_MAX][CELL_BYTES];
    const char *cells[COLUMNS_MAX];

    if (!listing->table)
        begin_table(listing);
    for (unsigned i = 0; i < column_count(listing->kind); i++) {
        fill_cell(row, listing->kind->columns[i].member, room[i]);
        cells[i] = room[i][0] ? room[i] : NULL;
    }
    print_table_row(listing->table, cells);
}

static bool on_row(void *me, const struct ctl_object *row)
{
    struct listing *listing = me;

    if (listing->is_json) {
        print_json_row(row);
    } else if (listing->is_whole) {
        if (listing->rows)
            putchar('\n');
        print_all(row);
    } else {
        print_row(listing, row);
    }
    listing->rows++;
    return true;
}

/* NAME: one in full; NULL: a table of all. */
static int show(struct tool *tool, const struct kind *kind, const char *name)
{
    struct listing listing = { .kind = kind, .is_json = tool->is_json, .is_whole = name };
    struct link_reader reader = { on_row, &listing };
    struct ctl_object *request = link_request(kind->command);
    int code;

    if (name)
        ctl_set_text(request, "name", bytes_text(name));
    code = link_ask(tool, &request, &reader, NULL);
    print_table_end(listing.table);
    return code == LINK_DOWN ? link_needed(tool) : code;
}

/* --- The commands ------------------------------------------------------------------------ */

static int run(struct tool *tool, const struct kind *kind, int argc, char **argv)
{
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc > 1)
        return tool_usage(tool, "unexpected '%.60s'", argv[1]);
    return show(tool, kind, argc ? argv[0] : NULL);
}

int cmd_get_receive(struct tool *tool, int argc, char **argv)
{
    return run(tool, &receive_kind, argc, argv);
}

int cmd_get_send(struct tool *tool, int argc, char **argv)
{
    return run(tool, &send_kind, argc, argv);
}

int cmd_get_domain(struct tool *tool, int argc, char **argv)
{
    return run(tool, &domain_kind, argc, argv);
}

int cmd_connector_list(struct tool *tool, int argc, char **argv)
{
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc)
        return tool_usage(tool, "unexpected '%.60s'", argv[0]);
    code = show(tool, &receive_kind, NULL);
    if (code == EX_OK && !tool->is_json)
        putchar('\n');
    return code == EX_OK ? show(tool, &send_kind, NULL) : code;
}

struct search {
    const char *name;
    bool is_found;
};

static bool on_name(void *me, const struct ctl_object *row)
{
    struct search *search = me;
    const char *name = ctl_text(row, "name");

    search->is_found |= name && strcasecmp(name, search->name) == 0;
    return true;
}

/* A receive connector and a send connector may have the same name: both are shown then. */
int cmd_connector_show(struct tool *tool, int argc, char **argv)
{
    static const struct kind *const kinds[] = { &receive_kind, &send_kind };
    struct search search = { NULL, false };
    struct link_reader reader = { on_name, &search };
    bool any = false;
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc != 1)
        return tool_usage(tool, "the name of one connector is needed");
    search.name = argv[0];
    for (size_t i = 0; i < 2; i++) {
        struct ctl_object *request = link_request(kinds[i]->command);
        search.is_found = false;
        code = link_ask(tool, &request, &reader, NULL);
        if (code == LINK_DOWN)
            return link_needed(tool);
        if (code == EX_OK && search.is_found)
            code = show(tool, kinds[i], argv[0]);
        if (code != EX_OK)
            return code;
        any |= search.is_found;
    }
    return any ? EX_OK
               : tool_fail(tool, EX_NOINPUT, "there is no connector \"%.64s\"", argv[0]);
}
