/* Reading configurations: what is right comes out as settings, what is wrong is all found. */
#include "directory_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum err read_text(const char *text, struct settings **out, char complaints_text[8000])
{
    struct complaints complaints = { 0 };
    enum err err = directory_read_text(bytes_text(text), "t.conf", out, &complaints);

    list_complaints(&complaints, true, complaints_text);
    complaints_done(&complaints);
    return err;
}

#define OUT "send_connector \"Out\" { address_spaces = {\"*\"} mx = true }\n"
#define IN "receive_connector \"In\" { bindings = {\"*:25\"} remote_ranges = {\"10.0.0.0/8\"} "

static void mistakes_are_found(void **state)
{
    static const struct {
        const char *name, *text;
        const char *want; /* what the complaints must have in them, in this order, ~ between */
    } cases[] = {
        { "unknown option", "fqdm = a.example\n" OUT,
            "1: unknown option 'fqdm' | did you mean 'fqdn'?\n" },
        { "unknown option in a block", "spool {\n foldr = /x\n}\n" OUT,
            "2: unknown option 'foldr' in spool | did you mean 'folder'?\n" },
        { "unknown and nothing near", "xyzzy = 1\n" OUT, "1: unknown option 'xyzzy'\n" },
        { "unknown block", "sendconnector \"X\" { mx = true }\n" OUT,
            "1: unknown block 'sendconnector' | did you mean 'send_connector'?\n" },
        { "size without unit", "spool { size = 25 }\n" OUT,
            "1: 'size' cannot be '25' | a size needs its unit: 25M" },
        { "size of another unit", "spool { size = 25X }\n" OUT,
            "1: 'size' cannot be '25X' | a size from" },
        { "size too large", "spool { size = 99999999999T }\n" OUT, "1: 'size' cannot be" },
        { "size too small", IN "size_max = 1K }\n" OUT,
            "1: 'size_max' cannot be '1K' | a size from 64K to 2G" },
        { "time without unit", "queue { expiry = 5 }\n" OUT,
            "1: 'expiry' cannot be '5' | a time needs its unit: 5s, 5m" },
        { "time out of bounds", "queue { expiry = 91d }\n" OUT,
            "1: 'expiry' cannot be '91d' | a time from 1s to 90d" },
        { "poison after more than can be counted", "queue { poison_threshold = 256 }\n" OUT,
            "1: 'poison_threshold' cannot be '256' | a number from 0 to 255" },
        { "poison, no word", "queue { poison_threshold = none }\n" OUT,
            "1: 'poison_threshold' cannot be 'none' | a number from 0 to 255" },
        { "a queue of our own",
            "send_connector Poison { address_spaces = { * } smart_hosts = x }\n",
            "1: send connector \"Poison\": a queue of relais itself is called so | any other "
            "name" },
        { "no number", "limits { connections = many }\n" OUT,
            "1: 'connections' cannot be 'many' | a number from 1" },
        { "not true or false", IN "enabled = maybe }\n" OUT,
            "1: 'enabled' is true or false, not 'maybe'" },
        { "choice", IN "tls = require }\n" OUT,
            "1: 'tls' cannot be 'require' | did you mean 'required'?" },
        { "choice, far off", IN "tls = xyz }\n" OUT,
            "1: 'tls' cannot be 'xyz' | it is off, offered, required or implicit" },
        { "TLS version", IN "tls_min = 1.4 }\n" OUT, "1: 'tls_min' cannot be '1.4'" },
        { "right", IN "allow = [any-recipients] }\n" OUT,
            "1: 'allow' cannot be 'any-recipients' | did you mean 'any-recipient'?" },
        { "a list for a value", "fqdn = {a.example}\n" OUT,
            "1: 'fqdn' takes one value, not a list" },
        { "a block for a value", "fqdn { }\n" OUT,
            "1: 'fqdn' is no block | write fqdn = VALUE" },
        { "a value for a block", "spool = x\n" OUT,
            "1: 'spool' is a block | write spool { ... }" },
        { "several values without braces", "dns { servers = 1.1.1.1, 2.2.2.2\n }\n" OUT,
            "1: expected one value, found ','" },
        { "set twice", "fqdn = a.example\n\nfqdn = b.example\n" OUT,
            "3: 'fqdn' is set twice | it was set on line 1 of t.conf" },
        { "fqdn", "fqdn = \"a b\"\n" OUT, "1: 'fqdn' cannot be 'a b'" },
        { "folder", "spool { folder = spool }\n" OUT,
            "1: 'folder' is a full path, not 'spool'" },
        { "binding",
            "receive_connector \"A\" { bindings = { 25,\n \"::1:25\" \n, \"*:0\", \"*:65536\", "
            "\"unix:x\" } remote_ranges = {\"*\"} }\n" OUT,
            "1: '25' is no binding~2: '::1:25' is no binding~3: '*:0' is~3: '*:65536' is~3: "
            "'unix:x' is" },
        { "range",
            "receive_connector \"A\" { bindings = {\"*:25\"} remote_ranges = "
            "{\n10.0.0.300,\n\"10.1.2.3/8\", \"10.0.0.9-10.0.0.1\"} }\n" OUT,
            "2: '10.0.0.300' is no range~3: '10.1.2.3/8' is no range of addresses | bits are "
            "set behind the prefix: \"10.0.0.0/8\"~3: '10.0.0.9-10.0.0.1' is no range" },
        { "no bindings", "receive_connector \"A\" { remote_ranges = {10.0.0.1} }\n" OUT,
            "1: receive_connector \"A\" has no bindings" },
        { "no ranges", "receive_connector \"A\" { bindings = {\"*:25\"} }\n" OUT,
            "1: receive_connector \"A\" has no remote_ranges" },
        { "empty bindings",
            "receive_connector \"A\" {\n bindings = {}\n remote_ranges = {10.0.0.1} }\n" OUT,
            "2: receive_connector \"A\" has no bindings" },
        { "no name", "receive_connector { }\n" OUT,
            "1: this receive_connector has no name | write receive_connector \"Name\" { ... "
            "}" },
        { "bad name", "receive_connector \"a/b\" { }\n" OUT, "1: 'a/b' is no name" },
        { "a name for a section", "spool \"x\" { }\n" OUT,
            "1: 'spool' has no name of its own" },
        { "binding twice",
            "receive_connector \"A\" { bindings = {\"*:25\", \"127.0.0.1:25\"} remote_ranges = "
            "{10.0.0.1} }\n" OUT,
            "1: receive connector \"A\" has the same binding twice" },
        { "no such file", IN "certificate = /nonexistent/x.pem }\n" OUT,
            "1: 'certificate': cannot read \"/nonexistent/x.pem\" | there is no such file" },
        { "key alone", IN "\nkey = /dev/null }\n" OUT, "2: there is a key but no certificate" },
        { "banner", IN "banner = \"%{fqdn} %{host}\" }\n" OUT,
            "1: 'banner' has a placeholder that does not exist | %{connector}, %{fqdn}" },
        { "tolerance", IN "tolerate = {bare-cr} }\n" OUT,
            "1: 'tolerate' cannot be 'bare-cr' | did you mean 'bare-lf'?" },
        { "open relay",
            "receive_connector \"A\" {\n bindings = {\"*:25\"} remote_ranges = {\"0.0.0.0/0\"} "
            "allow = any-recipient }\n" OUT,
            "1: receive connector \"A\" would be an open relay" },
        { "open relay, denied",
            "receive_connector \"A\" { bindings = {\"*:25\"} remote_ranges = {\"*\"} allow = "
            "any-recipient open_relay_i_mean_it = no }\n" OUT,
            "1: receive connector \"A\" would be an open relay" },
        { "two of a name",
            IN "}\nreceive_connector \"in\" { bindings = {\"*:26\"} remote_ranges = {\"*\"} "
               "}\n" OUT,
            "2: there are two receive connectors \"in\" | the other one is on line 1 of "
            "t.conf" },
        { "disputed range",
            "receive_connector \"A\" {\n bindings = {\"*:25\"}\n remote_ranges = {1.1.1.1,\n "
            "10.0.0.0/8} }\nreceive_connector \"B\" {\n bindings = {\"127.0.0.1:25\"}\n "
            "remote_ranges = {10.0.0.0/8} }\n" OUT,
            "7: receive connectors \"A\" and \"B\" both have the range 10.0.0.0/8 on port 25 | "
            "the other one is on line 4 of t.conf" },
        { "crossing ranges",
            "receive_connector \"A\" {\n bindings = {\"*:25\"}\n remote_ranges = "
            "{10.0.0.1-10.0.0.9} }\nreceive_connector \"B\" {\n bindings = {\"*:25\"}\n "
            "remote_ranges = {10.0.0.5-10.0.0.20} }\n" OUT,
            "6: receive connectors \"A\" and \"B\" have ranges on port 25 that overlap without "
            "one containing the other: 10.0.0.1-10.0.0.9 and 10.0.0.5-10.0.0.20 | the other "
            "one is on line 3" },
        { "every dispute",
            "receive_connector \"A\" { bindings = {\"*:25\"} remote_ranges = {1.1.1.1} "
            "}\nreceive_connector \"B\" { bindings = {\"*:25\"} remote_ranges = {1.1.1.1} "
            "}\nreceive_connector \"C\" { bindings = {\"*:25\"} remote_ranges = {1.1.1.1} "
            "}\n" OUT,
            "2: receive connectors \"A\" and \"B\"~3: receive connectors \"A\" and \"C\"~3: "
            "receive connectors \"B\" and \"C\"" },
        { "domain", "accepted_domain \"a b\" { }\n" OUT, "1: 'a b' is no domain" },
        { "domain type", "accepted_domain \"a.example\" { type = relay }\n" OUT,
            "1: 'type' cannot be 'relay' | it is authoritative, internal-relay or "
            "external-relay" },
        { "domain twice",
            "accepted_domain \"a.example\" { }\naccepted_domain \"A.Example\" { }\n" OUT,
            "2: there are two accepted domains \"a.example\"" },
        { "no way", "send_connector \"A\" { address_spaces = {\"*\"} }\n",
            "1: send connector \"A\" has no way to deliver" },
        { "mx = false", "send_connector \"A\" { address_spaces = {\"*\"} mx = false }\n",
            "1: send connector \"A\" has no way to deliver" },
        { "two ways",
            "send_connector \"A\" { address_spaces = {\"*\"} mx = true maildir = /m/%u }\n",
            "1: send connector \"A\" has several ways" },
        { "no space", "send_connector \"A\" { mx = true }\n",
            "1: send connector \"A\" has no address_spaces" },
        { "space",
            "send_connector \"A\" { address_spaces = {\"*.\", \"a@b.example\", "
            "\"a.example:x\"} mx = true }\n",
            "1: '*.' is no address space~1: 'a@b.example' is no~1: 'a.example:x' is no" },
        { "smart host",
            "send_connector \"A\" { address_spaces = {\"*\"} smart_hosts = {\"[a.example]:0\", "
            "\"a.example:x\", \"[a.example\", \"\"} }\n",
            "1: '[a.example]:0' is no smart host~1: 'a.example:x' is~1: '[a.example' is~1: '' "
            "is" },
        { "a smart host that is this node",
            "receive_connector \"In\" { bindings = {\"127.0.0.1:2525\"} remote_ranges = "
            "{\"10.0.0.0/8\"} }\n"
            "send_connector \"A\" { address_spaces = {\"*\"} smart_hosts = "
            "{\"[127.0.0.1]:2525\", \"127.0.0.1:2526\", \"127.0.0.2:2525\"} }\n",
            "2? 127.0.0.1, port 2525, of send connector \"A\" is a binding of this node: no "
            "mail "
            "is given to it" },
        { "no smart hosts",
            "send_connector \"A\" { address_spaces = {\"*\"} smart_hosts = {} }\n",
            "1: 'smart_hosts' is empty" },
        { "lmtp", "send_connector \"A\" { address_spaces = {\"*\"} lmtp = \"unix:x\" }\n",
            "1: 'unix:x' is no LMTP server" },
        { "maildir", "send_connector \"A\" { address_spaces = {\"*\"} maildir = /m/%n }\n",
            "1: 'maildir' has a sign that does not exist | %u is the local part, %d the "
            "domain" },
        { "maildir, % at the end",
            "send_connector \"A\" { address_spaces = {\"*\"} maildir = \"/m/%\" }\n",
            "1: 'maildir' has a sign" },
        { "retry",
            "send_connector \"A\" { address_spaces = {\"*\"} mx = yes retry = {4x1m, 5, 0x1m, "
            "2x} }\n",
            "1: 'retry' cannot have '5'~1: 'retry' cannot have '0x1m'~1: 'retry' cannot have "
            "'2x'" },
        { "password alone",
            "send_connector \"A\" { address_spaces = {\"*\"} mx = yes tls = encrypt password = "
            "x }\n",
            "1: 'user' and 'password' go together" },
        { "password in clear",
            "send_connector \"A\" { address_spaces = {\"*\"} mx = yes user = a password = x "
            "auth_without_tls = yes }\n",
            "1? the password may go out in clear" },
        { "source address",
            "send_connector \"A\" { address_spaces = {\"*\"} mx = yes source_address = eth0 "
            "}\n",
            "1: 'source_address' cannot be 'eth0'" },
        { "DNS server", "dns { servers = {ns.example, \"1.1.1.1@0\"} }\n" OUT,
            "1: 'ns.example' is no DNS server~1: '1.1.1.1@0' is" },
        { "log to which file", "log { target = file }\n" OUT,
            "1: the log goes to a file, but to which?" },
        { "two logs in one file",
            "log {\n tracking_file = /tmp/x\n protocol_file = /tmp/x\n}\n" OUT,
            "2: two logs are to be in one file: protocol_file and tracking_file are both "
            "'/tmp/x'" },
        { "one is where another is by default",
            "log {\n target = file\n file = /var/log/relais/tracking.log\n}\n" OUT,
            "1: two logs are to be in one file: file and tracking_file are both "
            "'/var/log/relais/tracking.log'" },
        { "no way out", "", "0? there is no send connector" },
        { "a line break in a banner", IN "banner = \"a\\nb\" }\n" OUT,
            "1: a \\ in \"...\" stands before \" or \\ only" },
        { "a control character", "fqdn = \"a\001b\"\n" OUT,
            "1: a control character (1) does not belong here" },
        { "not UTF-8", IN "comment = \"\377\" }\n" OUT,
            "1: 'comment' has a byte that is neither printable nor UTF-8" },
        { "empty text", IN "comment = \"\" }\n" OUT, "1: 'comment' is empty" },
        { "no end of a text", "fqdn = \"a.example\n" OUT,
            "1: this text has no end | end it by \" on the same line" },
        { "no end of a comment", OUT "/* a\n b\n", "2: this comment has no end" },
        { "no end of a block", "spool {\n size = 1G\n",
            "1: the block 'spool' has no end | a '}' is missing" },
        { "no end of a block, more follows",
            "spool {\n size = 1G\nsend_connector \"A\" { address_spaces = {\"*\"} mx = true "
            "}\n",
            "1: the block 'spool' has no end~3: unknown block 'send_connector' in spool | is "
            "the '}' of the spool of line 1 missing before it?" },
        { "brackets without quotes",
            "send_connector A { address_spaces = {\"*\"} smart_hosts = [mail.example.com]:587 "
            "}\n",
            "1: the list of 'smart_hosts' ends before ':587' | brackets that are of a value "
            "stand in its quotes: { \"[mail.example.com]:587\" }" },
        { "brackets without quotes in a list",
            "send_connector A { address_spaces = {\"*\"} smart_hosts = { [a.example]:25 }\n}\n",
            "1: expected ',' or '}', found '[' | a value with signs in it" },
        { "no comma", IN "allow = { submit any-sender } }\n" OUT,
            "1: expected ',' or '}', found 'any-sender' | is a ',' missing before it?" },
        { "no { behind a connector's name",
            "receive_connector \"A\"\nbindings = {\"*:25\"}\n" OUT,
            "1: '{' is missing near 'receive_connector A' | write receive_connector \"A\" { "
            "... }" },
        { "no end of a list", IN "allow = { submit, any-sender\n enabled = true }\n" OUT,
            "2: expected ',' or '}', found 'enabled' | the list of 'allow' began on line 1" },
        { "one end too many", "spool { }\n}\n" OUT,
            "2: expected an option or a block, found '}' | there is one '}' too many" },
        { "no value", "fqdn =\nspool { }\n" OUT, "1: 'fqdn' has no value" },
        { "no sign", "fqdn a.example\n" OUT,
            "1: '=' or '{' is missing near 'fqdn a.example' | write fqdn = a.example" },
        { "a colon", "fqdn: a.example\n" OUT,
            "1: '=' or '{' is missing near 'fqdn: a.example' | write fqdn = a.example: no ':' "
            "stands" },
        { "a colon apart", "fqdn : a.example\n" OUT,
            "1: '=' or '{' is missing near 'fqdn :' | write fqdn = VALUE: no ':'" },
        { "a colon and no blank", "fqdn:a.example\n" OUT,
            "1: 'fqdn:a.example' is followed by neither '=' nor '{' | write fqdn = a.example" },
        { "a range that runs backwards",
            "receive_connector A { bindings = {\"*:25\"} remote_ranges = "
            "{\"192.168.2.20-192.168.2.10\"} }\n" OUT,
            "1: '192.168.2.20-192.168.2.10' is no range of addresses | it runs backwards: "
            "\"192.168.2.10-192.168.2.20\"" },
        { "a range of two kinds",
            "receive_connector A { bindings = {\"*:25\"} remote_ranges = "
            "{\"192.168.2.20-::1\"} }\n" OUT,
            "1: '192.168.2.20-::1' is no range of addresses | 192.168.2.20 and ::1 are of two "
            "kinds" },
        { "a certificate's subject alone", IN "certificate = \"subject=CN=mail\" }\n" OUT,
            "1: 'certificate' cannot be 'subject=CN=mail' | the issuer stands before the "
            "subject" },
        { "a certificate by half a path", IN "certificate = mail.pem }\n" OUT,
            "1: 'certificate' cannot be 'mail.pem' | a full path, \"sha256:...\"" },
        { "unit apart", "spool { size = 25 M }\n" OUT,
            "1: 'M' is followed by neither '=' nor '{'~1: 'size' cannot be '25'" },
        { "no name of an option", "= 5\n" OUT, "1: expected an option or a block, found '='" },
        { "include without parentheses", "include \"x\"\n" OUT,
            "1: 'include' has no parentheses | write include(\"x\")" },
        { "include of nothing", "include()\n" OUT,
            "1: expected the name of a file to include, found ')'" },
        { "include of what is not there", "include(\"/nonexistent\")\n" OUT,
            "1: cannot read \"/nonexistent\": no such" },
        { "include of a device", "include(\"/dev/zero\")\n" OUT,
            "1: cannot read \"/dev/zero\"" },
        { "a function of its own", "exec(\"x\")\n" OUT,
            "1: expected the name of a file to include" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings = NULL;
        char got[8000];
        enum err err = read_text(cases[i].text, &settings, got);
        bool is_warning = cases[i].want[1] == '?';

        if ((err == OK) != is_warning || (err == OK) != (settings != NULL))
            fail_msg("%s: %s with\n%s", cases[i].name, err_text(err), got);
        check_parts(cases[i].name, got, cases[i].want);
        settings_free(settings);
    }
}

/* A mistake in each line, and all are told, in order. */
static void all_mistakes_are_told_in_order(void **state)
{
    static const char text[] = "fqdm = a.example\n"
                               "spool {\n"
                               "    size = 25\n"
                               "    folder = x\n"
                               "}\n"
                               "accepted_domain \"b c\" { }\n"
                               "send_connector \"A\" {\n"
                               "    address_spaces = { \"*\" }\n"
                               "    retry = 5\n"
                               "    tls = maybe\n"
                               "}\n";
    static const int lines[] = { 1, 3, 4, 6, 7, 9, 10 };
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;

    (void)state;
    check("refused",
        directory_read_text(bytes_text(text), "t.conf", &settings, &complaints) == ERR_SYNTAX);
    check("untouched", settings == NULL);
    check("all", complaints.count == CASES(lines) && complaints.error_count == CASES(lines));
    for (size_t i = 0; i < CASES(lines); i++)
        check(complaints.list[i].text, complaints.list[i].where.line == lines[i]);
    complaints_done(&complaints);
}

static void too_many_mistakes_have_a_ceiling(void **state)
{
    enum { COUNT = 2 * COMPLAINTS_MAX };
    char *text = test_malloc(2 * COUNT + 1);
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        memcpy(text + 2 * i, "}\n", 2);
    check("refused", directory_read_text(bytes_of(text, 2 * COUNT), "t.conf", &settings,
                         &complaints) == ERR_SYNTAX);
    check("kept", complaints.count == COMPLAINTS_MAX);
    check("counted", complaints.error_count == COUNT);
    complaints_done(&complaints);
    test_free(text);
}

static const char whole[] =
    "\xef\xbb\xbf# what a relay may have\n"
    "fqdn = mail.example.com;\n"
    "control_socket = /tmp/control // a path\n"
    "spool { folder = '/tmp/spool' size = 10G segment_size = 16MiB free_space = 1gb\n"
    "        memory = 2M }\n"
    "queue { expiry = 1d12h delay_notice = 0s poison_threshold = never }\n"
    "dsn { full_size = unlimited }\n"
    "dns { servers = [127.0.0.1@5353, \"::1\"] timeout = 00:00:05 }\n"
    "log { target = file file = /tmp/log json = on protocol_file = off size_max = 1M files = 3 "
    "tracking_file = off connectivity_file = /tmp/conn log_subjects = yes }\n"
    "limits { connections = 100 deliveries = 5 loops = 2 ipv6_prefix = 56 }\n"
    "/* two ports,\n   one of them for clients */\n"
    "receive_connector \"Default\" {\n"
    "    comment = \"a \\\"quoted\\\" \\\\ word\"\n"
    "    bindings = { \"*:25\", \"[::1]:2525\", 'unix:/run/x', 127.0.0.1:2526 }\n"
    "    remote_ranges = [ 10.0.0.0/8, ]\n"
    "    remote_ranges += { \"192.0.2.1-192.0.2.9\" }\n"
    "    fqdn = in.example.com\n"
    "    banner = \"220 %{fqdn} hello\"\n"
    "    allow = [any-recipient, bypass-size-limit]\n"
    "    tls = required tls_min = 1.0\n"
    "    protocol_log = no add_missing_headers = yes priority = -3 trust_priority = yes "
    "tolerate = bare-lf\n"
    "    size_max = 1M header_size_max = 8K recipients_max = 7 messages_max = 9 errors_max = "
    "3\n"
    "    hops_max = 4 connections_max = 5 connections_per_source = 6\n"
    "    idle_timeout = 10s session_timeout = 20s tarpit = 0s\n"
    "}\n"
    "receive_connector Off { enabled = off bindings = {\"*:25\"} remote_ranges = "
    "{\"10.0.0.0/8\"} }\n"
    "accepted_domain \"B\303\274cher.example\" { type = internal-relay }\n"
    "accepted_domain \"*.example.com\" { }\n"
    "send_connector \"Out\" {\n"
    "    address_spaces = { \"*\", \"Example.ORG:10\", \"--:3\", \"*.example.net\" }\n"
    "    smart_hosts = { mail.example.com, \"mail.example.com:587\", \"[mail.example.com]\",\n"
    "        \"[192.0.2.1]:26\", 192.0.2.2, \"2001:db8::1\", \"[IPv6:2001:db8::2]:27\" }\n"
    "    smart_host \"spare.example.com\" { port = 28 priority = 20 weight = 3 }\n"
    "    tls = implicit user = \"me\" password = \"#=secret\"\n"
    "    connections = 2 messages_per_connection = unlimited recipients_per_message = 50\n"
    "    size_max = 5M chunking = no pipelining = no protocol_log = no failover = yes\n"
    "    connect_timeout = 1s greeting_timeout = 2s command_timeout = 3s data_timeout = 4s\n"
    "    end_timeout = 5s idle_timeout = 6s\n"
    "    retry = { 2x1s, 3s } message_retry = 7s source_address = 192.0.2.7 fqdn = o.example\n"
    "    messages_per_minute = 30 source_nodes = { mail, \"mail.example.com\" }\n"
    "}\n"
    "send_connector \"Local\" { address_spaces = {\"--\"} lmtp = \"unix:/run/lmtp\" }\n"
    "send_connector \"Net\" { address_spaces = {\"--\"} lmtp = \"[::1]:24\" enabled = no }\n"
    "send_connector \"Box\" { address_spaces = {\"--\"} maildir = \"/m/%d/%u\" }\n"
    "send_connector \"Mx\" { address_spaces = {\"a.example\"} mx = true mx_port = 2525 }\n";

static void check_top(const struct settings *s)
{
    check_bytes("fqdn", bytes_text(s->fqdn), BYTES("mail.example.com"));
    check_bytes("node", bytes_text(s->node), BYTES("mail"));
    check_bytes("file", bytes_text(s->file), BYTES("t.conf"));
    check_bytes("socket", bytes_text(s->control_socket), BYTES("/tmp/control"));
    check_bytes("folder", bytes_text(s->spool_folder), BYTES("/tmp/spool"));
    check("spool", s->spool_bytes_max == 10ULL << 30 && s->spool_segment_bytes == 16 << 20 &&
                       s->spool_free_bytes_min == 1 << 30 &&
                       s->spool_memory_bytes_max == 2 << 20);
    check("poison", s->poison_threshold == 0);
    check("expiry", s->expiry_ms == 36LL * 3600 * 1000);
    check("delay notice", s->delay_notice_ms == 0);
    check("full size", s->dsn_full_bytes_max == 0);
    check("dns", s->dns_server_count == 2 && s->dns_timeout_ms == 5000);
    check_bytes("dns", bytes_text(s->dns_servers[0]), BYTES("127.0.0.1@5353"));
    check("log", s->log_target == LOG_FILE && s->logs_json && !s->protocol_log_file &&
                     !s->tracking_log_file && s->logs_subjects && s->log_bytes_max == 1 << 20 &&
                     s->log_files_max == 3);
    check_bytes("log", bytes_text(s->connectivity_log_file), BYTES("/tmp/conn"));
    check("limits", s->connections_max == 100 && s->deliveries_max == 5 && s->loop_count == 2);
    check("prefix", s->ipv6_prefix == 56);
    check("domains", s->domain_count == 2 && s->domains[0].type == DOMAIN_INTERNAL_RELAY &&
                         s->domains[1].type == DOMAIN_AUTHORITATIVE);
    check_bytes("A-label", bytes_text(s->domains[0].pattern), BYTES("xn--bcher-kva.example"));
    check_bytes("wild", bytes_text(s->domains[1].pattern), BYTES("*.example.com"));
}

static void check_receive(const struct settings *s)
{
    const struct receive_connector *c = &s->receive[0];

    check("two", s->receive_count == 2 && c->enabled && !s->receive[1].enabled);
    check_bytes("comment", bytes_text(c->comment), BYTES("a \"quoted\" \\ word"));
    check("where", c->source.line == 13 && strcmp(c->source.file, "t.conf") == 0);
    check("bindings", c->binding_count == 4 && c->bindings[0].is_any &&
                          c->bindings[1].port == 2525 && c->bindings[2].is_unix &&
                          ip_is_v4(c->bindings[3].ip));
    check_bytes("path", bytes_text(c->bindings[2].path), BYTES("/run/x"));
    check("ranges", c->range_count == 2 && c->node_count == 2);
    check_bytes("fqdn", bytes_text(c->fqdn), BYTES("in.example.com"));
    check_bytes("banner", bytes_text(c->banner), BYTES("%{fqdn} hello"));
    check("rights", c->groups == GROUP_ANONYMOUS &&
                        c->allow == (RIGHT_ANY_RECIPIENT | RIGHT_BYPASS_SIZE_LIMIT));
    check("tls", c->tls == TLS_MODE_REQUIRED && c->tls_version_min == 0);
    check("flags", !c->logs_protocol && c->adds_missing_headers && c->priority == -3 &&
                       c->trusts_priority && c->tolerances == TOLERATE_BARE_LF);
    check("sizes", c->size_bytes_max == 1 << 20 && c->header_bytes_max == 8192);
    check("numbers", c->recipients_max == 7 && c->messages_per_session_max == 9 &&
                         c->errors_max == 3 && c->hops_max == 4 && c->connections_max == 5 &&
                         c->connections_per_source_max == 6);
    check("times", c->idle_ms == 10000 && c->session_ms == 20000 && c->tarpit_ms == 0);
}

static void check_hosts(const struct send_connector *c)
{
    static const struct {
        const char *host;
        uint16_t port;
        bool uses_mx;
        uint32_t priority, weight;
    } hosts[] = {
        { "mail.example.com", 25, true, 10, 1 },
        { "mail.example.com", 587, true, 10, 1 },
        { "mail.example.com", 25, false, 10, 1 },
        { "192.0.2.1", 26, false, 10, 1 },
        { "192.0.2.2", 25, false, 10, 1 },
        { "2001:db8::1", 25, false, 10, 1 },
        { "2001:db8::2", 27, false, 10, 1 },
        { "spare.example.com", 28, true, 20, 3 },
    };

    check("hosts", c->host_count == CASES(hosts));
    for (size_t i = 0; i < CASES(hosts); i++) {
        const struct smart_host *h = &c->hosts[i];
        check_bytes("host", bytes_text(h->host), bytes_text(hosts[i].host));
        check(h->host, h->port == hosts[i].port && h->uses_mx == hosts[i].uses_mx);
        check(h->host, h->priority == hosts[i].priority && h->weight == hosts[i].weight);
    }
}

static void check_send(const struct settings *s)
{
    const struct send_connector *c = &s->send[0];

    check("five", s->send_count == 5);
    check("spaces", c->space_count == 4 && c->spaces[0].cost == 1 && c->spaces[1].cost == 10 &&
                        c->spaces[2].cost == 3);
    check_bytes("space", bytes_text(c->spaces[1].pattern), BYTES("example.org"));
    check_hosts(c);
    check("tls", c->tls == SEND_TLS_ENCRYPT && c->is_implicit_tls);
    check_bytes("password", bytes_text(c->password), BYTES("#=secret"));
    check("numbers", c->connections_max == 2 && c->messages_per_connection == 0 &&
                         c->recipients_per_message == 50 && c->size_bytes_max == 5 << 20);
    check(
        "flags", !c->uses_chunking && !c->uses_pipelining && !c->logs_protocol && c->failover);
    check("times", c->connect_ms == 1000 && c->greeting_ms == 2000 && c->command_ms == 3000 &&
                       c->data_ms == 4000 && c->end_ms == 5000 && c->idle_ms == 6000);
    check("retry", c->retry_count == 3 && c->retry_ms[1] == 1000 && c->retry_ms[2] == 3000 &&
                       c->message_retry_ms == 7000);
    check("source", c->has_source_ip);
    check("rate", c->messages_per_minute_max == 30);
    check("nodes", c->source_nodes.count == 2);
    check_bytes("node", bytes_text(c->source_nodes.list[0]), BYTES("mail"));
    c = &s->send[1];
    check("lmtp", c->delivery == DELIVERY_LMTP && c->hosts[0].is_unix);
    check_bytes("lmtp", bytes_text(c->hosts[0].host), BYTES("/run/lmtp"));
    check("lmtp", s->send[2].hosts[0].port == 24 && !s->send[2].enabled);
    check("maildir", s->send[3].delivery == DELIVERY_MAILDIR);
    check("mx", s->send[4].delivery == DELIVERY_MX && s->send[4].mx_port == 2525);
}

static void every_option_is_read(void **state)
{
    struct settings *settings = NULL;
    char got[8000];
    enum err err = read_text(whole, &settings, got);

    (void)state;
    if (err != OK)
        fail_msg("%s", got);
    check_bytes("no complaints", bytes_text(got), BYTES(""));
    check_top(settings);
    check_receive(settings);
    check_send(settings);
    settings_free(settings);
}

/* Wherever the file ends there is an answer, never a crash. */
static void cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof whole; n++) {
        struct complaints complaints = { 0 };
        struct settings *settings = NULL;
        enum err err =
            directory_read_text(bytes_of(whole, n), "t.conf", &settings, &complaints);

        check("one or the other", (err == OK) == (complaints.error_count == 0));
        settings_free(settings);
        complaints_done(&complaints);
    }
}

static void an_empty_file_is_a_safe_satellite(void **state)
{
    struct settings *settings = NULL;
    char got[8000];

    (void)state;
    check("empty", read_text("", &settings, got) == OK);
    check("one", settings->receive_count == 1 && settings->send_count == 0);
    for (size_t i = 0; i < settings->receive[0].binding_count; i++)
        check("loopback", ip_is_loopback(settings->receive[0].bindings[i].ip));
    settings_free(settings);
}

static void included_files_are_read_and_named(void **state)
{
    char folder[] = "/tmp/relais-directory-XXXXXX", path[200], line[1000];
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;

    (void)state;
    check("folder", mkdtemp(folder) != NULL);
    write_file(folder, "main.conf",
        "include(\"part.conf\")\n" OUT "receive_connector \"In\" {\n bindings = {\"*:25\"}\n"
        " include('ranges.conf')\n}\n");
    write_file(folder, "part.conf", "fqdn = part.example.com\n");
    write_file(folder, "ranges.conf", "remote_ranges = {\n 10.0.0.1 }\n");
    snprintf(path, sizeof path, "%s/main.conf", folder);
    check("read", directory_read_file(path, &settings, &complaints) == OK);
    check_bytes("part", bytes_text(settings->fqdn), BYTES("part.example.com"));
    check("ranges", settings->receive[0].range_count == 1);
    settings_free(settings);
    settings = NULL;

    /* A mistake in an included file is told with its name, time and again. */
    write_file(folder, "part.conf", "\nfqdn = \n");
    for (int i = 0; i < 20; i++) {
        check("refused", directory_read_file(path, &settings, &complaints) == ERR_SYNTAX);
        complaint_format(&complaints.list[0], line);
        check(line, strstr(line, "/part.conf:2: error: 'fqdn' has no value"));
        complaints_done(&complaints);
    }
    write_file(folder, "part.conf", "fqdm = a.example\n");
    check("misspelt", directory_read_file(path, &settings, &complaints) == ERR_SYNTAX);
    complaint_format(&complaints.list[0], line);
    check(line, strstr(line, "option 'fqdm'\n    hint: did you mean 'fqdn'?"));
    complaint_format_line(&complaints.list[0], line);
    check(line, strstr(line, "option 'fqdm'; hint: did you mean 'fqdn'?"));
    complaints_done(&complaints);
    write_file(folder, "part.conf", "include(\"main.conf\") include(\"main.conf\")\n");
    check("circle", directory_read_file(path, &settings, &complaints) == ERR_SYNTAX);
    complaints_done(&complaints);
    remove_file(folder, "main.conf");
    check("gone", directory_read_file(path, &settings, &complaints) == ERR_NONE);
    check("a folder", directory_read_file(folder, &settings, &complaints) != OK);
    check("no complaints", complaints.count == 0);
    remove_file(folder, "part.conf");
    remove_file(folder, "ranges.conf");
    check("folder", rmdir(folder) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_found),
        cmocka_unit_test(all_mistakes_are_told_in_order),
        cmocka_unit_test(too_many_mistakes_have_a_ceiling),
        cmocka_unit_test(every_option_is_read),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(an_empty_file_is_a_safe_satellite),
        cmocka_unit_test(included_files_are_read_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
