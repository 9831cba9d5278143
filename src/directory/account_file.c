/* The accounts, read with the settings. */
#include "base/mem.h"
#include "directory/accounts.h"
#include "directory/option.h"
#include "os/file.h"

#include <stdlib.h>
#include <sys/stat.h>

/* Sorted by name, and by line where a name stands twice. */
static int compare(const void *a, const void *b)
{
    const struct account *one = a, *other = b;
    int order = strcmp(one->name, other->name);

    return order ? order : one->line - other->line;
}

static void read_lines(struct reader *reader, const char *file, struct bytes text)
{
    struct settings *settings = reader->settings;
    struct source_line where = { file, 0 };
    size_t room = 0;

    while (text.n) {
        struct bytes line = accounts_next_line(&text);
        struct account account;
        char why[200];
        enum err err = account_parse(line, &account, why);
        where.line++;
        if (err == ERR_NONE)
            continue;
        if (err != OK) {
            complaint_hint(complain(reader->complaints, where, "%s", why),
                "NAME hash=... scram=... address=...: use `relais user` to change this file");
            continue;
        }
        if (settings->account_count == room) {
            room = room ? room * 2 : 16;
            settings->accounts =
                mem_grow(settings->accounts, room * sizeof *settings->accounts);
        }
        account.line = where.line;
        settings->accounts[settings->account_count++] = account;
    }
}

static void complain_of_twins(struct reader *reader, const char *file)
{
    const struct settings *settings = reader->settings;

    for (size_t i = 1; i < settings->account_count; i++) {
        const struct account *one = &settings->accounts[i - 1], *other = one + 1;
        if (strcmp(one->name, other->name) == 0)
            complain_of_twin(reader, "accounts", other->name,
                (struct source_line){ file, one->line },
                (struct source_line){ file, other->line });
    }
}

static void warn_of_mode(struct reader *reader, const char *file)
{
    struct stat about;

    if (stat(file, &about) == 0 && about.st_mode & (S_IRWXG | S_IRWXO))
        complaint_hint(complain_warning(reader->complaints, (struct source_line){ file, 0 },
                           "others may read or change the hashes of passwords"),
            "chmod 600 %s", file);
}

void read_accounts(struct reader *reader)
{
    const char *file = reader->settings->account_file;
    struct source_line where = { file, 0 };
    struct buf text;
    enum err err;

    if (reader->skips_accounts)
        return;
    buf_init(&text, ACCOUNT_FILE_BYTES_MAX);
    err = file_read_all(file, ACCOUNT_FILE_BYTES_MAX, &text);
    if (err == OK) {
        read_lines(reader, file, buf_bytes(&text));
        if (reader->settings->account_count)
            qsort(reader->settings->accounts, reader->settings->account_count,
                sizeof *reader->settings->accounts, compare);
        complain_of_twins(reader, file);
        warn_of_mode(reader, file);
        explicit_bzero(text.at, text.n);
    } else if (err == ERR_DENIED &&
               !reader->needs_accounts) { /* the tool, for an ordinary user */
        complain_warning(
            reader->complaints, where, "the accounts cannot be read: %s", err_text(err));
    } else if (err != ERR_NONE) {
        complain(reader->complaints, where, "it cannot be read: %s", err_text(err));
    }
    buf_done(&text);
}
