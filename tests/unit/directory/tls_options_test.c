/* Options about TLS, of both kinds of connectors. */
#include "directory_kit.h"

#include "../os/tls_paper.h"
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

static const char *certificate_file, *key_file, *old_file, *old_key_file;

static int make_papers(void **state)
{
    struct paper paper = paper_make(NULL, "in", "DNS:in.example,DNS:*.w.example", "EC", 100);
    struct paper old = paper_make(NULL, "old", "DNS:in.example", "EC", -2);

    (void)state;
    certificate_file = paper_certificate_file(&paper);
    key_file = paper_key_file(&paper);
    old_file = paper_certificate_file(&old);
    old_key_file = paper_key_file(&old);
    paper_free(&paper);
    paper_free(&old);
    return 0;
}

static int remove_papers(void **state)
{
    (void)state;
    papers_remove();
    return 0;
}

/* TEXT with the names of these files for $CERT, $KEY, $OLD and $OLDKEY. */
static char *with_files(const char *text)
{
    const struct {
        const char *sign, *file;
    } signs[] = { { "$CERT", certificate_file }, { "$KEY", key_file },
        { "$OLDKEY", old_key_file }, { "$OLD", old_file } };
    struct buf out;

    buf_init(&out, 8000);
    while (*text) {
        size_t i = 0;
        while (i < CASES(signs) && strncmp(text, signs[i].sign, strlen(signs[i].sign)) != 0)
            i++;
        if (i < CASES(signs)) {
            assert_int_equal(buf_add_text(&out, signs[i].file), 0);
            text += strlen(signs[i].sign);
        } else {
            assert_int_equal(buf_add(&out, bytes_of(text++, 1)), 0);
        }
    }
    return buf_take_text(&out);
}

static struct settings *read_text(const char *text, char complaints_text[8000])
{
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;
    char *whole = with_files(text);

    if (directory_read_text(bytes_text(whole), "t.conf", &settings, &complaints) != OK)
        assert_null(settings);
    free(whole);
    list_complaints(&complaints, true, complaints_text);
    complaints_done(&complaints);
    return settings;
}

#define OUT "fqdn = in.example send_connector \"Out\" { address_spaces = {\"*\"} mx = true }\n"
#define IN "receive_connector \"In\" { bindings = {\"*:25\"} remote_ranges = {\"10.0.0.0/8\"} "
#define SEND "send_connector \"S\" { address_spaces = {\"*\"} mx = true "
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define COLONS                                                                                 \
    "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:"  \
    "AB:CD:EF"

static void complaints_are_made(void **state)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        { "good receive",
            IN "certificate = {$CERT, \"$CERT\"} key = {$KEY, $KEY} "
               "client_certificate = ask client_ca = $CERT }\n" OUT,
            "" },
        { "good send",
            SEND "tls = verify ca_file = $CERT tls_min = 1.3 tls_policy \"a.example\" { "
                 "tls = secure } tls_fingerprints = {\"sha256:" HEX "\"} }\n",
            "" },
        { "key alone", IN "key = /dev/null }\n" OUT, "1: there is a key but no certificate" },
        { "fewer keys", IN "certificate = {/dev/null, /dev/null} key = /dev/null }\n" OUT,
            "1: there are 2 certificates and 1 keys | as many keys as certificates" },
        { "no such certificate", IN "certificate = {/dev/null,\n/nonexistent} }\n" OUT,
            "2: 'certificate': cannot read \"/nonexistent\" | there is no such file" },
        { "certificate without TLS", IN "tls = off certificate = /dev/null }\n" OUT,
            "1? the certificate is not used: tls is off" },
        { "asks in vain", IN "client_certificate = require }\n" OUT,
            "1: no client's certificate would be known | client_ca =" },
        { "asks in clear",
            IN "tls = off client_certificate = ask client_ca = /dev/null }\n" OUT,
            "1: a client cannot show a certificate: tls is off" },
        { "knows, but asks not", IN "client_fingerprints = {\"sha256:" HEX "\"} }\n" OUT,
            "1? 'client_fingerprints' is not used: clients are not asked" },
        { "another's key", IN "certificate = $CERT key = $OLDKEY }\n" OUT,
            "1: receive connector \"In\" cannot use its certificate: " },
        { "no certificate in it", IN "certificate = $KEY key = $KEY }\n" OUT,
            "1: receive connector \"In\" cannot use its certificate: " },
        { "no authority in it",
            IN
            "client_certificate = ask client_ca = $KEY certificate = $CERT key = $KEY }\n" OUT,
            "1: receive connector \"In\" cannot use its certificate: " },
        { "no key in it", IN "certificate = $CERT }\n" OUT,
            "1: receive connector \"In\" cannot use its certificate: ~: there is no private "
            "key in "
            "it; another file with it is named by key = ..." },
        { "no key in the key's", IN "certificate = $CERT key = $CERT }\n" OUT,
            "1: receive connector \"In\" cannot use its certificate: ~: there is no private "
            "key in "
            "it (PEM)" },
        { "not even text in it", IN "certificate = /dev/null key = $KEY }\n" OUT,
            "1: receive connector \"In\" cannot use its certificate: ~/dev/null: there is no "
            "certificate in it (PEM)" },
        { "beside other mistakes",
            "nonsense = 1\n" IN "certificate = $KEY key = $KEY }\n" OUT SEND
            "certificate = $CERT key = $OLDKEY }\n",
            "1: ~2: receive connector \"In\" cannot use its certificate: ~4: send connector "
            "\"S\" "
            "cannot use its certificate or authorities: ~: the key is not this certificate's" },
        { "a file of them is not there",
            "nonsense = 1\n" IN "certificate = {$CERT,\n/nonexistent} }\n" OUT,
            "1: ~3: 'certificate': cannot read \"/nonexistent\"" },
        { "no fingerprint", IN "certificate = \"sha256:0102\" }\n" OUT,
            "1: 'sha256:0102' is no fingerprint | \"sha256:\" and 64 hex digits" },
        { "no thumbprint", IN "certificate = \"sha1:" HEX "\" }\n" OUT,
            "1: 'sha1:" HEX "' is no fingerprint" },
        { "no subject", IN "certificate = \"issuer=CN=a\" }\n" OUT,
            "1: 'issuer=CN=a' does not name an issuer and a subject" },
        { "no names", IN "certificate = \"<I>a<S>b\" }\n" OUT,
            "1: '<I>a<S>b' does not name an issuer and a subject" },
        { "no such folder",
            "certificate_folder = /nowhere\n" IN "certificate = \"sha256:" HEX "\" }\n" OUT,
            "2: the certificate cannot be chosen: /nowhere: no such thing | relais certificate "
            "list" },
        { "nothing there",
            "certificate_folder = /proc/self/attr\n" SEND
            "certificate = \"<I>CN=a<S>CN=b\" }\n",
            "2: the certificate cannot be chosen: /proc/self/attr has no such certificate; it "
            "is "
            "empty | relais certificate list shows" },
        { "a key of its own", IN "certificate = \"sha256:" HEX "\" key = /dev/null }\n" OUT,
            "1: a certificate that is chosen in the folder has its key there" },
        { "a key of its own, sending",
            SEND "certificate = \"sha256:" HEX "\" key = /dev/null }\n",
            "1: a certificate that is chosen in the folder has its key there" },
        { "expired", IN "certificate = $OLD key = $OLDKEY }\n" OUT,
            "1? the certificate~has expired on~| a new one is taken" },
        { "another name", IN "fqdn = mail.example certificate = $CERT key = $KEY }\n" OUT,
            "1? the certificate is not for \"mail.example\", as the connector calls itself" },
        { "a name among all", IN "fqdn = a.w.example certificate = $CERT key = $KEY }\n" OUT,
            "" },
        { "a name below all", IN "fqdn = a.b.w.example certificate = $CERT key = $KEY }\n" OUT,
            "1? the certificate is not for" },
        { "not used, not looked at", IN "enabled = no certificate = $OLD key = $KEY }\n" OUT,
            "" },
        { "client with another's key", SEND "certificate = $CERT key = $OLDKEY }\n",
            "1: send connector \"S\" cannot use its certificate or authorities: " },
        { "expired client", SEND "certificate = $OLD key = $OLDKEY }\n",
            "1? the certificate~has expired on" },
        { "another word", IN "client_certificate = required }\n" OUT,
            "1: 'client_certificate' cannot be 'required' | did you mean 'require'?" },
        { "fingerprints",
            IN "client_certificate = ask client_fingerprints = { \"sha256:" COLONS "\",\n\"" HEX
               "\",\n\"sha256:0123\",\n\"sha256:0" HEX "\",\n\"sha256:0:123\" } }\n" OUT,
            "2: 'client_fingerprints' cannot have~3: 'client_fingerprints' cannot have "
            "'sha256:0123' | \"sha256:\" and 64 hex digits~4: ~5: " },
        { "level", SEND "tls = dane_only }\n",
            "1: 'tls' cannot be 'dane_only' | did you mean 'dane-only'?" },
        { "pins missing", SEND "tls = secure }\n",
            "1: secure TLS needs the certificate's fingerprint" },
        { "no pin at all", SEND "tls = secure tls_fingerprints = {} }\n",
            "1: secure TLS needs the certificate's fingerprint" },
        { "asks, and knows none at all",
            IN "client_certificate = ask client_fingerprints = {} }\n" OUT,
            "1: no client's certificate would be known" },
        { "pins not used", SEND "tls_fingerprints = {\"sha256:" HEX "\"} }\n",
            "1? 'tls_fingerprints' is not used: tls is not secure" },
        { "authorities not used", SEND "tls = encrypt ca_file = $CERT }\n",
            "1? 'ca_file' is not used: tls is not verify" },
        { "implicit none", SEND "tls = none implicit_tls = yes }\n",
            "1: TLS is implicit, but tls is none" },
        { "implicit, and a domain's none",
            SEND "tls = implicit tls_policy \"a.example\" { tls = none } }\n",
            "1: TLS is implicit, but tls is none" },
        { "DANE without DNSSEC", SEND "tls = dane }\n",
            "1: send connector \"S\" uses DANE, but nothing is known~| dns { trust_anchor" },
        { "DANE of a domain without DNSSEC",
            SEND "tls_policy \"*.example\" { tls = dane-only } }\n",
            "1: send connector \"S\" uses DANE" },
        { "DANE", SEND "tls = dane }\ndns { trust_anchor = /dev/null }\n", "" },
        { "policy of no domain", SEND "tls_policy \"a b\" { tls = may } }\n",
            "1: 'a b' is no domain | tls_policy \"example.com\"" },
        { "policy of nothing", SEND "tls_policy \"a.example\" { } }\n",
            "1: this tls_policy says nothing" },
        { "policy from the first byte", SEND "tls_policy \"a.example\" { tls = implicit } }\n",
            "1: 'tls' cannot be 'implicit'" },
        { "password that may be seen",
            SEND "user = u password = p auth_without_tls = yes tls = verify tls_policy "
                 "\"a.example\" { tls = may } "
                 "}\n",
            "1? the password may go out in clear" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char got[8000];
        settings_free(read_text(cases[i].text, got));
        if (*cases[i].want)
            check_parts(cases[i].name, got, cases[i].want);
        else
            check_bytes(cases[i].name, bytes_text(got), BYTES(""));
    }
}

static void receive_options_are_kept(void **state)
{
    char got[8000];
    struct settings *s =
        read_text(IN "certificate = {$CERT, $OLD} key = {$KEY, $OLDKEY} "
                     "client_certificate = require client_ca = $CERT "
                     "client_fingerprints = {\"SHA256:" COLONS "\"} tls_min = 1.1 }\n" OUT,
            got);
    const struct receive_connector *c = s->receive;

    (void)state;
    check("two", c->certificate_count == 2);
    check_bytes("first", bytes_text(c->certificates[0].choice.certificate_file),
        bytes_text(certificate_file));
    check_bytes(
        "its key", bytes_text(c->certificates[0].choice.key_file), bytes_text(key_file));
    check_bytes(
        "second", bytes_text(c->certificates[1].choice.certificate_file), bytes_text(old_file));
    check_bytes(
        "its key", bytes_text(c->certificates[1].choice.key_file), bytes_text(old_key_file));
    check("asks", c->asks_client_certificate && c->requires_client_certificate);
    check_bytes("authorities", bytes_text(c->client_ca_file), bytes_text(certificate_file));
    check("one", c->client_fingerprint_count == 1 && c->tls_version_min == 1);
    check_bytes("in one form", bytes_text(c->client_fingerprints[0]), BYTES("sha256:" HEX));
    settings_free(s);
}

static void choices_are_kept(void **state)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        { "fingerprint", "\"SHA256:" COLONS "\"", "sha256:" HEX },
        { "thumbprint", "\"sha1:0123456789ABCDEF0123456789abcdef01234567\"",
            "sha1:0123456789abcdef0123456789abcdef01234567" },
        { "Exchange's", "\"<I>CN=R3, O=Let's Encrypt<s>CN=mx.example\"",
            "issuer=CN=R3, O=Let's Encrypt subject=CN=mx.example" },
        { "by names", "\"issuer=C = US, O = E subject=CN = mx.example\"",
            "issuer=C = US, O = E subject=CN = mx.example" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char text[2000], got[8000], choice[CERTIFICATE_TEXT_BYTES];
        struct settings *s;
        snprintf(text, sizeof text, SEND "enabled = no certificate = %s }\n", cases[i].text);
        s = read_text(text, got);
        check_bytes(cases[i].name, bytes_text(got), BYTES(""));
        certificate_choice_format(&s->send->certificate, choice);
        check_bytes(cases[i].name, bytes_text(choice), bytes_text(cases[i].want));
        settings_free(s);
    }
}

static void send_options_are_kept(void **state)
{
    char got[8000];
    struct settings *s = read_text(SEND
        "tls = verify ca_file = $CERT tls_min = 1.3 implicit_tls = yes "
        "tls_fingerprints = {\"sha256:" HEX
        "\"} tls_policy \"B\303\274cher.example\" { tls = secure } "
        "tls_policy \"*.b.example\" { tls = dane } }\ndns { trust_anchor = /dev/zero }\n",
        got);
    const struct send_connector *c = s->send;

    (void)state;
    check("level", c->tls == SEND_TLS_VERIFY && c->is_implicit_tls && c->tls_version_min == 3);
    check_bytes("authorities", bytes_text(c->ca_file), bytes_text(certificate_file));
    check_bytes("pin", bytes_text(c->tls_fingerprints[0]), BYTES("sha256:" HEX));
    check("policies", c->tls_policy_count == 2 && c->tls_policies[0].tls == SEND_TLS_SECURE &&
                          c->tls_policies[1].tls == SEND_TLS_DANE);
    check_bytes(
        "A-label", bytes_text(c->tls_policies[0].pattern), BYTES("xn--bcher-kva.example"));
    check_bytes("anchor", bytes_text(s->dns_trust_anchor), BYTES("/dev/zero"));
    settings_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complaints_are_made),
        cmocka_unit_test(receive_options_are_kept),
        cmocka_unit_test(choices_are_kept),
        cmocka_unit_test(send_options_are_kept),
    };

    return cmocka_run_group_tests(tests, make_papers, remove_papers);
}
