/* The transport configuration: in the file, at run time, and by the names of the cmdlets. */
#include "directory_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OUT "send_connector \"Out\" { address_spaces = {\"*\"} mx = true }\n"

static char folder[] = "/tmp/relais-transport-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static enum err read_text(const char *text, struct settings **out, char got[8000])
{
    struct complaints complaints = { 0 };
    char whole[4000];
    enum err err;

    snprintf(whole, sizeof whole, "state_folder = %s\n" OUT "%s", folder, text);
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
        { "a count with a unit", "shadow_heartbeat_retry_count = 6s",
            "3: 'shadow_heartbeat_retry_count' cannot be '6s' | a count takes no unit: 6" },
        { "a count of none", "shadow_heartbeat_retry_count = 0",
            "3: 'shadow_heartbeat_retry_count' cannot be '0' | a number from 1 to 1000" },
        { "no count", "max_retries_for_local_site_shadow = unlimited",
            "3: 'max_retries_for_local_site_shadow' cannot be 'unlimited' | a number from 0" },
        { "a time without a unit", "shadow_heartbeat_frequency = 10",
            "3: 'shadow_heartbeat_frequency' cannot be '10' | a time needs its unit: 10s" },
        { "no time", "shadow_resubmit_time_span = never",
            "3: 'shadow_resubmit_time_span' cannot be 'never'" },
        { "no flag", "shadow_redundancy = maybe", "3: 'shadow_redundancy' is true or false" },
        { "preference", "shadow_message_preference_setting = remote",
            "3: 'shadow_message_preference_setting' cannot be 'remote'" },
        { "another parameter", "shadow_heartbeat_count = 6",
            "3: unknown option 'shadow_heartbeat_count' in transport | did you mean" },
        { "discarded during acceptance",
            "shadow_heartbeat_retry_count = 1\n shadow_message_auto_discard_interval = 50s",
            "4: 'shadow_message_auto_discard_interval' (50s) must be longer than the longest "
            "acceptance (50s)" },
        { "discarded before take-over", "shadow_resubmit_time_span = 3d",
            "3: 'shadow_message_auto_discard_interval' (2d) must be longer than the time until "
            "take-over (3d)" },
        { "what there is not yet", "safety_net_hold_time = 1d",
            "3: unknown option 'safety_net_hold_time' in transport" },
        { "no time for one attempt", "shadow_copy_timeout = 30s",
            "3: 'shadow_acceptance_timeout' (20s) must not be shorter than shadow_copy_timeout "
            "(30s)" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings = NULL;
        char text[500], got[8000];

        snprintf(text, sizeof text, "transport { %s }\n", cases[i].text);
        if (read_text(text, &settings, got) != ERR_SYNTAX || settings)
            fail_msg("%s: taken, with\n%s", cases[i].name, got);
        check_parts(cases[i].name, got, cases[i].want);
    }
}

static const char whole[] = "transport {\n"
                            "    shadow_redundancy = no\n"
                            "    shadow_heartbeat_frequency = 1s\n"
                            "    shadow_heartbeat_timeout_interval = 00:05:00\n"
                            "    shadow_heartbeat_retry_count = 3\n"
                            "    shadow_resubmit_time_span = 1.02:03:04\n"
                            "    shadow_message_auto_discard_interval = 3d\n"
                            "    reject_message_on_shadow_failure = yes\n"
                            "    max_retries_for_local_site_shadow = 0\n"
                            "    max_retries_for_remote_site_shadow = 5\n"
                            "    shadow_message_preference_setting = remote-only\n"
                            "    fence_wait = 0s audit_after = 2h unclaimed_hold = 1d\n"
                            "    shadow_copy_timeout = 1500ms shadow_acceptance_timeout = 10s\n"
                            "}\n";

static void every_parameter_is_read(void **state)
{
    static const struct {
        const char *name, *value;
    } want[] = {
        { "ShadowRedundancyEnabled", "False" },
        { "ShadowHeartbeatFrequency", "00:00:01" },
        { "ShadowHeartbeatTimeoutInterval", "00:05:00" },
        { "ShadowHeartbeatRetryCount", "3" },
        { "ShadowResubmitTimeSpan", "1.02:03:04" },
        { "ShadowMessageAutoDiscardInterval", "3.00:00:00" },
        { "RejectMessageOnShadowFailure", "True" },
        { "MaxRetriesForLocalSiteShadow", "0" },
        { "MaxRetriesForRemoteSiteShadow", "5" },
        { "ShadowMessagePreferenceSetting", "RemoteOnly" },
        { "FenceWait", "00:00:00" },
        { "AuditAfter", "02:00:00" },
        { "UnclaimedHold", "1.00:00:00" },
        { "ShadowCopyTimeout", "00:00:01.500" },
        { "ShadowAcceptanceTimeout", "00:00:10" },
    };
    struct transport_fact fact;
    struct settings *s = NULL;
    char got[8000];
    size_t i = 0;

    (void)state;
    if (read_text(whole, &s, got) != OK || *got)
        fail_msg("%s", got);
    for (; directory_transport_get(&s->transport, i, &fact); i++) {
        check("as many", i < CASES(want));
        check_bytes("name", bytes_text(fact.name), bytes_text(want[i].name));
        check_bytes(fact.name, bytes_text(fact.value), bytes_text(want[i].value));
    }
    check("as many", i == CASES(want));
    check("rejects", s->receive[0].shadow_failure == SHADOW_FAILURE_REJECT);
    settings_free(s);
}

/* A connector that says nothing follows; one that does, does not. */
static void connectors_follow(void **state)
{
    static const struct {
        const char *name, *transport, *connector;
        enum shadow_failure want;
    } cases[] = {
        { "neither", "", "", SHADOW_FAILURE_ACCEPT },
        { "all reject", "yes", "", SHADOW_FAILURE_REJECT },
        { "but this one", "yes", "accept", SHADOW_FAILURE_ACCEPT },
        { "this one alone", "no", "reject", SHADOW_FAILURE_REJECT },
        { "or waits", "yes", "delay", SHADOW_FAILURE_DELAY },
    };
    char text[500], got[8000];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *s = NULL;
        snprintf(text, sizeof text,
            "receive_connector \"A\" { bindings = {\"*:25\"} remote_ranges = {\"*\"} %s%s }\n"
            "transport { %s%s }",
            *cases[i].connector ? "shadow_failure = " : "", cases[i].connector,
            *cases[i].transport ? "reject_message_on_shadow_failure = " : "",
            cases[i].transport);
        if (read_text(text, &s, got) != OK)
            fail_msg("%s: %s", cases[i].name, got);
        check(cases[i].name, s->receive[0].shadow_failure == cases[i].want);
        settings_free(s);
    }
}

/* --- transport.conf ---------------------------------------------------------------------- */

static enum err edit(
    const char *old, const struct transport_word *words, size_t count, char out[2000])
{
    char file[200], why[512] = "";
    struct buf text;
    enum err err;

    if (old)
        write_file(folder, "transport.conf", old);
    snprintf(file, sizeof file, "%s/transport.conf", folder);
    buf_init(&text, 2000);
    err = directory_transport_edit(file, words, count, &text, why);
    snprintf(out, 2000, "%.*s%s", BYTES_ARGS(buf_bytes(&text)), why);
    buf_done(&text);
    if (old)
        remove_file(folder, "transport.conf");
    return err;
}

static void words_become_lines(void **state)
{
    static const struct {
        const char *name, *old, *word, *value;
        const char *want; /* NULL: nothing but the block */
    } cases[] = {
        { "cmdlet", NULL, "ShadowHeartbeatRetryCount", "8",
            "    shadow_heartbeat_retry_count = \"8\"\n" },
        { "any case", NULL, "shadowheartbeatretrycount", "8",
            "    shadow_heartbeat_retry_count = \"8\"\n" },
        { "hyphens", NULL, "shadow-heartbeat-retry-count", "8",
            "    shadow_heartbeat_retry_count = \"8\"\n" },
        { "as in the file", NULL, "shadow_redundancy", "$false",
            "    shadow_redundancy = \"no\"\n" },
        { "enabled", NULL, "ShadowRedundancyEnabled", "$True",
            "    shadow_redundancy = \"yes\"\n" },
        { "time span", NULL, "ShadowHeartbeatTimeoutInterval", "00:10:00",
            "    shadow_heartbeat_timeout_interval = \"00:10:00\"\n" },
        { "choice", NULL, "ShadowMessagePreferenceSetting", "localonly",
            "    shadow_message_preference_setting = \"local-only\"\n" },
        { "null", NULL, "ShadowResubmitTimeSpan", "$null",
            "    shadow_resubmit_time_span = \"none\"\n" },
        { "not a value: the reader will say so", NULL, "ShadowHeartbeatRetryCount", "a\"b\\",
            "    shadow_heartbeat_retry_count = \"a\\\"b\\\\\"\n" },
        { "in the place of an older one", "transport { shadow_heartbeat_retry_count = 3 }",
            "ShadowHeartbeatRetryCount", "8", "    shadow_heartbeat_retry_count = \"8\"\n" },
        { "beside another", "transport { fence_wait = 3s }", "ShadowHeartbeatRetryCount", "8",
            "    shadow_heartbeat_retry_count = \"8\"\n    fence_wait = \"3s\"\n" },
        { "taken back", "transport { fence_wait = 3s }", "FenceWait", "Default", NULL },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct transport_word word = { cases[i].word, cases[i].value };
        char got[2000], want[2000];
        check(cases[i].name, edit(cases[i].old, &word, 1, got) == OK);
        snprintf(want, sizeof want,
            "# What `relais set-transport-config` has set.  It wins over relais.conf.\n"
            "transport {\n%s}\n",
            cases[i].want ? cases[i].want : "");
        check_bytes(cases[i].name, bytes_text(got), bytes_text(want));
    }
}

static void bad_words_are_refused(void **state)
{
    static const struct transport_word twice[] = { { "FenceWait", "1s" },
        { "fence_wait", "2s" } };
    static const struct transport_word unknown = { "ShadowHeartbeatRetries", "1" },
                                       foreign = { "MaxDumpsterTime", "1s" },
                                       later = { "safety-net-hold-time", "2d" };
    static const struct transport_word empty = { "FenceWait", "" },
                                       line = { "FenceWait", "1s\n" };
    char got[2000];

    (void)state;
    check("twice", edit(NULL, twice, 2, got) == ERR_SYNTAX);
    check_bytes("twice", bytes_text(got), BYTES("'FenceWait' is given twice"));
    check("unknown", edit(NULL, &unknown, 1, got) == ERR_SYNTAX);
    check_parts("unknown", got,
        "there is no parameter 'ShadowHeartbeatRetries'; did you mean "
        "ShadowHeartbeatRetryCount?");
    check("foreign", edit(NULL, &foreign, 1, got) == ERR_SYNTAX);
    check_bytes("foreign", bytes_text(got),
        BYTES("there is no parameter 'MaxDumpsterTime'; get-transport-config has them all"));
    check("later", edit(NULL, &later, 1, got) == ERR_SYNTAX);
    check_parts("later", got,
        "there is no parameter 'safety-net-hold-time' in this version: it has no safety net");
    check("empty", edit(NULL, &empty, 1, got) == ERR_SYNTAX);
    check("two lines", edit(NULL, &line, 1, got) == ERR_SYNTAX);
    check("a file with mistakes", edit("transport {", twice, 1, got) == ERR_SYNTAX);
    check_parts(
        "a file with mistakes", got, "transport.conf:1: the block 'transport' has no end");
}

static void what_was_set_at_run_time_wins(void **state)
{
    struct settings *s = NULL;
    char got[8000];

    (void)state;
    write_file(folder, "transport.conf", "transport { fence_wait = 7s audit_after = 2h }\n");
    check(
        "read", read_text("transport { fence_wait = 3s unclaimed_hold = 5d }", &s, got) == OK);
    check("wins", s->transport.fence_wait_ms == 7000);
    check("the others stay", s->transport.unclaimed_hold_ms == 5LL * 86400000);
    check("added", s->transport.audit_after_ms == 2 * 3600000);
    settings_free(s);
    s = NULL;

    write_file(folder, "transport.conf", "\ntransport { shadow_copy_timeout = 30s }\n");
    check("checked together", read_text("", &s, got) == ERR_SYNTAX);
    check_parts("in its line", got, "2: 'shadow_acceptance_timeout' (20s) must not be shorter");
    write_file(folder, "transport.conf", "fqdn = a.example\n");
    check("nothing else", read_text("", &s, got) == ERR_SYNTAX);
    check_parts("nothing else", got, "1: unknown option 'fqdn'");
    remove_file(folder, "transport.conf");
    check("none", read_text("", &s, got) == OK);
    settings_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_found),
        cmocka_unit_test(every_parameter_is_read),
        cmocka_unit_test(connectors_follow),
        cmocka_unit_test(words_become_lines),
        cmocka_unit_test(bad_words_are_refused),
        cmocka_unit_test(what_was_set_at_run_time_wins),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
