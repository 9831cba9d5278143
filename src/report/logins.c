#include "report/logins.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/table.h"
#include "os/file.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

enum { DAY_MS = 24 * 60 * 60 * 1000, FILE_BYTES_MAX = 64 << 20, NAME_BYTES_MAX = 256 };

struct login {
    struct table_node in_table;
    char *name;
    uint64_t count;
    struct wall last, warned;
    struct login_address *addresses; /* the latest first */
    size_t address_count;
};

struct logins {
    pthread_mutex_t lock; /* around all that follows */
    char *file;
    struct table table;
    bool is_new; /* something is not in the file yet */
};

/* --- The table --------------------------------------------------------------------------- */

static struct login *find(const struct logins *logins, struct bytes name)
{
    struct table_node *node = table_first(&logins->table, bytes_hash_nocase(name));

    for (; node; node = table_next(node)) {
        struct login *login = container_of(node, struct login, in_table);
        if (bytes_equal_nocase(bytes_text(login->name), name))
            return login;
    }
    return NULL;
}

static void forget(struct logins *logins, struct login *login)
{
    table_remove(&logins->table, &login->in_table);
    free(login->addresses);
    free(login->name);
    free(login);
}

static void pick_oldest(struct table_node *node, void *me)
{
    struct login **oldest = me, *login = container_of(node, struct login, in_table);

    if (!*oldest || login->last.ms < (*oldest)->last.ms)
        *oldest = login;
}

static struct login *add(struct logins *logins, struct bytes name)
{
    struct login *login;

    if (logins->table.count >= LOGINS_ACCOUNTS_MAX) {
        struct login *oldest = NULL;
        table_each(&logins->table, pick_oldest, &oldest);
        forget(logins, oldest);
    }
    login = mem_new(sizeof *login);
    login->name = bytes_to_text(name);
    table_add(&logins->table, &login->in_table, bytes_hash_nocase(name));
    return login;
}

/* Puts ADDRESS in front; the one at the end goes when there are too many. */
static void put_first(struct login *login, struct login_address address)
{
    size_t at = 0;

    while (at < login->address_count && ip_compare(login->addresses[at].ip, address.ip) != 0)
        at++;
    if (at < login->address_count) {
        address.first = login->addresses[at].first;
    } else if (login->address_count < LOGINS_ADDRESSES_MAX) {
        login->addresses =
            mem_grow(login->addresses, (login->address_count + 1) * sizeof *login->addresses);
        login->address_count++;
    } else {
        at--;
    }
    memmove(login->addresses + 1, login->addresses, at * sizeof *login->addresses);
    login->addresses[0] = address;
}

static size_t day_count(const struct login *login)
{
    size_t n = 0;

    while (n < login->address_count && login->last.ms - login->addresses[n].last.ms < DAY_MS)
        n++;
    return n;
}

size_t logins_note(
    struct logins *logins, const char *name, struct ip from, struct wall now, uint32_t max)
{
    struct login *login;
    size_t count;

    pthread_mutex_lock(&logins->lock);
    login = find(logins, bytes_text(name));
    if (!login)
        login = add(logins, bytes_text(name));
    login->count++;
    login->last = now;
    put_first(login, (struct login_address){ from, now, now });
    count = day_count(login);
    if (max == 0 || count <= max || now.ms - login->warned.ms < DAY_MS)
        count = 0;
    else
        login->warned = now;
    logins->is_new = true;
    pthread_mutex_unlock(&logins->lock);
    return count;
}

struct visiting {
    void (*visit)(void *me, const struct login_facts *facts);
    void *me;
};

static void visit_one(struct table_node *node, void *me)
{
    const struct visiting *visiting = me;
    const struct login *login = container_of(node, struct login, in_table);
    struct login_facts facts = { .name = login->name,
        .count = login->count,
        .last = login->last,
        .addresses = login->addresses,
        .address_count = login->address_count,
        .day_count = day_count(login) };

    visiting->visit(visiting->me, &facts);
}

void logins_each(struct logins *logins, const char *name,
    void (*visit)(void *me, const struct login_facts *facts), void *me)
{
    struct visiting visiting = { visit, me };
    struct login *login;

    pthread_mutex_lock(&logins->lock);
    if (!name) {
        table_each(&logins->table, visit_one, &visiting);
    } else {
        login = find(logins, bytes_text(name));
        if (login)
            visit_one(&login->in_table, &visiting);
    }
    pthread_mutex_unlock(&logins->lock);
}

/* --- The file ---------------------------------------------------------------------------- */

struct writing {
    struct buf *out;
    enum err err;
};

static void write_one(struct table_node *node, void *me)
{
    struct writing *writing = me;
    const struct login *login = container_of(node, struct login, in_table);
    char ip[IP_TEXT_BYTES];

    if (writing->err == OK)
        writing->err = buf_printf(
            writing->out, "%s %" PRIu64 " %" PRId64, login->name, login->count, login->last.ms);
    for (size_t i = 0; writing->err == OK && i < login->address_count; i++) {
        const struct login_address *address = &login->addresses[i];
        ip_format(address->ip, ip);
        writing->err = buf_printf(
            writing->out, " %s=%" PRId64 "-%" PRId64, ip, address->first.ms, address->last.ms);
    }
    if (writing->err == OK)
        writing->err = buf_add_text(writing->out, "\n");
}

enum err logins_save(struct logins *logins)
{
    struct buf text;
    struct writing writing = { &text, OK };
    bool is_new;
    enum err err = OK;

    buf_init(&text, FILE_BYTES_MAX);
    pthread_mutex_lock(&logins->lock);
    is_new = logins->is_new;
    logins->is_new = false;
    if (is_new)
        table_each(&logins->table, write_one, &writing);
    pthread_mutex_unlock(&logins->lock);
    if (is_new)
        err = writing.err == OK ? file_replace(logins->file, buf_bytes(&text), LOGINS_FILE_MODE)
                                : writing.err;
    buf_done(&text);
    return err;
}

static struct bytes take(struct bytes *rest, uint8_t end)
{
    size_t n = bytes_find(*rest, end);
    struct bytes part = bytes_first(*rest, n);

    *rest = bytes_skip(*rest, n == BYTES_NOT_FOUND ? rest->n : n + 1);
    return part;
}

static bool take_time(struct bytes text, struct wall *out)
{
    uint64_t ms;

    if (!bytes_to_number(text, INT64_MAX, &ms))
        return false;
    out->ms = (int64_t)ms;
    return true;
}

static bool take_address(struct bytes word, struct login_address *out)
{
    struct bytes ip = take(&word, '=');
    struct bytes first = take(&word, '-');

    return ip_parse(ip, &out->ip) && take_time(first, &out->first) &&
           take_time(word, &out->last);
}

/* A line with a mistake is passed over: it tells of the past, and nothing depends on it. */
static void read_line(struct logins *logins, struct bytes line)
{
    struct bytes name = take(&line, ' '), count = take(&line, ' '), last = take(&line, ' ');
    struct login_address address;
    struct login *login;
    struct wall time;
    uint64_t number;

    if (name.n == 0 || name.n >= NAME_BYTES_MAX || find(logins, name) ||
        !bytes_to_number(count, UINT64_MAX, &number) || !take_time(last, &time))
        return;
    login = add(logins, name);
    login->count = number;
    login->last = time;
    while (line.n && login->address_count < LOGINS_ADDRESSES_MAX) {
        if (!take_address(take(&line, ' '), &address))
            continue;
        login->addresses =
            mem_grow(login->addresses, (login->address_count + 1) * sizeof *login->addresses);
        login->addresses[login->address_count++] = address; /* they stand in their order */
    }
}

struct logins *logins_new(const char *file)
{
    struct logins *logins = mem_new(sizeof *logins);
    struct buf text;
    struct bytes rest;

    pthread_mutex_init(&logins->lock, NULL);
    table_init(&logins->table);
    logins->file = mem_text(file);
    buf_init(&text, FILE_BYTES_MAX);
    err_ignore(file_read_all(file, FILE_BYTES_MAX, &text));
    rest = buf_bytes(&text);
    while (rest.n)
        read_line(logins, take(&rest, '\n'));
    buf_done(&text);
    return logins;
}

static void free_one(struct table_node *node, void *me)
{
    forget(me, container_of(node, struct login, in_table));
}

void logins_free(struct logins *logins)
{
    if (!logins)
        return;
    table_each(&logins->table, free_one, logins);
    table_done(&logins->table);
    pthread_mutex_destroy(&logins->lock);
    free(logins->file);
    free(logins);
}
