/* `relais user list`: who may log in, and who did, when and from where (PE-7). */
#include "base/mem.h"
#include "ctl/link.h"
#include "ctl/print.h"
#include "ctl/tool.h"
#include "directory/directory.h"
#include "os/clock.h"
#include "report/logins.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>
#include <sysexits.h>

static const struct print_column columns[] = { { "NAME" }, { "STATE" }, { "PASSWORD" },
    { "LOGINS", true }, { "LAST", true }, { "FROM" }, { "MAY SEND AS" } };

struct listing {
    struct print_table *table; /* NULL: JSON */
    const struct settings *settings;
    struct wall now;
    uint64_t rows;
    bool was_seen; /* the account that is looked for has logged in */
};

static const char *password_kind(const struct account *account)
{
    if (!account)
        return "-";
    if (!account->hash && !account->scram)
        return "elsewhere";
    return !account->scram ? "hash" : !account->hash ? "scram" : "hash, scram";
}

static const struct account *account_of(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->account_count; i++) {
        if (strcasecmp(settings->accounts[i].name, name) == 0)
            return &settings->accounts[i];
    }
    return NULL;
}

static const char *state_of(const struct settings *settings, const struct account *account,
    const struct login_facts *facts)
{
    uint32_t max = settings->addresses_per_account_max;

    if (account && account->is_disabled)
        return "disabled";
    if (max && facts->day_count > max)
        return "many addresses";
    return account ? "enabled" : "not kept here";
}

static void add_seen(struct ctl_object *row, const struct login_address *address)
{
    struct ctl_object *from = ctl_new();
    char ip[IP_TEXT_BYTES];

    ip_format(address->ip, ip);
    ctl_set_text(from, "address", bytes_text(ip));
    ctl_set_number(from, "first_ms", address->first.ms);
    ctl_set_number(from, "last_ms", address->last.ms);
    ctl_add_object(row, "from", &from);
}

static void print_json(const struct settings *settings, const struct account *account,
    const struct login_facts *facts)
{
    struct ctl_object *row = ctl_new();

    ctl_set_text(row, "name", bytes_text(facts->name));
    ctl_set_text(row, "state", bytes_text(state_of(settings, account, facts)));
    ctl_set_text(row, "password", bytes_text(password_kind(account)));
    for (size_t i = 0; account && i < account->addresses.count; i++)
        ctl_add_text(row, "addresses", bytes_text(account->addresses.list[i]));
    ctl_set_number(row, "logins", (int64_t)facts->count);
    ctl_set_number(row, "last_ms", facts->last.ms);
    ctl_set_number(row, "addresses_of_the_day", (int64_t)facts->day_count);
    for (size_t i = 0; i < facts->address_count; i++)
        add_seen(row, &facts->addresses[i]);
    print_json_row(row);
    ctl_free(row);
}

/* The first of COUNT, and how many more there are. */
static void name_first(const char *first, size_t count, char out[400])
{
    if (count > 1)
        snprintf(out, 400, "%.300s (+%zu)", first, count - 1);
    else
        snprintf(out, 400, "%.300s", count ? first : "-");
}

static void print(
    struct listing *listing, const struct account *account, const struct login_facts *facts)
{
    char logins[PRINT_NUMBER_BYTES], last[PRINT_NUMBER_BYTES];
    char ip[IP_TEXT_BYTES] = "", from[400], addresses[400] = "-";

    listing->rows++;
    if (!listing->table) {
        print_json(listing->settings, account, facts);
        return;
    }
    snprintf(logins, sizeof logins, "%" PRIu64, facts->count);
    print_age(facts->count ? (listing->now.ms - facts->last.ms) / 1000 : -1, last);
    if (facts->address_count)
        ip_format(facts->addresses[0].ip, ip);
    name_first(ip, facts->address_count, from);
    if (account)
        name_first(account->addresses.count ? account->addresses.list[0] : "",
            account->addresses.count, addresses);
    print_table_row(listing->table,
        (const char *[]){ facts->name, state_of(listing->settings, account, facts),
            password_kind(account), logins, last, from, addresses });
}

static void on_account(void *me, const struct login_facts *facts)
{
    struct listing *listing = me;

    listing->was_seen = true;
    print(listing, account_of(listing->settings, facts->name), facts);
}

static void on_login(void *me, const struct login_facts *facts)
{
    struct listing *listing = me;

    if (!account_of(listing->settings, facts->name))
        print(
            listing, NULL, facts); /* PAM or Kerberos knows him, or he is no account any more */
}

static void list(struct listing *listing, struct logins *logins)
{
    const struct settings *settings = listing->settings;

    for (size_t i = 0; i < settings->account_count; i++) {
        listing->was_seen = false;
        logins_each(logins, settings->accounts[i].name, on_account, listing);
        if (!listing->was_seen)
            print(listing, &settings->accounts[i],
                &(struct login_facts){ .name = settings->accounts[i].name });
    }
    logins_each(logins, NULL, on_login, listing);
}

/* The daemon writes down what it knows until now; when it does not run, its file is all. */
static struct logins *read_logins(struct tool *tool, const struct settings *settings)
{
    struct ctl_object *request = link_request("logins");
    size_t n = strlen(settings->state_folder) + sizeof "/logins";
    char *file = mem_new(n);
    struct logins *logins;

    (void)link_ask(tool, &request, NULL, NULL);
    snprintf(file, n, "%s/logins", settings->state_folder);
    logins = logins_new(file);
    free(file);
    return logins;
}

static int read_settings(struct tool *tool)
{
    struct directory_query query = { .file = tool->config_file, .may_lack_key = true };
    struct complaints complaints = { 0 };
    enum err err = directory_read(&query, &tool->settings, &complaints);

    if (err == ERR_SYNTAX)
        tool_print_complaints(&complaints);
    complaints_done(&complaints);
    if (err == OK)
        return EX_OK;
    return tool_fail(tool, err == ERR_SYNTAX ? EX_CONFIG : tool_code(err), "%s: %s",
        tool->config_file, err == ERR_SYNTAX ? "there are mistakes" : err_text(err));
}

int cmd_user_list(struct tool *tool, int argc, char **argv)
{
    struct listing listing = { .now = clock_wall() };
    struct logins *logins;
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc)
        return tool_usage(tool, "unexpected '%.60s'", argv[0]);
    code = read_settings(tool);
    if (code != EX_OK)
        return code;
    listing.settings = tool->settings;
    logins = read_logins(tool, tool->settings);
    if (!tool->is_json)
        listing.table = print_table_new(columns, OPTION_COUNT(columns));
    list(&listing, logins);
    print_table_end(listing.table);
    if (listing.rows == 0 && !tool->is_json)
        fputs("there is no account (see: relais user add)\n", stderr);
    logins_free(logins);
    return EX_OK;
}
