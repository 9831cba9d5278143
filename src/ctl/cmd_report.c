/* `report`: who still uses the relay, what goes unprotected, weak TLS, wide ranges (OP-10). */
#include "ctl/link.h"
#include "ctl/print.h"
#include "ctl/tool.h"

#include "base/weak_tls.h"
#include "policy/client.h"
#include "policy/names.h"
#include "policy/wide.h"

#include <inttypes.h>
#include <sysexits.h>

struct report_list {
    const struct tool *tool;
    struct print_table *table; /* NULL: JSON */
    uint64_t rows;
};

static void list_begin(struct report_list *list, const struct tool *tool,
    const struct print_column *columns, unsigned count)
{
    *list = (struct report_list){ .tool = tool };
    if (!tool->is_json)
        list->table = print_table_new(columns, count);
}

static int list_end(struct report_list *list, int code, const char *none)
{
    print_table_end(list->table);
    if (code == LINK_DOWN)
        return link_needed((struct tool *)(uintptr_t)list->tool);
    if (code == EX_OK && !list->tool->is_json && list->rows == 0)
        puts(none);
    return code;
}

/* Asks, and has each row that ON_ROW wants printed. */
static int ask(struct tool *tool, const char *command, struct report_list *list,
    bool (*on_row)(void *me, const struct ctl_object *row), const char *none)
{
    struct link_reader reader = { on_row, list };
    struct ctl_object *request = link_request(command);

    return list_end(list, link_ask(tool, &request, &reader, NULL), none);
}

static const char *text_of(const struct ctl_object *row, const char *name)
{
    const char *text = ctl_text(row, name);

    return text && text[0] ? text : NULL;
}

static void number_text(int64_t number, char out[PRINT_NUMBER_BYTES])
{
    snprintf(out, PRINT_NUMBER_BYTES, "%" PRId64, number);
}

/* --- Clients ----------------------------------------------------------------------------- */

static bool on_client(void *me, const struct ctl_object *row)
{
    struct report_list *list = me;
    char messages[PRINT_NUMBER_BYTES], volume[PRINT_NUMBER_BYTES], seen[PRINT_NUMBER_BYTES];

    list->rows++;
    if (!list->table) {
        print_json_row(row);
        return true;
    }
    number_text(ctl_number(row, "messages", 0), messages);
    print_size((uint64_t)ctl_number(row, "bytes", 0), volume);
    print_age(ctl_number(row, "last_seen_s", -1), seen);
    print_table_row(
        list->table, (const char *[]){ text_of(row, "address"), ctl_list_text(row, "helo", 0),
                         text_of(row, "connector"), messages, volume, seen, text_of(row, "tls"),
                         text_of(row, "user") });
    return true;
}

int cmd_report_clients(struct tool *tool, int argc, char **argv)
{
    static const struct print_column columns[] = { { "ADDRESS" }, { "HELO" }, { "CONNECTOR" },
        { "MESSAGES", true }, { "VOLUME", true }, { "LAST SEEN", true }, { "TLS" },
        { "USER" } };
    struct report_list list;
    int code;

    if (!tool_options_only(tool, argc, argv, NULL, 0, &code))
        return code;
    list_begin(&list, tool, columns, OPTION_COUNT(columns));
    return ask(tool, "devices", &list, on_client, "nobody has sent mail by this node");
}

/* --- Unprotected mail -------------------------------------------------------------------- */

static bool on_unprotected(void *me, const struct ctl_object *row)
{
    struct report_list *list = me;
    char messages[PRINT_NUMBER_BYTES], volume[PRINT_NUMBER_BYTES];
    const char *tls = ctl_text(row, "tls");

    if (!tls || strcmp(tls, "none") != 0)
        return true;
    list->rows++;
    if (!list->table) {
        print_json_row(row);
        return true;
    }
    number_text(ctl_number(row, "messages", 0), messages);
    print_size((uint64_t)ctl_number(row, "bytes", 0), volume);
    print_table_row(
        list->table, (const char *[]){ text_of(row, "direction"), text_of(row, "connector"),
                         text_of(row, "queue"), messages, volume });
    return true;
}

int cmd_report_unprotected(struct tool *tool, int argc, char **argv)
{
    static const struct print_column columns[] = { { "DIRECTION" }, { "CONNECTOR" },
        { "NEXT HOP" }, { "MESSAGES", true }, { "VOLUME", true } };
    struct report_list list;
    int code;

    if (!tool_options_only(tool, argc, argv, NULL, 0, &code))
        return code;
    list_begin(&list, tool, columns, OPTION_COUNT(columns));
    return ask(tool, "tls-counts", &list, on_unprotected,
        "since relaisd started no mail went without TLS");
}

/* --- Weak TLS ---------------------------------------------------------------------------- */

/* What is weak, or was when he needed it last; NULL: nothing. */
static const char *weakness_of(const struct ctl_object *row)
{
    struct bytes version = bytes_text(ctl_text(row, "tls"));

    return tls_weakness(version, bytes_text(ctl_text(row, "cipher")));
}

static bool has_need(const struct ctl_object *row, const char *need)
{
    for (size_t i = 0; i < ctl_list_count(row, "needs"); i++) {
        if (strcmp(ctl_list_text(row, "needs", i), need) == 0)
            return true;
    }
    return false;
}

static const char *remark_of(const struct ctl_object *row)
{
    const char *weakness = weakness_of(row);

    if (weakness)
        return weakness;
    if (has_need(row, "auth-without-tls"))
        return "password without TLS";
    if (has_need(row, "old-tls"))
        return "version below 1.2 before";
    return has_need(row, "weak-cipher") ? "weak cipher before" : NULL;
}

static bool on_weak_client(void *me, const struct ctl_object *row)
{
    struct report_list *list = me;
    const char *remark = remark_of(row), *cipher = text_of(row, "cipher");
    char messages[PRINT_NUMBER_BYTES], seen[PRINT_NUMBER_BYTES], tls[80];

    if (!remark)
        return true;
    list->rows++;
    if (!list->table) {
        print_json_row(row);
        return true;
    }
    number_text(ctl_number(row, "messages", 0), messages);
    print_age(ctl_number(row, "last_seen_s", -1), seen);
    snprintf(tls, sizeof tls, "%.20s%s%.50s", text_of(row, "tls") ? text_of(row, "tls") : "-",
        cipher ? " " : "", cipher ? cipher : "");
    print_table_row(list->table,
        (const char *[]){ text_of(row, "address"), ctl_list_text(row, "helo", 0),
            text_of(row, "connector"), messages, seen, tls, remark, text_of(row, "user") });
    return true;
}

static bool on_weak_hop(void *me, const struct ctl_object *row)
{
    struct report_list *list = me;

    list->rows++;
    if (!list->table) {
        print_json_row(row);
        return true;
    }
    printf("next hop ");
    print_clean(bytes_text(ctl_text(row, "queue")));
    printf(" takes %s (%s): %" PRId64 " recipients\n", ctl_text(row, "tls"),
        ctl_text(row, "weakness"), ctl_number(row, "messages", 0));
    return true;
}

int cmd_report_tls(struct tool *tool, int argc, char **argv)
{
    static const struct print_column columns[] = { { "ADDRESS" }, { "HELO" }, { "CONNECTOR" },
        { "MESSAGES", true }, { "LAST SEEN", true }, { "TLS" }, { "WEAK" }, { "USER" } };
    struct link_reader hops = { on_weak_hop, NULL };
    struct report_list list;
    struct ctl_object *request;
    int code;

    if (!tool_options_only(tool, argc, argv, NULL, 0, &code))
        return code;
    list_begin(&list, tool, columns, OPTION_COUNT(columns));
    hops.me = &list;
    request = link_request("weak-tls");
    code = link_ask(tool, &request, &hops, NULL);
    if (code != EX_OK)
        return list_end(&list, code, "");
    return ask(tool, "devices", &list, on_weak_client,
        "no client has weak TLS, or logs in without it; no next hop either");
}

/* --- Wide ranges ------------------------------------------------------------------------- */

static void rights_text(unsigned rights, char out[200])
{
    size_t n = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < RIGHT_COUNT && n < 200; i++) {
        if (rights & 1u << i)
            n += (size_t)snprintf(
                out + n, 200 - n, "%s%s", n ? "," : "", right_name((enum right)(1u << i)));
    }
}

static void print_range(struct report_list *list, const struct receive_connector *connector,
    struct ip_range range, unsigned rights)
{
    char text[IP_RANGE_TEXT_BYTES], names[200], where[400];
    struct ip stranger;
    const char *risk = "";

    list->rows++;
    ip_range_format(range, text);
    rights_text(rights, names);
    snprintf(where, sizeof where, "%s:%d", connector->source.file, connector->source.line);
    if (rights & RIGHT_ANY_RECIPIENT)
        risk = range_find_public(range, &stranger) ? "strangers may relay" : "may relay";
    if (list->table) {
        print_table_row(
            list->table, (const char *[]){ connector->name, text, names[0] ? names : "none",
                             risk[0] ? risk : NULL, where });
    } else {
        struct ctl_object *row = ctl_new();
        ctl_set_text(row, "connector", bytes_text(connector->name));
        ctl_set_text(row, "range", bytes_text(text));
        ctl_set_number(row, "bits", range_bits(range));
        ctl_set_text(row, "rights", bytes_text(names));
        ctl_set_text(row, "risk", bytes_text(risk));
        ctl_set_text(row, "where", bytes_text(where));
        print_json_row(row);
        ctl_free(row);
    }
}

int cmd_report_ranges(struct tool *tool, int argc, char **argv)
{
    static const struct print_column columns[] = { { "CONNECTOR" }, { "RANGE" },
        { "RIGHTS OF STRANGERS" }, { "RISK" }, { "WHERE" } };
    const struct client stranger = { .user = NULL };
    const struct settings *settings;
    struct report_list list;
    int code;

    if (!tool_options_only(tool, argc, argv, NULL, 0, &code))
        return code;
    settings = tool_settings_needed(tool, &code);
    if (!settings)
        return code;
    list_begin(&list, tool, columns, OPTION_COUNT(columns));
    for (size_t i = 0; i < settings->receive_count; i++) {
        const struct receive_connector *connector = &settings->receive[i];
        for (size_t r = 0; connector->enabled && r < connector->range_count; r++) {
            if (range_is_wide(connector->ranges[r]))
                print_range(&list, connector, connector->ranges[r],
                    client_rights(settings, connector, &stranger));
        }
    }
    return list_end(&list, EX_OK, "no range is wider than a /16, or a /48 of IPv6");
}
