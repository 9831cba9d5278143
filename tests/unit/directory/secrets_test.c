/* Complaints go into the log, and no mistake in the line of a password brings it there. */
#include "directory_kit.h"

#include <stdio.h>

#define BEFORE "send_connector A {\n address_spaces = {\"*\"}\n mx = true\n user = a\n"
#define LINE "5: "

static void no_complaint_shows_a_password(void **state)
{
    static const struct {
        const char *name, *line; /* Xq7 and Zk9 are what is not to be seen */
        const char *want;        /* with ~ between the parts */
    } cases[] = {
        { "a colon", "password: \"Xq7Zk9\"",
            LINE
            "'=' or '{' is missing near 'password: VALUE' | write password = VALUE: no ':'" },
        { "a colon in front", "password :Xq7Zk9",
            LINE "'=' or '{' is missing near 'password :'" },
        { "a colon and no blank", "password:Xq7Zk9",
            LINE
            "'password:' is followed by neither '=' nor '{' | write password = VALUE: no" },
        { "a colon, and blanks", "password:Xq7 Zk9", LINE "'=' or '{' is missing near" },
        { "a colon, and =", "password:Xq7Zk9 = Xq7", LINE "unknown option 'password:' in" },
        { "no =", "password \"Xq7Zk9\"",
            LINE "'=' or '{' is missing near 'password VALUE' | write password = VALUE; a" },
        { "no =, capitals", "PASSWORD Xq7Zk9",
            LINE "'=' or '{' is missing near 'PASSWORD VALUE'" },
        { "another program's name", "smtp_passwd: Xq7Zk9", LINE "'=' or '{' is missing near" },
        { "a slip", "pasword: Xq7Zk9", LINE "'=' or '{' is missing near 'pasword: VALUE'" },
        { "a slip in capitals", "Pasword: Xq7Zk9", LINE "'=' or '{' is missing near" },
        { "a secret", "client_secret Xq7Zk9", LINE "'=' or '{' is missing near" },
        { "a blank", "password = Xq7 Zk9",
            LINE
            "neither '=' nor '{' follows a word that stands behind a password | a password "
            "with blanks" },
        { "two blanks", "password = a Xq7 Zk9", LINE "neither '=' nor '{'" },
        { "a quote in it", "password = \"a\"Xq7\"", LINE "this text has no end" },
        { "a quote behind it", "password = Xq7\"Zk9",
            LINE "expected an option or a block, found '...'" },
        { "no end of the quotes", "password = \"Xq7Zk9", LINE "this text has no end" },
        { "a ; and =", "password = Xq7;Zk9=a",
            LINE "unknown option '...' in send_connector | it is not shown" },
        { "a ; and {", "password = Xq7;Zk9{a", LINE "unknown block '...' in send_connector" },
        { "a }", "password = a}Xq7", LINE "neither '=' nor '{'" },
        { "a } and more", "password = a}Xq7+=Zk9", LINE "unknown option '...'" },
        { "braces", "password = { Xq7 Zk9 }", LINE "expected ',' or '}', found '...'" },
        { "brackets", "password = [Xq7]:Zk9",
            LINE
            "the list of 'password' ends before '...' | brackets that are of a value stand in "
            "its quotes: { \"[...]\" }" },
        { "a list", "password = {\n Xq7,\n Zk9\n a }", "8: expected ',' or '}', found '...'" },
        { "a block", "password { Xq7 Zk9 }", LINE "'password' is no block" },
        { "a block of several lines", "password {\n Xq7 Zk9\n Xq7: {\n}\n}",
            LINE "'password' is no block~6: neither '=' nor '{'" },
        { "the next line", "password =\n Xq7Zk9", LINE "'password' has no value~6: neither" },
        { "the next line, in quotes", "password =\n \"Xq7Zk9\"", "6: expected an option" },
        { "the next line, without =", "password\n Xq7Zk9 = a", "6: unknown option '...'" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct complaints complaints = { 0 };
        struct settings *settings = NULL;
        char text[300], got[8000];

        snprintf(text, sizeof text, BEFORE "%s\n}\n", cases[i].line);
        check(cases[i].name, directory_read_text(bytes_text(text), "t.conf", &settings,
                                 &complaints) == ERR_SYNTAX);
        list_complaints(&complaints, true, got);
        complaints_done(&complaints);
        check_parts(cases[i].name, got, cases[i].want);
        if (strstr(got, "Xq7") || strstr(got, "Zk9"))
            fail_msg("%s: it can be read in\n%s", cases[i].name, got);
    }
}

/* What stands behind it on other lines is shown as ever. */
static void the_rest_is_shown(void **state)
{
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;
    char got[8000];

    (void)state;
    check("refused",
        directory_read_text(
            bytes_text(BEFORE "password = \"x\"\n smart_hots = y\n tls encrypt\n}\n"), "t.conf",
            &settings, &complaints) == ERR_SYNTAX);
    list_complaints(&complaints, true, got);
    complaints_done(&complaints);
    check_parts("the rest", got,
        "6: unknown option 'smart_hots' in send_connector | did you mean 'smart_hosts'?~"
        "7: '=' or '{' is missing near 'tls encrypt' | write tls = encrypt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_complaint_shows_a_password),
        cmocka_unit_test(the_rest_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
