/* Which connections are weak, by the names that OpenSSL has. */
#include "kit.h"

#include "base/weak_tls.h"

static const struct {
    const char *version, *cipher, *weakness;
} cases[] = {
    { "", "", NULL },
    { "TLSv1.3", "TLS_AES_256_GCM_SHA384", NULL },
    { "TLSv1.3", "TLS_AES_128_CCM_8_SHA256", NULL },
    { "TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", NULL },
    { "TLSv1.2", "DHE-RSA-AES256-GCM-SHA384", NULL },
    { "TLSv1.2", "ECDHE-RSA-AES128-SHA256", NULL },
    { "TLSv1.2", "", NULL },
    { "TLSv1.2", "ECDHE-RSA-AES128-SHA", "CBC with SHA-1" },
    { "TLSv1.2", "AES128-GCM-SHA256", "RSA key exchange" },
    { "TLSv1.2", "AES256-SHA", "RSA key exchange" },
    { "TLSv1.2", "DES-CBC3-SHA", "DES or 3DES" },
    { "TLSv1.2", "ECDHE-RSA-DES-CBC3-SHA", "DES or 3DES" },
    { "TLSv1.2", "ECDHE-RSA-RC4-SHA", "RC4" },
    { "TLSv1.2", "ECDHE-RSA-NULL-SHA", "no encryption" },
    { "TLSv1.2", "ADH-AES128-GCM-SHA256", "no certificate" },
    { "TLSv1.2", "AECDH-AES256-SHA", "no certificate" },
    { "TLSv1.1", "ECDHE-RSA-AES128-SHA", "version below 1.2" },
    { "TLSv1", "", "version below 1.2" },
    { "SSLv3", "RC4-MD5", "version below 1.2" },
};

static void weak_ones_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        const char *got =
            tls_weakness(bytes_text(cases[i].version), bytes_text(cases[i].cipher));
        check_bytes(cases[i].cipher, bytes_text(got ? got : "none"),
            bytes_text(cases[i].weakness ? cases[i].weakness : "none"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(weak_ones_are_told) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
