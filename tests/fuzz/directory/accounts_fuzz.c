/* Any bytes as a file of accounts: what is read is written, and read again, the same; a change of
 * one account leaves the others as they are. */
#include "directory/accounts.h"

#include <assert.h>

static void check_again(const struct account *account)
{
    struct account again;
    struct buf line, other;
    char why[200];
    enum err err;

    buf_init(&line, 1 << 20);
    buf_init(&other, 1 << 20);
    err = account_format(account, &line);
    assert(err == OK);
    err = account_parse(bytes_first(buf_bytes(&line), line.n - 1), &again, why);
    assert(err == OK);
    err = account_format(&again, &other);
    assert(err == OK && bytes_equal(buf_bytes(&line), buf_bytes(&other)));
    account_done(&again);
    buf_done(&line);
    buf_done(&other);
}

static void check_removal(struct bytes text, const char *name)
{
    struct account account;
    struct buf out;
    char why[200];
    enum err err;

    buf_init(&out, 1 << 20);
    err = accounts_edit(text, name, NULL, &out);
    assert(err == OK);
    assert(accounts_find(buf_bytes(&out), name, &account, why) == ERR_NONE);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size), rest = text;

    while (rest.n) {
        struct account account;
        char why[200] = "";
        enum err err = account_parse(accounts_next_line(&rest), &account, why);
        if (err == ERR_SYNTAX)
            assert(why[0]);
        if (err != OK)
            continue;
        check_again(&account);
        check_removal(text, account.name);
        account_done(&account);
    }
    return 0;
}
