/* `relais cluster init` and `show`: this node's key, and who the others are. */
#include "base/mem.h"
#include "ctl/cluster_file.h"
#include "ctl/print.h"
#include "ctl/tool.h"
#include "os/file.h"
#include "os/tls.h"
#include "proto/ctl/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { ADDRESS_BYTES = 320, PORT_DEFAULT = 2525, FOLDER_MODE = 0750 };

/* --- This node --------------------------------------------------------------------------- */

static const struct receive_connector *find_internal(const struct settings *settings)
{
    for (size_t i = 0; i < settings->receive_count; i++) {
        if (settings->receive[i].is_internal && settings->receive[i].enabled)
            return &settings->receive[i];
    }
    return NULL;
}

/* Where the others reach it: the internal connector's first address, or the node's name when it
 * listens on all of them. */
static void find_address(const struct settings *settings, char out[ADDRESS_BYTES])
{
    const struct receive_connector *internal = find_internal(settings);
    const struct binding *binding = internal ? internal->bindings : NULL;
    char ip[IP_TEXT_BYTES];

    if (binding)
        ip_format(binding->ip, ip);
    if (!binding || binding->is_any || strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0) {
        snprintf(out, ADDRESS_BYTES, "%s:%u", settings->fqdn,
            binding ? binding->port : (unsigned)PORT_DEFAULT);
        return;
    }
    snprintf(
        out, ADDRESS_BYTES, ip_is_v4(binding->ip) ? "%s:%u" : "[%s]:%u", ip, binding->port);
}

struct self {
    const struct settings *settings;
    const char *name;
    char address[ADDRESS_BYTES];
    char pin[TLS_PIN_TEXT_BYTES]; /* empty: it cannot be read: */
    char why[TLS_ERROR_BYTES];
};

static void read_pin(struct self *self)
{
    struct tls_pin pin;

    self->pin[0] = '\0';
    if (tls_pin_of_file(self->settings->cluster_certificate_file, &pin, self->why) == OK)
        tls_pin_format(pin, self->pin);
    else if (access(self->settings->cluster_certificate_file, F_OK) != 0 && errno == ENOENT)
        snprintf(self->why, sizeof self->why, "none yet; relais cluster init makes one");
}

static struct ctl_object *self_object(const struct self *self)
{
    const struct settings *settings = self->settings;
    struct ctl_object *object = ctl_new();

    ctl_set_text(object, "name", bytes_text(self->name));
    ctl_set_text(object, "address", bytes_text(self->address));
    ctl_set_text(object, "pin", bytes_text(self->pin));
    if (settings->site)
        ctl_set_text(object, "site", bytes_text(settings->site));
    ctl_set_text(object, "key", bytes_text(settings->cluster_key_file));
    ctl_set_text(object, "certificate", bytes_text(settings->cluster_certificate_file));
    return object;
}

static void print_self(const struct self *self)
{
    print_fact("node", "%s", self->name);
    if (self->settings->site)
        print_fact("site", "%s", self->settings->site);
    print_fact("address", "%s", self->address);
    print_fact("pin", "%s", self->pin[0] ? self->pin : self->why);
    print_fact("key", "%s", self->settings->cluster_key_file);
}

/* --- Init -------------------------------------------------------------------------------- */

static enum err make_folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *folder = bytes_to_text(bytes_of(file, (size_t)(slash - file)));
    enum err err = *folder ? folder_make(folder, FOLDER_MODE) : OK;

    free(folder);
    return err;
}

/* A key that is there stays: the other nodes know it. */
static int make_key(struct tool *tool, const struct self *self, bool *is_new)
{
    const char *certificate = self->settings->cluster_certificate_file;
    const char *key = self->settings->cluster_key_file;
    char why[TLS_ERROR_BYTES];
    enum err err;

    *is_new = access(key, F_OK) != 0 || access(certificate, F_OK) != 0;
    if (!*is_new)
        return EX_OK;
    err = make_folder_of(key);
    if (err != OK)
        return tool_fail(tool, tool_code(err), "%s: %s", key, err_text(err));
    err = make_folder_of(certificate);
    if (err != OK)
        return tool_fail(tool, tool_code(err), "%s: %s", certificate, err_text(err));
    err = tls_node_key_make(self->name, certificate, key, why);
    if (err != OK)
        return tool_fail(tool, tool_code(err), "%s%s", why,
            err == ERR_EXISTS ? ", but key and certificate belong together: move it away first"
                              : "");
    err = file_own(key);
    if (err == OK)
        err = file_own(certificate);
    return err == OK ? EX_OK
                     : tool_fail(tool, tool_code(err),
                           "%s: it cannot be given to the owner of its folder: %s", key,
                           err_text(err));
}

/* What else the pair needs. */
static void print_advice(struct tool *tool, const struct self *self)
{
    if (strcasecmp(self->name, self->settings->fqdn) != 0)
        fprintf(stderr,
            "%s: this node calls itself %s there; to go by this name it needs: fqdn = %s\n",
            tool->config_file, self->settings->fqdn, self->name);
    if (!find_internal(self->settings))
        fprintf(stderr,
            "%s: has no connector for the other nodes yet; add, with an address they reach:\n"
            "    receive_connector \"Internal\" { role = internal bindings = { \"*:%d\" } }\n",
            tool->config_file, PORT_DEFAULT);
    if (!cluster_folder_is_included(tool->config_file))
        fprintf(stderr,
            "%s: does not read what `relais cluster join` writes yet; add:\n   "
            " " CLUSTER_INCLUDE "\n",
            tool->config_file);
}

static void print_init(const struct self *self, bool is_new)
{
    const char *site = self->settings->site;

    print_self(self);
    printf("\n%s  On each of the other nodes:\n\n    relais cluster join",
        is_new ? "The key was made." : "The key is the one that was there.");
    if (site)
        printf(strpbrk(site, " $'&;|<>()*?") ? " --site '%s'" : " --site %s", site);
    printf(" %s %s %s\n", self->name, self->address, self->pin);
}

int cmd_cluster_init(struct tool *tool, int argc, char **argv)
{
    const char *name = NULL, *address = NULL;
    const struct option options[] = {
        { "name", 0, OPTION_TEXT, &name, "NAME", "what the node is called [its fqdn]" },
        { "address", 0, OPTION_TEXT, &address, "HOST:PORT",
            "where the others reach its internal connector [as configured]" },
    };
    struct self self = { NULL };
    bool is_new;
    int code;

    if (!tool_options_only(tool, argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    self.settings = tool_settings_needed(tool, &code);
    if (!self.settings)
        return code;
    self.name = name ? name : self.settings->fqdn;
    if (!cluster_name_is_good(self.name))
        return tool_usage(tool, "'%.80s' is no name for a node", self.name);
    find_address(self.settings, self.address);
    if (address)
        snprintf(self.address, sizeof self.address, "%s", address);
    code = make_key(tool, &self, &is_new);
    if (code != EX_OK)
        return code;
    read_pin(&self);
    if (!self.pin[0])
        return tool_fail(tool, EX_DATAERR, "%s", self.why);
    if (tool->is_json) {
        struct ctl_object *object = self_object(&self);
        ctl_set_bool(object, "is_new", is_new);
        print_json_row(object);
        ctl_free(object);
    } else {
        print_init(&self, is_new);
    }
    print_advice(tool, &self);
    return EX_OK;
}

/* --- Show -------------------------------------------------------------------------------- */

static const struct print_column columns[] = { { "NODE" }, { "ADDRESS" }, { "SITE" },
    { "PIN" } };

static void format_address(const struct cluster_node *node, char out[ADDRESS_BYTES])
{
    snprintf(out, ADDRESS_BYTES, strchr(node->host, ':') ? "[%s]:%u" : "%s:%u", node->host,
        node->port);
}

static void format_pin(const struct cluster_node *node, char out[TLS_PIN_TEXT_BYTES])
{
    struct tls_pin pin;

    memcpy(pin.byte, node->pin, sizeof pin.byte);
    tls_pin_format(pin, out);
}

static void print_nodes(const struct settings *settings)
{
    struct print_table *table = print_table_new(columns, OPTION_COUNT(columns));
    char address[ADDRESS_BYTES], pin[TLS_PIN_TEXT_BYTES];

    for (size_t i = 0; i < settings->node_count; i++) {
        const struct cluster_node *node = &settings->nodes[i];
        const char *cells[] = { node->name, address, node->site, pin };
        format_address(node, address);
        format_pin(node, pin);
        print_table_row(table, cells);
    }
    print_table_end(table);
}

static void print_json(const struct self *self)
{
    struct ctl_object *all = self_object(self);
    char address[ADDRESS_BYTES], pin[TLS_PIN_TEXT_BYTES];

    for (size_t i = 0; i < self->settings->node_count; i++) {
        const struct cluster_node *node = &self->settings->nodes[i];
        struct ctl_object *object = ctl_new();
        format_address(node, address);
        format_pin(node, pin);
        ctl_set_text(object, "name", bytes_text(node->name));
        ctl_set_text(object, "address", bytes_text(address));
        ctl_set_text(object, "pin", bytes_text(pin));
        if (node->site)
            ctl_set_text(object, "site", bytes_text(node->site));
        ctl_set_text(object, "file", bytes_text(node->source.file));
        ctl_add_object(all, "nodes", &object);
    }
    print_json_row(all);
    ctl_free(all);
}

int cmd_cluster_show(struct tool *tool, int argc, char **argv)
{
    struct self self = { NULL };
    int code;

    if (!tool_options_only(tool, argc, argv, NULL, 0, &code))
        return code;
    self.settings = tool_settings_needed(tool, &code);
    if (!self.settings)
        return code;
    self.name = self.settings->fqdn;
    find_address(self.settings, self.address);
    read_pin(&self);
    if (tool->is_json) {
        print_json(&self);
        return EX_OK;
    }
    print_self(&self);
    putchar('\n');
    if (self.settings->node_count == 0)
        puts("No other nodes: it is alone.");
    else
        print_nodes(self.settings);
    if (self.settings->node_count)
        puts("\nHow they are: relais shadow status");
    return EX_OK;
}
