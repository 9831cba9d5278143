/* Files of aliases and recipients, and what domains and rewrite_sender say. */
#include "directory_kit.h"

#include "policy/addresses.h"
#include "policy/aliases.h"
#include "policy/recipients.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OUT "send_connector \"Out\" { address_spaces = {\"*\"} mx = true }\n"

static char folder[64];

static enum err read_file_of(
    const char *text, struct settings **out, char complaints_text[8000])
{
    struct complaints complaints = { 0 };
    char file[100];
    enum err err;

    write_file(folder, "main.conf", text);
    snprintf(file, sizeof file, "%s/main.conf", folder);
    err = directory_read_file(file, out, &complaints);
    list_complaints(&complaints, true, complaints_text);
    complaints_done(&complaints);
    return err;
}

static void append(void *me, struct bytes address)
{
    char *out = me;

    snprintf(
        out + strlen(out), 2000 - strlen(out), "%s%.*s", *out ? " " : "", BYTES_ARGS(address));
}

static void aliases_are_read(void **state)
{
    static const struct {
        const char *recipient, *want;
    } cases[] = {
        { "root@example.com", "admin@example.com next@example.com" },
        { "list@example.com", "one@example.org two@example.org three@example.com" },
        { "mailer-daemon@example.com", "admin@example.com next@example.com" },
        { "odd@example.com", "\"a, b\"@example.org c@example.org" },
        { "info@example.net", "admin@example.com next@example.com" },
        { "last@example.com", "root@example.org" },
    };
    struct settings *settings = NULL;
    char complaints[8000];

    (void)state;
    write_file(folder, "aliases",
        "# a comment\n\nroot: admin@example.com,\n   # old: nobody is that any more\n"
        "\t#bob@example.com\n\tnext@example.com\n"
        "Mailer-Daemon:\troot\nlist: :include:list, three\n"
        "odd: \"a, b\"@example.org, \"c@example.org\"\ninfo@example.net: \\root\r\n"
        "last: root@example.org");
    write_file(
        folder, "list", "one@example.org\n# not this one\n\t# nor this\n  two@example.org\n");
    check(
        "read", read_file_of("alias_files = { aliases }\naccepted_domain example.com {}\n" OUT,
                    &settings, complaints) == OK);
    check_bytes("no complaints", bytes_text(complaints), BYTES(""));
    for (size_t i = 0; i < CASES(cases); i++) {
        struct address address;
        struct resolved resolved;
        char got[2000] = "";
        check(cases[i].recipient,
            address_parse(bytes_text(cases[i].recipient), 0, &address) == ADDRESS_OK);
        resolved = recipient_resolve(settings, &address);
        resolved_each(settings, &resolved, &address, append, got);
        check_bytes(cases[i].recipient, bytes_text(got), bytes_text(cases[i].want));
    }
    settings_free(settings);
}

static void mistakes_have_their_lines(void **state)
{
    struct settings *settings = NULL;
    char complaints[8000];

    (void)state;
    write_file(folder, "aliases",
        "a: \"|/usr/bin/procmail\"\nb: /var/mail/b\nno colon\nc: d\nd: c\n: x\n"
        "e: a b@c\nf: :include:nowhere\n");
    check("refused", read_file_of("alias_files = { aliases, missing }\n" OUT, &settings,
                         complaints) == ERR_SYNTAX);
    check_parts("aliases", complaints,
        "1: an alias cannot be a program: '|/usr/bin/procmail'~"
        "2: an alias cannot be a file: '/var/mail/b'~3: 'no colon' is no alias~"
        "4: the alias \"c\" leads back to itself, by \"d\"~5: the alias \"d\"~"
        "6: ': x' is no alias~7: 'e: a b@c' is no alias~8: cannot read ~nowhere\": ~1: cannot "
        "read ~missing\": ");
}

static void domains_know_their_recipients(void **state)
{
    struct settings *settings = NULL;
    char complaints[8000];

    (void)state;
    write_file(
        folder, "users", "# who\nalice\nbob@example.com\tOK\n  # dave\n\t#erin\n  carol  \n");
    check("read",
        read_file_of("accepted_domain example.com {\n recipients = users\n default = yes\n"
                     " catch_all = lost@example.com\n}\n"
                     "rewrite_sender \"*@*.local\" { to = \"%u@example.com\" }\n"
                     "rewrite_sender \"*\" { to = \"a@example.com\" header = no }\n" OUT,
            &settings, complaints) == OK);
    check_bytes("no complaints", bytes_text(complaints), BYTES(""));
    check("count", recipient_table_count(settings->domains->recipients) == 3);
    check("alice", recipient_table_has(
                       settings->domains->recipients, BYTES("Alice"), BYTES("example.com")));
    check("bob of another domain", !recipient_table_has(settings->domains->recipients,
                                       BYTES("bob"), BYTES("example.org")));
    check_bytes("default", bytes_text(default_domain(settings)), BYTES("example.com"));
    check_bytes("to", bytes_text(settings->rewrites->to), BYTES("%u@example.com"));
    check("header", settings->rewrites[0].with_header && !settings->rewrites[1].with_header);
    settings_free(settings);

    write_file(folder, "users", "alice\na b@\n@\n");
    check("refused",
        read_file_of("accepted_domain example.com { recipients = users\n default = yes }\n"
                     "accepted_domain \"*.example.com\" { type = internal-relay\n"
                     " recipients = users default = yes }\n"
                     "accepted_domain example.org { catch_all = nonsense }\n"
                     "rewrite_sender \"a b\" { to = \"%x@example.com\" }\n"
                     "rewrite_sender \"*\" { connectors = { Nowhere } }\n" OUT,
            &settings, complaints) == ERR_SYNTAX);
    check_parts("domains", complaints,
        "3: '@' is no recipient~3: there are two default domains~4: recipients of a domain "
        "that is not authoritative~"
        "4: a pattern cannot be the default domain~5: 'nonsense' is no address~"
        "6: '%x@example.com' is no address~6: 'a b' is no pattern of senders~"
        "7: what do these senders become?~7: there is no receive connector \"Nowhere\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aliases_are_read),
        cmocka_unit_test(mistakes_have_their_lines),
        cmocka_unit_test(domains_know_their_recipients),
    };
    int failed;

    snprintf(folder, sizeof folder, "/tmp/relais-addresses-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; i < 4; i++)
        remove_file(folder, (const char *[]){ "main.conf", "aliases", "list", "users" }[i]);
    rmdir(folder);
    return failed;
}
