/* `relais user`: the accounts, which stand in a file of the state folder (PE-6, PE-7).
 *
 * A change is made to the file alone, whole or not at all, under a lock; then the daemon is asked
 * to read its configuration again. */
#include "base/buf.h"
#include "base/mem.h"
#include "ctl/link.h"
#include "ctl/print.h"
#include "ctl/secret.h"
#include "ctl/tool.h"
#include "directory/accounts.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/password.h"
#include "os/sasl.h"
#include "report/logins.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { FOLDER_MODE = 0750 };

/* --- A change ---------------------------------------------------------------------------- */

struct change {
    struct tool *tool;
    const char *file;
    char *folder;
    struct file lock;
    struct buf text; /* of the file */
    char name[ACCOUNT_NAME_BYTES_MAX + 1];
    struct account account; /* that is there; its name NULL: none is */
    char broken[200];       /* its line is there, and this is wrong with it; or empty */
};

static char *with(const char *a, const char *b)
{
    size_t n = strlen(a) + strlen(b) + 1;
    char *text = mem_new(n);

    snprintf(text, n, "%s%s", a, b);
    return text;
}

static int lock(struct change *change)
{
    char *path = with(change->file, ".lock");
    enum err err = folder_make(change->folder, FOLDER_MODE);

    if (err == OK)
        err = file_lock(path, &change->lock);
    free(path);
    if (err == OK)
        return EX_OK;
    return err == ERR_BUSY
               ? tool_fail(change->tool, EX_TEMPFAIL, "%s is being changed by somebody else",
                     change->file)
               : tool_fail(change->tool, tool_code(err), "%s: %s", change->file, err_text(err));
}

static int load(struct change *change)
{
    enum err err = file_read_all(change->file, ACCOUNT_FILE_BYTES_MAX, &change->text);

    if (err != OK && err != ERR_NONE)
        return tool_fail(change->tool, tool_code(err), "%s: %s", change->file, err_text(err));
    err_ignore(accounts_find(
        buf_bytes(&change->text), change->name, &change->account, change->broken));
    return EX_OK;
}

static int begin(struct change *change, struct tool *tool, const char *name)
{
    const struct settings *settings;
    int code = EX_OK;

    *change = (struct change){ .tool = tool, .lock = { -1 } };
    buf_init(&change->text, ACCOUNT_FILE_BYTES_MAX);
    if (!account_name_parse(bytes_text(name), change->name))
        return tool_usage(tool, "'%.60s' cannot be the name of an account", name);
    settings = tool_settings_needed(tool, &code);
    if (!settings)
        return code;
    change->file = settings->account_file;
    change->folder = bytes_to_text(
        bytes_of(change->file, (size_t)(strrchr(change->file, '/') - change->file)));
    code = lock(change);
    return code == EX_OK ? load(change) : code;
}

static void end(struct change *change)
{
    if (change->text.at)
        explicit_bzero(change->text.at, change->text.n);
    buf_done(&change->text);
    account_done(&change->account);
    if (change->lock.fd >= 0)
        file_close(&change->lock);
    free(change->folder);
}

static int must_exist(struct change *change)
{
    if (change->account.name)
        return EX_OK;
    if (change->broken[0])
        return tool_fail(change->tool, EX_DATAERR, "%s: the line of %s: %s", change->file,
            change->name, change->broken);
    return tool_fail(change->tool, EX_NOUSER, "there is no account %s", change->name);
}

/* Has the daemon take it over.  That it is not running is no mistake. */
static int tell_daemon(struct tool *tool)
{
    struct ctl_object *request = link_request("reload");
    int code = link_ask(tool, &request, NULL, NULL);

    return code == LINK_DOWN ? EX_OK : code;
}

/* What this node makes salts of already, so that those of unknown names stay as they are; ERR_NONE:
 * nothing. */
static enum err read_secret(const struct change *change, uint8_t key[ACCOUNT_SALT_KEY_BYTES])
{
    char *file = with(change->tool->settings->state_folder, "/salt-secret");
    struct buf text;
    enum err err;

    buf_init(&text, ACCOUNT_LINE_BYTES_MAX);
    err = file_read_all(file, ACCOUNT_LINE_BYTES_MAX, &text);
    if (err == OK && text.n != ACCOUNT_SALT_KEY_BYTES)
        err = ERR_NONE;
    if (err == OK)
        memcpy(key, text.at, ACCOUNT_SALT_KEY_BYTES);
    buf_done(&text);
    free(file);
    return err;
}

/* A file that has none yet gets its key for the salts of unknown names. */
static enum err add_salt_key(const struct change *change, struct buf *text)
{
    uint8_t key[ACCOUNT_SALT_KEY_BYTES];
    enum err err = OK;

    if (!accounts_find_salt_key(buf_bytes(&change->text), key)) {
        err = read_secret(change, key);
        if (err != OK)
            err = sasl_secret_make(key);
        if (err == OK)
            err = accounts_add_salt_key(key, text);
    }
    explicit_bzero(key, sizeof key);
    return err;
}

/* Puts ACCOUNT in the file, or (NULL) takes the one of that name out. */
static int commit(struct change *change, const struct account *account, const char *done)
{
    struct buf text;
    enum err err;

    buf_init(&text, ACCOUNT_FILE_BYTES_MAX);
    err = add_salt_key(change, &text);
    if (err == OK)
        err = accounts_edit(buf_bytes(&change->text), change->name, account, &text);
    if (err == OK)
        err = file_replace(change->file, buf_bytes(&text), ACCOUNT_FILE_MODE);
    if (text.at)
        explicit_bzero(text.at, text.n);
    buf_done(&text);
    if (err != OK)
        return tool_fail(change->tool, tool_code(err), "%s: %s", change->file, err_text(err));
    if (!change->tool->is_json)
        printf("%s: %s\n", change->name, done);
    return tell_daemon(change->tool);
}

/* --- Passwords and addresses ----------------------------------------------------------------- */

static int set_secrets(struct change *change, const char *password)
{
    char hash[PASSWORD_HASH_BYTES], scram[SASL_VERIFIER_BYTES];
    enum err err = password_hash(password, hash);

    if (err == OK)
        err = sasl_verifier_make(password, scram);
    if (err != OK)
        return tool_fail(change->tool, EX_DATAERR, "that password cannot be used: %s",
            err == ERR_SYNTAX ? "it is not UTF-8, or has signs that SASLprep (RFC 4013) forbids"
                              : err_text(err));
    free(change->account.hash);
    free(change->account.scram);
    change->account.hash = mem_text(hash);
    change->account.scram = mem_text(scram);
    return EX_OK;
}

static int read_password(struct change *change, const char *file)
{
    char password[SECRET_BYTES] = "";
    enum err err = secret_read(file, password);
    int code;

    if (err == OK)
        code = set_secrets(change, password);
    else
        code = tool_fail(change->tool, EX_NOINPUT, "%s: %s", file ? file : "password",
            err == ERR_NONE     ? "there is none"
            : err == ERR_SYNTAX ? "it has a control byte"
                                : err_text(err));
    explicit_bzero(password, sizeof password);
    return code;
}

static int set_addresses(struct change *change, const struct option_texts *texts)
{
    struct address_patterns *addresses = &change->account.addresses;
    char pattern[PATTERN_BYTES_MAX];

    for (size_t i = 0; i < addresses->count; i++)
        free(addresses->list[i]);
    free(addresses->list);
    *addresses = (struct address_patterns){ mem_new((texts->count + 1) * sizeof(char *)), 0 };
    for (unsigned i = 0; i < texts->count; i++) {
        if (!account_address_parse(bytes_text(texts->text[i]), pattern))
            return tool_usage(change->tool,
                "'%.100s' is no address without quotes and no pattern: user@example.com, "
                "@example.com",
                texts->text[i]);
        addresses->list[addresses->count++] = mem_text(pattern);
    }
    return EX_OK;
}

#define OPTION_ADDRESS(texts)                                                                  \
    {                                                                                          \
        "address", 'a', OPTION_TEXTS, &(texts), "PATTERN",                                     \
            "an address that the account may send as: user@example.com, @example.com"          \
    }
#define OPTION_PASSWORD_FILE(file)                                                             \
    {                                                                                          \
        "password-file", 0, OPTION_TEXT, &(file), "FILE", "the password is its first line"     \
    }

int cmd_user_add(struct tool *tool, int argc, char **argv)
{
    struct option_texts addresses = { .count = 0 };
    const char *password_file = NULL;
    bool has_none = false;
    const struct option options[] = { OPTION_ADDRESS(addresses),
        OPTION_PASSWORD_FILE(password_file),
        { "no-password", 0, OPTION_FLAG, &has_none, NULL,
            "PAM, Kerberos or a certificate knows the user" } };
    struct change change;
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (argc != 1)
        return tool_usage(tool, "one name; the password is asked for");
    code = begin(&change, tool, argv[0]);
    if (code == EX_OK && (change.account.name || change.broken[0]))
        code = tool_fail(tool, EX_CANTCREAT, "there is an account %s already", change.name);
    if (code == EX_OK)
        change.account.name = mem_text(change.name);
    if (code == EX_OK)
        code = set_addresses(&change, &addresses);
    if (code == EX_OK && !has_none)
        code = read_password(&change, password_file);
    if (code == EX_OK)
        code = commit(&change, &change.account, "added");
    end(&change);
    return code;
}

/* What a command does to an account that exists; ME is its own. */
typedef int alter_account(struct change *change, void *me);

static int change_account(
    struct tool *tool, const char *name, alter_account *alter, void *me, const char *done)
{
    struct change change;
    int code = begin(&change, tool, name);

    if (code == EX_OK)
        code = must_exist(&change);
    if (code == EX_OK)
        code = alter(&change, me);
    if (code == EX_OK)
        code = commit(&change, &change.account, done);
    end(&change);
    return code;
}

static int alter_password(struct change *change, void *me)
{
    return read_password(change, me);
}

int cmd_user_passwd(struct tool *tool, int argc, char **argv)
{
    char *password_file = NULL;
    const struct option options[] = { OPTION_PASSWORD_FILE(password_file) };
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (argc != 1)
        return tool_usage(tool, "one name; the password is asked for");
    return change_account(tool, argv[0], alter_password, password_file, "has a new password");
}

static int alter_addresses(struct change *change, void *me)
{
    return set_addresses(change, me);
}

int cmd_user_addresses(struct tool *tool, int argc, char **argv)
{
    struct option_texts addresses = { .count = 0 };
    const struct option options[] = { OPTION_ADDRESS(addresses) };
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (argc != 1)
        return tool_usage(tool, "one name, and --address for each address it may send as");
    return change_account(tool, argv[0], alter_addresses, &addresses, "has new addresses");
}

static int alter_disabled(struct change *change, void *me)
{
    change->account.is_disabled = *(bool *)me;
    return EX_OK;
}

static int set_disabled(struct tool *tool, int argc, char **argv, bool is_disabled)
{
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc != 1)
        return tool_usage(tool, "one name");
    return change_account(
        tool, argv[0], alter_disabled, &is_disabled, is_disabled ? "disabled" : "enabled");
}

int cmd_user_disable(struct tool *tool, int argc, char **argv)
{
    return set_disabled(tool, argc, argv, true);
}

int cmd_user_enable(struct tool *tool, int argc, char **argv)
{
    return set_disabled(tool, argc, argv, false);
}

int cmd_user_remove(struct tool *tool, int argc, char **argv)
{
    struct change change;
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc != 1)
        return tool_usage(tool, "one name");
    code = begin(&change, tool, argv[0]);
    if (code == EX_OK && !change.broken[0])
        code = must_exist(&change);
    if (code == EX_OK)
        code = commit(&change, NULL, "removed");
    end(&change);
    return code;
}
