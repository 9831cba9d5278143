/* The self-signed certificate that is kept, so that it can be pinned. */
#include "kit.h"

#include "os/clock.h"
#include "os/tls.h"
#include "tls_paper.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_BYTES = 16 << 10 };
static char folder[] = "/tmp/relais-self-signed-XXXXXX", file[100];

static size_t load(char text[TEXT_BYTES])
{
    int fd = open(file, O_RDONLY);
    ssize_t n = read(fd, text, TEXT_BYTES);

    assert_true(fd >= 0 && n > 0);
    close(fd);
    return (size_t)n;
}

static void save(const char *text, size_t n)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), n);
    close(fd);
}

/* The key of one and the certificate of another, or of the same. */
static void put(const struct paper *key, const struct paper *certificate, const char *phrase)
{
    FILE *to;

    save("", 0);
    chmod(file, 0600);
    to = fopen(file, "w");
    assert_non_null(to);
    assert_int_equal(
        PEM_write_PrivateKey(to, key->key, phrase ? EVP_aes_128_cbc() : NULL,
            (const unsigned char *)phrase, phrase ? (int)strlen(phrase) : 0, NULL, NULL),
        1);
    assert_int_equal(PEM_write_X509(to, certificate->certificate), 1);
    fclose(to);
}

/* Its fingerprint; and that it is for the host, has years to go, and can be used as it is. */
static struct tls_certificate_facts keep(const char *fqdn, bool is_rsa, bool is_damaged)
{
    struct tls_certificate_facts facts;
    struct tls_server_settings settings = {
        .fqdn = fqdn, .version_min = TLS_1_2, .kept_file = file
    };
    struct tls_context *context;
    char damage[TLS_ERROR_BYTES], why[TLS_ERROR_BYTES] = "";
    struct stat at;

    if (tls_keep_self_signed(fqdn, is_rsa, file, damage, why) != OK)
        fail_msg("%s", why);
    if (is_damaged != (*damage != 0))
        fail_msg("damage: '%s'", damage);
    assert_int_equal(tls_certificate_look(file, fqdn, &facts, why), OK);
    assert_true(facts.fits && tls_expiry_of(&facts, clock_wall()) == TLS_EXPIRY_FAR);
    assert_int_equal(stat(file, &at), 0);
    assert_int_equal(at.st_mode & 0777, 0600);
    assert_int_equal(tls_server_context(&settings, &context, why), OK);
    tls_context_free(context);
    return facts;
}

static void it_stays(void **state)
{
    struct tls_certificate_facts first = keep("mx.example", false, false);

    (void)state;
    assert_string_equal(first.fingerprint, keep("mx.example", false, false).fingerprint);
    unlink(file);
    assert_string_not_equal(first.fingerprint, keep("mx.example", false, false).fingerprint);
    unlink(file);
    first = keep("mx.example", true, false);
    assert_string_equal(first.fingerprint, keep("mx.example", true, false).fingerprint);
    unlink(file);
}

/* At every cut there is a certificate that can be used. */
static void damage_is_mended(void **state)
{
    char text[TEXT_BYTES];
    struct tls_certificate_facts first = keep("mx.example", false, false);
    size_t n = load(text), step = 37;

    (void)state;
    for (size_t cut = 0; cut < n - 1; cut += step) {
        save(text, cut);
        chmod(file, 0644); /* which keep() looks at, too */
        assert_string_not_equal(first.fingerprint, keep("mx.example", false, true).fingerprint);
    }
    save(text, n);
    chmod(file, 0600);
    assert_string_equal(first.fingerprint, keep("mx.example", false, false).fingerprint);
    unlink(file);
}

/* Two halves that do not belong together, a key with a pass phrase, nothing to the point. */
static void junk_is_mended(void **state)
{
    struct paper one = paper_make(NULL, "mx.example", NULL, "EC", 90),
                 other = paper_make(NULL, "mx.example", NULL, "EC", 90);

    (void)state;
    put(&one, &other, NULL);
    (void)keep("mx.example", false, true);
    put(&one, &one, "secret");
    (void)keep("mx.example", false, true);
    save("hello\n", 6);
    (void)keep("mx.example", false, true);
    unlink(file);
    paper_free(&one);
    paper_free(&other);
}

static void it_is_made_anew_before_its_end(void **state)
{
    static const struct {
        const char *name;
        int days;
        bool is_same;
    } cases[] = { { "a quarter", 90, true }, { "30 days and a minute", 30, true },
        { "29 days", 29, false }, { "one day", 1, false }, { "over", -1, false } };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct paper old = paper_make(NULL, "mx.example", NULL, "EC", cases[i].days);
        char damage[TLS_ERROR_BYTES], why[TLS_ERROR_BYTES], fingerprint[TLS_FINGERPRINT_BYTES];
        struct tls_certificate_facts now;
        struct stat at;
        paper_fingerprint(&old, fingerprint);
        put(&old, &old, NULL);
        chmod(file, 0640);
        assert_int_equal(tls_keep_self_signed("mx.example", false, file, damage, why), OK);
        assert_int_equal(tls_certificate_look(file, "mx.example", &now, why), OK);
        check(cases[i].name, (strcmp(now.fingerprint, fingerprint) == 0) == cases[i].is_same);
        check(cases[i].name, !*damage && now.fits);
        assert_int_equal(stat(file, &at), 0);
        check(cases[i].name, (at.st_mode & 0777) == (cases[i].is_same ? 0640 : 0600));
        unlink(file);
        paper_free(&old);
    }
}

static void what_fails_is_told(void **state)
{
    char damage[TLS_ERROR_BYTES], why[TLS_ERROR_BYTES] = "";

    (void)state;
    assert_int_equal(
        tls_keep_self_signed("mx.example", false, "/nonexistent/x.pem", damage, why), ERR_NONE);
    assert_non_null(strstr(why, "/nonexistent/x.pem"));
    assert_int_equal(*damage, 0);
    /* What cannot be read now, for whatever reason, is not thrown away. */
    assert_int_not_equal(tls_keep_self_signed("mx.example", false, folder, damage, why), OK);
    assert_int_equal(access(folder, F_OK), 0);
}

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/kept.pem", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stays),
        cmocka_unit_test(damage_is_mended),
        cmocka_unit_test(junk_is_mended),
        cmocka_unit_test(it_is_made_anew_before_its_end),
        cmocka_unit_test(what_fails_is_told),
    };

    return cmocka_run_group_tests_name("os_tls_self_signed", tests, make_folder, remove_folder);
}
