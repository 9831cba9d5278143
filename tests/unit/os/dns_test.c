/* Questions to a real name server: Debian's unbound, started here on a loopback port with names
 * of our own.  It goes into the background once it listens, so nobody has to wait for it. */
#include "kit.h"

#include "os/dns.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/relais-dns-XXXXXX";
static char server[32], silent_server[32];
static struct loop *loop;
static bool has_server;

static const char config[] =
    "server:\n"
    "  username: \"\"\n  chroot: \"\"\n  directory: \"%s\"\n  pidfile: \"%s/pid\"\n"
    "  use-syslog: no\n  logfile: \"%s/log\"\n  do-daemonize: yes\n"
    "  interface: 127.0.0.1@%u\n  access-control: 127.0.0.0/8 allow\n"
    "  module-config: \"iterator\"\n  num-threads: 1\n"
    "  local-zone: \"example.\" static\n"
    "  local-zone: \"silent.example.\" deny\n"
    "  local-zone: \"refused.example.\" always_refuse\n"
    "  local-data: \"a.example. 300 A 192.0.2.1\"\n"
    "  local-data: \"a.example. 200 AAAA 2001:db8::1\"\n"
    "  local-data: \"a.example. 200 AAAA 2001:db8::2\"\n"
    "  local-data: \"four.example. A 192.0.2.4\"\n"
    "  local-data: \"mail.example. 120 MX 20 Second.example.\"\n"
    "  local-data: \"mail.example. 120 MX 10 first.example.\"\n"
    "  local-data: \"mail.example. 120 MX 10 also-first.example.\"\n"
    "  local-data: \"null.example. MX 0 .\"\n"
    "  local-data: \"alias.example. CNAME a.example.\"\n"
    "  local-data: \"mailalias.example. CNAME mail.example.\"\n"
    "  local-data: \"dangling.example. CNAME gone.example.\"\n"
    "  local-data: \"text.example. TXT \\\"x\\\"\"\n"
    "  local-data: \"unsigned.example. A 192.0.2.66\"\n"
    "remote-control:\n  control-enable: no\n";

/* A port where nobody listens, kept so by a socket of ours that never answers. */
static unsigned bind_port(int *fd)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    socklen_t n = sizeof in;

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&in, n), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&in, &n), 0);
    return ntohs(in.sin_port);
}

static FILE *open_in_folder(const char *name, const char *mode)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return fopen(path, mode);
}

static void write_in_folder(const char *name, const char *text)
{
    FILE *file = open_in_folder(name, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* True once it listens; false: there is no unbound here. */
static bool start_server(unsigned port)
{
    char path[200];
    FILE *file = open_in_folder("conf", "w");
    pid_t pid;
    int status;

    assert_non_null(file);
    fprintf(file, config, folder, folder, folder, port);
    fclose(file);
    snprintf(path, sizeof path, "%s/conf", folder);
    pid = fork();
    if (pid == 0) {
        execl("/usr/sbin/unbound", "unbound", "-c", path, (char *)NULL);
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int set_up(void **state)
{
    int fd;
    unsigned port;

    (void)state;
    assert_non_null(mkdtemp(folder));
    port = bind_port(&fd);
    snprintf(server, sizeof server, "127.0.0.1@%u", port);
    close(fd);
    has_server = start_server(port);
    snprintf(silent_server, sizeof silent_server, "127.0.0.1@%u", bind_port(&fd));
    write_in_folder("hosts", "192.0.2.77 inhosts.example\n2001:db8::77 inhosts.example\n");
    write_in_folder("anchor",
        "unsigned.example. DS 12345 8 2 "
        "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF\n");
    assert_int_equal(loop_new(&loop), OK);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = { "conf", "pid", "log", "hosts", "anchor" };
    FILE *file = open_in_folder("pid", "r");
    char path[200];
    int pid;

    (void)state;
    if (file && fscanf(file, "%d", &pid) == 1)
        kill(pid, SIGTERM);
    if (file)
        fclose(file);
    for (size_t i = 0; i < CASES(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    loop_free(loop);
    return 0;
}

/* --- Asking ------------------------------------------------------------------------------ */

static struct dns *new_dns(const char *at, int64_t timeout_ms)
{
    static char hosts[200], anchor[200];
    struct dns_settings settings = {
        .servers = &at, .server_count = 1, .timeout_ms = timeout_ms
    };
    struct dns *dns;

    snprintf(hosts, sizeof hosts, "%s/hosts", folder);
    snprintf(anchor, sizeof anchor, "%s/anchor", folder);
    settings.hosts_file = hosts;
    settings.trust_anchor_file = anchor;
    assert_int_equal(dns_new(loop, &settings, &dns), OK);
    return dns;
}

struct asked {
    struct dns_result result;
    bool is_answered;
};

static void on_answer(void *me, const struct dns_result *result)
{
    struct asked *asked = me;

    assert_false(asked->is_answered);
    asked->is_answered = true;
    asked->result = *result;
    loop_stop(loop);
}

typedef struct dns_query *dns_question(struct dns *dns, const char *name,
    void (*on_answer)(void *me, const struct dns_result *result), void *me);

static struct asked *ask(struct dns *dns, dns_question *question, const char *name)
{
    static struct asked asked;

    memset(&asked, 0, sizeof asked);
    assert_non_null(question(dns, name, on_answer, &asked));
    assert_false(asked.is_answered);
    loop_run(loop);
    assert_true(asked.is_answered);
    return &asked;
}

/* The addresses or the hosts as one text. */
static void result_text(const struct dns_result *result, char *out, size_t room)
{
    size_t n = 0;

    out[0] = 0;
    for (unsigned i = 0; i < result->address_count; i++) {
        char ip[IP_TEXT_BYTES];
        ip_format(result->addresses[i], ip);
        n += (size_t)snprintf(out + n, room - n, "%s ", ip);
    }
    for (unsigned i = 0; i < result->host_count; i++)
        n += (size_t)snprintf(
            out + n, room - n, "%u:%s ", result->hosts[i].preference, result->hosts[i].name);
}

static void check_answer(struct dns *dns, dns_question *question, const char *name,
    enum dns_answer answer, const char *want, const char *also)
{
    struct asked *asked = ask(dns, question, name);
    char text[1000];

    if (asked->result.answer != answer)
        fail_msg("%s: answer %d, want %d: %s", name, asked->result.answer, answer,
            asked->result.why);
    result_text(&asked->result, text, sizeof text);
    if (strcmp(text, want) != 0 && (!also || strcmp(text, also) != 0))
        fail_msg("%s: got \"%s\", want \"%s\"", name, text, want);
    check(name, (asked->result.why[0] == 0) == (answer != DNS_FAILED && answer != DNS_BOGUS));
    check(name, !asked->result.is_secure);
}

static void needs_server(void)
{
    if (!has_server)
        skip();
}

static void finds_hosts_of_mail(void **state)
{
    struct dns *dns;

    (void)state;
    needs_server();
    dns = new_dns(server, 20000);
    check_answer(dns, dns_mx, "Mail.Example", DNS_FOUND,
        "10:first.example 10:also-first.example 20:second.example ",
        "10:also-first.example 10:first.example 20:second.example ");
    check_answer(dns, dns_mx, "mailalias.example.", DNS_FOUND,
        "10:first.example 10:also-first.example 20:second.example ",
        "10:also-first.example 10:first.example 20:second.example ");
    check_answer(dns, dns_mx, "a.example", DNS_NO_DATA, "", NULL);
    check_answer(dns, dns_mx, "gone.example", DNS_NO_NAME, "", NULL);
    check_answer(dns, dns_mx, "dangling.example", DNS_NO_NAME, "", NULL);
    check_answer(dns, dns_mx, "refused.example", DNS_FAILED, "", NULL);
    assert_int_equal(ask(dns, dns_mx, "mail.example")->result.ttl_s <= 120, true);
    dns_free(dns);
}

static void knows_a_null_mx(void **state)
{
    struct dns *dns;

    (void)state;
    needs_server();
    dns = new_dns(server, 20000);
    check_answer(dns, dns_mx, "null.example", DNS_FOUND, "", NULL);
    assert_true(ask(dns, dns_mx, "null.example")->result.is_null_mx);
    assert_false(ask(dns, dns_mx, "mail.example")->result.is_null_mx);
    dns_free(dns);
}

static void finds_addresses(void **state)
{
    struct dns *dns;

    (void)state;
    needs_server();
    dns = new_dns(server, 20000);
    check_answer(dns, dns_addresses, "a.example", DNS_FOUND,
        "2001:db8::1 2001:db8::2 192.0.2.1 ", "2001:db8::2 2001:db8::1 192.0.2.1 ");
    check_answer(dns, dns_addresses, "alias.example", DNS_FOUND,
        "2001:db8::1 2001:db8::2 192.0.2.1 ", "2001:db8::2 2001:db8::1 192.0.2.1 ");
    check_answer(dns, dns_addresses, "four.example", DNS_FOUND, "192.0.2.4 ", NULL);
    check_answer(dns, dns_addresses, "text.example", DNS_NO_DATA, "", NULL);
    check_answer(dns, dns_addresses, "gone.example", DNS_NO_NAME, "", NULL);
    check_answer(dns, dns_addresses, "dangling.example", DNS_NO_NAME, "", NULL);
    assert_true(ask(dns, dns_addresses, "a.example")->result.ttl_s <= 200);
    dns_free(dns);
}

static void what_cannot_be_validated_is_bogus(void **state)
{
    struct dns *dns;

    (void)state;
    needs_server();
    dns = new_dns(server, 20000);
    check_answer(dns, dns_addresses, "unsigned.example", DNS_BOGUS, "", NULL);
    dns_free(dns);
}

static void answers_without_a_server(void **state)
{
    struct dns *dns = new_dns(silent_server, 20000);

    (void)state;
    check_answer(
        dns, dns_addresses, "InHosts.Example.", DNS_FOUND, "2001:db8::77 192.0.2.77 ", NULL);
    check_answer(dns, dns_mx_unless_own, "InHosts.Example.", DNS_NO_DATA, "", NULL);
    check_answer(dns, dns_addresses, "192.0.2.9", DNS_FOUND, "192.0.2.9 ", NULL);
    check_answer(dns, dns_addresses, "2001:db8::9", DNS_FOUND, "2001:db8::9 ", NULL);
    assert_int_equal(ask(dns, dns_addresses, "no name")->result.answer, DNS_NO_NAME);
    assert_int_equal(ask(dns, dns_mx, "a..b")->result.answer, DNS_NO_NAME);
    dns_free(dns);
}

static void a_silent_server_is_a_failure_in_time(void **state)
{
    struct dns *dns = new_dns(silent_server, 100);
    int64_t before = loop_now(loop).ms;

    (void)state;
    check_answer(dns, dns_addresses, "a.example", DNS_FAILED, "", NULL);
    check_answer(dns, dns_mx, "inhosts.example", DNS_FAILED, "", NULL);
    assert_true(loop_now(loop).ms - before < 10000);
    dns_free(dns);
}

static void a_closed_port_is_a_failure(void **state)
{
    struct dns *dns = new_dns("127.0.0.1@1", 2000);

    (void)state;
    check_answer(dns, dns_addresses, "a.example", DNS_FAILED, "", NULL);
    dns_free(dns);
}

static void never_called(void *me, const struct dns_result *result)
{
    (void)me;
    (void)result;
    fail_msg("a cancelled question was answered");
}

static void cancelled_questions_are_not_answered(void **state)
{
    struct dns *dns = new_dns(silent_server, 100);

    (void)state;
    dns_cancel(dns_mx(dns, "a.example", never_called, NULL));
    dns_cancel(dns_addresses(dns, "a.example", never_called, NULL));
    dns_cancel(dns_addresses(dns, "inhosts.example", never_called, NULL));
    dns_cancel(dns_addresses(dns, "no name", never_called, NULL));
    dns_cancel(NULL);
    check_answer(dns, dns_addresses, "other.example", DNS_FAILED, "", NULL);
    dns_addresses(dns, "a.example", never_called, NULL);
    dns_addresses(dns, "inhosts.example", never_called, NULL);
    dns_free(dns);
    dns_free(NULL);
}

static struct dns *freed_by_answer;

static void free_on_answer(void *me, const struct dns_result *result)
{
    (void)me;
    (void)result;
    dns_free(freed_by_answer);
    loop_stop(loop);
}

static void an_asker_may_free_it_all(void **state)
{
    (void)state;
    freed_by_answer = new_dns(silent_server, 100);
    dns_mx(freed_by_answer, "b.example", free_on_answer, NULL);
    dns_addresses(freed_by_answer, "inhosts.example", free_on_answer, NULL);
    dns_addresses(freed_by_answer, "c.example", free_on_answer, NULL);
    loop_run(loop);
}

static void many_questions_at_once(void **state)
{
    enum { MANY = 500 };
    static struct asked asked[MANY];
    struct dns *dns;
    unsigned answered = 0;

    (void)state;
    needs_server();
    dns = new_dns(server, 20000);
    for (unsigned i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%u.example", i);
        dns_addresses(dns, name, on_answer, &asked[i]);
    }
    while (answered < MANY) {
        loop_run(loop);
        answered = 0;
        for (unsigned i = 0; i < MANY; i++)
            answered += asked[i].is_answered;
    }
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(asked[i].result.answer, DNS_NO_NAME);
    dns_free(dns);
}

static void refuses_bad_settings(void **state)
{
    static const char *const bad = "not an address";
    struct dns_settings settings = { .servers = &bad, .server_count = 1 };
    struct dns *dns = NULL;

    (void)state;
    assert_int_equal(dns_new(loop, &settings, &dns), ERR_SYNTAX);
    assert_null(dns);
    settings = (struct dns_settings){ .resolv_file = "/nonexistent/resolv.conf" };
    assert_int_equal(dns_new(loop, &settings, &dns), OK);
    dns_free(dns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_hosts_of_mail),
        cmocka_unit_test(knows_a_null_mx),
        cmocka_unit_test(finds_addresses),
        cmocka_unit_test(what_cannot_be_validated_is_bogus),
        cmocka_unit_test(answers_without_a_server),
        cmocka_unit_test(a_silent_server_is_a_failure_in_time),
        cmocka_unit_test(a_closed_port_is_a_failure),
        cmocka_unit_test(cancelled_questions_are_not_answered),
        cmocka_unit_test(an_asker_may_free_it_all),
        cmocka_unit_test(many_questions_at_once),
        cmocka_unit_test(refuses_bad_settings),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
