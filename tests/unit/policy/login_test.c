#include "kit.h"

#include "base/mem.h"
#include "policy/login.h"

#include <stdlib.h>

static struct settings *make_settings(void)
{
    struct settings *settings = settings_new("relay.test");

    settings->accounts = mem_new(2 * sizeof *settings->accounts);
    settings->account_count = 2;
    settings->accounts[0].name = mem_text("anna");
    settings->accounts[1].name = mem_text("berta");
    settings->accounts[1].hash = mem_text("$y$x");
    settings->accounts[1].is_disabled = true;
    settings->kerberos_realm = mem_text("EXAMPLE.COM");
    return settings;
}

static const struct {
    const char *name, *user;
    enum login_end end;
    uint16_t code;
    const char *rule;
} decisions[] = {
    { "right", "anna", LOGIN_RIGHT, 235, "login" },
    { "right, known elsewhere", "zoe", LOGIN_RIGHT, 235, "login" },
    { "wrong", "anna", LOGIN_WRONG, 535, "login" },
    { "nobody", "", LOGIN_WRONG, 535, "login" },
    { "disabled", "berta", LOGIN_RIGHT, 535, "login-disabled" },
    { "disabled and wrong", "berta", LOGIN_WRONG, 535, "login" },
    { "trouble", "anna", LOGIN_TROUBLE, 454, "login-trouble" },
};

static void test_decisions(void **state)
{
    struct settings *settings = make_settings();

    (void)state;
    for (size_t i = 0; i < CASES(decisions); i++) {
        struct decision decision;
        login_decide(
            settings, settings->receive, decisions[i].user, decisions[i].end, &decision);
        check(decisions[i].name, decision.verdict.code == decisions[i].code);
        check(decisions[i].name, strcmp(decision.rule, decisions[i].rule) == 0);
    }
    settings_free(settings);
}

static const struct {
    const char *proved;
    bool is_principal;
    const char *user;
} users[] = {
    { "Scanner", false, "scanner" },
    { "Anna@EXAMPLE.COM", true, "anna" },
    { "Anna@EXAMPLE.COM", false, "anna@example.com" },
    { "anna@ELSEWHERE.TEST", true, "anna@elsewhere.test" },
    { "smtp/host@EXAMPLE.COM", true, "smtp/host@example.com" },
    { "", true, "" },
};

static void test_users(void **state)
{
    struct settings *settings = make_settings();
    char user[LOGIN_NAME_BYTES], longest[400];

    (void)state;
    for (size_t i = 0; i < CASES(users); i++) {
        login_user(settings, users[i].proved, users[i].is_principal, user);
        assert_string_equal(user, users[i].user);
    }
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    login_user(settings, longest, true, user);
    check("cut", strlen(user) == LOGIN_NAME_BYTES - 1);
    settings_free(settings);
}

static void test_mechanisms(void **state)
{
    struct receive_connector connector = { .mechanisms = (1 << AUTH_MECHANISM_COUNT) - 1 };
    char words[LOGIN_WORDS_BYTES];

    (void)state;
    login_words(login_mechanisms(&connector, &(struct login_means){ true, true }), words);
    assert_string_equal(words, "EXTERNAL GSSAPI SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN");
    login_words(login_mechanisms(&connector, &(struct login_means){ false, false }), words);
    assert_string_equal(words, "GSSAPI SCRAM-SHA-256 PLAIN LOGIN");
    login_words(0, words);
    assert_string_equal(words, "");
}

static void test_pam(void **state)
{
    struct settings *settings = make_settings();

    (void)state;
    check("no PAM", !login_asks_pam(settings, NULL));
    settings->pam_service = mem_text("relais");
    check("not kept here", login_asks_pam(settings, NULL));
    check("kept without a password", login_asks_pam(settings, &settings->accounts[0]));
    check("kept here", !login_asks_pam(settings, &settings->accounts[1]));
    settings_free(settings);
}

static void test_over(void **state)
{
    struct receive_connector connector = { .logins_max = 3 };

    (void)state;
    check("two", !login_is_over(&connector, 2));
    check("three", login_is_over(&connector, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_mechanisms),
        cmocka_unit_test(test_pam),
        cmocka_unit_test(test_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
