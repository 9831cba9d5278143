#include "os/dns_files.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/table.h"
#include "os/dns_data.h"
#include "os/file.h"

#include <stdlib.h>

enum { FILE_BYTES_MAX = 4 << 20 };

/* --- Lines and words --------------------------------------------------------------------- */

/* Takes the next line off TEXT, without its comment.  False: there is none left. */
static bool next_line(struct bytes *text, const char *comment_marks, struct bytes *out)
{
    size_t lf = bytes_find(*text, '\n');
    struct bytes line = bytes_first(*text, lf);

    if (text->n == 0)
        return false;
    *text = bytes_skip(*text, lf == BYTES_NOT_FOUND ? text->n : lf + 1);
    for (const char *mark = comment_marks; *mark; mark++)
        line = bytes_first(line, bytes_find(line, (uint8_t)*mark));
    *out = line;
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the next word off LINE; empty: there is none left. */
static struct bytes next_word(struct bytes *line)
{
    struct bytes word;
    size_t n = 0;

    while (line->n && is_blank(line->at[0]))
        *line = bytes_skip(*line, 1);
    while (n < line->n && !is_blank(line->at[n]))
        n++;
    word = bytes_first(*line, n);
    *line = bytes_skip(*line, n);
    return word;
}

static bool word_to_text(struct bytes word, char *out, size_t room)
{
    if (word.n == 0 || word.n >= room || memchr(word.at, 0, word.n))
        return false;
    memcpy(out, word.at, word.n);
    out[word.n] = 0;
    return true;
}

/* --- hosts ------------------------------------------------------------------------------- */

struct entry {
    struct table_node node;
    struct entry *next; /* all of them, in the file's order from the last */
    struct ip ip;
    char name[];
};

struct dns_hosts_file {
    struct table names;
    struct entry *last;
};

static void add_name(struct dns_hosts_file *hosts, struct ip ip, struct bytes word)
{
    char text[DNS_NAME_BYTES], name[DNS_NAME_BYTES];
    struct entry *entry;

    if (!word_to_text(word, text, sizeof text) || !dns_name_read(text, name))
        return;
    entry = mem_new(sizeof *entry + strlen(name) + 1);
    entry->ip = ip;
    memcpy(entry->name, name, strlen(name) + 1);
    entry->next = hosts->last;
    hosts->last = entry;
    table_add(&hosts->names, &entry->node, bytes_hash_nocase(bytes_text(name)));
}

static void read_hosts(struct dns_hosts_file *hosts, struct bytes text)
{
    struct bytes line, word;
    struct ip ip;

    while (next_line(&text, "#", &line)) {
        if (!ip_parse(next_word(&line), &ip))
            continue;
        while ((word = next_word(&line)).n > 0)
            add_name(hosts, ip, word);
    }
}

struct dns_hosts_file *hosts_file_new(const char *path)
{
    struct dns_hosts_file *hosts = mem_new(sizeof *hosts);
    struct buf text;

    table_init(&hosts->names);
    buf_init(&text, FILE_BYTES_MAX);
    if (path && file_read_all(path, FILE_BYTES_MAX, &text) == OK)
        read_hosts(hosts, buf_bytes(&text));
    buf_done(&text);
    return hosts;
}

void hosts_file_free(struct dns_hosts_file *hosts)
{
    if (!hosts)
        return;
    table_done(&hosts->names);
    while (hosts->last) {
        struct entry *entry = hosts->last;
        hosts->last = entry->next;
        free(entry);
    }
    free(hosts);
}

bool hosts_file_find(
    const struct dns_hosts_file *hosts, const char *name, struct dns_result *result)
{
    uint64_t hash = bytes_hash_nocase(bytes_text(name));
    struct table_node *node = table_first(&hosts->names, hash);
    bool found = false;

    for (; node; node = table_next(node)) {
        const struct entry *entry = container_of(node, struct entry, node);
        if (strcmp(entry->name, name) != 0)
            continue;
        dns_add_address(result, ip_is_v4(entry->ip)
                                    ? bytes_of(entry->ip.byte + 12, 4)
                                    : bytes_of(entry->ip.byte, sizeof entry->ip.byte));
        found = true;
    }
    return found;
}

/* --- resolv.conf ------------------------------------------------------------------------- */

static size_t read_servers(struct bytes text, char out[DNS_SERVERS_MAX][DNS_SERVER_BYTES])
{
    struct bytes line;
    size_t n = 0;

    while (n < DNS_SERVERS_MAX && next_line(&text, "#;", &line)) {
        if (bytes_equal(next_word(&line), BYTES("nameserver")) &&
            word_to_text(next_word(&line), out[n], DNS_SERVER_BYTES))
            n++;
    }
    return n;
}

size_t resolv_file_servers(const char *path, char out[DNS_SERVERS_MAX][DNS_SERVER_BYTES])
{
    struct buf text;
    size_t n = 0;

    buf_init(&text, FILE_BYTES_MAX);
    if (file_read_all(path, FILE_BYTES_MAX, &text) == OK)
        n = read_servers(buf_bytes(&text), out);
    buf_done(&text);
    if (n == 0)
        memcpy(out[n++], "127.0.0.1", sizeof "127.0.0.1");
    return n;
}
