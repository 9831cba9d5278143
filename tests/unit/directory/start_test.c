/* What counts only when the daemon starts: a reload keeps it and says so. */
#include "directory_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
    const char *name, *before, *after, *complaints;
} cases[] = {
    { "the same", "fqdn = a.test\nspool { size = 1G }\n",
        "fqdn = a.test\nspool { size = 1024M }\n", "" },
    { "another name, alone", "fqdn = a.test\n", "fqdn = b.test\n", "" },
    { "the socket", "", "control_socket = \"/b/control\"\n",
        "1? 'control_socket' counts only when the daemon starts; until then it stays "
        "/run/relais/control | restart relaisd; until then: relais --socket "
        "/run/relais/control" },
    { "back to the default", "fqdn = a.test\ncontrol_socket = \"/b/control\"\n",
        "fqdn = a.test\n", "0? 'control_socket'~stays /b/control" },
    { "the spool, and the state beside it", "spool { folder = \"/a/spool\" }\n",
        "\nspool { folder = \"/b/spool\" }\n",
        "0? 'state_folder'~stays /a |~2? 'folder'~stays /a/spool" },
    { "the state", "state_folder = \"/a\"\n", "state_folder = \"/b\"\n",
        "1? 'state_folder'~stays /a |" },
    { "sizes", "spool {\n}\n",
        "spool {\nsize = 1G\nsegment_size = 8M\nfree_space = 1M\nmemory = 2M\n}\n",
        "2? 'size'~stays 0~3? 'segment_size'~stays 67108864~4? 'free_space'~5? 'memory'" },
    { "loops", "limits { loops = 2 }\n", "limits {\nloops = 3 }\n", "2? 'loops'~stays 2 |" },
    { "the keytab", "", "kerberos_keytab = \"/b\"\n", "1? 'kerberos_keytab'~stays not set" },
};

static void read_one(const char *folder, const char *text, const struct directory_start *start,
    struct settings **out, char complaints_out[8000])
{
    struct directory_query query = { .start = start, .may_lack_key = true };
    struct complaints complaints = { 0 };
    char file[64];

    snprintf(file, sizeof file, "%s/relais.conf", folder);
    query.file = file;
    write_file(folder, "relais.conf", text);
    check(text, directory_read(&query, out, &complaints) == OK);
    list_complaints(&complaints, true, complaints_out);
    complaints_done(&complaints);
}

static bool is_same(const struct settings *a, const struct settings *b)
{
    return strcmp(a->control_socket, b->control_socket) == 0 &&
           strcmp(a->state_folder, b->state_folder) == 0 &&
           strcmp(a->account_file, b->account_file) == 0 &&
           strcmp(a->cluster_key_file, b->cluster_key_file) == 0 &&
           strcmp(a->spool_folder, b->spool_folder) == 0 &&
           a->spool_bytes_max == b->spool_bytes_max &&
           a->spool_segment_bytes == b->spool_segment_bytes &&
           a->spool_free_bytes_min == b->spool_free_bytes_min &&
           a->spool_memory_bytes_max == b->spool_memory_bytes_max &&
           a->loop_count == b->loop_count && !a->kerberos_keytab == !b->kerberos_keytab;
}

static void test_cases(void **unused)
{
    char folder[] = "/tmp/relais-start-XXXXXX", text[8000];

    (void)unused;
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings *first, *second;
        struct directory_start *start;
        read_one(folder, cases[i].before, NULL, &first, text);
        if (strstr(text, "starts"))
            fail_msg("%s: warned at the start: %s", cases[i].name, text);
        start = directory_start_new(first);
        read_one(folder, cases[i].after, start, &second, text);
        check_parts(cases[i].name, text, cases[i].complaints);
        check(cases[i].name, is_same(first, second));
        check(cases[i].name, *cases[i].complaints || !strstr(text, "starts"));
        directory_start_free(start);
        settings_free(first);
        settings_free(second);
    }
    remove_file(folder, "relais.conf");
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
