#include "directory_kit.h"

#include "directory/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HASH "$y$j9T$3JmsRpqY76Z1cI8WqzLZH/$UtBVtxCABXfkJrWjkX3F8XPUw18JPyXZ9cyd0tZJLj9"
#define SCRAM                                                                                  \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static const struct {
    const char *name, *line;
    const char *wrong; /* NULL: it is good */
    const char *again; /* as it is written again; NULL: as LINE */
} lines[] = {
    { "name alone", "scanner", NULL, NULL },
    { "all", "scanner hash=" HASH " scram=" SCRAM " disabled address=a@example.com", NULL,
        NULL },
    { "case and blanks", "  Scanner\tdisabled  address=A@Example.COM ", NULL,
        "scanner disabled address=a@example.com" },
    { "several addresses", "x address=@example.com address=@*.example.com", NULL, NULL },
    { "UTF-8", "k\xc3\xbc\x63he disabled", NULL, NULL },
    { "a name like an address", "anna@example.com disabled", NULL, NULL },
    { "unknown word", "x password=secret", "none of hash=", NULL },
    { "bad hash", "x hash=secret", "'hash'", NULL },
    { "old hash", "x hash=aaQSqAReePlq6", "'hash'", NULL },
    { "two hashes", "x hash=" HASH " hash=" HASH, "two hashes", NULL },
    { "empty hash", "x hash=", "'hash'", NULL },
    { "bad verifier", "x scram=SCRAM-SHA-256$1:a$b:c", "'scram'", NULL },
    { "verifier of SHA-1", "x scram=SCRAM-SHA-1$4096:W22ZaJ0SNY7soEsUEjb6gQ==$a:b", "'scram'",
        NULL },
    { "bad address", "x address=nobody", "an address", NULL },
    { "an address in quotes for nothing", "x address=\"j\\.doe\"@example.com", NULL,
        "x address=j.doe@example.com" },
    { "an address that needs its quotes", "x address=\"@\"@example.com", "needs its quotes",
        NULL },
    { "bad name", "x\"y disabled", "the name", NULL },
    { "no UTF-8", "x\xff disabled", "the name", NULL },
};

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(lines); i++) {
        struct account account;
        struct buf out;
        char why[200] = "";
        enum err err = account_parse(bytes_text(lines[i].line), &account, why);

        if (lines[i].wrong) {
            check(lines[i].name, err == ERR_SYNTAX && strstr(why, lines[i].wrong));
            check(lines[i].name, !strstr(why, "secret"));
            continue;
        }
        check(lines[i].name, err == OK);
        buf_init(&out, ACCOUNT_LINE_BYTES_MAX);
        check(lines[i].name, account_format(&account, &out) == OK);
        out.n--; /* LF */
        check_bytes(lines[i].name, buf_bytes(&out),
            bytes_text(lines[i].again ? lines[i].again : lines[i].line));
        buf_done(&out);
        account_done(&account);
    }
}

static void test_cut_lines(void **state)
{
    static const char line[] =
        "scanner hash=" HASH " scram=" SCRAM " disabled address=a@example.com";

    (void)state;
    for (size_t n = 0; n < sizeof line; n++) {
        struct account account;
        char *copy = bytes_to_text(bytes_of(line, n));
        char why[200];

        if (account_parse(bytes_of(copy, n), &account, why) == OK)
            account_done(&account);
        free(copy);
    }
}

static void test_nothing(void **state)
{
    static const char *const nothing[] = { "", "   ", "# comment", "  # x hash=1" };
    struct account account;
    char why[200];

    (void)state;
    for (size_t i = 0; i < CASES(nothing); i++)
        check(nothing[i], account_parse(bytes_text(nothing[i]), &account, why) == ERR_NONE);
}

static void test_edit(void **state)
{
    static const char before[] = "# mine\na disabled\nB\nc address=@example.com\r\nb disabled";
    char name[] = "b";
    struct account account = { .name = name };
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    check("replaced", accounts_edit(BYTES(before), "b", &account, &out) == OK);
    check_bytes(
        "replaced", buf_bytes(&out), BYTES("# mine\na disabled\nb\nc address=@example.com\n"));
    buf_clear(&out);
    check("removed", accounts_edit(BYTES(before), "b", NULL, &out) == OK);
    check_bytes(
        "removed", buf_bytes(&out), BYTES("# mine\na disabled\nc address=@example.com\n"));
    buf_clear(&out);
    name[0] = 'z';
    check("added", accounts_edit(BYTES("a\n"), "z", &account, &out) == OK);
    check_bytes("added", buf_bytes(&out), BYTES("a\nz\n"));
    buf_done(&out);
}

static void test_salt_key(void **state)
{
    static const char *const none[] = { "", "# salt-key:\n", "# salt-key: AAAA\n",
        " # salt-key: AAECAwQFBgcICQoLDA0ODw==\n", "x # salt-key: AAECAwQFBgcICQoLDA0ODw==" };
    uint8_t key[ACCOUNT_SALT_KEY_BYTES], again[ACCOUNT_SALT_KEY_BYTES];
    struct account account;
    char why[200];
    struct buf out;

    (void)state;
    for (size_t i = 0; i < CASES(none); i++)
        check(none[i], !accounts_find_salt_key(bytes_text(none[i]), key));
    for (uint8_t i = 0; i < sizeof key; i++)
        key[i] = i;
    buf_init(&out, 1000);
    check("added", accounts_add_salt_key(key, &out) == OK);
    check_bytes("as text", buf_bytes(&out), BYTES("# salt-key: AAECAwQFBgcICQoLDA0ODw==\n"));
    check("a comment", account_parse(buf_bytes(&out), &account, why) == ERR_NONE);
    check("found", accounts_find_salt_key(buf_bytes(&out), again));
    check("the same", memcmp(key, again, sizeof key) == 0);
    buf_done(&out);
}

static void test_settings(void **state)
{
    char folder[] = "/tmp/relais-accounts-XXXXXX", text[400], said[8000];
    struct complaints complaints = { NULL };
    struct settings *settings = NULL;

    (void)state;
    check("folder", mkdtemp(folder));
    snprintf(text, sizeof text, "account_file = \"%s/accounts\"\naddresses_per_account = 3\n",
        folder);
    write_file(folder, "accounts", "# two\nzoe address=@example.com\nAdam disabled\n");
    check(
        "read", directory_read_text(bytes_text(text), "t.conf", &settings, &complaints) == OK);
    check("two", settings->account_count == 2);
    check("in order", strcmp(settings->accounts[0].name, "adam") == 0 &&
                          settings->accounts[0].is_disabled && settings->accounts[0].line == 3);
    check("addresses", settings->accounts[1].addresses.count == 1);
    check("number", settings->addresses_per_account_max == 3);
    list_complaints(&complaints, true, said);
    check_parts("mode", said, "others may read~chmod 600");
    settings_free(settings);
    complaints_done(&complaints);
    complaints = (struct complaints){ NULL };
    write_file(folder, "accounts", "a\nb hash=x\nA\n");
    check("wrong",
        directory_read_text(bytes_text(text), "t.conf", &settings, &complaints) == ERR_SYNTAX);
    list_complaints(&complaints, true, said);
    check_parts("wrong", said, "2: 'hash' is no hash~3: there are two accounts \"a\"~line 1");
    complaints_done(&complaints);
    remove_file(folder, "accounts");
    check("folder", rmdir(folder) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_cut_lines),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_edit),
        cmocka_unit_test(test_salt_key),
        cmocka_unit_test(test_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
