/* What is still known of a file with mistakes. */
#include "directory_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SOCKET = DIRECTORY_CONTROL_SOCKET,
    SPOOL = DIRECTORY_SPOOL_FOLDER,
    STATE = DIRECTORY_STATE_FOLDER,
    POISON = DIRECTORY_POISON,
    TRACKING = DIRECTORY_TRACKING_LOG,
    ALL = SOCKET | SPOOL | STATE | POISON | TRACKING,
};

#define GOOD                                                                                   \
    "control_socket = \"/a/control\"\n"                                                        \
    "spool { folder = \"/a/spool\" }\n"                                                        \
    "log { tracking_file = \"/a/tracking\" }\n"

static const struct {
    const char *name, *text;
    unsigned unsure;
    const char *socket, *spool, *state; /* where they are sure; NULL: not looked at */
} cases[] = {
    { "an unknown option", GOOD "nonsense = 1\n", 0, "/a/control", "/a/spool", "/a" },
    { "a mistake of syntax behind them", GOOD "receive_connector {\n", 0, "/a/control",
        "/a/spool", NULL },
    { "the same before", "banner banner\n" GOOD "\n", 0, "/a/control", "/a/spool", NULL },
    { "a file that is not there",
        GOOD "receive_connector \"In\" { certificate = \"/nowhere/x.pem\" }\n", 0, "/a/control",
        "/a/spool", "/a" },
    { "all at their defaults", "nonsense = 1\n", 0, "/run/relais/control", "/var/spool/relais",
        "/var/lib/relais" },
    { "the same with a mistake of syntax", "# control_socket = x\nfqdn fqdn\n", 0,
        "/run/relais/control", "/var/spool/relais", "/var/lib/relais" },
    { "the mistake is in the value", "control_socket = \"\"\nspool { folder = here }\n",
        SOCKET | SPOOL | STATE, NULL, NULL, NULL },
    { "the name is misspelt", "contrl_socket = \"/a/control\"\n", SOCKET, NULL,
        "/var/spool/relais", NULL },
    { "its block is", "spol { folder = \"/a/spool\" }\n", SPOOL | STATE, "/run/relais/control",
        NULL, NULL },
    { "its block is and stands behind", "spool { foldr = \"/a/spool\" }\n", SPOOL | STATE,
        "/run/relais/control", NULL, NULL },
    { "the sign between is missing", "control_socket \"/a/control\"\n", SOCKET, NULL,
        "/var/spool/relais", NULL },
    { "a block swallows it", "dns {\ncontrol_socket = \"/a/control\"\n", SOCKET, NULL,
        "/var/spool/relais", NULL },
    { "set twice", "control_socket = \"/a/1\"\ncontrol_socket = \"/a/2\"\n", SOCKET, NULL,
        "/var/spool/relais", NULL },
    { "what is included is not there", "include(\"none.conf\")\n", ALL, NULL, NULL, NULL },
    { "the same, but this is here", GOOD "include(\"none.conf\")\n", POISON | STATE | TRACKING,
        "/a/control", "/a/spool", NULL },
    { "how many logs", "log { files = many }\n", TRACKING, "/run/relais/control",
        "/var/spool/relais", "/var/lib/relais" },
    { "poison", "queue { poison_threshold = some }\n", POISON, NULL, NULL, NULL },
};

static void compare(const char *name, const char *got, const char *want)
{
    if (want && strcmp(got, want) != 0)
        fail_msg("%s: %s in place of %s", name, got, want);
}

static void test_cases(void **unused)
{
    char folder[] = "/tmp/relais-places-XXXXXX", file[64];

    (void)unused;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/relais.conf", folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct directory_partial partial = { .unsure = 0 };
        struct directory_query query = { .file = file, .partial = &partial };
        struct complaints complaints = { 0 };
        struct settings *settings;
        write_file(folder, "relais.conf", cases[i].text);
        check(cases[i].name, directory_read(&query, &settings, &complaints) == ERR_SYNTAX);
        if (partial.unsure != (cases[i].unsure | DIRECTORY_REST))
            fail_msg("%s: %#x", cases[i].name, partial.unsure);
        compare(cases[i].name, partial.settings->control_socket, cases[i].socket);
        compare(cases[i].name, partial.settings->spool_folder, cases[i].spool);
        compare(cases[i].name, partial.settings->state_folder, cases[i].state);
        settings_free(partial.settings);
        complaints_done(&complaints);
    }
    remove_file(folder, "relais.conf");
    rmdir(folder);
}

/* Nobody asks for what is left: it is given back. */
static void test_not_wanted(void **unused)
{
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;

    (void)unused;
    assert_int_equal(
        directory_read_text(BYTES("nonsense = 1"), "x", &settings, &complaints), ERR_SYNTAX);
    assert_null(settings);
    complaints_done(&complaints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_not_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
