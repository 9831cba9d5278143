/* Tables of options, and the readers of values that many options share: inside of directory/.
 * Main loop's thread. */
#ifndef DIRECTORY_OPTION_H
#define DIRECTORY_OPTION_H

#include "directory/syntax.h"
#include "mail/idna.h"

struct reader {
    struct config *config; /* whose list of files the settings take over */
    struct complaints *complaints;
    struct settings *settings;
    bool is_whole; /* no mistake of syntax: what is missing is missing indeed */
    struct directory_change *change; /* borrowed; may be NULL */
    const char *preset;              /* NULL: none */
    struct config_item **made;       /* blocks of connectors that only the preset has */
    size_t made_count;
    const struct directory_start *start; /* may be NULL */
    bool may_lack_key, skips_accounts, needs_accounts;
    const struct config_item **receive_items; /* of each settings->receive, for its lines */
    struct source_line *alias_sources;        /* of each alias and target */
    size_t alias_source_count;
    size_t receive_item_count; /* 0: the connector of an empty file */
    /* The transport blocks, for their lines; NULL: none. */
    const struct config_item *transport, *transport_changed;
    struct config changed; /* transport.conf */
};

struct choice {
    const char *name;
    unsigned value;
};

struct option {
    const char *name;
    enum config_kind kind; /* CONFIG_LIST takes a single value too */
    /* Puts what ITEM says into INTO, the struct that the table is about. */
    void (*read)(struct reader *reader, const struct option *option,
        const struct config_item *item, void *into);
    size_t at;                    /* where in the struct */
    int64_t min, max;             /* numbers, ms, bytes; both are allowed */
    const struct choice *choices; /* ended by a NULL name */
    bool may_repeat;              /* blocks of which there may be many */
};

/* What reads the items of one kind of block. */
void read_receive_connector(
    struct reader *, const struct option *, const struct config_item *, void *);
void read_send_connector(
    struct reader *, const struct option *, const struct config_item *, void *);
void read_listener(struct reader *, const struct option *, const struct config_item *, void *);
void read_accepted_domain(
    struct reader *, const struct option *, const struct config_item *, void *);
void read_sender_rewrite(
    struct reader *, const struct option *, const struct config_item *, void *);

/* alias_file.c */
void read_alias_files(
    struct reader *, const struct option *, const struct config_item *, void *);
void read_recipient_file(
    struct reader *, const struct option *, const struct config_item *, void *);

void read_permission_group(
    struct reader *, const struct option *, const struct config_item *, void *);

void read_cluster_node(
    struct reader *, const struct option *, const struct config_item *, void *);
void read_transport(struct reader *, const struct option *, const struct config_item *, void *);

/* places.c: which of enum directory_place the settings of TEXT, which have mistakes, do not tell.
 * IS_WHOLE: none of syntax. */
unsigned places_unsure(const struct config *config, struct bytes text, bool is_whole,
    const struct complaints *complaints);

/* start.c: puts back what counts only when the daemon starts. */
void keep_start(struct reader *reader, const struct config_item *root);

/* Whether the block of a receive connector says that strangers may relay by it (RC-9). */
bool open_relay_is_meant(const struct config_item *block);

/* usage.c: what `usage` and `preset` put into a connector, before and after its own options; and
 * the connectors that a preset has and the file has not. */
void usage_begin(struct reader *reader, struct receive_connector *connector,
    const struct config_item *block);
void usage_end(struct reader *reader, struct receive_connector *connector,
    const struct config_item *block);
void read_usage(struct reader *, const struct option *, const struct config_item *, void *);
void preset_begin(struct reader *reader, const struct config_item *root);
void preset_end(struct reader *reader, const struct config_item *root);
void preset_done(struct reader *reader);

/* address_list.c: all lists, before the connectors that name them. */
void read_address_lists(struct reader *reader, const struct config_item *root);
const struct address_list *address_list_find(
    const struct settings *settings, const char *name); /* or NULL */
struct bytes address_line(struct bytes line);           /* without its comment; may be empty */
void read_remote_ranges(
    struct reader *, const struct option *, const struct config_item *, void *);
/* Adds ITEM's ranges, and those of the lists it names. */
void read_ranges(struct reader *reader, const struct config_item *item,
    struct ip_range **ranges, size_t *count);

/* The parameters of the transport block, and in the same order what cmdlets call them. */
extern const struct option transport_options[];
extern const char *const transport_names[];

/* The accounts, which stand in a file of their own. */
void read_accounts(struct reader *reader);

/* AUTH mechanisms by their names in small letters; ends with a NULL name. */
extern const struct choice auth_mechanisms[];

/* What no single block shows: the same name twice, connectors that dispute clients. */
void check_settings(struct reader *reader, const struct config_item *root);
void check_groups(struct reader *reader); /* and finds the user groups of connectors */
void check_aliases(struct reader *reader);
void check_listeners(struct reader *reader);
void check_cluster(struct reader *reader, const struct config_item *root);
void check_transport(struct reader *reader, const struct config_item *root);
void complain_of_twin(struct reader *reader, const char *kind, const char *name,
    struct source_line first, struct source_line second);

/* Reads each item of a block by its option in a table that ends with a NULL name. */
void options_read(struct reader *reader, const struct option *options,
    const struct config_item *block, void *into);

const struct option *option_find(const struct option *options, const char *name); /* or NULL */

/* All of these expect one value, which options_read() has seen to. */
void read_flag(struct reader *, const struct option *, const struct config_item *, void *);
void read_number(struct reader *, const struct option *, const struct config_item *,
    void *); /* uint32_t; "unlimited" is 0 where 0 is allowed */
void read_count(struct reader *, const struct option *, const struct config_item *,
    void *); /* uint32_t that has no "unlimited" */
void read_port(
    struct reader *, const struct option *, const struct config_item *, void *); /* uint16_t */
void read_size(
    struct reader *, const struct option *, const struct config_item *, void *); /* uint64_t */
void read_duration(struct reader *, const struct option *, const struct config_item *,
    void *); /* int64_t ms */
void read_choice(struct reader *, const struct option *, const struct config_item *,
    void *); /* an enum, or any other type as wide as unsigned */
void read_text(struct reader *, const struct option *, const struct config_item *, void *);
void read_host_name(struct reader *, const struct option *, const struct config_item *, void *);
void read_path(struct reader *, const struct option *, const struct config_item *, void *);
void read_file(struct reader *, const struct option *, const struct config_item *,
    void *); /* a path that can be read now */
void read_nothing(struct reader *, const struct option *, const struct config_item *,
    void *); /* it is read elsewhere */
void read_names(struct reader *, const struct option *, const struct config_item *,
    void *); /* a struct name_list */
void read_flags(struct reader *, const struct option *, const struct config_item *,
    void *); /* a list of choices, or-ed into an unsigned */
void read_rights(struct reader *, const struct option *, const struct config_item *,
    void *); /* unsigned: enum right */
void read_groups(struct reader *, const struct option *, const struct config_item *,
    void *); /* into a receive connector */
void read_patterns(struct reader *, const struct option *, const struct config_item *,
    void *); /* struct address_patterns: policy/pattern.h */

/* Parts of the above, for readers of one option. */
bool text_is_printable(const char *text); /* UTF-8, and no control byte */
bool flag_parse(const char *text, bool *out);
const struct choice *choice_find(const struct choice *choices, const char *name);
void complain_of_choice(struct reader *reader, struct source_line where, const char *name,
    const char *wrong, const struct choice *choices);
/* "127.0.0.1:25", "[::1]:25", "*:25", "unix:/run/x"; to be given back by binding_done(). */
bool binding_parse(const char *text, struct binding *out);
void binding_done(struct binding *binding);
/* "192.0.2.1:25", "[::1]:25", "mail.example.com:25"; HOST without brackets, free() it. */
bool host_port_parse(const char *text, char **host, uint16_t *port);
bool size_parse(const char *text, uint64_t *out); /* "25M", "512K", "100B", "1G" */
bool domain_pattern_parse(struct bytes text, char out[IDNA_BYTES_MAX]); /* normal form */
struct source_line value_line(const struct config_item *item, size_t i);

/* The name of a connector, from its block's title: complains when it is none. */
bool is_connector_name(struct reader *reader, const struct config_item *item);

#endif
