#include "directory/accounts.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "os/password.h"
#include "os/sasl.h"

#include <stdio.h>
#include <stdlib.h>

/* --- Names ------------------------------------------------------------------------------- */

/* Bytes that would be read as something else in the file, in a log line or on a terminal. */
static bool is_name_byte(uint8_t c)
{
    return c > ' ' && c != 127 && c != '=' && c != '#' && c != '"' && c != '\\';
}

static bool is_utf8(struct bytes text)
{
    while (text.n) {
        size_t n = utf8_first(text);
        if (n == 0)
            return false;
        text = bytes_skip(text, n);
    }
    return true;
}

bool account_name_parse(struct bytes text, char out[ACCOUNT_NAME_BYTES_MAX + 1])
{
    if (text.n == 0 || text.n > ACCOUNT_NAME_BYTES_MAX || !is_utf8(text))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (!is_name_byte(text.at[i]))
            return false;
        out[i] = (char)ascii_lower(text.at[i]);
    }
    out[text.n] = '\0';
    return true;
}

/* --- A line ------------------------------------------------------------------------------ */

static void free_secret(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void account_done(struct account *account)
{
    for (size_t i = 0; i < account->addresses.count; i++)
        free(account->addresses.list[i]);
    free(account->addresses.list);
    free(account->name);
    free_secret(account->hash);
    free_secret(account->scram);
    *account = (struct account){ 0 };
}

static struct bytes next_word(struct bytes *rest)
{
    struct bytes word;
    size_t n = 0;

    *rest = bytes_trim(*rest);
    while (n < rest->n && rest->at[n] != ' ' && rest->at[n] != '\t')
        n++;
    word = bytes_first(*rest, n);
    *rest = bytes_skip(*rest, n);
    return word;
}

/* What is behind "NAME=" in WORD. */
static bool has_value(struct bytes word, const char *name, struct bytes *value)
{
    size_t n = strlen(name);

    if (!bytes_starts(word, bytes_text(name)) || word.n <= n || word.at[n] != '=')
        return false;
    *value = bytes_skip(word, n + 1);
    return true;
}

bool account_address_parse(struct bytes text, char out[PATTERN_BYTES_MAX])
{
    char again[PATTERN_BYTES_MAX];

    return pattern_parse(text, out) && pattern_parse(bytes_text(out), again) &&
           strcmp(out, again) == 0;
}

static const char *take_address(struct account *account, struct bytes value)
{
    struct address_patterns *addresses = &account->addresses;
    char pattern[PATTERN_BYTES_MAX];

    if (!account_address_parse(value, pattern))
        return "an address is none, no pattern of addresses, or needs its quotes";
    if (addresses->count == ACCOUNT_ADDRESSES_MAX)
        return "too many addresses";
    addresses->list =
        mem_grow(addresses->list, (addresses->count + 1) * sizeof *addresses->list);
    addresses->list[addresses->count++] = mem_text(pattern);
    return NULL;
}

/* Secrets are never quoted in what is said of them. */
static const char *take_word(struct account *account, struct bytes word)
{
    struct bytes value;

    if (bytes_equal(word, BYTES("disabled"))) {
        account->is_disabled = true;
        return NULL;
    }
    if (has_value(word, "address", &value))
        return take_address(account, value);
    if (has_value(word, "hash", &value)) {
        if (account->hash)
            return "there are two hashes";
        account->hash = bytes_to_text(value);
        return password_hash_is_good(account->hash) ? NULL
                                                    : "'hash' is no hash that crypt(5) knows";
    }
    if (has_value(word, "scram", &value)) {
        if (account->scram)
            return "there are two SCRAM verifiers";
        account->scram = bytes_to_text(value);
        return sasl_verifier_is_good(account->scram)
                   ? NULL
                   : "'scram' is no SCRAM-SHA-256 verifier (RFC 5803)";
    }
    return "a word is none of hash=, scram=, disabled and address=";
}

enum err account_parse(struct bytes line, struct account *out, char why[200])
{
    char name[ACCOUNT_NAME_BYTES_MAX + 1];
    struct account account = { 0 };
    struct bytes rest = line, word = next_word(&rest);
    const char *wrong = NULL;

    if (word.n == 0 || word.at[0] == '#')
        return ERR_NONE;
    if (bytes_find(line, '\0') != BYTES_NOT_FOUND)
        wrong = "a byte is zero";
    else if (!account_name_parse(word, name))
        wrong = "the name of the account has signs that it must not have, or is too long";
    else
        account.name = mem_text(name);
    while (!wrong && (word = next_word(&rest)).n)
        wrong = take_word(&account, word);
    if (wrong) {
        snprintf(why, 200, "%s", wrong);
        account_done(&account);
        return ERR_SYNTAX;
    }
    *out = account;
    return OK;
}

enum err account_format(const struct account *account, struct buf *out)
{
    enum err err = buf_add_text(out, account->name);

    if (err == OK && account->hash)
        err = buf_printf(out, " hash=%s", account->hash);
    if (err == OK && account->scram)
        err = buf_printf(out, " scram=%s", account->scram);
    if (err == OK && account->is_disabled)
        err = buf_add_text(out, " disabled");
    for (size_t i = 0; err == OK && i < account->addresses.count; i++)
        err = buf_printf(out, " address=%s", account->addresses.list[i]);
    return err == OK ? buf_add_text(out, "\n") : err;
}

/* --- A file ------------------------------------------------------------------------------ */

struct bytes accounts_next_line(struct bytes *text)
{
    size_t end = bytes_find(*text, '\n');
    struct bytes line = bytes_first(*text, end);

    *text = bytes_skip(*text, end == BYTES_NOT_FOUND ? text->n : end + 1);
    while (line.n && line.at[line.n - 1] == '\r')
        line.n--;
    return line;
}

static bool is_of(struct bytes line, const char *name)
{
    char normal[ACCOUNT_NAME_BYTES_MAX + 1];
    struct bytes word = next_word(&line);

    return account_name_parse(word, normal) && strcmp(normal, name) == 0;
}

enum err accounts_edit(
    struct bytes text, const char *name, const struct account *account, struct buf *out)
{
    enum err err = OK;

    while (text.n && err == OK) {
        struct bytes line = accounts_next_line(&text);
        if (!is_of(line, name)) {
            err = buf_add(out, line);
            if (err == OK)
                err = buf_add_text(out, "\n");
            continue;
        }
        if (account)
            err = account_format(account, out);
        account = NULL; /* a second line of that name goes */
    }
    return err == OK && account ? account_format(account, out) : err;
}

enum err accounts_find(struct bytes text, const char *name, struct account *out, char why[200])
{
    enum err err = ERR_NONE;
    struct account found = { 0 };

    while (text.n && (err == OK || err == ERR_NONE)) {
        struct bytes line = accounts_next_line(&text);
        if (!is_of(line, name))
            continue;
        account_done(&found);
        err = account_parse(line, &found, why);
    }
    if (err == OK)
        *out = found;
    return err;
}

#define SALT_KEY "# salt-key: "

bool accounts_find_salt_key(struct bytes text, uint8_t out[ACCOUNT_SALT_KEY_BYTES])
{
    bool is_found = false;

    while (text.n && !is_found) {
        struct bytes line = accounts_next_line(&text);
        struct buf key;
        if (!bytes_starts(line, BYTES(SALT_KEY)))
            continue;
        buf_init(&key, ACCOUNT_LINE_BYTES_MAX);
        is_found = base64_decode(bytes_skip(line, strlen(SALT_KEY)), &key) == OK &&
                   key.n == ACCOUNT_SALT_KEY_BYTES;
        if (is_found)
            memcpy(out, key.at, ACCOUNT_SALT_KEY_BYTES);
        buf_done(&key);
    }
    return is_found;
}

enum err accounts_add_salt_key(const uint8_t key[ACCOUNT_SALT_KEY_BYTES], struct buf *out)
{
    enum err err = buf_add_text(out, SALT_KEY);

    if (err == OK)
        err = base64_encode(bytes_of(key, ACCOUNT_SALT_KEY_BYTES), out);
    return err == OK ? buf_add_text(out, "\n") : err;
}
