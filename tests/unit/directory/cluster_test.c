/* Nodes, their keys, and the connector between them. */
#include "directory_kit.h"

#include "os/file.h"
#include "os/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/relais-cluster-XXXXXX";
static char own_pin[TLS_PIN_TEXT_BYTES];

#define PIN "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define PIN2 "sha256:ICECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define TOP "fqdn = ex01.example.com\nstate_folder = @\n"
#define OUT "send_connector \"Out\" { address_spaces = {\"*\"} mx = true }\n"
#define INTERNAL "receive_connector \"Internal\" { role = internal bindings = {\"*:2525\"} "
#define NODE                                                                                   \
    "cluster_node \"ex02.example.com\" { address = \"192.0.2.2:2525\" pin = \"" PIN "\" }\n"

static int make_key(void **state)
{
    char certificate[200], key[200], why[TLS_ERROR_BYTES];
    struct tls_pin pin;

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(certificate, sizeof certificate, "%s/node.pem", folder);
    snprintf(key, sizeof key, "%s/node.key", folder);
    if (tls_node_key_make("ex01.example.com", certificate, key, why) != OK ||
        tls_pin_of_file(certificate, &pin, why) != OK)
        return -1;
    tls_pin_format(pin, own_pin);
    return 0;
}

static int remove_key(void **state)
{
    (void)state;
    remove_file(folder, "node.pem");
    remove_file(folder, "node.key");
    return rmdir(folder);
}

/* TEXT with the folder for each "@" and this node's pin for each "^". */
static void fill(const char *text, char out[4000])
{
    size_t n = 0;

    for (; *text; text++) {
        if (*text == '@')
            n += (size_t)snprintf(out + n, 4000 - n, "%s", folder);
        else if (*text == '^')
            n += (size_t)snprintf(out + n, 4000 - n, "%s", own_pin);
        else
            out[n++] = *text;
    }
    out[n] = '\0';
}

static enum err read_text(const char *text, struct settings **out, char got[8000])
{
    struct complaints complaints = { 0 };
    char whole[4000];
    enum err err;

    fill(text, whole);
    err = directory_read_text(bytes_text(whole), "t.conf", out, &complaints);
    list_complaints(&complaints, true, got);
    complaints_done(&complaints);
    return err;
}

static void mistakes_are_found(void **state)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        { "no name", TOP OUT INTERNAL "}\ncluster_node { }\n", "5: '' is no name of a node" },
        { "bad name", TOP OUT INTERNAL "}\ncluster_node \"a b\" { }\n",
            "5: 'a b' is no name of a node | the fqdn" },
        { "nothing in it", TOP OUT INTERNAL "}\ncluster_node \"b.example\" { }\n",
            "5: cluster_node \"b.example\" has no address~5: cluster_node \"b.example\" has no "
            "pin | `relais cluster init`" },
        { "address without port",
            TOP OUT INTERNAL "}\ncluster_node \"b.example\" {\n address = 192.0.2.1 }\n",
            "6: 'address' cannot be '192.0.2.1' | host and port" },
        { "address without brackets",
            TOP OUT INTERNAL "}\ncluster_node \"b.example\" {\n address = 2001:db8::1:25 }\n",
            "6: 'address' cannot be '2001:db8::1:25'" },
        { "address with port 0",
            TOP OUT INTERNAL "}\ncluster_node \"b.example\" {\n address = b.example:0 }\n",
            "6: 'address' cannot be" },
        { "pin", TOP OUT INTERNAL "}\ncluster_node \"b.example\" {\n pin = \"sha256:AA==\" }\n",
            "6: 'pin' cannot be 'sha256:AA==' | \"sha256:\" and 44" },
        { "itself",
            TOP OUT INTERNAL "}\ncluster_node \"EX01.example.com\" { address = "
                             "\"192.0.2.2:2525\" pin = \"" PIN "\" }\n",
            "5: cluster_node \"EX01.example.com\" is this node itself" },
        { "its own key",
            TOP OUT INTERNAL "}\ncluster_node \"ex02.example.com\" { address = "
                             "\"192.0.2.2:2525\" pin = \"^\" }\n",
            "5: cluster_node \"ex02.example.com\" has the pin of this node | each node has" },
        { "two of a name",
            TOP OUT INTERNAL
            "}\n" NODE
            "cluster_node \"Ex02.example.com\" { address = \"192.0.2.3:2525\" pin = \"" PIN2
            "\" }\n",
            "6: there are two cluster nodes \"Ex02.example.com\" | the other one is on line "
            "5" },
        { "two of a pin",
            TOP OUT INTERNAL
            "}\n" NODE
            "cluster_node \"ex03.example.com\" { address = \"192.0.2.3:2525\" pin = \"" PIN
            "\" }\n",
            "6: cluster nodes \"ex02.example.com\" and \"ex03.example.com\" have the same "
            "pin" },
        { "no key",
            "fqdn = ex01.example.com\nstate_folder = /nonexistent\n" OUT INTERNAL "}\n" NODE,
            "5: cannot read this node's key \"/nonexistent/node.key\" | `relais cluster init` "
            "makes it~5: cannot read this node's certificate \"/nonexistent/node.pem\"" },
        { "no such key", TOP OUT INTERNAL "}\ncluster {\n\n key = /nonexistent/k\n}\n" NODE,
            "7: cannot read this node's key \"/nonexistent/k\"" },
        { "no internal connector", TOP OUT NODE,
            "4: there are other nodes, but no internal connector for them | receive_connector "
            "\"Internal\"" },
        { "a disabled one", TOP OUT NODE INTERNAL "enabled = no }\n",
            "4: there are other nodes, but no internal connector" },
        { "what clients have", TOP OUT INTERNAL "\n tls = required\n allow = submit\n }\n",
            "5: an internal connector has no 'tls'~6: an internal connector has no 'allow'" },
        { "UNIX socket",
            TOP OUT "receive_connector \"I\" { role = internal bindings = {\"unix:/x\"} }\n",
            "4: an internal connector cannot listen on a UNIX socket" },
        { "role", TOP OUT "receive_connector \"I\" { role = intern bindings = {\"*:2525\"} }\n",
            "4: 'role' cannot be 'intern' | did you mean 'internal'?" },
        { "cluster twice", TOP OUT "cluster { }\ncluster { }\n", "5: 'cluster' is set twice" },
        { "shadow_failure",
            TOP OUT "receive_connector \"I\" { bindings = {\"*:25\"} remote_ranges = {\"*\"} "
                    "shadow_failure = wait max_acknowledgement_delay = 30 }\n",
            "4: 'shadow_failure' cannot be 'wait' | it is accept, reject or delay~4: "
            "'max_acknowledgement_delay' cannot be '30' | a time needs its unit" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings = NULL;
        char got[8000];

        if (read_text(cases[i].text, &settings, got) != ERR_SYNTAX || settings)
            fail_msg("%s: taken, with\n%s", cases[i].name, got);
        check_parts(cases[i].name, got, cases[i].want);
    }
}

static void a_cluster_is_read(void **state)
{
    static const char text[] = TOP OUT
        "cluster { site = berlin }\n" INTERNAL "}\n" NODE
        "cluster_node \"ex03.example.com\" { address = \"[2001:db8::3]:26\" site = \"m\" "
        "pin = \"" PIN2 "\" }\n"
        "receive_connector \"In\" { bindings = {\"*:25\"} remote_ranges = {\"*\"} "
        "shadow_failure = delay max_acknowledgement_delay = 00:00:05 }\n";
    const struct receive_connector *c;
    struct settings *s = NULL;
    char got[8000], file[200];

    (void)state;
    if (read_text(text, &s, got) != OK || *got)
        fail_msg("%s", got);
    check("nodes", s->node_count == 2 && s->nodes[0].port == 2525 && s->nodes[1].port == 26);
    check_bytes("name", bytes_text(s->nodes[0].name), BYTES("ex02.example.com"));
    check_bytes("host", bytes_text(s->nodes[1].host), BYTES("2001:db8::3"));
    check("pin", s->nodes[0].pin[31] == 31 && s->nodes[1].pin[0] == 32);
    check("no site", s->nodes[0].site == NULL);
    check_bytes("site", bytes_text(s->nodes[1].site), BYTES("m"));
    check_bytes("own site", bytes_text(s->site), BYTES("berlin"));
    snprintf(file, sizeof file, "%s/node.key", folder);
    check_bytes("key", bytes_text(s->cluster_key_file), bytes_text(file));
    c = &s->receive[0];
    check("internal", c->is_internal && c->groups == GROUP_SERVERS && c->allow == 0 &&
                          c->tls == TLS_MODE_OFF);
    check("from anywhere", c->range_count == 1 && c->node_count == 1);
    check("delay", s->receive[1].shadow_failure == SHADOW_FAILURE_DELAY &&
                       s->receive[1].acknowledgement_delay_ms == 5000);
    settings_free(s);
}

static void sixteen_nodes_at_the_most(void **state)
{
    char text[8000], got[8000];
    size_t n = 0;
    struct settings *s = NULL;

    (void)state;
    for (int count = 15; count <= 16; count++) {
        n = (size_t)snprintf(text, sizeof text, "%s", TOP OUT INTERNAL "}\n");
        for (int i = 0; i < count; i++)
            n += (size_t)snprintf(text + n, sizeof text - n,
                "cluster_node \"b%d.example\" { address = \"b:1\" pin = "
                "\"sha256:%c%s\" }\n",
                i, 'A' + i, &PIN2[sizeof "sha256:"]);
        if (n > 3500) /* fill() has room for no more */
            fail_msg("too long");
        check("ceiling", (read_text(text, &s, got) == OK) == (count == 15));
        if (count == 16)
            check_parts("ceiling", got, "20: a cluster has this node and 15 others");
        settings_free(s);
        s = NULL;
    }
}

/* Where the key lies by default: never in the spool, which may be lost. */
static void the_state_has_its_place(void **state)
{
    static const struct {
        const char *name, *text, *folder, *key;
    } cases[] = {
        { "default", "", "/var/lib/relais", "/var/lib/relais/node.key" },
        { "spool in its usual place", "spool { folder = /var/spool/relais }\n",
            "/var/lib/relais", "/var/lib/relais/node.key" },
        { "spool elsewhere", "spool { folder = /srv/a/spool }\n", "/srv/a", "/srv/a/node.key" },
        { "with a slash", "spool { folder = /srv/a/spool// }\n", "/srv/a", "/srv/a/node.key" },
        { "at the root", "spool { folder = /spool }\n", "/", "//node.key" },
        { "as it says", "spool { folder = /srv/a/spool }\nstate_folder = /srv/b\n", "/srv/b",
            "/srv/b/node.key" },
        { "key elsewhere", "cluster { key = /k }\n", "/var/lib/relais", "/k" },
    };
    char text[1000], got[8000];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *s = NULL;
        snprintf(text, sizeof text, "%s" OUT, cases[i].text);
        if (read_text(text, &s, got) != OK)
            fail_msg("%s: %s", cases[i].name, got);
        check_bytes(cases[i].name, bytes_text(s->state_folder), bytes_text(cases[i].folder));
        check_bytes(cases[i].name, bytes_text(s->cluster_key_file), bytes_text(cases[i].key));
        settings_free(s);
    }
}

/* --- Includes by a pattern, and changes to come ------------------------------------------ */

static enum err read_changed(
    const char *file, struct directory_change *change, bool may_lack_key, struct settings **out)
{
    struct directory_query query = { file, change, may_lack_key };
    struct complaints complaints = { 0 };
    enum err err = directory_read(&query, out, &complaints);

    complaints_done(&complaints);
    return err;
}

static void a_pattern_includes_what_fits(void **state)
{
    char main_file[200], text[1000], parts[200], change_file[260];
    struct settings *s = NULL;

    (void)state;
    snprintf(parts, sizeof parts, "%s/[x]", folder); /* a folder's name is no pattern */
    check("folder", folder_make(parts, 0755) == OK);
    snprintf(main_file, sizeof main_file, "%s/main.conf", parts);
    snprintf(text, sizeof text, "state_folder = %s\n" OUT "include(\"d/*.conf\")\n", folder);
    write_file(parts, "main.conf", text);
    check("no folder", read_changed(main_file, NULL, false, &s) == OK);
    settings_free(s);
    snprintf(change_file, sizeof change_file, "%s/d", parts);
    check("folder", folder_make(change_file, 0755) == OK);
    check("no file", read_changed(main_file, NULL, false, &s) == OK);
    settings_free(s);
    write_file(change_file, "b.conf", "accepted_domain \"b.example\" { }\n");
    write_file(change_file, "a.conf", "accepted_domain \"a.example\" { }\n");
    write_file(change_file, ".c.conf", "is being written");
    write_file(change_file, "a.conf~", "junk");
    check("two files", read_changed(main_file, NULL, false, &s) == OK);
    check("by name", s->domain_count == 2 && strcmp(s->domains[0].pattern, "a.example") == 0);
    settings_free(s);

    snprintf(change_file, sizeof change_file, "%s/d/aa.conf", parts);
    struct directory_change change = { change_file,
        BYTES("accepted_domain \"n.example\" { }") };
    check("a new one", read_changed(main_file, &change, false, &s) == OK && change.was_read);
    check("in its place",
        s->domain_count == 3 && strcmp(s->domains[1].pattern, "n.example") == 0);
    settings_free(s);
    change.text = BYTES("mistake");
    s = NULL;
    check("a bad one", read_changed(main_file, &change, false, &s) == ERR_SYNTAX && !s);
    snprintf(change_file, sizeof change_file, "%s/d/b.conf", parts);
    change = (struct directory_change){ change_file, .is_gone = true };
    check(
        "one gone", read_changed(main_file, &change, false, &s) == OK && s->domain_count == 1);
    settings_free(s);
    snprintf(change_file, sizeof change_file, "%s/e/b.conf", parts);
    change = (struct directory_change){ change_file, BYTES("mistake") };
    check(
        "not included", read_changed(main_file, &change, false, &s) == OK && !change.was_read);
    settings_free(s);

    snprintf(text, sizeof text, "%s/d", parts);
    remove_file(text, "a.conf");
    remove_file(text, "b.conf");
    remove_file(text, ".c.conf");
    remove_file(text, "a.conf~");
    check("folder", rmdir(text) == 0);
    remove_file(parts, "main.conf");
    check("folder", rmdir(parts) == 0);
}

static void the_key_may_come_later(void **state)
{
    struct settings *s = NULL;

    (void)state;
    write_file(folder, "main.conf",
        "fqdn = ex01.example.com\nstate_folder = /nonexistent\n" OUT INTERNAL "}\n" NODE);
    char file[200];
    snprintf(file, sizeof file, "%s/main.conf", folder);
    check("not for the daemon", read_changed(file, NULL, false, &s) == ERR_SYNTAX);
    check("for who makes it", read_changed(file, NULL, true, &s) == OK && s->node_count == 1);
    settings_free(s);
    remove_file(folder, "main.conf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_found),
        cmocka_unit_test(a_cluster_is_read),
        cmocka_unit_test(sixteen_nodes_at_the_most),
        cmocka_unit_test(the_state_has_its_place),
        cmocka_unit_test(a_pattern_includes_what_fits),
        cmocka_unit_test(the_key_may_come_later),
    };
    return cmocka_run_group_tests(tests, make_key, remove_key);
}
